//! Stores that depend on what is there, beside another operation on the same key: the whole store, with its index, orders, budget and
//! collector.
//!
//! Whatever two threads are answered, and what is left, is explained by some order of the two: so of two replacements of one version one takes
//! effect, and what an update is made of is what it replaces.

use std::mem::discriminant;
use std::sync::Arc;

use loom_tests::collected::{collected, spawn};
use loom_tests::spec::{Op, explains};
use loom_tests::whole::{at_rest, run_after, with_room_for};
use loom_tests::{both_hold, holds};
use tierstack::Tier;

const KEY: u64 = 1;

fn beside(name: &str, first: Option<Tier>, spawned: Op, own: Op) {
    let store = with_room_for(4);
    let version = first.map(|tier| {
        let version = store.store(KEY, 1).unwrap().version;
        store.demote_to(&KEY, tier).unwrap();
        version
    });
    let thread = {
        let store = Arc::clone(&store);
        spawn(move || run_after(&store, KEY, version, spawned))
    };
    let done = [(own, run_after(&store, KEY, version, own)), (spawned, thread.join().unwrap())];
    // What follows is sequential.
    loom::skip_branch();
    let (first, last) = (first.map(|tier| (1, tier)), at_rest(&store, [KEY])[0]);
    assert!(explains(first, &done, last), "{name}: {first:?}, {done:?}, {last:?}");
}

/// Explores both operations beside each other; where they differ, each has its turn as the thread that is spawned.
fn pair(first: Option<Tier>, one: Op, other: Op) {
    let name = format!("{first:?}: {one:?}, {other:?}");
    let model = |own: Op, spawned: Op| {
        let name = name.clone();
        move || {
            let name = name.clone();
            collected(move || beside(&name, first, spawned, own));
        }
    };
    if discriminant(&one) == discriminant(&other) {
        holds(&name, 2, model(other, one));
    } else {
        both_hold(&name, 2, (model(other, one), model(one, other)));
    }
}

const HOT: Option<Tier> = Some(Tier::Hot);
const WARM: Option<Tier> = Some(Tier::Warm);

#[test]
fn two_replacements_of_one_version() {
    for first in [HOT, WARM] {
        pair(first, Op::ReplaceFirst(2), Op::ReplaceFirst(3));
    }
}

#[test]
fn a_replacement_beside_a_store_and_a_removal() {
    pair(HOT, Op::ReplaceFirst(2), Op::Store(3));
    pair(HOT, Op::ReplaceFirst(2), Op::Remove);
}

#[test]
fn a_replacement_beside_moves_and_a_use() {
    pair(HOT, Op::ReplaceFirst(2), Op::Demote);
    pair(WARM, Op::ReplaceFirst(2), Op::Promote);
    pair(HOT, Op::ReplaceFirst(2), Op::Get);
}

#[test]
fn two_stores_of_an_absent_key() {
    pair(None, Op::StoreIfAbsent(2), Op::StoreIfAbsent(3));
}

#[test]
fn a_store_of_an_absent_key_beside_a_removal() {
    for first in [None, HOT, WARM] {
        pair(first, Op::StoreIfAbsent(2), Op::Remove);
    }
}

#[test]
fn a_store_of_an_absent_key_beside_a_store() {
    pair(None, Op::StoreIfAbsent(2), Op::Store(3));
}

#[test]
fn an_update_beside_a_store() {
    for first in [None, HOT, WARM] {
        pair(first, Op::Update(2), Op::Store(3));
    }
}

#[test]
fn two_updates() {
    pair(HOT, Op::Update(2), Op::Update(3));
}
