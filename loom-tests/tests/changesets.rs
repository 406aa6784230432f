//! The plan: pairs of its operations beside each other, and a seal that others swing the root past.
//!
//! Changes hold a cell that loom watches, written before the record and read by whoever finds it: an ordering too weak to publish
//! an entry, a version or the root is a race on it. The root is a bare pointer here (see `src/changeset/root.rs`): arc-swap itself is assumed.

use loom::thread;
use loom_tests::watched::Watched;
use loom_tests::{both_hold, holds};
use tierstack::{ChangesetHandle, EventKind, NotOpen, PlanContext, RecordRefusal, Snapshot, Status};

/// Changes are values that loom watches.
type Plan = PlanContext<Watched>;

/// Everything in a snapshot, which is read through: the trail's numbers have no hole.
fn trail(snapshot: &Snapshot<Watched>) -> Vec<EventKind<u64>> {
    let mut number = snapshot.sequence().number();
    let mut kinds = Vec::new();
    for event in snapshot.audit().rev() {
        assert_eq!(event.sequence.number(), number);
        number -= 1;
        kinds.push(match event.kind {
            EventKind::Started { changeset } => EventKind::Started { changeset },
            EventKind::Recorded { changeset, change } => EventKind::Recorded { changeset, change: change.number() },
            EventKind::Closed { changeset } => EventKind::Closed { changeset },
            EventKind::Aborted { changeset } => EventKind::Aborted { changeset },
            EventKind::RolledBack { to } => EventKind::RolledBack { to },
        });
    }
    assert_eq!(number, 0);
    kinds.reverse();
    kinds
}

/// The numbers of a changeset's changes.
fn numbers(snapshot: &Snapshot<Watched>, changeset: &ChangesetHandle<Watched>) -> Vec<u64> {
    let view = snapshot.changeset(changeset.id()).expect("it was started");
    view.changes().map(|record| record.change.number()).collect()
}

/// Explores two operations beside each other, after `set_up`, which gives them what they need. Each has its turn as the thread that is spawned.
fn beside<S, A, B>(
    name: &'static str,
    set_up: impl Fn(&Plan) -> S + Copy + Send + Sync + 'static,
    first: impl Fn(&Plan, &S) -> A + Copy + Send + Sync + 'static,
    second: impl Fn(&Plan, &S) -> B + Copy + Send + Sync + 'static,
    check: impl Fn(&Plan, &S, A, B) + Copy + Send + Sync + 'static,
) where
    S: Clone + Send + 'static,
    A: Send + 'static,
    B: Send + 'static,
{
    let second_spawned = move || {
        let plan = Plan::new();
        let things = set_up(&plan);
        let spawned = spawn(&plan, &things, second);
        let from_first = first(&plan, &things);
        check(&plan, &things, from_first, spawned.join().unwrap());
    };
    let first_spawned = move || {
        let plan = Plan::new();
        let things = set_up(&plan);
        let spawned = spawn(&plan, &things, first);
        let from_second = second(&plan, &things);
        check(&plan, &things, spawned.join().unwrap(), from_second);
    };
    both_hold(name, 4, (second_spawned, first_spawned));
}

fn spawn<S: Clone + Send + 'static, T: Send + 'static>(
    plan: &Plan,
    things: &S,
    run: impl Fn(&Plan, &S) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let (plan, things) = (plan.clone(), things.clone());
    thread::spawn(move || run(&plan, &things))
}

type Handle = ChangesetHandle<Watched>;

fn one_open(plan: &Plan) -> Handle {
    plan.start_changeset()
}

#[test]
fn a_record_beside_a_start_is_in_the_changeset_on_top() {
    beside(
        "start, record",
        one_open,
        |plan, _| plan.start_changeset(),
        |plan, _| plan.record_change(Watched::new(1)).unwrap(),
        |plan, first, second, recorded| {
            // What took effect first is what the numbers say.
            let on_top = if recorded.sequence.number() == 2 { first } else { &second };
            assert_eq!(recorded.changeset, on_top.id());
            let snapshot = plan.snapshot();
            assert_eq!((numbers(&snapshot, on_top), trail(&snapshot).len()), (vec![1], 3));
        },
    );
}

#[test]
fn two_records_beside_each_other_are_both_there() {
    beside(
        "record, record all",
        one_open,
        |plan, _| plan.record_change(Watched::new(1)).unwrap().sequence,
        |_, changeset| changeset.record_all([Watched::new(2), Watched::new(3)]).unwrap().last,
        |plan, changeset, one, last_of_two| {
            let found = numbers(&plan.snapshot(), changeset);
            assert_eq!(found, if one < last_of_two { [1, 2, 3] } else { [2, 3, 1] });
        },
    );
}

#[test]
fn a_record_beside_a_close_is_in_it_or_handed_back() {
    beside(
        "close, record",
        one_open,
        |_, changeset| changeset.close().unwrap(),
        |plan, _| plan.record_change(Watched::new(1)),
        |plan, changeset, closed, recorded| {
            let found = numbers(&plan.snapshot(), changeset);
            match recorded {
                Ok(recorded) => assert!(recorded.sequence < closed && found == [1]),
                Err(error) => {
                    assert_eq!(error.reason, RecordRefusal::NoActiveChangeset);
                    assert_eq!((error.refused.number(), found.len()), (1, 0));
                }
            }
            assert_eq!(plan.status(changeset.id()), Some(Status::Closed));
        },
    );
}

#[test]
fn a_close_beside_an_abort_one_is_refused() {
    beside(
        "close, abort",
        one_open,
        |_, changeset| changeset.close(),
        |_, changeset| changeset.abort(),
        |plan, changeset, closed, aborted| match plan.status(changeset.id()) {
            Some(Status::Closed) => assert!(closed.is_ok() && aborted == Err(NotOpen::Closed(changeset.id()))),
            Some(Status::Aborted) => assert!(aborted.is_ok() && closed == Err(NotOpen::Aborted(changeset.id()))),
            status => panic!("{status:?}"),
        },
    );
}

#[test]
fn a_record_beside_a_roll_back_is_undone_or_stays() {
    beside(
        "roll back, record",
        |plan| {
            let changeset = plan.start_changeset();
            let savepoint = plan.savepoint();
            changeset.record(Watched::new(1)).unwrap();
            (changeset, savepoint)
        },
        |plan, (_, savepoint)| plan.roll_back_to(savepoint).unwrap(),
        |_, (changeset, _)| changeset.record(Watched::new(2)).unwrap(),
        |plan, (changeset, _), rolled_back, recorded| {
            let snapshot = plan.snapshot();
            let stays = recorded.sequence > rolled_back;
            assert_eq!(numbers(&snapshot, changeset), if stays { vec![2] } else { vec![] });
            assert_eq!(trail(&snapshot).len(), 4);
        },
    );
}

#[test]
fn a_snapshot_beside_records_is_a_prefix_and_stays_so() {
    beside(
        "records, snapshot",
        one_open,
        |_, changeset| {
            changeset.record(Watched::new(1)).unwrap();
            changeset.record_all([Watched::new(2), Watched::new(3)]).unwrap();
        },
        |plan, changeset| {
            let snapshot = plan.snapshot();
            let (events, seen) = (trail(&snapshot), numbers(&snapshot, changeset));
            (snapshot, events, seen)
        },
        |_, changeset, (), (snapshot, events, seen)| {
            assert!([0, 1, 3].contains(&seen.len()) && seen.iter().eq([1, 2, 3].iter().take(seen.len())));
            assert!(trail(&snapshot) == events && numbers(&snapshot, changeset) == seen);
        },
    );
}

#[test]
fn a_snapshot_beside_a_start_and_a_record_has_what_came_before() {
    beside(
        "start and record, snapshot",
        |_| (),
        |plan, ()| {
            plan.start_changeset().record(Watched::new(1)).unwrap();
        },
        |plan, ()| trail(&plan.snapshot()),
        |plan, (), (), seen| assert_eq!(seen, trail(&plan.snapshot())[..seen.len()]),
    );
}

#[test]
fn what_is_current_never_goes_back() {
    // The second start is seen only by who would see the first; so also where its root was swung by somebody else.
    beside(
        "start and start, current and current",
        |_| (),
        |plan, ()| [plan.start_changeset().id(), plan.start_changeset().id()],
        |plan, ()| [plan.current(), plan.current()],
        |plan, (), [first, second], [earlier, later]| {
            assert!(earlier <= later && later <= Some(second) && first < second);
            assert_eq!(plan.current(), Some(second));
        },
    );
}

#[test]
fn two_starts_and_a_record_help_each_other() {
    // Every interleaving in which a starter stops between its seal and its swing is among these, for a while or to the end.
    holds("start, start, record", 2, || {
        let plan = Plan::new();
        let first = plan.start_changeset().id();
        let starters = [plan.clone(), plan.clone()].map(|plan| thread::spawn(move || plan.start_changeset().id()));
        let recorded = plan.record_change(Watched::new(1)).unwrap();
        let mut ids = starters.map(|starter| starter.join().unwrap());
        ids.sort_unstable();
        assert_eq!(ids.map(|id| id.number()), [2, 3]);
        let trail = trail(&plan.snapshot());
        assert_eq!(trail.len(), 4);
        let on_top = [first, ids[0], ids[1]][usize::try_from(recorded.sequence.number()).unwrap() - 2];
        assert_eq!(recorded.changeset, on_top);
    });
}

#[test]
fn a_snapshot_that_outlives_its_plan_is_whole() {
    holds("drop the plan, read a snapshot", 4, || {
        let plan = Plan::new();
        let changeset = plan.start_changeset();
        changeset.record(Watched::new(1)).unwrap();
        let snapshot = plan.snapshot();
        let reader = thread::spawn(move || (trail(&snapshot).len(), snapshot.changes().len()));
        changeset.record(Watched::new(2)).unwrap();
        changeset.close().unwrap();
        drop((plan, changeset));
        assert_eq!(reader.join().unwrap(), (2, 1));
    });
}

#[test]
fn an_index_that_two_make_is_the_same() {
    beside(
        "index, index",
        |plan| {
            let changeset = plan.start_changeset();
            changeset.record(Watched::new(1)).unwrap();
            (loom::sync::Arc::new(plan.snapshot()), changeset)
        },
        |_, (snapshot, changeset)| numbers(snapshot, changeset),
        |_, (snapshot, changeset)| numbers(snapshot, changeset),
        |_, _, first, second| assert_eq!((first, second), (vec![1], vec![1])),
    );
}
