//! What a thread has retired, given to the collector together.
//!
//! # States of a batch
//!
//! - *Open*: the thread's own list. What the thread retires goes in.
//! - *Given*: one deferral of the collector's, under a pin of that thread. It comes later than each object was retired, so that it keeps
//!   whatever a deferral at that instant would have kept.
//! - *Ended*: that deferral has run, as a task (see [`crate::drops`]): it has dropped what is in the objects, one by one. An object that somebody
//!   holds is left to the holder, and leaves the batch.
//! - *Freed*: by a second deferral, which that task has made, of the memory of all.
//!
//! # When it is given
//!
//! - When it is full.
//! - With a [flush](super::collect::flush): when the thread has retired so much that the collector is to go on, or the caller asks for it.
//! - When the thread has let go of so many pins without retiring anything.
//! - When the thread ends. What it retires after that, in destructors of its other locals, is given one by one.
//!
//! # Who may stall
//!
//! A thread that stalls keeps what is in its open batch. Nobody waits for it.
//!
//! # What it owns
//!
//! A count of the statistics of each store that it has nodes of, which the nodes point to. A node that is held past its batch has one of its own.

use core::cell::Cell;
use core::mem::take;
use core::ptr;
use std::sync::Arc;

use crossbeam_epoch::Guard;

use super::collect::defer_again;
use crate::drops::{Progress, Task, is_anything_aside, run};
use crate::engine::stats::Stats;
use crate::sync::per_thread;

/// Objects of a batch. One in models: in what order a thread's locals end, the model checkers do not say. What is retired under one pin
/// and given under a later one they write out.
const FULL: usize = if cfg!(any(tierstack_loom, tierstack_shuttle)) { 1 } else { 64 };
/// Stores that a batch has nodes of.
const OWNERS: usize = 4;
/// Pins that a thread lets go of while nothing is added to its batch, before it gives it.
const IDLE: u32 = 64;

/// What becomes of a retired object.
pub struct Kind {
    /// Drops what is in it, after the pins under which that can be read. False where somebody holds it, and does all that is left to do.
    pub end: unsafe fn(*mut ()) -> bool,
    /// Frees its memory, after the pins that stand then. Runs no code of a caller's.
    pub free: unsafe fn(*mut ()),
    /// Whether `end` runs code of a caller's.
    pub runs_code: bool,
}

/// A retired object.
#[derive(Clone, Copy)]
pub struct Dead {
    pub object: *mut (),
    pub kind: &'static Kind,
}

struct Batch {
    dead: Vec<Dead>,
    owners: Vec<Arc<Stats>>,
    /// How many were ended, and how many of those stay.
    ended: usize,
    kept: usize,
}

impl Batch {
    fn new() -> Self {
        Self { dead: Vec::with_capacity(FULL), owners: Vec::with_capacity(1), ended: 0, kept: 0 }
    }

    fn owns(&self, owner: *const Stats) -> bool {
        self.owners.iter().any(|owned| ptr::eq(Arc::as_ptr(owned), owner))
    }

    /// # Safety
    ///
    /// `owner` is from an `Arc` that is there.
    unsafe fn push(&mut self, dead: Dead, owner: *const Stats) {
        if !self.owns(owner) {
            // SAFETY: as the caller vouches.
            self.owners.push(unsafe {
                Arc::increment_strong_count(owner);
                Arc::from_raw(owner)
            });
        }
        self.dead.push(dead);
    }

    /// Has the collector end it, and free it later.
    ///
    /// # Safety
    ///
    /// What [`retire`] asks for is so of all that is in it.
    unsafe fn give(self: Box<Self>, guard: &Guard) {
        let task = Task { object: Box::into_raw(self).cast(), step: Self::end_one };
        // SAFETY: as the caller vouches: so it is after the pins that stand now.
        unsafe { guard.defer_unchecked(move || run(task)) };
    }

    /// # Safety
    ///
    /// A batch that was given; after the pins that stood then. Called until it says that it is done.
    unsafe fn end_one(batch: *mut ()) -> Progress {
        let batch: *mut Self = batch.cast();
        // SAFETY: given to this task alone. Not borrowed while an object ends.
        while let Some(dead) = unsafe { &*batch }.next() {
            // SAFETY: retired, and the pins have ended.
            let is_ended = unsafe { (dead.kind.end)(dead.object) };
            // SAFETY: as above.
            unsafe { &mut *batch }.note(dead, is_ended);
            if dead.kind.runs_code && is_anything_aside() {
                // What it has put aside comes before the next one.
                return Progress::More;
            }
        }
        // SAFETY: as above.
        unsafe { &mut *batch }.end();
        // SAFETY: what is in them is dropped, and nobody holds them.
        unsafe { defer_again(batch.cast(), Self::free) };
        Progress::Done
    }

    fn next(&self) -> Option<Dead> {
        self.dead.get(self.ended).copied()
    }

    /// Keeps what has ended, and drops what somebody holds from the list.
    fn note(&mut self, dead: Dead, is_ended: bool) {
        self.ended += 1;
        if is_ended {
            self.dead[self.kept] = dead;
            self.kept += 1;
        }
    }

    fn end(&mut self) {
        self.dead.truncate(self.kept);
        // Only what ends an object counts it.
        drop(take(&mut self.owners));
    }

    /// The second deferral.
    ///
    /// # Safety
    ///
    /// A batch that has ended; after the pins that stood then. Called once.
    unsafe fn free(batch: *mut ()) {
        // SAFETY: from `give`.
        let batch = unsafe { Box::from_raw(batch.cast::<Self>()) };
        for dead in &batch.dead {
            // SAFETY: as the caller vouches.
            unsafe { (dead.kind.free)(dead.object) };
        }
    }
}

/// The open batch of a thread.
struct Open {
    /// From a box, or null.
    batch: Cell<*mut Batch>,
    /// Pins that the thread has let go of since something was added.
    idle: Cell<u32>,
    /// Bytes that the thread has retired since it last flushed the collector, as [`Stats::retire`] reckons them.
    unflushed: Cell<u64>,
}

per_thread! {
    // Without a destructor, so that it is there for as long as the thread is, and nobody asks whether it is.
    static OPEN: Open = Open { batch: Cell::new(ptr::null_mut()), idle: Cell::new(0), unflushed: Cell::new(0) }
}

/// Gives the open batch when the thread ends.
struct End;

per_thread! { static END: End = End }

impl Drop for End {
    fn drop(&mut self) {
        give_all(&crossbeam_epoch::pin());
    }
}

impl Open {
    /// # Safety
    ///
    /// As [`retire`].
    #[inline]
    unsafe fn add(&self, dead: Dead, owner: *const Stats, bytes: u64, guard: &Guard) {
        self.unflushed.set(self.unflushed.get() + bytes);
        self.idle.set(0);
        // SAFETY: this thread's own, which nobody borrows.
        if unsafe { self.batch.get().as_ref() }.is_some_and(|batch| batch.owners.len() == OWNERS && !batch.owns(owner))
        {
            self.give(guard);
        }
        let is_first = self.batch.get().is_null();
        if is_first {
            self.batch.set(Box::into_raw(Box::new(Batch::new())));
        }
        // SAFETY: as above.
        let batch = unsafe { &mut *self.batch.get() };
        // SAFETY: as the caller vouches.
        unsafe { batch.push(dead, owner) };
        // Where the thread ends, nobody would give it later.
        if batch.dead.len() == FULL || is_first && END.try_with(|_| ()).is_err() {
            self.give(guard);
        }
    }

    #[cold]
    fn give(&self, guard: &Guard) {
        let batch = self.batch.replace(ptr::null_mut());
        if !batch.is_null() {
            // SAFETY: from a box, and this thread's own; what is in it was retired by this thread.
            unsafe { Box::from_raw(batch).give(guard) };
        }
    }
}

/// Retires an object: has it [ended](Kind::end) and [freed](Kind::free), each in its time. It counts for so many bytes until this thread
/// flushes the collector.
///
/// # Safety
///
/// Called once for each object, while pinned by `guard`. Nobody reaches it from now on but those who are pinned now, who may read what is
/// in it; or who may look at what is not dropped, who are pinned at most one epoch later. Both functions are sound then, on any thread.
/// `owner` is from an `Arc` that is there, and stays as long as the object is not ended.
#[inline]
pub unsafe fn retire(dead: Dead, owner: *const Stats, bytes: u64, guard: &Guard) {
    // SAFETY: as the caller vouches.
    OPEN.with(|open| unsafe { open.add(dead, owner, bytes, guard) });
}

/// Whether this thread has retired more than so many bytes since it last flushed the collector.
#[inline]
pub fn has_retired_more_than(bytes: u64) -> bool {
    OPEN.with(|open| open.unflushed.get() > bytes)
}

/// Gives the open batch, before a flush.
pub fn give_all(guard: &Guard) {
    // A model checker ends it with the others.
    let _ = OPEN.try_with(|open| {
        open.unflushed.set(0);
        open.give(guard);
    });
}

/// Whether this thread has retired something that it has not given yet.
#[inline]
pub fn is_open() -> bool {
    OPEN.with(|open| !open.batch.get().is_null())
}

/// Notes that the thread lets go of a pin: gives the open batch if nothing was added to it for a while.
pub fn let_go(guard: &Guard) {
    OPEN.with(|open| {
        if !open.batch.get().is_null() {
            open.idle.set(open.idle.get() + 1);
            if open.idle.get() >= IDLE {
                open.give(guard);
            }
        }
    });
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::{Duration, Instant};

    use super::super::collect::{collect, leave_nothing};
    use super::*;

    /// Counts what becomes of the objects of a test: each is a pointer to this.
    #[derive(Default)]
    struct Counts {
        ended: AtomicUsize,
        freed: AtomicUsize,
        held: AtomicUsize,
    }

    impl Counts {
        /// One that lives for as long as the process.
        fn new() -> &'static Self {
            Box::leak(Box::default())
        }

        fn object(&self) -> *mut () {
            ptr::from_ref(self).cast_mut().cast()
        }

        fn is(&self, ended: usize, freed: usize) -> bool {
            (self.ended.load(Ordering::Relaxed), self.freed.load(Ordering::Relaxed)) == (ended, freed)
        }

        /// Collects on this thread until it is so; other tests of the process are pinned now and then.
        #[track_caller]
        fn expect(&self, ended: usize, freed: usize) {
            let until = Instant::now() + Duration::from_secs(30);
            while !self.is(ended, freed) && Instant::now() < until {
                crossbeam_epoch::pin().flush();
            }
            assert!(self.is(ended, freed), "{:?} ended, {:?} freed", self.ended, self.freed);
        }
    }

    unsafe fn counts<'a>(object: *mut ()) -> &'a Counts {
        // SAFETY: leaked.
        unsafe { &*object.cast() }
    }

    unsafe fn end(object: *mut ()) -> bool {
        // SAFETY: as above.
        unsafe { counts(object) }.ended.fetch_add(1, Ordering::Relaxed);
        true
    }

    unsafe fn hold(object: *mut ()) -> bool {
        // SAFETY: as above.
        unsafe { counts(object) }.held.fetch_add(1, Ordering::Relaxed);
        false
    }

    unsafe fn free(object: *mut ()) {
        // SAFETY: as above.
        unsafe { counts(object) }.freed.fetch_add(1, Ordering::Relaxed);
    }

    static PLAIN: Kind = Kind { end, free, runs_code: false };
    static WITH_CODE: Kind = Kind { end, free, runs_code: true };
    static HELD: Kind = Kind { end: hold, free, runs_code: true };

    fn retire_one(counts: &'static Counts, kind: &'static Kind, owner: &Arc<Stats>) {
        let guard = crossbeam_epoch::pin();
        let dead = Dead { object: counts.object(), kind };
        // SAFETY: the object lives on; it only counts.
        unsafe { retire(dead, Arc::as_ptr(owner), 10, &guard) };
    }

    fn open() -> usize {
        // SAFETY: this thread's own.
        OPEN.with(|open| unsafe { open.batch.get().as_ref() }.map_or(0, |batch| batch.dead.len()))
    }

    fn on_a_thread(run: impl FnOnce() + Send + 'static) {
        thread::spawn(run).join().unwrap();
    }

    #[test]
    fn a_full_batch_is_given_with_one_count_of_its_owner() {
        on_a_thread(|| {
            let (counts, owner) = (Counts::new(), Arc::new(Stats::new()));
            for number in 1..FULL {
                retire_one(counts, [&PLAIN, &WITH_CODE][number % 2], &owner);
                assert_eq!((open(), Arc::strong_count(&owner)), (number, 2));
            }
            retire_one(counts, &PLAIN, &owner);
            assert_eq!((open(), Arc::strong_count(&owner)), (0, 2));
            counts.expect(FULL, FULL);
            assert_eq!(Arc::strong_count(&owner), 1);
        });
    }

    #[test]
    fn what_is_held_leaves_the_batch() {
        on_a_thread(|| {
            let (counts, owner) = (Counts::new(), Arc::new(Stats::new()));
            for kind in [&HELD, &PLAIN, &HELD, &HELD, &WITH_CODE, &PLAIN, &HELD] {
                retire_one(counts, kind, &owner);
            }
            give_all(&crossbeam_epoch::pin());
            counts.expect(3, 3);
            assert_eq!((counts.held.load(Ordering::Relaxed), Arc::strong_count(&owner)), (4, 1));
        });
    }

    #[test]
    fn what_an_object_puts_aside_comes_before_the_next_one() {
        /// How many turns were still to come when a next object ended.
        static LATE: AtomicUsize = AtomicUsize::new(0);
        unsafe fn turn(object: *mut ()) -> Progress {
            // SAFETY: as above.
            unsafe { counts(object) }.held.fetch_add(1, Ordering::Relaxed);
            Progress::Done
        }
        unsafe fn end_and_put_aside(object: *mut ()) -> bool {
            // SAFETY: as above.
            let counts = unsafe { counts(object) };
            let before = counts.ended.fetch_add(1, Ordering::Relaxed);
            LATE.fetch_add(before - counts.held.load(Ordering::Relaxed), Ordering::Relaxed);
            // SAFETY: it only counts.
            unsafe { run(Task { object, step: turn }) };
            true
        }
        static ASIDE: Kind = Kind { end: end_and_put_aside, free, runs_code: true };
        on_a_thread(|| {
            let (counts, owner) = (Counts::new(), Arc::new(Stats::new()));
            (0..FULL).for_each(|_| retire_one(counts, &ASIDE, &owner));
            counts.expect(FULL, FULL);
            assert_eq!((counts.held.load(Ordering::Relaxed), LATE.load(Ordering::Relaxed)), (FULL, 0));
        });
    }

    #[test]
    fn an_idle_thread_gives_what_it_has() {
        on_a_thread(|| {
            let (counts, owner) = (Counts::new(), Arc::new(Stats::new()));
            let idle = |pins: u32| (0..pins).for_each(|_| leave_nothing(&crossbeam_epoch::pin()));
            retire_one(counts, &PLAIN, &owner);
            idle(IDLE - 1);
            assert_eq!(open(), 1);
            // It is not idle.
            retire_one(counts, &PLAIN, &owner);
            idle(IDLE - 1);
            assert_eq!(open(), 2);
            idle(1);
            assert_eq!(open(), 0);
            counts.expect(2, 2);
        });
    }

    #[test]
    fn a_thread_that_ends_gives_what_it_has_and_what_comes_after_that() {
        thread_local! {
            static LAST: RetiresAtTheEnd = const { RetiresAtTheEnd(Cell::new(None)) };
        }
        struct RetiresAtTheEnd(Cell<Option<&'static Counts>>);
        impl Drop for RetiresAtTheEnd {
            fn drop(&mut self) {
                let owner = Arc::new(Stats::new());
                assert!(END.try_with(|_| ()).is_err());
                let Some(counts) = self.0.get() else { return };
                (0..3).for_each(|_| retire_one(counts, &PLAIN, &owner));
            }
        }
        let counts = Counts::new();
        on_a_thread(move || {
            // Before the batch, so that it goes after it.
            LAST.with(|last| last.0.set(Some(counts)));
            let owner = Arc::new(Stats::new());
            (0..2).for_each(|_| retire_one(counts, &PLAIN, &owner));
            assert_eq!(open(), 2);
        });
        counts.expect(5, 5);
    }

    #[test]
    fn a_batch_has_nodes_of_several_stores_but_not_of_many() {
        on_a_thread(|| {
            let counts = Counts::new();
            let owners: Vec<_> = (0..2 * OWNERS).map(|_| Arc::new(Stats::new())).collect();
            for round in 0..3 {
                owners[..OWNERS].iter().for_each(|owner| retire_one(counts, &PLAIN, owner));
                assert_eq!(open(), (round + 1) * OWNERS);
            }
            assert!(owners[..OWNERS].iter().all(|owner| Arc::strong_count(owner) == 2));
            retire_one(counts, &PLAIN, &owners[OWNERS]);
            assert_eq!(open(), 1, "the other was given");
            for owner in &owners {
                retire_one(counts, &PLAIN, owner);
            }
            collect();
            let all = 3 * OWNERS + 1 + owners.len();
            counts.expect(all, all);
            assert!(owners.iter().all(|owner| Arc::strong_count(owner) == 1));
        });
    }

    #[test]
    fn what_was_retired_is_counted_until_a_flush() {
        on_a_thread(|| {
            let (counts, owner) = (Counts::new(), Arc::new(Stats::new()));
            (0..3).for_each(|_| retire_one(counts, &PLAIN, &owner));
            assert!(has_retired_more_than(29) && !has_retired_more_than(30));
            (0..FULL).for_each(|_| retire_one(counts, &PLAIN, &owner));
            assert!(has_retired_more_than(29 + FULL as u64 * 10), "also what was given since");
            give_all(&crossbeam_epoch::pin());
            assert!(!has_retired_more_than(0));
        });
    }
}
