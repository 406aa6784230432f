//! What views and owned operations share: operations on a key that is hashed already, which hand out nodes or claims.

use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash};

use super::TierStore;
use super::condition::Condition;
use super::error::{PromoteError, Refusal, StoreError};
use super::operation::Operation;
use super::pin::Pin;
use super::view::View;
use super::write::{Newcomer, Written};
use crate::drops::drop_box;
use crate::engine::budget::MAX_BYTES;
use crate::engine::node::{Claim, Node};
use crate::engine::stats::Stripe;
use crate::store::fragment::{Evicted, Fragment, Moved};
use crate::tier::Tier;

impl<K, V, S> View<'_, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    pub(super) fn operation(&self) -> Operation<'_, '_, K, V> {
        Operation::new(&self.store.core, &self.outflow.outflow, &self.guard)
    }

    /// The thread's counts, which are looked up once.
    #[inline]
    fn stripe(&self) -> Stripe<'_> {
        if let Some(stripe) = self.stripe.get() {
            return stripe;
        }
        let stripe = self.store.core.stats.stripe();
        self.stripe.set(Some(stripe));
        stripe
    }

    pub(super) fn evict(&self, tier: Tier) -> Option<Evicted<&K, &Node<K, V>>> {
        self.operation().evict_lru(tier)
    }

    /// The value of a fragment that an operation of this view has ended, and that is asked for once.
    pub(super) fn take(&self, ended: &Node<K, V>) -> V
    where
        V: Clone,
    {
        if ended.is_claimed() && self.store.core.views.none() {
            // SAFETY: ended under this pin, and no view can read it: see `crate::engine::claim`.
            unsafe { ended.take_or_clone() }
        } else {
            ended.value().clone()
        }
    }

    pub(super) fn enforce_hot_budget(&self) -> usize {
        self.operation().finish()
    }

    pub(super) fn store_newcomer<C: Condition>(
        &self,
        new: Newcomer<K, V>,
        condition: C,
    ) -> Result<Written<'_, K, V>, StoreError<K, V, C::Refusal>> {
        self.operation().store(new, condition)
    }

    #[inline]
    pub(super) fn get_hashed<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<Fragment<&V>>
    where
        K: Borrow<Q>,
    {
        let is_again = self.recent.replace(hash) == hash;
        self.store.core.get(hash, |other| other.borrow() == key, is_again, || self.stripe(), &self.guard)
    }

    /// As [`Self::get_hashed`], counting no miss.
    pub(super) fn use_hashed<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<Fragment<&V>>
    where
        K: Borrow<Q>,
    {
        let is_again = self.recent.replace(hash) == hash;
        self.store.core.use_lent(hash, |other| other.borrow() == key, is_again, || self.stripe(), &self.guard)
    }

    #[inline]
    pub(super) fn peek_hashed<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<Fragment<&Node<K, V>>>
    where
        K: Borrow<Q>,
    {
        self.store.core.peek(hash, |other| other.borrow() == key, &self.guard)
    }

    pub(super) fn promote_hashed<Q: Eq + ?Sized>(
        &self,
        hash: u64,
        key: &Q,
        target: impl Fn(Tier) -> Tier,
    ) -> Result<Moved, PromoteError>
    where
        K: Borrow<Q>,
    {
        self.operation().promote(hash, |other| other.borrow() == key, target)
    }

    pub(super) fn demote_hashed<Q: Eq + ?Sized>(
        &self,
        hash: u64,
        key: &Q,
        target: impl Fn(Tier) -> Tier,
    ) -> Option<Moved>
    where
        K: Borrow<Q>,
    {
        self.operation().demote(hash, |other| other.borrow() == key, target)
    }

    pub(super) fn remove_hashed<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<Fragment<&Node<K, V>>>
    where
        K: Borrow<Q>,
    {
        self.operation().remove(hash, |other| other.borrow() == key)
    }
}

impl<K, V, S> TierStore<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Hashes and weighs: all that is asked of the caller's functions but `Eq`.
    pub(super) fn newcomer(&self, key: K, value: V) -> Result<Newcomer<K, V>, StoreError<K, V>> {
        let hash = self.hash(&key);
        self.weighed(hash, key, value)
    }

    /// As [`Self::newcomer`], of a key that is hashed.
    pub(super) fn weighed(&self, hash: u64, key: K, value: V) -> Result<Newcomer<K, V>, StoreError<K, V>> {
        let weight = self.weigh(&key, &value);
        if weight > MAX_BYTES {
            return Err(StoreError { key, value, reason: Refusal::TooHeavy { weight } });
        }
        Ok(Newcomer { key, value, hash, weight })
    }

    /// A clone of the value, and no use.
    pub(super) fn peek_owned<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<Fragment<V>>
    where
        K: Borrow<Q>,
        V: Clone,
    {
        let pin = Pin::new();
        let (found, left) = read(self.core.peek_claimed(hash, |other| other.borrow() == key, pin.guard())?);
        drop(pin);
        drop_left(left);
        Some(found)
    }

    /// A clone of the value, and a use; nothing else is counted.
    pub(super) fn use_owned<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<Fragment<V>>
    where
        K: Borrow<Q>,
        V: Clone,
    {
        let pin = Pin::new();
        let (found, left) = read(self.core.use_claimed(hash, |other| other.borrow() == key, pin.guard())?);
        drop(pin);
        drop_left(left);
        Some(found)
    }
}

/// Clones a claimed value, and ends the claim; with it the value itself, if it was left to this operation to drop.
#[inline]
pub fn read<K: 'static, V: Clone + 'static>(found: Fragment<Claim<'_, K, V>>) -> (Fragment<V>, Option<Box<V>>) {
    let Fragment { value: claim, tier, weight, version } = found;
    let value = claim.node().value().clone();
    (Fragment { value, tier, weight, version }, claim.end())
}

/// After the pin.
#[inline]
pub fn drop_left<V: 'static>(left: Option<Box<V>>) {
    if let Some(value) = left {
        drop_box(value);
    }
}
