//! The hot budget: bytes are reserved before a fragment becomes hot, and released after it has left.
//!
//! # State
//!
//! `free` is what nobody has reserved, signed: below zero after the budget was lowered under what is reserved. `limit` is the
//! budget. At rest, `limit - free` is the sum of the weights of the hot fragments; while operations run it is that or more.
//!
//! # Transitions, and the races between them
//!
//! - *Reserve n*: CAS `free` to `free - n`, only where `free >= n`; never add-then-check, so that nothing is reserved that is not
//!   there, not for an instant.
//! - *Release n*: add to `free`, once the fragment that held the bytes has left hot.
//! - *Lower the budget*: take the difference off `free`, then CAS `limit`; undone if another call changed the limit first.
//!   *Raise it*: CAS `limit`, then add the difference. Either way `free + reserved <= limit` at every instant, so that no
//!   reservation is made on a budget that is not in force. With the limit swapped first, a lowering that is raised again
//!   by another thread can lend out the difference twice.
//!
//! Anybody may stall anywhere: a stalled reserver holds bytes that others go without (they answer that they were contended);
//! nobody waits for them. A loop runs again only when another thread's change took effect: lock-free.
//!
//! # Orderings
//!
//! `free` is changed by `AcqRel` read-modify-writes: who reserves bytes sees that the fragment they came from has left hot.

use crate::failpoint::{Step, reach};
use crate::sync::{AtomicI64, AtomicU64, Ordering, Padded};

/// The largest budget and the largest weight, in bytes: 2⁴⁰.
pub const MAX_BYTES: u64 = 1 << 40;

/// Bytes of the hot tier.
pub struct Budget {
    free: Padded<AtomicI64>,
    limit: AtomicU64,
}

/// How a change of the limit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Done,
    Lost,
}

impl Budget {
    /// A budget of `limit` bytes, which is at most [`MAX_BYTES`], none of them reserved.
    pub fn new(limit: u64) -> Self {
        debug_assert!(limit <= MAX_BYTES);
        Self { free: Padded(AtomicI64::new(signed(limit))), limit: AtomicU64::new(limit) }
    }

    /// The budget in force, in bytes.
    pub fn limit(&self) -> u64 {
        // Acquire: pairs with the CAS of the call that set it.
        self.limit.load(Ordering::Acquire)
    }

    /// Whether more is reserved than the budget allows, as after it was lowered.
    pub fn is_overdrawn(&self) -> bool {
        // Acquire: pairs with the change that overdrew it, so that its limit is seen too.
        self.free.load(Ordering::Acquire) < 0
    }

    /// Reserves `bytes`, if that many are free at this instant.
    fn try_take(&self, bytes: u64) -> bool {
        if bytes == 0 {
            return true;
        }
        let bytes = signed(bytes);
        // Acquire: a refusal is an answer about this instant.
        let mut free = self.free.load(Ordering::Acquire);
        while free >= bytes {
            match self.free.compare_exchange_weak(free, free - bytes, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => free = now,
            }
        }
        false
    }

    /// Gives back `bytes` that were reserved.
    pub fn release(&self, bytes: u64) {
        if bytes > 0 {
            self.free.fetch_add(signed(bytes), Ordering::AcqRel);
        }
    }

    /// Sets the limit. What is reserved above it is the caller's to free (see [`Budget::is_overdrawn`]).
    pub fn set_limit(&self, limit: u64) {
        debug_assert!(limit <= MAX_BYTES);
        loop {
            let old = self.limit();
            if limit == old || self.change(old, limit) == Change::Done {
                return;
            }
        }
    }

    fn change(&self, old: u64, new: u64) -> Change {
        let difference = signed(new) - signed(old);
        if difference < 0 {
            self.free.fetch_add(difference, Ordering::AcqRel);
        }
        let swapped = self.limit.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok();
        reach(Step::Raising);
        // A raise is lent out only now; a cut that lost is undone.
        if swapped && difference > 0 {
            self.free.fetch_add(difference, Ordering::AcqRel);
        } else if !swapped && difference < 0 {
            self.free.fetch_sub(difference, Ordering::AcqRel);
        }
        if swapped { Change::Done } else { Change::Lost }
    }

    /// Bytes that nobody has reserved; for checks at rest.
    #[cfg(any(test, tierstack_loom, fuzzing))]
    pub fn free(&self) -> i64 {
        self.free.load(Ordering::Acquire)
    }
}

const fn signed(bytes: u64) -> i64 {
    bytes.cast_signed()
}

/// Bytes held for a newcomer to hot; given back when dropped.
pub struct Reservation<'b> {
    budget: &'b Budget,
    held: u64,
}

impl<'b> Reservation<'b> {
    /// A reservation of nothing yet.
    pub const fn empty(budget: &'b Budget) -> Self {
        Self { budget, held: 0 }
    }

    /// The bytes held.
    pub const fn held(&self) -> u64 {
        self.held
    }

    /// Whether `bytes` are held, after reserving what is missing if that is free at this instant.
    pub fn try_grow_to(&mut self, bytes: u64) -> bool {
        let missing = bytes.saturating_sub(self.held);
        let grown = self.budget.try_take(missing);
        if grown {
            self.held += missing;
        }
        grown
    }

    /// Adds the bytes of a fragment that this thread moved out of hot.
    pub fn join(&mut self, bytes: u64) {
        self.held += bytes;
    }

    /// Gives back what is held above `bytes`.
    pub fn shrink_to(&mut self, bytes: u64) {
        if self.held > bytes {
            self.budget.release(self.held - bytes);
            self.held = bytes;
        }
    }

    /// Hands the bytes over to what is now hot; they are given back by whoever ends that.
    pub fn hand_over(&mut self) {
        self.held = 0;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.budget.release(self.held);
    }
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_never_passes_the_budget_and_is_given_back() {
        let budget = Budget::new(100);
        let mut first = Reservation::empty(&budget);
        assert!(first.try_grow_to(60));
        let mut second = Reservation::empty(&budget);
        assert!(!second.try_grow_to(41));
        assert_eq!(second.held(), 0);
        assert!(second.try_grow_to(40) && second.try_grow_to(40) && second.try_grow_to(0));
        first.join(5);
        first.shrink_to(10);
        assert_eq!((first.held(), budget.free()), (10, 55));
        drop((first, second));
        assert_eq!(budget.free(), 105, "60 + 5 + 40 were given back");
    }

    #[test]
    fn a_lowered_budget_is_overdrawn_until_bytes_come_back() {
        let budget = Budget::new(100);
        let mut held = Reservation::empty(&budget);
        assert!(held.try_grow_to(90));
        budget.set_limit(50);
        assert!(budget.is_overdrawn() && budget.limit() == 50);
        let mut more = Reservation::empty(&budget);
        assert!(!more.try_grow_to(1) && more.try_grow_to(0));
        drop(held);
        assert!(!budget.is_overdrawn() && more.try_grow_to(50));
        budget.set_limit(MAX_BYTES);
        drop(more);
        assert_eq!(budget.free(), signed(MAX_BYTES));
    }

    #[test]
    fn a_change_that_another_was_before_changes_nothing() {
        let budget = Budget::new(100);
        for limit in [50, 150] {
            // Of a limit that is not in force any more.
            assert_eq!(budget.change(99, limit), Change::Lost);
            assert_eq!((budget.limit(), budget.free()), (100, 100));
        }
    }
}
