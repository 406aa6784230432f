//! By many threads, and snapshots read by many.

use std::collections::HashSet;
use std::sync::Arc;

use rayon::iter::ParallelExtend;
use rayon::prelude::*;
use tierstack::{MAX_BYTES, Tier, TierStore};

use crate::common::tracked::Registry;
use crate::common::{audit, collected_until};

type Store = TierStore<u32, u32>;

fn store(hot: u64) -> Store {
    Store::builder(hot).weigher(|key, _| if key % 100 == 7 { MAX_BYTES + 1 } else { 1 }).build().unwrap()
}

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

#[test]
fn everything_is_stored_or_handed_back_in_order() {
    for threads in [1, 2, 5] {
        for hot in [0, 100, 1 << 20] {
            let store = store(hot);
            let stored =
                pool(threads).install(|| store.par_store_all((0..20_000).into_par_iter().map(|key| (key, key + 1))));
            assert_eq!((stored.stored, stored.replaced), (19_800, 0));
            let refused: Vec<_> = stored.refused.iter().map(|error| (error.key, error.value)).collect();
            assert_eq!(refused, (0..200).map(|n| (n * 100 + 7, n * 100 + 8)).collect::<Vec<_>>());
            assert_eq!(audit(&store, 0..20_000).len(), 19_800);
            let most = store.metrics().hot.fragments;
            assert!(most <= hot && stored.contended > 0 || most == hot.min(19_800), "{most} of {hot}");
        }
    }
}

#[test]
fn of_one_key_one_stays_and_each_is_dropped_once() {
    let registry = Registry::new();
    let store = TierStore::<u32, _>::builder(64).weigher(|_, _| 1).build().unwrap();
    let fragments = (0..30_000_u32).into_par_iter().map(|n| (n % 500, Arc::new(registry.tracked(n.into()))));
    let stored = pool(4).install(|| store.par_store_all(fragments));
    assert_eq!((stored.stored, stored.replaced), (30_000, 29_500));
    for key in 0..500 {
        assert_eq!(store.get(&key).unwrap().value.number % 500, u64::from(key));
    }
    assert!(collected_until(|| registry.alive() == 500));
}

#[test]
fn an_iterator_without_a_length_and_empty_ones() {
    let store = store(1 << 20);
    let odd = (0..10_000_u32).into_par_iter().map(|key| (key, key)).filter(|(key, _)| key % 2 == 1);
    assert_eq!(store.par_store_all(odd).stored, 4900);
    assert_eq!(store.par_store_all(Vec::new()).stored, 0);
    audit(&store, 0..10_000);
}

#[test]
fn stores_extend_in_parallel() {
    let mut store = store(1 << 20);
    store.par_extend((0..1000).into_par_iter().map(|key| (key, key)));
    (&store).par_extend(vec![(5000, 1), (5001, 2), (0, 3)]);
    assert_eq!((store.metrics().hot.fragments, store.get(&0).unwrap().value), (992, 3));
}

#[test]
fn a_panic_in_a_part_stores_what_came_before() {
    let store = store(1 << 20);
    let loading = std::panic::AssertUnwindSafe(|| {
        store.par_store_all((0..5000).into_par_iter().map(|key| {
            assert_ne!(key, 2501, "by design");
            (key, key)
        }))
    });
    assert!(std::panic::catch_unwind(loading).is_err());
    let there = audit(&store, 0..5000);
    assert!(!there.contains_key(&2501) && there.len() == store.metrics().stores as usize);
}

#[test]
fn a_snapshot_is_read_in_parallel_and_in_its_order() {
    let store = store(100);
    store.store_all((0..5000).map(|key| (key, key)));
    (0..1000).for_each(|key| _ = store.demote_to(&key, Tier::Cold));
    let snapshot = store.snapshot();
    let sequential: Vec<_> = snapshot.iter().map(|(tier, item)| (tier, item.key)).collect();
    let parallel: Vec<_> = snapshot.par_iter().map(|(tier, item)| (tier, item.key)).collect();
    assert_eq!((&parallel, parallel.len()), (&sequential, 4950));
    assert_eq!(snapshot.par_iter().len(), 4950);
    let reversed: Vec<_> = snapshot.par_iter().rev().map(|(tier, item)| (tier, item.key)).collect();
    assert!(reversed.iter().rev().eq(&sequential));
    let warm: HashSet<_> = snapshot.tier(Tier::Warm).par_iter().map(|item| item.key).collect();
    let by_tier: HashSet<_> =
        snapshot.par_iter().filter(|(tier, _)| *tier == Tier::Warm).map(|(_, item)| item.key).collect();
    assert_eq!(warm, by_tier);
    assert_eq!(Store::new(9).unwrap().snapshot().par_iter().count(), 0);
}
