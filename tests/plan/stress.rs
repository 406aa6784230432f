//! Many threads at one plan: their histories are linearizable, and snapshots taken meanwhile never change.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::Rng;
use rand::rngs::StdRng;
use rayon::prelude::*;
use tierstack::{PlanContext, Savepoint, Snapshot};

use crate::common::{dice, together};
use crate::history::{Call, Clock, Log, check, date_starts};
use crate::model::{Answer, Model, Operation, View};
use crate::program::{ABORT, CLOSE, LOOK, RECORD, ROLL_BACK, START, operation};
use crate::setting;
use crate::subject::{Hand, view};

/// One of a thread's operations is of one of these, each as often as the others.
type Trade<'a> = &'a [Range<u8>];

/// Everything, as often as programs have it.
#[allow(clippy::single_range_in_vec_init, reason = "it is one range")]
const ALL: Trade<'static> = &[0..255];

/// A plan, and what the threads at it tell each other.
struct Site {
    plan: PlanContext<u64>,
    clock: Clock,
    /// The newest changeset that anybody was told of.
    newest: AtomicU64,
    /// The savepoints taken last, by whomever.
    savepoints: Mutex<[Savepoint; 3]>,
}

/// A thread's calls, and the snapshots that it took, with what they showed at once.
type Work = (Vec<Call>, Vec<(Snapshot<u64>, View)>);

impl Site {
    fn new() -> Self {
        let plan = PlanContext::new();
        let savepoints = Mutex::new([plan.savepoint(); 3]);
        Self { plan, clock: Clock::default(), newest: AtomicU64::new(0), savepoints }
    }

    /// Has a thread do its trade so many times.
    fn work(&self, thread: usize, trade: Trade<'_>, length: u64, mut dice: StdRng) -> Work {
        let (mut hand, mut log) = (Hand::new(self.plan.clone()), Log::new(&self.clock));
        for number in 0..length {
            let kinds = trade[dice.random_range(0..trade.len())].clone();
            let step = (dice.random_range(kinds), dice.random());
            let savepoints = *self.savepoints.lock().unwrap();
            let known = savepoints.map(|savepoint| savepoint.sequence().number());
            hand.savepoints.extend(known.into_iter().zip(savepoints));
            let change = thread as u64 * length + number;
            let operation = operation(step, change, self.newest.load(Ordering::Relaxed), &known);
            let is_savepoint = operation == Operation::Savepoint;
            match hand.call(&mut log, operation) {
                Answer::Started { id, .. } => {
                    self.newest.fetch_max(id, Ordering::Relaxed);
                    if dice.random() {
                        hand.use_handle(id);
                    }
                }
                Answer::At(sequence) if is_savepoint => {
                    self.savepoints.lock().unwrap()[dice.random_range(0..3)] = hand.savepoints[&sequence];
                }
                _ => {}
            }
            // On few processors threads seldom meet by themselves.
            if dice.random_ratio(1, 16) {
                std::thread::yield_now();
            }
        }
        (log.calls, hand.snapshots)
    }

    /// Checks what the threads have done, once they are done, and that no snapshot has changed: neither by now, nor once the plan is gone.
    fn judge(self, work: Vec<Work>) -> Model {
        let Self { plan, clock, .. } = self;
        let (calls, snapshots): (Vec<_>, Vec<_>) = work.into_iter().unzip();
        let mut calls = calls.concat();
        let (mut hand, mut log) = (Hand::new(plan), Log::new(&clock));
        hand.call(&mut log, Operation::Snapshot);
        calls.append(&mut log.calls);
        let last = &hand.snapshots[0].1;
        date_starts(&mut calls, &last.audit).unwrap_or_else(|rejection| panic!("{rejection:?}"));
        let model = check(&calls).unwrap_or_else(|rejection| panic!("{rejection:?}"));

        let snapshots: Vec<_> = snapshots.into_iter().flatten().collect();
        let unchanged = || snapshots.iter().all(|(snapshot, then)| view(snapshot) == *then);
        assert!(unchanged(), "a snapshot has changed");
        drop(hand);
        assert!(unchanged(), "a snapshot has changed now that the plan is dropped");
        model
    }
}

/// Has threads work at plan after plan. Thread n's trade is the n-th, and so on in a circle.
fn storm(threads: usize, rounds: u64, trades: &[Trade<'_>]) {
    let seed = setting("SEED", rand::random());
    println!("SEED={seed}");
    let (threads, rounds, length) = (setting("THREADS", threads), setting("ROUNDS", rounds), setting("LENGTH", 400));
    for round in 0..rounds {
        let site = Site::new();
        let work = together(threads, |thread| {
            let dice = dice([seed, round, thread as u64]);
            site.work(thread, trades[thread % trades.len()], length, dice)
        });
        site.judge(work);
    }
}

#[test]
fn two_threads_that_do_everything_are_linearizable() {
    storm(2, 200, &[ALL]);
}

#[test]
fn four_threads_that_do_everything_are_linearizable() {
    storm(4, 60, &[ALL]);
}

#[test]
fn eight_threads_that_do_everything_are_linearizable() {
    storm(8, 20, &[ALL]);
}

#[test]
fn eight_threads_of_a_trade_each_are_linearizable() {
    // Two record; and whoever ends changesets or rolls back sees to it that there is something to.
    let trades: [Trade<'_>; 8] = [
        &[START],
        &[RECORD],
        &[RECORD],
        &[START, CLOSE],
        &[START, ABORT, RECORD],
        &[RECORD, ROLL_BACK],
        &[LOOK],
        &[RECORD, LOOK],
    ];
    storm(8, 20, &trades);
}

#[test]
fn starts_and_ambient_records_alone_are_linearizable() {
    storm(2, 200, &[&[START], &[RECORD]]);
}

#[test]
fn strategies_on_rayon_each_with_a_handle_are_linearizable() {
    let seed = setting("SEED", rand::random());
    println!("SEED={seed}");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(setting("THREADS", 4)).build().unwrap();
    for round in 0..setting("ROUNDS", 10) {
        let site = Site::new();
        let strategies = 0..setting("STRATEGIES", 200_u64);
        let work: Vec<Work> = pool.install(|| {
            strategies
                .clone()
                .into_par_iter()
                .map(|strategy| explore(&site, strategy, dice([seed, round, strategy])))
                .collect()
        });
        let model = site.judge(work);
        assert_eq!(model.started(), strategies.end);
        assert_eq!(model.current(), None, "each has ended its own");
    }
}

/// A strategy: starts a changeset, records into it, and in the end keeps it or not.
fn explore(site: &Site, strategy: u64, mut dice: StdRng) -> Work {
    let (mut hand, mut log) = (Hand::new(site.plan.clone()), Log::new(&site.clock));
    let Answer::Started { id, .. } = hand.call(&mut log, Operation::Start) else { unreachable!("none is refused") };
    hand.use_handle(id);
    for number in 0..dice.random_range(0..8) {
        let change = strategy * 100 + number * 10;
        let operation = match dice.random_range(0..4) {
            0 => Operation::RecordAllIn { id, changes: (change..change + number).collect() },
            1 => Operation::Status { id },
            _ => Operation::RecordIn { id, change },
        };
        let answer = hand.call(&mut log, operation);
        assert!(!matches!(answer, Answer::Refused(_)), "nobody else ends it: {answer:?}");
    }
    if dice.random_ratio(1, 8) {
        hand.call(&mut log, Operation::Snapshot);
    }
    let end = if dice.random() { Operation::Close { id } } else { Operation::Abort { id } };
    assert!(matches!(hand.call(&mut log, end), Answer::Done { .. }));
    (log.calls, hand.snapshots)
}
