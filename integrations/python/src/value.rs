//! What the store holds for a key: a Python object, and what it weighs.

use pyo3::prelude::*;

use crate::dropped::Reference;

/// A value of the store. Its weight was found before the operation that stores it, as a weigher may be Python code.
pub struct Value {
    pub reference: Reference,
    pub weight: u64,
}

impl Value {
    pub fn new(object: Bound<'_, PyAny>, weight: u64) -> Self {
        Self { reference: Reference::new(object), weight }
    }
}

impl Clone for Value {
    /// Only on a thread that is attached: every call of the package is, but for what [`detach_if`](crate::detach_if) runs.
    #[inline]
    fn clone(&self) -> Self {
        // SAFETY: the store clones values only within its owned operations, which all are called by a thread that is attached.
        Self { reference: unsafe { self.reference.duplicate() }, weight: self.weight }
    }
}

/// A store of Python objects.
pub type Native = tierstack::TierStore<std::sync::Arc<str>, Value>;
/// A snapshot of one.
pub type NativeSnapshot = tierstack::StoreSnapshot<std::sync::Arc<str>, Value>;
