//! A panic that was caught, to be handed back.

use core::any::Any;
use core::fmt;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use crate::drops::quietly;

/// A panic of a strategy: what it said, and its payload.
///
/// If the payload's destructor panics when this is dropped, that ends there.
///
/// # Examples
///
/// ```
/// use tierstack::executor::{Failure, Outcome, StrategyExecutor};
/// # use tierstack::{PlanContext, TierStore};
/// # let (store, plan) = (TierStore::<u32, u32>::new(9)?, PlanContext::<()>::new());
///
/// let executor = StrategyExecutor::new(&store, &plan);
/// let strategy = executor.strategy("broken", |_| -> Result<Outcome<u32>, ()> { std::panic::panic_any(7_u8) });
/// let report = executor.run(&[strategy]).into_reports().remove(0);
/// let Err(Failure::Panicked(panic)) = report.result else { panic!("it does") };
/// assert_eq!(panic.message(), None, "the payload is no text");
/// assert_eq!(panic.into_payload().downcast_ref(), Some(&7_u8));
/// # Ok::<(), tierstack::BuildError>(())
/// ```
pub struct Panic {
    message: Option<Box<str>>,
    /// None only while it is dropped.
    payload: Option<Box<dyn Any + Send>>,
}

// SAFETY: the payload, which may be no `Sync`, is reached only by who owns the panic, or borrows it for itself alone.
unsafe impl Sync for Panic {}

impl Panic {
    /// Runs somebody's code.
    pub(super) fn catch<R>(run: impl FnOnce() -> R) -> Result<R, Self> {
        catch_unwind(AssertUnwindSafe(run)).map_err(Self::new)
    }

    fn new(payload: Box<dyn Any + Send>) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let message = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).map(Into::into);
        Self { message, payload: Some(payload) }
    }

    /// What it said, if its payload is a text, as that of `panic!` is.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// The payload, such as for [`resume_unwind`](std::panic::resume_unwind).
    #[must_use]
    pub fn into_payload(mut self) -> Box<dyn Any + Send> {
        // It is there: only this and the drop take it, and both end the panic.
        self.payload.take().unwrap_or_else(|| Box::new(()))
    }
}

impl Drop for Panic {
    fn drop(&mut self) {
        if let Some(payload) = self.payload.take() {
            quietly(|| drop(payload));
        }
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panic").field("message", &self.message()).finish_non_exhaustive()
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message().unwrap_or("with a payload that is no text"))
    }
}
