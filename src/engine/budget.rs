//! The hot budget: bytes are reserved before a fragment becomes hot, and released after it has left.
//!
//! # State
//!
//! `free` is what nobody has reserved, signed: below zero after the budget was lowered under what is reserved. `reserved` counts what
//! is reserved; it is raised after `free` was lowered for it, and lowered before `free` is raised for it. `limit` is the budget, with a
//! version. At rest, `limit - free` and `reserved` are the sum of the weights of the hot fragments.
//!
//! # What bounds what
//!
//! A fragment is published in hot after its bytes are in `reserved`, and they are taken off after it has left. So at every instant
//!
//! ```text
//! weights of what stands in hot  <=  reserved  <=  what is reserved  <=  limit - free
//! ```
//!
//! whoever is stopped, and wherever. `reserved` is what a store calls the bytes of hot.
//!
//! # Transitions, and the races between them
//!
//! - *Reserve n*: CAS `free` to `free - n`, only where `free >= n`; never add-then-check, so that nothing is reserved that is not
//!   there, not for an instant. Then add to `reserved`.
//! - *Release n*: take off `reserved`, then add to `free`, once the fragment that held the bytes has left hot.
//! - *Lower the budget*: take the difference off `free`, then CAS `limit`; undone if another call changed the limit first.
//!   *Raise it*: CAS `limit`, then add the difference. Either way what is free and what is reserved come to at most `limit` at every
//!   instant, so that no reservation is made on a budget that is not in force. With the limit swapped first, a lowering that is raised again
//!   by another thread can lend out the difference twice.
//! - *Is it overdrawn?* `free < 0` alone does not say so: while one call raises the limit and another lowers it, `free` can lag behind.
//!   It is where `reserved` is above the limit as well. Who lowers the budget looks after that, and who has published in hot looks
//!   after that, each with a `SeqCst` fence in between: so the one finds the fragment, or the other the lowered budget (after Dekker).
//!   A fragment that is too much is demoted by one of them; and, as it is in `reserved` before it is published, by anyone who
//!   looks, where both are stopped.
//! - *Was it too low all the while?* The word of the limit carries a version, the number of its changes. Where two looks find the same
//!   version, or that of one change, the limit was one of the two that they found, at every instant in between. The second look is a
//!   read-modify-write, and so comes after every change that anybody can have seen before it. (The version goes round
//!   after 2²³ changes. Who is stopped between its two looks for exactly so many is told what was true at neither end.)
//!
//! Anybody may stall anywhere: a stalled reserver holds bytes that others go without (they answer that they were contended);
//! nobody waits for them. A loop runs again only when another thread's change took effect: lock-free.
//!
//! # Orderings
//!
//! `free` is changed by `AcqRel` read-modify-writes: who reserves bytes sees that the fragment they came from has left hot.

use crate::failpoint::{Step, reach};
use crate::sync::{AtomicI64, AtomicU64, Ordering, Padded, fence};

/// The largest budget and the largest weight, in bytes: 2⁴⁰.
pub const MAX_BYTES: u64 = 1 << 40;

/// Bytes of the hot tier.
pub struct Budget {
    free: Padded<AtomicI64>,
    reserved: Padded<AtomicU64>,
    limit: AtomicU64,
}

/// A snapshot of the limit: the budget, and its version above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(u64);

const VERSION_SHIFT: u32 = 41;
const BYTES: u64 = (1 << VERSION_SHIFT) - 1;

impl Limit {
    /// The budget, in bytes.
    pub const fn bytes(self) -> u64 {
        self.0 & BYTES
    }

    /// The limit after one change.
    const fn changed_to(self, bytes: u64) -> Self {
        Self((self.0 >> VERSION_SHIFT).wrapping_add(1) << VERSION_SHIFT | bytes)
    }

    /// How many changes there were between the two.
    const fn changes_since(self, earlier: Self) -> u64 {
        (self.0 >> VERSION_SHIFT << VERSION_SHIFT).wrapping_sub(earlier.0 >> VERSION_SHIFT << VERSION_SHIFT)
            >> VERSION_SHIFT
    }
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
        Self {
            free: Padded(AtomicI64::new(signed(limit))),
            reserved: Padded(AtomicU64::new(0)),
            limit: AtomicU64::new(limit),
        }
    }

    /// The limit, for [`Budget::was_below`] later.
    pub fn look(&self) -> Limit {
        // Acquire: pairs with the CAS of the call that set it.
        Limit(self.limit.load(Ordering::Acquire))
    }

    /// The budget in force, in bytes.
    pub fn limit(&self) -> u64 {
        self.look().bytes()
    }

    /// Whether the budget was below `weight` at every instant from that look to this one. Where that cannot be told: no.
    pub fn was_below(&self, weight: u64, look: Limit) -> bool {
        // AcqRel, by a read-modify-write: whoever changes the limit later sees what this thread has done before.
        let now = Limit(self.limit.fetch_add(0, Ordering::AcqRel));
        now.changes_since(look) <= 1 && look.bytes().max(now.bytes()) < weight
    }

    /// The bytes reserved: at least the weights of what stands in hot, and at most the budget, but while it is lowered.
    pub fn reserved(&self) -> u64 {
        // Acquire: pairs with the changes.
        self.reserved.load(Ordering::Acquire)
    }

    /// Whether more is reserved than the budget allows, as after it was lowered.
    pub fn is_overdrawn(&self) -> bool {
        // Acquire: pairs with the change that overdrew it, so that its limit is seen too. The order is by the fences of `set_limit` and
        // `published`.
        self.free.load(Ordering::Acquire) < 0 && self.reserved() > self.limit()
    }

    /// To be called between a publication in hot and a look at whether the budget is overdrawn.
    pub fn published() {
        // SeqCst: pairs with the fence of whoever has lowered the budget.
        fence(Ordering::SeqCst);
    }

    /// Reserves `bytes`, if that many are free at this instant; what is reserved then.
    fn try_take(&self, bytes: u64) -> Option<u64> {
        if bytes == 0 {
            return Some(0);
        }
        let missing = signed(bytes);
        // Acquire: a refusal is an answer about this instant.
        let mut free = self.free.load(Ordering::Acquire);
        while free >= missing {
            match self.free.compare_exchange_weak(free, free - missing, Ordering::AcqRel, Ordering::Acquire) {
                // AcqRel: who sees the count sees that the bytes were taken.
                Ok(_) => return Some(self.reserved.fetch_add(bytes, Ordering::AcqRel) + bytes),
                Err(now) => free = now,
            }
        }
        None
    }

    /// Gives back `bytes` that were reserved.
    pub fn release(&self, bytes: u64) {
        if bytes > 0 {
            // AcqRel, both: who sees the counts sees that the fragment has left.
            self.reserved.fetch_sub(bytes, Ordering::AcqRel);
            self.free.fetch_add(signed(bytes), Ordering::AcqRel);
        }
    }

    /// Sets the limit. What is reserved above it is the caller's to free (see [`Budget::is_overdrawn`]).
    pub fn set_limit(&self, bytes: u64) {
        debug_assert!(bytes <= MAX_BYTES);
        loop {
            let old = self.look();
            if old.bytes() == bytes || self.change(old, bytes) == Change::Done {
                break;
            }
        }
        // SeqCst: pairs with the fence of whoever has published in hot.
        fence(Ordering::SeqCst);
    }

    fn change(&self, old: Limit, bytes: u64) -> Change {
        let (difference, new) = (signed(bytes) - signed(old.bytes()), old.changed_to(bytes));
        if difference < 0 {
            self.free.fetch_add(difference, Ordering::AcqRel);
        }
        let swapped = self.limit.compare_exchange(old.0, new.0, Ordering::AcqRel, Ordering::Acquire).is_ok();
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
    peak: u64,
}

impl<'b> Reservation<'b> {
    /// A reservation of nothing yet.
    pub const fn empty(budget: &'b Budget) -> Self {
        Self { budget, held: 0, peak: 0 }
    }

    /// The bytes held.
    pub const fn held(&self) -> u64 {
        self.held
    }

    /// Whether `bytes` are held, after reserving what is missing if that is free at this instant.
    pub fn try_grow_to(&mut self, bytes: u64) -> bool {
        let missing = bytes.saturating_sub(self.held);
        let Some(reserved) = self.budget.try_take(missing) else { return false };
        self.held += missing;
        self.peak = self.peak.max(reserved);
        true
    }

    /// The most bytes reserved by all, whenever this has grown.
    pub const fn peak(&self) -> u64 {
        self.peak
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
        let old = budget.look();
        budget.set_limit(90);
        budget.set_limit(100);
        for limit in [50, 150] {
            // Of a limit that was in force before, and is again.
            assert_eq!(budget.change(old, limit), Change::Lost);
            assert_eq!((budget.limit(), budget.free()), (100, 100));
        }
    }

    #[test]
    fn a_weight_was_above_the_budget_all_the_while_where_at_most_one_change_came_between() {
        let budget = Budget::new(10);
        let look = budget.look();
        assert!(budget.was_below(11, look) && !budget.was_below(10, look));
        budget.set_limit(10);
        budget.set_limit(20);
        assert!(budget.was_below(21, look) && !budget.was_below(20, look));
        budget.set_limit(10);
        assert!(!budget.was_below(21, look), "it may have been anything");
        assert!(budget.was_below(11, budget.look()));
    }

    #[test]
    fn versions_go_round_and_leave_the_bytes_alone() {
        let last = Limit(u64::MAX >> VERSION_SHIFT << VERSION_SHIFT | MAX_BYTES);
        let first = last.changed_to(MAX_BYTES);
        assert_eq!((first, first.changes_since(last), first.bytes()), (Limit(MAX_BYTES), 1, MAX_BYTES));
        assert_eq!((last.changes_since(last), last.changes_since(first)), (0, (1 << 23) - 1));
    }

    #[test]
    fn the_budget_is_not_overdrawn_while_a_raise_lags_behind() {
        let budget = Budget::new(100);
        let mut held = Reservation::empty(&budget);
        assert!(held.try_grow_to(100) && held.peak() == 100);
        // As where another has raised it to 200 and not added the difference.
        budget.free.fetch_sub(100, Ordering::AcqRel);
        assert!(!budget.is_overdrawn());
        budget.set_limit(99);
        assert!(budget.is_overdrawn() && budget.reserved() == 100);
        held.shrink_to(99);
        assert!(!budget.is_overdrawn());
    }
}
