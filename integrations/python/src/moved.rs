//! What moves and keeps answer: frozen Python objects without values.

use pyo3::prelude::*;

use crate::fragment::{boolean, hash, name};
use crate::imports;

/// A move from one tier to another. Equal tiers mean that the fragment stayed.
#[pyclass(frozen, eq, immutable_type, module = "tierstack")]
#[derive(PartialEq, Eq)]
pub struct Moved(pub tierstack::Moved);

#[pymethods]
impl Moved {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str) {
        ("from_tier", "to_tier")
    }

    /// The tier that it stood in.
    #[getter]
    fn from_tier(&self, py: Python<'_>) -> Py<PyAny> {
        imports::tier(py, self.0.from)
    }

    /// The tier that it stands in now.
    #[getter]
    fn to_tier(&self, py: Python<'_>) -> Py<PyAny> {
        imports::tier(py, self.0.to)
    }

    fn __repr__(&self) -> String {
        format!("Moved(from_tier={}, to_tier={})", name(self.0.from), name(self.0.to))
    }

    fn __hash__(&self) -> u64 {
        hash(&(self.0.from, self.0.to))
    }
}

/// A fragment that is kept now, or let go.
#[pyclass(frozen, eq, immutable_type, module = "tierstack")]
#[derive(PartialEq, Eq)]
pub struct Kept(pub tierstack::Kept);

#[pymethods]
impl Kept {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str) {
        ("tier", "was_kept")
    }

    /// The tier that it stands in.
    #[getter]
    fn tier(&self, py: Python<'_>) -> Py<PyAny> {
        imports::tier(py, self.0.tier)
    }

    /// Whether it was kept before.
    #[getter]
    fn was_kept(&self) -> bool {
        self.0.was_kept
    }

    fn __repr__(&self) -> String {
        format!("Kept(tier={}, was_kept={})", name(self.0.tier), boolean(self.0.was_kept))
    }

    fn __hash__(&self) -> u64 {
        hash(&(self.0.tier, self.0.was_kept))
    }
}

/// What a change of the hot budget, or a look at it, came to.
#[pyclass(frozen, eq, immutable_type, module = "tierstack")]
#[derive(PartialEq, Eq)]
pub struct Enforced(pub tierstack::Enforced);

#[pymethods]
impl Enforced {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str) {
        ("demoted", "kept_over")
    }

    /// How many fragments were demoted.
    #[getter]
    fn demoted(&self) -> usize {
        self.0.demoted
    }

    /// By how much the kept fragments alone are over the budget. Those stay.
    #[getter]
    fn kept_over(&self) -> u64 {
        self.0.kept_over
    }

    fn __repr__(&self) -> String {
        format!("Enforced(demoted={}, kept_over={})", self.0.demoted, self.0.kept_over)
    }

    fn __hash__(&self) -> u64 {
        hash(&(self.0.demoted, self.0.kept_over))
    }
}
