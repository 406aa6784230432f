//! References to Python objects that Rust gives up, and when the interpreter is told so.
//!
//! To give up the last reference to an object runs Python code: `__del__`, the callbacks of weak references, whatever its parts do. A store drops values
//! within its operations, while the thread is pinned, and at the end of threads that the interpreter has forgotten already. So a dropped [`Reference`] only goes to a
//! list, which never runs Python code and asks for nothing.
//!
//! # Where they go
//!
//! - To the list of the thread. Every call of the package gives up what is in the list of its thread before it returns: [`give_up`].
//! - What is in the list of a thread that ends, or is dropped after the list has gone, is *left behind*, in one place for all threads. The next call of any thread
//!   takes all of it.
//!
//! After the interpreter has ended nobody calls, so that what is in the lists leaks. Nothing else could be done with it then.
//!
//! # Reentrancy
//!
//! What is given up may call the package again, and that call gives up what it has dropped. The list is taken out before, so that it is nobody's while Python code
//! runs. Calls within calls are bounded: the innermost allowed one goes on in a loop until the list is empty. So a million stores, each the
//! value of another, end in a loop and not in a recursion.
//!
//! # Orderings
//!
//! `LEFT_BEHIND` is a stack to which batches are pushed (Release), and which is taken as a whole (Acquire): nobody follows a pointer that another may free.

use core::cell::{Cell, RefCell};
use core::mem::take;
use core::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;

use crate::calls::decrement;

/// How deep calls of [`give_up`] may lie within each other.
const DEPTH: u32 = 8;

/// A strong reference to a Python object, which may be dropped anywhere: within an operation, detached, and after the interpreter has ended.
#[derive(Debug)]
#[repr(transparent)]
pub struct Reference(NonNull<ffi::PyObject>);

// SAFETY: as `Py` is. The object is only touched by those that are attached, and a drop does not touch it.
unsafe impl Send for Reference {}
// SAFETY: as above.
unsafe impl Sync for Reference {}

impl Reference {
    pub fn new(object: Bound<'_, PyAny>) -> Self {
        // SAFETY: a reference to an object is not null.
        Self(unsafe { NonNull::new_unchecked(object.into_ptr()) })
    }

    /// The object, for as long as the interpreter is attached and this is there.
    pub fn bind<'a, 'py>(&'a self, py: Python<'py>) -> &'a Bound<'py, PyAny> {
        self.as_py().bind(py)
    }

    pub fn as_py(&self) -> &Py<PyAny> {
        // SAFETY: a `Py` is a transparent non-null pointer to an object to which it has a reference, as this is.
        unsafe { &*ptr::from_ref(self).cast::<Py<PyAny>>() }
    }

    /// Another reference.
    ///
    /// # Safety
    ///
    /// The thread is attached.
    pub unsafe fn duplicate(&self) -> Self {
        // SAFETY: alive, as this has a reference; the thread is attached.
        unsafe { ffi::Py_INCREF(self.0.as_ptr()) };
        Self(self.0)
    }

    /// The reference, as the caller's own.
    pub fn into_bound(self, py: Python<'_>) -> Bound<'_, PyAny> {
        let object = self.0;
        core::mem::forget(self);
        // SAFETY: the reference was this one's, and is the caller's now.
        unsafe { Bound::from_owned_ptr(py, object.as_ptr()) }
    }
}

impl Drop for Reference {
    #[inline]
    fn drop(&mut self) {
        let object = Given(self.0);
        IS_ANY.set(true);
        if LIST.try_with(|list| list.0.borrow_mut().push(object)).is_err() {
            leave_behind(vec![object]);
        }
    }
}

/// A reference that was given up.
#[derive(Clone, Copy)]
struct Given(NonNull<ffi::PyObject>);

/// The list of a thread.
struct List(RefCell<Vec<Given>>);

impl Drop for List {
    fn drop(&mut self) {
        let list = take(self.0.get_mut());
        if !list.is_empty() {
            leave_behind(list);
        }
    }
}

thread_local! {
    static LIST: List = const { List(RefCell::new(Vec::new())) };
    // These have no destructor, so that they are there for as long as the thread is.
    /// Whether there may be anything in the list.
    static IS_ANY: Cell<bool> = const { Cell::new(false) };
    /// How many calls of [`give_up`] are in progress.
    static IN_PROGRESS: Cell<u32> = const { Cell::new(0) };
}

/// What threads that have ended have left.
struct Batch {
    list: Vec<Given>,
    below: *mut Batch,
}

static LEFT_BEHIND: AtomicPtr<Batch> = AtomicPtr::new(ptr::null_mut());

fn leave_behind(list: Vec<Given>) {
    let batch = Box::into_raw(Box::new(Batch { list, below: ptr::null_mut() }));
    // Relaxed: what is below is not looked at here.
    let mut top = LEFT_BEHIND.load(Ordering::Relaxed);
    loop {
        // SAFETY: not published yet.
        unsafe { (*batch).below = top };
        // Release: pairs with the swap of `take_left_behind`, which reads the batch. Relaxed on a loss, as above.
        match LEFT_BEHIND.compare_exchange_weak(top, batch, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return,
            Err(other) => top = other,
        }
    }
}

#[cold]
fn take_left_behind() -> Vec<Given> {
    // Acquire: pairs with the release of `leave_behind`. Those below were released before, and read-modify-writes go on with their sequences.
    let mut top = LEFT_BEHIND.swap(ptr::null_mut(), Ordering::Acquire);
    let mut all = Vec::new();
    while !top.is_null() {
        // SAFETY: from `into_raw`, and taken off by this call alone.
        let batch = unsafe { Box::from_raw(top) };
        all.extend(batch.list);
        top = batch.below;
    }
    all
}

/// Tells the interpreter of all references that this thread has dropped, and of those that others have left behind. Runs Python code, which may drop more, and use
/// any store.
#[inline]
pub fn give_up(_py: Python<'_>) {
    // Relaxed: only whether it is worth a look.
    if IS_ANY.get() || !LEFT_BEHIND.load(Ordering::Relaxed).is_null() {
        give_up_all();
    }
}

#[cold]
fn give_up_all() {
    let depth = IN_PROGRESS.get();
    if depth >= DEPTH {
        // The loop further out goes on.
        return;
    }
    IN_PROGRESS.set(depth + 1);
    loop {
        IS_ANY.set(false);
        let mut list = LIST.try_with(|list| take(&mut *list.0.borrow_mut())).unwrap_or_default();
        if list.is_empty() {
            list = take_left_behind();
        }
        if list.is_empty() {
            break;
        }
        for Given(object) in list {
            // SAFETY: the reference was given up, by a drop, and is in one list once. The caller is attached.
            unsafe { decrement(object.as_ptr()) };
        }
    }
    IN_PROGRESS.set(depth);
}

/// Gives up what was dropped when it is dropped itself: the last field of what owns references and is itself a Python object.
#[derive(Debug)]
pub struct GivesUp;

impl Drop for GivesUp {
    fn drop(&mut self) {
        // SAFETY: what has this field is dropped by the interpreter, or by a call that is attached.
        give_up(unsafe { Python::assume_attached() });
    }
}

/// A reference of a Python object or of a call: given up when it is dropped, as its second part is dropped after its first.
#[derive(Debug)]
pub struct Held(Reference, GivesUp);

impl From<Reference> for Held {
    fn from(reference: Reference) -> Self {
        Self(reference, GivesUp)
    }
}

impl core::ops::Deref for Held {
    type Target = Reference;

    fn deref(&self) -> &Reference {
        &self.0
    }
}
