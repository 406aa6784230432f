//! What came of a run.

use core::fmt;
use core::hash::Hash;
use std::time::Duration;

use super::cancellation::Stopped;
use super::counts::Counts;
use super::failure::Failure;
use super::fusion::{Fused, fuse};
use super::strategy::Outcome;
use crate::changeset::{Change, ChangesetId, Conflict, Snapshot, Status};

/// What came of one strategy.
#[derive(Debug)]
#[non_exhaustive]
pub struct StrategyReport<K, T, E> {
    /// Its name. Where that panicked: its place in the run, such as `strategy 3`.
    pub name: String,
    /// Its changeset.
    pub changeset: ChangesetId,
    /// What had become of its changeset when the strategy had ended.
    ///
    /// [`Closed`](Status::Closed) if it succeeded; [`Aborted`](Status::Aborted) if not, unless the changeset was ended before, by the
    /// strategy itself or by others. A later roll-back can change it.
    pub status: Status,
    /// What it gave, or why it failed.
    pub result: Result<Outcome<K, T>, Failure<K, T, E>>,
    /// Why it was to stop, if it was told so: before it started, where it asked, or by a helper.
    pub stopped: Option<Stopped>,
    /// How long it ran, with what its thread ran for others within its joins. Zero if it was not run.
    pub time: Duration,
    /// What it has done by its context's helpers.
    pub counts: Counts,
    /// How often the run's callback panicked that was told of it.
    pub callback_panics: u64,
}

/// What came of a run of strategies: from [`StrategyExecutor::run`](super::StrategyExecutor::run).
///
/// # Examples
///
/// ```
/// use tierstack::executor::{Outcome, StrategyError, StrategyExecutor};
/// use tierstack::{Change, PlanContext, TierStore};
///
/// let (store, plan) = (TierStore::<&str, u32>::new(1024)?, PlanContext::new());
/// let executor = StrategyExecutor::new(&store, &plan);
/// let run = executor.run(&["rename", "edit"].map(|name| {
///     executor.strategy(name, move |context| {
///         context.record(Change::modify("main.rs", None, None))?;
///         Ok::<_, StrategyError>(Outcome::ranked([name, "both"]))
///     })
/// }));
/// assert_eq!((run.succeeded().count(), run.failed().count()), (2, 0));
/// assert_eq!(*run.fused()[0].item(), "both");
/// let conflicts = run.conflicts();
/// assert_eq!((conflicts.len(), conflicts[0].path()), (1, "main.rs"));
/// # Ok::<(), tierstack::BuildError>(())
/// ```
pub struct Run<K, T, E, C = Change> {
    pub(super) reports: Vec<StrategyReport<K, T, E>>,
    pub(super) snapshot: Snapshot<C>,
    pub(super) time: Duration,
    pub(super) k: u32,
}

impl<K, T, E, C> Run<K, T, E, C> {
    /// What came of each strategy, in their order.
    #[must_use]
    pub fn reports(&self) -> &[StrategyReport<K, T, E>] {
        &self.reports
    }

    /// The same, to own them.
    #[must_use]
    pub fn into_reports(self) -> Vec<StrategyReport<K, T, E>> {
        self.reports
    }

    /// The strategies that succeeded, with what they gave.
    pub fn succeeded(&self) -> impl DoubleEndedIterator<Item = (&StrategyReport<K, T, E>, &Outcome<K, T>)> {
        self.reports.iter().filter_map(|report| Some((report, report.result.as_ref().ok()?)))
    }

    /// The strategies that failed, with the reason.
    pub fn failed(&self) -> impl DoubleEndedIterator<Item = (&StrategyReport<K, T, E>, &Failure<K, T, E>)> {
        self.reports.iter().filter_map(|report| Some((report, report.result.as_ref().err()?)))
    }

    /// The plan as it was when all strategies had ended. Others may have changed it too.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot<C> {
        &self.snapshot
    }

    /// How long the run took.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.time
    }

    /// One ranking out of those of the strategies that succeeded: [`fuse`], with the executor's [k](super::StrategyExecutor::fusion_k). The
    /// votes name strategies by their place.
    #[must_use]
    pub fn fused(&self) -> Vec<Fused<K>>
    where
        K: Hash + Eq + Clone,
    {
        fuse(self.reports.iter().map(|report| report.result.as_ref().ok()?.ranking.as_ref()), self.k)
    }
}

impl<K, T, E> Run<K, T, E> {
    /// The [conflicts](Snapshot::conflicts) between strategies of the run, as far as their changes are in force: so of those that succeeded, and of
    /// those that failed after they had closed their changesets themselves.
    ///
    /// Changesets of others that touched the path too are among the sides. As [`Snapshot::conflicts`], and O(log n) more for each side, where n
    /// is how many strategies there are.
    ///
    /// # Examples
    ///
    /// See [`Run`].
    #[must_use]
    pub fn conflicts(&self) -> Vec<Conflict<'_>> {
        let mut own: Vec<_> = self.reports.iter().map(|report| report.changeset).collect();
        own.sort_unstable();
        let is_own = |changeset| own.binary_search(&changeset).is_ok();
        let mut conflicts = self.snapshot.conflicts();
        conflicts.retain(|conflict| conflict.is_between_any(is_own));
        conflicts
    }
}

impl<K, T, E, C> fmt::Debug for Run<K, T, E, C>
where
    StrategyReport<K, T, E>: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("reports", &self.reports)
            .field("snapshot", &self.snapshot)
            .field("time", &self.time)
            .finish_non_exhaustive()
    }
}
