//! What the protocols of a store share: its parts, and the entries in its orders.
//!
//! # Filled before moved
//!
//! At every instant the order of a tier has an entry of each published fragment that stands in the tier, at the tick of its place word. So
//! whoever moves a fragment
//!
//! 1. *fills* the cell of the placement that the move is to,
//! 2. moves the word, by one CAS on the exact word,
//! 3. *clears* the cell of the placement that the move was from.
//!
//! A thread may stop between any two of these. Before 2 there is an entry too many, which the word is before: evictions and iterations pass
//! it by. After 2 there is one that the word is beyond: whoever meets it clears it. Nobody has to help.
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
//! - The word is *beyond*: for good. The entry is cleared.
//! - The word is *before*, at the same tick: it stands in a higher tier, and the fragment may sink to the entry, past it, or never. The word is
//!   marked as *prefilled*, and whoever moves it beyond clears the entry too.
//! - The word is *before*, at a lower tick: the entry is at a last use. The node is re-listed where it is, at its last use, which changes
//!   nothing about its recency. Then the word is at the entry's tick or above it, and one of the other cases holds.
//!
//! So at rest there is an entry exactly where a word says that a fragment is.
//!
//! # Published
//!
//! A store fills its entry before its fragment is in the index. Evictions and iterations pass it by until the node is *published*: by
//! the storer, and by whoever sees the fragment, through the index or where its predecessor was. So for them a stored
//! fragment stands in its tier from its publication on, which is within the call that stores it, and no later than anybody else sees it there.

use std::sync::Arc;

use crossbeam_epoch::Guard;

use crate::budget::Budget;
use crate::census::{Capacity, Census};
use crate::claim::Views;
use crate::clock::Clock;
use crate::failpoint::{Step, reach};
use crate::index::{Found, Index, Spot};
use crate::metrics::{Metrics, TierMetrics};
use crate::node::Node;
use crate::order::Order;
use crate::place::{Outcome, Place, Standing};
use crate::reclaim;
use crate::stats::{Event, Stats};
use crate::tier::Tier;

/// The parts of a store, without the caller's functions.
pub struct Core<K: Send + Sync + 'static, V: Send + Sync + 'static> {
    pub(super) index: Index<K, V>,
    orders: [Order<Node<K, V>>; 3],
    pub(super) clock: Clock,
    pub(super) budget: Budget,
    pub(super) census: [Census; 3],
    pub(super) stats: Arc<Stats>,
    pub(super) recency_slack: u64,
    pub(super) views: Views,
}

/// What a store is made with.
#[derive(Clone, Debug)]
pub struct Settings {
    pub hot_budget: u64,
    pub warm: Capacity,
    pub cold: Capacity,
    pub expected_fragments: usize,
    pub recency_slack: u64,
    pub first_tick: u64,
}

/// A tier and the tick in it: the name of a placement.
pub type Placement = (Tier, u64);

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Core<K, V> {
    pub fn new(settings: &Settings) -> Self {
        Self {
            index: Index::with_room_for(settings.expected_fragments),
            orders: [Order::new(), Order::new(), Order::new()],
            clock: Clock::starting_at(settings.first_tick),
            budget: Budget::new(settings.hot_budget),
            census: [Capacity::UNBOUNDED, settings.warm, settings.cold].map(Census::new),
            stats: Arc::new(Stats::new()),
            recency_slack: settings.recency_slack,
            views: Views::new(),
        }
    }

    pub(super) fn order(&self, tier: Tier) -> &Order<Node<K, V>> {
        &self.orders[tier.index()]
    }

    pub(super) fn census(&self, tier: Tier) -> &Census {
        &self.census[tier.index()]
    }

    /// The live node of a key, and its word: what every operation on a key starts from.
    #[inline]
    pub(super) fn observe<'g>(
        &self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        guard: &'g Guard,
    ) -> Option<Found<'g, K, V>> {
        let found = self.index.find(hash, is_key, guard)?;
        see(found.0);
        Some(found)
    }

    /// As [`Self::observe`]; and the index cell that led there.
    #[inline]
    pub(super) fn observe_spot<'g>(
        &self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        guard: &'g Guard,
    ) -> Option<(Found<'g, K, V>, Option<Spot<'g, K, V>>)> {
        let found = self.index.find_spot(hash, is_key, guard)?;
        see(found.0.0);
        Some(found)
    }

    /// Fills the cell of a placement that a move is to.
    #[inline]
    pub(super) fn fill(&self, node: &Node<K, V>, (tier, tick): Placement, guard: &Guard) {
        self.order(tier).fill(tick, node, &self.clock, guard);
        reach(Step::Filled);
    }

    /// Clears the cell of a placement that the word is beyond, or that is this thread's own.
    #[inline]
    pub(super) fn clear(&self, node: &Node<K, V>, (tier, tick): Placement, guard: &Guard) {
        self.order(tier).clear(tick, node, &self.clock, guard);
    }

    /// Clears what this thread has left behind by moving a word from `old` to `new`.
    #[inline]
    pub(super) fn clear_left(&self, node: &Node<K, V>, old: Place, new: Place, guard: &Guard) {
        let Some(tier) = old.tier() else { return };
        self.clear(node, (tier, old.tick()), guard);
        if old.is_prefilled() {
            self.clear_prefilled(node, (tier, old.tick()), new, guard);
        }
    }

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

    /// Clears an entry whose node is published, and whose word, `place`, is beyond it.
    ///
    /// What has replaced the node is in its order. Whoever passes the predecessor by has seen that, so that it is published first.
    #[cold]
    pub(super) fn clear_stale(&self, node: &Node<K, V>, mut place: Place, stale: Placement, guard: &Guard) {
        // SAFETY: the word was read in an order's entry, or in such a node's successor, under the guard.
        while let Some(successor) = unsafe { Node::<K, V>::follow(place, guard) } {
            successor.publish();
            place = successor.place.load();
        }
        self.clear(node, stale, guard);
    }

    /// Moves a fragment that stands at `place` in `tier` down to the tier `below`.
    #[inline]
    pub(super) fn sink(&self, node: &Node<K, V>, place: Place, below: Tier, guard: &Guard) -> Outcome {
        let to = (below, place.tick());
        self.fill(node, to, guard);
        self.move_to(node.place.sink(place, below), node, place, to, guard)
    }

    /// Moves a fragment that stands at `place` in `tier` to the tick of its last use, which is above.
    pub(super) fn relist(&self, node: &Node<K, V>, place: Place, tier: Tier, last_use: u64, guard: &Guard) -> Outcome {
        let to = (tier, last_use);
        self.fill(node, to, guard);
        self.move_to(node.place.relist(place, tier, last_use), node, place, to, guard)
    }

    #[inline]
    fn move_to(&self, moved: Outcome, node: &Node<K, V>, old: Place, to: Placement, guard: &Guard) -> Outcome {
        match moved {
            Outcome::Done(new) => {
                reach(Step::Moved);
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
                (Standing::At, _) => true,
                (Standing::Before, Some(here)) if now.tick() < tick => {
                    let last_use = node.last_use.confirm();
                    debug_assert!(last_use >= tick, "an entry ahead of the word is at a last use");
                    self.fill(node, (here, last_use), guard);
                    match node.place.relist(now, here, last_use) {
                        Outcome::Done(new) => self.clear_left(node, now, new, guard),
                        Outcome::Lost(_) => others.push((here, last_use)),
                    }
                    false
                }
                (Standing::Before, Some(_)) if !now.is_prefilled() => {
                    matches!(node.place.mark_prefilled(now), Outcome::Done(_))
                }
                (Standing::Before, Some(_)) => true,
                (Standing::Beyond, _) | (_, None) => {
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

    /// The counters, exact at rest.
    pub fn metrics(&self) -> Metrics {
        let stats = &self.stats;
        let tier =
            |tier: Tier| TierMetrics { fragments: self.census(tier).fragments(), bytes: self.census(tier).bytes() };
        // Every hit takes a tick, but for those that the slack lets be; everything else that takes one counts it.
        let other_ticks = stats.sum(Event::OtherTick);
        let hits = self.clock.taken().saturating_sub(other_ticks) + stats.sum(Event::QuietHit);
        Metrics {
            hits,
            misses: stats.sum(Event::Miss),
            stores: stats.sum(Event::Store),
            replacements: stats.sum(Event::Replacement),
            promotions: stats.sum(Event::Promotion),
            demotions: stats.sum(Event::Demotion),
            evictions: stats.sum(Event::Eviction),
            removals: stats.sum(Event::Removal),
            overflowed: stats.sum(Event::Overflow),
            contended: stats.sum(Event::Contended),
            retired_bytes: stats.retired_bytes(),
            peak_hot_bytes: stats.peak_hot_bytes(),
            hot: tier(Tier::Hot),
            warm: tier(Tier::Warm),
            cold: tier(Tier::Cold),
        }
    }

    /// A tick for anything but a hit.
    pub(super) fn other_tick(&self) -> Option<u64> {
        let tick = self.clock.tick()?;
        self.stats.count(Event::OtherTick);
        if tick % 64 == 0 {
            let sum = |of: fn(&Census) -> u64| self.census.iter().map(of).fold(0, u64::saturating_add);
            self.stats.adapt(sum(Census::bytes), sum(Census::fragments));
        }
        Some(tick)
    }
}

/// The index leads to the node, so that it is published. Mostly it is known to be: then it is only read.
#[inline]
fn see<K, V>(node: &Node<K, V>) {
    if !node.is_published() {
        node.publish();
    }
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Drop for Core<K, V> {
    fn drop(&mut self) {
        // SAFETY: `&mut self` is the only access to the store, and so to its nodes. The orders only point to them.
        unsafe { self.index.tear_down() };
        // What it has retired has a count of its own. Within a destructor that waits: see `crate::reclaim`.
        if Arc::strong_count(&self.stats) > 1 && !reclaim::is_running() {
            reclaim::collect();
        }
    }
}
