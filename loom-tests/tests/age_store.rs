//! Fragments with an age in the whole store: each operation, at a time of its own, beside another on the key.
//!
//! Whatever two threads are answered, and what is left and for how long, is explained by some order of the two; where a change that
//! is a use counts as one since it has read the time, and what is due is ended before the operation takes effect.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use loom_tests::both_hold;
use loom_tests::collected::{Plain, collected, spawn};
use tierstack::{PromoteError, Tier, TierStore};

type Store = TierStore<u64, u64, Plain>;

const KEY: u64 = 1;

loom::thread_local! {
    /// What the clock of the store says to this thread.
    static NOW: Cell<u64> = Cell::new(0);
}

/// An operation on the key of the whole store, where nothing else is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Get,
    Peek,
    Store,
    Promote,
    Demote,
    Keep,
    LetGo,
    Remove,
    Purge,
    Evict(Tier),
    /// Whether an iteration over the tier meets it.
    Iter(Tier),
    /// Whether a snapshot shows it.
    Snapshot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    value: u64,
    tier: Tier,
    kept: bool,
    used: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Its value, its tier, and whether it was kept.
    Found(Option<(u64, Tier, bool)>),
    Moved(Option<(Tier, Tier)>),
    /// Whether it was there.
    Was(bool),
}

/// Lifetimes in hot and warm; in cold it has none.
const LIFETIMES: [u64; 3] = [10, 20, u64::MAX];

fn is_due(state: State, now: u64) -> bool {
    let lifetime = LIFETIMES[state.tier as usize];
    !state.kept && lifetime != u64::MAX && now >= state.used + lifetime
}

/// One operation after the other, each at its own time, as the specification has it.
fn after(state: Option<State>, now: u64, op: Op) -> (Option<State>, Answer) {
    let state = state.filter(|state| !is_due(*state, now));
    let used = |state: State| State { used: state.used.max(now), ..state };
    let shown = state.map(|state| (state.value, state.tier, state.kept));
    let moved = |state: State, to: Tier| Answer::Moved(Some((state.tier, to)));
    match (op, state) {
        (Op::Get, _) => (state.map(used), Answer::Found(shown)),
        (Op::Peek, _) => (state, Answer::Found(shown)),
        (Op::Remove, _) => (None, Answer::Found(shown)),
        (Op::Store, _) => {
            let kept = state.is_some_and(|state| state.kept);
            (Some(State { value: 2, tier: Tier::Hot, kept, used: now }), Answer::Was(state.is_some()))
        }
        (Op::Promote | Op::Demote, None) => (None, Answer::Moved(None)),
        (Op::Promote, Some(was)) => (Some(State { tier: Tier::Hot, ..used(was) }), moved(was, Tier::Hot)),
        (Op::Demote, Some(was)) => {
            let to = was.tier.below().unwrap_or(was.tier);
            (Some(State { tier: to, ..was }), moved(was, to))
        }
        (Op::Keep | Op::LetGo, _) => {
            (state.map(|state| State { kept: op == Op::Keep, ..used(state) }), Answer::Was(state.is_some()))
        }
        (Op::Purge, _) => (state, Answer::Was(false)),
        (Op::Evict(tier), Some(was)) if was.tier == tier && !was.kept => {
            (tier.below().map(|below| State { tier: below, ..was }), Answer::Was(true))
        }
        (Op::Evict(_), _) => (state, Answer::Was(false)),
        (Op::Iter(tier), _) => (state, Answer::Was(state.is_some_and(|state| state.tier == tier))),
        (Op::Snapshot, _) => (state, Answer::Was(state.is_some())),
    }
}

fn run(store: &Store, now: u64, op: Op) -> Answer {
    NOW.with(|time| time.set(now));
    let ends = |moved: tierstack::Moved| (moved.from, moved.to);
    let shown = |found: tierstack::Fragment<u64>| (found.value, found.tier, found.kept);
    match op {
        Op::Get => Answer::Found(store.get(&KEY).map(shown)),
        Op::Peek => Answer::Found(store.peek(&KEY).map(shown)),
        Op::Remove => Answer::Found(store.remove(&KEY).map(shown)),
        Op::Store => Answer::Was(store.store(KEY, 2).expect("ticks are left").replaced.is_some()),
        Op::Promote => match store.promote_to(&KEY, Tier::Hot) {
            Ok(moved) => Answer::Moved(Some(ends(moved))),
            Err(PromoteError::NotFound) => Answer::Moved(None),
            Err(error) => panic!("{error}"),
        },
        Op::Demote => Answer::Moved(store.demote(&KEY).map(ends)),
        Op::Keep => Answer::Was(store.keep(&KEY).is_ok()),
        Op::LetGo => Answer::Was(store.let_go(&KEY).is_ok()),
        Op::Purge => {
            store.purge_expired();
            Answer::Was(false)
        }
        Op::Evict(tier) => Answer::Was(store.evict_lru(tier).is_some()),
        Op::Iter(tier) => Answer::Was(store.iter(tier).any(|item| item.key == KEY)),
        Op::Snapshot => Answer::Was(store.snapshot().get(&KEY).is_some()),
    }
}

/// What is there, and until when; if the counts agree.
fn at_rest(store: &Store) -> Option<(u64, Tier, bool, u64)> {
    let mut last = None;
    for now in 0..100 {
        NOW.with(|time| time.set(now));
        let found = store.peek(&KEY);
        let counted: u64 = Tier::ALL.into_iter().map(|tier| store.len(tier)).sum();
        let listed: usize = Tier::ALL.into_iter().map(|tier| store.iter(tier).count()).sum();
        assert_eq!((counted, listed), (u64::from(found.is_some()), usize::from(found.is_some())), "counted, listed");
        let Some(found) = found else { break };
        assert_eq!(store.bytes(found.tier), 1);
        last = Some((found.value, found.tier, found.kept, now));
    }
    last
}

fn beside(first: State, own: (u64, Op), spawned: (u64, Op)) {
    NOW.with(|time| time.set(0));
    let start = Instant::now();
    let builder = TierStore::builder(4).hasher(Plain).weigher(|_, _| 1);
    let builder = builder.clock(move || start + Duration::from_nanos(NOW.with(Cell::get)));
    let lifetime = Duration::from_nanos;
    let builder =
        builder.expire_after(Tier::Hot, lifetime(LIFETIMES[0])).expire_after(Tier::Warm, lifetime(LIFETIMES[1]));
    let store: Arc<Store> = Arc::new(builder.build().unwrap());
    store.store(KEY, first.value).unwrap();
    store.demote_to(&KEY, first.tier).unwrap();
    if first.kept {
        store.keep(&KEY).unwrap();
    }
    let thread = {
        let store = Arc::clone(&store);
        spawn(move || run(&store, spawned.0, spawned.1))
    };
    let done = [(own, run(&store, own.0, own.1)), (spawned, thread.join().unwrap())];
    // What follows is sequential.
    loom::skip_branch();
    let last = at_rest(&store);
    let until = |state: State| (0..100).rev().find(|now| (0..=*now).all(|now| !is_due(state, now)));
    // A change that is a use counts as one since it has read the time; and what is due is ended before the operation takes effect. So the other may come in between.
    let since_read = |state: Option<State>, (now, op): (u64, Op)| match op {
        Op::Promote | Op::Keep | Op::LetGo => after(state, now, Op::Get).0,
        _ => state.filter(|state| !is_due(*state, now)),
    };
    let explains = |one: ((u64, Op), Answer), other: ((u64, Op), Answer), is_read_early: bool| {
        let state = if is_read_early { since_read(Some(first), other.0) } else { Some(first) };
        let (state, answer) = after(state, one.0.0, one.0.1);
        let (end, other_answer) = after(state, other.0.0, other.0.1);
        let end = end.and_then(|state| Some((state.value, state.tier, state.kept, until(state)?)));
        (answer, other_answer, end) == (one.1, other.1, last)
    };
    let [one, other] = done;
    let is_explained =
        [false, true].into_iter().any(|early| explains(one, other, early) || explains(other, one, early));
    assert!(is_explained, "{first:?}: {done:?}, {last:?}");
}

/// Explores both beside each other; each has its turn as the thread that is spawned.
fn pair(first: State, one: (u64, Op), other: (u64, Op)) {
    let name = format!("{first:?}: {one:?}, {other:?}");
    let model = |own, spawned| move || collected(move || beside(first, own, spawned));
    both_hold(&name, 2, (model(other, one), model(one, other)));
}

const HOT: State = State { value: 1, tier: Tier::Hot, kept: false, used: 0 };
const WARM: State = State { tier: Tier::Warm, ..HOT };
const KEPT: State = State { kept: true, ..HOT };

#[test]
fn a_use_beside_the_end() {
    pair(HOT, (9, Op::Get), (10, Op::Peek));
    pair(HOT, (9, Op::Get), (10, Op::Purge));
    pair(HOT, (9, Op::Get), (19, Op::Get));
}

#[test]
fn uses_beside_each_other() {
    pair(HOT, (3, Op::Get), (9, Op::Get));
    pair(HOT, (9, Op::Get), (10, Op::Evict(Tier::Hot)));
}

#[test]
fn moves_beside_the_end() {
    pair(HOT, (9, Op::Promote), (10, Op::Purge));
    pair(HOT, (9, Op::Demote), (10, Op::Peek));
    pair(WARM, (19, Op::Promote), (20, Op::Peek));
    pair(HOT, (9, Op::Evict(Tier::Hot)), (10, Op::Purge));
    pair(HOT, (9, Op::Remove), (10, Op::Purge));
}

#[test]
fn stores_beside_the_end() {
    pair(HOT, (9, Op::Store), (10, Op::Purge));
    pair(HOT, (10, Op::Store), (10, Op::Get));
    pair(HOT, (10, Op::Store), (9, Op::Demote));
}

#[test]
fn keeping_beside_the_end() {
    pair(HOT, (9, Op::Keep), (10, Op::Purge));
    pair(KEPT, (15, Op::LetGo), (25, Op::Peek));
    pair(KEPT, (15, Op::LetGo), (15, Op::Get));
}

#[test]
fn what_shows_tiers_beside_the_end() {
    pair(HOT, (9, Op::Get), (10, Op::Iter(Tier::Hot)));
    pair(HOT, (9, Op::Demote), (10, Op::Iter(Tier::Hot)));
    pair(HOT, (9, Op::Get), (10, Op::Snapshot));
    pair(HOT, (9, Op::Demote), (10, Op::Snapshot));
}
