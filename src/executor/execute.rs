//! The executor.

use core::fmt;
use core::hash::{BuildHasher, Hash};
use std::time::{Duration, Instant};

use rayon::ThreadPool;
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::attempt::{Open, Shared};
use super::cancellation::{CancellationToken, Limits};
use super::context::StrategyContext;
use super::fusion::FUSION_K;
use super::progress::{Callback, Progress};
use super::report::Run;
use super::strategy::{BoxedStrategy, Named, Outcome, Strategy};
use crate::changeset::{Change, PlanContext};
use crate::store::{DefaultHasher, TierStore};

/// Runs [strategies](Strategy) in parallel over one store and one plan, each with a changeset of its own.
///
/// It can be used again and again, by many threads at once, also from within a strategy. See the [module](super) for what it waits for.
///
/// # Examples
///
/// ```
/// use tierstack::executor::{Outcome, StrategyError, StrategyExecutor};
/// use tierstack::{PlanContext, TierStore};
///
/// let store = TierStore::<u32, u32>::new(1024)?;
/// let plan: PlanContext<&str> = PlanContext::new();
/// let executor = StrategyExecutor::new(&store, &plan);
/// let strategies: Vec<_> = (0..1000).map(|n| {
///     executor.strategy(format!("strategy {n}"), move |context| {
///         context.record("seen")?;
///         Ok::<_, StrategyError>(Outcome::new(n))
///     })
/// }).collect();
/// let run = executor.run(&strategies);
/// assert_eq!(run.succeeded().map(|(_, outcome)| outcome.value).sum::<u32>(), 499_500);
/// assert_eq!(run.snapshot().changes().len(), 1000);
/// # Ok::<(), tierstack::BuildError>(())
/// ```
pub struct StrategyExecutor<'a, K, V, C = Change, S = DefaultHasher>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    store: &'a TierStore<K, V, S>,
    plan: PlanContext<C>,
    pool: Option<&'a ThreadPool>,
    token: CancellationToken,
    deadline: Option<Instant>,
    timeout: Option<Duration>,
    callback: Option<Box<Callback<'a>>>,
    k: u32,
}

impl<'a, K, V, C, S> StrategyExecutor<'a, K, V, C, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// An executor over a store and a plan: on rayon's current pool, without a deadline, with a token of its own.
    #[must_use]
    pub fn new(store: &'a TierStore<K, V, S>, plan: &PlanContext<C>) -> Self {
        Self {
            store,
            plan: plan.clone(),
            pool: None,
            token: CancellationToken::new(),
            deadline: None,
            timeout: None,
            callback: None,
            k: FUSION_K,
        }
    }

    /// Runs on that pool. Else on the pool of the thread that calls [`run`](Self::run), or on rayon's global one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::executor::{Outcome, Stopped, StrategyExecutor};
    /// # use tierstack::{PlanContext, TierStore};
    /// # let (store, plan) = (TierStore::<u32, u32>::new(9)?, PlanContext::<()>::new());
    /// let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    /// let executor = StrategyExecutor::new(&store, &plan).pool(&pool);
    /// let run = executor.run(&[executor.strategy("one", |_| {
    ///     Ok::<_, Stopped>(Outcome::new(rayon::current_num_threads()))
    /// })]);
    /// assert_eq!(run.succeeded().next().unwrap().1.value, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn pool(self, pool: &'a ThreadPool) -> Self {
        Self { pool: Some(pool), ..self }
    }

    /// Runs stop when that token is cancelled. Each run has a [child](CancellationToken::child) of it, which strategies
    /// [can cancel](StrategyContext::cancellation).
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::executor::{CancellationToken, Failure, Outcome, Stopped, StrategyExecutor};
    /// # use tierstack::{PlanContext, Status, TierStore};
    /// # let (store, plan) = (TierStore::<u32, u32>::new(9)?, PlanContext::<()>::new());
    /// let token = CancellationToken::new();
    /// let executor = StrategyExecutor::new(&store, &plan).cancellation(token.clone());
    /// token.cancel();
    /// let run = executor.run(&[executor.strategy("late", |_| Ok::<_, Stopped>(Outcome::new(())))]);
    /// assert!(matches!(run.reports()[0].result, Err(Failure::NotRun(Stopped::Cancelled))));
    /// assert_eq!(run.reports()[0].status, Status::Aborted);
    /// # Ok::<(), tierstack::BuildError>(())
    /// ```
    #[must_use]
    pub fn cancellation(self, token: CancellationToken) -> Self {
        Self { token, ..self }
    }

    /// Runs stop at that instant.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::executor::{Failure, Outcome, Stopped, StrategyExecutor};
    /// # use tierstack::{PlanContext, TierStore};
    /// # let (store, plan) = (TierStore::<u32, u32>::new(9)?, PlanContext::<()>::new());
    /// let executor = StrategyExecutor::new(&store, &plan).deadline(std::time::Instant::now());
    /// let run = executor.run(&[executor.strategy("late", |_| Ok::<_, Stopped>(Outcome::new(())))]);
    /// assert!(matches!(run.reports()[0].result, Err(Failure::NotRun(Stopped::DeadlinePassed))));
    /// # Ok::<(), tierstack::BuildError>(())
    /// ```
    #[must_use]
    pub fn deadline(self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// Each run stops so long after its start, or at the [deadline](Self::deadline) if that is earlier.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tierstack::executor::{Outcome, Stopped, StrategyExecutor};
    /// # use tierstack::{PlanContext, TierStore};
    /// # let (store, plan) = (TierStore::<u32, u32>::new(9)?, PlanContext::<()>::new());
    /// let executor = StrategyExecutor::new(&store, &plan).timeout(Duration::from_millis(5));
    /// let run = executor.run(&[executor.strategy("endless", |context| -> Result<Outcome<u32>, Stopped> {
    ///     loop {
    ///         context.get(&1)?;
    ///     }
    /// })]);
    /// assert_eq!(run.reports()[0].stopped, Some(Stopped::DeadlinePassed));
    /// # Ok::<(), tierstack::BuildError>(())
    /// ```
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Tells that callback of each strategy's steps, on the strategy's thread. Strategies run on while others are told.
    ///
    /// If it panics, that ends there, and [is counted](super::StrategyReport::callback_panics).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// # use tierstack::executor::{Outcome, Step, Stopped, StrategyExecutor};
    /// # use tierstack::{PlanContext, TierStore};
    /// # let (store, plan) = (TierStore::<u32, u32>::new(9)?, PlanContext::<()>::new());
    ///
    /// let (done, finished) = (AtomicU64::new(0), AtomicU64::new(0));
    /// let executor = StrategyExecutor::new(&store, &plan).on_progress(|progress| match progress.step {
    ///     Step::At { done: now, .. } => _ = done.fetch_max(now, Ordering::Relaxed),
    ///     Step::Finished { .. } => _ = finished.fetch_add(1, Ordering::Relaxed),
    ///     _ => {}
    /// });
    /// executor.run(&[executor.strategy("steady", |context| {
    ///     for step in 1..=3 {
    ///         context.progress(step, Some(3));
    ///     }
    ///     Ok::<_, Stopped>(Outcome::new(()))
    /// })]);
    /// drop(executor);
    /// assert_eq!((done.into_inner(), finished.into_inner()), (3, 1));
    /// # Ok::<(), tierstack::BuildError>(())
    /// ```
    #[must_use]
    pub fn on_progress(self, callback: impl Fn(&Progress<'_>) + Send + Sync + 'a) -> Self {
        Self { callback: Some(Box::new(callback)), ..self }
    }

    /// The k with which [rankings are fused](Run::fused); [`FUSION_K`] if it is not set.
    #[must_use]
    pub fn fusion_k(self, k: u32) -> Self {
        Self { k, ..self }
    }

    /// A closure as a strategy with a name, boxed, so that several can be run at once.
    ///
    /// # Examples
    ///
    /// See [`StrategyExecutor`].
    pub fn strategy<'s, T, E>(
        &self,
        name: impl Into<String>,
        run: impl Fn(&StrategyContext<'_, K, V, C, S>) -> Result<Outcome<K, T>, E> + Sync + 's,
    ) -> BoxedStrategy<'s, K, V, T, E, C, S>
    where
        T: Send + 's,
        E: Send + 's,
        K: 's,
    {
        Box::new(Named { name: name.into().into(), strategy: run })
    }

    /// Runs strategies in parallel, and returns when all have ended.
    ///
    /// The changesets of all are started before any strategy is: in their order, so that each is parallel to every other, and so that
    /// ids do not depend on threads. Ambient records ([`PlanContext::record_change`]) that others make meanwhile land in whichever of these is on top.
    ///
    /// Each strategy's changeset is closed when the strategy has succeeded, and aborted when it has returned an error, has panicked, or
    /// was not run, at once and not at the end of the run. Of a strategy whose changeset was ended before, the
    /// [report](super::StrategyReport::status) says how.
    ///
    /// # Linearization
    ///
    /// None: each start, close and abort is a step of its own, with that of [`PlanContext`].
    ///
    /// # Progress
    ///
    /// Waits for rayon's join of the strategies, and for nothing else: see the [module](super).
    ///
    /// # Panics
    ///
    /// Where rayon cannot start its global pool. Whatever strategies, their names and the callback do: no panic of theirs gets here.
    ///
    /// # Examples
    ///
    /// See the [module](super).
    pub fn run<T: Strategy<K, V, C, S>>(&self, strategies: &[T]) -> Run<K, T::Value, T::Error, C>
    where
        C: Send + Sync,
        S: Sync,
    {
        let started = Instant::now();
        // One that is beyond the clock never comes.
        let timeout = self.timeout.and_then(|timeout| started.checked_add(timeout));
        let deadline = self.deadline.into_iter().chain(timeout).min();
        // A strategy may cancel its run: the executor's token is the caller's, for all runs.
        let token = self.token.child();
        let shared = Shared { store: self.store, of: strategies.len(), callback: self.callback.as_deref() };
        let open: Vec<_> = strategies.iter().map(|_| Open::start(&self.plan)).collect();
        let run = || {
            let strategies = strategies.par_iter().zip(open).enumerate();
            // One by one: else one would wait for another that was split off together with it.
            let reports = strategies.with_max_len(1).map(|(index, (strategy, open))| {
                shared.attempt(index, strategy, open, Limits::new(token.clone(), deadline))
            });
            reports.collect()
        };
        let reports = match self.pool {
            Some(pool) => pool.install(run),
            None => run(),
        };
        Run { reports, snapshot: self.plan.snapshot(), time: started.elapsed(), k: self.k }
    }
}

impl<K, V, C, S> fmt::Debug for StrategyExecutor<'_, K, V, C, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StrategyExecutor")
            .field("store", self.store)
            .field("plan", &self.plan)
            .field("pool", &self.pool)
            .field("token", &self.token)
            .field("deadline", &self.deadline)
            .field("timeout", &self.timeout)
            .field("k", &self.k)
            .finish_non_exhaustive()
    }
}
