//! A tier's recency order: a chunked skip list keyed by tick.
//!
//! Ticks are unique (see [`crate::clock`]), so tick `t` owns cell `t mod WIDTH` of segment `t div WIDTH`; the directory holds
//! the segments, sorted. Filling touches one cell and one bit, clearing one cell; the oldest is the lowest bit of the first segment.
//! Source of the directory: lock-free skip lists (Fraser, "Practical lock-freedom", 2004) as crossbeam-skiplist builds them.
//!
//! # Hints, never authority
//!
//! A cell says "this node may stand in this tier at this tick". Whether it does is said by the node's place word: an entry is
//! valid only if the word names this very tier and tick. What the order promises is the converse: what was filled is in its cell, and
//! its bit is set, until it is cleared. [`crate::entries`] says who fills and clears, and when.
//!
//! # Steps
//!
//! - *Fill*: find or make the segment; store the node in the cell; set the bit. Several may do it: same cell, same node.
//!   Where the segment is sealed, the cell is emptied and all is done anew in another.
//! - *Clear*: store null in the cell. The bit stays. A set bit over an empty cell means that the placement has ended, as the
//!   cell is filled before the bit is set and emptied only after the end: readers pass it by. (A late filler may put the node
//!   there once more, and clears it again.)
//! - *Seal*: once every cell whose bit is set is empty, and the segment is below the clock's own, CAS its word from those very bits →
//!   sealed, then remove that very entry. Who meets a sealed segment removes it too. A filler that has not set its bit finds the seal, and starts again. Where the
//!   bit was set before, by another, the filler is late, and its cell may be sealed with the node in it: nobody looks into a sealed segment.
//!
//! # Scanning
//!
//! A scan goes up, and returns the first entry that it finds. What it must not do is pass over a node that stands in the tier
//! throughout, though the node moves up meanwhile (it never moves down within its tier). That holds by two rules:
//!
//! - *Filled first*: a node's next cell is filled, and its bit set, before its last cell is emptied.
//! - *Read again*: after each empty cell under a set bit the scan reads the bits again, and it looks for the next segment only after it
//!   has found all that the bits name empty.
//!
//! Say that the node stands at or above the scan, as it does at the start. The scan comes to its cell and finds it empty. Then the scan has seen
//! what the clearer did before: the bit of the next cell, if that is in this segment, is in what the scan reads next; and if it is in a
//! later segment, that one is in the directory before the scan searches it. So the node stands above the scan again. One reading for
//! the whole segment is not enough, and neither is a second one for all: a node that moves up k times within it takes k more.
//!
//! The scan of a segment ends all the same: each step takes a cell off the `WIDTH` that are left, and an empty cell under a set bit stays
//! so, or is filled only by one that is late. So it is wait-free. The scan of an order goes on to a next segment only while
//! others take ticks.
//!
//! A cell may hold a node whose placement has ended for as long as whoever ended or filled it has not cleared it, who is pinned:
//! [`crate::node`] says why it is not freed under a reader. Nobody waits for anybody: each loop runs again only when another
//! thread sealed a segment or set a bit.
//!
//! # The tail
//!
//! Most placements go to the youngest segment, which is kept in a pointer of its own that owns a count. It is a shortcut: a
//! stale one costs a search.

pub mod directory;
pub mod segment;

use core::ptr;
use std::sync::Arc;

use crossbeam_epoch::Guard;

use crate::clock::Clock;
use crate::failpoint::{Step, reach};
use crate::sync::{AtomicPtr, Ordering};
use directory::Directory;
use segment::{Placed, Segment, WIDTH};

/// The recency order of one tier.
pub struct Order<N> {
    directory: Directory<Segment<N>>,
    /// The youngest segment that anything was placed in, or null; owns a count of it.
    tail: AtomicPtr<Segment<N>>,
}

// SAFETY: an order shares nodes between the threads that use it; it neither owns nor drops them.
unsafe impl<N: Sync> Send for Order<N> {}
// SAFETY: as above.
unsafe impl<N: Sync> Sync for Order<N> {}

impl<N> Order<N> {
    pub fn new() -> Self {
        Self { directory: Directory::new(), tail: AtomicPtr::new(ptr::null_mut()) }
    }
}

impl<N: Send + Sync + 'static> Order<N> {
    /// Puts `node` into the cell of `tick`.
    pub fn fill(&self, tick: u64, node: &N, clock: &Clock, guard: &Guard) {
        loop {
            let segment = self.segment_for(tick / WIDTH, clock, guard);
            match segment.fill(tick % WIDTH, node) {
                Placed::Listed => return,
                Placed::Sealed => self.directory.remove(segment.index(), segment, guard),
            }
        }
    }

    /// Empties the cell of `tick`: the placement is over.
    pub fn clear(&self, tick: u64, node: &N, clock: &Clock, guard: &Guard) {
        let Some(segment) = self.find(tick / WIDTH, guard) else { return };
        segment.clear(tick % WIDTH, node);
        reach(Step::Emptied);
        self.seal_if_done(segment, clock, guard);
    }

    /// The segment at `index`: the youngest and the oldest, which most are looked for in, without a search.
    fn find<'g>(&self, index: u64, guard: &'g Guard) -> Option<&'g Segment<N>> {
        if let Some(tail) = self.tail(guard)
            && tail.index() == index
            && !tail.is_sealed()
        {
            return Some(tail);
        }
        let oldest = self.directory.first_from(0, guard)?;
        let segment = if oldest.index() < index { self.directory.first_from(index, guard)? } else { oldest };
        (segment.index() == index).then_some(segment)
    }

    /// A walk from the oldest entry up.
    pub fn cursor<'g>(&self, guard: &'g Guard) -> Cursor<'_, 'g, N> {
        Cursor { order: self, segment: self.directory.first_from(0, guard), slot: 0, guard }
    }

    /// The oldest entry with a tick of at least `from`.
    #[cfg(any(test, tierstack_loom, fuzzing))]
    pub fn first_from<'g>(&self, from: u64, clock: &Clock, guard: &'g Guard) -> Option<(u64, &'g N)> {
        let segment = self.directory.first_from(from / WIDTH, guard);
        let slot = if segment.is_some_and(|segment| segment.index() == from / WIDTH) { from % WIDTH } else { 0 };
        Cursor { order: self, segment, slot, guard }.here(clock)
    }

    /// Calls `visit` with every entry, oldest first.
    pub fn visit<'g>(&self, guard: &'g Guard, mut visit: impl FnMut(u64, &'g N)) {
        let mut index = 0;
        while let Some(segment) = self.directory.first_from(index, guard) {
            let mut from = 0;
            while let Some((slot, node)) = segment.first_from(from, guard) {
                visit(segment.index() * WIDTH + slot, node);
                from = slot + 1;
            }
            index = segment.index() + 1;
        }
    }

    fn tail<'g>(&self, _guard: &'g Guard) -> Option<&'g Segment<N>> {
        // SAFETY: the pointer is null or owns a count, which is given up through the epoch after it was swapped out.
        // Acquire: pairs with the swap that published the segment.
        unsafe { self.tail.load(Ordering::Acquire).as_ref() }
    }

    #[inline]
    fn segment_for<'g>(&self, index: u64, clock: &Clock, guard: &'g Guard) -> &'g Segment<N> {
        match self.tail(guard) {
            Some(tail) if tail.index() == index && !tail.is_sealed() => tail,
            tail => self.find_or_make(index, tail, clock, guard),
        }
    }

    #[cold]
    fn find_or_make<'g>(
        &self,
        index: u64,
        tail: Option<&'g Segment<N>>,
        clock: &Clock,
        guard: &'g Guard,
    ) -> &'g Segment<N> {
        let segment = self.directory.get_or_insert_with(index, || Arc::new(Segment::new(index)), guard);
        // Until the tail is this one or a younger: an unsealed segment that never was the tail would not be sealed when the
        // clock passes it.
        let mut tail = tail;
        while tail.is_none_or(|tail| tail.index() < index || tail.is_sealed()) && !segment.is_sealed() {
            if self.try_advance_tail(tail, segment, clock, guard) {
                break;
            }
            tail = self.tail(guard);
        }
        // SAFETY: the directory keeps a count until the entry is removed, and then until the current pins are gone.
        unsafe { &*Arc::as_ptr(segment) }
    }

    /// Swaps the tail, unless another thread has.
    fn try_advance_tail(&self, old: Option<&Segment<N>>, new: &Arc<Segment<N>>, clock: &Clock, guard: &Guard) -> bool {
        let new = Arc::into_raw(Arc::clone(new)).cast_mut();
        let expected = old.map_or(ptr::null_mut(), |old| ptr::from_ref(old).cast_mut());
        // Release: publishes the segment to `tail`. Relaxed on a loss: nothing is read through what was found.
        if let Ok(former) = self.tail.compare_exchange(expected, new, Ordering::AcqRel, Ordering::Relaxed) {
            if let Some(old) = old {
                // It may have become empty while the clock was still in it.
                self.seal_if_done(old, clock, guard);
                // SAFETY: the tail's count is this thread's since the swap; those who still read the segment are pinned.
                unsafe { guard.defer_unchecked(move || drop(Arc::from_raw(former))) };
            }
            true
        } else {
            // SAFETY: the count made above, which nobody else saw.
            drop(unsafe { Arc::from_raw(new) });
            false
        }
    }

    /// Seals a segment that is empty and below the clock's own, and removes a sealed one.
    fn seal_if_done(&self, segment: &Segment<N>, clock: &Clock, guard: &Guard) {
        if segment.is_sealed() || (segment.index() < clock.now() / WIDTH && segment.try_seal()) {
            reach(Step::Sealed);
            self.directory.remove(segment.index(), segment, guard);
        }
    }
}

/// A walk from the oldest entry up: see [`Order::cursor`].
pub struct Cursor<'o, 'g, N> {
    order: &'o Order<N>,
    segment: Option<&'g Segment<N>>,
    slot: u64,
    guard: &'g Guard,
}

impl<'g, N: Send + Sync + 'static> Cursor<'_, 'g, N> {
    /// The first entry that was not passed. It is a hint: the node's place word decides.
    pub fn here(&mut self, clock: &Clock) -> Option<(u64, &'g N)> {
        loop {
            let segment = self.segment?;
            if let Some((slot, node)) = segment.first_from(self.slot, self.guard) {
                return Some((segment.index() * WIDTH + slot, node));
            }
            self.order.seal_if_done(segment, clock, self.guard);
            self.segment = self.order.directory.first_from(segment.index() + 1, self.guard);
            self.slot = 0;
        }
    }

    /// Goes on behind the entry of that tick, which is the one that it stands at.
    pub fn pass(&mut self, tick: u64) {
        self.slot = tick % WIDTH + 1;
    }
}

impl<N> Drop for Order<N> {
    fn drop(&mut self) {
        // Relaxed: exclusive access.
        let tail = self.tail.load(Ordering::Relaxed);
        if !tail.is_null() {
            // SAFETY: the tail's own count, given up once.
            drop(unsafe { Arc::from_raw(tail) });
        }
    }
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn the_first_at_or_above_a_tick_is_found_also_beyond_segments_that_are_not_there() {
        let ticks = [3, WIDTH + 1, WIDTH + 4, 3 * WIDTH, 5 * WIDTH + 2];
        let (order, clock, guard) = (Order::new(), Clock::starting_at(1), crossbeam_epoch::pin());
        for tick in ticks.iter().rev() {
            order.fill(*tick, tick, &clock, &guard);
            assert_eq!(order.tail(&guard).map(Segment::index), Some(5), "the tail is the youngest");
        }
        for from in 0..6 * WIDTH {
            let expected = ticks.iter().find(|tick| **tick >= from).map(|tick| (*tick, tick));
            assert_eq!(order.first_from(from, &clock, &guard), expected, "from {from}");
        }
        let mut visited = Vec::new();
        order.visit(&guard, |tick, node| visited.push((tick, *node)));
        assert_eq!(visited, ticks.map(|tick| (tick, tick)));
    }

    #[test]
    fn a_segment_goes_once_it_is_empty_and_behind_the_clock() {
        let (order, guard) = (Order::new(), crossbeam_epoch::pin());
        let oldest = || order.directory.first_from(0, &guard).map(Segment::index);
        let (inside, behind) = (Clock::starting_at(WIDTH - 1), Clock::starting_at(WIDTH));
        let ticks = [1, 2, WIDTH];
        for tick in &ticks {
            order.fill(*tick, tick, &inside, &guard);
        }
        order.clear(1, &ticks[0], &behind, &guard);
        assert_eq!(oldest(), Some(0), "another is in it");
        order.clear(2, &ticks[1], &inside, &guard);
        assert_eq!(oldest(), Some(0), "ticks of it are still to come");
        assert_eq!(order.first_from(0, &behind, &guard), Some((WIDTH, &ticks[2])));
        assert_eq!(oldest(), Some(1), "whoever passes an empty one takes it away");
    }

    #[test]
    fn segments_that_were_emptied_while_the_clock_was_in_them_do_not_pile_up() {
        let (order, clock, guard) = (Order::new(), Clock::starting_at(1), crossbeam_epoch::pin());
        let node = 0;
        for _ in 0..20 * WIDTH {
            let tick = clock.tick().unwrap();
            // Not the last of a segment, behind which the clock is in the next.
            if tick % WIDTH < WIDTH / 2 {
                order.fill(tick, &node, &clock, &guard);
                order.clear(tick, &node, &clock, &guard);
            }
        }
        let oldest = order.directory.first_from(0, &guard).map(Segment::index);
        assert!(oldest.is_some_and(|oldest| oldest >= clock.now() / WIDTH - 1), "{oldest:?}");
    }

    #[test]
    fn an_order_gives_up_its_segments_when_it_is_dropped() {
        let (order, clock, guard) = (Order::new(), Clock::starting_at(1), crossbeam_epoch::pin());
        order.fill(1, &0, &clock, &guard);
        let segment = Arc::clone(order.directory.get_or_insert_with(0, || unreachable!("it is there"), &guard));
        assert_eq!(Arc::strong_count(&segment), 3, "the directory's, the tail's, and this");
        drop((order, guard));
        assert_eq!(Arc::strong_count(&segment), 1);
    }
}
