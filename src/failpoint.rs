//! Named steps of the protocols, at which the tests stop a thread and the fuzzer hands over to another. Nothing outside of these.

/// A step that a thread has just taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code, reason = "named for the tests"))]
pub enum Step {
    /// A fragment is found by an owned read; its value is not claimed.
    Found,
    /// A use has raised the last use, and has not looked at the place yet.
    Raised,
    /// A use has raised the time of the last use, and has no tick yet.
    Aged,
    /// A fragment was found due; that is not confirmed.
    Judged,
    /// Bytes of hot are reserved for a newcomer.
    Reserved,
    /// A new fragment has replaced another; it is not published.
    Committed,
    /// A new fragment is in the index; it is not published.
    Inserted,
    /// A fragment is moved; its old entry is not cleared.
    Moved,
    /// A fragment is removed; it is still in its cell and in the index.
    Removed,
    /// A node is in its place in an order; that is not counted.
    InCell,
    /// An entry is filled; the move that it is for is not made.
    Filled,
    /// A fragment is about to be kept or let go, which is noted; it is not moved.
    Crossing,
    /// A move is lost; what was filled for it is not settled.
    Lost,
    /// What was filled for a lost move is settled; the move is not tried again.
    Settled,
    /// A new fragment is published; what it replaced is not cleared.
    Published,
    /// An entry of an order is cleared; what is empty by that is not taken out.
    Emptied,
    /// One of the two orders that an iteration looks at is walked.
    Scanned,
    /// A page is sealed; it is still in the directory.
    Sealed,
    /// Room in the index is claimed; the cell is not filled.
    RoomClaimed,
    /// An index cell was read and is about to be swung or buried.
    Tidying,
    /// An index cell is buried; that is not counted.
    Buried,
    /// An index cell is frozen; it is not copied.
    Frozen,
    /// A frozen cell is copied; it is not marked as moved.
    Copied,
    /// A table takes no inserts any more; it has no successor.
    Sealing,
    /// A successor table is set; nothing is moved.
    Grown,
    /// The root has passed a table, whose room is not handed over.
    Advanced,
    /// A claimer has lowered the counts of a tier with two bounds; nothing is granted.
    Lowered,
    /// A push out of a tier over capacity is claimed, and not made.
    Claimed,
    /// What is kept in hot is about to be looked at beside the budget, which is not read.
    Beside,
    /// A fragment is taken off the counts for its removal, which is not made.
    Uncounted,
    /// A raised budget is set; the difference is not free yet.
    Raising,
    /// An operation has found the budget to hold; it has not ended.
    Enforced,
    /// A hot fragment has left; its bytes are not released.
    Left,
    /// A collector was found, and what is to be told it is not read.
    Reporting,
    /// A snapshot has installed its collector, and has not walked.
    Activated,
    /// A snapshot has walked one tier.
    WalkedTier,
    /// A snapshot has walked; its instant has not come.
    Walked,
    /// A snapshot's instant has come; its collector is still found.
    Blocked,
    /// An entry of a plan's log is made, and not pushed.
    Recording,
    /// A plan's version is sealed; the root still names it.
    LogSealed,
}

#[cfg(not(any(test, fuzzing)))]
#[inline(always)]
pub fn reach(_step: Step) {}

#[cfg(test)]
#[cfg_attr(tierstack_shuttle, allow(unused_imports, reason = "schedules stop threads by themselves"))]
pub use armed::{arm, reach};

#[cfg(all(fuzzing, not(test)))]
pub use watched::{reach, watch};

#[cfg(test)]
mod armed {
    use std::cell::RefCell;

    use super::Step;

    type Trap = (Step, Box<dyn FnOnce()>);

    thread_local! {
        static TRAP: RefCell<Option<Trap>> = const { RefCell::new(None) };
    }

    /// Has the current thread run `action` the next time it reaches `step`.
    #[cfg_attr(tierstack_shuttle, allow(dead_code, reason = "as above"))]
    pub fn arm(step: Step, action: impl FnOnce() + 'static) {
        TRAP.with(|trap| *trap.borrow_mut() = Some((step, Box::new(action))));
    }

    pub fn reach(step: Step) {
        let action = TRAP.with(|trap| {
            let mut trap = trap.borrow_mut();
            if trap.as_ref().is_some_and(|(armed, _)| *armed == step) { trap.take() } else { None }
        });
        if let Some((_, action)) = action {
            action();
        }
    }
}

#[cfg(all(fuzzing, not(test)))]
mod watched {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::Step;

    thread_local! {
        static WATCHER: RefCell<Option<Rc<dyn Fn(Step)>>> = const { RefCell::new(None) };
    }

    /// Has the current thread call `watcher` at every step that it reaches from now on.
    pub fn watch(watcher: impl Fn(Step) + 'static) {
        WATCHER.with(|current| *current.borrow_mut() = Some(Rc::new(watcher)));
    }

    pub fn reach(step: Step) {
        let watcher = WATCHER.with(|current| current.borrow().clone());
        if let Some(watcher) = watcher {
            watcher(step);
        }
    }
}
