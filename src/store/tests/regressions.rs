//! Interleavings that once broke a guarantee, each played out by a thread that is stopped at a step.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread;

use super::sweep::validate;
use crate::failpoint::{Step, arm};
use crate::{Capacity, Departure, Moved, PromoteError, Tier, TierStore};

/// Has `interlude` run by another thread, to its end, the next time that this one reaches `step`.
fn between(step: Step, interlude: impl FnOnce() + Send + 'static) {
    arm(step, move || thread::spawn(interlude).join().unwrap());
}

fn unit_store(budget: u64, warm: Capacity, cold: Capacity) -> Arc<TierStore<u32, u64>> {
    let store = TierStore::builder(budget).weigher(|_: &u32, weight: &u64| *weight);
    Arc::new(store.warm_capacity(warm).cold_capacity(cold).build().unwrap())
}

#[test]
fn a_removal_in_flight_does_not_make_a_capacity_push_out_what_fits() {
    let store = unit_store(10, Capacity::UNBOUNDED, Capacity::entries(1));
    store.store(1, 1).unwrap();
    store.store(2, 1).unwrap();
    store.demote_to(&1, Tier::Cold);
    let other = Arc::clone(&store);
    between(Step::Removed, move || assert!(other.demote_to(&2, Tier::Cold).is_some()));
    assert_eq!(store.remove(&1).unwrap().value, 1);
    assert_eq!(store.tier_of(&2), Some(Tier::Cold), "cold never held two");
    assert_eq!(validate(&store), 1);
}

#[test]
fn a_promotion_in_flight_does_not_make_a_capacity_push_out_what_fits() {
    let store = unit_store(0, Capacity::UNBOUNDED, Capacity::entries(1));
    store.store(1, 1).unwrap();
    store.demote(&1).unwrap();
    let other = Arc::clone(&store);
    between(Step::Moved, move || assert!(other.demote(&1).is_some()));
    store.promote(&1).unwrap();
    assert_eq!(store.tier_of(&1), Some(Tier::Cold), "cold never held more than one");
    assert_eq!(validate(&store), 1);
}

#[test]
fn a_panic_of_eq_leaves_no_tier_over_its_capacity() {
    #[derive(Clone, Debug)]
    struct Key(u32);
    thread_local!(static COMPARISONS_LEFT: std::cell::Cell<u32> = const { std::cell::Cell::new(u32::MAX) });
    impl PartialEq for Key {
        fn eq(&self, other: &Self) -> bool {
            COMPARISONS_LEFT.with(|left| left.replace(left.get() - 1)).checked_sub(1).expect("no comparison is left");
            self.0 == other.0
        }
    }
    impl Eq for Key {}
    impl std::hash::Hash for Key {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            state.write_u32(0);
        }
    }
    for comparisons in 0..12 {
        let store = TierStore::builder(4).weigher(|_: &Key, weight: &u64| *weight).warm_capacity(Capacity::entries(1));
        let store = store.build().unwrap();
        for key in 0..4 {
            store.store(Key(key), 1).unwrap();
        }
        COMPARISONS_LEFT.set(comparisons);
        let stored = catch_unwind(AssertUnwindSafe(|| store.store(Key(9), 4).map(drop)));
        COMPARISONS_LEFT.set(u32::MAX);
        assert!(comparisons > 8 || stored.is_err());
        validate(&store);
        assert!(!store.store(Key(10), 4).unwrap().contended, "a reservation was leaked");
    }
}

#[test]
fn a_promotion_whose_key_goes_away_leaves_no_tier_over_its_capacity() {
    let store = unit_store(1, Capacity::entries(1), Capacity::UNBOUNDED);
    store.store(1, 1).unwrap();
    store.store(2, 1).unwrap();
    assert_eq!(store.tier_of(&1), Some(Tier::Warm));
    store.store(3, 1).unwrap();
    assert_eq!((store.tier_of(&1), store.tier_of(&2)), (Some(Tier::Cold), Some(Tier::Warm)));
    let other = Arc::clone(&store);
    between(Step::Left, move || assert!(other.remove(&1).is_some()));
    assert_eq!(store.promote_to(&1, Tier::Hot), Err(PromoteError::NotFound));
    assert_eq!(validate(&store), 2);
}

#[test]
fn a_newcomer_does_not_take_over_the_bytes_of_a_lowered_budget() {
    let store = unit_store(100, Capacity::UNBOUNDED, Capacity::UNBOUNDED);
    store.store(1, 100).unwrap();
    let other = Arc::clone(&store);
    between(Step::Left, move || {
        assert_eq!(other.set_hot_budget(10).map(|enforced| enforced.demoted), Ok(0), "nothing is hot at that instant");
    });
    assert_eq!(store.store(2, 100).unwrap().tier, Tier::Warm);
    assert_eq!(store.hot_bytes(), 0);
    validate(&store);
}

#[test]
fn a_raise_in_flight_beside_a_lowering_demotes_nothing_that_fits() {
    let store = unit_store(100, Capacity::UNBOUNDED, Capacity::UNBOUNDED);
    store.store(1, 100).unwrap();
    let other = Arc::clone(&store);
    between(Step::Raising, move || assert_eq!(other.set_hot_budget(100).map(|enforced| enforced.demoted), Ok(0)));
    assert_eq!(store.set_hot_budget(200).map(|enforced| enforced.demoted), Ok(0));
    assert_eq!(store.tier_of(&1), Some(Tier::Hot), "100 bytes fit every budget that there was");
    validate(&store);
}

#[test]
fn every_fragment_is_handed_over_though_the_listener_panics_with_a_payload_that_panics() {
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            assert!(thread::panicking(), "a payload's own destructor");
        }
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let listener = {
        let seen = Arc::clone(&seen);
        move |gone: &Departure<'_, u32, u64>| {
            seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(*gone.key);
            std::panic::panic_any(Payload);
        }
    };
    let store = TierStore::builder(100)
        .weigher(|_: &u32, _: &u64| 1)
        .warm_capacity(Capacity::entries(0))
        .cold_capacity(Capacity::entries(0))
        .listener_causes([crate::Cause::Overflowed])
        .listener(listener)
        .build()
        .unwrap();
    for key in 0..5 {
        store.store(key, 0).unwrap();
    }
    let payload = catch_unwind(AssertUnwindSafe(|| store.set_hot_budget(0))).unwrap_err();
    std::mem::forget(payload);
    assert_eq!(*seen.lock().unwrap(), [0, 1, 2, 3, 4]);
    assert_eq!(validate(&store), 0);
}

#[test]
fn a_promotion_is_not_refused_for_a_budget_that_its_fragment_never_met() {
    let store = unit_store(10, Capacity::UNBOUNDED, Capacity::UNBOUNDED);
    store.store(1, 9).unwrap();
    store.demote(&1);
    store.store(2, 5).unwrap();
    let other = Arc::clone(&store);
    between(Step::Left, move || {
        assert!(other.remove(&1).is_some());
        other.set_hot_budget(5).unwrap();
    });
    // While fragment 1 was there the budget was 10, which it fits; since the budget is 5, there is none.
    assert_eq!(store.promote(&1), Err(PromoteError::NotFound));
}

#[test]
fn a_store_counts_a_predecessor_that_comes_while_it_makes_room() {
    let store = unit_store(7, Capacity::UNBOUNDED, Capacity::UNBOUNDED);
    store.store(2, 2).unwrap();
    store.store(3, 1).unwrap();
    let other = Arc::clone(&store);
    between(Step::Left, move || assert_eq!(other.store(1, 4).unwrap().tier, Tier::Hot));
    let stored = store.store(1, 6).unwrap();
    assert_eq!((stored.tier, stored.replaced, stored.contended), (Tier::Hot, Some(4), false));
    assert_eq!(store.tier_of(&2), Some(Tier::Warm));
    assert_eq!(store.tier_of(&3), Some(Tier::Hot), "6 for 4, and 1: that is 7");
    assert_eq!(validate(&store), 3);
}

#[test]
fn a_store_is_not_contended_where_it_fits_with_a_predecessor_that_rises_while_it_makes_room() {
    let store = unit_store(7, Capacity::UNBOUNDED, Capacity::UNBOUNDED);
    store.store(1, 4).unwrap();
    store.demote(&1);
    store.store(2, 3).unwrap();
    let other = Arc::clone(&store);
    between(Step::Left, move || assert_eq!(other.promote(&1).unwrap().to, Tier::Hot));
    let stored = store.store(1, 6).unwrap();
    assert_eq!((stored.tier, stored.replaced, stored.contended), (Tier::Hot, Some(4), false));
    assert_eq!(validate(&store), 2);
}

#[test]
fn a_promotion_demotes_nothing_more_for_a_fragment_that_is_gone() {
    let store = unit_store(7, Capacity::UNBOUNDED, Capacity::UNBOUNDED);
    store.store(1, 6).unwrap();
    store.demote(&1);
    store.store(2, 3).unwrap();
    store.store(3, 4).unwrap();
    let other = Arc::clone(&store);
    between(Step::Left, move || assert!(other.remove(&1).is_some()));
    assert_eq!(store.promote(&1), Err(PromoteError::NotFound));
    assert_eq!((store.tier_of(&2), store.tier_of(&3)), (Some(Tier::Warm), Some(Tier::Hot)));
    assert_eq!(validate(&store), 2);
}

#[test]
fn a_replacement_gives_back_what_its_predecessor_held_when_it_was_replaced() {
    type Move = fn(&TierStore<u32, u64>) -> Option<Moved>;
    // Between the look at the predecessor and its replacement it moves: out of hot, or into it.
    let down: (Move, Move, _) = (|_| None, |store| store.demote(&1), Tier::Hot);
    let up: (Move, Move, _) = (|store| store.demote(&1), |store| store.promote_to(&1, Tier::Hot).ok(), Tier::Hot);
    for (before, meanwhile, tier) in [down, up] {
        let store = unit_store(10, Capacity::UNBOUNDED, Capacity::UNBOUNDED);
        store.store(1, 3).unwrap();
        before(&store);
        let other = Arc::clone(&store);
        between(Step::Filled, move || assert!(meanwhile(&other).is_some()));
        let stored = store.store(1, 2).unwrap();
        assert_eq!((stored.replaced, stored.tier), (Some(3), tier));
        let hot = if tier == Tier::Hot { 2 } else { 0 };
        assert_eq!((store.hot_bytes(), store.len(Tier::Hot)), (hot, u64::from(hot > 0)));
        assert_eq!(validate(&store), 1);
        // Alone again: what fits, and nothing more, is hot.
        for key in 2..8 {
            assert!(!store.store(key, 4).unwrap().contended, "bytes were not given back");
        }
        assert_eq!(store.hot_bytes(), 8, "bytes were given back twice");
    }
}

#[test]
fn a_store_that_is_dropped_with_a_move_half_done_frees_each_fragment_once() {
    let counted = Arc::new(());
    let store = TierStore::builder(1 << 20).weigher(|_: &u32, _: &Arc<()>| 1).build().unwrap();
    let mut stored = 0;
    // Ends between the copy of an index cell and its mark, so that the node is in two tables.
    arm(Step::Copied, || panic!("it is cut short here"));
    while catch_unwind(AssertUnwindSafe(|| store.store(stored, Arc::clone(&counted)).map(drop).unwrap())).is_ok() {
        stored += 1;
        assert!(stored < 10_000, "the index never grew");
    }
    let held = Arc::strong_count(&counted);
    assert!(held > usize::try_from(stored).unwrap(), "the store has all that was stored");
    drop(store);
    // The last one was in an order, and goes with the epoch; unless it was stored all the same.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while Arc::strong_count(&counted) > 1 && std::time::Instant::now() < until {
        crossbeam_epoch::pin().flush();
    }
    assert_eq!(Arc::strong_count(&counted), 1);
}

#[test]
fn a_budget_that_was_set_does_not_come_back_after_another() {
    let store = unit_store(10, Capacity::UNBOUNDED, Capacity::UNBOUNDED);
    let other = Arc::clone(&store);
    between(Step::Raising, move || assert_eq!(other.set_hot_budget(6).map(|enforced| enforced.demoted), Ok(0)));
    assert_eq!(store.set_hot_budget(4).map(|enforced| enforced.demoted), Ok(0));
    assert_eq!(store.hot_budget(), 6, "it was set while 4 was in force");
    assert_eq!(validate(&store), 0);
}

#[test]
fn a_listener_that_panics_while_its_thread_unwinds_aborts_nothing() {
    let store = TierStore::builder(1)
        .weigher(|_: &u32, _: &u32| 1)
        .listener_causes([crate::Cause::Overflowed])
        .listener(|_| panic!("the second"));
    let store = store.warm_capacity(Capacity::entries(0)).cold_capacity(Capacity::entries(0)).build().unwrap();
    let payload = catch_unwind(AssertUnwindSafe(|| {
        let view = store.pin();
        for key in 0..3 {
            view.store(key, key).unwrap();
        }
        panic!("the first");
    }));
    assert_eq!(payload.unwrap_err().downcast_ref(), Some(&"the first"));
    assert_eq!(validate(&store), 1);
}
