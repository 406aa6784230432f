//! What a strategy is given.

use core::borrow::Borrow;
use core::fmt;
use core::hash::{BuildHasher, Hash};
use std::time::Instant;

use super::cancellation::{CancellationToken, Limits, Stopped};
use super::counts::{Counts, Tally};
use super::execute::StrategyExecutor;
use super::failure::{Interrupted, NotRecorded};
use super::panic::Panic;
use super::progress::{Callback, Progress, Step};
use super::view::StrategyView;
use crate::changeset::{Change, ChangesetHandle, PlanContext, Recorded, RecordedAll};
use crate::store::{DefaultHasher, Fragment, Moved, PromoteError, TierStore};
use crate::sync::stat::{AtomicU64, Ordering};
use crate::tier::Tier;

/// What a [strategy](super::Strategy) is given: the store, its changeset, the run's token and deadline, and the progress callback.
///
/// It is `Sync`: the strategy's own threads can share it.
///
/// Its helpers have the names of methods of the store and of the changeset's handle, and do the same. Each first looks whether the strategy is
/// [to stop](Self::check), and each is [counted](Counts). The store and the handle are there too. What is done by them directly is not counted.
pub struct StrategyContext<'a, K, V, C = Change, S = DefaultHasher>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(super) store: &'a TierStore<K, V, S>,
    pub(super) changeset: &'a ChangesetHandle<C>,
    pub(super) name: &'a str,
    pub(super) index: usize,
    pub(super) of: usize,
    pub(super) limits: Limits,
    pub(super) callback: Option<&'a Callback<'a>>,
    pub(super) tally: Tally,
    /// How often the callback has panicked.
    pub(super) callback_panics: AtomicU64,
}

impl<'a, K, V, C, S> StrategyContext<'a, K, V, C, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// The strategy's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name
    }

    /// The strategy's place among those of the run, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The store. What is done by it is not [counted](Counts).
    #[must_use]
    pub fn store(&self) -> &'a TierStore<K, V, S> {
        self.store
    }

    /// The plan.
    ///
    /// Do not record by [`PlanContext::record_change`]: that goes into whichever changeset is on top, which may be another strategy's. By
    /// [`record`](Self::record) a change goes into the strategy's own.
    #[must_use]
    pub fn plan(&self) -> &PlanContext<C> {
        self.changeset.plan()
    }

    /// The strategy's changeset, open. What is recorded by it is not [counted](Counts).
    ///
    /// A strategy may end it itself. If it has closed it, its changes stay, even if it fails afterwards. If it has aborted it and then succeeds, it is
    /// reported as [undone](super::Failure::Undone).
    #[must_use]
    pub fn changeset(&self) -> &ChangesetHandle<C> {
        self.changeset
    }

    /// The run's token, a child of the [executor's](StrategyExecutor::cancellation). To cancel it stops all strategies of the run, and runs within
    /// it, and no other run of the executor.
    #[must_use]
    pub fn cancellation(&self) -> &CancellationToken {
        self.limits.token()
    }

    /// When the strategy has to stop, if ever.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.limits.deadline()
    }

    /// Whether the strategy is to stop: the run was cancelled, or its deadline has passed. Once it is, it stays so.
    ///
    /// Wait-free. Reads the clock if there is a deadline.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::executor::{Outcome, Stopped, StrategyExecutor};
    /// # use tierstack::{PlanContext, TierStore};
    /// # let (store, plan) = (TierStore::<u32, u32>::new(9)?, PlanContext::<()>::new());
    /// let executor = StrategyExecutor::new(&store, &plan);
    /// let run = executor.run(&[executor.strategy("long", |context| {
    ///     let mut steps = 0;
    ///     while !context.is_cancelled() && steps < 1000 {
    ///         steps += 1;
    ///         if steps == 3 {
    ///             context.cancellation().cancel(); // another thread
    ///         }
    ///     }
    ///     Ok::<_, Stopped>(Outcome::new(steps)) // what it has by then is good enough
    /// })]);
    /// assert_eq!(run.succeeded().next().unwrap().1.value, 3);
    /// assert_eq!(run.reports()[0].stopped, Some(Stopped::Cancelled));
    /// # Ok::<(), tierstack::BuildError>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.limits.stopped().is_some()
    }

    /// As [`is_cancelled`](Self::is_cancelled), for `?`.
    ///
    /// # Errors
    ///
    /// [`Stopped`] says why the strategy is to stop.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::executor::{Failure, Outcome, Stopped, StrategyExecutor};
    /// # use tierstack::{PlanContext, Status, TierStore};
    /// # let (store, plan) = (TierStore::<u32, u32>::new(9)?, PlanContext::<()>::new());
    /// let executor = StrategyExecutor::new(&store, &plan);
    /// let run = executor.run(&[executor.strategy("endless", |context| -> Result<Outcome<u32>, Stopped> {
    ///     loop {
    ///         context.check()?;
    ///         context.cancellation().cancel(); // another thread
    ///     }
    /// })]);
    /// assert!(matches!(run.reports()[0].result, Err(Failure::Failed(Stopped::Cancelled))));
    /// assert_eq!(run.reports()[0].status, Status::Aborted);
    /// # Ok::<(), tierstack::BuildError>(())
    /// ```
    #[inline]
    pub fn check(&self) -> Result<(), Stopped> {
        self.limits.stopped().map_or(Ok(()), Err)
    }

    /// Tells the run's [callback](StrategyExecutor::on_progress) how far the strategy is; does nothing if there is none.
    ///
    /// If the callback panics, that ends there, and [is counted](super::StrategyReport::callback_panics).
    ///
    /// # Examples
    ///
    /// See [`StrategyExecutor::on_progress`].
    pub fn progress(&self, done: u64, total: Option<u64>) {
        self.tell(Step::At { done, total });
    }

    pub(super) fn tell(&self, step: Step) {
        let Some(callback) = self.callback else { return };
        let (&Self { index, of, name, .. }, changeset) = (self, self.changeset.id());
        if Panic::catch(|| callback(&Progress { index, of, name, changeset, step })).is_err() {
            // Relaxed: a statistic; it is read after the strategy has ended.
            self.callback_panics.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(super) fn count(&self, counts: Counts) {
        self.tally.add(counts);
    }

    /// Records a change into the strategy's changeset: [`ChangesetHandle::record`].
    ///
    /// # Errors
    ///
    /// [`NotRecorded`] hands the change back, if the strategy is to stop, or if its changeset is not open any more.
    ///
    /// # Linearization
    ///
    /// As [`ChangesetHandle::record`]; so is progress.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::executor::{NotRecorded, Outcome, StrategyExecutor};
    /// # use tierstack::{PlanContext, TierStore};
    /// # let store = TierStore::<u32, u32>::new(9)?;
    /// let plan: PlanContext<&str> = PlanContext::new();
    /// let executor = StrategyExecutor::new(&store, &plan);
    /// let run = executor.run(&[executor.strategy("careful", |context| {
    ///     context.record("a change")?;
    ///     context.cancellation().cancel();
    ///     let late = context.record("late").unwrap_err();
    ///     Ok::<_, NotRecorded<&str>>(Outcome::<u32, _>::new(late.refused))
    /// })]);
    /// assert_eq!(run.succeeded().next().unwrap().1.value, "late");
    /// assert_eq!(run.reports()[0].counts.records, 1);
    /// # Ok::<(), tierstack::BuildError>(())
    /// ```
    pub fn record(&self, change: C) -> Result<Recorded, NotRecorded<C>> {
        if let Err(stopped) = self.check() {
            return Err(NotRecorded { refused: change, reason: stopped.into() });
        }
        match self.changeset.record(change) {
            Ok(recorded) => {
                self.count(Counts { records: 1, ..Counts::default() });
                Ok(recorded)
            }
            Err(error) => Err(NotRecorded { refused: error.refused, reason: Interrupted::Refused(error.reason) }),
        }
    }

    /// Records several changes into the strategy's changeset at once: [`ChangesetHandle::record_all`].
    ///
    /// # Errors
    ///
    /// [`NotRecorded`] hands the changes back, if the strategy is to stop, or if its changeset is not open any more.
    ///
    /// # Linearization
    ///
    /// As [`ChangesetHandle::record_all`]; so is progress.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::executor::{NotRecorded, Outcome, StrategyExecutor};
    /// # use tierstack::{PlanContext, TierStore};
    /// # let store = TierStore::<u32, u32>::new(9)?;
    /// let plan: PlanContext<u32> = PlanContext::new();
    /// let executor = StrategyExecutor::new(&store, &plan);
    /// let run = executor.run(&[executor.strategy("diligent", |context| {
    ///     context.record_all(0..10)?;
    ///     Ok::<_, NotRecorded<Vec<u32>>>(Outcome::<u32>::new(()))
    /// })]);
    /// assert_eq!((run.reports()[0].counts.records, run.snapshot().changes().len()), (10, 10));
    /// # Ok::<(), tierstack::BuildError>(())
    /// ```
    pub fn record_all(&self, changes: impl IntoIterator<Item = C>) -> Result<RecordedAll, NotRecorded<Vec<C>>> {
        if let Err(stopped) = self.check() {
            return Err(NotRecorded { refused: changes.into_iter().collect(), reason: stopped.into() });
        }
        match self.changeset.record_all(changes) {
            Ok(recorded) => {
                self.count(Counts { records: recorded.len as u64, ..Counts::default() });
                Ok(recorded)
            }
            Err(error) => Err(NotRecorded { refused: error.refused, reason: Interrupted::Refused(error.reason) }),
        }
    }
}

impl<'a, K, V, C, S> StrategyContext<'a, K, V, C, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Reads a fragment: [`TierStore::get`].
    ///
    /// # Errors
    ///
    /// [`Stopped`], if the strategy is to stop.
    ///
    /// # Linearization
    ///
    /// As [`TierStore::get`]; so is progress.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::executor::{Outcome, Stopped, StrategyExecutor};
    /// # use tierstack::{PlanContext, TierStore};
    /// # let (store, plan) = (TierStore::<&str, u32>::new(9)?, PlanContext::<()>::new());
    /// store.store("answer", 42)?;
    /// let executor = StrategyExecutor::new(&store, &plan);
    /// let run = executor.run(&[executor.strategy("reader", |context| {
    ///     Ok::<_, Stopped>(Outcome::new(context.get("answer")?.map(|fragment| fragment.value)))
    /// })]);
    /// assert_eq!(run.succeeded().next().unwrap().1.value, Some(42));
    /// assert_eq!(run.reports()[0].counts.reads, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get<Q>(&self, key: &Q) -> Result<Option<Fragment<V>>, Stopped>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        self.check()?;
        self.count(Counts { reads: 1, ..Counts::default() });
        Ok(self.store.get(key))
    }

    /// Moves a fragment one tier up: [`TierStore::promote`].
    ///
    /// # Errors
    ///
    /// [`Interrupted`], if the strategy is to stop, or if the store refuses.
    ///
    /// # Linearization
    ///
    /// As [`TierStore::promote`]; so is progress.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::executor::{Interrupted, Outcome, StrategyExecutor};
    /// # use tierstack::{PlanContext, PromoteError, Tier, TierStore};
    /// # let (store, plan) = (TierStore::<&str, u32>::new(99)?, PlanContext::<()>::new());
    /// store.store("a", 1)?;
    /// store.demote("a");
    /// let executor = StrategyExecutor::new(&store, &plan);
    /// let run = executor.run(&[executor.strategy("picky", |context| {
    ///     let refused = context.promote("b").unwrap_err();
    ///     assert_eq!(refused, Interrupted::Refused(PromoteError::NotFound));
    ///     Ok::<_, Interrupted<PromoteError>>(Outcome::<&str, _>::new(context.promote("a")?.to))
    /// })]);
    /// assert_eq!(run.succeeded().next().unwrap().1.value, Tier::Hot);
    /// assert_eq!((run.reports()[0].counts.promotions, run.reports()[0].counts.refused), (2, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn promote<Q>(&self, key: &Q) -> Result<Moved, Interrupted<PromoteError>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.promoting(|store| store.promote(key))
    }

    /// Moves a fragment up to `tier`: [`TierStore::promote_to`].
    ///
    /// # Errors
    ///
    /// As [`promote`](Self::promote).
    ///
    /// # Linearization
    ///
    /// As [`TierStore::promote_to`]; so is progress.
    ///
    /// # Examples
    ///
    /// As [`promote`](Self::promote).
    pub fn promote_to<Q>(&self, key: &Q, tier: Tier) -> Result<Moved, Interrupted<PromoteError>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.promoting(|store| store.promote_to(key, tier))
    }

    fn promoting(
        &self,
        promote: impl FnOnce(&TierStore<K, V, S>) -> Result<Moved, PromoteError>,
    ) -> Result<Moved, Interrupted<PromoteError>> {
        self.check()?;
        self.count(Counts { promotions: 1, ..Counts::default() });
        promote(self.store).map_err(|reason| {
            self.count(Counts { refused: 1, ..Counts::default() });
            Interrupted::Refused(reason)
        })
    }

    /// Moves a fragment one tier down: [`TierStore::demote`].
    ///
    /// # Errors
    ///
    /// [`Stopped`], if the strategy is to stop.
    ///
    /// # Linearization
    ///
    /// As [`TierStore::demote`]; so is progress.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::executor::{Outcome, Stopped, StrategyExecutor};
    /// # use tierstack::{PlanContext, Tier, TierStore};
    /// # let (store, plan) = (TierStore::<&str, u32>::new(99)?, PlanContext::<()>::new());
    /// store.store("a", 1)?;
    /// let executor = StrategyExecutor::new(&store, &plan);
    /// executor.run(&[executor.strategy("strict", |context| {
    ///     context.demote("a")?;
    ///     Ok::<_, Stopped>(Outcome::new(()))
    /// })]);
    /// assert_eq!(store.tier_of("a"), Some(Tier::Warm));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn demote<Q>(&self, key: &Q) -> Result<Option<Moved>, Stopped>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.demoting(|store| store.demote(key))
    }

    /// Moves a fragment down to `tier`: [`TierStore::demote_to`].
    ///
    /// # Errors
    ///
    /// As [`demote`](Self::demote).
    ///
    /// # Linearization
    ///
    /// As [`TierStore::demote_to`]; so is progress.
    ///
    /// # Examples
    ///
    /// As [`demote`](Self::demote).
    pub fn demote_to<Q>(&self, key: &Q, tier: Tier) -> Result<Option<Moved>, Stopped>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.demoting(|store| store.demote_to(key, tier))
    }

    fn demoting(&self, demote: impl FnOnce(&TierStore<K, V, S>) -> Option<Moved>) -> Result<Option<Moved>, Stopped> {
        self.check()?;
        self.count(Counts { demotions: 1, ..Counts::default() });
        Ok(demote(self.store))
    }

    /// Pins the thread, for many calls: [`TierStore::pin`]. What is done through the view is [counted](Counts).
    ///
    /// Hold it across no join: the thread may run another strategy meanwhile.
    ///
    /// # Errors
    ///
    /// [`Stopped`], if the strategy is to stop.
    ///
    /// # Linearization
    ///
    /// As [`TierStore::pin`]; so is progress.
    ///
    /// # Examples
    ///
    /// See [`StrategyView`].
    pub fn pin(&self) -> Result<StrategyView<'_, 'a, K, V, C, S>, Stopped> {
        self.check()?;
        Ok(StrategyView::new(self))
    }

    /// An executor over the same store and plan, with the same deadline and no callback: to run strategies within this one. Its runs are
    /// cancelled with this one, and can be cancelled alone.
    ///
    /// Their changesets are their own, as any other's. They stay as they ended, whatever becomes of this strategy.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::executor::{Outcome, Stopped, StrategyExecutor};
    /// # use tierstack::{PlanContext, TierStore};
    /// # let (store, plan) = (TierStore::<&str, u32>::new(99)?, PlanContext::<()>::new());
    /// let executor = StrategyExecutor::new(&store, &plan);
    /// let run = executor.run(&[executor.strategy("outer", |context| {
    ///     let inner = context.executor();
    ///     let strategies = ["b", "a"].map(|key| inner.strategy(key, move |_| Ok::<_, Stopped>(Outcome::ranked([key]))));
    ///     Ok::<_, Stopped>(Outcome::ranked(inner.run(&strategies).fused().into_iter().map(|fused| fused.into_item())))
    /// })]);
    /// assert_eq!(*run.fused()[0].item(), "b");
    /// assert_eq!(run.snapshot().started(), 3);
    /// # Ok::<(), tierstack::BuildError>(())
    /// ```
    #[must_use]
    pub fn executor(&self) -> StrategyExecutor<'a, K, V, C, S> {
        let executor = StrategyExecutor::new(self.store, self.plan()).cancellation(self.cancellation().clone());
        match self.deadline() {
            Some(deadline) => executor.deadline(deadline),
            None => executor,
        }
    }
}

impl<K, V, C, S> fmt::Debug for StrategyContext<'_, K, V, C, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StrategyContext")
            .field("index", &self.index)
            .field("name", &self.name)
            .field("changeset", &self.changeset.id())
            .finish_non_exhaustive()
    }
}
