//! Each change is dropped once, whatever type it is of and whatever its destructor does.

use std::cell::Cell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use tierstack::{
    Audit, Change, Changes, ChangesetHandle, ChangesetView, PlanContext, RecordError, ReplayError, Savepoint,
    SavepointError, Snapshot,
};

use crate::common::together;
use crate::common::tracked::{Registry, Tracked};
use crate::portrait::trail;

#[test]
fn refused_ones_are_the_callers_and_not_dropped_before_them() {
    let registry = Registry::new();
    let plan = PlanContext::new();
    let changeset = plan.start_changeset();
    changeset.record(registry.tracked(0)).unwrap();
    changeset.close().unwrap();
    let errors = [
        plan.record_change(registry.tracked(1)).unwrap_err(),
        plan.record_in(changeset.id(), registry.tracked(2)).unwrap_err(),
        changeset.record(registry.tracked(3)).unwrap_err(),
    ];
    let batches = [
        plan.record_all([4, 5].map(|number| registry.tracked(number))).unwrap_err(),
        changeset.record_all([6, 7].map(|number| registry.tracked(number))).unwrap_err(),
    ];
    assert_eq!(registry.alive(), 8);
    drop((plan, changeset));
    assert_eq!(registry.alive(), 7, "all but the one that was recorded");
    assert_eq!(errors.map(|error| error.refused.number), [1, 2, 3]);
    assert_eq!(registry.alive(), 4);
    drop(batches);
    assert_eq!(registry.alive(), 0);
}

/// Every thread's attempts go back and forth between it and the log's head.
#[test]
fn ones_that_threads_fought_over_are_dropped_once() {
    const EACH: usize = 4000;
    let registry = Registry::new();
    let plan = PlanContext::new();
    let refused = together(4, |thread| {
        let mut refused = 0;
        for number in 0..EACH {
            match (thread, number % 8) {
                (0, 0) => drop(plan.start_changeset()),
                (0, 7) => drop(plan.close(plan.current().unwrap())),
                _ => match plan.record_change(registry.tracked(number as u64)) {
                    Ok(_) => {}
                    Err(error) => {
                        assert_eq!(error.refused.number, number as u64);
                        refused += 1;
                    }
                },
            }
        }
        refused
    });
    let recorded = EACH * 4 - EACH / 4 - refused.into_iter().sum::<usize>();
    assert!(recorded > 0);
    assert_eq!((registry.alive(), plan.snapshot().changes().len()), (recorded, recorded));
    drop(plan);
    assert_eq!(registry.alive(), 0);
}

#[test]
fn one_whose_destructor_panics_keeps_no_other_from_being_dropped() {
    let registry = Registry::new();
    let change = |number: u64| if number.is_multiple_of(3) { registry.fatal(number) } else { registry.tracked(number) };
    let plan = PlanContext::new();
    for round in 0..4 {
        let changeset = plan.start_changeset();
        for number in 0..10 {
            changeset.record(change(number)).unwrap();
        }
        // In each place of a batch, and several in one.
        changeset.record_all((round..round + 8).map(change)).unwrap();
    }
    let snapshot = plan.snapshot();
    plan.record_change(registry.fatal(0)).unwrap();
    plan.start_changeset().record(registry.fatal(0)).unwrap();
    assert_eq!(registry.alive(), 74);
    // Nor do the panics come out of the drops, on this thread or another.
    thread::spawn(|| drop(plan)).join().unwrap();
    assert_eq!(registry.alive(), 73);
    drop(snapshot);
    assert_eq!(registry.alive(), 0);
}

/// A change that records into another plan when it is dropped, and then lets go of that plan.
struct Leaves {
    note: u32,
    trace: ChangesetHandle<Traced>,
}

impl Drop for Leaves {
    fn drop(&mut self) {
        let note = Arc::new(self.note);
        self.trace.record(Traced { note, _below: None }).unwrap();
        self.trace.plan().start_changeset().close().unwrap();
    }
}

/// What is left in the other plan; it may itself hold the last of yet another plan.
#[derive(Clone)]
struct Traced {
    note: Arc<u32>,
    _below: Option<ChangesetHandle<Tracked>>,
}

#[test]
fn one_may_use_another_plan_when_it_is_dropped() {
    let other = PlanContext::new();
    let trace = other.start_changeset();
    let plan = PlanContext::new();
    for note in 0..50 {
        plan.start_changeset().record(Leaves { note, trace: trace.clone() }).unwrap();
    }
    drop(plan);
    let snapshot = other.snapshot();
    let mut notes: Vec<_> = snapshot.changes().map(|record| *record.change.note).collect();
    notes.sort_unstable();
    assert!(notes.into_iter().eq(0..50), "each left its note, once");
    assert_eq!(snapshot.started(), 51);
}

#[test]
fn one_may_hold_the_last_handle_of_another_plan_and_that_of_a_third() {
    let registry = Registry::new();
    let third = PlanContext::new().start_changeset();
    third.record_all((0..9).map(|number| registry.tracked(number))).unwrap();
    let second = PlanContext::new().start_changeset();
    let note = Arc::new(0);
    second.record(Traced { note: Arc::clone(&note), _below: Some(third) }).unwrap();
    let first = PlanContext::new();
    first.start_changeset().record(Leaves { note: 1, trace: second }).unwrap();
    let snapshot = first.snapshot();
    drop(first);
    assert_eq!((registry.alive(), Arc::strong_count(&note)), (9, 2));
    drop(snapshot);
    assert_eq!((registry.alive(), Arc::strong_count(&note)), (0, 1));
}

#[test]
fn changes_may_borrow() {
    let text = String::from("alpha beta gamma delta");
    let words: Vec<&str> = text.split(' ').collect();
    let kept = {
        let plan: PlanContext<&str> = PlanContext::new();
        let handles: Vec<_> = words.iter().map(|_| plan.start_changeset()).collect();
        thread::scope(|scope| {
            for (handle, word) in handles.iter().zip(&words) {
                scope.spawn(|| handle.record(word).unwrap());
            }
        });
        plan.snapshot()
    };
    let recorded: Vec<&str> = kept.changesets().flat_map(|view| view.changes()).map(|record| *record.change).collect();
    drop(kept);
    assert_eq!(recorded, words, "they live as long as the text, not as the snapshot");
}

/// A change that looks at what it borrows when it is dropped.
struct Counts<'a>(&'a AtomicUsize);

impl Drop for Counts<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn changes_that_borrow_may_look_at_what_they_borrow_when_they_are_dropped() {
    let dropped = AtomicUsize::new(0);
    let plan = PlanContext::new();
    plan.start_changeset().record_all((0..10).map(|_| Counts(&dropped))).unwrap();
    plan.close(plan.current().unwrap()).unwrap();
    let refused = plan.record_change(Counts(&dropped)).unwrap_err();
    let snapshot = plan.snapshot();
    drop(plan);
    assert_eq!(dropped.load(Ordering::Relaxed), 0);
    drop(snapshot);
    assert_eq!(dropped.load(Ordering::Relaxed), 10);
    drop(refused);
    assert_eq!(dropped.load(Ordering::Relaxed), 11);
}

#[test]
fn changes_without_a_size_are_counted_like_others() {
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    struct Nothing;
    impl Drop for Nothing {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
    let plan = PlanContext::new();
    let (below, top) = (plan.start_changeset(), plan.start_changeset());
    below.record(Nothing).unwrap();
    assert_eq!(plan.record_all((0..1000).map(|_| Nothing)).unwrap().last.number(), 2 + 1 + 1000);
    below.record(Nothing).unwrap();
    top.abort().unwrap();
    assert_eq!(top.record_all([Nothing, Nothing]).unwrap_err().refused.len(), 2);
    assert_eq!(DROPPED.load(Ordering::Relaxed), 2, "those that were handed back, and not kept here");
    let snapshot = plan.snapshot();
    drop((plan, below, top));
    assert_eq!(snapshot.changesets().map(|view| view.len()).collect::<Vec<_>>(), [2, 1000]);
    assert_eq!((snapshot.changes().len(), snapshot.audit().count()), (2, 1005));
    drop(snapshot);
    assert_eq!(DROPPED.load(Ordering::Relaxed), 1002 + 2);
}

#[test]
fn changes_may_be_closures() {
    type Task = Box<dyn Fn(usize) + Send + Sync>;
    let total = Arc::new(AtomicUsize::new(0));
    let plan: PlanContext<Task> = PlanContext::new();
    let changeset = plan.start_changeset();
    for factor in [1, 10, 100] {
        let total = Arc::clone(&total);
        let add = move |thread: usize| {
            total.fetch_add(factor * thread, Ordering::Relaxed);
        };
        changeset.record(Box::new(add)).unwrap();
    }
    let snapshot = plan.snapshot();
    drop((plan, changeset));
    together(3, |thread| snapshot.changes().for_each(|record| (record.change)(thread + 1)));
    assert_eq!((total.load(Ordering::Relaxed), Arc::strong_count(&total)), (666, 4));
    drop(snapshot);
    assert_eq!(Arc::strong_count(&total), 1);
}

/// Tells whether a type goes to, or is shared with, other threads: an inherent constant goes before a trait's.
struct Threads<T>(PhantomData<T>);

trait Unsendable {
    const SEND: bool = false;
}

trait Unshareable {
    const SYNC: bool = false;
}

impl<T> Unsendable for Threads<T> {}
impl<T> Unshareable for Threads<T> {}

impl<T: Send> Threads<T> {
    const SEND: bool = true;
}

impl<T: Sync> Threads<T> {
    const SYNC: bool = true;
}

macro_rules! threads {
    ($($type:ty),* $(,)?) => { [$((Threads::<$type>::SEND, Threads::<$type>::SYNC)),*] };
}

/// Changes are read where their plan is shared, and dropped where it is dropped last: so it takes both to do either.
#[test]
fn a_plan_goes_where_its_changes_may_go_and_be_shared() {
    type UnsharedView = ChangesetView<'static, Cell<u8>>;
    // To send only, to share only, neither.
    type Sent = Cell<u8>;
    type Shared = MutexGuard<'static, u8>;
    type Neither = Rc<u8>;
    assert_eq!(threads![Sent, Shared, Neither], [(true, false), (false, true), (false, false)], "it can tell");

    let both = threads![
        PlanContext,
        ChangesetHandle<Change>,
        Snapshot<Change>,
        ChangesetView<'static, Change>,
        Changes<'static, Change>,
        Audit<'static, Change>,
        PlanContext<Mutex<Sent>>,
        Snapshot<&'static str>,
        Savepoint,
        SavepointError,
        RecordError<Vec<Change>>,
        ReplayError<Change>,
    ];
    assert_eq!(both, [(true, true); 12]);
    let neither = threads![
        PlanContext<Sent>,
        ChangesetHandle<Sent>,
        Snapshot<Sent>,
        UnsharedView,
        PlanContext<Shared>,
        ChangesetHandle<Shared>,
        Snapshot<Shared>,
        PlanContext<Neither>,
        ChangesetHandle<Neither>,
        Snapshot<Neither>,
    ];
    assert_eq!(neither, [(false, false); 10]);
}

#[test]
fn one_thread_may_keep_to_itself_a_plan_of_what_does_not_go_to_others() {
    let plan: PlanContext<Rc<Cell<u8>>> = PlanContext::new();
    let shared = Rc::new(Cell::new(1));
    plan.start_changeset().record(Rc::clone(&shared)).unwrap();
    shared.set(2);
    let snapshot = plan.snapshot();
    assert!(snapshot.changes().all(|record| record.change.get() == 2));
    drop((plan, snapshot));
    assert_eq!(Rc::strong_count(&shared), 1);
}

/// What a caller holds of a change is a borrow of the snapshot.
#[test]
fn clones_of_changes_are_the_callers() {
    let registry = Registry::new();
    let plan = PlanContext::new();
    plan.start_changeset().record(registry.tracked(1)).unwrap();
    let clones: Vec<Tracked> = plan.snapshot().changes().map(|record| record.change.clone()).collect();
    let events = trail(&plan.snapshot());
    assert_eq!(registry.alive(), 3);
    drop(plan);
    assert_eq!(registry.alive(), 2);
    drop((clones, events));
    assert_eq!(registry.alive(), 0);
}
