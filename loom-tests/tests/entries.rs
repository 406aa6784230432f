//! The entries of one fragment in the tiers' orders, while two or three threads move it: at rest there is one exactly where the word says that
//! the fragment is, or lower at the same tick where the word says that it is prefilled; and once the fragment is removed there is none.
//!
//! The moves are the crate's own, over bare blocks of cells, one for each entry: no container orders the threads.

use std::ptr::NonNull;
use std::sync::Arc;

use crossbeam_epoch::{Guard, unprotected};
use loom_tests::collected::spawn;
use loom_tests::{both_hold, holds};
use tierstack::Tier;
use tierstack::internals::{Block, Counted, Entries, List, Node, Outcome, Place, Placement, Standing, Stats};

type Fragment = Node<(), ()>;

/// Ticks that there are, from 0 on.
const TICKS: u64 = 8;

const LISTS: [List; 4] = [List::Of(Tier::Hot), List::Of(Tier::Warm), List::Of(Tier::Cold), List::Kept];

/// A node, its successor, and a cell for each order and tick.
struct Trial {
    node: Box<Fragment>,
    successor: Box<Fragment>,
    cells: Vec<Block<Fragment>>,
}

impl Entries<(), ()> for Trial {
    fn fill(&self, node: &Fragment, to: Placement, _: &Guard) {
        self.cell(to).at(0).put(node);
        assert_eq!(self.cell(to).count(0), Counted::Open);
    }

    /// Nobody takes a snapshot.
    fn report(&self, _: &Fragment, _: &Guard) {}

    fn clear(&self, node: &Fragment, from: Placement, _: &Guard) {
        assert!(self.cell(from).at(0).node(unpinned()).is_none_or(|there| std::ptr::eq(there, node)));
        self.cell(from).at(0).empty();
    }

    fn note_crossing(&self) {}
}

/// Nothing is retired in these models.
fn unpinned() -> &'static Guard {
    // SAFETY: no deferral is made under it.
    unsafe { unprotected() }
}

#[derive(Clone, Copy, Debug)]
enum Move {
    /// By key, to that tier.
    Sink(Tier),
    /// Of this fragment, if it is the oldest of that tier and unused.
    Evict(Tier),
    /// To that tier, at that tick.
    Rise(Tier, u64),
    /// A use, at that tick.
    Use(u64),
    /// At that tick, if it is not kept.
    Keep(u64),
    /// At that tick, if it is kept.
    LetGo(u64),
    Remove,
    Replace,
}

impl Trial {
    /// The fragment stands there; in hot, where it is kept.
    fn new((list, tick): Placement) -> Self {
        let stats = Arc::new(Stats::new());
        let node = || Box::new(Node::new(0, (), (), 1, tick, &stats));
        let cells = (0..4 * TICKS).map(|_| Block::new()).collect();
        let trial = Self { node: node(), successor: node(), cells };
        trial.node.place.prepare(match list {
            List::Of(tier) => Place::fresh(tier, tick),
            List::Kept => Place::fresh_kept(Tier::Hot, tick),
        });
        trial.fill(&trial.node, (list, tick), unpinned());
        trial
    }

    fn cell(&self, (list, tick): Placement) -> &Block<Fragment> {
        let order = LISTS.iter().position(|other| *other == list).unwrap();
        &self.cells[order * usize::try_from(TICKS).unwrap() + usize::try_from(tick).unwrap()]
    }

    fn holds(&self, placement: Placement) -> bool {
        self.cell(placement).at(0).node(unpinned()).is_some()
    }

    fn run(&self, moves: &[Move]) {
        for &next in moves {
            self.make(next);
        }
    }

    /// As the operations of `src/store` do.
    fn make(&self, next: Move) {
        let (node, guard) = (&*self.node, unpinned());
        let mut place = node.place.load();
        match next {
            Move::Sink(to) => {
                while place.tier().is_some_and(|now| now < to) {
                    if let Outcome::Done(_) = self.sink(node, place, to, guard) {
                        return;
                    }
                    place = node.place.load();
                }
            }
            Move::Evict(tier) => {
                while place.list() == Some(List::Of(tier)) {
                    let last_use = if place.may_be_used() { node.last_use.confirm() } else { 0 };
                    let moved = match tier.below() {
                        _ if last_use > place.tick() => {
                            // Its turn is over: others are older.
                            let _ = self.relist(node, place, tier, last_use, guard);
                            return;
                        }
                        Some(below) => self.sink(node, place, below, guard),
                        None => self.end(place, |place| node.place.remove(place)),
                    };
                    if let Outcome::Done(_) = moved {
                        return;
                    }
                    place = node.place.load();
                }
            }
            Move::Rise(to, tick) => {
                while place.tier().is_some_and(|now| now >= to) && place.tick() < tick {
                    if let Outcome::Done(_) = self.rise(node, place, to, tick, guard) {
                        return;
                    }
                    // A tick is used once.
                    return;
                }
            }
            Move::Use(tick) => {
                node.last_use.raise(tick);
                place = node.place.load();
                while place.tier().is_some() && place.tick() < tick && !place.is_touched() {
                    let (Outcome::Done(now) | Outcome::Lost(now)) = node.place.touch(place);
                    place = now;
                }
            }
            Move::Keep(tick) => self.keep_it(place, true, tick),
            Move::LetGo(tick) => self.keep_it(place, false, tick),
            Move::Remove => self.end_it(|place| node.place.remove(place)),
            Move::Replace => {
                self.end_it(|place| node.place.replace(place, NonNull::from(&*self.successor)));
            }
        }
    }

    fn keep_it(&self, place: Place, is_kept: bool, tick: u64) {
        if let Some(tier) = place.tier()
            && place.is_kept() != is_kept
            && place.tick() < tick
        {
            // A tick is used once.
            let _ = self.keep(&self.node, place, tier, is_kept, tick, unpinned());
        }
    }

    fn end_it(&self, end: impl Fn(Place) -> Outcome) {
        loop {
            let place = self.node.place.load();
            if place.tier().is_none() || matches!(self.end(place, &end), Outcome::Done(_)) {
                return;
            }
        }
    }

    fn end(&self, place: Place, end: impl Fn(Place) -> Outcome) -> Outcome {
        let ended = end(place);
        if let Outcome::Done(now) = ended {
            self.clear_left(&self.node, place, now, unpinned());
        }
        ended
    }

    fn check(&self, of: &str) {
        let place = self.node.place.load();
        for list in LISTS {
            for tick in 0..TICKS {
                let here = format!("{of}: {list:?}@{tick} at rest, and the word {place:?}");
                match (place.standing(list, tick), self.holds((list, tick))) {
                    (Standing::At, is_there) => assert!(is_there, "no entry: {here}"),
                    (Standing::Before, true) => {
                        assert!(place.is_prefilled() && place.tick() == tick, "an early entry: {here}");
                    }
                    (Standing::Beyond, true) => panic!("a late entry: {here}"),
                    (_, false) => {}
                }
            }
        }
    }

    /// At rest.
    fn check_all(&self, of: &str) {
        self.check(of);
        self.make(Move::Remove);
        self.check(of);
    }
}

fn beside(first: Placement, before: &[Move], spawned: &[&'static [Move]], own: &[Move]) {
    let trial = Trial::new(first);
    trial.run(before);
    let trial = Arc::new(trial);
    let threads: Vec<_> = spawned
        .iter()
        .map(|&moves| {
            let trial = Arc::clone(&trial);
            spawn(move || trial.run(moves))
        })
        .collect();
    trial.run(own);
    for thread in threads {
        thread.join().unwrap();
    }
    loom::skip_branch();
    trial.check_all(&format!("{first:?}, {before:?}: {spawned:?}, {own:?}"));
}

/// Explores both beside each other; each has its turn as the thread that is spawned.
fn pair(first: Placement, before: &'static [Move], one: &'static [Move], other: &'static [Move]) {
    let name = format!("{first:?}, {before:?}: {one:?}, {other:?}");
    both_hold(&name, 3, (move || beside(first, before, &[one], other), move || beside(first, before, &[other], one)));
}

const HOT: Placement = (List::Of(Tier::Hot), 1);
const WARM: Placement = (List::Of(Tier::Warm), 1);
const KEPT: Placement = (List::Kept, 1);

use Move::{Evict, Keep, LetGo, Remove, Replace, Rise, Sink, Use};

#[test]
fn two_that_sink_it() {
    pair(HOT, &[], &[Sink(Tier::Warm)], &[Sink(Tier::Warm)]);
    pair(HOT, &[], &[Sink(Tier::Warm)], &[Sink(Tier::Cold)]);
    pair(HOT, &[], &[Sink(Tier::Cold)], &[Sink(Tier::Cold)]);
    pair(HOT, &[], &[Evict(Tier::Hot)], &[Evict(Tier::Hot)]);
}

/// The other brings the word to the cell that the sinker fills, and away from it again.
#[test]
fn a_sinker_that_comes_late() {
    pair(HOT, &[], &[Sink(Tier::Warm)], &[Sink(Tier::Warm), Remove]);
    pair(HOT, &[], &[Evict(Tier::Hot)], &[Evict(Tier::Hot), Replace]);
    pair(HOT, &[], &[Sink(Tier::Warm)], &[Sink(Tier::Warm), Rise(Tier::Hot, 2)]);
    pair(HOT, &[], &[Sink(Tier::Warm)], &[Sink(Tier::Warm), Sink(Tier::Cold)]);
    pair(HOT, &[], &[Sink(Tier::Cold)], &[Sink(Tier::Warm), Rise(Tier::Hot, 2)]);
}

#[test]
fn a_sinker_beside_a_use() {
    pair(HOT, &[], &[Evict(Tier::Hot)], &[Use(2)]);
    pair(HOT, &[], &[Evict(Tier::Hot)], &[Use(2), Remove]);
    pair(HOT, &[], &[Evict(Tier::Hot)], &[Use(2), Rise(Tier::Hot, 3)]);
    pair(HOT, &[], &[Evict(Tier::Hot)], &[Use(2), Sink(Tier::Cold)]);
    pair(HOT, &[], &[Evict(Tier::Hot)], &[Use(2), Evict(Tier::Hot)]);
}

#[test]
fn a_sinker_beside_an_end() {
    for end in [&[Remove], &[Replace]] {
        pair(HOT, &[], &[Sink(Tier::Warm)], end);
        pair(HOT, &[], &[Evict(Tier::Hot)], end);
        pair(WARM, &[], &[Sink(Tier::Cold)], end);
    }
}

#[test]
fn a_riser_beside_others() {
    let riser: &[Move] = &[Rise(Tier::Hot, 2)];
    let others: [&[Move]; 6] =
        [&[Sink(Tier::Cold)], &[Evict(Tier::Warm)], &[Use(3)], &[Remove], &[Replace], &[Rise(Tier::Warm, 3)]];
    for other in others {
        pair(WARM, &[], riser, other);
    }
}

/// The eviction's entry is at a last use that is above the rise's tick.
#[test]
fn a_re_listing_beside_a_rise_by_an_older_tick() {
    pair(WARM, &[Use(5)], &[Evict(Tier::Warm)], &[Rise(Tier::Hot, 3)]);
    pair(WARM, &[Use(5)], &[Evict(Tier::Warm)], &[Rise(Tier::Hot, 3), Evict(Tier::Hot)]);
    pair(WARM, &[Use(5)], &[Evict(Tier::Warm)], &[Rise(Tier::Hot, 3), Remove]);
    pair(WARM, &[], &[Use(5), Evict(Tier::Warm)], &[Rise(Tier::Hot, 3)]);
    pair(WARM, &[], &[Use(5), Evict(Tier::Warm)], &[Rise(Tier::Hot, 3), Sink(Tier::Cold)]);
}

#[test]
fn two_that_re_list_it() {
    pair(HOT, &[Use(2)], &[Evict(Tier::Hot)], &[Evict(Tier::Hot)]);
    pair(HOT, &[Use(2)], &[Evict(Tier::Hot)], &[Use(3), Evict(Tier::Hot)]);
    pair(HOT, &[Use(2)], &[Evict(Tier::Hot)], &[Sink(Tier::Warm)]);
    pair(HOT, &[Use(2)], &[Evict(Tier::Hot)], &[Evict(Tier::Hot), Sink(Tier::Warm)]);
}

#[test]
fn a_keeper_beside_others() {
    let others: [&[Move]; 7] =
        [&[Sink(Tier::Warm)], &[Evict(Tier::Hot)], &[Use(3)], &[Rise(Tier::Hot, 3)], &[Remove], &[Replace], &[Keep(3)]];
    for other in others {
        pair(HOT, &[], &[Keep(2)], other);
    }
}

#[test]
fn a_letter_go_beside_others() {
    let others: [&[Move]; 6] =
        [&[Sink(Tier::Warm)], &[Use(3)], &[Rise(Tier::Hot, 3)], &[Remove], &[LetGo(3)], &[LetGo(3), Evict(Tier::Hot)]];
    for other in others {
        pair(KEPT, &[], &[LetGo(2)], other);
    }
}

/// The entry that was filled for a move within the tier, or down, is settled while the fragment is kept, or was.
#[test]
fn what_was_filled_for_a_move_of_what_is_kept_by_then() {
    pair(HOT, &[Use(5)], &[Evict(Tier::Hot)], &[Keep(3)]);
    pair(HOT, &[Use(5)], &[Evict(Tier::Hot)], &[Keep(3), LetGo(4)]);
    pair(HOT, &[Use(5)], &[Evict(Tier::Hot)], &[Keep(6), LetGo(7)]);
    pair(HOT, &[], &[Sink(Tier::Warm)], &[Keep(2), LetGo(3)]);
    pair(HOT, &[], &[Sink(Tier::Warm)], &[Use(2), Keep(3)]);
}

#[test]
fn three_that_move_it() {
    let threes: [(Placement, &[Move], &[&[Move]], &[Move]); 6] = [
        (HOT, &[Use(5)], &[&[Evict(Tier::Hot)], &[Keep(3)]], &[LetGo(4)]),
        (HOT, &[], &[&[Sink(Tier::Cold)], &[Keep(3)]], &[Use(2)]),
        (HOT, &[], &[&[Sink(Tier::Warm)], &[Sink(Tier::Cold)]], &[Use(2)]),
        (HOT, &[], &[&[Evict(Tier::Hot)], &[Evict(Tier::Hot)]], &[Remove]),
        (WARM, &[Use(5)], &[&[Evict(Tier::Warm)], &[Rise(Tier::Hot, 3)]], &[Sink(Tier::Cold)]),
        (HOT, &[Use(2)], &[&[Evict(Tier::Hot)], &[Sink(Tier::Cold)]], &[Rise(Tier::Hot, 3)]),
    ];
    for (first, before, spawned, own) in threes {
        let name = format!("{first:?}, {before:?}: {spawned:?}, {own:?}");
        holds(&name, 2, move || beside(first, before, spawned, own));
    }
}
