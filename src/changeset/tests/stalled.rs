//! A thread is stopped for good at each step of each operation, and the others finish.
//!
//! A watchdog fails the test if they do not. Then the victim goes on, and the whole trail is looked through.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::failpoint::{Step, arm};
use crate::{EventKind, PlanContext, Savepoint, Snapshot};

type Plan = PlanContext<u64>;
type Operation = fn(&Plan, &Savepoint);

const OTHERS: u64 = 3;
const ROUNDS: u64 = 300;

/// Each by a name, with the step before and, where there is one, after its CAS.
const VICTIMS: [(&str, Operation, &[Step]); 6] = [
    ("record", |plan, _| _ = plan.record_change(0), &[Step::Recording]),
    ("record all", |plan, _| _ = plan.record_all([0, 0]), &[Step::Recording]),
    ("start", |plan, _| drop(plan.start_changeset()), &[Step::Recording, Step::LogSealed]),
    ("close", |plan, _| _ = plan.close(plan.current().unwrap()), &[Step::Recording, Step::LogSealed]),
    ("abort", |plan, _| _ = plan.abort(plan.current().unwrap()), &[Step::Recording, Step::LogSealed]),
    ("roll back", |plan, savepoint| _ = plan.roll_back_to(savepoint), &[Step::Recording, Step::LogSealed]),
];

/// What each of the others does: everything.
fn work(plan: &Plan, thread: u64) -> Vec<(u64, u64)> {
    let mut recorded = Vec::new();
    for round in 0..ROUNDS {
        let changeset = plan.start_changeset();
        let value = 1 + thread * ROUNDS + round;
        if let Ok(landed) = changeset.record(value) {
            recorded.push((landed.sequence.number(), value));
        }
        _ = plan.record_change(0);
        let savepoint = plan.savepoint();
        drop(plan.record_all([0, 0, 0]));
        match round % 4 {
            0 => _ = plan.roll_back_to(&savepoint),
            1 => _ = changeset.abort(),
            _ => _ = changeset.close(),
        }
        assert!(plan.snapshot().sequence() >= savepoint.sequence());
    }
    recorded
}

/// Numbers without a hole, and each change where its recorder was told that it is.
fn assert_sound(snapshot: &Snapshot<u64>, recorded: &[(u64, u64)]) {
    let trail: Vec<_> = snapshot.audit().collect();
    for (number, event) in (1..).zip(&trail) {
        assert_eq!(event.sequence.number(), number);
    }
    for &(sequence, value) in recorded {
        let kind = trail[usize::try_from(sequence).unwrap() - 1].kind;
        assert!(matches!(kind, EventKind::Recorded { change, .. } if *change == value), "{kind:?}");
    }
    let walked: Vec<_> = snapshot.audit().rev().collect();
    assert!(trail.iter().rev().eq(&walked));
}

fn stall(name: &str, operation: Operation, step: Step) {
    let plan = Plan::new();
    plan.start_changeset();
    let savepoint = plan.savepoint();
    plan.record_change(0).unwrap();

    let (stopped, has_stopped) = channel();
    let (go_on, may_go_on): (Sender<()>, Receiver<()>) = channel();
    let victim = thread::spawn({
        let plan = plan.clone();
        move || {
            arm(step, move || {
                stopped.send(()).unwrap();
                may_go_on.recv().unwrap();
            });
            operation(&plan, &savepoint);
        }
    });
    has_stopped.recv_timeout(Duration::from_mins(1)).unwrap_or_else(|_| panic!("{name} never reached {step:?}"));

    let (done, is_done) = channel();
    for thread in 0..OTHERS {
        let (plan, done) = (plan.clone(), done.clone());
        thread::spawn(move || done.send(work(&plan, thread)).unwrap());
    }
    let mut recorded = Vec::new();
    for _ in 0..OTHERS {
        let from_one = is_done.recv_timeout(Duration::from_mins(1));
        recorded.extend(from_one.unwrap_or_else(|_| panic!("{name} at {step:?} stops the others")));
    }
    assert!(!recorded.is_empty());
    let meanwhile = plan.snapshot();
    assert_sound(&meanwhile, &recorded);

    go_on.send(()).unwrap();
    victim.join().unwrap();
    assert_sound(&plan.snapshot(), &recorded);
    let events = usize::try_from(meanwhile.sequence().number()).unwrap();
    assert!(plan.snapshot().audit().take(events).eq(meanwhile.audit()), "what was is as it was");
}

#[test]
fn a_thread_stopped_at_any_step_stops_nobody() {
    for (name, operation, steps) in VICTIMS {
        for step in steps {
            stall(name, operation, *step);
        }
    }
}
