//! Double-entry book-keeping of values: each is stored once, and leaves at most once.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tierstack::Metrics;

/// One entry for each value, by its number.
pub struct Ledger {
    values: Vec<Account>,
}

#[derive(Default)]
struct Account {
    stored: AtomicUsize,
    left: AtomicUsize,
}

impl Ledger {
    pub fn new(values: usize) -> Self {
        Self { values: (0..values).map(|_| Account::default()).collect() }
    }

    /// A store of the value succeeded.
    pub fn enter(&self, value: usize) {
        self.values[value].stored.fetch_add(1, Ordering::Relaxed);
    }

    /// The value was handed back, or over to the listener.
    pub fn leave(&self, value: usize) {
        self.values[value].left.fetch_add(1, Ordering::Relaxed);
    }

    /// Every value that went in is either among those present, or left exactly once; and nothing else did.
    pub fn settle(&self, present: impl IntoIterator<Item = usize>) {
        let mut here = vec![0; self.values.len()];
        for value in present {
            here[value] += 1;
        }
        for (value, account) in self.values.iter().enumerate() {
            let (stored, left) = (account.stored.load(Ordering::Relaxed), account.left.load(Ordering::Relaxed));
            assert!(stored <= 1, "value {value} was stored {stored} times: the test is wrong");
            assert_eq!(stored, left + here[value], "value {value}: stored {stored}, left {left}, here {}", here[value]);
        }
    }
}

/// What the callers of a store counted, from the answers that they were given.
#[derive(Default)]
pub struct Tally {
    pub hits: AtomicU64,
    pub misses: AtomicU64,
    pub stores: AtomicU64,
    pub replacements: AtomicU64,
    pub promotions: AtomicU64,
    pub demotions: AtomicU64,
    pub removals: AtomicU64,
    pub overflowed: AtomicU64,
    pub contended: AtomicU64,
}

impl Tally {
    pub fn add(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Checks a store's own counters, all but the evictions, which answers alone do not tell.
    pub fn agree(&self, metrics: &Metrics) {
        let counted = |count: &AtomicU64| count.load(Ordering::Relaxed);
        assert_eq!(metrics.hits, counted(&self.hits), "hits");
        assert_eq!(metrics.misses, counted(&self.misses), "misses");
        assert_eq!(metrics.stores, counted(&self.stores), "stores");
        assert_eq!(metrics.replacements, counted(&self.replacements), "replacements");
        assert_eq!(metrics.promotions, counted(&self.promotions), "promotions");
        assert_eq!(metrics.demotions, counted(&self.demotions), "demotions");
        assert_eq!(metrics.removals, counted(&self.removals), "removals");
        assert_eq!(metrics.overflowed, counted(&self.overflowed), "overflowed");
        assert_eq!(metrics.contended, counted(&self.contended), "contended");
    }
}
