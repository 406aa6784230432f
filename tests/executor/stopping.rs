//! Cancellation and deadlines: before the start, and while strategies run.

use std::time::{Duration, Instant};

use tierstack::Status;
use tierstack::executor::{CancellationToken, Failure, Interrupted, Outcome, Stopped};

use super::*;

fn never(_: &Context<'_>) -> Result<Outcome<u32, u32>, Error> {
    panic!("it is not run")
}

#[test]
fn what_is_cancelled_before_the_start_is_not_run() {
    let (store, plan, token) = (store(0, 9), Plan::new(), CancellationToken::new());
    token.cancel();
    let executor = Executor::new(&store, &plan).cancellation(token);
    let run = executor.run(&[executor.strategy("a", never), executor.strategy("b", never)]);
    for report in run.reports() {
        assert!(matches!(report.result, Err(Failure::NotRun(Stopped::Cancelled))));
        assert_eq!(
            (report.status, report.stopped, report.time),
            (Status::Aborted, Some(Stopped::Cancelled), Duration::ZERO)
        );
        assert_eq!(status_in_trail(run.snapshot(), report.changeset), Status::Aborted);
    }
    let message = run.reports()[1].result.as_ref().unwrap_err().to_string();
    assert_eq!((&*run.reports()[1].name, &*message), ("b", "the strategy was not run: the run was cancelled"));
    assert_eq!(plan.current(), None);
}

#[test]
fn what_is_too_late_before_the_start_is_not_run() {
    let (store, plan) = (store(0, 9), Plan::new());
    let now = Instant::now();
    let executors = [
        Executor::new(&store, &plan).deadline(now),
        Executor::new(&store, &plan).timeout(Duration::ZERO),
        Executor::new(&store, &plan).deadline(now + Duration::from_hours(1)).timeout(Duration::ZERO),
        Executor::new(&store, &plan).deadline(now).timeout(Duration::from_hours(1)),
    ];
    for executor in executors {
        let run = executor.run(&[executor.strategy("late", never)]);
        assert!(matches!(run.reports()[0].result, Err(Failure::NotRun(Stopped::DeadlinePassed))));
        assert_eq!(run.reports()[0].status, Status::Aborted);
    }
}

#[test]
fn a_timeout_beyond_the_clock_never_comes() {
    let (store, plan) = (store(0, 9), Plan::new());
    let executor = Executor::new(&store, &plan).timeout(Duration::MAX);
    let run = executor.run(&[executor.strategy("in time", |context| {
        assert!(context.deadline().is_none() && !context.is_cancelled());
        well(1)
    })]);
    assert!(run.reports()[0].result.is_ok());
}

#[test]
fn every_helper_asks_and_hands_back() {
    let (store, plan) = (store(4, 9), Plan::new());
    let executor = Executor::new(&store, &plan);
    let run = executor.run(&[executor.strategy("stopped", |context| {
        let view = context.pin()?;
        context.record(1)?;
        assert!(!context.is_cancelled() && context.check().is_ok());
        context.cancellation().cancel();
        assert!(context.is_cancelled());
        let stopped = Stopped::Cancelled;
        assert_eq!(context.check(), Err(stopped));
        assert_eq!(context.get(&1), Err(stopped));
        assert_eq!(context.demote(&1), Err(stopped));
        assert_eq!(context.promote(&1), Err(Interrupted::Stopped(stopped)));
        assert_eq!(view.get(&1), Err(stopped));
        assert_eq!(view.demote(&1), Err(stopped));
        assert_eq!(view.promote(&1), Err(Interrupted::Stopped(stopped)));
        assert!(context.pin().is_err());
        let refused = context.record(2).unwrap_err();
        assert_eq!((refused.refused, refused.reason), (2, Interrupted::Stopped(stopped)));
        assert_eq!(refused.to_string(), "the change was not recorded: the run was cancelled");
        assert_eq!(context.record_all([3, 4]).unwrap_err().refused, [3, 4]);
        assert_eq!(Interrupted::<std::fmt::Error>::Stopped(stopped).refused(), None);
        well(1)
    })]);
    // It was told to stop, and succeeded all the same.
    let report = &run.reports()[0];
    report.result.as_ref().unwrap();
    assert_eq!((report.status, report.stopped), (Status::Closed, Some(Stopped::Cancelled)));
    assert_eq!((report.counts.records, report.counts.reads, report.counts.promotions), (1, 0, 0));
}

#[test]
fn one_strategy_cancels_the_others_and_each_says_how_it_ended() {
    let (store, plan, pool) = (store(4, 9), Plan::new(), pool(2));
    let executor = Executor::new(&store, &plan).pool(&pool);
    let mut strategies = vec![executor.strategy("winner", |context| {
        context.record(1)?;
        context.cancellation().cancel();
        well(1)
    })];
    for _ in 0..20 {
        strategies.push(executor.strategy("other", |context| {
            context.record(2)?;
            loop {
                context.get(&1)?;
            }
        }));
    }
    let run = executor.run(&strategies);
    assert!(run.reports()[0].result.is_ok() || run.reports()[0].stopped.is_some());
    for report in &run.reports()[1..] {
        assert_eq!((report.status, report.stopped), (Status::Aborted, Some(Stopped::Cancelled)));
        match report.result.as_ref().unwrap_err() {
            Failure::NotRun(Stopped::Cancelled) => {}
            Failure::Failed(error) => assert!(error.to_string().contains("the run was cancelled"), "{error}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(in_force(run.snapshot()), [1]);
}

#[test]
fn a_run_that_is_cancelled_from_within_leaves_the_executor_as_it_was() {
    let (store, plan, token) = (store(4, 9), Plan::new(), CancellationToken::new());
    let executor = Executor::new(&store, &plan).cancellation(token.clone());
    let strategies = [executor.strategy("cancels", |context| {
        assert!(!context.is_cancelled());
        context.cancellation().cancel();
        assert_eq!(context.check(), Err(Stopped::Cancelled));
        well(1)
    })];
    for _ in 0..3 {
        let run = executor.run(&strategies);
        assert_eq!((run.succeeded().count(), run.reports()[0].stopped), (1, Some(Stopped::Cancelled)));
    }
    assert!(!token.is_cancelled(), "it is the caller's, and may be that of other executors too");
    token.cancel();
    let run = executor.run(&strategies);
    assert!(matches!(run.reports()[0].result, Err(Failure::NotRun(Stopped::Cancelled))));
}

#[test]
fn a_run_under_way_is_cancelled_by_the_executors_token() {
    let (store, plan, token) = (store(4, 9), Plan::new(), CancellationToken::new());
    let executor = Executor::new(&store, &plan).cancellation(token.clone());
    let run = executor.run(&[executor.strategy("goes on", |context| {
        token.cancel(); // as another thread would
        context.check()?;
        well(1)
    })]);
    assert_eq!((run.reports()[0].status, run.reports()[0].stopped), (Status::Aborted, Some(Stopped::Cancelled)));
}

#[test]
fn a_child_is_cancelled_with_its_parent_and_not_the_other_way_round() {
    let parent = CancellationToken::new();
    let (one, two) = (parent.child(), parent.child());
    let grandchild = one.child();
    one.cancel();
    let told = [&parent, &one, &two, &grandchild].map(CancellationToken::is_cancelled);
    assert_eq!(told, [false, true, false, true]);
    parent.clone().cancel();
    assert!(two.is_cancelled() && two.child().is_cancelled());
    // A long line of them is dropped in a loop, and not by as many frames.
    let last = (0..1_000_000).fold(CancellationToken::new(), |token, _| token.child());
    assert!(!last.is_cancelled());
    drop(last);
}

#[test]
fn a_deadline_ends_what_asks() {
    let (store, plan) = (store(4, 9), Plan::new());
    let executor = Executor::new(&store, &plan).timeout(Duration::from_millis(20));
    let strategies: Vec<Boxed<'_>> = vec![
        executor.strategy("helper", |context| {
            loop {
                context.get(&1)?;
            }
        }),
        executor.strategy("view", |context| {
            let view = context.pin()?;
            loop {
                view.get(&1)?;
            }
        }),
        executor.strategy("asks", |context| {
            while !context.is_cancelled() {
                std::hint::spin_loop();
            }
            assert!(Instant::now() >= context.deadline().unwrap());
            assert!(!context.cancellation().is_cancelled());
            well(1)
        }),
    ];
    let run = executor.run(&strategies);
    for report in &run.reports()[..2] {
        // The first may have left none for the others, where there is one thread.
        assert_eq!((report.status, report.stopped), (Status::Aborted, Some(Stopped::DeadlinePassed)));
    }
    assert_eq!(run.reports()[2].stopped, Some(Stopped::DeadlinePassed));
    assert!(run.time() >= Duration::from_millis(20));
}

#[test]
fn once_told_to_stop_always_told_the_same() {
    let (store, plan) = (store(4, 9), Plan::new());
    let executor = Executor::new(&store, &plan).timeout(Duration::from_millis(5));
    let run = executor.run(&[executor.strategy("twice", |context| {
        while context.check().is_ok() {}
        context.cancellation().cancel();
        assert_eq!(context.check(), Err(Stopped::DeadlinePassed));
        well(1)
    })]);
    assert!(run.reports()[0].result.is_ok(), "{:?}", run.reports()[0]);
    assert_eq!(run.reports()[0].stopped, Some(Stopped::DeadlinePassed));
}
