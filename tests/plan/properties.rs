//! Random programs of every operation on one thread, answered by a plan and by its model alike.

use std::fmt::Debug;

use proptest::collection::vec;
use proptest::prelude::*;
use rand::Rng;
use tierstack::{ChangesetId, PlanContext, Record, SavepointError, Snapshot};

use crate::common::dice;
use crate::history::UNDATED;
use crate::model::{Answer, Model, View};
use crate::program::{Step, operation};
use crate::subject::{self, Hand, event, id, view};
use crate::{config, setting};

/// That an iterator gives the same from the front, from the back, and from both ends by turns, and says how much is left.
fn is_the_same_from_both_ends<I>(iterate: impl Fn() -> I, expected: &[I::Item], seed: u64)
where
    I: DoubleEndedIterator + ExactSizeIterator,
    I::Item: PartialEq + Debug,
{
    // Only from the front, only from the back, and as the dice fall.
    for (pattern, front) in (0..).zip([1.0, 0.0, 0.5, 0.1, 0.9]) {
        let mut dice = dice([seed, pattern, 0]);
        let (mut left, mut iterator) = (expected, iterate());
        loop {
            assert_eq!((iterator.len(), iterator.size_hint()), (left.len(), (left.len(), Some(left.len()))));
            let (given, next) = if dice.random_bool(front) {
                (iterator.next(), left.split_first())
            } else {
                (iterator.next_back(), left.split_last())
            };
            assert_eq!(given.as_ref(), next.map(|(next, _)| next), "with {} left", left.len());
            let Some((_, rest)) = next else { break };
            left = rest;
        }
        assert!(iterator.next().is_none() && iterator.next_back().is_none(), "no more at either end");
    }
}

/// Looks at all of a snapshot, every way there is.
fn shows(snapshot: &Snapshot<u64>, expected: &View, seed: u64) {
    assert_eq!(&view(snapshot), expected);
    assert_eq!(snapshot.started(), expected.changesets.len() as u64);
    assert!(snapshot.changeset(id(snapshot.started() + 1)).is_none());

    is_the_same_from_both_ends(|| snapshot.audit().map(event), &expected.audit, seed);
    let record = |record: Record<'_, u64>| (record.sequence.number(), record.changeset.number(), *record.change);
    is_the_same_from_both_ends(|| snapshot.changes().map(record), &expected.changes, seed);
    for ((_, changes), number) in expected.changesets.iter().zip(1..) {
        let changeset = snapshot.changeset(id(number)).expect("it was started");
        assert_eq!((changeset.len(), changeset.is_empty()), (changes.len(), changes.is_empty()));
        let changes: Vec<_> = changes.iter().map(|(sequence, change)| (*sequence, number, *change)).collect();
        is_the_same_from_both_ends(|| changeset.changes().map(record), &changes, seed);
    }
    let backwards = snapshot.changesets().rev().map(|changeset| changeset.id().number());
    assert!(backwards.eq((1..=snapshot.started()).rev()));
}

/// What a plan says of itself without being changed.
fn agrees(plan: &PlanContext<u64>, model: &Model) {
    assert_eq!(plan.sequence().number(), model.sequence());
    assert_eq!(plan.current().map(ChangesetId::number), model.current());
    for number in 1..=model.started() + 1 {
        assert_eq!(plan.status(id(number)).map(subject::status), model.status(number), "changeset {number}");
        assert_eq!(plan.handle(id(number)).map(|handle| handle.id().number()), model.status(number).map(|_| number));
    }
}

/// Runs a program; the snapshots that were taken, with what they are to show.
fn run(program: Vec<Step>, seed: u64) -> Vec<(Snapshot<u64>, View)> {
    let mut model = Model::default();
    let plan = PlanContext::new();
    let foreign = PlanContext::<u64>::new().savepoint();
    let mut hand = Hand::new(plan.clone());
    hand.savepoints.insert(0, plan.savepoint());
    for (step, number) in program.into_iter().zip(0..) {
        let savepoints: Vec<_> = hand.savepoints.keys().copied().collect();
        let operation = operation(step, number, model.started(), &savepoints);
        let given = hand.perform(&operation);
        let mut answer = hand.answer(&operation, given);
        if let Answer::Started { id, sequence: sequence @ UNDATED } = &mut answer {
            *sequence = plan.sequence().number();
            if number % 2 == 0 {
                hand.use_handle(*id);
            }
        }
        // A handle can be had for any changeset, whatever has become of it.
        if number % 8 == 7 && model.started() > 0 {
            hand.use_handle(1 + number % model.started());
        }
        assert_eq!(answer, model.apply(&operation), "{operation:?}");
        agrees(&plan, &model);
        assert_eq!(plan.roll_back_to(&foreign), Err(SavepointError::OtherPlan));
        hand.plan = hand.plan.clone();
    }
    hand.snapshots.push((plan.snapshot(), model.view()));
    hand.snapshots.push((hand.snapshots[0].0.clone(), hand.snapshots[0].1.clone()));
    for (snapshot, expected) in &hand.snapshots {
        shows(snapshot, expected, seed);
    }
    hand.snapshots
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn a_plan_answers_every_program_as_its_model_and_its_snapshots_outlive_it(
        program in vec(any::<Step>(), 1..setting("LENGTH", 160)),
        seed in any::<u64>(),
    ) {
        // The plan, its handles and its clones are dropped in there.
        let mut snapshots = run(program, seed);
        for (snapshot, expected) in &snapshots {
            shows(snapshot, expected, seed);
        }
        // In whatever order they go, the others stay what they are.
        while !snapshots.is_empty() {
            snapshots.swap_remove(seed as usize % snapshots.len());
            if let Some((snapshot, expected)) = snapshots.first() {
                assert_eq!(&view(snapshot), expected);
            }
        }
    }
}
