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
//! *What is kept* stays, also where the tier is over its capacity. It is counted in its tier as all others are. A census of its own counts how much of
//! the tier is kept: see [`crate::store`]'s `keeping`.
//!
//! *What is heavier than all that a tier may hold*, and not kept, is never counted there at all, neither when it comes nor when it goes: it
//! does not stay. Whoever brought it in moves it on, and so does an eviction that meets it. So it pushes nothing out, wherever its bringer is stopped.
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
//! *Who gives back looks again.* While a count is lowered for a move that is not made yet, others find the tier within its capacity and go, though what they
//! have brought stands there. If the move is lost, who made ready for it raises the count again. So it looks again whether the tier is over, and walks the tier anew from the
//! oldest: what others have brought may stand behind its first walk. Each such round is paid for by the change that made the move fail.
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
    /// Whether the capacity has a bound.
    is_bounded: bool,
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
            is_bounded: capacity.entries.is_some() || capacity.bytes.is_some(),
        }
    }

    /// Whether it has a capacity, so that departures are counted before they are made.
    #[inline]
    pub fn is_bounded(&self) -> bool {
        self.is_bounded
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
    pub fn come_back(&self, weight: u64, is_kept: bool) {
        if self.is_bounded() && self.counts(weight, is_kept) {
            self.add(Change::of(weight));
        }
    }

    /// Whether a fragment of that weight is counted. One that is kept stays, however heavy.
    #[inline]
    pub fn counts(&self, weight: u64, is_kept: bool) -> bool {
        is_kept || self.has_room_for(weight)
    }

    /// Counts a fragment in, at once.
    pub fn come(&self, weight: u64) {
        self.add(Change::of(weight));
    }

    /// Takes a fragment off, at once.
    pub fn go(&self, weight: u64) {
        self.add(Change::of(weight).negated());
    }

    /// How many fragments its capacity lets stand in it, if each weighs something.
    pub fn most(&self) -> u64 {
        let Capacity { entries, bytes } = self.capacity;
        entries.unwrap_or(u64::MAX).min(bytes.unwrap_or(u64::MAX))
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

    /// The bytes of a tier with a capacity in bytes: one word has them all.
    #[inline]
    pub fn bounded_bytes(&self) -> u64 {
        debug_assert!(self.capacity.bytes.is_some());
        // Acquire: pairs with the changes.
        unsigned(self.bytes.load(Ordering::Acquire))
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
    pub fn leave_early(&mut self, tier: Tier, weight: u64, is_kept: bool, census: &Census) {
        if !census.is_bounded() || !census.counts(weight, is_kept) {
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
mod tests;
