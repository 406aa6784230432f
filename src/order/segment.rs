//! A segment of a tier's order: `WIDTH` cells and one word of occupancy bits. See the head of [`crate::order`].

use core::{array, ptr};

use crossbeam_epoch::Guard;

use crate::failpoint::{Step, reach};
use crate::sync::{AtomicPtr, AtomicU64, Ordering};

/// Cells a segment. Few in models and under a fuzzer, so that they reach the sealing of segments; three, so that a node can move
/// up twice within one.
const CELLS: usize = if cfg!(any(tierstack_loom, tierstack_shuttle, fuzzing)) { 3 } else { 16 };

/// Ticks a segment.
pub const WIDTH: u64 = CELLS as u64;

const SEALED: u64 = 1 << 63;

/// `WIDTH` consecutive ticks of one tier.
pub struct Segment<N> {
    index: u64,
    /// A bit for each cell that was filled, or `SEALED`, for good.
    bits: AtomicU64,
    /// Null, or a node.
    cells: [AtomicPtr<N>; CELLS],
}

/// The outcome of placing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// The node is in its cell and the bit is set.
    Listed,
    /// The segment is sealed; nothing of the node is left in it.
    Sealed,
}

impl<N> Segment<N> {
    pub fn new(index: u64) -> Self {
        Self { index, bits: AtomicU64::new(0), cells: array::from_fn(|_| AtomicPtr::new(ptr::null_mut())) }
    }

    /// Its place in the directory: the ticks from `index * WIDTH` on.
    #[inline]
    pub fn index(&self) -> u64 {
        self.index
    }

    #[inline]
    pub fn is_sealed(&self) -> bool {
        // Acquire: pairs with the seal, after which the entry may be removed.
        self.bits.load(Ordering::Acquire) & SEALED != 0
    }

    #[expect(clippy::cast_possible_truncation, reason = "below WIDTH")]
    #[inline]
    fn cell(&self, slot: u64) -> &AtomicPtr<N> {
        &self.cells[slot as usize]
    }

    /// Puts `node` into the cell of `slot`, then sets the bit.
    pub fn fill(&self, slot: u64, node: &N) -> Placed {
        // Release: whoever finds the node in the cell sees it whole. A plain store: a cell is filled with one node only.
        self.cell(slot).store(ptr::from_ref(node).cast_mut(), Ordering::Release);
        reach(Step::InCell);
        // Release: the cell is seen by whoever sees the bit. Acquire: a sealed word is an answer.
        if self.bits.fetch_or(1 << slot, Ordering::AcqRel) & SEALED != 0 {
            self.clear(slot, node);
            return Placed::Sealed;
        }
        Placed::Listed
    }

    /// Takes `node` out of the cell of `slot`. The bit stays: see the head of the module above.
    pub fn clear(&self, slot: u64, node: &N) {
        #[cfg(debug_assertions)]
        {
            // Acquire: as any look at a cell.
            let there = self.cell(slot).load(Ordering::Acquire);
            debug_assert!(there.is_null() || ptr::eq(there, node), "a tick has one node");
        }
        let _ = node;
        // Release: what became of the node is seen by whoever sees it gone.
        self.cell(slot).store(ptr::null_mut(), Ordering::Release);
    }

    /// Seals the segment if every cell that was filled is empty. Once sealed it stays so.
    pub fn try_seal(&self) -> bool {
        // Acquire: a bit is seen with its cell.
        let bits = self.bits.load(Ordering::Acquire);
        if bits & SEALED != 0 {
            return false;
        }
        let mut left = bits;
        while left != 0 {
            // Acquire: pairs with the CAS that emptied it.
            if !self.cell(u64::from(left.trailing_zeros())).load(Ordering::Acquire).is_null() {
                return false;
            }
            left &= left - 1;
        }
        // Relaxed on a loss: it is in use, which is all that matters.
        self.bits.compare_exchange(bits, SEALED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// The first entry at `from` or above. The bits are read again after each empty cell: see the head of the module above.
    #[inline]
    pub fn first_from<'g>(&self, from: u64, _guard: &'g Guard) -> Option<(u64, &'g N)> {
        let mut wanted = if from < WIDTH { u64::MAX << from & !SEALED } else { return None };
        loop {
            // Acquire: a bit is seen with its cell.
            let bits = self.bits.load(Ordering::Acquire);
            let left = bits & wanted;
            // A late filler sets a bit of a sealed segment, and empties its cell again.
            if left == 0 || bits & SEALED != 0 {
                return None;
            }
            let slot = u64::from(left.trailing_zeros());
            // Acquire: pairs with the store that put the node there; and where the cell is empty, with the one that emptied it, before
            // which the bit of where the node went was set.
            let node = self.cell(slot).load(Ordering::Acquire);
            // SAFETY: what a cell holds is not freed before the pins of those who read it have ended: see `crate::node`.
            if let Some(node) = unsafe { node.as_ref() } {
                return Some((slot, node));
            }
            wanted &= !(1 << slot);
        }
    }
}
