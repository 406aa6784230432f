//! Copies of a store: for `pickle`, `copy` and `deepcopy`.
//!
//! The state is a list of tuples, from the least to the most recently used fragment of all: key, value, weight, the number of the tier, and whether it is kept. The order across the
//! tiers is what the crate writes of a snapshot, and restores. Values do not go that way: where the crate writes one, there is nothing, and where it
//! reads one, there is the number of the value in a list of this thread.

use core::cell::RefCell;
use std::sync::Arc;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};
use serde_json::json;
use tierstack::Tier;

use crate::arguments;
use crate::value::{NativeSnapshot, Value};

thread_local! {
    /// The values of the state that is being read. Each is taken out once.
    static READ: RefCell<Vec<Option<Value>>> = const { RefCell::new(Vec::new()) };
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = usize::deserialize(deserializer)?;
        let value = READ.with_borrow_mut(|read| read.get_mut(number).and_then(Option::take));
        value.ok_or_else(|| D::Error::custom("there is no such value"))
    }
}

const TIERS: [&str; 3] = ["hot", "warm", "cold"];

#[derive(serde::Deserialize)]
struct Order {
    fragments: Vec<Key>,
}

#[derive(serde::Deserialize)]
struct Key {
    key: Arc<str>,
}

fn unreadable(error: serde_json::Error) -> PyErr {
    PyValueError::new_err(format!("this is no state of a store: {error}"))
}

/// The state of what a snapshot shows.
pub fn write<'py>(snapshot: &NativeSnapshot, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
    let order = serde_json::to_value(snapshot).and_then(serde_json::from_value::<Order>).map_err(unreadable)?;
    let state = PyList::empty(py);
    for Key { key } in order.fragments.iter().rev() {
        if let Some(found) = snapshot.get(key) {
            let value = found.value.reference.bind(py);
            state.append((&**key, value, found.weight, found.tier as u8, found.kept))?;
        }
    }
    Ok(state)
}

/// What a state shows, wherever it comes from.
pub fn read(state: &Bound<'_, PyAny>) -> PyResult<NativeSnapshot> {
    let (mut fragments, mut values) = (Vec::new(), Vec::new());
    for fragment in state.try_iter()? {
        let fragment = fragment?;
        let no_fragment =
            |_| PyTypeError::new_err("a fragment of a state is a tuple of key, value, weight, tier and kept");
        let parts = fragment.cast::<PyTuple>().map_err(no_fragment)?;
        let (key, value, weight, tier, kept) =
            parts.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>, bool)>()?;
        let (weight, tier): (u64, Tier) = (arguments::weight("weight", &weight)?, arguments::tier(&tier)?);
        fragments.push(json!({
            "key": arguments::key(&key)?,
            "value": values.len(),
            "weight": weight,
            "tier": TIERS[tier as usize],
            "kept": kept,
            "expires_in": null,
        }));
        values.push(Some(Value::new(value, weight)));
    }
    fragments.reverse();
    READ.set(values);
    let snapshot = serde_json::from_value(json!({ "format": 1, "fragments": fragments }));
    READ.take();
    snapshot.map_err(unreadable)
}
