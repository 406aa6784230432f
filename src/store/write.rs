//! `store`: a new fragment, or an atomic replacement.
//!
//! # Insert
//!
//! Where the key has no live node: room is made, the node's word is set to its tier, unlisted, and a CAS puts it into the index cell: the
//! linearization point. Then it is listed. Nothing is published hot without a reservation held.
//!
//! # Replace
//!
//! Where the key has a live node (the *predecessor*): room is made, of which the predecessor's own bytes count as free if it is hot; then
//!
//! 1. *Announce*: the new node, pending and with where it fits, for which bytes are reserved, becomes the predecessor's
//!    successor by one CAS from null. From here on the bytes are the successor's. A storer that finds another successor announced
//!    helps that one first.
//! 2. *Commit*: anyone CASes the predecessor's word, wherever it is alive and listed → replaced, noting whether it was hot: the
//!    linearization point. Where a remover wins instead, the successor never takes effect: the storer takes its bytes back and
//!    starts again.
//! 3. *Resolve*: the successor's word goes from pending to hot or warm, by what it carries and where its predecessor was: the
//!    same for every helper.
//! 4. *List* the successor, clear the predecessor's entry, *swing* the index cell.
//! 5. The storer counts the change, and gives back the bytes that are too much.
//!
//! A thread may stop between any two of these: before 1 it has changed nothing; after 1 whoever stores to the key commits; after
//! 2 whoever finds the key resolves and lists. What the storer alone does is 5: bytes that it does not give back are
//! missing to others, who then answer that they were contended, and wait for nothing.

use core::mem::forget;
use core::ops::Deref;
use core::ptr::NonNull;

use super::error::{Refusal, StoreError};
use super::evict::Room;
use super::operation::Operation;
use crate::failpoint::{Step, reach};
use crate::fragment::Stored;
use crate::index::Inserted;
use crate::node::{Announced, Node};
use crate::place::{Fit, Outcome, Place, State};
use crate::stats::Event;
use crate::tier::Tier;

/// A fragment to store, with what the caller's functions said of it.
pub struct Newcomer<K, V> {
    pub key: K,
    pub value: V,
    pub hash: u64,
    pub weight: u64,
}

/// Where a newcomer may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// Hot: the reservation (and a hot predecessor's bytes) cover it.
    Hot,
    /// Warm: it alone weighs more than the budget.
    OverBudget,
    /// Warm: operations in flight hold the room.
    Contended,
}

impl<'g, K: Eq + Send + Sync + 'static, V: Send + Sync + 'static> Operation<'_, 'g, K, V> {
    pub fn store(mut self, new: Newcomer<K, V>) -> Result<Stored<&'g Node<K, V>>, StoreError<K, V>> {
        let Newcomer { key, value, hash, weight } = new;
        let Some(tick) = self.core.other_tick() else {
            return Err(StoreError { key, value, reason: Refusal::ClockExhausted });
        };
        let new = Unpublished::new(Node::new(hash, key, value, weight, tick, &self.core.stats));
        let stored = self.publish(new, tick);
        let stats = &self.core.stats;
        stats.count(Event::Store);
        if stored.replaced.is_some() {
            stats.count(Event::Replacement);
        }
        if stored.contended {
            stats.count(Event::Contended);
        }
        self.finish();
        Ok(stored)
    }

    fn publish(&mut self, new: Unpublished<K, V>, tick: u64) -> Stored<&'g Node<K, V>> {
        let (core, guard) = (self.core, self.guard);
        let (hash, weight) = (new.hash(), new.weight());
        loop {
            let Some((old, place)) = core.observe(hash, |key| key == new.key(), guard) else {
                // Of one that came and went again between two looks nothing is seen: a fragment may be demoted for which there was then room.
                let absent = || core.observe(hash, |key| key == new.key(), guard).is_none();
                let Some(claim) = self.claim_room(&new, weight, absent) else { continue };
                let tier = if claim == Claim::Hot { Tier::Hot } else { Tier::Warm };
                new.place.prepare(Place::unlisted(tier, tick));
                if core.index.insert(new.pointer(), |key| key == new.key(), guard) == Inserted::Present {
                    // The key is there by now; what is reserved is kept for the next round.
                    continue;
                }
                self.reservation.hand_over();
                reach(Step::Inserted);
                core.settle(&new, None, guard);
                new.published();
                self.tally.enter(tier, weight);
                return Stored { tier, replaced: None, contended: claim == Claim::Contended };
            };
            let own = if place.tier() == Some(Tier::Hot) { old.weight() } else { 0 };
            let unmoved = || old.place.load() == place;
            let Some(claim) = self.claim_room(&new, weight.saturating_sub(own), unmoved) else { continue };
            let covered = self.reservation.held() >= weight;
            if claim == Claim::Hot && !covered && old.place.load().tier() != Some(Tier::Hot) {
                // The predecessor, whose bytes were to make up the difference, has left hot: make room anew.
                continue;
            }
            let fit = match claim {
                Claim::Hot if covered => Fit::Always,
                Claim::Hot => Fit::AfterHot,
                Claim::OverBudget | Claim::Contended => Fit::Never,
            };
            new.place.prepare(Place::pending(tick, fit));
            if let Announced::Taken = old.announce(new.pointer()) {
                self.commit(old);
                continue;
            }
            let granted = self.reservation.held();
            self.reservation.hand_over();
            reach(Step::Announced);
            let State::Replaced { from } = self.commit(old) else {
                self.reservation.take_back(granted);
                continue;
            };
            new.published();
            let tier = fit.tier(from);
            self.tally.enter(tier, weight);
            if from == Tier::Hot {
                self.tally.leave(from, old.weight());
                self.reservation.take_back(granted + old.weight());
            } else {
                self.reservation.take_back(granted);
            }
            self.shrink_reservation_to(if tier == Tier::Hot { weight } else { 0 });
            self.reservation.hand_over();
            let contended = tier == Tier::Warm && claim != Claim::OverBudget;
            return Stored { tier, replaced: Some(old), contended };
        }
    }

    /// Reserves `need` bytes for `new`, by demoting others if it must. `None`: the predecessor is not as it was when the need was reckoned,
    /// which `stands` tells.
    fn claim_room(&mut self, new: &Node<K, V>, need: u64, stands: impl Fn() -> bool) -> Option<Claim> {
        let spare = |other: &Node<K, V>| other.hash() == new.hash() && other.key() == new.key();
        while new.weight() <= self.core.budget.limit() {
            match self.make_room(need, spare, &stands) {
                Room::Made => return Some(Claim::Hot),
                Room::Outdated => return None,
                // Not where it is the budget that leaves no room by now.
                Room::Contended if new.weight() <= self.core.budget.limit() => return Some(Claim::Contended),
                // Too heavy, unless the budget has been raised again.
                Room::Contended | Room::OverBudget => {}
            }
        }
        self.shrink_reservation_to(0);
        Some(Claim::OverBudget)
    }

    /// Has the announced successor of `old` take effect, unless `old` is removed first; what became of `old`. The successor is
    /// listed when this returns.
    fn commit(&mut self, old: &Node<K, V>) -> State {
        let (core, guard) = (self.core, self.guard);
        let mut place = old.place.load();
        loop {
            let Some(tier) = place.tier() else {
                core.settle(old, None, guard);
                core.index.tidy(old.hash(), guard);
                return place.state();
            };
            if !place.is_listed() {
                core.settle(old, None, guard);
                place = old.place.load();
                continue;
            }
            // What leaves hot is the storer's to count, with the bytes; what leaves another tier is the winner's.
            if tier != Tier::Hot {
                self.before_departure(old, tier);
            }
            match old.place.replace(place) {
                Outcome::Lost(now) => {
                    if tier != Tier::Hot {
                        self.no_departure(old, tier);
                    }
                    place = now;
                }
                Outcome::Done(replaced) => {
                    reach(Step::Committed);
                    if tier != Tier::Hot {
                        self.departed(old, tier);
                    }
                    core.settle(old, Some((tier, place.tick())), guard);
                    core.index.tidy(old.hash(), guard);
                    reach(Step::Left);
                    return replaced.state();
                }
            }
        }
    }
}

/// A node that its storer owns: not published, or announced to a predecessor that was removed before it took effect, which nobody
/// follows.
struct Unpublished<K: 'static, V: 'static>(NonNull<Node<K, V>>);

impl<K, V> Unpublished<K, V> {
    fn new(node: Node<K, V>) -> Self {
        Self(NonNull::from(Box::leak(Box::new(node))))
    }

    /// What the node is published and freed through.
    const fn pointer(&self) -> NonNull<Node<K, V>> {
        self.0
    }

    /// The node is the index's now.
    fn published(self) {
        forget(self);
    }
}

impl<K, V> Deref for Unpublished<K, V> {
    type Target = Node<K, V>;

    fn deref(&self) -> &Node<K, V> {
        // SAFETY: owned until published, and pinned for the while after that.
        unsafe { self.0.as_ref() }
    }
}

impl<K, V> Drop for Unpublished<K, V> {
    /// Where the caller's `Eq` panicked: nothing else can, between the publication of a node and `published`.
    fn drop(&mut self) {
        // SAFETY: made from a box, and nobody else has the node or follows a pointer to it.
        unsafe { Node::free(self.0.as_ptr()) };
    }
}
