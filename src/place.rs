//! The place word: where a fragment is, in one atomic.
//!
//! Every node has one place word, and it alone decides where the node's fragment is. The index finds nodes and the orders
//! hint at them; neither has authority.
//!
//! # States
//!
//! ```text
//!                     resolve               sink (demote, evict)
//!   Pending(fit) ──────────────► In(hot) ──────────────► In(warm) ──────────────► In(cold)
//!              └────────────────────▲──────────────────────▲ │ ▲                     │
//!                                   └────────────────────────┘ └─────────────────────┘   rise (promote, fresh tick)
//!
//!   In(any) ── replace ──► Replaced(from which tier)
//!   In(any) ── remove (also: evicted out of cold) ──► Removed
//! ```
//!
//! `In` carries the *tick* that is the node's key in its tier's order, *listed* (the order's cell for that tick holds the
//! node) and *touched* (a use is younger than the tick; the eviction has to look at the last use). `Pending` is a successor
//! whose predecessor has not been replaced yet; it carries what decides its tier. `Replaced` and `Removed` are terminal.
//!
//! # A place word never recurs
//!
//! The tick never falls; at one tick the tier only sinks; at one (tick, tier), *listed* and *touched* only rise. So a CAS on
//! the exact word that was read succeeds only if nothing happened in between, and (tier, tick) names one placement for ever.
//!
//! # Orderings
//!
//! Every transition is a compare-exchange, `AcqRel` on success and `Acquire` on failure, and every load is `Acquire`: whoever
//! reads a word sees all that its writer did before (a listed mark: the cell; a replaced word: the successor).

use crate::sync::{AtomicU64, Ordering};
use crate::tier::Tier;

const STATE: u64 = 0b111;
const HOT: u64 = Tier::Hot as u64;
const WARM: u64 = Tier::Warm as u64;
const COLD: u64 = Tier::Cold as u64;
const PENDING: u64 = 3;
const REMOVED: u64 = 4;
/// And the tier's number: 5, 6, 7.
const REPLACED: u64 = 5;
const TOUCHED: u64 = 1 << 3;
const LISTED: u64 = 1 << 4;
// A pending word is neither touched nor listed; the two bits say into which tier it goes.
const FITS: u64 = TOUCHED;
const FITS_AFTER_HOT: u64 = LISTED;
const TICK_SHIFT: u32 = 5;

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
    /// A successor that has not taken effect.
    Pending,
    /// Gone for good.
    Removed,
    /// Its successor has taken effect in its stead.
    Replaced {
        /// Where it stood when it was replaced.
        from: Tier,
    },
}

/// Into which tier a successor goes when it takes effect: fixed by its storer, and the same for every helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Warm.
    Never,
    /// Hot if its predecessor was hot, whose bytes make up the difference; else warm.
    AfterHot,
    /// Hot: its own reservation covers it.
    Always,
}

impl Fit {
    /// The successor's tier.
    pub const fn tier(self, predecessor_was_in: Tier) -> Tier {
        match (self, predecessor_was_in) {
            (Self::Always, _) | (Self::AfterHot, Tier::Hot) => Tier::Hot,
            (Self::AfterHot | Self::Never, _) => Tier::Warm,
        }
    }
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
    /// A placement that its order does not hold yet.
    pub const fn unlisted(tier: Tier, tick: u64) -> Self {
        Self(tier as u64 | tick << TICK_SHIFT)
    }

    /// A successor that has not taken effect.
    pub const fn pending(tick: u64, fit: Fit) -> Self {
        let fit = match fit {
            Fit::Never => 0,
            Fit::AfterHot => FITS_AFTER_HOT,
            Fit::Always => FITS | FITS_AFTER_HOT,
        };
        Self(PENDING | fit | tick << TICK_SHIFT)
    }

    /// Of a pending word.
    const fn fit(self) -> Fit {
        if self.0 & FITS != 0 {
            Fit::Always
        } else if self.0 & FITS_AFTER_HOT != 0 {
            Fit::AfterHot
        } else {
            Fit::Never
        }
    }

    /// What the word says.
    #[inline]
    pub const fn state(self) -> State {
        match self.0 & STATE {
            HOT => State::In(Tier::Hot),
            WARM => State::In(Tier::Warm),
            COLD => State::In(Tier::Cold),
            PENDING => State::Pending,
            REMOVED => State::Removed,
            REPLACED => State::Replaced { from: Tier::Hot },
            6 => State::Replaced { from: Tier::Warm },
            _ => State::Replaced { from: Tier::Cold },
        }
    }

    /// The tier, where the fragment is present.
    #[inline]
    pub const fn tier(self) -> Option<Tier> {
        match self.state() {
            State::In(tier) => Some(tier),
            _ => None,
        }
    }

    /// The tick of the placement (of the last one, where it is dead).
    #[inline]
    pub const fn tick(self) -> u64 {
        self.0 >> TICK_SHIFT
    }

    /// Whether the placement stands in its tier's order.
    #[inline]
    pub const fn is_listed(self) -> bool {
        self.0 & LISTED != 0
    }

    /// Whether a use may be younger than the tick.
    #[inline]
    pub const fn is_touched(self) -> bool {
        self.0 & TOUCHED != 0
    }

    /// Whether both words are about one placement: same tier, same tick.
    #[inline]
    pub const fn is_same_placement(self, other: Self) -> bool {
        (self.0 ^ other.0) & !(LISTED | TOUCHED) == 0
    }

    /// Whether this is the placement of that tier and tick.
    #[inline]
    pub const fn is_at(self, tier: Tier, tick: u64) -> bool {
        self.is_same_placement(Self::unlisted(tier, tick))
    }

    const fn ended_as(self, state: u64) -> Self {
        Self(state | self.0 >> TICK_SHIFT << TICK_SHIFT)
    }
}

impl core::fmt::Debug for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?}@{}", self.state(), self.tick())?;
        f.write_str(if self.is_touched() { " touched" } else { "" })?;
        f.write_str(if self.is_listed() { " listed" } else { "" })
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
        // Acquire: pairs with the release half of every transition.
        Place(self.0.load(Ordering::Acquire))
    }

    /// Writes the word of a node that no other thread may decide on: one not published, or a successor not announced.
    pub fn prepare(&self, place: Place) {
        // Relaxed: published by the CAS that announces the node (its predecessor's successor, or the index cell).
        self.0.store(place.0, Ordering::Relaxed);
    }

    #[inline]
    fn cas(&self, from: Place, to: Place) -> Outcome {
        debug_assert!(from != to);
        match self.0.compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Outcome::Done(to),
            Err(now) => Outcome::Lost(Place(now)),
        }
    }

    /// Marks the placement as listed.
    pub fn list(&self, from: Place) -> Outcome {
        debug_assert!(from.tier().is_some() && !from.is_listed());
        self.cas(from, Place(from.0 | LISTED))
    }

    /// Marks that a use is younger than the tick.
    #[inline]
    pub fn touch(&self, from: Place) -> Outcome {
        debug_assert!(from.is_listed() && !from.is_touched());
        self.cas(from, Place(from.0 | TOUCHED))
    }

    /// Moves the placement within its tier to the tick of its last use.
    pub fn relist(&self, from: Place, tier: Tier, last_use: u64) -> Outcome {
        debug_assert!(from.is_listed() && from.tier() == Some(tier) && from.tick() < last_use);
        self.cas(from, Place::unlisted(tier, last_use))
    }

    /// Moves down to `tier`, which is below; the tick and touched are kept.
    pub fn sink(&self, from: Place, tier: Tier) -> Outcome {
        debug_assert!(from.is_listed() && from.tier().is_some_and(|now| now < tier));
        self.cas(from, Place(Place::unlisted(tier, from.tick()).0 | from.0 & TOUCHED))
    }

    /// Moves up to `tier` (or to the head of its own) with a fresh tick.
    pub fn rise(&self, from: Place, tier: Tier, tick: u64) -> Outcome {
        debug_assert!(from.is_listed() && from.tier().is_some_and(|now| now >= tier) && from.tick() < tick);
        self.cas(from, Place::unlisted(tier, tick))
    }

    /// Ends the fragment.
    pub fn remove(&self, from: Place) -> Outcome {
        debug_assert!(from.is_listed() && from.tier().is_some());
        self.cas(from, from.ended_as(REMOVED))
    }

    /// Ends the fragment in favour of its announced successor, noting where it was.
    pub fn replace(&self, from: Place) -> Outcome {
        debug_assert!(from.is_listed() && from.tier().is_some());
        self.cas(from, from.ended_as(REPLACED + (from.0 & STATE)))
    }

    /// Places a pending successor, once its predecessor is replaced: alike for every helper.
    pub fn resolve(&self, predecessor_was_in: Tier) {
        let now = self.load();
        if now.state() == State::Pending {
            let tier = now.fit().tier(predecessor_was_in);
            // A loss means that another has resolved it.
            let _ = self.cas(now, Place::unlisted(tier, now.tick()));
        }
    }
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_word_decodes_to_what_was_encoded() {
        for tier in Tier::ALL {
            for tick in [1, 77, MAX_TICK] {
                let word = PlaceWord::new(Place::unlisted(tier, tick));
                let place = word.load();
                assert_eq!((place.state(), place.tick(), place.tier()), (State::In(tier), tick, Some(tier)));
                assert!(!place.is_listed() && !place.is_touched());
                let Outcome::Done(listed) = word.list(place) else { panic!("nobody else") };
                let Outcome::Done(touched) = word.touch(listed) else { panic!("nobody else") };
                assert!(touched.is_listed() && touched.is_touched() && touched.is_same_placement(place));
                assert_eq!(word.list(place), Outcome::Lost(touched));
                let Outcome::Done(dead) = word.replace(touched) else { panic!("nobody else") };
                assert_eq!((dead.state(), dead.tick(), dead.tier()), (State::Replaced { from: tier }, tick, None));
            }
        }
    }

    #[test]
    fn a_pending_word_is_resolved_once_by_what_it_carries() {
        for (fit, after_hot, after_other) in [
            (Fit::Always, Tier::Hot, Tier::Hot),
            (Fit::AfterHot, Tier::Hot, Tier::Warm),
            (Fit::Never, Tier::Warm, Tier::Warm),
        ] {
            for (from, tier) in [(Tier::Hot, after_hot), (Tier::Warm, after_other), (Tier::Cold, after_other)] {
                let word = PlaceWord::new(Place::pending(9, fit));
                assert_eq!((word.load().state(), word.load().tick()), (State::Pending, 9));
                word.resolve(from);
                word.resolve(if from == Tier::Hot { Tier::Cold } else { Tier::Hot });
                assert_eq!(word.load(), Place::unlisted(tier, 9));
            }
        }
    }

    #[test]
    fn sinking_keeps_tick_and_touched_and_rising_clears_them() {
        let word = PlaceWord::new(Place::unlisted(Tier::Hot, 5));
        let Outcome::Done(place) = word.list(word.load()) else { panic!("nobody else") };
        let Outcome::Done(place) = word.touch(place) else { panic!("nobody else") };
        let Outcome::Done(place) = word.sink(place, Tier::Cold) else { panic!("nobody else") };
        assert!(place.is_at(Tier::Cold, 5) && place.is_touched() && !place.is_listed());
        let Outcome::Done(place) = word.list(place) else { panic!("nobody else") };
        let Outcome::Done(place) = word.rise(place, Tier::Warm, 8) else { panic!("nobody else") };
        assert_eq!(place, Place::unlisted(Tier::Warm, 8));
    }
}
