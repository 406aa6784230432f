//! Callers' code that does not keep its word harms what it concerns, and nothing else.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use rand::Rng;
use tierstack::{Capacity, Tier, TierStore};

use crate::common::tracked::Registry;
use crate::common::{audit, collected_until, dice};

/// A weight is what the weigher said at the store, and stays that.
#[test]
fn a_weigher_that_never_says_the_same_twice() {
    const KEYS: u64 = 20;
    let calls = AtomicU64::new(0);
    let weigher = move |_: &u64, _: &u64| dice([calls.fetch_add(1, Ordering::Relaxed), 0, 0]).random_range(0..=12);
    let store = TierStore::<u64, u64>::builder(30)
        .weigher(weigher)
        .warm_capacity(Capacity::bytes(30))
        .cold_capacity(Capacity::bytes(30))
        .build()
        .unwrap();
    let mut dice = dice([0, 0, 16]);
    for step in 0..2000 {
        let key = dice.random_range(0..KEYS);
        match dice.random_range(0..6) {
            0..3 => drop(store.store(key, step).unwrap()),
            3 => assert_ne!(store.promote(&key).is_ok(), store.tier_of(&key).is_none()),
            4 => drop(store.remove(&key)),
            _ => drop(store.evict_lru(Tier::Hot)),
        }
        let before = audit(&store, 0..KEYS);
        assert!(Tier::ALL.iter().all(|tier| store.bytes(*tier) <= 30));
        assert_eq!(audit(&store, 0..KEYS), before, "looking at it changes no weight");
    }
}

/// A key that breaks the contract of `Hash` and `Eq`.
#[derive(Clone, Debug)]
struct Liar {
    hash: &'static AtomicU64,
    honest_eq: bool,
    number: u64,
}

impl Hash for Liar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash.fetch_add(1, Ordering::Relaxed) % 5);
    }
}

impl PartialEq for Liar {
    fn eq(&self, other: &Self) -> bool {
        self.honest_eq && self.number == other.number
    }
}

impl Eq for Liar {}

/// Such keys are lost from sight, but not from the books: tiers, budget and capacities hold, and everything is dropped.
#[test]
fn keys_that_are_not_equal_to_themselves() {
    for honest_eq in [true, false] {
        let values = Registry::new();
        let hash: &'static AtomicU64 = Box::leak(Box::default());
        let store = TierStore::<Liar, _>::builder(10)
            .weigher(|_, _| 1)
            .warm_capacity(Capacity::entries(20))
            .cold_capacity(Capacity::entries(30))
            .expected_fragments(1)
            .build()
            .unwrap();
        for number in 0..500 {
            let key = Liar { hash, honest_eq, number: number % 40 };
            drop(store.store(key.clone(), values.tracked(number)).unwrap());
            drop(store.get(&key));
            drop(store.remove(&Liar { number: (number + 7) % 40, ..key }));
        }
        for (tier, most) in [(Tier::Hot, 10), (Tier::Warm, 20), (Tier::Cold, 30)] {
            assert!(store.len(tier) <= most);
            assert_eq!(store.iter(tier).count() as u64, store.len(tier));
            assert_eq!(store.bytes(tier), store.len(tier));
        }
        assert_eq!(store.hot_bytes(), store.bytes(Tier::Hot));
        drop(store);
        assert!(collected_until(|| values.alive() == 0), "{} values live on", values.alive());
    }
}
