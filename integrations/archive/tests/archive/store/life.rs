//! The writer's life: it is started, ended and followed by another one, while others use the store.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tierstack::{Capacity, Cause, TierStore};
use tierstack_archive::object_store::memory::InMemory;
use tierstack_archive::{
    Archive, ArchivedOptions, ArchivedStore, ErrorKind, FlushError, ObjectOptions, RedbArchive, Typed,
};

use super::paused::Stop;
use super::trial::{LIMIT, Numbers, Point, Store, Trial, memory, options, restored, store, store_cold, typed, until};

/// So long nobody needs to do a little.
const A_WHILE: Duration = Duration::from_millis(300);

#[test]
fn a_reopen_waits_for_the_writer_that_a_close_waits_for() {
    // The close has to be late: it asks the writer to end when that has the next batch in hand.
    assert!((0..100).any(|_| reopens_while_a_close_waits()), "the close is never late");
}

/// `false`: the close came before the writer had the next batch.
fn reopens_while_a_close_waits() -> bool {
    let trial = Trial::new();
    let store = Arc::new(store(&trial, options(0)));
    let (commits, may_go) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (count, goes, weak) = (commits.clone(), may_go.clone(), Arc::downgrade(&store));
    trial.on(move |point| match point {
        Point::BeforeCommit => {
            let commit = count.fetch_add(1, Ordering::SeqCst);
            until("it may go", || goes.load(Ordering::SeqCst) > commit);
        }
        Point::AfterCommit if count.load(Ordering::SeqCst) == 2 => drop(weak.upgrade().unwrap().remove(&3)),
        _ => {}
    });
    store.remove(&1);
    until("a commit", || commits.load(Ordering::SeqCst) == 1);
    store.remove(&2);
    let ((tell_closed, closed), (tell_reopened, reopened)) = (channel(), channel());
    let closing = store.clone();
    thread::spawn(move || tell_closed.send(closing.close(LIMIT)));
    thread::sleep(A_WHILE / 6);
    // The flush of the close is done with the second batch, and the third one begins after it.
    may_go.store(2, Ordering::SeqCst);
    let mut is_closed = false;
    until("a third commit, or the close", || {
        is_closed = closed.try_recv().is_ok();
        is_closed || commits.load(Ordering::SeqCst) == 3
    });
    if is_closed {
        may_go.store(u64::MAX, Ordering::SeqCst);
        return false;
    }
    thread::sleep(A_WHILE);
    let (reopening, handle) = (store.clone(), trial.clone());
    thread::spawn(move || tell_reopened.send(reopening.reopen(typed(&handle))));
    let is_too_early = reopened.recv_timeout(A_WHILE).is_ok();
    may_go.store(u64::MAX, Ordering::SeqCst);
    closed.recv_timeout(LIMIT).expect("the close ends").unwrap();
    assert!(!is_too_early, "the old writer was still in a commit");
    reopened.recv_timeout(LIMIT).expect("the reopen ends").unwrap();
    trial.off();
    // There is one writer: the ticks of two would overtake each other.
    for round in 0..500 {
        store_cold(&store, 7, round);
        store.flush(LIMIT).unwrap();
        assert_eq!(restored(&store, 7), Some(round));
    }
    true
}

#[test]
fn closes_and_reopens_of_many_threads_leave_one_writer() {
    let trial = Trial::new();
    let store = store(&trial, options(0));
    let (written, is_done) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_done.load(Ordering::SeqCst) {
                    store.reopen(typed(&trial)).unwrap();
                    thread::sleep(Duration::from_millis(1));
                    // The other one may have closed it.
                    let _ = store.close(LIMIT);
                }
            });
        }
        let rounds = scope.spawn(|| {
            for round in 0..400 {
                store_cold(&store, 7, round);
                written.fetch_add(u64::from(store.flush(LIMIT).is_ok()), Ordering::SeqCst);
                assert_eq!(restored(&store, 7), Some(round));
            }
        });
        let outcome = rounds.join();
        is_done.store(true, Ordering::SeqCst);
        outcome.unwrap();
    });
    store.reopen(typed(&trial)).unwrap();
    store.flush(LIMIT).unwrap();
    assert!(written.into_inner() > 0 && !store.health().is_stopped);
    assert_eq!(trial.crashed().value(7), Some(399));
}

/// A store whose listener uses it while something is archived.
fn with_listener(trial: &Arc<Trial>, listener: impl Fn(&Store) + Send + Sync + 'static) -> Arc<Store> {
    let place: Arc<OnceLock<Weak<Store>>> = Arc::default();
    let inner = place.clone();
    let memory = memory()
        .listener(move |departure| {
            if departure.cause == Cause::Archived
                && let Some(store) = inner.get().and_then(Weak::upgrade)
            {
                listener(&store);
            }
        })
        .build()
        .unwrap();
    let store = Arc::new(Store::new(memory, typed(trial), options(0)).unwrap());
    place.set(Arc::downgrade(&store)).unwrap();
    store
}

#[test]
fn a_listener_may_ask_for_the_archive_while_another_thread_reopens() {
    let trial = Trial::new();
    let (listens, is_listening) = channel();
    let store = with_listener(&trial, move |store| {
        listens.send(()).unwrap();
        thread::sleep(A_WHILE);
        drop(store.archive());
    });
    store_cold(&store, 1, 1);
    is_listening.recv_timeout(LIMIT).unwrap();
    let (tell, told) = channel();
    let (reopening, handle) = (store.clone(), trial.clone());
    thread::spawn(move || tell.send(reopening.reopen(typed(&handle))));
    told.recv_timeout(LIMIT).expect("they do not wait for each other").unwrap();
}

#[test]
fn a_listener_is_refused_a_reopen_also_while_another_thread_waits_for_the_writer() {
    let trial = Trial::new();
    let ((listens, is_listening), (says, said)) = (channel(), channel());
    let handle = trial.clone();
    let store = with_listener(&trial, move |store| {
        listens.send(()).unwrap();
        thread::sleep(A_WHILE);
        says.send(store.reopen(typed(&handle)).map_err(|error| error.kind())).unwrap();
    });
    store_cold(&store, 1, 1);
    is_listening.recv_timeout(LIMIT).unwrap();
    let (tell, told) = channel();
    let (reopening, handle) = (store.clone(), trial.clone());
    thread::spawn(move || tell.send(reopening.reopen(typed(&handle))));
    assert_eq!(said.recv_timeout(LIMIT).expect("it does not wait for itself"), Err(ErrorKind::Unsupported));
    told.recv_timeout(LIMIT).expect("the reopen ends").unwrap();
}

#[test]
fn a_restore_that_a_reopen_overtakes_reads_the_new_handle() {
    for point in [Point::EncodeKey(1), Point::BeforeGet, Point::AfterGet] {
        let old = Trial::new();
        let store = store(&old, options(0));
        store_cold(&store, 1, 10);
        store.flush(LIMIT).unwrap();
        until("it leaves", || store.get(&1).is_none());
        let new = old.crashed(); // the same archive, opened anew
        let stop = Stop::at(&old, point);
        thread::scope(|scope| {
            let restore = scope.spawn(|| restored(&store, 1));
            stop.wait();
            store.reopen(typed(&new)).unwrap();
            store_cold(&store, 1, 11);
            store.flush(LIMIT).unwrap();
            until("it leaves", || store.get(&1).is_none());
            stop.go();
            assert_eq!(restore.join().unwrap(), Some(11), "{point:?}");
        });
    }
}

#[test]
fn a_restore_that_a_reopen_overtakes_reads_the_new_handle_of_objects() {
    let objects = Arc::new(InMemory::new());
    let open = |hooks: &Arc<Trial>| {
        let archive = ObjectOptions::new().open_store(objects.clone(), "").unwrap();
        Typed::new(archive, Numbers(Some(hooks.clone())), Numbers(None))
    };
    let hooks = Trial::new();
    let store = ArchivedStore::new(memory().build().unwrap(), open(&hooks), options(0)).unwrap();
    let store_cold = |key: u64, value: u64| {
        store.store(key, value).unwrap();
        store.memory().demote_to(&key, tierstack::Tier::Cold);
        store.flush(LIMIT).unwrap();
        until("it leaves", || store.get(&key).is_none());
    };
    store_cold(2, 2);
    for key in [1, 2] {
        // One that was there, and one that was not.
        let stop = Stop::at(&hooks, Point::EncodeKey(key));
        thread::scope(|scope| {
            let restore = scope.spawn(|| store.get_or_restore(&key).unwrap().map(|found| found.fragment.value));
            stop.wait();
            store.reopen(open(&hooks)).unwrap();
            store_cold(key, 10 + key);
            stop.go();
            assert_eq!(restore.join().unwrap(), Some(10 + key));
        });
    }
}

#[test]
fn what_was_read_of_another_archive_is_not_put_back() {
    let old = Trial::new();
    let store = store(&old, options(0));
    store_cold(&store, 1, 10);
    store.flush(LIMIT).unwrap();
    until("it leaves", || store.get(&1).is_none());
    let stop = Stop::at(&old, Point::AfterGet);
    let new = Trial::new();
    thread::scope(|scope| {
        let restore = scope.spawn(|| restored(&store, 1));
        stop.wait();
        store.reopen(typed(&new)).unwrap();
        stop.go();
        // The new one does not have it, and was never told of it.
        assert_eq!(restore.join().unwrap(), None);
    });
}

#[test]
fn what_a_new_writer_says_stands() {
    let trial = Trial::new();
    let store = store(&trial, options(0));
    let failing = Arc::downgrade(&trial);
    trial.on(move |point| {
        if point == Point::BeforeCommit {
            failing.upgrade().unwrap().fail(Some(ErrorKind::Fenced));
        }
    });
    store_cold(&store, 1, 1);
    until("it stops", || store.health().is_stopped);
    for round in 0..2000 {
        trial.fail(None);
        store.reopen(typed(&trial)).unwrap();
        // The new writer stops, too, at once.
        let flushed = store.flush(LIMIT);
        assert!(matches!(flushed, Err(FlushError::Stopped { error: Some(_) })), "{flushed:?}");
        let health = store.health();
        assert!(health.is_stopped && health.error.is_some(), "round {round}: {health:?}");
    }
}

#[test]
fn a_reopen_that_fails_changes_nothing_but_that_the_writer_has_stopped() {
    let (trial, other) = (Trial::new(), Trial::new());
    let store = store(&trial, options(0));
    store_cold(&store, 1, 1);
    store.flush(LIMIT).unwrap();
    until("it leaves", || store.get(&1).is_none());
    other.fail(Some(ErrorKind::Denied));
    assert_eq!(store.reopen(typed(&other)).unwrap_err().kind(), ErrorKind::Denied);
    assert!(store.health().is_stopped && Arc::ptr_eq(store.archive().archive(), &trial));
    assert_eq!(restored(&store, 1), Some(1));
}

#[test]
fn a_drop_waits_for_one_commit_though_each_refuses_a_step() {
    let trial = Trial::new();
    let store = store(&trial, options(0));
    let (calls, corrupting) = (Arc::new(AtomicU64::new(0)), Arc::downgrade(&trial));
    let count = calls.clone();
    trial.on(move |point| {
        if point == Point::BeforeCommit {
            let call = count.fetch_add(1, Ordering::SeqCst);
            corrupting.upgrade().unwrap().corrupt(Some(call));
            thread::sleep(Duration::from_millis(100));
        }
    });
    for key in 0..20 {
        store_cold(&store, key, key);
    }
    until("it commits", || calls.load(Ordering::SeqCst) >= 2);
    let (before, begun) = (calls.load(Ordering::SeqCst), Instant::now());
    drop(store);
    let waited = calls.load(Ordering::SeqCst) - before;
    assert!(waited <= 1, "{waited} more commits in {:?}", begun.elapsed());
}

/// The recipe in the documentation of `reopen`.
#[test]
fn a_redb_file_goes_on_by_the_same_handle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive.redb");
    let archive = Arc::new(RedbArchive::open(&path).unwrap());
    let typed = |archive| Typed::new(archive, Numbers(None), Numbers(None));
    let memory = TierStore::<u64, u64>::new(1000).unwrap();
    let store = ArchivedStore::new(memory, typed(archive), ArchivedOptions::new(Capacity::UNBOUNDED)).unwrap();
    store.store(1, 10).unwrap();
    store.checkpoint(LIMIT).unwrap();
    assert_eq!(RedbArchive::open(&path).unwrap_err().kind(), ErrorKind::InUse);
    store.close(LIMIT).unwrap();
    store.reopen(typed(store.archive().archive().clone())).unwrap();
    store.store(2, 20).unwrap();
    assert_eq!(store.checkpoint(LIMIT).unwrap(), 2);
    assert_eq!(store.archive().archive().status().unwrap().records, 2);
}
