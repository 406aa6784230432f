//! What is freed when: by a flush, by the drop of a store, by the last that holds it. One test at a time, and a binary of its own: a thread that
//! is pinned anywhere in the process would keep everything.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tierstack::{Capacity, HEAVY, Tier, TierStore};

fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

type Store = TierStore<u32, Arc<()>>;

fn store() -> Store {
    TierStore::new(1 << 20).unwrap()
}

#[test]
fn a_light_value_that_was_removed_last_goes_with_a_flush() {
    let _alone = alone();
    let (store, value) = (store(), Arc::new(()));
    store.store(1, Arc::clone(&value)).unwrap();
    drop(store.remove(&1));
    assert_eq!(Arc::strong_count(&value), 2, "nobody has gone on");
    store.flush();
    assert_eq!((Arc::strong_count(&value), store.metrics().retired_bytes), (1, 0));
}

#[test]
fn a_light_value_that_was_removed_last_goes_with_its_store() {
    let _alone = alone();
    let (store, value) = (store(), Arc::new(()));
    store.store(1, Arc::clone(&value)).unwrap();
    store.pin().remove(&1).unwrap();
    drop(store);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn what_was_replaced_and_pushed_out_goes_with_a_flush() {
    let _alone = alone();
    let (value, builder) = (Arc::new(()), TierStore::builder(8).weigher(|_: &u32, _: &Arc<()>| 1));
    let store = builder.warm_capacity(Capacity::entries(4)).cold_capacity(Capacity::entries(4)).build().unwrap();
    for number in 0..1000 {
        store.store(number % 20, Arc::clone(&value)).unwrap();
        assert!(store.evict_lru(Tier::ALL[number as usize % 3]).is_some() || number < 20);
    }
    store.flush();
    let standing: u64 = Tier::ALL.iter().map(|tier| store.len(*tier)).sum();
    assert_eq!((Arc::strong_count(&value) as u64, store.metrics().retired_bytes), (1 + standing, 0));
}

#[test]
fn what_a_thread_has_retired_that_ended_goes_with_a_flush_of_another() {
    let _alone = alone();
    let (store, value) = (store(), Arc::new(()));
    thread::scope(|scope| {
        let retire = || {
            for number in 0..100 {
                store.store(number % 3, Arc::clone(&value)).unwrap();
            }
        };
        scope.spawn(retire).join().unwrap();
    });
    store.flush();
    assert_eq!(Arc::strong_count(&value), 1 + 3);
}

#[test]
fn a_flush_under_a_view_frees_nothing_that_the_view_may_lend() {
    let _alone = alone();
    let (store, value) = (store(), Arc::new(()));
    store.store(1, Arc::clone(&value)).unwrap();
    let view = store.pin();
    let lent = view.get(&1).unwrap().value;
    drop(store.remove(&1));
    (0..10).for_each(|_| store.flush());
    assert_eq!(Arc::strong_count(lent), 2);
    drop(view);
    store.flush();
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn a_flush_within_a_destructor_is_none() {
    struct Flushes(Arc<TierStore<u32, Flushes>>, Arc<AtomicUsize>);
    impl Drop for Flushes {
        fn drop(&mut self) {
            self.0.flush();
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }
    let _alone = alone();
    let (store, dropped) = (Arc::new(TierStore::new(1 << 20).unwrap()), Arc::new(AtomicUsize::new(0)));
    for number in 0..100 {
        assert!(store.pin().store(number, Flushes(Arc::clone(&store), Arc::clone(&dropped))).is_ok());
        assert!(store.pin().remove(&number).is_some());
    }
    store.flush();
    assert_eq!((dropped.load(Ordering::Relaxed), Arc::strong_count(&store)), (100, 1));
}

/// A store whose hook waits until it is let go on, after it has said that it waits.
fn store_with_a_slow_hook(weight: u64) -> (Store, Receiver<()>, Sender<()>) {
    let ((says, said), (go, goes)) = (channel(), channel());
    let goes = Mutex::new(goes);
    let hook = move |_: &tierstack::Departure<'_, u32, Arc<()>>| {
        says.send(()).unwrap();
        goes.lock().unwrap().recv().unwrap();
    };
    let builder = TierStore::builder(1 << 40).weigher(move |_: &u32, _: &Arc<()>| weight).overflow_hook(hook);
    let store = builder.warm_capacity(Capacity::entries(0)).cold_capacity(Capacity::entries(0)).build().unwrap();
    (store, said, go)
}

/// Nothing else frees it: the collector has done its part while the hook was slow, and nobody pins after it.
#[test]
fn what_a_slow_hook_has_held_goes_when_the_hook_is_done_with_it() {
    const HELD: u32 = 300;
    let _alone = alone();
    for weight in [1, HEAVY] {
        let (store, said, go) = store_with_a_slow_hook(weight);
        let (value, other) = (Arc::new(()), self::store());
        for number in 0..HELD {
            store.store(number, Arc::clone(&value)).unwrap();
        }
        thread::scope(|scope| {
            let slow = scope.spawn(|| store.set_hot_budget(0));
            said.recv().unwrap();
            // So often that all is due that was retired.
            (0..10).for_each(|_| other.flush());
            assert_eq!(Arc::strong_count(&value), 1 + HELD as usize, "the hook has it, or will");
            for done in 1..HELD {
                go.send(()).unwrap();
                said.recv().unwrap();
                assert_eq!(Arc::strong_count(&value), 1 + (HELD - done) as usize, "of weight {weight}");
            }
            go.send(()).unwrap();
            assert_eq!(slow.join().unwrap(), Ok(HELD as usize));
        });
        assert_eq!((Arc::strong_count(&value), store.metrics().retired_bytes), (1, 0));
    }
}
