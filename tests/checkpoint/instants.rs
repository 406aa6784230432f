//! A checkpoint that is taken while others go on is one instant.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::Rng;
use tierstack::{Capacity, Item, StoreSnapshot, Tier, TierStore};

use crate::common::{RaiseOnDrop, audit, dice, for_about, together};
use crate::format::Format;

const THREADS: u16 = 8;
/// Of each thread.
const PAIRS: u16 = 4;
const WEIGHT: u64 = 10;
const BUDGET: u64 = 100;

type Store = TierStore<(u16, u16), u64>;
type Shown = StoreSnapshot<(u16, u16), u64>;

/// Each thread counts up in pairs of keys, always the first before the second, and goes from pair to pair; and moves them about in between. So at any instant
/// what the keys of a thread hold is a staircase with one step.
fn check(snapshot: &Shown) {
    assert_eq!(snapshot.len(), usize::from(THREADS * PAIRS * 2), "each is in one tier at any instant");
    assert!(snapshot.bytes(Tier::Hot) <= BUDGET);
    for thread in 0..THREADS {
        let counts = (0..PAIRS * 2).map(|key| *snapshot.get(&(thread, key)).expect("it is never gone").value);
        let counts: Vec<_> = counts.collect();
        let is_a_step = counts.is_sorted_by(|one, next| one >= next) && counts[0] - counts[counts.len() - 1] <= 1;
        assert!(is_a_step, "no instant: {counts:?}");
    }
}

#[test]
fn a_checkpoint_while_eight_threads_go_on_is_one_instant() {
    let builder = || Store::builder(BUDGET).weigher(|_, _| WEIGHT).warm_capacity(Capacity::entries(24));
    let store = builder().build().unwrap();
    for thread in 0..THREADS {
        for key in (0..PAIRS * 2).rev() {
            store.store((thread, key), 0).unwrap();
        }
    }
    let over = AtomicBool::new(false);
    let store = &store;
    let taken = together(usize::from(THREADS) + 1, |thread| {
        let Ok(thread) = u16::try_from(thread) else { unreachable!() };
        if thread == THREADS {
            let _end = RaiseOnDrop(&over);
            let (mut taken, mut last) = (0, 0);
            for_about(Duration::from_secs(2), |round| {
                let formats = [Format::Postcard, Format::Json];
                let format = formats[usize::try_from(round).unwrap() % 2];
                // Owned, and written when all has gone on; or lent, and written meanwhile.
                let bytes = if round % 3 == 0 {
                    format.write(&store.snapshot())
                } else {
                    format.write(&store.pin().snapshot())
                };
                let read: Shown = format.read(&bytes.unwrap()).unwrap();
                check(&read);
                let now = read.iter().map(|(_, item)| item.value).sum::<u64>();
                assert!(now >= last, "{now} after {last}");
                (taken, last) = (taken + 1, now);
                if round % 16 == 0 {
                    let restored = builder().restore(read.clone()).unwrap();
                    let keys = (0..THREADS).flat_map(|thread| (0..PAIRS * 2).map(move |key| (thread, key)));
                    audit(&restored, keys);
                    check(&restored.snapshot());
                    let shown = |(tier, item): (Tier, &Item<(u16, u16), u64>)| (tier, item.key, item.value);
                    let hot = |snapshot: &Shown| {
                        snapshot.iter().map(shown).filter(|at| at.0 == Tier::Hot).collect::<Vec<_>>()
                    };
                    assert_eq!(hot(&restored.snapshot()), hot(&read));
                }
            });
            return taken;
        }
        let mut dice = dice([u64::from(thread), 5, 13]);
        for count in 1.. {
            for key in 0..PAIRS * 2 {
                store.store((thread, key), count).unwrap();
                let other = (dice.random_range(0..THREADS), dice.random_range(0..PAIRS * 2));
                match dice.random_range(0..8) {
                    0 => drop(store.promote_to(&other, Tier::Hot)),
                    1 => drop(store.demote(&other)),
                    2 => drop(store.evict_lru(Tier::ALL[dice.random_range(0..2)])),
                    3 => drop(store.get(&other)),
                    4 if dice.random_ratio(1, 8) => drop(store.keep(&other)),
                    5 => drop(store.let_go(&other)),
                    _ => {}
                }
            }
            if over.load(Ordering::Acquire) {
                return 0;
            }
        }
        0
    });
    assert!(taken.iter().sum::<u64>() >= 10, "too few to show anything: {taken:?}");
}

/// What is written goes on to be what it was, whatever becomes of the store.
#[test]
fn a_checkpoint_outlives_its_store() {
    let store: TierStore<u32, Arc<str>> = TierStore::new(1 << 10).unwrap();
    store.store(1, "one".into()).unwrap();
    let snapshot = store.snapshot();
    let before = serde_json::to_string(&snapshot).unwrap();
    store.remove(&1);
    drop(store);
    assert_eq!(serde_json::to_string(&snapshot).unwrap(), before);
}
