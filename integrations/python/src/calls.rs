//! Calls of Python code: weighers, listeners, functions, and what runs when the last reference to an object is given up.
//!
//! When the interpreter ends, versions before 3.14 end every daemon thread that asks for the interpreter's lock, by `pthread_exit`. That unwinds the thread's stack, and must not be
//! stopped on the way: but a call from Python to Rust stops what unwinds, so that the process would abort. So a thread that is unwound out of Python code stays here for ever, as
//! later versions have it stay where it is. It has no lock, and the process ends beside it.

use core::mem::forget;
use core::ptr;

use pyo3::ffi;
use pyo3::prelude::*;

// As the interpreter's headers have them, but for what they may do.
unsafe extern "C-unwind" {
    fn PyObject_Vectorcall(
        callable: *mut ffi::PyObject,
        arguments: *const *mut ffi::PyObject,
        number: usize,
        names: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject;
    fn Py_DecRef(object: *mut ffi::PyObject);
}

/// Dropped only by what unwinds.
struct StaysForEver;

impl Drop for StaysForEver {
    fn drop(&mut self) {
        loop {
            std::thread::park();
        }
    }
}

/// Calls something with these arguments.
pub fn call<'py, const N: usize>(
    callable: &Bound<'py, PyAny>,
    arguments: [&Bound<'py, PyAny>; N],
) -> PyResult<Bound<'py, PyAny>> {
    let arguments = arguments.map(Bound::as_ptr);
    let stays = StaysForEver;
    // SAFETY: the objects are the caller's, who is attached, and stay for the length of the call.
    let result = unsafe { PyObject_Vectorcall(callable.as_ptr(), arguments.as_ptr(), N, ptr::null_mut()) };
    forget(stays);
    // SAFETY: a new reference, or null where an exception is set.
    unsafe { Bound::from_owned_ptr_or_err(callable.py(), result) }
}

/// Gives up a reference.
///
/// # Safety
///
/// The reference is the caller's to give up, and the thread is attached.
pub unsafe fn decrement(object: *mut ffi::PyObject) {
    let stays = StaysForEver;
    // SAFETY: as the caller vouches.
    unsafe { Py_DecRef(object) };
    forget(stays);
}
