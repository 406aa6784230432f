//! Callers' destructors: one at a time on each thread.
//!
//! # Why they would nest
//!
//! A destructor of a key, of a value, of what a listener has captured, may use a store. Any use of a store may have something to drop: its pin
//! collects now and then (each pin does, on a thread that is ending and has lost its place in the collector); a heavy value may
//! be left to it; a capacity may push something out; and a value may own a store, whose content goes with it. If all that
//! were dropped where it comes up, destructors would run within destructors, as deep as there is garbage, or as stores own stores.
//!
//! # States
//!
//! A thread is *idle*, or it *runs*: then it has a list of tasks, in the frame of the outermost call of [`run`].
//!
//! - Idle: [`run`] makes the list, does its task, and then what is in the list, the last first, until nothing is. Then it is idle again.
//! - Running: [`run`] puts its task into the list, and returns.
//!
//! A task of many steps (a store that goes has a node for each) stays in the list between two of them, below what the step has put aside.
//! So the order is nearly that of nested calls, and the list is as long as stores own stores, and what one destructor has asked for.
//!
//! # Who may stall, and panics
//!
//! The list is its thread's own; nobody waits for it. A destructor that panics ends there: see [`quietly`].
//!
//! # What a task may refer to
//!
//! It is done later than it was asked for, after the calls in between have returned: so all of it is `'static`, and its own. It is done by
//! the thread that asked for it.
//!
//! Changes of plans are dropped where the plan is, as they may borrow from the frame that drops it. Plans in changes of plans
//! nest, as boxes do; a store anywhere in between puts an end to that.

use core::cell::Cell;
use core::mem::{MaybeUninit, forget, needs_drop};
use core::panic::AssertUnwindSafe;
use core::ptr;
use std::panic::catch_unwind;

/// Whether a task has a further step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Done,
    More,
}

/// Something to be done once, by the thread that asks for it: `step(object)`, until it says that it is done.
#[derive(Clone, Copy)]
pub struct Task {
    pub object: *mut (),
    pub step: unsafe fn(*mut ()) -> Progress,
}

thread_local! {
    // Without a destructor, so that it is there for as long as the thread is.
    /// The list of the outermost call of [`run`] on this thread; null where it is idle.
    static ASIDE: Cell<*mut Vec<Task>> = const { Cell::new(ptr::null_mut()) };
}

/// Whether a destructor of a caller, or several, one after the other, run on this thread.
#[inline]
pub fn is_running() -> bool {
    !ASIDE.get().is_null()
}

/// Whether a step of a task has put anything aside, or others wait: then the step ends, so that their turn comes.
///
/// Only within a step.
#[inline]
pub fn is_anything_aside() -> bool {
    // SAFETY: the list of the outermost call on this thread, which is there while a step runs, and which nobody borrows.
    unsafe { ASIDE.get().as_ref() }.is_none_or(|list| !list.is_empty())
}

/// Does the task: at once and to its end where the thread is idle, else after what runs now.
///
/// # Safety
///
/// `step(object)` is sound until it is done, on this thread, now or later; it does not unwind.
pub unsafe fn run(task: Task) {
    let running = ASIDE.get();
    if !running.is_null() {
        // SAFETY: the list of the outermost call on this thread, which does not touch it while a step runs.
        unsafe { (*running).push(task) };
        return;
    }
    let mut list: Vec<Task> = Vec::new();
    let list = &raw mut list;
    ASIDE.set(list);
    let mut next = Some(task);
    while let Some(task) = next {
        // SAFETY: the list is this frame's, and nobody borrows it between steps.
        let below = unsafe { (*list).len() };
        // SAFETY: as the callers vouched.
        if unsafe { (task.step)(task.object) } == Progress::More {
            // SAFETY: as above. Below what the step has put aside.
            unsafe { (*list).insert(below, task) };
        }
        // SAFETY: as above.
        next = unsafe { (*list).pop() };
    }
    ASIDE.set(ptr::null_mut());
}

/// Drops a value where it is, or, where other destructors run on this thread, moves it to the heap and drops it after them. A panic of its
/// destructor ends here.
///
/// # Safety
///
/// The value is the caller's to drop, and is not used after this.
#[inline]
pub unsafe fn drop_in_place<T: 'static>(value: *mut T) {
    unsafe fn step<T>(value: *mut ()) -> Progress {
        // SAFETY: as the caller of `drop_in_place` vouches: it has not returned yet.
        quietly(|| unsafe { ptr::drop_in_place(value.cast::<T>()) });
        Progress::Done
    }
    if !needs_drop::<T>() {
        return;
    }
    if !is_running() {
        // SAFETY: as the caller vouches; done before this returns.
        unsafe { run(Task { object: value.cast(), step: step::<T> }) };
        return;
    }
    let mut moved = Box::<MaybeUninit<T>>::new_uninit();
    // SAFETY: the caller gives the value up, so that it is moved. Not through the stack, for which it may be too large.
    drop_box(unsafe {
        ptr::copy_nonoverlapping(value.cast::<MaybeUninit<T>>(), moved.as_mut_ptr(), 1);
        moved.assume_init().assume_init()
    });
}

/// Drops a box: at once, or, where other destructors run on this thread, after them. A panic of its destructor ends here.
#[inline]
pub fn drop_box<T: 'static>(value: Box<T>) {
    unsafe fn step<T>(value: *mut ()) -> Progress {
        // SAFETY: from `into_raw`, below; a task that is done is not done again.
        let value = unsafe { Box::from_raw(value.cast::<T>()) };
        quietly(|| drop(value));
        Progress::Done
    }
    // SAFETY: the value is the task's own, `'static`, and stays on this thread.
    unsafe { run(Task { object: Box::into_raw(value).cast(), step: step::<T> }) };
}

/// Runs somebody's code; a panic in it ends here.
pub fn quietly(run: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(run)) {
        // The payload's own destructor may panic as well.
        if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            forget(another);
        }
    }
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    type Trace = Rc<RefCell<Vec<u32>>>;

    /// Leaves its number, and then drops what it owns, through [`drop_in_place`].
    struct Owner {
        number: u32,
        owned: Vec<Owner>,
        trace: Trace,
    }

    impl Drop for Owner {
        fn drop(&mut self) {
            for owned in self.owned.drain(..) {
                let mut owned = core::mem::ManuallyDrop::new(owned);
                // SAFETY: not used after this.
                unsafe { drop_in_place(&raw mut *owned) };
            }
            self.trace.borrow_mut().push(self.number);
            assert!(!self.number.is_multiple_of(4), "by design");
        }
    }

    fn owner(number: u32, trace: &Trace, owned: Vec<Owner>) -> Owner {
        Owner { number, owned, trace: Rc::clone(trace) }
    }

    #[test]
    fn destructors_run_one_after_the_other_whichever_of_them_panic() {
        let trace = Trace::default();
        let leaves = |numbers: core::ops::Range<u32>| numbers.map(|number| owner(number, &trace, vec![])).collect();
        let inner = owner(4, &trace, leaves(5..7));
        let first = owner(1, &trace, vec![owner(2, &trace, vec![]), inner]);
        drop_box(Box::new(first));
        assert_eq!(*trace.borrow(), [1, 4, 6, 5, 2], "each after those that it was asked for by, the last first");
        assert!(!is_running() && Rc::strong_count(&trace) == 1);
    }

    #[test]
    fn a_task_of_many_steps_goes_on_after_what_its_steps_put_aside() {
        thread_local! {
            static TRACE: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
            static STEPS: Cell<u32> = const { Cell::new(0) };
        }
        fn put_aside(number: u32) {
            struct Leaves(u32);
            impl Drop for Leaves {
                fn drop(&mut self) {
                    TRACE.with_borrow_mut(|trace| trace.push(self.0));
                }
            }
            drop_box(Box::new(Leaves(number)));
        }
        unsafe fn step(_: *mut ()) -> Progress {
            let number = STEPS.get();
            STEPS.set(number + 1);
            put_aside(10 * number);
            put_aside(10 * number + 1);
            TRACE.with_borrow_mut(|trace| trace.push(100 * number));
            if number < 3 { Progress::More } else { Progress::Done }
        }
        // SAFETY: looks at no object.
        unsafe { run(Task { object: ptr::null_mut(), step }) };
        assert_eq!(TRACE.take(), [0, 1, 0, 100, 11, 10, 200, 21, 20, 300, 31, 30]);
    }

    #[test]
    fn the_payload_of_a_panic_may_panic_too() {
        struct Payload(u32);
        impl Drop for Payload {
            fn drop(&mut self) {
                if self.0 > 0 {
                    std::panic::panic_any(Payload(self.0 - 1));
                }
            }
        }
        quietly(|| std::panic::panic_any(Payload(2)));
    }
}
