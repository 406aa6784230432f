//! What stores fragments. Functions of callers run between two steps, and nothing is held then.

use std::sync::Arc;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyString, PyTuple};
use tierstack::{Refusal, ReplaceIfRefusal, StoreError, StoreIfAbsentRefusal};

use super::TierStore;
use crate::calls::call;
use crate::fragment::{Stored, Version};
use crate::value::Value;
use crate::{arguments, refusals, settle};

type Native<R> = Result<tierstack::Stored<Value>, StoreError<Arc<str>, Value, R>>;

impl TierStore {
    /// Weighs and stores.
    #[inline]
    fn put(
        &self,
        key: &Bound<'_, PyAny>,
        value: Bound<'_, PyAny>,
        weight: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<tierstack::Stored<Value>> {
        let py = key.py();
        let text = arguments::key(key)?;
        let value = self.weighed(key, text, value, weight)?;
        let stored = self.native().store(text.into(), value);
        settle(py);
        stored.map_err(|StoreError { value, reason, .. }| refused(key, value, reason))
    }

    fn weighed(
        &self,
        key: &Bound<'_, PyAny>,
        text: &str,
        value: Bound<'_, PyAny>,
        weight: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Value> {
        let weight = self.weigh(key, text, &value, weight)?;
        let value = Value::new(value, weight);
        self.note_container(&value.reference);
        Ok(value)
    }

    /// Stores if the key is absent. The value again if it is not.
    fn put_if_absent(
        &self,
        key: &Bound<'_, PyAny>,
        text: &str,
        value: Value,
    ) -> PyResult<Result<tierstack::Stored<Value>, Value>> {
        let stored: Native<StoreIfAbsentRefusal> = self.native().store_if_absent(text.into(), value);
        settle(key.py());
        match stored {
            Ok(stored) => Ok(Ok(stored)),
            Err(StoreError { value, reason: StoreIfAbsentRefusal::Refused(reason), .. }) => {
                Err(refused(key, value, reason))
            }
            Err(StoreError { value, .. }) => Ok(Err(value)),
        }
    }

    fn put_if_is(
        &self,
        key: &Bound<'_, PyAny>,
        text: &str,
        version: tierstack::Version,
        value: Value,
    ) -> PyResult<Result<tierstack::Stored<Value>, Value>> {
        let stored: Native<ReplaceIfRefusal> = self.native().replace_if(text.into(), &version, value);
        settle(key.py());
        match stored {
            Ok(stored) => Ok(Ok(stored)),
            Err(StoreError { value, reason: ReplaceIfRefusal::Refused(reason), .. }) => {
                Err(refused(key, value, reason))
            }
            Err(StoreError { value, reason: ReplaceIfRefusal::OtherStore, .. }) => {
                drop(value);
                settle(key.py());
                Err(PyValueError::new_err("the version is of another store"))
            }
            Err(StoreError { value, .. }) => Ok(Err(value)),
        }
    }

    fn update_by(
        &self,
        key: &Bound<'_, PyAny>,
        function: &Bound<'_, PyAny>,
        weight: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Stored> {
        let py = key.py();
        let text = arguments::key(key)?;
        loop {
            let old = self.native().peek(text);
            settle(py);
            let Some(old) = old else { return Err(refusals::absent(key)) };
            let made = call(function, [&old.value.reference.into_bound(py)])?;
            let value = self.weighed(key, text, made, weight)?;
            match self.put_if_is(key, text, old.version, value)? {
                Ok(stored) => return Ok(stored.into()),
                Err(unused) => drop(unused),
            }
            settle(py);
            py.check_signals()?;
        }
    }

    /// As `MutableMapping.update`.
    fn update_from(&self, other: Option<&Bound<'_, PyAny>>, others: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        if let Some(other) = other {
            if other.cast::<PyMapping>().is_ok() || other.hasattr("keys")? {
                if other.is_instance_of::<Self>() {
                    // What it shows at one instant, without uses.
                    self.update_from_pairs(&other.call_method0("items")?)?;
                } else {
                    for key in other.call_method0("keys")?.try_iter()? {
                        let key = key?;
                        self.put_alone(&key, other.get_item(&key)?)?;
                    }
                }
            } else {
                self.update_from_pairs(other)?;
            }
        }
        for (key, value) in others.into_iter().flatten() {
            self.put_alone(&key, value)?;
        }
        Ok(())
    }

    /// Stores, for a caller who does not want to know what was replaced.
    fn put_alone(&self, key: &Bound<'_, PyAny>, value: Bound<'_, PyAny>) -> PyResult<()> {
        let stored = self.put(key, value, None)?;
        if let Some(replaced) = stored.replaced {
            drop(replaced);
            settle(key.py());
        }
        Ok(())
    }

    fn update_from_pairs(&self, pairs: &Bound<'_, PyAny>) -> PyResult<()> {
        for pair in pairs.try_iter()? {
            let pair = pair?;
            let parts = pair.try_iter()?.collect::<PyResult<Vec<_>>>()?;
            let Ok([key, value]) = <[Bound<'_, PyAny>; 2]>::try_from(parts) else {
                return Err(PyValueError::new_err("update takes pairs of a key and a value"));
            };
            self.put_alone(&key, value)?;
        }
        Ok(())
    }
}

/// What was not stored, and is handed back.
fn refused(key: &Bound<'_, PyAny>, value: Value, reason: Refusal) -> PyErr {
    refusals::not_stored(key, &value.reference.into_bound(key.py()), reason)
}

#[pymethods]
impl TierStore {
    /// Stores a fragment in hot, and demotes what must make room. Replaces the key's fragment, if it has one. Counts as a use.
    ///
    /// What weighs more than the hot budget goes to warm. So does what found its room held by calls in flight, or by kept fragments.
    ///
    /// Raises ``TypeError`` if the value cannot be weighed, ``ValueError`` for a weight that is negative or above ``MAX_BYTES``, and whatever the weigher
    /// raises. Nothing is changed then.
    ///
    /// Atomic: nobody sees the key absent while its fragment is replaced. Each demotion is a step of its own, before it.
    #[pyo3(signature = (key, value, *, weight=None))]
    fn store(
        &self,
        key: &Bound<'_, PyAny>,
        value: Bound<'_, PyAny>,
        weight: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Stored> {
        self.put(key, value, weight).map(Stored::from)
    }

    /// Stores a fragment if its key has none. ``None`` if it has one, which is not used, and nothing is changed. Atomic. Raises as ``store``.
    #[pyo3(signature = (key, value, *, weight=None))]
    fn store_if_absent(
        &self,
        key: &Bound<'_, PyAny>,
        value: Bound<'_, PyAny>,
        weight: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Stored>> {
        let text = arguments::key(key)?;
        let value = self.weighed(key, text, value, weight)?;
        let stored = self.put_if_absent(key, text, value)?.ok().map(Stored::from);
        settle(key.py());
        Ok(stored)
    }

    /// Replaces the key's fragment if the condition holds of it. ``None`` if it does not, or if the key has no fragment; nothing is changed then.
    ///
    /// The condition is a ``Version`` that was read, or a function of the value. Atomic: what is replaced is the very fragment of which the condition was true. The
    /// function may run several times, if others replace the fragment meanwhile. It runs outside of every step, so it may use the store.
    ///
    /// Raises as ``store``, ``ValueError`` for a version of another store, and whatever the function raises.
    #[pyo3(signature = (key, condition, value, *, weight=None))]
    fn replace_if(
        &self,
        key: &Bound<'_, PyAny>,
        condition: &Bound<'_, PyAny>,
        value: Bound<'_, PyAny>,
        weight: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Stored>> {
        let py = key.py();
        let text = arguments::key(key)?;
        let version = condition.cast::<Version>().ok().map(|version| version.get().0);
        if version.is_none() && !condition.is_callable() {
            let given = arguments::type_name(condition);
            return Err(PyTypeError::new_err(format!("condition must be a Version or callable, not {given}")));
        }
        let mut value = self.weighed(key, text, value, weight)?;
        let replaced = loop {
            let expected = if let Some(version) = version {
                version
            } else {
                let old = self.native().peek(text);
                settle(py);
                let Some(old) = old else { break None };
                if !call(condition, [&old.value.reference.into_bound(py)])?.is_truthy()? {
                    break None;
                }
                old.version
            };
            match self.put_if_is(key, text, expected, value)? {
                Ok(stored) => return Ok(Some(stored.into())),
                Err(unused) if version.is_none() => value = unused,
                Err(unused) => {
                    value = unused;
                    break None;
                }
            }
            py.check_signals()?;
        };
        drop(value);
        settle(py);
        Ok(replaced)
    }

    /// ``update(key, function)`` replaces the key's fragment by what the function makes of its value.
    ///
    /// Atomic: what is replaced is the value that the function was given. Where another call replaces the fragment meanwhile, the function runs again. So it may run several
    /// times. It runs outside of every step, so it may use the store. Raises ``KeyError`` if the key is absent, as ``store``, and whatever the function
    /// raises; nothing is changed then.
    ///
    /// ``update(mapping)``, ``update(pairs)`` and ``update(key=value)`` store each fragment for itself, as those of other mappings do. This is not atomic as a whole.
    #[pyo3(signature = (*args, **kwargs), text_signature = "(self, /, *args, **kwargs)")]
    fn update(&self, args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Option<Stored>> {
        match args.len() {
            0 => self.update_from(None, kwargs).map(|()| None),
            1 => self.update_from(Some(&args.get_item(0)?), kwargs).map(|()| None),
            2 => {
                let (key, function) = (args.get_item(0)?, args.get_item(1)?);
                if !key.is_instance_of::<PyString>() || !function.is_callable() {
                    return Err(PyTypeError::new_err("update takes a key and a function, or a mapping, or pairs"));
                }
                let mut weight = None;
                for (name, given) in kwargs.into_iter().flatten() {
                    if name.cast::<PyString>()?.to_string_lossy() != "weight" {
                        let message = format!("update of a key got an unexpected keyword argument {}", name.repr()?);
                        return Err(PyTypeError::new_err(message));
                    }
                    weight = if given.is_none() { None } else { Some(given) };
                }
                self.update_by(&key, &function, weight.as_ref()).map(Some)
            }
            given => Err(PyTypeError::new_err(format!("update takes at most 2 positional arguments, not {given}"))),
        }
    }

    /// The key's value, which this uses. If the key has none, stores what ``make()`` returns, and returns that.
    ///
    /// The first that stores wins: if another call stores the key while ``make`` runs, the other's value is returned. Raises as ``store``, and whatever ``make``
    /// raises; nothing is changed then.
    #[pyo3(signature = (key, make, *, weight=None))]
    fn get_or_store_with<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        make: &Bound<'py, PyAny>,
        weight: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let found = self.find(key)?;
        match found {
            Some(found) => Ok(found),
            None => self.get_or_store(key, call(make, [])?, weight),
        }
    }

    /// The key's value, which this uses. If the key has none, stores ``default``, and returns it. Atomic. Raises as ``store``.
    #[pyo3(signature = (key, default=None, *, weight=None))]
    fn setdefault<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
        weight: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self.find(key)? {
            Some(found) => Ok(found),
            None => self.get_or_store(key, default.unwrap_or_else(|| key.py().None().into_bound(key.py())), weight),
        }
    }

    /// As ``store``.
    fn __setitem__(&self, key: &Bound<'_, PyAny>, value: Bound<'_, PyAny>) -> PyResult<()> {
        self.put_alone(key, value)
    }
}

impl TierStore {
    /// Stores what the key was not found to have, unless it has something by now.
    fn get_or_store<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        made: Bound<'py, PyAny>,
        weight: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let text = arguments::key(key)?;
        let mut value = self.weighed(key, text, made.clone(), weight)?;
        loop {
            match self.put_if_absent(key, text, value)? {
                Ok(_) => return Ok(made),
                Err(unused) => value = unused,
            }
            if let Some(found) = self.find(key)? {
                drop(value);
                settle(key.py());
                return Ok(found);
            }
            // It has gone again.
            key.py().check_signals()?;
        }
    }
}
