//! The age of a fragment: when it was last used, until when it may be read, and how it expires.
//!
//! Times are nanoseconds since a store first asked for the time, by the caller's clock. (The [clock](crate::engine::clock) of a store orders uses and
//! is another thing.) A fragment is *due* at the time when its tier's lifetime has passed since its last use, or its own deadline has come, whichever is
//! first. What is kept is never due.
//!
//! Few stores have ages. So a node has them behind its other fields, where it was made with them, and says so in the flag that every look at it reads
//! first (see [`Node::is_plain`](crate::engine::node::Node::is_plain)). Nobody else pays for them.
//!
//! # An operation and its time
//!
//! Each operation reads the time once, and goes by that. To it a fragment that is due by then is absent; and nobody is told that a fragment is absent
//! before it is: who finds it due ends it, by the CAS of its place word that a removal would make, and answers only then. So what has expired stays
//! expired, also where the time goes back.
//!
//! # The use
//!
//! A use at the time t reads the last use and then the word, in this order, and finds that the fragment is not due at t. That word is
//! its linearization point. Then it
//!
//! 1. raises the time of the last use to t,
//! 2. takes a tick, and notes the use by it as every use does (see [`Node::note_use`]): it ends at a word that is touched or has a later tick, or is
//!    dead. Then the fragment is looked up again.
//!
//! A use of the fragment that was used last takes no tick, if it then reads a touched word.
//!
//! A change that gives a fragment a fresh tick (a promotion, keeping, letting go) is a use as well, and raises the time of the last use before its CAS. So its use
//! counts from the instant on at which it has read the time, also for those who find the fragment where it was.
//!
//! # The end
//!
//! Who would end a fragment at the time e reads the last use, and then the word. If the fragment is due at e by that,
//!
//! - a *touched* word is moved to the tick of its last use, as an eviction does it, and all is read again;
//! - of a word that is not touched the time of the last use is *confirmed*, by a read-modify-write. If the fragment still is due, a CAS changes the exact word to
//!   *removed*.
//!
//! # Why no use that returned is overlooked
//!
//! Say that the CAS succeeds, from the word p, which is not touched, and that a use of the same node has returned, with the word w. If the use's raise came before the
//! confirmation, the fragment was due at e all the same. Let the confirmation come first. Both are read-modify-writes of one atomic: so the use has read, after its raise, p or a
//! later word. After p comes only *removed*, which is dead, and w is not. So w is p. It is not touched, and so has a later tick than the use: one that was taken after the use's,
//! and so after its raise. Who read p has seen all that came before that tick was taken. So the confirmation, which came after the look at p, has seen the raise: a
//! contradiction.
//!
//! For a change with a fresh tick: if the confirmation comes before its raise, its CAS is of p or a later word, and one of the two CASes is lost. If the raise comes first, it is
//! seen.
//!
//! Marks and re-listings change no tier and no time. A fragment that sinks takes its last use along, and has another tier's lifetime from then on: who has found it
//! due found that by the exact word.
//!
//! # Who may stall where
//!
//! A use that stops after 1 has given the fragment a longer life, and no more. Who ends a fragment may stop anywhere: before the CAS nothing has changed but an entry that is passed by; after it, it is a removal. Each
//! round is paid for by another thread's change of the word.

use core::ptr;
use core::time::Duration;
use std::time::Instant;

use crossbeam_epoch::Guard;

use crate::drops::Callback;
use crate::engine::entries::Entries;
use crate::engine::node::Node;
use crate::engine::place::Place;
use crate::failpoint::{Step, reach};
use crate::sync::{AtomicPtr, AtomicU64, Ordering};
use crate::tier::Tier;

/// No time, as it never comes.
pub const NEVER: u64 = u64::MAX;

/// Nanoseconds, or [`NEVER`] for more than there are.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER)
}

/// What a node has beside its place.
pub struct Age {
    /// The time of the last use; only ever raised.
    used: AtomicU64,
    /// When it is due, however it is used.
    deadline: u64,
}

#[cfg(not(any(tierstack_loom, tierstack_shuttle)))]
const _: () = assert!(size_of::<Age>() == 16, "what the documentation says");

impl Age {
    /// That of a fragment that is stored at the time `now`.
    pub fn starting_at(now: u64, deadline: u64) -> Self {
        Self { used: AtomicU64::new(now), deadline }
    }

    /// Another with the same times.
    pub fn copied(&self) -> Self {
        Self::starting_at(self.used(), self.deadline)
    }

    /// Or [`NEVER`].
    pub const fn deadline(&self) -> u64 {
        self.deadline
    }

    /// The time of the last use.
    pub fn used(&self) -> u64 {
        // Acquire: pairs with the raise; and the caller reads the word after it.
        self.used.load(Ordering::Acquire)
    }

    /// Raises it to `now`, unless it is there already.
    pub fn raise(&self, now: u64) {
        // AcqRel: pairs with `confirm`. A use that comes after a confirmation sees the word that the confirmer has read.
        self.used.fetch_max(now, Ordering::AcqRel);
    }

    /// Its value, by a read-modify-write: see the head of the module.
    fn confirm(&self) -> u64 {
        // AcqRel: pairs with `raise`, both ways.
        self.used.fetch_max(0, Ordering::AcqRel)
    }
}

/// How long fragments live without a use, by tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes([u64; 3]);

impl Lifetimes {
    /// For ever.
    pub const NONE: Self = Self([NEVER; 3]);

    pub fn set(&mut self, tier: Tier, lifetime: u64) {
        self.0[tier.index()] = lifetime;
    }

    /// Whether a use changes when a fragment is due.
    pub fn are_some(&self) -> bool {
        *self != Self::NONE
    }

    /// Whether a fragment with that word, which is alive, and with that last use is due at the time `now`.
    pub fn is_due(&self, age: &Age, used: u64, place: Place, now: u64) -> bool {
        place.tier().is_some_and(|tier| self.is_due_in(tier, place.is_kept(), age, used, now))
    }

    /// As [`Self::is_due`], of a fragment in that tier.
    pub fn is_due_in(&self, tier: Tier, is_kept: bool, age: &Age, used: u64, now: u64) -> bool {
        let lifetime = self.0[tier.index()];
        !is_kept && (now >= age.deadline || lifetime != NEVER && now >= used.saturating_add(lifetime))
    }
}

/// What a look at a node's age says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The fragment is there; this is the word.
    Here(Place),
    /// It is due.
    Due,
    /// It has ended.
    Ended,
}

/// Looks at a node's age, without a change.
pub fn look<K, V>(node: &Node<K, V>, lifetimes: &Lifetimes, now: u64) -> Look {
    let Some(age) = node.age() else {
        let place = node.place.load();
        return if place.tier().is_some() { Look::Here(place) } else { Look::Ended };
    };
    // In this order: see the head of the module.
    let used = age.used();
    let place = node.place.load();
    if place.tier().is_none() {
        Look::Ended
    } else if lifetimes.is_due(age, used, place, now) {
        Look::Due
    } else {
        Look::Here(place)
    }
}

/// What is to be done with a fragment that was found due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ripe {
    /// It is to be ended: a CAS from this exact word, in that tier, overlooks no use.
    End(Place, Tier),
    /// It has been used meanwhile, or is kept.
    Stays,
    /// It has ended.
    Ended,
}

/// Sees to it that a CAS of the word that is returned overlooks no use.
pub fn ripen<K, V>(
    entries: &impl Entries<K, V>,
    node: &Node<K, V>,
    lifetimes: &Lifetimes,
    now: u64,
    guard: &Guard,
) -> Ripe {
    let Some(age) = node.age() else { return Ripe::Stays };
    loop {
        let used = age.used();
        let place = node.place.load();
        let Some(tier) = place.tier() else { return Ripe::Ended };
        if !lifetimes.is_due(age, used, place, now) {
            return Ripe::Stays;
        }
        reach(Step::Judged);
        if place.is_touched() {
            let last_use = node.last_use.confirm();
            debug_assert!(last_use > place.tick(), "what is touched was used after its tick");
            // Done or lost, all is read again.
            let _ = entries.relist(node, place, tier, last_use, guard);
            continue;
        }
        if lifetimes.is_due(age, age.confirm(), place, now) {
            return Ripe::End(place, tier);
        }
    }
}

/// Reads the time: a caller's function.
pub type ReadTime = dyn Fn() -> Instant + Send + Sync;

/// The times of a store.
pub struct Time {
    /// None: the standard library's.
    read: Option<Callback<ReadTime>>,
    /// What times count from: the first that was read. Null until then; a box that is never replaced from then on. So a store without ages reads no time.
    origin: AtomicPtr<Instant>,
    pub lifetimes: Lifetimes,
}

impl Time {
    pub fn new(read: Option<Callback<ReadTime>>, lifetimes: Lifetimes) -> Self {
        Self { read, origin: AtomicPtr::new(ptr::null_mut()), lifetimes }
    }

    /// Whether anybody has asked for the time: before that nothing has an age.
    #[inline]
    pub fn is_used(&self) -> bool {
        // Acquire: pairs with the CAS in `origin`. Whoever has seen a node with an age sees that its storer has asked.
        !self.origin.load(Ordering::Acquire).is_null()
    }

    /// Asks the caller's clock.
    pub fn now(&self) -> u64 {
        let now = self.read.as_ref().map_or_else(Instant::now, |read| read());
        since(self.origin(|| now), now)
    }

    /// Of an instant before the first that was read, 0.
    pub fn at(&self, instant: Instant) -> u64 {
        let read = || self.read.as_ref().map_or_else(Instant::now, |read| read());
        since(self.origin(read), instant)
    }

    /// Wait-free, but for the caller's clock.
    fn origin(&self, first: impl FnOnce() -> Instant) -> Instant {
        // Acquire: pairs with the CAS below.
        let mut origin = self.origin.load(Ordering::Acquire);
        if origin.is_null() {
            let mine = Box::into_raw(Box::new(first()));
            // AcqRel: what the box holds is seen by whoever reads its address, also by the loser here.
            origin = match self.origin.compare_exchange(origin, mine, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => mine,
                Err(theirs) => {
                    // SAFETY: made above, and nobody has seen it.
                    drop(unsafe { Box::from_raw(mine) });
                    theirs
                }
            };
        }
        // SAFETY: a box that is freed with `self`.
        unsafe { *origin }
    }
}

impl Drop for Time {
    fn drop(&mut self) {
        // Relaxed: `&mut self` is the only access.
        let origin = self.origin.load(Ordering::Relaxed);
        if !origin.is_null() {
            // SAFETY: as in `origin`; it is freed once, here.
            drop(unsafe { Box::from_raw(origin) });
        }
    }
}

fn since(origin: Instant, instant: Instant) -> u64 {
    nanoseconds(instant.saturating_duration_since(origin))
}
