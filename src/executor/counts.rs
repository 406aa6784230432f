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
pub(super) struct Tally(Padded<Fields>);

#[derive(Debug, Default)]
struct Fields {
    reads: AtomicU64,
    promotions: AtomicU64,
    refused: AtomicU64,
    demotions: AtomicU64,
    records: AtomicU64,
}

impl Tally {
    pub(super) fn add(&self, counts: Counts) {
        let Fields { reads, promotions, refused, demotions, records } = &*self.0;
        let add = |to: &AtomicU64, count| {
            if count > 0 {
                // Relaxed: a statistic; they are read after the strategy has ended, which rayon's join orders.
                to.fetch_add(count, Ordering::Relaxed);
            }
        };
        add(reads, counts.reads);
        add(promotions, counts.promotions);
        add(refused, counts.refused);
        add(demotions, counts.demotions);
        add(records, counts.records);
    }

    pub(super) fn counts(&self) -> Counts {
        let Fields { reads, promotions, refused, demotions, records } = &*self.0;
        // Relaxed: see `add`.
        let [reads, promotions, refused, demotions, records] =
            [reads, promotions, refused, demotions, records].map(|count| count.load(Ordering::Relaxed));
        Counts { reads, promotions, refused, demotions, records }
    }
}
