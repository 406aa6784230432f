//! Destructors of callers do not nest, however many of them there are, and however they use stores: each scene would overflow its
//! small stack if they did.
//!
//! A test binary of its own: what waits for the collector here is dropped by the threads that these tests mean.

#[path = "../common/mod.rs"]
mod common;

mod chains;
mod collector;
mod feeding;

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Room for the frames of a few operations within each other, and no more.
const STACK: usize = if cfg!(debug_assertions) { 320 } else { 128 } << 10;

/// Runs `work` to its end on a thread with a small stack.
fn on_a_small_stack<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).unwrap();
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

thread_local! {
    /// Whose destructors are in progress on this thread. Never dropped, since the last of them run after the thread's other locals have ended.
    static IN_PROGRESS: ManuallyDrop<RefCell<Vec<*const Depths>>> = const { ManuallyDrop::new(RefCell::new(Vec::new())) };
}

/// Takes the innermost destructor off, also where it panics.
struct Ended;

impl Drop for Ended {
    fn drop(&mut self) {
        IN_PROGRESS.with(|all| {
            let mut all = all.borrow_mut();
            all.pop();
            if all.is_empty() {
                // So that its memory goes with the last.
                *all = Vec::new();
            }
        });
    }
}

/// Counts a scene's destructors, and how many of them were in progress on one thread.
#[derive(Default)]
struct Depths {
    done: AtomicUsize,
    deepest: AtomicUsize,
}

impl Depths {
    /// Runs the body of a destructor.
    fn destructor(&self, body: impl FnOnce()) {
        let depth = IN_PROGRESS.with(|all| {
            let mut all = all.borrow_mut();
            all.push(self);
            // Those of other scenes may be collected by what a plan's change or a listener does, which is no destructor of a store's.
            all.iter().filter(|other| std::ptr::eq(**other, self)).count()
        });
        self.deepest.fetch_max(depth, Ordering::Relaxed);
        let ended = Ended;
        body();
        self.done.fetch_add(1, Ordering::Relaxed);
        drop(ended);
    }

    fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    fn deepest(&self) -> usize {
        self.deepest.load(Ordering::Relaxed)
    }
}
