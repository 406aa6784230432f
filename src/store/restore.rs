//! `restore`: a store from a snapshot.
//!
//! The store is nobody else's yet. So each fragment is put where it stood at once, without a way through the tiers above: its node is prepared there, goes into the
//! index, and is counted. They are put in from the least to the most recently used of all, each at the next tick, so that every order is what it was.
//!
//! What was in the store at one instant can be more than it may hold at rest: an operation in flight had yet to see to a capacity, or to a budget that was
//! lowered below what is kept. So the budget is large enough for hot at first and set afterwards, and the capacities hold when the operation ends that
//! puts all of them in, as at the end of any other.

//!
//! # Callers' functions
//!
//! The weigher and `Hash` are asked for all fragments before anything is pinned. `Eq` runs while the thread is pinned, where two hashes are equal. Whatever panics, the fragments that
//! are not in the store by then are dropped after the operation and the pin have ended, each by [`crate::drops`].

use core::hash::{BuildHasher, Hash};
use core::mem::ManuallyDrop;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use super::TierStore;
use super::builder::Builder;
use super::error::{RestoreError, RestoreRefusal};
use super::operation::Operation;
use super::snapshot::{OldestLast, StoreSnapshot};
use super::view::View;
use super::write::Newcomer;
use crate::drops;
use crate::engine::age::{Age, NEVER};
use crate::engine::budget::MAX_BYTES;
use crate::store::error::{BuildError, Refusal};
use crate::store::fragment::Item;
use crate::tier::Tier;

impl<K, V, S> StoreSnapshot<K, V, S> {
    /// Weighs every fragment anew.
    ///
    /// For a snapshot that was taken when the weigher was another. Then the next [`restore`](Builder::restore) refuses it no more for its weights. It may still refuse it because what it
    /// shows in hot weighs more than the budget.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooHeavy`] where the weigher says more than [`MAX_BYTES`](crate::MAX_BYTES). The snapshot is as it was then.
    ///
    /// # Panics
    ///
    /// Where the weigher does. The snapshot is as it was then.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::{Tier, TierStore};
    /// let store = TierStore::builder(100).weigher(|_: &u32, text: &&str| text.len() as u64).build()?;
    /// store.store(1, "two words")?;
    /// let mut snapshot = store.snapshot();
    ///
    /// let words = |_: &u32, text: &&str| text.split(' ').count() as u64;
    /// snapshot.reweigh(words)?;
    /// let store = TierStore::builder(20).weigher(words).restore(snapshot)?;
    /// assert_eq!(store.bytes(Tier::Hot), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reweigh(&mut self, mut weigher: impl FnMut(&K, &V) -> u64) -> Result<(), Refusal> {
        let weights = self.iter().map(|(_, item)| match weigher(&item.key, &item.value) {
            weight if weight > MAX_BYTES => Err(Refusal::TooHeavy { weight }),
            weight => Ok(weight),
        });
        // All of them, before any is changed.
        let weights: Vec<u64> = weights.collect::<Result<_, _>>()?;
        for (item, weight) in self.items_mut().iter_mut().zip(weights) {
            item.weight = weight;
        }
        self.add_up();
        Ok(())
    }

    /// What it shows as kept in hot weighs, in bytes.
    fn kept_in_hot(&self) -> u64 {
        let kept = self.tier(Tier::Hot).iter().filter(|item| item.kept);
        kept.fold(0, |sum, item| item.weight.saturating_add(sum))
    }
}

impl<K, V, S> Builder<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// The store, with the fragments of a snapshot.
    ///
    /// Each stands in the tier that the snapshot shows it in, is kept if it was, and is as recently used among all others as it was: so evictions meet the same
    /// fragments in the same order. Values are moved, not cloned. With the feature `serde`, the snapshot may have been written by another process.
    ///
    /// A fragment with a [deadline](TierStore::store_until) has as long to go as it had. With a [lifetime](Self::expire_after), each fragment is used last by this call: the
    /// time during which no process had the store does not count.
    ///
    /// What a snapshot does not say is the builder's: budget, capacities, weigher, listener, hasher. To start with a smaller budget than hot needs, restore
    /// with the old one, and [set](TierStore::set_hot_budget) the new one then. What is over a capacity moves down at the end of the call, least recently used
    /// first, as at the end of any call; the listener is told of what leaves cold by that. Where what is kept in hot is over the budget, what weighs nothing beside
    /// it moves down, too. The index has room for as many fragments as the snapshot shows; it shrinks later as any other, down to what
    /// [`expected_fragments`](Self::expected_fragments) asked for.
    ///
    /// The store is another one: [versions](crate::Version) of the snapshot are of no use in it. Its counters begin at zero, but for what moves down at the end of the call: that
    /// is counted as evicted, and as overflowed if it leaves cold. What hot holds is the first peak.
    ///
    /// # Errors
    ///
    /// [`RestoreError`] hands back the snapshot, and says why: [`RestoreRefusal`]. Nothing in a snapshot is taken for granted, wherever it comes from. The
    /// weigher is asked for each fragment, and has to say what the snapshot says: else a fragment could weigh more than the budget is told. After a change of
    /// the weigher, [`reweigh`](StoreSnapshot::reweigh) first.
    ///
    /// Where the listener panics the store is restored all the same, and the error has it: [`RestoreRefusal::ListenerPanicked`].
    ///
    /// # Linearization
    ///
    /// None: nobody else sees the store before it is returned.
    ///
    /// # Progress
    ///
    /// Expected O(n) for n fragments. The thread is pinned while they are put into the store, and not while the weigher, `Hash` and the listener run.
    ///
    /// # Panics
    ///
    /// Where the weigher, `Hash`, `Eq` or the clock does. The snapshot is dropped then: keep the file that it was read from.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{RestoreRefusal, Tier, TierStore};
    ///
    /// let builder = |budget| TierStore::<&str, &str>::builder(budget).weigher(|_, text| text.len() as u64);
    /// let store = builder(10).build()?;
    /// store.store("goal", "win")?;
    /// store.keep("goal")?;
    /// store.store("a", "12345")?;
    /// store.store("b", "1234567")?; // demotes "a"
    ///
    /// let error = builder(9).restore(store.snapshot()).unwrap_err();
    /// assert_eq!(error.reason, RestoreRefusal::OverBudget { bytes: 10, budget: 9 });
    ///
    /// let restored = builder(10).restore(*error.snapshot.expect("it is handed back"))?;
    /// assert_eq!(restored.tier_of("a"), Some(Tier::Warm));
    /// assert_eq!(restored.evict_lru(Tier::Hot).map(|evicted| evicted.key), Some("b"));
    /// assert!(restored.peek("goal").is_some_and(|goal| goal.kept));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(clippy::type_complexity, reason = "the error hands back what went in, or what came of it")]
    pub fn restore<S2>(
        mut self,
        snapshot: StoreSnapshot<K, V, S2>,
    ) -> Result<TierStore<K, V, S>, RestoreError<K, V, S, S2>> {
        let budget = self.settings.hot_budget;
        let refused = |reason, snapshot| Err(RestoreError { snapshot: Some(Box::new(snapshot)), store: None, reason });
        if budget > MAX_BYTES {
            return refused(RestoreRefusal::Build(BuildError::BudgetTooLarge { budget }), snapshot);
        }
        let bytes = snapshot.bytes(Tier::Hot);
        if bytes > MAX_BYTES || bytes > budget && bytes > snapshot.kept_in_hot() {
            return refused(RestoreRefusal::OverBudget { bytes, budget }, snapshot);
        }
        self.settings.hot_budget = budget.max(bytes);
        self.settings.restored_fragments = snapshot.len();
        let store = self.made();
        let snapshot = Guarded(ManuallyDrop::new(snapshot));
        if let Err(reason) = store.agrees_with(&snapshot.0) {
            return refused(reason, snapshot.into_inner());
        }
        let mut rest = Rest(snapshot.into_inner().into_oldest_last());
        let mut hashes: Vec<u64> = rest.0.items.iter().map(|item| store.hash(&item.key)).collect();
        let core = &store.core;
        // Before it is pinned.
        let now = if rest.0.deadlines.is_empty() && !core.has_lifetimes { None } else { Some(core.time.now()) };
        let view = View::for_an_owned_operation(&store);
        let mut operation = view.operation();
        while let (Some((tier, item, left)), Some(hash)) = (rest.next(), hashes.pop()) {
            let Item { key, value, weight, kept, version: _ } = item;
            let new = match now.filter(|_| left.is_some() || core.has_lifetimes) {
                Some(now) => {
                    let deadline = left.map_or(NEVER, |left| now.saturating_add(left));
                    Newcomer::aged(hash, key, value, weight, Age::starting_at(now, deadline), core)
                }
                None => Newcomer::new(hash, key, value, weight, core),
            };
            if let Err(reason) = operation.put(new, tier, kept) {
                return Err(RestoreError { snapshot: None, store: None, reason });
            }
        }
        store.core.budget.set_limit(budget);
        operation.finish();
        drop(operation);
        // The listener is told now.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(view))) {
            drops::quietly(|| drop(payload));
            let store = Some(Box::new(store));
            return Err(RestoreError { snapshot: None, store, reason: RestoreRefusal::ListenerPanicked });
        }
        Ok(store)
    }
}

/// What is not in the store yet.
struct Rest<K: 'static, V: 'static>(OldestLast<K, V>);

impl<K, V> Rest<K, V> {
    /// And how long it is until its deadline.
    fn next(&mut self) -> Option<(Tier, Item<K, V>, Option<u64>)> {
        let (tier, item) = (self.0.tiers.pop()?, self.0.items.pop()?);
        Some((tier, item, self.0.deadlines.of(self.0.items.len())))
    }
}

impl<K, V> Drop for Rest<K, V> {
    fn drop(&mut self) {
        for item in self.0.items.drain(..) {
            let mut item = ManuallyDrop::new(item);
            // SAFETY: not used after this.
            unsafe { drops::drop_in_place(&raw mut *item) };
        }
    }
}

/// A snapshot whose fragments are dropped as [`Rest`] does, unless it is taken out.
struct Guarded<K: 'static, V: 'static, S>(ManuallyDrop<StoreSnapshot<K, V, S>>);

impl<K, V, S> Guarded<K, V, S> {
    fn into_inner(self) -> StoreSnapshot<K, V, S> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: not used after this, nor dropped.
        unsafe { ManuallyDrop::take(&mut this.0) }
    }
}

impl<K, V, S> Drop for Guarded<K, V, S> {
    fn drop(&mut self) {
        // SAFETY: not used after this.
        let snapshot = unsafe { ManuallyDrop::take(&mut self.0) };
        drop(Rest(snapshot.into_oldest_last()));
    }
}

impl<K, V, S> TierStore<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Whether the weigher says what the snapshot says.
    fn agrees_with<S2>(&self, snapshot: &StoreSnapshot<K, V, S2>) -> Result<(), RestoreRefusal> {
        for (number, (_, item)) in snapshot.iter().enumerate() {
            let (shown, weighed) = (item.weight, self.weigh(&item.key, &item.value));
            if shown != weighed {
                return Err(RestoreRefusal::WeightDiffers { number, shown, weighed });
            }
        }
        Ok(())
    }
}

impl<K: Eq + Send + Sync + 'static, V: Send + Sync + 'static> Operation<'_, '_, K, V> {
    /// Puts a fragment into a tier, at the next tick. The operation is alone with the store.
    fn put(&mut self, new: Newcomer<K, V>, tier: Tier, is_kept: bool) -> Result<(), RestoreRefusal> {
        if tier == Tier::Hot && !self.reservation.try_grow_to(new.weight()) {
            // Not where the budget was found to be large enough.
            let budget = self.core.budget.limit();
            return Err(RestoreRefusal::OverBudget { bytes: new.weight(), budget });
        }
        self.bring(new, tier, is_kept)
    }
}
