//! A line of cells, which a probe looks through at once.
//!
//! A cell serves keys of one class for the life of its table (see [the index](super)). So a cell that was seen with another fingerprint than that of
//! the hash has nothing of its class, now or later. That is so however old the look is, and needs no ordering. All other cells of the line are
//! *open*: those of the fingerprint, and those that say nothing of a class (nulls, moved ones, tombstones that serve nobody). A probe looks at
//! each open cell again, in the order of the line, with `Acquire`, and decides by that look alone.

use core::ops::Deref;
use core::ptr::NonNull;
use core::slice;

use super::cell::Cell;
use super::table::steps;
use super::vector;

/// Cells of a line. Few in models and under a fuzzer, where tables are small.
pub const WIDTH: usize = if cfg!(any(tierstack_loom, tierstack_shuttle, fuzzing)) { 2 } else { 8 };

/// Cells that lie in one line of the cache, where there are as many as fill it.
#[cfg_attr(not(any(tierstack_loom, tierstack_shuttle, fuzzing)), repr(C, align(64)))]
#[cfg_attr(any(tierstack_loom, tierstack_shuttle, fuzzing), repr(transparent))]
pub struct Line<N>(pub [Cell<N>; WIDTH]);

/// Cells of a line: a bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open(pub u32);

impl Open {
    #[cfg(tierstack_loom)]
    pub const ALL: Self = Self((1 << WIDTH) - 1);

    /// The first of them, which is taken out.
    #[inline]
    pub const fn take(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let first = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(first)
    }
}

impl<N> Line<N> {
    #[inline]
    pub fn cell(&self, place: usize) -> &Cell<N> {
        steps::count();
        // A line has a power of two of cells: nothing is cut off.
        &self.0[place & (WIDTH - 1)]
    }

    /// Has the processor fetch it, where it can be asked to.
    #[inline]
    pub fn prefetch(&self) {
        #[cfg(all(target_arch = "x86_64", not(any(tierstack_loom, tierstack_shuttle, fuzzing, miri))))]
        // SAFETY: a hint, which touches no memory.
        unsafe {
            core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(core::ptr::from_ref(self).cast());
        }
    }

    /// The cells that are open to that hash.
    #[inline]
    pub fn open(&self, hash: u64) -> Open {
        vector::open(self, hash)
    }

    /// The same, cell by cell.
    #[inline]
    #[cfg_attr(not(test), allow(dead_code, reason = "where there are vectors it is for tests"))]
    pub fn open_by_cell(&self, hash: u64) -> Open {
        let cells = self.0.iter().enumerate();
        Open(cells.fold(0, |open, (place, cell)| open | u32::from(cell.is_open_to(hash)) << place))
    }
}

/// The lines of a table.
///
/// An allocator makes large zeroed memory of fresh pages of the system, which nobody has touched; but not where it is asked for more than its usual
/// alignment. So they are shifted within memory of cells, to where a line of the cache begins.
pub struct Lines<N> {
    memory: NonNull<[Cell<N>]>,
    first: NonNull<Line<N>>,
    count: usize,
}

impl<N> Lines<N> {
    /// So many lines of nulls.
    #[cfg(not(any(tierstack_loom, tierstack_shuttle)))]
    pub fn new(count: usize) -> Self {
        const { assert!(size_of::<Line<N>>() == WIDTH * size_of::<Cell<N>>(), "lines are nothing but their cells") };
        let shift = align_of::<Line<N>>() / size_of::<Cell<N>>() - 1;
        let cells = Box::<[Cell<N>]>::new_zeroed_slice(count * WIDTH + shift);
        // SAFETY: a cell is an atomic pointer, which is null where all its bits are zero.
        let memory = NonNull::from(Box::leak(unsafe { cells.assume_init() }));
        let start = memory.cast::<Cell<N>>();
        // SAFETY: a cell stands at a multiple of its size, so that a line begins after so many cells at most.
        let first = unsafe { start.add(start.align_offset(align_of::<Line<N>>())) }.cast();
        Self { memory, first, count }
    }

    /// So many lines of nulls, which are no plain memory.
    #[cfg(any(tierstack_loom, tierstack_shuttle))]
    pub fn new(count: usize) -> Self {
        let cells: Box<[Cell<N>]> = (0..count * WIDTH).map(|_| Cell::new()).collect();
        let memory = NonNull::from(Box::leak(cells));
        Self { memory, first: memory.cast(), count }
    }
}

impl<N> Deref for Lines<N> {
    type Target = [Line<N>];

    #[inline]
    fn deref(&self) -> &[Line<N>] {
        // SAFETY: so many lines are in the memory, from there on, for as long as this is.
        unsafe { slice::from_raw_parts(self.first.as_ptr(), self.count) }
    }
}

impl<N> Drop for Lines<N> {
    fn drop(&mut self) {
        // SAFETY: it was a box, and nobody has it any more.
        drop(unsafe { Box::from_raw(self.memory.as_ptr()) });
    }
}
