//! The races at the head of `src/store/mod.rs`, one by one: the archive and the codec step in where a race needs it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, Weak};

use tierstack::{Capacity, Cause, Tier};
use tierstack_archive::Source;

use super::trial::{LIMIT, Point, Store, Trial, memory, options, restored, store, store_cold, typed, until};

/// Stops whoever comes to a point first, until it is let go.
pub struct Stop {
    reached: Receiver<()>,
    go: Sender<()>,
}

impl Stop {
    pub fn at(trial: &Trial, point: Point) -> Self {
        let ((reach, reached), (go, gone)) = (channel(), channel());
        let (gone, is_first) = (Mutex::new(gone), AtomicBool::new(true));
        trial.on(move |here| {
            if here == point && is_first.swap(false, Ordering::SeqCst) {
                reach.send(()).unwrap();
                gone.lock().unwrap().recv().unwrap();
            }
        });
        Self { reached, go }
    }

    pub fn wait(&self) {
        self.reached.recv_timeout(LIMIT).expect("somebody comes by");
    }

    pub fn go(&self) {
        self.go.send(()).unwrap();
    }
}

#[test]
fn it_is_found_in_memory_until_it_is_durable() {
    let trial = Trial::new();
    let store = store(&trial, options(0));
    for point in [Point::BeforeCommit, Point::AfterCommit] {
        let stop = Stop::at(&trial, point);
        store_cold(&store, 1, 10);
        stop.wait();
        assert_eq!(store.get(&1).map(|found| found.value), Some(10));
        // That was a use, so it stays. The record is there all the same.
        stop.go();
        trial.off();
        store.flush(LIMIT).unwrap();
        until("it leaves", || store.get(&1).is_none() || store.flush(LIMIT).is_err());
        assert_eq!(restored(&store, 1), Some(10));
    }
}

#[test]
fn a_removal_holds_at_once_and_for_good() {
    let trial = Trial::new();
    let store = store(&trial, options(0));
    store_cold(&store, 1, 10);
    store.flush(LIMIT).unwrap();
    until("it leaves", || store.get(&1).is_none());
    let stop = Stop::at(&trial, Point::BeforeCommit);
    assert!(store.remove(&1).is_none(), "it was in the archive only");
    assert_eq!(restored(&store, 1), None);
    stop.wait();
    // The writer has it in hand, and the archive does not have it yet.
    assert_eq!((restored(&store, 1), trial.value(1)), (None, Some(10)));
    assert_eq!(store.health().pending_removals, 1);
    stop.go();
    trial.off();
    store.flush(LIMIT).unwrap();
    assert_eq!((restored(&store, 1), trial.value(1), store.health().pending_removals), (None, None, 0));
}

#[test]
fn a_removal_that_is_committed_and_not_durable_is_still_known() {
    let trial = Trial::new();
    let store = store(&trial, options(0));
    store_cold(&store, 1, 10);
    store.flush(LIMIT).unwrap();
    trial.fail_flush(true);
    store.remove(&1);
    until("it fails", || store.health().failing_since.is_some());
    assert_eq!(store.health().pending_removals, 1);
    trial.fail_flush(false);
    store.flush(LIMIT).unwrap();
    assert_eq!(store.health().pending_removals, 0);
}

#[test]
fn what_was_removed_while_it_was_read_does_not_come_back() {
    for point in [Point::BeforeGet, Point::AfterGet] {
        let trial = Trial::new();
        let store = store(&trial, options(0));
        store_cold(&store, 1, 10);
        store.flush(LIMIT).unwrap();
        until("it leaves", || store.get(&1).is_none());
        let stop = Stop::at(&trial, point);
        std::thread::scope(|scope| {
            let restore = scope.spawn(|| restored(&store, 1));
            stop.wait();
            store.remove(&1);
            stop.go();
            assert_eq!(restore.join().unwrap(), None);
        });
        assert!(store.get(&1).is_none());
    }
}

#[test]
fn what_was_archived_anew_while_it_was_read_is_not_put_back_in_its_older_state() {
    let trial = Trial::new();
    let store = store(&trial, options(0));
    store_cold(&store, 1, 10);
    store.flush(LIMIT).unwrap();
    until("it leaves", || store.get(&1).is_none());
    let stop = Stop::at(&trial, Point::AfterGet);
    std::thread::scope(|scope| {
        let restore = scope.spawn(|| store.get_or_restore(&1).unwrap().unwrap());
        stop.wait();
        store_cold(&store, 1, 20);
        store.flush(LIMIT).unwrap();
        until("it leaves", || store.get(&1).is_none());
        stop.go();
        let restored = restore.join().unwrap();
        assert_eq!((restored.fragment.value, restored.source), (20, Source::Archive));
    });
}

#[test]
fn what_was_stored_while_it_was_read_stays() {
    let trial = Trial::new();
    let store = store(&trial, options(0));
    store_cold(&store, 1, 10);
    store.flush(LIMIT).unwrap();
    until("it leaves", || store.get(&1).is_none());
    let stop = Stop::at(&trial, Point::AfterGet);
    std::thread::scope(|scope| {
        let restore = scope.spawn(|| store.get_or_restore(&1).unwrap().unwrap());
        stop.wait();
        store.store(1, 20).unwrap();
        stop.go();
        let restored = restore.join().unwrap();
        assert_eq!((restored.fragment.value, restored.source), (20, Source::Memory));
    });
}

/// The batch has no removal of the key, and takes along what was stored after the removal: the removal's tick will be the higher one.
#[test]
fn what_was_stored_after_a_removal_is_not_taken_along_by_it() {
    for is_flushed in [false, true] {
        let trial = Trial::new();
        let store = Arc::new(store(&trial, options(0)));
        store_cold(&store, 1, 10);
        store.flush(LIMIT).unwrap();
        until("it leaves", || store.get(&1).is_none());
        let (weak, is_first) = (Arc::downgrade(&store), AtomicBool::new(true));
        // Between the removals of the batch, of which there is this one, and what leaves with it.
        trial.on(move |here| {
            if here == Point::EncodeKey(2) && is_first.swap(false, Ordering::SeqCst) {
                let store: Arc<Store> = weak.upgrade().unwrap();
                store.remove(&1);
                store_cold(&store, 1, 20);
            }
        });
        store.remove(&2);
        if is_flushed {
            until("the removal comes", || store.health().pending_removals == 0);
            store.flush(LIMIT).unwrap();
            assert_eq!(trial.crashed().value(1), Some(20));
        }
        until("both are written", || store.health().pending_removals == 0 && store.get(&1).is_none());
        assert_eq!((restored(&store, 1), trial.value(1)), (Some(20), Some(20)));
        trial.off();
    }
}

#[test]
fn what_was_used_while_it_was_written_stays_and_its_record_too() {
    let trial = Trial::new();
    let store = store(&trial, options(1));
    let stop = Stop::at(&trial, Point::AfterCommit);
    store_cold(&store, 1, 10);
    store_cold(&store, 2, 20);
    stop.wait();
    assert!(store.get(&1).is_some());
    stop.go();
    trial.off();
    until("the other one leaves instead", || !store.memory().contains(&2));
    assert_eq!((store.memory().tier_of(&1), trial.value(1), trial.value(2)), (Some(Tier::Cold), Some(10), Some(20)));
    // A removal takes the record out.
    assert_eq!(store.remove(&1).unwrap().value, 10);
    store.flush(LIMIT).unwrap();
    assert_eq!((trial.value(1), restored(&store, 1)), (None, None));
}

#[test]
fn a_flush_makes_durable_what_was_used_or_replaced_while_it_ran() {
    let trial = Trial::new();
    let store = store(&trial, options(1));
    trial.fail(Some(tierstack_archive::ErrorKind::Full));
    for key in 0..4 {
        store_cold(&store, key, key);
    }
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| store.flush(LIMIT));
        std::thread::sleep(std::time::Duration::from_millis(20));
        store.get(&0).unwrap();
        store.store(1, 100).unwrap();
        trial.fail(None);
        flush.join().unwrap().unwrap();
    });
    let crashed = trial.crashed();
    assert_eq!((crashed.value(0), crashed.value(1), crashed.value(2)), (Some(0), Some(100), Some(2)));
}

#[test]
fn what_was_restored_is_not_written_again_unless_it_was_changed() {
    let trial = Trial::new();
    let store = store(&trial, options(0));
    (0..20).for_each(|key| store_cold(&store, key, key));
    store.checkpoint(LIMIT).unwrap();
    let leave = || {
        for key in 0..20 {
            store.memory().demote_to(&key, Tier::Cold);
        }
        store.flush(LIMIT).unwrap();
        until("all leave", || (0..20).all(|key| !store.memory().contains(&key)));
    };
    leave();
    let written = store.health().committed_steps;
    for round in 1..4 {
        assert!((0..20).all(|key| restored(&store, key) == Some(key)));
        leave();
        let health = store.health();
        assert!(health.committed_steps == written && health.unchanged >= round * 20, "{health:?}");
    }
    // Changed, removed, removed and stored again; and one is left alone.
    assert!((0..4).all(|key| restored(&store, key) == Some(key)));
    store_cold(&store, 0, 100);
    store.remove(&1);
    store.remove(&2);
    store_cold(&store, 2, 200);
    leave();
    assert_eq!((0..4).map(|key| restored(&store, key)).collect::<Vec<_>>(), [Some(100), None, Some(200), Some(3)]);
    assert_eq!((0..4).map(|key| trial.crashed().value(key)).collect::<Vec<_>>(), [Some(100), None, Some(200), Some(3)]);
    // A checkpoint does not write it, either.
    let written = store.health().committed_steps;
    store.checkpoint(LIMIT).unwrap();
    assert_eq!(store.health().committed_steps, written);
    // Another archive does not have it.
    let other = Trial::new();
    store.reopen(typed(&other)).unwrap();
    store.checkpoint(LIMIT).unwrap();
    assert_eq!(other.value(3), Some(3));
}

#[test]
fn a_listener_may_use_the_store_that_calls_it() {
    let (done, is_done) = channel();
    std::thread::spawn(move || {
        use_it_from_its_listener();
        done.send(()).unwrap();
    });
    is_done.recv_timeout(LIMIT).expect("it does not lock up");
}

fn use_it_from_its_listener() {
    let trial = Trial::new();
    let place: Arc<Mutex<Weak<Store>>> = Arc::default();
    let (inner, archived, removed) = (place.clone(), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (counted, taken) = (archived.clone(), removed.clone());
    let listener = move |departure: &tierstack::Departure<'_, u64, u64>| {
        let Some(store) = inner.lock().unwrap().upgrade() else { return };
        match departure.cause {
            Cause::Archived => {
                counted.fetch_add(1, Ordering::SeqCst);
                store.remove(&(departure.key + 1000));
                assert_eq!(restored(&store, departure.key + 1000), None);
            }
            // Of the key's own gate.
            Cause::Removed => {
                taken.fetch_add(1, Ordering::SeqCst);
                assert!(restored(&store, *departure.key).is_none());
                store.remove(departure.key);
            }
            _ => {}
        }
    };
    let memory = memory().listener(listener).build().unwrap();
    let store = Arc::new(Store::new(memory, typed(&trial), options(0)).unwrap());
    *place.lock().unwrap() = Arc::downgrade(&store);
    for key in 0..200 {
        store_cold(&store, key, key);
    }
    store.flush(LIMIT).unwrap();
    store.store(7777, 1).unwrap();
    store.remove(&7777);
    store.flush(LIMIT).unwrap();
    assert!(archived.load(Ordering::SeqCst) >= 190 && removed.load(Ordering::SeqCst) == 1);
    assert_eq!(store.health().panics, 0);
}

#[test]
fn the_last_owner_may_be_the_writer_itself() {
    let trial = Trial::new();
    let place: Arc<Mutex<Option<Arc<Store>>>> = Arc::default();
    let inner = place.clone();
    let memory = memory().listener(move |_| drop(inner.lock().unwrap().take())).build().unwrap();
    let store = Arc::new(Store::new(memory, typed(&trial), options(0)).unwrap());
    let weak = Arc::downgrade(&store);
    store_cold(&store, 1, 1);
    *place.lock().unwrap() = Some(store);
    until("the writer has dropped it", || weak.strong_count() == 0);
    until("it was written", || trial.value(1) == Some(1));
}

#[test]
fn removals_are_forgotten_now_and_then() {
    let trial = Trial::new();
    let store = store(&trial, options(0));
    for key in 0..5000 {
        store.remove(&key);
    }
    store.flush(LIMIT).unwrap();
    until("they are forgotten", || trial.horizon() > 4096);
    // What comes next keeps the promise.
    store_cold(&store, 1, 1);
    store.flush(LIMIT).unwrap();
    assert_eq!((trial.value(1), store.health().attempts), (Some(1), 0));
}

#[test]
fn an_unbounded_cold_archives_nothing_by_itself() {
    let trial = Trial::new();
    let options = tierstack_archive::ArchivedOptions::new(Capacity::UNBOUNDED);
    let store = store(&trial, options);
    (0..10).for_each(|key| store_cold(&store, key, key));
    store.flush(LIMIT).unwrap();
    assert_eq!(trial.commits(), 0);
    assert_eq!(store.checkpoint(LIMIT).unwrap(), 10);
    assert_eq!((0..10).filter(|key| trial.crashed().value(*key) == Some(*key)).count(), 10);
    let (memory, _) = store.into_parts().expect("nobody restores");
    assert_eq!(memory.metrics().cold.fragments, 10);
}
