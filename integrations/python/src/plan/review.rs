//! What a plan's changes come to.
//!
//! The crate's answers borrow from the snapshot. They are copied into what Python keeps, by threads that need not be attached, and made objects after that.

use std::sync::Arc;

use pyo3::PyClass;
use pyo3::prelude::*;
use pyo3::pyclass_init::PyClassInitializer;
use pyo3::types::PyTuple;
use tierstack::{ChangesetId, Content, Digest, NetOperation, Staleness};

use super::change::{content_object, digest_bytes, repr_of};
use super::snapshot::Native;
use super::trail::{Copies, Record};
use crate::imports;

/// A diff, copied.
pub struct Shown {
    changes: Vec<NetChange>,
    conflicts: Vec<ShownConflict>,
    stale: Vec<StaleBase>,
    json: String,
}

pub struct ShownConflict {
    path: String,
    sides: Vec<Side>,
    snapshot: Arc<Native>,
}

pub fn shown(diff: &tierstack::Diff<'_>, snapshot: &Arc<Native>) -> Shown {
    let mut copies = Copies::default();
    Shown {
        changes: diff.iter().map(|change| NetChange::new(change, &mut copies)).collect(),
        conflicts: shown_conflicts(diff.conflicts(), snapshot),
        stale: shown_stale(diff.stale_bases()),
        json: serde_json::to_string(diff).unwrap_or_default(),
    }
}

pub fn shown_conflicts(conflicts: &[tierstack::Conflict<'_>], snapshot: &Arc<Native>) -> Vec<ShownConflict> {
    let mut copies = Copies::default();
    let shown = conflicts.iter().map(|conflict| ShownConflict {
        path: conflict.path().to_owned(),
        sides: conflict.sides().iter().map(|side| Side::new(side, &mut copies)).collect(),
        snapshot: Arc::clone(snapshot),
    });
    shown.collect()
}

pub fn shown_stale(stale: &[tierstack::StaleBase<'_>]) -> Vec<StaleBase> {
    let mut copies = Copies::default();
    stale.iter().map(|stale| StaleBase::new(stale, &mut copies)).collect()
}

pub fn conflicts(py: Python<'_>, shown: Vec<ShownConflict>) -> PyResult<Vec<Py<Conflict>>> {
    shown.into_iter().map(|conflict| Py::new(py, Conflict::new(py, conflict)?)).collect()
}

fn objects<T: PyClass + Into<PyClassInitializer<T>>>(py: Python<'_>, shown: Vec<T>) -> PyResult<Py<PyTuple>> {
    let objects = shown.into_iter().map(|it| Py::new(py, it)).collect::<PyResult<Vec<_>>>()?;
    Ok(PyTuple::new(py, objects)?.unbind())
}

impl Shown {
    pub fn into_object(self, py: Python<'_>) -> PyResult<Diff> {
        Ok(Diff {
            changes: objects(py, self.changes)?,
            conflicts: PyTuple::new(py, conflicts(py, self.conflicts)?)?.unbind(),
            stale_bases: objects(py, self.stale)?,
            json: self.json,
        })
    }
}

/// What many changes come to, and what of them does not fit together.
///
/// To apply it, first take away all sources, then put all targets. Look at ``conflicts`` and ``stale_bases`` before that.
#[pyclass(frozen, immutable_type, module = "tierstack")]
pub struct Diff {
    changes: Py<PyTuple>,
    conflicts: Py<PyTuple>,
    stale_bases: Py<PyTuple>,
    json: String,
}

#[pymethods]
impl Diff {
    /// The net changes, sorted by path.
    #[getter]
    fn changes(&self, py: Python<'_>) -> Py<PyTuple> {
        self.changes.clone_ref(py)
    }

    /// The paths that parallel changesets touched, sorted by path.
    #[getter]
    fn conflicts(&self, py: Python<'_>) -> Py<PyTuple> {
        self.conflicts.clone_ref(py)
    }

    /// The changes that were made of something else than what stood there, in their order.
    #[getter]
    fn stale_bases(&self, py: Python<'_>) -> Py<PyTuple> {
        self.stale_bases.clone_ref(py)
    }

    /// The net change that puts a file at ``path``, or that deletes the one there.
    fn get<'py>(&self, path: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let text = super::change::text("path", path)?;
        let py = path.py();
        // A deletion comes before what was renamed to its path.
        let found = self
            .changes
            .bind(py)
            .iter()
            .filter(|change| change.cast::<NetChange>().is_ok_and(|change| change.get().path == text));
        Ok(found.last())
    }

    /// The diff in the JSON of the Rust crate.
    fn to_json(&self) -> &str {
        &self.json
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.changes.bind(py).len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.changes.bind(py).try_iter().map(Bound::into_any)
    }

    fn __eq__(&self, other: PyRef<'_, Self>, py: Python<'_>) -> PyResult<bool> {
        let all = |it: &Self| (it.changes.clone_ref(py), it.conflicts.clone_ref(py), it.stale_bases.clone_ref(py));
        all(self).into_pyobject(py)?.eq(all(&other).into_pyobject(py)?)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let [changes, conflicts, stale] =
            [&self.changes, &self.conflicts, &self.stale_bases].map(|tuple| tuple.bind(py).len());
        format!("<tierstack.Diff of {changes} changes, {conflicts} conflicts and {stale} stale bases>")
    }
}

/// What has become of one file: an entry of a ``Diff``.
#[pyclass(frozen, eq, immutable_type, module = "tierstack")]
#[derive(PartialEq, Eq)]
pub struct NetChange {
    path: String,
    /// The number of the operation, and where it is from.
    operation: usize,
    from: Option<String>,
    before: Option<Digest>,
    after: Option<Digest>,
    content: Option<Content>,
    last: Record,
    modifies: bool,
}

impl NetChange {
    fn new(change: &tierstack::NetChange<'_>, copies: &mut Copies) -> Self {
        let (operation, from) = match change.operation {
            NetOperation::Create => (0, None),
            NetOperation::Modify => (1, None),
            NetOperation::Delete => (2, None),
            NetOperation::Rename { from } => (3, Some(from.to_owned())),
        };
        Self {
            path: change.path.to_owned(),
            operation,
            from,
            before: change.before.cloned(),
            after: change.after.cloned(),
            content: change.content.cloned(),
            last: copies.record(change.last),
            modifies: change.modifies(),
        }
    }
}

#[pymethods]
impl NetChange {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str) {
        ("path", "operation")
    }

    /// The path of the file after; the path before, if it was deleted.
    #[getter]
    fn path(&self) -> &str {
        &self.path
    }

    /// What is to be done.
    #[getter]
    fn operation(&self, py: Python<'_>) -> Py<PyAny> {
        imports::operation(py, self.operation)
    }

    /// For a rename, the path at which the file stood before all changes.
    #[getter]
    fn from_path(&self) -> Option<&str> {
        self.from.as_deref()
    }

    /// The digest of its content before all changes, if one is known.
    #[getter]
    fn before<'py>(&self, py: Python<'py>) -> Option<Bound<'py, pyo3::types::PyBytes>> {
        digest_bytes(py, self.before.as_ref())
    }

    /// The digest of its content after all changes, if one is known.
    #[getter]
    fn after<'py>(&self, py: Python<'py>) -> Option<Bound<'py, pyo3::types::PyBytes>> {
        digest_bytes(py, self.after.as_ref())
    }

    /// What the last change of its content left there. ``None`` if it was recorded without, or if the content is the same.
    #[getter]
    fn content<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        content_object(py, self.content.as_ref())
    }

    /// The last record that had a part in it.
    #[getter]
    fn last(&self) -> Record {
        self.last.clone()
    }

    /// Whether the content at the path is another than the one that was taken from the source.
    #[getter]
    fn modifies(&self) -> bool {
        self.modifies
    }

    /// The path of the file that it takes away. ``None`` for a creation.
    #[getter]
    fn source(&self) -> Option<&str> {
        match self.operation {
            0 => None,
            3 => self.from.as_deref(),
            _ => Some(&self.path),
        }
    }

    /// The path at which it puts a file. ``None`` for a deletion.
    #[getter]
    fn target(&self) -> Option<&str> {
        (self.operation != 2).then_some(&*self.path)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let operation = imports::operation(py, self.operation).bind(py).getattr("name")?;
        let from = self.from.as_ref().map(|from| repr_of(py, from)).transpose()?;
        let from = from.map_or_else(String::new, |from| format!(", from_path={from}"));
        Ok(format!("NetChange({}, Operation.{operation}{from})", repr_of(py, &self.path)?))
    }
}

/// A path that parallel changesets touched.
#[pyclass(frozen, immutable_type, module = "tierstack")]
pub struct Conflict {
    path: String,
    sides: Py<PyTuple>,
    /// What it is of, to find the pairs in: they may be many.
    snapshot: Arc<Native>,
}

impl Conflict {
    fn new(py: Python<'_>, shown: ShownConflict) -> PyResult<Self> {
        let ShownConflict { path, sides, snapshot } = shown;
        Ok(Self { path, sides: objects(py, sides)?, snapshot })
    }
}

#[pymethods]
impl Conflict {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str) {
        ("path", "sides")
    }

    /// The path.
    #[getter]
    fn path(&self) -> &str {
        &self.path
    }

    /// The changesets that touched it, in the order in which they started.
    #[getter]
    fn sides(&self, py: Python<'_>) -> Py<PyTuple> {
        self.sides.clone_ref(py)
    }

    /// Whether a changeset is one of the sides.
    fn involves(&self, changeset: &Bound<'_, PyAny>) -> PyResult<bool> {
        let id = super::change::text("changeset", changeset)?.parse::<ChangesetId>().ok();
        let mut sides = self.sides.bind(changeset.py()).iter();
        Ok(sides.any(|side| side.cast::<Side>().is_ok_and(|side| Some(side.get().changeset) == id)))
    }

    /// The sides that were parallel to each other, of which at least one touched the path itself. O(n log n) in the plan, and the number of pairs.
    fn pairs<'py>(&self, py: Python<'py>) -> PyResult<Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        let work = || {
            let conflicts = self.snapshot.conflicts();
            let Some(conflict) = conflicts.iter().find(|conflict| conflict.path() == self.path) else {
                return Vec::new();
            };
            conflict.pairs().map(|(one, other)| (one.changeset, other.changeset)).collect::<Vec<_>>()
        };
        // SAFETY: a plan has no Python objects.
        let pairs = unsafe { crate::detach_if(py, self.snapshot.sequence().number() >= 300, work) };
        let sides: Vec<_> = self.sides.bind(py).iter().collect();
        let ids: Vec<_> =
            sides.iter().map(|side| side.cast::<Side>().map(|side| side.get().changeset)).collect::<Result<_, _>>()?;
        let side = |id: ChangesetId| ids.binary_search(&id).ok().map(|at| sides[at].clone());
        Ok(pairs.into_iter().filter_map(|(one, other)| Some((side(one)?, side(other)?))).collect())
    }

    fn __eq__(&self, other: PyRef<'_, Self>, py: Python<'_>) -> PyResult<bool> {
        Ok(self.path == other.path && self.sides.bind(py).eq(&other.sides)?)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let sides = self.sides.bind(py).len();
        Ok(format!("<tierstack.Conflict at {} of {sides} changesets>", repr_of(py, &self.path)?))
    }
}

/// A changeset in a ``Conflict``.
#[pyclass(frozen, eq, immutable_type, module = "tierstack")]
#[derive(PartialEq, Eq)]
pub struct Side {
    changeset: ChangesetId,
    first: Record,
    last: Record,
    is_beneath: bool,
}

impl Side {
    fn new(side: &tierstack::Side<'_>, copies: &mut Copies) -> Self {
        let (first, last) = (copies.record(side.first), copies.record(side.last));
        Self { changeset: side.changeset, first, last, is_beneath: side.is_beneath() }
    }
}

#[pymethods]
impl Side {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str, &'static str) {
        ("changeset", "first", "last", "is_beneath")
    }

    /// The changeset.
    #[getter]
    fn changeset(&self) -> String {
        self.changeset.to_string()
    }

    /// Its first record that touched the path, or a path beneath it.
    #[getter]
    fn first(&self) -> Record {
        self.first.clone()
    }

    /// Its last.
    #[getter]
    fn last(&self) -> Record {
        self.last.clone()
    }

    /// Whether it touched only paths beneath the path.
    #[getter]
    fn is_beneath(&self) -> bool {
        self.is_beneath
    }

    fn __repr__(&self) -> String {
        let (first, last) = (self.first.sequence, self.last.sequence);
        format!("<tierstack.Side of '{}', from {first} to {last}>", self.changeset)
    }
}

/// A change that was made of something else than what stood there.
#[pyclass(frozen, eq, immutable_type, module = "tierstack")]
#[derive(PartialEq, Eq)]
pub struct StaleBase {
    change: Record,
    path: String,
    kind: Staleness,
    other: String,
    against: Option<Record>,
    undone: Option<Record>,
}

impl StaleBase {
    fn new(stale: &tierstack::StaleBase<'_>, copies: &mut Copies) -> Self {
        Self {
            change: copies.record(stale.change),
            path: stale.path.to_owned(),
            kind: stale.kind,
            other: stale.other.to_owned(),
            against: stale.against.map(|record| copies.record(record)),
            undone: stale.undone.map(|record| copies.record(record)),
        }
    }
}

#[pymethods]
impl StaleBase {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str, &'static str) {
        ("change", "path", "kind", "other")
    }

    /// The change.
    #[getter]
    fn change(&self) -> Record {
        self.change.clone()
    }

    /// Which of its paths it is about.
    #[getter]
    fn path(&self) -> &str {
        &self.path
    }

    /// How it does not fit.
    #[getter]
    fn kind(&self, py: Python<'_>) -> Py<PyAny> {
        imports::staleness(py, self.kind)
    }

    /// The path that it contradicts: the same, or a folder of it, or one beneath it.
    #[getter]
    fn other(&self) -> &str {
        &self.other
    }

    /// The change in force that it contradicts.
    #[getter]
    fn against(&self) -> Option<Record> {
        self.against.clone()
    }

    /// The change of an aborted changeset that it was built on.
    #[getter]
    fn undone(&self) -> Option<Record> {
        self.undone.clone()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let kind = imports::staleness(py, self.kind).bind(py).getattr("name")?;
        let (sequence, path) = (self.change.sequence, repr_of(py, &self.path)?);
        Ok(format!("<tierstack.StaleBase of change {sequence} at {path}: Staleness.{kind}>"))
    }
}
