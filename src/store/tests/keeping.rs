//! Fragments that are kept and let go, beside threads that are stopped half-way.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use super::bounds::{Store, at, weights};
use super::sweep::validate;
use crate::failpoint::{Step, arm};
use crate::{Capacity, Enforced, Kept, Moved, PromoteError, Tier};

fn unbounded(budget: u64) -> Store {
    weights(budget, Capacity::UNBOUNDED, Capacity::UNBOUNDED)
}

/// The key is kept, or let go, until its end when this thread next reaches `step`.
fn keeps_at(step: Step, store: &Store, key: u32, is_kept: bool) -> impl FnOnce() {
    let meanwhile = at(step, store, move |store| {
        let kept = if is_kept { store.keep(&key) } else { store.let_go(&key) };
        assert_eq!(kept.map(|kept| kept.was_kept), Ok(!is_kept));
    });
    || meanwhile.done()
}

#[test]
fn an_eviction_whose_victim_is_kept_meanwhile_takes_the_next() {
    let store = unbounded(30);
    for key in 1..=3 {
        store.store(key, 10).unwrap();
    }
    let done = keeps_at(Step::Filled, &store, 1, true);
    assert_eq!(store.evict_lru(Tier::Hot).map(|evicted| evicted.key), Some(2));
    done();
    assert_eq!(validate(&store), 3);
    // The same of one that is re-listed.
    store.get(&3).unwrap();
    let done = keeps_at(Step::Filled, &store, 3, true);
    assert_eq!(store.evict_lru(Tier::Hot), None);
    done();
    assert_eq!([1, 3].map(|key| store.tier_of(&key)), [Some(Tier::Hot); 2]);
    assert_eq!(validate(&store), 3);
}

#[test]
fn a_replacement_is_kept_as_its_predecessor_is_at_that_instant() {
    for is_kept in [true, false] {
        // A heavier one would go to warm.
        for weight in [10, 5, 31] {
            let store = unbounded(30);
            store.store(1, 10).unwrap();
            if !is_kept {
                store.keep(&1).unwrap();
            }
            let done = keeps_at(Step::Filled, &store, 1, is_kept);
            let stored = store.store(1, weight).unwrap();
            done();
            assert_eq!((stored.kept, stored.replaced), (is_kept, Some(10)), "{weight}");
            assert_eq!(store.peek(&1).map(|found| (found.kept, found.weight)), Some((is_kept, weight)));
            assert_eq!(validate(&store), 1);
        }
    }
}

#[test]
fn a_demotion_and_a_promotion_move_what_is_kept_meanwhile() {
    let store = unbounded(30);
    store.store(1, 10).unwrap();
    for is_kept in [true, false] {
        let done = keeps_at(Step::Filled, &store, 1, is_kept);
        if is_kept {
            assert_eq!(store.demote(&1), Some(Moved { from: Tier::Hot, to: Tier::Warm }));
        } else {
            assert_eq!(store.promote(&1), Ok(Moved { from: Tier::Warm, to: Tier::Hot }));
        }
        done();
        assert_eq!(store.peek(&1).map(|found| found.kept), Some(is_kept));
        assert_eq!(validate(&store), 1);
    }
}

/// A keeper that has lost to a move does not keep where the fragment was, but where it is.
#[test]
fn a_keep_keeps_where_the_fragment_is_by_then() {
    for step in [Step::Filled, Step::Crossing] {
        let store = unbounded(30);
        store.store(1, 10).unwrap();
        let demoted = at(step, &store, |store| assert_eq!(store.demote(&1).map(|moved| moved.to), Some(Tier::Warm)));
        assert_eq!(store.keep(&1), Ok(Kept { tier: Tier::Warm, was_kept: false }));
        demoted.done();
        assert_eq!(store.metrics().warm.kept_bytes, 10);
        assert_eq!(validate(&store), 1);
        let removed = at(step, &store, |store| assert!(store.remove(&1).is_some()));
        assert!(store.let_go(&1).is_err());
        removed.done();
        assert_eq!(validate(&store), 0);
    }
}

#[test]
fn a_store_is_not_kept_out_by_what_is_let_go() {
    let store = unbounded(10);
    store.store(1, 8).unwrap();
    store.keep(&1).unwrap();
    let stored = at(Step::Moved, &store, |store| {
        let stored = store.store(2, 5).unwrap();
        assert_eq!((stored.tier, stored.kept_out, stored.contended), (Tier::Hot, false, false));
    });
    assert!(store.let_go(&1).unwrap().was_kept);
    stored.done();
    assert_eq!(store.tier_of(&1), Some(Tier::Warm));
    assert_eq!(validate(&store), 2);
}

/// Until a kept fragment is counted as kept, it is only no victim.
#[test]
fn a_store_beside_a_keeper_that_has_not_counted_goes_to_warm() {
    let store = unbounded(10);
    store.store(1, 8).unwrap();
    let stored = at(Step::Moved, &store, |store| {
        let stored = store.store(2, 5).unwrap();
        assert_eq!((stored.tier, stored.kept_out, stored.contended), (Tier::Warm, false, true));
    });
    store.keep(&1).unwrap();
    stored.done();
    let stored = store.store(2, 5).unwrap();
    assert_eq!((stored.tier, stored.kept_out, stored.contended), (Tier::Warm, true, false));
    assert_eq!(validate(&store), 2);
}

/// What is heavier than all that a tier may hold is on its way out, until it is kept.
#[test]
fn what_is_kept_on_its_way_through_a_tier_stays_and_goes_on_when_it_is_let_go() {
    let store = weights(10, Capacity::bytes(4), Capacity::UNBOUNDED);
    let done = keeps_at(Step::Published, &store, 1, true);
    assert_eq!(store.store(1, 11).unwrap().tier, Tier::Warm);
    done();
    assert_eq!((store.tier_of(&1), store.bytes(Tier::Warm)), (Some(Tier::Warm), 11));
    assert_eq!(validate(&store), 1);
    // Everything else goes on past it.
    store.store(2, 3).unwrap();
    store.demote(&2).unwrap();
    assert_eq!((store.tier_of(&2), store.bytes(Tier::Warm)), (Some(Tier::Cold), 11));
    // A replacement that could stay does not, beside what is kept; one of it takes its place.
    assert!(store.store(1, 12).unwrap().kept);
    assert_eq!(validate(&store), 2);
    assert_eq!(store.let_go(&1), Ok(Kept { tier: Tier::Warm, was_kept: true }));
    assert_eq!((store.tier_of(&1), store.bytes(Tier::Warm)), (Some(Tier::Cold), 0));
    assert_eq!(validate(&store), 2);
}

/// An iteration walks two orders. What goes from the second to the first between the walks, and back, is met all the same.
#[test]
fn an_iteration_meets_what_goes_from_one_order_to_the_other_meanwhile() {
    let store = unbounded(30);
    for key in 1..=3 {
        store.store(key, 10).unwrap();
        store.keep(&key).unwrap();
    }
    let done = keeps_at(Step::Scanned, &store, 2, false);
    let met: Vec<_> = store.iter(Tier::Hot).map(|item| (item.key, item.kept)).collect();
    done();
    assert_eq!(met, [(2, false), (3, true), (1, true)], "let go: the most recently used");
    let done = keeps_at(Step::Scanned, &store, 2, true);
    let met: Vec<_> = store.iter(Tier::Hot).map(|item| (item.key, item.kept)).collect();
    done();
    assert_eq!(met, [(2, true), (3, true), (1, true)]);
    assert_eq!(validate(&store), 3);
}

/// A letter-go that has noted before the iteration, and moves between its walks.
#[test]
fn an_iteration_meets_what_was_about_to_go_before_it_began() {
    let store = unbounded(30);
    store.store(1, 10).unwrap();
    store.keep(&1).unwrap();
    let (go_on, may_go_on) = channel::<()>();
    let (noted, is_noted) = channel();
    let (moved, is_moved) = channel();
    let letter_go = thread::spawn({
        let store = Arc::clone(&store);
        move || {
            arm(Step::Crossing, move || {
                noted.send(()).unwrap();
                may_go_on.recv().unwrap();
            });
            store.let_go(&1).unwrap();
            moved.send(()).unwrap();
        }
    });
    is_noted.recv().unwrap();
    arm(Step::Scanned, move || {
        go_on.send(()).unwrap();
        is_moved.recv().unwrap();
    });
    assert_eq!(store.iter(Tier::Hot).count(), 1);
    letter_go.join().unwrap();
    assert_eq!(validate(&store), 1);
}

/// Whoever lets a fragment go sees to a budget that was lowered before, and whoever lowers it to what was let go before.
#[test]
fn what_is_let_go_while_the_budget_is_lowered_is_demoted() {
    for step in [Step::Filled, Step::Crossing, Step::Moved] {
        let store = unbounded(30);
        store.store(1, 20).unwrap();
        store.keep(&1).unwrap();
        let answer = Arc::new(Mutex::new(Enforced::default()));
        let (told, in_time) = (Arc::clone(&answer), step != Step::Moved);
        let lowered = at(step, &store, move |store| *told.lock().unwrap() = store.set_hot_budget(10).unwrap());
        assert_eq!(store.let_go(&1), Ok(Kept { tier: Tier::Hot, was_kept: true }));
        lowered.done();
        let expected = if in_time { (Tier::Warm, 0) } else { (Tier::Warm, 1) };
        assert_eq!((store.tier_of(&1), answer.lock().unwrap().demoted), (Some(expected.0), expected.1), "{step:?}");
        assert_eq!(store.hot_bytes(), 0);
        assert_eq!(validate(&store), 1);
    }
}

/// The budget is lowered while it is looked whether what is kept leaves room. Then it is the budget that leaves none: nothing but the fragment itself is kept.
#[test]
fn what_is_heavier_than_a_budget_that_was_lowered_meanwhile_is_not_kept_out() {
    let lowered = || {
        let store = unbounded(10);
        store.store(1, 3).unwrap();
        store.keep(&1).unwrap();
        store.store(2, 7).unwrap();
        store.store(3, 6).unwrap();
        store.demote(&3);
        store.promote(&2).unwrap();
        let shared = Arc::clone(&store);
        arm(Step::Beside, move || {
            let lower = move || shared.set_hot_budget(4).unwrap();
            assert_eq!(thread::spawn(lower).join().unwrap().demoted, 1);
        });
        store
    };
    let store = lowered();
    let stored = store.store(1, 6).unwrap();
    assert_eq!((stored.tier, stored.kept_out, stored.contended, stored.kept), (Tier::Warm, false, false, true));
    validate(&store);
    let store = lowered();
    assert_eq!(store.promote_to(&3, Tier::Hot), Err(PromoteError::OverBudget { weight: 6, budget: 4 }));
    validate(&store);
}
