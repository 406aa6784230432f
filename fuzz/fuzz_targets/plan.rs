//! Every operation of a plan on one thread, through it and through handles, against its sequential model.
#![no_main]
#![allow(
    dead_code,
    clippy::cast_possible_truncation,
    reason = "of what the tests have, each uses a part; small numbers are sequence numbers here and indices there"
)]

#[path = "../../tests/plan/history.rs"]
mod history;
#[path = "../../tests/plan/model.rs"]
mod model;
#[path = "../../tests/plan/subject.rs"]
mod subject;

use std::fmt::Debug;
use std::mem::take;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tierstack::{ChangesetId, Event, PlanContext, Record, ReplayRefusal, SavepointError, Snapshot};

use history::UNDATED;
use model::{Answer, Model, Operation, View};
use subject::{Hand, event, id, view};

/// The model's views are copies of everything, so that longer plans are slow.
const MOST_STEPS: usize = 300;

/// Statuses in a word.
const A_WORD: u64 = 64;

/// As many as are kept to the end.
const MOST_SNAPSHOTS: usize = 12;

#[derive(Arbitrary, Debug)]
struct Input {
    steps: Vec<Step>,
    /// From which end each next element is taken.
    ends: u64,
}

#[derive(Arbitrary, Debug)]
enum Step {
    /// And whether the handle is used from then on, instead of the id.
    Start(bool),
    /// As many as fill a word of statuses, and a few more.
    StartMany(Few),
    Record,
    RecordIn(Which),
    RecordAll(Few),
    RecordAllIn(Which, Few),
    Close(Which),
    Abort(Which),
    Savepoint,
    RollBackTo(Which),
    Current,
    Status(Which),
    Sequence,
    Snapshot,
    /// A handle can be had for any changeset, whatever has become of it.
    UseHandle(Which),
    /// Goes on with another plan, made from the trail of this one.
    Replay,
    /// Drops a snapshot; all the others stay what they are.
    Forget(Which),
    /// Goes on with another plan, restored from a snapshot of this one; what is forgotten of this one is still the other's.
    Restore,
}

/// One of however many there are.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Which(u8);

impl Which {
    /// Counted from the newest, as that is where most happens.
    fn of(self, count: u64) -> u64 {
        count - 1 - u64::from(self.0) % count
    }
}

/// How many changes a batch has.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Few(u8);

/// That an iterator gives the same from both ends, taken by turns as the bits of `ends` say, and says how much is left.
fn is_the_same_from_both_ends<I>(mut iterator: I, expected: &[I::Item], ends: u64)
where
    I: DoubleEndedIterator + ExactSizeIterator,
    I::Item: PartialEq + Debug,
{
    let mut left = expected;
    for turn in 0_u32.. {
        assert_eq!((iterator.len(), iterator.size_hint()), (left.len(), (left.len(), Some(left.len()))));
        let is_front = ends.rotate_right(turn) & 1 == 0;
        let (given, next) =
            if is_front { (iterator.next(), left.split_first()) } else { (iterator.next_back(), left.split_last()) };
        assert_eq!(given.as_ref(), next.map(|(next, _)| next), "with {} left", left.len());
        let Some((_, rest)) = next else { break };
        left = rest;
    }
    assert!(iterator.next().is_none() && iterator.next_back().is_none(), "no more at either end");
}

/// Looks at all of a snapshot: from the front, from the back, and from both.
fn shows(snapshot: &Snapshot<u64>, expected: &View, ends: u64) {
    assert_eq!(&view(snapshot), expected);
    let record = |record: Record<'_, u64>| (record.sequence.number(), record.changeset.number(), *record.change);
    for ends in [u64::MAX, ends] {
        is_the_same_from_both_ends(snapshot.audit().map(event), &expected.audit, ends);
        is_the_same_from_both_ends(snapshot.changes().map(record), &expected.changes, ends);
        for ((_, changes), number) in expected.changesets.iter().zip(1..) {
            let changeset = snapshot.changeset(id(number)).expect("it was started");
            assert_eq!((changeset.len(), changeset.is_empty()), (changes.len(), changes.is_empty()));
            let changes: Vec<_> = changes.iter().map(|(sequence, change)| (*sequence, number, *change)).collect();
            is_the_same_from_both_ends(changeset.changes().map(record), &changes, ends);
        }
    }
    let backwards = snapshot.changesets().rev().map(|changeset| changeset.id().number());
    assert!(backwards.eq((1..=snapshot.started()).rev()));
    assert!(snapshot.changeset(id(snapshot.started() + 1)).is_none());
}

/// What a plan says of itself without being changed, of the newest changesets, and of one that there is not.
fn agrees(plan: &PlanContext<u64>, model: &Model) {
    assert_eq!(plan.sequence().number(), model.sequence());
    assert_eq!(plan.current().map(ChangesetId::number), model.current());
    for number in model.started().saturating_sub(8).max(1)..=model.started() + 1 {
        assert_eq!(plan.status(id(number)).map(subject::status), model.status(number), "changeset {number}");
        assert_eq!(plan.handle(id(number)).map(|handle| handle.id().number()), model.status(number).map(|_| number));
    }
}

fn trail(plan: &PlanContext<u64>) -> Vec<Event<u64>> {
    plan.snapshot().audit().map(Event::cloned).collect()
}

struct Trial {
    model: Model,
    hand: Hand,
    /// Changes are numbered.
    changes: u64,
}

impl Trial {
    fn new() -> Self {
        Self { model: Model::default(), hand: Hand::new(PlanContext::new()), changes: 0 }
    }

    fn changes(&mut self, few: Few) -> Vec<u64> {
        (0..few.0 % 5).map(|_| self.change()).collect()
    }

    fn change(&mut self) -> u64 {
        self.changes += 1;
        self.changes
    }

    /// A changeset: one of those started, or one more, which is unknown.
    fn changeset(&self, which: Which) -> u64 {
        which.of(self.model.started() + 1) + 1
    }

    fn operation(&mut self, step: &Step) -> Option<Operation> {
        Some(match *step {
            Step::Start(_) => Operation::Start,
            Step::StartMany(few) => {
                let started = self.model.started();
                if started < A_WORD {
                    for _ in started..A_WORD + u64::from(few.0 % 3) {
                        self.perform(&Operation::Start, false);
                    }
                }
                return None;
            }
            Step::Record => Operation::Record { change: self.change() },
            Step::RecordIn(which) => Operation::RecordIn { id: self.changeset(which), change: self.change() },
            Step::RecordAll(few) => Operation::RecordAll { changes: self.changes(few) },
            Step::RecordAllIn(which, few) => {
                Operation::RecordAllIn { id: self.changeset(which), changes: self.changes(few) }
            }
            Step::Close(which) => Operation::Close { id: self.changeset(which) },
            Step::Abort(which) => Operation::Abort { id: self.changeset(which) },
            Step::Savepoint => Operation::Savepoint,
            Step::RollBackTo(which) => {
                let savepoints: Vec<_> = self.hand.savepoints.keys().copied().collect();
                if savepoints.is_empty() {
                    return None;
                }
                Operation::RollBackTo { savepoint: savepoints[which.of(savepoints.len() as u64) as usize] }
            }
            Step::Current => Operation::Current,
            Step::Status(which) => Operation::Status { id: self.changeset(which) },
            Step::Sequence => Operation::Sequence,
            Step::Snapshot => Operation::Snapshot,
            Step::UseHandle(which) => {
                if self.model.started() > 0 {
                    self.hand.use_handle(which.of(self.model.started()) + 1);
                }
                return None;
            }
            Step::Replay => {
                self.go_on_with(PlanContext::replay(trail(&self.hand.plan)).expect("what happened can happen again"));
                return None;
            }
            Step::Restore => {
                self.go_on_with(PlanContext::restore(&self.hand.plan.snapshot()));
                return None;
            }
            Step::Forget(which) => {
                let snapshots = &mut self.hand.snapshots;
                if !snapshots.is_empty() {
                    snapshots.swap_remove(which.of(snapshots.len() as u64) as usize);
                }
                return None;
            }
        })
    }

    fn step(&mut self, step: &Step) {
        if let Some(operation) = self.operation(step) {
            self.perform(&operation, matches!(step, Step::Start(true)));
        }
        agrees(&self.hand.plan, &self.model);
        if self.hand.snapshots.len() > MOST_SNAPSHOTS {
            self.hand.snapshots.swap_remove(MOST_SNAPSHOTS / 2);
        }
    }

    fn perform(&mut self, operation: &Operation, use_handle: bool) {
        let given = self.hand.perform(operation);
        let mut answer = self.hand.answer(operation, given);
        if let Answer::Started { id, sequence: sequence @ UNDATED } = &mut answer {
            *sequence = self.hand.plan.sequence().number();
            if use_handle {
                self.hand.use_handle(*id);
            }
        }
        assert_eq!(answer, self.model.apply(operation), "{operation:?}");
    }

    /// The same plan made anew, which takes the place of this one; the savepoints and the handles are of the old one.
    fn go_on_with(&mut self, copy: PlanContext<u64>) {
        assert_eq!(view(&copy.snapshot()), self.model.view());
        agrees(&copy, &self.model);
        let savepoint = self.hand.plan.savepoint();
        assert_eq!(copy.roll_back_to(&savepoint), Err(SavepointError::OtherPlan));
        let mut hand = Hand::new(copy);
        hand.snapshots = take(&mut self.hand.snapshots);
        self.hand = hand;
    }

    /// A trail that lacks an event in its midst is refused there.
    fn replay_without(&self, which: u64) {
        let mut trail = trail(&self.hand.plan);
        if trail.len() < 2 {
            return;
        }
        let gone = trail.remove(which as usize % (trail.len() - 1));
        let error = PlanContext::replay(trail).expect_err("an event is missing");
        assert_eq!(error.reason, ReplayRefusal::Sequence { expected: gone.sequence });
        assert_eq!(error.plan.sequence().number() + 1, gone.sequence.number());
    }
}

fuzz_target!(|input: Input| {
    let mut trial = Trial::new();
    for step in input.steps.iter().take(MOST_STEPS) {
        trial.step(step);
    }
    trial.replay_without(input.ends);
    trial.hand.snapshots.push((trial.hand.plan.snapshot(), trial.model.view()));
    trial.go_on_with(PlanContext::replay(trail(&trial.hand.plan)).expect("what happened can happen again"));
    trial.hand.snapshots.push((trial.hand.plan.snapshot(), trial.model.view()));
    for (snapshot, expected) in &trial.hand.snapshots {
        shows(snapshot, expected, input.ends);
    }
    // The plans, their handles and clones go, and then the snapshots, in whatever order.
    let mut snapshots = take(&mut trial.hand.snapshots);
    drop(trial);
    while !snapshots.is_empty() {
        snapshots.swap_remove(input.ends as usize % snapshots.len());
        if let Some((snapshot, expected)) = snapshots.first() {
            assert_eq!(&view(snapshot), expected);
        }
    }
});
