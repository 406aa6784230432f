//! A key that is present is found, once and with its newest value, whatever happens to it meanwhile.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use rand::Rng;
use tierstack::{Capacity, DefaultHasher, Moved, Tier, TierStore};

use crate::STORM;
use crate::common::{FewHashes, RaiseOnDrop, audit, dice, together};

const KEYS: u64 = 5;

/// A value that shows whether it was read while it was written, or after it was freed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Version(Box<[u64; 8]>);

impl Version {
    fn new(key: u64, version: u64) -> Self {
        Self(Box::new([key << 48 | version; 8]))
    }

    fn read(&self, key: u64) -> u64 {
        let word = self.0[0];
        assert!(self.0.iter().all(|other| *other == word), "a torn value: {self:?}");
        assert_eq!(word >> 48, key, "a value of another key");
        word & ((1 << 48) - 1)
    }
}

/// One writer of growing versions; what it has finished and what it has begun bound what a reader may see.
#[derive(Default)]
struct Progress {
    finished: [AtomicU64; KEYS as usize],
    begun: [AtomicU64; KEYS as usize],
}

impl Progress {
    fn write(&self, key: u64, store: impl FnOnce(Version) -> Option<Version>) {
        let at = usize::try_from(key).unwrap();
        let last = self.begun[at].load(Ordering::Relaxed);
        self.begun[at].store(last + 1, Ordering::SeqCst);
        let replaced = store(Version::new(key, last + 1)).map(|replaced| replaced.read(key));
        assert_eq!(replaced, (last > 0).then_some(last), "a store replaces the version before it");
        self.finished[at].store(last + 1, Ordering::SeqCst);
    }

    fn read(&self, key: u64, seen: &mut [u64; KEYS as usize], read: impl FnOnce() -> u64) {
        let at = usize::try_from(key).unwrap();
        let finished = self.finished[at].load(Ordering::SeqCst);
        let version = read();
        let begun = self.begun[at].load(Ordering::SeqCst);
        assert!(version >= finished, "key {key}: version {version} after {finished} was stored");
        assert!(version <= begun, "key {key}: version {version} before it was stored");
        assert!(version >= seen[at], "key {key}: version {version} after {} was seen", seen[at]);
        seen[at] = version;
    }
}

/// Calls `step` until the storm is over, or another of its threads has panicked.
fn until_over(over: &AtomicBool, mut step: impl FnMut()) {
    let _end = RaiseOnDrop(over);
    let start = Instant::now();
    while !over.load(Ordering::Relaxed) && start.elapsed() < STORM {
        for _ in 0..16 {
            step();
        }
    }
}

/// A writer, two threads that move everything about, and two that read. Nothing ever leaves the store.
fn storm<S: BuildHasher + Sync>(store: &TierStore<u64, Version, S>) {
    let (progress, over) = (Progress::default(), AtomicBool::new(false));
    for key in 0..KEYS {
        progress.write(key, |version| store.store(key, version).unwrap().replaced);
    }
    together(5, |thread| {
        let mut dice = dice([KEYS, thread as u64, 2]);
        let mut seen = [0; KEYS as usize];
        until_over(&over, || {
            let key = dice.random_range(0..KEYS);
            match thread {
                0 if dice.random() => progress.write(key, |version| store.store(key, version).unwrap().replaced),
                0 => {
                    let view = store.pin();
                    progress.write(key, |version| view.store(key, version).unwrap().replaced.cloned());
                }
                1 | 2 => shuffle(store, key, dice.random_range(0..8)),
                3 => read_owned(store, key, dice.random_range(0..4), |read| progress.read(key, &mut seen, read)),
                _ => read_pinned(store, key, dice.random_range(0..5), |read| progress.read(key, &mut seen, read)),
            }
        });
    });
    let found = audit(store, 0..KEYS);
    for key in 0..KEYS {
        let last = progress.finished[usize::try_from(key).unwrap()].load(Ordering::Relaxed);
        assert_eq!(found[&key].value.read(key), last);
    }
}

fn shuffle<S: BuildHasher>(store: &TierStore<u64, Version, S>, key: u64, choice: u32) {
    let moved = |moved: Option<Moved>| assert!(moved.is_some(), "key {key} was missed");
    match choice {
        0 => drop(store.evict_lru(Tier::Hot)),
        1 => drop(store.evict_lru(Tier::Warm)),
        2 => moved(store.demote(&key)),
        3 => moved(store.demote_to(&key, Tier::Cold)),
        // Room may be contended, but the key is there.
        4 => assert_ne!(store.promote_to(&key, Tier::Hot), Err(tierstack::PromoteError::NotFound)),
        _ => assert_ne!(store.promote(&key), Err(tierstack::PromoteError::NotFound)),
    }
}

fn read_owned<S: BuildHasher>(
    store: &TierStore<u64, Version, S>,
    key: u64,
    choice: u32,
    read: impl FnOnce(&mut dyn FnMut() -> u64),
) {
    match choice {
        0 => read(&mut || store.get(&key).expect("get misses a present key").value.read(key)),
        1 => read(&mut || store.peek(&key).expect("peek misses a present key").value.read(key)),
        2 => assert!(store.contains(&key), "contains misses a present key"),
        _ => assert!(store.tier_of(&key).is_some(), "tier_of misses a present key"),
    }
}

fn read_pinned<S: BuildHasher>(
    store: &TierStore<u64, Version, S>,
    key: u64,
    choice: u32,
    read: impl FnOnce(&mut dyn FnMut() -> u64),
) {
    let view = store.pin();
    match choice {
        0 => read(&mut || view.get(&key).expect("get misses a present key").value.read(key)),
        1 => read(&mut || view.peek(&key).expect("peek misses a present key").value.read(key)),
        2 => assert!(view.contains(&key), "contains misses a present key"),
        3 => assert!(view.tier_of(&key).is_some(), "tier_of misses a present key"),
        _ => {
            for tier in Tier::ALL {
                let mut keys: Vec<_> = view.iter(tier).map(|item| *item.key).collect();
                let listed = keys.len();
                keys.sort_unstable();
                keys.dedup();
                assert_eq!(keys.len(), listed, "an iteration of {tier} shows a key twice");
            }
        }
    }
}

#[test]
fn a_present_key_is_never_missed() {
    let store = TierStore::<u64, Version>::builder(3).weigher(|_, _| 1).build().unwrap();
    storm(&store);
}

#[test]
fn a_present_key_is_never_missed_among_colliding_hashes() {
    let store = TierStore::<u64, Version>::builder(2)
        .weigher(|_, _| 1)
        .warm_capacity(Capacity::entries(2))
        .expected_fragments(1)
        .hasher(FewHashes::ONE)
        .build()
        .unwrap();
    storm(&store);
}

/// Every other version is too heavy for hot, so a key changes tier by being replaced.
#[test]
fn a_present_key_is_never_missed_while_its_weight_changes() {
    let weigh = |key: &u64, value: &Version| if value.read(*key).is_multiple_of(2) { 9 } else { 2 };
    let store = TierStore::<u64, Version>::builder(5).weigher(weigh).hasher(DefaultHasher::default()).build().unwrap();
    storm(&store);
}

/// The keys that are not present are not found either: an owner that removed its key sees none of it, while others
/// read it and try to move it.
#[test]
fn a_removed_key_stays_removed() {
    let store = TierStore::<u64, Version>::builder(3).weigher(|_, _| 1).build().unwrap();
    let over = AtomicBool::new(false);
    together(4, |thread| {
        let mut dice = dice([KEYS, thread as u64, 3]);
        let mut version = 0;
        until_over(&over, || {
            if thread > 1 {
                let key = dice.random_range(0..2);
                let _ = store.promote(&key);
                let _ = store.demote(&key);
                let _ = store.get(&key).map(|found| found.value.read(key));
                return drop(store.evict_lru(Tier::Hot));
            }
            let key = thread as u64;
            version += 1;
            assert_eq!(store.store(key, Version::new(key, version)).unwrap().replaced, None);
            assert_eq!(store.get(&key).expect("its owner stored it").value.read(key), version);
            let removed = store.remove(&key).expect("its owner stored it");
            assert_eq!(removed.value.read(key), version);
            assert_eq!(store.get(&key), None);
            assert_eq!(store.tier_of(&key), None);
            assert_eq!(store.remove(&key), None);
            assert_eq!(store.demote(&key), None);
        });
    });
    assert!(audit(&store, 0..2).is_empty());
}
