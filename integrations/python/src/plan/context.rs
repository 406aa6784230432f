//! The plan.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tierstack::{ChangesetId, RecordError, Sequence};

use super::change::Change;
use super::changeset::{Changeset, ChangesetScope, Named, named};
use super::snapshot::PlanSnapshot;
use super::trail::{Recorded, RecordedAll};
use crate::arguments::type_name;
use crate::imports;
use crate::refusals::{Refused, no_savepoint, no_such_id, not_open, not_recorded};

/// A plan's changes, recorded into changesets by many threads at once.
///
/// The open changesets form a stack. The one that was started last is on top: it takes what is recorded without naming a changeset. Strategies that run in parallel each
/// record through a ``Changeset`` of their own. Each method takes effect at one instant. No call takes a lock.
///
/// >>> from tierstack import Change, PlanContext
/// >>> plan = PlanContext()
/// >>> with plan.changeset() as changeset:
/// ...     recorded = changeset.record(Change.create("notes.md"))
/// >>> [change.path for change in plan.snapshot().diff()]
/// ['notes.md']
#[pyclass(frozen, immutable_type, weakref, module = "tierstack")]
pub struct PlanContext(pub tierstack::PlanContext<tierstack::Change>);

/// A copy of a change, for a plan.
pub fn native(name: &str, change: &Bound<'_, PyAny>) -> PyResult<tierstack::Change> {
    match change.cast::<Change>() {
        Ok(change) => Ok((*change.get().0).clone()),
        Err(_) => Err(PyTypeError::new_err(format!("{name} must be a Change, not {}", type_name(change)))),
    }
}

/// Copies of changes, and the changes.
pub fn changes<'py>(changes: &Bound<'py, PyAny>) -> PyResult<(Vec<tierstack::Change>, Bound<'py, PyTuple>)> {
    let all = changes.try_iter()?.collect::<PyResult<Vec<_>>>()?;
    let natives = all.iter().map(|change| native("changes must hold Change; one", change)).collect::<PyResult<_>>()?;
    Ok((natives, PyTuple::new(changes.py(), all)?))
}

/// What comes back refused.
pub trait Refusing<T> {
    fn refusing(self, all: &Bound<'_, PyTuple>) -> PyResult<T>;
}

impl<T, C> Refusing<T> for Result<T, RecordError<C>> {
    fn refusing(self, all: &Bound<'_, PyTuple>) -> PyResult<T> {
        self.map_err(|error| not_recorded(all.py(), error.reason, Refused::Changes(all.as_any())))
    }
}

impl PlanContext {
    /// The id of a changeset that is named, or the exception that there is none.
    fn id(slf: &Bound<'_, Self>, changeset: &Bound<'_, PyAny>, refused: Refused<'_, '_>) -> PyResult<ChangesetId> {
        match named(changeset, slf)? {
            Named::Id(id) => Ok(id),
            Named::Nobody(name) => Err(no_such_id(slf.py(), name, refused)),
        }
    }
}

#[pymethods]
impl PlanContext {
    #[new]
    fn __new__() -> Self {
        Self(tierstack::PlanContext::new())
    }

    /// A new plan that goes on from a snapshot: the same open changesets, and ids and sequence numbers from where they were.
    #[staticmethod]
    fn restore(snapshot: PyRef<'_, PlanSnapshot>) -> Self {
        Self(tierstack::PlanContext::restore(&snapshot.0))
    }

    /// Starts a changeset. It is on top until another is started, or it is closed, aborted or rolled back. Atomic.
    fn start_changeset(slf: &Bound<'_, Self>) -> Changeset {
        Changeset { handle: slf.get().0.start_changeset(), plan: slf.clone().unbind() }
    }

    /// A context manager that starts a changeset. It closes it at the end of the block, and aborts it if the block raises.
    ///
    /// If the block has closed or aborted it, or it was rolled back, the end of the block does nothing.
    fn changeset(slf: &Bound<'_, Self>) -> ChangesetScope {
        ChangesetScope::new(slf.clone().unbind())
    }

    /// A handle to a changeset that was started, whatever has become of it. ``None`` if there is none with that id.
    fn handle(slf: &Bound<'_, Self>, changeset: &Bound<'_, PyAny>) -> PyResult<Option<Changeset>> {
        let Named::Id(id) = named(changeset, slf)? else { return Ok(None) };
        Ok(slf.get().0.handle(id).map(|handle| Changeset { handle, plan: slf.clone().unbind() }))
    }

    /// Records a change into the changeset on top. To find that changeset and to record are one step. Atomic.
    ///
    /// Raises ``PlanError``, which holds the change, if no changeset is open.
    fn record_change(&self, change: &Bound<'_, PyAny>) -> PyResult<Recorded> {
        let recorded = self.0.record_change(native("change", change)?);
        recorded.map(Recorded).map_err(|error| not_recorded(change.py(), error.reason, Refused::Change(change)))
    }

    /// Records a change into a changeset. Raises ``NotOpenError``, which holds the change, if that is not open. Atomic.
    fn record_in(slf: &Bound<'_, Self>, changeset: &Bound<'_, PyAny>, change: &Bound<'_, PyAny>) -> PyResult<Recorded> {
        let native = native("change", change)?;
        let id = Self::id(slf, changeset, Refused::Change(change))?;
        let recorded = slf.get().0.record_in(id, native);
        recorded.map(Recorded).map_err(|error| not_recorded(slf.py(), error.reason, Refused::Change(change)))
    }

    /// Records changes into the changeset on top, one right after the other, all or none. Atomic. Raises as ``record_change``; the exception holds all.
    fn record_all(&self, changes: &Bound<'_, PyAny>) -> PyResult<RecordedAll> {
        let (natives, all) = self::changes(changes)?;
        self.0.record_all(natives).map(RecordedAll).refusing(&all)
    }

    /// Records changes into a changeset, one right after the other, all or none. Atomic. Raises as ``record_in``; the exception holds all.
    fn record_all_in(
        slf: &Bound<'_, Self>,
        changeset: &Bound<'_, PyAny>,
        changes: &Bound<'_, PyAny>,
    ) -> PyResult<RecordedAll> {
        let (natives, all) = self::changes(changes)?;
        let id = Self::id(slf, changeset, Refused::Changes(all.as_any()))?;
        slf.get().0.record_all_in(id, natives).map(RecordedAll).refusing(&all)
    }

    /// Closes a changeset, wherever it is in the stack. It takes no more changes, and those that it has stay. Returns the event's sequence number.
    ///
    /// Raises ``NotOpenError`` if it is not open. Atomic.
    fn close(slf: &Bound<'_, Self>, changeset: &Bound<'_, PyAny>) -> PyResult<u64> {
        let closed = slf.get().0.close(Self::id(slf, changeset, Refused::Nothing)?);
        closed.map(Sequence::number).map_err(|reason| not_open(slf.py(), reason, Refused::Nothing))
    }

    /// Aborts a changeset, wherever it is in the stack. It takes no more changes, and those that it has leave the diff. The audit trail keeps them.
    ///
    /// Returns the event's sequence number. Raises ``NotOpenError`` if it is not open. Atomic.
    fn abort(slf: &Bound<'_, Self>, changeset: &Bound<'_, PyAny>) -> PyResult<u64> {
        let aborted = slf.get().0.abort(Self::id(slf, changeset, Refused::Nothing)?);
        aborted.map(Sequence::number).map_err(|reason| not_open(slf.py(), reason, Refused::Nothing))
    }

    /// A place to roll back to: the plan as it is now.
    fn savepoint(&self) -> Savepoint {
        Savepoint(self.0.savepoint())
    }

    /// Undoes all that has happened since a savepoint, whichever thread did it. Returns the event's sequence number.
    ///
    /// Changesets that were closed or aborted since are open again. Those that were started since are rolled back for good. The audit trail keeps all.
    /// Raises ``SavepointError`` if the savepoint is of another plan, or of a part of this one that was rolled back. Atomic.
    fn roll_back_to(&self, savepoint: PyRef<'_, Savepoint>) -> PyResult<u64> {
        let rolled_back = self.0.roll_back_to(&savepoint.0);
        rolled_back.map(Sequence::number).map_err(|reason| no_savepoint(savepoint.py(), reason))
    }

    /// The id of the changeset on top. It may be another by the time that this has returned.
    fn current(&self) -> Option<String> {
        self.0.current().map(|id| id.to_string())
    }

    /// The ids of the open changesets, from the bottom of the stack to the top, at one instant. O(n) for n changesets.
    fn active_ids(&self) -> Vec<String> {
        super::snapshot::active_ids(&self.0.snapshot())
    }

    /// What has become of a changeset. ``None`` if none with that id was started.
    fn status(slf: &Bound<'_, Self>, changeset: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
        let Named::Id(id) = named(changeset, slf)? else { return Ok(None) };
        Ok(slf.get().0.status(id).map(|status| imports::status(slf.py(), status)))
    }

    /// The sequence number of the last event. 0 before all events.
    fn sequence(&self) -> u64 {
        self.0.sequence().number()
    }

    /// The whole plan as it is now. O(1).
    fn snapshot(&self) -> PlanSnapshot {
        PlanSnapshot(self.0.snapshot().into())
    }

    /// Another plan that goes on from here.
    fn __copy__(&self) -> Self {
        Self(tierstack::PlanContext::restore(&self.0.snapshot()))
    }

    /// Another plan that goes on from here.
    fn __deepcopy__(&self, _memo: &Bound<'_, PyAny>) -> Self {
        self.__copy__()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        let read = slf.py().import("tierstack._state")?.getattr("restore_plan")?;
        Ok((read, (slf.get().snapshot().to_json(slf.py())?,)))
    }

    fn __repr__(&self) -> String {
        let snapshot = self.0.snapshot();
        let (started, sequence) = (snapshot.started(), snapshot.sequence());
        let current = snapshot.current().map_or_else(|| "None".into(), |id| format!("'{id}'"));
        format!("<tierstack.PlanContext of {started} changesets and {sequence} events, current={current}>")
    }
}

/// A place in a plan's history to go back to. It is of its plan alone, and cannot be pickled.
#[pyclass(frozen, eq, hash, immutable_type, module = "tierstack")]
#[derive(PartialEq, Eq, Hash)]
pub struct Savepoint(tierstack::Savepoint);

#[pymethods]
impl Savepoint {
    /// The sequence number of the last event before it.
    #[getter]
    fn sequence(&self) -> u64 {
        self.0.sequence().number()
    }

    fn __repr__(&self) -> String {
        format!("<tierstack.Savepoint at {}>", self.0.sequence())
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("cannot pickle or copy a Savepoint: it is of its plan alone"))
    }
}
