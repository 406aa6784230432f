//! The store's typed errors. What was refused is handed back.

use core::fmt;

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
    /// The store's clock has given out all of its 2⁵⁸ ticks.
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
    /// The store's clock has given out all of its 2⁵⁸ ticks.
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
