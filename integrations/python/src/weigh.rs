//! What a fragment weighs where nobody says so: the bytes of its key and of its value.

use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::string::PyStringData;
use pyo3::types::{PyByteArray, PyBytes, PyString, PyStringMethods};

use crate::arguments::type_name;

/// The bytes of a key and a value. May run Python code, of a value that lends a buffer.
#[inline]
pub fn bytes(key: &str, value: &Bound<'_, PyAny>) -> PyResult<u64> {
    Ok(key.len() as u64 + bytes_of(value)?)
}

fn bytes_of(value: &Bound<'_, PyAny>) -> PyResult<u64> {
    if let Ok(text) = value.cast::<PyString>() {
        return bytes_of_text(text);
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().len() as u64);
    }
    if let Ok(bytes) = value.cast::<PyByteArray>() {
        return Ok(bytes.len() as u64);
    }
    match PyUntypedBuffer::get(value) {
        Ok(buffer) => Ok(buffer.len_bytes() as u64),
        Err(error) if error.is_instance_of::<PyTypeError>(value.py()) => Err(PyTypeError::new_err(format!(
            "cannot weigh a value of type {}: give weight=, or a weigher to the store",
            type_name(value)
        ))),
        Err(error) => Err(error),
    }
}

/// The bytes of a text in UTF-8. They are counted and not encoded, as Python would keep what it encodes beside the text. A lone surrogate counts for three.
fn bytes_of_text(text: &Bound<'_, PyString>) -> PyResult<u64> {
    // SAFETY: a text whose representation is there does not change; the thread is attached.
    let length = match unsafe { text.data() }? {
        // Latin-1: of those above ASCII each has two bytes.
        PyStringData::Ucs1(units) => units.len() + units.iter().filter(|unit| **unit >= 0x80).count(),
        PyStringData::Ucs2(units) => units.iter().map(|unit| length(u32::from(*unit))).sum(),
        PyStringData::Ucs4(units) => units.iter().map(|unit| length(*unit)).sum(),
    };
    Ok(length as u64)
}

fn length(character: u32) -> usize {
    match character {
        0..0x80 => 1,
        0x80..0x800 => 2,
        0x800..0x1_0000 => 3,
        _ => 4,
    }
}
