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
//! 1. *Announce*: the new node, pending and with its grant (the bytes reserved for it, and where it fits), becomes the predecessor's
//!    successor by one CAS from null. From here on the bytes are the successor's. A storer that finds another successor announced
//!    helps that one first.
//! 2. *Commit*: anyone CASes the predecessor's word, wherever it is alive and listed → replaced, noting whether it was hot: the
//!    linearization point. Where a remover wins instead, the successor never takes effect: the storer takes its bytes back and
//!    starts again.
//! 3. *Resolve*: the successor's word goes from pending to hot or warm, by grant and note: the same for every helper.
//! 4. *List* the successor, *settle* the predecessor (mark that this was done), clear its entry, *swing* the index cell.
//! 5. The winner of the commit, storer or helper, counts the change and gives back the bytes that are too much.
//!
//! A thread may stop between any two of these: before 1 it has changed nothing; after 1 whoever stores to the key commits; after
//! 2 whoever finds the key resolves and lists. What the winner of 2 alone does is 5: bytes that it does not give back are
//! missing to others, who then answer that they were contended, and wait for nothing.

use crossbeam_epoch::Guard;

use super::core::Core;
use super::evict::Room;
use super::outflow::Outflow;
use crate::budget::Reservation;
use crate::error::{Refusal, StoreError};
use crate::failpoint::{Step, reach};
use crate::fragment::Stored;
use crate::index::Inserted;
use crate::metrics::Event;
use crate::node::{Announced, Fit, Grant, Node};
use crate::place::{Outcome, Place, State};
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

impl<K: Eq + Send + Sync + 'static, V: Send + Sync + 'static> Core<K, V> {
    pub fn store<'g>(
        &self,
        new: Newcomer<K, V>,
        outflow: &Outflow<K, V>,
        guard: &'g Guard,
    ) -> Result<Stored<&'g V>, StoreError<K, V>> {
        let Newcomer { key, value, hash, weight } = new;
        let Some(tick) = self.other_tick() else {
            return Err(StoreError { key, value, reason: Refusal::ClockExhausted });
        };
        let new = Unpublished::new(Node::new(hash, key, value, weight, tick, &self.retired));
        let stored = self.publish(new, tick, outflow, guard);
        self.events.count(Event::Store);
        if stored.replaced.is_some() {
            self.events.count(Event::Replacement);
        }
        if stored.contended {
            self.events.count(Event::Contended);
        }
        self.enforce(outflow, guard);
        Ok(stored)
    }

    fn publish<'g>(
        &self,
        new: Unpublished<K, V>,
        tick: u64,
        outflow: &Outflow<K, V>,
        guard: &'g Guard,
    ) -> Stored<&'g V> {
        let (hash, weight) = (new.hash(), new.weight());
        let mut reservation = Reservation::empty(&self.budget);
        loop {
            let Some((old, place)) = self.observe(hash, |key| key == new.key(), guard) else {
                let claim = self.claim_room(&mut reservation, &new, weight, outflow, guard);
                let tier = if claim == Claim::Hot { Tier::Hot } else { Tier::Warm };
                new.place.prepare(Place::unlisted(tier, tick));
                match self.index.insert(&new, |key| key == new.key(), self, guard) {
                    // The key is there by now; what is reserved is kept for the next round.
                    Inserted::Present => continue,
                    Inserted::Done => {}
                }
                let new = new.published();
                reservation.hand_over();
                reach(Step::Inserted);
                self.settle_after(new, None, guard);
                self.enter(tier, weight);
                return Stored { tier, replaced: None, contended: claim == Claim::Contended };
            };
            let own = if place.tier() == Some(Tier::Hot) { old.weight() } else { 0 };
            let claim = self.claim_room(&mut reservation, &new, weight.saturating_sub(own), outflow, guard);
            if claim == Claim::Hot && reservation.held() < weight && old.place.load().tier() != Some(Tier::Hot) {
                // The predecessor, whose bytes were to make up the difference, has left hot: make room anew.
                continue;
            }
            let fit = match claim {
                Claim::Hot if reservation.held() >= weight => Fit::Always,
                Claim::Hot => Fit::AfterHot,
                Claim::OverBudget | Claim::Contended => Fit::Never,
            };
            let grant = Grant { bytes: reservation.held(), fit };
            new.prepare_successor(tick, grant);
            if let Announced::Taken = old.announce(&new) {
                self.commit(old, outflow, guard);
                continue;
            }
            reservation.hand_over();
            reach(Step::Announced);
            let State::Replaced { was_hot } = self.commit(old, outflow, guard) else {
                reservation.take_back(grant.bytes);
                continue;
            };
            new.published();
            let tier = grant.tier(was_hot);
            let contended = tier == Tier::Warm && claim != Claim::OverBudget;
            return Stored { tier, replaced: Some(old.value()), contended };
        }
    }

    /// Reserves `need` bytes for `new`, by demoting others if it must.
    fn claim_room(
        &self,
        reservation: &mut Reservation<'_>,
        new: &Node<K, V>,
        need: u64,
        outflow: &Outflow<K, V>,
        guard: &Guard,
    ) -> Claim {
        if new.weight() <= self.budget.limit() {
            let spare = |other: &Node<K, V>| other.hash() == new.hash() && other.key() == new.key();
            if self.make_room(reservation, need, spare, outflow, guard) == Room::Made {
                return Claim::Hot;
            }
            if new.weight() <= self.budget.limit() {
                return Claim::Contended;
            }
        }
        reservation.shrink_to(0);
        Claim::OverBudget
    }

    /// Has the announced successor of `old` take effect, unless `old` is removed first; what became of `old`.
    fn commit(&self, old: &Node<K, V>, outflow: &Outflow<K, V>, guard: &Guard) -> State {
        let mut place = old.place.load();
        loop {
            let Some(tier) = place.tier() else {
                // Another has committed it, or removed it; the storer returns only after its successor is listed.
                self.settle_after(old, None, guard);
                self.index.tidy(old.hash(), self, guard);
                return place.state();
            };
            if !place.is_listed() {
                self.settle_after(old, None, guard);
                place = old.place.load();
                continue;
            }
            match old.place.replace(place) {
                Outcome::Lost(now) => place = now,
                Outcome::Done(replaced) => {
                    reach(Step::Committed);
                    self.complete(old, (tier, place.tick()), replaced, outflow, guard);
                    return replaced.state();
                }
            }
        }
    }

    /// What the winner of a commit does.
    fn complete(&self, old: &Node<K, V>, ended: (Tier, u64), replaced: Place, outflow: &Outflow<K, V>, guard: &Guard) {
        let Some(new) = old.effective_successor(replaced, guard) else { return };
        self.settle_after(old, Some(ended), guard);
        self.index.tidy(old.hash(), self, guard);
        let (from, was_hot) = (ended.0, ended.0 == Tier::Hot);
        let grant = new.grant();
        let to = grant.tier(was_hot);
        if from == to {
            let bytes = self.census(to).grow(new.weight().cast_signed() - old.weight().cast_signed());
            self.note_hot(to, bytes);
        } else {
            self.census(from).leave(old.weight());
            self.enter(to, new.weight());
        }
        reach(Step::Left);
        let had = grant.bytes + if was_hot { old.weight() } else { 0 };
        self.budget.release(if to == Tier::Hot { had - new.weight() } else { had });
        self.enforce(outflow, guard);
    }

    /// Counts a fragment into a tier where it is listed.
    pub(super) fn enter(&self, tier: Tier, weight: u64) {
        let bytes = self.census(tier).enter(weight);
        self.note_hot(tier, bytes);
    }

    fn note_hot(&self, tier: Tier, bytes: u64) {
        if tier == Tier::Hot {
            self.events.note_hot_bytes(bytes);
        }
    }
}

/// A node that its storer owns: not published, or announced to a predecessor that was removed before it took effect, which nobody
/// follows.
struct Unpublished<K, V>(core::ptr::NonNull<Node<K, V>>);

impl<K, V> Unpublished<K, V> {
    fn new(node: Node<K, V>) -> Self {
        Self(core::ptr::NonNull::from(Box::leak(Box::new(node))))
    }

    /// Gives the node to the index.
    fn published<'g>(self) -> &'g Node<K, V> {
        let node = core::mem::ManuallyDrop::new(self).0;
        // SAFETY: published, by the caller, while pinned: the node outlives the pin, and `'g` is only used within it.
        unsafe { node.as_ref() }
    }
}

impl<K, V> core::ops::Deref for Unpublished<K, V> {
    type Target = Node<K, V>;

    fn deref(&self) -> &Node<K, V> {
        // SAFETY: owned, and not freed before the drop.
        unsafe { self.0.as_ref() }
    }
}

impl<K, V> Drop for Unpublished<K, V> {
    /// Where the caller's `Eq` panicked.
    fn drop(&mut self) {
        // SAFETY: made from a box, and nobody else has the node or follows a pointer to it.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}
