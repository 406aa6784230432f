//! The whole store: pairs of operations on one key, from each tier, with its index, orders, budget and collector.
//!
//! Whatever two threads are answered, and what is left, is explained by some order of the two; and the counts are exact at rest.

use std::sync::Arc;

use loom_tests::both_hold;
use loom_tests::collected::{Plain, collected, spawn};
use loom_tests::spec::{Answer, Op, State, explains};
use tierstack::{Moved, PromoteError, Tier, TierStore};

type Store = TierStore<u64, u64, Plain>;

const KEY: u64 = 1;
const WEIGHT: u64 = 5;

fn run(store: &Store, op: Op) -> Answer {
    let ends = |moved: Moved| (moved.from, moved.to);
    match op {
        Op::Store(value) => {
            let stored = store.store(KEY, value).unwrap();
            Answer::Stored { tier: stored.tier, replaced: stored.replaced, contended: stored.contended }
        }
        Op::Get => Answer::Found(store.get(&KEY).map(|found| (found.value, found.tier))),
        Op::Promote => Answer::Moved(match store.promote_to(&KEY, Tier::Hot) {
            Ok(moved) => Some(ends(moved)),
            Err(PromoteError::NotFound) => None,
            Err(error) => panic!("{error}"),
        }),
        Op::Demote => Answer::Moved(store.demote(&KEY).map(ends)),
        Op::Evict(tier) => Answer::Evicted(store.evict_lru(tier).map(|evicted| evicted.value)),
        Op::Remove => Answer::Removed(store.remove(&KEY).map(|found| (found.value, found.tier))),
    }
}

/// A store with room for four, and the key's fragment in `tier`, if any.
fn store(tier: Option<Tier>) -> Arc<Store> {
    let store = TierStore::builder(4 * WEIGHT).hasher(Plain).weigher(|_, _| WEIGHT).build().unwrap();
    if let Some(tier) = tier {
        store.store(KEY, 1).unwrap();
        store.demote_to(&KEY, tier).unwrap();
    }
    Arc::new(store)
}

/// What is there at rest, if the counts agree.
fn at_rest(store: &Store) -> State {
    let state = store.peek(&KEY).map(|found| (found.value, found.tier));
    for tier in Tier::ALL {
        let fragments = u64::from(state.is_some_and(|(_, now)| now == tier));
        assert_eq!((store.len(tier), store.bytes(tier)), (fragments, fragments * WEIGHT), "{tier:?}");
        assert_eq!(store.iter(tier).count() as u64, fragments, "listed in {tier:?}");
    }
    state
}

fn beside(name: &str, first: Option<Tier>, spawned: Op, own: Op) {
    let store = store(first);
    let thread = {
        let store = Arc::clone(&store);
        spawn(move || run(&store, spawned))
    };
    let done = [(own, run(&store, own)), (spawned, thread.join().unwrap())];
    // What follows is sequential.
    loom::skip_branch();
    let (first, last) = (first.map(|tier| (1, tier)), at_rest(&store));
    assert!(explains(first, &done, None, last), "{name}: {first:?}, {done:?}, {last:?}");
}

/// Explores both operations beside each other; each has its turn as the thread that is spawned.
fn pair(first: Option<Tier>, one: Op, other: Op) {
    let name = format!("{first:?}: {one:?}, {other:?}");
    let names = [name.clone(), name.clone()];
    let [left, right] = names;
    both_hold(
        &name,
        2,
        (
            move || {
                let left = left.clone();
                collected(move || beside(&left, first, one, other));
            },
            move || {
                let right = right.clone();
                collected(move || beside(&right, first, other, one));
            },
        ),
    );
}

const HOT: Option<Tier> = Some(Tier::Hot);
const WARM: Option<Tier> = Some(Tier::Warm);

#[test]
fn two_stores_of_a_new_key() {
    pair(None, Op::Store(2), Op::Store(3));
}

#[test]
fn two_stores_of_a_hot_key() {
    pair(HOT, Op::Store(2), Op::Store(3));
}

#[test]
fn two_stores_of_a_warm_key() {
    pair(WARM, Op::Store(2), Op::Store(3));
}

#[test]
fn a_store_beside_a_get() {
    for first in [None, HOT, WARM] {
        pair(first, Op::Store(2), Op::Get);
    }
}

#[test]
fn a_store_beside_a_promotion() {
    for first in [None, HOT, WARM] {
        pair(first, Op::Store(2), Op::Promote);
    }
}

#[test]
fn a_store_beside_a_demotion() {
    for first in [None, HOT, WARM] {
        pair(first, Op::Store(2), Op::Demote);
    }
}

#[test]
fn a_store_beside_an_eviction() {
    pair(None, Op::Store(2), Op::Evict(Tier::Hot));
    for tier in Tier::ALL {
        pair(Some(tier), Op::Store(2), Op::Evict(tier));
    }
}

#[test]
fn a_store_beside_a_removal() {
    for first in [None, HOT, WARM] {
        pair(first, Op::Store(2), Op::Remove);
    }
}

#[test]
fn a_get_beside_moves() {
    for tier in Tier::ALL {
        pair(Some(tier), Op::Get, Op::Get);
        pair(Some(tier), Op::Get, Op::Promote);
        pair(Some(tier), Op::Get, Op::Demote);
    }
}

#[test]
fn a_get_beside_an_eviction() {
    for tier in Tier::ALL {
        pair(Some(tier), Op::Get, Op::Evict(tier));
    }
}

#[test]
fn a_get_beside_a_removal() {
    for tier in Tier::ALL {
        pair(Some(tier), Op::Get, Op::Remove);
    }
}

#[test]
fn moves_beside_each_other() {
    for tier in Tier::ALL {
        pair(Some(tier), Op::Promote, Op::Promote);
        pair(Some(tier), Op::Promote, Op::Demote);
        pair(Some(tier), Op::Demote, Op::Demote);
    }
}

#[test]
fn moves_beside_an_eviction() {
    for tier in Tier::ALL {
        pair(Some(tier), Op::Promote, Op::Evict(tier));
        pair(Some(tier), Op::Demote, Op::Evict(tier));
        pair(Some(tier), Op::Evict(tier), Op::Evict(tier));
    }
}

#[test]
fn moves_beside_a_removal() {
    for tier in Tier::ALL {
        pair(Some(tier), Op::Promote, Op::Remove);
        pair(Some(tier), Op::Demote, Op::Remove);
        pair(Some(tier), Op::Evict(tier), Op::Remove);
        pair(Some(tier), Op::Remove, Op::Remove);
    }
}
