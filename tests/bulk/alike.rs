//! Alone, `store_all` is as many stores, one after the other.

use std::sync::{Arc, Mutex, Weak};

use proptest::prelude::*;
use tierstack::{Capacity, Cause, MAX_BYTES, Metrics, Refusal, StoredAll, Tier, TierStore};

use super::listed;
use crate::common::{FewHashes, audit};

type Store = TierStore<u16, u64, FewHashes>;
type Gone = Arc<Mutex<Vec<(u16, u64)>>>;

#[derive(Clone, Debug)]
struct Setting {
    budget: u64,
    warm: Option<u64>,
    cold: Option<u64>,
    hashes: u64,
}

/// A store whose values are their weights, and what its listener was given.
fn store(setting: &Setting) -> (Store, Gone) {
    let gone = Gone::default();
    let list = Arc::clone(&gone);
    let mut builder = TierStore::<u16, u64>::builder(setting.budget)
        .weigher(|_, value| *value)
        .listener_causes([Cause::Overflowed])
        .listener(move |departure| list.lock().unwrap().push((*departure.key, *departure.value)));
    if let Some(entries) = setting.warm {
        builder = builder.warm_capacity(Capacity::entries(entries));
    }
    if let Some(bytes) = setting.cold {
        builder = builder.cold_capacity(Capacity::bytes(bytes));
    }
    (builder.hasher(FewHashes(setting.hashes)).build().unwrap(), gone)
}

/// The same by single stores.
fn one_by_one(store: &Store, fragments: &[(u16, u64)]) -> StoredAll<u16, u64> {
    let mut all = StoredAll::default();
    for &(key, value) in fragments {
        match store.store(key, value) {
            Ok(stored) => {
                all.stored += 1;
                all.replaced += usize::from(stored.replaced.is_some());
                all.hot += usize::from(stored.tier == Tier::Hot);
                all.contended += usize::from(stored.contended);
                all.kept_out += usize::from(stored.kept_out);
            }
            Err(error) => all.refused.push(error),
        }
    }
    all
}

fn numbers(all: &StoredAll<u16, u64>) -> ([usize; 5], Vec<(u16, u64, Refusal)>) {
    let refused = all.refused.iter().map(|error| (error.key, error.value, error.reason));
    ([all.stored, all.replaced, all.hot, all.contended, all.kept_out], refused.collect())
}

/// All but what waits to be freed.
fn told(metrics: &Metrics) -> [u64; 9] {
    let Metrics { hits, misses, stores, replacements, evictions, overflowed, contended, peak_hot_bytes, .. } = *metrics;
    [hits, misses, stores, replacements, evictions, overflowed, contended, peak_hot_bytes, metrics.hot.fragments]
}

fn setting() -> impl Strategy<Value = Setting> {
    let capacity = |most: u64| prop_oneof![Just(None), (0..most).prop_map(Some)];
    (0_u64..3000, capacity(40), capacity(2000), 1_u64..400).prop_map(|(budget, warm, cold, hashes)| Setting {
        budget,
        warm,
        cold,
        hashes,
    })
}

fn fragments() -> impl Strategy<Value = Vec<(u16, u64)>> {
    let weight = prop_oneof![20 => 0_u64..60, 2 => 1000_u64..4000, 1 => Just(MAX_BYTES + 1)];
    prop::collection::vec((0_u16..200, weight), 0..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn store_all_is_as_many_stores(setting in setting(), batches in prop::collection::vec(fragments(), 1..4), keeps in any::<u16>()) {
        let ((bulk, gone), (single, gone_too)) = (store(&setting), store(&setting));
        for batch in &batches {
            let stored = bulk.store_all(batch.iter().copied());
            prop_assert_eq!(numbers(&stored), numbers(&one_by_one(&single, batch)));
            prop_assert_eq!(listed(&bulk), listed(&single));
            prop_assert_eq!(&*gone.lock().unwrap(), &*gone_too.lock().unwrap());
            prop_assert_eq!(told(&bulk.metrics()), told(&single.metrics()));
            // What is kept is replaced by what is kept, and takes room from the rest.
            for key in (0..200).filter(|key| key % 16 == keeps % 16) {
                let _ = (bulk.keep(&key), single.keep(&key));
                bulk.get(&(key / 2));
                single.get(&(key / 2));
            }
        }
        audit(&bulk, 0..200);
        prop_assert!(bulk.metrics().peak_hot_bytes <= setting.budget);
    }
}

#[test]
fn what_is_refused_is_handed_back_in_order_and_the_rest_is_stored() {
    let store = TierStore::<u64, u64>::builder(1 << 20)
        .weigher(|key, _| if key % 10 == 3 { MAX_BYTES + key } else { 1 })
        .build()
        .unwrap();
    let stored = store.store_all((0..1000).map(|key| (key, key * 2)));
    assert_eq!((stored.stored, stored.hot, stored.replaced), (900, 900, 0));
    let refused: Vec<_> = stored.refused.iter().map(|error| (error.key, error.value, error.reason)).collect();
    let expected =
        (0..100).map(|n| n * 10 + 3).map(|key| (key, key * 2, Refusal::TooHeavy { weight: MAX_BYTES + key }));
    assert_eq!(refused, expected.collect::<Vec<_>>());
    assert_eq!(audit(&store, 0..1000).len(), 900);
}

#[test]
fn a_store_extends_as_a_collection_does() {
    let mut store = TierStore::<u32, u32>::builder(1 << 20).weigher(|_, _| 1).build().unwrap();
    store.extend((0..100).map(|key| (key, key)));
    (&store).extend([(100, 1), (0, 7)]);
    assert_eq!((store.metrics().hot.fragments, store.get(&0).unwrap().value), (101, 7));
}

#[test]
fn values_that_are_replaced_go_at_once_where_they_are_heavy() {
    let store = TierStore::<u32, Arc<u32>>::builder(1 << 30).weigher(|_, _| tierstack::HEAVY).build().unwrap();
    let value = Arc::new(1);
    store.store_all((0..500).map(|key| (key, Arc::clone(&value))));
    assert_eq!(Arc::strong_count(&value), 501);
    let stored = store.store_all((0..500).map(|key| (key, Arc::new(2))));
    assert_eq!((stored.replaced, Arc::strong_count(&value)), (500, 1));
}

/// Within a listener, others are told when it has returned: until then, no value goes that they are to be told of.
#[test]
fn what_a_load_within_a_listener_replaces_is_told_with_its_value() {
    type Told = Arc<Mutex<Vec<(u32, Cause, u32)>>>;
    let (told, loader) = (Told::default(), Arc::new(std::sync::OnceLock::<Weak<TierStore<u32, Vec<u32>>>>::new()));
    let (list, inner) = (Arc::clone(&told), Arc::clone(&loader));
    let builder = TierStore::<u32, Vec<u32>>::builder(1 << 30).weigher(|_, _| tierstack::HEAVY);
    let store = builder.listener(move |gone| {
        list.lock().unwrap().push((*gone.key, gone.cause, gone.value[9]));
        if gone.cause == Cause::Removed {
            let stored =
                inner.get().and_then(Weak::upgrade).unwrap().store_all((0..100).map(|key| (key, vec![key + 1000; 10])));
            assert_eq!((stored.stored, stored.replaced), (100, 100));
        }
    });
    let store = Arc::new(store.build().unwrap());
    assert!(loader.set(Arc::downgrade(&store)).is_ok());
    store.store_all((0..101).map(|key| (key, vec![key; 10])));
    drop(store.remove(&100));
    let expected: Vec<_> =
        [(100, Cause::Removed, 100)].into_iter().chain((0..100).map(|key| (key, Cause::Replaced, key))).collect();
    assert_eq!(*told.lock().unwrap(), expected);
    assert!((0..100).all(|key| store.get(&key).is_some_and(|found| found.value[9] == key + 1000)));
}
