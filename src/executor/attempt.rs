//! One strategy of a run.

use core::hash::{BuildHasher, Hash};
use std::time::{Duration, Instant};

use super::cancellation::Limits;
use super::context::StrategyContext;
use super::counts::Tally;
use super::failure::Failure;
use super::panic::Panic;
use super::progress::{Callback, Step};
use super::report::StrategyReport;
use super::strategy::{Outcome, Strategy};
use crate::changeset::{ChangesetHandle, NotOpen, PlanContext, Status};
use crate::store::TierStore;
use crate::sync::stat::{AtomicU64, Ordering};

/// A strategy's changeset, from before the run. However it is left, it is not left open.
pub(super) struct Open<C> {
    handle: ChangesetHandle<C>,
    is_ended: bool,
}

impl<C> Open<C> {
    pub(super) fn start(plan: &PlanContext<C>) -> Self {
        Self { handle: plan.start_changeset(), is_ended: false }
    }

    /// What became of it: by this, or before.
    fn end(&mut self, succeeded: bool) -> (Status, Option<NotOpen>) {
        self.is_ended = true;
        let (ended, status) =
            if succeeded { (self.handle.close(), Status::Closed) } else { (self.handle.abort(), Status::Aborted) };
        match ended {
            Ok(_) => (status, None),
            Err(reason @ NotOpen::Closed(_)) => (Status::Closed, Some(reason)),
            Err(reason @ NotOpen::Aborted(_)) => (Status::Aborted, Some(reason)),
            // It was started: what is not known of it can only be that it is rolled back.
            Err(reason @ (NotOpen::RolledBack(_) | NotOpen::Unknown(_))) => (Status::RolledBack, Some(reason)),
        }
    }
}

impl<C> Drop for Open<C> {
    fn drop(&mut self) {
        if !self.is_ended {
            self.end(false);
        }
    }
}

/// What all strategies of a run share.
pub(super) struct Shared<'a, K, V, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(super) store: &'a TierStore<K, V, S>,
    pub(super) of: usize,
    pub(super) callback: Option<&'a Callback<'a>>,
}

impl<K, V, S> Shared<'_, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Runs a strategy, and ends its changeset. Does not unwind.
    pub(super) fn attempt<C, T: Strategy<K, V, C, S>>(
        &self,
        index: usize,
        strategy: &T,
        mut open: Open<C>,
        limits: Limits,
    ) -> StrategyReport<K, T::Value, T::Error> {
        let changeset = open.handle.clone();
        let named = Panic::catch(|| strategy.name().to_owned());
        let (name, nameless) = match named {
            Ok(name) => (name, None),
            Err(panic) => (format!("strategy {index}"), Some(panic)),
        };
        let context = StrategyContext {
            store: self.store,
            changeset: &changeset,
            name: &name,
            index,
            of: self.of,
            limits,
            callback: self.callback,
            tally: Tally::default(),
            callback_panics: AtomicU64::new(0),
        };
        let (result, time) = match nameless {
            Some(panic) => (Err(Failure::Panicked(panic)), Duration::ZERO),
            None => tried(strategy, &context),
        };
        let (status, reason) = open.end(result.is_ok());
        let result = match (result, reason) {
            // One that has closed its changeset itself has done what would have been done.
            (Ok(outcome), Some(reason)) if status != Status::Closed => Err(Failure::Undone { outcome, reason }),
            (result, _) => result,
        };
        context.tell(Step::Finished { status });
        let (stopped, counts) = (context.limits.told(), context.tally.counts());
        // Relaxed: the strategy has ended, and with it all that it told.
        let callback_panics = context.callback_panics.load(Ordering::Relaxed);
        let changeset = changeset.id();
        StrategyReport { name, changeset, status, result, stopped, time, counts, callback_panics }
    }
}

type Tried<K, T, E> = (Result<Outcome<K, T>, Failure<K, T, E>>, Duration);

fn tried<K, V, C, S, T>(strategy: &T, context: &StrategyContext<'_, K, V, C, S>) -> Tried<K, T::Value, T::Error>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
    T: Strategy<K, V, C, S>,
{
    if let Err(stopped) = context.check() {
        return (Err(Failure::NotRun(stopped)), Duration::ZERO);
    }
    context.tell(Step::Started);
    let started = Instant::now();
    let caught = Panic::catch(|| strategy.run(context));
    let time = started.elapsed();
    let result = match caught {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(error)) => Err(Failure::Failed(error)),
        Err(panic) => Err(Failure::Panicked(panic)),
    };
    (result, time)
}
