//! What callers hand over: keys, numbers, tiers. Checked before anything happens, with an exception that names the parameter.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt, PyString};
use tierstack::{Capacity, Cause, MAX_BYTES, Tier};

use crate::imports::imports;
use crate::refusals;

/// The name of an object's type, for messages.
pub fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().fully_qualified_name().map_or_else(|_| "an object".into(), |name| name.to_string())
}

/// The text of a key. Lone surrogates are Python's own `UnicodeEncodeError`, which is a `ValueError`.
#[inline]
pub fn key<'a>(key: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
    match key.cast::<PyString>() {
        Ok(text) => text.to_str(),
        Err(_) => Err(PyTypeError::new_err(format!("a key must be a str, not {}", type_name(key)))),
    }
}

/// A number that is out of range.
pub enum Outside {
    Negative,
    TooLarge,
}

/// A number that is not negative. Whatever `operator.index` takes is one, but for `True` and `False`.
pub fn number(name: &str, object: &Bound<'_, PyAny>) -> PyResult<Result<u64, Outside>> {
    let number = if let Ok(number) = object.cast_exact::<PyInt>() {
        number.clone().into_any()
    } else if object.is_instance_of::<PyBool>() || !object.hasattr("__index__")? {
        return Err(PyTypeError::new_err(format!("{name} must be an int, not {}", type_name(object))));
    } else {
        object.py().import("operator")?.call_method1("index", (object,))?
    };
    match number.extract::<u64>() {
        Ok(number) => Ok(Ok(number)),
        Err(_) if number.lt(0)? => Ok(Err(Outside::Negative)),
        Err(_) => Ok(Err(Outside::TooLarge)),
    }
}

fn negative(name: &str) -> PyErr {
    PyValueError::new_err(format!("{name} must not be negative"))
}

/// A number of up to `most`.
pub fn number_up_to(name: &str, object: &Bound<'_, PyAny>, most: u64) -> PyResult<u64> {
    match number(name, object)? {
        Ok(number) if number <= most => Ok(number),
        Err(Outside::Negative) => Err(negative(name)),
        Ok(_) | Err(Outside::TooLarge) => Err(PyValueError::new_err(format!("{name} must not be above {most}"))),
    }
}

/// A weight.
#[inline]
pub fn weight(name: &str, object: &Bound<'_, PyAny>) -> PyResult<u64> {
    number_up_to(name, object, MAX_BYTES)
}

/// A hot budget.
pub fn budget(name: &str, object: &Bound<'_, PyAny>) -> PyResult<u64> {
    match number(name, object)? {
        Ok(budget) if budget <= MAX_BYTES => Ok(budget),
        Err(Outside::Negative) => Err(negative(name)),
        Ok(_) | Err(Outside::TooLarge) => {
            let message = format!("{name} must not be above MAX_BYTES, which is {MAX_BYTES}");
            Err(refusals::budget(object.py(), message, object))
        }
    }
}

/// A capacity: none, a number of bytes, or a `Capacity`.
pub fn capacity(name: &str, object: Option<&Bound<'_, PyAny>>) -> PyResult<Capacity> {
    let Some(object) = object else { return Ok(Capacity::UNBOUNDED) };
    if !object.is_instance(imports(object.py()).capacity.bind(object.py()))? {
        if !object.hasattr("__index__")? {
            let given = type_name(object);
            return Err(PyTypeError::new_err(format!("{name} must be an int, a Capacity or None, not {given}")));
        }
        return Ok(Capacity::bytes(number_up_to(name, object, u64::MAX)?));
    }
    let bound = |field: &str| match object.getattr(field)? {
        bound if bound.is_none() => Ok(None),
        bound => number_up_to(&format!("{name}.{field}"), &bound, u64::MAX).map(Some),
    };
    Ok(Capacity { entries: bound("entries")?, bytes: bound("bytes")? })
}

/// A tier: a `Tier`, or the number of one.
pub fn tier(object: &Bound<'_, PyAny>) -> PyResult<Tier> {
    let out_of_range = || PyValueError::new_err("tier must be Tier.HOT, Tier.WARM or Tier.COLD");
    if !object.is_instance_of::<PyInt>() || object.is_instance_of::<PyBool>() {
        return Err(PyTypeError::new_err(format!("tier must be a Tier, not {}", type_name(object))));
    }
    let number = object.extract::<usize>().map_err(|_| out_of_range())?;
    Tier::ALL.get(number).copied().ok_or_else(out_of_range)
}

pub const CAUSES: [(Cause, &str); 3] =
    [(Cause::Overflowed, "overflowed"), (Cause::Removed, "removed"), (Cause::Replaced, "replaced")];

/// Causes, or `None` for all. A text alone would be taken for its letters.
pub fn causes(object: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Vec<Cause>>> {
    let Some(object) = object else { return Ok(None) };
    if object.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("departure_causes must be an iterable of Cause, not a str"));
    }
    let causes = object.try_iter()?.map(|cause| {
        let cause = cause?;
        let Ok(name) = cause.cast::<PyString>() else {
            let given = type_name(&cause);
            return Err(PyTypeError::new_err(format!("departure_causes must hold Cause, not {given}")));
        };
        let name = name.to_str()?;
        let known = CAUSES.iter().find(|(_, known)| *known == name);
        known.map(|(cause, _)| *cause).ok_or_else(|| PyValueError::new_err(format!("{name:?} is not a Cause")))
    });
    causes.collect::<PyResult<_>>().map(Some)
}
