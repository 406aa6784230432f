//! Where a history may have come to: the board, the order of the last uses, and how far each call in flight has got.
//!
//! The *board* is the model without bounds: between the steps of calls the bounds may be passed, and the calls see to them. The steps
//! move its fragments by the model's own operations, each of which then has room. The budget in force stands beside it.
//!
//! The *order* has a mark for each fragment at its last use, and one for each use whose place is fixed and which is not seen yet. The
//! board's own order is kept the same, by touching its fragments in the order of the marks.

use tierstack::{Capacity, Evicted, MAX_BYTES, Tier, Version};

use crate::model::Model;
use crate::recorder::{Board, Key, Setup, Value};

/// A place in the order of the last uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Mark {
    Fragment(Key),
    /// Of a call in flight.
    Use(usize),
}

/// A set of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Keys(u8);

impl Keys {
    const fn bit(key: Key) -> u8 {
        1 << key.0
    }

    pub const fn has(self, key: Key) -> bool {
        self.0 & Self::bit(key) != 0
    }

    pub const fn add(&mut self, key: Key) {
        self.0 |= Self::bit(key);
    }

    const fn remove(&mut self, key: Key) {
        self.0 &= !Self::bit(key);
    }
}

/// How far a call has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    Waiting,
    /// A `get` has read this fragment, and has not used it.
    Read(Value),
    /// A `promote` has seen a fragment of this weight below.
    Seen(u64),
    /// A `store` or `promote` found this weight to be above the budget.
    Heavy(u64),
    /// A `store` found no room.
    Contended,
    /// A `store` found no room beside what is kept.
    KeptOut,
    /// A `store` counts on the bytes of this predecessor, which was hot.
    Relying(Value),
    /// A call that is to demote while hot is over the budget has demoted so many.
    Enforcing(usize),
    /// The call has had its effect, or (`is_again`) is to try again after one that was refused. It may have claimed to push a fragment out of a
    /// tier.
    Ending {
        claim: Option<Tier>,
        is_again: bool,
    },
    /// A call that changes nothing is over.
    Done,
}

/// A call in flight.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Flight {
    pub call: usize,
    pub phase: Phase,
    /// What the call has answered, by its number among the answers.
    pub answer: usize,
    /// The fragments that have stood where they stand since the call's last own step.
    pub stood: Keys,
    /// Those of them that have not been used since.
    pub unused: Keys,
    /// The fragment that the call placed, while only the call needs to know that it stands there.
    pub arrival: Option<Key>,
    /// The most bytes of hot that the call may hold beyond its fragment's.
    pub held: u64,
    /// The largest budget in force since the call began.
    pub highest: u64,
    /// Whether it was short of room, or hot was over, since the last own step.
    pub short: bool,
    /// Whether the place of the call's use is fixed.
    pub fixed: bool,
    /// How many fragments it has handed to the listener.
    pub overflowed: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Configuration {
    pub board: Board,
    pub budget: u64,
    order: Vec<Mark>,
    pub flights: Vec<Flight>,
}

impl Configuration {
    pub fn new(setup: &Setup) -> Self {
        let board = Model::new(MAX_BYTES, Capacity::UNBOUNDED, Capacity::UNBOUNDED);
        Self { board, budget: setup.budget, order: Vec::new(), flights: Vec::new() }
    }

    /// A call begins, which holds at most so many bytes before its effect.
    pub fn begin(&mut self, call: usize, phase: Phase, held: u64, watched: &[Tier]) {
        let flight = Flight {
            call,
            phase,
            answer: 0,
            stood: Keys::default(),
            unused: Keys::default(),
            arrival: None,
            held,
            highest: self.budget,
            short: false,
            fixed: false,
            overflowed: 0,
        };
        let place = self.flights.partition_point(|other| other.call < call);
        self.flights.insert(place, flight);
        self.own_step(place, watched);
    }

    /// The call in flight at that place goes on without a look at what stands.
    pub fn rest(&mut self, at: usize, phase: Phase) {
        let flight = &mut self.flights[at];
        flight.phase = phase;
        if phase == Phase::Done {
            flight.highest = 0;
        }
        (flight.stood, flight.unused, flight.short) = (Keys::default(), Keys::default(), false);
    }

    /// What stands now in those tiers is what has stood there since the last own step of the call at that place.
    pub fn own_step(&mut self, at: usize, watched: &[Tier]) {
        let mut standing = Keys::default();
        for key in Key::all().filter(|key| self.board.tier_of(key).is_some_and(|tier| watched.contains(&tier))) {
            if !self.flights.iter().enumerate().any(|(other, flight)| other != at && flight.arrival == Some(key)) {
                standing.add(key);
            }
        }
        let flight = &mut self.flights[at];
        (flight.stood, flight.unused, flight.short) = (standing, standing, false);
    }

    /// Somebody sees where a fragment is.
    pub fn observe(&mut self, key: Key) {
        for flight in &mut self.flights {
            if flight.arrival == Some(key) {
                flight.arrival = None;
            }
        }
    }

    /// The fragment does not stand any more where it stood.
    fn moved(&mut self, key: Key) {
        self.observe(key);
        for flight in &mut self.flights {
            flight.stood.remove(key);
            flight.unused.remove(key);
        }
    }

    fn used(&mut self, key: Key) {
        for flight in &mut self.flights {
            flight.unused.remove(key);
        }
    }

    /// The place of the call's use is fixed: here, if it is not yet.
    pub fn fix(&mut self, at: usize) {
        if !self.flights[at].fixed {
            self.flights[at].fixed = true;
            self.order.push(Mark::Use(self.flights[at].call));
        }
    }

    fn position(&self, mark: Mark) -> Option<usize> {
        self.order.iter().position(|other| *other == mark)
    }

    /// The call's use of a fragment takes effect, at the place that was fixed for it or where a later use has put it.
    fn take_place(&mut self, at: usize, key: Key) {
        self.fix(at);
        let flight = &mut self.flights[at];
        flight.fixed = false;
        let mark = Mark::Use(flight.call);
        let used = self.position(mark).expect("fixed before");
        match self.position(Mark::Fragment(key)) {
            Some(before) if before > used => _ = self.order.remove(used),
            before => {
                self.order[used] = Mark::Fragment(key);
                before.map(|before| self.order.remove(before));
            }
        }
        self.keep_order();
        self.used(key);
    }

    /// The call does not use anything, or what is gone.
    pub fn unfix(&mut self, at: usize) {
        let flight = &mut self.flights[at];
        flight.fixed = false;
        let mark = Mark::Use(flight.call);
        self.order.retain(|other| *other != mark);
    }

    fn keep_order(&mut self) {
        for mark in &self.order {
            if let Mark::Fragment(key) = mark {
                self.board.touch(key);
            }
        }
    }

    /// A `get`'s use is seen.
    pub fn land(&mut self, at: usize, key: Key, value: Value) {
        if self.board.peek(&key).is_some_and(|fragment| fragment.value == value) {
            self.take_place(at, key);
        } else {
            self.unfix(at);
        }
    }

    /// A `store` takes effect in that tier; the value that it replaces.
    pub fn put(&mut self, at: usize, key: Key, value: Value, version: Version, tier: Tier) -> Option<Value> {
        self.moved(key);
        self.order.retain(|mark| *mark != Mark::Fragment(key));
        let stored = self.board.store(key, value, value.weight, version).expect("a small weight");
        self.board.demote_to(&key, tier);
        self.take_place(at, key);
        self.flights[at].arrival = Some(key);
        stored.replaced
    }

    /// A `promote` takes effect.
    pub fn raise(&mut self, at: usize, key: Key, to: Tier) {
        if self.board.tier_of(&key) != Some(to) {
            self.moved(key);
            self.flights[at].arrival = Some(key);
        }
        self.board.promote_to(&key, to).expect("present, and no bound");
        self.take_place(at, key);
    }

    /// A `demote` takes effect.
    pub fn sink(&mut self, at: usize, key: Key, to: Tier) {
        self.moved(key);
        self.board.demote_to(&key, to);
        self.flights[at].arrival = Some(key);
    }

    pub fn remove(&mut self, key: Key) {
        self.moved(key);
        self.order.retain(|mark| *mark != Mark::Fragment(key));
        self.board.remove(&key);
    }

    /// The call evicts that fragment.
    pub fn evict(&mut self, at: usize, key: Key) -> Evicted<Key, Value> {
        self.moved(key);
        let evicted = self.board.evict_key(&key).expect("it stands there");
        self.flights[at].arrival = evicted.to.map(|_| key);
        if evicted.to.is_none() {
            self.order.retain(|mark| *mark != Mark::Fragment(key));
        }
        evicted
    }

    fn standing(&self, tier: Tier, but: Option<Key>) -> impl Iterator<Item = Key> {
        Key::all().filter(move |key| Some(*key) != but && self.board.tier_of(key) == Some(tier))
    }

    /// What stands in the tier and is not kept.
    fn movable(&self, tier: Tier, but: Option<Key>) -> impl Iterator<Item = Key> {
        self.standing(tier, but).filter(|key| !self.is_kept(*key))
    }

    pub fn is_all_kept(&self, tier: Tier) -> bool {
        self.movable(tier, None).next().is_none()
    }

    fn is_kept(&self, key: Key) -> bool {
        self.board.peek(&key).is_some_and(|found| found.kept)
    }

    /// What the call may evict from the tier: what is not kept, and not younger than any other such that has stood there unused.
    pub fn victims(&self, at: usize, tier: Tier, but: Option<Key>) -> Vec<Key> {
        let age = |key| self.position(Mark::Fragment(key));
        let unused = self.flights[at].unused;
        let oldest = self.movable(tier, but).filter(|key| unused.has(*key)).map(age).min();
        self.movable(tier, but).filter(|key| oldest.is_none_or(|oldest| age(*key) <= oldest)).collect()
    }

    /// The call keeps a fragment, or lets it go.
    pub fn keep(&mut self, at: usize, key: Key, kept: bool) {
        self.observe(key);
        self.board.keep(&key, kept).expect("present, and no bound");
        self.take_place(at, key);
    }

    /// The fragment does not stand any more where the calls in flight at those places looked for it.
    pub fn stood_elsewhere(&mut self, key: Key, looking: impl Fn(usize) -> bool) {
        for flight in self.flights.iter_mut().filter(|flight| looking(flight.call)) {
            flight.stood.remove(key);
        }
    }

    /// Whether a fragment of that weight does not fit beside all that is kept in hot, but for the key's own. What needs no more than the key's own
    /// kept fragment has in hot fits.
    pub fn is_kept_out(&self, key: Key, weight: u64) -> bool {
        let own = self.board.peek(&key).filter(|found| found.kept && found.tier == Tier::Hot).map(|found| found.weight);
        let others = self.board.kept_hot() - own.unwrap_or(0);
        others > 0 && others + weight > self.budget && own.is_none_or(|own| weight > own)
    }

    /// Whether the call may have found the tier empty: none has stood there throughout.
    pub fn may_seem_empty(&self, at: usize, tier: Tier, but: Option<Key>) -> bool {
        !self.movable(tier, but).any(|key| self.flights[at].stood.has(key))
    }

    /// What the key's fragment weighs in hot.
    pub fn hot_weight(&self, key: Key) -> u64 {
        self.board.peek(&key).filter(|found| found.tier == Tier::Hot).map_or(0, |found| found.weight)
    }

    /// What is free in hot at the least, whatever the other calls hold; below zero when over.
    pub fn free(&self, at: usize) -> i128 {
        let others = self.flights.iter().enumerate().filter(|(other, _)| *other != at);
        let held: i128 = others.map(|(_, flight)| i128::from(flight.held)).sum();
        i128::from(self.budget) - i128::from(self.board.hot_bytes()) - held
    }

    pub fn set_budget(&mut self, budget: u64) {
        self.budget = budget;
        for flight in &mut self.flights {
            flight.highest = flight.highest.max(budget);
        }
    }
}
