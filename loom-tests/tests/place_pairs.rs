//! Pairs of operations on the place words of one key's chain of nodes, with no index and no order around them.
//!
//! The nodes, their words and their successors are the crate's; the steps are those of `src/store`, less what they do in the index and the orders:
//! so that nothing but these atomics orders the threads. Whatever the threads are answered, and what is left, is explained by some order of
//! their operations.

use std::ptr::NonNull;
use std::sync::Arc;

use loom_tests::collected::spawn;
use loom_tests::spec::{Answer, Op, State as Fragment, explains};
use loom_tests::{both_hold, fails, holds};
use tierstack::Tier;
use tierstack::internals::{Clock, Node, Outcome, Place, Stats};

type Numbered = Node<(), u64>;

/// The key's nodes: the first is the one that is found, and the others are to be stored. Each value is a node's number.
struct Chain {
    nodes: [Box<Numbered>; 4],
    clock: Clock,
}

impl Chain {
    /// The first node stands in `tier`.
    fn new(tier: Tier) -> Arc<Self> {
        let (clock, stats) = (Clock::starting_at(1), Arc::new(Stats::new()));
        let node = |value| Box::new(Node::new(0, (), value, 5, clock.tick().unwrap(), &stats));
        let nodes = [node(1), node(2), node(3), node(4)];
        nodes[0].place.prepare(Place::fresh(tier, 1));
        Arc::new(Self { nodes, clock })
    }

    fn node(&self, value: u64) -> &Numbered {
        &self.nodes[usize::try_from(value).unwrap() - 1]
    }

    /// The live node.
    fn observe(&self) -> Option<(&Numbered, Place)> {
        let mut node = &*self.nodes[0];
        loop {
            let place = node.place.load();
            // SAFETY: the nodes live as long as the chain, with no collector.
            match unsafe { Node::follow(place, crossbeam_epoch::unprotected()) } {
                Some(successor) => node = successor,
                None => return place.tier().map(|_| (node, place)),
            }
        }
    }

    fn at_rest(&self) -> Fragment {
        let (node, place) = self.observe()?;
        Some((*node.value(), place.tier()?))
    }

    fn run(&self, op: Op) -> Answer {
        match op {
            Op::Store(value) => self.store(value, |from, is_covered| is_covered || from == Tier::Hot),
            Op::Get => Answer::Found(self.get()),
            Op::Promote => Answer::Moved(self.promote()),
            Op::Demote => Answer::Moved(self.demote()),
            Op::Evict(tier) => Answer::Evicted(self.evict(tier)),
            Op::Remove => Answer::Removed(self.remove()),
            Op::StoreIfAbsent(_) | Op::ReplaceFirst(_) | Op::Update(_) | Op::Leave => {
                unreachable!("modelled on the whole store")
            }
        }
    }

    /// `src/store/write.rs`. A successor of a hot one counts on its bytes, at first.
    fn store(&self, value: u64, mut replaces: impl FnMut(Tier, bool) -> bool) -> Answer {
        let new = self.node(value);
        new.place.prepare(Place::fresh(Tier::Hot, new.place.load().tick()));
        loop {
            let Some((old, place)) = self.observe() else { return Answer::NothingToReplace };
            let is_covered = place.tier() != Some(Tier::Hot);
            let mut place = old.place.load();
            while let Some(from) = place.tier() {
                if !replaces(from, is_covered) {
                    break;
                }
                if new.place.load().tick() <= place.tick() {
                    new.place.prepare(Place::fresh(Tier::Hot, self.clock.tick().unwrap()));
                }
                match old.place.replace(place, NonNull::from(new)) {
                    Outcome::Lost(now) => place = now,
                    Outcome::Done(_) => {
                        return Answer::Stored { tier: Tier::Hot, replaced: Some(*old.value()), contended: false };
                    }
                }
            }
        }
    }

    /// `src/store/read.rs`.
    fn get(&self) -> Fragment {
        let (node, place) = self.observe()?;
        let tick = self.clock.tick().unwrap();
        node.last_use.raise(tick);
        let mut now = node.place.load();
        while now.tier().is_some() && now.tick() < tick && !now.is_touched() {
            now = match node.place.touch(now) {
                Outcome::Done(now) | Outcome::Lost(now) => now,
            };
        }
        Some((*node.value(), place.tier()?))
    }

    /// `src/store/moves.rs`, to hot.
    fn promote(&self) -> Option<(Tier, Tier)> {
        loop {
            let (node, place) = self.observe()?;
            let tick = self.clock.tick().unwrap();
            if let Outcome::Done(_) = node.place.rise(place, Tier::Hot, tick) {
                return Some((place.tier()?, Tier::Hot));
            }
        }
    }

    /// `src/store/moves.rs`, by one tier.
    fn demote(&self) -> Option<(Tier, Tier)> {
        loop {
            let (node, place) = self.observe()?;
            let from = place.tier()?;
            let Some(to) = from.below() else { return Some((from, from)) };
            if let Outcome::Done(_) = node.place.sink(place, to) {
                return Some((from, to));
            }
        }
    }

    /// `src/store/evict.rs`. What an order leads to is what the chain leads to.
    fn evict(&self, tier: Tier) -> Option<u64> {
        loop {
            let (node, place) = self.observe()?;
            if place.tier() != Some(tier) {
                return None;
            }
            if place.may_be_used() {
                let last_use = node.last_use.confirm();
                if last_use > place.tick() {
                    let _ = node.place.relist(place, tier, last_use);
                    continue;
                }
            }
            let moved = match tier.below() {
                Some(below) => node.place.sink(place, below),
                None => node.place.remove(place),
            };
            if let Outcome::Done(_) = moved {
                return Some(*node.value());
            }
        }
    }

    /// `src/store/moves.rs`.
    fn remove(&self) -> Fragment {
        loop {
            let (node, place) = self.observe()?;
            if let Outcome::Done(_) = node.place.remove(place) {
                return Some((*node.value(), place.tier()?));
            }
        }
    }
}

/// How the chain stands before the operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Stored(Tier),
    /// The first node stood in that tier, and was replaced by the fourth.
    Replaced(Tier),
}

impl Start {
    fn chain(self) -> Arc<Chain> {
        let (Self::Stored(tier) | Self::Replaced(tier)) = self;
        let chain = Chain::new(tier);
        if let Self::Replaced(_) = self {
            let Answer::Stored { .. } = chain.run(Op::Store(4)) else { unreachable!("it is there") };
        }
        chain
    }

    fn fragment(self) -> Fragment {
        match self {
            Self::Stored(tier) => Some((1, tier)),
            Self::Replaced(_) => Some((4, Tier::Hot)),
        }
    }
}

fn beside(start: Start, spawned: &[Op], own: Op) {
    let chain = start.chain();
    let threads: Vec<_> = spawned
        .iter()
        .map(|&op| {
            let chain = Arc::clone(&chain);
            spawn(move || (op, chain.run(op)))
        })
        .collect();
    let mut done = vec![(own, chain.run(own))];
    done.extend(threads.into_iter().map(|thread| thread.join().unwrap()));
    let last = chain.at_rest();
    assert!(explains(start.fragment(), &done, last), "{start:?}, {done:?}, {last:?}");
}

/// Explores both operations beside each other; each has its turn as the thread that is spawned.
fn pair(start: Start, one: Op, other: Op) {
    let name = format!("{start:?}: {one:?}, {other:?}");
    both_hold(&name, 2, (move || beside(start, &[one], other), move || beside(start, &[other], one)));
}

/// The operations, for a fragment that stands in `tier`; of stores, the one of that value.
fn ops(tier: Tier, value: u64) -> [Op; 6] {
    [Op::Store(value), Op::Get, Op::Promote, Op::Demote, Op::Evict(tier), Op::Remove]
}

fn every_pair(start: impl Fn(Tier) -> Start, tiers: &[Tier]) {
    for &tier in tiers {
        for (number, one) in ops(tier, 2).into_iter().enumerate() {
            for other in ops(tier, 3).into_iter().skip(number) {
                // Nothing is below cold: two demotions only look.
                if (tier, one, other) != (Tier::Cold, Op::Demote, Op::Demote) {
                    pair(start(tier), one, other);
                }
            }
        }
    }
}

#[test]
fn every_pair_of_operations_is_explained_by_an_order_of_the_two() {
    every_pair(Start::Stored, &Tier::ALL);
}

#[test]
fn every_operation_goes_on_past_a_successor() {
    for other in ops(Tier::Hot, 3) {
        pair(Start::Replaced(Tier::Warm), Op::Store(2), other);
    }
}

#[test]
fn two_stores_and_what_moves_or_ends_their_predecessor() {
    for op in [Op::Get, Op::Promote, Op::Demote, Op::Evict(Tier::Hot), Op::Remove] {
        holds(&format!("store, store, {op:?}"), 1, move || {
            beside(Start::Stored(Tier::Hot), &[Op::Store(2), Op::Store(3)], op);
        });
    }
}

#[test]
fn a_get_beside_two_that_move() {
    for (one, other) in [(Op::Promote, Op::Demote), (Op::Promote, Op::Remove), (Op::Demote, Op::Evict(Tier::Warm))] {
        holds(&format!("{one:?}, {other:?}, get"), 2, move || {
            beside(Start::Stored(Tier::Warm), &[one, other], Op::Get);
        });
    }
}

#[test]
fn a_storer_that_takes_its_bytes_for_granted_is_found() {
    // Hot because the predecessor was hot when it was looked at, and not when it was replaced.
    fails("planted: hot though the predecessor had left", 3, || {
        let chain = Chain::new(Tier::Hot);
        let other = {
            let chain = Arc::clone(&chain);
            spawn(move || chain.demote())
        };
        let mut is_sound = true;
        let _ = chain.store(2, |from, is_covered| {
            is_sound = is_covered || from == Tier::Hot;
            true
        });
        other.join().unwrap();
        assert!(is_sound, "no bytes are reserved");
    });
}
