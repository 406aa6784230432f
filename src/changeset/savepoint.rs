//! A place in a plan's history to go back to.

use core::fmt;

use super::id::Sequence;
use super::version::LogEntry;
use crate::sync::stat::{AtomicU64, Ordering};

/// Which plan of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlanNumber(u64);

impl PlanNumber {
    pub fn next() -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        // Relaxed: only that no two get the same matters.
        Self(MADE.fetch_add(1, Ordering::Relaxed))
    }
}

/// A place in a plan's history to [roll back to](crate::PlanContext::roll_back_to).
///
/// It is *in force* until a roll-back goes back to before it. After that it never is again. A savepoint that was rolled back to stays in force. It
/// keeps nothing alive, and may outlive its plan.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Savepoint {
    plan: PlanNumber,
    version: u64,
    /// A `LogEntry<C>` of that version's log, or null. Not to be looked at before the version is found in the plan.
    entry: *mut (),
    sequence: Sequence,
}

// SAFETY: nothing is read through the pointer but by the plan, which owns what it points to.
unsafe impl Send for Savepoint {}
// SAFETY: as above.
unsafe impl Sync for Savepoint {}

impl Savepoint {
    pub(super) fn new<C>(plan: PlanNumber, version: u64, entry: *mut LogEntry<C>, sequence: Sequence) -> Self {
        Self { plan, version, entry: entry.cast(), sequence }
    }

    pub(super) fn plan(&self) -> PlanNumber {
        self.plan
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// The entry, where the plan's changes are of type `C`.
    pub(super) fn entry<C>(&self) -> *mut LogEntry<C> {
        self.entry.cast()
    }

    /// The sequence number of the last event before it.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }
}

impl fmt::Debug for Savepoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Savepoint").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}
