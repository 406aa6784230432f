//! A strategy's pinned view.

use core::borrow::Borrow;
use core::cell::Cell;
use core::fmt;
use core::hash::{BuildHasher, Hash};
use core::ops::Deref;

use super::cancellation::Stopped;
use super::context::StrategyContext;
use super::counts::Counts;
use super::failure::Interrupted;
use crate::changeset::Change;
use crate::store::{DefaultHasher, Fragment, Moved, PromoteError, View};
use crate::tier::Tier;

/// A [`View`] whose reads, promotions and demotions are [counted](Counts), and that looks whether its strategy is to stop.
///
/// From [`StrategyContext::pin`]. What is done by the view that it derefs to is not counted, and looks for nothing. The counts are those of the
/// strategy once it is repinned or dropped.
///
/// # Examples
///
/// ```
/// # use tierstack::executor::{Interrupted, Outcome, StrategyExecutor};
/// # use tierstack::{PlanContext, PromoteError, TierStore};
/// # let (store, plan) = (TierStore::<u32, u32>::new(9999)?, PlanContext::<()>::new());
/// for key in 0..100 {
///     store.store(key, key % 7)?;
/// }
/// let executor = StrategyExecutor::new(&store, &plan);
/// let run = executor.run(&[executor.strategy("reader", |context| {
///     let mut picks = Vec::new();
///     let mut view = context.pin()?;
///     for key in 0..100 {
///         if key % 64 == 63 {
///             view.repin();
///         }
///         match view.get(&key)? {
///             Some(fragment) if *fragment.value == 0 => picks.push(key),
///             _ => _ = view.demote(&key)?,
///         }
///     }
///     Ok::<_, Interrupted<PromoteError>>(Outcome::ranked(picks))
/// })]);
/// assert_eq!((run.reports()[0].counts.reads, run.reports()[0].counts.demotions), (100, 85));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StrategyView<'c, 'a, K, V, C = Change, S = DefaultHasher>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    view: View<'a, K, V, S>,
    context: &'c StrategyContext<'a, K, V, C, S>,
    /// What is not the strategy's yet.
    counts: Cell<Counts>,
}

impl<'c, 'a, K, V, C, S> StrategyView<'c, 'a, K, V, C, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    pub(super) fn new(context: &'c StrategyContext<'a, K, V, C, S>) -> Self {
        Self { view: context.store.pin(), context, counts: Cell::default() }
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }

    /// Unpins and pins again: [`View::repin`].
    ///
    /// # Linearization
    ///
    /// None, as [`View::repin`]; so is progress.
    ///
    /// # Examples
    ///
    /// See [`StrategyView`].
    pub fn repin(&mut self) {
        self.hand_over();
        self.view.repin();
    }

    /// Reads a fragment: [`View::get`].
    ///
    /// # Errors
    ///
    /// [`Stopped`], if the strategy is to stop.
    ///
    /// # Linearization
    ///
    /// As [`View::get`]; so is progress.
    ///
    /// # Examples
    ///
    /// See [`StrategyView`].
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Result<Option<Fragment<&V>>, Stopped>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.context.check()?;
        self.count(|counts| counts.reads += 1);
        Ok(self.view.get(key))
    }

    /// Moves a fragment one tier up: [`View::promote`].
    ///
    /// # Errors
    ///
    /// [`Interrupted`], if the strategy is to stop, or if the store refuses.
    ///
    /// # Linearization
    ///
    /// As [`View::promote`]; so is progress.
    ///
    /// # Examples
    ///
    /// As [`StrategyContext::promote`].
    pub fn promote<Q>(&self, key: &Q) -> Result<Moved, Interrupted<PromoteError>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.promoting(|view| view.promote(key))
    }

    /// Moves a fragment up to `tier`: [`View::promote_to`].
    ///
    /// # Errors
    ///
    /// As [`promote`](Self::promote).
    ///
    /// # Linearization
    ///
    /// As [`View::promote_to`]; so is progress.
    ///
    /// # Examples
    ///
    /// As [`StrategyContext::promote`].
    pub fn promote_to<Q>(&self, key: &Q, tier: Tier) -> Result<Moved, Interrupted<PromoteError>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.promoting(|view| view.promote_to(key, tier))
    }

    fn promoting(
        &self,
        promote: impl FnOnce(&View<'a, K, V, S>) -> Result<Moved, PromoteError>,
    ) -> Result<Moved, Interrupted<PromoteError>> {
        self.context.check()?;
        self.count(|counts| counts.promotions += 1);
        promote(&self.view).map_err(|reason| {
            self.count(|counts| counts.refused += 1);
            Interrupted::Refused(reason)
        })
    }

    /// Moves a fragment one tier down: [`View::demote`].
    ///
    /// # Errors
    ///
    /// [`Stopped`], if the strategy is to stop.
    ///
    /// # Linearization
    ///
    /// As [`View::demote`]; so is progress.
    ///
    /// # Examples
    ///
    /// See [`StrategyView`].
    pub fn demote<Q>(&self, key: &Q) -> Result<Option<Moved>, Stopped>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.demoting(|view| view.demote(key))
    }

    /// Moves a fragment down to `tier`: [`View::demote_to`].
    ///
    /// # Errors
    ///
    /// As [`demote`](Self::demote).
    ///
    /// # Linearization
    ///
    /// As [`View::demote_to`]; so is progress.
    ///
    /// # Examples
    ///
    /// See [`StrategyView`].
    pub fn demote_to<Q>(&self, key: &Q, tier: Tier) -> Result<Option<Moved>, Stopped>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.demoting(|view| view.demote_to(key, tier))
    }

    fn demoting(&self, demote: impl FnOnce(&View<'a, K, V, S>) -> Option<Moved>) -> Result<Option<Moved>, Stopped> {
        self.context.check()?;
        self.count(|counts| counts.demotions += 1);
        Ok(demote(&self.view))
    }
}

impl<K, V, C, S> StrategyView<'_, '_, K, V, C, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn hand_over(&self) {
        self.context.count(self.counts.take());
    }
}

impl<'a, K, V, C, S> Deref for StrategyView<'_, 'a, K, V, C, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    type Target = View<'a, K, V, S>;

    /// The view itself.
    fn deref(&self) -> &View<'a, K, V, S> {
        &self.view
    }
}

impl<K, V, C, S> Drop for StrategyView<'_, '_, K, V, C, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn drop(&mut self) {
        self.hand_over();
    }
}

impl<K, V, C, S> fmt::Debug for StrategyView<'_, '_, K, V, C, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StrategyView").field("view", &self.view).field("strategy", &self.context.name()).finish()
    }
}
