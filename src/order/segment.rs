//! A segment of a tier's order: `WIDTH` cells and one word of occupancy bits. See the head of [`crate::order`].

use core::{array, ptr};

use crossbeam_epoch::Guard;

use crate::failpoint::{Step, reach};
use crate::node::Counted;
use crate::sync::{AtomicPtr, AtomicU64, Ordering};

/// Cells a segment. Few in models, so that they reach the sealing of segments.
const CELLS: usize = if cfg!(any(tierstack_loom, tierstack_shuttle)) { 2 } else { 16 };

/// Ticks a segment.
pub const WIDTH: u64 = CELLS as u64;

const SEALED: u64 = 1 << 63;

/// `WIDTH` consecutive ticks of one tier.
pub struct Segment<N: Counted> {
    index: u64,
    /// A bit for each occupied cell, or `SEALED` alone, for good.
    bits: AtomicU64,
    /// Null, or a node of which the cell owns a count.
    cells: [AtomicPtr<N>; CELLS],
}

/// The outcome of placing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// The node is in its cell and the bit is set.
    Listed,
    /// The segment is sealed; nothing of the node is left in it.
    Sealed,
    /// The node has no owner left: its placement has ended.
    Ownerless,
}

// SAFETY: the cells share nodes, which every thread that has the segment may own and free.
unsafe impl<N: Counted + Send + Sync> Send for Segment<N> {}
// SAFETY: as above.
unsafe impl<N: Counted + Send + Sync> Sync for Segment<N> {}

impl<N: Counted> Segment<N> {
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
        self.bits.load(Ordering::Acquire) == SEALED
    }

    #[expect(clippy::cast_possible_truncation, reason = "below WIDTH")]
    fn cell(&self, slot: u64) -> &AtomicPtr<N> {
        &self.cells[slot as usize]
    }

    /// Puts `node` into the cell of `slot`, then sets the bit.
    pub fn place(&self, slot: u64, node: &N, guard: &Guard) -> Placed {
        let pointer = ptr::from_ref(node).cast_mut();
        let cell = self.cell(slot);
        // Acquire: pairs with the helper's CAS that put it there.
        if cell.load(Ordering::Acquire).is_null() {
            if !node.try_own() {
                return Placed::Ownerless;
            }
            // Release: whoever finds the node in the cell sees it whole.
            if let Err(there) = cell.compare_exchange(ptr::null_mut(), pointer, Ordering::AcqRel, Ordering::Acquire) {
                debug_assert!(ptr::eq(there, pointer), "a tick has one node");
                // SAFETY: the count taken above.
                unsafe { N::disown(pointer, guard) };
            }
        }
        reach(Step::InCell);
        let bit = 1 << slot;
        // Acquire: a sealed word is an answer; a set bit was set after the cell.
        let mut bits = self.bits.load(Ordering::Acquire);
        loop {
            if bits == SEALED {
                self.empty(slot, node, guard);
                return Placed::Sealed;
            }
            if bits & bit != 0 {
                return Placed::Listed;
            }
            // Release: the cell is seen by whoever sees the bit.
            match self.bits.compare_exchange_weak(bits, bits | bit, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Placed::Listed,
                Err(now) => bits = now,
            }
        }
    }

    /// Takes `node` out of the cell of `slot`, then takes the bit off.
    pub fn clear(&self, slot: u64, node: &N, guard: &Guard) {
        self.empty(slot, node, guard);
        reach(Step::Emptied);
        self.take_bit_off(slot);
    }

    fn empty(&self, slot: u64, node: &N, guard: &Guard) {
        let pointer = ptr::from_ref(node).cast_mut();
        let cell = self.cell(slot);
        // Acquire on success: the count goes with the cell's content. Relaxed on a loss: another has taken it.
        if cell.compare_exchange(pointer, ptr::null_mut(), Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            // SAFETY: the cell's count, which is this thread's since the exchange.
            unsafe { N::disown(pointer, guard) };
        }
    }

    fn take_bit_off(&self, slot: u64) {
        // Release: the empty cell is seen by whoever sees the bit gone (and may seal).
        self.bits.fetch_and(!(1 << slot), Ordering::AcqRel);
    }

    /// Seals the segment if it is empty. Once sealed it stays so.
    pub fn try_seal(&self) -> bool {
        // Relaxed on a loss: it is in use, which is all that matters.
        self.bits.compare_exchange(0, SEALED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// The first entry at `from` or above.
    pub fn first_from<'g>(&self, from: u64, _guard: &'g Guard) -> Option<(u64, &'g N)> {
        if from >= WIDTH {
            return None;
        }
        loop {
            // Acquire: a bit is seen with its cell.
            let bits = self.bits.load(Ordering::Acquire) & !SEALED & (u64::MAX << from);
            if bits == 0 {
                return None;
            }
            let slot = u64::from(bits.trailing_zeros());
            // Acquire: pairs with the CAS that put the node there.
            let node = self.cell(slot).load(Ordering::Acquire);
            // SAFETY: the cell owned a count when it was read; the free of a node that loses its last one waits for this pin.
            match unsafe { node.as_ref() } {
                Some(node) => return Some((slot, node)),
                // Its placement has ended: see the head of the module above.
                None => self.take_bit_off(slot),
            }
        }
    }

    /// Empties every cell.
    pub fn clear_all(&self, guard: &Guard) {
        for cell in &self.cells {
            let node = cell.swap(ptr::null_mut(), Ordering::AcqRel);
            if !node.is_null() {
                // SAFETY: the cell's count, which is this thread's since the swap.
                unsafe { N::disown(node, guard) };
            }
        }
        // Bits over empty cells belong to nobody.
        self.bits.fetch_and(SEALED, Ordering::AcqRel);
    }
}

impl<N: Counted> Drop for Segment<N> {
    /// Gives up what is left in the cells: nothing, but for a placer that was killed between cell and bit.
    fn drop(&mut self) {
        // Relaxed: exclusive access.
        if self.cells.iter().any(|cell| !cell.load(Ordering::Relaxed).is_null()) {
            self.clear_all(&crossbeam_epoch::pin());
        }
    }
}
