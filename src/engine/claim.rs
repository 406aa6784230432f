//! Who may read a value, and when it goes, where that need not wait for the epoch.
//!
//! A value can be read in two ways, both while pinned:
//!
//! - *Lent* by a view, for as long as the view lives. The store counts its views. An owned iteration, and an owned eviction of what stays in
//!   the store, count as views for their length.
//! - *Claimed* by an owned operation, for as long as it clones the value. The node counts its claims; only those of heavy fragments do, and of those that were stored while
//!   more values waited to be freed than the store held: the node knows it from its beginning.
//!
//! The operation that ended a fragment (replaced it, removed it or pushed it out) may *let go* of its value, once. If the value is claimed
//! at all and no view is there, it marks the claims; no claim is made after that, and whoever is last, the one that marks or the
//! last of those that have claimed, has the value for itself: it is moved out, and handed to the caller or dropped, at once. In all
//! other cases nobody marks, and the value is dropped with the node's first deferral.
//!
//! # Why no lent value is taken
//!
//! A view is counted before it reads any word, and the ender looks at the count after it has ended the fragment, both by read-modify-writes
//! of the one counter. If the view came first, the ender sees it. If the ender came first, the view sees that the fragment has
//! ended, and lends nothing of it. (A view that has gone again has read before it was discounted.)
//!
//! # Who may stall
//!
//! Anybody: a stalled ender leaves one value to the epoch, a stalled reader keeps the one value that it has claimed; a stalled view,
//! what is ended while it lives. A claim that comes too
//! late has seen that the fragment ended, and its operation looks again: lock-free.

use crate::sync::{AtomicU32, AtomicUsize, Ordering, Padded};

/// The weight, in bytes, from which on a value does not wait for the epoch: 1 KiB.
///
/// A *heavy* value is one of a fragment that weighs so much or more, or one whose type alone is so large.
///
/// It goes at once, where an owned operation ended it (replaced it, removed it, or pushed it out of cold) while the store had no
/// [`View`](crate::View), and no owned iteration, demotion of the least recently used, or start of leaving in progress. Then it is handed to the caller itself
/// instead of a clone, or dropped when the last owned operation that reads it is done. Of all other values a clone is handed over, and
/// they are dropped when every thread that was pinned has unpinned.
///
/// While more values wait to be freed than the store holds, because some thread stays pinned, every value that is stored is treated as heavy.
// Less in random programs, whose weights are small.
pub const HEAVY: u64 = if cfg!(any(tierstack_shuttle, fuzzing)) { 4 } else { 1 << 10 };
/// The size of a value's type from which on it is heavy, whatever the weigher says.
pub const HEAVY_SIZE: usize = 1 << 10;

/// Below it is room for more claims than there can be threads.
const LET_GO: u32 = 1 << (u32::BITS - 1);

/// How an end of interest in a value left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Left {
    /// To the caller alone, who takes it.
    ToCaller,
    /// To others.
    ToOthers,
}

/// The claims on one node's value. Of 32 bits, for the node's sake.
pub struct Claims(AtomicU32);

impl Claims {
    pub fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Counts a reader; false if the value was let go.
    pub fn claim(&self) -> bool {
        // Acquire: pairs with the mark. Whoever finds it sees that the fragment has ended.
        let mut now = self.0.load(Ordering::Acquire);
        while now & LET_GO == 0 {
            match self.0.compare_exchange_weak(now, now + 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(changed) => now = changed,
            }
        }
        false
    }

    /// Ends a claim.
    pub fn unclaim(&self) -> Left {
        // Release: what the claimer read is before the value goes. Acquire: so is what those read that ended before.
        match self.0.fetch_sub(1, Ordering::AcqRel) {
            last if last == LET_GO | 1 => Left::ToCaller,
            _ => Left::ToOthers,
        }
    }

    /// Marks the value as let go: by the one operation that ended the fragment.
    pub fn let_go(&self) -> Left {
        // As for `unclaim`; and Release: the end of the fragment is before the mark.
        match self.0.fetch_or(LET_GO, Ordering::AcqRel) {
            0 => Left::ToCaller,
            _ => Left::ToOthers,
        }
    }

    /// The same, if nobody claims the value; else nothing.
    pub fn let_go_alone(&self) -> Left {
        // Relaxed on a loss: nothing follows from it.
        match self.0.compare_exchange(0, LET_GO, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => Left::ToCaller,
            Err(_) => Left::ToOthers,
        }
    }
}

/// How many views of a store there are.
pub struct Views(Padded<AtomicUsize>);

impl Views {
    pub fn new() -> Self {
        Self(Padded(AtomicUsize::new(0)))
    }

    /// Counts a view, before it reads anything.
    pub fn register(&self) -> Registration<'_> {
        // SeqCst: pairs with `none`. A fragment that was let go before is seen to have ended; and a snapshot is counted before it joins, in one order.
        self.0.fetch_add(1, Ordering::SeqCst);
        Registration(self)
    }

    /// Whether there is no view that can have seen alive what the caller has ended before.
    pub fn none(&self) -> bool {
        // A read-modify-write: see the head of the module. Acquire: pairs with the release of those that have gone.
        // SeqCst: after the block of a snapshot that has not been told of the end.
        self.0.fetch_add(0, Ordering::SeqCst) == 0
    }
}

/// A view that is counted, until this is dropped.
pub struct Registration<'v>(&'v Views);

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        // Release: what the view has read is before a value that is let go after this.
        self.0.0.fetch_sub(1, Ordering::Release);
    }
}
