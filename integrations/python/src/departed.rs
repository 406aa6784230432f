//! The listener: told of what has left the store, after the operation has returned.
//!
//! The crate calls its listener on the thread that made the fragment leave, after the operation has let go of all. That may be in the middle of a call of the
//! package, so the fragment is put into a list, and the call hands the list over before it returns: [`deliver`].
//!
//! A listener may use the store. What its calls make leave goes to the end of the list, whose loop is further out. So a listener is never called within a
//! listener of the same thread, and the stack does not grow.

use core::cell::{Cell, RefCell};
use core::mem::take;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use tierstack::{Cause, Tier};

use crate::calls::call;
use crate::dropped::{Held, Reference};
use crate::fragment::{Departure, Version};

/// A store's listener, and whether it is to be told anything.
pub struct Listener {
    pub callable: Reference,
    /// Once the garbage collector clears the store.
    pub is_silent: AtomicBool,
}

/// What is to be told, and whom. It may be dropped at the end of its thread, which is not attached then.
struct News {
    listener: Reference,
    key: Arc<str>,
    value: Reference,
    cause: Cause,
    tier: Tier,
    weight: u64,
    version: Version,
}

impl News {
    fn tell(self, py: Python<'_>) {
        let Self { listener, key, value, cause, tier, weight, version } = self;
        let (listener, value) = (Held::from(listener), Held::from(value));
        let callable = listener.bind(py);
        let departure = Departure { key, value, cause, tier, weight, version };
        let told = departure.into_pyobject(py).and_then(|departure| call(callable, [departure.as_any()]));
        if let Err(error) = told {
            error.write_unraisable(py, Some(callable));
        }
    }
}

thread_local! {
    static LIST: RefCell<Vec<News>> = const { RefCell::new(Vec::new()) };
    // Without a destructor.
    /// Whether there may be anything in the list.
    static IS_ANY: Cell<bool> = const { Cell::new(false) };
    /// Whether a listener is being called.
    static IN_PROGRESS: Cell<bool> = const { Cell::new(false) };
}

impl Listener {
    /// Takes down what has left. Called by the crate, on a thread that is attached.
    pub fn take_down(&self, departure: &tierstack::Departure<'_, Arc<str>, crate::value::Value>) {
        // Relaxed: set by the collector, while nobody else reaches the store.
        if self.is_silent.load(Ordering::Relaxed) {
            return;
        }
        // SAFETY: operations that change a store are called by threads that are attached.
        let (listener, value) = unsafe { (self.callable.duplicate(), departure.value.reference.duplicate()) };
        let &tierstack::Departure { key, weight, version, tier, cause, .. } = departure;
        let news = News { listener, key: Arc::clone(key), value, cause, tier, weight, version: Version(version) };
        // Without the list the thread is at its end, and calls nothing more.
        if LIST.try_with(|list| list.borrow_mut().push(news)).is_ok() {
            IS_ANY.set(true);
        }
    }
}

/// Calls the listeners of this thread's operations, unless a call further out is doing so.
#[inline]
pub fn deliver(py: Python<'_>) {
    if IS_ANY.get() && !IN_PROGRESS.get() {
        deliver_all(py);
    }
}

#[cold]
fn deliver_all(py: Python<'_>) {
    IN_PROGRESS.set(true);
    while IS_ANY.replace(false) {
        let list = LIST.try_with(|list| take(&mut *list.borrow_mut())).unwrap_or_default();
        for news in list {
            news.tell(py);
        }
    }
    IN_PROGRESS.set(false);
}
