//! Deferrals made by deferrals, and who has the collector run what is due.
//!
//! # Second deferrals
//!
//! A node's memory takes two deferrals (see [`crate::engine::node`]), the second of which is made by the first. That one runs inside the
//! collector, on any thread, as a task (see [`crate::drops`]), and has to pin in order to defer. Mostly the thread is pinned
//! then and that costs nothing. A thread that is ending has lost its place in the collector: each pin gets it a new one, whose first pin
//! collects; the first deferrals which that runs are put aside like all destructors.
//!
//! # Who flushes
//!
//! What a thread retires waits in a batch of its own (see [`super::batch`]), and what it defers in a bag of its own, until that is full. A
//! thread that retires much flushes both now and then, and one that has deferred for the second time, which a reader does too when a
//! pin of his collects, before it unpins. Not while destructors run: what a flush collects then would wait for them anyway.

use core::cell::Cell;

use crossbeam_epoch::Guard;

use super::{batch, memory};
use crate::drops::{is_running, quietly};

thread_local! {
    // Neither has a destructor, so that they are there for as long as the thread is.
    static FLUSHING: Cell<bool> = const { Cell::new(false) };
    /// Whether second deferrals may be left in the thread's own bag.
    static LEFT: Cell<bool> = const { Cell::new(false) };
}

/// Defers `free(object)` from inside the collector, as part of a task.
///
/// # Safety
///
/// `free(object)` is sound, once, on any thread, after the pins that stand now have ended. It runs no code of a caller's.
pub unsafe fn defer_again(object: *mut (), free: unsafe fn(*mut ())) {
    LEFT.set(true);
    // SAFETY: as the caller vouches.
    unsafe { crossbeam_epoch::pin().defer_unchecked(move || free(object)) };
}

/// Has the collector run what is due, unless it is this, or a destructor, that is running.
///
/// It runs destructors of whatever the process has retired, which may panic, and may use this or another store: so the caller
/// holds and owes nothing, panics end here, and flushes do not nest.
#[cold]
pub fn flush(guard: &Guard) {
    batch::give_all(guard);
    if is_running() {
        LEFT.set(true);
    } else if !FLUSHING.replace(true) {
        quietly(|| guard.flush());
        FLUSHING.set(false);
    }
}

/// Rounds of [`collect`]. Four would do, were there nothing but what the thread has retired last: two until the first deferrals are due, and two
/// more for the second.
const ROUNDS: usize = 8;

/// Has the collector run what this thread has retired, as far as it is due or becomes so: each round is a pin of its own, and moves the
/// epoch on, unless somebody is pinned.
#[cold]
pub fn collect() {
    // What one is pinned for already moves the epoch on but once.
    let rounds = if crossbeam_epoch::is_pinned() { 1 } else { ROUNDS };
    for _ in 0..rounds {
        flush(&crossbeam_epoch::pin());
    }
    memory::release();
}

/// Before the thread lets go of a pin: has what it has deferred for the second time not wait in its own bag, nor for long what it has
/// retired.
#[inline]
pub fn leave_nothing(guard: &Guard) {
    // Both are looked at, so that there is one branch.
    if batch::is_open() | LEFT.get() {
        leave(guard);
    }
}

#[inline(never)]
fn leave(guard: &Guard) {
    batch::let_go(guard);
    if LEFT.get() && !is_running() {
        flush(guard);
        // What this flush has collected waits for the next, or there would be one for each operation.
        LEFT.set(false);
    }
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests {
    use std::ptr;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::drops::{Progress, Task, run};

    #[test]
    fn a_thread_that_ends_with_much_garbage_does_not_recurse() {
        const OBJECTS: usize = 2_000;
        static RETIRED: AtomicUsize = AtomicUsize::new(0);
        static FREED: AtomicUsize = AtomicUsize::new(0);
        static AFTER_THE_END: AtomicUsize = AtomicUsize::new(0);
        static DEEPEST: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static DEPTH: Cell<usize> = const { Cell::new(0) };
            static HAS_ENDED: Cell<bool> = const { Cell::new(false) };
            static LAST: PinsAtTheEnd = const { PinsAtTheEnd };
        }
        /// Dropped when the thread has lost its place in the collector: there each pin is a first one, and collects.
        struct PinsAtTheEnd;
        impl Drop for PinsAtTheEnd {
            fn drop(&mut self) {
                HAS_ENDED.set(true);
                let until = Instant::now() + Duration::from_secs(5);
                while FREED.load(Ordering::Relaxed) < RETIRED.load(Ordering::Relaxed) && Instant::now() < until {
                    crossbeam_epoch::pin().flush();
                }
            }
        }
        unsafe fn free(_: *mut ()) {
            FREED.fetch_add(1, Ordering::Relaxed);
        }
        unsafe fn step(_: *mut ()) -> Progress {
            DEPTH.set(DEPTH.get() + 1);
            DEEPEST.fetch_max(DEPTH.get(), Ordering::Relaxed);
            AFTER_THE_END.fetch_add(usize::from(HAS_ENDED.get()), Ordering::Relaxed);
            // SAFETY: `free` does not look at the object.
            unsafe { defer_again(ptr::null_mut(), free) };
            DEPTH.set(DEPTH.get() - 1);
            Progress::Done
        }
        let retire_all = || {
            // Before the first pin, so that it goes after the thread's place in the collector.
            LAST.with(|_| ());
            let guard = crossbeam_epoch::pin();
            for _ in 0..OBJECTS {
                RETIRED.fetch_add(1, Ordering::Relaxed);
                // SAFETY: `step` does not look at the object.
                guard.defer(|| unsafe { run(Task { object: ptr::null_mut(), step }) });
            }
        };
        // Again where pins of other threads have kept it from collecting, or other threads have done it.
        let until = Instant::now() + Duration::from_mins(1);
        let is_done = || FREED.load(Ordering::Relaxed) == RETIRED.load(Ordering::Relaxed);
        while !(is_done() && AFTER_THE_END.load(Ordering::Relaxed) > OBJECTS) && Instant::now() < until {
            std::thread::spawn(retire_all).join().unwrap();
        }
        assert_eq!(FREED.load(Ordering::Relaxed), RETIRED.load(Ordering::Relaxed));
        assert!(AFTER_THE_END.load(Ordering::Relaxed) > OBJECTS, "nothing was collected where it could recurse");
        assert_eq!(DEEPEST.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_a_thread_defers_for_the_second_time_does_not_wait_for_the_thread() {
        static FREED: AtomicUsize = AtomicUsize::new(0);
        unsafe fn free(_: *mut ()) {
            FREED.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: `free` does not look at the object.
        unsafe { defer_again(ptr::null_mut(), free) };
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

    #[test]
    fn a_flush_that_is_due_within_a_destructor_comes_after_it() {
        unsafe fn step(_: *mut ()) -> Progress {
            flush(&crossbeam_epoch::pin());
            leave_nothing(&crossbeam_epoch::pin());
            Progress::Done
        }
        LEFT.set(false);
        // SAFETY: looks at no object.
        unsafe { run(Task { object: ptr::null_mut(), step }) };
        assert!(LEFT.get(), "it is still to be done");
        leave_nothing(&crossbeam_epoch::pin());
        assert!(!LEFT.get());
    }
}
