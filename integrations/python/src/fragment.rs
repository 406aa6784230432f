//! What a store answers: frozen Python objects.
//!
//! Those that hold values take part in garbage collection. They cannot be cleared, as tuples cannot: they never change, so that each cycle has something in it that does.

use core::hash::{Hash, Hasher};
use std::hash::DefaultHasher;
use std::sync::Arc;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyString;
use tierstack::{Cause, Tier};

use crate::dropped::{Held, Reference};
use crate::imports;
use crate::value::Value;

/// Names what one ``store`` has stored, for as long as the process runs.
#[pyclass(frozen, eq, hash, immutable_type, module = "tierstack")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version(pub tierstack::Version);

#[pymethods]
impl Version {
    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

pub fn name(tier: Tier) -> &'static str {
    match tier {
        Tier::Hot => "Tier.HOT",
        Tier::Warm => "Tier.WARM",
        Tier::Cold => "Tier.COLD",
    }
}

pub fn boolean(is: bool) -> &'static str {
    if is { "True" } else { "False" }
}

/// The representation of a value. May run Python code.
fn repr(value: &Reference, py: Python<'_>) -> PyResult<String> {
    Ok(value.bind(py).repr()?.to_string_lossy().into_owned())
}

fn key_repr(key: &str, py: Python<'_>) -> PyResult<String> {
    Ok(PyString::new(py, key).repr()?.to_string_lossy().into_owned())
}

/// Whether two values are equal, as the members of tuples are: the same object is. May run Python code.
fn are_equal(one: &Reference, other: &Reference, py: Python<'_>) -> PyResult<bool> {
    let (one, other) = (one.bind(py), other.bind(py));
    if one.is(other) { Ok(true) } else { one.eq(other) }
}

/// A fragment as it was read, or as it was handed back.
#[pyclass(frozen, generic, immutable_type, module = "tierstack")]
pub struct Fragment {
    value: Held,
    tier: Tier,
    /// Its weight.
    #[pyo3(get)]
    weight: u64,
    /// Whether it was kept there.
    #[pyo3(get)]
    kept: bool,
    /// Names this value of the key: a replacement has another.
    #[pyo3(get)]
    version: Version,
}

impl From<tierstack::Fragment<Value>> for Fragment {
    fn from(fragment: tierstack::Fragment<Value>) -> Self {
        let tierstack::Fragment { value, tier, kept, weight, version } = fragment;
        Self { value: value.reference.into(), tier, weight, kept, version: Version(version) }
    }
}

#[pymethods]
impl Fragment {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str, &'static str, &'static str) {
        ("value", "tier", "weight", "kept", "version")
    }

    /// The value.
    #[getter]
    fn value(&self, py: Python<'_>) -> Py<PyAny> {
        self.value.as_py().clone_ref(py)
    }

    /// The tier that it stood in.
    #[getter]
    fn tier(&self, py: Python<'_>) -> Py<PyAny> {
        imports::tier(py, self.tier)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let value = repr(&self.value, py)?;
        let (tier, weight, kept) = (name(self.tier), self.weight, boolean(self.kept));
        Ok(format!("Fragment(value={value}, tier={tier}, weight={weight}, kept={kept}, version={:?})", self.version.0))
    }

    fn __eq__(&self, other: PyRef<'_, Self>, py: Python<'_>) -> PyResult<bool> {
        let rest = |it: &Self| (it.tier, it.weight, it.kept, it.version);
        Ok(rest(self) == rest(&other) && are_equal(&self.value, &other.value, py)?)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.value.as_py())
    }
}

/// A fragment of a list, with its key.
#[pyclass(frozen, generic, immutable_type, module = "tierstack")]
pub struct Item {
    key: Arc<str>,
    value: Held,
    tier: Tier,
    /// Its weight.
    #[pyo3(get)]
    weight: u64,
    /// Whether it was kept.
    #[pyo3(get)]
    kept: bool,
    /// Names this value of the key: a replacement has another.
    #[pyo3(get)]
    version: Version,
}

impl Item {
    pub fn new(tier: Tier, item: tierstack::Item<Arc<str>, Value>) -> Self {
        let tierstack::Item { key, value, weight, kept, version } = item;
        Self { key, value: value.reference.into(), tier, weight, kept, version: Version(version) }
    }
}

#[pymethods]
impl Item {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str) {
        ("key", "value", "tier", "weight", "kept", "version")
    }

    /// Its key.
    #[getter]
    fn key(&self) -> &str {
        &self.key
    }

    /// Its value.
    #[getter]
    fn value(&self, py: Python<'_>) -> Py<PyAny> {
        self.value.as_py().clone_ref(py)
    }

    /// The tier that it stood in.
    #[getter]
    fn tier(&self, py: Python<'_>) -> Py<PyAny> {
        imports::tier(py, self.tier)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (key, value) = (key_repr(&self.key, py)?, repr(&self.value, py)?);
        let (tier, weight, kept, version) = (name(self.tier), self.weight, boolean(self.kept), self.version.0);
        Ok(format!("Item(key={key}, value={value}, tier={tier}, weight={weight}, kept={kept}, version={version:?})"))
    }

    fn __eq__(&self, other: PyRef<'_, Self>, py: Python<'_>) -> PyResult<bool> {
        let rest = |it: &Self| (it.tier, it.weight, it.kept, it.version);
        let is_rest_equal = rest(self) == rest(&other) && self.key == other.key;
        Ok(is_rest_equal && are_equal(&self.value, &other.value, py)?)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.value.as_py())
    }
}

/// What a ``store`` did.
#[pyclass(frozen, generic, immutable_type, module = "tierstack")]
pub struct Stored {
    tier: Tier,
    replaced: Option<Held>,
    /// Whether it went to warm only because calls in flight held the room that it needed.
    #[pyo3(get)]
    contended: bool,
    /// Whether it went to warm because kept fragments held the room that it needed.
    #[pyo3(get)]
    kept_out: bool,
    /// Whether it is kept, as what it replaced was.
    #[pyo3(get)]
    kept: bool,
    /// Names what was stored.
    #[pyo3(get)]
    version: Version,
}

impl From<tierstack::Stored<Value>> for Stored {
    fn from(stored: tierstack::Stored<Value>) -> Self {
        let tierstack::Stored { tier, version, replaced, contended, kept_out, kept } = stored;
        Self {
            tier,
            replaced: replaced.map(|value| value.reference.into()),
            contended,
            kept_out,
            kept,
            version: Version(version),
        }
    }
}

#[pymethods]
impl Stored {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str) {
        ("tier", "replaced", "contended", "kept_out", "kept", "version")
    }

    /// The tier in which the fragment took effect: hot or warm.
    #[getter]
    fn tier(&self, py: Python<'_>) -> Py<PyAny> {
        imports::tier(py, self.tier)
    }

    /// The value that it replaced. ``None`` if it replaced none, or replaced a ``None``: see ``has_replaced``.
    #[getter]
    fn replaced(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.replaced.as_ref().map(|value| value.as_py().clone_ref(py))
    }

    /// Whether it replaced a fragment.
    #[getter]
    fn has_replaced(&self) -> bool {
        self.replaced.is_some()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let replaced = self.replaced.as_ref().map(|value| repr(value, py)).transpose()?;
        let [contended, kept_out, kept] = [self.contended, self.kept_out, self.kept].map(boolean);
        Ok(format!(
            "Stored(tier={}, replaced={}, contended={contended}, kept_out={kept_out}, kept={kept}, version={:?})",
            name(self.tier),
            replaced.as_deref().unwrap_or("None"),
            self.version.0
        ))
    }

    fn __eq__(&self, other: PyRef<'_, Self>, py: Python<'_>) -> PyResult<bool> {
        let rest = |it: &Self| (it.tier, it.contended, it.kept_out, it.kept, it.version);
        Ok(rest(self) == rest(&other)
            && match (&self.replaced, &other.replaced) {
                (Some(one), Some(other)) => are_equal(one, other, py)?,
                (one, other) => one.is_none() && other.is_none(),
            })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.replaced.as_ref().map(|value| value.as_py()))
    }
}

/// A fragment that an eviction moved down, or out.
#[pyclass(frozen, generic, immutable_type, module = "tierstack")]
pub struct Evicted {
    key: Arc<str>,
    value: Held,
    /// Its weight.
    #[pyo3(get)]
    weight: u64,
    from: Tier,
    to: Option<Tier>,
}

impl From<tierstack::Evicted<Arc<str>, Value>> for Evicted {
    fn from(evicted: tierstack::Evicted<Arc<str>, Value>) -> Self {
        let tierstack::Evicted { key, value, weight, from, to } = evicted;
        Self { key, value: value.reference.into(), weight, from, to }
    }
}

#[pymethods]
impl Evicted {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str, &'static str, &'static str) {
        ("key", "value", "weight", "from_tier", "to_tier")
    }

    /// Its key.
    #[getter]
    fn key(&self) -> &str {
        &self.key
    }

    /// Its value.
    #[getter]
    fn value(&self, py: Python<'_>) -> Py<PyAny> {
        self.value.as_py().clone_ref(py)
    }

    /// The tier that it stood in.
    #[getter]
    fn from_tier(&self, py: Python<'_>) -> Py<PyAny> {
        imports::tier(py, self.from)
    }

    /// The tier that it stands in now. ``None`` if it left the store.
    #[getter]
    fn to_tier(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.to.map(|tier| imports::tier(py, tier))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (key, value, weight) = (key_repr(&self.key, py)?, repr(&self.value, py)?, self.weight);
        let (from, to) = (name(self.from), self.to.map_or("None", name));
        Ok(format!("Evicted(key={key}, value={value}, weight={weight}, from_tier={from}, to_tier={to})"))
    }

    fn __eq__(&self, other: PyRef<'_, Self>, py: Python<'_>) -> PyResult<bool> {
        let rest = |it: &Self| (it.weight, it.from, it.to);
        let is_rest_equal = rest(self) == rest(&other) && self.key == other.key;
        Ok(is_rest_equal && are_equal(&self.value, &other.value, py)?)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.value.as_py())
    }
}

/// A fragment that has left the store: what ``on_departure`` is called with.
///
/// By the time of the call another ``store`` may have put the key back. So do not delete, in the listener, what belongs to the *key*. Name such things after
/// the ``version`` instead: no other fragment has the same.
#[pyclass(frozen, generic, immutable_type, module = "tierstack")]
pub struct Departure {
    pub key: Arc<str>,
    pub value: Held,
    pub cause: Cause,
    pub tier: Tier,
    /// Its weight.
    #[pyo3(get)]
    pub weight: u64,
    /// Names this value of the key, as when it was stored.
    #[pyo3(get)]
    pub version: Version,
}

#[pymethods]
impl Departure {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str) {
        ("key", "value", "cause", "tier", "weight", "version")
    }

    /// Its key.
    #[getter]
    fn key(&self) -> &str {
        &self.key
    }

    /// Its value.
    #[getter]
    fn value(&self, py: Python<'_>) -> Py<PyAny> {
        self.value.as_py().clone_ref(py)
    }

    /// Why it has left.
    #[getter]
    fn cause(&self, py: Python<'_>) -> Py<PyAny> {
        imports::cause(py, self.cause)
    }

    /// The tier that it stood in.
    #[getter]
    fn tier(&self, py: Python<'_>) -> Py<PyAny> {
        imports::tier(py, self.tier)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (key, value) = (key_repr(&self.key, py)?, repr(&self.value, py)?);
        let cause = format!("{:?}", self.cause).to_uppercase();
        let (tier, weight, version) = (name(self.tier), self.weight, self.version.0);
        Ok(format!(
            "Departure(key={key}, value={value}, cause=Cause.{cause}, tier={tier}, weight={weight}, version={version:?})"
        ))
    }

    fn __eq__(&self, other: PyRef<'_, Self>, py: Python<'_>) -> PyResult<bool> {
        let rest = |it: &Self| (it.cause, it.tier, it.weight, it.version);
        let is_rest_equal = rest(self) == rest(&other) && self.key == other.key;
        Ok(is_rest_equal && are_equal(&self.value, &other.value, py)?)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.value.as_py())
    }
}

/// A hash, as Python wants one.
pub fn hash(it: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    it.hash(&mut hasher);
    hasher.finish()
}
