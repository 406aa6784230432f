//! Random programs under random schedules: the plan's own code on a scheduler's atomics, its histories checked against the one model.
//!
//! `RUSTFLAGS="--cfg tierstack_shuttle" cargo test --release --lib schedules`; `PROGRAMS`, `SCHEDULES` and `SEED` in the environment change
//! how many, and which. Sequentially consistent, and a bare pointer stands in for arc-swap.

#[allow(dead_code, reason = "not all of it is of use here")]
#[path = "../../../tests/plan/history.rs"]
mod history;
#[allow(dead_code, reason = "not all of it is of use here")]
#[path = "../../../tests/plan/model.rs"]
mod model;
#[allow(dead_code, reason = "not all of it is of use here")]
#[path = "../../../tests/plan/program.rs"]
mod program;
#[allow(dead_code, reason = "not all of it is of use here")]
#[path = "../../../tests/plan/subject.rs"]
mod subject;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, FailurePersistence, Runner, thread};

use self::history::{Call, Clock, Log, check, date_starts};
use self::model::{Answer, Operation};
use self::program::{LOOK, ROLL_BACK, Step, operation};
use self::subject::{Hand, view};
use crate::{PlanContext, Savepoint};

/// The first of an execution's changes of a thread: those of different threads differ.
const PER_THREAD: u64 = 100;

#[derive(Clone, Debug)]
struct Program {
    set_up: Vec<Step>,
    threads: Vec<Vec<Step>>,
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }

    fn steps(&mut self, least: u64, most: u64) -> Vec<Step> {
        let steps = least + self.next() % (most - least + 1);
        let kind = |random: &mut Self| match random.next() % 4 {
            // Savepoints, and more roll-backs than programs have by chance: only several in a row show whether they are right.
            0 => ROLL_BACK.start + (random.next() % u64::from(ROLL_BACK.end - ROLL_BACK.start)) as u8,
            _ => (random.next() % u64::from(LOOK.end)) as u8,
        };
        (0..steps).map(|_| (kind(self), self.next() as u16)).collect()
    }

    fn program(&mut self) -> Program {
        let set_up = self.steps(0, 8);
        let threads = (0..2 + self.next() % 2).map(|_| self.steps(1, 3)).collect();
        Program { set_up, threads }
    }
}

/// Performs some steps; the savepoints of those before are there to be rolled back to.
fn run(plan: &PlanContext<u64>, clock: &Clock, steps: &[Step], known: &[Savepoint], thread: u64) -> (Vec<Call>, Hand) {
    let mut hand = Hand::new(plan.clone());
    hand.savepoints.extend(known.iter().map(|savepoint| (savepoint.sequence().number(), *savepoint)));
    let mut log = Log::new(clock);
    for (number, step) in (thread * PER_THREAD..).zip(steps) {
        // Three changesets: those of the others too, whether they have been started by now or not.
        let savepoints: Vec<u64> = hand.savepoints.keys().copied().collect();
        let operation = operation(*step, number, 2, &savepoints);
        hand.call(&mut log, operation);
    }
    (log.calls, hand)
}

fn execute(program: &Program) {
    let clock = Arc::new(Clock::default());
    let plan = PlanContext::new();
    let origin = plan.savepoint();
    let (mut calls, first) = run(&plan, &clock, &program.set_up, &[origin], 0);
    let known: Vec<Savepoint> = first.savepoints.values().copied().collect();
    let mut hands = vec![first];
    let threads: Vec<_> = (1..)
        .zip(program.threads.clone())
        .map(|(number, steps)| {
            let (plan, clock, known) = (plan.clone(), Arc::clone(&clock), known.clone());
            thread::spawn(move || run(&plan, &clock, &steps, &known, number))
        })
        .collect();
    for thread in threads {
        let (more, hand) = thread.join().unwrap();
        calls.extend(more);
        hands.push(hand);
    }
    let (mut hand, mut log) = (Hand::new(plan.clone()), Log::new(&clock));
    let Answer::Snapshot(end) = hand.call(&mut log, Operation::Snapshot) else { unreachable!("it was asked for") };
    calls.append(&mut log.calls);
    hands.push(hand);

    date_starts(&mut calls, &end.audit).unwrap_or_else(|rejection| panic!("{rejection:?}"));
    check(&calls).unwrap_or_else(|rejection| panic!("{rejection:?}"));
    drop(plan);
    // The last hand is the end of the plan.
    let snapshots: Vec<_> = hands.into_iter().flat_map(|hand| hand.snapshots).collect();
    for (snapshot, seen) in snapshots {
        assert_eq!(view(&snapshot), seen, "a snapshot changed");
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn random_plans_under_random_schedules() {
    let (programs, schedules) = (setting("PROGRAMS", 12_000), setting("SCHEDULES", 60));
    let seed = setting("SEED", 0x9E37_79B9);
    let schedules = usize::try_from(schedules).unwrap();
    for number in 0..programs {
        let mut random = Random((seed + number).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..8 {
            random.next();
        }
        let program = random.program();
        let mut config = Config::new();
        config.failure_persistence = FailurePersistence::None;
        let result = catch_unwind(AssertUnwindSafe(|| {
            let (by_chance, by_priority) = (program.clone(), program.clone());
            Runner::new(RandomScheduler::new_from_seed(seed + number, schedules / 2), config.clone())
                .run(move || execute(&by_chance));
            Runner::new(PctScheduler::new_from_seed(seed + number, 3, schedules / 2), config)
                .run(move || execute(&by_priority));
        }));
        assert!(result.is_ok(), "SEED={} PROGRAMS=1 fails: {program:?}", seed + number);
    }
}
