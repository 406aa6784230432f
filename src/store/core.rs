//! What the protocols of a store share: its parts, and how they find a key's fragment, and publish what they find. See [`crate::engine::entries`] for
//! both publication and how the orders get their entries.

use std::sync::Arc;

use crossbeam_epoch::Guard;

use super::departure::Causes;
use crate::drops::{self, Callback};
use crate::engine::age::{Lifetimes, ReadTime, Time};
use crate::engine::budget::Budget;
use crate::engine::census::{Capacity, Census};
use crate::engine::claim::Views;
use crate::engine::clock::Clock;
use crate::engine::entries::{Entries, Placement};
use crate::engine::index::{Found, Index};
use crate::engine::node::Node;
use crate::engine::order::Order;
use crate::engine::place::{List, Place};
use crate::engine::reclaim;
use crate::engine::stats::{Event, Stats, Stripe};
use crate::failpoint::{Step, reach};
use crate::store::fragment::Fragment;
use crate::store::metrics::{Metrics, TierMetrics};
use crate::store::version::{StoreNumber, Version};
use crate::sync::{AtomicU64, Ordering, Padded};
use crate::tier::Tier;

/// The parts of a store, without the caller's functions.
pub struct Core<K: Send + Sync + 'static, V: Send + Sync + 'static> {
    pub(super) index: Index<K, V>,
    /// Those of the tiers, and that of what is kept.
    orders: [Order<Node<K, V>>; 4],
    pub(super) clock: Clock,
    pub(super) budget: Budget,
    pub(super) census: [Census; 3],
    /// Of each tier, what is kept in it. Counted in after the CAS that keeps it there, and taken off before the one that ends that: never above
    /// what is kept.
    kept: [Census; 3],
    /// Counts the fragments that are about to be kept or let go: see [`crate::engine::entries`].
    crossings: Padded<AtomicU64>,
    /// Whether a tier has a capacity.
    pub(super) has_capacity: bool,
    /// Of what the listener is told; of nothing, where there is none.
    pub(super) told: Causes,
    /// Writes a key into an event.
    #[cfg(feature = "tracing")]
    pub(super) show_key: Option<super::trace::ShowKey<K>>,
    pub(super) stats: Arc<Stats>,
    pub(super) recency_slack: u64,
    pub(super) time: Time,
    /// Whether every fragment has an age.
    pub(super) has_lifetimes: bool,
    pub(super) views: Views,
    number: StoreNumber,
}

/// What a store is made with.
#[derive(Clone, Debug)]
pub struct Settings {
    pub hot_budget: u64,
    pub warm: Capacity,
    pub cold: Capacity,
    pub expected_fragments: usize,
    /// How many come from a snapshot: room for them at once, but not for ever.
    pub restored_fragments: usize,
    pub recency_slack: u64,
    pub first_tick: u64,
    pub told: Causes,
    pub lifetimes: Lifetimes,
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Core<K, V> {
    pub fn new(settings: &Settings, read_time: Option<Callback<ReadTime>>) -> Self {
        let census = [Capacity::UNBOUNDED, settings.warm, settings.cold].map(Census::new);
        Self {
            index: Index::with_room_for(settings.restored_fragments, settings.expected_fragments),
            orders: [Order::new(), Order::new(), Order::new(), Order::new()],
            clock: Clock::starting_at(settings.first_tick),
            budget: Budget::new(settings.hot_budget),
            // All bytes of hot in one word, which an operation can go by.
            kept: [Capacity::bytes(u64::MAX), Capacity::UNBOUNDED, Capacity::UNBOUNDED].map(Census::new),
            crossings: Padded(AtomicU64::new(0)),
            has_capacity: census.iter().any(Census::is_bounded),
            told: settings.told,
            #[cfg(feature = "tracing")]
            show_key: None,
            census,
            stats: Arc::new(Stats::new()),
            recency_slack: settings.recency_slack,
            time: Time::new(read_time, settings.lifetimes),
            has_lifetimes: settings.lifetimes.are_some(),
            views: Views::new(),
            number: StoreNumber::next(),
        }
    }

    pub(super) fn order(&self, list: List) -> &Order<Node<K, V>> {
        match list {
            List::Of(tier) => &self.orders[tier.index()],
            List::Kept => &self.orders[3],
        }
    }

    /// What is kept in that tier.
    pub(super) fn kept(&self, tier: Tier) -> &Census {
        &self.kept[tier.index()]
    }

    /// How many crossings from one order to another were noted.
    pub(super) fn crossings(&self) -> u64 {
        // Acquire: what was filled before it was noted is seen. And who has seen a cell cleared sees that it was noted before.
        self.crossings.load(Ordering::Acquire)
    }

    pub(super) fn census(&self, tier: Tier) -> &Census {
        &self.census[tier.index()]
    }

    /// The name of what the node holds.
    #[inline]
    pub(super) fn version(&self, node: &Node<K, V>) -> Version {
        Version::new(self.number, node.stamp())
    }

    /// Whether the version is of this store.
    pub(super) fn has_made(&self, version: Version) -> bool {
        version.is_of(self.number)
    }

    /// The node as it was found, if that was alive.
    #[inline]
    pub(super) fn fragment<'g>(&self, node: &'g Node<K, V>, place: Place) -> Option<Fragment<&'g Node<K, V>>> {
        let (tier, kept) = (place.tier()?, place.is_kept());
        Some(Fragment { value: node, tier, kept, weight: node.weight(), version: self.version(node) })
    }

    /// What the fragments of a tier weigh. Of hot, what is reserved.
    pub fn bytes(&self, tier: Tier) -> u64 {
        if tier == Tier::Hot { self.budget.reserved() } else { self.census(tier).bytes() }
    }

    /// The live node of a key, and its word, where that alone says that the fragment is there: what every read of a key starts from. Whoever answers
    /// from what is found, and not from a CAS of its own, [reports](Entries::report) it. That the key is absent is reported here.
    ///
    /// Where the fragment has an age, nothing: see [`super::expiry`].
    #[inline]
    pub(super) fn find_plain<'g>(
        &self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        guard: &'g Guard,
    ) -> Option<Found<'g, K, V>> {
        let found = self.index.find(hash, is_key, guard)?;
        if found.0.is_plain() || self.is_plain_once_seen(found.0, guard) { Some(found) } else { None }
    }

    #[cold]
    #[inline(never)]
    fn is_plain_once_seen(&self, node: &Node<K, V>, guard: &Guard) -> bool {
        self.see(node, guard);
        node.is_plain()
    }

    /// The index leads to the node, so that it is published.
    pub(super) fn see(&self, node: &Node<K, V>, guard: &Guard) {
        if !node.is_published() {
            self.introduce(node, guard);
        }
    }

    /// Publishes the node of another. What it has replaced is reported before: from then on nobody does that who meets it.
    #[cold]
    fn introduce(&self, node: &Node<K, V>, guard: &Guard) {
        // Where no chain has it any more, whoever took it out has reported it.
        if self.index.reports().are_collected(guard)
            && let Some(first) = self.index.chain_with(node, guard)
        {
            self.report(first, guard);
        }
        node.publish();
    }

    /// The counters, exact at rest.
    pub fn metrics(&self) -> Metrics {
        let stats = &self.stats;
        let tier = |tier: Tier| TierMetrics {
            fragments: self.census(tier).fragments(),
            bytes: self.bytes(tier),
            kept_fragments: self.kept(tier).fragments(),
            kept_bytes: self.kept(tier).bytes(),
        };
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
            expired: stats.sum(Event::Expiry),
            archived: stats.archived(),
            contended: stats.sum(Event::Contended),
            retired_bytes: stats.retired_bytes(),
            peak_hot_bytes: stats.peak_hot_bytes(),
            hot: tier(Tier::Hot),
            warm: tier(Tier::Warm),
            cold: tier(Tier::Cold),
        }
    }

    /// A tick for anything but a hit.
    pub(super) fn other_tick(&self, stripe: Stripe<'_>) -> Option<u64> {
        let tick = self.clock.tick()?;
        stripe.count(Event::OtherTick);
        if tick % 64 == 0 {
            let sum = |of: &dyn Fn(Tier) -> u64| Tier::ALL.into_iter().map(of).fold(0, u64::saturating_add);
            self.stats.adapt(sum(&|tier| self.bytes(tier)), sum(&|tier| self.census(tier).fragments()));
        }
        Some(tick)
    }
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Entries<K, V> for Core<K, V> {
    #[inline]
    fn fill(&self, node: &Node<K, V>, (list, tick): Placement, guard: &Guard) {
        self.order(list).fill(tick, node, &self.clock, guard);
    }

    #[inline]
    fn clear(&self, node: &Node<K, V>, (list, tick): Placement, guard: &Guard) {
        self.order(list).clear(tick, node, &self.clock, guard);
    }

    fn note_crossing(&self) {
        // AcqRel: see `crossings`.
        self.crossings.fetch_add(1, Ordering::AcqRel);
        reach(Step::Crossing);
    }

    #[inline]
    fn report(&self, node: &Node<K, V>, guard: &Guard) {
        if let Some(due) = self.index.reports().report(node, guard) {
            self.end_snapshot(due, guard);
        }
    }
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Drop for Core<K, V> {
    fn drop(&mut self) {
        // SAFETY: `&mut self` is the only access to the store, and so to its nodes. The orders only point to them.
        unsafe { self.index.tear_down() };
        // What it has retired has a count of its own. Within a destructor that waits: see `crate::engine::reclaim`.
        if Arc::strong_count(&self.stats) > 1 && !drops::is_running() {
            reclaim::collect();
        }
    }
}
