//! What is shown to people: each failure says what is wrong, and nothing that is shown needs keys, values or outcomes that can be shown themselves.

use std::error::Error as Source;
use std::fmt;
use std::io;

use tierstack::executor::{
    Failure, Interrupted, NotRecorded, Outcome, Stopped, StrategyContext, StrategyError, StrategyExecutor,
};
use tierstack::{NotOpen, PlanContext, PromoteError, RecordRefusal, Refusal, TierStore};

/// An error that has a source.
#[derive(Debug)]
struct Outer(io::Error);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the index is broken")
    }
}

impl Source for Outer {
    fn source(&self) -> Option<&(dyn Source + 'static)> {
        Some(&self.0)
    }
}

fn outer() -> Outer {
    Outer(io::Error::other("the disk is full"))
}

/// Cannot be shown.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Opaque;

type Failed = Failure<Opaque, Opaque, Outer>;

/// What an error says, and what its source says.
fn says<E: Source>(error: &E) -> (String, Option<String>) {
    (error.to_string(), error.source().map(ToString::to_string))
}

fn alone(text: &str) -> (String, Option<String>) {
    (text.into(), None)
}

#[test]
fn every_failure_says_what_it_is() {
    let failed = Failed::Failed(outer());
    assert_eq!(says(&failed), ("the strategy failed: the index is broken".into(), Some("the disk is full".into())));
    assert!(format!("{failed:?}").starts_with("Failed(Outer("));
    let not_run = Failed::NotRun(Stopped::DeadlinePassed);
    assert_eq!(says(&not_run), alone("the strategy was not run: the deadline of the run has passed"));
    assert_eq!(format!("{not_run:?}"), "NotRun(DeadlinePassed)");

    let (store, plan) = (TierStore::<Opaque, Opaque>::new(9).unwrap(), PlanContext::<Opaque>::new());
    let executor = StrategyExecutor::new(&store, &plan);
    let run = executor.run(&[
        executor.strategy("ends", |context: &StrategyContext<'_, Opaque, Opaque, Opaque>| {
            context.changeset().abort().unwrap();
            Ok::<_, Outer>(Outcome::<Opaque, Opaque>::new(Opaque))
        }),
        executor.strategy("panics", |_| panic!("no such index")),
    ]);
    let undone = run.reports()[0].result.as_ref().err().unwrap();
    let Failure::Undone { reason, .. } = undone else { panic!("{undone:?}") };
    assert_eq!(says(undone), alone(&format!("the strategy's changes are not in force: {reason}")));
    assert!(format!("{undone:?}").starts_with("Undone { reason: Aborted("), "{undone:?}");
    let panicked = run.reports()[1].result.as_ref().err().unwrap();
    assert_eq!(says(panicked), alone("the strategy panicked: no such index"));
    assert!(format!("{panicked:?}").starts_with("Panicked("), "{panicked:?}");
}

#[test]
fn every_error_of_a_helper_becomes_one_of_a_strategy_and_says_so() {
    let no_changeset = RecordRefusal::NoActiveChangeset;
    let rows: [(StrategyError, String, Option<String>); 6] = [
        (Stopped::Cancelled.into(), Stopped::Cancelled.to_string(), None),
        (PromoteError::NotFound.into(), "the fragment was not promoted: no fragment has that key".into(), None),
        (no_changeset.into(), format!("the change was not recorded: {no_changeset}"), None),
        (
            Interrupted::<PromoteError>::Stopped(Stopped::DeadlinePassed).into(),
            Stopped::DeadlinePassed.to_string(),
            None,
        ),
        (Interrupted::Refused(no_changeset).into(), format!("the change was not recorded: {no_changeset}"), None),
        (StrategyError::other(outer()), "the index is broken".into(), Some("the disk is full".into())),
    ];
    for (error, message, source) in rows {
        assert_eq!(says(&error), (message, source));
    }
    let boxed: Box<dyn Source + Send + Sync> = "no index".into();
    assert_eq!(says(&StrategyError::from(boxed)), alone("no index"));
    let store = TierStore::<u32, u32>::builder(9).weigher(|_, _| u64::MAX).build().unwrap();
    let refused = store.store(1, 1).unwrap_err();
    let message = format!("the fragment was not stored: {}", refused.reason);
    assert!(matches!(refused.reason, Refusal::TooHeavy { .. }));
    assert_eq!(says(&StrategyError::from(refused)), alone(&message));

    let plan = PlanContext::<u32>::new();
    let closed = plan.start_changeset();
    closed.close().unwrap();
    let not_open: NotOpen = closed.close().unwrap_err();
    assert_eq!(says(&StrategyError::from(not_open)), alone(&format!("the change was not recorded: {not_open}")));
}

#[test]
fn what_was_not_recorded_says_why_and_shows_no_change() {
    for reason in [Interrupted::Stopped(Stopped::Cancelled), Interrupted::Refused(RecordRefusal::NoActiveChangeset)] {
        let refused = NotRecorded { refused: Opaque, reason };
        assert_eq!(says(&refused), alone(&format!("the change was not recorded: {reason}")));
        assert_eq!(format!("{refused:?}"), format!("NotRecorded {{ reason: {reason:?}, .. }}"));
    }
    for reason in [Interrupted::Stopped(Stopped::DeadlinePassed), Interrupted::Refused(PromoteError::NotFound)] {
        let message = match reason {
            Interrupted::Refused(_) => "no fragment has that key",
            _ => "the deadline of the run has passed",
        };
        assert_eq!(says(&reason), alone(message));
    }
}

#[test]
fn executors_contexts_and_runs_are_shown_without_what_is_in_them() {
    let (store, plan) = (TierStore::<u32, Opaque>::new(9).unwrap(), PlanContext::<Opaque>::new());
    let executor = StrategyExecutor::new(&store, &plan);
    assert!(format!("{executor:?}").starts_with("StrategyExecutor { store: "), "{executor:?}");
    let run = executor.run(&[executor.strategy("shown", |context: &StrategyContext<'_, u32, Opaque, Opaque>| {
        let shown = format!("{context:?}");
        assert!(shown.starts_with("StrategyContext { index: 0, name: \"shown\", changeset: "), "{shown}");
        Ok::<_, Outer>(Outcome::<u32, u32>::new(7))
    })]);
    assert!(run.reports()[0].result.is_ok());
    assert!(format!("{run:?}").starts_with("Run { reports: ["), "{run:?}");
}
