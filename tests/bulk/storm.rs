//! Loads beside everything else: the budget holds at every instant, nothing is lost, and at rest all counts agree.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::Rng;
use tierstack::{Capacity, Cause, Tier, TierStore};

use crate::common::ledger::Ledger;
use crate::common::{audit, dice, together_watched};

const STORM: Duration = Duration::from_millis(800);
const VALUES: usize = 4_000_000;

/// Loads, removals, moves, reads, other stores and, if asked for, changes of the budget; all at once.
fn storm(warm: Option<u64>, changes_budget: bool) {
    const KEYS: u64 = 1000;
    const BUDGET: u64 = 3000;
    let ledger = Arc::new(Ledger::new(VALUES));
    let overflowed = Arc::clone(&ledger);
    let mut builder = TierStore::<u64, Arc<usize>>::builder(BUDGET)
        .weigher(|key, _| key % 13 + 1)
        .listener_causes([Cause::Overflowed])
        .listener(move |departure| overflowed.leave(**departure.value));
    if let Some(entries) = warm {
        builder = builder.warm_capacity(Capacity::entries(entries)).cold_capacity(Capacity::entries(entries));
    }
    let store = builder.build().unwrap();
    let next = AtomicUsize::new(0);
    let value = || {
        let value = next.fetch_add(1, Ordering::Relaxed);
        assert!(value < VALUES);
        ledger.enter(value);
        Arc::new(value)
    };
    let end = Instant::now() + STORM;
    // What a load replaces it drops: so nobody else is told of it.
    let replaced = Mutex::new(0);
    together_watched(
        4,
        |thread| {
            let mut dice = dice([thread as u64, warm.unwrap_or(0), 5]);
            while Instant::now() < end {
                let key = dice.random_range(0..KEYS);
                if thread < 2 && dice.random_range(0..20) == 0 {
                    let count = dice.random_range(1..300);
                    // Keys of its own, that nobody else stores: removed first, so that none is replaced.
                    let keys: Vec<_> = (0..count).map(|n| KEYS * (thread as u64 + 1) + n).collect();
                    for key in &keys {
                        if let Some(removed) = store.remove(key) {
                            ledger.leave(*removed.value);
                        }
                    }
                    let stored = store.store_all(keys.into_iter().map(|key| (key, value())));
                    assert_eq!((stored.stored as u64, stored.refused.len()), (count, 0));
                    *replaced.lock().unwrap() += stored.replaced;
                    continue;
                }
                match dice.random_range(0..7) {
                    0 | 1 => {
                        if let Some(replaced) = store.store(key, value()).unwrap().replaced {
                            ledger.leave(*replaced);
                        }
                    }
                    2 => {
                        if let Some(removed) = store.remove(&key) {
                            ledger.leave(*removed.value);
                        }
                    }
                    3 => _ = store.promote_to(&(key + KEYS), Tier::Hot),
                    4 => _ = store.demote(&(key + KEYS)),
                    5 if changes_budget => _ = store.set_hot_budget(dice.random_range(BUDGET / 2..=BUDGET)).unwrap(),
                    5 => {
                        let snapshot = store.snapshot_of(Tier::Hot);
                        assert!(snapshot.bytes(Tier::Hot) <= BUDGET);
                    }
                    _ => _ = store.get(&key),
                }
            }
        },
        || assert!(store.hot_bytes() <= BUDGET, "{} bytes", store.hot_bytes()),
    );
    if changes_budget {
        store.set_hot_budget(BUDGET / 2).unwrap();
    }
    assert_eq!(*replaced.lock().unwrap(), 0);
    let there = audit(&store, 0..KEYS * 4);
    assert!(store.metrics().peak_hot_bytes <= BUDGET);
    if let Some(entries) = warm {
        assert!(store.len(Tier::Warm) <= entries && store.len(Tier::Cold) <= entries);
    }
    ledger.settle(there.into_values().map(|fragment| *fragment.value));
}

#[test]
fn loads_beside_all_else() {
    storm(None, false);
}

#[test]
fn loads_while_the_budget_changes() {
    storm(None, true);
}

#[test]
fn loads_into_tiers_that_overflow() {
    storm(Some(150), true);
}

#[test]
fn loads_of_the_same_keys_while_the_index_grows_and_shrinks() {
    let store = TierStore::<u64, u64>::builder(1 << 30).weigher(|_, _| 1).build().unwrap();
    let end = Instant::now() + STORM;
    crate::common::together(3, |thread| {
        let mut dice = dice([thread as u64, 9, 9]);
        while Instant::now() < end {
            let from = dice.random_range(0..20_000_u64);
            if thread == 2 {
                for key in from..from + 2000 {
                    store.remove(&key);
                }
            } else {
                let stored = store.store_all((from..from + 3000).map(|key| (key, key)));
                assert_eq!(stored.stored, 3000);
            }
        }
    });
    for (key, fragment) in audit(&store, 0..23_000) {
        assert_eq!(key, fragment.value);
    }
    for key in 0..23_000 {
        store.remove(&key);
    }
    assert!(store.is_empty() && audit(&store, 0..23_000).is_empty());
}

/// A value that counts how often it is dropped.
struct Counted(Arc<AtomicU64>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn heavy_values_that_a_load_replaces_go_once_whoever_is_told() {
    for causes in [vec![], vec![Cause::Replaced], vec![Cause::Overflowed]] {
        let (dropped, told) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let count = Arc::clone(&told);
        let store = TierStore::builder(1 << 20)
            .weigher(|_: &u64, _: &Counted| 4096)
            .listener_causes(causes.clone())
            .listener(move |_| _ = count.fetch_add(1, Ordering::Relaxed))
            .build()
            .unwrap();
        let load = || store.store_all((0..100).map(|key| (key, Counted(Arc::clone(&dropped)))));
        assert_eq!((load().replaced, load().replaced), (0, 100));
        assert_eq!(dropped.load(Ordering::Relaxed), 100, "told of {causes:?}");
        assert_eq!(told.load(Ordering::Relaxed), if causes == [Cause::Replaced] { 100 } else { 0 });
        drop(store);
        assert_eq!(dropped.load(Ordering::Relaxed), 200, "told of {causes:?}");
    }
}
