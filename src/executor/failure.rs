//! Why a strategy failed, and why its context's helpers refused.

use core::error::Error;
use core::fmt;

use super::cancellation::Stopped;
use super::panic::Panic;
use super::strategy::Outcome;
use crate::changeset::{NotOpen, RecordRefusal};

/// Why a strategy has failed.
#[non_exhaustive]
pub enum Failure<K, T, E> {
    /// It returned this error.
    Failed(E),
    /// It panicked, or its name did.
    Panicked(Panic),
    /// It was not run: the run was cancelled, or its deadline had passed, before.
    NotRun(Stopped),
    /// It succeeded, but its changeset was aborted or rolled back meanwhile, by itself or by others: its changes are not in force.
    Undone {
        /// What it gave.
        outcome: Outcome<K, T>,
        /// What had become of its changeset.
        reason: NotOpen,
    },
}

impl<K, T, E: fmt::Debug> fmt::Debug for Failure<K, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
            Self::Panicked(panic) => f.debug_tuple("Panicked").field(panic).finish(),
            Self::NotRun(stopped) => f.debug_tuple("NotRun").field(stopped).finish(),
            Self::Undone { reason, .. } => f.debug_struct("Undone").field("reason", reason).finish_non_exhaustive(),
        }
    }
}

impl<K, T, E: fmt::Display> fmt::Display for Failure<K, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "the strategy failed: {error}"),
            Self::Panicked(panic) => write!(f, "the strategy panicked: {panic}"),
            Self::NotRun(stopped) => write!(f, "the strategy was not run: {stopped}"),
            Self::Undone { reason, .. } => write!(f, "the strategy's changes are not in force: {reason}"),
        }
    }
}

impl<K, T, E: fmt::Debug + fmt::Display> Error for Failure<K, T, E> {}

/// Why a helper of a [`StrategyContext`](super::StrategyContext) did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupted<R> {
    /// The strategy is to stop.
    Stopped(Stopped),
    /// The store or the plan refused.
    Refused(R),
}

impl<R> Interrupted<R> {
    /// Why the store or the plan refused, if it was asked.
    #[must_use]
    pub fn refused(self) -> Option<R> {
        match self {
            Self::Stopped(_) => None,
            Self::Refused(reason) => Some(reason),
        }
    }
}

impl<R> From<Stopped> for Interrupted<R> {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped)
    }
}

impl<R: fmt::Display> fmt::Display for Interrupted<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped(stopped) => stopped.fmt(f),
            Self::Refused(reason) => reason.fmt(f),
        }
    }
}

impl<R: Error> Error for Interrupted<R> {}

/// Why a strategy's change was not recorded. It is handed back, and the plan is as it was.
///
/// `C` is the change, or the vector of all of them if several were to be recorded at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NotRecorded<C> {
    /// What was refused.
    pub refused: C,
    /// Why.
    pub reason: Interrupted<RecordRefusal>,
}

impl<C> fmt::Debug for NotRecorded<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotRecorded").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<C> fmt::Display for NotRecorded<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the change was not recorded: ")?;
        match &self.reason {
            Interrupted::Stopped(stopped) => stopped.fmt(f),
            Interrupted::Refused(reason) => reason.fmt(f),
        }
    }
}

impl<C> Error for NotRecorded<C> {}
