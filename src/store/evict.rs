//! Eviction: the least recently used fragment of a tier moves down, or out of cold; and what is built on it.
//!
//! # One eviction
//!
//! Walks the tier's order from the oldest entry up. Of each entry it reads whether the node is published, and then the node's word:
//!
//! - Not published, or the word is *before* the entry: the fragment is not there yet. The walk goes on.
//! - The word is *beyond* the entry: it is over. What replaced the node, if anything did, is published, the entry is cleared, and the walk goes on.
//! - The word is *at* the entry, touched or unsure: the last use is read, by a read-modify-write. If it is above the tick the node is
//!   re-listed at its last use's own tick, and the walk goes on.
//! - Otherwise a CAS on the exact word moves it down with its tick, or removes it from cold: the linearization point. Where the CAS is lost the
//!   same entry is looked at again.
//!
//! # Why a use that returned before is never overlooked
//!
//! Say that an eviction moves a node from the word p, at tick t, and that a `get` of that node, with the tick g, returned before the CAS. If g
//! is not above t, the placement is younger than the use, and accounts for it. Let g be above t. The use ended at a word w
//! of the node (see [`super::read`]). That is p or came before it, so that its tick is not above t: thus w is touched.
//!
//! - *p is untouched and sure.* A touched word stays touched for as long as it has its tick; so w has an earlier tick than p. But a later tick
//!   comes by a re-listing, a rise, or by being kept or let go, and each makes the word unsure, which it stays for as long as it has that tick: a contradiction. So
//!   such an eviction need not look at the last use.
//! - *p is touched or unsure.* The eviction read p, then the last use, which was not above t. So the use raised it after that, by a
//!   read-modify-write of the same atomic, and then read w: so w is not older than p, and is p. Thus p is touched. Who touched it first had
//!   raised the last use above t before: the eviction, which read p after that, would have seen it.
//!
//! (A use that takes no tick, as its fragment is the most recently used, ends at a touched word, too. Where p has a later tick, the
//! placement is younger than that use; where it has the same, p is touched, and the eviction sees a last use above t.)
//!
//! # Why nothing is passed over
//!
//! Say that a key has a fragment in the tier, all through the walk, which nobody uses. Within the tier its tick only rises: re-listing and rising raise
//! it, and a successor takes a tick above its predecessor's (see [`super::write`]). Its entry is filled before the word comes to it.
//! So the walk does not get above the fragment without meeting it: where it finds an empty cell, or an entry that the word is beyond, the
//! fragment was moved up before, and what the walk reads after that shows the next entry, further up. (That this holds within a page of the order,
//! too, is said at the head of [`crate::engine::order`].) Met, it is moved, or re-listed further up, or it is the caller's own. What replaced it
//! is published before its entry is cleared, and by the walk itself where the entry is met: so it is not passed by further up.
//!
//! "Empty" is answered at the end of a walk that moved nothing. So it is true: no fragment stood there throughout. And what stood there, older
//! and unused, from the start of the call to the move, was in the way. (What comes into the tier behind the walk is not looked back for.
//! For evictions and iterations a stored fragment stands in its tier from its publication on: see [`crate::engine::entries`].)
//!
//! A kept fragment has no entry in the order of its tier, so that no walk meets it, however many there are. A fragment that is let go is used by
//! that, and has a fresh tick: it comes into the tier above all that stood there.
//!
//! What is [leaving](super::leaving) for an archive is passed by, and nothing here is said of it: "empty" is answered where all that stands is leaving. It leaves by another way. If it is used it is
//! re-listed, and then is not leaving any more.
//!
//! A stalled evictor has at most left an entry that others pass by, and holds the bytes of one fragment.

use core::mem;

use super::departure;
use super::operation::Operation;
use super::trace::Happened;
use crate::engine::census::Census;
use crate::engine::entries::{Entries, Met};
use crate::engine::node::Node;
use crate::engine::place::{List, Outcome, Place};
use crate::engine::stats::Event;
use crate::failpoint::{Step, reach};
use crate::store::fragment::Evicted;
use crate::tier::Tier;

/// On whose account a fragment is evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The caller wants room, or asked for it by name.
    Asked,
    /// The tier is over its capacity: claim first.
    OverCapacity,
}

impl Cause {
    /// Why a fragment leaves the store, where it is one of cold.
    const fn of_departure(self) -> departure::Cause {
        match self {
            Self::Asked => departure::Cause::Removed,
            Self::OverCapacity => departure::Cause::Overflowed,
        }
    }
}

/// Whether room was made for a newcomer to hot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// The reservation covers it.
    Made,
    /// At an instant of the call it did not fit, and no other hot fragment was there to demote. Nothing is held.
    Contended,
    /// At an instant of the call what was kept in hot left no room for it. Nothing is held.
    KeptOut,
    /// The budget was lowered below it meanwhile. Nothing is held.
    OverBudget,
    /// What the need was reckoned from has changed. What is held by now stays so.
    Outdated,
}

impl<'g, K: Send + Sync + 'static, V: Send + Sync + 'static> Operation<'_, 'g, K, V> {
    /// Moves the least recently used fragment of `tier`, other than those that `spare` names, one tier down or out, and tallies
    /// it. A hot fragment's bytes are this operation's then, to use or to release. None also where it has met one that was due, and ended it: see
    /// [`Self::has_made_way`].
    fn evict_one(&mut self, tier: Tier, cause: Cause, spare: impl Fn(&Node<K, V>) -> bool) -> Option<&'g Node<K, V>> {
        let (core, guard) = (self.core, self.guard);
        let list = List::Of(tier);
        let mut cursor = core.order(list).cursor(guard);
        loop {
            let (tick, node) = cursor.here(&core.clock)?;
            let place = match Met::at(node, (list, tick)) {
                // At its last use, as any other, so that what is due is met from the least recently used up.
                Met::Perishable(place) if self.is_relisted(node, place, (tier, tick)) => continue,
                Met::Perishable(_) if self.has_perished(node) => return None,
                Met::Here(place) | Met::Perishable(place) => place,
                Met::Unpublished | Met::NotYet(_) => {
                    cursor.pass(tick);
                    continue;
                }
                Met::Over(place) => {
                    core.clear_stale(node, place, (list, tick), guard);
                    cursor.pass(tick);
                    continue;
                }
            };
            if spare(node) {
                cursor.pass(tick);
                continue;
            }
            if self.is_relisted(node, place, (tier, tick)) {
                continue;
            }
            // Where an archive is about to take it over it stays for that.
            if place.is_leaving() {
                cursor.pass(tick);
                continue;
            }
            match cause {
                Cause::Asked => self.before_departure(node, tier, false),
                Cause::OverCapacity if core.census(tier).claim(node.weight()) => reach(Step::Claimed),
                Cause::OverCapacity => {
                    self.is_to_look_again = true;
                    return None;
                }
            }
            if self.push_down(node, place, tier, cause) {
                return Some(node);
            }
        }
    }

    /// Whether the fragment of an entry was used since. Then it is re-listed; done or lost, the entry is to be looked at again.
    #[inline]
    pub(super) fn is_relisted(&self, node: &Node<K, V>, place: Place, (tier, tick): (Tier, u64)) -> bool {
        if !place.may_be_used() {
            return false;
        }
        let last_use = node.last_use.confirm();
        if last_use > tick {
            let _ = self.core.relist(node, place, tier, last_use, self.guard);
        }
        last_use > tick
    }

    /// Moves a fragment that is not kept, and was taken off the counts, from its place in `tier` one tier down, or out; whether nobody came first.
    fn push_down(&mut self, node: &'g Node<K, V>, place: Place, tier: Tier, cause: Cause) -> bool {
        let (core, guard) = (self.core, self.guard);
        let outcome = match tier.below() {
            Some(below) => core.sink(node, place, below, guard),
            None => node.place.remove(place),
        };
        let Outcome::Done(now) = outcome else {
            self.no_departure(node, tier, false);
            return false;
        };
        self.departed(node, tier);
        if let Some(below) = tier.below() {
            self.arrived(node, below, false);
        } else {
            self.has_left(node, tier, cause.of_departure());
            if cause == Cause::OverCapacity {
                self.stripe.count(Event::Overflow);
            }
            reach(Step::Moved);
            core.report(node, guard);
            core.clear_left(node, place, now, guard);
            core.index.tidy(node.hash(), guard);
        }
        if tier == Tier::Hot {
            self.reservation.join(node.weight());
        }
        self.stripe.count(Event::Eviction);
        self.note(node, Happened::Evicted { from: tier, to: tier.below() });
        reach(Step::Left);
        true
    }

    /// Moves on what this operation brought into `tier`, where it cannot stay, unless another has moved or kept it meanwhile.
    fn pass_on(&mut self, tier: Tier) {
        // What comes into the next tier by this is further on.
        for number in 0..self.passing.len() {
            let (node, came_into) = self.passing[number];
            let mut place = node.place.load();
            // A loss is another thread's use or move.
            while came_into == tier
                && place.list() == Some(List::Of(tier))
                && !self.push_down(node, place, tier, Cause::OverCapacity)
            {
                place = node.place.load();
            }
        }
    }

    /// Has `need` bytes reserved: of what is free, or else of what the least recently used hot fragments, other than those that
    /// `spare` names, hold when they are demoted.
    ///
    /// They are for a fragment of that `weight`. `beside` is what has to fit beside all that is kept in hot, if it must. `stands` tells whether the need is still what it was reckoned to be. It is asked
    /// after each refusal of the budget, so that nothing is demoted, and nobody called contended, for bytes that at that refusal were not needed.
    pub(super) fn make_room(
        &mut self,
        need: u64,
        (weight, beside): (u64, Option<u64>),
        spare: impl Fn(&Node<K, V>) -> bool,
        stands: impl Fn() -> bool,
    ) -> Room {
        let budget = &self.core.budget;
        while weight <= budget.limit() {
            let fits = self.reservation.try_grow_to(need);
            // What needs no byte always fits, also where what is kept is over the budget.
            let is_kept_out = !(fits && need > 0) && beside.is_some_and(|beside| self.is_kept_out(weight, beside));
            if fits && !is_kept_out {
                self.reservation.shrink_to(need);
                reach(Step::Reserved);
                return Room::Made;
            }
            if !stands() {
                return Room::Outdated;
            }
            if is_kept_out {
                self.reservation.shrink_to(0);
                return Room::KeptOut;
            }
            if self.evict_one(Tier::Hot, Cause::Asked, &spare).is_none() {
                if self.has_made_way() {
                    self.pay_back();
                    continue;
                }
                self.reservation.shrink_to(0);
                return if self.reservation.try_grow_to(need) {
                    Room::Made
                } else if stands() {
                    Room::Contended
                } else {
                    Room::Outdated
                };
            }
            self.pay_back();
        }
        self.reservation.shrink_to(0);
        Room::OverBudget
    }

    /// Where the budget was lowered, what was taken over is owed to it first.
    #[inline]
    fn pay_back(&mut self) {
        if self.core.budget.is_overdrawn() {
            self.reservation.shrink_to(0);
        }
    }

    /// Whether an eviction has ended a fragment that was due, since this was last asked: then it is to be looked again what is needed.
    #[inline]
    fn has_made_way(&mut self) -> bool {
        mem::take(&mut self.has_made_way)
    }

    /// Whether `bytes` of a fragment of that weight do not fit beside what is kept in hot, at an instant of this call at which the budget is not below the weight.
    #[inline]
    fn is_kept_out(&self, weight: u64, bytes: u64) -> bool {
        let kept = self.core.kept(Tier::Hot);
        kept.bounded_bytes() > 0 && self.is_over_beside(kept, weight, bytes)
    }

    #[cold]
    fn is_over_beside(&self, kept: &Census, weight: u64, bytes: u64) -> bool {
        reach(Step::Beside);
        let look = self.core.budget.look();
        let kept = kept.bounded_bytes();
        let taken = kept.saturating_add(bytes);
        kept > 0 && weight <= look.bytes() && taken > look.bytes() && self.core.budget.was_below(taken, look)
    }

    pub fn evict_lru(&mut self, tier: Tier) -> Option<Evicted<&'g K, &'g Node<K, V>>> {
        let victim = loop {
            let victim = self.evict_one(tier, Cause::Asked, |_| false);
            if victim.is_some() || !self.has_made_way() {
                break victim;
            }
        };
        self.finish();
        let victim = victim?;
        Some(Evicted { key: victim.key(), value: victim, weight: victim.weight(), from: tier, to: tier.below() })
    }

    /// By how many bytes what is kept in hot is over the budget, at an instant of this call.
    ///
    /// Lock-free: it looks again only where the budget was changed meanwhile.
    #[cold]
    fn kept_over(&self) -> u64 {
        loop {
            let look = self.core.budget.look();
            let kept = self.core.kept(Tier::Hot).bounded_bytes();
            if self.core.budget.look() == look {
                return kept.saturating_sub(look.bytes());
            }
        }
    }

    /// Demotes while more is reserved than the budget allows, or until nothing is left in hot that is not kept, and counts it.
    fn enforce_budget(&mut self) {
        self.enforced.kept_over = 0;
        while self.core.budget.is_overdrawn() {
            if self.evict_one(Tier::Hot, Cause::Asked, |_| false).is_none() {
                if self.has_made_way() {
                    self.reservation.shrink_to(0);
                    continue;
                }
                self.enforced.kept_over = self.kept_over();
                break;
            }
            self.reservation.shrink_to(0);
            self.enforced.demoted += 1;
        }
        reach(Step::Enforced);
    }

    /// The budget and the capacities hold, as far as this operation and those that have returned are concerned.
    ///
    /// Lock-free: after a claim that was refused or given back it is looked again whether the tier is over, which ends, or is paid for by another: see
    /// [`crate::engine::census`]. Where nothing stands that may go, those in flight see to it, or the archive.
    pub(super) fn enforce(&mut self) {
        self.enforce_budget();
        self.account();
        if self.core.has_capacity {
            self.enforce_capacities();
        }
    }

    /// The rest of [`Self::enforce`], where a tier has a capacity. What passes through a tier, passes through one that has.
    #[inline(never)]
    fn enforce_capacities(&mut self) {
        let core = self.core;
        for tier in [Tier::Warm, Tier::Cold] {
            self.pass_on(tier);
            while core.census(tier).is_bounded() {
                self.account();
                if !core.census(tier).is_over() {
                    break;
                }
                self.is_to_look_again = false;
                if self.evict_one(tier, Cause::OverCapacity, |_| false).is_none()
                    && !self.is_to_look_again
                    && !self.has_made_way()
                {
                    break;
                }
            }
        }
    }
}
