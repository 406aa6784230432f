//! Who keeps a node without a pin, and which of them frees it.
//!
//! What has left the store is kept on its way to the listener, which may take its time, after it was retired.
//!
//! # States
//!
//! One word: how many hold the node, whether its value was moved out, and whether it is *due*.
//!
//! - *Hold*: the count rises. By a thread that has reached the node under its pin, which began before the node was retired: so the node is
//!   not due before that pin has ended.
//! - *Due*: the first deferral says so, once, when nobody can read the node under a pin any more, if somebody holds it. (If nobody does it frees
//!   the node, and says nothing.) If nobody holds it by now, the deferral frees it. Else it is left to the holders, and nothing
//!   is deferred again.
//! - *Leave*: the count falls. Whoever makes it zero when the node is due frees it.
//!
//! The deferral and the last holder change one word, each once: the one that comes second finds what the other has done. So exactly
//! one of them frees the node.
//!
//! # Who may stall
//!
//! A stalled holder keeps the nodes that it holds, and nothing else.

use crate::sync::Ordering;
use crate::sync::deferred::AtomicUsize;

/// The value was moved out.
const TAKEN: usize = 1 << (usize::BITS - 1);
/// Nobody reads the node under a pin.
const DUE: usize = TAKEN >> 1;

/// Who is to free a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Duty {
    /// The caller.
    Mine,
    /// Whoever still holds it; or, where it is not due, the deferral that will find it so.
    Others,
}

/// Those who hold a node.
pub struct Holders(AtomicUsize);

impl Holders {
    pub fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// One more, before the caller's pin ends.
    pub fn hold(&self) {
        // Relaxed: the deferral looks at the word after the caller's pin has ended.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether there are any: no more come once the pins have ended under which the node was reached.
    pub fn are_some(&self) -> bool {
        // Acquire: pairs with the release of those who have left.
        self.0.load(Ordering::Acquire) & !TAKEN > 0
    }

    /// One less.
    pub fn leave(&self) -> Duty {
        // Release: what this holder did is before the free. Acquire: so is what the others did, and what came before the node was due.
        let before = self.0.fetch_sub(1, Ordering::AcqRel);
        if before & !TAKEN == DUE | 1 { Duty::Mine } else { Duty::Others }
    }

    /// Nobody reads the node under a pin any more: said once.
    pub fn due(&self) -> Duty {
        // Acquire: what the holders did that have left is before the free. Release: what came before this is before the last holder's.
        let before = self.0.fetch_or(DUE, Ordering::AcqRel);
        if before & !TAKEN == 0 { Duty::Mine } else { Duty::Others }
    }

    /// Notes that the value is moved out, under a pin or by a holder.
    pub fn take_value(&self) {
        // Release: before the free, which the pin or the holder still keeps off.
        self.0.fetch_or(TAKEN, Ordering::Release);
    }

    /// Whether the value was moved out; by whoever frees the node.
    pub fn is_value_taken(&self) -> bool {
        // Acquire: pairs with `take_value`.
        self.0.load(Ordering::Acquire) & TAKEN != 0
    }
}
