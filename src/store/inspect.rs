//! What the store holds: counts, metrics, iteration. Changes nothing.

use core::hash::{BuildHasher, Hash};
use std::vec;

use super::TierStore;
use crate::store::fragment::Item;
use crate::store::metrics::Metrics;
use crate::tier::Tier;

impl<K, V, S> TierStore<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// The hot budget in force, in bytes.
    ///
    /// # Linearization
    ///
    /// One atomic read. Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<u32, u32>::new(100)?;
    /// assert_eq!(store.hot_budget(), 100);
    /// # Ok::<(), tierstack::BuildError>(())
    /// ```
    pub fn hot_budget(&self) -> u64 {
        self.core.budget.limit()
    }

    /// The bytes of hot that are taken. At rest the sum of the weights of the hot fragments. Meanwhile it includes what operations in flight have
    /// reserved for a newcomer, or have not given back yet. So at every instant it is at least the sum of the weights, and at
    /// most the hot budget, or what is [kept](Self::keep) in hot, whichever is more (see [`set_hot_budget`](Self::set_hot_budget) for while it is
    /// lowered). Kept fragments are above the budget only where it was lowered below them.
    ///
    /// # Linearization
    ///
    /// One atomic read of what is reserved. Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::builder(100).weigher(|_: &u32, _: &u32| 7).build()?;
    /// store.store(1, 1)?;
    /// assert_eq!(store.hot_bytes(), 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn hot_bytes(&self) -> u64 {
        self.bytes(Tier::Hot)
    }

    /// How many fragments stand in `tier`: exact at rest, and off by at most what the operations in flight move.
    ///
    /// # Linearization
    ///
    /// One atomic read of a count that follows the moves. Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::{Tier, TierStore};
    /// # let store = TierStore::<u32, u32>::new(100)?;
    /// store.store(1, 1)?;
    /// assert_eq!((store.len(Tier::Hot), store.len(Tier::Warm)), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self, tier: Tier) -> u64 {
        self.core.census(tier).fragments()
    }

    /// Whether no tier has a fragment: exact at rest, and off by at most what the operations in flight move.
    ///
    /// # Linearization
    ///
    /// None: three atomic reads. Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<u32, u32>::new(100)?;
    /// assert!(store.is_empty());
    /// # Ok::<(), tierstack::BuildError>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        Tier::ALL.iter().all(|&tier| self.len(tier) == 0)
    }

    /// The weights of the fragments in `tier` added up, in bytes: exact at rest, and off by at most what the operations in flight move. For
    /// hot, see [`hot_bytes`](Self::hot_bytes). A sum above `u64::MAX` reads as that.
    ///
    /// # Linearization
    ///
    /// One atomic read of a count that follows the moves. Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::{Tier, TierStore};
    /// # let store = TierStore::builder(100).weigher(|_: &u32, _: &u32| 7).build()?;
    /// store.store(1, 1)?;
    /// store.demote(&1);
    /// assert_eq!((store.bytes(Tier::Hot), store.bytes(Tier::Warm)), (0, 7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bytes(&self, tier: Tier) -> u64 {
        self.core.bytes(tier)
    }

    /// The counters: exact at rest, and off by at most what the operations in flight move.
    ///
    /// # Linearization
    ///
    /// None: each counter is read on its own. Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<u32, u32>::new(100)?;
    /// store.store(1, 1)?;
    /// store.get(&1);
    /// store.get(&2);
    /// let metrics = store.metrics();
    /// assert_eq!((metrics.stores, metrics.hits, metrics.misses), (1, 1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn metrics(&self) -> Metrics {
        self.core.metrics()
    }

    /// The fragments of `tier`, from the most to the least recently used, as clones; not a use of any.
    ///
    /// Taken at the call: what changes later does not show.
    ///
    /// # Linearization
    ///
    /// None. A fragment that stands in the tier throughout the call is met exactly once. One that comes, goes or is replaced meanwhile
    /// may be met or missed; no key is met twice.
    ///
    /// # Progress
    ///
    /// Lock-free. O(n log n) for n fragments in the tier, and as much memory; the thread is pinned meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::{Tier, TierStore};
    /// # let store = TierStore::<&str, u32>::new(1024)?;
    /// store.store("a", 1)?;
    /// store.store("b", 2)?;
    /// store.get("a");
    /// let keys: Vec<&str> = store.iter(Tier::Hot).map(|item| item.key).collect();
    /// assert_eq!(keys, ["a", "b"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self, tier: Tier) -> vec::IntoIter<Item<K, V>>
    where
        V: Clone,
    {
        let items: Vec<_> = self.pin().iter(tier).map(Item::cloned).collect();
        items.into_iter()
    }
}
