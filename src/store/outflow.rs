//! Fragments that a capacity pushed out of cold, on their way to the overflow hook.
//!
//! They are gathered while the thread is pinned and handed over after it is not, so that a hook may take its time, use the
//! store, and panic.

use core::cell::RefCell;
use core::mem::{forget, take};
use core::panic::AssertUnwindSafe;
use std::panic::{catch_unwind, resume_unwind};

use crate::claim::Views;
use crate::node::NodeRef;
use crate::reclaim::quietly;

/// A caller's overflow hook.
pub type Hook<K, V> = dyn Fn(&K, &V) + Send + Sync;

/// What is to be handed over, in the order in which it left.
pub struct Outflow<K, V>(RefCell<Vec<NodeRef<K, V>>>);

impl<K, V> Outflow<K, V> {
    pub const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    pub(super) fn push(&self, node: NodeRef<K, V>) {
        self.0.borrow_mut().push(node);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Hands everything over, and lets go of it. A panic of the hook goes on to the caller after the rest was handed over too.
    pub(super) fn deliver(&self, hook: Option<&Hook<K, V>>, views: &Views) {
        let mut panicked = None;
        for node in take(&mut *self.0.borrow_mut()) {
            let handed_over =
                hook.map_or(Ok(()), |hook| catch_unwind(AssertUnwindSafe(|| hook(node.key(), node.value()))));
            if node.is_heavy() && views.none() {
                // SAFETY: the operation that pushed it out ended it, and no view can read it: see `crate::claim`.
                let value = unsafe { node.let_go() };
                quietly(|| drop(value));
            }
            if let Err(payload) = handed_over {
                if panicked.is_none() {
                    panicked = Some(payload);
                } else {
                    // Its own destructor may panic as well.
                    forget(payload);
                }
            }
        }
        match panicked {
            Some(payload) if std::thread::panicking() => forget(payload),
            Some(payload) => resume_unwind(payload),
            None => {}
        }
    }
}
