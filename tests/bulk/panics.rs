//! Panics of the iterator, the weigher, `Hash`, `Eq` and the listener: what came before is stored.

use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tierstack::{Capacity, Cause, TierStore};

use crate::common::tracked::Registry;
use crate::common::{FewHashes, audit, collected_until};

/// A key that panics when it is hashed, or compared with its equal, if it is told to.
#[derive(Clone, Debug)]
struct Touchy {
    number: u32,
    hashes: bool,
    compares: bool,
}

impl Touchy {
    fn new(number: u32) -> Self {
        Self { number, hashes: true, compares: true }
    }
}

impl PartialEq for Touchy {
    fn eq(&self, other: &Self) -> bool {
        assert!(self.number != other.number || self.compares && other.compares, "not to be compared");
        self.number == other.number
    }
}

impl Eq for Touchy {}

impl Hash for Touchy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        assert!(self.hashes, "not to be hashed");
        self.number.hash(state);
    }
}

fn caught(run: impl FnOnce()) {
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err(), "it panics");
}

#[test]
fn what_an_iterator_gave_before_it_panicked_is_stored() {
    for at in [0, 1, 63, 64, 65, 130] {
        let registry = Registry::new();
        let store = TierStore::<u32, _>::builder(1 << 20).weigher(|_, _| 1).build().unwrap();
        caught(|| {
            store.store_all((0..200).map(|key| {
                assert!(key < at, "by design");
                (key, Arc::new(registry.tracked(key.into())))
            }));
        });
        assert_eq!(store.metrics().hot.fragments, u64::from(at));
        assert!((0..at).all(|key| store.get(&key).is_some_and(|found| found.value.number == u64::from(key))));
        assert_eq!(registry.alive(), at as usize);
        assert_eq!(store.hot_bytes(), u64::from(at));
        drop(store);
        assert!(collected_until(|| registry.alive() == 0));
    }
}

#[test]
fn a_weigher_or_a_hash_that_panics_loses_its_own_fragment() {
    for by_hash in [false, true] {
        let registry = Registry::new();
        let store = TierStore::<Touchy, _>::builder(1 << 20)
            .weigher(move |key: &Touchy, _| {
                assert!(by_hash || key.number != 100, "not to be weighed");
                1
            })
            .build()
            .unwrap();
        let key = |number| Touchy { hashes: !by_hash || number != 100, ..Touchy::new(number) };
        caught(|| _ = store.store_all((0..200).map(|n| (key(n), Arc::new(registry.tracked(n.into()))))));
        assert_eq!((store.metrics().hot.fragments, registry.alive()), (100, 100));
        assert!((0..100).all(|number| store.contains(&Touchy::new(number))));
    }
}

#[test]
fn a_comparison_that_panics_loses_its_own_fragment_and_no_other() {
    let registry = Registry::new();
    let store =
        TierStore::<Touchy, Arc<_>>::builder(1 << 20).weigher(|_, _| 1).hasher(FewHashes(1000)).build().unwrap();
    store.store(Touchy::new(30), Arc::new(registry.tracked(1))).unwrap();
    let key = |number| Touchy { compares: number != 30 && number != 40, ..Touchy::new(number) };
    // The other does no harm: it is the first of its number.
    caught(|| _ = store.store_all((0..64).map(|n| (key(n), Arc::new(registry.tracked(n.into()))))));
    assert_eq!(store.metrics().hot.fragments, 64, "all of the chunk, and the one that was there");
    assert_eq!(store.get(&Touchy::new(30)).unwrap().value.number, 1, "which is not replaced");
    assert_eq!((store.hot_bytes(), store.get(&Touchy::new(63)).unwrap().value.number), (64, 63));
    assert!(collected_until(|| registry.alive() == 64));
}

#[test]
fn several_panics_in_one_chunk_are_one() {
    let store = TierStore::<Touchy, u32>::builder(1 << 20).weigher(|_, _| 1).build().unwrap();
    store.store_all((0..64).map(|number| (Touchy::new(number), 0)));
    let key = |number| Touchy { compares: number % 3 != 0, ..Touchy::new(number) };
    caught(|| _ = store.store_all((0..64).map(|number| (key(number), 1))));
    for number in 0..64 {
        let value = store.get(&Touchy::new(number)).unwrap().value;
        assert_eq!(value, u32::from(number % 3 != 0), "{number}");
    }
    assert_eq!((store.hot_bytes(), store.metrics().hot.fragments), (64, 64));
}

#[test]
fn a_listener_that_panics_ends_the_call_and_keeps_what_is_stored() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let store = TierStore::<u32, u32>::builder(10)
        .weigher(|_, _| 1)
        .warm_capacity(Capacity::entries(0))
        .cold_capacity(Capacity::entries(0))
        .listener_causes([Cause::Overflowed])
        .listener(move |_| assert!(counted.fetch_add(1, Ordering::Relaxed) != 20, "by design"))
        .build()
        .unwrap();
    caught(|| _ = store.store_all((0..1000).map(|key| (key, key))));
    assert_eq!(
        (calls.load(Ordering::Relaxed), store.metrics().stores),
        (54, 64),
        "a chunk, and all that it pushed out"
    );
    assert_eq!(audit(&store, 0..1000).len(), 10);
    assert_eq!(store.store_all((0..100).map(|key| (key, key))).stored, 100);
}
