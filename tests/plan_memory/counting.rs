//! A global allocator that counts, for each thread, the bytes that it asked for and has not given back, and the most of them at once.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// To be the `#[global_allocator]`.
pub struct Counting;

thread_local! {
    // Without destructors, so that they can be used while a thread ends.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: usize, back: usize) {
    let live = LIVE.get() + bytes.cast_signed() - back.cast_signed();
    LIVE.set(live);
    PEAK.set(PEAK.get().max(live));
}

/// What `make` makes, and the bytes that it keeps.
pub fn kept<T>(make: impl FnOnce() -> T) -> (T, isize) {
    let before = LIVE.get();
    let thing = make();
    (thing, LIVE.get() - before)
}

/// The most bytes that `run` had at once.
#[cfg(feature = "serde")]
pub fn most(run: impl FnOnce()) -> isize {
    let before = LIVE.get();
    PEAK.set(before);
    run();
    PEAK.get() - before
}

// SAFETY: every call is passed on to the system's allocator unchanged, and counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's duties are those of the call it is passed on to.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's duties are those of the call it is passed on to.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller's duties are those of the call it is passed on to.
        unsafe { System.dealloc(memory, layout) };
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: the caller's duties are those of the call it is passed on to.
        unsafe { System.realloc(memory, layout, size) }
    }
}
