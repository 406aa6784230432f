//! What becomes of the changeset of a strategy that succeeds, fails, or ends its changeset itself.

use std::error::Error as _;

use tierstack::executor::{Failure, Interrupted, Outcome, Strategy, StrategyError};
use tierstack::{Change, NotOpen, PlanContext, PromoteError, RecordRefusal, Refusal, Status, Tier};

use super::*;

#[test]
fn what_succeeds_is_closed_and_what_fails_is_aborted() {
    let (store, plan) = (store(3, 9), Plan::new());
    let executor = Executor::new(&store, &plan);
    let run = executor.run(&[
        executor.strategy("well", |context| {
            context.record(1)?;
            well(7)
        }),
        executor.strategy("badly", |context| {
            context.record_all([2, 3])?;
            Err::<_, Error>("no".into())
        }),
    ]);
    let [good, bad] = run.reports() else { panic!("two") };
    assert_eq!((good.name.as_str(), good.status, good.stopped, good.counts.records), ("well", Status::Closed, None, 1));
    assert_eq!((bad.name.as_str(), bad.status, bad.stopped, bad.counts.records), ("badly", Status::Aborted, None, 2));
    assert_eq!(good.result.as_ref().unwrap().value, 7);
    let failure = bad.result.as_ref().unwrap_err();
    assert!(matches!(failure, Failure::Failed(error) if error.to_string() == "no"));
    assert_eq!(failure.to_string(), "the strategy failed: no");
    assert_eq!((good.changeset.number(), bad.changeset.number()), (1, 2), "in their order");
    assert_eq!(in_force(run.snapshot()), [1]);
    assert_eq!(in_trail(run.snapshot()), [1, 2, 3]);
    assert_eq!(
        run.succeeded().map(|(report, outcome)| (&*report.name, outcome.value)).collect::<Vec<_>>(),
        [("well", 7)]
    );
    assert_eq!(run.failed().map(|(report, _)| &*report.name).collect::<Vec<_>>(), ["badly"]);
    assert!(run.time() >= good.time);
}

#[test]
fn no_strategies_leave_no_trace() {
    let (store, plan) = (store(0, 9), Plan::new());
    let run = Executor::new(&store, &plan).run::<Boxed<'_>>(&[]);
    assert!(run.reports().is_empty() && run.fused().is_empty());
    assert_eq!((run.snapshot().sequence().number(), plan.sequence().number()), (0, 0));
    assert!(run.into_reports().is_empty());
}

#[test]
fn a_strategy_may_close_its_changeset_itself() {
    let (store, plan) = (store(0, 9), Plan::new());
    let executor = Executor::new(&store, &plan);
    let closing = |context: &Context<'_>| {
        context.record(1)?;
        context.changeset().close()?;
        let late = context.record(2).unwrap_err();
        assert_eq!(late.refused, 2);
        assert!(matches!(late.reason, Interrupted::Refused(RecordRefusal::NotOpen(NotOpen::Closed(_)))));
        let late = context.record_all([3, 4]).unwrap_err();
        assert_eq!(late.refused, [3, 4]);
        Ok::<_, Error>(())
    };
    let run = executor.run(&[
        executor.strategy("well", |context| {
            closing(context)?;
            well(1)
        }),
        executor.strategy("badly", |context| {
            closing(context)?;
            Err("after that".into())
        }),
    ]);
    let [good, bad] = run.reports() else { panic!("two") };
    assert!(good.result.is_ok() && bad.result.is_err());
    // What is closed stays: that it is not aborted is in the report.
    assert_eq!((good.status, bad.status), (Status::Closed, Status::Closed));
    assert_eq!((good.counts.records, bad.counts.records), (1, 1));
    assert_eq!(in_force(run.snapshot()), [1, 1]);
}

#[test]
fn one_that_aborts_its_changeset_and_succeeds_is_undone() {
    let (store, plan) = (store(0, 9), Plan::new());
    let executor = Executor::new(&store, &plan);
    let aborting = |context: &Context<'_>| {
        context.record(1)?;
        context.changeset().abort()?;
        Ok(Outcome::new(5).with_ranking([(7, 1.0)]))
    };
    let mut run = executor.run(&[executor.strategy("fickle", aborting)]);
    assert!(run.fused().is_empty() && in_force(run.snapshot()).is_empty());
    let report = std::mem::replace(&mut run, executor.run::<Boxed<'_>>(&[])).into_reports().remove(0);
    assert_eq!(report.status, Status::Aborted);
    match report.result {
        Err(Failure::Undone { outcome, reason }) => {
            assert_eq!((outcome.value, reason), (5, NotOpen::Aborted(report.changeset)));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_that_is_rolled_back_meanwhile_is_undone() {
    let (store, plan) = (store(0, 9), Plan::new());
    let before = plan.savepoint();
    let executor = Executor::new(&store, &plan);
    let strategy = |value: u32| {
        let before = &before;
        executor.strategy("rolled back", move |context| {
            context.record(1)?;
            context.plan().roll_back_to(before)?;
            if value == 0 { Err("and failed".into()) } else { well(value) }
        })
    };
    let run = executor.run(&[strategy(1)]);
    let report = &run.reports()[0];
    assert_eq!(report.status, Status::RolledBack);
    assert!(matches!(
        &report.result,
        Err(Failure::Undone { outcome: Outcome { value: 1, .. }, reason: NotOpen::RolledBack(_) })
    ));
    let run = executor.run(&[strategy(0)]);
    assert_eq!(run.reports()[0].status, Status::RolledBack);
    assert!(matches!(&run.reports()[0].result, Err(Failure::Failed(_))));
    assert!(in_force(run.snapshot()).is_empty());
    assert_eq!(in_trail(run.snapshot()), [1, 1]);
}

#[test]
fn helpers_count_and_the_store_itself_does_not() {
    let (store, plan) = (store(4, 4), Plan::new());
    let executor = Executor::new(&store, &plan);
    let run = executor.run(&[executor.strategy("all", |context| {
        assert_eq!(context.get(&1)?.map(|fragment| *fragment.value), Some(1));
        assert!(context.get(&99)?.is_none());
        assert!(context.store().get(&2).is_some(), "not counted");
        assert_eq!(context.demote(&0)?.map(|moved| moved.to), Some(Tier::Warm));
        assert_eq!(context.demote_to(&1, Tier::Cold)?.map(|moved| moved.to), Some(Tier::Cold));
        assert_eq!(context.demote(&99)?, None);
        assert_eq!(context.promote(&0)?.to, Tier::Hot);
        assert_eq!(context.promote_to(&1, Tier::Hot)?.to, Tier::Hot);
        assert_eq!(context.promote(&99).unwrap_err().refused(), Some(PromoteError::NotFound));
        {
            let mut view = context.pin()?;
            assert_eq!(view.get(&3)?.map(|fragment| **fragment.value), Some(3));
            assert_eq!(view.demote_to(&3, Tier::Cold)?.map(|moved| moved.to), Some(Tier::Cold));
            view.repin();
            assert_eq!(view.promote_to(&3, Tier::Warm)?.to, Tier::Warm);
            assert_eq!(view.promote(&3)?.to, Tier::Hot);
            assert!(view.promote(&99).is_err() && view.demote(&99)?.is_none());
            assert!(view.contains(&3), "by the view that it derefs to");
            assert!(format!("{view:?}").contains("all"));
        }
        context.record_all([])?;
        context.record_all([1, 2, 3])?;
        context.record(4)?;
        assert_eq!(
            (context.name(), context.index(), context.changeset().id()),
            ("all", 0, context.plan().current().unwrap())
        );
        well(0)
    })]);
    let report = &run.reports()[0];
    report.result.as_ref().unwrap();
    let counts = report.counts;
    assert_eq!((counts.reads, counts.promotions, counts.refused), (3, 6, 2));
    assert_eq!((counts.demotions, counts.records), (5, 4));
}

#[test]
fn what_a_panic_interrupts_was_asked_for_all_the_same() {
    /// A key that is not to be compared.
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Bad;
    impl std::hash::Hash for Bad {
        fn hash<H: std::hash::Hasher>(&self, _: &mut H) {
            panic!("no hash")
        }
    }
    type Bads<'c, 'a> = &'c StrategyContext<'a, Bad, u32, u32>;
    let (store, plan) = (TierStore::<Bad, u32>::new(9).unwrap(), Plan::new());
    let executor = StrategyExecutor::new(&store, &plan);
    let counts = |ask: fn(Bads<'_, '_>)| {
        let run = executor.run(&[executor.strategy("s", move |context| {
            ask(context);
            Ok::<_, Error>(Outcome::<Bad>::new(()))
        })]);
        assert!(matches!(run.reports()[0].result, Err(Failure::Panicked(_))));
        let counts = run.reports()[0].counts;
        (counts.reads, counts.promotions, counts.refused, counts.demotions)
    };
    assert_eq!(counts(|context| _ = context.get(&Bad)), (1, 0, 0, 0));
    assert_eq!(counts(|context| _ = context.promote(&Bad)), (0, 1, 0, 0));
    assert_eq!(counts(|context| _ = context.demote(&Bad)), (0, 0, 0, 1));
    assert_eq!(counts(|context| _ = context.pin().unwrap().get(&Bad)), (1, 0, 0, 0));
    assert_eq!(counts(|context| _ = context.pin().unwrap().promote(&Bad)), (0, 1, 0, 0));
    assert_eq!(counts(|context| _ = context.pin().unwrap().demote(&Bad)), (0, 0, 0, 1));
}

#[test]
fn conflicts_are_those_between_strategies_whose_changes_are_in_force() {
    let (store, plan) = (store(0, 9), PlanContext::new());
    let outer = plan.start_changeset();
    outer.record(Change::modify("one", None, None)).unwrap();
    outer.record(Change::modify("many", None, None)).unwrap();
    let executor = StrategyExecutor::new(&store, &plan);
    let strategy = |paths: &'static [&'static str], fails: bool| {
        executor.strategy("s", move |context| {
            for &path in paths {
                context.record(Change::modify(path, None, None))?;
            }
            if fails { Err::<_, Error>("no".into()) } else { Ok(Outcome::<u32>::new(())) }
        })
    };
    let run = executor.run(&[
        strategy(&["one", "many", "folder"], false),
        strategy(&["many", "folder/file", "failed"], false),
        strategy(&["failed", "one"], true),
        executor.strategy("closes", |context| {
            context.record(Change::modify("closed", None, None))?;
            context.changeset().close()?;
            Err("after that".into())
        }),
        strategy(&["closed"], false),
    ]);
    let found = run.conflicts();
    let paths: Vec<_> = found.iter().map(tierstack::Conflict::path).collect();
    // `one` is between a strategy and another's changeset; `failed` is of one that was aborted. What has closed its changeset and then failed is in force.
    assert_eq!(paths, ["closed", "folder", "many"]);
    assert!(found[2].involves(outer.id()), "a side is a side");
    let all = run.snapshot().conflicts();
    assert_eq!(all.iter().map(tierstack::Conflict::path).collect::<Vec<_>>(), ["closed", "folder", "many", "one"]);
}

/// Were all pairs looked at, these would be some hundred million for each path.
#[test]
fn conflicts_of_thousands_of_others_cost_no_more_than_thousands() {
    let (store, plan) = (store(0, 9), PlanContext::new());
    let strangers: Vec<_> = (0..20_000).map(|_| plan.start_changeset()).collect();
    for changeset in &strangers {
        changeset.record_all(["a", "b", "c"].map(|path| Change::modify(path, None, None))).unwrap();
    }
    let executor = StrategyExecutor::new(&store, &plan);
    let run = executor.run(&["a", "b", "c"].map(|path| {
        executor.strategy(path, move |context| {
            context.record_all([path, "c"].map(|path| Change::modify(path, None, None)))?;
            Ok::<_, Error>(Outcome::<u32>::new(()))
        })
    }));
    let conflicts = run.conflicts();
    assert_eq!(
        conflicts.iter().map(|conflict| (conflict.path(), conflict.sides().len())).collect::<Vec<_>>(),
        [("c", 20_003)]
    );
}

#[test]
fn conflicts_beneath_a_folder_of_others_are_not_between_strategies() {
    let (store, plan) = (store(0, 9), PlanContext::new());
    let outer = plan.start_changeset();
    outer.record(Change::modify("folder", None, None)).unwrap();
    let executor = StrategyExecutor::new(&store, &plan);
    let run = executor.run(&["folder/a", "folder/b"].map(|path| {
        executor.strategy(path, move |context| {
            context.record(Change::modify(path, None, None))?;
            Ok::<_, Error>(Outcome::<u32>::new(()))
        })
    }));
    assert_eq!(run.snapshot().conflicts().len(), 1, "each with the other changeset");
    assert!(run.conflicts().is_empty());
}

#[test]
fn one_error_takes_what_every_helper_refuses() {
    type Run<'a> = fn(&Context<'_>) -> Result<Outcome<u32, u32>, StrategyError>;
    let (store, plan) = (store(1, 9), Plan::new());
    let executor = Executor::new(&store, &plan);
    let told = |run: Run<'_>| {
        let run = executor.run(&[executor.strategy("s", run)]);
        let Err(failure) = &run.reports()[0].result else { panic!("it fails") };
        assert!(failure.source().is_none());
        failure.to_string()
    };
    assert_eq!(
        told(|context| {
            context.promote(&9)?;
            Ok(Outcome::new(1))
        }),
        "the strategy failed: the fragment was not promoted: no fragment has that key"
    );
    assert_eq!(
        told(|context| {
            context.store().promote(&9)?;
            Ok(Outcome::new(1))
        }),
        "the strategy failed: the fragment was not promoted: no fragment has that key"
    );
    let closed = |told: String| {
        told.starts_with("the strategy failed: the change was not recorded: ") && told.ends_with(" is closed")
    };
    assert!(closed(told(|context| {
        context.changeset().close()?;
        context.record(1)?;
        Ok(Outcome::new(1))
    })));
    assert!(closed(told(|context| {
        context.changeset().close()?;
        context.changeset().record_all([1])?;
        Ok(Outcome::new(1))
    })));
    assert!(closed(told(|context| {
        context.changeset().close()?;
        context.changeset().close()?;
        Ok(Outcome::new(1))
    })));
    let stopped = "the strategy failed: the run was cancelled";
    let stopping: [Run<'_>; 3] = [
        |context| {
            context.cancellation().cancel();
            Ok(Outcome::new(*context.get(&0)?.unwrap().value))
        },
        |context| {
            context.cancellation().cancel();
            context.promote(&0)?;
            Ok(Outcome::new(1))
        },
        |context| {
            context.cancellation().cancel();
            context.record_all([1])?;
            Ok(Outcome::new(1))
        },
    ];
    assert_eq!(stopping.map(told), [stopped; 3]);

    let heavy = TierStore::<u32, u32>::builder(9).weigher(|_, _| u64::MAX).build().unwrap();
    let executor = StrategyExecutor::new(&heavy, &plan);
    let run = executor.run(&[executor.strategy("s", |context| {
        context.store().store(1, 1)?;
        Ok::<_, StrategyError>(Outcome::<u32>::new(()))
    })]);
    assert!(matches!(run.reports()[0].result, Err(Failure::Failed(StrategyError::Store(Refusal::TooHeavy { .. })))));
}

#[test]
fn a_failure_has_the_source_of_what_failed() {
    /// An error with a cause.
    #[derive(Debug)]
    struct Deep(std::fmt::Error);
    impl std::fmt::Display for Deep {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("deep")
        }
    }
    impl std::error::Error for Deep {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let (store, plan) = (store(0, 9), Plan::new());
    let executor = Executor::new(&store, &plan);
    let run = executor.run(&[executor.strategy("own", |_| Err::<Outcome<u32>, _>(Deep(std::fmt::Error)))]);
    let failure = run.reports()[0].result.as_ref().unwrap_err();
    assert_eq!(
        (failure.to_string().as_str(), failure.source().unwrap().is::<std::fmt::Error>()),
        ("the strategy failed: deep", true)
    );
    let run = executor
        .run(&[executor.strategy("other", |_| Err::<Outcome<u32>, _>(StrategyError::other(Deep(std::fmt::Error))))]);
    let failure = run.reports()[0].result.as_ref().unwrap_err();
    assert_eq!(
        (failure.to_string().as_str(), failure.source().unwrap().is::<std::fmt::Error>()),
        ("the strategy failed: deep", true)
    );
    assert!(Interrupted::Refused(Deep(std::fmt::Error)).source().is_some());
}

#[test]
fn closures_boxes_references_and_types_are_strategies() {
    struct Double(u32);
    impl Strategy<u32, Arc<u32>, u32> for Double {
        type Value = u32;
        type Error = Error;
        fn run(&self, _: &Context<'_>) -> Result<Outcome<u32, u32>, Error> {
            well(2 * self.0)
        }
    }
    let (store, plan) = (store(0, 9), Plan::new());
    let executor = Executor::new(&store, &plan);
    let values = |run: tierstack::executor::Run<u32, u32, Error, u32>| -> Vec<_> {
        run.succeeded().map(|(_, outcome)| outcome.value).collect()
    };
    assert_eq!(values(executor.run(&[Double(1), Double(2)])), [2, 4]);
    assert_eq!(values(executor.run(&[|_: &Context<'_>| well(3)])), [3]);
    let boxes: [Boxed<'_>; 2] = [Box::new(Double(4)), Box::new(|_: &Context<'_>| well(9))];
    assert_eq!(values(executor.run(&boxes)), [8, 9]);
    let references: [&dyn Strategy<u32, Arc<u32>, u32, Value = u32, Error = Error>; 2] = [&Double(5), &boxes[1]];
    let run = executor.run(&references);
    assert!(run.reports()[0].name.ends_with("Double"), "{}", run.reports()[0].name);
    assert_eq!(values(run), [10, 9]);
}
