//! Ticks: the one clock of a store.
//!
//! Every use and every placement of a fragment takes a tick of its own, so that ticks order them all and none is given out
//! twice. A tick names a cell in a tier's recency order (see [`crate::engine::order`]), and no two nodes ever want the same cell.
//!
//! Read and written by every thread; nothing is published through it. A tick only has to be unique and to be above those
//! that its own thread has seen before, and both follow from the modification order of the one atomic, whatever the ordering. A snapshot needs a little more: a tick that is not
//! below the clock as the snapshot has read it after its activation was taken after that (see [`crate::engine::reports`]).

use crate::engine::place::MAX_TICK;
use crate::sync::{AtomicU64, Ordering, Padded};

/// Gives out unique, rising ticks.
pub struct Clock {
    next: Padded<AtomicU64>,
    first: u64,
}

impl Clock {
    /// A clock whose first tick is `first`, which is at least 1: tick 0 is before every use.
    pub fn starting_at(first: u64) -> Self {
        debug_assert!(first > 0);
        Self { next: Padded(AtomicU64::new(first)), first }
    }

    /// The next tick; `None` when all of them are spent. Wait-free.
    #[inline]
    pub fn tick(&self) -> Option<u64> {
        // SeqCst: in one order with the activation of a snapshot; see the head of the module. Uniqueness comes from the modification order.
        let tick = self.next.fetch_add(1, Ordering::SeqCst);
        if tick <= MAX_TICK { Some(tick) } else { self.exhausted() }
    }

    /// Keeps the counter from going round, however long a store is used after its last tick.
    #[cold]
    fn exhausted(&self) -> Option<u64> {
        // Relaxed: only the modification order matters. Each late call adds one and takes one off again, so that the counter stays near the limit.
        self.next.fetch_sub(1, Ordering::Relaxed);
        None
    }

    /// A tick that is not below any given out before this thread's last synchronization with its taker.
    #[inline]
    pub fn now(&self) -> u64 {
        // Relaxed: a bound for sealing and for the slack of recency, which tolerate a stale one; and for a snapshot's walk, after a fence.
        self.next.load(Ordering::Relaxed)
    }

    /// Whether no tick has been taken since `tick` was.
    #[inline]
    pub fn is_last(&self, tick: u64) -> bool {
        // Acquire: what the caller reads after this is no older. A tick that was taken before, as the caller knows, is seen.
        self.next.load(Ordering::Acquire) == tick + 1
    }

    /// How many ticks have been given out.
    pub fn taken(&self) -> u64 {
        self.now().min(MAX_TICK + 1) - self.first
    }
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_unique_and_end() {
        let clock = Clock::starting_at(MAX_TICK - 1);
        assert_eq!(clock.tick(), Some(MAX_TICK - 1));
        assert_eq!(clock.tick(), Some(MAX_TICK));
        for _ in 0..100 {
            assert_eq!(clock.tick(), None);
        }
        assert_eq!(clock.taken(), 2);
        assert_eq!(clock.now(), MAX_TICK + 1, "calls that come too late leave the counter where it is");
    }
}
