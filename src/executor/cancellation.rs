//! How a run is told to stop.

use core::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::sync::{AtomicBool, AtomicU32, Ordering};

/// Tells strategies to stop. Clones are the same token. Once cancelled, it stays so.
///
/// A [child](Self::child) is cancelled with its parent, and can be cancelled alone. Each [run](super::StrategyExecutor::run) has a child of the
/// executor's token.
///
/// # Examples
///
/// ```
/// use tierstack::executor::CancellationToken;
///
/// let token = CancellationToken::new();
/// let for_another_thread = token.clone();
/// for_another_thread.cancel();
/// assert!(token.is_cancelled());
/// ```
#[derive(Clone, Debug, Default)]
pub struct CancellationToken(Arc<Flag>);

#[derive(Debug, Default)]
struct Flag {
    is_raised: AtomicBool,
    /// If that one is cancelled, so is this.
    parent: Option<CancellationToken>,
}

impl Drop for Flag {
    fn drop(&mut self) {
        // One by one: a long line of them would need as many frames else.
        let mut parent = self.parent.take();
        while let Some(CancellationToken(flag)) = parent {
            parent = Arc::into_inner(flag).and_then(|mut flag| flag.parent.take());
        }
    }
}

impl CancellationToken {
    /// A token that is not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A token that is cancelled if this one is, and that can be cancelled without this one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::executor::CancellationToken;
    /// let parent = CancellationToken::new();
    /// let (one, two) = (parent.child(), parent.child());
    /// one.cancel();
    /// assert!(one.is_cancelled() && !two.is_cancelled() && !parent.is_cancelled());
    /// parent.cancel();
    /// assert!(two.is_cancelled());
    /// ```
    #[must_use]
    pub fn child(&self) -> Self {
        Self(Arc::new(Flag { is_raised: AtomicBool::new(false), parent: Some(self.clone()) }))
    }

    /// Cancels it, for all clones and all children.
    ///
    /// # Linearization
    ///
    /// The store of its flag. Wait-free.
    ///
    /// # Examples
    ///
    /// See [`CancellationToken`].
    pub fn cancel(&self) {
        // Release: whoever sees it sees what was done before.
        self.0.is_raised.store(true, Ordering::Release);
    }

    /// Whether it is cancelled, or a token that it is a child of.
    ///
    /// # Linearization
    ///
    /// The load of the flag that is found raised, of its own or of a token above it. If none is, the load of its own. Wait-free: one load for each
    /// token above it.
    ///
    /// # Examples
    ///
    /// See [`CancellationToken`].
    #[inline]
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        let mut token = Some(self);
        while let Some(CancellationToken(flag)) = token {
            // Acquire: see `cancel`.
            if flag.is_raised.load(Ordering::Acquire) {
                return true;
            }
            token = flag.parent.as_ref();
        }
        false
    }
}

/// Why a strategy is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stopped {
    /// The [token](CancellationToken) is cancelled.
    Cancelled,
    /// The deadline has passed.
    DeadlinePassed,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cancelled => "the run was cancelled",
            Self::DeadlinePassed => "the deadline of the run has passed",
        })
    }
}

impl core::error::Error for Stopped {}

/// What a strategy is told when it asks whether to stop. Once it was told to, it is told the same ever after.
#[derive(Debug)]
pub(super) struct Limits {
    token: CancellationToken,
    deadline: Option<Instant>,
    /// [`NOT_STOPPED`], or what was told first.
    told: AtomicU32,
}

const NOT_STOPPED: u32 = 0;
const CANCELLED: u32 = 1;
const DEADLINE_PASSED: u32 = 2;

impl Limits {
    pub(super) fn new(token: CancellationToken, deadline: Option<Instant>) -> Self {
        Self { token, deadline, told: AtomicU32::new(NOT_STOPPED) }
    }

    pub(super) fn token(&self) -> &CancellationToken {
        &self.token
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Reads the clock where there is a deadline, until there is something to tell.
    #[inline]
    pub(super) fn stopped(&self) -> Option<Stopped> {
        if let Some(told) = self.told() {
            return Some(told);
        }
        let told = if self.token.is_cancelled() {
            CANCELLED
        } else if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            DEADLINE_PASSED
        } else {
            return None;
        };
        self.tell(told)
    }

    /// What it was told, if it has asked and was told to stop.
    #[inline]
    pub(super) fn told(&self) -> Option<Stopped> {
        // Acquire: by one thread of the strategy; another that sees it sees what was done before the cancellation.
        match self.told.load(Ordering::Acquire) {
            NOT_STOPPED => None,
            CANCELLED => Some(Stopped::Cancelled),
            _ => Some(Stopped::DeadlinePassed),
        }
    }

    #[cold]
    fn tell(&self, told: u32) -> Option<Stopped> {
        // AcqRel: as in `told`. Another thread of the strategy may have been told before: then it is told the same.
        let _ = self.told.compare_exchange(NOT_STOPPED, told, Ordering::AcqRel, Ordering::Acquire);
        self.told()
    }
}
