//! What a tier holds, counted; and its capacity.
//!
//! # The rules
//!
//! An operation gathers what it changed in a [`Tally`], and the tally is added to the counts before the operation returns, before it
//! hands bytes on, and when it unwinds; what comes into a tier and what leaves it make up for each other until then. So a count is off by at most what the operations in flight have moved; it can be below
//! zero for a moment, where a fragment is moved on before the thread that placed it has counted it. Readers see zero then.
//!
//! *Hot's bytes* are added after they were reserved and taken off before they are given to anybody else, so that they never pass what
//! is reserved, and so never the budget.
//!
//! *A tier with a capacity* is never counted above what stands in it: a fragment is counted in after it has come there, and taken
//! off before the CAS that takes it away, to be counted in again where the CAS is lost.
//!
//! # Capacities
//!
//! Warm and cold push out only while they are over, and never more than they must: who would push a fragment out first *claims*
//! it, by a CAS that takes its weight off the count only while that is over the capacity; if the move then fails, it gives the claim
//! back. Two threads that see the same excess cannot both claim it, and as the count is not above what stands there, what is
//! claimed is an excess at that instant. Where both bounds are set, the word that does not decide is lowered first, so that a claim
//! in progress hides an excess for a moment but never shows one twice; who is refused looks again.

use crate::sync::{AtomicI64, Ordering, Padded};
use crate::tier::Tier;

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

    /// Whether it has a capacity, so that departures are counted before they are made.
    #[inline]
    pub fn is_bounded(&self) -> bool {
        self.capacity.entries.is_some() || self.capacity.bytes.is_some()
    }

    /// Adds to the counts; the bytes after it.
    fn add(&self, fragments: i64, bytes: i64) -> u64 {
        // AcqRel: who sees the count sees the placements that it counts.
        if fragments != 0 {
            self.fragments.fetch_add(fragments, Ordering::AcqRel);
        }
        if bytes == 0 {
            return 0;
        }
        // AcqRel: as above.
        unsigned(self.bytes.fetch_add(bytes, Ordering::AcqRel).wrapping_add(bytes))
    }

    /// Counts a fragment in again whose CAS was lost, where it was taken off before.
    pub fn come_back(&self, weight: u64) {
        if self.is_bounded() {
            self.add(1, weight.cast_signed());
        }
    }

    pub fn fragments(&self) -> u64 {
        // Acquire: pairs with the changes.
        unsigned(self.fragments.load(Ordering::Acquire))
    }

    pub fn bytes(&self) -> u64 {
        // Acquire: pairs with the changes.
        unsigned(self.bytes.load(Ordering::Acquire))
    }

    /// The bytes, by a read-modify-write: who adds to them later sees what this thread has done before.
    pub fn confirm_bytes(&self) -> u64 {
        unsigned(self.bytes.fetch_add(0, Ordering::AcqRel))
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
        // The other word first: between the two CASes nobody sees an excess in it that is claimed already.
        if let Some(most) = self.capacity.entries {
            self.add(0, -weight);
            if take_while_over(&self.fragments, 1, most) {
                return true;
            }
            self.add(0, weight);
        }
        if let Some(most) = self.capacity.bytes {
            self.add(-1, 0);
            if take_while_over(&self.bytes, weight, most) {
                return true;
            }
            self.add(1, 0);
        }
        false
    }
}

/// What an operation has changed and not yet added to the counts.
#[derive(Debug, Default)]
pub struct Tally([Change; 3]);

#[derive(Debug, Default, Clone, Copy)]
struct Change {
    fragments: i64,
    bytes: i64,
}

impl Tally {
    /// A fragment has come into `tier`.
    pub fn enter(&mut self, tier: Tier, weight: u64) {
        let change = &mut self.0[tier.index()];
        change.fragments += 1;
        change.bytes = change.bytes.wrapping_add(weight.cast_signed());
    }

    /// A fragment has left `tier`, from which it was not taken off before.
    pub fn leave(&mut self, tier: Tier, weight: u64) {
        let change = &mut self.0[tier.index()];
        change.fragments -= 1;
        change.bytes = change.bytes.wrapping_sub(weight.cast_signed());
    }

    /// A fragment is about to leave `tier`, where departures are counted before the CAS that makes them. What has entered the tier and is
    /// not counted yet makes up for it; the rest is taken off the counts.
    pub fn leave_early(&mut self, tier: Tier, weight: u64, census: &Census) {
        if !census.is_bounded() {
            return;
        }
        self.leave(tier, weight);
        let change = &mut self.0[tier.index()];
        let owed = Change { fragments: change.fragments.min(0), bytes: change.bytes.min(0) };
        census.add(owed.fragments, owed.bytes);
        change.fragments -= owed.fragments;
        change.bytes -= owed.bytes;
    }

    /// Adds everything to the counts. Hot's bytes after it, where they grew.
    pub fn add_to(&mut self, tiers: &[Census; 3]) -> Option<u64> {
        let mut hot_bytes = None;
        for (census, (change, tier)) in tiers.iter().zip(self.0.iter_mut().zip(Tier::ALL)) {
            if (change.fragments, change.bytes) == (0, 0) {
                continue;
            }
            let Change { fragments, bytes } = core::mem::take(change);
            let after = census.add(fragments, bytes);
            if tier == Tier::Hot && bytes > 0 {
                hot_bytes = Some(after);
            }
        }
        hot_bytes
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
            census.add(1, 10);
        }
        assert!(census.is_over() && census.claim(10) && !census.claim(10));
        census.come_back(10);
        assert!(census.claim(10));
        assert_eq!((census.fragments(), census.bytes()), (2, 20));

        let census = Census::new(Capacity::bytes(25));
        census.add(1, 20);
        census.add(1, 10);
        assert!(census.claim(20) && !census.is_over());
        assert_eq!((census.fragments(), census.bytes()), (1, 10));
    }

    #[test]
    fn a_tally_is_added_once_and_a_count_below_zero_reads_as_zero() {
        let tiers = [(); 3].map(|()| Census::new(Capacity::UNBOUNDED));
        let mut tally = Tally::default();
        tally.leave(Tier::Warm, 5);
        tally.enter(Tier::Hot, 5);
        assert_eq!(tally.add_to(&tiers), Some(5));
        assert_eq!(tally.add_to(&tiers), None);
        let counts = [0, 1, 2].map(|tier: usize| (tiers[tier].fragments(), tiers[tier].bytes()));
        assert_eq!(counts, [(1, 5), (0, 0), (0, 0)]);
        tally.enter(Tier::Warm, 5);
        tally.add_to(&tiers);
        assert_eq!((tiers[1].fragments(), tiers[1].bytes(), tiers[1].is_over()), (0, 0, false));
    }

    /// A tier of that capacity, with two fragments of 30 bytes.
    fn with_two(capacity: Capacity) -> Census {
        let census = Census::new(capacity);
        assert_eq!((census.add(1, 10), census.add(1, 20)), (10, 30));
        census
    }

    #[test]
    fn departures_are_counted_early_only_where_there_is_a_capacity() {
        let (entries, bytes) = (Capacity::entries(9), Capacity::bytes(90));
        for (capacity, left) in
            [(Capacity::UNBOUNDED, (2, 30)), (entries, (1, 20)), (bytes, (1, 20)), (entries.and_bytes(90), (1, 20))]
        {
            let census = with_two(capacity);
            let mut tally = Tally::default();
            tally.leave_early(Tier::Warm, 10, &census);
            assert_eq!((census.fragments(), census.bytes()), left, "{capacity:?}");
            census.come_back(10);
            assert_eq!((census.fragments(), census.bytes(), census.confirm_bytes()), (2, 30, 30));
        }
    }

    #[test]
    fn an_early_departure_is_made_up_for_by_what_came_in_and_is_not_counted_yet() {
        for (came_in, counted) in [(10, (2, 30)), (15, (2, 30)), (4, (2, 24))] {
            let census = with_two(Capacity::entries(9));
            let mut tally = Tally::default();
            tally.enter(Tier::Warm, came_in);
            tally.leave_early(Tier::Warm, 10, &census);
            assert_eq!((census.fragments(), census.bytes()), counted, "never above what stands there");
            let tiers = [Census::new(Capacity::UNBOUNDED), census, Census::new(Capacity::UNBOUNDED)];
            tally.add_to(&tiers);
            assert_eq!((tiers[1].fragments(), tiers[1].bytes()), (2, 20 + came_in));
        }
    }

    #[test]
    fn a_tier_is_over_and_claims_are_granted_where_either_bound_is_passed() {
        for (capacity, is_over) in [
            (Capacity::UNBOUNDED, false),
            (Capacity::entries(2), false),
            (Capacity::entries(1), true),
            (Capacity::bytes(30), false),
            (Capacity::bytes(29), true),
            (Capacity::entries(2).and_bytes(30), false),
            (Capacity::entries(1).and_bytes(30), true),
            (Capacity::entries(2).and_bytes(29), true),
            (Capacity::bytes(29).and_entries(2), true),
        ] {
            let census = with_two(capacity);
            assert_eq!((census.is_over(), census.claim(10)), (is_over, is_over), "{capacity:?}");
            let left = if is_over { (1, 20) } else { (2, 30) };
            assert_eq!((census.fragments(), census.bytes()), left, "{capacity:?}");
        }
    }
}
