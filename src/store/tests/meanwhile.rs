//! What operations answer and leave where others are stopped half-way, or take effect between two of their steps.

use std::cell::Cell;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::thread;

use super::sweep::validate;
use crate::engine::order::SPAN;
use crate::failpoint::{Step, arm};
use crate::store::operation::Operation;
use crate::store::outflow::Outflow;
use crate::{Capacity, Moved, PromoteError, Tier, TierStore};

type Store = Arc<TierStore<u32, u64>>;

/// A store of values that weigh what they say.
fn weights(budget: u64, warm: Capacity) -> Store {
    let store = TierStore::builder(budget).weigher(|_: &u32, weight: &u64| *weight);
    Arc::new(store.warm_capacity(warm).build().unwrap())
}

/// Runs that by another thread, to its end.
fn elsewhere(store: &Store, run: impl FnOnce(&Store) + Send + 'static) {
    let store = Arc::clone(store);
    thread::spawn(move || run(&store)).join().unwrap();
}

/// Has another thread do that when this one next reaches `step`.
fn at(step: Step, store: &Store, run: impl FnOnce(&Store) + Send + 'static) {
    let store = Arc::clone(store);
    arm(step, move || elsewhere(&store, run));
}

fn hot(store: &Store) -> Vec<(u32, u64)> {
    store.iter(Tier::Hot).map(|item| (item.key, item.value)).collect()
}

#[test]
fn an_iteration_meets_a_fragment_once_that_moves_up_within_its_tier() {
    let store = weights(10, Capacity::UNBOUNDED);
    store.store(1, 1).unwrap();
    store.store(2, 2).unwrap();
    assert!(store.get(&1).is_some());
    // The eviction has the used fragment re-listed, and is stopped before that.
    at(Step::Moved, &store, |store| assert_eq!(hot(store), [(1, 1), (2, 2)]));
    assert_eq!(store.evict_lru(Tier::Hot).unwrap().key, 2);
    assert_eq!(validate(&store), 2);
}

#[test]
fn an_iteration_meets_a_successor_that_its_storer_has_not_published() {
    let store = weights(10, Capacity::UNBOUNDED);
    store.store(1, 1).unwrap();
    at(Step::Committed, &store, |store| assert_eq!(hot(store), [(1, 2)]));
    assert_eq!(store.store(1, 2).unwrap().replaced, Some(1));
    assert_eq!(validate(&store), 1);
}

#[test]
fn a_promotion_that_stays_in_its_tier_and_is_overtaken_by_a_use_counts_nothing() {
    let store = weights(0, Capacity::entries(2));
    store.store(1, 1).unwrap();
    let hash = crate::engine::index::spread(store.hasher.hash_one(1_u32));
    let (guard, outflow, is_first) = (crossbeam_epoch::pin(), Outflow::new(), Cell::new(true));
    let moved = Operation::new(&store.core, &outflow, &guard).promote(
        hash,
        |key| *key == 1,
        |_| {
            // Between the look at the fragment and the move.
            if is_first.replace(false) {
                elsewhere(&store, |store| assert!(store.get(&1).is_some()));
            }
            Tier::Warm
        },
    );
    assert_eq!(moved, Ok(Moved { from: Tier::Warm, to: Tier::Warm }));
    assert_eq!(validate(&store), 1);
}

#[test]
fn what_the_budget_has_no_room_for_by_now_is_not_contended() {
    type Call = fn(&Store);
    let promote: Call = |store| {
        assert_eq!(store.promote(&1), Err(PromoteError::OverBudget { weight: 10, budget: 5 }));
    };
    let newcomer: Call = |store| {
        let stored = store.store(3, 10).unwrap();
        assert_eq!((stored.tier, stored.contended), (Tier::Warm, false));
    };
    for call in [promote, newcomer] {
        let store = weights(10, Capacity::UNBOUNDED);
        store.store(1, 10).unwrap();
        store.demote(&1);
        store.store(2, 10).unwrap();
        // The demotion holds the bytes, and has left its entry to the call. While that clears it the budget is lowered.
        at(Step::Moved, &store, move |store| {
            at(Step::Emptied, store, |store| {
                assert_eq!(store.set_hot_budget(5).map(|enforced| enforced.demoted), Ok(0));
            });
            call(store);
            assert_eq!(store.metrics().contended, 0);
        });
        store.demote(&2).unwrap();
        assert_eq!(store.hot_bytes(), 0);
        validate(&store);
    }
}

/// What a use protects is the word that an eviction has read before it. A pass over the order does not look back.
#[test]
fn an_eviction_that_decides_after_a_use_may_take_its_fragment_where_older_ones_came_in_behind_the_pass() {
    let store = weights(100, Capacity::UNBOUNDED);
    let get = |key| assert!(store.get(&key).is_some());
    // An empty page of warm, which is not sealed as the clock is still in it.
    store.store(0, 1).unwrap();
    store.demote(&0).unwrap();
    store.remove(&0).unwrap();
    for key in 1..=4 {
        store.store(key, 1).unwrap();
    }
    // Another is in the next page, and fragment 1 the most recently used of all.
    for _ in 0..SPAN {
        get(4);
        get(1);
    }
    at(Step::Sealed, &store, |store| {
        for key in [1, 2, 3] {
            store.demote(&key).unwrap();
        }
        assert_eq!(store.get(&1).unwrap().tier, Tier::Warm);
        assert_eq!(store.evict_lru(Tier::Warm).unwrap().key, 2);
    });
    assert_eq!(store.evict_lru(Tier::Warm).unwrap().key, 1, "3 is older, but did not stand there from the start");
    assert_eq!(store.tier_of(&3), Some(Tier::Warm));
    assert_eq!(validate(&store), 4);
}

/// A claim that is given back raises the count again for which others have left a fragment where it came behind the walk of the claimer: who gives it back walks anew.
#[test]
fn a_tier_holds_its_capacity_after_a_claim_that_was_given_back() {
    let store = weights(4, Capacity::entries(0));
    store.store(4, 1).unwrap();
    // What is too heavy for hot goes to warm, which holds nothing: its storer claims it. Then another evicts it; and what that evicts next comes to warm at an older tick.
    at(Step::Claimed, &store, |store| {
        assert_eq!(store.evict_lru(Tier::Warm).unwrap().key, 2);
        assert_eq!(store.evict_lru(Tier::Hot).unwrap().key, 4);
    });
    store.store(2, 5).unwrap();
    assert_eq!(Tier::ALL.map(|tier| store.len(tier)), [0, 0, 2]);
    assert_eq!(validate(&store), 2);
}
