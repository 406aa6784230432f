//! The snapshot of a store's counters. The counters themselves are in [`crate::engine::stats`] and [`crate::engine::census`].

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

/// With the feature `metrics`.
#[cfg(feature = "metrics")]
mod publish {
    use std::sync::Arc;

    use metrics::{SharedString, counter, gauge};

    use super::Metrics;
    use crate::store::TierStore;
    use crate::tier::Tier;

    impl Metrics {
        /// Hands the numbers to the recorder of the `metrics` crate, with a label `store` that has that name.
        ///
        /// Call it when you like: now and then, or when somebody asks for them. Nothing is handed over in between.
        ///
        /// | name | kind | labels |
        /// |---|---|---|
        /// | `tierstack_hits`, `tierstack_misses`, `tierstack_stores`, `tierstack_replacements`, `tierstack_promotions`, `tierstack_demotions`, `tierstack_evictions`, `tierstack_removals`, `tierstack_overflowed`, `tierstack_contended` | counter, absolute | `store` |
        /// | `tierstack_retired_bytes`, `tierstack_peak_hot_bytes` | gauge | `store` |
        /// | `tierstack_fragments`, `tierstack_bytes`, `tierstack_kept_fragments`, `tierstack_kept_bytes` | gauge | `store`, `tier` |
        ///
        /// The counters of a store begin at zero, also of one that was [restored](crate::Builder::restore). Two stores that live at once are to have two names.
        ///
        /// # Progress
        ///
        /// That of the recorder, which may lock and allocate.
        ///
        /// # Examples
        ///
        /// ```
        /// # let store = tierstack::TierStore::<u32, u32>::new(1024)?;
        /// store.store(1, 1)?;
        /// store.metrics().publish("context");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn publish(&self, store: &str) {
            let name = SharedString::from(Arc::<str>::from(store));
            macro_rules! publish {
                ($($counter:ident),*; $($gauge:ident),*; $($of_tier:ident),*) => {
                    $(counter!(concat!("tierstack_", stringify!($counter)), "store" => name.clone()).absolute(self.$counter);)*
                    $(gauge!(concat!("tierstack_", stringify!($gauge)), "store" => name.clone()).set(lossy(self.$gauge));)*
                    for tier in Tier::ALL {
                        let (label, held) = (tier.name(), self.tier(tier));
                        $(
                            gauge!(concat!("tierstack_", stringify!($of_tier)), "store" => name.clone(), "tier" => label)
                                .set(lossy(held.$of_tier));
                        )*
                    }
                };
            }
            publish!(
                hits, misses, stores, replacements, promotions, demotions, evictions, removals, overflowed, contended;
                retired_bytes, peak_hot_bytes;
                fragments, bytes, kept_fragments, kept_bytes
            );
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
    fn lossy(number: u64) -> f64 {
        number as f64
    }

    impl<K, V, S> TierStore<K, V, S>
    where
        K: Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        /// [Publishes](Metrics::publish) what [`metrics`](Self::metrics) says now, under that name.
        ///
        /// # Linearization
        ///
        /// As [`metrics`](Self::metrics).
        ///
        /// # Progress
        ///
        /// As [`Metrics::publish`]. The thread is not pinned.
        ///
        /// # Examples
        ///
        /// ```
        /// # let store = tierstack::TierStore::<u32, u32>::new(1024)?;
        /// store.publish_metrics("context");
        /// # Ok::<(), tierstack::BuildError>(())
        /// ```
        pub fn publish_metrics(&self, name: &str) {
            self.core.metrics().publish(name);
        }
    }
}
