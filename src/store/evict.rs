//! Eviction: the least recently used fragment of a tier moves down, or out of cold; and what is built on it.
//!
//! # One eviction
//!
//! Reads the oldest entry of the tier's order, then the node's word, then, by a read-modify-write, its last use:
//!
//! - The word names another placement: the entry is stale. What became of the node is listed, and the entry cleared.
//! - The last use is above the tick: the node is re-listed at its last use's own tick, which nobody else can want. The old entry
//!   goes after the new one is listed.
//! - Otherwise a CAS on the exact word moves it down with its tick, or removes it from cold: the linearization point. A `get` that
//!   returned before made the word another or its last use seen (see [`super::read`]), so that the CAS fails or is not tried.
//!
//! After each of these the bits are read again, from the oldest. "Empty" is answered only after a pass over the whole order
//! that found nothing. So no fragment that stood in the tier, older and unused, from the start of the call to the move is passed
//! over: its entry, or the one that it was re-listed at before the older went, was in the way.
//!
//! A stalled evictor has at most moved a node without listing it: whoever meets the stale entry, or the key, lists it.

use crossbeam_epoch::Guard;

use super::core::Core;
use super::outflow::Outflow;
use crate::budget::Reservation;
use crate::failpoint::{Step, reach};
use crate::fragment::Evicted;
use crate::metrics::Event;
use crate::node::{Node, NodeRef};
use crate::place::Outcome;
use crate::tier::Tier;

/// On whose account a fragment is evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The caller wants room, or asked for it by name.
    Asked,
    /// The tier is over its capacity: claim first.
    OverCapacity,
}

/// Whether room was made for a newcomer to hot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// The reservation covers it.
    Made,
    /// At an instant of the call it did not fit, and no other hot fragment was there to demote. Nothing is held.
    Contended,
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Core<K, V> {
    /// Moves the least recently used fragment of `tier`, other than those that `spare` names, one tier down or out, and counts
    /// it. A hot fragment's bytes are the caller's then, to reserve or to release.
    fn evict_one<'g>(
        &self,
        tier: Tier,
        cause: Cause,
        spare: impl Fn(&Node<K, V>) -> bool,
        outflow: &Outflow<K, V>,
        guard: &'g Guard,
    ) -> Option<&'g Node<K, V>> {
        let mut from = 0;
        loop {
            let (tick, node) = self.order(tier).first_from(from, &self.clock, guard)?;
            let place = node.place.load();
            if !place.is_at(tier, tick) {
                self.settle_after(node, Some((tier, tick)), guard);
                continue;
            }
            if !place.is_listed() {
                self.settle_after(node, None, guard);
                continue;
            }
            if spare(node) {
                from = tick + 1;
                continue;
            }
            let last_use = node.last_use.confirm();
            if last_use > tick {
                if let Outcome::Done(_) = node.place.relist(place, tier, last_use) {
                    reach(Step::Moved);
                    self.settle_after(node, Some((tier, tick)), guard);
                }
                continue;
            }
            let claimed = cause == Cause::OverCapacity;
            if claimed {
                if !self.census(tier).claim(node.weight()) {
                    return None;
                }
                reach(Step::Claimed);
            }
            // What is pushed out of cold is handed to the hook after it may have been retired.
            let keep = if claimed && tier == Tier::Cold { NodeRef::new(node) } else { None };
            let outcome = match tier.below() {
                Some(below) => node.place.sink(place, below),
                None => node.place.remove(place),
            };
            if let Outcome::Lost(_) = outcome {
                if claimed {
                    self.census(tier).unclaim(node.weight());
                }
                continue;
            }
            reach(Step::Moved);
            self.settle_after(node, Some((tier, tick)), guard);
            if !claimed {
                self.census(tier).leave(node.weight());
            }
            match tier.below() {
                Some(below) => {
                    self.census(below).enter(node.weight());
                }
                None => self.index.tidy(node.hash(), self, guard),
            }
            if let Some(keep) = keep {
                self.events.count(Event::Overflow);
                outflow.push(keep);
            }
            self.events.count(Event::Eviction);
            reach(Step::Left);
            return Some(node);
        }
    }

    /// Has `reservation` hold `need` bytes: of what is free, or else of what the least recently used hot fragments, other than
    /// those that `spare` names, hold when they are demoted.
    pub(super) fn make_room(
        &self,
        reservation: &mut Reservation<'_>,
        need: u64,
        spare: impl Fn(&Node<K, V>) -> bool,
        outflow: &Outflow<K, V>,
        guard: &Guard,
    ) -> Room {
        loop {
            if reservation.try_grow_to(need) {
                reservation.shrink_to(need);
                reach(Step::Reserved);
                return Room::Made;
            }
            if let Some(victim) = self.evict_one(Tier::Hot, Cause::Asked, &spare, outflow, guard) {
                reservation.join(victim.weight());
            } else {
                reservation.shrink_to(0);
                return if reservation.try_grow_to(need) { Room::Made } else { Room::Contended };
            }
        }
    }

    pub fn evict_lru<'g>(
        &self,
        tier: Tier,
        outflow: &Outflow<K, V>,
        guard: &'g Guard,
    ) -> Option<Evicted<&'g K, &'g V>> {
        let victim = self.evict_one(tier, Cause::Asked, |_| false, outflow, guard)?;
        if tier == Tier::Hot {
            self.budget.release(victim.weight());
        }
        self.enforce_capacities(outflow, guard);
        let (key, value, weight) = (victim.key(), victim.value(), victim.weight());
        Some(Evicted { key, value, weight, from: tier, to: tier.below() })
    }

    /// Demotes least recently used fragments until what is reserved fits the budget or hot is empty; how many.
    pub fn enforce_budget(&self, outflow: &Outflow<K, V>, guard: &Guard) -> usize {
        let mut demoted = 0;
        while self.budget.is_overdrawn() {
            let Some(victim) = self.evict_one(Tier::Hot, Cause::Asked, |_| false, outflow, guard) else { break };
            self.budget.release(victim.weight());
            demoted += 1;
        }
        self.enforce_capacities(outflow, guard);
        demoted
    }

    /// What an operation that published a hot fragment, or moved one down, owes before it returns.
    pub(super) fn enforce(&self, outflow: &Outflow<K, V>, guard: &Guard) {
        if self.budget.is_overdrawn() {
            self.enforce_budget(outflow, guard);
        } else {
            self.enforce_capacities(outflow, guard);
        }
    }

    pub(super) fn enforce_capacities(&self, outflow: &Outflow<K, V>, guard: &Guard) {
        for tier in [Tier::Warm, Tier::Cold] {
            while self.census(tier).is_over() {
                if self.evict_one(tier, Cause::OverCapacity, |_| false, outflow, guard).is_none() {
                    break;
                }
            }
        }
    }
}
