//! Many executors over one store and one plan at once, whose strategies end in every way there is: what the reports say is what the plan has.

use std::collections::HashMap;
use std::panic::panic_any;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rand::Rng;
use tierstack::executor::{Failure, StrategyReport};
use tierstack::{ChangesetId, Status, Tier};

use super::*;
use crate::common::{dice, together};

const STORM: Duration = Duration::from_millis(1500);

/// How a strategy ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    Well,
    Fails,
    Panics,
    Closes,
    ClosesAndFails,
    Aborts,
    Nests,
    Cancels,
}

const ENDINGS: [Ending; 8] = [
    Ending::Well,
    Ending::Fails,
    Ending::Panics,
    Ending::Closes,
    Ending::ClosesAndFails,
    Ending::Aborts,
    Ending::Nests,
    Ending::Cancels,
];

/// What one strategy is known to have done: its changes, and how it was to end.
#[derive(Debug, Default)]
struct Done {
    recorded: Vec<u32>,
    ending: Option<Ending>,
}

type Ledger = Mutex<HashMap<ChangesetId, Done>>;

fn strategy(context: &Context<'_>, ledger: &Ledger, seed: u64) -> Result<Outcome<u32, u32>, Error> {
    let mut dice = dice([seed, context.changeset().id().number(), 7]);
    let ending = ENDINGS[dice.random_range(0..ENDINGS.len())];
    ledger.lock().unwrap().entry(context.changeset().id()).or_default().ending = Some(ending);
    for _ in 0..dice.random_range(0..20_u32) {
        let (key, change) = (dice.random_range(0..200), dice.random());
        match dice.random_range(0..5_u32) {
            0 => _ = context.store().store(key, Arc::new(key))?,
            1 => {
                context.record(change)?;
                ledger.lock().unwrap().entry(context.changeset().id()).or_default().recorded.push(change);
            }
            2 => {
                let found = context.get(&key)?;
                assert!(found.is_none_or(|fragment| *fragment.value == key));
            }
            3 => _ = context.demote(&key)?,
            // There may be no such fragment, or no room: it goes on.
            _ => _ = context.promote(&key),
        }
    }
    match ending {
        Ending::Well => {}
        Ending::Fails => return Err("by design".into()),
        Ending::Panics => panic_any(seed),
        Ending::Closes => _ = context.changeset().close()?,
        Ending::ClosesAndFails => {
            context.changeset().close()?;
            return Err("by design".into());
        }
        Ending::Aborts => _ = context.changeset().abort()?,
        Ending::Nests => {
            let inner = context.executor();
            let strategies: Vec<Boxed<'_>> = (0..3)
                .map(|n| inner.strategy("inner", move |context| strategy(context, ledger, seed ^ n << 32)))
                .collect();
            check(inner.run(&strategies).reports(), ledger);
        }
        Ending::Cancels => context.cancellation().cancel(),
    }
    well(0)
}

/// Each report agrees with what its strategy meant to do.
fn check(reports: &[StrategyReport<u32, u32, Error>], ledger: &Ledger) {
    let ledger = ledger.lock().unwrap();
    for report in reports {
        let done = ledger.get(&report.changeset);
        let ending = done.and_then(|done| done.ending);
        let status = match (&report.result, ending) {
            (Ok(_), Some(Ending::Well | Ending::Closes | Ending::Nests | Ending::Cancels)) => Status::Closed,
            (Err(Failure::Undone { .. }), Some(Ending::Aborts))
            | (Err(Failure::Panicked(_)), Some(Ending::Panics))
            | (Err(Failure::NotRun(_)), None) => Status::Aborted,
            (Err(Failure::Failed(error)), Some(Ending::ClosesAndFails)) if error.to_string() == "by design" => {
                Status::Closed
            }
            // By design, or as it was to stop, before it came to its end.
            (Err(Failure::Failed(error)), Some(ending)) => {
                assert!(ending == Ending::Fails || report.stopped.is_some(), "{error} of {ending:?}");
                Status::Aborted
            }
            (result, ending) => panic!("{result:?} of {ending:?}"),
        };
        assert_eq!(report.status, status, "{report:?} of {ending:?}");
        assert_eq!(report.counts.records, done.map_or(0, |done| done.recorded.len() as u64));
    }
}

#[test]
fn many_executors_over_one_store_and_plan() {
    let store = Store::builder(40).weigher(|_, _| 1).build().unwrap();
    let (plan, ledger) = (Plan::new(), Ledger::default());
    let pools = [pool(1), pool(3)];
    let end = Instant::now() + STORM;
    let runs = together(4, |thread| {
        let mut statuses = HashMap::new();
        for round in 0.. {
            if Instant::now() >= end {
                break;
            }
            let seed = (thread as u64) << 16 | round;
            let executor = Executor::new(&store, &plan);
            // Two on pools of their own, of which one has one thread; two share the global one.
            let executor = if let Some(pool) = pools.get(thread) { executor.pool(pool) } else { executor };
            let ledger = &ledger;
            let strategies: Vec<Boxed<'_>> = (0..6)
                .map(|n| executor.strategy("s", move |context| strategy(context, ledger, seed << 8 | n)))
                .collect();
            let run = executor.run(&strategies);
            check(run.reports(), ledger);
            statuses.extend(run.reports().iter().map(|report| (report.changeset, report.status)));
            assert!(store.hot_bytes() <= 40);
        }
        statuses
    });
    let (snapshot, ledger) = (plan.snapshot(), ledger.into_inner().unwrap());
    assert_eq!(snapshot.current(), None, "none is left open");
    let mut in_trail_now = HashMap::new();
    for event in snapshot.audit() {
        match event.kind {
            EventKind::Closed { changeset } => _ = in_trail_now.insert(changeset, Status::Closed),
            EventKind::Aborted { changeset } => _ = in_trail_now.insert(changeset, Status::Aborted),
            _ => {}
        }
    }
    for (id, status) in runs.iter().flatten() {
        assert_eq!((snapshot.changeset(*id).unwrap().status(), in_trail_now[id]), (*status, *status));
    }
    assert_eq!(in_trail_now.len() as u64, snapshot.started(), "each has ended, in the trail too");
    // The diff holds what was closed, and nothing else; the trail holds all.
    let mut closed = Vec::new();
    let mut all = Vec::new();
    for (id, done) in &ledger {
        all.extend(&done.recorded);
        if snapshot.changeset(*id).unwrap().status() == Status::Closed {
            closed.extend(&done.recorded);
        }
    }
    closed.sort_unstable();
    all.sort_unstable();
    assert_eq!(in_force(&snapshot), closed);
    assert_eq!(in_trail(&snapshot), all);
    let numbers = snapshot.audit().map(|event| event.sequence.number());
    assert!(numbers.eq(1..=snapshot.sequence().number()));
    let fragments: u64 = Tier::ALL.iter().map(|&tier| store.metrics().tier(tier).fragments).sum();
    assert!(fragments <= 200 && store.hot_bytes() <= 40);
    assert!(all.len() > 100, "it did something: {}", all.len());
}
