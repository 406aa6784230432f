//! The crate's errors as the package's exceptions, which hold what was handed back.

use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tierstack::{NotOpen, PromoteError, RecordRefusal, Refusal, RestoreRefusal, SavepointError};

use crate::imports::{imports, status};

/// An exception of one of the package's classes.
fn raise<'py>(
    class: &Py<PyAny>,
    message: String,
    fill: impl FnOnce(&Bound<'py, PyDict>) -> PyResult<()>,
    py: Python<'py>,
) -> PyErr {
    let made = || {
        let fields = PyDict::new(py);
        fill(&fields)?;
        class.bind(py).call((message,), Some(&fields))
    };
    made().map_or_else(|error| error, PyErr::from_value)
}

pub fn absent(key: &Bound<'_, PyAny>) -> PyErr {
    PyKeyError::new_err((key.clone().unbind(),))
}

pub fn budget(py: Python<'_>, message: String, budget: &Bound<'_, PyAny>) -> PyErr {
    raise(&imports(py).budget_error, message, |fields| fields.set_item("budget", budget), py)
}

/// A fragment that was not stored.
pub fn not_stored(key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>, reason: Refusal) -> PyErr {
    let py = key.py();
    let fill = |fields: &Bound<'_, PyDict>| {
        fields.set_item("key", key)?;
        fields.set_item("value", value)
    };
    match reason {
        // Weights are looked at before.
        Refusal::TooHeavy { .. } => PyValueError::new_err(reason.to_string()),
        _ => raise(&imports(py).store_error, format!("the fragment was not stored: {reason}"), fill, py),
    }
}

pub fn not_promoted(key: &Bound<'_, PyAny>, reason: PromoteError) -> PyErr {
    let (py, imports) = (key.py(), imports(key.py()));
    let with = |class: &Py<PyAny>, weight: Option<u64>, budget: Option<u64>, kept_out: bool| {
        let fill = |fields: &Bound<'_, PyDict>| {
            fields.set_item("key", key)?;
            if let Some(weight) = weight {
                fields.set_item("weight", weight)?;
            }
            if let Some(budget) = budget {
                fields.set_item("budget", budget)?;
            }
            if kept_out { fields.set_item("kept_out", true) } else { Ok(()) }
        };
        raise(class, reason.to_string(), fill, py)
    };
    match reason {
        PromoteError::NotFound => absent(key),
        PromoteError::OverBudget { weight, budget } => {
            with(&imports.over_budget_error, Some(weight), Some(budget), false)
        }
        PromoteError::KeptOut { weight } => with(&imports.over_budget_error, Some(weight), None, true),
        PromoteError::Contended { weight } => with(&imports.contended_error, Some(weight), None, false),
        _ => with(&imports.store_error, None, None, false),
    }
}

pub fn not_kept(key: &Bound<'_, PyAny>, reason: tierstack::KeepError) -> PyErr {
    if reason == tierstack::KeepError::NotFound {
        return absent(key);
    }
    let fill = |fields: &Bound<'_, PyDict>| fields.set_item("key", key);
    raise(&imports(key.py()).store_error, reason.to_string(), fill, key.py())
}

/// What is read is no store.
pub fn not_restored(reason: RestoreRefusal) -> PyErr {
    PyValueError::new_err(format!("this is no state of a store: {reason}"))
}

/// What was refused by a plan.
#[derive(Clone, Copy)]
pub enum Refused<'a, 'py> {
    Nothing,
    Change(&'a Bound<'py, PyAny>),
    Changes(&'a Bound<'py, PyAny>),
}

impl Refused<'_, '_> {
    fn fill(self, fields: &Bound<'_, PyDict>) -> PyResult<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Change(change) => fields.set_item("change", change),
            Self::Changes(changes) => fields.set_item("changes", changes),
        }
    }
}

pub fn not_recorded(py: Python<'_>, reason: RecordRefusal, refused: Refused<'_, '_>) -> PyErr {
    match reason {
        RecordRefusal::NoActiveChangeset => {
            let message = "the change was not recorded: no changeset is open".to_owned();
            raise(&imports(py).plan_error, message, |fields| refused.fill(fields), py)
        }
        RecordRefusal::NotOpen(reason) => not_open(py, reason, refused),
    }
}

pub fn not_open(py: Python<'_>, reason: NotOpen, refused: Refused<'_, '_>) -> PyErr {
    let (id, is) = match reason {
        NotOpen::Unknown(id) => (id, None),
        NotOpen::Closed(id) => (id, Some(tierstack::Status::Closed)),
        NotOpen::Aborted(id) => (id, Some(tierstack::Status::Aborted)),
        NotOpen::RolledBack(id) => (id, Some(tierstack::Status::RolledBack)),
    };
    let fill = |fields: &Bound<'_, PyDict>| {
        refused.fill(fields)?;
        fields.set_item("changeset", id.to_string())?;
        fields.set_item("status", is.map(|is| status(py, is)))
    };
    raise(&imports(py).not_open_error, reason.to_string(), fill, py)
}

/// No changeset has such a name.
pub fn no_such_id(py: Python<'_>, name: &str, refused: Refused<'_, '_>) -> PyErr {
    let fill = |fields: &Bound<'_, PyDict>| {
        refused.fill(fields)?;
        fields.set_item("changeset", name)
    };
    raise(&imports(py).not_open_error, format!("the plan has no changeset {name:?}"), fill, py)
}

pub fn no_savepoint(py: Python<'_>, reason: SavepointError) -> PyErr {
    let other_plan = reason == SavepointError::OtherPlan;
    raise(&imports(py).savepoint_error, reason.to_string(), |fields| fields.set_item("other_plan", other_plan), py)
}
