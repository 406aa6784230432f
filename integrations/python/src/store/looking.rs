//! What reads fragments, counts and snapshots.

use pyo3::prelude::*;
use tierstack::Tier;

use super::TierStore;
use crate::fragment::Fragment;
use crate::imports::imports;
use crate::snapshot::{self, Snapshot};
use crate::{arguments, imports as python, settle};

impl TierStore {
    /// A use.
    #[inline]
    pub(super) fn find<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let found = self.native().get(arguments::key(key)?);
        settle(key.py());
        Ok(found.map(|found| found.value.reference.into_bound(key.py())))
    }
}

#[pymethods]
impl TierStore {
    /// The key's value, or ``default``. Counts as a use.
    #[pyo3(signature = (key, /, default=None))]
    fn get<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.find(key)?.or(default))
    }

    /// The key's value, or ``default``. Does not count as a use.
    #[pyo3(signature = (key, default=None))]
    fn peek<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let found = self.native().peek(arguments::key(key)?);
        settle(key.py());
        Ok(found.map(|found| found.value.reference.into_bound(key.py())).or(default))
    }

    /// The key's fragment: its value, tier, weight and version, as they were at one instant. Counts as a use.
    fn get_fragment(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<Fragment>> {
        let found = self.native().get(arguments::key(key)?);
        settle(key.py());
        Ok(found.map(Fragment::from))
    }

    /// As ``get_fragment``. Does not count as a use.
    fn peek_fragment(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<Fragment>> {
        let found = self.native().peek(arguments::key(key)?);
        settle(key.py());
        Ok(found.map(Fragment::from))
    }

    /// The tier that the key's fragment stands in. ``None`` if it has none. Does not count as a use.
    fn tier_of(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
        let tier = self.native().tier_of(arguments::key(key)?);
        settle(key.py());
        Ok(tier.map(|tier| python::tier(key.py(), tier)))
    }

    /// The fragments of all tiers, or of one, as they stood at one instant. It never changes. Delays nobody. Not a use.
    ///
    /// Large snapshots are taken without the interpreter's lock.
    #[pyo3(signature = (tier=None))]
    fn snapshot(&self, tier: Option<&Bound<'_, PyAny>>, py: Python<'_>) -> PyResult<Snapshot> {
        let tier = tier.map(arguments::tier).transpose()?;
        Ok(snapshot::take(self.native(), tier, py).into())
    }

    /// The fragments of a tier, from the most to the least recently used, each as it stood when it was read. Not a use.
    ///
    /// Beside other threads, what this yields need not have stood together: see ``snapshot``.
    #[allow(clippy::iter_not_returning_iterator, reason = "one of Python's")]
    fn iter<'py>(&self, tier: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = tier.py();
        let tier: Tier = arguments::tier(tier)?;
        let items: Vec<_> = self.native().iter(tier).collect();
        settle(py);
        snapshot::items(py, items.iter().map(|item| (tier, item)))?.try_iter().map(Bound::into_any)
    }

    /// A view of the keys. Each iteration is over a snapshot.
    fn keys<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        imports(slf.py()).keys_view.bind(slf.py()).call1((slf,))
    }

    /// A view of the values. Each iteration is over a snapshot. Not a use.
    fn values<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        imports(slf.py()).values_view.bind(slf.py()).call1((slf,))
    }

    /// A view of the keys and values. Each iteration is over a snapshot. Not a use.
    fn items<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        imports(slf.py()).items_view.bind(slf.py()).call1((slf,))
    }

    fn _values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let values = snapshot::values(&snapshot::take(self.native(), None, py), py);
        settle(py);
        values
    }

    fn _pairs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let pairs = snapshot::pairs(&snapshot::take(self.native(), None, py), py);
        settle(py);
        pairs
    }

    /// How many fragments stand in ``tier``. Exact at rest.
    fn len(&self, tier: &Bound<'_, PyAny>) -> PyResult<u64> {
        Ok(self.native().len(arguments::tier(tier)?))
    }

    /// The sum of the weights in ``tier``. Exact at rest. For hot, see ``hot_bytes``.
    fn bytes(&self, tier: &Bound<'_, PyAny>) -> PyResult<u64> {
        Ok(self.native().bytes(arguments::tier(tier)?))
    }

    /// The bytes of hot that are taken: the sum of the weights, and what calls in flight have reserved. At most the hot budget at every instant.
    #[getter]
    fn hot_bytes(&self) -> u64 {
        self.native().hot_bytes()
    }

    /// The hot budget: see ``set_hot_budget``.
    #[getter]
    fn hot_budget(&self) -> u64 {
        self.native().hot_budget()
    }

    /// The counters: a dataclass. Exact at rest.
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        imports(py).metrics(py, &self.native().metrics())
    }

    /// Lets go of values that have left the store, as far as that can be done now.
    ///
    /// The store holds up to some hundred of them for each thread until no call can be reading them, and later calls let go of them. This does it at once, for what
    /// this thread has taken out.
    fn flush(&self, py: Python<'_>) {
        let native = self.native();
        let mut left = native.metrics().retired_bytes;
        loop {
            native.flush();
            let before = core::mem::replace(&mut left, native.metrics().retired_bytes);
            if left >= before {
                break;
            }
        }
        settle(py);
    }
}
