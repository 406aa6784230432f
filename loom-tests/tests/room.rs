//! The whole store with room for one in hot: a store that demotes the other key's fragment, beside an operation on that one.
//!
//! Whatever the two are answered, and what is left, is explained by some order of their steps; the counts are exact at rest, and the room
//! is there once, neither lost nor given back twice.

use std::sync::Arc;

use loom_tests::both_hold;
use loom_tests::collected::{collected, spawn};
use loom_tests::room::{Call, Keys, explains};
use loom_tests::spec::{Op, State};
use loom_tests::whole::{Store, at_rest, run, with_room_for};
use tierstack::Tier;

/// In the index and the orders the two are neighbours.
const KEYS: [u64; 2] = [1, 2];

/// A store with those fragments: first what is to be warm, which is demoted, so that hot has room.
fn store(first: Keys) -> Arc<Store> {
    let store = with_room_for(1);
    for tier in [Tier::Warm, Tier::Hot] {
        for (key, state) in KEYS.into_iter().zip(first) {
            if let Some((value, now)) = state.filter(|(_, now)| *now == tier) {
                store.store(key, value).unwrap();
                assert_eq!(store.demote_to(&key, now).map(|moved| moved.to), Some(now));
            }
        }
    }
    store
}

fn beside(name: &str, first: Keys, own: (usize, Op), spawned: (usize, Op)) {
    let store = store(first);
    let call = |store: &Store, (key, op): (usize, Op)| Call { key, op, answer: run(store, KEYS[key], op) };
    let thread = {
        let store = Arc::clone(&store);
        spawn(move || call(&store, spawned))
    };
    let calls = [call(&store, own), thread.join().unwrap()];
    // What follows is sequential.
    loom::skip_branch();
    let last = at_rest(&store, KEYS);
    assert!(explains(first, calls, last), "{name}: {first:?}, {calls:?}, {last:?}");
    let alone = store.store(3, 1).unwrap();
    assert_eq!((alone.tier, alone.contended), (Tier::Hot, false), "the room was not given back: {calls:?}");
    assert_eq!(store.len(Tier::Hot), 1, "the room was given back twice: {calls:?}");
}

/// Explores both beside each other; each has its turn as the thread that is spawned.
fn pair(first: Keys, one: (usize, Op), other: (usize, Op)) {
    let name = format!("{first:?}: {one:?}, {other:?}");
    let model = |own, spawned| {
        let name = name.clone();
        move || {
            let name = name.clone();
            collected(move || beside(&name, first, own, spawned));
        }
    };
    both_hold(&name, 2, (model(one, other), model(other, one)));
}

const HOT: State = Some((1, Tier::Hot));
const WARM: State = Some((1, Tier::Warm));

/// The first key is new, and the second hot.
fn store_beside(other: Op) {
    pair([None, HOT], (0, Op::Store(2)), (1, other));
}

#[test]
fn a_store_that_demotes_beside_a_get() {
    store_beside(Op::Get);
}

#[test]
fn a_store_that_demotes_beside_a_store() {
    store_beside(Op::Store(3));
}

#[test]
fn a_store_that_demotes_beside_a_promotion() {
    store_beside(Op::Promote);
}

#[test]
fn a_store_that_demotes_beside_a_removal() {
    store_beside(Op::Remove);
}

#[test]
fn a_replacement_that_demotes_beside_a_removal() {
    pair([WARM, HOT], (0, Op::Store(2)), (1, Op::Remove));
}

#[test]
fn two_promotions_into_room_for_one() {
    pair([WARM, WARM], (0, Op::Promote), (1, Op::Promote));
}
