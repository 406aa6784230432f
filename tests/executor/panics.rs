//! Panics of strategies, of their names, and of what they give: each harms itself alone.

use std::panic::panic_any;
use std::sync::atomic::{AtomicU32, Ordering};

use tierstack::Status;
use tierstack::executor::{Failure, Outcome, Panic, Strategy};

use super::*;

#[test]
fn a_panic_aborts_what_its_strategy_recorded_and_nothing_else() {
    let (store, plan) = (store(0, 9), Plan::new());
    let executor = Executor::new(&store, &plan);
    let run = executor.run(&[
        executor.strategy("before", |context| {
            context.record(1)?;
            well(1)
        }),
        executor.strategy("broken", |context| {
            context.record(2)?;
            panic!("at {}", 7)
        }),
        executor.strategy("after", |context| {
            context.record(3)?;
            well(3)
        }),
    ]);
    assert_eq!(
        run.reports().iter().map(|report| report.status).collect::<Vec<_>>(),
        [Status::Closed, Status::Aborted, Status::Closed]
    );
    let failure = run.reports()[1].result.as_ref().unwrap_err();
    assert!(matches!(failure, Failure::Panicked(panic) if panic.message() == Some("at 7")), "{failure:?}");
    assert_eq!(failure.to_string(), "the strategy panicked: at 7");
    assert_eq!((in_force(run.snapshot()), in_trail(run.snapshot())), (vec![1, 3], vec![1, 2, 3]));
    assert_eq!(run.reports()[1].counts.records, 1, "what it did before is counted");
    for report in run.reports() {
        assert_eq!(status_in_trail(run.snapshot(), report.changeset), report.status);
    }
}

#[test]
fn the_payload_is_handed_back_as_it_was() {
    let (store, plan) = (store(0, 9), Plan::new());
    let executor = Executor::new(&store, &plan);
    let panicking = |number: u32| {
        executor.strategy("broken", move |_| match number {
            0 => panic!("a literal"),
            1 => panic!("made: {number}"),
            2 => panic_any(String::from("a string")),
            _ => panic_any(number),
        })
    };
    let run = executor.run(&[0, 1, 2, 3].map(panicking));
    let panics: Vec<Panic> = run
        .into_reports()
        .into_iter()
        .map(|report: tierstack::executor::StrategyReport<u32, u32, Error>| match report.result {
            Err(Failure::Panicked(panic)) => panic,
            other => panic!("{other:?}"),
        })
        .collect();
    let messages: Vec<_> = panics.iter().map(Panic::message).collect();
    assert_eq!(messages, [Some("a literal"), Some("made: 1"), Some("a string"), None]);
    assert_eq!(panics[3].to_string(), "with a payload that is no text");
    assert!(format!("{:?}", panics[0]).contains("a literal"));
    let payload = panics.into_iter().nth(3).unwrap().into_payload();
    assert_eq!(payload.downcast_ref::<u32>(), Some(&3));
}

/// Panics when it is dropped, with another that does so, until there are no more.
struct Grenade<'a>(u32, &'a AtomicU32);

impl Drop for Grenade<'_> {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::Relaxed);
        if self.0 > 0 {
            panic_any("dropped");
        }
    }
}

#[test]
fn a_payload_that_panics_when_it_is_dropped_does_no_harm() {
    static DROPPED: AtomicU32 = AtomicU32::new(0);
    let (store, plan) = (store(0, 9), Plan::new());
    let executor = Executor::new(&store, &plan);
    let run = executor.run(&[0, 1].map(|_| {
        executor.strategy("broken", |context| -> Result<Outcome<u32, u32>, Error> {
            context.record(1)?;
            panic_any(Grenade(1, &DROPPED))
        })
    }));
    assert_eq!(DROPPED.load(Ordering::Relaxed), 0);
    drop(run);
    assert_eq!(DROPPED.load(Ordering::Relaxed), 2);
}

#[test]
fn outcomes_and_errors_that_panic_when_dropped_are_the_callers_to_drop() {
    let dropped = AtomicU32::new(0);
    let (store, plan) = (store(0, 9), Plan::new());
    let executor = Executor::new(&store, &plan);
    let strategies = [0_u32, 1, 2].map(|n| {
        let dropped = &dropped;
        executor.strategy("grenade", move |context| -> Result<Outcome<u32, Grenade<'_>>, Grenade<'_>> {
            context.changeset().record(n).unwrap();
            let grenade = Grenade(1, dropped);
            match n {
                0 => Ok(Outcome::new(grenade)),
                1 => Err(grenade),
                _ => {
                    context.changeset().abort().unwrap();
                    Ok(Outcome::new(grenade))
                }
            }
        })
    });
    let run = executor.run(&strategies);
    assert_eq!(dropped.load(Ordering::Relaxed), 0, "the executor drops none of them");
    let statuses: Vec<_> = run.reports().iter().map(|report| report.status).collect();
    assert_eq!(statuses, [Status::Closed, Status::Aborted, Status::Aborted]);
    for report in run.into_reports() {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(report)));
        assert!(caught.is_err());
    }
    assert_eq!(dropped.load(Ordering::Relaxed), 3);
}

#[test]
fn what_a_strategy_drops_while_it_panics_may_use_the_store() {
    struct Restores<'a>(&'a Context<'a>);
    impl Drop for Restores<'_> {
        fn drop(&mut self) {
            self.0.store().store(9, Arc::new(9)).unwrap();
            self.0.record(9).unwrap();
        }
    }
    let (store, plan) = (store(0, 9), Plan::new());
    let executor = Executor::new(&store, &plan);
    let run = executor.run(&[executor.strategy("broken", |context| -> Result<Outcome<u32, u32>, Error> {
        let _restores = Restores(context);
        let view = context.pin()?;
        view.store(1, Arc::new(1))?;
        panic!("with a view pinned")
    })]);
    assert_eq!((run.reports()[0].status, run.reports()[0].counts.records), (Status::Aborted, 1));
    assert!(store.contains(&9) && store.contains(&1));
    assert_eq!((in_force(run.snapshot()), in_trail(run.snapshot())), (vec![], vec![9]));
}

#[test]
fn a_name_that_panics_is_a_strategy_that_panicked() {
    struct Nameless(bool);
    impl Strategy<u32, Arc<u32>, u32> for Nameless {
        type Value = u32;
        type Error = Error;
        fn name(&self) -> &'static str {
            assert!(!self.0, "no name");
            "named"
        }
        fn run(&self, context: &Context<'_>) -> Result<Outcome<u32, u32>, Error> {
            context.record(1)?;
            well(1)
        }
    }
    let (store, plan) = (store(0, 9), Plan::new());
    let run = Executor::new(&store, &plan).run(&[Nameless(false), Nameless(true), Nameless(false)]);
    let told: Vec<_> =
        run.reports().iter().map(|report| (&*report.name, report.status, report.counts.records)).collect();
    assert_eq!(told, [("named", Status::Closed, 1), ("strategy 1", Status::Aborted, 0), ("named", Status::Closed, 1)]);
    assert!(matches!(&run.reports()[1].result, Err(Failure::Panicked(panic)) if panic.message() == Some("no name")));
}

#[test]
fn a_panic_on_another_thread_of_a_strategy_is_its_own() {
    let (store, plan) = (store(100, 9), Plan::new());
    let executor = Executor::new(&store, &plan);
    let strategies = (0..8).map(|n| {
        executor.strategy(n.to_string(), move |context| {
            use rayon::prelude::*;
            context.record(n)?;
            let sum = (0..100_u32).into_par_iter().map(|key| {
                assert!(n != 3 || key != 57, "on whichever thread");
                context.get(&key).unwrap().map_or(0, |fragment| *fragment.value)
            });
            well(sum.sum())
        })
    });
    let run = executor.run(&strategies.collect::<Vec<_>>());
    for (index, report) in run.reports().iter().enumerate() {
        match &report.result {
            Ok(outcome) => assert_eq!((outcome.value, report.counts.reads, report.status), (4950, 100, Status::Closed)),
            Err(failure) => assert!(index == 3 && matches!(failure, Failure::Panicked(_)), "{failure:?}"),
        }
    }
    assert_eq!(in_force(run.snapshot()), [0, 1, 2, 4, 5, 6, 7]);
}
