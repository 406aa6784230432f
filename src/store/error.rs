//! The store's typed errors. What was refused is handed back.

use core::fmt;

use crate::store::TierStore;
use crate::store::snapshot::StoreSnapshot;
use crate::store::version::Version;
use crate::tier::Tier;

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

/// Why [`Builder::restore`](crate::Builder::restore) has not answered with a store. What there is by then is handed back: the snapshot, or the store.
pub struct RestoreError<K, V, S, S2 = S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// The snapshot, as it was. `None` for the reasons that only come when fragments are put into the store already: [`RestoreRefusal::KeyTwice`] and
    /// [`RestoreRefusal::Refused`], neither of which comes where keys keep their word and the allocator gives usual addresses, and
    /// [`RestoreRefusal::ListenerPanicked`].
    pub snapshot: Option<Box<StoreSnapshot<K, V, S2>>>,
    /// The store, whole, for [`RestoreRefusal::ListenerPanicked`].
    pub store: Option<Box<TierStore<K, V, S>>>,
    /// Why.
    pub reason: RestoreRefusal,
}

/// The reason in a [`RestoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreRefusal {
    /// With these settings there is no store, whatever the snapshot.
    Build(BuildError),
    /// What the snapshot shows in hot weighs more than the hot budget, and also more than what is kept of it; or more than
    /// [`MAX_BYTES`](crate::MAX_BYTES).
    OverBudget {
        /// What it weighs, in bytes.
        bytes: u64,
        /// The hot budget, in bytes.
        budget: u64,
    },
    /// The weigher says another weight than the snapshot does. See [`StoreSnapshot::reweigh`](crate::StoreSnapshot::reweigh).
    WeightDiffers {
        /// The number of the fragment in [`StoreSnapshot::iter`](crate::StoreSnapshot::iter).
        number: usize,
        /// The weight in the snapshot, in bytes.
        shown: u64,
        /// What the weigher says, in bytes.
        weighed: u64,
    },
    /// Two fragments have the same key, by an `Eq` or a `Hash` that has not said so before.
    KeyTwice,
    /// A `store` would have refused a fragment, too.
    Refused(Refusal),
    /// The store is restored. But the listener, or a subscriber of events, has panicked when it was told of what a capacity pushed out. It was told of all of it.
    ListenerPanicked,
}

impl From<Refusal> for RestoreRefusal {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl fmt::Display for RestoreRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(error) => error.fmt(f),
            Self::OverBudget { bytes, budget } => {
                write!(f, "the {bytes} bytes in hot are more than the hot budget of {budget} bytes")
            }
            Self::WeightDiffers { number, shown, weighed } => {
                write!(f, "fragment {number} weighs {weighed} bytes by the weigher, and {shown} bytes by the snapshot")
            }
            Self::KeyTwice => f.write_str("two fragments have the same key"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::ListenerPanicked => f.write_str("the listener has panicked"),
        }
    }
}

impl core::error::Error for RestoreRefusal {}

impl<K, V, S, S2> fmt::Debug for RestoreError<K, V, S, S2>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestoreError").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<K, V, S, S2> fmt::Display for RestoreError<K, V, S, S2>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.store.is_some() { "the store was restored, but" } else { "the store was not restored:" };
        write!(f, "{what} {}", self.reason)
    }
}

impl<K, V, S, S2> core::error::Error for RestoreError<K, V, S, S2>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
}

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

/// Why a fragment was not stored. The key and the value are handed back, and of the key nothing has changed.
///
/// `R` says why: a [`Refusal`] of [`store`](crate::TierStore::store) and [`get_or_store_with`](crate::TierStore::get_or_store_with), a
/// [`StoreIfAbsentRefusal`], a [`ReplaceIfRefusal`] or an [`UpdateRefusal`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StoreError<K, V, R = Refusal> {
    /// The key that was refused.
    pub key: K,
    /// The value that was refused. Of [`update`](crate::TierStore::update): the one that the function has made, if it has.
    pub value: V,
    /// Why.
    pub reason: R,
}

impl<K, V, R> StoreError<K, V, R> {
    /// The same with what becomes of the reason.
    pub(super) fn map_reason<S>(self, map: impl FnOnce(R) -> S) -> StoreError<K, V, S> {
        StoreError { key: self.key, value: self.value, reason: map(self.reason) }
    }
}

/// Why a `store` refused a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The weigher gave more than [`MAX_BYTES`](crate::MAX_BYTES).
    TooHeavy {
        /// The weight, in bytes.
        weight: u64,
    },
    /// The store's clock has given out all of its 2⁵⁶ ticks.
    ClockExhausted,
    /// The allocator has placed the fragment at an address that the store's index cannot hold: above 47 bits on `x86_64`, above 48 on `aarch64`. Only
    /// an allocator does so that asks the system for such addresses.
    AddressTooHigh,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooHeavy { weight } => {
                write!(f, "a weight of {weight} bytes is above the limit of {} bytes", crate::MAX_BYTES)
            }
            Self::ClockExhausted => f.write_str("the store's clock has no ticks left"),
            Self::AddressTooHigh => f.write_str("the allocator has placed the fragment at too high an address"),
        }
    }
}

impl core::error::Error for Refusal {}

/// Why a [`store_if_absent`](crate::TierStore::store_if_absent) stored nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreIfAbsentRefusal {
    /// The key has a fragment.
    Present {
        /// The tier that it stood in.
        tier: Tier,
        /// Its version.
        version: Version,
    },
    /// A `store` would have refused it, too.
    Refused(Refusal),
}

impl fmt::Display for StoreIfAbsentRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present { tier, .. } => write!(f, "the key has a fragment already, in {tier}"),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl core::error::Error for StoreIfAbsentRefusal {}

impl From<Refusal> for StoreIfAbsentRefusal {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Why a [`replace_if`](crate::TierStore::replace_if) replaced nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplaceIfRefusal {
    /// The key has no fragment.
    NotFound,
    /// The key's fragment has another version.
    Changed {
        /// The tier that it stood in.
        tier: Tier,
        /// Its version.
        version: Version,
    },
    /// The version is of another store. The key was not looked up.
    OtherStore,
    /// A `store` would have refused it, too.
    Refused(Refusal),
}

impl fmt::Display for ReplaceIfRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no fragment has that key"),
            Self::Changed { .. } => f.write_str("the key's fragment has another version"),
            Self::OtherStore => f.write_str("the version is of another store"),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl core::error::Error for ReplaceIfRefusal {}

impl From<Refusal> for ReplaceIfRefusal {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Why an [`update`](crate::TierStore::update) changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateRefusal {
    /// The key has no fragment.
    NotFound,
    /// A `store` would have refused what the function has made, too.
    Refused(Refusal),
}

impl fmt::Display for UpdateRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no fragment has that key"),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl core::error::Error for UpdateRefusal {}

impl From<Refusal> for UpdateRefusal {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<K, V, R: fmt::Debug> fmt::Debug for StoreError<K, V, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<K, V, R: fmt::Display> fmt::Display for StoreError<K, V, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the fragment was not stored: {}", self.reason)
    }
}

impl<K, V, R: fmt::Debug + fmt::Display> core::error::Error for StoreError<K, V, R> {}

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
    /// [Kept](crate::TierStore::keep) hot fragments held so much of the budget, at an instant of the call, that it did not fit beside them.
    KeptOut {
        /// The fragment's weight, in bytes.
        weight: u64,
    },
    /// At an instant of the call the fragment did not fit and no other hot fragment was there to demote:
    /// operations in flight held the rest. Trying again later can succeed.
    Contended {
        /// The fragment's weight, in bytes.
        weight: u64,
    },
    /// The store's clock has given out all of its 2⁵⁶ ticks.
    ClockExhausted,
}

impl fmt::Display for PromoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no fragment has that key"),
            Self::OverBudget { weight, budget } => {
                write!(f, "the fragment's {weight} bytes are more than the hot budget of {budget} bytes")
            }
            Self::KeptOut { weight } => {
                write!(f, "kept fragments hold the room that the fragment's {weight} bytes need")
            }
            Self::Contended { weight } => {
                write!(f, "operations in flight hold the room that the fragment's {weight} bytes need")
            }
            Self::ClockExhausted => f.write_str("the store's clock has no ticks left"),
        }
    }
}

impl core::error::Error for PromoteError {}

/// Why a [`keep`](crate::TierStore::keep) or [`let_go`](crate::TierStore::let_go) changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeepError {
    /// No fragment has that key.
    NotFound,
    /// The store's clock has given out all of its 2⁵⁶ ticks.
    ClockExhausted,
}

impl fmt::Display for KeepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no fragment has that key"),
            Self::ClockExhausted => f.write_str("the store's clock has no ticks left"),
        }
    }
}

impl core::error::Error for KeepError {}
