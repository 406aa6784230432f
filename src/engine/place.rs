//! The place word: where a fragment is, in one atomic.
//!
//! Every node has one place word, and it alone decides where the node's fragment is. The index finds nodes and the orders
//! hint at them; neither has authority.
//!
//! # States
//!
//! ```text
//!                  sink (demote, evict)
//!   In(hot) ──────────────► In(warm) ──────────────► In(cold)
//!      ▲                      ▲ │ ▲                     │
//!      └──────────────────────┘ └─┴─────────────────────┘   rise (promote, a fresh tick)
//!
//!   In(any) ── relist ──► In(the same tier, the tick of the last use)
//!   In(any) ── keep ──► In(the same tier, kept, a fresh tick) ── let go ──► In(the same tier, a fresh tick)
//!   In(any) ── replace ──► Replaced(from which tier, by which node)
//!   In(any) ── remove (also: evicted out of cold) ──► Removed
//! ```
//!
//! `In` carries the *tick* that is the node's key in its order. It says whether the fragment is *kept*: then its order is that of what is kept, which is
//! one for all tiers; else it is that of its tier. What is kept sinks, rises, is replaced and removed as any other; only no eviction finds it.
//! And `In` carries four marks:
//!
//! - *Touched*: a use is younger than the tick, so that an eviction has to look at the last use.
//! - *Unsure*: the tick is not the one that the node was stored with. A use may have been marked at an earlier tick, so that an
//!   eviction has to look at the last use, too.
//! - *Prefilled*: the order of a lower tier may have an entry of the node at this very tick. It is cleared by whoever moves the word
//!   beyond that entry.
//! - *Leaving*: an archive is about to take the fragment over. Only in cold. It is there as any other, for every reader; only no eviction takes it. It
//!   leaves by *remove*; or it is not leaving any more, by whatever gives it another tick.
//!
//! `Replaced` carries the successor's address, and so is one CAS with its effect. `Replaced` and `Removed` are final.
//!
//! # A place word never recurs
//!
//! The tick never falls. At one tick the fragment is kept or it is not, for good: to be kept or let go takes another tick. At one tick the tier only
//! sinks; at one (tick, tier) the marks only rise. So a CAS on the exact word that was read succeeds only if nothing happened in between, and
//! (tier, tick) names one placement for ever.
//!
//! # Before, at, beyond
//!
//! The same order tells how a word stands to an entry of an order, by the tick first and then by the tier: *before* it may still come to it,
//! *at* it is there, *beyond* it never will be again. A dead word is beyond every entry. At the tick of the entry, a kept word is beyond the
//! entries of the tiers, and one that is not kept is beyond the entry of what is kept: it will not change that at this tick. So whoever
//! finds an entry in an order knows from the word alone whether the entry is not yet true, true, or over.
//!
//! # Orderings
//!
//! Every transition is a compare-exchange, and whoever
//! reads a word sees all that its writer did before. Two things lean on it: the entry of the placement, and what the successor is
//! made of. [`PlaceWord::confirm`] is a read-modify-write that changes nothing: what its caller did before is seen by whoever moves the word
//! after it.
//!
//! Transitions and loads are `SeqCst`: a transition comes before its mover's look for a snapshot in progress, and a load before its reader's, in one order with the
//! installation of the snapshot (see [`crate::engine::reports`]). Both are the instructions that acquire and release would be.

use core::cmp;
use core::ptr::{NonNull, with_exposed_provenance_mut};

use crate::sync::{AtomicU64, Ordering};
use crate::tier::Tier;

const STATE: u64 = 0b111;
const HOT: u64 = Tier::Hot as u64;
const WARM: u64 = Tier::Warm as u64;
const COLD: u64 = Tier::Cold as u64;
const REMOVED: u64 = 4;
/// And the tier's number: 5, 6, 7.
const REPLACED: u64 = 5;
/// Which state it is, of the dead.
const DEAD: u64 = 0b100;
const TOUCHED: u64 = 1 << 3;
const UNSURE: u64 = 1 << 4;
const PREFILLED: u64 = 1 << 5;
/// For as long as it has its tick.
const KEPT: u64 = 1 << 6;
/// For as long as it has its tick: an archive is about to take it over.
const LEAVING: u64 = 1 << 7;
const TICK_SHIFT: u32 = 8;
/// The marks, which stay for as long as the tick does.
const MARKS: u64 = TOUCHED | UNSURE | PREFILLED | LEAVING;
/// The bits of a replaced word that are the successor's address: nodes are aligned to 16.
const ADDRESS: u64 = !0b1111;

/// The largest tick that fits into a place word.
pub const MAX_TICK: u64 = u64::MAX >> TICK_SHIFT;

/// A snapshot of a place word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Place(u64);

/// What a place says, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Present in that tier.
    In(Tier),
    /// Gone for good.
    Removed,
    /// Its successor is in its stead: see [`Place::successor`].
    Replaced {
        /// Where it stood when it was replaced.
        from: Tier,
    },
}

/// A recency order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Of what stands in that tier and is not kept.
    Of(Tier),
    /// Of what is kept, in any tier.
    Kept,
}

/// How a word stands to an entry of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may still come to it.
    Before,
    /// It is there.
    At,
    /// It will never be there again.
    Beyond,
}

/// The outcome of a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// It took effect; this is the word now.
    Done(Place),
    /// The word was another by then: this one.
    Lost(Place),
}

impl Place {
    /// Of a fragment that has ended, or is to be looked for again.
    pub const ENDED: Self = Self(REMOVED);

    /// The placement of a fragment that is stored there at that tick.
    pub const fn fresh(tier: Tier, tick: u64) -> Self {
        Self(tier as u64 | tick << TICK_SHIFT)
    }

    /// As [`Self::fresh`], of one that is to be kept from the beginning.
    pub const fn fresh_kept(tier: Tier, tick: u64) -> Self {
        Self(Self::fresh(tier, tick).0 | KEPT)
    }

    /// With that tick, kept or not as `like` says.
    const fn unsure(tier: Tier, tick: u64, like: u64) -> Self {
        Self(Self::fresh(tier, tick).0 | UNSURE | like & KEPT)
    }

    /// What the word says.
    #[inline]
    pub const fn state(self) -> State {
        match self.0 & STATE {
            HOT => State::In(Tier::Hot),
            WARM => State::In(Tier::Warm),
            COLD => State::In(Tier::Cold),
            REPLACED => State::Replaced { from: Tier::Hot },
            6 => State::Replaced { from: Tier::Warm },
            7 => State::Replaced { from: Tier::Cold },
            _ => State::Removed,
        }
    }

    /// The tier, where the fragment is present.
    #[inline]
    pub const fn tier(self) -> Option<Tier> {
        match self.0 & STATE {
            HOT => Some(Tier::Hot),
            WARM => Some(Tier::Warm),
            COLD => Some(Tier::Cold),
            _ => None,
        }
    }

    /// The tick of the placement; of a dead word, nothing.
    #[inline]
    pub const fn tick(self) -> u64 {
        debug_assert!(self.tier().is_some());
        self.0 >> TICK_SHIFT
    }

    /// What replaced the node, where that is what the word says.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "it was an address before")]
    pub fn successor<N>(self) -> Option<NonNull<N>> {
        match self.state() {
            State::Replaced { .. } => NonNull::new(with_exposed_provenance_mut((self.0 & ADDRESS) as usize)),
            _ => None,
        }
    }

    /// Whether a use is younger than the tick.
    #[inline]
    pub const fn is_touched(self) -> bool {
        self.0 & TOUCHED != 0
    }

    /// Whether an eviction has to look at the last use: a use may be younger than the tick. See [`crate::store`]'s `evict`.
    #[inline]
    pub const fn may_be_used(self) -> bool {
        self.0 & (TOUCHED | UNSURE) != 0
    }

    /// Whether a lower tier's order may have an entry of the node at this tick.
    #[inline]
    pub const fn is_prefilled(self) -> bool {
        self.0 & PREFILLED != 0
    }

    /// Whether the fragment is kept where it is.
    #[inline]
    pub const fn is_kept(self) -> bool {
        // A dead word's other bits are an address.
        self.0 & (KEPT | DEAD) == KEPT
    }

    /// Whether an archive is about to take the fragment over.
    #[inline]
    pub const fn is_leaving(self) -> bool {
        // As above.
        self.0 & (LEAVING | DEAD) == LEAVING
    }

    /// The order that is to have the entry.
    #[inline]
    pub const fn list(self) -> Option<List> {
        if self.is_kept() {
            return Some(List::Kept);
        }
        match self.tier() {
            Some(tier) => Some(List::Of(tier)),
            None => None,
        }
    }

    /// Whether both are live words of one placement: same tier, same tick.
    #[inline]
    pub const fn is_same_placement(self, other: Self) -> bool {
        self.tier().is_some() && (self.0 ^ other.0) & !MARKS == 0
    }

    /// Whether a node that has had the other word has come to this one later. Marks do not count.
    pub fn is_further_than(self, other: Self) -> bool {
        match (self.tier(), other.tier()) {
            (Some(now), Some(then)) => (self.tick(), now) > (other.tick(), then),
            (now, then) => now.is_none() && then.is_some(),
        }
    }

    /// How the word stands to the entry of that order and tick.
    #[inline]
    pub fn standing(self, list: List, tick: u64) -> Standing {
        match list {
            List::Of(tier) if self.0 & !MARKS == Self::fresh(tier, tick).0 => Standing::At,
            _ => self.standing_to_another(list, tick),
        }
    }

    #[inline]
    fn standing_to_another(self, list: List, tick: u64) -> Standing {
        let Some(now) = self.list() else { return Standing::Beyond };
        let at_the_tick = || match (now, list) {
            (List::Of(now), List::Of(tier)) => (now as u64).cmp(&(tier as u64)),
            (List::Kept, List::Kept) => cmp::Ordering::Equal,
            (List::Kept, List::Of(_)) | (List::Of(_), List::Kept) => cmp::Ordering::Greater,
        };
        match self.tick().cmp(&tick).then_with(at_the_tick) {
            cmp::Ordering::Less => Standing::Before,
            cmp::Ordering::Equal => Standing::At,
            cmp::Ordering::Greater => Standing::Beyond,
        }
    }
}

impl core::fmt::Debug for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let State::In(tier) = self.state() else { return self.state().fmt(f) };
        write!(f, "{tier:?}@{}", self.tick())?;
        for (mark, name) in [
            (KEPT, " kept"),
            (TOUCHED, " touched"),
            (UNSURE, " unsure"),
            (PREFILLED, " prefilled"),
            (LEAVING, " leaving"),
        ] {
            f.write_str(if self.0 & mark != 0 { name } else { "" })?;
        }
        Ok(())
    }
}

/// The atomic itself. Owned by its node; every thread may read it and make the transitions below.
pub struct PlaceWord(AtomicU64);

impl PlaceWord {
    /// A word for a node that nobody else sees yet.
    pub fn new(place: Place) -> Self {
        Self(AtomicU64::new(place.0))
    }

    /// The word now.
    #[inline]
    pub fn load(&self) -> Place {
        // SeqCst: pairs with the release half of every transition; and before the caller's look for a snapshot in progress.
        Place(self.0.load(Ordering::SeqCst))
    }

    /// The word now, by a read-modify-write: who moves the word after this sees what the caller did before.
    pub fn confirm(&self) -> Place {
        // AcqRel: pairs with the transition before and with the one after.
        Place(self.0.fetch_or(0, Ordering::AcqRel))
    }

    /// Writes the word of a node that is not published: nobody else changes it, and nobody goes by it.
    pub fn prepare(&self, place: Place) {
        // Relaxed: published by the CAS that has the node found (its predecessor's word, or the index cell), and by the mark that has
        // evictions look at it.
        self.0.store(place.0, Ordering::Relaxed);
    }

    #[inline]
    fn cas(&self, from: Place, to: Place) -> Outcome {
        debug_assert!(from != to && from.tier().is_some());
        // SeqCst: before the mover's look for a snapshot in progress. On a loss, as a load.
        match self.0.compare_exchange(from.0, to.0, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => Outcome::Done(to),
            Err(now) => Outcome::Lost(Place(now)),
        }
    }

    /// Marks that a use is younger than the tick.
    #[inline]
    pub fn touch(&self, from: Place) -> Outcome {
        debug_assert!(!from.is_touched());
        self.cas(from, Place(from.0 | TOUCHED))
    }

    /// Marks that a lower tier's order may have an entry of the node at this tick.
    pub fn mark_prefilled(&self, from: Place) -> Outcome {
        debug_assert!(!from.is_prefilled());
        self.cas(from, Place(from.0 | PREFILLED))
    }

    /// Marks that an archive is about to take the fragment over, which stands in cold.
    pub fn mark_leaving(&self, from: Place) -> Outcome {
        debug_assert!(from.tier() == Some(Tier::Cold) && !from.is_kept() && !from.is_leaving());
        self.cas(from, Place(from.0 | LEAVING))
    }

    /// Moves the placement within its tier to the tick of its last use.
    pub fn relist(&self, from: Place, tier: Tier, last_use: u64) -> Outcome {
        debug_assert!(from.tier() == Some(tier) && from.tick() < last_use);
        self.cas(from, Place::unsure(tier, last_use, from.0))
    }

    /// Moves down to `tier`, which is below; the tick and the marks stay.
    pub fn sink(&self, from: Place, tier: Tier) -> Outcome {
        debug_assert!(from.tier().is_some_and(|now| now < tier));
        self.cas(from, Place(Place::fresh(tier, from.tick()).0 | from.0 & (KEPT | MARKS)))
    }

    /// Moves up to `tier` (or to the head of its own) with a fresh tick.
    pub fn rise(&self, from: Place, tier: Tier, tick: u64) -> Outcome {
        debug_assert!(from.tier().is_some_and(|now| now >= tier) && from.tick() < tick);
        self.cas(from, Place::unsure(tier, tick, from.0))
    }

    /// Keeps the fragment where it is, or lets it go, with a fresh tick.
    pub fn keep(&self, from: Place, tier: Tier, is_kept: bool, tick: u64) -> Outcome {
        debug_assert!(from.tier() == Some(tier) && from.is_kept() != is_kept && from.tick() < tick);
        self.cas(from, Place::unsure(tier, tick, if is_kept { KEPT } else { 0 }))
    }

    /// Ends the fragment.
    pub fn remove(&self, from: Place) -> Outcome {
        self.cas(from, Place(REMOVED))
    }

    /// Ends the fragment in favour of `successor`, noting where it was.
    ///
    /// The successor's node is aligned to 16 bytes, as every [`crate::engine::node::Node`] is.
    pub fn replace<N>(&self, from: Place, successor: NonNull<N>) -> Outcome {
        const { assert!(align_of::<N>() >= 16, "the low bits of an address are the state's") };
        let address = successor.as_ptr().expose_provenance() as u64;
        self.cas(from, Place((REPLACED + (from.0 & STATE)) | address))
    }
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests;
