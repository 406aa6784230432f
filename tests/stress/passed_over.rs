//! A fragment that moves up within its tier while a scan is under way stands there throughout: evictions and iterations meet it.
//!
//! Few keys, so that what moves stays within the same few cells of the order, where a scan looks at both the old and the new one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use tierstack::{Tier, TierStore};

use crate::STORM;
use crate::common::{RaiseOnDrop, audit, for_about, lockstep, together};

fn unit_weights() -> TierStore<u64, ()> {
    TierStore::<u64, ()>::builder(10).weigher(|_, ()| 1).build().unwrap()
}

/// Thread 0 runs `beside` over and over for as long as thread 1 runs `scan`, or until a scan fails.
fn storm(beside: impl Fn() + Sync, scan: impl Fn() + Sync) {
    let over = AtomicBool::new(false);
    together(2, |thread| {
        let _end = RaiseOnDrop(&over);
        let start = Instant::now();
        while !over.load(Ordering::Relaxed) && start.elapsed() < STORM {
            if thread == 0 { beside() } else { scan() }
        }
    });
}

/// The one fragment is hot from a promotion of the thread's own to its eviction; the other thread only promotes it in place.
#[test]
fn one_key_promoted_in_place_beside_evict_lru() {
    let store = unit_weights();
    store.store(0, ()).unwrap();
    storm(
        || assert!(store.promote_to(&0, Tier::Hot).is_ok(), "it is there, and there is room"),
        || {
            store.promote_to(&0, Tier::Hot).expect("it is there, and there is room");
            let evicted = store.evict_lru(Tier::Hot).expect("it has been hot since before the call");
            assert_eq!(evicted.key, 0);
        },
    );
    audit(&store, 0..1);
}

#[test]
fn three_hot_keys_promoted_in_place_beside_a_counter_of_iter() {
    let store = unit_weights();
    for key in 0..3 {
        store.store(key, ()).unwrap();
    }
    let next = AtomicU64::new(0);
    storm(
        || {
            let key = next.fetch_add(1, Ordering::Relaxed) % 3;
            store.promote(&key).expect("it is there, and hot");
        },
        || assert_eq!(store.iter(Tier::Hot).count(), 3, "all three are hot throughout"),
    );
    audit(&store, 0..3);
}

/// The eviction that meets 0 re-lists it above 1 and 2, behind which nothing else is to be found.
#[test]
fn keys_used_in_the_order_1_2_0_beside_two_evictions_from_warm() {
    const ROUNDS: u64 = 1_000;
    let fresh = || {
        let store = unit_weights();
        for key in 0..3 {
            store.store(key, ()).unwrap();
        }
        for key in [1, 2, 0] {
            store.get(&key).expect("it is there");
        }
        for key in 0..3 {
            store.demote(&key).expect("it is there");
        }
        store
    };
    for_about(STORM, |_| {
        let stores: Vec<_> = (0..ROUNDS).map(|_| fresh()).collect();
        // How often each key was taken in the round.
        let taken: [AtomicU64; 3] = Default::default();
        let evict = |_, round: u64| {
            let evicted = stores[round as usize].evict_lru(Tier::Warm).expect("there are three");
            taken[evicted.key as usize].fetch_add(1, Ordering::Relaxed);
        };
        let check = |round| {
            let taken: Vec<_> = taken.iter().map(|taken| taken.swap(0, Ordering::Relaxed)).collect();
            assert_eq!(taken, [0, 1, 1], "round {round}: 1 and 2 are the least recently used");
        };
        lockstep(2, ROUNDS, evict, check);
    });
}
