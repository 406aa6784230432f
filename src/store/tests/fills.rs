//! Entries that are filled for a move that is lost: at rest there is one exactly where a word says that a fragment is.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use super::sweep::validate;
use crate::failpoint::{Step, arm};
use crate::{Capacity, Tier, TierStore};

type Store = Arc<TierStore<u32, u64>>;

/// A store with the fragments 1, 2 and 3 in hot, the oldest first.
fn store() -> Store {
    let store = TierStore::builder(100).weigher(|_: &u32, _: &u64| 1);
    let store = Arc::new(store.warm_capacity(Capacity::entries(50)).build().unwrap());
    for key in 1..=3 {
        store.store(key, 0).unwrap();
    }
    store
}

/// Has another thread do that, to its end.
fn elsewhere(store: &Store, run: impl FnOnce(&Store) + Send + 'static) {
    let store = Arc::clone(store);
    thread::spawn(move || run(&store)).join().unwrap();
}

/// The same, when this thread next reaches `step`.
fn at(step: Step, store: &Store, run: impl FnOnce(&Store) + Send + 'static) {
    let store = Arc::clone(store);
    arm(step, move || elsewhere(&store, run));
}

fn tiers(store: &Store) -> [Option<Tier>; 3] {
    [1, 2, 3].map(|key| store.tier_of(&key))
}

fn get(store: &Store, key: u32) {
    assert!(store.get(&key).is_some());
}

const HOT: Option<Tier> = Some(Tier::Hot);
const WARM: Option<Tier> = Some(Tier::Warm);
const COLD: Option<Tier> = Some(Tier::Cold);

#[test]
fn a_sinker_whose_fragment_another_has_sunk_leaves_the_entry() {
    let store = store();
    at(Step::Filled, &store, |store| assert_eq!(store.evict_lru(Tier::Hot).unwrap().key, 1));
    assert_eq!(store.evict_lru(Tier::Hot).unwrap().key, 2);
    assert_eq!(tiers(&store), [WARM, WARM, HOT]);
    assert_eq!(validate(&store), 3);
}

#[test]
fn a_sinker_whose_fragment_has_gone_beyond_clears_the_entry() {
    type Meanwhile = fn(&Store);
    let risen: Meanwhile = |store| _ = store.promote(&1).unwrap();
    let removed: Meanwhile = |store| _ = store.remove(&1).unwrap();
    let replaced: Meanwhile = |store| _ = store.store(1, 7).unwrap();
    let sunk_further: Meanwhile = |store| _ = store.demote_to(&1, Tier::Cold).unwrap();
    let sunk_and_risen: Meanwhile = |store| {
        assert_eq!(store.evict_lru(Tier::Hot).unwrap().key, 1);
        store.promote(&1).unwrap();
    };
    for (meanwhile, first) in
        [(risen, HOT), (removed, None), (replaced, HOT), (sunk_further, COLD), (sunk_and_risen, HOT)]
    {
        let store = store();
        at(Step::Filled, &store, meanwhile);
        assert_eq!(store.evict_lru(Tier::Hot).unwrap().key, 2);
        assert_eq!(tiers(&store), [first, WARM, HOT]);
        validate(&store);
    }
}

#[test]
fn a_sinker_whose_fragment_is_used_leaves_no_entry() {
    let store = store();
    at(Step::Filled, &store, |store| get(store, 1));
    assert_eq!(store.evict_lru(Tier::Hot).unwrap().key, 2);
    assert_eq!(tiers(&store), [HOT, WARM, HOT]);
    assert_eq!(validate(&store), 3);
}

/// An entry that is settled as prefilled, when the word has changed again before its filler goes on.
#[test]
fn what_is_prefilled_is_cleared_by_who_moves_the_word_beyond_it() {
    type Meanwhile = fn(&Store);
    let moves: [(Meanwhile, _); 4] = [
        (|store| _ = store.promote(&1).unwrap(), HOT),
        (|store| _ = store.remove(&1).unwrap(), None),
        (|store| _ = store.store(1, 7).unwrap(), HOT),
        (|store| _ = store.demote_to(&1, Tier::Cold).unwrap(), COLD),
    ];
    for (meanwhile, first) in moves {
        let store = store();
        let other = Arc::clone(&store);
        arm(Step::Filled, move || {
            elsewhere(&other, |store| get(store, 1));
            // Then the entry is settled, and the eviction is about to re-list the fragment.
            at(Step::Settled, &other, meanwhile);
        });
        assert_eq!(store.evict_lru(Tier::Hot).unwrap().key, 2);
        assert_eq!(tiers(&store), [first, WARM, HOT]);
        validate(&store);
    }
}

#[test]
fn a_demotion_by_two_tiers_goes_on_past_one_by_one() {
    let store = store();
    at(Step::Filled, &store, |store| assert_eq!(store.demote(&1).unwrap().to, Tier::Warm));
    let moved = store.demote_to(&1, Tier::Cold).unwrap();
    assert_eq!((moved.from, moved.to), (Tier::Warm, Tier::Cold));
    assert_eq!(tiers(&store), [COLD, HOT, HOT]);
    assert_eq!(validate(&store), 3);
}

#[test]
fn a_promotion_that_is_lost_leaves_no_entry_at_its_tick() {
    let store = store();
    store.demote(&1).unwrap();
    at(Step::Filled, &store, |store| assert_eq!(store.demote(&1).unwrap().to, Tier::Cold));
    assert_eq!(store.promote_to(&1, Tier::Hot).unwrap().from, Tier::Cold);
    at(Step::Filled, &store, |store| get(store, 1));
    assert_eq!(store.promote_to(&1, Tier::Hot).unwrap().from, Tier::Hot);
    at(Step::Filled, &store, |store| _ = store.remove(&1).unwrap());
    assert!(store.promote_to(&1, Tier::Hot).is_err());
    assert_eq!(tiers(&store), [None, HOT, HOT]);
    assert_eq!(validate(&store), 2);
}

/// A use that is younger than a rise in progress: the entry of an eviction's re-listing is ahead of the word that the rise makes. The re-listing that
/// settles it brings the word to the same tick, in a higher tier.
#[test]
fn an_entry_at_a_last_use_is_settled_where_the_fragment_has_risen_by_an_older_tick() {
    type After = fn(&Store);
    let afters: [(After, _); 5] = [
        (|_| {}, HOT),
        (|store| _ = store.demote(&1).unwrap(), WARM),
        (|store| _ = store.demote_to(&1, Tier::Cold).unwrap(), COLD),
        (|store| _ = store.promote(&1).unwrap(), HOT),
        (|store| _ = store.remove(&1).unwrap(), None),
    ];
    for (after, first) in afters {
        let store = store();
        store.demote(&1).unwrap();
        let (go_on, may_go_on) = channel::<()>();
        let (sender, evictor) = channel();
        let other = Arc::clone(&store);
        arm(Step::Filled, move || {
            let (sent, has_filled) = channel();
            let eviction = thread::spawn(move || {
                get(&other, 1);
                arm(Step::Filled, move || {
                    sent.send(()).unwrap();
                    may_go_on.recv().unwrap();
                });
                other.evict_lru(Tier::Warm).map(|evicted| evicted.key)
            });
            has_filled.recv().unwrap();
            sender.send(eviction).unwrap();
        });
        assert_eq!(store.promote(&1).unwrap().to, Tier::Hot);
        go_on.send(()).unwrap();
        assert_eq!(evictor.recv().unwrap().join().unwrap(), None, "warm is empty");
        assert_eq!(tiers(&store), [HOT, HOT, HOT]);
        validate(&store);
        // The use is the youngest.
        assert_eq!(store.iter(Tier::Hot).next().unwrap().key, 1);
        after(&store);
        assert_eq!(tiers(&store), [first, HOT, HOT]);
        validate(&store);
    }
}

#[test]
fn a_store_whose_predecessor_is_moved_above_its_tick_takes_a_younger_one() {
    let store = store();
    let tick = |store: &TierStore<u32, u64>| {
        let guard = crossbeam_epoch::pin();
        store.core.index.find(store.hash(&1), |key| *key == 1, &guard).unwrap().1.tick()
    };
    let (sender, promoted) = channel();
    // After the storer has taken its tick: the key's place is the youngest, and stays so.
    at(Step::Filled, &store, move |store| {
        store.promote(&1).unwrap();
        sender.send(tick(store)).unwrap();
    });
    store.store(1, 7).unwrap();
    assert!(tick(&store) > promoted.recv().unwrap(), "who walks up the order would miss it");
    let keys: Vec<_> = store.iter(Tier::Hot).map(|item| (item.key, item.value)).collect();
    assert_eq!(keys, [(1, 7), (3, 0), (2, 0)]);
    assert_eq!(validate(&store), 3);
}

/// A walk that has passed where the successor is to be, and then comes to the predecessor.
#[test]
fn a_key_that_is_replaced_while_it_is_the_only_one_is_not_missed() {
    for step in [Step::Committed, Step::Published] {
        let store = Arc::new(TierStore::builder(100).weigher(|_: &u32, _: &u64| 1).build().unwrap());
        store.store(1, 0).unwrap();
        at(step, &store, |store| {
            assert_eq!(store.iter(Tier::Hot).map(|item| item.value).collect::<Vec<_>>(), [7]);
            let evicted = store.evict_lru(Tier::Hot).expect("hot was never empty");
            assert_eq!((evicted.key, evicted.value), (1, 7));
        });
        assert_eq!(store.store(1, 7).unwrap().tier, Tier::Hot);
        assert_eq!(store.tier_of(&1), WARM);
        assert_eq!(validate(&store), 1);
    }
}

#[test]
fn what_is_not_published_is_passed_by_until_somebody_has_seen_it() {
    for is_seen in [false, true] {
        let store = Arc::new(TierStore::builder(100).weigher(|_: &u32, _: &u64| 1).build().unwrap());
        at(Step::Inserted, &store, move |store| {
            if is_seen {
                assert!(store.contains(&1));
            }
            assert_eq!(store.iter(Tier::Hot).count(), usize::from(is_seen));
            assert_eq!(store.evict_lru(Tier::Hot).map(|evicted| evicted.key), is_seen.then_some(1));
        });
        assert_eq!(store.store(1, 0).unwrap().tier, Tier::Hot);
        assert_eq!(tiers(&store), [if is_seen { WARM } else { HOT }, None, None]);
        assert_eq!(validate(&store), 1);
    }
}
