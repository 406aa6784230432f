//! Bulk loading by many threads, and snapshots read by many: with the feature `rayon`.

use core::hash::{BuildHasher, Hash};

use rayon::iter::plumbing::{Consumer, ProducerCallback, UnindexedConsumer};
use rayon::iter::{
    IndexedParallelIterator, IntoParallelIterator, IntoParallelRefIterator, ParallelExtend, ParallelIterator,
};

use super::TierStore;
use super::bulk::{Loader, StoredAll};
use super::snapshot::{StoreSnapshot, tier_of};
use crate::store::fragment::Item;
use crate::tier::Tier;

impl<K, V, S> TierStore<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher + Sync,
{
    /// Stores many fragments on rayon's current pool: [`store_all`](Self::store_all) by each of its threads, for a part of them.
    ///
    /// Nothing is pinned across a join. Of several fragments with one key any may stay. What is refused is handed back in the order of the iterator.
    ///
    /// # Linearization
    ///
    /// As [`store_all`](Self::store_all); the parts are in no order.
    ///
    /// # Progress
    ///
    /// As [`store_all`](Self::store_all) for each thread; waits for rayon's join of the parts.
    ///
    /// # Panics
    ///
    /// As [`store_all`](Self::store_all). Other threads may go on with their parts, or leave out the rest of them.
    ///
    /// # Examples
    ///
    /// ```
    /// use rayon::prelude::*;
    /// # use tierstack::{Tier, TierStore};
    /// # let store = TierStore::<u32, u32>::builder(1000).weigher(|_, _| 1).build()?;
    /// let stored = store.par_store_all((0..5000).into_par_iter().map(|key| (key, key * key)));
    /// assert_eq!((stored.stored, store.len(Tier::Hot), store.len(Tier::Warm)), (5000, 1000, 4000));
    /// # Ok::<(), tierstack::BuildError>(())
    /// ```
    pub fn par_store_all(&self, fragments: impl IntoParallelIterator<Item = (K, V)>) -> StoredAll<K, V> {
        let fragments = fragments.into_par_iter();
        Loader::new(self).reserve(fragments.opt_len().unwrap_or(0));
        let parts = fragments.fold(
            || Loader::new(self),
            |mut loader, (key, value)| {
                loader.push(key, value);
                loader
            },
        );
        parts.map(Loader::finish).reduce(StoredAll::default, StoredAll::and)
    }
}

impl<K, V, S> ParallelExtend<(K, V)> for &TierStore<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher + Sync,
{
    /// As [`TierStore::par_store_all`]; what is refused is dropped.
    fn par_extend<I: IntoParallelIterator<Item = (K, V)>>(&mut self, fragments: I) {
        self.par_store_all(fragments);
    }
}

impl<K, V, S> ParallelExtend<(K, V)> for TierStore<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher + Sync,
{
    /// As [`TierStore::par_store_all`]; what is refused is dropped.
    fn par_extend<I: IntoParallelIterator<Item = (K, V)>>(&mut self, fragments: I) {
        self.par_store_all(fragments);
    }
}

/// The fragments of a [`StoreSnapshot`] with their tiers, in its order, for many threads: from `par_iter`.
///
/// # Examples
///
/// ```
/// use rayon::prelude::*;
/// # use tierstack::{Tier, TierStore};
/// # let store = TierStore::<u32, u32>::builder(10).weigher(|_, _| 1).build()?;
/// store.store_all((0..1000).map(|key| (key, key)));
/// let snapshot = store.snapshot();
/// let warm: u32 = snapshot.par_iter().filter(|(tier, _)| *tier == Tier::Warm).map(|(_, item)| item.value).sum();
/// assert_eq!(warm, (0..990).sum());
/// # Ok::<(), tierstack::BuildError>(())
/// ```
#[derive(Debug)]
pub struct ParSnapshotIter<'a, K, V> {
    items: &'a [Item<K, V>],
    ends: [usize; 3],
}

impl<K, V> Clone for ParSnapshotIter<'_, K, V> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<'a, K: Sync, V: Sync> ParSnapshotIter<'a, K, V> {
    fn with_tiers(self) -> impl IndexedParallelIterator<Item = (Tier, &'a Item<K, V>)> {
        let Self { items, ends } = self;
        items.par_iter().enumerate().map(move |(number, item)| (tier_of(number, ends), item))
    }
}

impl<'a, K: Sync, V: Sync> ParallelIterator for ParSnapshotIter<'a, K, V> {
    type Item = (Tier, &'a Item<K, V>);

    fn drive_unindexed<C: UnindexedConsumer<Self::Item>>(self, consumer: C) -> C::Result {
        self.with_tiers().drive_unindexed(consumer)
    }

    fn opt_len(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

impl<K: Sync, V: Sync> IndexedParallelIterator for ParSnapshotIter<'_, K, V> {
    fn len(&self) -> usize {
        self.items.len()
    }

    fn drive<C: Consumer<Self::Item>>(self, consumer: C) -> C::Result {
        self.with_tiers().drive(consumer)
    }

    fn with_producer<CB: ProducerCallback<Self::Item>>(self, callback: CB) -> CB::Output {
        self.with_tiers().with_producer(callback)
    }
}

impl<'a, K: Sync, V: Sync, S> IntoParallelIterator for &'a StoreSnapshot<K, V, S> {
    type Item = (Tier, &'a Item<K, V>);
    type Iter = ParSnapshotIter<'a, K, V>;

    fn into_par_iter(self) -> ParSnapshotIter<'a, K, V> {
        let (items, ends) = self.parts();
        ParSnapshotIter { items, ends }
    }
}
