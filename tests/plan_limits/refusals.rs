//! What a plan refuses it hands back, the very thing, and is as it was.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tierstack::{
    ChangesetId, NotOpen, PlanContext, RecordError, RecordRefusal, ReplayError, ReplayRefusal, SavepointError,
    Sequence, Status,
};

use crate::common::tracked::Registry;
use crate::portrait::{id, sequences, unchanged};

type Plan = PlanContext<Arc<str>>;

/// A plan with a changeset that is open, and each kind that is not.
struct Fixture {
    plan: Plan,
    open: ChangesetId,
    not_open: Vec<(ChangesetId, NotOpen)>,
}

impl Fixture {
    fn new() -> Self {
        let plan = Plan::new();
        let [open, closed, aborted] = [(); 3].map(|()| plan.start_changeset());
        for changeset in [&open, &closed, &aborted] {
            changeset.record("kept".into()).unwrap();
        }
        closed.close().unwrap();
        aborted.abort().unwrap();
        let savepoint = plan.savepoint();
        let rolled_back = plan.start_changeset();
        rolled_back.record("undone".into()).unwrap();
        plan.roll_back_to(&savepoint).unwrap();
        let unknown =
            [rolled_back.id().number() + 1, u64::MAX].map(|number| (id(number), NotOpen::Unknown(id(number))));
        let known = [
            (closed.id(), NotOpen::Closed(closed.id())),
            (aborted.id(), NotOpen::Aborted(aborted.id())),
            (rolled_back.id(), NotOpen::RolledBack(rolled_back.id())),
        ];
        Self { plan, open: open.id(), not_open: known.into_iter().chain(unknown).collect() }
    }
}

/// Plans in which no changeset is open, each for another reason.
fn plans_with_nothing_open() -> Vec<Plan> {
    let [new, closed, aborted, rolled_back] = [(); 4].map(|()| Plan::new());
    closed.start_changeset().close().unwrap();
    aborted.start_changeset().abort().unwrap();
    let savepoint = rolled_back.savepoint();
    rolled_back.start_changeset().record("undone".into()).unwrap();
    rolled_back.roll_back_to(&savepoint).unwrap();
    vec![new, closed, aborted, rolled_back]
}

/// Some changes, and the same once more to compare with.
fn some_changes() -> [Vec<Arc<str>>; 2] {
    let changes: Vec<Arc<str>> = ["a", "b", "a", "c"].map(Arc::from).into();
    [changes.clone(), changes]
}

/// They are the very changes in their order, and nobody else has kept one.
#[track_caller]
fn assert_same(given_back: &[Arc<str>], changes: &[Arc<str>]) {
    assert_eq!(given_back.len(), changes.len());
    for (given_back, change) in given_back.iter().zip(changes) {
        assert!(Arc::ptr_eq(given_back, change), "another change came back");
        assert_eq!(Arc::strong_count(change), 2, "it is here and there, and nowhere else");
    }
}

#[test]
fn a_change_for_a_changeset_that_is_not_open_comes_back_itself() {
    let Fixture { plan, not_open, .. } = Fixture::new();
    for (id, reason) in not_open {
        let change: Arc<str> = "late".into();
        let error = unchanged(&plan, || plan.record_in(id, Arc::clone(&change)).unwrap_err());
        assert_eq!(error.reason, RecordRefusal::NotOpen(reason));
        assert_same(&[error.refused], std::slice::from_ref(&change));
        if let Some(handle) = plan.handle(id) {
            let error = unchanged(&plan, || handle.record(Arc::clone(&change)).unwrap_err());
            assert_eq!(error.reason, RecordRefusal::NotOpen(reason));
            assert_same(&[error.refused], &[change]);
        }
    }
}

#[test]
fn changes_for_a_changeset_that_is_not_open_come_back_themselves_in_order() {
    let Fixture { plan, not_open, .. } = Fixture::new();
    for (id, reason) in not_open {
        let [given, changes] = some_changes();
        let error = unchanged(&plan, || plan.record_all_in(id, given).unwrap_err());
        assert_eq!(error.reason, RecordRefusal::NotOpen(reason));
        assert_same(&error.refused, &changes);
        drop(error);
        if let Some(handle) = plan.handle(id) {
            let error = unchanged(&plan, || handle.record_all(changes.clone()).unwrap_err());
            assert_eq!(error.reason, RecordRefusal::NotOpen(reason));
            assert_same(&error.refused, &changes);
        }
    }
}

#[test]
fn without_an_open_changeset_ambient_changes_come_back_themselves() {
    for plan in plans_with_nothing_open() {
        let [given, changes] = some_changes();
        let error = unchanged(&plan, || plan.record_change(Arc::clone(&given[1])).unwrap_err());
        assert_eq!(error.reason, RecordRefusal::NoActiveChangeset);
        assert!(Arc::ptr_eq(&error.refused, &given[1]));
        drop(error);
        let error = unchanged(&plan, || plan.record_all(given).unwrap_err());
        assert_eq!(error.reason, RecordRefusal::NoActiveChangeset);
        assert_same(&error.refused, &changes);
    }
}

#[test]
fn what_was_refused_can_be_recorded_elsewhere() {
    let Fixture { plan, open, not_open } = Fixture::new();
    let [given, changes] = some_changes();
    let error = plan.record_all_in(not_open[0].0, given).unwrap_err();
    let recorded = plan.record_all_in(open, error.refused).unwrap();
    let snapshot = plan.snapshot();
    let found: Vec<_> = snapshot.changeset(open).unwrap().changes().skip(1).collect();
    assert!(found.iter().map(|record| record.sequence).eq(recorded.sequences()));
    assert!(found.iter().zip(&changes).all(|(record, change)| Arc::ptr_eq(record.change, change)));
}

#[test]
fn no_changes_at_all_are_recorded_or_refused_like_any() {
    let Fixture { plan, open, not_open } = Fixture::new();
    let handle = plan.handle(open).unwrap();
    let none = || Vec::<Arc<str>>::new();
    for recorded in [
        unchanged(&plan, || plan.record_all(none()).unwrap()),
        unchanged(&plan, || plan.record_all_in(open, none()).unwrap()),
        unchanged(&plan, || handle.record_all(none()).unwrap()),
    ] {
        assert_eq!((recorded.changeset, recorded.last, recorded.len), (open, plan.sequence(), 0));
        assert_eq!(recorded.sequences().count(), 0);
    }
    for (id, reason) in not_open {
        let error = unchanged(&plan, || plan.record_all_in(id, none()).unwrap_err());
        assert_eq!((error.refused.len(), error.reason), (0, RecordRefusal::NotOpen(reason)));
    }
    for plan in plans_with_nothing_open() {
        let error = unchanged(&plan, || plan.record_all(none()).unwrap_err());
        assert_eq!((error.refused.len(), error.reason), (0, RecordRefusal::NoActiveChangeset));
    }
}

#[test]
fn what_is_not_open_is_neither_closed_nor_aborted() {
    let Fixture { plan, not_open, .. } = Fixture::new();
    for (id, reason) in not_open {
        assert_eq!(unchanged(&plan, || plan.close(id)), Err(reason));
        assert_eq!(unchanged(&plan, || plan.abort(id)), Err(reason));
        if let Some(handle) = plan.handle(id) {
            assert_eq!(unchanged(&plan, || handle.close()), Err(reason));
            assert_eq!(unchanged(&plan, || handle.abort()), Err(reason));
        }
    }
}

#[test]
fn a_changeset_stays_what_it_first_became() {
    let plan = Plan::new();
    let [closed, aborted] = [(); 2].map(|()| plan.start_changeset());
    closed.close().unwrap();
    aborted.abort().unwrap();
    for _ in 0..2 {
        assert_eq!(closed.close(), Err(NotOpen::Closed(closed.id())));
        assert_eq!(closed.abort(), Err(NotOpen::Closed(closed.id())));
        assert_eq!(aborted.abort(), Err(NotOpen::Aborted(aborted.id())));
        assert_eq!(aborted.close(), Err(NotOpen::Aborted(aborted.id())));
    }
    assert_eq!(plan.status(closed.id()), Some(Status::Closed));
    assert_eq!(plan.status(aborted.id()), Some(Status::Aborted));
    assert_eq!(plan.sequence().number(), 4);
}

#[test]
fn what_was_never_started_has_no_handle_status_or_view() {
    let Fixture { plan, not_open, .. } = Fixture::new();
    for (id, reason) in not_open {
        let known = !matches!(reason, NotOpen::Unknown(_));
        assert_eq!(plan.handle(id).map(|handle| handle.id()), known.then_some(id));
        assert_eq!(plan.status(id).is_some(), known);
        assert_eq!(plan.snapshot().changeset(id).is_some(), known);
    }
}

#[test]
fn where_the_iterator_panics_nothing_is_recorded() {
    let registry = Registry::new();
    let plan = PlanContext::new();
    let changeset = plan.start_changeset();
    changeset.record(registry.tracked(0)).unwrap();
    for panics_at in [1, 7, 100] {
        let midway = |number| if number < panics_at { registry.tracked(number) } else { panic!("midway") };
        unchanged(&plan, || {
            catch_unwind(AssertUnwindSafe(|| plan.record_all((1..).map(midway)))).unwrap_err();
            catch_unwind(AssertUnwindSafe(|| changeset.record_all((1..).map(midway)))).unwrap_err();
        });
        assert_eq!(registry.alive(), 1, "what it had given is dropped");
    }
    assert_eq!(plan.record_all([1, 2].map(|number| registry.tracked(number))).unwrap().last.number(), 4);
}

#[test]
fn the_iterator_may_use_the_plan() {
    let plan: PlanContext<u32> = PlanContext::new();
    let below = plan.start_changeset();
    // Each step starts a changeset, and records beside the batch, alone and in a batch of its own.
    let recorded = plan.record_all((0..3).inspect(|number| {
        let above = plan.start_changeset();
        below.record(100 + number).unwrap();
        plan.record_all([200 + number, 300 + number]).unwrap();
        assert_eq!(plan.current(), Some(above.id()));
    }));
    let recorded = recorded.unwrap();
    assert_eq!(recorded.changeset, id(4), "the one on top when the iterator had ended");
    assert_eq!(recorded.sequences().map(Sequence::number).collect::<Vec<_>>(), [14, 15, 16], "after all that it did");
    let snapshot = plan.snapshot();
    let changes: Vec<_> = snapshot.changes().map(|record| (record.changeset.number(), *record.change)).collect();
    let expected = [(1, 100), (2, 200), (2, 300), (1, 101), (3, 201), (3, 301), (1, 102), (4, 202), (4, 302)];
    assert_eq!(changes, [&expected[..], &[(4, 0), (4, 1), (4, 2)]].concat());
}

#[test]
fn an_iterator_that_closes_its_own_changeset_gets_everything_back() {
    let plan = Plan::new();
    let changeset = plan.start_changeset();
    let savepoint = plan.savepoint();
    let [given, changes] = some_changes();
    let closing = given.into_iter().inspect(|change| {
        if **change == *"c" {
            changeset.close().unwrap();
        }
    });
    let error = plan.record_all(closing).unwrap_err();
    assert_eq!(error.reason, RecordRefusal::NoActiveChangeset);
    assert_same(&error.refused, &changes);

    // And one that rolls back has it open again.
    let mut once = Some(());
    let reopening = error.refused.into_iter().inspect(|_| {
        if once.take().is_some() {
            plan.roll_back_to(&savepoint).unwrap();
        }
    });
    let recorded = changeset.record_all(reopening).unwrap();
    assert_eq!((recorded.last.number(), recorded.len), (3 + 4, 4));
}

/// An iterator that says it has as many left as it pleases.
struct Liar<I>(I, (usize, Option<usize>));

impl<I: Iterator> Iterator for Liar<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.1
    }
}

#[test]
fn only_what_an_iterator_gives_counts_whatever_it_says_it_has() {
    for hint in [(0, None), (0, Some(0)), (1000, Some(1000)), (5, Some(2)), (0, Some(usize::MAX))] {
        for gives in [0, 1, 100] {
            let plan: PlanContext<u32> = PlanContext::new();
            plan.start_changeset();
            let recorded = plan.record_all(Liar(0..gives, hint)).unwrap();
            assert_eq!((recorded.len, recorded.last.number()), (gives as usize, 1 + u64::from(gives)), "{hint:?}");
            assert!(plan.snapshot().changes().map(|record| *record.change).eq(0..gives), "{hint:?}");
        }
    }
}

/// It may panic, as collecting into a vector does, but not halfway through recording.
#[test]
fn an_iterator_that_says_it_has_no_end_is_recorded_whole_or_not_at_all() {
    let plan: PlanContext<u32> = PlanContext::new();
    plan.start_changeset();
    for hint in [(usize::MAX, None), (usize::MAX, Some(usize::MAX)), (isize::MAX as usize, None)] {
        let last = plan.sequence().number();
        let outcome = catch_unwind(AssertUnwindSafe(|| plan.record_all(Liar(0..3, hint)).unwrap()));
        let recorded = outcome.map_or(0, |recorded| recorded.len);
        assert!(recorded == 0 || recorded == 3);
        assert_eq!(plan.sequence().number(), last + recorded as u64);
        assert_eq!(plan.snapshot().changes().len() + 1, plan.snapshot().audit().len());
    }
    assert_eq!(plan.record_all(0..3).unwrap().len, 3, "the plan is usable");
}

/// The error's text. It has no source, as it says all itself; and goes where errors go.
fn text(error: impl Error + Send + Sync + 'static) -> String {
    let error: Box<dyn Error + Send + Sync> = error.into();
    assert!(error.source().is_none(), "what its text says already would be said twice: {error}");
    error.to_string()
}

#[test]
fn each_error_is_a_sentence() {
    struct NoDebug;
    let reasons = [
        (NotOpen::Unknown(id(u64::MAX)), "the plan has no changeset-18446744073709551615"),
        (NotOpen::Closed(id(1)), "changeset-1 is closed"),
        (NotOpen::Aborted(id(2)), "changeset-2 is aborted"),
        (NotOpen::RolledBack(id(3)), "changeset-3 is rolled back"),
    ];
    let mut refusals = vec![(RecordRefusal::NoActiveChangeset, "no changeset is open")];
    for (reason, expected) in reasons {
        assert_eq!(text(reason), expected);
        refusals.push((RecordRefusal::from(reason), expected));
    }
    for (reason, expected) in refusals {
        assert_eq!(reason.to_string(), expected);
        let expected = format!("the change was not recorded: {expected}");
        assert_eq!(text(RecordError { refused: NoDebug, reason }), expected);
        let error = RecordError { refused: vec![NoDebug], reason };
        assert!(format!("{error:?}").contains(&format!("{reason:?}")));
        assert_eq!(text(error), expected);
    }
    assert_eq!(text(SavepointError::OtherPlan), "the savepoint is of another plan");
    assert_eq!(text(SavepointError::RolledBack), "the savepoint is of a part of the plan that was rolled back");
    assert_eq!(
        text("changeset 1".parse::<ChangesetId>().unwrap_err()),
        r#""changeset 1" is not the name of a changeset, such as "changeset-1""#
    );

    let at = sequences(7);
    let replayed = [
        (ReplayRefusal::Sequence { expected: at[6] }, "its sequence number should be 6"),
        (ReplayRefusal::Started { expected: id(3) }, "the changeset should be changeset-3"),
        (ReplayRefusal::NotOpen(NotOpen::Closed(id(4))), "changeset-4 is closed"),
        (ReplayRefusal::Savepoint, "the plan has nothing in force to roll back to there"),
    ];
    for (reason, expected) in replayed {
        let event = tierstack::Event { sequence: at[7], kind: tierstack::EventKind::RolledBack { to: at[7] } };
        let error = ReplayError::<NoDebug> { plan: PlanContext::new(), event, reason };
        assert!(format!("{error:?}").contains(&format!("{reason:?}")));
        assert_eq!(text(error), format!("event 7 does not follow from those before it: {expected}"));
    }
}
