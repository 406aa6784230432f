//! Calls that another overtakes between their decision and the CAS that was to make it true: they decide anew.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use crate::failpoint::{Step, arm};
use crate::{EventKind, NotOpen, PlanContext, RecordRefusal, SavepointError, Status};

type Plan = PlanContext<u32>;

/// Has `overtake` happen when the thread's next record, start, close, abort or roll-back is about to be published.
fn overtaken_by<C: 'static>(plan: &PlanContext<C>, overtake: impl FnOnce(&PlanContext<C>) + 'static) -> Rc<Cell<bool>> {
    let (plan, happened) = (plan.clone(), Rc::new(Cell::new(false)));
    let tell = Rc::clone(&happened);
    arm(Step::Recording, move || {
        tell.set(true);
        overtake(&plan);
    });
    happened
}

fn changes(plan: &Plan) -> Vec<(u64, u32)> {
    plan.snapshot().changes().map(|record| (record.changeset.number(), *record.change)).collect()
}

/// Every event has the number that its place in the trail gives it.
fn assert_numbered(plan: &Plan) {
    let snapshot = plan.snapshot();
    let numbers: Vec<_> = snapshot.audit().map(|event| event.sequence.number()).collect();
    assert_eq!(numbers, (1..=snapshot.sequence().number()).collect::<Vec<_>>());
}

#[test]
fn a_record_overtaken_by_a_start_lands_in_the_new_changeset() {
    let plan = Plan::new();
    let first = plan.start_changeset();
    let happened = overtaken_by(&plan, |plan| drop(plan.start_changeset()));
    let recorded = plan.record_change(1).unwrap();
    assert!(happened.get());
    assert!(recorded.changeset != first.id() && Some(recorded.changeset) == plan.current());
    assert_eq!(recorded.sequence.number(), 3);
    // Through a handle it does not matter.
    overtaken_by(&plan, |plan| drop(plan.start_changeset()));
    assert_eq!(first.record(2).unwrap().changeset, first.id());
    assert_eq!(changes(&plan), [(2, 1), (1, 2)]);
    assert_numbered(&plan);
}

#[test]
fn a_record_overtaken_by_a_close_is_refused_or_goes_to_the_one_below() {
    let plan = Plan::new();
    let (below, top) = (plan.start_changeset(), plan.start_changeset());
    let close = top.clone();
    overtaken_by(&plan, move |_| {
        close.close().unwrap();
    });
    assert_eq!(plan.record_change(1).unwrap().changeset, below.id());

    let abort = below.clone();
    overtaken_by(&plan, move |_| {
        abort.abort().unwrap();
    });
    let error = below.record_all([2, 3]).unwrap_err();
    assert_eq!(error.refused, [2, 3]);
    assert_eq!(error.reason, RecordRefusal::NotOpen(NotOpen::Aborted(below.id())));

    let last = plan.start_changeset();
    overtaken_by(&plan, move |_| {
        last.close().unwrap();
    });
    let error = plan.record_change(4).unwrap_err();
    assert_eq!((error.refused, error.reason), (4, RecordRefusal::NoActiveChangeset));
    assert_numbered(&plan);
}

#[test]
fn a_record_overtaken_by_a_record_comes_after_it() {
    let plan = Plan::new();
    plan.start_changeset();
    overtaken_by(&plan, |plan| {
        plan.record_all([1, 2]).unwrap();
    });
    assert_eq!(plan.record_all([3, 4]).unwrap().last.number(), 5);
    assert_eq!(changes(&plan), [(1, 1), (1, 2), (1, 3), (1, 4)]);
    assert_numbered(&plan);
}

#[test]
fn a_start_overtaken_by_a_record_and_by_a_start_takes_the_next_number_and_id() {
    let plan = Plan::new();
    plan.start_changeset();
    overtaken_by(&plan, |plan| {
        plan.record_change(1).unwrap();
    });
    // The record is not lost below the seal, though the version that was prepared before it is used.
    assert_eq!(plan.start_changeset().id().number(), 2);
    assert_eq!(changes(&plan), [(1, 1)]);
    overtaken_by(&plan, |plan| drop(plan.start_changeset()));
    assert_eq!(plan.start_changeset().id().number(), 4);
    assert_numbered(&plan);
}

#[test]
fn what_an_overtaken_start_had_prepared_does_not_keep_its_plan_alive() {
    let overtakers: [fn(&PlanContext<Arc<u32>>); 2] = [
        // After this the same version is tried again; after that another is made.
        |plan| _ = plan.record_change(Arc::new(8)).unwrap(),
        |plan| drop(plan.start_changeset()),
    ];
    for overtake in overtakers {
        let (plan, payload) = (PlanContext::new(), Arc::new(7));
        plan.start_changeset().record(Arc::clone(&payload)).unwrap();
        let happened = overtaken_by(&plan, overtake);
        plan.start_changeset();
        assert!(happened.get());
        drop(plan);
        assert_eq!(Arc::strong_count(&payload), 1);
    }
}

#[test]
fn a_close_overtaken_by_an_abort_or_a_roll_back_is_refused() {
    let plan = Plan::new();
    let savepoint = plan.savepoint();
    let changeset = plan.start_changeset();
    let abort = changeset.clone();
    overtaken_by(&plan, move |_| {
        abort.abort().unwrap();
    });
    assert_eq!(changeset.close(), Err(NotOpen::Aborted(changeset.id())));

    let changeset = plan.start_changeset();
    overtaken_by(&plan, move |plan| {
        plan.roll_back_to(&savepoint).unwrap();
    });
    assert_eq!(changeset.close(), Err(NotOpen::RolledBack(changeset.id())));
    assert_eq!(plan.status(changeset.id()), Some(Status::RolledBack));
    assert_numbered(&plan);
}

#[test]
fn a_roll_back_overtaken_by_one_to_an_earlier_savepoint_is_refused() {
    let plan = Plan::new();
    let changeset = plan.start_changeset();
    let earlier = plan.savepoint();
    changeset.record(1).unwrap();
    let later = plan.savepoint();
    changeset.record(2).unwrap();
    overtaken_by(&plan, move |plan| {
        plan.roll_back_to(&earlier).unwrap();
    });
    assert_eq!(plan.roll_back_to(&later), Err(SavepointError::RolledBack));
    assert_eq!(changes(&plan), []);
    // The target stays in force, and what is recorded meanwhile is undone with the rest.
    changeset.record(3).unwrap();
    overtaken_by(&plan, |plan| {
        plan.record_change(4).unwrap();
    });
    plan.roll_back_to(&earlier).unwrap();
    assert_eq!(changes(&plan), []);
    assert_numbered(&plan);
}

#[test]
fn a_plan_whose_root_was_never_swung_is_freed() {
    let plan: PlanContext<Arc<u32>> = PlanContext::new();
    let payload = Arc::new(7);
    plan.start_changeset().record(Arc::clone(&payload)).unwrap();
    let snapshot = plan.snapshot();
    // The start takes effect, and unwinds before it has swung the root.
    arm(Step::LogSealed, || panic!("stopped"));
    assert!(catch_unwind(AssertUnwindSafe(|| plan.start_changeset())).is_err());
    drop(plan);
    assert_eq!(Arc::strong_count(&payload), 2, "the snapshot has it");
    drop(snapshot);
    assert_eq!(Arc::strong_count(&payload), 1);
}

#[test]
fn a_start_that_stopped_before_its_swing_has_happened() {
    let plan = Plan::new();
    arm(Step::LogSealed, || panic!("stopped"));
    assert!(catch_unwind(AssertUnwindSafe(|| plan.start_changeset())).is_err());
    let id = plan.current().expect("whoever looks swings the root");
    assert_eq!(plan.record_change(1).unwrap().changeset, id);
    let snapshot = plan.snapshot();
    assert_eq!(snapshot.audit().next().unwrap().kind, EventKind::Started { changeset: id });
    assert_numbered(&plan);
}
