//! Evictions take the least recently used, and uses count, also when they overlap.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use rand::Rng;
use rand::seq::SliceRandom;
use tierstack::{Tier, TierStore};

use crate::STORM;
use crate::common::{RaiseOnDrop, audit, dice, for_about, together};

fn unit_weights(budget: u64) -> TierStore<u64, ()> {
    TierStore::<u64, ()>::builder(budget).weigher(|_, ()| 1).build().unwrap()
}

/// Nobody uses anything meanwhile, so between them the threads take exactly the oldest, each in order of age, and none
/// finds the tier empty.
#[test]
fn overlapping_evictions_take_the_oldest_in_order() {
    const KEYS: u64 = 400;
    const THREADS: usize = 4;
    const EACH: usize = 75;
    for_about(STORM, |round| {
        let tier = Tier::ALL[round as usize % 3];
        let store = unit_weights(KEYS);
        // The age of each key: its place in the order of the last uses.
        let mut order: Vec<u64> = (0..KEYS).collect();
        order.shuffle(&mut dice([round, 0, 13]));
        for key in 0..KEYS {
            store.store(key, ()).unwrap();
            store.demote_to(&key, tier).unwrap();
        }
        for key in &order {
            assert!(store.get(key).is_some());
        }
        let age = |key: u64| order.iter().position(|other| *other == key).unwrap();

        let taken = together(THREADS, |_| {
            let evict = |_| store.evict_lru(tier).expect("there are more fragments than evictions").key;
            (0..EACH).map(evict).map(age).collect::<Vec<_>>()
        });
        assert!(taken.iter().all(|ages| ages.is_sorted()), "a younger one was taken before an older one");
        let mut all: Vec<_> = taken.into_iter().flatten().collect();
        all.sort_unstable();
        assert_eq!(all, (0..THREADS * EACH).collect::<Vec<_>>(), "exactly the oldest were taken");
        audit(&store, 0..KEYS);
    });
}

/// Each thread's own uses keep their order, what was used goes after what was not, and evictions follow `iter`.
#[test]
fn overlapping_uses_keep_the_order_of_each_thread() {
    const EACH: u64 = 40;
    const THREADS: u64 = 4;
    for_about(STORM, |round| {
        let store = unit_weights(EACH * (THREADS + 1));
        for key in 0..EACH * (THREADS + 1) {
            store.store(key, ()).unwrap();
        }
        // The last share of the keys is used by nobody.
        let uses = together(THREADS as usize, |thread| {
            let mut dice = dice([round, thread as u64, 14]);
            let own = thread as u64 * EACH..(thread as u64 + 1) * EACH;
            let mut uses: Vec<u64> = (0..3).flat_map(|_| own.clone()).collect();
            uses.shuffle(&mut dice);
            for key in &uses {
                if dice.random() {
                    assert!(store.get(key).is_some());
                } else {
                    store.promote(key).expect("it is hot already");
                }
            }
            uses
        });
        let listed: Vec<u64> = store.iter(Tier::Hot).map(|item| item.key).collect();
        let mut evicted: Vec<u64> = std::iter::from_fn(|| store.evict_lru(Tier::Hot)).map(|item| item.key).collect();
        assert!(evicted.iter().eq(listed.iter().rev()), "evictions take from the end of iter");

        let later = evicted.split_off(EACH as usize);
        assert!(
            evicted.iter().copied().eq(EACH * THREADS..EACH * (THREADS + 1)),
            "the unused ones go first: {evicted:?}"
        );
        for (thread, uses) in uses.into_iter().enumerate() {
            let last_use = |key: &u64| uses.iter().rposition(|used| used == key);
            let own: Vec<_> = later.iter().filter(|key| **key / EACH == thread as u64).map(last_use).collect();
            assert!(own.is_sorted(), "thread {thread} used them in another order");
        }
        audit(&store, 0..EACH * (THREADS + 1));
    });
}

/// A `get` that has returned protects, also from an eviction that began before it.
///
/// One thread evicts hot's oldest and promotes it again, round and round; another uses whatever is about to be the oldest,
/// and looks whether it is still hot then. If so it has become the youngest, and goes only after all the others went, or were
/// used.
#[test]
fn a_use_protects_from_evictions_that_overlap_it() {
    const KEYS: u64 = 8;
    let store = unit_weights(KEYS);
    for key in 0..KEYS {
        store.store(key, ()).unwrap();
    }
    // Uses and evictions begun; and of each key how many there were before its last use that was in time.
    let begun = AtomicU64::new(KEYS);
    let used_at: [AtomicU64; KEYS as usize] = Default::default();
    let (oldest, over) = (AtomicU64::new(0), AtomicBool::new(false));

    together(2, |thread| {
        let _end = RaiseOnDrop(&over);
        let start = Instant::now();
        while !over.load(Ordering::Relaxed) && start.elapsed() < STORM {
            let before = begun.fetch_add(1, Ordering::SeqCst);
            if thread == 0 {
                let key = oldest.load(Ordering::SeqCst);
                store.get(&key).expect("nothing leaves the store");
                if store.tier_of(&key) == Some(Tier::Hot) {
                    used_at[key as usize].store(before, Ordering::SeqCst);
                }
                continue;
            }
            let key = store.evict_lru(Tier::Hot).expect("all but one are hot").key;
            let since = begun.load(Ordering::SeqCst) - used_at[key as usize].load(Ordering::SeqCst);
            // One that was counted before the use may have taken effect after it.
            assert!(since >= KEYS - 2, "{key} was used {since} operations ago, and others were not since");
            store.promote(&key).expect("there is room for it");
            oldest.store(store.iter(Tier::Hot).next_back().expect("all are hot").key, Ordering::SeqCst);
        }
    });
    audit(&store, 0..KEYS);
}
