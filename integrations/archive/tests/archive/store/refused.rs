//! What an archive or a codec refuses, what it knows better, and what counts for nothing: it holds nobody up, and it is said.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tierstack::{Capacity, Tier, TierStore};
use tierstack_archive::object_store::memory::InMemory;
use tierstack_archive::{
    Archive, ArchivedStore, Codec, CodecError, ErrorKind, FlushError, MAX_VALUE_BYTES, ObjectOptions, Op, Typed,
};

use super::trial::{
    LIMIT, Numbers, Point, REFUSED, Store, Trial, memory, options, restored, store, store_cold, typed, until,
};

#[test]
fn what_another_store_has_overtaken_is_written_again_with_a_later_tick() {
    let trial = Trial::new();
    let (one, other) = (store(&trial, options(0)), store(&trial, options(0)));
    for round in 0..20 {
        store_cold(&one, 1, round);
        one.flush(LIMIT).unwrap();
    }
    store_cold(&other, 1, 100);
    other.flush(LIMIT).unwrap();
    assert_eq!((restored(&other, 1), trial.crashed().value(1)), (Some(100), Some(100)));
    one.flush(LIMIT).unwrap();
    for _ in 0..20 {
        one.remove(&2);
        one.flush(LIMIT).unwrap();
    }
    other.remove(&1);
    other.flush(LIMIT).unwrap();
    assert_eq!((restored(&other, 1), trial.crashed().value(1)), (None, None));
}

#[test]
fn an_archive_without_ticks_stops_the_writer() {
    let trial = Trial::new();
    trial.commit(&[Op::Put { key: &1_u64.to_be_bytes(), tick: u64::MAX, value: &1_u64.to_be_bytes() }]).unwrap();
    let store = store(&trial, options(0));
    store_cold(&store, 1, 2);
    let Err(FlushError::Stopped { error: Some(error) }) = store.flush(LIMIT) else { panic!("there is no tick") };
    assert_eq!((error.kind(), store.health().panics, store.get(&1).unwrap().value), (ErrorKind::Unsupported, 0, 2));
}

#[test]
fn a_removal_whose_key_is_not_encoded_once_is_set_aside_and_holds() {
    let trial = Trial::new();
    let store = store(&trial, options(0));
    store_cold(&store, 1, 10);
    store.flush(LIMIT).unwrap();
    let has_failed = AtomicBool::new(false);
    trial.on(move |point| {
        assert!(point != Point::EncodeKey(1) || has_failed.swap(true, Ordering::SeqCst), "once");
    });
    store.remove(&1);
    assert!(matches!(store.flush(LIMIT), Err(FlushError::SetAside { fragments: 1, .. })));
    assert_eq!((restored(&store, 1), store.health().set_aside), (None, 1));
    store.remove(&1);
    store.flush(LIMIT).unwrap();
    assert_eq!((restored(&store, 1), trial.crashed().value(1), store.health().set_aside), (None, None, 0));
}

/// A store that has archived 1, and whose archive refuses the removal of it.
fn with_a_removal_aside() -> (Arc<Trial>, Store) {
    let trial = Trial::new();
    let store = store(&trial, options(0));
    store_cold(&store, 1, 10);
    store.flush(LIMIT).unwrap();
    trial.corrupt(Some(1));
    store.remove(&1);
    until("it is set aside", || store.health().set_aside == 1);
    (trial, store)
}

#[test]
fn each_flush_says_so_while_a_removal_is_set_aside() {
    let (trial, store) = with_a_removal_aside();
    for _ in 0..3 {
        assert!(matches!(store.flush(LIMIT), Err(FlushError::SetAside { fragments: 1, .. })));
        assert!(matches!(store.checkpoint(LIMIT), Err(FlushError::SetAside { fragments: 1, .. })));
        assert_eq!((restored(&store, 1), trial.crashed().value(1)), (None, Some(10)));
    }
    // Refused again, it counts once.
    store.remove(&1);
    assert!(matches!(store.flush(LIMIT), Err(FlushError::SetAside { fragments: 1, .. })));
    assert_eq!(store.health().set_aside, 1);
    trial.corrupt(None);
    store.remove(&1);
    store.flush(LIMIT).unwrap();
    let health = store.health();
    assert!(health.set_aside == 0 && health.pending_removals == 0 && trial.crashed().value(1).is_none(), "{health:?}");
}

#[test]
fn a_later_value_supersedes_a_removal_that_is_set_aside() {
    let (trial, store) = with_a_removal_aside();
    trial.corrupt(None);
    let before = trial.commits();
    store_cold(&store, 1, 12);
    store.flush(LIMIT).unwrap();
    until("it leaves", || store.get(&1).is_none());
    assert_eq!((restored(&store, 1), trial.crashed().value(1)), (Some(12), Some(12)));
    let health = store.health();
    assert!(health.set_aside == 0 && health.pending_removals == 0, "{health:?}");
    assert!(trial.commits() - before < 10, "{} commits", trial.commits() - before);
}

/// A codec for a value that no archive takes.
struct Large;

impl Codec<u64> for Large {
    fn encode(&self, value: &u64, to: &mut Vec<u8>) -> Result<(), CodecError> {
        to.extend_from_slice(&value.to_be_bytes());
        if *value == REFUSED {
            to.resize(MAX_VALUE_BYTES + 1, 0);
        }
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<u64, CodecError> {
        Ok(u64::from_be_bytes(bytes[..8].try_into()?))
    }
}

#[test]
fn a_value_that_is_refused_does_not_take_its_removal_along() {
    let (objects, hooks) = (Arc::new(InMemory::new()), Trial::new());
    let archive = ObjectOptions::new().open_store(objects, "").unwrap();
    let archive = Typed::new(archive, Numbers(Some(hooks.clone())), Large);
    let store = Arc::new(ArchivedStore::new(memory().build().unwrap(), archive, options(0)).unwrap());
    store.store(7, 70).unwrap();
    store.checkpoint(LIMIT).unwrap();
    // Both come in one batch: they are made while another one is written.
    let (storing, once) = (Arc::downgrade(&store), AtomicBool::new(false));
    hooks.on(move |point| {
        if point == Point::EncodeKey(8) && !once.swap(true, Ordering::SeqCst) {
            let store = storing.upgrade().unwrap();
            store.remove(&7);
            store.store(7, REFUSED).unwrap();
            store.memory().demote_to(&7, Tier::Cold);
        }
    });
    store.store(8, 80).unwrap();
    store.memory().demote_to(&8, Tier::Cold);
    until("it is set aside", || store.health().set_aside > 0);
    assert!(matches!(store.flush(LIMIT), Err(FlushError::SetAside { fragments: 1, .. })));
    let health = store.health();
    assert!(health.set_aside == 1 && health.pending_removals == 0, "{health:?}");
    store.store(7, 71).unwrap();
    store.memory().demote_to(&7, Tier::Cold);
    store.flush(LIMIT).unwrap();
    until("it leaves", || store.memory().peek(&7).is_none());
    assert_eq!(store.get_or_restore(&7).unwrap().unwrap().fragment.value, 71);
    assert_eq!(store.health().set_aside, 0);
}

#[test]
fn a_batch_takes_so_many_removals_and_a_flush_waits_for_all() {
    let trial = Trial::new();
    let store = store(&trial, options(0).batch_entries(10));
    trial.fail(Some(ErrorKind::Unavailable));
    for key in 0..1000 {
        store.remove(&key);
    }
    trial.fail(None);
    store.flush(LIMIT).unwrap();
    assert!(trial.commits() >= 100 && store.health().pending_removals == 0, "{} commits", trial.commits());
}

#[test]
fn one_that_is_heavier_than_a_batch_leaves_behind_one_that_is_set_aside() {
    let trial = Trial::new();
    let memory = TierStore::builder(1000).weigher(|key: &u64, _: &u64| if *key == 2 { 8 } else { 1 }).build().unwrap();
    let mut options = options(0).batch_bytes(5);
    options.cold = Capacity::bytes(0);
    let store = Store::new(memory, typed(&trial), options).unwrap();
    store_cold(&store, 1, REFUSED);
    until("it is set aside", || store.health().set_aside == 1);
    (2..50).for_each(|key| store_cold(&store, key, key));
    until("the others leave", || store.health().archived == 48);
    assert!((2..50).all(|key| trial.value(key) == Some(key)) && store.get(&1).is_some());
}

#[test]
fn cold_keeps_what_it_is_to_keep_beside_what_is_set_aside_and_used() {
    let trial = Trial::new();
    let store = store(&trial, options(10));
    (0..5).for_each(|key| store_cold(&store, key, REFUSED));
    (10..20).for_each(|key| store_cold(&store, key, key));
    until("they are set aside", || store.health().set_aside == 5);
    for _ in 0..10 {
        assert!((0..5).all(|key| store.get(&key).is_some()));
        store_cold(&store, 20, 20);
        // Of the five, of which cold seems to keep some, it may say that they are not durable.
        let _ = store.flush(LIMIT);
        std::thread::sleep(Duration::from_millis(5));
        assert!(store.memory().len(Tier::Cold) >= 15, "{:?}", store.health());
    }
    until("one leaves", || store.health().archived == 1);
    assert_eq!(store.memory().len(Tier::Cold), 15);
}

#[test]
fn there_is_room_beside_what_is_set_aside() {
    let trial = Trial::new();
    let store = store(&trial, options(0).queue_bytes(2));
    (0..5).for_each(|key| store_cold(&store, key, REFUSED));
    until("they are set aside", || store.health().set_aside == 5);
    assert!(store.wait_for_room(LIMIT));
    let health = store.health();
    assert!(!health.is_behind && health.queued_bytes == 0, "{health:?}");
    assert!(!store.store(9, 9).unwrap().is_behind);
}

#[test]
fn what_is_kept_in_cold_stays_and_does_not_count() {
    let trial = Trial::new();
    let store = store(&trial, options(2).queue_bytes(0));
    for key in [1, 2] {
        store.store(key, key).unwrap();
        store.memory().keep(&key).unwrap();
        store.memory().demote_to(&key, Tier::Cold);
    }
    for key in [3, 4] {
        store_cold(&store, key, key);
    }
    store.flush(LIMIT).unwrap();
    assert!(store.wait_for_room(LIMIT) && !store.health().is_behind);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!((store.memory().len(Tier::Cold), store.health().queued_bytes, trial.commits()), (4, 0, 0));
    store_cold(&store, 5, 5);
    store.flush(LIMIT).unwrap();
    until("one leaves", || store.memory().len(Tier::Cold) == 4);
    assert_eq!((trial.crashed().value(3), trial.crashed().value(4), trial.commits()), (Some(3), None, 1));
    // A checkpoint writes what is kept, too. One that is refused, and is kept, does not count twice.
    store.store(2, REFUSED).unwrap();
    assert!(matches!(store.checkpoint(LIMIT), Err(FlushError::SetAside { fragments: 1, .. })));
    assert_eq!((trial.crashed().value(1), trial.crashed().value(5)), (Some(1), Some(5)));
}

#[test]
fn it_does_not_fail_any_more_when_nothing_is_left_to_write() {
    for is_flushed in [false, true] {
        let trial = Trial::new();
        let store = store(&trial, options(0));
        trial.fail(Some(ErrorKind::Unavailable));
        store_cold(&store, 1, 1);
        until("it fails", || store.health().attempts > 2);
        store.memory().promote(&1).unwrap();
        trial.fail(None);
        if is_flushed {
            store.flush(LIMIT).unwrap();
        } else {
            until("it looks", || store.health().failing_since.is_none());
        }
        let health = store.health();
        assert!(health.failing_since.is_none() && health.error.is_none() && health.attempts == 0, "{health:?}");
    }
}

#[test]
fn removals_that_are_not_forgotten_are_no_failure() {
    let trial = Trial::new();
    let store = store(&trial, options(0));
    trial.fail_forget(true);
    let remove = || {
        for key in 0..5000 {
            store.remove(&key);
        }
        store.flush(LIMIT).unwrap();
    };
    remove();
    store_cold(&store, 1, 1);
    store.flush(LIMIT).unwrap();
    let health = store.health();
    assert!(trial.horizon() == 0 && !health.is_stopped && health.failing_since.is_none(), "{health:?}");
    trial.fail_forget(false);
    remove();
    until("they are forgotten", || trial.horizon() > 0);
}

#[test]
fn a_batch_that_is_refused_as_a_whole_is_followed_by_the_next_one_at_once() {
    let trial = Trial::new();
    // It sleeps for longer than the test waits, unless there is something to do.
    let store = store(&trial, options(100).batch_entries(1).poll(LIMIT * 2));
    (0..50).for_each(|key| store_cold(&store, key, REFUSED));
    (50..160).for_each(|key| store_cold(&store, key, key));
    assert!(matches!(store.flush(LIMIT), Err(FlushError::SetAside { fragments: 50, .. })));
    until("the others leave", || store.health().archived == 10);
    assert_eq!(store.health().set_aside, 50);
}

#[test]
fn what_is_set_aside_keeps_its_room_in_a_bounded_cold_until_it_is_used() {
    let trial = Trial::new();
    let memory = memory().cold_capacity(Capacity::entries(10)).build().unwrap();
    let store = Store::new(memory, typed(&trial), options(2).batch_entries(1)).unwrap();
    (0..5).for_each(|key| store_cold(&store, key, REFUSED));
    until("some are set aside", || store.health().set_aside == 3);
    (5..7).for_each(|key| store_cold(&store, key, REFUSED));
    until("all but two are set aside", || store.health().set_aside == 5);
    trial.fail(Some(ErrorKind::Unavailable));
    (100..200).for_each(|key| store_cold(&store, key, key));
    assert!((0..5).all(|key| store.memory().contains(&key)) && store.memory().len(Tier::Cold) <= 10);
    assert!((0..5).all(|key| store.get(&key).is_some()));
    (200..300).for_each(|key| store_cold(&store, key, key));
    assert!(!(0..5).any(|key| store.memory().contains(&key)));
    until("none is set aside", || store.health().set_aside == 0);
}

#[test]
fn a_removal_that_is_set_aside_and_made_anew_meanwhile_is_not_said_to_be_durable() {
    let (trial, store) = with_a_removal_aside();
    let store = Arc::new(store);
    let (weak, is_first) = (Arc::downgrade(&store), AtomicBool::new(true));
    // The batch has its removals already.
    trial.on(move |point| {
        if point == Point::AfterCommit && is_first.swap(false, Ordering::SeqCst) {
            weak.upgrade().unwrap().remove(&1);
        }
    });
    store.store(2, 2).unwrap();
    assert!(matches!(store.checkpoint(LIMIT), Err(FlushError::SetAside { fragments: 1, .. })));
    assert_eq!((trial.crashed().value(1), trial.crashed().value(2)), (Some(10), Some(2)));
}
