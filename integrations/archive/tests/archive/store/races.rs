//! Threads that store, remove, restore and push out the same few keys, against what each key's own thread knows of it.
//!
//! One thread changes a key: it stores and removes with numbers that grow. All threads read all keys. Before each read, what the key's thread has last finished is
//! noted, and after it, what that thread had begun by then. What is read must lie between: not older than what was finished, and nothing only where a removal lies
//! between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tierstack::{Capacity, Tier};

use super::trial::{LIMIT, Point, Store, Trial, memory, options, restored, store, typed};
use crate::common::Chance;

/// What a key's thread has told. A number counts its stores and removals.
#[derive(Default)]
struct Told {
    /// The last one that was finished, twice, and 1 more if it was a store.
    finished: AtomicU64,
    begun: AtomicU64,
    removal_begun: AtomicU64,
}

impl Told {
    fn change(&self, store: &Store, key: u64, number: u64, is_store: bool) {
        self.begun.store(number, Ordering::SeqCst);
        if is_store {
            store.store(key, number).unwrap();
        } else {
            self.removal_begun.store(number, Ordering::SeqCst);
            store.remove(&key);
        }
        self.finished.store(number * 2 + u64::from(is_store), Ordering::SeqCst);
    }

    /// Reads the key, from memory only or from the archive, too.
    fn read(&self, store: &Store, key: u64) -> bool {
        let finished = self.finished.load(Ordering::SeqCst);
        let (number, is_stored) = (finished / 2, finished % 2 == 1);
        let restored = store.get_or_restore(&key).unwrap();
        let is_removed = self.removal_begun.load(Ordering::SeqCst) > number;
        match &restored {
            Some(found) => {
                let value = found.fragment.value;
                let is_old = if is_stored { value < number } else { value <= number };
                let begun = self.begun.load(Ordering::SeqCst);
                assert!(
                    !is_old && value <= begun,
                    "key {key}: {value} after {number} (stored: {is_stored}) of {begun}"
                );
            }
            None => assert!(!is_stored || is_removed, "key {key}: nothing after {number} was stored"),
        }
        restored.is_some_and(|found| found.source == tierstack_archive::Source::Archive)
    }
}

/// Now and then a call of the archive's takes long enough for others to overtake it.
fn dawdle(trial: &Trial, seed: u64) {
    let chance = std::sync::Mutex::new(Chance(seed));
    trial.on(move |point| {
        let number = chance.lock().unwrap().below(40);
        match (point, number) {
            (Point::EncodeKey(_), 0..30) => {}
            (_, 0..2) => std::thread::sleep(Duration::from_micros(200)),
            (_, 2..20) => std::thread::yield_now(),
            _ => {}
        }
    });
}

fn race(seed: u64, time: Duration, one_of: u64, keys: u64, owners: u64, readers: u64) -> (u64, u64) {
    let trial = Trial::new();
    dawdle(&trial, seed);
    let store = store(&trial, options(seed % 3).batch_entries(1 + seed % 5).poll(Duration::from_millis(1)));
    let told: Arc<Vec<Told>> = Arc::new((0..keys).map(|_| Told::default()).collect());
    let (done, from_archive, changed) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for owner in 0..owners {
            let (store, told, done, changed) = (&store, &told, &done, &changed);
            scope.spawn(move || {
                let mut chance = Chance(seed * 100 + owner);
                for number in 1.. {
                    if done.load(Ordering::SeqCst) {
                        break;
                    }
                    let key = chance.below(keys / owners) * owners + owner;
                    told[usize::try_from(key).unwrap()].change(store, key, number, chance.below(one_of) > 0);
                    if chance.below(2) == 0 {
                        store.memory().demote_to(&key, Tier::Cold);
                    }
                    // Mostly a key is left alone for so long that it leaves.
                    std::thread::sleep(Duration::from_micros(chance.below(4) * chance.below(200)));
                    changed.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for reader in 0..readers {
            let (store, told, done, from_archive) = (&store, &told, &done, &from_archive);
            scope.spawn(move || {
                let mut chance = Chance(seed * 100 + 50 + reader);
                while !done.load(Ordering::SeqCst) {
                    let key = chance.below(keys);
                    let is_archived = told[usize::try_from(key).unwrap()].read(store, key);
                    from_archive.fetch_add(u64::from(is_archived), Ordering::SeqCst);
                    store.memory().demote_to(&key, Tier::Cold);
                    std::thread::sleep(Duration::from_micros(chance.below(4) * chance.below(200)));
                }
            });
        }
        std::thread::sleep(time);
        done.store(true, Ordering::SeqCst);
    });
    trial.off();
    store.checkpoint(LIMIT).unwrap();
    // At rest: memory, the archive and a restart after a crash all say the same.
    let again = Store::new(memory().build().unwrap(), typed(&trial.crashed()), options(10)).unwrap();
    for (key, told) in (0..).zip(told.iter()) {
        let finished = told.finished.load(Ordering::SeqCst);
        let expected = (finished % 2 == 1).then_some(finished / 2);
        assert_eq!((restored(&store, key), restored(&again, key)), (expected, expected), "key {key}");
    }
    assert_eq!(store.health().panics, 0);
    (changed.into_inner(), from_archive.into_inner())
}

#[test]
fn what_was_removed_stays_so_and_nothing_comes_back_in_an_older_state() {
    let (mut changes, mut restores) = (0, 0);
    for seed in 0..12 {
        let (changes_of_it, came) = race(seed, Duration::from_millis(400), 2 + seed % 3, 6 + 8 * (seed % 3), 2, 3);
        (changes, restores) = (changes + changes_of_it, restores + came);
    }
    println!("{changes} changes, {restores} restores from the archive");
    assert!(changes > 1000 && restores > 1000);
}

/// Every key that was stored is found at every instant, whether it is in memory, on its way, or in the archive.
#[test]
fn there_is_no_window() {
    for seed in 0..3 {
        let trial = Trial::new();
        dawdle(&trial, seed);
        let memory = memory().warm_capacity(Capacity::entries(5)).build().unwrap();
        let store = Store::new(memory, typed(&trial), options(20).batch_entries(7)).unwrap();
        let (stored, done) = (AtomicU64::new(0), AtomicBool::new(false));
        let found = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for reader in 0..2 {
                let (store, stored, done, found) = (&store, &stored, &done, &found);
                scope.spawn(move || {
                    let mut chance = Chance(seed * 10 + reader);
                    while !done.load(Ordering::SeqCst) {
                        let stored = stored.load(Ordering::SeqCst);
                        // Mostly what is about to leave.
                        let among = if chance.below(2) == 0 { 60 } else { stored + 1 };
                        let back = chance.below(among);
                        let Some(key) = stored.checked_sub(back + 1) else { continue };
                        assert_eq!(restored(store, key), Some(key), "of {stored}");
                        found.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(800) {
                let key = stored.load(Ordering::SeqCst);
                store.store(key, key).unwrap();
                stored.fetch_add(1, Ordering::SeqCst);
                if key % 16 == 0 {
                    std::thread::sleep(Duration::from_micros(100));
                }
            }
            done.store(true, Ordering::SeqCst);
        });
        trial.off();
        let stored = stored.into_inner();
        assert!((0..stored).all(|key| restored(&store, key) == Some(key)));
        println!("{stored} stored, {} reads, {:?}", found.into_inner(), store.health().archived);
        assert!(store.health().archived > 100);
    }
}
