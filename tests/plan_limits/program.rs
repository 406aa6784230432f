//! Random programs for one plan: every operation, in any order, with changesets and savepoints that may not be in force any more.

use std::fmt::Debug;

use proptest::collection::vec;
use proptest::prelude::*;
use tierstack::{ChangesetId, PlanContext, Savepoint, Snapshot};

use super::portrait::id;

/// A step; a number names a changeset or a savepoint, one of those that there are.
#[derive(Clone, Debug)]
pub enum Step<C> {
    Start,
    Record(C),
    RecordIn(usize, C),
    RecordAll(Vec<C>),
    RecordAllIn(usize, Vec<C>),
    Close(usize),
    Abort(usize),
    Savepoint,
    RollBack(usize),
}

fn step<C: Debug + Clone>(change: impl Strategy<Value = C> + Clone) -> impl Strategy<Value = Step<C>> {
    let change = || change.clone();
    let changes = || vec(change(), 0..4);
    let which = || 0..1000_usize;
    prop_oneof![
        4 => Just(Step::Start),
        4 => change().prop_map(Step::Record),
        4 => (which(), change()).prop_map(|(at, change)| Step::RecordIn(at, change)),
        2 => changes().prop_map(Step::RecordAll),
        2 => (which(), changes()).prop_map(|(at, changes)| Step::RecordAllIn(at, changes)),
        2 => which().prop_map(Step::Close),
        2 => which().prop_map(Step::Abort),
        3 => Just(Step::Savepoint),
        2 => which().prop_map(Step::RollBack),
    ]
}

pub fn program() -> impl Strategy<Value = Vec<Step<String>>> {
    program_of("[a-z\"\\\\\u{e9}]{0,3}")
}

/// With changes of any kind.
pub fn program_of<C: Debug + Clone>(change: impl Strategy<Value = C> + Clone) -> impl Strategy<Value = Vec<Step<C>>> {
    vec(step(change), 0..60)
}

pub fn config(cases: u32) -> ProptestConfig {
    // A failing program is printed in full; one worth keeping becomes a test of its own.
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    config
}

/// Runs a program; what is refused is let go. Hands back a snapshot from after each step.
pub fn run<C: Clone>(plan: &PlanContext<C>, program: &[Step<C>]) -> Vec<Snapshot<C>> {
    let mut savepoints: Vec<Savepoint> = vec![plan.savepoint()];
    let mut snapshots = Vec::new();
    for step in program {
        let started = usize::try_from(plan.snapshot().started()).unwrap();
        // One more than there are, so that some are unknown.
        let changeset = |at: usize| -> ChangesetId { id((at % (started + 1)) as u64 + 1) };
        match step.clone() {
            Step::Start => drop(plan.start_changeset()),
            Step::Record(change) => drop(plan.record_change(change)),
            Step::RecordIn(at, change) => drop(plan.record_in(changeset(at), change)),
            Step::RecordAll(changes) => drop(plan.record_all(changes)),
            Step::RecordAllIn(at, changes) => drop(plan.record_all_in(changeset(at), changes)),
            Step::Close(at) => drop(plan.close(changeset(at))),
            Step::Abort(at) => drop(plan.abort(changeset(at))),
            Step::Savepoint => savepoints.push(plan.savepoint()),
            Step::RollBack(at) => drop(plan.roll_back_to(&savepoints[at % savepoints.len()])),
        }
        snapshots.push(plan.snapshot());
    }
    snapshots
}
