//! A run that rayon cannot start: a process of its own, since it leaves rayon without its global pool.
#![cfg(feature = "rayon")]

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tierstack::executor::{Outcome, StrategyError, StrategyExecutor};
use tierstack::{PlanContext, Status, TierStore};

#[test]
fn a_run_that_rayon_cannot_start_leaves_no_changeset_open() {
    let refused = rayon::ThreadPoolBuilder::new().spawn_handler(|_| Err(io::Error::other("no threads"))).build_global();
    assert!(refused.is_err());
    let (store, plan) = (TierStore::<u32, u32>::new(9).unwrap(), PlanContext::<()>::new());
    let executor = StrategyExecutor::new(&store, &plan);
    let strategies = ["a", "b", "c"].map(|name| {
        executor
            .strategy(name, |_| -> Result<Outcome<u32>, StrategyError> { unreachable!("there is no thread to run it") })
    });
    assert!(catch_unwind(AssertUnwindSafe(|| executor.run(&strategies))).is_err(), "as rayon does");
    let statuses: Vec<_> = plan.snapshot().changesets().map(|changeset| changeset.status()).collect();
    assert_eq!(statuses, [Status::Aborted; 3]);
    assert_eq!(plan.current(), None);
}
