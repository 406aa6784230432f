//! A plan that was restored from a snapshot is the same plan, and goes on the same; the first plan and the snapshot stay what they were.

use std::sync::Arc;

use proptest::prelude::*;
use tierstack::{NotOpen, PlanContext, SavepointError, Sequence, Snapshot, Status};

use crate::common::together;
use crate::common::tracked::Registry;
use crate::portrait::{Portrait, id, trail};
use crate::program::{config, program, run};

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn a_restored_plan_is_the_same_and_goes_on_the_same(before in program(), between in program(), after in program()) {
        let plan = PlanContext::new();
        run(&plan, &before);
        let snapshot = plan.snapshot();
        let (was, copy) = (Portrait::of(&snapshot), PlanContext::replay(trail(&snapshot)).unwrap());
        let restored = PlanContext::restore(&snapshot);
        prop_assert_eq!(Portrait::of_plan(&restored), was.clone());
        // The first plan goes on in another way meanwhile.
        run(&plan, &between);
        run(&copy, &after);
        let snapshots = run(&restored, &after);
        prop_assert_eq!(Portrait::of_plan(&restored), Portrait::of_plan(&copy));
        prop_assert_eq!(Portrait::of(&snapshot), was.clone());
        drop((plan, snapshot));
        prop_assert_eq!(Portrait::of_plan(&restored), Portrait::of_plan(&copy));
        // Its trail is that of a plan, and what it shows by changeset, by path and in all is the same.
        let again = PlanContext::replay(trail(&restored.snapshot())).unwrap();
        prop_assert_eq!(Portrait::of_plan(&again), Portrait::of_plan(&copy));
        for (number, snapshot) in snapshots.iter().enumerate().step_by(7) {
            let twice = PlanContext::restore(&PlanContext::restore(snapshot).snapshot());
            prop_assert_eq!(Portrait::of_plan(&twice), Portrait::of(snapshot), "after step {}", number);
        }
        drop(restored);
        for snapshot in snapshots {
            prop_assert!(Portrait::of(&snapshot).sequence >= was.sequence);
        }
    }
}

#[test]
fn nothing_is_restored_as_nothing() {
    let plan: PlanContext<u32> = PlanContext::restore(&PlanContext::new().snapshot());
    assert_eq!(Portrait::of_plan(&plan), Portrait::of_plan(&PlanContext::new()));
    assert_eq!(plan.start_changeset().id(), id(1));
    assert_eq!(plan.snapshot().audit().len(), 1);
}

#[test]
fn what_is_open_goes_on_and_what_is_not_does_not() {
    let plan: PlanContext<&str> = PlanContext::new();
    let [open, closed, aborted] = [(); 3].map(|()| plan.start_changeset());
    open.record("a").unwrap();
    closed.close().unwrap();
    aborted.abort().unwrap();
    let savepoint = plan.savepoint();
    let gone = plan.start_changeset().id();
    plan.roll_back_to(&savepoint).unwrap();
    let restored = PlanContext::restore(&plan.snapshot());
    assert_eq!(restored.current(), Some(open.id()));
    assert_eq!(
        restored.handle(open.id()).unwrap().record("b").unwrap().sequence.number(),
        plan.sequence().number() + 1
    );
    assert_eq!(restored.record_in(closed.id(), "c").unwrap_err().reason, NotOpen::Closed(closed.id()).into());
    assert_eq!(restored.record_in(aborted.id(), "c").unwrap_err().reason, NotOpen::Aborted(aborted.id()).into());
    assert_eq!(restored.status(gone), Some(Status::RolledBack));
    assert_eq!(restored.start_changeset().id(), id(5));
    assert_eq!(restored.snapshot().changeset(open.id()).unwrap().len(), 2);
    assert_eq!((plan.snapshot().changes().len(), plan.snapshot().started()), (1, 4));
}

#[test]
fn savepoints_are_of_one_plan() {
    let plan: PlanContext<u32> = PlanContext::new();
    plan.start_changeset().record(1).unwrap();
    let savepoint = plan.savepoint();
    let restored = PlanContext::restore(&plan.snapshot());
    assert_eq!(restored.roll_back_to(&savepoint), Err(SavepointError::OtherPlan));
    let own = restored.savepoint();
    assert_eq!((own.sequence(), plan.roll_back_to(&own)), (savepoint.sequence(), Err(SavepointError::OtherPlan)));
    restored.record_change(2).unwrap();
    restored.close(restored.current().unwrap()).unwrap();
    restored.roll_back_to(&own).unwrap();
    assert_eq!((restored.snapshot().changes().len(), restored.current()), (1, plan.current()));
    restored.record_change(3).unwrap();
    assert_eq!(restored.snapshot().changes().map(|record| *record.change).collect::<Vec<_>>(), [1, 3]);
}

/// Of what both have, nothing is freed before both are gone, and then all of it, once.
#[test]
fn what_plans_share_is_freed_with_the_last_of_them() {
    for order in 0..3 {
        let registry = Registry::new();
        let plan = PlanContext::new();
        plan.start_changeset().record_all((0..5).map(|_| registry.tracked(1))).unwrap();
        let snapshot: Snapshot<_> = plan.snapshot();
        plan.record_change(registry.tracked(1)).unwrap();
        let restored = PlanContext::restore(&snapshot);
        restored.record_change(registry.tracked(1)).unwrap();
        restored.start_changeset().record(registry.tracked(1)).unwrap();
        plan.start_changeset().abort().unwrap();
        assert_eq!(registry.alive(), 8);
        match order {
            0 => {
                drop((plan, snapshot));
                assert_eq!(restored.snapshot().changes().len(), 7);
                drop(restored);
            }
            1 => {
                drop((restored, plan));
                assert_eq!(snapshot.changes().len(), 5);
                drop(snapshot);
            }
            _ => {
                drop((snapshot, restored));
                assert_eq!(plan.snapshot().changes().len(), 6);
                drop(plan);
            }
        }
        assert_eq!(registry.alive(), 0, "order {order}");
    }
}

/// However long the chain of plans of plans is, it is freed without recursion; and however many restore at once while others record.
#[test]
fn chains_of_restored_plans_and_plans_that_go_on_meanwhile() {
    let mut plan: PlanContext<u32> = PlanContext::new();
    plan.start_changeset();
    for number in 0..100_000 {
        plan = PlanContext::restore(&plan.snapshot());
        if number % 1_000 == 0 {
            plan.record_change(number).unwrap();
        }
    }
    assert_eq!(plan.snapshot().changes().len(), 100);
    drop(plan);

    let plan: PlanContext<Arc<u32>> = PlanContext::new();
    plan.start_changeset();
    together(4, |thread| {
        for number in 0..500 {
            if thread % 2 == 0 {
                plan.record_change(Arc::new(number)).unwrap();
                if number % 50 == 0 {
                    plan.start_changeset();
                }
                continue;
            }
            let snapshot = plan.snapshot();
            let restored = PlanContext::restore(&snapshot);
            assert_eq!(restored.sequence(), snapshot.sequence());
            restored.start_changeset().record(Arc::new(0)).unwrap();
            let events = restored.snapshot().audit().map(|event| event.sequence.number()).collect::<Vec<_>>();
            assert!(events.iter().copied().eq(1..=snapshot.sequence().number() + 2));
        }
    });
    assert_ne!(plan.sequence(), Sequence::ORIGIN);
}
