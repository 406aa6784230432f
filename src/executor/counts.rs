//! What a strategy has done, as far as its context's helpers did it.

use crate::sync::Padded;
use crate::sync::stat::{AtomicU64, Ordering};

/// What a strategy has done by the helpers of its [`StrategyContext`](super::StrategyContext) and of its [views](super::StrategyView).
///
/// What it did on the store, on the changeset's handle or on the plan itself is not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Fragments that it asked for, found or not.
    pub reads: u64,
    /// Promotions that it asked for, also of what stood there already.
    pub promotions: u64,
    /// How many of these were refused.
    pub refused: u64,
    /// Demotions that it asked for, also of what stood there already, or was not there.
    pub demotions: u64,
    /// Changes that it recorded.
    pub records: u64,
}

/// Counts that several threads of a strategy add to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: Padded<[AtomicU64; 5]>,
}

impl Tally {
    pub(super) fn add(&self, Counts { reads, promotions, refused, demotions, records }: Counts) {
        for (sum, count) in self.counts.iter().zip([reads, promotions, refused, demotions, records]) {
            if count > 0 {
                // Relaxed: a statistic; it is read after the strategy has ended, which rayon's joins order.
                sum.fetch_add(count, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn counts(&self) -> Counts {
        // Relaxed: see `add`.
        let [reads, promotions, refused, demotions, records] =
            self.counts.each_ref().map(|sum| sum.load(Ordering::Relaxed));
        Counts { reads, promotions, refused, demotions, records }
    }
}
