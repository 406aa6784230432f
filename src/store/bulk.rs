//! `store_all`: many fragments by one call.
//!
//! # Steps
//!
//! Fragments are taken from the iterator, hashed, weighed and built, a chunk at a time. The thread is not pinned meanwhile: the iterator is the caller's code,
//! and may take its time. Then the thread pins once for the chunk, asks the processor to fetch the line of the index where each of them will be
//! looked up, and stores one after the other. Each is a `store` like any other, with its own linearization point (see [`super::write`]).
//!
//! A `store` into an index that is larger than the caches mostly waits for memory. A chunk waits for all its lines at once.
//!
//! # Panics
//!
//! The iterator, the weigher and `Hash` run while a chunk is built, `Eq` while it is stored, and the listener after that. If one of them panics, what was
//! taken from the iterator before is stored all the same: see [`Loader`].

use core::hash::{BuildHasher, Hash};
use core::mem::take;
use std::collections::VecDeque;

use super::TierStore;
use super::condition::Always;
use super::departure::Cause;
use super::error::{Refusal, StoreError};
use super::outflow::let_go;
use super::view::View;
use super::write::{Newcomer, NotStored};
use crate::drops::quietly;
use crate::engine::node::NodeRef;
use crate::tier::Tier;

/// How many fragments are stored under one pin.
const CHUNK: usize = 64;

/// What a [`store_all`](TierStore::store_all) did.
#[derive(Debug)]
#[non_exhaustive]
pub struct StoredAll<K, V> {
    /// How many fragments were stored.
    pub stored: usize,
    /// How many of these replaced another.
    pub replaced: usize,
    /// How many took effect in hot; the others did in warm. Later ones of the same call may have demoted them.
    pub hot: usize,
    /// How many went to warm only because operations in flight held the room that they needed: see [`Stored::contended`](crate::Stored::contended).
    pub contended: usize,
    /// How many went to warm because kept fragments held the room that they needed: see [`Stored::kept_out`](crate::Stored::kept_out).
    pub kept_out: usize,
    /// What was refused, with the reason, in the order in which it came.
    pub refused: Vec<StoreError<K, V>>,
}

impl<K, V> Default for StoredAll<K, V> {
    /// Of nothing.
    fn default() -> Self {
        Self { stored: 0, replaced: 0, hot: 0, contended: 0, kept_out: 0, refused: Vec::new() }
    }
}

#[cfg(feature = "rayon")]
impl<K, V> StoredAll<K, V> {
    /// What both did.
    pub(super) fn and(mut self, other: Self) -> Self {
        let Self { stored, replaced, hot, contended, kept_out, refused } = other;
        self.stored += stored;
        self.replaced += replaced;
        self.hot += hot;
        self.contended += contended;
        self.kept_out += kept_out;
        self.refused.extend(refused);
        self
    }
}

impl<K, V, S> Extend<(K, V)> for &TierStore<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// As [`TierStore::store_all`]; what is refused is dropped.
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, fragments: I) {
        self.store_all(fragments);
    }
}

impl<K, V, S> Extend<(K, V)> for TierStore<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// As [`TierStore::store_all`]; what is refused is dropped.
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, fragments: I) {
        self.store_all(fragments);
    }
}

impl<K, V, S> TierStore<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Stores many fragments, in the order of the iterator: faster than one [`store`](Self::store) after the other.
    ///
    /// Each is stored by itself, as by `store`. What is refused is handed back, and the call goes on. Values that are replaced are dropped, after the
    /// listener was told; the report says how many they are. Of several fragments with one key the last stays.
    ///
    /// The call takes up to 64 fragments from the iterator before it stores them. They are in no budget yet. While the iterator runs, the thread is not
    /// pinned: an iterator that waits delays only the fragments that it gave before. The listener is told of what the 64 push out and replace after
    /// all of them are stored.
    ///
    /// The index is made large enough at the start for as many fragments as the iterator promises at least, by its
    /// [`size_hint`](Iterator::size_hint); for half of them where the store is not empty, as some may replace others. It is not enlarged so for more
    /// than the hot budget and the capacities can hold, nor for more than some three million fragments, nor for few beside those that it has room
    /// for. If fewer come than were promised, the index keeps its size until it is next moved.
    ///
    /// # Linearization
    ///
    /// None of the whole: others see some of the fragments before the rest. Of each fragment, as [`store`](Self::store), in their order.
    ///
    /// # Progress
    ///
    /// Lock-free, but for the iterator. Expected O(1) amortized for each fragment, and the number of fragments demoted. If the index is enlarged at the
    /// start, this call moves it at once, in O(n) for n promised fragments. Others go on meanwhile.
    ///
    /// # Panics
    ///
    /// Where the iterator, the weigher, `Hash`, `Eq` or the listener does. Then what the iterator gave before is stored,
    /// but for the fragment concerned. What was refused is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{MAX_BYTES, Tier, TierStore};
    ///
    /// let store = TierStore::builder(100).weigher(|_: &u64, weight: &u64| *weight).build()?;
    /// let stored = store.store_all((0..1000).map(|key| (key, 10)));
    /// assert_eq!((stored.stored, store.len(Tier::Hot), store.len(Tier::Warm)), (1000, 10, 990));
    ///
    /// let stored = store.store_all([(1, 20), (2, MAX_BYTES + 1), (3, 30)]);
    /// assert_eq!((stored.stored, stored.replaced), (2, 2));
    /// assert_eq!(stored.refused[0].key, 2);
    /// # Ok::<(), tierstack::BuildError>(())
    /// ```
    pub fn store_all(&self, fragments: impl IntoIterator<Item = (K, V)>) -> StoredAll<K, V> {
        let fragments = fragments.into_iter();
        let mut loader = Loader::new(self);
        loader.reserve(fragments.size_hint().0);
        for (key, value) in fragments {
            loader.push(key, value);
        }
        loader.finish()
    }
}

/// Fragments that were taken from an iterator, and are not stored yet; and what became of those before. Where something unwinds, they are stored all the same.
pub(super) struct Loader<'s, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    store: &'s TierStore<K, V, S>,
    /// In their order, with those that are refused already.
    taken: VecDeque<Taken<K, V>>,
    all: StoredAll<K, V>,
}

type Taken<K, V> = Result<Newcomer<K, V>, NotStored<K, V, Refusal>>;

impl<'s, K, V, S> Loader<'s, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    pub(super) fn new(store: &'s TierStore<K, V, S>) -> Self {
        Self { store, taken: VecDeque::new(), all: StoredAll::default() }
    }

    /// Makes the index large enough for so many more, of which some may replace others, and which may not all find room.
    pub(super) fn reserve(&self, more: usize) {
        if more <= CHUNK {
            return;
        }
        let core = &self.store.core;
        let (mut present, mut most) = (0_u64, core.budget.limit());
        for tier in Tier::ALL {
            present = present.saturating_add(core.census(tier).fragments());
            if tier != Tier::Hot {
                most = most.saturating_add(core.census(tier).most());
            }
        }
        let more = if present > 0 { more / 2 } else { more };
        let room = usize::try_from(most.saturating_sub(present)).unwrap_or(usize::MAX);
        core.index.reserve(more.min(room), &crossbeam_epoch::pin());
    }

    /// Takes a fragment; stores it with others, now or later.
    pub(super) fn push(&mut self, key: K, value: V) {
        let store = self.store;
        let (hash, weight) = (store.hash(&key), store.weigh(&key, &value));
        self.taken.push_back(store.built(hash, key, value, weight));
        if self.taken.len() == CHUNK {
            self.store();
        }
    }

    /// Stores the rest.
    pub(super) fn finish(mut self) -> StoredAll<K, V> {
        self.store();
        take(&mut self.all)
    }

    /// Stores what was taken, each by itself.
    fn store(&mut self) {
        let (core, all) = (&self.store.core, &mut self.all);
        let mut ended = Vec::new();
        let view = View::for_an_owned_operation(self.store);
        for new in self.taken.iter().flatten() {
            core.index.prefetch(new.hash(), &view.guard);
        }
        while let Some(taken) = self.taken.pop_front() {
            match taken.and_then(|new| view.store_newcomer(new, Always)) {
                Ok(written) => {
                    let report = written.report;
                    all.stored += 1;
                    all.hot += usize::from(report.tier == Tier::Hot);
                    all.contended += usize::from(report.contended);
                    all.kept_out += usize::from(report.kept_out);
                    if let Some(replaced) = report.replaced {
                        all.replaced += 1;
                        // What the listener is told of is let go by its delivery.
                        if replaced.is_claimed() && !core.told.contain(Cause::Replaced) {
                            ended.push(NodeRef::new(replaced));
                        }
                    }
                }
                Err(not_stored) => all.refused.extend(not_stored.hand_back::<(), _>().err()),
            }
        }
        // Heavy values that were replaced go at once, as those that the listener was told of: after the pin.
        drop(view);
        for node in &ended {
            let_go(node, core);
        }
    }
}

impl<K, V, S> Drop for Loader<'_, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    fn drop(&mut self) {
        // Each round stores one at least, or loses it to a panic of its own.
        while !self.taken.is_empty() {
            quietly(|| self.store());
        }
    }
}
