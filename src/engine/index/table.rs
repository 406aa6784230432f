//! A table of the index: cells in one run of memory, and the room in it.

use core::ptr;

use crossbeam_epoch::Guard;

use super::cell::Cell;
use super::line::{Line, Lines, Open, WIDTH};
use super::room::{Claim, Counted, Room, limit_of};
use crate::sync::{AtomicPtr, AtomicUsize, Ordering, Padded};

/// Cells of the smallest table, which has two lines at least. Fewer in models and under a fuzzer, so that they reach its growth.
const SMALLEST: usize = if cfg!(any(tierstack_loom, tierstack_shuttle, fuzzing)) { 4 } else { 64 };

/// The most cells that a hint makes at once: 128 MiB of them.
const LARGEST_FIRST: usize = 1 << 24;

/// The most cells that are made for nodes of which there is only a hint that they come: 32 MiB of them.
const LARGEST_AHEAD: usize = 1 << 22;

/// Nodes to come are few if they are less than this part of the cells: then to move them all in advance costs more than it spares.
const FEW: usize = 8;

/// The cells of a table for about `expected` nodes, up to so many.
fn cells_for(expected: usize, most: usize) -> usize {
    expected.saturating_mul(16).div_ceil(13).saturating_add(1).clamp(SMALLEST, most).next_power_of_two()
}

/// In this order, so that what every lookup reads is in one line of the cache.
#[repr(C)]
pub struct Table<N> {
    lines: Lines<N>,
    /// The next table, while this one is being moved into it; set once.
    next: AtomicPtr<Self>,
    /// `64 - log2(lines.len())`: a hash's home is the line of its top bits.
    shift: u32,
    /// No table that comes after this one has fewer cells.
    least: usize,
    pub room: Padded<Room>,
    /// Where the next helper goes on moving cells out of this table.
    cursor: Padded<AtomicUsize>,
    /// How many cells helpers have moved of those that were given out to them.
    moved: AtomicUsize,
}

const _: () = assert!(SMALLEST >= 2 * WIDTH, "a shift by all bits is none");

impl<N> Table<N> {
    /// The first table, for about `expected` nodes. None that comes after it is made for fewer than about `least`.
    pub fn first(expected: usize, least: usize) -> Self {
        Self::new(cells_for(expected.max(least), LARGEST_FIRST), 0, cells_for(least, LARGEST_FIRST))
    }

    /// The table after this one, which is sealed: the smallest that is half full at most by what can still come. Not below a quarter of this one, so that
    /// those who move cells are done long before it is full; nor above twice its size.
    pub fn successor(&self) -> Self {
        let nodes = self.room.nodes();
        Self::new(self.successor_cells(nodes), nodes, self.least)
    }

    fn successor_cells(&self, nodes: u64) -> usize {
        let most = self.len() * 2;
        let mut cells = (self.len() / 4).max(self.least);
        while cells < most && (limit_of(cells) as u64) < nodes * 2 {
            cells *= 2;
        }
        cells
    }

    /// The same, with room for so many more nodes, up to the size that a hint makes.
    pub fn successor_with_room_for(&self, more: usize) -> Self {
        let nodes = self.room.nodes();
        let nodes_to_come = usize::try_from(nodes).unwrap_or(usize::MAX).saturating_add(more);
        let wanted = cells_for(nodes_to_come, LARGEST_AHEAD);
        let cells = self.successor_cells(nodes).max(wanted);
        Self::new(cells, nodes, self.least)
    }

    /// Whether it should give way to one with room for so many more: if they do not fit, are not few beside its cells, and it is not as large yet as a
    /// hint makes it.
    pub fn is_small_for(&self, more: usize) -> bool {
        let is_worth_a_move = more >= self.len() / FEW;
        is_worth_a_move && self.len() < LARGEST_AHEAD && !self.room.is_free(more as u64)
    }

    pub(super) fn new(cells: usize, kept: u64, least: usize) -> Self {
        Self {
            lines: Lines::new(cells / WIDTH),
            shift: u64::BITS - (cells / WIDTH).trailing_zeros(),
            next: AtomicPtr::new(ptr::null_mut()),
            least,
            room: Padded(Room::new(cells, kept)),
            cursor: Padded(AtomicUsize::new(0)),
            moved: AtomicUsize::new(0),
        }
    }

    /// Cells.
    #[inline]
    pub fn len(&self) -> usize {
        self.lines.len() * WIDTH
    }

    /// The number of the line where probes for that hash begin.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the shift leaves the bits of an index")]
    fn home(&self, hash: u64) -> usize {
        (hash >> self.shift) as usize
    }

    /// The line where probes for that hash begin.
    #[inline]
    fn home_line(&self, hash: u64) -> &Line<N> {
        let home = self.home(hash);
        debug_assert!(home < self.lines.len());
        // SAFETY: the shift leaves as many bits as number the lines, of which there is a power of two.
        unsafe { self.lines.get_unchecked(home) }
    }

    /// Has the home line of that hash fetched.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        self.home_line(hash).prefetch();
    }

    /// The first of the cells of its home line that are open to that hash.
    #[inline]
    pub fn first_open(&self, hash: u64) -> Option<&Cell<N>> {
        steps::count();
        let line = self.home_line(hash);
        line.open(hash).take().map(|place| line.cell(place))
    }

    /// The cells that are open to that hash, from its home line on, once around.
    #[inline]
    pub fn probe(&self, hash: u64) -> Probe<'_, N> {
        let line = self.home(hash);
        steps::count();
        Probe { table: self, hash, line, passed: 0, open: self.lines[line].open(hash) }
    }

    /// All cells on that probe.
    pub fn run(&self, hash: u64) -> impl Iterator<Item = &Cell<N>> {
        let home = self.home(hash) * WIDTH;
        (home..home + self.len()).map(|place| self.cell(place & (self.len() - 1)))
    }

    pub fn cell(&self, place: usize) -> &Cell<N> {
        self.lines[place / WIDTH].cell(place % WIDTH)
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

    /// Gives back a claim that was granted and not used.
    #[cold]
    pub fn give_back(&self, claim: Claim, guard: &Guard) {
        if self.room.give_back(claim) == Counted::Late {
            self.lower_next(1, guard);
        }
    }

    /// Counts a node that became a tombstone.
    pub fn count_buried(&self, guard: &Guard) {
        if self.room.count_buried() == Counted::Late {
            self.lower_next(1, guard);
        }
    }

    /// Hands the counts over to the next table, when everything is moved: once, by who has advanced the root.
    pub fn hand_over(&self, guard: &Guard) {
        if let Some(next) = self.next(guard) {
            self.lower_next(self.room.hand_over(next.room.kept()), guard);
        }
    }

    /// Gives back cells that the next table keeps for nodes that do not come; see [`super::room`].
    fn lower_next(&self, by: u64, guard: &Guard) {
        let mut table = self.next(guard);
        while let Some(this) = table {
            if this.room.lower(by) == Counted::InTime {
                return;
            }
            table = this.next(guard);
        }
    }

    /// Whether a table of a quarter of the size would do.
    pub fn is_sparse(&self) -> bool {
        self.len() > self.least && self.room.is_sparse()
    }

    /// The next `count` cells to move, for one helper; empty when all have been given out.
    pub fn take_range(&self, count: usize) -> core::ops::Range<usize> {
        // Relaxed: only shares out work; who finds no room in the next table goes over every cell again.
        if self.cursor.load(Ordering::Relaxed) >= self.len() {
            return 0..0;
        }
        // Relaxed: as above.
        let from = self.cursor.fetch_add(count, Ordering::Relaxed);
        from.min(self.len())..(from + count).min(self.len())
    }

    /// How many cells have been given out to helpers.
    #[cfg(all(test, not(tierstack_shuttle)))]
    pub fn given_out(&self) -> usize {
        // Relaxed: for tests.
        self.cursor.load(Ordering::Relaxed)
    }

    /// Counts cells that a helper has moved of those that were given out to it; whether they were the last.
    pub fn count_moved(&self, cells: usize) -> bool {
        // Release: the moves are before the end of the last helper; Acquire: which sees them.
        self.moved.fetch_add(cells, Ordering::AcqRel) + cells == self.len()
    }
}

/// A probe: see [`Table::probe`].
pub struct Probe<'t, N> {
    table: &'t Table<N>,
    hash: u64,
    line: usize,
    /// Lines that it has left behind.
    passed: usize,
    /// What is left of the line.
    open: Open,
}

impl<'t, N> Iterator for Probe<'t, N> {
    type Item = &'t Cell<N>;

    #[inline]
    fn next(&mut self) -> Option<&'t Cell<N>> {
        let lines = &self.table.lines;
        loop {
            if let Some(place) = self.open.take() {
                return Some(lines[self.line].cell(place));
            }
            self.passed += 1;
            if self.passed == lines.len() {
                return None;
            }
            self.line = (self.line + 1) & (lines.len() - 1);
            steps::count();
            self.open = lines[self.line].open(self.hash);
        }
    }
}

/// How many cells the current thread has looked at: for tests of what operations cost.
pub mod steps {
    #[cfg(not(test))]
    #[inline(always)]
    pub fn count() {}

    #[cfg(test)]
    pub use counted::*;

    #[cfg(test)]
    mod counted {
        use std::cell::Cell;

        thread_local! {
            static STEPS: Cell<u64> = const { Cell::new(0) };
        }

        pub fn count() {
            STEPS.set(STEPS.get() + 1);
        }

        #[cfg_attr(tierstack_shuttle, allow(dead_code, reason = "schedules do not count"))]
        pub fn so_far() -> u64 {
            STEPS.get()
        }
    }
}
