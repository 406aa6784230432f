//! What is freed when: by a flush, by the drop of a store, by the last that holds it. One test at a time, and a binary of its own: a thread that
//! is pinned anywhere in the process would keep everything.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tierstack::{Capacity, HEAVY, Tier, TierStore};

/// Runs one test at a time, each of which begins with nothing that waits, on a thread of its own that has ended before the next begins. A thread
/// that uses a store pins once more at its very end, at which it would keep what the next test has freed. So threads are joined, each by
/// its handle: the end of a scope does not wait for the end of their locals.
fn alone(test: impl FnOnce() + Send) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let test = || {
        // A flush is bounded, and some tests leave much.
        (0..4000).for_each(|_| crossbeam_epoch::pin().flush());
        test();
    };
    thread::scope(|scope| scope.spawn(test).join().unwrap_or_else(|panic| resume_unwind(panic)));
}

type Store = TierStore<u32, Arc<()>>;

fn store() -> Store {
    TierStore::new(1 << 20).unwrap()
}

#[test]
fn a_light_value_that_was_removed_last_goes_with_a_flush() {
    alone(|| {
        let (store, value) = (store(), Arc::new(()));
        store.store(1, Arc::clone(&value)).unwrap();
        drop(store.remove(&1));
        assert_eq!(Arc::strong_count(&value), 2, "nobody has gone on");
        store.flush();
        assert_eq!((Arc::strong_count(&value), store.metrics().retired_bytes), (1, 0));
    });
}

#[test]
fn a_light_value_that_was_removed_last_goes_with_its_store() {
    alone(|| {
        let (store, value) = (store(), Arc::new(()));
        store.store(1, Arc::clone(&value)).unwrap();
        store.pin().remove(&1).unwrap();
        drop(store);
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

#[test]
fn what_was_replaced_and_pushed_out_goes_with_a_flush() {
    alone(|| {
        let (value, builder) = (Arc::new(()), TierStore::builder(8).weigher(|_: &u32, _: &Arc<()>| 1));
        let store = builder.warm_capacity(Capacity::entries(4)).cold_capacity(Capacity::entries(4)).build().unwrap();
        for number in 0..1000 {
            store.store(number % 20, Arc::clone(&value)).unwrap();
            assert!(store.evict_lru(Tier::ALL[number as usize % 3]).is_some() || number < 20);
        }
        store.flush();
        let standing: u64 = Tier::ALL.iter().map(|tier| store.len(*tier)).sum();
        assert_eq!((Arc::strong_count(&value) as u64, store.metrics().retired_bytes), (1 + standing, 0));
    });
}

#[test]
fn what_a_thread_has_retired_that_ended_goes_with_a_flush_of_another() {
    alone(|| {
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
    });
}

#[test]
fn a_flush_under_a_view_frees_nothing_that_the_view_may_lend() {
    alone(|| {
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
    });
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
    alone(|| {
        let (store, dropped) = (Arc::new(TierStore::new(1 << 20).unwrap()), Arc::new(AtomicUsize::new(0)));
        for number in 0..100 {
            assert!(store.pin().store(number, Flushes(Arc::clone(&store), Arc::clone(&dropped))).is_ok());
            assert!(store.pin().remove(&number).is_some());
        }
        store.flush();
        assert_eq!((dropped.load(Ordering::Relaxed), Arc::strong_count(&store)), (100, 1));
    });
}

/// A store whose listener waits until it is let go on, after it has said that it waits.
fn store_with_a_slow_listener(weight: u64) -> (Store, Receiver<()>, Sender<()>) {
    let ((says, said), (go, goes)) = (channel(), channel());
    let goes = Mutex::new(goes);
    let listener = move |_: &tierstack::Departure<'_, u32, Arc<()>>| {
        says.send(()).unwrap();
        goes.lock().unwrap().recv().unwrap();
    };
    let builder = TierStore::builder(1 << 40)
        .weigher(move |_: &u32, _: &Arc<()>| weight)
        .listener_causes([tierstack::Cause::Overflowed])
        .listener(listener);
    let store = builder.warm_capacity(Capacity::entries(0)).cold_capacity(Capacity::entries(0)).build().unwrap();
    (store, said, go)
}

/// Nothing else frees it: the collector has done its part while the listener was slow, and nobody pins after it.
#[test]
fn what_a_slow_listener_has_held_goes_when_the_listener_is_done_with_it() {
    const HELD: u32 = 300;
    alone(|| {
        for weight in [1, HEAVY] {
            let (store, said, go) = store_with_a_slow_listener(weight);
            let (value, other) = (Arc::new(()), self::store());
            for number in 0..HELD {
                store.store(number, Arc::clone(&value)).unwrap();
            }
            thread::scope(|scope| {
                // Dropped where an assertion fails, so that the listener ends.
                let go = go;
                let slow = scope.spawn(|| store.set_hot_budget(0));
                said.recv().unwrap();
                // Until all has come due that was retired before this.
                let last = Arc::new(());
                other.store(1, Arc::clone(&last)).unwrap();
                other.remove(&1).unwrap();
                let until = Instant::now() + Duration::from_secs(10);
                while Arc::strong_count(&last) > 1 {
                    assert!(Instant::now() < until, "nothing is collected");
                    other.flush();
                }
                assert_eq!(Arc::strong_count(&value), 1 + HELD as usize, "the listener has it, or will");
                for done in 1..HELD {
                    go.send(()).unwrap();
                    said.recv().unwrap();
                    assert_eq!(Arc::strong_count(&value), 1 + (HELD - done) as usize, "of weight {weight}");
                }
                go.send(()).unwrap();
                assert_eq!(slow.join().unwrap().map(|enforced| enforced.demoted), Ok(HELD as usize));
            });
            assert_eq!((Arc::strong_count(&value), store.metrics().retired_bytes), (1, 0));
        }
    });
}

/// Values of which the weigher knows nothing.
mod of_unknown_size {
    use super::*;

    /// Counts how many live, and how many lived at once.
    #[derive(Default)]
    struct Lives {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    /// As one of a megabyte.
    struct Large(Arc<Lives>);

    impl Large {
        fn new(lives: &Arc<Lives>) -> Self {
            let now = lives.now.fetch_add(1, Ordering::Relaxed) + 1;
            lives.most.fetch_max(now, Ordering::Relaxed);
            Self(Arc::clone(lives))
        }
    }

    impl Clone for Large {
        fn clone(&self) -> Self {
            Self::new(&self.0)
        }
    }

    impl Drop for Large {
        fn drop(&mut self) {
            self.0.now.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The most that lived at once where so many stand, and so many threads replace them.
    fn most_of(standing: u32, threads: u32) -> usize {
        let lives = Arc::<Lives>::default();
        let store = TierStore::builder(1 << 20).weigher(|_: &u32, _: &Large| 1).build().unwrap();
        thread::scope(|scope| {
            let run = |thread| {
                let (store, lives) = (&store, &lives);
                move || {
                    for number in 0..20_000 {
                        assert!(store.store((number * threads + thread) % standing, Large::new(lives)).is_ok());
                    }
                }
            };
            let running: Vec<_> = (0..threads).map(|thread| scope.spawn(run(thread))).collect();
            for thread in running {
                thread.join().unwrap();
            }
        });
        lives.most.load(Ordering::Relaxed)
    }

    /// Somebody is pinned all the while, as a thread is that is descheduled within a call.
    #[test]
    fn not_many_more_wait_than_stand_where_nothing_is_collected() {
        alone(|| {
            let pinned = crossbeam_epoch::pin();
            for standing in [1, 12, 320] {
                let most = most_of(standing, 1);
                // Twice those that stand: those that waited before the store was crowded, and those that stood then. It looks once in 64 ticks.
                assert!(most <= 3 * standing as usize + 64 + 128, "{most} of {standing}");
            }
            drop(pinned);
        });
    }

    #[test]
    fn few_of_them_wait_where_few_stand() {
        alone(|| {
            // Those that stand, those that wait, one that is stored, and the clone of one that is replaced.
            let most = [1, 12, 320].map(|standing: u32| (standing, most_of(standing, 1)));
            println!("{most:?}; of 12 with two threads {}, with four {}", most_of(12, 2), most_of(12, 4));
            for (standing, most) in most {
                let batch = (standing as usize / 16).max(4);
                assert!(most <= standing as usize + 3 * batch + 4, "{most} of {standing}");
            }
        });
    }
}

/// A type that is large is heavy: nothing of it waits, whatever its weigher says.
#[test]
fn what_is_large_by_its_type_does_not_wait() {
    #[derive(Clone)]
    struct Large(#[allow(dead_code, reason = "dropped")] Arc<()>, #[allow(dead_code, reason = "its size")] [u64; 128]);
    alone(|| {
        let counted = Arc::new(());
        let store = TierStore::builder(1 << 20).weigher(|_: &u32, _: &Large| 1).build().unwrap();
        for number in 0..1000 {
            assert!(store.store(number % 3, Large(Arc::clone(&counted), [0; 128])).is_ok());
            assert!(Arc::strong_count(&counted) <= 1 + 3);
        }
        assert_eq!(store.metrics().retired_bytes, 0);
    });
}
