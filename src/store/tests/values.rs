//! Heavy values go at once, under the eyes of threads that keep everything else, and never under their readers.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::sweep::validate;
use crate::engine::claim::HEAVY;
use crate::failpoint::{Step, arm};
use crate::{Capacity, Departure, Tier, TierStore};

/// How many values were cloned, and how many dropped.
#[derive(Default)]
struct Counts {
    cloned: AtomicUsize,
    dropped: AtomicUsize,
}

/// A value that counts.
struct Value {
    number: u64,
    counts: Arc<Counts>,
}

thread_local! {
    /// Runs in the middle of the thread's next clone.
    static MIDDLE: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

impl Clone for Value {
    fn clone(&self) -> Self {
        if let Some(middle) = MIDDLE.take() {
            middle();
        }
        self.counts.cloned.fetch_add(1, Ordering::Relaxed);
        Self { number: self.number, counts: Arc::clone(&self.counts) }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        assert_ne!(self.number, u64::MAX, "dropped twice");
        // Whoever reads it now finds out.
        self.number = u64::MAX;
    }
}

struct Setting {
    store: Arc<TierStore<u32, Value>>,
    counts: Arc<Counts>,
}

impl Setting {
    fn new(weight: u64, cold: Capacity) -> Self {
        let store = TierStore::builder(8 * HEAVY).weigher(move |_, _| weight).cold_capacity(cold).build().unwrap();
        Self { store: Arc::new(store), counts: Arc::default() }
    }

    fn value(&self, number: u64) -> Value {
        Value { number, counts: Arc::clone(&self.counts) }
    }

    /// The number that was replaced.
    fn store(&self, key: u32, number: u64) -> Option<u64> {
        self.store.store(key, self.value(number)).unwrap().replaced.map(|value| value.number)
    }

    fn cloned(&self) -> usize {
        self.counts.cloned.load(Ordering::Relaxed)
    }

    fn dropped(&self) -> usize {
        self.counts.dropped.load(Ordering::Relaxed)
    }
}

/// Has another thread do that, to its end.
fn elsewhere(run: impl FnOnce() + Send + 'static) {
    thread::spawn(run).join().unwrap();
}

#[test]
fn what_an_owned_operation_ends_is_handed_over_itself_though_others_stay_pinned() {
    let setting = Setting::new(HEAVY, Capacity::UNBOUNDED);
    // As a thread that is descheduled in the middle of an operation: nothing is collected.
    let _pinned = crossbeam_epoch::pin();
    assert_eq!((setting.store(1, 10), setting.store(1, 11), setting.store(2, 20)), (None, Some(10), None));
    assert_eq!((setting.cloned(), setting.dropped()), (0, 1));
    assert_eq!(setting.store.remove(&1).unwrap().value.number, 11);
    assert_eq!((setting.cloned(), setting.dropped()), (0, 2));
    setting.store.demote_to(&2, Tier::Cold);
    assert_eq!(setting.store.evict_lru(Tier::Cold).unwrap().value.number, 20);
    assert_eq!((setting.cloned(), setting.dropped()), (0, 3));
    assert_eq!((setting.store.metrics().retired_bytes, validate(&setting.store)), (0, 0));
}

#[test]
fn light_ones_wait_for_the_epoch() {
    let setting = Setting::new(HEAVY - 1, Capacity::UNBOUNDED);
    let _pinned = crossbeam_epoch::pin();
    assert_eq!((setting.store(1, 10), setting.store(1, 11)), (None, Some(10)));
    assert_eq!((setting.cloned(), setting.dropped()), (1, 1), "of the clone that was handed over");
    assert_eq!(setting.store.metrics().retired_bytes, HEAVY - 1);
}

#[test]
fn what_a_view_may_have_seen_stays_while_it_lives() {
    let setting = Setting::new(HEAVY, Capacity::UNBOUNDED);
    setting.store(1, 10);
    let view = setting.store.pin();
    let lent = view.get(&1).unwrap().value;
    assert_eq!(setting.store(1, 11), Some(10));
    assert_eq!((setting.cloned(), setting.dropped(), lent.number), (1, 1, 10));
    drop(view);
    // Of what is ended from now on no view has seen anything.
    assert_eq!(setting.store(1, 12), Some(11));
    assert_eq!((setting.cloned(), setting.dropped()), (1, 2));
}

#[test]
fn a_get_whose_value_goes_before_it_is_claimed_looks_again() {
    let setting = Setting::new(HEAVY, Capacity::UNBOUNDED);
    setting.store(1, 10);
    let replace = {
        let (store, value) = (Arc::clone(&setting.store), setting.value(11));
        move || elsewhere(move || assert_eq!(store.store(1, value).unwrap().replaced.unwrap().number, 10))
    };
    arm(Step::Found, replace);
    assert_eq!(setting.store.get(&1).unwrap().value.number, 11);
    let remove = {
        let store = Arc::clone(&setting.store);
        move || elsewhere(move || assert_eq!(store.remove(&1).unwrap().value.number, 11))
    };
    arm(Step::Found, remove);
    assert!(setting.store.get(&1).is_none());
    assert_eq!((setting.cloned(), setting.dropped()), (1, 3), "one clone; and 10, 11 and the clone are gone");
}

#[test]
fn a_value_that_is_being_cloned_stays_until_the_last_of_its_readers_is_done() {
    let setting = Setting::new(HEAVY, Capacity::UNBOUNDED);
    setting.store(1, 10);
    let (store, counts) = (Arc::clone(&setting.store), Arc::clone(&setting.counts));
    MIDDLE.set(Some(Box::new(move || {
        elsewhere(move || {
            assert_eq!(store.remove(&1).unwrap().value.number, 10, "a clone of its own");
            assert_eq!(counts.dropped.load(Ordering::Relaxed), 1, "that clone");
        });
    })));
    assert_eq!(setting.store.get(&1).unwrap().value.number, 10);
    assert_eq!((setting.cloned(), setting.dropped()), (2, 3), "both clones and the value");
    assert_eq!(setting.store.metrics().retired_bytes, 0);
}

#[test]
fn a_clone_that_panics_leaves_no_claim() {
    let setting = Setting::new(HEAVY, Capacity::UNBOUNDED);
    setting.store(1, 10);
    MIDDLE.set(Some(Box::new(|| panic!("by design"))));
    assert!(catch_unwind(AssertUnwindSafe(|| setting.store.get(&1))).is_err());
    assert_eq!(setting.store.remove(&1).unwrap().value.number, 10);
    assert_eq!((setting.cloned(), setting.dropped()), (0, 1));
    // Ended while it is cloned: the last reader drops it, where its clone panics too.
    setting.store(2, 20);
    let store = Arc::clone(&setting.store);
    MIDDLE.set(Some(Box::new(move || {
        elsewhere(move || drop(store.remove(&2)));
        panic!("by design");
    })));
    assert!(catch_unwind(AssertUnwindSafe(|| setting.store.get(&2))).is_err());
    assert_eq!((setting.cloned(), setting.dropped()), (1, 3));
}

#[test]
fn what_a_capacity_pushes_out_goes_when_the_listener_has_had_it() {
    let seen = Arc::new(AtomicUsize::new(0));
    let counts: Arc<Counts> = Arc::default();
    let store = {
        let (seen, counts) = (Arc::clone(&seen), Arc::clone(&counts));
        let listener = move |gone: &Departure<'_, u32, Value>| {
            assert_eq!((gone.value.number, counts.dropped.load(Ordering::Relaxed)), (10, 0));
            seen.fetch_add(1, Ordering::Relaxed);
        };
        let store = TierStore::builder(HEAVY)
            .weigher(|_, _: &Value| HEAVY)
            .listener_causes([crate::Cause::Overflowed])
            .listener(listener);
        store.warm_capacity(Capacity::entries(0)).cold_capacity(Capacity::entries(0)).build().unwrap()
    };
    let setting = Setting { store: Arc::new(store), counts };
    let _pinned = crossbeam_epoch::pin();
    setting.store(1, 10);
    setting.store(2, 20);
    assert_eq!((seen.load(Ordering::Relaxed), setting.cloned(), setting.dropped()), (1, 0, 1));
}

#[test]
fn what_a_capacity_pushes_out_stays_while_a_view_has_it() {
    for weight in [HEAVY - 1, HEAVY] {
        let store = TierStore::builder(HEAVY).weigher(move |_, _: &Value| weight);
        let store = store.warm_capacity(Capacity::entries(0)).cold_capacity(Capacity::entries(0)).build().unwrap();
        let setting = Setting { store: Arc::new(store), counts: Arc::default() };
        setting.store(1, 10);
        let view = setting.store.pin();
        let lent = view.get(&1).unwrap().value;
        setting.store(2, 20);
        assert_eq!((setting.store.tier_of(&1), setting.dropped(), lent.number), (None, 0, 10));
    }
}

#[test]
fn what_was_replaced_is_dropped_where_the_listener_panics() {
    let store = TierStore::builder(2 * HEAVY).weigher(|_, value: &Value| value.number * HEAVY);
    let store = store.warm_capacity(Capacity::entries(0)).cold_capacity(Capacity::entries(0));
    let store = store.listener_causes([crate::Cause::Overflowed]).listener(|_| panic!("by design")).build().unwrap();
    let setting = Setting { store: Arc::new(store), counts: Arc::default() };
    setting.store(1, 1);
    setting.store(2, 1);
    // Replaces the one and pushes the other out.
    assert!(catch_unwind(AssertUnwindSafe(|| setting.store(1, 2))).is_err());
    assert_eq!((setting.cloned(), setting.dropped(), setting.store.len(Tier::Hot)), (0, 2, 1));
}

#[test]
fn every_value_is_dropped_once_whoever_ends_it() {
    let counts: Arc<Counts> = Arc::default();
    let made = AtomicUsize::new(0);
    {
        let store = TierStore::builder(3 * HEAVY)
            .weigher(|key: &u32, _: &Value| HEAVY - u64::from(key % 2))
            .warm_capacity(Capacity::entries(2))
            .cold_capacity(Capacity::entries(2))
            .build()
            .unwrap();
        let setting = Setting { store: Arc::new(store), counts: Arc::clone(&counts) };
        thread::scope(|scope| {
            for number in 0..4_u64 {
                let (setting, made) = (&setting, &made);
                scope.spawn(move || {
                    let mut state = number + 1;
                    for _ in 0..20_000 {
                        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                        let key = (state >> 40) as u32 % 8;
                        match (state >> 33) % 8 {
                            0..3 => {
                                made.fetch_add(1, Ordering::Relaxed);
                                setting.store(key, number);
                            }
                            3 => drop(setting.store.remove(&key)),
                            4 => drop(setting.store.evict_lru(Tier::ALL[(state >> 50) as usize % 3])),
                            5 => {
                                let view = setting.store.pin();
                                assert!(view.get(&key).is_none_or(|found| found.value.number < 4));
                                view.remove(&key);
                            }
                            _ => assert!(setting.store.get(&key).is_none_or(|found| found.value.number < 4)),
                        }
                    }
                });
            }
        });
        validate(&setting.store);
    }
    let all = || made.load(Ordering::Relaxed) + counts.cloned.load(Ordering::Relaxed);
    // Other tests of the process are pinned now and then.
    let until = Instant::now() + Duration::from_mins(1);
    while counts.dropped.load(Ordering::Relaxed) < all() && Instant::now() < until {
        crate::engine::reclaim::collect();
        thread::yield_now();
    }
    assert_eq!(counts.dropped.load(Ordering::Relaxed), all());
}
