//! Snapshots show one instant, whatever goes on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rand::Rng;
use tierstack::{Capacity, Item, StoreSnapshot, Tier, TierStore};

use crate::STORM;
use crate::common::{RaiseOnDrop, audit, dice, for_about, together, together_watched};

/// A key, and twice its number.
type Store = TierStore<u64, u64>;

fn bytes<'i>(items: impl IntoIterator<Item = &'i Item<u64, u64>>) -> u64 {
    items.into_iter().map(|item| item.weight).sum()
}

/// The scene: two threads promote among 200 fragments of 100 bytes under a budget of 1,000, and one reads hot. What is read one by one comes to more than
/// the budget now and then; a snapshot never does.
#[test]
fn two_threads_promoting_among_200_fragments_of_100_bytes_under_a_budget_of_1000() {
    const FRAGMENTS: u64 = 200;
    const BUDGET: u64 = 1_000;
    let store = Store::builder(BUDGET).weigher(|_, _| 100).build().unwrap();
    for key in 0..FRAGMENTS {
        store.store(key, 2 * key).unwrap();
    }
    let over = AtomicBool::new(false);
    let mixed = AtomicU64::new(0);
    let read = |reader: &dyn Fn() -> u64| {
        let _end = RaiseOnDrop(&over);
        let (mut readings, mut above) = (0_u64, 0);
        for_about(2 * STORM, |_| {
            for _ in 0..50 {
                readings += 1;
                above += u64::from(reader() > BUDGET);
            }
        });
        (readings, above)
    };
    for one_by_one in [false, true] {
        over.store(false, Ordering::Release);
        let readings = together(3, |thread| {
            if thread == 2 {
                return read(&|| {
                    if one_by_one {
                        bytes(&store.iter(Tier::Hot).collect::<Vec<_>>())
                    } else {
                        let snapshot = store.snapshot_of(Tier::Hot);
                        assert_eq!(bytes(snapshot.tier(Tier::Hot)), snapshot.bytes(Tier::Hot));
                        assert!(snapshot.iter().all(|(_, item)| item.value == 2 * item.key));
                        snapshot.bytes(Tier::Hot)
                    }
                });
            }
            let mut dice = dice([u64::from(one_by_one), thread as u64, 71]);
            while !over.load(Ordering::Acquire) {
                let _ = store.promote(&dice.random_range(0..FRAGMENTS));
            }
            (0, 0)
        });
        let (readings, above) = readings[2];
        println!("{above} of {readings} readings above the budget, one by one: {one_by_one}");
        if one_by_one {
            mixed.fetch_add(above, Ordering::Relaxed);
        } else {
            assert_eq!(above, 0, "of {readings} snapshots");
        }
    }
    assert!(mixed.into_inner() > 0, "the scene is too tame to show anything");
    audit(&store, 0..FRAGMENTS);
}

/// Checks what any snapshot of `keys` fragments, none of which is ever removed, must show.
fn check(snapshot: &StoreSnapshot<u64, u64>, keys: u64, budget: u64) {
    assert_eq!(snapshot.len() as u64, keys, "each is in one tier at any instant");
    let mut seen = HashMap::new();
    for (tier, item) in snapshot {
        assert_eq!(seen.insert(item.key, tier), None, "{} is shown twice", item.key);
        let found = snapshot.get(&item.key).expect("it is shown");
        assert_eq!((*found.value, found.tier), (item.value, tier));
    }
    assert!(snapshot.bytes(Tier::Hot) <= budget, "{} of {budget} bytes", snapshot.bytes(Tier::Hot));
}

#[test]
fn everything_is_somewhere_in_every_snapshot() {
    const KEYS: u64 = 24;
    const BUDGET: u64 = 60;
    for_about(STORM, |round| {
        let store = Store::builder(BUDGET).weigher(|_, _| 10).warm_capacity(Capacity::entries(8)).build().unwrap();
        for key in 0..KEYS {
            store.store(key, 2 * key).unwrap();
        }
        together_watched(
            3,
            |thread| {
                let mut dice = dice([round, thread as u64, 72]);
                for number in 0..600_u64 {
                    let key = dice.random_range(0..KEYS);
                    match dice.random_range(0..9) {
                        0 | 1 => drop(store.store(key, number * 3).unwrap()),
                        2 | 3 => drop(store.promote_to(&key, Tier::Hot)),
                        4 => drop(store.promote(&key)),
                        5 => drop(store.demote(&key)),
                        6 => drop(store.evict_lru(Tier::ALL[dice.random_range(0..2)])),
                        7 => drop(store.get(&key)),
                        _ => check(&store.snapshot(), KEYS, BUDGET),
                    }
                }
            },
            || {
                check(&store.snapshot(), KEYS, BUDGET);
                let view = store.pin();
                let shown: u64 = Tier::ALL.map(|tier| view.snapshot_of(tier).bytes(tier)).iter().sum();
                // Three instants.
                assert!(shown <= KEYS * 3 * 10);
            },
        );
        audit(&store, 0..KEYS);
        check(&store.snapshot(), KEYS, BUDGET);
    });
}

/// One writer goes from key to key, and stores the same number in each: a snapshot shows at most two numbers, the later one in the first keys.
#[test]
fn a_snapshot_shows_a_prefix_of_what_one_thread_has_done() {
    const KEYS: u64 = 12;
    let store = Store::builder(60).weigher(|_, _| 10).build().unwrap();
    for key in 0..KEYS {
        store.store(key, 0).unwrap();
    }
    let latest = AtomicU64::new(0);
    together_watched(
        2,
        |thread| {
            if thread == 1 {
                // Moves them about meanwhile.
                let mut dice = dice([0, 0, 73]);
                return for_about(STORM, |_| {
                    let _ = store.promote(&dice.random_range(0..KEYS));
                    store.demote(&dice.random_range(0..KEYS));
                    store.get(&dice.random_range(0..KEYS));
                });
            }
            let mut number = 0;
            for_about(STORM, |_| {
                number += 1;
                for key in 0..KEYS {
                    store.store(key, number).unwrap();
                }
                latest.store(number, Ordering::Release);
            });
        },
        || {
            let least = latest.load(Ordering::Acquire);
            let snapshot = store.snapshot();
            let numbers: Vec<u64> = (0..KEYS).map(|key| *snapshot.get(&key).expect("never removed").value).collect();
            assert!(numbers.is_sorted_by(|one, next| one == next || *one == next + 1), "{numbers:?}");
            assert!(numbers[0] - numbers[KEYS as usize - 1] <= 1, "{numbers:?}");
            assert!(numbers[KEYS as usize - 1] >= least, "{numbers:?}, though {least} was stored everywhere before");
        },
    );
}

/// Keys come and go, so that nodes are retired and their memory is used again, while many snapshots are taken.
#[test]
fn snapshots_beside_fragments_that_come_and_go() {
    const KEYS: u64 = 64;
    let store = TierStore::<u64, String>::builder(400).weigher(|_, text: &String| text.len() as u64).build().unwrap();
    let text = |key: u64, number: u64| format!("{key}:{number}");
    together_watched(
        3,
        |thread| {
            let mut dice = dice([9, thread as u64, 74]);
            for_about(STORM, |round| {
                let key = dice.random_range(0..KEYS);
                match dice.random_range(0..6) {
                    0..3 => drop(store.store(key, text(key, round)).unwrap()),
                    3 => drop(store.remove(&key)),
                    4 => drop(store.promote(&key)),
                    _ => drop(store.evict_lru(Tier::ALL[dice.random_range(0..3)])),
                }
            });
        },
        || {
            let snapshot = store.snapshot();
            for (_, item) in &snapshot {
                assert!(item.value.starts_with(&format!("{}:", item.key)), "{item:?}");
                assert_eq!(snapshot.get(&item.key).map(|found| found.version), Some(item.version));
            }
            assert!(snapshot.bytes(Tier::Hot) <= 400);
        },
    );
    audit(&store, 0..KEYS);
}
