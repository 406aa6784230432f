//! Fragments with an age: uses beside the end of what is due, where what is wrong can be planted; and in the whole store, each operation with
//! a time of its own, beside every other.
//!
//! In the whole store, whatever two threads are answered, and what is left and for how long, is explained by some order of the two; where a change that
//! is a use counts as one since it has read the time.

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_epoch::{Guard, unprotected};
use loom::sync::atomic::{AtomicU64, Ordering};
use loom_tests::collected::{Plain, collected, spawn};
use loom_tests::{both_hold, fails, holds};
use tierstack::internals::{Age, Entries, Lifetimes, NEVER, Node, Outcome, Place, Placement, Ripe, Stats, ripen};
use tierstack::{PromoteError, Tier, TierStore};

type Fragment = Node<(), ()>;

/// A fragment in hot lives so long.
const LIFETIME: u64 = 10;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Planted {
    Nothing,
    /// A touched word is CASed to removed, instead of being moved to its last use first.
    EndedTouched,
    /// The last use is only loaded before the CAS.
    NotConfirmed,
    /// A use takes its tick before it raises the time of its last use.
    TickFirst,
    /// A use does not look at the word after its raise.
    NotLookedAt,
    /// A use raises the time of its last use at its end.
    RaisedLate,
}

/// A hot node that was stored at the time 0. Its entries are nobody's concern here.
struct Trial {
    node: NonNull<Fragment>,
    lifetimes: Lifetimes,
    ticks: AtomicU64,
    planted: Planted,
}

// SAFETY: the node is shared as any is.
unsafe impl Send for Trial {}
// SAFETY: as above.
unsafe impl Sync for Trial {}

impl Entries<(), ()> for Trial {
    fn fill(&self, _: &Fragment, _: Placement, _: &Guard) {}

    fn clear(&self, _: &Fragment, _: Placement, _: &Guard) {}

    fn report(&self, _: &Fragment, _: &Guard) {}

    fn note_crossing(&self) {}
}

/// Nothing is retired in these models.
fn unpinned() -> &'static Guard {
    // SAFETY: no deferral is made under it.
    unsafe { unprotected() }
}

impl Trial {
    fn new(planted: Planted) -> Arc<Self> {
        let mut lifetimes = Lifetimes::NONE;
        lifetimes.set(Tier::Hot, LIFETIME);
        let age = Age::starting_at(0, NEVER);
        let mut node = Node::build_aged(0, (), (), 1, age, &Arc::new(Stats::new()));
        // SAFETY: nobody else has seen it.
        unsafe { node.as_mut() }.begin(1);
        let trial = Self { node, lifetimes, ticks: AtomicU64::new(2), planted };
        trial.node().place.prepare(Place::fresh(Tier::Hot, 1));
        trial.node().publish();
        Arc::new(trial)
    }

    fn node(&self) -> &Fragment {
        // SAFETY: freed with the trial.
        unsafe { self.node.as_ref() }
    }

    fn tick(&self) -> u64 {
        // As `Clock::tick`.
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    /// Whether it found the fragment at that time.
    fn used_at(&self, now: u64) -> bool {
        let (node, age) = (self.node(), self.node().age().unwrap());
        let used = age.used();
        let place = node.place.load();
        if place.tier().is_none() || self.lifetimes.is_due(age, used, place, now) {
            return false;
        }
        match self.planted {
            Planted::NotLookedAt => {
                age.raise(now);
                node.last_use.raise(self.tick());
                true
            }
            Planted::TickFirst => {
                let tick = self.tick();
                age.raise(now);
                node.note_use(tick)
            }
            Planted::RaisedLate => {
                let is_alive = node.note_use(self.tick());
                age.raise(now);
                is_alive
            }
            _ => {
                age.raise(now);
                node.note_use(self.tick())
            }
        }
    }

    /// Whether it ended the fragment at that time.
    fn ended_at(&self, now: u64) -> bool {
        let node = self.node();
        loop {
            let place = match self.planted {
                Planted::EndedTouched | Planted::NotConfirmed => match self.ripened_wrongly(now) {
                    Some(place) => place,
                    None => return false,
                },
                _ => match ripen(self, node, &self.lifetimes, now, unpinned()) {
                    Ripe::End(place, _) => place,
                    Ripe::Stays | Ripe::Ended => return false,
                },
            };
            if let Outcome::Done(_) = node.place.remove(place) {
                return true;
            }
        }
    }

    fn ripened_wrongly(&self, now: u64) -> Option<Place> {
        let (node, age) = (self.node(), self.node().age().unwrap());
        loop {
            let used = age.used();
            let place = node.place.load();
            place.tier()?;
            if !self.lifetimes.is_due(age, used, place, now) {
                return None;
            }
            if place.is_touched() && self.planted != Planted::EndedTouched {
                let _ = self.relist(node, place, Tier::Hot, node.last_use.confirm(), unpinned());
                continue;
            }
            if self.planted == Planted::EndedTouched {
                // By a read-modify-write, as it should be.
                age.raise(0);
            }
            if self.lifetimes.is_due(age, age.used(), place, now) {
                return Some(place);
            }
        }
    }

    /// As an eviction that finds it used.
    fn relisted(&self) {
        let node = self.node();
        let place = node.place.load();
        if place.tier().is_some() && place.may_be_used() {
            let last_use = node.last_use.confirm();
            if last_use > place.tick() {
                let _ = self.relist(node, place, Tier::Hot, last_use, unpinned());
            }
        }
    }

    /// As a promotion within the tier, at that time; whether it took effect.
    fn risen_at(&self, now: u64) -> bool {
        let (node, age) = (self.node(), self.node().age().unwrap());
        loop {
            let used = age.used();
            let place = node.place.load();
            if place.tier().is_none() || self.lifetimes.is_due(age, used, place, now) {
                return false;
            }
            age.raise(now);
            if let Outcome::Done(_) = self.rise(node, place, Tier::Hot, self.tick(), unpinned()) {
                return true;
            }
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // SAFETY: made by `build`, and nobody else reaches it.
        unsafe { Fragment::free(self.node.as_ptr()) };
    }
}

/// A use that is spawned, and what this thread does; then the fragment is there, or was not found.
fn use_beside(planted: Planted, is_touched: bool, other: fn(&Trial) -> bool) {
    let trial = Trial::new(planted);
    if is_touched {
        assert!(trial.used_at(0));
    }
    let user = {
        let trial = Arc::clone(&trial);
        spawn(move || trial.used_at(9))
    };
    let is_ended = other(&trial);
    assert!(!(user.join().unwrap() && is_ended), "used at 9, and ended before 19");
}

/// The same with the roles exchanged.
fn end_beside(planted: Planted, is_touched: bool, other: fn(&Trial) -> bool) {
    let trial = Trial::new(planted);
    if is_touched {
        assert!(trial.used_at(0));
    }
    let ender = {
        let trial = Arc::clone(&trial);
        spawn(move || other(&trial))
    };
    let is_used = trial.used_at(9);
    assert!(!(ender.join().unwrap() && is_used), "used at 9, and ended before 19");
}

const END: fn(&Trial) -> bool = |trial| trial.ended_at(18);
const RELIST_AND_END: fn(&Trial) -> bool = |trial| {
    trial.relisted();
    trial.ended_at(18)
};

#[test]
fn a_use_that_returned_is_not_overlooked() {
    for (number, other) in [END, RELIST_AND_END].into_iter().enumerate() {
        for is_touched in [false, true] {
            let user_spawned = move || use_beside(Planted::Nothing, is_touched, other);
            let ender_spawned = move || end_beside(Planted::Nothing, is_touched, other);
            both_hold(&format!("use, end {number}, touched: {is_touched}"), 4, (user_spawned, ender_spawned));
        }
    }
}

#[test]
fn a_use_that_could_be_overlooked_is() {
    let planted: [(Planted, bool, fn(&Trial) -> bool); 4] = [
        (Planted::EndedTouched, true, END),
        (Planted::NotConfirmed, true, RELIST_AND_END),
        (Planted::NotLookedAt, false, END),
        (Planted::RaisedLate, false, END),
    ];
    for (planted, is_touched, other) in planted {
        fails(&format!("planted: {planted:?}"), 4, move || use_beside(planted, is_touched, other));
    }
    fails("planted: TickFirst", 3, || {
        three(Planted::TickFirst, true, |trial| {
            trial.used_at(1);
            trial.relisted();
        });
    });
}

/// A use at 9, the end at 18, and a third.
fn three(planted: Planted, first: bool, third: fn(&Trial)) {
    let trial = Trial::new(planted);
    if first {
        assert!(trial.used_at(0));
    }
    let spawned = |run: fn(&Trial) -> bool| {
        let trial = Arc::clone(&trial);
        spawn(move || run(&trial))
    };
    let user = spawned(|trial| trial.used_at(9));
    let ender = spawned(END);
    third(&trial);
    assert!(!(user.join().unwrap() && ender.join().unwrap()), "used at 9, and ended before 19");
}

#[test]
fn a_third_that_moves_it_hides_no_use() {
    holds("use, end, re-listing", 3, || three(Planted::Nothing, true, Trial::relisted));
    holds("use, end, use and re-listing", 2, || {
        three(Planted::Nothing, true, |trial| {
            trial.used_at(1);
            trial.relisted();
        });
    });
    holds("use, end, use", 2, || three(Planted::Nothing, false, |trial| _ = trial.used_at(1)));
}

#[test]
fn a_rise_is_a_use() {
    let risen = |is_ender_spawned: bool| {
        let trial = Trial::new(Planted::Nothing);
        let other = Arc::clone(&trial);
        let (is_risen, is_ended) = if is_ender_spawned {
            let ender = spawn(move || other.ended_at(18));
            (trial.risen_at(9), ender.join().unwrap())
        } else {
            let riser = spawn(move || other.risen_at(9));
            let is_ended = trial.ended_at(18);
            (riser.join().unwrap(), is_ended)
        };
        assert!(!(is_risen && is_ended), "risen at 9, and ended before 19");
    };
    both_hold("rise, end", 4, (move || risen(false), move || risen(true)));
}

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
const LIFETIMES: [u64; 3] = [LIFETIME, 20, u64::MAX];

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
    // A change that is a use counts as one since it has read the time: so the other may come in between.
    let since_read = |state: Option<State>, (now, op): (u64, Op)| match op {
        Op::Promote | Op::Keep | Op::LetGo => after(state, now, Op::Get).0,
        _ => state,
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
