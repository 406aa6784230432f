//! The whole store: pairs of operations on one key, from each tier, with its index, orders, budget and collector.
//!
//! Whatever two threads are answered, and what is left, is explained by some order of the two; and the counts are exact at rest.

use std::mem::discriminant;
use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom_tests::collected::{collected, spawn};
use loom_tests::spec::{Answer, Op, explains};
use loom_tests::whole::{Store, at_rest, run, with_room_for};
use loom_tests::{both_hold, holds};
use tierstack::Tier;

const KEY: u64 = 1;

/// A store with room for four, and the key's fragment in `tier`, if any.
fn store(tier: Option<Tier>) -> Arc<Store> {
    let store = with_room_for(4);
    if let Some(tier) = tier {
        store.store(KEY, 1).unwrap();
        store.demote_to(&KEY, tier).unwrap();
    }
    store
}

fn beside(name: &str, first: Option<Tier>, is_promoted: bool, spawned: Op, own: Op) {
    let store = store(first);
    if let Some(tier) = first.filter(|_| is_promoted) {
        assert!(store.promote_to(&KEY, tier).is_ok());
    }
    let thread = {
        let store = Arc::clone(&store);
        spawn(move || run(&store, KEY, spawned))
    };
    let done = [(own, run(&store, KEY, own)), (spawned, thread.join().unwrap())];
    // What follows is sequential.
    loom::skip_branch();
    let (first, last) = (first.map(|tier| (1, tier)), at_rest(&store, [KEY])[0]);
    assert!(explains(first, &done, last), "{name}: {first:?}, {done:?}, {last:?}");
}

/// Explores both operations beside each other; where they differ, each has its turn as the thread that is spawned.
fn pair(first: Option<Tier>, one: Op, other: Op) {
    pair_after(first, false, one, other);
}

/// As [`pair`], of a fragment that was promoted in place before or was not: what moves on from its first tick comes into the next block
/// of the order, and what moves on from its second stays in its block.
fn pair_after(first: Option<Tier>, is_promoted: bool, one: Op, other: Op) {
    let name = format!("{first:?}{}: {one:?}, {other:?}", if is_promoted { " promoted" } else { "" });
    let model = |own: Op, spawned: Op| {
        let name = name.clone();
        move || {
            let name = name.clone();
            collected(move || beside(&name, first, is_promoted, spawned, own));
        }
    };
    // Two that differ only in their values have one turn.
    if discriminant(&one) == discriminant(&other) {
        holds(&name, 2, model(other, one));
    } else {
        both_hold(&name, 2, (model(other, one), model(one, other)));
    }
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
        for is_promoted in [false, true] {
            pair_after(Some(tier), is_promoted, Op::Promote, Op::Evict(tier));
        }
        pair(Some(tier), Op::Demote, Op::Evict(tier));
        pair(Some(tier), Op::Evict(tier), Op::Evict(tier));
    }
}

/// An answer that shows a move shows its entry, too: an eviction after that does not find the tier empty.
#[test]
fn what_was_seen_in_a_tier_is_met_by_an_eviction_after_that() {
    for (from, op, to) in [
        (Tier::Hot, Op::Demote, Tier::Warm),
        (Tier::Warm, Op::Evict(Tier::Warm), Tier::Cold),
        (Tier::Warm, Op::Promote, Tier::Hot),
    ] {
        holds(&format!("{op:?} from {from:?}, seen, evict"), 2, move || {
            collected(move || {
                let store = store(Some(from));
                let mover = {
                    let store = Arc::clone(&store);
                    spawn(move || run(&store, KEY, op))
                };
                let seen = store.tier_of(&KEY);
                let evicted = (seen == Some(to)).then(|| store.evict_lru(to));
                let moved = mover.join().unwrap();
                loom::skip_branch();
                assert!(evicted.is_none_or(|evicted| evicted.is_some()), "{op:?}: {to:?} was found empty");
                assert!(matches!(moved, Answer::Moved(Some(_)) | Answer::Evicted(Some(_))), "{moved:?}");
                let _ = at_rest(&store, [KEY]);
            });
        });
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

/// Of two hot keys the older is got, and looked at, while one is evicted. Where it was got before, its word is marked already, so that
/// this use changes only the last use.
fn get_beside_evict(was_got_before: bool, getter_is_spawned: bool) {
    let store = store(HOT);
    if was_got_before {
        assert!(store.get(&KEY).is_some());
    }
    store.store(KEY + 1, 2).unwrap();
    let get = |store: &Store| {
        assert_eq!(store.get(&KEY).map(|found| found.value), Some(1));
        store.peek(&KEY).map(|found| found.tier)
    };
    let evict = |store: &Store| store.evict_lru(Tier::Hot).map(|evicted| evicted.key);
    let shared = Arc::clone(&store);
    let (after_the_get, victim) = if getter_is_spawned {
        let getter = spawn(move || get(&shared));
        let victim = evict(&store);
        (getter.join().unwrap(), victim)
    } else {
        let evictor = spawn(move || evict(&shared));
        (get(&store), evictor.join().unwrap())
    };
    loom::skip_branch();
    // Still hot after the get: then the eviction came later, and the other was the older.
    let expected = if after_the_get == HOT { KEY + 1 } else { KEY };
    assert_eq!(victim, Some(expected), "hot after the get: {}", after_the_get == HOT);
    let tiers = [KEY, KEY + 1].map(|key| if victim == Some(key) { Tier::Warm } else { Tier::Hot });
    assert_eq!(at_rest(&store, [KEY, KEY + 1]), [Some((1, tiers[0])), Some((2, tiers[1]))]);
}

#[test]
fn a_finished_get_is_never_evicted_by_an_older_decision() {
    for was_got_before in [false, true] {
        let getter_spawned = move || collected(move || get_beside_evict(was_got_before, true));
        let evictor_spawned = move || collected(move || get_beside_evict(was_got_before, false));
        let name = format!("get of the older, evict; got before: {was_got_before}");
        both_hold(&name, 2, (getter_spawned, evictor_spawned));
    }
}

/// The key that was used last is used again, by who knows that the other was used since, while one is evicted.
fn told_get_beside_evict(getter_is_spawned: bool) {
    let store = store(HOT);
    store.store(KEY + 1, 2).unwrap();
    assert!(store.get(&KEY).is_some());
    let told = Arc::new(AtomicBool::new(false));
    let (shared, also_told) = (Arc::clone(&store), Arc::clone(&told));
    let get = |store: &Store, told: &AtomicBool| {
        told.load(Ordering::Acquire).then(|| {
            assert_eq!(store.get(&KEY).map(|found| found.value), Some(1));
            store.peek(&KEY).map(|found| found.tier) == HOT
        })
    };
    let use_other_and_evict = |store: &Store, told: &AtomicBool| {
        assert!(store.get(&(KEY + 1)).is_some());
        told.store(true, Ordering::Release);
        store.evict_lru(Tier::Hot).map(|evicted| evicted.key)
    };
    let (still_hot, victim) = if getter_is_spawned {
        let getter = spawn(move || get(&shared, &also_told));
        let victim = use_other_and_evict(&store, &told);
        (getter.join().unwrap(), victim)
    } else {
        let evictor = spawn(move || use_other_and_evict(&shared, &also_told));
        (get(&store, &told), evictor.join().unwrap())
    };
    loom::skip_branch();
    let expected = if still_hot == Some(true) { KEY + 1 } else { KEY };
    assert_eq!(victim, Some(expected), "hot after the get, if there was one: {still_hot:?}");
}

#[test]
fn a_use_after_another_is_younger_though_it_was_the_latest_before() {
    let getter_spawned = || collected(|| told_get_beside_evict(true));
    let evictor_spawned = || collected(|| told_get_beside_evict(false));
    both_hold("use of the other and evict, get", 2, (getter_spawned, evictor_spawned));
}

/// Of two hot keys the younger is used, and then the older, beside a promotion of the older in place, which may have taken its tick before. So the use
/// may mark the word before the promotion gives it a tick that is younger than the word's, and older than both uses.
fn promotion_beside_gets(promoter_is_spawned: bool) {
    let store = store(HOT);
    store.store(KEY + 1, 2).unwrap();
    let promote = |store: &Store| assert_eq!(store.promote_to(&KEY, Tier::Hot).map(|moved| moved.from), Ok(Tier::Hot));
    let get = |store: &Store| {
        for (key, value) in [(KEY + 1, 2), (KEY, 1)] {
            assert_eq!(store.get(&key).map(|found| found.value), Some(value));
        }
    };
    let shared = Arc::clone(&store);
    if promoter_is_spawned {
        let promoter = spawn(move || promote(&shared));
        get(&store);
        promoter.join().unwrap();
    } else {
        let getter = spawn(move || get(&shared));
        promote(&store);
        getter.join().unwrap();
    }
    loom::skip_branch();
    assert_eq!(store.evict_lru(Tier::Hot).map(|evicted| evicted.key), Some(KEY + 1), "it was used before the other");
    assert_eq!(at_rest(&store, [KEY, KEY + 1]), [Some((1, Tier::Hot)), Some((2, Tier::Warm))]);
}

#[test]
fn a_use_that_marked_the_word_before_a_promotion_is_not_overlooked() {
    let promoter_spawned = || collected(|| promotion_beside_gets(true));
    let getter_spawned = || collected(|| promotion_beside_gets(false));
    both_hold("gets, promotion in place", 2, (promoter_spawned, getter_spawned));
}
