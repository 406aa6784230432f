//! `store`: a new fragment, or an atomic replacement.
//!
//! # Steps
//!
//! Room is made, of which a hot predecessor's own bytes count as free. The new node is the storer's own: its word already says where it
//! will be, its entry is filled, and it is not published, so that evictions pass it by. Then
//!
//! - *Insert*, where the key has no live node: a CAS puts the node into the index cell. That is the linearization point.
//! - *Replace*, where it has one (the *predecessor*): a CAS of the predecessor's exact word → replaced by this node. That is the linearization
//!   point, and the word tells the exact tier that the predecessor has left, and whether it was kept: then this node is kept, too.
//!
//! Nothing takes effect hot without its bytes. Either the reservation covers them, or the predecessor's make up the difference: then they are there
//! if it was hot at the CAS. Where it has left hot before that, room is made again.
//!
//! Then the node is published, the predecessor's entry cleared, the index cell swung, and the change counted; the bytes that are too
//! much are given back.
//!
//! A store may ask something of what is there: that the key is absent, or that its fragment is that very one. See [`super::condition`].
//! What is refused at the first look has changed nothing. What is refused later may have made room, as a store does that is contended: what
//! was demoted for it stays demoted.
//!
//! # The successor's tick
//!
//! It is taken at the start, and another one at the CAS if the predecessor was moved above it meanwhile. So the tick of a key that is
//! replaced within a tier only rises, and who walks the tier from the oldest up does not miss it (see [`super::evict`]).
//!
//! While a node is not published its word and its entry may change, by its storer alone. From hot to warm it goes at its tick: nobody has had
//! it in warm at that tick. One that is to be kept may change its tier at its tick, as that is in its word alone. Anything else takes a new
//! tick: a cell that was cleared is not filled again, as somebody may have found the entry before.
//!
//! # Who may stall where
//!
//! Before the CAS the storer has changed nothing that anybody goes by. After it others find the fragment by the index or by its predecessor's word, and
//! publish the node. What the storer alone does is to count, and to give back bytes: those that it does not give back are
//! missing to others, who then answer that they were contended, and wait for nothing. Until the node is published and nobody has seen
//! it, evictions take the store to be still to come.
//!
//! # Panics
//!
//! The caller's `Eq` runs before the fill, or while the entry is of a node that is not published. If it panics, the entry is cleared and the
//! node retired. Nothing of the caller's runs between a lost CAS and the next.

use core::mem::forget;
use core::ops::Deref;
use core::ptr::NonNull;

use crossbeam_epoch::Guard;

use super::condition::Condition;
use super::core::Core;
use super::departure::Cause;
use super::error::{Refusal, RestoreRefusal, StoreError};
use super::evict::Room;
use super::operation::Operation;
use super::trace::Happened;
use crate::engine::age::{Age, NEVER};
use crate::engine::budget::Limit;
use crate::engine::entries::Entries;
use crate::engine::index::{Found, Inserted, Spot};
use crate::engine::node::Node;
use crate::engine::place::{List, Outcome, Place};
use crate::engine::stats::{Event, Stripe};
use crate::failpoint::{Step, reach};
use crate::store::fragment::Stored;
use crate::tier::Tier;

/// A fragment to store, with what the caller's functions said of it: a node that nobody has seen, and that has no tick.
pub struct Newcomer<K: 'static, V: 'static>(NonNull<Node<K, V>>);

impl<K: 'static, V: 'static> Newcomer<K, V> {
    #[inline]
    pub fn new(hash: u64, key: K, value: V, weight: u64, core: &Core<K, V>) -> Self
    where
        K: Send + Sync,
        V: Send + Sync,
    {
        if core.has_lifetimes {
            return Self::aged(hash, key, value, weight, core.age_until(NEVER), core);
        }
        Self(Node::build(hash, key, value, weight, &core.stats))
    }

    /// As [`Self::new`], with that age.
    #[cold]
    #[inline(never)]
    pub fn aged(hash: u64, key: K, value: V, weight: u64, age: Age, core: &Core<K, V>) -> Self
    where
        K: Send + Sync,
        V: Send + Sync,
    {
        Self(Node::build_aged(hash, key, value, weight, age, &core.stats))
    }

    fn into_node(self) -> NonNull<Node<K, V>> {
        let node = self.0;
        forget(self);
        node
    }

    /// Key and value, to hand them back.
    fn take_apart(self) -> (K, V) {
        // SAFETY: its own, and nobody else has ever seen it.
        unsafe { Node::take_apart(self.into_node()) }
    }
}

// SAFETY: nobody else has seen the node, which goes with its key and value.
unsafe impl<K: Send, V: Send> Send for Newcomer<K, V> {}

impl<K, V> Deref for Newcomer<K, V> {
    type Target = Node<K, V>;

    fn deref(&self) -> &Node<K, V> {
        // SAFETY: its own.
        unsafe { self.0.as_ref() }
    }
}

impl<K, V> Drop for Newcomer<K, V> {
    fn drop(&mut self) {
        // SAFETY: its own, and nobody else has ever seen it.
        unsafe { Node::free(self.0.as_ptr()) };
    }
}

/// A fragment that was not stored, and why.
pub struct NotStored<K: 'static, V: 'static, R> {
    pub new: Newcomer<K, V>,
    pub reason: R,
}

impl<K, V, R> NotStored<K, V, R> {
    /// As the caller has it. Of its own, as key and value are moved about on the stack here, where they may need much room.
    #[cold]
    #[inline(never)]
    pub fn hand_back<T, S: From<R>>(self) -> Result<T, StoreError<K, V, S>> {
        let (key, value) = self.new.take_apart();
        Err(StoreError { key, value, reason: self.reason.into() })
    }
}

/// Where a newcomer may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// Hot: the reservation (and a hot predecessor's bytes) cover it.
    Hot,
    /// Warm: it alone weighs more than the budget, by this look. What is answered is decided by another look, after it took effect.
    OverBudget(Limit),
    /// Warm: operations in flight hold the room.
    Contended,
    /// Warm: kept fragments hold the room.
    KeptOut,
}

impl Claim {
    const fn tier(self) -> Tier {
        match self {
            Self::Hot => Tier::Hot,
            Self::OverBudget(_) | Self::Contended | Self::KeptOut => Tier::Warm,
        }
    }
}

/// What was stored, and what with it.
pub struct Written<'g, K, V> {
    pub report: Stored<&'g Node<K, V>>,
    pub node: &'g Node<K, V>,
}

impl<'g, K: Eq + Send + Sync + 'static, V: Send + Sync + 'static> Operation<'_, 'g, K, V> {
    #[expect(clippy::inline_always, reason = "as its one caller")]
    #[inline(always)]
    pub fn store<C: Condition>(
        &mut self,
        new: Newcomer<K, V>,
        condition: C,
    ) -> Result<Written<'g, K, V>, NotStored<K, V, C::Refusal>> {
        let Some(tick) = self.core.other_tick(self.stripe) else {
            return Err(NotStored { new, reason: Refusal::ClockExhausted.into() });
        };
        let mut new = Newborn::new(new, tick, self.core, self.stripe, self.guard);
        let stored = match self.publish(&mut new, condition) {
            Ok(stored) => stored,
            Err(reason) => return Err(NotStored { new: new.give_up(), reason }),
        };
        let stripe = self.stripe;
        stripe.count(Event::Store);
        if stored.replaced.is_some() {
            stripe.count(Event::Replacement);
        }
        if stored.contended {
            stripe.count(Event::Contended);
        }
        let node = new.found();
        self.note(node, Happened::Stored { to: stored.tier, replaced: stored.replaced.is_some() });
        if stored.contended {
            self.note(node, Happened::Contended { tier: stored.tier });
        }
        self.finish();
        Ok(Written { report: stored, node })
    }

    fn publish<C: Condition>(
        &mut self,
        new: &mut Newborn<'_, 'g, K, V>,
        condition: C,
    ) -> Result<Stored<&'g Node<K, V>>, C::Refusal> {
        let (core, guard) = (self.core, self.guard);
        let (hash, weight) = (new.hash(), new.weight());
        if !core.index.can_hold(new.node) {
            return Err(Refusal::AddressTooHigh.into());
        }
        loop {
            let found = self.observe_spot(hash, |key| key == new.key());
            if let Some(((_, Place::ENDED), _)) = found {
                continue;
            }
            core.ask(condition, found.as_ref().map(|(found, _)| *found), guard)?;
            let Some(((old, place), spot)) = found else {
                // Of one that came and went again between two looks nothing is seen: a fragment may be demoted for which there was then room.
                let absent = || core.index.find(hash, |key| key == new.key(), guard).is_none();
                let Some(claim) = self.claim_room(new, weight, Some(weight), absent) else { continue };
                new.go_to(claim.tier(), false, 0)?;
                if core.index.insert(new.node, |key| key == new.key(), guard) == Inserted::Present {
                    // The key is there by now; what is reserved is kept for the next round.
                    continue;
                }
                new.is_found();
                reach(Step::Inserted);
                core.report(new, guard);
                new.publish();
                reach(Step::Published);
                self.reservation.hand_over();
                self.arrived(new.found(), claim.tier(), false);
                return Ok(self.stored(new, claim, false, None));
            };
            let own = if place.tier() == Some(Tier::Hot) { old.weight() } else { 0 };
            let need = weight.saturating_sub(own);
            // What takes the place of a kept one in hot, and is no heavier, takes no room from others.
            let is_kept_in_hot = place.is_kept() && place.tier() == Some(Tier::Hot);
            let beside = if is_kept_in_hot { (need > 0).then_some(need) } else { Some(weight) };
            let unmoved = || old.place.load().is_same_placement(place);
            let Some(claim) = self.claim_room(new, need, beside, unmoved) else { continue };
            if let Some(stored) = self.replace((old, place), spot.as_ref(), new, claim)? {
                return Ok(stored);
            }
        }
    }

    /// Brings a fragment of a key that the store does not have into a tier, at the next tick; the bytes of hot are reserved. For an operation that is alone with
    /// the store.
    pub(super) fn bring(&mut self, new: Newcomer<K, V>, tier: Tier, is_kept: bool) -> Result<(), RestoreRefusal> {
        let tick = self.core.other_tick(self.stripe).ok_or(Refusal::ClockExhausted)?;
        let mut new = Newborn::new(new, tick, self.core, self.stripe, self.guard);
        if !self.core.index.can_hold(new.node) {
            return Err(Refusal::AddressTooHigh.into());
        }
        new.go_to(tier, is_kept, 0)?;
        if self.core.index.insert(new.node, |key| key == new.key(), self.guard) == Inserted::Present {
            return Err(RestoreRefusal::KeyTwice);
        }
        new.is_found();
        new.publish();
        self.reservation.hand_over();
        self.arrived(new.found(), tier, is_kept);
        Ok(())
    }

    /// What to say of a fragment, after it took effect. It was too heavy only if it was so at that instant.
    fn stored(
        &self,
        new: &Node<K, V>,
        claim: Claim,
        kept: bool,
        replaced: Option<&'g Node<K, V>>,
    ) -> Stored<&'g Node<K, V>> {
        let contended = match claim {
            Claim::Hot | Claim::KeptOut => false,
            Claim::OverBudget(look) => !self.core.budget.was_below(new.weight(), look),
            Claim::Contended => true,
        };
        let kept_out = matches!(claim, Claim::KeptOut);
        Stored { tier: claim.tier(), version: self.core.version(new), replaced, contended, kept_out, kept }
    }

    /// Has `new` take the place of `old`, if that is alive, and hot where its bytes are counted on.
    fn replace(
        &mut self,
        (old, found_at): Found<'g, K, V>,
        spot: Option<&Spot<'g, K, V>>,
        new: &mut Newborn<'_, 'g, K, V>,
        claim: Claim,
    ) -> Result<Option<Stored<&'g Node<K, V>>>, Refusal> {
        let (core, guard) = (self.core, self.guard);
        let (tier, weight) = (claim.tier(), new.weight());
        let is_covered = tier != Tier::Hot || self.reservation.held() >= weight;
        let mut place = old.place.load();
        loop {
            let Some(from) = place.tier() else { return Ok(None) };
            if place != found_at && old.age().is_some() && !place.is_same_placement(found_at) {
                // In another tier it may be due.
                return Ok(None);
            }
            if !is_covered && from != Tier::Hot {
                // The predecessor, whose bytes were to make up the difference, has left hot: make room anew.
                return Ok(None);
            }
            let is_kept = place.is_kept();
            new.go_to(tier, is_kept, place.tick())?;
            // What leaves hot is counted with the bytes.
            if from == Tier::Hot {
                self.before_kept_leaves(old, from, is_kept);
            } else {
                self.before_departure(old, from, is_kept);
            }
            match old.place.replace(place, new.node) {
                Outcome::Lost(now) => {
                    if from == Tier::Hot {
                        self.no_kept_leaves(old, from, is_kept);
                    } else {
                        self.no_departure(old, from, is_kept);
                    }
                    place = now;
                }
                Outcome::Done(replaced) => {
                    self.has_left(old, from, Cause::Replaced);
                    new.is_found();
                    reach(Step::Committed);
                    core.report(old, guard);
                    new.publish();
                    reach(Step::Published);
                    core.clear_left(old, place, replaced, guard);
                    core.index.swing(spot, new.node, new.hash(), guard);
                    self.departed(old, from);
                    self.arrived(new.found(), tier, is_kept);
                    reach(Step::Left);
                    if from == Tier::Hot {
                        self.reservation.join(old.weight());
                    }
                    self.reservation.shrink_to(if tier == Tier::Hot { weight } else { 0 });
                    self.reservation.hand_over();
                    return Ok(Some(self.stored(new, claim, is_kept, Some(old))));
                }
            }
        }
    }

    /// Reserves `need` bytes for `new`, by demoting others if it must, where `beside` fits beside what is kept. `None`: the predecessor is not as
    /// it was when the need was reckoned, which `stands` tells.
    fn claim_room(
        &mut self,
        new: &Node<K, V>,
        need: u64,
        beside: Option<u64>,
        stands: impl Fn() -> bool,
    ) -> Option<Claim> {
        let spare = |other: &Node<K, V>| other.hash() == new.hash() && other.key() == new.key();
        loop {
            let look = self.core.budget.look();
            if new.weight() > look.bytes() {
                self.reservation.shrink_to(0);
                return Some(Claim::OverBudget(look));
            }
            match self.make_room(need, (new.weight(), beside), spare, &stands) {
                Room::Made => return Some(Claim::Hot),
                Room::Outdated => return None,
                Room::KeptOut => return Some(Claim::KeptOut),
                // Not where it is the budget that leaves no room by now.
                Room::Contended if new.weight() <= self.core.budget.limit() => return Some(Claim::Contended),
                // Too heavy, unless the budget has been raised again.
                Room::Contended | Room::OverBudget => {}
            }
        }
    }
}

/// A node on its way: its storer's own until it is found through the index.
struct Newborn<'c, 'g, K: Send + Sync + 'static, V: Send + Sync + 'static> {
    node: NonNull<Node<K, V>>,
    core: &'c Core<K, V>,
    stripe: Stripe<'c>,
    guard: &'g Guard,
    /// The order that holds it.
    entry: Option<List>,
    /// Whether an order has ever held it.
    was_in_order: bool,
    is_found: bool,
}

impl<'c, 'g, K: Send + Sync + 'static, V: Send + Sync + 'static> Newborn<'c, 'g, K, V> {
    fn new(new: Newcomer<K, V>, tick: u64, core: &'c Core<K, V>, stripe: Stripe<'c>, guard: &'g Guard) -> Self {
        let mut node = new.into_node();
        // SAFETY: nobody else has seen it.
        unsafe { node.as_mut() }.begin(tick);
        Self { node, core, stripe, guard, entry: None, was_in_order: false, is_found: false }
    }

    /// Has its word be in `tier`, kept or not, and its entry be there, at a tick above `floor`.
    #[inline]
    fn go_to(&mut self, tier: Tier, is_kept: bool, floor: u64) -> Result<(), Refusal> {
        debug_assert!(!self.is_found);
        let mut tick = self.last_use.peek();
        let list = if is_kept { List::Kept } else { List::Of(tier) };
        if tick <= floor || self.entry.is_some_and(|now| !Self::may_stay_at_its_tick(now, list)) {
            tick = self.core.other_tick(self.stripe).ok_or(Refusal::ClockExhausted)?;
            self.clear();
            self.last_use.prepare(tick);
        }
        let place = if is_kept { Place::fresh_kept(tier, tick) } else { Place::fresh(tier, tick) };
        if self.entry != Some(list) {
            self.clear();
            self.place.prepare(place);
            self.core.fill_ahead(self, (list, tick), self.guard);
            (self.entry, self.was_in_order) = (Some(list), true);
        } else if is_kept {
            // Its tier may be another, which the entry does not say.
            self.place.prepare(place);
        }
        Ok(())
    }

    /// Whether the entry may go from `now` to `list` at one tick: nobody has had it there before.
    fn may_stay_at_its_tick(now: List, list: List) -> bool {
        match (now, list) {
            (List::Of(now), List::Of(tier)) => now <= tier,
            (now, list) => now == list,
        }
    }

    fn clear(&mut self) {
        if let Some(list) = self.entry.take() {
            self.core.clear(self, (list, self.place.load().tick()), self.guard);
        }
    }

    /// From here on the node is the index's.
    fn is_found(&mut self) {
        self.is_found = true;
    }

    /// The node, which the index has had.
    fn found(&self) -> &'g Node<K, V> {
        debug_assert!(self.is_found);
        // SAFETY: it was put into the index under the guard, so that it is retired after that: it lives as long as the guard.
        unsafe { self.node.as_ref() }
    }

    fn give_up(mut self) -> Newcomer<K, V> {
        self.clear();
        let (node, was_in_order, guard) = (self.node, self.was_in_order, self.guard);
        forget(self);
        // SAFETY: made from a box; neither found nor published; its entry is cleared, and it is forgotten.
        Newcomer(if was_in_order { unsafe { Node::give_up(node, guard) } } else { node })
    }
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Deref for Newborn<'_, '_, K, V> {
    type Target = Node<K, V>;

    fn deref(&self) -> &Node<K, V> {
        // SAFETY: owned until it is found, and pinned for the while after that.
        unsafe { self.node.as_ref() }
    }
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Drop for Newborn<'_, '_, K, V> {
    /// Where it was not found, the caller's `Eq` panicked.
    fn drop(&mut self) {
        if self.is_found {
            return;
        }
        self.clear();
        let node = self.node.as_ptr();
        if self.was_in_order {
            // SAFETY: made from a box, in no index, and cleared from its order by this thread, which is pinned.
            unsafe { Node::retire(node, self.guard) };
        } else {
            // SAFETY: made from a box, and nobody else has ever seen it.
            unsafe { Node::free(node) };
        }
    }
}
