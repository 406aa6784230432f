//! A plan's typed errors. What was refused is handed back.

use core::fmt;

use super::event::Event;
use super::id::{ChangesetId, Sequence};
use super::plan::PlanContext;

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
/// `T` is the change, or the vector of all of them if several were to be recorded at once.
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
    /// No changeset is open.
    NoActiveChangeset,
    /// The change's changeset is not open.
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

/// Why a trail of events could not be replayed. The event is handed back, with the plan that those before it made.
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
    /// The event's changeset is not open.
    NotOpen(NotOpen),
    /// There is nothing in force to roll back to.
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
