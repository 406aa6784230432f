//! Typed errors. What was refused is handed back.

use core::fmt;

use crate::changeset::{ChangesetId, Event, PlanContext, Sequence};

/// Why [`Builder::build`](crate::Builder::build) made no store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// The hot budget is above [`MAX_BYTES`](crate::MAX_BYTES).
    BudgetTooLarge {
        /// The budget that was asked for, in bytes.
        budget: u64,
    },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BudgetTooLarge { budget } => BudgetError { budget: *budget }.fmt(f),
        }
    }
}

impl core::error::Error for BuildError {}

/// [`set_hot_budget`](crate::TierStore::set_hot_budget) refused a budget above
/// [`MAX_BYTES`](crate::MAX_BYTES); the store keeps the one it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetError {
    /// The budget that was asked for, in bytes.
    pub budget: u64,
}

impl fmt::Display for BudgetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a hot budget of {} bytes is above the limit of {} bytes", self.budget, crate::MAX_BYTES)
    }
}

impl core::error::Error for BudgetError {}

/// Why a `store` refused a fragment. The key and the value are handed back, and the store is as it was.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StoreError<K, V> {
    /// The key that was refused.
    pub key: K,
    /// The value that was refused.
    pub value: V,
    /// Why.
    pub reason: Refusal,
}

/// The reason in a [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The weigher gave more than [`MAX_BYTES`](crate::MAX_BYTES).
    TooHeavy {
        /// The weight, in bytes.
        weight: u64,
    },
    /// The store's clock has given out all of its 2⁵⁹ ticks.
    ClockExhausted,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooHeavy { weight } => {
                write!(f, "a weight of {weight} bytes is above the limit of {} bytes", crate::MAX_BYTES)
            }
            Self::ClockExhausted => f.write_str("the store's clock has no ticks left"),
        }
    }
}

impl<K, V> fmt::Debug for StoreError<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<K, V> fmt::Display for StoreError<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the fragment was not stored: {}", self.reason)
    }
}

impl<K, V> core::error::Error for StoreError<K, V> {}

/// Why a `promote` left the fragment where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PromoteError {
    /// No fragment has that key.
    NotFound,
    /// The fragment alone weighs more than the hot budget.
    OverBudget {
        /// The fragment's weight, in bytes.
        weight: u64,
        /// The hot budget at that instant, in bytes.
        budget: u64,
    },
    /// At an instant of the call the fragment did not fit and no other hot fragment was there to demote:
    /// operations in flight held the rest. Trying again later can succeed.
    Contended {
        /// The fragment's weight, in bytes.
        weight: u64,
    },
    /// The store's clock has given out all of its 2⁵⁹ ticks.
    ClockExhausted,
}

impl fmt::Display for PromoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no fragment has that key"),
            Self::OverBudget { weight, budget } => {
                write!(f, "the fragment's {weight} bytes are more than the hot budget of {budget} bytes")
            }
            Self::Contended { weight } => {
                write!(f, "operations in flight hold the room that the fragment's {weight} bytes need")
            }
            Self::ClockExhausted => f.write_str("the store's clock has no ticks left"),
        }
    }
}

impl core::error::Error for PromoteError {}

/// Why a changeset takes no changes, or cannot be closed or aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOpen {
    /// The plan has started no such changeset.
    Unknown(ChangesetId),
    /// It is closed.
    Closed(ChangesetId),
    /// It is aborted.
    Aborted(ChangesetId),
    /// A roll-back went back to before it was started.
    RolledBack(ChangesetId),
}

impl fmt::Display for NotOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(id) => write!(f, "the plan has no {id}"),
            Self::Closed(id) => write!(f, "{id} is closed"),
            Self::Aborted(id) => write!(f, "{id} is aborted"),
            Self::RolledBack(id) => write!(f, "{id} is rolled back"),
        }
    }
}

impl core::error::Error for NotOpen {}

/// Why a change was not recorded. It is handed back, and the plan is as it was.
///
/// `T` is the change, or the vector of all of them where several were to be recorded at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RecordError<T> {
    /// What was refused.
    pub refused: T,
    /// Why.
    pub reason: RecordRefusal,
}

/// The reason in a [`RecordError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordRefusal {
    /// No changeset is open, so that none is on top.
    NoActiveChangeset,
    /// The changeset that the change was for is not open.
    NotOpen(NotOpen),
}

impl From<NotOpen> for RecordRefusal {
    fn from(reason: NotOpen) -> Self {
        Self::NotOpen(reason)
    }
}

impl fmt::Display for RecordRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoActiveChangeset => f.write_str("no changeset is open"),
            Self::NotOpen(reason) => reason.fmt(f),
        }
    }
}

impl<T> fmt::Debug for RecordError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordError").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for RecordError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the change was not recorded: {}", self.reason)
    }
}

impl<T> core::error::Error for RecordError<T> {}

/// Why a plan did not roll back. It is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SavepointError {
    /// The savepoint is of another plan.
    OtherPlan,
    /// An earlier roll-back went back to before the savepoint.
    RolledBack,
}

impl fmt::Display for SavepointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherPlan => "the savepoint is of another plan",
            Self::RolledBack => "the savepoint is of a part of the plan that was rolled back",
        })
    }
}

impl core::error::Error for SavepointError {}

/// Why a trail of events could not be replayed. The event is handed back, and the plan that those before it made.
pub struct ReplayError<C> {
    /// What the events before it made.
    pub plan: PlanContext<C>,
    /// The event that does not follow.
    pub event: Event<C>,
    /// Why.
    pub reason: ReplayRefusal,
}

/// The reason in a [`ReplayError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayRefusal {
    /// The event's sequence number is not the next.
    Sequence {
        /// The next.
        expected: Sequence,
    },
    /// The started changeset's id is not the next.
    Started {
        /// The next.
        expected: ChangesetId,
    },
    /// The changeset of the event is not open then.
    NotOpen(NotOpen),
    /// What was to be rolled back to is not there any more, or not yet.
    Savepoint,
}

impl fmt::Display for ReplayRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sequence { expected } => write!(f, "its sequence number should be {expected}"),
            Self::Started { expected } => write!(f, "the changeset should be {expected}"),
            Self::NotOpen(reason) => reason.fmt(f),
            Self::Savepoint => f.write_str("the plan has nothing in force to roll back to there"),
        }
    }
}

impl<C> fmt::Debug for ReplayError<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sequence = self.event.sequence;
        f.debug_struct("ReplayError").field("event", &sequence).field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<C> fmt::Display for ReplayError<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {} does not follow from those before it: {}", self.event.sequence, self.reason)
    }
}

impl<C> core::error::Error for ReplayError<C> {}
