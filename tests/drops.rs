//! Every key and every value is dropped exactly once: not twice, not never, and not while it is lent out.
#![allow(clippy::mutable_key_type, reason = "a tracked key hashes its number alone")]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use rand::Rng;
use tierstack::{Capacity, Departure, MAX_BYTES, Tier, TierStore};

use common::tracked::{Registry, Tracked};
use common::{audit, collected_until, dice, flush, together};

type Store = TierStore<Tracked, Tracked>;

/// The instances of a test.
#[derive(Clone, Copy)]
struct Instances {
    keys: &'static Registry,
    values: &'static Registry,
}

impl Instances {
    fn new() -> Self {
        Self { keys: Registry::new(), values: Registry::new() }
    }

    fn key(self, number: u64) -> Tracked {
        self.keys.tracked(number)
    }

    fn value(self, number: u64) -> Tracked {
        self.values.tracked(number)
    }

    /// Stores under a key of a number, which is also the value, without keeping anything.
    fn store(self, store: &Store, number: u64) {
        drop(store.store(self.key(number), self.value(number)).unwrap());
    }

    /// Waits until just so many live, as many keys as values.
    #[track_caller]
    fn expect_alive(self, expected: usize) {
        let alive = || (self.keys.alive(), self.values.alive());
        assert!(collected_until(|| alive() == (expected, expected)), "{:?} live, not {expected}", alive());
    }
}

fn store(budget: u64, capacity: Capacity) -> Store {
    Store::builder(budget).weigher(|_, _| 1).warm_capacity(capacity).cold_capacity(capacity).build().unwrap()
}

#[test]
fn replaced_ones() {
    let instances = Instances::new();
    let store = store(4, Capacity::UNBOUNDED);
    for _ in 0..100 {
        for number in 0..8 {
            instances.store(&store, number);
        }
    }
    instances.expect_alive(8);
    drop(store);
    instances.expect_alive(0);
}

#[test]
fn removed_ones() {
    let instances = Instances::new();
    let store = store(4, Capacity::UNBOUNDED);
    for number in 0..50 {
        instances.store(&store, number);
    }
    for number in 0..25 {
        let key = instances.key(number);
        if number % 2 == 0 {
            assert_eq!(store.remove(&key).unwrap().value.number, number);
        } else {
            assert_eq!(store.pin().remove(&key).unwrap().value.number, number);
        }
    }
    instances.expect_alive(25);
    drop(store);
    instances.expect_alive(0);
}

#[test]
fn ones_that_were_evicted_out_of_cold() {
    let instances = Instances::new();
    let store = store(4, Capacity::UNBOUNDED);
    for number in 0..20 {
        instances.store(&store, number);
        assert_eq!(store.evict_lru(Tier::Hot).unwrap().key.number, number);
        assert_eq!(store.evict_lru(Tier::Warm).unwrap().key.number, number);
    }
    for number in 0..20 {
        let out = store.evict_lru(Tier::Cold).unwrap();
        assert_eq!((out.key.number, out.value.number), (number, number));
    }
    instances.expect_alive(0);
}

#[test]
fn ones_that_overflowed_into_the_listener() {
    let instances = Instances::new();
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    let store = Store::builder(3)
        .weigher(|_, _| 1)
        .warm_capacity(Capacity::entries(3))
        .cold_capacity(Capacity::entries(3))
        .listener_causes([tierstack::Cause::Overflowed])
        .listener(move |gone: &Departure<'_, Tracked, Tracked>| {
            keep.lock().unwrap().push((gone.key.clone(), gone.value.clone()));
        })
        .build()
        .unwrap();
    for number in 0..30 {
        instances.store(&store, number);
    }
    assert_eq!(kept.lock().unwrap().len(), 21);
    instances.expect_alive(9 + 21);
    kept.lock().unwrap().clear();
    instances.expect_alive(9);
    drop(store);
    instances.expect_alive(0);
}

#[test]
fn ones_that_overflowed_where_there_is_no_listener() {
    let instances = Instances::new();
    let store = store(3, Capacity::entries(3));
    for number in 0..30 {
        instances.store(&store, number);
    }
    instances.expect_alive(9);
    drop(store);
    instances.expect_alive(0);
}

#[test]
fn refused_ones_are_the_callers() {
    let instances = Instances::new();
    let store = Store::builder(3).weigher(|_, _| MAX_BYTES + 1).build().unwrap();
    let refused = store.store(instances.key(1), instances.value(1)).unwrap_err();
    assert_eq!((instances.keys.alive(), instances.values.alive()), (1, 1));
    drop(refused);
    assert_eq!((instances.keys.alive(), instances.values.alive()), (0, 0));
}

#[test]
fn the_content_of_a_dropped_store() {
    let instances = Instances::new();
    let store = store(3, Capacity::entries(3));
    for number in 0..9 {
        instances.store(&store, number);
    }
    assert_eq!(Tier::ALL.map(|tier| store.len(tier)), [3, 3, 3]);
    drop(store);
    instances.expect_alive(0);
}

#[test]
fn ones_that_are_lent_out_live_on() {
    let instances = Instances::new();
    let store = store(4, Capacity::UNBOUNDED);
    instances.store(&store, 0);
    instances.store(&store, 1);
    let view = store.pin();
    let lent = [view.get(&instances.key(0)).unwrap().value, view.get(&instances.key(1)).unwrap().value];
    together(1, |_| {
        instances.store(&store, 0);
        store.remove(&instances.key(1)).unwrap();
        // Collecting as hard as one can does not reach them.
        for _ in 0..1000 {
            flush();
        }
    });
    assert_eq!(instances.values.alive(), 3, "the one in the store, and two that left it");
    assert_eq!(lent.map(|value| value.number), [0, 1]);
    assert!(store.metrics().retired_bytes >= 2);
    drop(view);
    instances.expect_alive(1);
    assert!(collected_until(|| store.metrics().retired_bytes == 0));
    drop(store);
    instances.expect_alive(0);
}

/// Whatever overlaps, what is left at last is what the store holds, and then nothing.
#[test]
fn ones_that_threads_fought_over() {
    const KEYS: u64 = 24;
    let instances = Instances::new();
    for round in 0..4 {
        let store = store(5, Capacity::entries(6));
        together(6, |thread| {
            let mut dice = dice([round, thread as u64, 15]);
            for _ in 0..1500 {
                let number = dice.random_range(0..KEYS);
                let key = instances.key(number);
                match dice.random_range(0..9) {
                    0..2 => instances.store(&store, number),
                    2 => drop(store.pin().store(key, instances.value(number)).unwrap()),
                    3 => drop(store.remove(&key)),
                    4 => drop(store.promote_to(&key, Tier::Hot)),
                    5 => drop(store.demote(&key)),
                    6 => drop(store.pin().evict_lru(Tier::ALL[dice.random_range(0..3)])),
                    7 => drop(store.iter(Tier::Warm)),
                    _ => assert!(store.get(&key).is_none_or(|found| found.value.number == number)),
                }
            }
        });
        let left = audit(&store, (0..KEYS).map(|number| instances.key(number)));
        let standing = left.len();
        drop(left);
        instances.expect_alive(standing);
        assert!(collected_until(|| store.metrics().retired_bytes == 0));
        drop(store);
        instances.expect_alive(0);
    }
}

/// What left the store is counted until it is freed, by weight, and then no more.
#[test]
fn retired_bytes_return_to_zero() {
    let store = TierStore::<u64, u64>::builder(100).weigher(|_, weight| *weight).build().unwrap();
    for step in 0..1000 {
        store.store(step % 10, step % 30).unwrap();
        if step % 7 == 0 {
            store.remove(&(step % 10)).unwrap();
        }
    }
    let held = {
        let view = store.pin();
        assert_eq!(view.store(0, 40).unwrap().tier, Tier::Hot);
        view.remove(&0).unwrap();
        store.metrics().retired_bytes
    };
    assert!(held >= 40, "{held} bytes while a view is pinned");
    assert!(collected_until(|| store.metrics().retired_bytes == 0), "{:?}", store.metrics());
    audit(&store, 0..10);
}

/// A value whose drop panics takes nothing else along: the collector goes on, and so does the store.
#[test]
fn ones_among_others_that_panic_when_dropped() {
    let instances = Instances::new();
    let fatal =
        |number: u64| if number.is_multiple_of(5) { instances.values.fatal(number) } else { instances.value(number) };
    let store = store(8, Capacity::entries(8));
    for round in 0..20 {
        for number in 0..40 {
            let view = store.pin();
            view.store(instances.key(number), fatal(number + round)).unwrap();
            if number % 3 == 0 {
                assert!(view.remove(&instances.key(number)).is_some());
            }
        }
    }
    let (mut standing, keys) = (0, (0..40).map(|number| instances.key(number)));
    for fragment in audit(&store, keys).into_values() {
        standing += usize::from(fragment.value.number < 60);
    }
    assert!(standing > 0);
    instances.expect_alive(standing);
    assert!(collected_until(|| store.metrics().retired_bytes == 0));

    // Whether the panics of what it still holds come out of a store's drop or not, all of it is dropped.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(store)));
    instances.expect_alive(0);
}
