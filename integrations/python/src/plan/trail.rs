//! Where changes stand in a plan.

use std::collections::HashMap;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyRange;
use tierstack::{ChangesetId, EventKind};

use super::change::Change;
use crate::fragment::hash;
use crate::imports;

/// Changes of a snapshot, each copied once, however many speak of it.
#[derive(Default)]
pub struct Copies(HashMap<u64, Arc<tierstack::Change>>);

impl Copies {
    pub fn record(&mut self, record: tierstack::Record<'_, tierstack::Change>) -> Record {
        let sequence = record.sequence.number();
        let change = self.0.entry(sequence).or_insert_with(|| Arc::new(record.change.clone()));
        Record { sequence, changeset: record.changeset, change: Arc::clone(change) }
    }
}

/// A change in a snapshot, and where it stands.
#[pyclass(frozen, eq, immutable_type, module = "tierstack")]
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    pub sequence: u64,
    pub changeset: ChangesetId,
    pub change: Arc<tierstack::Change>,
}

impl Record {
    pub fn new(record: tierstack::Record<'_, tierstack::Change>) -> Self {
        let change = Arc::new(record.change.clone());
        Self { sequence: record.sequence.number(), changeset: record.changeset, change }
    }

    fn change_repr(change: &Arc<tierstack::Change>, py: Python<'_>) -> PyResult<String> {
        Ok(Change(Arc::clone(change)).into_pyobject(py)?.repr()?.to_string_lossy().into_owned())
    }
}

#[pymethods]
impl Record {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str) {
        ("sequence", "changeset", "change")
    }

    /// Its place in the plan's order.
    #[getter]
    fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Which changeset it is in.
    #[getter]
    fn changeset(&self) -> String {
        self.changeset.to_string()
    }

    /// The change.
    #[getter]
    fn change(&self) -> Change {
        Change(Arc::clone(&self.change))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let change = Self::change_repr(&self.change, py)?;
        Ok(format!("Record(sequence={}, changeset='{}', change={change})", self.sequence, self.changeset))
    }

    fn __hash__(&self) -> u64 {
        hash(&(self.sequence, self.changeset, &self.change.path))
    }
}

/// Something that happened in a plan. What does not apply to its kind is ``None``.
#[pyclass(frozen, eq, immutable_type, module = "tierstack")]
#[derive(PartialEq, Eq)]
pub struct Event {
    sequence: u64,
    kind: EventKind<Arc<tierstack::Change>>,
}

impl Event {
    pub fn new(event: tierstack::Event<&tierstack::Change>) -> Self {
        let kind = match event.kind {
            EventKind::Started { changeset } => EventKind::Started { changeset },
            EventKind::Recorded { changeset, change } => {
                EventKind::Recorded { changeset, change: Arc::new(change.clone()) }
            }
            EventKind::Closed { changeset } => EventKind::Closed { changeset },
            EventKind::Aborted { changeset } => EventKind::Aborted { changeset },
            EventKind::RolledBack { to } => EventKind::RolledBack { to },
        };
        Self { sequence: event.sequence.number(), kind }
    }
}

#[pymethods]
impl Event {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str, &'static str, &'static str) {
        ("sequence", "kind", "changeset", "change", "to")
    }

    /// Its place in the plan's order.
    #[getter]
    fn sequence(&self) -> u64 {
        self.sequence
    }

    /// What happened.
    #[getter]
    fn kind(&self, py: Python<'_>) -> Py<PyAny> {
        imports::kind(py, &self.kind)
    }

    /// The changeset that was started, recorded into, closed or aborted.
    #[getter]
    fn changeset(&self) -> Option<String> {
        match &self.kind {
            EventKind::Started { changeset }
            | EventKind::Recorded { changeset, .. }
            | EventKind::Closed { changeset }
            | EventKind::Aborted { changeset } => Some(changeset.to_string()),
            EventKind::RolledBack { .. } => None,
        }
    }

    /// What was recorded.
    #[getter]
    fn change(&self) -> Option<Change> {
        match &self.kind {
            EventKind::Recorded { change, .. } => Some(Change(Arc::clone(change))),
            _ => None,
        }
    }

    /// For a roll-back: everything after this sequence number was undone.
    #[getter]
    fn to(&self) -> Option<u64> {
        match &self.kind {
            EventKind::RolledBack { to } => Some(to.number()),
            _ => None,
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let kind = imports::kind(py, &self.kind).bind(py).getattr("name")?;
        let mut repr = format!("Event(sequence={}, kind=EventKind.{kind}", self.sequence);
        if let Some(changeset) = self.changeset() {
            repr += &format!(", changeset='{changeset}'");
        }
        if let EventKind::Recorded { change, .. } = &self.kind {
            repr += &format!(", change={}", Record::change_repr(change, py)?);
        }
        if let Some(to) = self.to() {
            repr += &format!(", to={to}");
        }
        Ok(repr + ")")
    }

    fn __hash__(&self) -> u64 {
        hash(&(self.sequence, core::mem::discriminant(&self.kind)))
    }
}

/// Where a call recorded a change.
#[pyclass(frozen, eq, hash, immutable_type, module = "tierstack")]
#[derive(PartialEq, Eq, Hash)]
pub struct Recorded(pub tierstack::Recorded);

#[pymethods]
impl Recorded {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str) {
        ("changeset", "sequence")
    }

    /// The changeset that it is in.
    #[getter]
    fn changeset(&self) -> String {
        self.0.changeset.to_string()
    }

    /// Its place in the plan's order.
    #[getter]
    fn sequence(&self) -> u64 {
        self.0.sequence.number()
    }

    fn __repr__(&self) -> String {
        format!("Recorded(changeset='{}', sequence={})", self.0.changeset, self.0.sequence)
    }
}

/// Where a call recorded several changes at once.
#[pyclass(frozen, eq, hash, immutable_type, module = "tierstack")]
#[derive(PartialEq, Eq, Hash)]
pub struct RecordedAll(pub tierstack::RecordedAll);

#[pymethods]
impl RecordedAll {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str) {
        ("changeset", "last", "count")
    }

    /// The changeset that they are in.
    #[getter]
    fn changeset(&self) -> String {
        self.0.changeset.to_string()
    }

    /// The sequence number of the last. If there was none to record, that of the last event before.
    #[getter]
    fn last(&self) -> u64 {
        self.0.last.number()
    }

    /// How many they are.
    #[getter]
    fn count(&self) -> usize {
        self.0.len
    }

    /// Their sequence numbers, in their order.
    #[getter]
    fn sequences<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyRange>> {
        let end = isize::try_from(self.0.last.number() + 1)?;
        PyRange::new(py, end - isize::try_from(self.0.len)?, end)
    }

    fn __repr__(&self) -> String {
        let tierstack::RecordedAll { changeset, last, len } = self.0;
        format!("RecordedAll(changeset='{changeset}', last={last}, count={len})")
    }
}
