//! The mapping protocol.

use pyo3::prelude::*;
use pyo3::types::PyList;
use tierstack::Tier;

use super::TierStore;
use crate::{arguments, refusals, settle, snapshot};

#[pymethods]
impl TierStore {
    /// The key's value. Counts as a use. Raises ``KeyError`` if the key is absent.
    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.find(key)?.ok_or_else(|| refusals::absent(key))
    }

    /// Whether the key has a fragment. Does not count as a use.
    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let is_there = self.native().contains(arguments::key(key)?);
        settle(key.py());
        Ok(is_there)
    }

    /// The keys at one instant: hot's, then warm's, then cold's, each from the most to the least recently used.
    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let snapshot = snapshot::take(self.native(), None, py);
        let keys = PyList::new(py, snapshot.iter().map(|(_, item)| &*item.key));
        drop(snapshot);
        settle(py);
        keys?.into_any().try_iter().map(Bound::into_any)
    }

    /// How many fragments there are. Exact at rest. Off by at most what other calls in flight move.
    fn __len__(&self) -> usize {
        let fragments: u64 = Tier::ALL.iter().map(|tier| self.native().len(*tier)).sum();
        usize::try_from(fragments).unwrap_or(usize::MAX)
    }
}
