//! The entries of a fragment in the orders: how a move fills and clears them.
//!
//! # Filled before moved
//!
//! At every instant the order of a tier has an entry of each published fragment that stands in the tier and is not kept, at the tick of its
//! place word. The order of what is kept has one of each published fragment that is kept, whichever its tier. So whoever moves a fragment
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
//! A *fresh* tick, that of a store, of a rise, of keeping and of letting go, is its taker's own. Where the move is lost the entry is cleared, and
//! the next try takes another tick: a cell that was cleared is not filled again, as somebody may be about to clear it once more.
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
//! What is kept sinks without any of this: its order is one for all tiers, and its entry stays true.
//!
//! So at rest there is an entry exactly where a word says that a fragment is; and perhaps, where the word says that it is prefilled, at the
//! same tick in lower tiers.
//!
//! # From one order to another
//!
//! A walk up one order does not miss what moves up within it meanwhile (see [`crate::engine::order`]). An iteration over a tier walks two orders: the tier's,
//! and then that of what is kept. A fragment that is kept, or let go, goes from the one to the other, and could be missed in both. So whoever moves a
//! fragment from one to the other *notes* it, by a read-modify-write of one counter, between 1 and 2. The iteration reads the counter, walks
//! both orders, and reads the counter again. If it has changed, both are walked again. If not, nothing was missed. Say that a fragment stood in the tier
//! throughout:
//!
//! - Its move was noted *before* the first reading. Then its entry in the order that it goes to was filled before that, so that the iteration meets it
//!   there, be it before or after the move: an entry counts also if the word is to come to it yet, as long as the fragment stands in the tier. (By the time
//!   of the move the walk may be in the other order.) It does not go back within the two walks: who moves it back has seen the
//!   first move, which comes after the first reading, and notes that in between.
//! - It is noted *after* the second reading, or never. Then the entry that it leaves is cleared after both walks: the iteration has met it.
//!
//! Iterations are lock-free by that, and no more: each further round is paid for by a fragment that was kept or let go, or whose keeper has lost to
//! another move. Evictions walk one order, and need none of this: a fragment that is let go comes into its tier as one that is stored.
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
use crate::engine::place::{List, Outcome, Place, Standing};
use crate::failpoint::{Step, reach};
use crate::tier::Tier;

/// An order and the tick in it: the name of an entry.
pub type Placement = (List, u64);

/// What an entry says to who meets it on a walk up an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// Nothing: its storer has not published it yet.
    Unpublished,
    /// Nothing yet: the fragment stands elsewhere; this is the word.
    NotYet(Place),
    /// The fragment stands there; this is the word.
    Here(Place),
    /// The fragment stands there, unless it is due: it has an [age](crate::engine::age). This is the word.
    Perishable(Place),
    /// It is over; this is the word. The entry is to be cleared, by [`Entries::clear_stale`].
    Over(Place),
}

impl Met {
    /// What the entry of `node` at that placement says.
    #[inline]
    pub fn at<K, V>(node: &Node<K, V>, (list, tick): Placement) -> Self {
        // First: until it is published, its storer may take the word back.
        if !node.is_plain() {
            return Self::of_one_not_plain(node, (list, tick));
        }
        Self::of_word(node, (list, tick))
    }

    #[inline]
    fn of_word<K, V>(node: &Node<K, V>, (list, tick): Placement) -> Self {
        let place = node.place.load();
        match place.standing(list, tick) {
            Standing::Before => Self::NotYet(place),
            Standing::At => Self::Here(place),
            Standing::Beyond => Self::Over(place),
        }
    }

    #[cold]
    fn of_one_not_plain<K, V>(node: &Node<K, V>, placement: Placement) -> Self {
        if !node.is_published() {
            return Self::Unpublished;
        }
        match Self::of_word(node, placement) {
            Self::Here(place) if node.age().is_some() => Self::Perishable(place),
            met => met,
        }
    }
}

/// The orders, and the moves that keep their entries.
///
/// A store's are four [`crate::engine::order::Order`]s; a model's are bare cells.
pub trait Entries<K, V> {
    /// Fills the cell of a placement.
    fn fill(&self, node: &Node<K, V>, to: Placement, guard: &Guard);

    /// Clears the cell of a placement that the word is beyond, or that nobody else fills or wants.
    fn clear(&self, node: &Node<K, V>, from: Placement, guard: &Guard);

    /// Reports the node to a snapshot in progress: see [`crate::engine::reports`].
    fn report(&self, node: &Node<K, V>, guard: &Guard);

    /// Notes that a fragment is about to go from one order to another: see the head of the module.
    fn note_crossing(&self);

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
        let Some(list) = old.list() else { return };
        self.clear(node, (list, old.tick()), guard);
        if old.is_prefilled() {
            self.clear_prefilled(node, old, new, guard);
        }
    }

    /// Clears the entries below a placement that the word has gone beyond.
    #[cold]
    fn clear_prefilled(&self, node: &Node<K, V>, old: Place, new: Place, guard: &Guard) {
        let mut lower = old.tier().and_then(Tier::below);
        while let Some(tier) = lower {
            let below = (List::Of(tier), old.tick());
            if new.standing(below.0, below.1) == Standing::Beyond {
                self.clear(node, below, guard);
            }
            lower = tier.below();
        }
    }

    /// Moves a fragment that stands at `place` down to the tier `below`.
    #[inline]
    fn sink(&self, node: &Node<K, V>, place: Place, below: Tier, guard: &Guard) -> Outcome {
        if place.is_kept() {
            return self.sink_kept(node, place, below, guard);
        }
        let to = (List::Of(below), place.tick());
        self.fill_ahead(node, to, guard);
        self.end_move(node.place.sink(place, below), node, place, to, guard)
    }

    /// The same of what is kept: its entry stays where it is.
    #[cold]
    fn sink_kept(&self, node: &Node<K, V>, place: Place, below: Tier, guard: &Guard) -> Outcome {
        let moved = node.place.sink(place, below);
        if let Outcome::Done(_) = moved {
            reach(Step::Moved);
            self.report(node, guard);
        }
        moved
    }

    /// Moves a fragment that stands at `place` in `tier`, and is not kept, to the tick of its last use, which is above.
    fn relist(&self, node: &Node<K, V>, place: Place, tier: Tier, last_use: u64, guard: &Guard) -> Outcome {
        let to = (List::Of(tier), last_use);
        self.fill_ahead(node, to, guard);
        self.end_move(node.place.relist(place, tier, last_use), node, place, to, guard)
    }

    /// Moves a fragment that stands at `place` up to `tier`, at a tick that the caller has taken for this and uses for nothing else.
    fn rise(&self, node: &Node<K, V>, place: Place, tier: Tier, tick: u64, guard: &Guard) -> Outcome {
        let list = if place.is_kept() { List::Kept } else { List::Of(tier) };
        self.fill_ahead(node, (list, tick), guard);
        self.end_fresh_move(node, place, (list, tick), guard, |place| node.place.rise(place, tier, tick))
    }

    /// Keeps a fragment that stands at `place` in `tier`, or lets it go, at a tick as for [`Self::rise`].
    fn keep(&self, node: &Node<K, V>, place: Place, tier: Tier, is_kept: bool, tick: u64, guard: &Guard) -> Outcome {
        let list = if is_kept { List::Kept } else { List::Of(tier) };
        self.fill_ahead(node, (list, tick), guard);
        self.note_crossing();
        self.end_fresh_move(node, place, (list, tick), guard, |place| node.place.keep(place, tier, is_kept, tick))
    }

    /// Makes the move that an entry at a fresh tick was filled for.
    #[inline]
    fn end_fresh_move(
        &self,
        node: &Node<K, V>,
        mut place: Place,
        to: Placement,
        guard: &Guard,
        cas: impl Fn(Place) -> Outcome,
    ) -> Outcome {
        loop {
            match cas(place) {
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
                    self.clear(node, to, guard);
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
            let (list, tick) = entry;
            let is_settled = match (now.standing(list, tick), now.tier().zip(now.list())) {
                (Standing::Before, Some((tier, here))) if now.tick() < tick => {
                    let last_use = node.last_use.confirm();
                    debug_assert!(last_use >= tick, "an entry ahead of the word is at a last use");
                    self.fill(node, (here, last_use), guard);
                    match node.place.relist(now, tier, last_use) {
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
