//! The store: what callers see, over the protocols in the files beside this one.
//!
//! | file | protocol |
//! |---|---|
//! | `core` | the parts; how a key's fragment is found, and published |
//! | `read` | `get` and `peek` |
//! | `write`; `condition` | `store`; what it may ask of what is there |
//! | `bulk`, `parallel` | `store_all`; the same by many threads |
//! | `moves` | `promote`, `demote`, `remove` |
//! | `keeping` | `keep`, `let_go` |
//! | `evict` | eviction, room, capacities |
//! | `leaving` | what an archive takes over |
//! | `expiry`; `age` | what is due by the time, and leaves; what callers ask about that |
//! | `operation` | what an operation holds and owes, whichever way it ends |
//! | `scan` | iteration |
//! | `picture`; `snapshot` | how a snapshot is taken; what callers are given of it, and its serialization |
//! | `restore` | a store from a snapshot |
//! | `outflow` | what left the store, on its way to the listener |
//! | `departure` | the listener, and what it is told |
//! | `trace` | events, by a feature |
//! | `hot_budget` | the budget, set and seen to at the caller's word |
//! | `flush` | freeing at the caller's word |
//! | `inspect`, `metrics` | counts |
//! | `view`, `owned`; `hashed` | the two ways to call all of it; what they share |
//! | `conditional` | changes that depend on what is there, called either way |
//! | `fragment`, `version` | what callers are given |
//! | `error` | why an operation was refused |

mod age;
mod builder;
mod bulk;
mod condition;
mod conditional;
mod core;
mod departure;
mod error;
mod evict;
mod expiry;
mod flush;
mod fragment;
mod hashed;
mod hot_budget;
mod inspect;
mod keeping;
mod leaving;
mod metrics;
mod moves;
mod operation;
mod outflow;
mod owned;
#[cfg(feature = "rayon")]
mod parallel;
mod picture;
mod pin;
mod read;
mod restore;
mod scan;
mod snapshot;
mod trace;
mod version;
mod view;
mod write;

#[cfg(all(test, not(tierstack_loom)))]
mod tests;

// At rest, a fuzz target sweeps as the tests do.
#[cfg(all(fuzzing, not(test)))]
#[path = "tests/sweep.rs"]
pub mod sweep;

use ::core::fmt;
use ::core::hash::{BuildHasher, Hash};
use ::core::panic::{RefUnwindSafe, UnwindSafe};

use crate::drops::Callback;
use crate::tier::Tier;

pub use builder::{Builder, DefaultHasher};
pub use bulk::StoredAll;
pub use departure::{Cause, Departure};
pub use error::{
    BudgetError, BuildError, KeepError, PromoteError, Refusal, ReplaceIfRefusal, RestoreError, RestoreRefusal,
    StoreError, StoreIfAbsentRefusal, UpdateRefusal,
};
pub use fragment::{Enforced, Evicted, Fragment, GetOrStored, Item, Kept, Moved, Stored};
pub use leaving::Leaving;
pub use metrics::{Metrics, TierMetrics};
#[cfg(feature = "rayon")]
pub use parallel::ParSnapshotIter;
pub use snapshot::{SnapshotIter, StoreSnapshot};
pub use version::Version;
pub use view::View;

/// A concurrent store of fragments in three tiers, with a strict byte budget for the hot one.
///
/// Every operation takes `&self`; share the store by reference or in an [`Arc`](std::sync::Arc). There are two ways to call them:
///
/// - *Owned*, on the store itself: what is handed back is the caller's own, and nothing is held afterwards. Values are best a cheap
///   handle, such as `Arc<str>`.
/// - *Pinned*, through a [`View`] from [`pin`](Self::pin): what is handed back is a borrow, and the cost of pinning is paid once.
///
/// The guarantees, and what they do not say, are on the [crate's front page](crate#guarantees).
///
/// It is unwind safe where keys, values and hasher are: a panic of the caller's own code within an operation leaves it whole.
pub struct TierStore<K, V, S = DefaultHasher>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    core: core::Core<K, V>,
    weigher: Option<Callback<builder::Weigher<K, V>>>,
    listener: Option<departure::Listener<K, V>>,
    /// What was published.
    #[cfg(feature = "metrics")]
    published: metrics::publish::Told,
    hasher: S,
}

impl<K, V> TierStore<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// A builder for a store whose hot tier holds at most `hot_budget` bytes.
    pub fn builder(hot_budget: u64) -> Builder<K, V> {
        Builder::new(hot_budget)
    }

    /// A store with the defaults: see [`Builder`].
    ///
    /// # Errors
    ///
    /// [`BuildError::BudgetTooLarge`] for a hot budget above [`MAX_BYTES`](crate::MAX_BYTES).
    ///
    /// # Examples
    ///
    /// ```
    /// let store: tierstack::TierStore<u64, u64> = tierstack::TierStore::new(1024)?;
    /// assert!(store.is_empty());
    /// # Ok::<(), tierstack::BuildError>(())
    /// ```
    pub fn new(hot_budget: u64) -> Result<Self, BuildError> {
        Self::builder(hot_budget).build()
    }
}

impl<K, V, S> TierStore<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    #[inline]
    fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        crate::engine::index::spread(self.hasher.hash_one(key))
    }

    fn weigh(&self, key: &K, value: &V) -> u64 {
        match &self.weigher {
            Some(weigher) => weigher(key, value),
            None => (size_of::<K>() + size_of::<V>()) as u64,
        }
    }
}

// A caller's code that panics within an operation (the weigher, `Hash`, `Eq`, `Clone`, the listener) leaves the store whole: each operation
// gives back what it holds on its way out, whichever way that is, and a fragment is stored and counted, or is not. What may be found
// in a strange state afterwards is the caller's: keys and values, which are shared as by an `Arc`, and the hasher. So it depends on these. What
// weigher and listener have captured only they themselves look at, when they are called again.
impl<K, V, S> UnwindSafe for TierStore<K, V, S>
where
    K: RefUnwindSafe + Send + Sync + 'static,
    V: RefUnwindSafe + Send + Sync + 'static,
    S: UnwindSafe,
{
}

impl<K, V, S> RefUnwindSafe for TierStore<K, V, S>
where
    K: RefUnwindSafe + Send + Sync + 'static,
    V: RefUnwindSafe + Send + Sync + 'static,
    S: RefUnwindSafe,
{
}

impl<K, V, S> fmt::Debug for TierStore<K, V, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metrics = self.core.metrics();
        f.debug_struct("TierStore")
            .field("hot", &metrics.tier(Tier::Hot))
            .field("warm", &metrics.tier(Tier::Warm))
            .field("cold", &metrics.tier(Tier::Cold))
            .finish_non_exhaustive()
    }
}
