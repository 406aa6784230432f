//! The snapshot of a store's counters. The counters themselves are in [`crate::engine::stats`] and [`crate::engine::census`].

#[cfg(feature = "metrics")]
pub(super) mod publish;

use crate::tier::Tier;

/// A snapshot of a store's counters, by [`TierStore::metrics`](crate::TierStore::metrics).
///
/// Exact at rest, that is, while no operation runs; under concurrency off by at most what the operations in flight move. Counters
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
    /// Fragments that a capacity pushed out of cold, told to the listener.
    pub overflowed: u64,
    /// Fragments that have expired, told to the listener.
    pub expired: u64,
    /// Fragments that an archive has taken over, told to the listener: see [`TierStore::finish_leaving`](crate::TierStore::finish_leaving).
    pub archived: u64,
    /// `store`s and `promote`s that were contended.
    pub contended: u64,
    /// Bytes (weights) of fragments that have left the store and whose values are not freed yet.
    pub retired_bytes: u64,
    /// The most bytes of hot that were taken: see [`TierStore::hot_bytes`](crate::TierStore::hot_bytes).
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
    /// The sum of their weights, in bytes; for hot, what is taken: see [`TierStore::hot_bytes`](crate::TierStore::hot_bytes).
    pub bytes: u64,
    /// How many of the fragments are [kept](crate::TierStore::keep).
    pub kept_fragments: u64,
    /// The sum of their weights, in bytes.
    pub kept_bytes: u64,
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
