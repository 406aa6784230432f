//! `get` and `store` beside the coarse lock, with keys of 40 bytes.

use std::time::Instant;

use rand::{Rng, SeedableRng, rngs::SmallRng};
use tierstack_benches::{
    subject::{Bounds, Session, Subject},
    subjects::{CoarseLock, Nothing, Pinned},
    workload::{self, KEY_BYTES},
};

use super::{Measured, Runs};

const EACH: u64 = KEY_BYTES as u64 + 8;
const RUNS: usize = 5;
const OPERATIONS: usize = 40_000;

/// `n` fragments, half of them hot, half warm.
pub fn measure(n: usize) -> Vec<Measured> {
    let keys = workload::keys(0, n);
    let mut measured = Vec::new();
    measured.extend(of::<Pinned<u64>>(&keys));
    measured.extend(of::<CoarseLock<u64>>(&keys));
    measured.extend(of::<Nothing>(&keys));
    measured
}

fn of<S: Subject<u64>>(keys: &[String]) -> [Measured; 2] {
    let n = keys.len();
    let subject = S::filled(Bounds::hot_and_warm(n as u64 / 2, n as u64, EACH), keys.iter().cloned().zip(0..));
    let mut session = subject.session();
    let (mut stores, mut gets) = (Runs::new(), Runs::new());
    // In the order in which they were stored: each is in warm when its turn comes, and demotes one.
    let mut turns = keys.iter().cycle();
    let mut rng = SmallRng::seed_from_u64(0);
    for _ in 0..RUNS {
        // Copied beforehand: otherwise reading the key where it lies would be part of what is measured.
        let batch: Vec<String> = turns.by_ref().take(OPERATIONS).cloned().collect();
        let from = Instant::now();
        for key in batch {
            session.store(key, 1);
        }
        stores.add(from.elapsed(), OPERATIONS);
    }
    for _ in 0..RUNS {
        // Any of them as likely as another, the texts in the order of use.
        let text: String = (0..OPERATIONS).map(|_| keys[rng.random_range(0..n)].as_str()).collect();
        let from = Instant::now();
        for turn in 0..OPERATIONS {
            assert!(session.get(&text[turn * KEY_BYTES..(turn + 1) * KEY_BYTES]), "all are somewhere");
        }
        gets.add(from.elapsed(), OPERATIONS);
    }
    [("store", stores), ("get", gets)].map(|(operation, runs)| Measured {
        operation,
        subject: S::NAME,
        fragments: n,
        ns: runs.median(),
    })
}
