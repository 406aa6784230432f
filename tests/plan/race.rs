//! The race that users write: "start a changeset, then record into the current one", beside somebody who starts the next.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tierstack::{ChangesetId, EventKind, PlanContext, RecordRefusal, Recorded};

use crate::common::{lockstep, together};
use crate::setting;
use crate::subject::id;

/// The sequence numbers of the starts, by id: ascending, as ids are given out in the order of starts.
fn starts(plan: &PlanContext<u64>) -> Vec<u64> {
    let mut starts = Vec::new();
    for event in plan.snapshot().audit() {
        if let EventKind::Started { changeset } = event.kind {
            starts.push(event.sequence.number());
            assert_eq!(changeset.number(), starts.len() as u64);
        }
    }
    starts
}

/// What was recorded in a plan: change, changeset, and sequence number; by change.
fn recorded_in(plan: &PlanContext<u64>) -> Vec<(u64, Recorded)> {
    let snapshot = plan.snapshot();
    let recorded = snapshot.audit().filter_map(|event| match event.kind {
        EventKind::Recorded { changeset, change } => Some((*change, Recorded { changeset, sequence: event.sequence })),
        _ => None,
    });
    let mut recorded: Vec<_> = recorded.collect();
    recorded.sort_by_key(|(change, _)| *change);
    recorded
}

#[test]
fn a_record_beside_a_start_lands_in_the_changeset_on_top() {
    let plan = PlanContext::<u64>::new();
    plan.start_changeset();
    let recorded = Mutex::new(Vec::new());
    let step = |thread, round| {
        if thread == 0 {
            plan.start_changeset();
        } else {
            let landed = plan.record_change(round).expect("one is open, always");
            recorded.lock().unwrap().push((round, landed));
        }
    };
    lockstep(2, setting("ROUNDS", 20_000), step, |_| {});

    let (starts, recorded) = (starts(&plan), recorded.into_inner().unwrap());
    for (round, landed) in &recorded {
        let top = starts.partition_point(|start| *start < landed.sequence.number()) as u64;
        assert_eq!(landed.changeset.number(), top, "{landed:?}");
        assert!(top == round + 1 || top == round + 2, "{landed:?} in round {round}");
    }
    assert_eq!(recorded_in(&plan), recorded, "each is where its caller was told");
}

#[test]
fn a_record_beside_a_start_and_a_close_is_in_it_or_handed_back() {
    let plan = PlanContext::<u64>::new();
    let recorded = Mutex::new(Vec::new());
    let step = |thread, round| {
        if thread == 0 {
            let changeset = plan.start_changeset();
            changeset.close().expect("nobody else closes it");
        } else {
            match plan.record_change(round) {
                Ok(landed) => recorded.lock().unwrap().push((round, landed)),
                Err(error) => {
                    assert_eq!((error.refused, error.reason), (round, RecordRefusal::NoActiveChangeset));
                }
            }
        }
    };
    lockstep(2, setting("ROUNDS", 20_000), step, |_| {});

    let recorded = recorded.into_inner().unwrap();
    for (round, landed) in &recorded {
        assert_eq!(landed.changeset.number(), round + 1, "the round's own: {landed:?}");
    }
    assert_eq!(recorded_in(&plan), recorded, "what was handed back is not in the plan, all else is");
    // Between its start and its close.
    let mut open = None;
    for event in plan.snapshot().audit() {
        match event.kind {
            EventKind::Started { changeset } => open = Some(changeset),
            EventKind::Recorded { changeset, .. } => assert_eq!(Some(changeset), open, "{event:?}"),
            _ => open = None,
        }
    }
}

#[test]
fn recording_on_an_empty_stack_is_a_typed_error() {
    let plan = PlanContext::<u64>::new();
    let is_refused = || {
        let before = plan.sequence();
        let error = plan.record_change(7).unwrap_err();
        assert_eq!((error.refused, error.reason), (7, RecordRefusal::NoActiveChangeset));
        for batch in [vec![1, 2, 3], vec![]] {
            let error = plan.record_all(batch.clone()).unwrap_err();
            assert_eq!((error.refused, error.reason), (batch, RecordRefusal::NoActiveChangeset));
        }
        assert_eq!((plan.sequence(), plan.current()), (before, None), "nothing has happened");
    };
    is_refused();
    let origin = plan.savepoint();
    let (closed, aborted) = (plan.start_changeset(), plan.start_changeset());
    closed.close().unwrap();
    plan.record_change(1).expect("the other is open");
    aborted.abort().unwrap();
    is_refused();
    plan.start_changeset();
    plan.roll_back_to(&origin).unwrap();
    is_refused();
}

#[test]
fn between_a_start_and_the_next_every_ambient_record_is_in_it() {
    const THREADS: usize = 3;
    let plan = PlanContext::<u64>::new();
    let newest = AtomicU64::new(plan.start_changeset().id().number());
    let step = |thread, round| {
        let newest = newest.load(Ordering::Acquire);
        let one = plan.record_change(round).expect("one is open");
        let more = plan.record_all([round, round]).expect("one is open");
        assert_eq!((one.changeset.number(), more.changeset.number()), (newest, newest));
        assert_eq!(plan.current().map(ChangesetId::number), Some(newest));
        // What goes on underneath changes nothing: one of them closes the changeset before.
        if thread == 0 && newest > 1 {
            plan.close(id(newest - 1)).expect("it is open");
        }
    };
    // While all of them stand still.
    lockstep(THREADS, setting("ROUNDS", 5_000), step, |_| {
        newest.store(plan.start_changeset().id().number(), Ordering::Release);
    });
    assert_eq!(plan.snapshot().changes().len(), THREADS * 3 * setting("ROUNDS", 5_000));
}

#[test]
fn no_record_is_in_a_changeset_older_than_one_whose_start_had_returned() {
    const RECORDERS: usize = 2;
    let starts: u64 = setting("ROUNDS", 20_000);
    let plan = PlanContext::<u64>::new();
    // The newest changeset whose start has returned, and the newest that anybody has begun to start.
    let (returned, called) = (AtomicU64::new(plan.start_changeset().id().number()), AtomicU64::new(1));
    together(RECORDERS + 1, |thread| {
        if thread == 0 {
            for _ in 1..starts {
                called.fetch_add(1, Ordering::SeqCst);
                returned.store(plan.start_changeset().id().number(), Ordering::SeqCst);
            }
            return;
        }
        loop {
            let oldest = returned.load(Ordering::SeqCst);
            let landed = plan.record_change(0).expect("one is open").changeset.number();
            let newest = called.load(Ordering::SeqCst);
            assert!((oldest..=newest).contains(&landed), "{landed} is not from {oldest} to {newest}");
            if oldest == starts {
                return;
            }
        }
    });
}
