//! Which savepoints a plan takes, and for how long.

use std::sync::Arc;
use std::thread;

use tierstack::{EventKind, PlanContext, SavepointError, Status};

use crate::portrait::{Portrait, trail, unchanged};

/// A plan with two changesets and two changes.
fn plan() -> PlanContext<u32> {
    let plan = PlanContext::new();
    plan.start_changeset().record(1).unwrap();
    plan.start_changeset().record(2).unwrap();
    plan
}

fn in_force(plan: &PlanContext<u32>) -> Vec<u32> {
    plan.snapshot().changes().map(|record| *record.change).collect()
}

#[test]
fn those_of_another_plan_are_refused_even_where_it_is_the_same_to_look_at() {
    let (ours, others) = (plan(), plan());
    assert_eq!(unchanged(&ours, || ours.roll_back_to(&others.savepoint())), Err(SavepointError::OtherPlan));
    let empty: [PlanContext<u32>; 2] = [PlanContext::new(), PlanContext::new()];
    let origin = empty[0].savepoint();
    assert_eq!(unchanged(&empty[1], || empty[1].roll_back_to(&origin)), Err(SavepointError::OtherPlan));
    let of_another_type = PlanContext::<String>::new().savepoint();
    assert_eq!(unchanged(&ours, || ours.roll_back_to(&of_another_type)), Err(SavepointError::OtherPlan));
    assert_ne!(ours.savepoint(), others.savepoint());

    let copy = PlanContext::replay(trail(&ours.snapshot())).unwrap();
    assert_eq!(unchanged(&copy, || copy.roll_back_to(&ours.savepoint())), Err(SavepointError::OtherPlan));
    assert_eq!(ours.clone().roll_back_to(&ours.savepoint()).unwrap().number(), 5, "a clone is the same plan");
}

/// The allocator is quick to hand out again what a plan has freed: so addresses recur here.
#[test]
fn those_of_a_plan_that_was_dropped_are_refused_by_all_that_come_after() {
    let mut dropped = Vec::new();
    for _ in 0..300 {
        let plan = plan();
        for savepoint in &dropped {
            assert_eq!(plan.roll_back_to(savepoint), Err(SavepointError::OtherPlan));
        }
        assert_eq!(plan.sequence().number(), 4);
        dropped.push(plan.savepoint());
        plan.record_change(3).unwrap();
        plan.roll_back_to(dropped.last().unwrap()).unwrap();
        assert_eq!(in_force(&plan), [1, 2]);
    }
}

#[test]
fn one_may_outlive_its_plan() {
    let plan = plan();
    let (snapshot, savepoint) = (plan.snapshot(), plan.savepoint());
    drop(plan);
    drop(snapshot);
    let elsewhere = thread::spawn(move || (savepoint, format!("{savepoint:?}")));
    let (copy, text) = elsewhere.join().unwrap();
    assert_eq!((copy, copy.sequence().number()), (savepoint, 4));
    assert!(text.contains("#4"), "{text}");
}

#[test]
fn the_target_stays_in_force_and_may_be_used_again_and_again() {
    let plan = plan();
    let target = plan.savepoint();
    for round in 0..5 {
        plan.record_change(round).unwrap();
        plan.start_changeset().record(round).unwrap();
        let last = plan.sequence();
        assert_eq!(plan.roll_back_to(&target).unwrap().number(), last.number() + 1);
        assert_eq!(in_force(&plan), [1, 2]);
    }
    // And at once, with nothing to undo but the roll-back itself.
    assert_eq!(plan.roll_back_to(&target).unwrap().number(), plan.sequence().number());
    let audit = Portrait::of_plan(&plan).audit;
    let to = target.sequence();
    assert_eq!(audit.iter().filter(|event| event.kind == EventKind::RolledBack { to }).count(), 6);
}

#[test]
fn those_after_the_target_are_refused_for_good_and_those_before_stay() {
    let plan: PlanContext<u32> = PlanContext::new();
    let origin = plan.savepoint();
    let changeset = plan.start_changeset();
    let empty = plan.savepoint();
    changeset.record(1).unwrap();
    let target = plan.savepoint();
    let same = plan.savepoint();
    changeset.record(2).unwrap();
    let in_the_same_log = plan.savepoint();
    changeset.close().unwrap();
    let after_a_close = plan.savepoint();
    plan.start_changeset().record(3).unwrap();
    let after_a_start = plan.savepoint();
    plan.roll_back_to(&target).unwrap();
    let after = plan.savepoint();

    let refuses = |why: &str| {
        for dead in [in_the_same_log, after_a_close, after_a_start] {
            let answer = unchanged(&plan, || plan.roll_back_to(&dead));
            assert_eq!(answer, Err(SavepointError::RolledBack), "{dead:?} {why}");
        }
    };
    refuses("right after");
    // The history grows past all their numbers: in the same shape as before.
    changeset.record(2).unwrap();
    changeset.close().unwrap();
    plan.start_changeset().record(3).unwrap();
    assert!(plan.sequence() > after_a_start.sequence());
    refuses("when there is as much again");

    assert_eq!(target, same, "the same place");
    plan.roll_back_to(&after).unwrap();
    assert_eq!(in_force(&plan), [1]);
    plan.roll_back_to(&same).unwrap();
    assert_eq!(in_force(&plan), [1]);
    assert_eq!(unchanged(&plan, || plan.roll_back_to(&after)), Err(SavepointError::RolledBack), "it was after that");
    plan.roll_back_to(&empty).unwrap();
    assert_eq!(in_force(&plan), [0; 0]);
    assert_eq!(unchanged(&plan, || plan.roll_back_to(&target)), Err(SavepointError::RolledBack));
    plan.roll_back_to(&origin).unwrap();
    assert_eq!(plan.status(changeset.id()), Some(Status::RolledBack));
    assert_eq!(unchanged(&plan, || plan.roll_back_to(&empty)), Err(SavepointError::RolledBack));
    refuses("after roll-backs to elsewhere");
    plan.roll_back_to(&origin).unwrap();
}

#[test]
fn one_taken_while_a_batch_is_gathered_lies_before_all_of_it() {
    let plan: PlanContext<u32> = PlanContext::new();
    let changeset = plan.start_changeset();
    changeset.record(1).unwrap();
    let mut within = Vec::new();
    let recorded = plan.record_all((2..6).inspect(|_| within.push(plan.savepoint()))).unwrap();
    let after = plan.savepoint();
    changeset.record(6).unwrap();
    assert_eq!((recorded.last.number(), after.sequence()), (6, recorded.last));
    for savepoint in &within {
        assert_eq!(savepoint.sequence().number(), 2);
    }
    plan.roll_back_to(&after).unwrap();
    assert_eq!(in_force(&plan), [1, 2, 3, 4, 5]);
    plan.roll_back_to(&within[3]).unwrap();
    assert_eq!(in_force(&plan), [1]);
    assert_eq!(unchanged(&plan, || plan.roll_back_to(&after)), Err(SavepointError::RolledBack));
    plan.roll_back_to(&within[0]).unwrap();
}

#[test]
fn of_a_snapshot_that_is_kept_nothing_is_rolled_back() {
    let plan: PlanContext<Arc<u32>> = PlanContext::new();
    let changeset = plan.start_changeset();
    let savepoint = plan.savepoint();
    changeset.record(Arc::new(1)).unwrap();
    let snapshot = plan.snapshot();
    let before = Portrait::of(&snapshot);
    plan.roll_back_to(&savepoint).unwrap();
    assert_eq!(Portrait::of(&snapshot), before);
    assert_eq!(snapshot.changes().len(), 1);
    assert_eq!(plan.snapshot().changes().len(), 0);
}
