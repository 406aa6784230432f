//! Expiry: how operations see fragments that have an age, and end those that are due. The protocol stands at the head of [`crate::engine::age`].
//!
//! An operation that changes the store [observes](Operation::observe) its key: what is due it ends first, and looks again. A read of a node that is not
//! plain becomes such an operation. So nothing here is on the way of fragments without an age.
//!
//! Whoever walks an order and meets a fragment that is due ends it, too: evictions, so that its bytes are free before anything is demoted for them; iterations; and snapshots, which are
//! taken again then.

use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash};

use crossbeam_epoch::Guard;

use super::TierStore;
use super::core::Core;
use super::departure::Cause;
use super::hashed::{drop_left, read};
use super::operation::Operation;
use super::picture::Shown;
use super::trace::Happened;
use super::view::View;
use crate::engine::age::{self, Age, Look, Ripe};
use crate::engine::entries::{Entries, Met};
use crate::engine::index::{Found, FoundAt};
use crate::engine::node::{Claim, Node};
use crate::engine::place::{List, Outcome, Place};
use crate::engine::reports::Tiers;
use crate::engine::stats::Event;
use crate::failpoint::{Step, reach};
use crate::store::fragment::Fragment;
use crate::tier::Tier;

/// What an iteration finds of a fragment that it has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It is not due as it was met.
    Stands,
    /// It was due, and is ended.
    Expired,
    /// It was due, and others have used, kept, moved or ended it: it is to be met again.
    Unsure,
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Core<K, V> {
    /// The age of a fragment that is stored now.
    #[cold]
    pub(super) fn age_until(&self, deadline: u64) -> Age {
        Age::starting_at(self.time.now(), deadline)
    }

    /// Whether the key has a fragment that is not due, for who ends nothing.
    pub(super) fn stands(&self, hash: u64, is_key: impl Fn(&K) -> bool, guard: &Guard) -> bool {
        let Some((node, _)) = self.index.find(hash, is_key, guard) else { return false };
        self.see(node, guard);
        self.report(node, guard);
        let now = if node.age().is_some() { self.time.now() } else { 0 };
        matches!(age::look(node, &self.time.lifetimes, now), Look::Here(_))
    }
}

impl<'g, K: Send + Sync + 'static, V: Send + Sync + 'static> Operation<'_, 'g, K, V> {
    /// The node of a key, and its word: what every change of a key starts from. It is not due. Whoever answers from what is found, and not from a CAS of its
    /// own, [reports](Entries::report) it. That the key is absent is reported here.
    ///
    /// If the word is dead the key is to be observed again: its fragment was due, or has ended.
    #[inline]
    pub(super) fn observe(&mut self, hash: u64, is_key: impl Fn(&K) -> bool) -> Option<Found<'g, K, V>> {
        let (node, place) = self.core.index.find(hash, is_key, self.guard)?;
        Some((node, if node.is_plain() { place } else { self.admit(node) }))
    }

    /// As [`Self::observe`]; and the index cell that led there.
    #[inline]
    pub(super) fn observe_spot(&mut self, hash: u64, is_key: impl Fn(&K) -> bool) -> Option<FoundAt<'g, K, V>> {
        let ((node, place), spot) = self.core.index.find_spot(hash, is_key, self.guard)?;
        Some(((node, if node.is_plain() { place } else { self.admit(node) }), spot))
    }

    /// The word of a node that the index leads to. What is due is ended; then the word is dead.
    #[cold]
    #[inline(never)]
    fn admit(&mut self, node: &'g Node<K, V>) -> Place {
        self.core.see(node, self.guard);
        let now = if node.age().is_some() { self.now() } else { 0 };
        match age::look(node, &self.core.time.lifetimes, now) {
            Look::Here(place) => return place,
            Look::Ended => {}
            // Where it was used meanwhile it is looked at again.
            Look::Due => _ = self.expire(node),
        }
        Place::ENDED
    }

    /// The time of this operation.
    ///
    /// Where the clock panics it is not asked again, by what the operation still has to see to when it is dropped: that goes by the beginning of time.
    fn now(&mut self) -> u64 {
        if self.now.is_none() {
            self.now = Some(0);
            self.now = Some(self.core.time.now());
        }
        self.now.unwrap_or_default()
    }

    /// Before a CAS that gives a fragment a fresh tick, and so uses it.
    #[inline]
    pub(super) fn raise_age(&mut self, node: &Node<K, V>) {
        if let Some(age) = node.age() {
            age.raise(self.now());
        }
    }

    /// Ends a published fragment, if it still is due. Bytes of hot are this operation's then.
    #[cold]
    pub(super) fn expire(&mut self, node: &'g Node<K, V>) -> bool {
        let (core, guard, now) = (self.core, self.guard, self.now());
        while let Ripe::End(place, tier) = age::ripen(core, node, &core.time.lifetimes, now, guard) {
            self.before_departure(node, tier, false);
            reach(Step::Uncounted);
            match node.place.remove(place) {
                Outcome::Lost(_) => self.no_departure(node, tier, false),
                Outcome::Done(removed) => {
                    (self.has_expired, self.has_made_way) = (true, true);
                    self.outflow.push(node, tier, Cause::Expired);
                    reach(Step::Removed);
                    core.report(node, guard);
                    core.clear_left(node, place, removed, guard);
                    core.index.tidy(node.hash(), guard);
                    self.departed(node, tier);
                    self.take_over_bytes(node, tier);
                    self.stripe.count(Event::Expiry);
                    self.note(node, Happened::Expired { from: tier });
                    return true;
                }
            }
        }
        false
    }

    /// A read of a key by the long way: a look, or a use, of its fragment. `claim` is asked before it is used; where that is refused it is looked up again.
    ///
    /// Lock-free: each round is paid for by a fragment that has ended.
    pub(super) fn read<C>(
        mut self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        is_use: bool,
        claim: impl Fn(&'g Node<K, V>) -> Option<C>,
    ) -> Option<Fragment<C>> {
        let found = loop {
            let Some((node, place)) = self.observe(hash, &is_key) else { break None };
            if place.tier().is_none() {
                continue;
            }
            self.core.report(node, self.guard);
            let Some(claimed) = claim(node) else { continue };
            if !is_use || self.note_use(node, place) {
                break self.core.fragment(node, place).map(|found| found.map(|_| claimed));
            }
        };
        self.end_look();
        found
    }

    /// Ends an operation that has changed nothing, but perhaps ended what was due, or was about to.
    pub(super) fn end_look(mut self) {
        if self.has_expired || self.is_to_look_again {
            self.finish();
        } else {
            self.owes_nothing();
        }
    }

    /// Notes a use of a fragment that is not due; whether it was alive at the end.
    fn note_use(&mut self, node: &Node<K, V>, place: Place) -> bool {
        let (core, stripe) = (self.core, self.stripe);
        let Some(age) = node.age().filter(|_| core.has_lifetimes) else {
            core.touch(node, place, true, || stripe);
            return true;
        };
        age.raise(self.now());
        reach(Step::Aged);
        if core.is_to_be_left(node, place) && node.place.load().is_touched() || core.is_latest(node, place) {
            stripe.count(Event::QuietHit);
            return true;
        }
        let Some(tick) = core.clock.tick() else {
            // No tick is left to order this use by.
            stripe.count(Event::QuietHit);
            return true;
        };
        let is_alive = node.note_use(tick);
        if !is_alive {
            // A hit is counted by its tick.
            stripe.count(Event::OtherTick);
        }
        is_alive
    }

    /// Ends all that is due in a tier; how many that were.
    pub(super) fn purge(&mut self, tier: Tier) -> usize {
        let (core, guard) = (self.core, self.guard);
        let (list, end) = (List::Of(tier), core.clock.now());
        let mut cursor = core.order(list).cursor(guard);
        let mut purged = 0;
        while let Some((tick, node)) = cursor.here(&core.clock).filter(|(tick, _)| *tick < end) {
            match Met::at(node, (list, tick)) {
                Met::Perishable(_) => purged += usize::from(self.has_perished(node)),
                Met::Over(place) => core.clear_stale(node, place, (list, tick), guard),
                Met::Unpublished | Met::NotYet(_) | Met::Here(_) => {}
            }
            cursor.pass(tick);
        }
        purged
    }

    /// Ends a fragment with an age that was met in an order, if it is due; whether this call did.
    #[cold]
    #[inline(never)]
    pub(super) fn has_perished(&mut self, node: &'g Node<K, V>) -> bool {
        let now = self.now();
        age::look(node, &self.core.time.lifetimes, now) == Look::Due && self.expire(node)
    }
}

impl<'g, K: Send + Sync + 'static, V: Send + Sync + 'static> Operation<'_, 'g, K, V> {
    /// Judges a fragment that an iteration has met in that tier, kept or not. What is not due as it was met is listed, whatever has become of it: of a key whose
    /// fragment was replaced behind the walk the successor was not met.
    pub(super) fn judge(&mut self, tier: Tier, is_kept: bool, node: &'g Node<K, V>) -> Judged {
        let Some(age) = node.age() else { return Judged::Stands };
        let now = self.now();
        if !self.core.time.lifetimes.is_due_in(tier, is_kept, age, age.used(), now) {
            return Judged::Stands;
        }
        if self.expire(node) { Judged::Expired } else { Judged::Unsure }
    }

    /// What stands in the tiers at one instant, without what is due when this call reads the time.
    ///
    /// A use that comes after the picture's instant may be seen. It has read an earlier time than this call, and so before it, unless the clock goes back.
    ///
    /// What a picture shows and is due is ended, and the next is taken. Lock-free: each further round is paid for by a fragment that has ended, moved or been used.
    fn picture(&mut self, tiers: Tiers) -> Vec<Shown<'g, K, V>> {
        let (core, guard, now) = (self.core, self.guard, self.now());
        loop {
            let shown = core.picture(tiers, guard);
            let mut is_true = true;
            for Shown { tier, kept, node, .. } in &shown {
                if let Some(age) = node.age()
                    && core.time.lifetimes.is_due_in(*tier, *kept, age, age.used(), now)
                {
                    self.expire(node);
                    is_true = false;
                }
            }
            if is_true {
                return shown;
            }
        }
    }
}

impl<K, V, S> View<'_, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// What stands in the tiers at one instant: see [`Core::picture`].
    pub(super) fn picture(&self, tiers: Tiers) -> Vec<Shown<'_, K, V>> {
        let core = &self.store.core;
        if !core.time.is_used() {
            let shown = core.picture(tiers, &self.guard);
            // Else something with an age has come meanwhile, which may be due.
            if !core.time.is_used() {
                return shown;
            }
        }
        let mut operation = self.operation();
        let shown = operation.picture(tiers);
        operation.end_look();
        shown
    }

    /// A read that has found no plain fragment.
    #[inline]
    pub(super) fn read_further<Q: Eq + ?Sized>(&self, hash: u64, key: &Q, is_use: bool) -> Option<Fragment<&Node<K, V>>>
    where
        K: Borrow<Q>,
    {
        if self.store.core.time.is_used() { self.read_aged(hash, key, is_use) } else { None }
    }

    #[cold]
    #[inline(never)]
    fn read_aged<Q: Eq + ?Sized>(&self, hash: u64, key: &Q, is_use: bool) -> Option<Fragment<&Node<K, V>>>
    where
        K: Borrow<Q>,
    {
        self.operation().read(hash, |other| other.borrow() == key, is_use, Some)
    }

    /// As [`Self::read_further`], of a `get`.
    #[inline]
    pub(super) fn get_further<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<Fragment<&V>>
    where
        K: Borrow<Q>,
    {
        let found = self.read_further(hash, key, true);
        if found.is_none() {
            self.stripe().count(Event::Miss);
        }
        found.map(|found| found.map(Node::value))
    }

    /// What a condition is asked of, where nothing plain was found.
    #[inline]
    pub(super) fn observe_further(&self, hash: u64, key: &K) -> Option<Found<'_, K, V>> {
        if self.store.core.time.is_used() { self.observe_aged(hash, key) } else { None }
    }

    #[cold]
    #[inline(never)]
    fn observe_aged(&self, hash: u64, key: &K) -> Option<Found<'_, K, V>> {
        let mut operation = self.operation();
        let found = loop {
            let found = operation.observe(hash, |other| other == key);
            if found.is_none_or(|(_, place)| place.tier().is_some()) {
                break found;
            }
        };
        operation.end_look();
        found
    }
}

impl<K, V, S> TierStore<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// As [`View::read_further`], of an operation that is not pinned.
    #[inline]
    pub(super) fn read_further<Q: Eq + ?Sized>(&self, hash: u64, key: &Q, is_use: bool) -> Option<Fragment<V>>
    where
        K: Borrow<Q>,
        V: Clone,
    {
        if self.core.time.is_used() { self.read_aged(hash, key, is_use) } else { None }
    }

    #[cold]
    #[inline(never)]
    fn read_aged<Q: Eq + ?Sized>(&self, hash: u64, key: &Q, is_use: bool) -> Option<Fragment<V>>
    where
        K: Borrow<Q>,
        V: Clone,
    {
        let view = View::for_an_owned_operation(self);
        let found = view.operation().read(hash, |other| other.borrow() == key, is_use, Claim::of);
        let (found, left) = read(found?);
        drop(view);
        drop_left(left);
        Some(found)
    }

    /// As [`Self::read_further`], of a `get`.
    #[inline]
    pub(super) fn get_further<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<Fragment<V>>
    where
        K: Borrow<Q>,
        V: Clone,
    {
        let found = self.read_further(hash, key, true);
        if found.is_none() {
            self.core.stats.count(Event::Miss);
        }
        found
    }

    /// As [`Self::read_further`], of the tier alone.
    #[inline]
    pub(super) fn tier_of_further<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<Tier>
    where
        K: Borrow<Q>,
    {
        if !self.core.time.is_used() {
            return None;
        }
        View::for_an_owned_operation(self).read_further(hash, key, false).map(|found| found.tier)
    }
}
