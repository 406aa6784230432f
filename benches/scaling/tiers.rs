//! What goes through a tier's order: a place in it, its oldest, and a move from one to another.

use std::time::Instant;

use tierstack::{Tier, TierStore};
use tierstack_benches::subject::Hasher;

use super::{Measured, Runs};

const RUNS: usize = 5;

/// `n` fragments, half of them hot, half warm. Keys are numbers, of weight 1. Every run leaves the tiers as long as they were.
pub fn measure(n: usize) -> Vec<Measured> {
    let store = TierStore::builder(2 * n as u64)
        .weigher(|_: &u64, _: &u64| 1)
        .hasher(Hasher::default())
        .build()
        .expect("the budget is far below the largest");
    let put = |key: u64| {
        let stored = store.store(key, key).expect("no weight is above the limit");
        assert!(stored.tier == Tier::Hot && !stored.contended, "there is room");
    };
    let half = n as u64 / 2;
    for key in 0..2 * half {
        put(key);
        if key >= half {
            store.evict_lru(Tier::Hot).expect("hot is not empty");
        }
    }
    let operations = (n / 10).clamp(16, 20_000);
    let (mut place, mut oldest, mut promote) = (Runs::new(), Runs::new(), Runs::new());
    let mut next = 2 * half;
    for _ in 0..RUNS {
        let new = next..next + operations as u64;
        next = new.end;

        let from = Instant::now();
        new.clone().for_each(put);
        place.add(from.elapsed(), operations);

        let mut taken = Vec::with_capacity(operations);
        let from = Instant::now();
        for _ in 0..operations {
            taken.push(store.evict_lru(Tier::Hot).expect("hot is not empty").key);
        }
        oldest.add(from.elapsed(), operations);
        assert!(taken.is_sorted(), "each was the oldest");

        let from = Instant::now();
        for key in &taken {
            assert!(store.promote(key).is_ok(), "it is in warm, and there is room");
        }
        promote.add(from.elapsed(), operations);

        for key in new {
            store.remove(&key);
        }
    }
    let all = [("place", place), ("take_oldest", oldest), ("promote", promote)];
    let measured =
        all.map(|(operation, runs)| Measured { operation, subject: "tierstack", fragments: n, ns: runs.median() });
    measured.into()
}
