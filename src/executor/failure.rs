//! Why a strategy failed, and why its context's helpers refused.

use core::error::Error;
use core::fmt;

use super::cancellation::Stopped;
use super::panic::Panic;
use super::strategy::Outcome;
use crate::changeset::{NotOpen, RecordError, RecordRefusal};
use crate::store::{PromoteError, Refusal, StoreError};

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

/// What it says names the strategy's own error. So its source is that error's source.
impl<K, T, E: Error> Error for Failure<K, T, E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) => error.source(),
            Self::NotRun(stopped) => stopped.source(),
            Self::Undone { reason, .. } => reason.source(),
            Self::Panicked(_) => None,
        }
    }
}

/// An error for strategies, that every helper's error becomes by `?`. What was refused is not in it.
///
/// A strategy may have an error of its own instead. `Box<dyn Error + Send + Sync>` takes the helpers' errors too, but no
/// [`Failure`] with it is an [`Error`].
///
/// # Examples
///
/// ```
/// use tierstack::executor::{Failure, Outcome, StrategyError, StrategyExecutor};
/// use tierstack::{PlanContext, PromoteError, TierStore};
///
/// let (store, plan) = (TierStore::<u32, u32>::new(9)?, PlanContext::<&str>::new());
/// let executor = StrategyExecutor::new(&store, &plan);
/// let run = executor.run(&[executor.strategy("picky", |context| {
///     context.store().store(1, 1)?;
///     context.record("stored")?;
///     if context.get(&1)?.is_none() {
///         return Err(StrategyError::other("somebody has removed it"));
///     }
///     context.promote(&2)?;
///     Ok(Outcome::ranked([1]))
/// })]);
/// let Err(Failure::Failed(error)) = &run.reports()[0].result else { panic!("there is no 2") };
/// assert!(matches!(error, StrategyError::Promote(PromoteError::NotFound)));
/// # Ok::<(), tierstack::BuildError>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum StrategyError {
    /// The strategy is to stop.
    Stopped(Stopped),
    /// A fragment was not promoted.
    Promote(PromoteError),
    /// A fragment was not stored.
    Store(Refusal),
    /// A change was not recorded, or the changeset was not closed or aborted.
    Record(RecordRefusal),
    /// Something else: see [`other`](Self::other).
    Other(Box<dyn Error + Send + Sync>),
}

impl StrategyError {
    /// Any other error, or a text.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::executor::StrategyError;
    /// assert_eq!(StrategyError::other("no index").to_string(), "no index");
    /// ```
    #[must_use]
    pub fn other(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }
}

impl From<Stopped> for StrategyError {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped)
    }
}

impl From<PromoteError> for StrategyError {
    fn from(error: PromoteError) -> Self {
        Self::Promote(error)
    }
}

impl From<RecordRefusal> for StrategyError {
    fn from(refusal: RecordRefusal) -> Self {
        Self::Record(refusal)
    }
}

impl From<NotOpen> for StrategyError {
    fn from(reason: NotOpen) -> Self {
        Self::Record(reason.into())
    }
}

impl<K, V> From<StoreError<K, V>> for StrategyError {
    fn from(error: StoreError<K, V>) -> Self {
        Self::Store(error.reason)
    }
}

impl<C> From<RecordError<C>> for StrategyError {
    fn from(error: RecordError<C>) -> Self {
        Self::Record(error.reason)
    }
}

impl<C> From<NotRecorded<C>> for StrategyError {
    fn from(error: NotRecorded<C>) -> Self {
        error.reason.into()
    }
}

impl<R> From<Interrupted<R>> for StrategyError
where
    Self: From<R>,
{
    fn from(interrupted: Interrupted<R>) -> Self {
        match interrupted {
            Interrupted::Stopped(stopped) => Self::Stopped(stopped),
            Interrupted::Refused(reason) => reason.into(),
        }
    }
}

impl From<Box<dyn Error + Send + Sync>> for StrategyError {
    fn from(error: Box<dyn Error + Send + Sync>) -> Self {
        Self::Other(error)
    }
}

impl fmt::Display for StrategyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped(stopped) => stopped.fmt(f),
            Self::Promote(error) => write!(f, "the fragment was not promoted: {error}"),
            Self::Store(refusal) => write!(f, "the fragment was not stored: {refusal}"),
            Self::Record(refusal) => write!(f, "the change was not recorded: {refusal}"),
            Self::Other(error) => error.fmt(f),
        }
    }
}

/// What it says names the error in it. So its source is that error's source.
impl Error for StrategyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Promote(error) => error.source(),
            Self::Other(error) => error.source(),
            Self::Stopped(_) | Self::Store(_) | Self::Record(_) => None,
        }
    }
}

/// Why a helper of a [`StrategyContext`](super::StrategyContext) did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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

impl<R: Error> Error for Interrupted<R> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Stopped(stopped) => stopped.source(),
            Self::Refused(reason) => reason.source(),
        }
    }
}

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
