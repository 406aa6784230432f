//! Each exit is told once, whatever races for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::Rng;
use tierstack::{Builder, Capacity, Cause, Departure, Tier, TierStore};

use crate::common::{audit, dice, for_about, lockstep, together};

/// Values are numbers that are stored once.
type Store = TierStore<u8, u64>;

/// What was told of each number: how often, and the last cause.
#[derive(Default)]
struct Book(Mutex<HashMap<u64, (u32, Cause)>>);

impl Book {
    fn tell(&self, number: u64, cause: Cause) {
        let mut told = self.0.lock().unwrap();
        let entry = told.entry(number).or_insert((0, cause));
        *entry = (entry.0 + 1, cause);
    }
}

fn store(budget: u64, capacity: Capacity, weight: u64) -> (Store, Arc<Book>) {
    let (builder, book) = builder(budget, capacity, weight);
    (builder.build().unwrap(), book)
}

fn builder(budget: u64, capacity: Capacity, weight: u64) -> (Builder<u8, u64>, Arc<Book>) {
    let book = Arc::<Book>::default();
    let tell = Arc::clone(&book);
    let listener = move |gone: &Departure<'_, u8, u64>| tell.tell(*gone.value, gone.cause);
    let builder =
        Store::builder(budget * weight).weigher(move |_, _| weight).warm_capacity(capacity).cold_capacity(capacity);
    (builder.listener(listener), book)
}

/// A replacement, a removal, an update and another removal of one key, let loose at once. The caller of each says what it has ended.
#[test]
fn replacements_and_removals_of_one_key_at_once() {
    let (store, book) = store(4, Capacity::UNBOUNDED, 1);
    let ended = Mutex::new(Vec::new());
    let end = |number: Option<u64>, cause| ended.lock().unwrap().extend(number.map(|number| (number, cause)));
    let step = |thread: usize, round: u64| {
        let number = 1 + round * 10 + thread as u64;
        match (thread as u64 + round) % 4 {
            0 => end(store.store(1, number).unwrap().replaced, Cause::Replaced),
            1 if round.is_multiple_of(3) => end(store.pin().remove(&1).map(|removed| *removed.value), Cause::Removed),
            1 | 2 => end(store.remove(&1).map(|removed| removed.value), Cause::Removed),
            _ => end(store.update(1, |_| number).ok().and_then(|updated| updated.replaced), Cause::Replaced),
        }
    };
    let rounds = if cfg!(debug_assertions) { 3_000 } else { 20_000 };
    lockstep(3, rounds, step, |_| {
        let told = std::mem::take(&mut *book.0.lock().unwrap());
        let mut ended = std::mem::take(&mut *ended.lock().unwrap());
        assert_eq!(told.len(), ended.len(), "{told:?} were told, {ended:?} ended");
        ended.sort_unstable_by_key(|(number, _)| *number);
        for (number, cause) in ended {
            assert_eq!(told.get(&number), Some(&(1, cause)), "{number}");
        }
    });
}

/// Random operations of several threads on few keys, in tiers with little room: every number that was stored stands in the end, or was told once.
#[test]
fn everything_that_was_stored_stands_or_was_told_once() {
    const KEYS: u8 = 10;
    const THREADS: usize = 4;
    // Light and heavy, so that values are moved out or not; with and without an age.
    for (weight, is_aged) in [(1, false), (tierstack::HEAVY, false), (1, true), (tierstack::HEAVY, true)] {
        for_about(Duration::from_secs(1), |round| {
            let (start, seconds) = (Instant::now(), Arc::new(AtomicU64::new(0)));
            let clock = Arc::clone(&seconds);
            let (builder, book) = builder(3, Capacity::entries(3), weight);
            let builder = if is_aged {
                let builder = builder.expire_after(Tier::Hot, Duration::from_secs(4));
                builder.expire_after(Tier::Warm, Duration::from_secs(8))
            } else {
                builder
            };
            let at = move |seconds: u64| start + Duration::from_secs(seconds);
            let store = builder.clock(move || at(clock.load(Ordering::Relaxed))).build().unwrap();
            let numbers = AtomicU64::new(1);
            let given = together(THREADS, |thread| {
                let mut dice = dice([round, thread as u64, weight]);
                let mut given = Vec::new();
                let mut ended = |number: Option<u64>, cause| given.extend(number.map(|number| (number, cause)));
                let mut view = None;
                for _ in 0..400 {
                    let (key, number) = (dice.random_range(0..KEYS), numbers.fetch_add(1, Ordering::Relaxed));
                    match dice.random_range(0..if is_aged { 17 } else { 13 }) {
                        0..3 => ended(store.store(key, number).unwrap().replaced, Cause::Replaced),
                        3 => drop(store.store_if_absent(key, number)),
                        4 => ended(store.update(key, |_| number).ok().and_then(|done| done.replaced), Cause::Replaced),
                        5 => ended(store.remove(&key).map(|gone| gone.value), Cause::Removed),
                        6 => ended(store.evict_lru(Tier::Cold).map(|gone| gone.value), Cause::Removed),
                        7 => drop(store.demote_to(&key, Tier::Cold)),
                        8 => drop(store.promote_to(&key, Tier::Hot)),
                        9 => {
                            let view = view.get_or_insert_with(|| store.pin());
                            ended(view.store(key, number).unwrap().replaced.copied(), Cause::Replaced);
                        }
                        10 => {
                            let view = view.get_or_insert_with(|| store.pin());
                            ended(view.remove(&key).map(|gone| *gone.value), Cause::Removed);
                        }
                        11 => drop(store.keep(&key).and_then(|_| store.let_go(&key))),
                        12 => view = None,
                        13 => {
                            let deadline = at(dice.random_range(0..300));
                            ended(store.store_until(key, number, deadline).unwrap().replaced, Cause::Replaced);
                        }
                        14 => _ = store.purge_expired(),
                        15 => _ = store.get(&key),
                        _ => _ = seconds.fetch_add(1, Ordering::Relaxed),
                    }
                }
                drop(view);
                given
            });
            store.purge_expired();
            let standing: HashMap<u64, u8> =
                audit(&store, 0..KEYS).into_iter().map(|(key, fragment)| (fragment.value, key)).collect();
            let told = book.0.lock().unwrap();
            let given: HashMap<u64, Cause> = given.into_iter().flatten().collect();
            for (number, (times, cause)) in told.iter() {
                assert_eq!(*times, 1, "{number} was told {times} times");
                assert!(!standing.contains_key(number), "{number} stands, and was told to have left: {cause:?}");
                match given.get(number) {
                    Some(given) => assert_eq!(cause, given, "{number}"),
                    None => assert!(
                        *cause == Cause::Overflowed || is_aged && *cause == Cause::Expired,
                        "{number}: {cause:?}"
                    ),
                }
            }
            for number in given.keys() {
                assert!(told.contains_key(number), "{number} has left, and nobody was told");
            }
            let metrics = store.metrics();
            assert_eq!(metrics.stores, told.len() as u64 + standing.len() as u64);
            let of = |cause| told.values().filter(|told| told.1 == cause).count() as u64;
            assert_eq!((metrics.overflowed, metrics.replacements), (of(Cause::Overflowed), of(Cause::Replaced)));
            assert_eq!(metrics.expired, of(Cause::Expired));
        });
    }
}
