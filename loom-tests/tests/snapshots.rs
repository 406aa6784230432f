//! Snapshots of the whole store, with its index, orders, budget and collector, beside threads that change it.
//!
//! Whatever the threads did and were shown has an order in which each step is true. `reports` has the same over bare cells, for more threads and steps.

use std::sync::Arc;

use loom_tests::both_hold;
use loom_tests::collected::{collected, spawn};
use loom_tests::instants::{Event, Keys, explains};
use loom_tests::whole::{Store, at_rest, with_room_for};
use tierstack::Tier;

const KEYS: [u64; 2] = [1, 2];

const HOT: Option<(u64, Tier)> = Some((1, Tier::Hot));
const WARM: Option<(u64, Tier)> = Some((1, Tier::Warm));

fn shown(store: &Store) -> Event {
    let snapshot = store.snapshot();
    let keys = KEYS.map(|key| snapshot.get(&key).map(|found| (*found.value, found.tier)));
    assert_eq!(snapshot.len(), keys.iter().flatten().count(), "a key is shown twice: {snapshot:?}");
    Event::Shown(keys)
}

fn shown_in_hot(store: &Store) -> Event {
    let snapshot = store.snapshot_of(Tier::Hot);
    Event::ShownHot(KEYS.map(|key| snapshot.get(&key).map(|found| (*found.value, found.tier))))
}

/// A store with those fragments: first what is to be warm, which is demoted.
fn store(room: u64, first: Keys) -> Arc<Store> {
    let store = with_room_for(room);
    for tier in [Tier::Warm, Tier::Hot] {
        for (key, state) in KEYS.into_iter().zip(first) {
            if let Some((value, now)) = state.filter(|(_, now)| *now == tier) {
                store.store(key, value).unwrap();
                store.demote_to(&key, now).unwrap();
            }
        }
    }
    store
}

type Program = fn(&Store) -> Vec<Event>;

/// Explores both beside each other; each has its turn as the thread that is spawned.
fn pair(name: &'static str, preemptions: usize, room: u64, first: Keys, one: Program, other: Program) {
    let model = move |own: Program, spawned: Program| {
        move || {
            collected(move || {
                let store = store(room, first);
                let thread = {
                    let store = Arc::clone(&store);
                    spawn(move || spawned(&store))
                };
                let done = [own(&store), thread.join().unwrap()];
                // What follows is sequential.
                loom::skip_branch();
                assert!(explains(first, &[&done[0], &done[1]]), "{done:?}");
                assert_eq!(shown(&store), Event::Shown(at_rest(&store, KEYS)), "{done:?}");
            });
        }
    };
    both_hold(name, preemptions, (model(one, other), model(other, one)));
}

/// The first goes down, and the second up.
fn swap(store: &Store) -> Vec<Event> {
    assert_eq!(store.demote(&KEYS[0]).unwrap().to, Tier::Warm);
    assert_eq!(store.promote(&KEYS[1]).unwrap().to, Tier::Hot);
    vec![Event::Changed(0, HOT, WARM), Event::Changed(1, WARM, HOT)]
}

#[test]
fn a_snapshot_beside_a_swap_of_two_fragments() {
    pair("swap", 3, 4, [HOT, WARM], swap, |store| vec![shown(store)]);
}

#[test]
fn a_snapshot_of_hot_beside_a_swap_of_two_fragments() {
    pair("swap, of hot", 3, 4, [HOT, WARM], swap, |store| vec![shown_in_hot(store)]);
}

#[test]
fn a_snapshot_beside_a_store_that_demotes() {
    let store: Program = |store| {
        let stored = store.store(KEYS[1], 1).unwrap();
        assert_eq!((stored.tier, stored.replaced), (Tier::Hot, None));
        vec![Event::Changed(0, HOT, WARM), Event::Changed(1, None, HOT)]
    };
    pair("store", 3, 1, [HOT, None], store, |store| vec![shown(store)]);
}

#[test]
fn a_snapshot_beside_a_replacement() {
    let replace: Program = |store| {
        assert_eq!(store.store(KEYS[0], 2).unwrap().replaced, Some(1));
        vec![Event::Changed(0, WARM, Some((2, Tier::Hot)))]
    };
    pair("replace", 3, 4, [WARM, None], replace, |store| vec![shown(store)]);
}

#[test]
fn a_snapshot_beside_a_removal_and_a_store_of_the_key() {
    let again: Program = |store| {
        assert_eq!(store.remove(&KEYS[0]).unwrap().value, 1);
        assert_eq!(store.store(KEYS[0], 2).unwrap().replaced, None);
        vec![Event::Changed(0, HOT, None), Event::Changed(0, None, Some((2, Tier::Hot)))]
    };
    pair("remove, store", 3, 4, [HOT, None], again, |store| vec![shown(store)]);
}

#[test]
fn a_snapshot_beside_what_is_kept_and_let_go() {
    let keep: Program = |store| {
        assert!(!store.keep(&KEYS[0]).unwrap().was_kept);
        assert_eq!(store.demote(&KEYS[0]).unwrap().to, Tier::Warm);
        vec![Event::Changed(0, HOT, WARM)]
    };
    pair("keep, demote", 2, 4, [HOT, WARM], keep, |store| vec![shown(store)]);
    let keep_and_let_go: Program = |store| {
        assert!(!store.keep(&KEYS[0]).unwrap().was_kept);
        assert!(store.let_go(&KEYS[0]).unwrap().was_kept);
        Vec::new()
    };
    pair("keep, let go", 2, 4, [HOT, None], keep_and_let_go, |store| vec![shown_in_hot(store)]);
}

#[test]
fn a_snapshot_beside_a_snapshot() {
    pair("snapshot, snapshot", 2, 4, [HOT, WARM], |store| vec![shown(store)], |store| vec![shown(store)]);
    let demote: Program = |store| {
        assert_eq!(store.demote(&KEYS[0]).unwrap().to, Tier::Warm);
        vec![Event::Changed(0, HOT, WARM), shown(store)]
    };
    pair("demote, snapshot; snapshot", 2, 4, [HOT, WARM], demote, |store| vec![shown(store)]);
}
