//! The pinned view: lends what it reads, and pays the pin once.

use core::borrow::Borrow;
use core::cell::Cell;
use core::fmt;
use core::hash::{BuildHasher, Hash};
use std::vec;

use crossbeam_epoch::Guard;

use super::TierStore;
use super::condition::Always;
use super::error::{PromoteError, StoreError};
use super::outflow::Outflow;
use crate::engine::claim::Registration;
use crate::engine::node::Node;
use crate::engine::reclaim;
use crate::engine::stats::Stripe;
use crate::store::fragment::{Evicted, Fragment, Item, Moved, Stored};
use crate::tier::Tier;

/// A pinned view of a [`TierStore`]: its operations lend `&V` instead of cloning, and the cost of pinning is paid once.
///
/// From [`TierStore::pin`]. Each operation shows the store as it is at that instant; what was lent stays readable for as long
/// as the view is not dropped or [repinned](Self::repin), whatever becomes of the fragment meanwhile.
///
/// While a view lives, nothing that leaves any store of the process is freed (but for heavy values of other stores: see
/// [`HEAVY`](crate::HEAVY)). So drop it, or repin it, now and then; hold none
/// across a rayon join, an await or any other wait. Neither `Send` nor `Sync`.
///
/// The [listener](crate::Builder::listener) is told of what has left the store through a view when the view is repinned or dropped: after
/// the pin.
///
/// The operations are those of [`TierStore`], with their linearization points, progress and errors. The weigher and `Hash` run while pinned.
pub struct View<'s, K, V, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(super) store: &'s TierStore<K, V, S>,
    // Dropped in this order: the listener runs unpinned, and what it has had can be let go.
    pub(super) guard: Guard,
    /// The hash of the key that was used last.
    pub(super) recent: Cell<u64>,
    /// The counts of its thread, once they were asked for.
    pub(super) stripe: Cell<Option<Stripe<'s>>>,
    /// None for the length of an owned operation, which lends nothing out.
    _registration: Option<Registration<'s>>,
    pub(super) outflow: Delivery<'s, K, V, S>,
}

/// Tells the listener what has left when dropped.
pub(super) struct Delivery<'s, K, V, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    store: &'s TierStore<K, V, S>,
    pub(super) outflow: Outflow<K, V>,
}

impl<K, V, S> Delivery<'_, K, V, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn deliver(&self) {
        if !self.outflow.is_empty() {
            self.outflow.deliver(self.store.listener.as_ref(), &self.store.core);
        }
    }

    #[cold]
    #[inline(never)]
    fn deliver_at_last(&self) {
        self.deliver();
    }
}

impl<K, V, S> Drop for Delivery<'_, K, V, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    #[inline]
    fn drop(&mut self) {
        // Mostly there was nothing.
        if self.outflow.is_used() {
            self.deliver_at_last();
        }
    }
}

impl<'s, K, V, S> View<'s, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    #[inline]
    pub(super) fn new(store: &'s TierStore<K, V, S>) -> Self {
        // Counted before anything is read.
        Self::with(store, Some(store.core.views.register()))
    }

    /// One that must lend no value out, but claim what it reads: see [`crate::engine::claim`].
    #[inline]
    pub(super) fn for_an_owned_operation(store: &'s TierStore<K, V, S>) -> Self {
        Self::with(store, None)
    }

    #[inline]
    fn with(store: &'s TierStore<K, V, S>, registration: Option<Registration<'s>>) -> Self {
        let outflow = Delivery { store, outflow: Outflow::new() };
        Self {
            store,
            guard: crossbeam_epoch::pin(),
            recent: Cell::new(0),
            stripe: Cell::new(None),
            _registration: registration,
            outflow,
        }
    }

    /// Unpins and pins again, so that what has left the store can be freed, and tells the listener what has left through this view.
    ///
    /// Takes `&mut self`, so that nothing is lent out meanwhile.
    ///
    /// # Linearization
    ///
    /// None. Lock-free, but for the listener.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<u32, u32>::new(1024)?;
    /// let mut view = store.pin();
    /// for key in 0..10_000 {
    ///     view.store(key % 10, key)?;
    ///     if key % 100 == 99 {
    ///         view.repin();
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn repin(&mut self) {
        let outflow = &self.outflow;
        self.guard.repin_after(|| outflow.deliver());
    }

    /// As [`TierStore::store`], lending the replaced value.
    ///
    /// # Errors
    ///
    /// As [`TierStore::store`].
    ///
    /// # Linearization
    ///
    /// As [`TierStore::store`]; so are progress and panics.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<u32, String>::new(1024)?;
    /// let view = store.pin();
    /// view.store(1, "one".into())?;
    /// assert_eq!(view.store(1, "uno".into())?.replaced, Some(&"one".to_string()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn store(&self, key: K, value: V) -> Result<Stored<&V>, StoreError<K, V>> {
        // As `TierStore::store`: the value goes to its node at once.
        let (hash, weight) = (self.store.hash(&key), self.store.weigh(&key, &value));
        match self.store.built(hash, key, value, weight).and_then(|new| self.store_newcomer(new, Always)) {
            Ok(written) => Ok(written.report.map(Node::value)),
            Err(refused) => refused.hand_back(),
        }
    }

    /// As [`TierStore::get`], lending the value.
    ///
    /// # Linearization
    ///
    /// As [`TierStore::get`]; so is progress.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<u32, String>::new(1024)?;
    /// let view = store.pin();
    /// view.store(1, "one".into())?;
    /// let lent: &String = view.get(&1).expect("stored above").value;
    /// view.remove(&1);
    /// assert_eq!(lent, "one"); // still readable: the view is pinned
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<Fragment<&V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.get_hashed(self.store.hash(key), key)
    }

    /// As [`TierStore::peek`], lending the value.
    ///
    /// # Linearization
    ///
    /// As [`TierStore::peek`]; so is progress.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<u32, u32>::new(1024)?;
    /// let view = store.pin();
    /// view.store(1, 2)?;
    /// assert_eq!(view.peek(&1).map(|fragment| *fragment.value), Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn peek<Q>(&self, key: &Q) -> Option<Fragment<&V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.peek_hashed(self.store.hash(key), key).map(|found| found.map(Node::value))
    }

    /// As [`TierStore::contains`].
    ///
    /// # Linearization
    ///
    /// As [`TierStore::contains`]; so is progress.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<u32, u32>::new(1024)?;
    /// assert!(!store.pin().contains(&1));
    /// # Ok::<(), tierstack::BuildError>(())
    /// ```
    pub fn contains<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.peek(key).is_some()
    }

    /// As [`TierStore::tier_of`].
    ///
    /// # Linearization
    ///
    /// As [`TierStore::tier_of`]; so is progress.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<u32, u32>::new(1024)?;
    /// assert_eq!(store.pin().tier_of(&1), None);
    /// # Ok::<(), tierstack::BuildError>(())
    /// ```
    pub fn tier_of<Q>(&self, key: &Q) -> Option<Tier>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.peek(key).map(|fragment| fragment.tier)
    }

    /// As [`TierStore::promote`].
    ///
    /// # Errors
    ///
    /// As [`TierStore::promote`].
    ///
    /// # Linearization
    ///
    /// As [`TierStore::promote`]; so is progress.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::PromoteError;
    /// # let store = tierstack::TierStore::<u32, u32>::new(1024)?;
    /// assert_eq!(store.pin().promote(&1), Err(PromoteError::NotFound));
    /// # Ok::<(), tierstack::BuildError>(())
    /// ```
    pub fn promote<Q>(&self, key: &Q) -> Result<Moved, PromoteError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.promote_hashed(self.store.hash(key), key, |from| from.above().unwrap_or(Tier::Hot))
    }

    /// As [`TierStore::promote_to`].
    ///
    /// # Errors
    ///
    /// As [`TierStore::promote_to`].
    ///
    /// # Linearization
    ///
    /// As [`TierStore::promote_to`]; so is progress.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::Tier;
    /// # let store = tierstack::TierStore::<u32, u32>::new(1024)?;
    /// let view = store.pin();
    /// view.store(1, 1)?;
    /// view.demote_to(&1, Tier::Cold);
    /// assert_eq!(view.promote_to(&1, Tier::Hot)?.to, Tier::Hot);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn promote_to<Q>(&self, key: &Q, tier: Tier) -> Result<Moved, PromoteError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.promote_hashed(self.store.hash(key), key, |_| tier)
    }

    /// As [`TierStore::demote`].
    ///
    /// # Linearization
    ///
    /// As [`TierStore::demote`]; so is progress.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<u32, u32>::new(1024)?;
    /// assert_eq!(store.pin().demote(&1), None);
    /// # Ok::<(), tierstack::BuildError>(())
    /// ```
    pub fn demote<Q>(&self, key: &Q) -> Option<Moved>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.demote_hashed(self.store.hash(key), key, |from| from.below().unwrap_or(Tier::Cold))
    }

    /// As [`TierStore::demote_to`].
    ///
    /// # Linearization
    ///
    /// As [`TierStore::demote_to`]; so is progress.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::Tier;
    /// # let store = tierstack::TierStore::<u32, u32>::new(1024)?;
    /// assert_eq!(store.pin().demote_to(&1, Tier::Cold), None);
    /// # Ok::<(), tierstack::BuildError>(())
    /// ```
    pub fn demote_to<Q>(&self, key: &Q, tier: Tier) -> Option<Moved>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.demote_hashed(self.store.hash(key), key, |_| tier)
    }

    /// As [`TierStore::evict_lru`], lending key and value.
    ///
    /// # Linearization
    ///
    /// As [`TierStore::evict_lru`]; so is progress.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::Tier;
    /// # let store = tierstack::TierStore::<u32, u32>::new(1024)?;
    /// let view = store.pin();
    /// view.store(1, 1)?;
    /// assert_eq!(view.evict_lru(Tier::Hot).map(|evicted| *evicted.key), Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn evict_lru(&self, tier: Tier) -> Option<Evicted<&K, &V>> {
        self.evict(tier).map(|evicted| evicted.map(Node::value))
    }

    /// As [`TierStore::remove`], lending the value.
    ///
    /// # Linearization
    ///
    /// As [`TierStore::remove`]; so is progress.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<u32, u32>::new(1024)?;
    /// let view = store.pin();
    /// view.store(1, 2)?;
    /// assert_eq!(view.remove(&1).map(|fragment| *fragment.value), Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove<Q>(&self, key: &Q) -> Option<Fragment<&V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.remove_hashed(self.store.hash(key), key).map(|removed| removed.map(Node::value))
    }

    /// As [`TierStore::iter`], lending keys and values.
    ///
    /// # Linearization
    ///
    /// As [`TierStore::iter`]; so is progress.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::Tier;
    /// # let store = tierstack::TierStore::<u32, u32>::new(1024)?;
    /// let view = store.pin();
    /// view.store(1, 1)?;
    /// view.store(2, 2)?;
    /// assert!(view.iter(Tier::Hot).map(|item| *item.key).eq([2, 1]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self, tier: Tier) -> vec::IntoIter<Item<&K, &V>> {
        // Only where something has an age.
        let mut operation = None;
        let judge = |is_kept, node| operation.get_or_insert_with(|| self.operation()).judge(tier, is_kept, node);
        let items = self.store.core.scan(tier, judge, &self.guard);
        if let Some(operation) = operation {
            operation.end_look();
        }
        items.into_iter()
    }
}

impl<K, V, S> Drop for View<'_, K, V, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    #[inline]
    fn drop(&mut self) {
        reclaim::leave_nothing(&self.guard);
    }
}

impl<K, V, S> fmt::Debug for View<'_, K, V, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("View").field(self.store).finish()
    }
}
