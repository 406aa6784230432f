//! Callers' functions that panic while a store is restored: what there was is handed back, or dropped as ever.

use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use tierstack::{Capacity, MAX_BYTES, Refusal, RestoreRefusal, StoreSnapshot, Tier, TierStore};

use crate::common::audit;
use crate::{builder, value};

#[test]
fn a_weigher_that_panics_goes_on_to_the_caller() {
    let store = builder(9).build().unwrap();
    store.store(1, value(1)).unwrap();
    let snapshot = store.snapshot();
    let restored = catch_unwind(AssertUnwindSafe(|| builder(9).weigher(|_, _| panic!("no scales")).restore(snapshot)));
    assert!(restored.is_err());
}

/// What had not left is not lost with what has.
#[test]
fn a_listener_that_panics_leaves_the_store() {
    let store = builder(10).build().unwrap();
    for key in 0..100 {
        store.store(key, value(10)).unwrap();
    }
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&told);
    let smaller = builder(10).warm_capacity(Capacity::entries(50)).cold_capacity(Capacity::entries(40));
    let smaller = smaller.listener(move |gone| {
        list.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(*gone.key);
        panic!("by design");
    });
    let error = smaller.restore(store.snapshot()).unwrap_err();
    assert_eq!(error.reason, RestoreRefusal::ListenerPanicked);
    assert_eq!(error.to_string(), "the store was restored, but the listener has panicked");
    assert!(error.snapshot.is_none());
    let restored = error.store.expect("it is handed back");
    assert_eq!(*told.lock().unwrap_or_else(std::sync::PoisonError::into_inner), (0..9).collect::<Vec<_>>());
    assert_eq!(Tier::ALL.map(|tier| restored.len(tier)), [1, 50, 40]);
    assert_eq!(audit(&restored, 0..100).len(), 91);
    assert!(restored.get(&99).is_some() && !restored.contains(&8));
}

#[test]
fn counters_begin_with_what_moves_down_at_the_end() {
    let store = builder(10).build().unwrap();
    for key in 0..30 {
        store.store(key, value(1)).unwrap();
        store.get(&key).unwrap();
    }
    let restored = builder(10).restore(store.snapshot()).unwrap();
    let metrics = restored.metrics();
    let counts = |metrics: &tierstack::Metrics| {
        [
            metrics.hits,
            metrics.misses,
            metrics.stores,
            metrics.replacements,
            metrics.promotions,
            metrics.demotions,
            metrics.removals,
            metrics.contended,
            metrics.retired_bytes,
        ]
    };
    assert_eq!((counts(&metrics), metrics.evictions, metrics.overflowed), ([0; 9], 0, 0));
    assert_eq!((metrics.peak_hot_bytes, metrics.hot.bytes), (10, 10));
    let smaller = || builder(10).warm_capacity(Capacity::entries(5)).cold_capacity(Capacity::entries(5));
    let metrics = smaller().restore(store.snapshot()).unwrap().metrics();
    // Of the 20 in warm 15 go to cold, of which 10 leave.
    assert_eq!((metrics.evictions, metrics.overflowed), (25, 10));
    assert_eq!(metrics.stores + metrics.demotions + metrics.hits, 0);
}

#[test]
fn a_weigher_that_panics_or_says_too_much_changes_no_weight() {
    let store = builder(10).build().unwrap();
    for key in 0..3 {
        store.store(key, value(2)).unwrap();
    }
    let mut snapshot = store.snapshot();
    let is_as_it_was = |snapshot: &StoreSnapshot<u8, crate::Value, _>| {
        assert!(snapshot.iter().all(|(_, item)| item.weight == 2));
        assert_eq!(snapshot.bytes(Tier::Hot), 6);
    };
    let panicked =
        catch_unwind(AssertUnwindSafe(|| snapshot.reweigh(|key, _| if *key == 0 { panic!("by design") } else { 100 })));
    assert!(panicked.is_err());
    is_as_it_was(&snapshot);
    let weight = MAX_BYTES + 1;
    assert_eq!(snapshot.reweigh(|key, _| if *key == 0 { weight } else { 1 }), Err(Refusal::TooHeavy { weight }));
    is_as_it_was(&snapshot);
    snapshot.reweigh(|_, _| 3).unwrap();
    assert_eq!(snapshot.bytes(Tier::Hot), 9);
    assert!(builder(10).weigher(|_, _| 3).restore(snapshot).is_ok());
}

/// What is armed panics: by whichever of the caller's functions, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Armed {
    Hash,
    Eq,
}

thread_local! {
    static ARMED: std::cell::Cell<Option<Armed>> = const { std::cell::Cell::new(None) };
}

fn fire(armed: Armed) {
    assert!(ARMED.get() != Some(armed), "by design");
}

#[derive(Clone)]
struct Key(u32);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if self.0 == 3 {
            fire(Armed::Hash);
        }
        // So that there is something to compare.
        0.hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        if self.0 == 3 || other.0 == 3 {
            fire(Armed::Eq);
        }
        self.0 == other.0
    }
}

impl Eq for Key {}

static DROPPED: AtomicU32 = AtomicU32::new(0);

/// Looks, when it is dropped, whether the thread is pinned; and panics.
#[derive(Clone)]
struct Fussy;

impl Drop for Fussy {
    fn drop(&mut self) {
        if ARMED.get().is_some() {
            // Aborts where it does not end here: the thread unwinds already.
            if !crossbeam_epoch::is_pinned() {
                DROPPED.fetch_add(1, Ordering::Relaxed);
            }
            panic!("by design");
        }
    }
}

/// Of five, the destructors of all panic, and none runs pinned.
#[test]
fn what_is_left_when_hash_or_eq_panics_is_dropped_unpinned_and_each_by_itself() {
    let new = || TierStore::<Key, Fussy>::builder(100).weigher(|_, _| 1);
    // The one that `Eq` was asked of is in the store's hands by then: it waits for the epoch, as everything does.
    for (armed, due) in [(Armed::Hash, 5), (Armed::Eq, 4)] {
        let store = new().build().unwrap();
        for key in 0..5 {
            store.store(Key(key), Fussy).unwrap();
        }
        let snapshot = store.snapshot();
        DROPPED.store(0, Ordering::Relaxed);
        ARMED.set(Some(armed));
        let panicked = catch_unwind(AssertUnwindSafe(|| new().restore(snapshot)));
        let dropped = DROPPED.load(Ordering::Relaxed);
        ARMED.set(None);
        let Err(payload) = panicked else { panic!("{armed:?} has not panicked") };
        assert_eq!(payload.downcast_ref(), Some(&"by design"));
        assert_eq!(dropped, due, "{armed:?}: dropped while nothing was pinned");
        assert!(!crossbeam_epoch::is_pinned());
    }
}
