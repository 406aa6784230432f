//! A key that is replaced within its tier, beside walks up the tier's order: it is not missed, also where the storer has stopped right after its
//! compare-and-swap; and whoever has seen the successor is followed by walks that meet it.
//!
//! What a walk makes of an entry is the crate's own, as are the moves; the walk itself, and the steps of the store, are written out, over bare
//! blocks of cells: no container orders the threads.

use std::ptr::NonNull;
use std::sync::Arc;

use crossbeam_epoch::{Guard, unprotected};
use loom::sync::atomic::{AtomicBool, Ordering};
use loom_tests::collected::spawn;
use loom_tests::{both_hold, fails, holds};
use tierstack::Tier;
use tierstack::internals::{Block, Counted, Entries, List, Met, Node, Outcome, Place, Placement, Stats};

type Fragment = Node<(), u64>;

/// Ticks that there are, from 0 on.
const TICKS: u64 = 8;

const HOT: List = List::Of(Tier::Hot);

/// A key's first node, hot at tick 1; the one that is to replace it; and a cell of hot for each tick.
struct Trial {
    first: Box<Fragment>,
    second: Box<Fragment>,
    cells: Vec<Block<Fragment>>,
}

impl Entries<(), u64> for Trial {
    fn fill(&self, node: &Fragment, (list, tick): Placement, _: &Guard) {
        assert_eq!(list, HOT, "all stay there");
        self.cell(tick).at(0).put(node);
        assert_eq!(self.cell(tick).count(0), Counted::Open);
    }

    /// Nobody takes a snapshot.
    fn report(&self, _: &Fragment, _: &Guard) {}

    fn clear(&self, _: &Fragment, (_, tick): Placement, _: &Guard) {
        self.cell(tick).at(0).empty();
    }

    fn note_crossing(&self) {}
}

/// Nothing is retired in these models.
fn unpinned() -> &'static Guard {
    // SAFETY: no deferral is made under it.
    unsafe { unprotected() }
}

/// How far a storer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Storer {
    GoesOn,
    StopsUnpublished,
    /// Planted: it clears the predecessor's entry before it publishes.
    ClearsFirst,
    /// Planted: its tick stays below the predecessor's.
    StaysBelow,
}

impl Trial {
    fn new() -> Arc<Self> {
        let stats = Arc::new(Stats::new());
        let node = |value| Box::new(Node::new(0, (), value, 1, 1, &stats));
        let cells = (0..TICKS).map(|_| Block::new()).collect();
        let trial = Self { first: node(1), second: node(2), cells };
        trial.first.place.prepare(Place::fresh(Tier::Hot, 1));
        trial.fill(&trial.first, (HOT, 1), unpinned());
        trial.first.publish();
        Arc::new(trial)
    }

    fn cell(&self, tick: u64) -> &Block<Fragment> {
        &self.cells[usize::try_from(tick).unwrap()]
    }

    /// `src/store/write.rs`: at tick 2, or above that of the predecessor.
    fn store(&self, storer: Storer) {
        let (old, new, guard) = (&*self.first, &*self.second, unpinned());
        let mut tick = 0;
        let mut place = old.place.load();
        loop {
            let floor = if storer == Storer::StaysBelow { 0 } else { place.tick() };
            if tick == 0 || tick <= floor {
                if tick > 0 {
                    self.clear(new, (HOT, tick), guard);
                }
                tick = (floor + 1).max(2);
                new.place.prepare(Place::fresh(Tier::Hot, tick));
                self.fill(new, (HOT, tick), guard);
            }
            match old.place.replace(place, NonNull::from(new)) {
                Outcome::Lost(now) => place = now,
                Outcome::Done(now) => {
                    if storer == Storer::StopsUnpublished {
                        return;
                    }
                    if storer == Storer::ClearsFirst {
                        self.clear_left(old, place, now, guard);
                    }
                    new.publish();
                    self.clear_left(old, place, now, guard);
                    return;
                }
            }
        }
    }

    /// The key's value, by its chain, as the index leads to it.
    fn observe(&self) -> u64 {
        // SAFETY: the nodes live as long as the trial, with no collector.
        match unsafe { Fragment::follow(self.first.place.load(), unpinned()) } {
            Some(second) => {
                second.publish();
                *second.value()
            }
            None => *self.first.value(),
        }
    }

    /// As an eviction and an iteration walk: the first that stands there.
    fn walk(&self) -> Option<u64> {
        let guard = unpinned();
        (1..TICKS).find_map(|tick| {
            let node = self.cell(tick).at(0).node(guard)?;
            match Met::at(node, (HOT, tick)) {
                Met::Unpublished | Met::NotYet(_) => None,
                Met::Here(_) | Met::Perishable(_) => Some(*node.value()),
                Met::Over(place) => {
                    self.clear_stale(node, place, (HOT, tick), guard);
                    None
                }
            }
        })
    }
}

/// Runs both; what the one that is spawned, and this thread, got.
fn beside<T: Send + 'static, U>(
    trial: &Arc<Trial>,
    spawned: impl FnOnce(&Trial) -> T + Send + 'static,
    own: impl FnOnce(&Trial) -> U,
) -> (T, U) {
    let other = {
        let trial = Arc::clone(trial);
        spawn(move || spawned(&trial))
    };
    let own = own(trial);
    (other.join().unwrap(), own)
}

fn walk_beside_store(storer: Storer) {
    let (met, ()) = beside(&Trial::new(), Trial::walk, |trial| trial.store(storer));
    assert!(met.is_some(), "the key was missed");
}

#[test]
fn a_key_that_is_replaced_is_not_missed() {
    for storer in [Storer::GoesOn, Storer::StopsUnpublished] {
        let walk_spawned = move || walk_beside_store(storer);
        let store_spawned = move || {
            let ((), met) = beside(&Trial::new(), move |trial| trial.store(storer), Trial::walk);
            assert!(met.is_some(), "the key was missed");
        };
        both_hold(&format!("walk, storer {storer:?}"), 4, (walk_spawned, store_spawned));
    }
    fails("planted: cleared before it is published", 4, || walk_beside_store(Storer::ClearsFirst));
}

#[test]
fn what_somebody_has_seen_is_met_by_walks_after_that() {
    for storer in [Storer::GoesOn, Storer::StopsUnpublished] {
        let observe_and_walk = |trial: &Trial| (trial.observe(), trial.walk());
        let check = |(seen, met): (u64, Option<u64>)| assert!(met >= Some(seen), "seen {seen}, met {met:?}");
        let store_spawned = move || {
            let ((), got) = beside(&Trial::new(), move |trial| trial.store(storer), observe_and_walk);
            check(got);
        };
        let walk_spawned = move || {
            let (got, ()) = beside(&Trial::new(), observe_and_walk, |trial| trial.store(storer));
            check(got);
        };
        both_hold(&format!("observe and walk, storer {storer:?}"), 4, (store_spawned, walk_spawned));
    }
}

#[test]
fn what_somebody_has_seen_is_met_by_whoever_is_told() {
    holds("store, observe and tell, walk", 2, || {
        let trial = Trial::new();
        let told = Arc::new(AtomicBool::new(false));
        let storer = {
            let trial = Arc::clone(&trial);
            spawn(move || trial.store(Storer::StopsUnpublished))
        };
        let observer = {
            let (trial, told) = (Arc::clone(&trial), Arc::clone(&told));
            spawn(move || {
                if trial.observe() == 2 {
                    told.store(true, Ordering::Release);
                }
            })
        };
        let is_told = told.load(Ordering::Acquire);
        let met = trial.walk();
        assert!(if is_told { met == Some(2) } else { met.is_some() }, "told: {is_told}, met {met:?}");
        storer.join().unwrap();
        observer.join().unwrap();
    });
}

/// The predecessor is moved up in its tier, above the tick that its storer has taken.
fn walk_beside_rise_and_store(storer: Storer) {
    let trial = Trial::new();
    let rise = |trial: &Trial| {
        let place = trial.first.place.load();
        if place.tier().is_some() {
            let _ = trial.rise(&trial.first, place, Tier::Hot, 3, unpinned());
        }
    };
    let other = {
        let trial = Arc::clone(&trial);
        spawn(move || trial.store(storer))
    };
    let walker = {
        let trial = Arc::clone(&trial);
        spawn(move || trial.walk())
    };
    rise(&trial);
    other.join().unwrap();
    assert!(walker.join().unwrap().is_some(), "the key was missed");
}

#[test]
fn a_key_that_is_promoted_and_replaced_is_not_missed() {
    for storer in [Storer::GoesOn, Storer::StopsUnpublished] {
        holds(&format!("rise, walk, storer {storer:?}"), 2, move || walk_beside_rise_and_store(storer));
    }
    fails("planted: a successor below its predecessor", 2, || walk_beside_rise_and_store(Storer::StaysBelow));
}
