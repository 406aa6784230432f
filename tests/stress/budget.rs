//! Hot never holds more than its budget.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rand::Rng;
use tierstack::{MAX_BYTES, Tier, TierStore};

use crate::STORM;
use crate::common::{RaiseOnDrop, audit, dice, for_about, lockstep, together, together_watched};

const KEYS: u64 = 32;

type Weights = TierStore<u64, u64>;

fn weights(budget: u64) -> Weights {
    Weights::builder(budget).weigher(|_, weight| *weight).build().unwrap()
}

/// One operation that may bring bytes into hot, or take them out.
fn push(store: &Weights, heaviest: u64, dice: &mut impl Rng) {
    let key = dice.random_range(0..KEYS);
    match dice.random_range(0..8) {
        0..3 => drop(store.store(key, dice.random_range(0..=heaviest)).unwrap()),
        3 | 4 => drop(store.promote_to(&key, Tier::Hot)),
        5 => drop(store.demote(&key)),
        6 => drop(store.remove(&key)),
        _ => drop(store.evict_lru(Tier::Hot)),
    }
}

#[test]
fn hot_bytes_never_pass_the_budget() {
    const BUDGET: u64 = 100;
    for_about(STORM, |round| {
        let store = weights(BUDGET);
        let watch = || {
            let bytes = store.hot_bytes();
            assert!(bytes <= BUDGET, "{bytes} of {BUDGET} bytes");
        };
        together_watched(
            4,
            |thread| {
                let mut dice = dice([round, thread as u64, 4]);
                // Light values fill the budget to the brim; a few are too heavy for it.
                for _ in 0..1000 {
                    push(&store, if thread == 0 { BUDGET + 20 } else { BUDGET / 3 }, &mut dice);
                }
            },
            watch,
        );
        audit(&store, 0..KEYS);
        // The peak misses no instant, as a watcher may.
        assert!(store.metrics().peak_hot_bytes <= BUDGET);
    });
}

#[test]
fn changed_budgets_hold_as_soon_as_what_ran_under_the_old_one_has_ended() {
    const LARGE: u64 = 100;
    const SMALL: u64 = 30;
    const PUSHERS: usize = 3;
    let store = weights(LARGE);
    let over = AtomicBool::new(false);
    let steps: [AtomicU64; PUSHERS] = Default::default();

    together_watched(
        PUSHERS + 1,
        |thread| {
            let mut dice = dice([0, thread as u64, 5]);
            let _end = RaiseOnDrop(&over);
            if let Some(done) = steps.get(thread) {
                while !over.load(Ordering::Relaxed) {
                    push(&store, LARGE / 2, &mut dice);
                    done.fetch_add(1, Ordering::Release);
                }
                return;
            }
            for_about(STORM, |_| {
                store.set_hot_budget(SMALL).unwrap();
                let before = steps.each_ref().map(|done| done.load(Ordering::Acquire));
                let still_running = |(done, before)| AtomicU64::load(done, Ordering::Acquire) == before;
                while steps.iter().zip(before).any(still_running) && !over.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                }
                for _ in 0..200 {
                    let bytes = store.hot_bytes();
                    assert!(bytes <= SMALL, "{bytes} of {SMALL} bytes");
                }
                store.set_hot_budget(LARGE).unwrap();
            });
        },
        || assert!(store.hot_bytes() <= LARGE),
    );
    audit(&store, 0..KEYS);
    assert!(store.metrics().peak_hot_bytes <= LARGE);
}

/// A store that reserved its bytes under the old budget and took effect under the new one demotes what is too much before it
/// returns, if the call that lowered the budget came too early for that.
#[test]
fn a_cut_and_a_store_at_once_leave_hot_within_the_budget() {
    for_about(STORM, |_| {
        let store = weights(100);
        let step = |thread, round| {
            if thread == 0 {
                store.set_hot_budget(if round % 2 == 0 { 30 } else { 100 }).unwrap();
            } else {
                // Before each cut nothing is hot: the new fragment is all that there is to demote.
                store.store(round % 4, 70).unwrap();
                store.evict_lru(if round % 2 == 0 { Tier::Warm } else { Tier::Hot });
            }
        };
        lockstep(2, 2000, step, |round| {
            let (bytes, budget) = (store.hot_bytes(), store.hot_budget());
            assert!(bytes <= budget, "{bytes} of {budget} bytes after round {round}");
        });
        audit(&store, 0..KEYS);
    });
}

#[test]
fn budgets_changed_by_several_leave_hot_within_the_last() {
    for_about(STORM, |round| {
        let store = weights(60);
        let last: [AtomicU64; 2] = Default::default();
        together_watched(
            5,
            |thread| {
                let mut dice = dice([round, thread as u64, 6]);
                for _ in 0..300 {
                    let Some(last) = last.get(thread) else {
                        push(&store, 30, &mut dice);
                        continue;
                    };
                    let budget = dice.random_range(0..=100);
                    store.set_hot_budget(budget).unwrap();
                    last.store(budget, Ordering::Relaxed);
                    store.set_hot_budget(MAX_BYTES + 1).unwrap_err();
                    store.enforce_hot_budget();
                }
            },
            || assert!(store.hot_bytes() <= 100),
        );
        let last = last.map(AtomicU64::into_inner);
        assert!(last.contains(&store.hot_budget()), "{} is none of {last:?}", store.hot_budget());
        audit(&store, 0..KEYS);
        assert_eq!(store.enforce_hot_budget().demoted, 0, "hot was within its budget already");
    });
}

/// With room for all, replacements in flight included, nobody has cause to be turned away or to demote another.
#[test]
fn what_always_fits_is_never_contended() {
    const THREADS: usize = 6;
    for_about(STORM, |round| {
        let store = weights(5 * (KEYS + THREADS as u64));
        together(THREADS, |thread| {
            let mut dice = dice([round, thread as u64, 7]);
            for _ in 0..500 {
                let key = dice.random_range(0..KEYS);
                let stored = store.store(key, 5).unwrap();
                assert_eq!((stored.tier, stored.contended), (Tier::Hot, false));
                assert!(store.promote(&key).is_ok());
            }
        });
        assert_eq!(store.metrics().evictions, 0);
        assert!(audit(&store, 0..KEYS).values().all(|fragment| fragment.tier == Tier::Hot));
    });
}

/// Of several who lower the budget and enforce it at once, each counts what it demoted, to the end of its call.
#[test]
fn every_demotion_for_a_budget_is_counted_by_one_of_those_who_set_it() {
    for_about(STORM, |_| {
        let store = weights(100);
        let counted = AtomicU64::new(0);
        let step = |thread, round| {
            let demoted = match (thread, round % 2) {
                (0, 0) => store.set_hot_budget(100).unwrap().demoted,
                (0, _) => store.enforce_hot_budget().demoted,
                _ => store.set_hot_budget(90).unwrap().demoted,
            };
            counted.fetch_add(demoted as u64, Ordering::Relaxed);
        };
        lockstep(2, 2000, step, |round| {
            assert_eq!(counted.load(Ordering::Relaxed), store.metrics().evictions, "in round {round}");
            counted.fetch_add(store.set_hot_budget(200).unwrap().demoted as u64, Ordering::Relaxed);
            store.evict_lru(Tier::Warm);
            store.store(1, 95).unwrap();
            store.set_hot_budget(100).unwrap();
            counted.store(store.metrics().evictions, Ordering::Relaxed);
        });
    });
}
