//! Freeing through the epoch: deferrals made by deferrals, flushed without nesting, and undisturbed by destructors that panic.
//!
//! # Nesting
//!
//! A node's memory takes two deferrals (see [`crate::node`]), the second of which is made by the first. That one runs inside the
//! collector, on any thread, and has to pin in order to defer. Mostly the thread is pinned then
//! and that costs nothing. But a thread that is ending has lost its place in the collector: each pin gets it a new one, whose
//! first pin collects, which runs further first deferrals, and so on, as deep as there is garbage. So what is asked for inside such a
//! pin is put aside, for the outermost to defer.
//!
//! # Who flushes
//!
//! What a thread defers waits in a bag of its own until that is full. A thread that retires much flushes its bag now and then, and one
//! that has deferred for the second time, which a reader does too when a pin of his collects, before it unpins.

use core::cell::Cell;
use core::mem::{forget, take};
use core::panic::AssertUnwindSafe;
use core::ptr;
use std::panic::catch_unwind;

use crossbeam_epoch::Guard;

/// An object to free, and how.
#[derive(Clone, Copy)]
struct Doomed {
    object: *mut (),
    free: unsafe fn(*mut ()),
}

thread_local! {
    // None of these has a destructor, so that they are there for as long as the thread is.
    static ASIDE: Cell<*mut Vec<Doomed>> = const { Cell::new(ptr::null_mut()) };
    static FLUSHING: Cell<bool> = const { Cell::new(false) };
    /// Whether second deferrals may be left in the thread's own bag.
    static LEFT: Cell<bool> = const { Cell::new(false) };
}

/// Defers `free(object)` from inside the collector.
///
/// # Safety
///
/// `free(object)` is sound, once, on any thread, after the pins that stand now have ended.
pub unsafe fn defer_inside(object: *mut (), free: unsafe fn(*mut ())) {
    // SAFETY: as the caller vouches.
    unsafe { defer(Doomed { object, free }) };
}

/// # Safety
///
/// As [`defer_inside`].
unsafe fn defer(doomed: Doomed) {
    let aside = ASIDE.get();
    if !aside.is_null() {
        // SAFETY: points to the vector of the outermost call on this thread, which does not touch it while it pins.
        unsafe { (*aside).push(doomed) };
        return;
    }
    let mut nested = Vec::new();
    let _outermost = Outermost::new(&raw mut nested);
    // SAFETY: as the caller vouches.
    unsafe { defer_under(&crossbeam_epoch::pin(), [doomed]) };
    loop {
        // SAFETY: nobody else touches it now; while it was pinned, what was nested went through the same pointer.
        let batch = unsafe { take(&mut *ASIDE.get()) };
        if batch.is_empty() {
            return;
        }
        // SAFETY: as the callers vouched.
        unsafe { defer_under(&crossbeam_epoch::pin(), batch) };
    }
}

/// # Safety
///
/// As [`defer_inside`].
unsafe fn defer_under(guard: &Guard, batch: impl IntoIterator<Item = Doomed>) {
    for Doomed { object, free } in batch {
        LEFT.set(true);
        // SAFETY: as the caller vouches.
        unsafe { guard.defer_unchecked(move || free(object)) };
    }
}

/// Marks the outermost call, also where somebody's destructor unwinds through it.
struct Outermost;

impl Outermost {
    fn new(aside: *mut Vec<Doomed>) -> Self {
        ASIDE.set(aside);
        Self
    }
}

impl Drop for Outermost {
    fn drop(&mut self) {
        ASIDE.set(ptr::null_mut());
    }
}

/// Has the collector run what is due, unless it is this that is running.
///
/// It runs destructors of whatever the process has retired, which may panic, and may use this or another store: so the caller
/// holds and owes nothing, panics end here, and flushes do not nest.
#[cold]
pub fn flush(guard: &Guard) {
    if !FLUSHING.replace(true) {
        quietly(|| guard.flush());
        FLUSHING.set(false);
    }
}

/// Has what the thread has deferred for the second time not wait in its own bag.
#[inline]
pub fn leave_nothing(guard: &Guard) {
    if LEFT.get() {
        flush(guard);
        // What this flush has collected waits for the next, or there would be one for each operation.
        LEFT.set(false);
    }
}

/// Runs somebody's code; a panic in it ends here.
pub fn quietly(run: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(run)) {
        // The payload's own destructor may panic as well.
        forget(payload);
    }
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_thread_that_ends_with_much_garbage_does_not_recurse() {
        const OBJECTS: usize = 2_000;
        static RETIRED: AtomicUsize = AtomicUsize::new(0);
        static FREED: AtomicUsize = AtomicUsize::new(0);
        static DEEPEST: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static DEPTH: Cell<usize> = const { Cell::new(0) };
            static LAST: PinsAtTheEnd = const { PinsAtTheEnd };
        }
        /// Dropped when the thread has lost its place in the collector: there each pin is a first one, and collects.
        struct PinsAtTheEnd;
        impl Drop for PinsAtTheEnd {
            fn drop(&mut self) {
                let until = Instant::now() + Duration::from_secs(5);
                while FREED.load(Ordering::Relaxed) < RETIRED.load(Ordering::Relaxed) && Instant::now() < until {
                    crossbeam_epoch::pin().flush();
                }
            }
        }
        unsafe fn free(_: *mut ()) {
            FREED.fetch_add(1, Ordering::Relaxed);
        }
        fn defer_again() {
            DEPTH.set(DEPTH.get() + 1);
            DEEPEST.fetch_max(DEPTH.get(), Ordering::Relaxed);
            // SAFETY: `free` does not look at the object.
            unsafe { defer_inside(ptr::null_mut(), free) };
            DEPTH.set(DEPTH.get() - 1);
        }
        let retire_all = || {
            // Before the first pin, so that it goes after the thread's place in the collector.
            LAST.with(|_| ());
            let guard = crossbeam_epoch::pin();
            for _ in 0..OBJECTS {
                RETIRED.fetch_add(1, Ordering::Relaxed);
                guard.defer(defer_again);
            }
        };
        // Again where pins of other threads have kept it from collecting, or other threads have done it.
        let until = Instant::now() + Duration::from_mins(1);
        let is_done = || FREED.load(Ordering::Relaxed) == RETIRED.load(Ordering::Relaxed);
        while !(is_done() && DEEPEST.load(Ordering::Relaxed) > 1) && Instant::now() < until {
            std::thread::spawn(retire_all).join().unwrap();
        }
        assert_eq!(FREED.load(Ordering::Relaxed), RETIRED.load(Ordering::Relaxed));
        assert_eq!(DEEPEST.load(Ordering::Relaxed), 2, "one inside the outermost, and none inside that");
    }

    #[test]
    fn what_a_thread_defers_for_the_second_time_does_not_wait_for_the_thread() {
        static FREED: AtomicUsize = AtomicUsize::new(0);
        unsafe fn free(_: *mut ()) {
            FREED.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: `free` does not look at the object.
        unsafe { defer_inside(ptr::null_mut(), free) };
        assert!(LEFT.get());
        leave_nothing(&crossbeam_epoch::pin());
        assert!(!LEFT.get());
        // This thread does nothing more.
        let collect = || {
            let until = Instant::now() + Duration::from_secs(20);
            while FREED.load(Ordering::Relaxed) == 0 && Instant::now() < until {
                crossbeam_epoch::pin().flush();
            }
        };
        std::thread::spawn(collect).join().unwrap();
        assert_eq!(FREED.load(Ordering::Relaxed), 1);
    }
}
