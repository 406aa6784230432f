//! Nothing, the most that is allowed, and one more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tierstack::{BudgetError, BuildError, Capacity, Fragment, MAX_BYTES, PromoteError, Refusal, Tier, TierStore};

use crate::common::audit;

fn weights(budget: u64) -> TierStore<u64, u64> {
    TierStore::<u64, u64>::builder(budget).weigher(|_, weight| *weight).build().unwrap()
}

#[test]
fn a_budget_of_zero_takes_only_what_weighs_nothing() {
    let store = weights(0);
    let stored = store.store(1, 1).unwrap();
    assert_eq!((stored.tier, stored.contended), (Tier::Warm, false));
    assert_eq!(store.promote(&1), Err(PromoteError::OverBudget { weight: 1, budget: 0 }));
    assert_eq!(store.store(2, 0).unwrap().tier, Tier::Hot);
    assert_eq!(store.enforce_hot_budget().demoted, 0);
    assert_eq!((store.hot_bytes(), store.len(Tier::Hot)), (0, 1));
    audit(&store, 1..=2);
}

#[test]
fn what_weighs_nothing_is_evicted_in_its_turn() {
    let store = weights(10);
    store.store(0, 0).unwrap();
    store.store(1, 10).unwrap();
    store.store(2, 1).unwrap();
    // The oldest goes first, though it frees nothing.
    assert_eq!(store.iter(Tier::Warm).map(|item| item.key).collect::<Vec<_>>(), [1, 0]);
    audit(&store, 0..3);
}

#[test]
fn any_number_of_weightless_fragments_is_hot() {
    let store = weights(0);
    for key in 0..10_000 {
        assert_eq!(store.store(key, 0).unwrap().tier, Tier::Hot);
    }
    assert_eq!((store.len(Tier::Hot), store.hot_bytes()), (10_000, 0));
    assert_eq!(store.evict_lru(Tier::Hot).unwrap().key, 0);
}

#[test]
fn weights_up_to_the_limit_are_stored_and_heavier_ones_handed_back() {
    let store = weights(MAX_BYTES);
    assert_eq!(store.store(1, MAX_BYTES).unwrap().tier, Tier::Hot);
    assert_eq!(store.store(2, MAX_BYTES).unwrap().tier, Tier::Hot);
    assert_eq!(store.tier_of(&1), Some(Tier::Warm));
    for weight in [MAX_BYTES + 1, u64::MAX] {
        let refused = store.store(1, weight).unwrap_err();
        assert_eq!((refused.key, refused.value, refused.reason), (1, weight, Refusal::TooHeavy { weight }));
        let refused = store.pin().store(3, weight).unwrap_err();
        assert_eq!((refused.key, refused.value, refused.reason), (3, weight, Refusal::TooHeavy { weight }));
    }
    let Fragment { value, tier, weight, .. } = store.peek(&1).unwrap();
    assert_eq!((value, tier, weight), (MAX_BYTES, Tier::Warm, MAX_BYTES));
    assert_eq!(store.metrics().stores, 2);
    audit(&store, 1..=3);
}

#[test]
fn many_fragments_of_the_largest_weight_add_up() {
    let store = weights(10);
    for key in 0..5000 {
        assert_eq!(store.store(key, MAX_BYTES).unwrap().tier, Tier::Warm);
    }
    assert_eq!(store.bytes(Tier::Warm), 5000 * MAX_BYTES);
    for key in 0..2500 {
        store.demote(&key).unwrap();
    }
    assert_eq!(Tier::ALL.map(|tier| store.bytes(tier)), [0, 2500 * MAX_BYTES, 2500 * MAX_BYTES]);
}

#[test]
fn budgets_above_the_limit_are_refused() {
    let built = TierStore::<u64, u64>::builder(MAX_BYTES + 1).build();
    assert_eq!(built.err(), Some(BuildError::BudgetTooLarge { budget: MAX_BYTES + 1 }));
    assert_eq!(TierStore::<u64, u64>::new(u64::MAX).err(), Some(BuildError::BudgetTooLarge { budget: u64::MAX }));

    let store = weights(5);
    store.store(1, 5).unwrap();
    for budget in [MAX_BYTES + 1, u64::MAX] {
        assert_eq!(store.set_hot_budget(budget), Err(BudgetError { budget }));
    }
    assert_eq!((store.hot_budget(), store.hot_bytes()), (5, 5));
    assert_eq!(store.set_hot_budget(MAX_BYTES).map(|enforced| enforced.demoted), Ok(0));
    assert_eq!(store.store(2, MAX_BYTES - 5).unwrap().tier, Tier::Hot);
    assert_eq!(store.hot_bytes(), MAX_BYTES);
    audit(&store, 1..=2);
}

#[test]
fn capacities_of_zero_pass_everything_on() {
    let handed = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&handed);
    let store = TierStore::<u64, u64>::builder(1)
        .weigher(|_, weight| *weight)
        .warm_capacity(Capacity::entries(0))
        .cold_capacity(Capacity::bytes(0))
        .listener_causes([tierstack::Cause::Overflowed])
        .listener(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        })
        .build()
        .unwrap();
    store.store(1, 2).unwrap();
    assert_eq!(handed.load(Ordering::Relaxed), 1);
    store.store(2, 1).unwrap();
    store.demote(&2).unwrap();
    assert_eq!(handed.load(Ordering::Relaxed), 2);
    // In bytes there is room for what weighs nothing.
    store.store(3, 0).unwrap();
    store.demote_to(&3, Tier::Cold).unwrap();
    assert_eq!((handed.load(Ordering::Relaxed), store.tier_of(&3)), (2, Some(Tier::Cold)));
    store.promote(&3).unwrap();
    assert_eq!(store.tier_of(&3), Some(Tier::Cold), "warm passes it on");
    audit(&store, 1..=3);
}

#[test]
fn capacities_may_be_as_large_as_numbers_go() {
    let most = Capacity::entries(u64::MAX).and_bytes(u64::MAX);
    let store = TierStore::<u64, u64>::builder(1)
        .weigher(|_, weight| *weight)
        .warm_capacity(most)
        .cold_capacity(most)
        .build()
        .unwrap();
    for key in 0..100 {
        store.store(key, MAX_BYTES).unwrap();
    }
    assert_eq!((store.len(Tier::Warm), store.metrics().evictions), (100, 0));
}

#[test]
fn the_largest_recency_slack_still_evicts_something() {
    let store = TierStore::<u64, ()>::builder(4).weigher(|_, ()| 1).recency_slack(u64::MAX).build().unwrap();
    for key in 0..100 {
        store.store(key, ()).unwrap();
        store.get(&(key / 2)).unwrap();
    }
    assert_eq!(store.len(Tier::Hot), 4);
    audit(&store, 0..100);
}

#[test]
fn keys_and_values_may_be_empty_or_oddly_aligned() {
    #[derive(Clone, Debug, PartialEq)]
    #[repr(align(512))]
    struct Aligned(u8);

    let store = TierStore::<(), ()>::new(0).unwrap();
    assert_eq!(store.store((), ()).unwrap().tier, Tier::Hot, "it takes no bytes");
    assert_eq!(store.store((), ()).unwrap().replaced, Some(()));
    audit(&store, [()]);

    let store = TierStore::<u8, Aligned>::builder(2).weigher(|_, _| 1).expected_fragments(0).build().unwrap();
    for key in 0..=255 {
        store.store(key, Aligned(key)).unwrap();
    }
    let view = store.pin();
    for key in 0..=255 {
        let found = view.get(&key).unwrap().value;
        assert_eq!(found.0, key);
        assert!(std::ptr::from_ref(found).addr().is_multiple_of(512));
    }
}
