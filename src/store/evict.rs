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
//!   returned before made the word another or its last use seen (see [`super::read`]), so that the CAS fails or is not tried. (What
//!   comes into the tier behind the pass, during it, is not looked back for: the word is what a use protects.)
//!
//! After each of these the bits are read again, from the oldest. "Empty" is answered only after a pass over the whole order
//! that found nothing. So no fragment that stood in the tier, older and unused, from the start of the call to the move is passed
//! over: its entry, or the one that it was re-listed at before the older went, was in the way. (For evictions and iterations a
//! fragment that comes into a tier stands there from its listing on, which is within the call that brings it, and no later than
//! anybody else sees it there.)
//!
//! A stalled evictor has at most moved a node without listing it: whoever meets the stale entry, or the key, lists it.

use super::operation::Operation;
use crate::failpoint::{Step, reach};
use crate::fragment::Evicted;
use crate::node::{Node, NodeRef};
use crate::place::Outcome;
use crate::stats::Event;
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
    /// The budget was lowered below it meanwhile. Nothing is held.
    OverBudget,
    /// What the need was reckoned from has changed. What is held by now stays so.
    Outdated,
}

impl<'g, K: Send + Sync + 'static, V: Send + Sync + 'static> Operation<'_, 'g, K, V> {
    /// Moves the least recently used fragment of `tier`, other than those that `spare` names, one tier down or out, and tallies
    /// it. A hot fragment's bytes are the caller's then, to reserve or to release.
    fn evict_one(&mut self, tier: Tier, cause: Cause, spare: impl Fn(&Node<K, V>) -> bool) -> Option<&'g Node<K, V>> {
        let (core, guard) = (self.core, self.guard);
        let mut from = 0;
        loop {
            let (tick, node) = core.order(tier).first_from(from, &core.clock, guard)?;
            let place = node.place.load();
            if !place.is_at(tier, tick) {
                core.settle(node, Some((tier, tick)), guard);
                continue;
            }
            if !place.is_listed() {
                core.settle(node, None, guard);
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
                    core.settle(node, Some((tier, tick)), guard);
                }
                continue;
            }
            match cause {
                Cause::Asked => self.before_departure(node, tier),
                Cause::OverCapacity if core.census(tier).claim(node.weight()) => reach(Step::Claimed),
                Cause::OverCapacity => return None,
            }
            // What is pushed out of cold is handed to the hook after it may have been retired.
            let keep = (cause == Cause::OverCapacity && tier == Tier::Cold).then(|| NodeRef::new(node));
            let outcome = match tier.below() {
                Some(below) => node.place.sink(place, below),
                None => node.place.remove(place),
            };
            if let Outcome::Lost(_) = outcome {
                self.no_departure(node, tier);
                continue;
            }
            reach(Step::Moved);
            self.departed(node, tier);
            core.settle(node, Some((tier, tick)), guard);
            match tier.below() {
                Some(below) => self.tally.enter(below, node.weight()),
                None => core.index.tidy(node.hash(), guard),
            }
            if let Some(keep) = keep {
                core.stats.count(Event::Overflow);
                self.outflow.push(keep);
            }
            core.stats.count(Event::Eviction);
            reach(Step::Left);
            return Some(node);
        }
    }

    /// Has `need` bytes reserved: of what is free, or else of what the least recently used hot fragments, other than those that
    /// `spare` names, hold when they are demoted.
    ///
    /// `stands` tells whether the need is still what it was reckoned to be. It is asked after each refusal of the budget, so that nothing
    /// is demoted, and nobody called contended, for bytes that at that refusal were not needed.
    pub(super) fn make_room(
        &mut self,
        need: u64,
        spare: impl Fn(&Node<K, V>) -> bool,
        stands: impl Fn() -> bool,
    ) -> Room {
        let budget = &self.core.budget;
        while need <= budget.limit() {
            if self.reservation.try_grow_to(need) {
                self.shrink_reservation_to(need);
                reach(Step::Reserved);
                return Room::Made;
            }
            if !stands() {
                return Room::Outdated;
            }
            let Some(victim) = self.evict_one(Tier::Hot, Cause::Asked, &spare) else {
                self.shrink_reservation_to(0);
                return if self.reservation.try_grow_to(need) {
                    Room::Made
                } else if stands() {
                    Room::Contended
                } else {
                    Room::Outdated
                };
            };
            self.reservation.join(victim.weight());
            if budget.is_overdrawn() {
                // The budget was lowered: what was taken over is owed to it first.
                self.shrink_reservation_to(0);
            }
        }
        self.shrink_reservation_to(0);
        Room::OverBudget
    }

    pub fn evict_lru(mut self, tier: Tier) -> Option<Evicted<&'g K, &'g Node<K, V>>> {
        let victim = self.evict_one(tier, Cause::Asked, |_| false);
        if let (Some(victim), Tier::Hot) = (victim, tier) {
            // Released when the operation has accounted for it.
            self.reservation.join(victim.weight());
        }
        self.finish();
        let victim = victim?;
        Some(Evicted { key: victim.key(), value: victim, weight: victim.weight(), from: tier, to: tier.below() })
    }

    /// Demotes least recently used fragments until the budget holds or hot is empty; how many.
    pub fn enforce_hot_budget(mut self) -> usize {
        let demoted = self.enforce_budget();
        self.finish();
        demoted
    }

    /// Demotes while more is reserved than the budget allows and hot is counted above it: while two calls change the budget, the first
    /// alone may be so for a moment without need.
    ///
    /// The bytes are read by a read-modify-write, after the budget was lowered: whoever adds to them later sees the lowered budget when
    /// it looks, after that, whether it is overdrawn.
    fn enforce_budget(&mut self) -> usize {
        let core = self.core;
        let mut demoted = 0;
        while core.budget.is_overdrawn() && core.census(Tier::Hot).confirm_bytes() > core.budget.limit() {
            let Some(victim) = self.evict_one(Tier::Hot, Cause::Asked, |_| false) else { break };
            self.reservation.join(victim.weight());
            self.shrink_reservation_to(0);
            demoted += 1;
        }
        demoted
    }

    /// The budget and the capacities hold, as far as this operation and those that have returned are concerned.
    pub(super) fn enforce(&mut self) {
        self.account();
        self.enforce_budget();
        for tier in [Tier::Warm, Tier::Cold] {
            loop {
                self.account();
                let core = self.core;
                if !core.census(tier).is_over() {
                    break;
                }
                // A refused claim is looked at again; where nothing stands, those in flight see to it.
                if self.evict_one(tier, Cause::OverCapacity, |_| false).is_none()
                    && core.order(tier).first_from(0, &core.clock, self.guard).is_none()
                {
                    break;
                }
            }
        }
    }
}
