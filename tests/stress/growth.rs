//! The index grows under those who use it.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rand::Rng;
use tierstack::{DefaultHasher, Tier, TierStore};

use crate::STORM;
use crate::common::{FewHashes, RaiseOnDrop, audit, dice, for_about, together};

const WRITERS: usize = 3;

/// Writers store keys of their own in order, and remove every third a while later; readers look for what must be there
/// and for what must not.
fn grow<S: BuildHasher + Clone + Sync>(hasher: &S, each: u64) {
    const LAG: u64 = 16;
    let key = |writer: u64, number: u64| writer << 32 | number;

    for_about(STORM, |round| {
        let store = TierStore::<u64, u64>::builder(each)
            .weigher(|_, _| 1)
            .expected_fragments(round as usize % 4)
            .hasher(hasher.clone())
            .build()
            .unwrap();
        // Of each writer: the keys below are stored, and of those more than LAG below every third is removed.
        let stored: [AtomicU64; WRITERS] = Default::default();
        let removing: [AtomicU64; WRITERS] = Default::default();
        let removed: [AtomicU64; WRITERS] = Default::default();
        let over = AtomicBool::new(false);

        together(WRITERS + 2, |thread| {
            let mut dice = dice([round, thread as u64, 12]);
            if thread < WRITERS {
                let _end = RaiseOnDrop(&over);
                let writer = thread as u64;
                for number in 0..each {
                    assert_eq!(store.store(key(writer, number), number).unwrap().replaced, None);
                    stored[thread].store(number + 1, Ordering::SeqCst);
                    if let Some(old) = number.checked_sub(LAG).filter(|old| old % 3 == 0) {
                        removing[thread].store(old + 1, Ordering::SeqCst);
                        assert_eq!(store.remove(&key(writer, old)).map(|removed| removed.value), Some(old));
                        removed[thread].store(old + 1, Ordering::SeqCst);
                    }
                }
                return;
            }
            while !over.load(Ordering::Relaxed) {
                let writer = dice.random_range(0..WRITERS);
                let present = stored[writer].load(Ordering::SeqCst);
                let gone = removed[writer].load(Ordering::SeqCst);
                let number = dice.random_range(0..present + 2);
                let found = store.peek(&key(writer as u64, number)).map(|found| found.value);
                let begun = removing[writer].load(Ordering::SeqCst);
                if number % 3 == 0 && number < gone {
                    assert_eq!(found, None, "key {number} of writer {writer} was removed");
                } else if number < present && (number % 3 != 0 || number >= begun) {
                    assert_eq!(found, Some(number), "key {number} of writer {writer} is missed");
                } else {
                    assert!(found.is_none_or(|found| found == number), "{found:?} under key {number}");
                }
            }
        });

        let keys = (0..WRITERS as u64).flat_map(|writer| (0..each).map(move |number| key(writer, number)));
        let found = audit(&store, keys);
        for writer in 0..WRITERS as u64 {
            for number in 0..each {
                let stays = number % 3 != 0 || number + LAG >= each;
                assert_eq!(found.contains_key(&key(writer, number)), stays, "key {number} of writer {writer}");
            }
        }
    });
}

#[test]
fn a_growing_index_loses_nothing() {
    grow(&DefaultHasher::default(), 3000);
}

#[test]
fn a_growing_index_loses_nothing_where_hashes_collide() {
    grow(&FewHashes(5), 200);
}

#[test]
fn a_growing_index_loses_nothing_where_all_hashes_are_one() {
    grow(&FewHashes::ONE, 80);
}

/// Keys come and go while their number stays small: dead cells are reused, and none comes back to life.
#[test]
fn many_keys_pass_through_a_small_index() {
    const ALIVE: u64 = 8;
    for_about(STORM, |round| {
        let store = TierStore::<u64, u64>::builder(64)
            .weigher(|_, _| 1)
            .expected_fragments(1)
            .hasher(FewHashes(64))
            .build()
            .unwrap();
        together(4, |thread| {
            let first = (round << 8 | thread as u64) << 40;
            for key in first..first + 1500 {
                store.store(key, key).unwrap();
                if let Some(old) = key.checked_sub(ALIVE).filter(|old| *old >= first) {
                    assert_eq!(store.remove(&old).map(|removed| removed.value), Some(old));
                    assert!(!store.contains(&old));
                }
                assert_eq!(store.peek(&key).map(|found| found.value), Some(key));
            }
        });
        assert_eq!(Tier::ALL.map(|tier| store.len(tier)).iter().sum::<u64>(), 4 * ALIVE);
        let last = (0..4).flat_map(|thread| {
            let end = ((round << 8 | thread) << 40) + 1500;
            end - ALIVE..end
        });
        audit(&store, last);
    });
}

/// Several threads insert the very same new keys, all at once, into tables that grow: each key is one fragment.
#[test]
fn inserters_of_one_key_meet() {
    const KEYS: u64 = 300;
    for_about(STORM, |_| {
        let store = TierStore::<u64, usize>::builder(KEYS)
            .weigher(|_, _| 1)
            .expected_fragments(1)
            .hasher(FewHashes(40))
            .build()
            .unwrap();
        let fresh: usize =
            together(4, |thread| (0..KEYS).filter(|key| store.store(*key, thread).unwrap().replaced.is_none()).count())
                .iter()
                .sum();
        assert_eq!(fresh as u64, KEYS, "exactly one store of each key found nothing to replace");
        assert_eq!(audit(&store, 0..KEYS).len() as u64, KEYS);
    });
}

/// Threads store and remove the same few keys over and over, and others beside them: a key comes back to the cell that it had, and two that
/// bring it back meet there. What came less what went is what is there.
fn come_and_go<S: BuildHasher + Clone + Sync>(hasher: &S, each: u64) {
    const SHARED: u64 = 6;
    for_about(STORM, |round| {
        let store = TierStore::<u64, u64>::builder(1 << 20).weigher(|_, _| 1).hasher(hasher.clone()).build().unwrap();
        let changes: i64 = together(4, |thread| {
            let mut dice = dice([round, thread as u64, 17]);
            let own = (thread as u64 + 1) << 32;
            let mut balance = 0;
            for number in 0..each {
                let key = dice.random_range(0..SHARED);
                if dice.random() {
                    balance += i64::from(store.store(key, number).unwrap().replaced.is_none());
                } else {
                    balance -= i64::from(store.remove(&key).is_some());
                }
                // Keys that come once: tables are replaced for them.
                assert_eq!(store.store(own + number, number).unwrap().replaced, None);
                assert_eq!(store.remove(&(own + number)).map(|removed| removed.value), Some(number));
            }
            balance
        })
        .iter()
        .sum();
        let there = audit(&store, 0..SHARED).len();
        assert_eq!(i64::try_from(there).unwrap(), changes, "a key came or went twice");
        for key in 0..SHARED {
            store.remove(&key);
            assert!(!store.contains(&key), "key {key} has another fragment");
        }
        assert_eq!(store.len(Tier::Hot), 0);
    });
}

#[test]
fn keys_that_come_and_go_are_one_fragment_each() {
    come_and_go(&DefaultHasher::default(), 3000);
}

#[test]
fn keys_that_come_and_go_are_one_fragment_each_where_hashes_collide() {
    come_and_go(&FewHashes(5), 300);
    come_and_go(&FewHashes::ONE, 100);
}
