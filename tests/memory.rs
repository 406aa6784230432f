//! What a fragment costs in memory, and that a dropped store gives all of it back: by an allocator that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tierstack::{Tier, TierStore};

/// Counts the bytes that were asked for, and not given back.
struct Counting;

static LIVE: AtomicI64 = AtomicI64::new(0);

fn size(layout: Layout) -> i64 {
    i64::try_from(layout.size()).expect("a layout is no larger")
}

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(size(layout), Ordering::Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(size(layout), Ordering::Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(size(layout), Ordering::Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.dealloc(memory, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn live() -> i64 {
    LIVE.load(Ordering::Relaxed)
}

/// Only one test counts at a time.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn store(expected: u64) -> TierStore<u64, u64> {
    let expected = usize::try_from(expected).unwrap();
    TierStore::builder(0).weigher(|_, _| 1).expected_fragments(expected).build().unwrap()
}

/// Bytes a fragment, with key and value of 8 bytes each, where so many uses of others come between two stores.
fn overhead(fragments: u64, uses: u64) -> i64 {
    let others = [u64::MAX, u64::MAX - 1];
    let before = live();
    let store = store(fragments);
    for other in others {
        store.store(other, 0).unwrap();
    }
    for key in 0..fragments {
        store.store(key, key).unwrap();
        for used in (0..uses).map(|i| others[usize::try_from(i % 2).unwrap()]) {
            assert!(store.get(&used).is_some());
        }
    }
    store.flush();
    (live() - before) / i64::try_from(fragments).unwrap()
}

#[test]
fn a_fragment_costs_little_however_many_uses_come_between_the_stores() {
    let _turn = alone();
    // (uses, fragments, bytes at most)
    let rows = [
        (0, 20_000, 110),
        (1, 20_000, 120),
        (4, 20_000, 150),
        (8, 20_000, 170),
        (16, 20_000, 140),
        (40, 10_000, 140),
        (100, 5_000, 170),
        (200, 4_000, 150),
        (1_000, 1_000, 170),
    ];
    let costs = rows.map(|(uses, fragments, most)| (uses, overhead(fragments, uses), most));
    println!("(uses between stores, bytes a fragment, at most): {costs:?}");
    for (uses, bytes, most) in costs {
        assert!(bytes <= most, "{bytes} bytes a fragment with {uses} uses between two stores");
    }
}

/// Fills, moves, evicts and removes until blocks and pages of all kinds have come and gone, and drops the store.
fn a_life() {
    let store = TierStore::<u64, u64>::builder(4_000).weigher(|_, _| 1).build().unwrap();
    for key in 0..20_000 {
        store.store(key % 9_000, key).unwrap();
        if key % 3 == 0 {
            let _ = store.promote(&(key * 7 % 9_000));
            store.demote(&(key * 11 % 9_000));
        }
        if key % 5 == 0 {
            store.evict_lru(Tier::ALL[usize::try_from(key % 3).unwrap()]);
            store.remove(&(key * 13 % 9_000));
        }
        for used in 0..key % 4 {
            store.get(&(key * used % 9_000));
        }
    }
    drop(store);
    for _ in 0..64 {
        crossbeam_epoch::pin().flush();
    }
}

/// Many threads take snapshots of their own, and through views, of all tiers and of one, beside others that change everything; then the store is dropped.
fn a_life_with_snapshots() {
    let store = TierStore::<u64, Vec<u8>>::builder(4_000).weigher(|_, bytes| bytes.len() as u64).build().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let store = &store;
            scope.spawn(move || {
                for round in 0..400 {
                    let key = (thread * 7_919 + round * 31) % 300;
                    match (thread + round) % 8 {
                        0 => drop(store.snapshot()),
                        1 => drop(store.snapshot_of(Tier::ALL[usize::try_from(round % 3).unwrap()])),
                        2 => {
                            let view = store.pin();
                            let (one, other) = (view.snapshot(), view.snapshot_of(Tier::Hot));
                            view.remove(&key);
                            assert!(one.iter().chain(&other).all(|(_, item)| item.value.len() == 100));
                        }
                        3 => drop(store.promote(&key)),
                        4 => drop(store.demote(&key)),
                        _ => drop(store.store(key, vec![0; 100]).unwrap()),
                    }
                }
            });
        }
    });
    drop(store);
}

/// What is asked for when the collector has nothing more to free: also of what came before.
fn at_rest() -> i64 {
    let (mut last, mut same) = (live(), 0);
    // Not for ever, where another test's threads go on.
    for _ in 0..10_000 {
        if same == 64 {
            break;
        }
        crossbeam_epoch::pin().flush();
        let now = live();
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    last
}

#[test]
fn snapshots_and_views_over_many_threads_free_all_that_they_held() {
    let _turn = alone();
    // What a thread keeps for itself comes with the first.
    for _ in 0..3 {
        a_life_with_snapshots();
    }
    let before = at_rest();
    for _ in 0..5 {
        a_life_with_snapshots();
    }
    let left = at_rest() - before;
    // What the collector keeps for eight threads, each time others, is some 100 KiB more or less. Each life has taken more than a thousand snapshots: their
    // collectors alone would be 300 KiB a life, and what they show some MiB.
    assert!(left.abs() < 256 << 10, "{left} bytes are left of five stores");
}

#[test]
fn a_dropped_store_leaves_nothing() {
    let _turn = alone();
    // What a thread keeps for itself comes with the first.
    for _ in 0..3 {
        a_life();
    }
    let before = live();
    for _ in 0..5 {
        a_life();
    }
    let left = live() - before;
    // What the collector has in hand is a few KiB more or less. Each life has made thousands of blocks.
    assert!(left.abs() < 64 << 10, "{left} bytes are left of five stores");
}
