//! A store's snapshot.
//!
//! It has references of its own to all values: what it shares with the store are keys. So the garbage collector meets each of its references once, here.

use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyList;
use tierstack::Tier;

use crate::arguments;
use crate::dropped::GivesUp;
use crate::fragment::{Fragment, Item};
use crate::imports::imports;
use crate::refusals::absent;
use crate::value::{Native, NativeSnapshot, Value};
use crate::{detach_if, settle};

/// From so many fragments on it is worth it to let others have the interpreter meanwhile.
const MANY: u64 = 1000;

/// The fragments of all tiers, or of one, as they stand at one instant.
pub fn take(native: &Native, tier: Option<Tier>, py: Python<'_>) -> NativeSnapshot {
    let view = native.pin();
    let fragments: u64 =
        tier.map_or_else(|| Tier::ALL.iter().map(|tier| native.len(*tier)).sum(), |tier| native.len(tier));
    let lent = || match tier {
        None => view.snapshot(),
        Some(tier) => view.snapshot_of(tier),
    };
    // SAFETY: it lends the values, and touches none of them. What it ends or moves: nothing, as nothing here has an age.
    let lent = unsafe { detach_if(py, fragments >= MANY, lent) };
    // What the view has seen is not given up before it is dropped, whatever has left the store meanwhile.
    let taken = lent.cloned();
    drop(view);
    settle(py);
    taken
}

/// The fragments of a store, or of one of its tiers, as they stood at one instant. It never changes.
///
/// It is a mapping from keys to values. It cannot be pickled: pickle the store, or ``dict(snapshot)``.
// Not immutable: only so does its registration as a mapping reach `match`.
#[pyclass(frozen, generic, mapping, weakref, module = "tierstack")]
pub struct Snapshot {
    taken: NativeSnapshot,
    #[expect(dead_code, reason = "dropped after the values")]
    gives_up: GivesUp,
}

impl From<NativeSnapshot> for Snapshot {
    fn from(taken: NativeSnapshot) -> Self {
        Self { taken, gives_up: GivesUp }
    }
}

/// Python objects of these fragments.
pub fn items<'a, 'py>(
    py: Python<'py>,
    items: impl ExactSizeIterator<Item = (Tier, &'a tierstack::Item<Arc<str>, Value>)>,
) -> PyResult<Bound<'py, PyList>> {
    let items = items.map(|(tier, item)| Item::new(tier, item.clone()));
    let items = items.map(|item| item.into_pyobject(py)).collect::<PyResult<Vec<_>>>()?;
    PyList::new(py, items)
}

/// The values, in order.
pub fn values<'py>(taken: &NativeSnapshot, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
    let values = taken.iter().map(|(_, item)| item.value.reference.bind(py));
    PyList::new(py, values)?.into_any().try_iter().map(Bound::into_any)
}

/// Keys and values, in order.
pub fn pairs<'py>(taken: &NativeSnapshot, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
    let pairs = taken.iter().map(|(_, item)| (&*item.key, item.value.reference.bind(py)));
    PyList::new(py, pairs)?.into_any().try_iter().map(Bound::into_any)
}

#[pymethods]
impl Snapshot {
    fn _values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        values(&self.taken, py)
    }

    fn _pairs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        pairs(&self.taken, py)
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match self.taken.get(arguments::key(key)?) {
            Some(found) => Ok(found.value.reference.bind(key.py()).clone()),
            None => Err(absent(key)),
        }
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.taken.get(arguments::key(key)?).is_some())
    }

    /// The keys: hot's, then warm's, then cold's, each from the most to the least recently used.
    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let keys = self.taken.iter().map(|(_, item)| &*item.key);
        PyList::new(py, keys)?.into_any().try_iter().map(Bound::into_any)
    }

    fn __len__(&self) -> usize {
        self.taken.len()
    }

    /// The key's value, or ``default``.
    #[pyo3(signature = (key, /, default=None))]
    fn get<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let found = self.taken.get(arguments::key(key)?);
        Ok(found.map(|found| found.value.reference.bind(key.py()).clone()).or(default))
    }

    /// The key's fragment: its value, tier, weight and version.
    fn fragment(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<Fragment>> {
        Ok(self.taken.get(arguments::key(key)?).map(|found| found.cloned().into()))
    }

    /// The fragments of a tier, from the most to the least recently used.
    fn tier<'py>(&self, tier: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let py = tier.py();
        let tier = arguments::tier(tier)?;
        items(py, self.taken.tier(tier).iter().map(|item| (tier, item)))
    }

    /// All fragments: hot's, then warm's, then cold's, each from the most to the least recently used.
    fn all<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        items(py, self.taken.iter())
    }

    /// How many fragments stood in ``tier``.
    fn len(&self, tier: &Bound<'_, PyAny>) -> PyResult<usize> {
        Ok(self.taken.tier(arguments::tier(tier)?).len())
    }

    /// The sum of the weights in ``tier``.
    fn bytes(&self, tier: &Bound<'_, PyAny>) -> PyResult<u64> {
        Ok(self.taken.bytes(arguments::tier(tier)?))
    }

    /// A view of the keys.
    fn keys<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        imports(slf.py()).keys_view.bind(slf.py()).call1((slf,))
    }

    /// A view of the values.
    fn values<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        imports(slf.py()).values_view.bind(slf.py()).call1((slf,))
    }

    /// A view of the keys and values.
    fn items<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        imports(slf.py()).items_view.bind(slf.py()).call1((slf,))
    }

    fn __repr__(&self) -> String {
        let [hot, warm, cold] = Tier::ALL.map(|tier| self.taken.tier(tier).len());
        format!("<tierstack.Snapshot of {hot} hot, {warm} warm and {cold} cold fragments>")
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("cannot pickle or copy a Snapshot: pickle the store, or dict(snapshot)"))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.taken.iter().try_for_each(|(_, item)| visit.call(item.value.reference.as_py()))
    }
}
