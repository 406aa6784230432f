//! Archives that fail, and queues that are full: nothing is lost, it is said, and it goes on by itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tierstack::{Capacity, Cause, Tier};
use tierstack_archive::{ArchivedOptions, ErrorKind, FlushError, RestoreError};

use super::trial::{
    LIMIT, PANICS, Point, REFUSED, Store, Trial, memory, options, restored, store, store_cold, typed, until,
};

const AGAIN: [ErrorKind; 5] =
    [ErrorKind::Full, ErrorKind::Denied, ErrorKind::TimedOut, ErrorKind::Unavailable, ErrorKind::InUse];

#[test]
fn what_cannot_be_written_stays_and_goes_when_it_can() {
    for (number, kind) in AGAIN.into_iter().enumerate() {
        let trial = Trial::new();
        let store = store(&trial, options(2));
        trial.fail(Some(kind));
        for key in 0..50 {
            store_cold(&store, key, key);
        }
        until("it is said", || store.health().attempts >= 2);
        let health = store.health();
        assert_eq!(health.error.as_ref().unwrap().kind(), kind);
        assert!(health.failing_since.unwrap().elapsed().unwrap() < LIMIT && !health.is_stopped);
        assert!(health.queued_bytes >= 45 && health.archived == 0);
        // Nothing is lost, and a miss is an error: nobody knows.
        assert!((0..50).all(|key| restored(&store, key) == Some(key)));
        let Err(RestoreError::Archive(error)) = store.get_or_restore(&1000) else { panic!("the archive fails") };
        assert_eq!(error.kind(), kind);
        let Err(FlushError::TimedOut { error: Some(error) }) = store.flush(Duration::from_millis(30)) else {
            panic!("it cannot be flushed")
        };
        assert_eq!(error.kind(), kind);
        // Before or after the commit.
        trial.fail_flush(number % 2 == 0);
        trial.fail(None);
        std::thread::sleep(Duration::from_millis(10));
        trial.fail_flush(false);
        store.flush(LIMIT).unwrap();
        let health = store.health();
        assert!(health.failing_since.is_none() && health.error.is_none() && health.attempts == 0);
        until("cold is as it is to be", || store.memory().len(Tier::Cold) <= 2);
        assert!((0..50).all(|key| restored(&store, key) == Some(key)));
    }
}

#[test]
fn pauses_grow_and_are_bounded() {
    let trial = Trial::new();
    let store = store(&trial, options(0).back_off(Duration::from_millis(10)..=Duration::from_millis(80)));
    trial.fail(Some(ErrorKind::Unavailable));
    store_cold(&store, 1, 1);
    until("it fails", || trial.tries() >= 2);
    let (begun, before) = (Instant::now(), trial.tries());
    std::thread::sleep(Duration::from_millis(600));
    let (took, tried) = (begun.elapsed().as_millis(), u128::from(trial.tries() - before));
    assert!(tried <= took / 5 / 2 && tried >= 4, "{tried} tries in {took} ms");
    // Each pause of the longest kind takes 40 ms at least.
    assert!(tried <= took / 40 + 6, "{tried} tries in {took} ms");
    trial.fail(None);
    until("it goes on", || store.health().archived == 1);
}

#[test]
fn a_full_queue_is_said_by_every_store_and_waited_for() {
    let trial = Trial::new();
    let store = store(&trial, options(10).queue_bytes(20));
    trial.fail(Some(ErrorKind::Full));
    let behind: Vec<bool> = (0..60).map(|key| store.store(key, key).unwrap().is_behind).collect();
    // One is hot, one warm, ten are cold's own, and twenty the queue's.
    let first = behind.iter().position(|is_behind| *is_behind).unwrap();
    assert!((32..=34).contains(&first) && behind[first..].iter().all(|is_behind| *is_behind), "{behind:?}");
    assert!(store.health().is_behind && !store.wait_for_room(Duration::from_millis(30)));
    assert!((0..60).all(|key| restored(&store, key) == Some(key)));
    std::thread::scope(|scope| {
        let wait = scope.spawn(|| store.wait_for_room(LIMIT));
        std::thread::sleep(Duration::from_millis(20));
        trial.fail(None);
        assert!(wait.join().unwrap());
    });
    store.flush(LIMIT).unwrap();
    assert!(!store.health().is_behind && !store.store(60, 60).unwrap().is_behind);
}

/// The recipe in the documentation of `ArchivedStore`.
#[test]
fn what_is_above_the_queue_goes_to_the_listener_if_the_store_is_built_so() {
    let trial = Trial::new();
    let (told, told_archived) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU64::new(0)));
    let (list, count) = (told.clone(), told_archived.clone());
    let memory = memory()
        .cold_capacity(Capacity::entries(10 + 20))
        .listener(move |departure| match departure.cause {
            Cause::Overflowed => list.lock().unwrap().push(*departure.key),
            Cause::Archived => drop(count.fetch_add(1, Ordering::SeqCst)),
            _ => {}
        })
        .build()
        .unwrap();
    // So that it has a few in hand, and not all.
    let store = Store::new(memory, typed(&trial), options(10).queue_bytes(20).batch_entries(5)).unwrap();
    trial.fail(Some(ErrorKind::Full));
    for key in 0..100 {
        store.store(key, key).unwrap();
        assert!(store.memory().len(Tier::Cold) <= 30);
    }
    let gone = told.lock().unwrap().clone();
    assert_eq!((gone.len() as u64, store.memory().metrics().overflowed), (100 - 2 - 30, 100 - 2 - 30));
    trial.fail(None);
    store.flush(LIMIT).unwrap();
    let found = (0..100).filter(|key| restored(&store, *key) == Some(*key)).count();
    assert_eq!(found, 32, "none is in both places, none in none");
    assert!((0..100).all(|key| restored(&store, key).is_some() != gone.contains(&key)));
    assert!(told_archived.load(Ordering::SeqCst) >= 20);
}

#[test]
fn what_is_refused_for_itself_is_set_aside_and_the_others_go_on() {
    set_aside(options(2).batch_entries(3));
    let mut by_bytes = options(2).batch_bytes(3);
    by_bytes.cold = Capacity::bytes(2);
    set_aside(by_bytes);
}

fn set_aside(options: ArchivedOptions) {
    let trial = Trial::new();
    let store = store(&trial, options);
    trial.corrupt(Some(40));
    let value = |key| match key {
        0 => REFUSED,
        20 => PANICS,
        key => key,
    };
    for key in 0..60 {
        store_cold(&store, key, value(key));
    }
    let Err(FlushError::SetAside { fragments, .. }) = store.flush(LIMIT) else { panic!("three are refused") };
    assert_eq!(fragments, 3);
    until("the others go", || store.health().archived >= 55);
    let health = store.health();
    assert!(health.set_aside == 3 && health.set_aside_error.is_some() && health.panics == 1);
    assert!(health.failing_since.is_none() && !health.is_stopped);
    // They are on top of what cold keeps, and take no room of the others.
    until("cold is as it is to be", || store.memory().len(Tier::Cold) <= 2 + 3);
    assert!([0, 20, 40].iter().all(|key| store.memory().tier_of(key) == Some(Tier::Cold)));
    assert!((0..60).all(|key| store.memory().contains(&key) || trial.value(key) == Some(value(key))));
    // And it rests: it does not try them again and again.
    let commits = trial.tries();
    std::thread::sleep(Duration::from_millis(50));
    assert!(trial.tries() - commits < 5);
    // A value that can be written replaces it; the other two are removed, of which the archive refuses one.
    store_cold(&store, 0, 1);
    store.remove(&20);
    store.remove(&40);
    assert!(matches!(store.flush(LIMIT), Err(FlushError::SetAside { fragments: 1, .. })));
    assert_eq!((restored(&store, 20), restored(&store, 40), restored(&store, 0)), (None, None, Some(1)));
    trial.corrupt(None);
    store.reopen(typed(&trial)).unwrap();
    store.flush(LIMIT).unwrap();
    until("nothing is aside", || store.health().set_aside == 0);
    assert_eq!((trial.value(40), store.health().pending_removals), (None, 0));
}

#[test]
fn an_error_for_good_stops_the_writer_and_another_handle_goes_on() {
    for kind in [ErrorKind::Fenced, ErrorKind::Corrupt, ErrorKind::ReadOnly] {
        let trial = Trial::new();
        let store = store(&trial, options(2).queue_bytes(5));
        store_cold(&store, 100, 100);
        trial.fail(Some(kind));
        (0..20).for_each(|key| store_cold(&store, key, key));
        store.remove(&100);
        until("it stops", || store.health().is_stopped);
        let health = store.health();
        assert_eq!(health.error.as_ref().unwrap().kind(), kind);
        assert!(health.failing_since.is_some() && health.pending_removals == 1 && health.is_behind);
        let tries = trial.tries();
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(trial.tries(), tries);
        // Nothing waits for what does not come.
        let begun = Instant::now();
        assert!(matches!(store.flush(LIMIT), Err(FlushError::Stopped { error: Some(_) })));
        assert!(!store.wait_for_room(LIMIT) && begun.elapsed() < LIMIT / 2);
        assert!((0..20).all(|key| restored(&store, key) == Some(key)));
        // Another archive of the same records.
        let error = store.reopen(typed(&trial)).unwrap_err();
        assert!(error.kind() == kind && store.health().is_stopped);
        trial.fail(None);
        store.reopen(typed(&trial)).unwrap();
        assert!(!store.health().is_stopped);
        store.flush(LIMIT).unwrap();
        assert_eq!(trial.crashed().value(100), None);
        assert!((0..20).all(|key| restored(&store, key) == Some(key)) && restored(&store, 100).is_none());
        assert!(store.wait_for_room(LIMIT));
    }
}

#[test]
fn a_panic_of_the_archive_is_said_and_got_over() {
    let trial = Trial::new();
    let store = store(&trial, options(0));
    trial.panic(true);
    store_cold(&store, 1, 1);
    until("it is said", || store.health().attempts >= 2);
    let health = store.health();
    assert_eq!(health.error.unwrap().kind(), ErrorKind::Panicked);
    assert!(health.panics >= 2 && !health.is_stopped);
    // To a restore it is a panic, and the restore is not registered any more.
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| restored(&store, 2))).is_err());
    trial.panic(false);
    until("it goes on", || store.health().archived == 1);
    assert_eq!(restored(&store, 2), None);
}

#[test]
fn a_panic_of_the_listener_is_counted_and_stops_nothing() {
    let trial = Trial::new();
    let memory = memory().listener(|departure| assert!(departure.cause != Cause::Archived, "no")).build().unwrap();
    let store = Store::new(memory, typed(&trial), options(0)).unwrap();
    (0..10).for_each(|key| store_cold(&store, key, key));
    store.flush(LIMIT).unwrap();
    until("all have left", || store.health().archived >= 10);
    assert!(store.health().panics >= 10 && (0..10).all(|key| restored(&store, key) == Some(key)));
}

#[test]
fn an_archive_that_hangs_holds_up_a_flush_until_its_limit_and_a_drop_until_its_answer() {
    let trial = Trial::new();
    let store = store(&trial, options(0));
    let hang = Duration::from_millis(600);
    trial.on(move |point| {
        if point == Point::BeforeCommit {
            std::thread::sleep(hang);
        }
    });
    (0..5).for_each(|key| store_cold(&store, key, key));
    let begun = Instant::now();
    assert!(matches!(store.flush(Duration::from_millis(50)), Err(FlushError::TimedOut { error: None })));
    assert!(begun.elapsed() < hang / 2, "{:?}", begun.elapsed());
    // Stores and reads do not wait for it.
    let begun = Instant::now();
    (5..100).for_each(|key| store_cold(&store, key, key));
    assert!((0..100).all(|key| store.get(&key).is_some()) && store.remove(&50).is_some());
    assert!(begun.elapsed() < hang / 2, "{:?}", begun.elapsed());
    drop(store);
    assert!(begun.elapsed() < hang * 2 + Duration::from_millis(100), "{:?}", begun.elapsed());
}

#[test]
fn a_drop_does_not_wait_for_a_pause() {
    let trial = Trial::new();
    let store = store(&trial, options(0).back_off(LIMIT..=LIMIT));
    trial.fail(Some(ErrorKind::Full));
    store_cold(&store, 1, 1);
    until("it fails", || store.health().attempts == 1);
    let begun = Instant::now();
    drop(store);
    assert!(begun.elapsed() < LIMIT / 4);
}

#[test]
fn somebody_elses_horizon_is_risen_above() {
    let trial = Trial::new();
    let store = store(&trial, options(0));
    tierstack_archive::Archive::forget(&*trial, 1_000_000).unwrap();
    (0..5).for_each(|key| store_cold(&store, key, key));
    store.flush(LIMIT).unwrap();
    assert!((0..5).all(|key| trial.value(key) == Some(key)) && store.health().set_aside == 0);
}

#[test]
fn a_checkpoint_survives_a_crash_and_a_close_says_when_it_cannot() {
    let trial = Trial::new();
    let store = store(&trial, ArchivedOptions::new(Capacity::entries(5)).batch_entries(3));
    for key in 0..30 {
        store.store(key, key).unwrap();
    }
    store.remove(&3);
    let done = store.checkpoint(LIMIT).unwrap();
    assert!((7..=29).contains(&done), "{done}");
    let crashed = trial.crashed();
    assert!((0..30).all(|key| crashed.value(key) == (key != 3).then_some(key)));
    // Nothing leaves but what is above.
    store.flush(LIMIT).unwrap();
    let kept = store.memory().metrics();
    assert_eq!((kept.hot.fragments, kept.warm.fragments, kept.cold.fragments), (1, 1, 5));
    trial.fail(Some(ErrorKind::Full));
    store.remove(&4);
    assert!(matches!(store.close(Duration::from_millis(50)), Err(FlushError::TimedOut { .. })));
    assert!(!store.health().is_stopped);
    trial.fail(None);
    store.close(LIMIT).unwrap();
    assert!(store.health().is_stopped && trial.crashed().value(4).is_none());
    assert!(matches!(store.flush(LIMIT), Err(FlushError::Stopped { error: None })));
    assert_eq!(restored(&store, 0), Some(0));
}
