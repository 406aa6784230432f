//! Fragments that stay: what moves them and what does not, what they leave to others, and what is said of them.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tierstack::{Capacity, Enforced, KeepError, Kept, Moved, PromoteError, Tier, TierStore};

use common::audit;

type Store = TierStore<&'static str, u64>;

/// A store of values that weigh what they say.
fn weights(budget: u64) -> Store {
    TierStore::builder(budget).weigher(|_: &&str, weight: &u64| *weight).build().unwrap()
}

fn with_capacities(budget: u64, warm: Capacity, cold: Capacity) -> Store {
    let store = TierStore::builder(budget).weigher(|_: &&str, weight: &u64| *weight);
    store.warm_capacity(warm).cold_capacity(cold).build().unwrap()
}

const NAMES: [&str; 8] = ["goal", "task", "a", "b", "c", "d", "e", "f"];

/// From the most to the least recently used.
fn keys(store: &Store, tier: Tier) -> Vec<&'static str> {
    store.iter(tier).map(|item| item.key).collect()
}

#[test]
fn what_is_kept_stays_though_everything_else_is_newer() {
    let store = weights(10);
    store.store("goal", 4).unwrap();
    assert_eq!(store.keep("goal"), Ok(Kept { tier: Tier::Hot, was_kept: false }));
    assert_eq!(store.keep("goal"), Ok(Kept { tier: Tier::Hot, was_kept: true }));
    for name in ["a", "b", "c", "d"] {
        assert_eq!(store.store(name, 3).unwrap().tier, Tier::Hot);
    }
    assert_eq!(keys(&store, Tier::Hot), ["d", "c", "goal"]);
    assert_eq!(store.evict_lru(Tier::Hot).map(|evicted| evicted.key), Some("c"));
    assert_eq!(store.evict_lru(Tier::Hot).map(|evicted| evicted.key), Some("d"));
    assert_eq!(store.evict_lru(Tier::Hot), None, "all that is left is kept");
    assert_eq!(store.promote("a"), Ok(Moved { from: Tier::Warm, to: Tier::Hot }));
    assert_eq!(keys(&store, Tier::Hot), ["a", "goal"]);
    assert_eq!(store.let_go("goal"), Ok(Kept { tier: Tier::Hot, was_kept: true }));
    assert_eq!(store.let_go("goal"), Ok(Kept { tier: Tier::Hot, was_kept: false }));
    assert_eq!(store.evict_lru(Tier::Hot).map(|evicted| evicted.key), Some("a"), "to let go is a use");
    audit(&store, NAMES);
}

#[test]
fn what_is_asked_for_by_its_key_moves_what_is_kept() {
    let store = weights(10);
    store.store("goal", 4).unwrap();
    store.keep("goal").unwrap();
    assert_eq!(store.demote("goal"), Some(Moved { from: Tier::Hot, to: Tier::Warm }));
    assert_eq!(store.get("goal").map(|found| (found.tier, found.kept)), Some((Tier::Warm, true)));
    assert_eq!((store.metrics().warm.kept_fragments, store.metrics().hot.kept_fragments), (1, 0));
    assert_eq!(store.evict_lru(Tier::Warm), None);
    assert_eq!(store.demote_to("goal", Tier::Cold).map(|moved| moved.to), Some(Tier::Cold));
    assert_eq!(store.evict_lru(Tier::Cold), None);
    assert_eq!(store.promote_to("goal", Tier::Hot).map(|moved| moved.to), Ok(Tier::Hot));
    // Replaced, it stays kept; removed and stored again, it is not.
    let version = store.peek("goal").unwrap().version;
    let stored = store.replace_if("goal", &version, 5).unwrap();
    assert_eq!((stored.kept, stored.replaced), (true, Some(4)));
    assert!(store.update("goal", |old| old + 1).unwrap().kept);
    assert!(store.store("goal", 3).unwrap().kept);
    assert_eq!(store.remove("goal").map(|found| found.kept), Some(true));
    assert_eq!((store.metrics().hot.kept_fragments, store.metrics().hot.kept_bytes), (0, 0));
    assert!(!store.store("goal", 4).unwrap().kept);
    audit(&store, NAMES);
}

#[test]
fn an_absent_key_is_said_to_be_so() {
    let store = weights(10);
    assert_eq!((store.keep("goal"), store.let_go("goal")), (Err(KeepError::NotFound), Err(KeepError::NotFound)));
    assert_eq!(store.pin().keep("goal"), Err(KeepError::NotFound));
    assert_eq!(KeepError::NotFound.to_string(), "no fragment has that key");
    assert!(store.is_empty());
}

#[test]
fn where_kept_fragments_hold_the_room_it_is_said_and_nobody_is_demoted() {
    let store = weights(10);
    for (name, weight) in [("goal", 4), ("task", 3), ("a", 3)] {
        store.store(name, weight).unwrap();
    }
    store.keep("goal").unwrap();
    store.keep("task").unwrap();
    let stored = store.store("b", 4).unwrap();
    assert_eq!((stored.tier, stored.kept_out, stored.contended), (Tier::Warm, true, false));
    assert_eq!(store.promote("b"), Err(PromoteError::KeptOut { weight: 4 }));
    assert_eq!(keys(&store, Tier::Hot), ["task", "goal", "a"], "in vain it would have been demoted");
    assert_eq!((store.metrics().contended, store.metrics().evictions), (0, 0));
    // What is too heavy for the budget alone is that.
    let stored = store.store("c", 11).unwrap();
    assert_eq!((stored.tier, stored.kept_out), (Tier::Warm, false));
    assert_eq!(store.promote("c"), Err(PromoteError::OverBudget { weight: 11, budget: 10 }));
    // What fits beside them takes the room of the others.
    assert_eq!(store.store("d", 3).unwrap().tier, Tier::Hot);
    assert_eq!(keys(&store, Tier::Hot), ["d", "task", "goal"]);
    // A kept one's own bytes count as free for its successor.
    assert_eq!(store.store("goal", 7).map(|stored| (stored.tier, stored.kept)), Ok((Tier::Hot, true)));
    let stored = store.store("goal", 8).unwrap();
    assert_eq!((stored.tier, stored.kept, stored.kept_out), (Tier::Warm, true, true));
    assert_eq!(store.promote("goal"), Err(PromoteError::KeptOut { weight: 8 }));
    assert_eq!(store.let_go("task").map(|kept| kept.tier), Ok(Tier::Hot));
    assert_eq!(store.promote("goal").map(|moved| moved.to), Ok(Tier::Hot));
    assert_eq!((keys(&store, Tier::Hot), store.peek("goal").unwrap().kept), (vec!["goal"], true));
    audit(&store, NAMES);
}

#[test]
fn a_budget_below_what_is_kept_leaves_that_alone_and_says_by_how_much() {
    let store = weights(20);
    for (name, weight) in [("goal", 6), ("a", 2), ("task", 5), ("b", 0)] {
        store.store(name, weight).unwrap();
    }
    store.keep("goal").unwrap();
    store.keep("task").unwrap();
    assert_eq!(store.set_hot_budget(11), Ok(Enforced { demoted: 1, kept_over: 0 }));
    assert_eq!(store.set_hot_budget(8), Ok(Enforced { demoted: 1, kept_over: 3 }));
    assert_eq!((keys(&store, Tier::Hot), store.hot_bytes()), (vec!["task", "goal"], 11));
    assert_eq!(store.enforce_hot_budget(), Enforced { demoted: 0, kept_over: 3 });
    // Nothing comes beside them, not even what weighs nothing.
    for weight in [0, 1, 8] {
        let stored = store.store("c", weight).unwrap();
        assert_eq!((stored.tier, stored.kept_out), (Tier::Warm, true), "{weight}");
    }
    // What takes no more than it had may stay.
    assert_eq!(store.store("goal", 6).unwrap().tier, Tier::Hot);
    assert_eq!(store.store("goal", 4).unwrap().tier, Tier::Hot);
    assert_eq!(store.enforce_hot_budget().kept_over, 1);
    // What is let go may not, while hot is over the budget.
    assert_eq!(store.let_go("task"), Ok(Kept { tier: Tier::Hot, was_kept: true }));
    assert_eq!((store.tier_of("task"), store.hot_bytes()), (Some(Tier::Warm), 4));
    assert_eq!(store.enforce_hot_budget(), Enforced::default());
    audit(&store, NAMES);
}

#[test]
fn a_capacity_pushes_out_what_is_not_kept() {
    let store = with_capacities(1, Capacity::entries(2), Capacity::bytes(6));
    for name in ["goal", "task"] {
        store.store(name, 3).unwrap();
        store.keep(name).unwrap();
    }
    assert_eq!((store.len(Tier::Warm), store.metrics().warm.kept_bytes), (2, 6));
    // Kept fragments fill warm: what else comes there goes straight on.
    store.store("a", 3).unwrap();
    store.store("b", 3).unwrap();
    assert_eq!((keys(&store, Tier::Warm), keys(&store, Tier::Cold)), (vec!["task", "goal"], vec!["b", "a"]));
    // Warm may be over its capacity by what is kept.
    let kept_in_cold = store.keep("a").unwrap();
    assert_eq!(kept_in_cold.tier, Tier::Cold);
    assert_eq!(store.promote("a").map(|moved| moved.to), Ok(Tier::Warm));
    assert_eq!((store.len(Tier::Warm), store.metrics().overflowed), (3, 0));
    // Let go, it is pushed out.
    assert_eq!(store.let_go("task"), Ok(Kept { tier: Tier::Warm, was_kept: true }));
    assert_eq!((keys(&store, Tier::Warm), keys(&store, Tier::Cold)), (vec!["a", "goal"], vec!["task", "b"]));
    // Nothing that is kept leaves the store.
    store.demote("goal").unwrap();
    assert_eq!(keys(&store, Tier::Cold), ["task", "goal"]);
    assert_eq!(store.metrics().overflowed, 1);
    audit(&store, NAMES);
}

#[test]
fn a_snapshot_shows_what_is_kept() {
    let store = weights(10);
    store.store("goal", 4).unwrap();
    store.store("a", 3).unwrap();
    store.keep("goal").unwrap();
    store.demote("goal").unwrap();
    let snapshot = store.snapshot();
    let shown: Vec<_> = snapshot.iter().map(|(tier, item)| (tier, item.key, item.kept)).collect();
    assert_eq!(shown, [(Tier::Hot, "a", false), (Tier::Warm, "goal", true)]);
    assert_eq!(snapshot.get("goal").map(|found| found.kept), Some(true));
    assert_eq!((store.snapshot_of(Tier::Warm).len(), store.snapshot_of(Tier::Hot).len()), (1, 1));
}

/// The goal is hot in every reading, whatever goes on, and hot never holds more than the budget.
#[test]
fn a_kept_fragment_is_in_every_prompt() {
    const NUMBERS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    let rounds = if cfg!(debug_assertions) { 3_000 } else { 30_000 };
    let (store, is_over) = (weights(100), AtomicBool::new(false));
    store.store("goal", 30).unwrap();
    store.keep("goal").unwrap();
    thread::scope(|scope| {
        let writers = [1_usize, 2].map(|seed| {
            let store = &store;
            scope.spawn(move || {
                for round in 0..rounds {
                    let name = NUMBERS[(round * seed * 7 + seed) % NUMBERS.len()];
                    match round % 9 {
                        0..=3 => drop(store.store(name, 10 + round as u64 % 60)),
                        4 => _ = store.promote_to(name, Tier::Hot),
                        5 => drop(store.evict_lru(Tier::Hot)),
                        6 => _ = store.keep(name),
                        7 => _ = store.let_go(name),
                        _ => assert!(store.store("goal", 30).unwrap().kept),
                    }
                }
            })
        });
        for walker in 0..2 {
            let (store, is_over) = (&store, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let found = if walker == 0 {
                        store.iter(Tier::Hot).filter(|item| item.key == "goal").count()
                    } else {
                        let snapshot = store.snapshot_of(Tier::Hot);
                        assert!(snapshot.bytes(Tier::Hot) <= 100);
                        snapshot.iter().filter(|(_, item)| item.key == "goal").count()
                    };
                    assert_eq!(found, 1);
                    assert!(store.get("goal").is_some_and(|found| found.tier == Tier::Hot && found.kept));
                    assert!(store.hot_bytes() <= 100);
                }
            });
        }
        let ends = writers.map(thread::ScopedJoinHandle::join);
        is_over.store(true, Ordering::Relaxed);
        assert!(ends.iter().all(Result::is_ok));
    });
    audit(&store, NAMES);
}
