//! Counters of what happened, spread over the threads.
//!
//! Statistics only: `Relaxed` throughout, as nothing is published through them and no protocol reads them. Each of the first threads
//! has a stripe of its own while it lives, and counts in it by a plain load and store; those beyond share the last stripe. Sums are
//! exact once the counting threads have synchronized with the reader.
//!
//! A store's counters outlive it where nodes that it retired are freed later.

use core::array;

use crate::sync::Padded;
use crate::sync::stat::{AtomicU64, Ordering};

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// A `get` that found its key and took no tick for it: its fragment was the most recently used, or nearly (see
    /// [`crate::Builder::recency_slack`]).
    QuietHit,
    /// A `get` that did not find its key.
    Miss,
    /// A `store` that took effect.
    Store,
    /// A `store` that replaced a fragment.
    Replacement,
    /// A `promote` that changed the tier.
    Promotion,
    /// A `demote` that changed the tier.
    Demotion,
    /// A least recently used fragment moved down, or out.
    Eviction,
    /// A `remove` that found its key.
    Removal,
    /// A fragment that a capacity pushed out of cold.
    Overflow,
    /// A fragment that has expired.
    Expiry,
    /// A `store` or `promote` that was contended.
    Contended,
    /// A tick taken by anything but a hit.
    OtherTick,
    /// Bytes of fragments that have left the store.
    RetiredBytes,
    /// Bytes of fragments that have left the store and are freed.
    FreedBytes,
    /// Fragments that have left the store.
    Retired,
    /// Fragments that have left the store and whose values are freed.
    Freed,
}

const EVENTS: usize = Event::Freed as usize + 1;
// Two cache lines, and no more.
const _: () = assert!(EVENTS * size_of::<u64>() <= 128);
/// One for each thread with a slot of its own, and one for all others.
const STRIPES: usize = 64;
const SHARED: usize = STRIPES - 1;

/// The counters of a store.
pub struct Stats {
    stripes: [Padded<[AtomicU64; EVENTS]>; STRIPES],
    peak_hot_bytes: Padded<AtomicU64>,
    /// Bytes that a thread retires before it flushes the collector.
    patience: AtomicU64,
    /// What a fragment counts for at least: so that not too many of them wait, whatever the caller's weigher says of them.
    share: AtomicU64,
    /// Whether more values wait to be freed than the store holds: 1 or 0.
    crowded: AtomicU64,
    /// Fragments that an archive has taken over. One thread does so, mostly: it needs no stripes, of which each fills its cache lines.
    archived: AtomicU64,
}

/// The counters of one thread, or those that all others share.
#[derive(Clone, Copy)]
pub struct Stripe<'s> {
    counters: &'s [AtomicU64; EVENTS],
    is_shared: bool,
}

impl Stripe<'_> {
    /// Counts one.
    #[inline]
    pub fn count(self, event: Event) {
        self.add(event, 1);
    }

    #[inline]
    fn add(self, event: Event, amount: u64) {
        let counter = &self.counters[event as usize];
        // Relaxed: see the head of the module.
        if self.is_shared {
            counter.fetch_add(amount, Ordering::Relaxed);
        } else {
            // Relaxed: only this thread changes its own stripe.
            let sum = counter.load(Ordering::Relaxed).wrapping_add(amount);
            // Relaxed: as above.
            counter.store(sum, Ordering::Relaxed);
        }
    }
}

/// Flushing for less would cost more than the memory is worth.
const LEAST_PATIENCE: u64 = 32 << 10;
/// However light they are, so many fragments are worth a flush, which runs 512 deferrals, four times as many as they make.
const MOST_UNFLUSHED: u64 = 64;
/// However few the store holds, so many retired ones are not worth a flush.
const LEAST_UNFLUSHED: u64 = 4;

/// The share of a fragment in the patience of a store that holds `live` fragments: so that a sixteenth of them exceeds it. (Three times as
/// many wait, where nobody stalls: those that are retired now, and those of two epochs.)
fn share(patience: u64, live: u64) -> u64 {
    patience / (live / 16).clamp(LEAST_UNFLUSHED, MOST_UNFLUSHED) + 1
}

impl Stats {
    pub fn new() -> Self {
        Self {
            stripes: array::from_fn(|_| Padded(array::from_fn(|_| AtomicU64::new(0)))),
            peak_hot_bytes: Padded(AtomicU64::new(0)),
            patience: AtomicU64::new(LEAST_PATIENCE),
            share: AtomicU64::new(share(LEAST_PATIENCE, 0)),
            crowded: AtomicU64::new(0),
            archived: AtomicU64::new(0),
        }
    }

    /// Counts one.
    #[inline]
    pub fn count(&self, event: Event) {
        self.add(event, 1);
    }

    /// Adds to a counter.
    #[inline]
    fn add(&self, event: Event, amount: u64) {
        self.add_in(slot::of_this_thread(), event, amount);
    }

    /// Adds to a counter in the calling thread's stripe.
    #[inline]
    fn add_in(&self, slot: usize, event: Event, amount: u64) {
        Stripe { counters: &self.stripes[slot].0, is_shared: slot == SHARED }.add(event, amount);
    }

    /// The calling thread's counters, for who counts again and again.
    pub fn stripe(&self) -> Stripe<'_> {
        let slot = slot::of_this_thread();
        Stripe { counters: &self.stripes[slot].0, is_shared: slot == SHARED }
    }

    /// The sum over the stripes.
    pub fn sum(&self, event: Event) -> u64 {
        // Relaxed: see the head of the module.
        let counts = self.stripes.iter().map(|stripe| stripe.0[event as usize].load(Ordering::Relaxed));
        counts.fold(0, u64::wrapping_add)
    }

    /// Notes hot's bytes after they grew.
    #[inline]
    pub fn note_hot_bytes(&self, bytes: u64) {
        // Relaxed: see the head of the module.
        if bytes > self.peak_hot_bytes.load(Ordering::Relaxed) {
            self.peak_hot_bytes.fetch_max(bytes, Ordering::Relaxed);
        }
    }

    /// Counts a fragment that an archive has taken over.
    pub fn count_archived(&self) {
        // Relaxed: see the head of the module.
        self.archived.fetch_add(1, Ordering::Relaxed);
    }

    /// How many those are.
    pub fn archived(&self) -> u64 {
        // Relaxed: see the head of the module.
        self.archived.load(Ordering::Relaxed)
    }

    pub fn peak_hot_bytes(&self) -> u64 {
        // Relaxed: see the head of the module.
        self.peak_hot_bytes.load(Ordering::Relaxed)
    }

    /// Counts a fragment that has left, whose node takes `size` bytes. What it is to count for until the thread flushes the collector: what it
    /// weighs, what its node takes, or its share of the patience, whichever is most.
    #[inline]
    pub fn retire(&self, weight: u64, size: u64) -> u64 {
        let slot = slot::of_this_thread();
        self.add_in(slot, Event::RetiredBytes, weight);
        self.add_in(slot, Event::Retired, 1);
        // Relaxed: see the head of the module.
        self.share.load(Ordering::Relaxed).max(weight).max(size)
    }

    /// Bytes that a thread retires before it flushes the collector.
    #[inline]
    pub fn patience(&self) -> u64 {
        // Relaxed: see the head of the module.
        self.patience.load(Ordering::Relaxed)
    }

    /// Counts a fragment that is freed.
    pub fn free(&self, weight: u64) {
        let slot = slot::of_this_thread();
        self.add_in(slot, Event::FreedBytes, weight);
        self.add_in(slot, Event::Freed, 1);
    }

    /// Bytes that have left and are not freed yet.
    pub fn retired_bytes(&self) -> u64 {
        self.difference(Event::RetiredBytes, Event::FreedBytes)
    }

    /// Fragments that have left and whose values are not freed yet.
    fn waiting(&self) -> u64 {
        self.difference(Event::Retired, Event::Freed)
    }

    /// What has been retired and not freed.
    fn difference(&self, retired: Event, freed: Event) -> u64 {
        // Freed first: what is retired and freed in between then counts as retired still. The difference is below zero only while what was
        // freed at once is not retired yet. The sums may have passed 2⁶⁴; what waits at one time does not come near 2⁶³.
        let freed = self.sum(freed);
        self.sum(retired).wrapping_sub(freed).cast_signed().try_into().unwrap_or(0)
    }

    /// Whether more values wait to be freed than the store holds: somebody stays pinned.
    #[inline]
    pub fn is_crowded(&self) -> bool {
        // Relaxed: see the head of the module.
        self.crowded.load(Ordering::Relaxed) > 0
    }

    /// Sets the patience for a store that holds so much: a 256th of the bytes, or a sixteenth of the fragments.
    pub fn adapt(&self, bytes: u64, fragments: u64) {
        let patience = (bytes / 256).max(LEAST_PATIENCE);
        // Not where they are but what several threads have not flushed yet.
        let crowded = self.waiting() > fragments + MOST_UNFLUSHED;
        // Where somebody stays pinned, flushes are in vain, and each costs a bag of two kilobytes.
        let share = share(patience, if crowded { u64::MAX } else { fragments });
        // Relaxed: see the head of the module.
        self.patience.store(patience, Ordering::Relaxed);
        // Relaxed: as above.
        self.share.store(share, Ordering::Relaxed);
        // Relaxed: as above.
        if crowded != self.is_crowded() {
            // Relaxed: as above.
            self.crowded.store(u64::from(crowded), Ordering::Relaxed);
        }
    }
}

/// The stripes that threads have for themselves.
mod slot {
    use super::{AtomicU64, Ordering, SHARED};

    /// A bit for each slot that a thread has.
    static TAKEN: AtomicU64 = AtomicU64::new(0);

    struct Slot(usize);

    thread_local! {
        static SLOT: Slot = Slot::take();
    }

    impl Slot {
        fn take() -> Self {
            // Relaxed: a bound; the CAS decides.
            let mut taken = TAKEN.load(Ordering::Relaxed);
            loop {
                let free = taken.trailing_ones() as usize;
                if free >= SHARED {
                    return Self(SHARED);
                }
                // Acquire: pairs with the release of the thread that had the slot before, whose counts this one goes on from.
                match TAKEN.compare_exchange_weak(taken, taken | 1 << free, Ordering::Acquire, Ordering::Relaxed) {
                    Ok(_) => return Self(free),
                    Err(now) => taken = now,
                }
            }
        }
    }

    impl Drop for Slot {
        fn drop(&mut self) {
            if self.0 < SHARED {
                TAKEN.fetch_and(!(1 << self.0), Ordering::Release);
            }
        }
    }

    /// The current thread's; the shared one where its locals are gone already.
    #[inline]
    pub fn of_this_thread() -> usize {
        SLOT.try_with(|slot| slot.0).unwrap_or(SHARED)
    }
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn stripes_add_up_over_more_threads_than_there_are() {
        let stats = Stats::new();
        let barrier = std::sync::Barrier::new(STRIPES + 8);
        std::thread::scope(|scope| {
            for _ in 0..STRIPES + 8 {
                scope.spawn(|| {
                    barrier.wait();
                    (0..1000).for_each(|_| stats.count(Event::Miss));
                    barrier.wait();
                });
            }
        });
        assert_eq!((stats.sum(Event::Miss), stats.sum(Event::Store)), (1000 * (STRIPES as u64 + 8), 0));
    }

    #[test]
    fn retired_fragments_count_for_what_is_most() {
        let stats = Stats::new();
        assert_eq!(stats.retire(LEAST_PATIENCE, 100), LEAST_PATIENCE);
        // Light ones count for more than they weigh.
        assert_eq!(stats.retire(1, 100), stats.patience() / LEAST_UNFLUSHED + 1);
        stats.free(LEAST_PATIENCE);
        assert_eq!(stats.retired_bytes(), 1);
        // So do those whose nodes are large.
        assert_eq!(stats.retire(1, LEAST_PATIENCE + 1), LEAST_PATIENCE + 1);
        stats.adapt(LEAST_PATIENCE * 1000, 1 << 20);
        assert!(stats.retire(LEAST_PATIENCE * 3, 100) < stats.patience());
    }

    #[test]
    fn what_waits_is_known_though_the_sums_pass_what_a_word_holds() {
        let stats = Stats::new();
        for _ in 0..5 {
            stats.retire(1 << 62, 100);
            stats.free((1 << 62) - 1);
        }
        assert_eq!((stats.sum(Event::RetiredBytes), stats.retired_bytes()), (1 << 62, 5));
        // Freed at once, and not yet retired.
        stats.free(6);
        assert_eq!(stats.retired_bytes(), 0);
    }

    #[test]
    fn a_store_is_crowded_where_the_dead_outnumber_the_living() {
        let stats = Stats::new();
        (0..100).for_each(|_| _ = stats.retire(0, 100));
        for (live, crowded) in [(36, false), (35, true), (36, false)] {
            stats.adapt(0, live);
            assert_eq!(stats.is_crowded(), crowded, "{live} live");
        }
        stats.adapt(0, 0);
        (0..36).for_each(|_| stats.free(0));
        stats.adapt(0, 0);
        assert!(!stats.is_crowded());
    }

    #[test]
    fn retired_fragments_ask_for_a_flush_by_their_number() {
        for (live, most) in [(0, 4), (12, 4), (160, 10), (1024, 64), (1 << 30, 64)] {
            let stats = Stats::new();
            // Whatever the bytes are.
            for bytes in [0, live, live << 20] {
                stats.adapt(bytes, live);
                let mut unflushed = 0;
                let retired = (1..=MOST_UNFLUSHED).find(|_| {
                    unflushed += stats.retire(0, 100);
                    unflushed > stats.patience()
                });
                assert_eq!(retired, Some(most), "{live} of {bytes} bytes");
            }
        }
    }
}
