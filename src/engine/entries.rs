//! The entries of a fragment in the tiers' orders: how a move fills and clears them.
//!
//! # Filled before moved
//!
//! At every instant the order of a tier has an entry of each published fragment that stands in the tier, at the tick of its place word. So
//! whoever moves a fragment
//!
//! 1. *fills* the cell of the placement that the move is to,
//! 2. moves the word, by one CAS on the exact word,
//! 3. *reports* the node to a snapshot in progress, if there is one,
//! 4. *clears* the cell of the placement that the move was from.
//!
//! A thread may stop between any two of these. Before 2 there is an entry too many, which the word is before: evictions and iterations pass
//! it by. After 2 there is one that the word is beyond: whoever meets it reports the node, and clears it. Nobody has to help.
//!
//! # Who else wants the cell
//!
//! A *fresh* tick, that of a store or a rise, is its taker's own. Where the move is lost the entry is cleared, and the next try takes
//! another tick: a cell that was cleared is not filled again, as somebody may be about to clear it once more.
//!
//! A fragment sinks at its tick, and is re-listed at that of its last use. Others may fill that same cell for the same move, and a
//! filler can come late: when the word has come to the placement, and even when it has gone beyond. Whoever has lost the move *settles* the
//! entry, before it runs anything of the caller's, so that no panic comes in between:
//!
//! - The word is *at* the placement: the entry is true, and stays. This was asked of the word by a read-modify-write. So whoever moves the
//!   word away has seen the fill, and its clearing comes after it. (By a mere load it need not: then the cell could end up filled.)
//! - The word is *beyond*: for good. The node is reported, as it may have stood there, and its mover may not have come to that. Then the entry is cleared.
//! - The word is *before*, at the same tick: it stands in a higher tier, and the fragment may sink to the entry, past it, or never. The word is
//!   marked as *prefilled*, and whoever moves it beyond clears the entry too.
//! - The word is *before*, at a lower tick: the entry is at a last use. The node is re-listed where it is, at its last use, which changes
//!   nothing about its recency. Then the word is at the entry's tick or above it, and one of the other cases holds.
//!
//! So at rest there is an entry exactly where a word says that a fragment is; and perhaps, where the word says that it is prefilled, at the
//! same tick in lower tiers.
//!
//! # Published
//!
//! A store fills its entry before its fragment is in the index. Whoever walks an order passes the entry by until the node is *published*: by the
//! storer, and by whoever sees the fragment, through the index or where its predecessor was. So for evictions and iterations a stored
//! fragment stands in its tier from its publication on, which is within the call that stores it, and no later than anybody else sees it there.
//! Whoever passes by a replaced predecessor has seen its successor, and publishes it; and its storer publishes it before the predecessor's entry
//! is cleared. So a walk does not miss a key whose fragment is replaced within the tier, as the successor's entry is further up (see
//! [`crate::store`]'s `write`).

use crossbeam_epoch::Guard;

use crate::engine::node::Node;
use crate::engine::place::{Outcome, Place, Standing};
use crate::failpoint::{Step, reach};
use crate::tier::Tier;

/// A tier and the tick in it: the name of a placement.
pub type Placement = (Tier, u64);

/// What an entry says to who meets it on a walk up an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// Nothing yet: the walk goes on.
    NotYet,
    /// The fragment stands there; this is the word.
    Here(Place),
    /// It is over; this is the word. The entry is to be cleared, by [`Entries::clear_stale`].
    Over(Place),
}

impl Met {
    /// What the entry of `node` at that placement says.
    #[inline]
    pub fn at<K, V>(node: &Node<K, V>, (tier, tick): Placement) -> Self {
        // First: until it is published, its storer may take the word back.
        if !node.is_published() {
            return Self::NotYet;
        }
        let place = node.place.load();
        match place.standing(tier, tick) {
            Standing::Before => Self::NotYet,
            Standing::At => Self::Here(place),
            Standing::Beyond => Self::Over(place),
        }
    }
}

/// The orders of the tiers, and the moves that keep their entries.
///
/// A store's are three [`crate::engine::order::Order`]s; a model's are bare cells.
pub trait Entries<K, V> {
    /// Fills the cell of a placement.
    fn fill(&self, node: &Node<K, V>, to: Placement, guard: &Guard);

    /// Clears the cell of a placement that the word is beyond, or that nobody else fills or wants.
    fn clear(&self, node: &Node<K, V>, from: Placement, guard: &Guard);

    /// Reports the node to a snapshot in progress: see [`crate::engine::reports`].
    fn report(&self, node: &Node<K, V>, guard: &Guard);

    /// Fills the cell of a placement that a move is to.
    #[inline]
    fn fill_ahead(&self, node: &Node<K, V>, to: Placement, guard: &Guard) {
        self.fill(node, to, guard);
        reach(Step::Filled);
    }

    /// Clears an entry that is over, and whose node has that word. The node is reported first, and then what has replaced it is published.
    #[cold]
    fn clear_stale(&self, node: &Node<K, V>, mut place: Place, stale: Placement, guard: &Guard) {
        self.report(node, guard);
        // SAFETY: the word was read in an order's entry, or in such a node's successor, under the guard.
        while let Some(successor) = unsafe { Node::<K, V>::follow(place, guard) } {
            successor.publish();
            place = successor.place.load();
        }
        self.clear(node, stale, guard);
    }

    /// Clears what this thread has left behind by moving a word from `old` to `new`.
    #[inline]
    fn clear_left(&self, node: &Node<K, V>, old: Place, new: Place, guard: &Guard) {
        let Some(tier) = old.tier() else { return };
        self.clear(node, (tier, old.tick()), guard);
        if old.is_prefilled() {
            self.clear_prefilled(node, (tier, old.tick()), new, guard);
        }
    }

    /// Clears the entries below a placement that the word has gone beyond.
    #[cold]
    fn clear_prefilled(&self, node: &Node<K, V>, (tier, tick): Placement, new: Place, guard: &Guard) {
        let mut lower = tier.below();
        while let Some(tier) = lower {
            if new.standing(tier, tick) == Standing::Beyond {
                self.clear(node, (tier, tick), guard);
            }
            lower = tier.below();
        }
    }

    /// Moves a fragment that stands at `place` down to the tier `below`.
    #[inline]
    fn sink(&self, node: &Node<K, V>, place: Place, below: Tier, guard: &Guard) -> Outcome {
        let to = (below, place.tick());
        self.fill_ahead(node, to, guard);
        self.end_move(node.place.sink(place, below), node, place, to, guard)
    }

    /// Moves a fragment that stands at `place` in `tier` to the tick of its last use, which is above.
    fn relist(&self, node: &Node<K, V>, place: Place, tier: Tier, last_use: u64, guard: &Guard) -> Outcome {
        let to = (tier, last_use);
        self.fill_ahead(node, to, guard);
        self.end_move(node.place.relist(place, tier, last_use), node, place, to, guard)
    }

    /// Moves a fragment that stands at `place` up to `tier`, at a tick that the caller has taken for this and uses for nothing else.
    fn rise(&self, node: &Node<K, V>, mut place: Place, tier: Tier, tick: u64, guard: &Guard) -> Outcome {
        self.fill_ahead(node, (tier, tick), guard);
        loop {
            match node.place.rise(place, tier, tick) {
                Outcome::Done(new) => {
                    reach(Step::Moved);
                    self.report(node, guard);
                    self.clear_left(node, place, new, guard);
                    return Outcome::Done(new);
                }
                // Marked meanwhile.
                Outcome::Lost(now) if now.is_same_placement(place) => place = now,
                Outcome::Lost(now) => {
                    reach(Step::Lost);
                    self.clear(node, (tier, tick), guard);
                    return Outcome::Lost(now);
                }
            }
        }
    }

    /// Ends the move that an entry was filled for.
    #[inline]
    fn end_move(&self, moved: Outcome, node: &Node<K, V>, old: Place, to: Placement, guard: &Guard) -> Outcome {
        match moved {
            Outcome::Done(new) => {
                reach(Step::Moved);
                self.report(node, guard);
                self.clear_left(node, old, new, guard);
            }
            Outcome::Lost(_) => {
                reach(Step::Lost);
                self.settle(node, to, guard);
                reach(Step::Settled);
            }
        }
        moved
    }

    /// Settles an entry that this thread has filled for a move that it has lost: see the head of the module.
    ///
    /// Each turn but the last comes after another thread's change of the word.
    #[cold]
    fn settle(&self, node: &Node<K, V>, filled: Placement, guard: &Guard) {
        // Does not allocate until a second move is lost.
        let mut others = Vec::new();
        let mut entry = filled;
        loop {
            let now = node.place.confirm();
            let (tier, tick) = entry;
            let is_settled = match (now.standing(tier, tick), now.tier()) {
                (Standing::Before, Some(here)) if now.tick() < tick => {
                    let last_use = node.last_use.confirm();
                    debug_assert!(last_use >= tick, "an entry ahead of the word is at a last use");
                    self.fill(node, (here, last_use), guard);
                    match node.place.relist(now, here, last_use) {
                        Outcome::Done(new) => {
                            self.report(node, guard);
                            self.clear_left(node, now, new, guard);
                        }
                        Outcome::Lost(_) => others.push((here, last_use)),
                    }
                    false
                }
                (Standing::Before, Some(_)) if !now.is_prefilled() => {
                    matches!(node.place.mark_prefilled(now), Outcome::Done(_))
                }
                (Standing::At | Standing::Before, Some(_)) => true,
                (Standing::Beyond, _) | (_, None) => {
                    self.report(node, guard);
                    self.clear(node, entry, guard);
                    true
                }
            };
            if is_settled {
                match others.pop() {
                    Some(other) => entry = other,
                    None => return,
                }
            }
        }
    }
}
