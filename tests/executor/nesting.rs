//! Executors within strategies, and what lies on a thread's stack when rayon runs one strategy within another's join.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rayon::prelude::*;
use tierstack::executor::{Failure, Stopped};
use tierstack::{Capacity, Status};

use super::*;

/// Runs `width` strategies, each of which does so `depth` times more, and tells how many ran at the end of it.
fn nest(context: &Context<'_>, width: u32, depth: u32) -> Result<u32, Error> {
    context.record(depth)?;
    if depth == 0 {
        return Ok(1);
    }
    let executor = context.executor();
    let strategies: Vec<Boxed<'_>> =
        (0..width).map(|_| executor.strategy("inner", move |context| well(nest(context, width, depth - 1)?))).collect();
    let run = executor.run(&strategies);
    Ok(run.succeeded().map(|(_, outcome)| outcome.value).sum())
}

#[test]
fn executors_nest_on_one_pool_of_any_size() {
    for threads in [1, 2, 5] {
        let (store, plan, pool) = (store(9, 9), Plan::new(), pool(threads));
        let executor = Executor::new(&store, &plan).pool(&pool);
        let strategies: Vec<Boxed<'_>> =
            (0..4).map(|_| executor.strategy("outer", |context| well(nest(context, 4, 3)?))).collect();
        let run = executor.run(&strategies);
        assert_eq!(run.succeeded().map(|(_, outcome)| outcome.value).collect::<Vec<_>>(), [64; 4]);
        let expected: Vec<_> =
            [(0, 256), (1, 64), (2, 16), (3, 4)].iter().flat_map(|&(depth, times)| vec![depth; times]).collect();
        assert_eq!(in_force(run.snapshot()), expected);
        assert!(run.snapshot().changesets().all(|changeset| changeset.status() == Status::Closed));
    }
}

#[test]
fn an_inner_run_stands_though_its_outer_strategy_fails() {
    let (store, plan) = (store(0, 9), Plan::new());
    let executor = Executor::new(&store, &plan);
    let run = executor.run(&[executor.strategy("outer", |context| -> Result<Outcome<u32, u32>, Error> {
        context.record(1)?;
        let inner = context.executor();
        let run = inner.run(&[inner.strategy("inner", |context| {
            context.record(2)?;
            well(0)
        })]);
        assert_eq!(run.reports()[0].status, Status::Closed);
        panic!("after that")
    })]);
    assert_eq!((in_force(run.snapshot()), in_trail(run.snapshot())), (vec![2], vec![1, 2]));
}

#[test]
fn an_inner_run_has_the_token_and_the_deadline_of_the_outer() {
    let (store, plan) = (store(0, 9), Plan::new());
    let executor = Executor::new(&store, &plan).timeout(std::time::Duration::from_hours(1));
    let run = executor.run(&[executor.strategy("outer", |context| {
        let inner = context.executor();
        inner.run(&[inner.strategy("inner", |inner| {
            assert_eq!(inner.deadline(), context.deadline());
            inner.cancellation().cancel();
            assert!(inner.is_cancelled());
            well(0)
        })]);
        assert_eq!(context.check(), Ok(()), "a run within ends by itself");
        let again = inner.run(&[inner.strategy("again", |inner| {
            context.cancellation().cancel();
            assert!(inner.is_cancelled());
            well(0)
        })]);
        assert_eq!(again.succeeded().count(), 1);
        assert_eq!(context.check(), Err(Stopped::Cancelled));
        let late = inner.run(&[inner.strategy("late", |_| well(0))]);
        assert!(matches!(late.reports()[0].result, Err(Failure::NotRun(Stopped::Cancelled))));
        well(7)
    })]);
    assert_eq!(run.succeeded().map(|(_, outcome)| outcome.value).collect::<Vec<_>>(), [7]);
}

#[test]
fn a_run_within_a_destructor_goes_through() {
    /// A value that runs strategies when it is dropped, over another store.
    struct Runs(Arc<(Store, Plan)>);
    impl Drop for Runs {
        fn drop(&mut self) {
            let (store, plan) = &*self.0;
            let executor = Executor::new(store, plan);
            let strategies: Vec<Boxed<'_>> = (0..8)
                .map(|n| {
                    executor.strategy("late", move |context| {
                        context.store().store(n, Arc::new(n))?;
                        context.record(n)?;
                        well(n)
                    })
                })
                .collect();
            assert_eq!(executor.run(&strategies).succeeded().count(), 8);
        }
    }
    let inner = Arc::new((store(0, 4), Plan::new()));
    let outer = TierStore::<u32, Arc<Runs>>::builder(9).weigher(|_, _| 1).build().unwrap();
    outer.store(1, Arc::new(Runs(Arc::clone(&inner)))).unwrap();
    drop(outer.remove(&1));
    drop(outer);
    // Other tests of the process pin too, and may be the ones that drop it.
    assert!(common::collected_until(|| Arc::strong_count(&inner) == 1));
    assert_eq!(in_force(&inner.1.snapshot()), (0..8).collect::<Vec<_>>());
    assert_eq!(inner.0.metrics().hot.fragments + inner.0.metrics().warm.fragments, 8);
}

#[test]
fn a_hook_that_joins_delays_what_others_push_out_and_loses_none_of_it() {
    // While the listener joins, rayon may run another strategy within it, on the same thread: what that pushes out is handed over too, after it.
    let departed = Arc::new(AtomicU32::new(0));
    let joined = Arc::new(AtomicBool::new(false));
    let (count, has_joined) = (Arc::clone(&departed), Arc::clone(&joined));
    let store = Store::builder(0)
        .weigher(|_, _| 1)
        .warm_capacity(Capacity::entries(4))
        .cold_capacity(Capacity::entries(0))
        .listener_causes([tierstack::Cause::Overflowed])
        .listener(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            let sum: u32 = (0..4_u32).into_par_iter().with_max_len(1).sum();
            has_joined.store(sum == 6, Ordering::Relaxed);
        })
        .build()
        .unwrap();
    let (plan, pool) = (Plan::new(), pool(2));
    let executor = Executor::new(&store, &plan).pool(&pool);
    let strategies: Vec<Boxed<'_>> = (0..64)
        .map(|n| {
            executor.strategy("stores", move |context| {
                for key in n * 10..(n + 1) * 10 {
                    context.store().store(key, Arc::new(key))?;
                }
                well(n)
            })
        })
        .collect();
    let run = executor.run(&strategies);
    assert_eq!(run.succeeded().count(), 64, "{run:?}");
    assert!(joined.load(Ordering::Relaxed));
    assert_eq!(departed.load(Ordering::Relaxed), 640 - 4);
}
