//! A page of a tier's order: `SPAN` ticks, and the steps on them. The protocol stands at the head of [`crate::engine::order`].

use core::ptr;

use crossbeam_epoch::Guard;

use super::block::{Block, Child, Content, Counted, LEVELS, SPAN, Slot, Swap, Word, number_of, ticks};
use crate::failpoint::{Step, reach};

/// `SPAN` consecutive ticks of one tier.
pub struct Page<N> {
    index: u64,
    /// For all the ticks of the page.
    pub(super) root: Slot<N>,
}

/// The outcome of filling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Filled {
    /// The entry is found from now on, until it is cleared.
    Done,
    /// The page is sealed; nothing of the entry is left in it.
    Sealed,
}

/// Where a fill has got to, or a look at the blocks that an entry would be in.
struct Spot<'p, N> {
    slot: &'p Slot<N>,
    level: u32,
    /// The block that the slot is of. None: the slot is the page's own.
    within: Option<Within<'p, N>>,
}

/// A block, with one of its slots.
struct Within<'p, N> {
    block: &'p Block<N>,
    /// The number of the slot in the block.
    number: usize,
    /// The slot that the block stands in.
    slot: &'p Slot<N>,
}

impl<'p, N> Spot<'p, N> {
    #[inline]
    fn inside(&self, block: &'p Block<N>, offset: u64) -> Self {
        let level = self.level - 1;
        let number = number_of(offset, level);
        Self { slot: block.at(number), level, within: Some(Within { block, number, slot: self.slot }) }
    }

    /// Counts what was filled. Nothing is to be counted in the page's own slot: it is filled and sealed by a CAS of one word.
    #[inline]
    fn count(&self) -> Counted {
        self.within.as_ref().map_or(Counted::Open, |within| within.block.count(within.number))
    }
}

impl<N: 'static> Page<N> {
    pub fn new(index: u64) -> Self {
        Self { index, root: Slot::new() }
    }

    /// Its place in the directory: the ticks from `index * SPAN` on.
    #[inline]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Whether nothing can be filled any more.
    #[inline]
    pub fn is_sealed(&self, guard: &Guard) -> bool {
        matches!(self.root.load(guard).content(), Content::Sealed)
    }

    /// Seals the page if nothing is in it; whether it is sealed.
    pub fn try_seal(&self, guard: &Guard) -> bool {
        match self.root.load(guard).content() {
            Content::Sealed => true,
            Content::Empty => self.root.seal() == Swap::Done,
            Content::Single(..) | Content::Block(_) => false,
        }
    }

    /// Fills the entry at `offset` with `node`, which is the only one that it is ever filled with.
    #[inline]
    pub fn fill(&self, offset: u64, node: &N, guard: &Guard) -> Filled {
        let mut word = self.root.load(guard);
        for level in (0..LEVELS).rev() {
            let Some(block) = word.counted_block() else { break };
            let number = number_of(offset, level);
            if level == 0 {
                block.at(number).put(node);
                reach(Step::InCell);
                if block.count(number) == Counted::Open {
                    return Filled::Done;
                }
                block.at(number).empty();
                break;
            }
            word = block.at(number).load(guard);
        }
        self.fill_slowly(offset, node, guard)
    }

    /// Where a block is to be made, counted, or taken out, or the entry is alone in its slot.
    #[cold]
    #[inline(never)]
    fn fill_slowly(&self, offset: u64, node: &N, guard: &Guard) -> Filled {
        loop {
            match self.try_fill(offset, node, guard) {
                Ok(filled) => return filled,
                Err(sealed) => sealed.slot.unlink(sealed.block, guard),
            }
        }
    }

    /// Fails where a block on the way is sealed, which is to be taken out.
    #[inline]
    fn try_fill<'g>(&'g self, offset: u64, node: &N, guard: &'g Guard) -> Result<Filled, Within<'g, N>> {
        let mut spot = Spot { slot: &self.root, level: LEVELS, within: None };
        while spot.level > 0 {
            let seen = spot.slot.load(guard);
            match seen.content() {
                Content::Block(Child { block, is_fresh }) => {
                    if is_fresh {
                        if spot.count() == Counted::Sealed {
                            // Nobody fills anything in the child, as nobody gets past this.
                            spot.slot.unlink(block, guard);
                            break;
                        }
                        spot.slot.confirm(seen);
                    }
                    spot = spot.inside(block, offset);
                }
                Content::Single(other, _) if other == offset => break,
                Content::Sealed => return Ok(Filled::Sealed),
                Content::Single(..) => spot.slot.push_down(seen, spot.level, spot.within.is_some()),
                Content::Empty => match Word::single(offset, node) {
                    Some(single) if spot.slot.swap(seen, single) == Swap::Done => {
                        reach(Step::InCell);
                        break;
                    }
                    Some(_) => {}
                    None => spot.slot.push_down(seen, spot.level, spot.within.is_some()),
                },
            }
        }
        if spot.level == 0 {
            spot.slot.put(node);
            reach(Step::InCell);
        }
        match (spot.count(), spot.within) {
            (Counted::Sealed, Some(within)) => {
                // By the page's slot nobody would find it; a scan that is in the block may.
                Self::take_out(spot.slot, spot.level, offset, node, guard);
                Err(within)
            }
            _ => Ok(Filled::Done),
        }
    }

    /// Empties the slot of the entry at `offset`, if there is one, and takes out the blocks that have become empty.
    #[inline]
    pub fn clear(&self, offset: u64, node: &N, guard: &Guard) {
        let mut slot = &self.root;
        for level in (0..LEVELS).rev() {
            let Some(block) = slot.load(guard).block_in() else { break };
            let (number, above) = (number_of(offset, level), slot);
            slot = block.at(number);
            if level == 0 {
                debug_assert!(slot.node(guard).is_none_or(|there| ptr::eq(there, node)), "a tick has one node");
                slot.empty();
                reach(Step::Emptied);
                if block.try_seal() {
                    above.unlink(block, guard);
                    self.tidy(offset, guard);
                }
                return;
            }
        }
        self.clear_single(offset, node, guard);
    }

    /// Where the entry is alone in its slot.
    #[cold]
    #[inline(never)]
    fn clear_single(&self, offset: u64, node: &N, guard: &Guard) {
        Self::take_out(&self.root, LEVELS, offset, node, guard);
        reach(Step::Emptied);
        self.tidy(offset, guard);
    }

    /// Empties the slot of the entry at `offset`, which is the given one, of that level, or below it.
    fn take_out<'g>(mut slot: &'g Slot<N>, mut level: u32, offset: u64, node: &N, guard: &'g Guard) {
        while level > 0 {
            let seen = slot.load(guard);
            match seen.content() {
                Content::Block(child) => {
                    level -= 1;
                    slot = child.block.at(number_of(offset, level));
                }
                Content::Single(other, there) if other == offset => {
                    debug_assert!(ptr::eq(there, node), "a tick has one node");
                    if slot.swap(seen, Word::EMPTY) == Swap::Done {
                        return;
                    }
                }
                Content::Single(..) | Content::Empty | Content::Sealed => return,
            }
        }
        debug_assert!(slot.node(guard).is_none_or(|there| ptr::eq(there, node)), "a tick has one node");
        slot.empty();
    }

    /// Takes out the blocks that an entry at `offset` would be in, from the bottom up, as far as they are empty.
    #[cold]
    #[inline(never)]
    fn tidy(&self, offset: u64, guard: &Guard) {
        loop {
            let mut spot = Spot { slot: &self.root, level: LEVELS, within: None };
            while let Some(block) = spot.slot.load(guard).block_in() {
                spot = spot.inside(block, offset);
                if spot.level == 0 {
                    break;
                }
            }
            match spot.within {
                Some(within) if within.block.try_seal() => within.slot.unlink(within.block, guard),
                _ => return,
            }
        }
    }

    /// The first entry at `from` or above.
    #[inline]
    pub fn first_from<'g>(&'g self, mut from: u64, guard: &'g Guard) -> Option<(u64, &'g N)> {
        while from < SPAN {
            // Mostly a walk has just begun: then there is no bound to keep to.
            let looked = if from == 0 { self.look::<true>(0, guard) } else { self.look::<false>(from, guard) };
            match looked {
                Ok(found) => return Some(found),
                Err(above) => from = above,
            }
        }
        None
    }

    /// Goes down to the first entry at `from` or above, as far as there is no need to go up again; or else says below what tick there is
    /// nothing. From the page's beginning, where the caller says that `from` is that.
    #[inline]
    fn look<'g, const IS_BEGINNING: bool>(&self, from: u64, guard: &'g Guard) -> Result<(u64, &'g N), u64> {
        let (mut slot, mut offset) = (&self.root, 0);
        let mut word = slot.load(guard);
        // Where this has left the way to `from` itself, all that is below is above it.
        let mut bound = if IS_BEGINNING { 0 } else { from };
        for level in (0..LEVELS).rev() {
            let Some(block) = word.block_in() else {
                return match word.content() {
                    Content::Single(offset, node) if offset >= from => Ok((offset, node)),
                    _ => Err(offset + ticks(level + 1)),
                };
            };
            let begin = number_of(bound, level);
            let Some((number, found)) = block.first_filled(begin, guard) else {
                if block.try_seal() {
                    // The slot may hold another by now.
                    slot.unlink(block, guard);
                }
                return Err(offset + ticks(level + 1));
            };
            offset += number as u64 * ticks(level);
            bound = if number == begin { bound } else { 0 };
            (slot, word) = (block.at(number), found);
        }
        Ok((offset, word.as_cell()))
    }

    /// Calls `visit` with every entry, oldest first.
    #[cfg(tierstack_loom)]
    pub fn visit<'g>(&'g self, guard: &'g Guard, visit: impl FnMut(u64, &'g N)) {
        self.visit_below(SPAN, guard, visit);
    }

    /// Calls `visit` with every entry below `end`, oldest first. What `visit` fills above the entry that it is called with is met too.
    pub fn visit_below<'g>(&'g self, end: u64, guard: &'g Guard, mut visit: impl FnMut(u64, &'g N)) {
        let mut from = 0;
        while let Some((offset, node)) = self.first_from(from, guard) {
            if offset >= end {
                return;
            }
            visit(offset, node);
            from = offset + 1;
        }
    }

    /// Frees the blocks.
    ///
    /// # Safety
    ///
    /// Nobody else reaches the page, or will.
    pub unsafe fn tear_down(&self) {
        // SAFETY: as the caller vouches.
        unsafe { self.root.tear_down(LEVELS) };
    }
}
