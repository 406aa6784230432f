//! Capacities hold at rest, push out no more than they must, and hand everything over.

use std::sync::{Arc, Mutex};

use rand::Rng;
use tierstack::{Capacity, Departure, Tier, TierStore};

use crate::STORM;
use crate::common::{audit, dice, for_about, lockstep, together};

/// A store of weights that records the keys which its listener was handed.
fn recorded(budget: u64, warm: Capacity, cold: Capacity) -> (TierStore<u64, u64>, Arc<Mutex<Vec<u64>>>) {
    let handed = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&handed);
    let store = TierStore::<u64, u64>::builder(budget)
        .weigher(|_, weight| *weight)
        .warm_capacity(warm)
        .cold_capacity(cold)
        .listener_causes([tierstack::Cause::Overflowed])
        .listener(move |gone: &Departure<'_, _, u64>| record.lock().unwrap().push(*gone.key))
        .build()
        .unwrap();
    (store, handed)
}

/// Every key is stored once, and nothing leaves but by overflow: then a tier that overflowed is full.
#[test]
fn an_overflowing_tier_stays_full() {
    const EACH: u64 = 60;
    const THREADS: u64 = 6;
    for_about(STORM, |round| {
        let (warm, cold) = (7, 13);
        let (store, handed) = recorded(5, Capacity::entries(warm), Capacity::entries(cold));
        together(THREADS as usize, |thread| {
            let mut dice = dice([round, thread as u64, 8]);
            for number in 0..EACH {
                let key = thread as u64 * EACH + number;
                if number % 2 == 0 {
                    store.store(key, 1).unwrap();
                } else {
                    store.pin().store(key, 1).unwrap();
                }
                let _ = store.get(&dice.random_range(0..=key));
            }
        });
        let mut out = std::mem::take(&mut *handed.lock().unwrap());
        let found = audit(&store, 0..THREADS * EACH);
        assert_eq!(store.len(Tier::Warm), warm);
        assert_eq!(store.len(Tier::Cold), cold);
        assert_eq!(store.metrics().overflowed, out.len() as u64);
        out.extend(found.keys());
        out.sort_unstable();
        assert_eq!(out, (0..THREADS * EACH).collect::<Vec<_>>(), "handed over once each, or still there");
    });
}

/// The same in bytes: less room is left free than the heaviest fragment would have taken.
#[test]
fn an_overflowing_tier_stays_full_to_within_one_fragment() {
    const EACH: u64 = 60;
    const THREADS: u64 = 6;
    const HEAVIEST: u64 = 9;
    for_about(STORM, |round| {
        let (warm, cold) = (40, 70);
        let (store, handed) = recorded(20, Capacity::bytes(warm), Capacity::bytes(cold));
        together(THREADS as usize, |thread| {
            let mut dice = dice([round, thread as u64, 9]);
            for number in 0..EACH {
                store.store(thread as u64 * EACH + number, dice.random_range(1..=HEAVIEST)).unwrap();
            }
        });
        let found = audit(&store, 0..THREADS * EACH);
        assert!(!handed.lock().unwrap().is_empty());
        for (tier, capacity) in [(Tier::Warm, warm), (Tier::Cold, cold)] {
            let bytes = store.bytes(tier);
            assert!(bytes <= capacity && bytes + HEAVIEST > capacity, "{bytes} of {capacity} bytes in {tier}");
        }
        assert_eq!((found.len() + handed.lock().unwrap().len()) as u64, THREADS * EACH);
    });
}

/// Warm and cold are full, and two come at once: two leave, not one and not three.
#[test]
fn as_many_leave_as_come() {
    for_about(STORM, |_| {
        let (warm, cold) = (2, 3);
        let (store, handed) = recorded(0, Capacity::entries(warm), Capacity::entries(cold));
        for key in 0..warm + cold {
            store.store(u64::MAX - key, 1).unwrap();
        }
        let come = |thread: usize, round| {
            store.store(2 * round + thread as u64, 1).unwrap();
        };
        lockstep(2, 2000, come, |round| {
            assert_eq!((store.len(Tier::Warm), store.len(Tier::Cold)), (warm, cold), "in round {round}");
            assert_eq!(handed.lock().unwrap().len() as u64, 2 * (round + 1));
        });
        let mut handed = std::mem::take(&mut *handed.lock().unwrap());
        handed.sort_unstable();
        handed.dedup();
        assert_eq!(handed.len() as u64, store.metrics().overflowed, "each once");
    });
}

/// What comes and goes never leaves a tier over its capacity, nor pushes anything out of one that has room.
#[test]
fn capacities_hold_whatever_comes_and_goes() {
    const KEYS: u64 = 40;
    for_about(STORM, |round| {
        let (warm, cold) = (Capacity::entries(6).and_bytes(24), Capacity::entries(5).and_bytes(20));
        let (store, handed) = recorded(16, warm, cold);
        together(5, |thread| {
            let mut dice = dice([round, thread as u64, 10]);
            for _ in 0..600 {
                let key = dice.random_range(0..KEYS);
                match dice.random_range(0..8) {
                    0..3 => drop(store.store(key, dice.random_range(0..=18)).unwrap()),
                    3 => drop(store.promote(&key)),
                    4 => drop(store.demote_to(&key, Tier::Cold)),
                    5 => drop(store.remove(&key)),
                    6 => drop(store.set_hot_budget(dice.random_range(0..=20)).unwrap()),
                    _ => drop(store.evict_lru(Tier::Warm)),
                }
            }
        });
        audit(&store, 0..KEYS);
        for (tier, capacity) in [(Tier::Warm, warm), (Tier::Cold, cold)] {
            assert!(store.len(tier) <= capacity.entries.unwrap(), "{} fragments in {tier}", store.len(tier));
            assert!(store.bytes(tier) <= capacity.bytes.unwrap(), "{} bytes in {tier}", store.bytes(tier));
        }
        assert_eq!(store.metrics().overflowed, handed.lock().unwrap().len() as u64);
    });
}

/// Cold has room for every key there is, so nothing is ever pushed out of it, whichever way the keys go round.
#[test]
fn nothing_overflows_while_there_is_room_below() {
    const KEYS: u64 = 12;
    for_about(STORM, |round| {
        let (store, handed) = recorded(3, Capacity::entries(3), Capacity::entries(KEYS).and_bytes(KEYS));
        for key in 0..KEYS {
            store.store(key, 1).unwrap();
        }
        together(5, |thread| {
            let mut dice = dice([round, thread as u64, 11]);
            for _ in 0..500 {
                let key = dice.random_range(0..KEYS);
                match dice.random_range(0..8) {
                    0 | 1 => drop(store.store(key, 1).unwrap()),
                    2 => drop(store.promote(&key)),
                    3 => drop(store.evict_lru(Tier::Warm)),
                    _ => drop(store.demote_to(&key, Tier::Cold)),
                }
            }
        });
        assert_eq!(*handed.lock().unwrap(), [], "cold never held more than its capacity");
        assert_eq!(audit(&store, 0..KEYS).len() as u64, KEYS);
    });
}
