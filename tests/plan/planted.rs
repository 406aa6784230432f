//! Histories made by hand: what is not linearizable is rejected, and for the right reason; what is, is accepted.

use crate::history::{Call, Fault, UNDATED, check, date_starts};
use crate::model::{Answer, Event, Model, Operation, Refusal, Status};

/// A history of calls that do not overlap, answered by the model: call n has the ticks 10 n and 10 n + 1.
fn sequential(operations: Vec<Operation>) -> Vec<Call> {
    let mut model = Model::default();
    let call = |(operation, n): (Operation, u64)| {
        let answer = model.apply(&operation);
        Call { operation, answer, invoked: 10 * n, returned: 10 * n + 1 }
    };
    operations.into_iter().zip(0..).map(call).collect()
}

/// With every operation in it, and every refusal.
fn good() -> Vec<Call> {
    use Operation as Op;
    sequential(vec![
        Op::Record { change: 1 },                       // 0: refused, none is active
        Op::Start,                                      // 1: #1, changeset 1
        Op::Record { change: 2 },                       // 2: #2
        Op::Savepoint,                                  // 3: at #2
        Op::Start,                                      // 4: #3, changeset 2
        Op::RecordAll { changes: vec![3, 4, 5] },       // 5: #4 to #6
        Op::RecordIn { id: 1, change: 6 },              // 6: #7
        Op::Current,                                    // 7: changeset 2
        Op::Close { id: 1 },                            // 8: #8
        Op::RecordIn { id: 1, change: 7 },              // 9: refused, closed
        Op::Snapshot,                                   // 10
        Op::Savepoint,                                  // 11: at #8
        Op::RollBackTo { savepoint: 2 },                // 12: #9
        Op::RollBackTo { savepoint: 8 },                // 13: refused
        Op::Record { change: 8 },                       // 14: #10, into changeset 1, which is open again
        Op::Close { id: 2 },                            // 15: refused, rolled back
        Op::Abort { id: 1 },                            // 16: #11
        Op::RecordAllIn { id: 1, changes: vec![9] },    // 17: refused, aborted
        Op::RecordAllIn { id: 7, changes: Vec::new() }, // 18: refused, unknown
        Op::Start,                                      // 19: #12, changeset 3
        Op::RecordAll { changes: Vec::new() },          // 20: nothing, after #12
        Op::Status { id: 2 },                           // 21: rolled back
        Op::Sequence,                                   // 22: 12
        Op::Snapshot,                                   // 23
    ])
}

fn fault(calls: &[Call]) -> Option<Fault> {
    check(calls).err().map(|rejection| rejection.fault)
}

/// What is found wrong once a good history is tampered with.
fn spoilt(spoil: impl FnOnce(&mut Vec<Call>)) -> Option<Fault> {
    let mut calls = good();
    spoil(&mut calls);
    fault(&calls)
}

#[test]
fn a_good_history_is_accepted_in_whatever_order_it_was_logged() {
    assert_eq!(check(&good()).expect("good").sequence(), 12);
    assert_eq!(spoilt(|calls| calls.reverse()), None);
    assert_eq!(spoilt(|calls| calls.sort_by_key(|call| call.invoked % 70)), None);
}

#[test]
fn calls_that_overlap_may_take_effect_in_either_order() {
    // The record is called before the second start and returns after it, and may be in either changeset: its number says which.
    for (record, changeset, start) in [(2, 1, 3), (3, 2, 2)] {
        let mut calls = sequential(vec![Operation::Start, Operation::Start, Operation::Record { change: 1 }]);
        calls[1].answer = Answer::Started { id: 2, sequence: start };
        calls[2].answer = Answer::Recorded { changeset, last: record };
        calls[2].invoked = 9;
        assert_eq!(fault(&calls), None);
        calls[2].answer = Answer::Recorded { changeset: 3 - changeset, last: record };
        assert_eq!(fault(&calls), Some(Fault::Answer));
    }
}

#[test]
fn a_record_in_the_changeset_below_the_one_just_started_is_rejected() {
    let stale = Answer::Recorded { changeset: 1, last: 6 };
    assert_eq!(spoilt(|calls| calls[5].answer = stale), Some(Fault::Answer));
}

#[test]
fn a_record_that_is_lost_is_rejected() {
    // Its number was given again to the next.
    let twice = Answer::Recorded { changeset: 1, last: 6 };
    assert_eq!(spoilt(|calls| calls[6].answer = twice), Some(Fault::Numbers));
    // It returned, and the plan knows nothing of it.
    let lost = spoilt(|calls| {
        let Answer::Snapshot(view) = &mut calls[23].answer else { unreachable!() };
        view.changes.pop();
        view.audit.retain(|(_, event)| *event != Event::Recorded { id: 1, change: 8 });
    });
    assert_eq!(lost, Some(Fault::Answer));
}

#[test]
fn a_number_that_nobody_has_is_rejected() {
    assert_eq!(spoilt(|calls| _ = calls.remove(6)), Some(Fault::Numbers));
    assert_eq!(spoilt(|calls| _ = calls.remove(1)), Some(Fault::Numbers));
    let too_late = Answer::Done { sequence: 13 };
    assert_eq!(spoilt(|calls| calls[16].answer = too_late), Some(Fault::Numbers));
}

#[test]
fn a_record_in_a_closed_changeset_is_rejected() {
    let recorded = spoilt(|calls| {
        calls.truncate(10);
        calls[9].answer = Answer::Recorded { changeset: 1, last: 9 };
    });
    assert_eq!(recorded, Some(Fault::Answer));
}

#[test]
fn a_refusal_by_a_changeset_that_was_open_all_along_is_rejected() {
    let refused = |refusal| {
        spoilt(|calls| {
            calls.truncate(7);
            calls[6].answer = Answer::Refused(refusal);
        })
    };
    assert_eq!(refused(Refusal::Closed), Some(Fault::Untrue));
    assert_eq!(refused(Refusal::RolledBack), Some(Fault::Untrue));
    // For another reason than the true one.
    assert_eq!(spoilt(|calls| calls[9].answer = Answer::Refused(Refusal::Aborted)), Some(Fault::Untrue));
}

#[test]
fn a_refusal_is_accepted_if_it_was_true_at_any_instant_of_the_call() {
    let refused = |invoked, returned| {
        spoilt(|calls| {
            let operation = Operation::RecordIn { id: 1, change: 0 };
            let answer = Answer::Refused(Refusal::Closed);
            calls.push(Call { operation, answer, invoked, returned });
        })
    };
    // Changeset 1 is closed from call 8, ticks 80 and 81, until the roll-back in call 12, ticks 120 and 121.
    assert_eq!(refused(0, 200), None);
    assert_eq!(refused(0, 79), Some(Fault::Untrue));
    assert_eq!((refused(75, 80), refused(121, 125)), (None, None));
    assert_eq!(refused(122, 200), Some(Fault::Untrue));
}

#[test]
fn numbers_against_real_time_are_rejected() {
    // The records of calls 2 and 14 change their ticks: each is answered as before.
    let swapped = spoilt(|calls| {
        let (early, late) = (calls[2].clone(), calls[14].clone());
        (calls[2].invoked, calls[2].returned) = (late.invoked, late.returned);
        (calls[14].invoked, calls[14].returned) = (early.invoked, early.returned);
    });
    assert_eq!(swapped, Some(Fault::RealTime));
}

#[test]
fn a_stale_current_or_status_is_rejected() {
    assert_eq!(spoilt(|calls| calls[7].answer = Answer::Current(Some(1))), Some(Fault::Untrue));
    assert_eq!(spoilt(|calls| calls[7].answer = Answer::Current(None)), Some(Fault::Untrue));
    assert_eq!(spoilt(|calls| calls[21].answer = Answer::Status(Some(Status::Open))), Some(Fault::Untrue));
    assert_eq!(spoilt(|calls| calls[22].answer = Answer::At(11)), Some(Fault::Untrue));
    assert_eq!(spoilt(|calls| calls[20].answer = Answer::Recorded { changeset: 3, last: 11 }), Some(Fault::Untrue));
}

#[test]
fn reads_that_go_back_in_time_are_rejected() {
    // Two reads during one long start: the first may see it or not, the second must if the first did.
    let reads = |first, second| {
        let mut calls = sequential(vec![Operation::Start, Operation::Current, Operation::Current]);
        calls[0].returned = 99;
        calls[1].answer = Answer::Current(first);
        calls[2].answer = Answer::Current(second);
        fault(&calls)
    };
    assert_eq!((reads(None, None), reads(None, Some(1)), reads(Some(1), Some(1))), (None, None, None));
    assert_eq!(reads(Some(1), None), Some(Fault::Untrue));
}

#[test]
fn effects_that_overlap_bind_the_calls_after_and_before_them() {
    let (start, current) = (Operation::Start, Operation::Current);
    let mut calls = sequential(vec![start.clone(), start.clone(), start, current]);
    let mut fault_with = |ticks: [(u64, u64); 4], seen| {
        for (call, (invoked, returned)) in calls.iter_mut().zip(ticks) {
            (call.invoked, call.returned) = (invoked, returned);
        }
        calls[3].answer = Answer::Current(seen);
        fault(&calls)
    };
    // The third start returns first of all, and each is bound by it.
    let after = [(0, 40), (1, 30), (2, 20), (50, 51)];
    assert_eq!((fault_with(after, Some(3)), fault_with(after, Some(1))), (None, Some(Fault::Untrue)));
    // The first is called last of all.
    let before = [(7, 10), (6, 20), (5, 30), (0, 1)];
    assert_eq!((fault_with(before, None), fault_with(before, Some(1))), (None, Some(Fault::Untrue)));
    // The third returns before the first is called, but not before the second is.
    assert_eq!(fault_with([(10, 90), (5, 100), (6, 8), (110, 111)], Some(3)), Some(Fault::RealTime));
}

#[test]
fn a_savepoint_that_is_not_of_its_time_is_rejected() {
    // Between two effects of one batch; before an effect that had returned; after one that was not called yet.
    for wrong in [5, 7, 9] {
        assert_eq!(spoilt(|calls| calls[11].answer = Answer::At(wrong)), Some(Fault::Untrue), "{wrong}");
    }
}

#[test]
fn a_roll_back_to_a_savepoint_that_is_not_in_force_is_rejected() {
    let rolled_back = spoilt(|calls| {
        calls.truncate(14);
        calls[13].answer = Answer::Done { sequence: 10 };
    });
    assert_eq!(rolled_back, Some(Fault::Answer));
    let refused = spoilt(|calls| {
        calls.truncate(13);
        calls[12].answer = Answer::Refused(Refusal::Savepoint);
    });
    assert_eq!(refused, Some(Fault::Untrue));
}

#[test]
fn a_snapshot_with_a_hole_is_rejected() {
    let snapshot = |spoil: fn(&mut crate::model::View)| {
        spoilt(|calls| {
            let Answer::Snapshot(view) = &mut calls[10].answer else { unreachable!() };
            spoil(view);
        })
    };
    assert_eq!(snapshot(|_| {}), None);
    let holes: [fn(&mut crate::model::View); 6] = [
        |view| _ = view.audit.remove(4),
        |view| _ = view.changes.remove(1),
        |view| _ = view.changesets[1].1.remove(2),
        |view| view.changesets[0].0 = Status::Open,
        |view| view.current = Some(1),
        |view| view.changes.swap(0, 1),
    ];
    for hole in holes {
        assert_eq!(snapshot(hole), Some(Fault::Answer));
    }
    assert_eq!(snapshot(|view| view.sequence -= 3), Some(Fault::Untrue), "within a batch there is no state");
}

#[test]
fn starts_are_dated_by_the_audit_trail_and_not_without() {
    let undated = || {
        let mut calls = good();
        for call in &mut calls {
            if let Answer::Started { sequence, .. } = &mut call.answer {
                *sequence = UNDATED;
            }
        }
        calls
    };
    let audit = check(&good()).expect("good").view().audit;
    let mut calls = undated();
    date_starts(&mut calls, &audit).expect("all starts are in the trail");
    assert_eq!(fault(&calls), None);
    let rejection = date_starts(&mut undated(), &audit[..11]).expect_err("the last start is not");
    assert_eq!(rejection.fault, Fault::Numbers);
    assert_eq!(fault(&undated()), Some(Fault::Numbers));
}
