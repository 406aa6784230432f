//! What a strategy is, and what it gives.

use super::context::StrategyContext;
use super::failure::StrategyError;
use super::fusion::Ranking;
use crate::changeset::Change;
use crate::store::DefaultHasher;

/// A way to find what a plan needs: reads, promotes and demotes fragments of a store, and records what it decides.
///
/// Closures are strategies; [`StrategyExecutor::strategy`](super::StrategyExecutor::strategy) gives one a name. To run several kinds at once, box
/// them: a [`BoxedStrategy`] is a strategy.
///
/// # Examples
///
/// ```
/// use tierstack::executor::{Outcome, Stopped, Strategy, StrategyContext, StrategyExecutor};
/// use tierstack::{PlanContext, TierStore};
///
/// /// Ranks the fragments that hold at least so much, the largest first.
/// struct Largest(u32);
///
/// impl Strategy<&'static str, u32> for Largest {
///     type Value = usize;
///     type Error = Stopped;
///
///     fn name(&self) -> &str {
///         "largest"
///     }
///
///     fn run(&self, context: &StrategyContext<'_, &'static str, u32>) -> Result<Outcome<&'static str, usize>, Stopped> {
///         let snapshot = context.store().snapshot();
///         let scores = snapshot.iter().map(|(_, item)| (item.key, item.value));
///         let large: Vec<_> = scores.filter(|(_, value)| *value >= self.0).collect();
///         context.check()?;
///         let len = large.len();
///         Ok(Outcome::new(len).with_ranking(large.into_iter().map(|(key, value)| (key, f64::from(value)))))
///     }
/// }
///
/// let (store, plan) = (TierStore::new(1024)?, PlanContext::new());
/// for (key, value) in [("a", 1), ("b", 5), ("c", 3)] {
///     store.store(key, value)?;
/// }
/// let run = StrategyExecutor::new(&store, &plan).run(&[Largest(2), Largest(4)]);
/// assert_eq!(run.succeeded().map(|(_, outcome)| outcome.value).collect::<Vec<_>>(), [2, 1]);
/// assert_eq!(run.fused().iter().map(|fused| *fused.item()).collect::<Vec<_>>(), ["b", "c"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Strategy<K, V, C = Change, S = DefaultHasher>: Sync
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// What it gives, beside a ranking.
    type Value: Send;
    /// Why it fails.
    type Error: Send;

    /// What it is called in reports. By default the name of its type.
    fn name(&self) -> &str {
        core::any::type_name::<Self>()
    }

    /// Runs it. Its changeset is [there](StrategyContext::changeset), and is closed after that, or aborted where it returns an error or panics.
    ///
    /// # Errors
    ///
    /// Its own, or a [`StrategyError`], which those of the context's helpers become by `?`.
    fn run(&self, context: &StrategyContext<'_, K, V, C, S>) -> Result<Outcome<K, Self::Value>, Self::Error>;
}

/// A strategy of any kind that gives a `T`, and fails with an `E`.
pub type BoxedStrategy<'s, K, V, T = (), E = StrategyError, C = Change, S = DefaultHasher> =
    Box<dyn Strategy<K, V, C, S, Value = T, Error = E> + 's>;

impl<K, V, T: Send, E: Send, C, S> Strategy<K, V, C, S> for BoxedStrategy<'_, K, V, T, E, C, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    type Value = T;
    type Error = E;

    fn name(&self) -> &str {
        (**self).name()
    }

    fn run(&self, context: &StrategyContext<'_, K, V, C, S>) -> Result<Outcome<K, T>, E> {
        (**self).run(context)
    }
}

impl<K, V, T: Send, E: Send, C, S> Strategy<K, V, C, S> for &(dyn Strategy<K, V, C, S, Value = T, Error = E> + '_)
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    type Value = T;
    type Error = E;

    fn name(&self) -> &str {
        (**self).name()
    }

    fn run(&self, context: &StrategyContext<'_, K, V, C, S>) -> Result<Outcome<K, T>, E> {
        (**self).run(context)
    }
}

impl<F, K, V, T: Send, E: Send, C, S> Strategy<K, V, C, S> for F
where
    F: Fn(&StrategyContext<'_, K, V, C, S>) -> Result<Outcome<K, T>, E> + Sync,
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    type Value = T;
    type Error = E;

    fn run(&self, context: &StrategyContext<'_, K, V, C, S>) -> Result<Outcome<K, T>, E> {
        self(context)
    }
}

/// A strategy under another name.
pub(super) struct Named<F> {
    pub(super) name: Box<str>,
    pub(super) strategy: F,
}

impl<F: Strategy<K, V, C, S>, K, V, C, S> Strategy<K, V, C, S> for Named<F>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    type Value = F::Value;
    type Error = F::Error;

    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, context: &StrategyContext<'_, K, V, C, S>) -> Result<Outcome<K, F::Value>, F::Error> {
        self.strategy.run(context)
    }
}

/// What a strategy gives: a value of its own, and a ranking of keys if it has one.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome<K, T = ()> {
    /// The value.
    pub value: T,
    /// The keys that it picks, the best first.
    pub ranking: Option<Ranking<K>>,
}

impl<K, T> Outcome<K, T> {
    /// A value, and no ranking.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::executor::Outcome;
    /// let outcome: Outcome<&str, u32> = Outcome::new(3);
    /// assert_eq!((outcome.value, outcome.ranking), (3, None));
    /// ```
    #[must_use]
    pub fn new(value: T) -> Self {
        Self { value, ranking: None }
    }

    /// The same with a [ranking by scores](Ranking::by_score).
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::executor::Outcome;
    /// let outcome = Outcome::new(3).with_ranking([("a", 0.5), ("b", 2.0)]);
    /// assert_eq!(outcome.ranking.unwrap().iter().collect::<Vec<_>>(), [(&"b", 1), (&"a", 2)]);
    /// ```
    #[must_use]
    pub fn with_ranking(self, scored: impl IntoIterator<Item = (K, f64)>) -> Self {
        Self { ranking: Some(Ranking::by_score(scored)), ..self }
    }
}

impl<K> Outcome<K> {
    /// A [ranking](Ranking::new) alone: the best key first.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::executor::Outcome;
    /// let outcome = Outcome::ranked(["best", "second"]);
    /// assert_eq!(outcome.ranking.unwrap().iter().collect::<Vec<_>>(), [(&"best", 1), (&"second", 2)]);
    /// ```
    #[must_use]
    pub fn ranked(keys: impl IntoIterator<Item = K>) -> Self {
        Self { value: (), ranking: Some(Ranking::new(keys)) }
    }
}
