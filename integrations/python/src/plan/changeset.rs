//! Handles of changesets, and what a `with` block does.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use tierstack::{ChangesetHandle, ChangesetId, Sequence};

use super::context::{PlanContext, Refusing, changes, native};
use super::trail::{Recorded, RecordedAll};
use crate::arguments::type_name;
use crate::fragment::hash;
use crate::imports;
use crate::refusals::{Refused, not_open, not_recorded};

type Handle = ChangesetHandle<tierstack::Change>;

/// Closes a changeset, or aborts it where the block has raised. What has been done already, or was rolled back, is left.
fn end(handle: &Handle, error: &Bound<'_, PyAny>) {
    // Not open: by the block's own doing, or by another's. The block has nothing to add to it.
    let _ended = if error.is_none() { handle.close() } else { handle.abort() };
}

/// A handle to a changeset of a plan, to record into from any thread. It cannot be pickled.
///
/// As a context manager it closes the changeset at the end of the block, and aborts it if the block raises. If that has been done already, or the changeset
/// was rolled back, it does nothing.
#[pyclass(frozen, immutable_type, weakref, module = "tierstack")]
pub struct Changeset {
    pub handle: Handle,
    pub plan: Py<PlanContext>,
}

impl Changeset {
    pub fn id(&self) -> ChangesetId {
        self.handle.id()
    }
}

#[pymethods]
impl Changeset {
    /// Its id, such as ``"changeset-1"``.
    #[getter(id)]
    fn name(&self) -> String {
        self.handle.id().to_string()
    }

    /// Its plan.
    #[getter]
    fn plan(&self, py: Python<'_>) -> Py<PlanContext> {
        self.plan.clone_ref(py)
    }

    /// Records a change. Raises ``NotOpenError``, which holds the change, if the changeset is closed, aborted or rolled back. Atomic.
    fn record(&self, change: &Bound<'_, PyAny>) -> PyResult<Recorded> {
        let recorded = self.handle.record(native("change", change)?);
        recorded.map(Recorded).map_err(|error| not_recorded(change.py(), error.reason, Refused::Change(change)))
    }

    /// Records changes, one right after the other, all or none. Raises as ``record``; the exception holds all. Atomic.
    fn record_all(&self, changes: &Bound<'_, PyAny>) -> PyResult<RecordedAll> {
        let (natives, all) = self::changes(changes)?;
        self.handle.record_all(natives).map(RecordedAll).refusing(&all)
    }

    /// Closes the changeset: see ``PlanContext.close``.
    fn close(&self, py: Python<'_>) -> PyResult<u64> {
        let closed = self.handle.close();
        closed.map(Sequence::number).map_err(|reason| not_open(py, reason, Refused::Nothing))
    }

    /// Aborts the changeset: see ``PlanContext.abort``.
    fn abort(&self, py: Python<'_>) -> PyResult<u64> {
        let aborted = self.handle.abort();
        aborted.map(Sequence::number).map_err(|reason| not_open(py, reason, Refused::Nothing))
    }

    /// What has become of it.
    fn status(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.handle.plan().status(self.handle.id()).map(|status| imports::status(py, status))
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(&self, kind: &Bound<'_, PyAny>, _error: &Bound<'_, PyAny>, _traceback: &Bound<'_, PyAny>) {
        end(&self.handle, kind);
    }

    fn __eq__(&self, other: PyRef<'_, Self>) -> bool {
        self.plan.is(&other.plan) && self.handle.id() == other.handle.id()
    }

    fn __hash__(&self) -> u64 {
        hash(&(self.plan.as_ptr() as usize, self.handle.id()))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let status = self.status(py).map(|status| status.bind(py).str()).transpose()?;
        let status = status.map_or_else(String::new, |status| status.to_string());
        Ok(format!("<tierstack.Changeset '{}', {status}>", self.handle.id()))
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("cannot pickle or copy a Changeset: it is a handle to its plan"))
    }
}

/// What ``PlanContext.changeset`` returns: a context manager that can be entered once.
#[pyclass(frozen, immutable_type, module = "tierstack")]
pub struct ChangesetScope {
    plan: Py<PlanContext>,
    is_entered: AtomicBool,
    started: OnceLock<Handle>,
}

impl ChangesetScope {
    pub fn new(plan: Py<PlanContext>) -> Self {
        Self { plan, is_entered: AtomicBool::new(false), started: OnceLock::new() }
    }
}

#[pymethods]
impl ChangesetScope {
    fn __enter__(&self, py: Python<'_>) -> PyResult<Changeset> {
        // Relaxed: only that one is first.
        if self.is_entered.swap(true, Ordering::Relaxed) {
            return Err(PyRuntimeError::new_err("a changeset's context manager can be entered once"));
        }
        let handle = self.plan.get().0.start_changeset();
        let handle = self.started.get_or_init(|| handle).clone();
        Ok(Changeset { handle, plan: self.plan.clone_ref(py) })
    }

    fn __exit__(
        &self,
        kind: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let not_entered = || PyRuntimeError::new_err("the context manager was not entered");
        end(self.started.get().ok_or_else(not_entered)?, kind);
        Ok(())
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("cannot pickle or copy a ChangesetScope: it is a handle to its plan"))
    }
}

/// The id that a caller has named: by a text, or by a handle.
pub enum Named<'a> {
    Id(ChangesetId),
    /// No changeset has such a name.
    Nobody(&'a str),
}

pub fn named<'a>(name: &'a Bound<'_, PyAny>, plan: &Bound<'_, PlanContext>) -> PyResult<Named<'a>> {
    if let Ok(changeset) = name.cast::<Changeset>() {
        if !changeset.get().plan.is(plan) {
            return Err(pyo3::exceptions::PyValueError::new_err("the changeset is of another plan"));
        }
        return Ok(Named::Id(changeset.get().id()));
    }
    let Ok(text) = name.cast::<pyo3::types::PyString>() else {
        let given = type_name(name);
        return Err(PyTypeError::new_err(format!("changeset must be a str or a Changeset, not {given}")));
    };
    let text = text.to_str()?;
    Ok(text.parse().map_or(Named::Nobody(text), Named::Id))
}
