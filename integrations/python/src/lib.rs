//! The Python package of tierstack: what Python sees, and what stands between the interpreter and the store.
//!
//! | file | what |
//! |---|---|
//! | `dropped` | references to Python objects that are given up, and when the interpreter is told so |
//! | `value` | what the store holds: a reference and a weight |
//! | `departed` | the listener, called after the operation |
//! | `arguments`, `weigh` | what callers hand over, checked before anything happens |
//! | `calls` | calls of Python code |
//! | `imports`, `refusals` | the package's types that are written in Python, and its exceptions |
//! | `store`, `fragment`, `moved`, `snapshot`, `state` | the store, what it answers, its snapshots, its copies |
//! | `plan` | plans, changesets and changes |
//!
//! # What runs when
//!
//! A call checks and weighs what it is given: that may run Python code. Then it does one operation of the store, which runs none and allocates
//! no Python object. So the garbage collector does not run meanwhile, on this thread or on another, and finds every store at rest. Then the call tells the
//! listener, gives up what has left the store ([`settle`]), and makes Python objects of what it answers.
//!
//! Operations do not detach from the interpreter: that costs as much as a `get`, and a thread that has detached waits for its turn behind all others. Only
//! what is long does: see [`detach_if`].

mod arguments;
mod calls;
mod departed;
mod dropped;
mod fragment;
mod imports;
mod moved;
mod plan;
mod refusals;
mod snapshot;
mod state;
mod store;
mod value;
mod weigh;

use pyo3::prelude::*;

/// The native part of the package. Import its names from ``tierstack``.
#[pymodule(gil_used = false)]
mod _tierstack {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::fragment::{Departure, Evicted, Fragment, Item, Stored, Version};
    #[pymodule_export]
    use crate::moved::{Enforced, Kept, Moved};
    #[pymodule_export]
    use crate::plan::{
        Change, Changeset, ChangesetScope, Conflict, Diff, Event, NetChange, PlanContext, PlanSnapshot, Record,
        Recorded, RecordedAll, Savepoint, Side, StaleBase,
    };
    #[pymodule_export]
    use crate::snapshot::Snapshot;
    #[pymodule_export]
    use crate::store::TierStore;

    #[pymodule_export]
    const MAX_BYTES: u64 = tierstack::MAX_BYTES;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        crate::imports::import(module.py())
    }
}

/// Does what an operation has left to be done: tells the listener, and gives up references. Both run Python code, which may use any store.
#[inline]
pub(crate) fn settle(py: Python<'_>) {
    departed::deliver(py);
    dropped::give_up(py);
}

/// What a closure borrows that is detached from the interpreter for its length.
struct Detached<F>(F);

// SAFETY: the closure runs on the thread that hands it over, while that waits for it. What is `Send` is asked for by `detach` in the place of what touches no
// Python object, and that the callers of `detach_if` vouch for.
unsafe impl<F> Send for Detached<F> {}

impl<F: FnOnce() -> R, R> Detached<F> {
    fn run(self) -> Detached<R> {
        Detached((self.0)())
    }
}

/// Runs something, detached from the interpreter where it `is_long`: others go on meanwhile.
///
/// # Safety
///
/// `run` touches no Python object: it reads, clones and drops no reference.
pub(crate) unsafe fn detach_if<R>(py: Python<'_>, is_long: bool, run: impl FnOnce() -> R) -> R {
    if !is_long {
        return run();
    }
    let run = Detached(run);
    py.detach(move || run.run()).0
}
