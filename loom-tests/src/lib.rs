//! Explores a model, and asserts that it was one: that more than one execution ran, or that a planted bug was found.
//!
//! # What these models cannot show
//!
//! - *Beyond the bound*: executions with more preemptions than the bound, more threads or more operations.
//! - *`SeqCst` loads and stores*: loom takes them for acquire and release. Read-modify-writes and fences are modelled.
//! - *What is not instrumented*: crossbeam-skiplist and arc-swap have no listeners, so that a locked tree and a bare pointer stand in for
//!   them, and their own linearizability is assumed. The tree's lock orders more than the real map may: what must hold without that is
//!   modelled over bare pages and blocks. Statistics, counts of holders, and `Arc`s of pages are the standard library's.
//! - *What the crate keeps for each thread* of the system, for second deferrals: all threads of a model share it. So one may
//!   defer for another, or leave a flush to it. That makes a free later and never earlier.
//! - *Use of freed memory*, but where a value watches its own reads and its drop, or the allocator poisons it: see `tests/reclamation.rs`.
//! - *Progress*: loom fails a model that does not end, and says nothing about how many steps a thread takes.
//!
//! Of the accesses to an atomic loom remembers only the last: see [`both_hold`].

pub mod collected;
pub mod instants;
pub mod room;
pub mod spec;
pub mod watched;
pub mod whole;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The preemption bound: `LOOM_MAX_PREEMPTIONS`, or the model's own.
fn bound(default: usize) -> usize {
    std::env::var("LOOM_MAX_PREEMPTIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn explore(name: &str, preemptions: usize, model: impl Fn() + Send + Sync + 'static) -> Result<usize, String> {
    let executions = Arc::new(AtomicUsize::new(0));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(bound(preemptions));
    builder.max_branches = 100_000;
    let result = catch_unwind(AssertUnwindSafe(|| {
        let executions = Arc::clone(&executions);
        builder.check(move || {
            executions.fetch_add(1, Ordering::Relaxed);
            model();
        });
    }));
    let executions = executions.load(Ordering::Relaxed);
    println!("{name}: {executions} executions, at most {} preemptions", bound(preemptions));
    match result {
        Ok(()) => Ok(executions),
        Err(payload) => Err(payload
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_default()),
    }
}

/// Explores a model that must hold in every execution, of which there must be more than one.
///
/// # Panics
///
/// Where the model fails, or nothing in it was instrumented.
pub fn holds(name: &str, preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    match explore(name, preemptions, model) {
        Ok(executions) => assert!(executions > 1, "{name}: nothing in the model is instrumented"),
        Err(message) => panic!("{name}: {message}"),
    }
}

/// Explores two models that must hold in every execution, of which there must be more than one in either.
///
/// They are to be the same, with the threads' roles exchanged: of the accesses to an atomic loom remembers only the last, so that a thread's own
/// load hides from it that another had read before that thread wrote, and where a mere reader runs first it explores one execution.
///
/// # Panics
///
/// Where a model fails, or nothing in either was instrumented.
pub fn both_hold(
    name: &str,
    preemptions: usize,
    models: (impl Fn() + Send + Sync + 'static, impl Fn() + Send + Sync + 'static),
) {
    let executions = [explore(name, preemptions, models.0), explore(name, preemptions, models.1)]
        .map(|result| result.unwrap_or_else(|message| panic!("{name}: {message}")));
    assert!(executions.iter().any(|executions| *executions > 1), "{name}: nothing in the model is instrumented");
}

/// Explores a model with a planted bug, which must be found.
///
/// # Panics
///
/// Where it is not.
pub fn fails(name: &str, preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    if let Ok(executions) = explore(name, preemptions, model) {
        panic!("{name}: the planted bug was not found in {executions} executions");
    }
}
