//! What takes fragments out.

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use tierstack::Tier;

use super::TierStore;
use crate::fragment::Fragment;
use crate::value::Value;
use crate::{arguments, refusals, settle};

impl TierStore {
    fn take_out(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<tierstack::Fragment<Value>>> {
        let removed = self.native().remove(arguments::key(key)?);
        settle(key.py());
        Ok(removed)
    }
}

#[pymethods]
impl TierStore {
    /// Takes a fragment out of the store. Raises ``KeyError`` if the key is absent. Atomic.
    fn remove(&self, key: &Bound<'_, PyAny>) -> PyResult<Fragment> {
        self.take_out(key)?.map(Fragment::from).ok_or_else(|| refusals::absent(key))
    }

    /// Takes a fragment out of the store, and returns its value. If the key is absent, returns ``default``, or raises ``KeyError``. Atomic.
    #[pyo3(signature = (key, /, *default), text_signature = "(self, key, /, default=...)")]
    fn pop<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: &Bound<'py, pyo3::types::PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if default.len() > 1 {
            let given = default.len() + 1;
            return Err(pyo3::exceptions::PyTypeError::new_err(format!("pop takes at most 2 arguments, not {given}")));
        }
        match self.take_out(key)? {
            Some(removed) => Ok(removed.value.reference.into_bound(key.py())),
            None => default.get_item(0).map_err(|_| refusals::absent(key)),
        }
    }

    /// Takes out a least recently used fragment of the lowest tier that has any that are not kept. Raises ``KeyError`` if there is none.
    ///
    /// Atomic for the fragment that it takes. Beside other calls, the choice is a step of its own. O(n) in the length of the tier.
    fn popitem<'py>(&self, py: Python<'py>) -> PyResult<(String, Bound<'py, PyAny>)> {
        let native = self.native();
        loop {
            let oldest = [Tier::Cold, Tier::Warm, Tier::Hot].into_iter().find_map(|tier| {
                let view = native.pin();
                let oldest = view.iter(tier).rfind(|item| !item.kept);
                oldest.map(|item| std::sync::Arc::clone(item.key))
            });
            let Some(key) = oldest else {
                return Err(PyKeyError::new_err("popitem: the store has nothing to take out"));
            };
            let removed = native.remove(&*key);
            settle(py);
            if let Some(removed) = removed {
                return Ok((key.to_string(), removed.value.reference.into_bound(py)));
            }
        }
    }

    /// Takes out the fragment of each key that had one when it was called. Not atomic as a whole.
    fn clear(&self, py: Python<'_>) {
        let native = self.native();
        let snapshot = crate::snapshot::take(native, None, py);
        for (_, item) in &snapshot {
            drop(native.remove(&*item.key));
        }
        drop(snapshot);
        settle(py);
    }

    /// Takes a fragment out of the store. Raises ``KeyError`` if the key is absent. Atomic.
    fn __delitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let removed = self.take_out(key)?;
        let was_there = removed.is_some();
        drop(removed);
        settle(key.py());
        if was_there { Ok(()) } else { Err(refusals::absent(key)) }
    }
}
