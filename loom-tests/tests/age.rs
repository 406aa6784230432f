//! Fragments with an age: uses beside the end of what is due, with the crate's own parts, where what is wrong can be planted. Entries are left out.

use std::ptr::NonNull;
use std::sync::Arc;

use crossbeam_epoch::{Guard, unprotected};
use loom::sync::atomic::{AtomicU64, Ordering};
use loom_tests::collected::spawn;
use loom_tests::{both_hold, fails, holds};
use tierstack::Tier;
use tierstack::internals::{Age, Entries, Lifetimes, NEVER, Node, Outcome, Place, Placement, Ripe, Stats, ripen};

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
