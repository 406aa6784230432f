//! Fragments that have left the store, on their way to the listener.
//!
//! They are gathered while the thread is pinned and handed over after it is not, so that a listener may take its time, use the
//! store, and panic.
//!
//! # Each exit once
//!
//! A fragment leaves by the CAS that ends its word, which only one thread wins, of whichever kinds of operations raced for it. Its winner puts the fragment here right
//! after that, with the cause, before anything else of the operation: so each is here once, whatever becomes of the operation then. From here it goes to one
//! delivery: of this thread, when its view ends or is repinned, or of a frame further out.
//!
//! A node that is here is held, so that key and value stay until it was handed over. The value is not moved out to the caller of a `remove` then, as it would be otherwise where it is
//! heavy: the caller gets a clone, and the value goes when the listener has had it.
//!
//! A fragment of which an [event](super::trace) is to be told is held here as well, and has mostly not left.
//!
//! Without a listener only what a capacity pushes out, and what an archive has taken over, comes here, as nobody else lets go of its value.
//!
//! # Listeners that store
//!
//! An operation of a listener may end more. If that were handed over within the listener's operation, it would be called within
//! itself, as deep as it goes on. So a thread that is calling a store's listener has a *frame* for that store: what its operations on the
//! same store end meanwhile goes to the end of the queue of that frame, whose loop goes on until the queue is empty. Frames of
//! several stores, whose listeners use each other, lie one on another: one at most for each store.
//!
//! A frame borrows its store: so the store stands, at that address, for as long as the frame is there.

use core::cell::{Cell, RefCell};
use core::mem::{ManuallyDrop, take};
use core::panic::AssertUnwindSafe;
use core::ptr;
use std::panic::{catch_unwind, resume_unwind};

use super::core::Core;
use super::departure::{Cause, Departure, Listener};
use super::trace::Happened;
use crate::drops;
use crate::engine::node::{Node, NodeRef};
use crate::sync::per_thread;
use crate::tier::Tier;

/// What is to be told of a fragment.
#[derive(Clone, Copy)]
enum News {
    /// It has left: from where, and why.
    Gone(Tier, Cause),
    /// An event: see [`super::trace`].
    #[cfg_attr(not(feature = "tracing"), allow(dead_code, reason = "nobody looks"))]
    Happened(Happened),
}

type Queue<K, V> = Vec<(NodeRef<K, V>, News)>;

/// What is to be handed over, in the order in which it came to pass.
pub struct Outflow<K: 'static, V: 'static>(ManuallyDrop<RefCell<Queue<K, V>>>);

impl<K: Send + Sync, V: Send + Sync> Outflow<K, V> {
    pub const fn new() -> Self {
        Self(ManuallyDrop::new(RefCell::new(Vec::new())))
    }

    /// Takes a fragment that the caller has ended, under the pin that it has reached it by.
    #[cold]
    pub(super) fn push(&self, node: &Node<K, V>, tier: Tier, cause: Cause) {
        self.0.borrow_mut().push((NodeRef::new(node), News::Gone(tier, cause)));
    }

    /// Takes an event of a fragment that the caller has reached by its pin.
    #[cold]
    pub(super) fn note(&self, node: &Node<K, V>, happened: Happened) {
        self.0.borrow_mut().push((NodeRef::new(node), News::Happened(happened)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Hands everything over, and lets go of it; or leaves that to a call for the same store that is in progress on this thread. A panic of
    /// the listener goes on to the caller after the rest was handed over too.
    pub(super) fn deliver(&self, listener: Option<&Listener<K, V>>, core: &Core<K, V>) {
        // Destructors that this runs, and that end more, are no listeners: see `crate::engine::reclaim`.
        if listener.is_none() && !cfg!(feature = "tracing") {
            for (node, _) in take(&mut *self.0.borrow_mut()) {
                let_go(&node, core);
            }
            return;
        }
        let frame = Frame { core: ptr::from_ref(core).cast(), queue: ptr::from_ref(self).cast(), outer: innermost() };
        if let Some(outer) = frame.outer_of_the_same_store() {
            // SAFETY: the frame is further out on this thread's stack, and its queue is of this type: it has borrowed a store at this address,
            // which can be no other than this one.
            let queue = unsafe { &(*outer.queue.cast::<Self>()).0 };
            queue.borrow_mut().append(&mut self.0.borrow_mut());
            return;
        }
        let panicked = frame.while_innermost(|| self.deliver_all(listener, core));
        match panicked {
            // Its own destructor may panic as well.
            Some(payload) if std::thread::panicking() => drops::quietly(|| drop(payload)),
            Some(payload) => resume_unwind(payload),
            None => {}
        }
    }

    /// The first panic.
    fn deliver_all(&self, listener: Option<&Listener<K, V>>, core: &Core<K, V>) -> Option<Payload> {
        let mut panicked = None;
        loop {
            // Not borrowed while the listener runs.
            let batch = take(&mut *self.0.borrow_mut());
            if batch.is_empty() {
                return panicked;
            }
            for (node, news) in batch {
                let handed_over = catch_unwind(AssertUnwindSafe(|| tell(listener, core, &node, news)));
                if let News::Gone(..) = news {
                    let_go(&node, core);
                }
                if let Err(payload) = handed_over {
                    if panicked.is_none() {
                        panicked = Some(payload);
                    } else {
                        drops::quietly(|| drop(payload));
                    }
                }
            }
        }
    }
}

impl<K, V> Outflow<K, V> {
    /// Whether anything was put into it since it was last delivered.
    #[inline]
    pub(super) fn is_used(&mut self) -> bool {
        self.0.get_mut().capacity() > 0
    }
}

impl<K, V> Drop for Outflow<K, V> {
    /// Mostly there was nothing.
    #[inline]
    fn drop(&mut self) {
        if self.is_used() {
            // SAFETY: not used again.
            unsafe { ManuallyDrop::drop(&mut self.0) };
        }
    }
}

fn tell<K: Send + Sync, V: Send + Sync>(
    listener: Option<&Listener<K, V>>,
    core: &Core<K, V>,
    node: &NodeRef<K, V>,
    news: News,
) {
    match (news, listener) {
        // Of what overflows, and what is archived, it is perhaps not to be told: then that is only let go.
        (News::Gone(tier, cause), Some(listener)) if core.told.contain(cause) => {
            let stands = || listener.stands_again(core, node);
            listener.call(&Departure::new(node, (tier, cause), core.version(node), &stands));
        }
        #[cfg(feature = "tracing")]
        (News::Happened(happened), _) => super::trace::tell(node, happened, core.version(node), core.show_key),
        _ => {}
    }
}

type Payload = Box<dyn core::any::Any + Send>;

/// Has the value of what was ended here go at once, if it is heavy and no view can read it.
pub(super) fn let_go<K: Send + Sync, V: Send + Sync>(node: &NodeRef<K, V>, core: &Core<K, V>) {
    if node.is_claimed() && core.views.none() {
        // SAFETY: the operation that put it here ended it, and has left the value; and no view can read it: see `crate::engine::claim`.
        unsafe { node.let_go() };
    }
}

/// A call of [`Outflow::deliver`] in progress.
struct Frame {
    core: *const (),
    queue: *const (),
    outer: *const Frame,
}

per_thread! { static INNERMOST: Cell<*const Frame> = Cell::new(ptr::null()) }

/// The thread's innermost frame, or null.
fn innermost() -> *const Frame {
    INNERMOST.with(Cell::get)
}

impl Frame {
    fn outer_of_the_same_store(&self) -> Option<&Self> {
        let mut frame = self.outer;
        // SAFETY: frames are on this thread's stack, those further out below those further in.
        while let Some(outer) = unsafe { frame.as_ref() } {
            if ptr::eq(outer.core, self.core) {
                return Some(outer);
            }
            frame = outer.outer;
        }
        None
    }

    fn while_innermost<R>(&self, run: impl FnOnce() -> R) -> R {
        /// Also where something unwinds.
        struct Reset(*const Frame);
        impl Drop for Reset {
            fn drop(&mut self) {
                INNERMOST.with(|innermost| innermost.set(self.0));
            }
        }
        INNERMOST.with(|innermost| innermost.set(self));
        let _reset = Reset(self.outer);
        run()
    }
}
