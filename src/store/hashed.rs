//! What views and owned operations share: operations on a key that is hashed already, which hand out nodes or claims.

use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash};
use core::mem::MaybeUninit;
use std::time::Instant;

use super::TierStore;
use super::condition::{Always, Condition};
use super::departure::Cause;
use super::error::{KeepError, PromoteError, Refusal, StoreError};
use super::operation::Operation;
use super::pin::Pin;
use super::view::View;
use super::write::{Newcomer, NotStored, Written};
use crate::drops::drop_box;
use crate::engine::budget::MAX_BYTES;
use crate::engine::node::{Claim, Node};
use crate::engine::stats::Stripe;
use crate::store::fragment::{Enforced, Evicted, Fragment, Kept, Moved, Stored};
use crate::tier::Tier;

/// The size of a value's type above which it is kept off the stack where it would stand there beside others of its kind.
const LARGE: usize = 4 << 10;

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
    pub(super) fn stripe(&self) -> Stripe<'_> {
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
    pub(super) fn take(&self, ended: &Node<K, V>, cause: Cause) -> V
    where
        V: Clone,
    {
        if ended.is_claimed() && !self.store.core.told.contain(cause) && self.store.core.views.none() {
            // SAFETY: ended under this pin, and no view can read it: see `crate::engine::claim`.
            unsafe { ended.take_or_clone() }
        } else {
            ended.value().clone()
        }
    }

    pub(super) fn enforce_hot_budget(&self) -> Enforced {
        self.operation().finish()
    }

    #[expect(clippy::inline_always, reason = "it is one operation with what it calls, as a rule with one caller")]
    #[inline(always)]
    pub(super) fn store_newcomer<C: Condition>(
        &self,
        new: Newcomer<K, V>,
        condition: C,
    ) -> Result<Written<'_, K, V>, NotStored<K, V, C::Refusal>> {
        self.operation().store(new, condition)
    }

    /// Whether a condition holds, before anything is made for a store that depends on it: what is refused here costs nothing.
    pub(super) fn look<C: Condition>(&self, hash: u64, key: &K, condition: C) -> Result<(), C::Refusal> {
        let core = &self.store.core;
        let found = core.find_plain(hash, |other| other == key, &self.guard);
        let found = found.or_else(|| self.observe_further(hash, key));
        core.ask(condition, found, &self.guard)
    }

    /// As [`Self::take`], of what was replaced.
    pub(super) fn take_replaced(&self, ended: &Node<K, V>) -> V
    where
        V: Clone,
    {
        self.take(ended, Cause::Replaced)
    }

    /// The same, and not through the stack.
    fn take_boxed(&self, ended: &Node<K, V>) -> Box<V>
    where
        V: Clone,
    {
        let mut taken = Box::<MaybeUninit<V>>::new_uninit();
        taken.write(MaybeUninit::new(self.take_replaced(ended)));
        // SAFETY: written above.
        unsafe { taken.assume_init().assume_init() }
    }

    #[inline]
    pub(super) fn get_hashed<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<Fragment<&V>>
    where
        K: Borrow<Q>,
    {
        let is_again = self.recent.replace(hash) == hash;
        match self.store.core.use_lent(hash, |other| other.borrow() == key, is_again, || self.stripe(), &self.guard) {
            Some(found) => Some(found),
            None => self.get_further(hash, key),
        }
    }

    /// As [`Self::get_hashed`], counting no miss.
    pub(super) fn use_hashed<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<Fragment<&V>>
    where
        K: Borrow<Q>,
    {
        let is_again = self.recent.replace(hash) == hash;
        match self.store.core.use_lent(hash, |other| other.borrow() == key, is_again, || self.stripe(), &self.guard) {
            Some(found) => Some(found),
            None => self.read_further(hash, key, true).map(|found| found.map(Node::value)),
        }
    }

    #[inline]
    pub(super) fn peek_hashed<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<Fragment<&Node<K, V>>>
    where
        K: Borrow<Q>,
    {
        match self.store.core.peek(hash, |other| other.borrow() == key, &self.guard) {
            Some(found) => Some(found),
            None => self.read_further(hash, key, false),
        }
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

    pub(super) fn keep_hashed<Q: Eq + ?Sized>(&self, hash: u64, key: &Q, is_kept: bool) -> Result<Kept, KeepError>
    where
        K: Borrow<Q>,
    {
        self.operation().keep(hash, |other| other.borrow() == key, is_kept)
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
    /// The hash and the weight of what is to be stored, unless that is too heavy for any store.
    pub(super) fn measure(&self, key: &K, value: &V) -> Result<(u64, u64), Refusal> {
        let (hash, weight) = (self.hash(key), self.weigh(key, value));
        if weight > MAX_BYTES { Err(Refusal::TooHeavy { weight }) } else { Ok((hash, weight)) }
    }

    /// A fragment to store, of what was hashed and weighed: that is all that is asked of the caller's functions, but `Eq`.
    #[inline]
    pub(super) fn built(
        &self,
        hash: u64,
        key: K,
        value: V,
        weight: u64,
    ) -> Result<Newcomer<K, V>, NotStored<K, V, Refusal>> {
        // What is too heavy is built, too: it is handed back in one place.
        Self::unless_too_heavy(Newcomer::new(hash, key, value, weight.min(MAX_BYTES), &self.core), weight)
    }

    /// As [`Self::built`], with that deadline.
    pub(super) fn built_until(
        &self,
        key: K,
        value: V,
        deadline: Instant,
    ) -> Result<Newcomer<K, V>, NotStored<K, V, Refusal>> {
        let (core, hash, weight) = (&self.core, self.hash(&key), self.weigh(&key, &value));
        let age = core.age_until(core.time.at(deadline));
        Self::unless_too_heavy(Newcomer::aged(hash, key, value, weight.min(MAX_BYTES), age, core), weight)
    }

    #[inline]
    fn unless_too_heavy(new: Newcomer<K, V>, weight: u64) -> Result<Newcomer<K, V>, NotStored<K, V, Refusal>> {
        if weight > MAX_BYTES { Err(NotStored { new, reason: Refusal::TooHeavy { weight } }) } else { Ok(new) }
    }

    /// The rest of an owned `store`.
    pub(super) fn store_newcomer(&self, new: Newcomer<K, V>) -> Result<Stored<V>, StoreError<K, V>>
    where
        V: Clone,
    {
        let view = View::for_an_owned_operation(self);
        match view.store_newcomer(new, Always) {
            Ok(Written { report: Stored { tier, version, replaced, contended, kept_out, kept }, .. }) => {
                // Before the end of the block: were a listener to panic there, what is to be returned would not be dropped.
                if const { size_of::<V>() > LARGE } {
                    let replaced = replaced.map(|replaced| view.take_boxed(replaced));
                    drop(view);
                    return Ok(unboxed(Stored { tier, version, replaced, contended, kept_out, kept }));
                }
                let replaced = replaced.map(|replaced| view.take_replaced(replaced));
                drop(view);
                Ok(Stored { tier, version, replaced, contended, kept_out, kept })
            }
            Err(refused) => {
                drop(view);
                refused.hand_back()
            }
        }
    }

    /// A clone of the value, and no use.
    pub(super) fn peek_owned<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<Fragment<V>>
    where
        K: Borrow<Q>,
        V: Clone,
    {
        let pin = Pin::new();
        let Some(claimed) = self.core.peek_claimed(hash, |other| other.borrow() == key, pin.guard()) else {
            drop(pin);
            return self.read_further(hash, key, false);
        };
        let (found, left) = read(claimed);
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
        let Some(claimed) = self.core.use_claimed(hash, |other| other.borrow() == key, pin.guard()) else {
            drop(pin);
            return self.read_further(hash, key, true);
        };
        let (found, left) = read(claimed);
        drop(pin);
        drop_left(left);
        Some(found)
    }
}

/// Clones a claimed value, and ends the claim; with it the value itself, if it was left to this operation to drop.
#[inline]
pub fn read<K: 'static, V: Clone + 'static>(found: Fragment<Claim<'_, K, V>>) -> (Fragment<V>, Option<Box<V>>) {
    let Fragment { value: claim, tier, kept, weight, version } = found;
    let value = claim.node().value().clone();
    (Fragment { value, tier, kept, weight, version }, claim.end())
}

/// After the pin.
#[inline]
pub fn drop_left<V: 'static>(left: Option<Box<V>>) {
    if let Some(value) = left {
        drop_box(value);
    }
}

/// In a call of its own, which has nothing else on the stack.
#[inline(never)]
fn unboxed<V>(stored: Stored<Box<V>>) -> Stored<V> {
    stored.map(|replaced| *replaced)
}
