//! Fragments that are kept and let go: beside a walk of both orders, and in the whole store beside every other operation on the key.
//!
//! The walk is that of an iteration, written out over bare blocks of cells, so that no container orders the threads; the moves, and what an entry
//! says to who meets it, are the crate's own. In the whole store, whatever two threads are answered, and what is left, is explained by some
//! order of the two.

use std::mem::replace;
use std::sync::Arc;

use crossbeam_epoch::{Guard, unprotected};
use loom::sync::atomic::{AtomicU64, Ordering};
use loom_tests::collected::{collected, spawn};
use loom_tests::whole::{Store, WEIGHT, at_rest, with_room_for};
use loom_tests::{both_hold, fails, holds};
use tierstack::internals::{Block, Counted, Entries, List, Met, Node, Place, Placement, Stats};
use tierstack::{KeepError, PromoteError, Tier};

type Fragment = Node<(), ()>;

/// Ticks that there are, from 0 on.
const TICKS: u64 = 5;

const LISTS: [List; 2] = [List::Of(Tier::Hot), List::Kept];

/// A hot node, a cell of either order for each tick, and the counter of crossings.
struct Trial {
    node: Box<Fragment>,
    cells: Vec<Block<Fragment>>,
    crossings: AtomicU64,
    planted: Planted,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Planted {
    Nothing,
    /// A crossing is not noted.
    NeverNoted,
    /// It is noted after the entry that was left is cleared.
    NotedLate,
    /// It is noted before the entry that it goes to is filled.
    NotedEarly,
    /// An entry that the word is to come to does not count.
    PassedBy,
}

impl Entries<(), ()> for Trial {
    fn fill(&self, node: &Fragment, to: Placement, _: &Guard) {
        self.cell(to).at(0).put(node);
        assert_eq!(self.cell(to).count(0), Counted::Open);
    }

    fn clear(&self, _: &Fragment, from: Placement, _: &Guard) {
        self.cell(from).at(0).empty();
    }

    fn report(&self, _: &Fragment, _: &Guard) {}

    fn note_crossing(&self) {
        if matches!(self.planted, Planted::Nothing | Planted::PassedBy) {
            self.note();
        }
    }
}

/// Nothing is retired in these models.
fn unpinned() -> &'static Guard {
    // SAFETY: no deferral is made under it.
    unsafe { unprotected() }
}

impl Trial {
    /// The node is at tick 1.
    fn new(is_kept: bool, planted: Planted) -> Arc<Self> {
        let node = Box::new(Node::new(0, (), (), 1, 1, &Arc::new(Stats::new())));
        let cells = (0..2 * TICKS).map(|_| Block::new()).collect();
        let trial = Self { node, cells, crossings: AtomicU64::new(0), planted };
        trial.node.place.prepare(if is_kept { Place::fresh_kept(Tier::Hot, 1) } else { Place::fresh(Tier::Hot, 1) });
        trial.fill(&trial.node, (LISTS[usize::from(is_kept)], 1), unpinned());
        trial.node.publish();
        Arc::new(trial)
    }

    fn cell(&self, (list, tick): Placement) -> &Block<Fragment> {
        let order = u64::from(list == List::Kept);
        &self.cells[usize::try_from(order * TICKS + tick).unwrap()]
    }

    fn note(&self) {
        // As `Core::note_crossing`.
        self.crossings.fetch_add(1, Ordering::AcqRel);
    }

    fn set_kept(&self, is_kept: bool, tick: u64) {
        let place = self.node.place.load();
        let Some(tier) = place.tier().filter(|_| place.is_kept() != is_kept && place.tick() < tick) else { return };
        if self.planted == Planted::NotedEarly {
            self.note();
        }
        let _ = self.keep(&self.node, place, tier, is_kept, tick, unpinned());
        if self.planted == Planted::NotedLate {
            self.note();
        }
    }

    /// Moves it up within its order, as a promotion in place does.
    fn rise_to(&self, tick: u64) {
        let place = self.node.place.load();
        if place.tick() < tick {
            let _ = self.rise(&self.node, place, Tier::Hot, tick, unpinned());
        }
    }

    /// As `Core::scan`: whether the node was met.
    fn walk(&self) -> bool {
        let guard = unpinned();
        let mut crossings = self.crossings.load(Ordering::Acquire);
        loop {
            let mut is_met = false;
            for list in LISTS {
                for tick in 1..TICKS {
                    let Some(node) = self.cell((list, tick)).at(0).node(guard) else { continue };
                    let place = match Met::at(node, (list, tick)) {
                        Met::Unpublished => continue,
                        Met::NotYet(_) if self.planted == Planted::PassedBy => continue,
                        Met::NotYet(place) | Met::Here(place) | Met::Perishable(place) => place,
                        Met::Over(place) => {
                            self.clear_stale(node, place, (list, tick), guard);
                            if self.planted == Planted::PassedBy {
                                continue;
                            }
                            place
                        }
                    };
                    is_met |= place.tier() == Some(Tier::Hot);
                }
            }
            let before = replace(&mut crossings, self.crossings.load(Ordering::Acquire));
            if before == crossings {
                return is_met;
            }
        }
    }
}

/// The walk, beside threads that do these.
fn walk_beside(is_kept: bool, planted: Planted, others: &[fn(&Trial)]) {
    let trial = Trial::new(is_kept, planted);
    let threads: Vec<_> = others
        .iter()
        .map(|&other| {
            let trial = Arc::clone(&trial);
            spawn(move || other(&trial))
        })
        .collect();
    assert!(trial.walk(), "what stood in hot throughout was missed");
    for thread in threads {
        thread.join().unwrap();
    }
}

/// The same with the walk in a thread that is spawned.
fn walk_spawned_beside(is_kept: bool, planted: Planted, other: fn(&Trial)) {
    let trial = Trial::new(is_kept, planted);
    let walker = {
        let trial = Arc::clone(&trial);
        spawn(move || trial.walk())
    };
    other(&trial);
    assert!(walker.join().unwrap(), "what stood in hot throughout was missed");
}

const KEEP: fn(&Trial) = |trial| trial.set_kept(true, 2);
const LET_GO: fn(&Trial) = |trial| trial.set_kept(false, 2);
const KEEP_AND_LET_GO: fn(&Trial) = |trial| {
    trial.set_kept(true, 2);
    trial.set_kept(false, 3);
};
const LET_GO_AND_KEEP: fn(&Trial) = |trial| {
    trial.set_kept(false, 2);
    trial.set_kept(true, 3);
};

#[test]
fn what_is_kept_or_let_go_is_not_missed() {
    let moves = [(3, false, KEEP), (3, true, LET_GO), (2, false, KEEP_AND_LET_GO), (2, true, LET_GO_AND_KEEP)];
    for (number, (preemptions, is_kept, other)) in moves.into_iter().enumerate() {
        let walker_spawned = move || walk_spawned_beside(is_kept, Planted::Nothing, other);
        let other_spawned = move || walk_beside(is_kept, Planted::Nothing, &[other]);
        both_hold(&format!("walk, crossing {number}"), preemptions, (walker_spawned, other_spawned));
    }
}

#[test]
fn a_crossing_that_is_not_noted_in_time_is_missed() {
    for planted in [Planted::NeverNoted, Planted::NotedLate, Planted::NotedEarly, Planted::PassedBy] {
        fails(&format!("planted: {planted:?}"), 3, move || walk_spawned_beside(true, planted, LET_GO));
    }
}

#[test]
fn what_two_others_move_is_not_missed() {
    let threes: [(&str, bool, [fn(&Trial); 2]); 3] = [
        ("let go, keep", true, [LET_GO, |trial| trial.set_kept(true, 3)]),
        ("let go, let go", true, [LET_GO, |trial| trial.set_kept(false, 3)]),
        ("let go, rise", true, [LET_GO, |trial| trial.rise_to(3)]),
    ];
    for (name, is_kept, others) in threes {
        holds(&format!("walk, {name}"), 2, move || walk_beside(is_kept, Planted::Nothing, &others));
    }
}

const KEY: u64 = 1;

/// An operation on the key of the whole store, where nothing else is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Keep,
    LetGo,
    Store,
    Get,
    Promote,
    Demote,
    Evict(Tier),
    Remove,
    /// Whether an iteration over the tier meets it.
    Iter(Tier),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// The tier, and whether it was kept.
    Kept(Option<(Tier, bool)>),
    /// Whether it is kept.
    Stored(bool),
    /// Its value, its tier, and whether it was kept.
    Found(State),
    Moved(Option<(Tier, Tier)>),
    Evicted(bool),
    Met(bool),
}

/// The value, the tier, and whether it is kept.
type State = Option<(u64, Tier, bool)>;

/// One operation after the other, as the specification has it.
fn after(state: State, op: Op) -> (State, Answer) {
    let kept = |is_kept| {
        let next = state.map(|(value, tier, _)| (value, tier, is_kept));
        (next, Answer::Kept(state.map(|(_, tier, was_kept)| (tier, was_kept))))
    };
    let moved = |target: fn(Tier) -> Tier| {
        let next = state.map(|(value, tier, is_kept)| (value, target(tier), is_kept));
        (next, Answer::Moved(state.map(|(_, tier, _)| (tier, target(tier)))))
    };
    match op {
        Op::Keep => kept(true),
        Op::LetGo => kept(false),
        Op::Store => {
            let is_kept = state.is_some_and(|(.., is_kept)| is_kept);
            (Some((2, Tier::Hot, is_kept)), Answer::Stored(is_kept))
        }
        Op::Get => (state, Answer::Found(state)),
        Op::Promote => moved(|_| Tier::Hot),
        Op::Demote => moved(|tier| tier.below().unwrap_or(tier)),
        Op::Evict(from) => match state {
            Some((value, tier, false)) if tier == from => {
                (tier.below().map(|below| (value, below, false)), Answer::Evicted(true))
            }
            _ => (state, Answer::Evicted(false)),
        },
        Op::Remove => (None, Answer::Found(state)),
        Op::Iter(tier) => (state, Answer::Met(state.is_some_and(|(_, now, _)| now == tier))),
    }
}

fn run(store: &Store, op: Op) -> Answer {
    let kept = |answer: Result<tierstack::Kept, KeepError>| match answer {
        Ok(kept) => Answer::Kept(Some((kept.tier, kept.was_kept))),
        Err(KeepError::NotFound) => Answer::Kept(None),
        Err(error) => panic!("{error}"),
    };
    match op {
        Op::Keep => kept(store.keep(&KEY)),
        Op::LetGo => kept(store.let_go(&KEY)),
        Op::Store => {
            let stored = store.store(KEY, 2).expect("ticks are left");
            assert!(stored.tier == Tier::Hot && !stored.contended && !stored.kept_out, "there is room: {stored:?}");
            Answer::Stored(stored.kept)
        }
        Op::Get => Answer::Found(store.get(&KEY).map(|found| (found.value, found.tier, found.kept))),
        Op::Promote => match store.promote_to(&KEY, Tier::Hot) {
            Ok(moved) => Answer::Moved(Some((moved.from, moved.to))),
            Err(PromoteError::NotFound) => Answer::Moved(None),
            Err(error) => panic!("{error}"),
        },
        Op::Demote => Answer::Moved(store.demote(&KEY).map(|moved| (moved.from, moved.to))),
        Op::Evict(tier) => Answer::Evicted(store.evict_lru(tier).is_some()),
        Op::Remove => Answer::Found(store.remove(&KEY).map(|found| (found.value, found.tier, found.kept))),
        Op::Iter(tier) => Answer::Met(store.iter(tier).any(|item| item.key == KEY)),
    }
}

/// What is there, if the counts and the orders agree.
fn state_at_rest(store: &Store) -> State {
    let [state] = at_rest(store, [KEY]);
    let state = state.map(|(value, tier)| (value, tier, store.peek(&KEY).is_some_and(|found| found.kept)));
    for tier in Tier::ALL {
        let kept = u64::from(state.is_some_and(|(_, now, is_kept)| now == tier && is_kept));
        let counted = store.metrics().tier(tier);
        assert_eq!((counted.kept_fragments, counted.kept_bytes), (kept, kept * WEIGHT), "kept in {tier}");
        assert_eq!(store.iter(tier).filter(|item| item.kept).count() as u64, kept, "listed as kept in {tier}");
    }
    state
}

fn beside(name: &str, first: (Tier, bool), spawned: Op, own: Op) {
    let store = with_room_for(4);
    store.store(KEY, 1).unwrap();
    store.demote_to(&KEY, first.0).unwrap();
    if first.1 {
        store.keep(&KEY).unwrap();
    }
    let thread = {
        let store = Arc::clone(&store);
        spawn(move || run(&store, spawned))
    };
    let done = [(own, run(&store, own)), (spawned, thread.join().unwrap())];
    // What follows is sequential.
    loom::skip_branch();
    let last = state_at_rest(&store);
    let explains = |one: (Op, Answer), other: (Op, Answer)| {
        let (state, answer) = after(Some((1, first.0, first.1)), one.0);
        answer == one.1 && after(state, other.0) == (last, other.1)
    };
    assert!(explains(done[0], done[1]) || explains(done[1], done[0]), "{name}: {done:?}, {last:?}");
    // What is left is where an eviction finds it, unless it is kept.
    for tier in Tier::ALL {
        let is_found = last.is_some_and(|(_, now, is_kept)| now == tier && !is_kept);
        assert_eq!(store.evict_lru(tier).is_some(), is_found, "{name}: evicted from {tier}");
        if is_found {
            break;
        }
    }
}

/// Explores both operations beside each other; each has its turn as the thread that is spawned.
fn pair(first: (Tier, bool), one: Op, other: Op) {
    pair_within(2, first, one, other);
}

fn pair_within(preemptions: usize, first: (Tier, bool), one: Op, other: Op) {
    let name = format!("{first:?}: {one:?}, {other:?}");
    let model = |own: Op, spawned: Op| {
        let name = name.clone();
        move || {
            let name = name.clone();
            collected(move || beside(&name, first, spawned, own));
        }
    };
    if one == other {
        holds(&name, preemptions, model(other, one));
    } else {
        both_hold(&name, preemptions, (model(other, one), model(one, other)));
    }
}

const HOT: (Tier, bool) = (Tier::Hot, false);
const WARM: (Tier, bool) = (Tier::Warm, false);
const KEPT: (Tier, bool) = (Tier::Hot, true);
const KEPT_WARM: (Tier, bool) = (Tier::Warm, true);

#[test]
fn a_keep_beside_an_eviction() {
    pair(HOT, Op::Keep, Op::Evict(Tier::Hot));
    pair((Tier::Cold, false), Op::Keep, Op::Evict(Tier::Cold));
}

#[test]
fn a_keep_beside_a_replacement() {
    pair(HOT, Op::Keep, Op::Store);
    pair(WARM, Op::Keep, Op::Store);
}

#[test]
fn a_keep_beside_moves_and_a_use() {
    pair(HOT, Op::Keep, Op::Demote);
    pair(WARM, Op::Keep, Op::Promote);
    pair(HOT, Op::Keep, Op::Get);
    pair(HOT, Op::Keep, Op::Remove);
}

#[test]
fn a_keep_beside_another_and_a_letting_go() {
    pair(HOT, Op::Keep, Op::Keep);
    pair(HOT, Op::Keep, Op::LetGo);
    pair(KEPT, Op::Keep, Op::LetGo);
    pair(KEPT, Op::LetGo, Op::LetGo);
}

#[test]
fn a_keep_beside_an_iteration() {
    pair(HOT, Op::Keep, Op::Iter(Tier::Hot));
    pair(KEPT, Op::LetGo, Op::Iter(Tier::Hot));
}

#[test]
fn a_letting_go_beside_an_eviction() {
    pair(KEPT, Op::LetGo, Op::Evict(Tier::Hot));
    pair((Tier::Cold, true), Op::LetGo, Op::Evict(Tier::Cold));
}

#[test]
fn a_letting_go_beside_others() {
    pair(KEPT, Op::LetGo, Op::Store);
    pair(KEPT, Op::LetGo, Op::Demote);
    pair(KEPT_WARM, Op::LetGo, Op::Promote);
    pair(KEPT, Op::LetGo, Op::Remove);
    pair(KEPT, Op::LetGo, Op::Get);
}

#[test]
fn what_is_kept_moves_beside_others() {
    pair(KEPT, Op::Demote, Op::Evict(Tier::Hot));
    pair(KEPT, Op::Demote, Op::Store);
    pair(KEPT_WARM, Op::Promote, Op::Demote);
    // With two preemptions it takes minutes.
    pair_within(1, KEPT_WARM, Op::Promote, Op::Store);
    pair(KEPT, Op::Demote, Op::Remove);
}
