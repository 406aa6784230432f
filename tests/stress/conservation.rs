//! Nothing is lost, doubled or miscounted.

use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::Rng;
use tierstack::{Capacity, DefaultHasher, Departure, Evicted, PromoteError, Tier, TierStore};

use crate::STORM;
use crate::common::ledger::{Ledger, Tally};
use crate::common::{FewHashes, audit, collected_until, dice, for_about, lockstep, together, together_watched};

const KEYS: u64 = 24;
const THREADS: usize = 8;
const OPERATIONS: usize = 600;
const HEAVIEST: u64 = 6;

/// A value with the number of its account, and the key that it was stored under.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Value {
    account: usize,
    key: u64,
}

impl Value {
    fn weight(&self) -> u64 {
        self.account as u64 % (HEAVIEST + 1)
    }
}

/// A store, and the books that its callers keep.
struct Kept<S> {
    store: TierStore<u64, Value, S>,
    books: Arc<(Ledger, Tally)>,
}

impl<S: BuildHasher + Sync> Kept<S> {
    fn new(capacity: Capacity, expected: usize, hasher: S) -> Self {
        let books = Arc::new((Ledger::new(THREADS * OPERATIONS), Tally::default()));
        let listener_books = Arc::clone(&books);
        let store = TierStore::<u64, Value>::builder(24)
            .weigher(|_, value| value.weight())
            .warm_capacity(capacity)
            .cold_capacity(capacity)
            .listener_causes([tierstack::Cause::Overflowed])
            .listener(move |gone: &Departure<'_, _, Value>| {
                assert_eq!(*gone.key, gone.value.key);
                listener_books.0.leave(gone.value.account);
                Tally::add(&listener_books.1.overflowed);
            })
            .expected_fragments(expected)
            .hasher(hasher)
            .build()
            .unwrap();
        Self { store, books }
    }

    /// Random operations, whose numbers are those of the values that they store.
    fn act(&self, numbers: Range<usize>, seed: u64) {
        let mut dice = dice([seed, numbers.start as u64, 0]);
        for account in numbers {
            let key = dice.random_range(0..KEYS);
            let value = Value { account, key };
            match dice.random_range(0..16) {
                0..4 => self.store(&value),
                4 => self.store_pinned(&value),
                5 | 6 => self.remove(key),
                7 => self.read(key),
                8 | 9 => self.promote(key, Tier::Warm),
                10 => self.promote(key, Tier::Hot),
                11 => self.demote(key, Tier::Warm),
                12 => self.demote(key, Tier::Cold),
                13 => self.evict(Tier::Hot),
                14 => self.evict(Tier::Warm),
                _ => self.evict(Tier::Cold),
            }
        }
    }

    fn store(&self, value: &Value) {
        let (ledger, tally) = &*self.books;
        ledger.enter(value.account);
        let stored = self.store.store(value.key, value.clone()).expect("a light value");
        self.note_store(value, stored.replaced.as_ref(), stored.contended, stored.tier);
        Tally::add(&tally.stores);
    }

    fn store_pinned(&self, value: &Value) {
        let (ledger, tally) = &*self.books;
        ledger.enter(value.account);
        let view = self.store.pin();
        let stored = view.store(value.key, value.clone()).expect("a light value");
        self.note_store(value, stored.replaced, stored.contended, stored.tier);
        Tally::add(&tally.stores);
    }

    fn note_store(&self, value: &Value, replaced: Option<&Value>, contended: bool, tier: Tier) {
        let (ledger, tally) = &*self.books;
        if let Some(replaced) = replaced {
            assert_eq!(replaced.key, value.key);
            ledger.leave(replaced.account);
            Tally::add(&tally.replacements);
        }
        assert_eq!(tier, if contended { Tier::Warm } else { Tier::Hot });
        if contended {
            Tally::add(&tally.contended);
        }
    }

    fn remove(&self, key: u64) {
        let (ledger, tally) = &*self.books;
        if let Some(removed) = self.store.remove(&key) {
            assert_eq!(removed.value.key, key);
            assert_eq!(removed.weight, removed.value.weight());
            ledger.leave(removed.value.account);
            Tally::add(&tally.removals);
        }
    }

    fn read(&self, key: u64) {
        let tally = &self.books.1;
        let found = self.store.get(&key);
        Tally::add(if found.is_some() { &tally.hits } else { &tally.misses });
        if let Some(found) = found {
            assert_eq!((found.value.key, found.weight), (key, found.value.weight()));
        }
    }

    fn promote(&self, key: u64, tier: Tier) {
        let tally = &self.books.1;
        match self.store.promote_to(&key, tier) {
            Ok(moved) => {
                assert_eq!(moved.to, moved.from.min(tier));
                if moved.from != moved.to {
                    Tally::add(&tally.promotions);
                }
            }
            Err(PromoteError::NotFound) => {}
            Err(PromoteError::Contended { .. }) => Tally::add(&tally.contended),
            Err(error) => panic!("every value weighs less than the budget: {error}"),
        }
    }

    fn demote(&self, key: u64, tier: Tier) {
        if let Some(moved) = self.store.demote_to(&key, tier) {
            assert_eq!(moved.to, moved.from.max(tier));
            if moved.from != moved.to {
                Tally::add(&self.books.1.demotions);
            }
        }
    }

    fn evict(&self, tier: Tier) {
        let Some(Evicted { key, value, weight, from, to }) = self.store.evict_lru(tier) else { return };
        assert_eq!((from, to), (tier, tier.below()));
        assert_eq!((value.key, value.weight()), (key, weight));
        if to.is_none() {
            self.books.0.leave(value.account);
        }
    }

    /// The counts of the tiers are off by at most the operations in flight: never by more, and never below nothing.
    fn watch(&self) {
        let most = KEYS + THREADS as u64;
        let metrics = self.store.metrics();
        for tier in Tier::ALL {
            assert!(self.store.len(tier) <= most, "{} fragments in {tier}", self.store.len(tier));
            assert!(self.store.bytes(tier) <= most * HEAVIEST, "{} bytes in {tier}", self.store.bytes(tier));
            assert!(metrics.tier(tier).fragments <= most && metrics.tier(tier).bytes <= most * HEAVIEST, "{metrics:?}");
        }
    }

    /// The books, against what is in the store now.
    fn settle(&self) {
        let (ledger, tally) = &*self.books;
        let found = audit(&self.store, 0..KEYS);
        for (key, fragment) in &found {
            assert_eq!((fragment.value.key, fragment.value.weight()), (*key, fragment.weight));
        }
        ledger.settle(found.values().map(|fragment| fragment.value.account));
        tally.agree(&self.store.metrics());
    }
}

fn storm<S: BuildHasher + Clone + Sync>(capacity: Capacity, expected: usize, hasher: &S) {
    for_about(STORM, |round| {
        let kept = Kept::new(capacity, expected, hasher.clone());
        together_watched(
            THREADS,
            |thread| kept.act(thread * OPERATIONS..(thread + 1) * OPERATIONS, round),
            || kept.watch(),
        );
        kept.settle();
    });
}

#[test]
fn every_value_leaves_exactly_once_or_stays() {
    storm(Capacity::UNBOUNDED, 64, &DefaultHasher::default());
}

#[test]
fn every_value_leaves_exactly_once_or_stays_under_capacities() {
    storm(Capacity::entries(4).and_bytes(16), 64, &DefaultHasher::default());
}

#[test]
fn every_value_leaves_exactly_once_or_stays_where_hashes_collide_and_tables_grow() {
    storm(Capacity::entries(6), 1, &FewHashes(3));
}

/// The books are settled after every few operations, so that no later one can make up for an earlier.
#[test]
fn every_value_leaves_exactly_once_or_stays_at_every_rest() {
    const AT_ONCE: usize = 2;
    const STEPS: usize = 3;
    const ROUNDS: usize = THREADS * OPERATIONS / (AT_ONCE * STEPS);
    for_about(STORM, |seed| {
        let kept = Kept::new(Capacity::entries(3).and_bytes(12), 1, DefaultHasher::default());
        let step = |thread, round| {
            let start = (round as usize * AT_ONCE + thread) * STEPS;
            kept.act(start..start + STEPS, seed);
        };
        lockstep(AT_ONCE, ROUNDS as u64, step, |_| {
            audit(&kept.store, 0..KEYS);
            kept.books.1.agree(&kept.store.metrics());
            for tier in [Tier::Warm, Tier::Cold] {
                assert!(kept.store.len(tier) <= 3 && kept.store.bytes(tier) <= 12);
            }
        });
        kept.settle();
    });
}

/// However the counters are shared out among threads, there may be more of these, and they come and go.
#[test]
fn the_calls_of_very_many_threads_are_counted() {
    const CROWD: u64 = 150;
    const CALLS: u64 = 200;
    let store = TierStore::<u64, ()>::builder(CROWD).weigher(|_, ()| 1).build().unwrap();
    for round in 1..=4 {
        together(CROWD as usize, |thread| {
            for _ in 0..CALLS {
                store.store(thread as u64, ()).unwrap();
                store.get(&(thread as u64)).unwrap();
                assert!(store.get(&CROWD).is_none());
            }
        });
        let metrics = store.metrics();
        let counted = [metrics.stores, metrics.hits, metrics.misses, metrics.replacements + CROWD];
        assert_eq!(counted, [round * CROWD * CALLS; 4]);
    }
    audit(&store, 0..CROWD);
    assert!(collected_until(|| store.metrics().retired_bytes == 0), "{:?}", store.metrics());
}

/// Each eviction moves one fragment down by one, and every other move is reported with both its tiers: so the distance
/// that fragments fell, beyond what was reported, is the number of evictions.
///
/// A replacement does not report the tier of what it replaced, so here every store is of a new key.
#[test]
fn every_eviction_is_counted_once() {
    fn height(tier: Tier) -> u64 {
        match tier {
            Tier::Hot => 3,
            Tier::Warm => 2,
            Tier::Cold => 1,
        }
    }

    for_about(STORM, |round| {
        let store = TierStore::<u64, ()>::builder(8)
            .weigher(|_, ()| 1)
            .warm_capacity(Capacity::entries(8))
            .cold_capacity(Capacity::entries(8))
            .build()
            .unwrap();
        let (gained, lost, next) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        together(6, |thread| {
            let mut dice = dice([round, thread as u64, 1]);
            for _ in 0..400 {
                let newest = next.load(Ordering::Relaxed);
                let key = newest.saturating_sub(dice.random_range(0..24));
                match dice.random_range(0..8) {
                    0..3 => {
                        let stored = store.store(next.fetch_add(1, Ordering::Relaxed), ()).unwrap();
                        gained.fetch_add(height(stored.tier), Ordering::Relaxed);
                    }
                    3 | 4 => {
                        if let Ok(moved) = store.promote(&key) {
                            gained.fetch_add(height(moved.to) - height(moved.from), Ordering::Relaxed);
                        }
                    }
                    5 => {
                        if let Some(moved) = store.demote(&key) {
                            lost.fetch_add(height(moved.from) - height(moved.to), Ordering::Relaxed);
                        }
                    }
                    6 => {
                        if let Some(removed) = store.remove(&key) {
                            lost.fetch_add(height(removed.tier), Ordering::Relaxed);
                        }
                    }
                    _ => drop(store.evict_lru(Tier::ALL[dice.random_range(0..3)])),
                }
            }
        });
        let standing: u64 = audit(&store, 0..next.into_inner()).values().map(|fragment| height(fragment.tier)).sum();
        let fallen = gained.into_inner() - lost.into_inner() - standing;
        assert_eq!(store.metrics().evictions, fallen);
    });
}
