//! What each operation promises, one small story at a time.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tierstack::{
    BudgetError, BuildError, Capacity, Evicted, Fragment, Item, MAX_BYTES, Moved, PromoteError, Refusal, Stored, Tier,
    TierStore,
};

use common::{RaiseOnDrop, audit, together, together_watched};

/// A store of numbers that weigh what they say.
fn weights(budget: u64) -> TierStore<&'static str, u64> {
    TierStore::<&'static str, u64>::builder(budget).weigher(|_, weight| *weight).build().unwrap()
}

fn keys(store: &TierStore<&'static str, u64>, tier: Tier) -> Vec<&'static str> {
    store.iter(tier).map(|item| item.key).collect()
}

/// Stores alone: where it went, and what it replaced.
fn put(store: &TierStore<&'static str, u64>, key: &'static str, weight: u64) -> (Tier, Option<u64>) {
    let Stored { tier, replaced, contended, .. } = store.store(key, weight).unwrap();
    assert!(!contended);
    (tier, replaced)
}

fn read(fragment: Option<Fragment<u64>>) -> Option<(u64, Tier, u64)> {
    fragment.map(|Fragment { value, tier, weight, .. }| (value, tier, weight))
}

const STAYED_HOT: Moved = Moved { from: Tier::Hot, to: Tier::Hot };

#[test]
fn concurrent_stores_lose_nothing() {
    const THREADS: usize = 8;
    const EACH: u64 = 500;
    const ALL: u64 = THREADS as u64 * EACH;
    let store = TierStore::<u64, String>::builder(4096).weigher(|_, text| text.len() as u64).build().unwrap();
    together(THREADS, |thread| {
        for number in 0..EACH {
            let key = thread as u64 * EACH + number;
            let stored = store.store(key, format!("fragment {key}")).unwrap();
            assert_eq!(stored.replaced, None);
        }
    });

    let found = audit(&store, 0..ALL);
    assert_eq!(found.len() as u64, ALL);
    for (key, fragment) in found {
        assert_eq!(fragment.value, format!("fragment {key}"));
    }
    assert_eq!(store.metrics().stores, ALL);
}

#[test]
fn concurrent_promotions_and_demotions_keep_the_tier_counts_consistent() {
    const KEYS: u64 = 64;
    let store = TierStore::<u64, ()>::builder(16).weigher(|_, ()| 1).build().unwrap();
    for key in 0..KEYS {
        store.store(key, ()).unwrap();
    }
    together_watched(
        8,
        |thread| {
            for step in 0..4000 {
                let key = (step * 7 + thread as u64) % KEYS;
                if (step + thread as u64).is_multiple_of(2) {
                    assert_ne!(store.promote(&key), Err(PromoteError::NotFound));
                } else {
                    assert!(store.demote(&key).is_some());
                }
            }
        },
        || assert!(Tier::ALL.iter().all(|tier| store.len(*tier) <= KEYS + 8)),
    );

    assert_eq!(audit(&store, 0..KEYS).len() as u64, KEYS);
    assert_eq!(Tier::ALL.map(|tier| store.len(tier)).iter().sum::<u64>(), KEYS);
}

#[test]
fn overflow_demotes_and_never_deletes() {
    let store =
        TierStore::<u64, ()>::builder(4).weigher(|_, ()| 1).warm_capacity(Capacity::entries(4)).build().unwrap();
    for key in 0..100 {
        store.store(key, ()).unwrap();
    }
    let keys = |tier| store.iter(tier).map(|item| item.key).collect::<Vec<_>>();
    assert_eq!(keys(Tier::Hot), [99, 98, 97, 96]);
    assert_eq!(keys(Tier::Warm), [95, 94, 93, 92]);
    assert_eq!(keys(Tier::Cold), (0..92).rev().collect::<Vec<_>>());
    assert_eq!(store.metrics().overflowed, 0);
}

#[test]
fn promotion_has_no_hole() {
    let store = weights(1);
    store.store("moving", 1).unwrap();
    let over = AtomicBool::new(false);
    together(3, |thread| {
        if thread == 0 {
            let _end = RaiseOnDrop(&over);
            for _ in 0..20_000 {
                store.demote_to("moving", Tier::Cold).unwrap();
                store.promote("moving").unwrap();
                store.promote("moving").unwrap();
            }
        }
        while !over.load(Ordering::Acquire) {
            assert!(store.contains("moving"));
            assert_eq!(store.get("moving").expect("it is always somewhere").value, 1);
        }
    });
}

#[test]
fn the_budget_is_never_overshot() {
    const BUDGET: u64 = 1000;
    let store = TierStore::<u64, u64>::builder(BUDGET).weigher(|_, weight| *weight).build().unwrap();
    together_watched(
        4,
        |thread| {
            for step in 0..4000 {
                let (key, weight) = ((step * 5 + thread as u64) % 50, (step * 13) % 400);
                store.store(key, weight).unwrap();
                store.promote(&((key + 25) % 50)).unwrap_or(STAYED_HOT);
            }
        },
        || assert!(store.hot_bytes() <= BUDGET),
    );
    audit(&store, 0..50);
    assert!(store.metrics().peak_hot_bytes <= BUDGET);
}

#[test]
fn a_new_store_is_empty() {
    let store = TierStore::<String, String>::new(10).unwrap();
    assert!(store.is_empty());
    assert_eq!((store.hot_budget(), store.hot_bytes()), (10, 0));
    assert_eq!(store.get("nothing"), None);
    assert_eq!(store.metrics().misses, 1);
    assert_eq!(
        TierStore::<String, String>::new(MAX_BYTES + 1).err(),
        Some(BuildError::BudgetTooLarge { budget: MAX_BYTES + 1 })
    );
}

#[test]
fn without_a_weigher_a_fragment_weighs_what_its_key_and_value_take_inline() {
    let store = TierStore::<u32, [u8; 12]>::new(16).unwrap();
    assert_eq!(store.store(1, [0; 12]).unwrap().tier, Tier::Hot);
    assert_eq!(store.hot_bytes(), 16);
}

#[test]
fn store_demotes_the_least_recently_used_until_it_fits() {
    let store = weights(10);
    for key in ["a", "b", "c"] {
        assert_eq!(put(&store, key, 3), (Tier::Hot, None));
    }
    assert_eq!(put(&store, "d", 5), (Tier::Hot, None));
    assert_eq!((keys(&store, Tier::Hot), keys(&store, Tier::Warm)), (vec!["d", "c"], vec!["b", "a"]));
}

#[test]
fn store_replaces_and_counts_the_bytes_of_a_hot_predecessor_as_free() {
    let store = weights(10);
    store.store("a", 4).unwrap();
    store.store("b", 6).unwrap();
    // Though "a" is the least recently used, it is not demoted for the sake of its own successor.
    assert_eq!(put(&store, "a", 3), (Tier::Hot, Some(4)));
    assert_eq!(store.hot_bytes(), 9);
    // Its bytes alone are not enough now.
    assert_eq!(put(&store, "a", 5), (Tier::Hot, Some(3)));
    assert_eq!((keys(&store, Tier::Hot), keys(&store, Tier::Warm)), (vec!["a"], vec!["b"]));
    // One that stood below is hot again.
    assert_eq!(put(&store, "b", 1), (Tier::Hot, Some(6)));
    assert_eq!(store.metrics().replacements, 3);
}

#[test]
fn store_puts_what_is_heavier_than_the_budget_into_warm_and_evicts_nobody() {
    let store = weights(10);
    store.store("a", 10).unwrap();
    assert_eq!(put(&store, "heavy", 11), (Tier::Warm, None));
    assert_eq!(store.tier_of("a"), Some(Tier::Hot));
    assert_eq!(put(&store, "a", 12), (Tier::Warm, Some(10)));
    assert_eq!((store.hot_bytes(), store.metrics().evictions), (0, 0));
}

#[test]
fn store_hands_back_what_is_too_heavy_for_any_store() {
    let store = weights(10);
    store.store("a", 1).unwrap();
    let refused = store.store("a", MAX_BYTES + 1).unwrap_err();
    assert_eq!((refused.key, refused.value), ("a", MAX_BYTES + 1));
    assert_eq!(refused.reason, Refusal::TooHeavy { weight: MAX_BYTES + 1 });
    assert_eq!(store.peek("a").unwrap().value, 1);
    assert_eq!(store.metrics().stores, 1);
}

#[test]
fn get_counts_as_a_use_and_peek_does_not() {
    let store = weights(10);
    for key in ["a", "b", "c"] {
        store.store(key, 1).unwrap();
    }
    assert_eq!(read(store.get("a")), Some((1, Tier::Hot, 1)));
    assert_eq!(keys(&store, Tier::Hot), ["a", "c", "b"]);

    assert_eq!(read(store.peek("b")), Some((1, Tier::Hot, 1)));
    assert!(store.contains("b"));
    assert_eq!(store.tier_of("b"), Some(Tier::Hot));
    assert_eq!((store.peek("z"), store.contains("z"), store.tier_of("z")), (None, false, None));
    assert_eq!(keys(&store, Tier::Hot), ["a", "c", "b"]);

    assert_eq!(store.get("z"), None);
    let metrics = store.metrics();
    assert_eq!((metrics.hits, metrics.misses), (1, 1), "of get alone");
}

#[test]
fn get_below_hot_moves_nothing_up_but_counts_as_a_use() {
    let store = weights(10);
    for key in ["a", "b"] {
        store.store(key, 1).unwrap();
        store.demote(key).unwrap();
    }
    assert_eq!(store.get("a").unwrap().tier, Tier::Warm);
    assert_eq!(keys(&store, Tier::Warm), ["a", "b"]);
}

#[test]
fn promote_goes_one_tier_up_and_counts_as_a_use() {
    let store = weights(2);
    for key in ["a", "b"] {
        store.store(key, 1).unwrap();
    }
    store.demote_to("a", Tier::Cold).unwrap();
    assert_eq!(store.promote("a"), Ok(Moved { from: Tier::Cold, to: Tier::Warm }));
    assert_eq!(store.promote("a"), Ok(Moved { from: Tier::Warm, to: Tier::Hot }));
    assert_eq!(store.promote("b"), Ok(STAYED_HOT));
    assert_eq!(keys(&store, Tier::Hot), ["b", "a"], "from hot it stays, as a use");
    assert_eq!(store.promote("z"), Err(PromoteError::NotFound));
    assert_eq!(store.metrics().promotions, 2);
}

#[test]
fn promote_to_never_lowers() {
    let store = weights(2);
    for key in ["a", "b"] {
        store.store(key, 1).unwrap();
    }
    assert_eq!(store.promote_to("a", Tier::Cold), Ok(STAYED_HOT));
    assert_eq!(keys(&store, Tier::Hot), ["a", "b"], "where it is already, it is used all the same");
    store.demote_to("a", Tier::Cold).unwrap();
    assert_eq!(store.promote_to("a", Tier::Hot), Ok(Moved { from: Tier::Cold, to: Tier::Hot }));
    assert_eq!(store.promote_to("z", Tier::Hot), Err(PromoteError::NotFound));
}

#[test]
fn promote_makes_room_among_the_others() {
    let store = weights(4);
    for (key, weight) in [("a", 3), ("b", 2), ("c", 2)] {
        store.store(key, weight).unwrap();
    }
    assert_eq!(keys(&store, Tier::Warm), ["a"]);
    assert_eq!(store.promote("a"), Ok(Moved { from: Tier::Warm, to: Tier::Hot }));
    assert_eq!((keys(&store, Tier::Hot), keys(&store, Tier::Warm)), (vec!["a"], vec!["c", "b"]));
}

#[test]
fn promote_refuses_what_is_heavier_than_the_budget_and_changes_nothing() {
    let store = weights(10);
    store.store("heavy", 11).unwrap();
    store.store("a", 1).unwrap();
    store.demote("a").unwrap();
    let refused = Err(PromoteError::OverBudget { weight: 11, budget: 10 });
    assert_eq!(store.promote("heavy"), refused);
    assert_eq!(store.promote_to("heavy", Tier::Hot), refused);
    assert_eq!(keys(&store, Tier::Warm), ["a", "heavy"], "a refusal is no use");
    assert_eq!(store.metrics().promotions, 0);
}

#[test]
fn demote_goes_one_tier_down_and_keeps_the_last_use() {
    let store = weights(10);
    for key in ["a", "b", "c"] {
        store.store(key, 1).unwrap();
    }
    for key in ["c", "a", "b"] {
        assert_eq!(store.demote(key), Some(Moved { from: Tier::Hot, to: Tier::Warm }));
    }
    assert_eq!(keys(&store, Tier::Warm), ["c", "b", "a"]);
    assert_eq!(store.demote("b"), Some(Moved { from: Tier::Warm, to: Tier::Cold }));
    assert_eq!(store.demote("b"), Some(Moved { from: Tier::Cold, to: Tier::Cold }), "from cold it stays");
    assert_eq!(store.demote("z"), None);
    assert_eq!(store.metrics().demotions, 4);
}

#[test]
fn demote_to_never_raises() {
    let store = weights(10);
    store.store("a", 1).unwrap();
    assert_eq!(store.demote_to("a", Tier::Cold), Some(Moved { from: Tier::Hot, to: Tier::Cold }));
    assert_eq!(store.demote_to("a", Tier::Hot), Some(Moved { from: Tier::Cold, to: Tier::Cold }));
    assert_eq!(store.demote_to("z", Tier::Hot), None);
    assert_eq!(store.metrics().demotions, 1);
}

#[test]
fn evict_lru_moves_the_least_recently_used_down_and_hands_back_what_leaves() {
    let store = weights(10);
    for key in ["a", "b"] {
        store.store(key, 1).unwrap();
    }
    store.get("a").unwrap();
    let evicted = |key, from, to| Some(Evicted { key, value: 1, weight: 1, from, to });
    assert_eq!(store.evict_lru(Tier::Hot), evicted("b", Tier::Hot, Some(Tier::Warm)));
    assert_eq!(store.evict_lru(Tier::Warm), evicted("b", Tier::Warm, Some(Tier::Cold)));
    assert_eq!(store.evict_lru(Tier::Cold), evicted("b", Tier::Cold, None));
    assert!(!store.contains("b"));
    assert_eq!(store.evict_lru(Tier::Cold), None);
    assert_eq!((store.metrics().evictions, store.metrics().overflowed), (3, 0));
}

#[test]
fn remove_hands_back_the_fragment() {
    let store = weights(10);
    store.store("a", 4).unwrap();
    assert_eq!(read(store.remove("a")), Some((4, Tier::Hot, 4)));
    assert_eq!((store.get("a"), store.remove("a")), (None, None));
    assert!(store.is_empty());
    assert_eq!((store.hot_bytes(), store.metrics().removals), (0, 1));
    assert_eq!(put(&store, "a", 10), (Tier::Hot, None), "its bytes are free again");
}

#[test]
fn a_lowered_budget_demotes_until_hot_fits() {
    let store = weights(10);
    for key in ["a", "b", "c"] {
        store.store(key, 3).unwrap();
    }
    assert_eq!(store.set_hot_budget(6).map(|enforced| enforced.demoted), Ok(1));
    assert_eq!(keys(&store, Tier::Hot), ["c", "b"]);
    assert_eq!(store.set_hot_budget(0).map(|enforced| enforced.demoted), Ok(2));
    assert_eq!((store.hot_bytes(), store.enforce_hot_budget().demoted), (0, 0));
    assert_eq!(store.set_hot_budget(100).map(|enforced| enforced.demoted), Ok(0), "a raised budget calls nobody back");
    assert_eq!(keys(&store, Tier::Warm), ["c", "b", "a"]);
    assert_eq!(store.set_hot_budget(MAX_BYTES + 1), Err(BudgetError { budget: MAX_BYTES + 1 }));
    assert_eq!(store.hot_budget(), 100);
}

#[test]
fn iter_runs_from_the_most_to_the_least_recently_used() {
    let store = weights(10);
    for (key, weight) in [("a", 1), ("b", 2), ("c", 3)] {
        store.store(key, weight).unwrap();
    }
    store.get("b").unwrap();
    let items: Vec<_> = store.iter(Tier::Hot).collect();
    let listed: Vec<_> = items.iter().map(|Item { key, value, weight, .. }| (*key, *value, *weight)).collect();
    assert_eq!(listed, [("b", 2, 2), ("c", 3, 3), ("a", 1, 1)]);
    // What changes later does not change what was taken.
    let taken = store.iter(Tier::Hot);
    store.remove("a").unwrap();
    assert_eq!(taken.collect::<Vec<_>>(), items);
}

#[test]
fn warm_overflows_into_cold_and_cold_into_the_listener() {
    let handed = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&handed);
    let store = TierStore::<&'static str, u64>::builder(1)
        .weigher(|_, weight| *weight)
        .warm_capacity(Capacity::entries(1).and_bytes(2))
        .cold_capacity(Capacity::bytes(2))
        .listener(move |gone| record.lock().unwrap().push((*gone.key, *gone.value)))
        .build()
        .unwrap();
    for key in ["a", "b", "c", "d"] {
        store.store(key, 1).unwrap();
    }
    assert_eq!(Tier::ALL.map(|tier| keys(&store, tier)), [vec!["d"], vec!["c"], vec!["b", "a"]]);
    assert_eq!(*handed.lock().unwrap(), []);
    store.store("e", 1).unwrap();
    assert_eq!(*handed.lock().unwrap(), [("a", 1)]);
    // Too heavy for hot, but not for warm or cold: everything older makes room for it.
    assert_eq!(put(&store, "heavy", 2), (Tier::Warm, None));
    assert_eq!(*handed.lock().unwrap(), [("a", 1), ("b", 1)]);
    assert_eq!(Tier::ALL.map(|tier| keys(&store, tier)), [vec!["e"], vec!["heavy"], vec!["d", "c"]]);
    assert_eq!(store.metrics().overflowed, 2);
    audit(&store, ["a", "b", "c", "d", "e", "heavy"]);
}

/// A store whose warm holds at most 100 bytes and its cold 500, with 10 bytes in hot, 100 in warm and 490 in cold; and its listener's record.
fn filled() -> (TierStore<&'static str, u64>, Arc<Mutex<Vec<&'static str>>>) {
    let handed = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&handed);
    let store = TierStore::<&'static str, u64>::builder(1_000)
        .weigher(|_, weight| *weight)
        .warm_capacity(Capacity::bytes(100))
        .cold_capacity(Capacity::bytes(500))
        .listener_causes([tierstack::Cause::Overflowed])
        .listener(move |gone| record.lock().unwrap().push(*gone.key))
        .build()
        .unwrap();
    for (key, weight, tier) in [("c", 60, Tier::Cold), ("d", 430, Tier::Cold), ("w", 100, Tier::Warm)] {
        store.store(key, weight).unwrap();
        store.demote_to(key, tier).unwrap();
    }
    store.store("h", 10).unwrap();
    (store, handed)
}

#[test]
fn what_is_heavier_than_a_whole_capacity_goes_straight_on_and_the_others_stay() {
    type Way = fn(&TierStore<&'static str, u64>);
    let ways: [Way; 4] = [
        |store| {
            store.set_hot_budget(50).unwrap();
            assert_eq!(put(store, "x", 1_000), (Tier::Warm, None));
        },
        |store| {
            store.store("x", 501).unwrap();
            assert_eq!(store.demote("x"), Some(Moved { from: Tier::Hot, to: Tier::Warm }));
        },
        |store| {
            store.store("x", 600).unwrap();
            store.get("h").unwrap();
            assert_eq!(store.evict_lru(Tier::Hot).unwrap().to, Some(Tier::Warm));
        },
        |store| {
            store.store("x", 700).unwrap();
            store.get("h").unwrap();
            assert_eq!(store.set_hot_budget(20).map(|enforced| enforced.demoted), Ok(1));
        },
    ];
    for way in ways {
        let (store, handed) = filled();
        way(&store);
        assert_eq!(Tier::ALL.map(|tier| store.bytes(tier)), [10, 100, 490]);
        assert_eq!(*handed.lock().unwrap(), ["x"]);
        audit(&store, ["c", "d", "w", "h", "x"]);
    }
}

#[test]
fn what_warm_cannot_hold_goes_to_cold_and_comes_back_in_vain() {
    let (store, handed) = filled();
    store.store("x", 400).unwrap();
    assert_eq!(store.demote("x"), Some(Moved { from: Tier::Hot, to: Tier::Warm }));
    assert_eq!((store.tier_of("x"), store.bytes(Tier::Warm)), (Some(Tier::Cold), 100));
    assert_eq!(*handed.lock().unwrap(), ["c", "d"], "that much cold had to make room");
    assert_eq!(store.promote("x"), Ok(Moved { from: Tier::Cold, to: Tier::Warm }));
    assert_eq!(Tier::ALL.map(|tier| store.bytes(tier)), [10, 100, 400]);
    // To hot it can be promoted.
    assert_eq!(store.promote_to("x", Tier::Hot), Ok(Moved { from: Tier::Cold, to: Tier::Hot }));
    audit(&store, ["c", "d", "w", "h", "x"]);
}

#[test]
fn a_view_lends_values_and_keeps_them_alive() {
    let store = TierStore::<String, String>::new(1 << 20).unwrap();
    store.store("plan".into(), "first draft".into()).unwrap();
    let view = store.pin();
    let first = view.get("plan").unwrap();
    let replaced = view.store("plan".into(), "second draft".into()).unwrap().replaced;
    let removed = view.remove("plan").unwrap();
    assert_eq!((first.value.as_str(), removed.value.as_str()), ("first draft", "second draft"));
    assert_eq!(replaced, Some(first.value));
    assert!(!view.contains("plan"));
}

#[test]
fn a_views_listeners_run_when_it_is_repinned_or_dropped() {
    let handed = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&handed);
    let store = TierStore::<u64, ()>::builder(0)
        .weigher(|_, ()| 1)
        .warm_capacity(Capacity::entries(0))
        .cold_capacity(Capacity::entries(0))
        .listener(move |gone| record.lock().unwrap().push(*gone.key))
        .build()
        .unwrap();
    let mut view = store.pin();
    view.store(1, ()).unwrap();
    assert!(!view.contains(&1));
    assert_eq!(*handed.lock().unwrap(), []);
    view.repin();
    assert_eq!(*handed.lock().unwrap(), [1]);
    view.store(2, ()).unwrap();
    drop(view);
    assert_eq!(*handed.lock().unwrap(), [1, 2]);
}
