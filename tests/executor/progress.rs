//! Progress callbacks: what they are told, and panics in them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tierstack::Status;
use tierstack::executor::{Progress, Step};

use super::*;

#[test]
fn each_strategy_tells_of_its_start_its_way_and_its_end() {
    let (store, plan) = (store(0, 9), Plan::new());
    let told = Mutex::new(vec![Vec::new(); 3]);
    let note = |progress: &Progress<'_>| {
        assert_eq!((progress.of, progress.name.len()), (3, progress.index + 1));
        assert_eq!(progress.changeset.number(), progress.index as u64 + 1);
        told.lock().unwrap()[progress.index].push(progress.step);
    };
    let executor = Executor::new(&store, &plan).on_progress(note);
    executor.run(&[
        executor.strategy("a", |context| {
            context.progress(1, Some(2));
            context.progress(2, Some(2));
            well(1)
        }),
        executor.strategy("bb", |context| {
            context.progress(7, None);
            panic!("after that")
        }),
        executor.strategy("ccc", |context| {
            context.changeset().close()?;
            Err("no".into())
        }),
    ]);
    drop(executor);
    let told = told.into_inner().unwrap();
    let finished = |status| Step::Finished { status };
    let at = |done, total| Step::At { done, total };
    assert_eq!(told[0], [Step::Started, at(1, Some(2)), at(2, Some(2)), finished(Status::Closed)]);
    assert_eq!(told[1], [Step::Started, at(7, None), finished(Status::Aborted)]);
    assert_eq!(told[2], [Step::Started, finished(Status::Closed)]);
}

#[test]
fn one_that_is_not_run_tells_of_its_end_alone() {
    let (store, plan) = (store(0, 9), Plan::new());
    let told = Mutex::new(Vec::new());
    let executor = Executor::new(&store, &plan)
        .timeout(std::time::Duration::ZERO)
        .on_progress(|progress| told.lock().unwrap().push(progress.step));
    executor.run(&[executor.strategy("late", |_| well(1))]);
    drop(executor);
    assert_eq!(told.into_inner().unwrap(), [Step::Finished { status: Status::Aborted }]);
}

#[test]
fn a_panic_in_a_callback_is_counted_and_changes_nothing() {
    let (store, plan, calls) = (store(0, 9), Plan::new(), AtomicU64::new(0));
    let executor = Executor::new(&store, &plan).on_progress(|progress| {
        calls.fetch_add(1, Ordering::Relaxed);
        assert_ne!(progress.index, 1, "of the second");
    });
    let run = executor.run(&["a", "b", "c"].map(|name| {
        executor.strategy(name, |context| {
            context.record(1)?;
            context.progress(1, None);
            context.record(2)?;
            well(1)
        })
    }));
    let panics: Vec<_> = run.reports().iter().map(|report| report.callback_panics).collect();
    assert_eq!((panics, calls.load(Ordering::Relaxed)), (vec![0, 3, 0], 9));
    assert!(run.reports().iter().all(|report| report.result.is_ok() && report.status == Status::Closed));
    assert_eq!(in_force(run.snapshot()), [1, 1, 1, 2, 2, 2]);
}

#[test]
fn a_callback_may_use_the_store_and_the_plan() {
    let (store, plan) = (store(4, 2), Plan::new());
    let executor = Executor::new(&store, &plan).on_progress(|progress| {
        store.store(progress.index as u32 + 10, Arc::new(0)).unwrap();
        if let (Step::Started, Some(handle)) = (progress.step, plan.handle(progress.changeset)) {
            handle.record(7).unwrap();
        }
    });
    let run = executor.run(&[executor.strategy("a", |_| well(1)), executor.strategy("b", |_| well(1))]);
    assert_eq!((in_force(run.snapshot()), run.reports()[1].callback_panics), (vec![7, 7], 0));
    assert!(store.contains(&10) && store.contains(&11));
}
