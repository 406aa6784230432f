//! The hot budget: set, and seen to at the caller's word.

use core::hash::{BuildHasher, Hash};

use super::TierStore;
use super::error::BudgetError;
use super::view::View;
use crate::engine::budget::MAX_BYTES;
use crate::store::fragment::Enforced;

impl<K, V, S> TierStore<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Sets the hot budget, in bytes, and demotes least recently used hot fragments until it holds; how many. Hot keeps what is
    /// [kept](Self::keep): where that alone is above the budget the answer says by how much, and hot then holds nothing else.
    ///
    /// While the call runs, and while a call runs that held a reservation when the budget was lowered, the old budget is the bound; for
    /// [`hot_bytes`](Self::hot_bytes) as well, which counts what such a call holds. A fragment that another call demotes for the
    /// same budget is counted by that one.
    ///
    /// # Errors
    ///
    /// [`BudgetError`] for a budget above [`MAX_BYTES`]; nothing changes.
    ///
    /// # Linearization
    ///
    /// The CAS of the budget. Each demotion is a step of its own within the call, after it.
    ///
    /// # Progress
    ///
    /// Lock-free. O(1), and the number of fragments demoted.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::{Tier, TierStore};
    /// # let store = TierStore::builder(100).weigher(|_: &u32, _: &u32| 10).build()?;
    /// (0..10).try_for_each(|key| store.store(key, key).map(drop))?;
    /// assert_eq!(store.set_hot_budget(35)?.demoted, 7);
    /// assert_eq!((store.len(Tier::Hot), store.len(Tier::Warm)), (3, 7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_hot_budget(&self, budget: u64) -> Result<Enforced, BudgetError> {
        if budget > MAX_BYTES {
            return Err(BudgetError { budget });
        }
        self.core.budget.set_limit(budget);
        Ok(self.enforce_hot_budget())
    }

    /// Demotes least recently used hot fragments until the budget holds, or all that is left in hot is kept; how many.
    ///
    /// Every operation does so on its own before it returns. This is for a caller who wants to be sure, after a thread was
    /// stopped for good within an operation. What such a thread has brought into hot is demoted as well, if anybody has seen it there.
    ///
    /// # Linearization
    ///
    /// None of its own: each demotion is a step.
    ///
    /// # Progress
    ///
    /// Lock-free. O(1), and the number of fragments demoted.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<u32, u32>::new(100)?;
    /// assert_eq!(store.enforce_hot_budget().demoted, 0);
    /// # Ok::<(), tierstack::BuildError>(())
    /// ```
    pub fn enforce_hot_budget(&self) -> Enforced {
        View::for_an_owned_operation(self).enforce_hot_budget()
    }
}
