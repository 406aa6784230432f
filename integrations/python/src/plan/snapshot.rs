//! A plan's snapshot.

use std::sync::Arc;

use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;
use tierstack::{ChangesetId, ChangesetView, Status};

use super::review::{self, Conflict, Diff, StaleBase};
use super::trail::{Event, Record};
use crate::arguments::type_name;
use crate::{detach_if, imports};

pub type Native = tierstack::Snapshot<tierstack::Change>;

/// From so many events on it is worth it to let others have the interpreter meanwhile.
const MANY: u64 = 300;
/// So many bytes of JSON are many events.
const LONG: usize = 30_000;

pub fn active_ids(snapshot: &Native) -> Vec<String> {
    let is_open = |changeset: &ChangesetView<'_, _>| changeset.status() == Status::Open;
    snapshot.changesets().filter(is_open).map(|changeset| changeset.id().to_string()).collect()
}

/// A plan as it was at one instant. It never changes. It cannot be pickled: see ``to_json``, or pickle the plan.
#[pyclass(frozen, immutable_type, weakref, module = "tierstack")]
pub struct PlanSnapshot(pub Arc<Native>);

impl PlanSnapshot {
    /// Does what may take long.
    fn work<R>(&self, py: Python<'_>, work: impl FnOnce(&Arc<Native>) -> R) -> R {
        // SAFETY: a plan has no Python objects.
        unsafe { detach_if(py, self.0.sequence().number() >= MANY, || work(&self.0)) }
    }

    fn id(changeset: &Bound<'_, PyAny>) -> PyResult<Option<ChangesetId>> {
        let Ok(text) = changeset.cast::<PyString>() else {
            let given = type_name(changeset);
            return Err(PyTypeError::new_err(format!("changeset must be a str, not {given}")));
        };
        Ok(text.to_str()?.parse().ok())
    }

    /// The id of a changeset that had been started.
    fn started_id(&self, changeset: &Bound<'_, PyAny>) -> PyResult<ChangesetId> {
        let id = Self::id(changeset)?.filter(|id| self.0.changeset(*id).is_some());
        id.ok_or_else(|| PyKeyError::new_err((changeset.clone().unbind(),)))
    }
}

#[pymethods]
impl PlanSnapshot {
    /// The sequence number of the last event before it.
    #[getter]
    fn sequence(&self) -> u64 {
        self.0.sequence().number()
    }

    /// The id of the changeset that was on top.
    #[getter]
    fn current(&self) -> Option<String> {
        self.0.current().map(|id| id.to_string())
    }

    /// How many changesets had been started, whatever has become of them.
    #[getter]
    fn started(&self) -> u64 {
        self.0.started()
    }

    /// The ids of all changesets that had been started, in order.
    fn changeset_ids(&self) -> Vec<String> {
        self.0.changesets().map(|changeset| changeset.id().to_string()).collect()
    }

    /// The ids of those that were open, from the bottom of the stack to the top.
    fn active_ids(&self) -> Vec<String> {
        active_ids(&self.0)
    }

    /// What had become of a changeset. ``None`` if none with that id had been started.
    fn status(&self, changeset: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
        let found = Self::id(changeset)?.and_then(|id| self.0.changeset(id));
        Ok(found.map(|found| imports::status(changeset.py(), found.status())))
    }

    /// The changes in force, in the plan's order. Or those of one changeset, also if it was aborted. Raises ``KeyError`` for an unknown one.
    #[pyo3(signature = (changeset=None))]
    fn changes(&self, py: Python<'_>, changeset: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<Record>> {
        let id = changeset.map(|changeset| self.started_id(changeset)).transpose()?;
        Ok(self.work(py, |snapshot| match id.and_then(|id| snapshot.changeset(id)) {
            Some(changeset) => changeset.changes().map(Record::new).collect(),
            None => snapshot.changes().map(Record::new).collect(),
        }))
    }

    /// Everything that had happened, in order. What was aborted or rolled back is there, too.
    fn audit(&self, py: Python<'_>) -> Vec<Event> {
        self.work(py, |snapshot| snapshot.audit().map(Event::new).collect())
    }

    /// What the changes in force come to, or those of one changeset. O(n log n). Raises ``KeyError`` for an unknown changeset.
    #[pyo3(signature = (changeset=None))]
    fn diff(&self, py: Python<'_>, changeset: Option<&Bound<'_, PyAny>>) -> PyResult<Diff> {
        let id = changeset.map(|changeset| self.started_id(changeset)).transpose()?;
        let shown = self.work(py, |snapshot| {
            review::shown(
                &match id.and_then(|id| snapshot.changeset(id)) {
                    Some(changeset) => changeset.diff(),
                    None => snapshot.diff(),
                },
                snapshot,
            )
        });
        shown.into_object(py)
    }

    /// Where changesets that were open at the same time touched the same path, or one a path and another a path beneath it. O(n log n).
    fn conflicts(&self, py: Python<'_>) -> PyResult<Vec<Py<Conflict>>> {
        review::conflicts(py, self.work(py, |snapshot| review::shown_conflicts(&snapshot.conflicts(), snapshot)))
    }

    /// The changes that were made of something else than what stood there, as the changes before them say. O(n log n).
    fn stale_bases(&self, py: Python<'_>) -> Vec<StaleBase> {
        self.work(py, |snapshot| review::shown_stale(&snapshot.stale_bases()))
    }

    /// The whole snapshot in the JSON of the Rust crate.
    pub fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        let written = self.work(py, |snapshot| serde_json::to_string(&**snapshot));
        written.map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// Reads what ``to_json`` has written. Raises ``ValueError`` for what does not hold together.
    #[staticmethod]
    fn from_json(text: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (py, text) = (text.py(), super::change::text("text", text)?);
        // SAFETY: a plan has no Python objects.
        let read = unsafe { detach_if(py, text.len() >= LONG, || serde_json::from_str::<Native>(&text)) };
        read.map(|snapshot| Self(Arc::new(snapshot)))
            .map_err(|error| PyValueError::new_err(format!("this is no snapshot of a plan: {error}")))
    }

    fn __repr__(&self) -> String {
        let (started, sequence) = (self.0.started(), self.0.sequence());
        format!("<tierstack.PlanSnapshot of {started} changesets and {sequence} events>")
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("cannot pickle or copy a PlanSnapshot: see to_json, or pickle the plan"))
    }
}
