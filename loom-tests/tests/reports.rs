//! Snapshots over bare cells: place words, entries and reports, with no index and no order around them, so that nothing but these atomics orders the
//! threads. Moves, reports, walk and merge are the crate's own; the steps around them, of stores, removals and look-ups, are written out.
//!
//! Whatever the threads did and were shown has an order in which each step is true.

use std::ptr::NonNull;
use std::sync::Arc;

use crossbeam_epoch::{Guard, unprotected};
use loom_tests::collected::{Pinned, collected, spawn, spawn_pinned};
use loom_tests::instants::{Event, Keys, explains};
use loom_tests::{both_hold, fails, holds};
use tierstack::Tier;
use tierstack::internals::{
    Block, Clock, Counted, Entries, List, Node, Outcome, Place, Placement, Reports, Stats, Tiers, Walk,
};

type Fragment = Node<(), u64>;

const TICKS: u64 = 8;

const LISTS: [List; 3] = [List::Of(Tier::Hot), List::Of(Tier::Warm), List::Kept];

/// Two keys, with a fragment each, and one that is to replace the first; and a cell of each order for each tick.
struct Trial {
    /// Of the values 1, 2, 3; the key is the value less one, and 3 is of the first key.
    nodes: [Box<Fragment>; 3],
    cells: [Vec<Block<Fragment>>; 3],
    clock: Clock,
    reports: Reports<(), u64>,
    /// After how many records a collector is due.
    limit: usize,
}

impl Entries<(), u64> for Trial {
    fn fill(&self, node: &Fragment, to: Placement, _: &Guard) {
        self.cell(to).at(0).put(node);
        assert_eq!(self.cell(to).count(0), Counted::Open);
    }

    fn clear(&self, _: &Fragment, from: Placement, _: &Guard) {
        self.cell(from).at(0).empty();
    }

    fn report(&self, node: &Fragment, guard: &Guard) {
        if let Some(due) = self.reports.report(node, guard) {
            self.end(due, guard);
        }
    }

    fn note_crossing(&self) {}
}

type Collector = tierstack::internals::Collector<(), u64>;

impl Trial {
    /// The fragments of the two keys stand there.
    fn new(tiers: [Tier; 2], limit: usize, guard: &Guard) -> Arc<Self> {
        let (stats, clock) = (Arc::new(Stats::new()), Clock::starting_at(1));
        let node = |value| Box::new(Node::new(0, (), value, 1, clock.tick().unwrap(), &stats));
        let nodes = [node(1), node(2), node(3)];
        let cells = LISTS.map(|_| (0..TICKS).map(|_| Block::new()).collect());
        let trial = Self { nodes, cells, clock, reports: Reports::new(), limit };
        for (node, tier) in trial.nodes.iter().zip(tiers) {
            node.place.prepare(Place::fresh(tier, node.stamp()));
            trial.fill(node, (List::Of(tier), node.stamp()), guard);
            node.publish();
        }
        Arc::new(trial)
    }

    fn cell(&self, (list, tick): Placement) -> &Block<Fragment> {
        let order = LISTS.iter().position(|other| *other == list).unwrap();
        &self.cells[order][usize::try_from(tick).unwrap()]
    }

    /// The key's live node, as an index would lead to it; and its word.
    fn find<'g>(&'g self, key: usize, guard: &'g Guard) -> (&'g Fragment, Place) {
        let mut node = &*self.nodes[key];
        loop {
            let place = node.place.load();
            // SAFETY: the nodes live as long as the trial.
            match unsafe { Fragment::follow(place, guard) } {
                Some(successor) => node = successor,
                None => return (node, place),
            }
        }
    }

    /// As [`Self::find`]; what it finds unpublished it publishes, and reports before.
    fn observe<'g>(&'g self, key: usize, guard: &'g Guard) -> (&'g Fragment, Place) {
        let found = self.find(key, guard);
        if !found.0.is_published() {
            self.report(&self.nodes[key], guard);
            found.0.publish();
        }
        found
    }

    fn state(node: &Fragment, place: Place) -> Option<(u64, Tier)> {
        Some((*node.value(), place.tier()?))
    }

    fn state_of(&self, key: usize, guard: &Guard) -> Option<(u64, Tier)> {
        let (node, place) = self.find(key, guard);
        Self::state(node, place)
    }

    /// A look-up.
    fn see(&self, key: usize, guard: &Guard) -> Event {
        let (node, place) = self.observe(key, guard);
        self.report(node, guard);
        Event::Saw(key, Self::state(node, place))
    }

    /// Hot to warm; or nothing, where it is not hot.
    fn demote(&self, key: usize, guard: &Guard) -> Option<Event> {
        loop {
            let (node, place) = self.observe(key, guard);
            if place.tier() != Some(Tier::Hot) {
                return None;
            }
            if let Outcome::Done(now) = self.sink(node, place, Tier::Warm, guard) {
                return Some(Event::Changed(key, Self::state(node, place), Self::state(node, now)));
            }
        }
    }

    /// To hot.
    fn promote(&self, key: usize, guard: &Guard) -> Option<Event> {
        loop {
            let (node, place) = self.observe(key, guard);
            place.tier()?;
            let tick = self.clock.tick().unwrap();
            if let Outcome::Done(now) = self.rise(node, place, Tier::Hot, tick, guard) {
                return Some(Event::Changed(key, Self::state(node, place), Self::state(node, now)));
            }
        }
    }

    /// Keeps the key's fragment, or lets it go, which changes nothing that the events tell.
    fn set_kept(&self, key: usize, is_kept: bool, guard: &Guard) {
        loop {
            let (node, place) = self.observe(key, guard);
            let Some(tier) = place.tier().filter(|_| place.is_kept() != is_kept) else { return };
            let tick = self.clock.tick().unwrap();
            if let Outcome::Done(_) = self.keep(node, place, tier, is_kept, tick, guard) {
                return;
            }
        }
    }

    /// Ends the first key's fragment.
    fn remove(&self, guard: &Guard) -> Option<Event> {
        loop {
            let (node, place) = self.observe(0, guard);
            place.tier()?;
            if let Outcome::Done(now) = node.place.remove(place) {
                self.report(node, guard);
                self.clear_left(node, place, now, guard);
                return Some(Event::Changed(0, Self::state(node, place), None));
            }
        }
    }

    /// Stores the third in hot, in place of the first.
    fn replace(&self, guard: &Guard) -> Event {
        let (old, new) = (&*self.nodes[0], &*self.nodes[2]);
        let mut place = old.place.load();
        let mut tick = new.stamp();
        new.place.prepare(Place::fresh(Tier::Hot, tick));
        self.fill_ahead(new, (List::Of(Tier::Hot), tick), guard);
        loop {
            if tick < place.tick() {
                self.clear(new, (List::Of(Tier::Hot), tick), guard);
                tick = self.clock.tick().unwrap();
                new.place.prepare(Place::fresh(Tier::Hot, tick));
                self.fill_ahead(new, (List::Of(Tier::Hot), tick), guard);
            }
            match old.place.replace(place, NonNull::from(new)) {
                Outcome::Lost(now) => place = now,
                Outcome::Done(now) => {
                    self.report(old, guard);
                    new.publish();
                    self.clear_left(old, place, now, guard);
                    return Event::Changed(0, Self::state(old, place), Some((3, Tier::Hot)));
                }
            }
        }
    }

    /// As `src/store/picture.rs` does.
    fn end(&self, collector: &Collector, guard: &Guard) {
        if !collector.is_walked() {
            let mut walk = Walk::new();
            let end = self.clock.now().min(TICKS);
            let tiers = collector.tiers().each().filter(|tier| *tier != Tier::Cold);
            for list in tiers.map(List::Of).chain([List::Kept]) {
                for tick in 0..end {
                    if let Some(node) = self.cell((list, tick)).at(0).node(guard) {
                        let chain_with = |node: &Fragment| {
                            let leads = std::ptr::eq(self.find(0, guard).0, node);
                            leads.then_some(&*self.nodes[0])
                        };
                        walk.meet(node, (list, tick), chain_with, guard);
                    }
                }
            }
            collector.set_walk(walk);
        }
        collector.block();
        self.reports.deactivate(collector, guard);
    }

    /// Of hot and warm.
    fn snapshot(&self, guard: &Guard) -> Event {
        Event::Shown(self.picture(Tiers::ALL, guard))
    }

    fn snapshot_of_hot(&self, guard: &Guard) -> Event {
        Event::ShownHot(self.picture(Tiers::only(Tier::Hot), guard))
    }

    fn picture(&self, tiers: Tiers, guard: &Guard) -> Keys {
        loop {
            let collector = self.reports.join(tiers, || self.limit, guard);
            self.end(collector, guard);
            if collector.tiers().cover(tiers) {
                let mut keys: Keys = [None; 2];
                for record in collector.furthest(guard) {
                    let Some(tier) = record.place.tier().filter(|tier| tiers.contain(*tier)) else { continue };
                    // SAFETY: the nodes live as long as the trial.
                    let node = unsafe { &*record.node };
                    let key = usize::from(*node.value() == 2);
                    assert_eq!(keys[key], None, "two fragments of one key");
                    keys[key] = Some((*node.value(), tier));
                }
                return keys;
            }
        }
    }
}

type Program = fn(&Trial, &Guard) -> Vec<Event>;

const ENOUGH: usize = 100;

/// Runs the programs beside each other, the last one on this thread.
fn beside(tiers: [Tier; 2], limit: usize, programs: &[Program]) {
    let guard = Pinned::new();
    let trial = Trial::new(tiers, limit, &guard);
    let (own, spawned) = programs.split_last().unwrap();
    let threads: Vec<_> = spawned
        .iter()
        .map(|&program| {
            let trial = Arc::clone(&trial);
            spawn_pinned(move |guard| program(&trial, guard))
        })
        .collect();
    let mut done = vec![own(&trial, &guard)];
    let pins: Vec<_> = threads
        .into_iter()
        .map(|thread| {
            let (events, pin) = thread.join().unwrap();
            done.push(events);
            pin
        })
        .collect();
    loom::skip_branch();
    let first = [Some((1, tiers[0])), Some((2, tiers[1]))];
    let threads: Vec<&[Event]> = done.iter().map(Vec::as_slice).collect();
    assert!(explains(first, &threads), "{done:?}");
    // Alone, a snapshot shows what is there.
    let now = [0, 1].map(|key| trial.state_of(key, &guard));
    assert_eq!(trial.snapshot(&guard), Event::Shown(now), "{done:?}");
    drop((pins, guard));
}

const HOT_WARM: [Tier; 2] = [Tier::Hot, Tier::Warm];
const BOTH_HOT: [Tier; 2] = [Tier::Hot, Tier::Hot];

/// Explores them; where there are two, each has its turn as the thread that is spawned.
fn explore(name: &'static str, preemptions: usize, tiers: [Tier; 2], limit: usize, programs: &'static [Program]) {
    let model = move |programs: Vec<Program>| {
        move || {
            let programs = programs.clone();
            collected(move || beside(tiers, limit, &programs));
        }
    };
    let reversed = programs.iter().rev().copied().collect();
    match programs {
        [_, _] => both_hold(name, preemptions, (model(programs.to_vec()), model(reversed))),
        _ => holds(name, preemptions, model(programs.to_vec())),
    }
}

fn swap(trial: &Trial, guard: &Guard) -> Vec<Event> {
    trial.demote(0, guard).into_iter().chain(trial.promote(1, guard)).collect()
}

fn snapshot(trial: &Trial, guard: &Guard) -> Vec<Event> {
    vec![trial.snapshot(guard)]
}

fn snapshot_of_hot(trial: &Trial, guard: &Guard) -> Vec<Event> {
    vec![trial.snapshot_of_hot(guard)]
}

#[test]
fn a_swap_of_two_fragments() {
    explore("swap", 3, HOT_WARM, ENOUGH, &[swap, snapshot]);
    explore("swap, of hot", 3, HOT_WARM, ENOUGH, &[swap, snapshot_of_hot]);
}

#[test]
fn a_snapshot_that_others_end() {
    explore("swap, due at once", 3, HOT_WARM, 1, &[swap, snapshot]);
}

#[test]
fn what_another_has_seen_and_gone_on_from() {
    let programs: &[Program] = &[
        |trial, guard| trial.demote(0, guard).into_iter().collect(),
        |trial, guard| std::iter::once(trial.see(0, guard)).chain(trial.demote(1, guard)).collect(),
        snapshot,
    ];
    explore("see, demote", 2, BOTH_HOT, ENOUGH, programs);
}

#[test]
fn what_has_been_replaced() {
    explore("replace", 3, BOTH_HOT, ENOUGH, &[|trial, guard| vec![trial.replace(guard)], snapshot]);
}

#[test]
fn a_successor_that_another_has_seen_and_gone_on_from() {
    let programs: &[Program] = &[
        |trial, guard| vec![trial.replace(guard)],
        |trial, guard| std::iter::once(trial.see(0, guard)).chain(trial.demote(1, guard)).collect(),
        snapshot,
    ];
    explore("replace, see, demote", 2, BOTH_HOT, ENOUGH, programs);
}

#[test]
fn what_has_been_kept_or_let_go_and_moved() {
    let keep: &[Program] = &[
        |trial, guard| {
            trial.set_kept(0, true, guard);
            trial.demote(0, guard).into_iter().chain(trial.demote(1, guard)).collect()
        },
        snapshot,
    ];
    explore("keep, demote, demote the other", 2, BOTH_HOT, ENOUGH, keep);
    let keep_and_let_go: &[Program] = &[
        |trial, guard| {
            trial.set_kept(0, true, guard);
            trial.set_kept(0, false, guard);
            trial.demote(1, guard).into_iter().collect()
        },
        snapshot_of_hot,
    ];
    explore("keep, let go, demote the other", 2, BOTH_HOT, ENOUGH, keep_and_let_go);
}

#[test]
fn what_has_been_removed_beside_one_who_still_reads_it() {
    let programs: &[Program] = &[
        |trial, guard| trial.remove(guard).into_iter().chain(trial.demote(1, guard)).collect(),
        |trial, guard| vec![trial.see(0, guard)],
        snapshot,
    ];
    explore("remove, demote; see", 2, BOTH_HOT, ENOUGH, programs);
}

#[test]
fn two_snapshots_beside_a_swap() {
    explore("two snapshots", 2, HOT_WARM, ENOUGH, &[swap, snapshot, snapshot]);
    explore("of all and of hot", 2, HOT_WARM, ENOUGH, &[swap, snapshot, snapshot_of_hot]);
}

#[test]
fn a_snapshot_after_another() {
    let programs: &[Program] = &[
        |trial, guard| trial.demote(0, guard).into_iter().chain([trial.snapshot(guard)]).collect(),
        |trial, guard| vec![trial.snapshot(guard), trial.snapshot(guard)],
    ];
    explore("demote, snapshot; snapshot, snapshot", 2, BOTH_HOT, ENOUGH, programs);
}

#[test]
fn two_who_move_one_fragment() {
    let programs: &[Program] = &[
        |trial, guard| trial.demote(0, guard).into_iter().collect(),
        |trial, guard| trial.promote(0, guard).into_iter().chain(trial.demote(1, guard)).collect(),
        snapshot,
    ];
    explore("demote; promote, demote", 2, BOTH_HOT, ENOUGH, programs);
}

#[test]
fn a_walk_that_nobody_reports_to_is_found() {
    fails("planted: a walk alone", 3, || {
        // SAFETY: nothing is deferred, as no snapshot is taken.
        let guard = || unsafe { unprotected() };
        let trial = Trial::new(HOT_WARM, ENOUGH, guard());
        let thread = {
            let trial = Arc::clone(&trial);
            // The second key is read after the first.
            spawn(move || [0, 1].map(|key| trial.state_of(key, guard())))
        };
        let swapped = swap(&trial, guard());
        let shown = thread.join().unwrap();
        let first = [Some((1, Tier::Hot)), Some((2, Tier::Warm))];
        drop(trial);
        assert!(explains(first, &[&swapped, &[Event::Shown(shown)]]), "{shown:?}");
    });
}
