//! What becomes of the changeset of a strategy that succeeds, fails, or ends its changeset itself.

use tierstack::executor::{Failure, Interrupted, Outcome, Strategy};
use tierstack::{Change, NotOpen, PlanContext, PromoteError, RecordRefusal, Status, Tier};

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
fn conflicts_are_those_between_strategies_that_succeeded() {
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
    ]);
    let found = run.conflicts();
    let paths: Vec<_> = found.iter().map(tierstack::Conflict::path).collect();
    // `one` is between a strategy and another's changeset; `failed` is of one that was aborted.
    assert_eq!(paths, ["folder", "many"]);
    assert!(found[1].involves(outer.id()), "a side is a side");
    let all = run.snapshot().conflicts();
    assert_eq!(all.iter().map(tierstack::Conflict::path).collect::<Vec<_>>(), ["folder", "many", "one"]);
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
