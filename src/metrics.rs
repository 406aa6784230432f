//! Counters of what happened, and their snapshot.
//!
//! Counters are statistics: `Relaxed` throughout, as nothing is published through them, and read by no protocol. They are
//! spread over stripes, one of which a thread always uses, so that threads seldom share a cache line.

use core::array;

use crate::sync::Padded;
use crate::sync::stat::{AtomicU64, Ordering};
use crate::tier::Tier;

const STRIPES: usize = 8;

/// What is counted by stripes.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// A `get` that found its key and took no tick for it (see [`crate::Builder::recency_slack`]).
    QuietHit,
    /// A `get` that did not find its key.
    Miss,
    /// A `store` that took effect.
    Store,
    /// A `store` that replaced a fragment.
    Replacement,
    /// A `promote` that changed the tier.
    Promotion,
    /// A `demote` that changed the tier.
    Demotion,
    /// A least recently used fragment moved down, or out.
    Eviction,
    /// A `remove` that found its key.
    Removal,
    /// A fragment that a capacity pushed out of cold.
    Overflow,
    /// A `store` or `promote` that was contended.
    Contended,
    /// A tick taken by anything but a hit.
    OtherTick,
}

const EVENTS: usize = Event::OtherTick as usize + 1;

/// The counters of a store.
pub struct Events {
    stripes: [Padded<[AtomicU64; EVENTS]>; STRIPES],
    peak_hot_bytes: Padded<AtomicU64>,
}

impl Events {
    pub fn new() -> Self {
        Self {
            stripes: array::from_fn(|_| Padded(array::from_fn(|_| AtomicU64::new(0)))),
            peak_hot_bytes: Padded(AtomicU64::new(0)),
        }
    }

    /// Counts one.
    #[inline]
    pub fn count(&self, event: Event) {
        // Relaxed: see the head of the module.
        self.stripes[stripe()].0[event as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The sum over the stripes.
    pub fn sum(&self, event: Event) -> u64 {
        // Relaxed: see the head of the module.
        self.stripes.iter().map(|stripe| stripe.0[event as usize].load(Ordering::Relaxed)).sum()
    }

    /// Notes hot's bytes after they grew.
    #[inline]
    pub fn note_hot_bytes(&self, bytes: u64) {
        // Relaxed: see the head of the module.
        if bytes > self.peak_hot_bytes.load(Ordering::Relaxed) {
            self.peak_hot_bytes.fetch_max(bytes, Ordering::Relaxed);
        }
    }

    pub fn peak_hot_bytes(&self) -> u64 {
        // Relaxed: see the head of the module.
        self.peak_hot_bytes.load(Ordering::Relaxed)
    }
}

/// The stripe of the current thread: from the address of a thread-local, which differs between threads.
#[inline]
fn stripe() -> usize {
    thread_local! {
        static MARK: u8 = const { 0 };
    }
    let address = MARK.try_with(|mark| core::ptr::from_ref(mark).addr()).unwrap_or(0);
    // Thread-local blocks lie pages apart, and not at multiples of one power of two: mix the bits.
    ((address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 61) as usize % STRIPES
}

/// Bytes of fragments that have left the store and are not freed yet. Outlives the store, as frees do.
pub struct Retired {
    bytes: Padded<AtomicU64>,
    /// Above this the collector is flushed.
    threshold: AtomicU64,
}

/// Flushing for less would cost more than the memory is worth.
const SMALLEST_THRESHOLD: u64 = 64 << 10;

impl Retired {
    pub fn new() -> Self {
        Self { bytes: Padded(AtomicU64::new(0)), threshold: AtomicU64::new(SMALLEST_THRESHOLD) }
    }

    /// Adds a retired fragment's weight; true where it is time to flush the collector.
    pub fn add(&self, weight: u64) -> bool {
        // Relaxed: see the head of the module.
        let bytes = self.bytes.fetch_add(weight, Ordering::Relaxed) + weight;
        bytes > self.threshold.load(Ordering::Relaxed)
    }

    /// Takes off a freed fragment's weight.
    pub fn sub(&self, weight: u64) {
        // Relaxed: see the head of the module.
        self.bytes.fetch_sub(weight, Ordering::Relaxed);
    }

    pub fn bytes(&self) -> u64 {
        // Relaxed: see the head of the module.
        self.bytes.load(Ordering::Relaxed)
    }

    /// Sets the threshold for a store that holds `live` bytes: a 32nd of them.
    pub fn adapt(&self, live: u64) {
        // Relaxed: see the head of the module.
        self.threshold.store((live / 32).max(SMALLEST_THRESHOLD), Ordering::Relaxed);
    }
}

/// A snapshot of a store's counters, by [`TierStore::metrics`](crate::TierStore::metrics).
///
/// Exact at rest, that is, while no operation runs; under concurrency off by at most the operations in flight. Counters
/// only grow, but for `retired_bytes` and the tiers' own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// `get`s that found their key.
    pub hits: u64,
    /// `get`s that did not.
    pub misses: u64,
    /// `store`s that took effect.
    pub stores: u64,
    /// `store`s that replaced a fragment.
    pub replacements: u64,
    /// `promote`s and `promote_to`s that changed the tier.
    pub promotions: u64,
    /// `demote`s and `demote_to`s that changed the tier.
    pub demotions: u64,
    /// Least recently used fragments moved down or out, whatever for: room for a `store` or `promote`, a lowered budget,
    /// a capacity, `evict_lru`. None of them is counted in `demotions`.
    pub evictions: u64,
    /// `remove`s that found their key.
    pub removals: u64,
    /// Fragments that a capacity pushed out of cold, handed to the overflow hook.
    pub overflowed: u64,
    /// `store`s and `promote`s that were contended.
    pub contended: u64,
    /// Bytes (weights) of fragments that have left the store and are not freed yet.
    pub retired_bytes: u64,
    /// The most bytes that hot has held.
    pub peak_hot_bytes: u64,
    /// What hot holds.
    pub hot: TierMetrics,
    /// What warm holds.
    pub warm: TierMetrics,
    /// What cold holds.
    pub cold: TierMetrics,
}

/// What a tier holds: part of [`Metrics`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierMetrics {
    /// How many fragments.
    pub fragments: u64,
    /// The sum of their weights, in bytes.
    pub bytes: u64,
}

impl Metrics {
    /// What `tier` holds.
    #[must_use]
    pub const fn tier(&self, tier: Tier) -> TierMetrics {
        match tier {
            Tier::Hot => self.hot,
            Tier::Warm => self.warm,
            Tier::Cold => self.cold,
        }
    }
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn stripes_add_up_over_threads() {
        let events = Events::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| events.count(Event::Miss)));
            }
        });
        assert_eq!((events.sum(Event::Miss), events.sum(Event::Store)), (4000, 0));
    }

    #[test]
    fn retired_bytes_ask_for_a_flush_above_the_threshold() {
        let retired = Retired::new();
        assert!(!retired.add(SMALLEST_THRESHOLD));
        assert!(retired.add(1));
        retired.adapt(64 * SMALLEST_THRESHOLD);
        assert!(!retired.add(1));
        retired.sub(2);
        assert_eq!(retired.bytes(), SMALLEST_THRESHOLD);
    }
}
