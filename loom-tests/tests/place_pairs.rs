//! Pairs of operations on the place words of one key's chain of nodes, with no index and no order around them.
//!
//! The nodes, their words and their successors are the crate's; the steps are those of `src/store`, less what they do in the index and the orders:
//! so that nothing but these atomics orders the threads. To list is to mark the word. Whatever the threads are answered, and what
//! is left, is explained by some order of their operations.

use std::ptr::NonNull;
use std::sync::Arc;

use loom_tests::collected::spawn;
use loom_tests::spec::{Answer, Op, State as Fragment, explains};
use loom_tests::{both_hold, fails, holds};
use tierstack::Tier;
use tierstack::internals::{Announced, Clock, Fit, Node, Outcome, Place, State, Stats};

type Numbered = Node<(), u64>;

/// The key's nodes: the first is the one that is found, and the others are to be stored. Each value is a node's number.
struct Chain {
    nodes: [Box<Numbered>; 4],
    clock: Clock,
}

impl Chain {
    /// The first node stands in `tier`.
    fn new(tier: Tier, is_listed: bool) -> Arc<Self> {
        let (clock, stats) = (Clock::starting_at(1), Arc::new(Stats::new()));
        let node = |value| Box::new(Node::new(0, (), value, 5, clock.tick().unwrap(), &stats));
        let nodes = [node(1), node(2), node(3), node(4)];
        nodes[0].place.prepare(Place::unlisted(tier, 1));
        if is_listed {
            list(&nodes[0], nodes[0].place.load());
        }
        Arc::new(Self { nodes, clock })
    }

    fn node(&self, value: u64) -> &Numbered {
        &self.nodes[usize::try_from(value).unwrap() - 1]
    }

    /// The end of the chain behind `node`; what is pending there is resolved.
    fn end(mut node: &Numbered) -> (&Numbered, Place) {
        loop {
            let place = node.place.load();
            let State::Replaced { from } = place.state() else { return (node, place) };
            // SAFETY: the nodes live as long as the chain, with no collector.
            node = unsafe { node.follow(from, crossbeam_epoch::unprotected()) }.expect("it was announced");
        }
    }

    /// The live node, listed.
    fn observe(&self) -> Option<(&Numbered, Place)> {
        let mut node = &*self.nodes[0];
        loop {
            let place;
            (node, place) = Self::end(node);
            place.tier()?;
            if place.is_listed() {
                return Some((node, place));
            }
            list(node, place);
        }
    }

    /// Has what became of `node` listed.
    fn settle(node: &Numbered) {
        let (mut node, mut place) = Self::end(node);
        while place.tier().is_some() && !place.is_listed() {
            list(node, place);
            (node, place) = Self::end(node);
        }
    }

    fn at_rest(&self) -> Fragment {
        let (node, place) = self.observe()?;
        Some((*node.value(), place.tier()?))
    }

    fn run(&self, op: Op) -> Answer {
        match op {
            Op::Store(value) => self.store(value),
            Op::Get => Answer::Found(self.get()),
            Op::Promote => Answer::Moved(self.promote()),
            Op::Demote => Answer::Moved(self.demote()),
            Op::Evict(tier) => Answer::Evicted(self.evict(tier)),
            Op::Remove => Answer::Removed(self.remove()),
        }
    }

    /// `src/store/write.rs`. A successor of a hot one counts on its bytes.
    fn store(&self, value: u64) -> Answer {
        loop {
            let Some((old, place)) = self.observe() else { return Answer::NothingToReplace };
            let fit = if place.tier() == Some(Tier::Hot) { Fit::AfterHot } else { Fit::Always };
            if self.announce(old, value, fit) == Announced::Taken {
                Self::commit(old);
                continue;
            }
            let State::Replaced { from } = Self::commit(old) else { continue };
            let tier = fit.tier(from);
            return Answer::Stored { tier, replaced: Some(*old.value()), contended: tier == Tier::Warm };
        }
    }

    fn announce(&self, old: &Numbered, value: u64, fit: Fit) -> Announced {
        let new = self.node(value);
        new.place.prepare(Place::pending(new.place.load().tick(), fit));
        old.announce(NonNull::from(new))
    }

    fn commit(old: &Numbered) -> State {
        let mut place = old.place.load();
        loop {
            if place.tier().is_none() {
                Self::settle(old);
                return place.state();
            }
            if !place.is_listed() {
                Self::settle(old);
                place = old.place.load();
                continue;
            }
            match old.place.replace(place) {
                Outcome::Lost(now) => place = now,
                Outcome::Done(replaced) => {
                    Self::settle(old);
                    return replaced.state();
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
        while now.tier().is_some() && now.tick() < tick {
            if !now.is_listed() {
                list(node, now);
            } else if now.is_touched() {
                break;
            } else {
                let _ = node.place.touch(now);
            }
            now = node.place.load();
        }
        Some((*node.value(), place.tier()?))
    }

    /// `src/store/moves.rs`, to hot.
    fn promote(&self) -> Option<(Tier, Tier)> {
        let mut tick = 0;
        loop {
            let (node, place) = self.observe()?;
            while tick <= place.tick() {
                tick = self.clock.tick().unwrap();
            }
            if let Outcome::Done(_) = node.place.rise(place, Tier::Hot, tick) {
                Self::settle(node);
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
                Self::settle(node);
                return Some((from, to));
            }
        }
    }

    /// `src/store/evict.rs`. What an order leads to is what the chain leads to: an entry goes after what became of it was listed.
    fn evict(&self, tier: Tier) -> Option<u64> {
        loop {
            let (node, place) = self.observe()?;
            if place.tier() != Some(tier) {
                return None;
            }
            let last_use = node.last_use.confirm();
            if last_use > place.tick() {
                let _ = node.place.relist(place, tier, last_use);
                continue;
            }
            let moved = match tier.below() {
                Some(below) => node.place.sink(place, below),
                None => node.place.remove(place),
            };
            if let Outcome::Done(_) = moved {
                Self::settle(node);
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

/// Marks a placement; a loss means that another has, or that it is over.
fn list(node: &Numbered, place: Place) {
    let _ = node.place.list(place);
}

/// How the chain stands before the operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Listed(Tier),
    /// Placed by a thread that has stopped before it listed it.
    Unlisted(Tier),
    /// The store of node 4 has announced it, and stopped.
    Announced(Tier),
}

impl Start {
    fn chain(self) -> Arc<Chain> {
        let (Self::Listed(tier) | Self::Unlisted(tier) | Self::Announced(tier)) = self;
        let chain = Chain::new(tier, !matches!(self, Self::Unlisted(_)));
        if let Self::Announced(_) = self {
            let fit = if tier == Tier::Hot { Fit::AfterHot } else { Fit::Never };
            assert_eq!(chain.announce(&chain.nodes[0], 4, fit), Announced::Done);
        }
        chain
    }

    fn explains(self, done: &[(Op, Answer)], last: Fragment) -> bool {
        let (Self::Listed(tier) | Self::Unlisted(tier) | Self::Announced(tier)) = self;
        explains(Some((1, tier)), done, matches!(self, Self::Announced(_)).then_some(4), last)
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
    assert!(start.explains(&done, last), "{start:?}, {done:?}, {last:?}");
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
    every_pair(Start::Listed, &Tier::ALL);
}

#[test]
fn every_pair_is_so_where_the_fragment_is_not_listed_yet() {
    every_pair(Start::Unlisted, &[Tier::Hot, Tier::Cold]);
}

#[test]
fn every_operation_goes_on_past_a_storer_that_stopped_after_it_announced() {
    for tier in [Tier::Hot, Tier::Warm] {
        for other in ops(tier, 3) {
            pair(Start::Announced(tier), Op::Store(2), other);
        }
    }
}

#[test]
fn two_stores_and_what_moves_or_ends_their_predecessor() {
    for op in [Op::Get, Op::Promote, Op::Demote, Op::Evict(Tier::Hot), Op::Remove] {
        holds(&format!("store, store, {op:?}"), 1, move || {
            beside(Start::Listed(Tier::Hot), &[Op::Store(2), Op::Store(3)], op);
        });
    }
}

#[test]
fn a_get_beside_two_that_move() {
    for (one, other) in [(Op::Promote, Op::Demote), (Op::Promote, Op::Remove), (Op::Demote, Op::Evict(Tier::Warm))] {
        holds(&format!("{one:?}, {other:?}, get"), 2, move || {
            beside(Start::Listed(Tier::Warm), &[one, other], Op::Get);
        });
    }
}

#[test]
fn a_storer_that_takes_its_bytes_for_granted_is_found() {
    // Hot because the predecessor was hot when it was looked at, and not when it was replaced.
    fails("planted: hot though the predecessor had left", 3, || {
        let chain = Chain::new(Tier::Hot, true);
        let other = {
            let chain = Arc::clone(&chain);
            spawn(move || chain.demote())
        };
        let (old, _) = chain.observe().unwrap();
        assert_eq!(chain.announce(old, 2, Fit::Always), Announced::Done);
        let State::Replaced { from } = Chain::commit(old) else { unreachable!("nobody removes") };
        other.join().unwrap();
        let last = chain.at_rest().unwrap();
        assert!(from == Tier::Hot || last.1 != Tier::Hot, "no bytes are reserved");
    });
}
