//! What a tier holds, counted; and its capacity.
//!
//! # The rules
//!
//! An operation gathers what it changed in a [`Tally`], and the tally is added to the counts before the operation returns
//! and when it unwinds; what comes into a tier and what leaves it make up for each other until then. So a count is off by at most what the
//! operations in flight have moved; it can be below
//! zero for a moment, where a fragment is moved on before the thread that placed it has counted it. Readers see zero then.
//!
//! *Hot's bytes* are not counted here: they are what is reserved (see [`crate::engine::budget`]).
//!
//! *A tier with a capacity* is never counted above what stands in it: a fragment is counted in after it has come there, and taken
//! off before the CAS that takes it away, to be counted in again where the CAS is lost.
//!
//! *What is heavier than all that a tier may hold* is never counted there at all, neither when it comes nor when it goes: it does not stay.
//! Whoever brought it in moves it on, and so does an eviction that meets it. So it pushes nothing out, wherever its bringer is stopped.
//!
//! *No sum wraps.* There are fewer than 2⁴³ fragments, for want of memory, and each weighs at most 2⁴⁰ bytes. The last twenty bits of the
//! weights are added up in one word, and the others in another, which most operations on light fragments need not touch. In
//! a tier with a capacity in bytes all is in the first word, as that decides: such a capacity is at most 2⁶² bytes.
//!
//! # Capacities
//!
//! Warm and cold push out only while they are over, and never more than they must: who would push a fragment out first *claims*
//! it, which takes it off the counts only while they are over the capacity; if the move then fails, it gives the claim
//! back. As the counts are not above what stands there, what is claimed is an excess at that instant. (The claim and the move are two instants:
//! by the move, others may have left.)
//!
//! *One bound.* A CAS takes the fragment off the word that is bounded, only while that is above the bound; the other word follows.
//! Two threads that see the same excess cannot both claim it.
//!
//! *Both bounds.* Either word can say that the tier is over, and both are to be lowered before another claimer reads them. So a claimer
//!
//! 1. reads `grants`, the number of claims that were granted,
//! 2. looks at both words: neither is over, refused;
//! 3. lowers both by a read-modify-write each, which tells what they were: neither was over, both are raised again, refused;
//! 4. CASes `grants` up by one: granted. A loss: both are raised again, refused.
//!
//! *No excess is claimed twice*: each claim that was granted up to the value that was read in 1 had lowered both words before; none was granted
//! between 1 and 4. So what was above a bound in 3 is claimed by nobody.
//!
//! *Lock-free*: claims that go on without end while none is granted and no fragment comes or goes are impossible. `grants` would not change
//! any more, so that none of them is lost in 4. The read-modify-write that takes a word from above its bound to it or below finds it over in 3, so
//! its claimer comes to 4 and is granted. And if there is none, a refusal in 2 or 3 found both words within their bounds; then the tier is not
//! over, but for what is lowered by claimers that are between 3 and 4. Such a claimer is granted when it goes on, or has
//! lost to one that was, and looks again itself.
//! So whoever is refused looks whether the tier is over, and goes when it is not ([`crate::store`]'s `enforce`): each further round is paid for by
//! a claim that was granted, a fragment that came, or a move that failed because another changed the fragment. A claimer that is stopped
//! between 3 and 4 hides its one fragment, as it does between its claim and its move.
//!
//! # Orderings
//!
//! All changes are `AcqRel` read-modify-writes. A claim that is granted releases its lowered words by the CAS of `grants`, from which 1 acquires.

use crate::failpoint::{Step, reach};
use crate::sync::{AtomicI64, AtomicU64, Ordering, Padded};
use crate::tier::Tier;

/// How much a tier may hold: a number of fragments, of bytes, of both, or without bound.
///
/// A tier that is over its capacity pushes out its least recently used fragments, until it holds. A fragment that is heavier than
/// the whole capacity in bytes goes straight on: nothing else leaves for it.
///
/// A tier never pushes out more than it must. That is true of the instant at which an operation claims the excess. The move is a later step: a
/// fragment that another thread removes in between is not waited for.
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
    /// The most bytes, as the weigher counts them; `None` for any number. More than 2⁶² count as 2⁶².
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

/// A capacity in bytes counts as at most this many.
const MOST_BYTES: u64 = 1 << 62;

/// So many of a weight's last bits are added up in a word of their own.
const LOW_BITS: u32 = 20;

/// The counts of one tier.
pub struct Census {
    fragments: Padded<AtomicI64>,
    bytes: Padded<AtomicI64>,
    /// What the weights have above their low bits, where no capacity is in bytes.
    high: Padded<AtomicI64>,
    /// Claims that were granted, where both bounds are set.
    grants: Padded<AtomicU64>,
    capacity: Capacity,
}

impl Census {
    pub fn new(capacity: Capacity) -> Self {
        let capacity = Capacity { bytes: capacity.bytes.map(|most| most.min(MOST_BYTES)), ..capacity };
        Self {
            fragments: Padded(AtomicI64::new(0)),
            bytes: Padded(AtomicI64::new(0)),
            high: Padded(AtomicI64::new(0)),
            grants: Padded(AtomicU64::new(0)),
            capacity,
        }
    }

    /// Whether it has a capacity, so that departures are counted before they are made.
    #[inline]
    pub fn is_bounded(&self) -> bool {
        self.capacity.entries.is_some() || self.capacity.bytes.is_some()
    }

    /// Whether a fragment of that weight can stay, with no other beside it.
    #[inline]
    pub fn has_room_for(&self, weight: u64) -> bool {
        self.capacity.bytes.is_none_or(|most| weight <= most)
    }

    fn add(&self, change: Change) {
        let Change { fragments, mut low, mut high } = change;
        if self.capacity.bytes.is_some() {
            (low, high) = (low + (high << LOW_BITS), 0);
        }
        // AcqRel, all three: who sees the count sees the placements that it counts.
        if fragments != 0 {
            self.fragments.fetch_add(fragments, Ordering::AcqRel);
        }
        if low != 0 {
            self.bytes.fetch_add(low, Ordering::AcqRel);
        }
        if high != 0 {
            self.high.fetch_add(high, Ordering::AcqRel);
        }
    }

    /// Counts a fragment in again whose CAS was lost, where it was taken off before.
    pub fn come_back(&self, weight: u64) {
        if self.is_bounded() && self.has_room_for(weight) {
            self.add(Change::of(weight));
        }
    }

    pub fn fragments(&self) -> u64 {
        // Acquire: pairs with the changes.
        unsigned(self.fragments.load(Ordering::Acquire))
    }

    /// Zero where the sum is below it, and `u64::MAX` where it is above that.
    pub fn bytes(&self) -> u64 {
        // Acquire, both: pairs with the changes.
        let high = i128::from(self.high.load(Ordering::Acquire));
        let sum = (high << LOW_BITS) + i128::from(self.bytes.load(Ordering::Acquire));
        u64::try_from(sum.max(0)).unwrap_or(u64::MAX)
    }

    /// Whether the tier holds more than its capacity.
    #[inline]
    pub fn is_over(&self) -> bool {
        // Acquire, both: pairs with the changes.
        self.capacity.entries.is_some_and(|most| is_above(self.fragments.load(Ordering::Acquire), most))
            || self.capacity.bytes.is_some_and(|most| is_above(self.bytes.load(Ordering::Acquire), most))
    }

    /// Takes off a fragment that is to be pushed out, only while the tier is over its capacity. One that cannot stay is not counted.
    pub fn claim(&self, weight: u64) -> bool {
        if !self.has_room_for(weight) {
            return true;
        }
        let change = Change::of(weight).negated();
        match (self.capacity.entries, self.capacity.bytes) {
            (None, None) => false,
            (Some(most), None) => {
                let is_granted = take_while_above(&self.fragments, 1, most);
                if is_granted {
                    self.add(Change { fragments: 0, ..change });
                }
                is_granted
            }
            (None, Some(most)) => {
                let is_granted = take_while_above(&self.bytes, weight.cast_signed(), most);
                if is_granted {
                    self.add(Change { fragments: -1, ..Change::default() });
                }
                is_granted
            }
            (Some(entries), Some(bytes)) => self.claim_of_both(weight, entries, bytes),
        }
    }

    /// See the head of the module.
    fn claim_of_both(&self, weight: u64, entries: u64, bytes: u64) -> bool {
        // Acquire: pairs with the CAS below, of the last that was granted: its lowered words are seen.
        let granted = self.grants.load(Ordering::Acquire);
        if !self.is_over() {
            return false;
        }
        let weight = weight.cast_signed();
        // AcqRel, both: who sees the count sees what was done before.
        let were_above = is_above(self.fragments.fetch_sub(1, Ordering::AcqRel), entries)
            | is_above(self.bytes.fetch_sub(weight, Ordering::AcqRel), bytes);
        reach(Step::Lowered);
        // AcqRel: publishes the lowered words to the next claimer. Relaxed where it is lost: then nothing is read after it.
        let is_granted = were_above
            && self.grants.compare_exchange(granted, granted + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if !is_granted {
            self.add(Change { fragments: 1, low: weight, high: 0 });
        }
        is_granted
    }
}

/// What an operation has changed and not yet added to the counts.
#[derive(Debug, Default)]
pub struct Tally([Change; 3]);

/// The weights are in two parts, each summed up by itself: high and low bits.
#[derive(Debug, Default, Clone, Copy)]
struct Change {
    fragments: i64,
    low: i64,
    high: i64,
}

impl Change {
    /// One fragment more.
    const fn of(weight: u64) -> Self {
        Self {
            fragments: 1,
            low: (weight & ((1 << LOW_BITS) - 1)).cast_signed(),
            high: (weight >> LOW_BITS).cast_signed(),
        }
    }

    const fn negated(self) -> Self {
        Self { fragments: -self.fragments, low: -self.low, high: -self.high }
    }
}

impl Tally {
    /// A fragment has come into `tier`.
    pub fn enter(&mut self, tier: Tier, weight: u64) {
        self.add(tier, Change::of(weight));
    }

    /// A fragment has left `tier`, from which it was not taken off before.
    pub fn leave(&mut self, tier: Tier, weight: u64) {
        self.add(tier, Change::of(weight).negated());
    }

    /// A fragment is about to leave `tier`, where departures are counted before the CAS that makes them. What has entered the tier and is
    /// not counted yet makes up for it; the rest is taken off the counts.
    pub fn leave_early(&mut self, tier: Tier, weight: u64, census: &Census) {
        if !census.is_bounded() || !census.has_room_for(weight) {
            return;
        }
        self.leave(tier, weight);
        let change = &mut self.0[tier.index()];
        let owed = Change { fragments: change.fragments.min(0), low: change.low.min(0), high: change.high.min(0) };
        census.add(owed);
        change.fragments -= owed.fragments;
        change.low -= owed.low;
        change.high -= owed.high;
    }

    fn add(&mut self, tier: Tier, change: Change) {
        let sum = &mut self.0[tier.index()];
        sum.fragments += change.fragments;
        // Hot's bytes are the budget's to count.
        if tier != Tier::Hot {
            sum.low += change.low;
            sum.high += change.high;
        }
    }

    /// Adds everything to the counts.
    pub fn add_to(&mut self, tiers: &[Census; 3]) {
        for (census, change) in tiers.iter().zip(&mut self.0) {
            if (change.fragments, change.low, change.high) != (0, 0, 0) {
                census.add(core::mem::take(change));
            }
        }
    }
}

fn is_above(count: i64, most: u64) -> bool {
    unsigned(count) > most
}

fn take_while_above(count: &AtomicI64, amount: i64, most: u64) -> bool {
    // Acquire: a refusal is an answer about this instant.
    let mut now = count.load(Ordering::Acquire);
    while is_above(now, most) {
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
    use crate::engine::budget::MAX_BYTES;

    fn add(census: &Census, weight: u64) {
        census.add(Change::of(weight));
    }

    #[test]
    fn a_claim_is_granted_only_while_over() {
        let census = Census::new(Capacity::entries(2));
        for _ in 0..3 {
            add(&census, 10);
        }
        assert!(census.is_over() && census.claim(10) && !census.claim(10));
        census.come_back(10);
        assert!(census.claim(10));
        assert_eq!((census.fragments(), census.bytes()), (2, 20));

        let census = Census::new(Capacity::bytes(25));
        add(&census, 20);
        add(&census, 10);
        assert!(census.claim(20) && !census.is_over());
        assert_eq!((census.fragments(), census.bytes()), (1, 10));
    }

    #[test]
    fn a_tally_is_added_once_and_a_count_below_zero_reads_as_zero() {
        let tiers = [(); 3].map(|()| Census::new(Capacity::UNBOUNDED));
        let counts = || [0, 1, 2].map(|tier: usize| (tiers[tier].fragments(), tiers[tier].bytes()));
        let mut tally = Tally::default();
        tally.leave(Tier::Warm, 5);
        tally.enter(Tier::Cold, 5);
        tally.enter(Tier::Hot, 5);
        for _ in 0..2 {
            tally.add_to(&tiers);
            assert_eq!(counts(), [(1, 0), (0, 0), (1, 5)], "hot's bytes are counted elsewhere");
        }
        tally.enter(Tier::Warm, 5);
        tally.add_to(&tiers);
        assert_eq!((tiers[1].fragments(), tiers[1].bytes(), tiers[1].is_over()), (0, 0, false));
    }

    /// A tier of that capacity, with two fragments of 30 bytes.
    fn with_two(capacity: Capacity) -> Census {
        let census = Census::new(capacity);
        add(&census, 10);
        add(&census, 20);
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
            assert_eq!((census.fragments(), census.bytes()), (2, 30));
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
            (Capacity::entries(1).and_bytes(29), true),
        ] {
            let census = with_two(capacity);
            assert_eq!((census.is_over(), census.claim(10)), (is_over, is_over), "{capacity:?}");
            let left = if is_over { (1, 20) } else { (2, 30) };
            assert_eq!((census.fragments(), census.bytes()), left, "{capacity:?}");
        }
    }

    #[test]
    fn what_is_heavier_than_the_whole_capacity_is_never_counted() {
        for capacity in [Capacity::bytes(30), Capacity::entries(2).and_bytes(30)] {
            let census = with_two(capacity);
            assert!(census.has_room_for(30) && !census.has_room_for(31));
            assert!(census.claim(31), "it may always go");
            let mut tally = Tally::default();
            tally.leave_early(Tier::Warm, 31, &census);
            census.come_back(32);
            assert_eq!((census.fragments(), census.bytes(), census.is_over()), (2, 30, false), "{capacity:?}");
        }
        assert!(Census::new(Capacity::entries(0)).has_room_for(MAX_BYTES));
    }

    #[test]
    fn no_sum_of_weights_wraps() {
        let census = Census::new(Capacity::UNBOUNDED);
        let many = |number: i64, weight| {
            let Change { fragments, low, high } = Change::of(weight);
            Change { fragments: number * fragments, low: number * low, high: number * high }
        };
        let mut sum = 0;
        for (number, weight) in [(3, (1 << 20) - 1), (5, 1 << 20), (1 << 23, MAX_BYTES), (1 << 23, MAX_BYTES - 1)] {
            census.add(many(number, weight));
            sum += i128::from(number) * i128::from(weight);
            assert_eq!(census.bytes(), u64::try_from(sum).unwrap());
        }
        census.add(many(1 << 24, MAX_BYTES));
        assert_eq!(census.bytes(), u64::MAX, "more cannot be said");
        for (number, weight) in [(1 << 24, MAX_BYTES), (1 << 23, MAX_BYTES), (1 << 23, MAX_BYTES - 1)] {
            census.add(many(number, weight).negated());
        }
        assert_eq!((census.fragments(), census.bytes()), (8, (8 << 20) - 3));
    }

    #[test]
    fn a_capacity_of_more_bytes_than_can_be_counted_holds_at_what_can() {
        let census = Census::new(Capacity::bytes(u64::MAX));
        let half = Change { fragments: 1 << 21, low: 0, high: 1 << 41 };
        census.add(half);
        census.add(half);
        assert_eq!((census.bytes(), census.is_over()), (1 << 62, false));
        add(&census, 1);
        assert!(census.is_over() && census.claim(MAX_BYTES) && !census.is_over());
    }
}
