//! Pools of one thread and of many, a thousand strategies, and strategies that go on in parallel themselves.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rayon::prelude::*;
use tierstack::Status;

use super::*;

thread_local! {
    /// How many strategies lie on the thread's stack.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

#[test]
fn a_thousand_strategies_on_pools_of_all_sizes() {
    for threads in [1, 2, 8] {
        let (store, plan, pool) = (store(64, 16), Plan::new(), pool(threads));
        let executor = Executor::new(&store, &plan).pool(&pool);
        let strategies: Vec<Boxed<'_>> = (0..1000)
            .map(|n| {
                executor.strategy(format!("s{n}"), move |context| {
                    context.record(n)?;
                    context.promote(&(n % 64))?;
                    if n % 10 == 3 {
                        return Err("every tenth".into());
                    }
                    well(n)
                })
            })
            .collect();
        let run = executor.run(&strategies);
        let expected: Vec<_> = (0..1000).filter(|n| n % 10 != 3).collect();
        assert_eq!(in_force(run.snapshot()), expected);
        assert_eq!(run.succeeded().map(|(_, outcome)| outcome.value).collect::<Vec<_>>(), expected, "in their order");
        for (n, report) in run.reports().iter().enumerate() {
            assert_eq!((&*report.name, report.changeset.number()), (&*format!("s{n}"), n as u64 + 1));
            assert_eq!(report.status, if n % 10 == 3 { Status::Aborted } else { Status::Closed });
        }
        assert_eq!(plan.current(), None);
    }
}

#[test]
fn no_strategy_waits_behind_a_long_one() {
    // Were they split off several together, a short one would wait for the long one, which waits for it here.
    let (store, plan, pool) = (store(0, 9), Plan::new(), pool(2));
    let executor = Executor::new(&store, &plan).pool(&pool).timeout(Duration::from_secs(20));
    for long in 0..16 {
        let ended = Mutex::new(HashSet::new());
        let ended = &ended;
        let strategies: Vec<Boxed<'_>> = (0..16)
            .map(|n| {
                executor.strategy("s", move |context| {
                    while n == long && ended.lock().unwrap().len() < 15 {
                        context.check()?;
                        std::thread::yield_now();
                    }
                    ended.lock().unwrap().insert(n);
                    well(n)
                })
            })
            .collect();
        let run = executor.run(&strategies);
        assert_eq!(run.succeeded().count(), 16, "{run:?}");
    }
}

#[test]
fn strategies_run_on_the_pool_that_is_given() {
    let (store, plan) = (store(0, 9), Plan::new());
    let (one, three) = (pool(1), pool(3));
    let threads = |executor: &Executor<'_>| {
        let run = executor.run(&[executor.strategy("s", |_| well(rayon::current_num_threads() as u32))]);
        run.succeeded().map(|(_, outcome)| outcome.value).sum::<u32>()
    };
    assert_eq!(threads(&Executor::new(&store, &plan).pool(&one)), 1);
    assert_eq!(threads(&Executor::new(&store, &plan).pool(&three)), 3);
    assert_eq!(three.install(|| threads(&Executor::new(&store, &plan))), 3, "the current one");
    // From a thread of one pool into another, which itself runs on the first.
    let inner = Executor::new(&store, &plan).pool(&three);
    let outer = Executor::new(&store, &plan).pool(&one);
    let run = outer.run(&[outer.strategy("outer", |_| well(threads(&inner)))]);
    assert_eq!(run.succeeded().map(|(_, outcome)| outcome.value).collect::<Vec<_>>(), [3]);
}

#[test]
fn strategies_that_go_on_in_parallel_themselves() {
    for threads in [1, 2, 4] {
        let (store, plan, pool) = (store(500, 50), Plan::new(), pool(threads));
        let executor = Executor::new(&store, &plan).pool(&pool);
        let strategies: Vec<Boxed<'_>> = (0..40)
            .map(|n| {
                executor.strategy("parallel", move |context| {
                    let read: Result<u32, Error> = (0..10_u32)
                        .into_par_iter()
                        .map(|chunk| {
                            let mut view = context.pin()?;
                            let mut sum = 0;
                            for key in chunk * 50..(chunk + 1) * 50 {
                                sum += view.get(&key)?.map_or(0, |fragment| **fragment.value);
                                view.demote(&key)?;
                                view.repin();
                            }
                            drop(view);
                            context.record(n)?;
                            Ok(sum)
                        })
                        .sum();
                    well(read?)
                })
            })
            .collect();
        let run = executor.run(&strategies);
        for (report, outcome) in run.succeeded() {
            let counts = report.counts;
            assert_eq!((outcome.value, counts.reads, counts.demotions, counts.records), (124_750, 500, 500, 10));
        }
        // Each record is in its own strategy's changeset, whichever thread ran which strategy within which.
        for (n, report) in run.reports().iter().enumerate() {
            let changes = run.snapshot().changeset(report.changeset).unwrap().changes();
            assert!(changes.map(|record| *record.change).eq([n as u32; 10]));
        }
        assert_eq!(run.succeeded().count(), 40);
    }
}

/// Runs a thousand strategies that join, and tells how many lay on one stack at the most.
fn deepest_of_a_thousand_that_join(threads: usize) -> u32 {
    let (store, plan, pool) = (store(8, 8), Plan::new(), pool(threads));
    let executor = Executor::new(&store, &plan).pool(&pool);
    let deepest = AtomicU32::new(0);
    let strategies: Vec<Boxed<'_>> = (0..1000)
        .map(|n| {
            let deepest = &deepest;
            executor.strategy("joins", move |context| {
                let depth = DEPTH.get() + 1;
                DEPTH.set(depth);
                deepest.fetch_max(depth, Ordering::Relaxed);
                let read: u32 = (0..8_u32)
                    .into_par_iter()
                    .with_max_len(1)
                    .map(|key| {
                        std::thread::yield_now();
                        context.get(&key).unwrap().map_or(0, |fragment| *fragment.value)
                    })
                    .sum();
                DEPTH.set(depth - 1);
                well(read + n)
            })
        })
        .collect();
    let run = executor.run(&strategies);
    assert!(run.succeeded().map(|(_, outcome)| outcome.value).eq((0..1000).map(|n| n + 28)));
    deepest.load(Ordering::Relaxed)
}

#[test]
fn a_thousand_that_join_lie_on_each_other_where_there_are_several_threads() {
    // On one thread, nobody else can take a part of a join: there is nothing to wait for, and so nothing else to run meanwhile.
    assert_eq!(deepest_of_a_thousand_that_join(1), 1);
    assert!((0..50).any(|_| deepest_of_a_thousand_that_join(8) > 1), "as the module says");
}
