//! What the protocols of a store share: its parts, and the helping that keeps placements listed.

use std::sync::Arc;

use crossbeam_epoch::Guard;

use crate::budget::Budget;
use crate::census::{Capacity, Census};
use crate::clock::Clock;
use crate::failpoint::{Step, reach};
use crate::index::{Found, Index, Settle};
use crate::metrics::{Event, Events, Metrics, Retired, TierMetrics};
use crate::node::Node;
use crate::order::Order;
use crate::place::{Outcome, State};
use crate::tier::Tier;

/// The parts of a store, without the caller's functions.
pub struct Core<K: Send + Sync + 'static, V: Send + Sync + 'static> {
    pub(super) index: Index<K, V>,
    orders: [Order<Node<K, V>>; 3],
    pub(super) clock: Clock,
    pub(super) budget: Budget,
    census: [Census; 3],
    pub(super) events: Events,
    pub(super) retired: Arc<Retired>,
    pub(super) recency_slack: u64,
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
            census: [Census::new(Capacity::UNBOUNDED), Census::new(settings.warm), Census::new(settings.cold)],
            events: Events::new(),
            retired: Arc::new(Retired::new()),
            recency_slack: settings.recency_slack,
        }
    }

    pub(super) fn order(&self, tier: Tier) -> &Order<Node<K, V>> {
        &self.orders[tier.index()]
    }

    pub(super) fn census(&self, tier: Tier) -> &Census {
        &self.census[tier.index()]
    }

    /// The live, listed node of a key, and its word: what every operation but a read without use starts from.
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
            self.settle_after(node, None, guard);
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

    /// Has what `node` became listed, all along its chain of successors, and then clears `ended`, an entry of the node that is stale.
    ///
    /// The rule that this keeps: an entry is cleared only after a later placement of its node was listed, or the node was removed,
    /// or it was replaced and its successor listed. A placement is moved on from only after it was listed (every mover observes it
    /// listed first), so at every instant some entry leads to the fragment: to its current placement, or to one from which a
    /// helper comes to it. A helper that lists a placement which has ended meanwhile finds that out when it marks
    /// the word, and clears its own entry in the same way.
    pub(super) fn settle_after(&self, node: &Node<K, V>, ended: Option<Placement>, guard: &Guard) {
        // Neither allocates until this thread has lost a race.
        let mut stale: Vec<(&Node<K, V>, Placement)> = Vec::new();
        let mut replaced: Vec<&Node<K, V>> = Vec::new();
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
                State::Replaced { .. } => match here.effective_successor(place, guard) {
                    None => break,
                    Some(successor) => {
                        replaced.push(here);
                        here = successor;
                    }
                },
            }
        }
        for node in replaced.into_iter().rev() {
            node.settle();
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
        let events = &self.events;
        let tier =
            |tier: Tier| TierMetrics { fragments: self.census(tier).fragments(), bytes: self.census(tier).bytes() };
        // Every hit takes a tick, but for those that the slack lets be; everything else that takes one counts it.
        let other_ticks = events.sum(Event::OtherTick);
        let hits = self.clock.taken().saturating_sub(other_ticks) + events.sum(Event::QuietHit);
        Metrics {
            hits,
            misses: events.sum(Event::Miss),
            stores: events.sum(Event::Store),
            replacements: events.sum(Event::Replacement),
            promotions: events.sum(Event::Promotion),
            demotions: events.sum(Event::Demotion),
            evictions: events.sum(Event::Eviction),
            removals: events.sum(Event::Removal),
            overflowed: events.sum(Event::Overflow),
            contended: events.sum(Event::Contended),
            retired_bytes: self.retired.bytes(),
            peak_hot_bytes: events.peak_hot_bytes(),
            hot: tier(Tier::Hot),
            warm: tier(Tier::Warm),
            cold: tier(Tier::Cold),
        }
    }

    /// A tick for anything but a hit.
    pub(super) fn other_tick(&self) -> Option<u64> {
        let tick = self.clock.tick()?;
        self.events.count(Event::OtherTick);
        if tick % 64 == 0 {
            self.retired.adapt(Tier::ALL.iter().map(|&tier| self.census(tier).bytes()).sum());
        }
        Some(tick)
    }
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Settle<K, V> for Core<K, V> {
    fn settle(&self, node: &Node<K, V>, guard: &Guard) {
        self.settle_after(node, None, guard);
    }
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Drop for Core<K, V> {
    fn drop(&mut self) {
        for order in &mut self.orders {
            // SAFETY: `&mut self` is the only access to the store, and so to its orders and nodes.
            unsafe { order.tear_down() };
        }
        // SAFETY: as above.
        unsafe { self.index.tear_down() };
    }
}
