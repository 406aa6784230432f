//! What a tier holds, counted; and its capacity.
//!
//! # The rule
//!
//! A fragment is counted in a tier after its placement there is listed, and taken off after the placement that took it away is listed.
//! So a count lags behind the words by at most the operations in flight, and it can be below zero for a moment: a fragment
//! is moved on by another thread before the first has counted it. Readers see zero then.
//!
//! Hot's bytes are added after they were reserved and taken off before they are released, so that they never pass what is
//! reserved, and so never the budget.
//!
//! # Capacities
//!
//! Warm and cold push out only while they are over, and never more than they must: who would push a fragment out first *claims*
//! it, by a CAS that takes its weight off the count only while that is over the capacity; if the move then fails, it gives the claim
//! back. Two threads that see the same excess cannot both claim it.

use crate::sync::{AtomicI64, Ordering, Padded};

/// How much a tier may hold: a number of fragments, of bytes, of both, or without bound.
///
/// ```
/// use tierstack::Capacity;
///
/// let capacity = Capacity::entries(10_000).and_bytes(64 << 20);
/// assert_eq!((capacity.entries, capacity.bytes), (Some(10_000), Some(64 << 20)));
/// assert_eq!(Capacity::UNBOUNDED, Capacity::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// The most fragments; `None` for any number.
    pub entries: Option<u64>,
    /// The most bytes, as the weigher counts them; `None` for any number.
    pub bytes: Option<u64>,
}

impl Capacity {
    /// No bound.
    pub const UNBOUNDED: Self = Self { entries: None, bytes: None };

    /// At most `entries` fragments.
    #[must_use]
    pub const fn entries(entries: u64) -> Self {
        Self { entries: Some(entries), bytes: None }
    }

    /// At most `bytes` bytes.
    #[must_use]
    pub const fn bytes(bytes: u64) -> Self {
        Self { entries: None, bytes: Some(bytes) }
    }

    /// And at most `entries` fragments.
    #[must_use]
    pub const fn and_entries(self, entries: u64) -> Self {
        Self { entries: Some(entries), bytes: self.bytes }
    }

    /// And at most `bytes` bytes.
    #[must_use]
    pub const fn and_bytes(self, bytes: u64) -> Self {
        Self { entries: self.entries, bytes: Some(bytes) }
    }
}

/// The counts of one tier.
pub struct Census {
    fragments: Padded<AtomicI64>,
    bytes: Padded<AtomicI64>,
    capacity: Capacity,
}

impl Census {
    pub fn new(capacity: Capacity) -> Self {
        Self { fragments: Padded(AtomicI64::new(0)), bytes: Padded(AtomicI64::new(0)), capacity }
    }

    /// Counts a fragment in; the bytes after it.
    pub fn enter(&self, weight: u64) -> u64 {
        // AcqRel: who sees the count sees the placement that it counts.
        self.fragments.fetch_add(1, Ordering::AcqRel);
        self.grow(weight.cast_signed())
    }

    /// Takes a fragment off.
    pub fn leave(&self, weight: u64) {
        // AcqRel: as above.
        self.fragments.fetch_sub(1, Ordering::AcqRel);
        self.bytes.fetch_sub(weight.cast_signed(), Ordering::AcqRel);
    }

    /// Changes the bytes, where one fragment took another's place; the bytes after it.
    pub fn grow(&self, difference: i64) -> u64 {
        // AcqRel: as above.
        unsigned(self.bytes.fetch_add(difference, Ordering::AcqRel) + difference)
    }

    pub fn fragments(&self) -> u64 {
        // Acquire: pairs with the changes.
        unsigned(self.fragments.load(Ordering::Acquire))
    }

    pub fn bytes(&self) -> u64 {
        // Acquire: pairs with the changes.
        unsigned(self.bytes.load(Ordering::Acquire))
    }

    /// Whether the tier holds more than its capacity.
    #[inline]
    pub fn is_over(&self) -> bool {
        self.capacity.entries.is_some_and(|most| self.fragments() > most)
            || self.capacity.bytes.is_some_and(|most| self.bytes() > most)
    }

    /// Takes off a fragment that is to be pushed out, only while the tier is over its capacity.
    pub fn claim(&self, weight: u64) -> bool {
        let weight = weight.cast_signed();
        if let Some(most) = self.capacity.entries
            && take_while_over(&self.fragments, 1, most)
        {
            self.bytes.fetch_sub(weight, Ordering::AcqRel);
            return true;
        }
        if let Some(most) = self.capacity.bytes
            && take_while_over(&self.bytes, weight, most)
        {
            self.fragments.fetch_sub(1, Ordering::AcqRel);
            return true;
        }
        false
    }

    /// Counts in again what was claimed and not moved.
    pub fn unclaim(&self, weight: u64) {
        self.enter(weight);
    }
}

fn take_while_over(count: &AtomicI64, amount: i64, most: u64) -> bool {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    // Acquire: a refusal is an answer about this instant.
    let mut now = count.load(Ordering::Acquire);
    while now > most {
        match count.compare_exchange_weak(now, now - amount, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return true,
            Err(other) => now = other,
        }
    }
    false
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_granted_only_while_over() {
        let census = Census::new(Capacity::entries(2));
        for _ in 0..3 {
            census.enter(10);
        }
        assert!(census.is_over() && census.claim(10) && !census.claim(10));
        census.unclaim(10);
        assert!(census.claim(10));
        assert_eq!((census.fragments(), census.bytes()), (2, 20));

        let census = Census::new(Capacity::bytes(25));
        census.enter(20);
        census.enter(10);
        assert!(census.claim(20) && !census.is_over());
        assert_eq!((census.fragments(), census.bytes()), (1, 10));
    }

    #[test]
    fn a_count_below_zero_reads_as_zero() {
        let census = Census::new(Capacity::UNBOUNDED);
        census.leave(5);
        assert_eq!((census.fragments(), census.bytes()), (0, 0));
        census.enter(5);
        assert_eq!((census.fragments(), census.bytes(), census.is_over()), (0, 0, false));
    }
}
