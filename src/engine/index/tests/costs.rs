//! What operations cost, in cells that they look at: constant in the mean, whichever keys come and go, and never a whole table at once.

use super::{Inserted, Owner, spread};
use crate::engine::index::table::steps;

/// What the operations of a run cost.
#[derive(Default)]
struct Cost {
    operations: u64,
    steps: u64,
    most: u64,
}

impl Cost {
    fn count<T>(&mut self, run: impl FnOnce() -> T) -> T {
        let before = steps::so_far();
        let made = run();
        let steps = steps::so_far() - before;
        self.operations += 1;
        self.steps += steps;
        self.most = self.most.max(steps);
        made
    }

    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    fn mean(&self) -> f64 {
        self.steps as f64 / self.operations as f64
    }
}

/// An owner of keys with hashes as of a good hasher.
fn owner(expected: usize) -> Owner {
    Owner::hashing(|key| spread(key.wrapping_mul(0xD6E8_FEB8_6659_FD93).rotate_left(32) ^ key), expected)
}

impl Owner {
    fn root_address(&self) -> usize {
        self.with_root(|root| std::ptr::from_ref(root).addr())
    }
}

/// A key comes and another goes, over and over.
#[test]
fn steady_churn_costs_the_same_in_each_of_a_hundred_tables() {
    const LIVE: u64 = 1_600;
    let owner = owner(0);
    (0..LIVE).for_each(|key| assert_eq!(owner.insert(key), Inserted::Done));
    let (mut tables, mut root) = (0, owner.root_address());
    let mut inserts = Cost::default();
    let mut removals = Cost::default();
    for key in LIVE.. {
        assert_eq!(inserts.count(|| owner.insert(key)), Inserted::Done);
        removals.count(|| owner.remove(key - LIVE));
        if owner.root_address() != root {
            (tables, root) = (tables + 1, owner.root_address());
        }
        if tables == 100 {
            break;
        }
    }
    assert!(owner.with_root(|root| root.len() == 4_096), "it has grown");
    for cost in [inserts, removals] {
        // A table of that size has runs of some hundred cells.
        assert!(cost.most < 1_500, "{} cells looked at by one operation", cost.most);
        assert!(cost.mean() < 50.0, "{} cells looked at by an operation", cost.mean());
    }
}

/// Some keys come and go, over and over, beside others that stay.
fn cycle(others: u64, expected: usize, cycling: u64, cycles: u64) {
    let owner = owner(expected);
    (0..others).for_each(|key| assert_eq!(owner.insert(key), Inserted::Done));
    // A first round, in which the table may grow.
    let keys = || others..others + cycling;
    let round = |inserts: &mut Cost, removals: &mut Cost| {
        for key in keys() {
            assert_eq!(inserts.count(|| owner.insert(key)), Inserted::Done);
            if cycling == 1 {
                removals.count(|| owner.remove(key));
            }
        }
        if cycling > 1 {
            keys().for_each(|key| removals.count(|| owner.remove(key)));
        }
    };
    round(&mut Cost::default(), &mut Cost::default());
    (0..others).for_each(|key| owner.index.tidy((owner.hash)(key), &crossbeam_epoch::pin()));
    let root = owner.root_address();
    let (mut inserts, mut removals, mut misses) = (Cost::default(), Cost::default(), Cost::default());
    for _ in 0..cycles.div_ceil(cycling) {
        round(&mut inserts, &mut removals);
        assert!(!keys().any(|key| misses.count(|| owner.has(key))));
    }
    assert!((1 << 40..(1 << 40) + 1_000).all(|key| !misses.count(|| owner.has(key))));
    assert_eq!(owner.root_address(), root, "a table was replaced");
    for cost in [inserts, removals, misses] {
        assert!(cost.mean() < 20.0, "{} cells looked at by an operation", cost.mean());
        assert!(cost.most < 400, "{} cells looked at by one operation", cost.most);
    }
}

#[test]
fn a_key_that_comes_and_goes_costs_the_same_each_time() {
    cycle(10_000, 0, 1, 10_000);
    cycle(0, 100_000, 1, 10_000);
}

#[test]
fn many_keys_that_come_and_go_cost_the_same_each_time() {
    cycle(10_000, 0, 100, 10_000);
    cycle(1_000, 0, 1_000, 10_000);
}
