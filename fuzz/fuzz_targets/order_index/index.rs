//! The index is a map from keys to live nodes, whichever of the calls that tidy it were never made, or made late.

use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arbitrary::Arbitrary;
use crossbeam_epoch::Guard;
use tierstack::Tier;
use tierstack::internals::{Clock, Index, Inserted, Outcome, Place, Stats, flush};

const KEYS: u8 = 96;

/// How keys are hashed.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Hashing {
    /// To how many homes.
    homes: u8,
    /// At the end of the table, where runs go round.
    is_high: bool,
    /// Keys of one home have hashes of their own.
    is_distinct: bool,
}

impl Hashing {
    fn hash(self, key: u8) -> u64 {
        let homes = u64::from(self.homes % 32) + 1;
        let home = (u64::MAX / homes).wrapping_mul(u64::from(key) % homes);
        let home = if self.is_high { !home } else { home };
        // The low bits are not of the home.
        home & !0xFF | if self.is_distinct { u64::from(key) } else { 0 }
    }
}

#[derive(Arbitrary, Debug)]
pub enum Step {
    Insert(u8),
    /// With whether its cell is buried afterwards.
    Remove(u8, bool),
    /// With whether the cell is swung, and whether the index is tidied.
    Replace(u8, bool, bool),
    /// With how many others are stored before the cell is swung.
    ReplaceLate(u8, u8),
    Tidy(u8),
    Find(u8),
    /// Finds a node, and looks at it again when the pin ends.
    Hold(u8),
    Repin,
    Sweep,
}

/// A value that counts the living.
struct Value {
    number: u64,
    alive: Arc<AtomicI64>,
}

impl Value {
    fn new(number: u64, alive: &Arc<AtomicI64>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self { number, alive: Arc::clone(alive) }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        assert!(self.alive.fetch_sub(1, Ordering::Relaxed) > 0, "something was dropped twice");
    }
}

type Node = tierstack::internals::Node<u8, Value>;

struct Trial {
    index: Index<u8, Value>,
    hashing: Hashing,
    model: BTreeMap<u8, u64>,
    clock: Clock,
    stats: Arc<Stats>,
    alive: Arc<AtomicI64>,
    stored: u64,
    guard: Guard,
    /// Found under the present pin, with key and value.
    held: Vec<(NonNull<Node>, u8, u64)>,
}

impl Trial {
    fn new(hashing: Hashing) -> Self {
        Self {
            index: Index::with_room_for(0, 0),
            hashing,
            model: BTreeMap::new(),
            clock: Clock::starting_at(1),
            stats: Arc::new(Stats::new()),
            alive: Arc::default(),
            stored: 0,
            guard: crossbeam_epoch::pin(),
            held: Vec::new(),
        }
    }

    fn node(&mut self, key: u8) -> NonNull<Node> {
        self.stored += 1;
        let value = Value::new(self.stored, &self.alive);
        let tick = self.clock.tick().expect("few are taken");
        let node = Node::new(self.hashing.hash(key), key, value, 1, tick, &self.stats);
        NonNull::from(Box::leak(Box::new(node)))
    }

    fn find<'g>(&self, key: u8, guard: &'g Guard) -> Option<&'g Node> {
        let found = self.index.find(self.hashing.hash(key), |other| *other == key, guard);
        let number = found.map(|(node, _)| {
            assert_eq!(*node.key(), key);
            node.value().number
        });
        assert_eq!(number, self.model.get(&key).copied(), "key {key}");
        found.map(|(node, _)| node)
    }

    fn insert(&mut self, key: u8) {
        let new = self.node(key);
        // SAFETY: made here, and freed below at the earliest.
        let node = unsafe { new.as_ref() };
        let tick = self.clock.tick().expect("few are taken");
        node.place.prepare(Place::fresh(Tier::Warm, tick));
        let number = node.value().number;
        let inserted = self.index.insert(new, |other| *other == key, &self.guard);
        let expected = if self.model.contains_key(&key) { Inserted::Present } else { Inserted::Done };
        assert_eq!(inserted, expected, "key {key}");
        if inserted == Inserted::Done {
            self.model.insert(key, number);
        } else {
            // SAFETY: boxed by `node`, and not published.
            unsafe { Node::free(new.as_ptr()) };
        }
    }

    /// With the cell that leads to the node buried, or not.
    fn remove(&mut self, key: u8, bury: bool) {
        let guard = crossbeam_epoch::pin();
        let hash = self.hashing.hash(key);
        if let Some(node) = self.find(key, &guard) {
            let spot = self.index.find_spot(hash, |other| *other == key, &guard).expect("it is there").1;
            assert!(matches!(node.place.remove(node.place.load()), Outcome::Done(_)));
            self.model.remove(&key);
            if bury {
                self.index.bury(spot.as_ref(), hash, &guard);
            }
        }
    }

    /// By the cell that leads to the node, where it is remembered.
    fn replace(&mut self, key: u8, swing: bool) {
        let guard = crossbeam_epoch::pin();
        let Some(node) = self.find(key, &guard) else { return };
        let hash = self.hashing.hash(key);
        let spot = self.index.find_spot(hash, |other| *other == key, &guard).expect("it is there").1;
        let new = self.node(key);
        // SAFETY: made here, and freed through the index, after this pin.
        let successor = unsafe { new.as_ref() };
        let tick = self.clock.tick().expect("few are taken");
        successor.place.prepare(Place::fresh(Tier::Hot, tick));
        assert!(matches!(node.place.replace(node.place.load(), new), Outcome::Done(_)));
        self.model.insert(key, successor.value().number);
        if swing {
            self.index.swing(spot.as_ref(), new, hash, &guard);
        }
    }

    /// A cell that is remembered, and swung after it has changed.
    fn replace_late(&mut self, key: u8, others: u8) {
        let guard = crossbeam_epoch::pin();
        let Some(node) = self.find(key, &guard) else { return };
        let hash = self.hashing.hash(key);
        let spot = self.index.find_spot(hash, |other| *other == key, &guard).expect("it is there").1;
        let new = self.node(key);
        // SAFETY: as above.
        let successor = unsafe { new.as_ref() };
        successor.place.prepare(Place::fresh(Tier::Hot, self.clock.now()));
        assert!(matches!(node.place.replace(node.place.load(), new), Outcome::Done(_)));
        self.model.insert(key, successor.value().number);
        for other in (0..others % KEYS).filter(|other| *other != key) {
            self.insert(other);
        }
        self.index.swing(spot.as_ref(), new, hash, &guard);
    }

    fn tidy(&self, key: u8) {
        self.index.tidy(self.hashing.hash(key), &self.guard);
    }

    fn repin(&mut self) {
        for (node, key, number) in self.held.drain(..) {
            // SAFETY: found under this pin, which has not ended.
            let node = unsafe { node.as_ref() };
            assert_eq!((*node.key(), node.value().number), (key, number), "a node that was reached");
        }
        self.guard.repin();
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Insert(key) => self.insert(key % KEYS),
            Step::Remove(key, bury) => self.remove(key % KEYS, bury),
            Step::Replace(key, swing, tidy) => {
                self.replace(key % KEYS, swing);
                if tidy {
                    self.tidy(key % KEYS);
                }
            }
            Step::ReplaceLate(key, others) => self.replace_late(key % KEYS, others),
            Step::Tidy(key) => self.tidy(key % KEYS),
            Step::Find(key) => drop(self.find(key % KEYS, &self.guard)),
            Step::Hold(key) => {
                if let Some(node) = self.find(key % KEYS, &self.guard).map(NonNull::from) {
                    self.held.push((node, key % KEYS, self.model[&(key % KEYS)]));
                }
            }
            Step::Repin => self.repin(),
            Step::Sweep => self.sweep(),
        }
    }

    fn sweep(&self) {
        for key in 0..KEYS {
            self.find(key, &self.guard);
        }
        self.index.audit(&self.guard);
    }

    /// Ends the index; what it held is freed, and so is, in time, what it retired.
    fn end(mut self) {
        self.sweep();
        self.repin();
        // SAFETY: there is no other thread.
        unsafe { self.index.tear_down() };
        let alive = Arc::clone(&self.alive);
        drop(self);
        for _ in 0..1_000 {
            if alive.load(Ordering::Relaxed) == 0 {
                return;
            }
            flush(&crossbeam_epoch::pin());
        }
        panic!("{} nodes were never freed", alive.load(Ordering::Relaxed));
    }
}

pub fn run<'s>(hashing: Hashing, steps: impl Iterator<Item = &'s Step>) {
    let mut trial = Trial::new(hashing);
    for step in steps {
        trial.step(step);
    }
    trial.end();
}
