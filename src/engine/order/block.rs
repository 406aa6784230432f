//! What a page of an order is made of: slots, and blocks of slots. The protocol stands at the head of [`crate::engine::order`].

use core::marker::PhantomData;
use core::{array, ptr};

use crossbeam_epoch::Guard;

use crate::engine::reclaim::memory;
use crate::sync::{AtomicPtr, AtomicU64, Ordering};

/// Slots a block. Two in models and under a fuzzer, so that they reach what comes with the filling and emptying of blocks.
pub const FAN: usize = if cfg!(any(tierstack_loom, tierstack_shuttle, fuzzing)) { 2 } else { 16 };

/// How many blocks stand one within another at most.
pub const LEVELS: u32 = if cfg!(tierstack_loom) { 2 } else { 3 };

const FAN_BITS: u32 = FAN.trailing_zeros();
const _: () = assert!(FAN.is_power_of_two());

/// Ticks a page.
pub const SPAN: u64 = ticks(LEVELS);

/// Tags in the low bits of an address, which alignment leaves free.
const BLOCK: usize = 1;
const FRESH: usize = 2;
const TAGS: usize = BLOCK | FRESH;
/// The word of a sealed page's slot. No node is at that address.
const SEALED: usize = 2;

/// Where the offset of a single entry stands in its word: in bits that the address of a node must leave free.
const OFFSET_SHIFT: u32 = usize::BITS - FAN_BITS * LEVELS;
const ADDRESS: usize = (1 << OFFSET_SHIFT) - 1;

/// Where a node, or a block of nodes, may stand. A slot of level 0 is a *cell*: it stands for one tick. A slot above stands for as many ticks as a
/// block of the level below has.
pub struct Slot<N>(AtomicPtr<N>);

/// A snapshot of a slot above the cells.
pub struct Word<'g, N>(*mut N, PhantomData<&'g N>);

impl<N> Clone for Word<'_, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<N> Copy for Word<'_, N> {}

/// What a slot above the cells holds, decoded.
pub enum Content<'g, N> {
    Empty,
    /// Nothing, for good: the page is over.
    Sealed,
    /// The one entry of the slot's ticks, at that offset in the page.
    Single(u64, &'g N),
    Block(Child<'g, N>),
}

/// A block in a slot.
pub struct Child<'g, N> {
    pub block: &'g Block<N>,
    /// The block that the slot is of has not counted it yet.
    pub is_fresh: bool,
}

/// The outcome of a change of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Swap {
    Done,
    /// The slot held another word by then.
    Lost,
}

impl<'g, N> Word<'g, N> {
    pub const EMPTY: Self = Self(ptr::null_mut(), PhantomData);

    /// A single entry, where the address of the node has room for the offset. (It has on 64-bit platforms that do not tag addresses.)
    #[inline]
    pub fn single(offset: u64, node: &'g N) -> Option<Self> {
        const { assert!(align_of::<N>() > BLOCK, "the tag of a block is taken from the address") };
        let node = ptr::from_ref(node).cast_mut();
        #[expect(clippy::cast_possible_truncation, reason = "below SPAN")]
        let offset = (offset as usize) << OFFSET_SHIFT;
        (node.addr() <= ADDRESS).then(|| Self(node.map_addr(|address| address | offset), PhantomData))
    }

    /// A block that the owner of the word gives away.
    fn of_block(block: Box<Block<N>>, is_fresh: bool) -> Self {
        const { assert!(align_of::<Block<N>>() > TAGS) };
        let tag = if is_fresh { BLOCK | FRESH } else { BLOCK };
        Self(Box::into_raw(block).cast::<N>().map_addr(|address| address | tag), PhantomData)
    }

    /// The block of a word that holds one.
    #[inline]
    fn as_block(self) -> *mut Block<N> {
        self.0.map_addr(|address| address & !TAGS).cast()
    }

    /// The block in the slot, if there is one.
    #[inline]
    pub fn block_in(self) -> Option<&'g Block<N>> {
        // SAFETY: a block is freed through the epoch after it was taken out of its slot, and `'g` is a pin since before.
        (self.0.addr() & BLOCK != 0).then(|| unsafe { &*self.as_block() })
    }

    /// The block in the slot, if there is one that was counted.
    #[inline]
    pub fn counted_block(self) -> Option<&'g Block<N>> {
        // SAFETY: as above.
        (self.0.addr() & TAGS == BLOCK).then(|| unsafe { &*self.0.map_addr(|address| address - BLOCK).cast() })
    }

    /// The node of a cell that is not empty.
    #[inline]
    pub fn as_cell(self) -> &'g N {
        debug_assert!(self.0.addr() <= ADDRESS && self.0.addr() & TAGS == 0);
        // SAFETY: a cell that is not null holds a node, which is not freed before the pins of those who read it have ended: see `crate::engine::node`.
        unsafe { &*self.0 }
    }

    #[inline]
    pub fn content(self) -> Content<'g, N> {
        let address = self.0.addr();
        if let Some(block) = self.block_in() {
            return Content::Block(Child { block, is_fresh: address & FRESH != 0 });
        }
        let node = self.0.map_addr(|address| address & ADDRESS);
        if address == SEALED {
            return Content::Sealed;
        }
        // SAFETY: what a slot holds is not freed before the pins of those who read it have ended: see `crate::engine::node`.
        match unsafe { node.as_ref() } {
            Some(node) => Content::Single((address >> OFFSET_SHIFT) as u64, node),
            None => Content::Empty,
        }
    }
}

impl<N> Slot<N> {
    pub fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    // Above the cells.

    #[inline]
    pub fn load<'g>(&self, _guard: &'g Guard) -> Word<'g, N> {
        // Acquire: pairs with the CAS that put the node or the block there; and where the slot is empty, with the one that emptied it,
        // before which the entry's next slot was filled.
        Word(self.0.load(Ordering::Acquire), PhantomData)
    }

    #[inline]
    pub fn swap(&self, from: Word<'_, N>, to: Word<'_, N>) -> Swap {
        // Release: whoever finds the node or the block sees it whole; whoever finds the slot empty, what became of the entry. Relaxed on a loss:
        // the slot is read again. SeqCst: an entry is filled before the word is moved, also for a snapshot that is activated after that.
        match self.0.compare_exchange(from.0, to.0, Ordering::SeqCst, Ordering::Relaxed) {
            Ok(_) => Swap::Done,
            Err(_) => Swap::Lost,
        }
    }

    /// Puts a new block into the slot, of level `level`, in place of nothing or of a single entry, which goes down into the block.
    #[cold]
    #[inline(never)]
    pub fn push_down(&self, from: Word<'_, N>, level: u32, is_fresh: bool) {
        let block = memory::boxed(Block::new());
        if let Content::Single(offset, _) = from.content() {
            let below = if level == 1 { from.0.map_addr(|address| address & ADDRESS) } else { from.0 };
            // Relaxed: published with the block.
            block.at(number_of(offset, level - 1)).0.store(below, Ordering::Relaxed);
        }
        let new = Word::of_block(block, is_fresh);
        if self.swap(from, new) == Swap::Lost {
            // SAFETY: made above, and nobody else has seen it.
            drop(unsafe { Box::from_raw(new.as_block()) });
        }
    }

    /// Takes `block` out of the slot, if it is still there, and has it freed. It is sealed, or the block that the slot is of is.
    #[cold]
    #[inline(never)]
    pub fn unlink(&self, block: &Block<N>, guard: &Guard) {
        loop {
            let seen = self.load(guard);
            if !matches!(seen.content(), Content::Block(child) if ptr::eq(child.block, block)) {
                return;
            }
            // A loss may be to one who has counted it.
            if self.swap(seen, Word::EMPTY) == Swap::Done {
                let block = seen.as_block();
                // SAFETY: boxed, and taken out of the one slot that held it, once; those who still read it are pinned. No slot of it holds a
                // block by the time that their pins have ended: see the head of the module above.
                unsafe { guard.defer_unchecked(move || memory::drop_boxed(Box::from_raw(block))) };
                return;
            }
        }
    }

    /// Marks a fresh block as counted.
    pub fn confirm(&self, seen: Word<'_, N>) {
        // A loss is to one who has marked it, or taken it out.
        let _ = self.swap(seen, Word(seen.0.map_addr(|address| address & !FRESH), PhantomData));
    }

    /// Seals the slot of a page, for good, if it is empty.
    pub fn seal(&self) -> Swap {
        self.swap(Word::EMPTY, Word(ptr::without_provenance_mut(SEALED), PhantomData))
    }

    // The cells.

    /// The node in the cell.
    #[inline]
    pub fn node<'g>(&self, _guard: &'g Guard) -> Option<&'g N> {
        // SAFETY: as for `Word::content`.
        // Acquire: as in `load`.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// Puts `node` into the cell.
    #[inline]
    pub fn put(&self, node: &N) {
        // Release: whoever finds the node sees it whole.
        self.0.store(ptr::from_ref(node).cast_mut(), Ordering::Release);
    }

    /// Empties the cell.
    #[inline]
    pub fn empty(&self) {
        // Release: whoever finds it empty sees what became of the entry.
        self.0.store(ptr::null_mut(), Ordering::Release);
    }

    #[inline]
    fn is_empty(&self) -> bool {
        // Acquire: pairs with what emptied it.
        self.0.load(Ordering::Acquire).is_null()
    }

    /// Frees the blocks in the slot, of level `level`.
    ///
    /// # Safety
    ///
    /// Nobody else reaches the slot, or will.
    pub unsafe fn tear_down(&self, level: u32) {
        // Relaxed: exclusive access.
        let word = Word::<N>(self.0.load(Ordering::Relaxed), PhantomData);
        if level > 0 && word.0.addr() & BLOCK != 0 {
            // SAFETY: in the one slot that holds it, which the caller has alone.
            let block = unsafe { Box::from_raw(word.as_block()) };
            for slot in &block.slots {
                // SAFETY: as the caller vouches.
                unsafe { slot.tear_down(level - 1) };
            }
        }
    }
}

/// How many slots a scan has to find empty before it notes that.
const NOTED: usize = if FAN > 4 { 4 } else { 1 };

/// Of `Block::fills`: from here up, how many of the first slots the scans leave out. Below it the fills are counted.
const SKIP_SHIFT: u32 = 48;
const SKIP: u64 = u64::MAX << SKIP_SHIFT;
/// Sealed, for good.
const CLOSED: u64 = 1 << (SKIP_SHIFT - 1);

/// Whether a block took a fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Counted {
    /// Not sealed: what was filled before is found.
    Open,
    /// The block is sealed, or was before the fill could be seen.
    Sealed,
}

/// The number of the slot of that level in its block that stands for an offset in the page.
#[expect(clippy::cast_possible_truncation, reason = "masked")]
#[inline]
pub fn number_of(offset: u64, level: u32) -> usize {
    (offset >> (FAN_BITS * level)) as usize % FAN
}

/// How many ticks a slot of that level stands for.
#[inline]
pub const fn ticks(level: u32) -> u64 {
    1 << (FAN_BITS * level)
}

/// Slots of one level.
#[repr(C)]
pub struct Block<N> {
    /// How many fills of its slots were counted; how many of its first slots were found empty since the last of them; whether it is sealed.
    fills: AtomicU64,
    slots: [Slot<N>; FAN],
}

impl<N> Block<N> {
    pub fn new() -> Self {
        Self { fills: AtomicU64::new(0), slots: array::from_fn(|_| Slot::new()) }
    }

    /// The first slot from that number on that is not empty, as it is read after those below it, and its number.
    #[inline]
    pub fn first_filled<'g>(&self, from: usize, guard: &'g Guard) -> Option<(usize, Word<'g, N>)> {
        // Acquire: the slots are read after it, and what was counted is seen in them.
        let fills = self.fills.load(Ordering::Acquire);
        let skipped = (fills >> SKIP_SHIFT) as usize;
        let mut number = from.max(skipped);
        while let Some(slot) = self.slots.get(number) {
            let word = slot.load(guard);
            if !word.0.is_null() {
                if number >= skipped + NOTED && from <= skipped {
                    self.note_empty(fills, number);
                }
                return Some((number, word));
            }
            number += 1;
        }
        None
    }

    /// Has the scans leave out the slots below that number, which were found empty after `fills` was read.
    #[cold]
    #[inline(never)]
    fn note_empty(&self, fills: u64, number: usize) {
        let noted = fills & !SKIP | (number as u64) << SKIP_SHIFT;
        // Release: a later fill comes after. Relaxed on a loss: another was filled, or noted, or the block sealed.
        let _ = self.fills.compare_exchange(fills, noted, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Has the scans look at all slots again: one of those that they leave out was filled.
    #[cold]
    #[inline(never)]
    fn note_filled(&self) {
        // Release: whoever sees it sees the fill.
        self.fills.fetch_and(!SKIP, Ordering::AcqRel);
    }

    /// The slot of that number.
    #[inline]
    pub fn at(&self, number: usize) -> &Slot<N> {
        &self.slots[number]
    }

    /// Counts a fill of the slot of that number, after it.
    #[inline]
    pub fn count(&self, number: usize) -> Counted {
        // Release: whoever seals the block, or notes slots as empty, sees the fill. Acquire: what is sealed was found empty before. SeqCst: as for `swap`.
        let before = self.fills.fetch_add(1, Ordering::SeqCst);
        if before & CLOSED != 0 {
            return Counted::Sealed;
        }
        if before >> SKIP_SHIFT > number as u64 {
            self.note_filled();
        }
        Counted::Open
    }

    /// Seals the block if it is empty; whether it is sealed.
    #[inline]
    pub fn try_seal(&self) -> bool {
        // Acquire: the slots are read after it, and what was counted is seen in them.
        let fills = self.fills.load(Ordering::Acquire);
        if fills & CLOSED != 0 {
            return true;
        }
        // From the youngest, which mostly goes last.
        if !self.slots.iter().rev().all(Slot::is_empty) {
            return false;
        }
        // Relaxed on a loss: it is in use, or another's to take out.
        self.fills.compare_exchange(fills, fills | CLOSED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}
