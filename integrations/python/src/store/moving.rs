//! What moves fragments from tier to tier, and keeps them.

use pyo3::prelude::*;
use tierstack::Tier;

use super::TierStore;
use crate::fragment::Evicted;
use crate::moved::{Enforced, Kept, Moved};
use crate::{arguments, refusals, settle};

#[pymethods]
impl TierStore {
    /// Moves a fragment one tier up, and demotes what must make room. Counts as a use.
    ///
    /// Raises ``KeyError`` if the key is absent, ``OverBudgetError`` if it does not fit into hot, and ``ContendedError`` if calls in flight hold the room. The fragment
    /// stays where it is then. Atomic. Each demotion is a step of its own, before it.
    fn promote(&self, key: &Bound<'_, PyAny>) -> PyResult<Moved> {
        let moved = self.native().promote(arguments::key(key)?);
        settle(key.py());
        moved.map(Moved).map_err(|reason| refusals::not_promoted(key, reason))
    }

    /// Moves a fragment up to ``tier``; never down. Else as ``promote``.
    fn promote_to(&self, key: &Bound<'_, PyAny>, tier: &Bound<'_, PyAny>) -> PyResult<Moved> {
        let moved = self.native().promote_to(arguments::key(key)?, arguments::tier(tier)?);
        settle(key.py());
        moved.map(Moved).map_err(|reason| refusals::not_promoted(key, reason))
    }

    /// Moves a fragment one tier down. In cold it stays. Not a use. Raises ``KeyError`` if the key is absent. Atomic.
    fn demote(&self, key: &Bound<'_, PyAny>) -> PyResult<Moved> {
        let moved = self.native().demote(arguments::key(key)?);
        settle(key.py());
        moved.map(Moved).ok_or_else(|| refusals::absent(key))
    }

    /// Moves a fragment down to ``tier``; never up. Else as ``demote``.
    fn demote_to(&self, key: &Bound<'_, PyAny>, tier: &Bound<'_, PyAny>) -> PyResult<Moved> {
        let moved = self.native().demote_to(arguments::key(key)?, arguments::tier(tier)?);
        settle(key.py());
        moved.map(Moved).ok_or_else(|| refusals::absent(key))
    }

    /// Moves the least recently used fragment of a tier one tier down, or from cold out of the store. ``None`` if there is none that is not kept. Atomic.
    fn evict_lru(&self, tier: &Bound<'_, PyAny>) -> PyResult<Option<Evicted>> {
        let tier: Tier = arguments::tier(tier)?;
        Ok(self.evict(tier).map(Evicted::from))
    }

    /// Keeps a fragment in its tier until it is let go: no overflow, eviction, capacity or lowered budget moves it. Counts as a use.
    ///
    /// A replacement stays kept. Raises ``KeyError`` if the key is absent. Atomic.
    fn keep(&self, key: &Bound<'_, PyAny>) -> PyResult<Kept> {
        let kept = self.native().keep(arguments::key(key)?);
        settle(key.py());
        kept.map(Kept).map_err(|reason| refusals::not_kept(key, reason))
    }

    /// Lets a kept fragment go: it is evicted as any other from now on. Counts as a use. Raises ``KeyError`` if the key is absent. Atomic.
    fn let_go(&self, key: &Bound<'_, PyAny>) -> PyResult<Kept> {
        let kept = self.native().let_go(arguments::key(key)?);
        settle(key.py());
        kept.map(Kept).map_err(|reason| refusals::not_kept(key, reason))
    }

    /// Sets the hot budget, and demotes least recently used fragments until it holds. Kept fragments stay.
    ///
    /// Raises ``BudgetError`` above ``MAX_BYTES``; nothing changes then. Atomic for the budget. Each demotion is a step of its own.
    fn set_hot_budget(&self, budget: &Bound<'_, PyAny>) -> PyResult<Enforced> {
        let bytes = arguments::budget("budget", budget)?;
        let enforced = self.native().set_hot_budget(bytes);
        settle(budget.py());
        enforced.map(Enforced).map_err(|error| refusals::budget(budget.py(), error.to_string(), budget))
    }

    /// Demotes least recently used fragments until the hot budget holds. Every call does so on its own.
    fn enforce_hot_budget(&self, py: Python<'_>) -> Enforced {
        let enforced = self.native().enforce_hot_budget();
        settle(py);
        Enforced(enforced)
    }
}

impl TierStore {
    fn evict(&self, tier: Tier) -> Option<tierstack::Evicted<std::sync::Arc<str>, crate::value::Value>> {
        let evicted = self.native().evict_lru(tier);
        // SAFETY: methods are called on threads that are attached.
        settle(unsafe { Python::assume_attached() });
        evicted
    }
}
