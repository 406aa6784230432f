//! A table of the index: cells in one run of memory, and the room in it.
//!
//! # Room
//!
//! A cell is used once in the life of its table, so that a table fills up. Who would fill a null claims room first and gives it back
//! on a loss. A table that is the root takes claims up to its limit, thirteen sixteenths: a probe for an absent key then passes about
//! fifteen cells, which is two cache lines. One that is still being moved into takes an
//! eighth, and only so many that all that can still come from its predecessor has room: each table knows the most cells that can
//! ever be in use in it (`bound`), and its successor leaves room for that. So there is always a null, and every probe ends.

use core::ptr;

use crossbeam_epoch::Guard;

use super::cell::Cell;
use crate::sync::{AtomicPtr, AtomicUsize, Ordering, Padded};

/// The smallest table. Smaller in models and under a fuzzer, so that they reach its growth.
const SMALLEST: usize = if cfg!(any(tierstack_loom, tierstack_shuttle, fuzzing)) { 4 } else { 64 };

/// The most cells that a hint makes at once: 128 MiB of them.
const LARGEST_FIRST: usize = 1 << 24;

pub struct Table<N> {
    cells: Box<[Cell<N>]>,
    /// `64 - log2(cells.len())`: a hash's home is its top bits.
    shift: u32,
    /// The next table, while this one is being moved into it; set once.
    next: AtomicPtr<Self>,
    /// Claims: cells filled by inserts.
    inserted: Padded<AtomicUsize>,
    /// Cells filled by copies from the table before.
    copied: AtomicUsize,
    /// Cells that became tombstones.
    buried: AtomicUsize,
    /// Where the next helper goes on moving cells out of this table.
    cursor: AtomicUsize,
    /// Claims while this is not the root yet.
    early_limit: usize,
    /// Claims and copies while this is the root.
    limit: usize,
    /// The most cells that can ever be in use.
    bound: usize,
}

impl<N> Table<N> {
    /// The first table, for about `expected` nodes.
    pub fn first(expected: usize) -> Self {
        let cells = expected
            .saturating_mul(16)
            .div_ceil(13)
            .saturating_add(1)
            .clamp(SMALLEST, LARGEST_FIRST)
            .next_power_of_two();
        Self::new(cells, 0, 0)
    }

    /// The table after this one: twice the size, or the same where most of this one is tombstones.
    pub fn successor(&self) -> Self {
        let cells = if self.live() * 2 <= self.limit { self.cells.len() } else { self.cells.len() * 2 };
        let spare = (cells - 1).saturating_sub(self.bound);
        Self::new(cells, spare.min(cells / 8), self.bound)
    }

    fn new(cells: usize, early_limit: usize, bound_before: usize) -> Self {
        let limit = cells - (cells / 16 * 3).max(1);
        Self {
            cells: (0..cells).map(|_| Cell::new()).collect(),
            shift: u64::BITS - cells.trailing_zeros(),
            next: AtomicPtr::new(ptr::null_mut()),
            inserted: Padded(AtomicUsize::new(0)),
            copied: AtomicUsize::new(0),
            buried: AtomicUsize::new(0),
            cursor: AtomicUsize::new(0),
            early_limit,
            limit,
            bound: limit.max(bound_before + early_limit),
        }
    }

    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// The cell `step` steps after the home of `hash`.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the shift leaves the bits of an index")]
    pub fn probe(&self, hash: u64, step: usize) -> &Cell<N> {
        let place = ((hash >> self.shift) as usize).wrapping_add(step) & (self.cells.len() - 1);
        &self.cells[place]
    }

    pub fn cell(&self, place: usize) -> &Cell<N> {
        &self.cells[place]
    }

    /// The table that this one is being moved into.
    #[inline]
    pub fn next<'g>(&self, _guard: &'g Guard) -> Option<&'g Self> {
        // SAFETY: a table is freed through the epoch after the root has passed it; the caller reached this one, pinned,
        // and the next one outlives it.
        unsafe { self.next_pointer().as_ref() }
    }

    /// The same, as what the root is advanced to and what is freed in the end; null where there is none.
    #[inline]
    pub fn next_pointer(&self) -> *mut Self {
        // Acquire: pairs with `set_next`.
        self.next.load(Ordering::Acquire)
    }

    /// Makes `next` the next table; a loser's is freed.
    pub fn set_next(&self, next: Box<Self>) {
        let next = Box::into_raw(next);
        // Release: publishes the table. Relaxed on a loss: nothing is read through what was found.
        if self.next.compare_exchange(ptr::null_mut(), next, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            // SAFETY: made above, and nobody else saw it.
            drop(unsafe { Box::from_raw(next) });
        }
    }

    /// Claims room for an insert.
    pub fn claim(&self, is_root: bool) -> bool {
        // Relaxed: the counters bound each other through their modification orders alone, and no cell is read by them.
        let inserted = self.inserted.fetch_add(1, Ordering::Relaxed) + 1;
        let has_room = if is_root {
            // Relaxed: as above.
            inserted + self.copied.load(Ordering::Relaxed) <= self.limit
        } else {
            inserted <= self.early_limit
        };
        if !has_room {
            self.unclaim();
        }
        has_room
    }

    /// Gives back a claim that was not used.
    pub fn unclaim(&self) {
        // Relaxed: as in `claim`.
        self.inserted.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn count_copied(&self) {
        // Relaxed: as in `claim`.
        self.copied.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives back a count of a copy that was not made.
    pub fn uncount_copied(&self) {
        // Relaxed: as in `claim`.
        self.copied.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn count_buried(&self) {
        // Relaxed: as in `claim`.
        self.buried.fetch_add(1, Ordering::Relaxed);
    }

    fn live(&self) -> usize {
        // Relaxed: an estimate, which decides only the next table's size.
        let used = self.inserted.load(Ordering::Relaxed) + self.copied.load(Ordering::Relaxed);
        used.saturating_sub(self.buried.load(Ordering::Relaxed))
    }

    /// The next `count` cells to move, for one helper; empty when all have been given out.
    pub fn take_range(&self, count: usize) -> core::ops::Range<usize> {
        // Relaxed: only shares out work; whoever ends the move goes over every cell again.
        if self.cursor.load(Ordering::Relaxed) >= self.cells.len() {
            return 0..0;
        }
        // Relaxed: as above.
        let from = self.cursor.fetch_add(count, Ordering::Relaxed);
        from.min(self.cells.len())..(from + count).min(self.cells.len())
    }

    /// Whether every cell has been given out to a helper.
    pub fn is_shared_out(&self) -> bool {
        // Relaxed: as in `take_range`.
        self.cursor.load(Ordering::Relaxed) >= self.cells.len()
    }
}
