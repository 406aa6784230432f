//! What the test files share: hashers that collide, threads that start together, and the audit of a store at rest.
#![allow(dead_code, reason = "each test file uses its own part of it")]

pub mod ledger;
pub mod tracked;

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use tierstack::{Fragment, Tier, TierStore};

/// Maps every key to one of that many different hashes.
#[derive(Clone, Copy, Debug)]
pub struct FewHashes(pub u64);

impl FewHashes {
    pub const ONE: Self = Self(1);
}

impl BuildHasher for FewHashes {
    type Hasher = FewHasher;

    fn build_hasher(&self) -> FewHasher {
        FewHasher { inner: DefaultHasher::new(), hashes: self.0 }
    }
}

pub struct FewHasher {
    inner: DefaultHasher,
    hashes: u64,
}

impl Hasher for FewHasher {
    fn finish(&self) -> u64 {
        self.inner.finish() % self.hashes
    }

    fn write(&mut self, bytes: &[u8]) {
        self.inner.write(bytes);
    }
}

/// A random number generator that depends on nothing but `seeds`.
pub fn dice(seeds: [u64; 3]) -> StdRng {
    let mut hasher = DefaultHasher::new();
    seeds.hash(&mut hasher);
    StdRng::seed_from_u64(hasher.finish())
}

/// Runs `work` on threads of its own, all let loose at once, and hands back what each made. A panic of one is passed on.
pub fn together<R: Send>(threads: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let gate = Barrier::new(threads);
    thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|thread| {
                let (gate, work) = (&gate, &work);
                scope.spawn(move || {
                    gate.wait();
                    work(thread)
                })
            })
            .collect();
        handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// As [`together`], while one more thread calls `watch` over and over for as long as any of them runs.
pub fn together_watched<R: Send>(threads: usize, work: impl Fn(usize) -> R + Sync, watch: impl Fn() + Sync) -> Vec<R> {
    /// Counts a worker out even when it panics, so that the watcher ends.
    struct Busy<'a>(&'a AtomicUsize);
    impl Drop for Busy<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Release);
        }
    }

    let busy = AtomicUsize::new(threads);
    let results = together(threads + 1, |thread| {
        if thread == threads {
            while busy.load(Ordering::Acquire) > 0 {
                watch();
            }
            return None;
        }
        let _busy = Busy(&busy);
        Some(work(thread))
    });
    results.into_iter().flatten().collect()
}

/// Raises a flag when it goes out of scope, in a panic too: whoever loops until the flag is up then ends.
pub struct RaiseOnDrop<'a>(pub &'a AtomicBool);

impl Drop for RaiseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Runs `step` on `threads` threads for so many rounds, each let loose at one instant, and `check` after each round, while
/// all of them stand still.
///
/// The threads meet by spinning, so that a round takes little longer than its steps: races of a few instructions are met
/// thousands of times a second.
pub fn lockstep(threads: usize, rounds: u64, step: impl Fn(usize, u64) + Sync, mut check: impl FnMut(u64)) {
    let (arrived, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    // Whether all have come to this meeting, and none of them has panicked.
    let meet = |meeting: &mut usize| {
        *meeting += threads;
        arrived.fetch_add(1, Ordering::AcqRel);
        for spins in 1.. {
            if over.load(Ordering::Acquire) {
                return false;
            }
            if arrived.load(Ordering::Acquire) >= *meeting {
                break;
            }
            if spins % 1024 == 0 { thread::yield_now() } else { std::hint::spin_loop() }
        }
        true
    };
    let play = |thread: usize, check: &mut dyn FnMut(u64)| {
        let _end = RaiseOnDrop(&over);
        let mut meeting = 0;
        for round in 0..rounds {
            if !meet(&mut meeting) {
                return;
            }
            // A little earlier or later, another way in every round.
            for _ in 0..(round * 7 + thread as u64 * 5) % 11 {
                std::hint::spin_loop();
            }
            step(thread, round);
            if !meet(&mut meeting) {
                return;
            }
            check(round);
        }
        // Nobody is told that it is over before all have come out of the last round.
        meet(&mut meeting);
    };
    thread::scope(|scope| {
        for thread in 1..threads {
            let play = &play;
            scope.spawn(move || play(thread, &mut |_| {}));
        }
        play(0, &mut check);
    });
}

/// Calls `round` with 0, 1, 2 and so on until `time` has passed, and at least once.
pub fn for_about(time: Duration, mut round: impl FnMut(u64)) {
    let start = Instant::now();
    for number in 0.. {
        round(number);
        if start.elapsed() >= time {
            break;
        }
    }
}

/// Frees what this thread has retired, as far as it can be freed.
pub fn flush() {
    static ANY: LazyLock<TierStore<u8, u8>> = LazyLock::new(|| TierStore::new(0).unwrap());
    ANY.flush();
}

/// Waits until `condition` holds, collecting garbage meanwhile, and gives up after ten seconds.
///
/// Retired memory is freed some epochs later, by whichever thread pins then; other tests of the process pin too.
#[must_use]
pub fn collected_until(condition: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > Duration::from_secs(10) {
            return false;
        }
        flush();
        thread::yield_now();
    }
    true
}

/// Recounts a store at rest, and checks that all it says of itself agrees: what its tiers list, what a look-up of every
/// key in `keys` finds, and its own numbers. Hands back what is in it.
///
/// `keys` must cover every key that may be in the store.
pub fn audit<K, V, S>(store: &TierStore<K, V, S>, keys: impl IntoIterator<Item = K>) -> HashMap<K, Fragment<V>>
where
    K: Hash + Eq + Clone + Debug + Send + Sync + 'static,
    V: Clone + PartialEq + Debug + Send + Sync + 'static,
    S: BuildHasher,
{
    let metrics = store.metrics();
    let mut found = HashMap::new();
    for tier in Tier::ALL {
        let items: Vec<_> = store.iter(tier).collect();
        let bytes: u64 = items.iter().map(|item| item.weight).sum();
        assert_eq!(items.len() as u64, store.len(tier), "len({tier}) against a recount");
        assert_eq!(bytes, store.bytes(tier), "bytes({tier}) against a recount");
        assert_eq!(items.len() as u64, metrics.tier(tier).fragments, "metrics of {tier} against a recount");
        assert_eq!(bytes, metrics.tier(tier).bytes, "metrics of {tier} against a recount");
        let kept: Vec<_> = items.iter().filter(|item| item.kept).map(|item| item.weight).collect();
        let counted = (metrics.tier(tier).kept_fragments, metrics.tier(tier).kept_bytes);
        assert_eq!((kept.len() as u64, kept.iter().sum()), counted, "what is kept in {tier} against a recount");
        for item in items {
            let fragment =
                Fragment { value: item.value, tier, kept: item.kept, weight: item.weight, version: item.version };
            if let Some(other) = found.insert(item.key.clone(), fragment) {
                panic!("{:?} stands in {} and in {tier}", item.key, other.tier);
            }
        }
    }

    assert_eq!(store.hot_bytes(), store.bytes(Tier::Hot), "no reservation outlives its operation");
    let most = store.hot_budget().max(metrics.hot.kept_bytes);
    assert!(store.hot_bytes() <= most, "{} of {most} bytes", store.hot_bytes());
    assert_eq!(store.is_empty(), found.is_empty());

    let mut listed = 0;
    for key in keys {
        let fragment = store.peek(&key);
        assert_eq!(fragment.as_ref(), found.get(&key), "a look-up of {key:?} against the tiers' lists");
        assert_eq!(store.contains(&key), fragment.is_some());
        assert_eq!(store.tier_of(&key), fragment.as_ref().map(|fragment| fragment.tier));
        listed += usize::from(fragment.is_some());
    }
    assert_eq!(listed, found.len(), "the tiers list keys that were never stored");
    found
}
