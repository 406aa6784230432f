//! The counters and gauges of a store, handed to the recorder of the `metrics` crate.
//!
//! A recorder adds up what it is told of a counter, whichever store tells it: several may do so under one name, at once or one after the other. So a store
//! remembers how much it has told of each counter, and tells the rest. Each part is told once, also by calls at once: by the one that has raised the memory.

use std::sync::Arc;

use metrics::{SharedString, counter, gauge};

use super::Metrics;
use crate::store::TierStore;
use crate::sync::stat::{AtomicU64, Ordering};
use crate::tier::Tier;

const COUNTERS: usize = 12;

/// How much of each counter was told.
#[derive(Debug, Default)]
pub struct Told {
    counters: [AtomicU64; COUNTERS],
}

impl Told {
    /// How much of a counter that stands at `count` is to be told by this call.
    fn rest(&self, number: usize, count: u64) -> u64 {
        // Relaxed: a statistic. The read-modify-writes of one counter are in one order, and what each tells ends where the next begins.
        count.saturating_sub(self.counters[number].fetch_max(count, Ordering::Relaxed))
    }

    fn publish(&self, store: &str, metrics: &Metrics) {
        let name = SharedString::from(Arc::<str>::from(store));
        macro_rules! publish {
            ($($counter:ident),*; $($gauge:ident),*; $($of_tier:ident),*) => {
                let counters: [_; COUNTERS] = [$((
                    metrics.$counter,
                    counter!(concat!("tierstack_", stringify!($counter)), "store" => name.clone()),
                )),*];
                for (number, (count, counter)) in counters.into_iter().enumerate() {
                    counter.increment(self.rest(number, count));
                }
                $(gauge!(concat!("tierstack_", stringify!($gauge)), "store" => name.clone()).set(lossy(metrics.$gauge));)*
                for tier in Tier::ALL {
                    let (label, held) = (tier.name(), metrics.tier(tier));
                    $(
                        gauge!(concat!("tierstack_", stringify!($of_tier)), "store" => name.clone(), "tier" => label)
                            .set(lossy(held.$of_tier));
                    )*
                }
            };
        }
        publish!(
            hits, misses, stores, replacements, promotions, demotions, evictions, removals, overflowed, expired, archived, contended;
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
    /// Hands what [`metrics`](Self::metrics) says now to the recorder of the `metrics` crate, with a label `store` that has that name.
    ///
    /// Call it when you like: now and then, or when somebody asks for the numbers. Nothing is handed over in between.
    ///
    /// | name | kind | labels |
    /// |---|---|---|
    /// | `tierstack_hits`, `tierstack_misses`, `tierstack_stores`, `tierstack_replacements`, `tierstack_promotions`, `tierstack_demotions`, `tierstack_evictions`, `tierstack_removals`, `tierstack_overflowed`, `tierstack_expired`, `tierstack_archived`, `tierstack_contended` | counter | `store` |
    /// | `tierstack_retired_bytes`, `tierstack_peak_hot_bytes` | gauge | `store` |
    /// | `tierstack_fragments`, `tierstack_bytes`, `tierstack_kept_fragments`, `tierstack_kept_bytes` | gauge | `store`, `tier` |
    ///
    /// A counter goes up by what has happened since the last call for this store. So several stores may have one name, at once or one after the other:
    /// the counters are of all of them. The gauges are of the one that was published last.
    ///
    /// The store knows what it has handed over, and not to whom. So publish a store under one name, and after the recorder is installed.
    ///
    /// # Linearization
    ///
    /// As [`metrics`](Self::metrics). Of calls at once each hands over what the others do not.
    ///
    /// # Progress
    ///
    /// That of the recorder, which may lock and allocate. The call holds nothing of the store meanwhile, and does not pin the thread.
    ///
    /// # Panics
    ///
    /// Where the recorder does. What the call has not handed over by then may be missing from the counters.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<u32, u32>::new(1024)?;
    /// store.store(1, 1)?;
    /// store.publish_metrics("context");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publish_metrics(&self, name: &str) {
        self.published.publish(name, &self.core.metrics());
    }
}
