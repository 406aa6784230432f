//! What the protocols of a store share: its parts, and the helping that keeps placements listed.

use std::sync::Arc;

use crossbeam_epoch::Guard;

use crate::budget::Budget;
use crate::census::{Capacity, Census};
use crate::claim::Views;
use crate::clock::Clock;
use crate::failpoint::{Step, reach};
use crate::index::{Found, Index};
use crate::metrics::{Metrics, TierMetrics};
use crate::node::Node;
use crate::order::Order;
use crate::place::{Outcome, State};
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

    /// The live, listed node of a key, and its word: what every operation on a key starts from.
    #[inline]
    pub(super) fn observe<'g>(
        &self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        guard: &'g Guard,
    ) -> Option<Found<'g, K, V>> {
        let (node, place) = self.index.find(hash, &is_key, guard)?;
        if place.is_listed() { Some((node, place)) } else { self.observe_unlisted(hash, is_key, node, guard) }
    }

    #[cold]
    fn observe_unlisted<'g>(
        &self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        mut node: &'g Node<K, V>,
        guard: &'g Guard,
    ) -> Option<Found<'g, K, V>> {
        loop {
            self.settle(node, None, guard);
            let place = node.place.load();
            if place.tier().is_some() && place.is_listed() {
                return Some((node, place));
            }
            // Moved on in the meantime.
            let (found, place) = self.index.find(hash, &is_key, guard)?;
            if place.is_listed() {
                return Some((found, place));
            }
            node = found;
        }
    }

    /// Has what became of `node` listed, at the end of its chain of successors, and then clears `ended`, an entry of the node that is
    /// stale.
    ///
    /// The rule that this keeps: an entry is cleared only after a later placement of its node was listed, or the node was removed,
    /// or it was replaced and its successor listed. A placement is moved on from only after it was listed (every mover observes it
    /// listed first), so at every instant some entry leads to the fragment: to its current placement, or to one from which a
    /// helper comes to it. A helper that lists a placement which has ended meanwhile finds that out when it marks
    /// the word, and clears its own entry in the same way, before it unpins: [`crate::node`] relies on that.
    pub(super) fn settle(&self, node: &Node<K, V>, ended: Option<Placement>, guard: &Guard) {
        // Does not allocate until this thread has lost a race.
        let mut stale: Vec<(&Node<K, V>, Placement)> = Vec::new();
        let mut here = node;
        loop {
            let place = here.place.load();
            match place.state() {
                State::In(_) if place.is_listed() => break,
                State::In(tier) => {
                    self.order(tier).place(place.tick(), here, &self.clock, guard);
                    reach(Step::Placed);
                    match here.place.list(place) {
                        Outcome::Done(_) => {
                            reach(Step::Listed);
                            break;
                        }
                        // Listed by another, who may have been touched since: the word says.
                        Outcome::Lost(now) if now.is_same_placement(place) => {}
                        Outcome::Lost(_) => stale.push((here, (tier, place.tick()))),
                    }
                }
                State::Removed | State::Pending => break,
                // SAFETY: reached through the index or an order, or from such a node by its successors, under the guard.
                State::Replaced { from } => match unsafe { here.follow(from, guard) } {
                    Some(successor) => here = successor,
                    None => break,
                },
            }
        }
        for (node, (tier, tick)) in stale {
            self.order(tier).clear(tick, node, &self.clock, guard);
        }
        if let Some((tier, tick)) = ended {
            self.order(tier).clear(tick, node, &self.clock, guard);
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
