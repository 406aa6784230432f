//! A tier's recency order: pages of ticks in a skip list, and in each page a tree of slots that grows with what is in it.
//!
//! Ticks are unique (see [`crate::engine::clock`]), so tick `t` owns entry `t mod SPAN` of page `t div SPAN`; the directory holds the pages, sorted.
//! Source of the directory: lock-free skip lists (Fraser, "Practical lock-freedom", 2004) as crossbeam-skiplist builds them. Source of the
//! pages: tries that grow where two keys meet (Prokopec et al., "Concurrent tries with efficient non-blocking snapshots", 2012), of which they
//! have the singles; a block is sealed by a count, not by nodes of indirection.
//!
//! # Hints, never authority
//!
//! An entry says "this node may stand in this tier at this tick". Whether it does is said by the node's place word: an entry is
//! valid only if the word names this very tier and tick. What the order promises is the converse: every scan that comes by meets an entry that
//! was filled and not cleared. [`crate::engine::entries`] says who fills and clears, and when.
//!
//! # A page
//!
//! A page has one slot, for all its ticks. A slot that stands for more than one tick holds
//!
//! ```text
//!               fill                    fill of another tick                 all slots empty: sealed, taken out
//!    (empty) ────────► single(tick, node) ────────► block, fresh ──► block ───────────────────────────► (empty)
//!       ▲                     │ clear                      counted
//!       └─────────────────────┘
//! ```
//!
//! A *block* has `FAN` slots, each for its share of the ticks. At the bottom are the *cells*: a cell stands for one tick and holds a node or
//! nothing. So dense ticks cost a cell each, and a share of a block; a tick that is alone among many costs a word. An entry moves only down, into a
//! block that takes the place of its single.
//!
//! # Steps
//!
//! - *Fill*: go down to where the entry belongs. Put the node there: into a cell by a plain store, into a slot above by a CAS from
//!   empty. Then *count* the fill in the block, by one `fetch_add`. If the count says that the block is sealed, take the node out again, and the
//!   block too, and start again from the top. Where another single is in the way, put a block in its place, with the single inside, and go on in there.
//! - *Clear*: go down to the entry. Empty its cell by a plain store, or its slot by a CAS. A CAS is lost to a block, and then the entry is in
//!   there. At last, from the bottom up, seal each block that is empty, and take it out.
//! - *Seal a block*: read its count; find all its slots empty; CAS the count → the same, closed. Then a CAS of the slot that holds it, block → empty.
//! - *Seal a page*, if it is below the clock's own: CAS its slot, empty → sealed; then remove that very entry of the directory. Who meets a
//!   sealed page removes it too.
//!
//! # Why nothing is filled where nobody looks
//!
//! *A fill that was counted before the seal is seen by the sealer*: the count that it reads is the one that its CAS goes by, so that the fill was
//! counted before that reading, and the sealer, who reads the slots after it, finds the node, or that it was cleared. A fill that was not counted
//! before the seal finds the seal when it counts. A slot is used again and again, so that a set of bits would not do: it could be the same after
//! a fill as before. The count has gone up.
//!
//! *Whoever goes down through a block knows that the one above is not sealed.* A block is put into a slot as *fresh*. Whoever finds it fresh counts
//! it in the block above, as any fill, and then takes the mark off; if the block above is sealed, it starts again from the top. Once it
//! is counted, the block above cannot be sealed before this one is taken out, and this one is not taken out before it is sealed itself. (Without the
//! mark, a thread could fill, count and return in a child that its maker has not counted, in a block that is sealed meanwhile.) So a fill
//! counts in one block, and not in all those above. The page's own slot needs neither count nor mark: it is sealed by a CAS from empty.
//!
//! *Several may fill one entry*, with the same node (see [`crate::engine::entries`]). Each counts it, also where it finds it filled: the one
//! that put it there may not have counted yet.
//!
//! The plain store of a fill and that of a clear could settle in either order, unless something orders them. That is the caller's: whoever
//! leaves an entry filled has made a read-modify-write of the node's word after the fill, so that the clear, which follows a change of
//! the word, comes after it. Whoever comes too late for that clears the entry itself. Of several clears any may be the last.
//!
//! # Scanning
//!
//! A scan goes up, tick by tick, and reads each slot when it comes to it. What it must not do is pass over a node that stands in the tier
//! throughout, though the node moves up meanwhile (it never moves down within its tier). That holds by two rules:
//!
//! - *Filled first*: a node's next entry is filled, and counted, before its last one is cleared.
//! - *Read late*: what is read for a tick is read after the entries of all ticks below were found empty or passed. A slot is read after those
//!   below it. The next page is searched after all of this one was read. A slot that held a single is read again when the single was passed, as a block
//!   may have taken its place. (A scan that reads the slots of a block at once, or which of them are in use, and then goes through them, passes over
//!   what has moved from one of them to the next.)
//!
//! Say that the node stands at or above the scan, as it does at the start. The scan comes to its entry and finds it empty. Then it has seen
//! what the clearer did before; so it finds the next entry, which is above, filled when it comes there: what it reads later is no older.
//! This goes for each move anew, however many there are. It goes for a block that was taken out while the scan was in it,
//! too: nothing that was counted is in it, and what comes to those ticks from below came before the scan had passed the entry below.
//!
//! The scan does not look back for what is filled below it: that comes into the tier during the scan.
//!
//! *Left out.* A scan that finds the first slots of a block empty notes how many they are, beside the count, by a CAS from the count that it has read
//! before them. Later scans begin above them. A fill of one of them sees the note when it counts, and takes it back before it returns. So no scan
//! leaves out an entry that was filled before it: if the fill was counted before the note, the CAS of the note has failed, or the scan has seen the fill; if
//! after, the fill has taken the note back.
//!
//! # Progress
//!
//! Filling and clearing are lock-free. A CAS is lost to another fill, clear or seal. A fill that meets a sealed block or page takes it out and starts
//! again, and each was emptied by others. The scan of a page is wait-free: it goes up at each step. The scan of an order goes on to a next page only
//! while others take ticks. A thread that stops between two steps leaves at most an entry that is not counted, which nobody relies on; a fresh
//! block, which the next one counts; or an empty block or page, which the next scan takes out.
//!
//! Two that empty the last two slots of a block at once may each see the other's still filled, so that neither seals it. It is taken
//! out by the next who clears in it or scans it.
//!
//! # Freeing
//!
//! Whoever takes a block out of its slot frees it through the epoch; the directory frees a page. A block that was taken out holds no
//! other by the time that those who saw it have unpinned: whoever puts a child into a sealed block finds the seal, and takes the child out. An entry may
//! hold a node whose placement has ended, until whoever ended or filled it, who is pinned, has cleared it: [`crate::engine::node`] says why it is not
//! freed under a reader.
//!
//! # Shortcuts
//!
//! Pointers that own a count lead to the youngest page that was filled, to another that was filled several times in turn, and to the oldest
//! that something was cleared in: most fills and clears find their page without a search. A page that is emptied while one of them leads to
//! it stays, as it will mostly be filled again; when it is left it is looked at again.

pub mod block;
mod cursor;
pub mod directory;
pub mod page;
mod shortcut;

use std::sync::Arc;

use crossbeam_epoch::Guard;

#[cfg_attr(not(any(tierstack_loom, fuzzing)), allow(unused_imports, reason = "for those who look inside"))]
pub use block::FAN;
pub use block::SPAN;
use block::Swap;
use cursor::Cursor;
use directory::Directory;
use page::{Filled, Page};
use shortcut::Shortcut;

use crate::engine::clock::Clock;
use crate::failpoint::{Step, reach};
use crate::sync::{AtomicU64, Ordering};

/// The recency order of one tier.
pub struct Order<N: Send + Sync + 'static> {
    directory: Directory<Page<N>>,
    /// The youngest page that anything was filled in.
    young: Shortcut<N>,
    /// Of the others, one that several fills in turn were for.
    filled: Shortcut<N>,
    /// The oldest page, when something was last cleared in it.
    oldest: Shortcut<N>,
    /// The index of the last page that a fill had to search for. Anyone may write it.
    searched: AtomicU64,
}

impl<N: Send + Sync + 'static> Order<N> {
    pub fn new() -> Self {
        Self {
            directory: Directory::new(),
            young: Shortcut::new(),
            filled: Shortcut::new(),
            oldest: Shortcut::new(),
            searched: AtomicU64::new(u64::MAX),
        }
    }

    /// Fills the entry of `tick` with `node`, which is the only one that it is ever filled with.
    pub fn fill(&self, tick: u64, node: &N, clock: &Clock, guard: &Guard) {
        let (index, offset) = (tick / SPAN, tick % SPAN);
        let is_it = |page: &&Page<N>| page.index() == index;
        let known = self.young.get(guard).filter(is_it).or_else(|| self.filled.get(guard).filter(is_it));
        let mut page = known.unwrap_or_else(|| self.find_or_make(index, clock, guard));
        while page.fill(offset, node, guard) == Filled::Sealed {
            self.directory.remove(index, page, guard);
            page = self.find_or_make(index, clock, guard);
        }
    }

    /// Clears the entry of `tick`: the placement is over.
    pub fn clear(&self, tick: u64, node: &N, clock: &Clock, guard: &Guard) {
        let (index, offset) = (tick / SPAN, tick % SPAN);
        // Where it is sealed the entry is in a page that has taken its place.
        let is_it = |page: &&Page<N>| page.index() == index && !page.is_sealed(guard);
        if let Some(page) = self.young.get(guard).filter(is_it) {
            page.clear(offset, node, guard);
        } else if let Some(page) = self.oldest.get(guard).filter(is_it) {
            page.clear(offset, node, guard);
        } else {
            self.search_and_clear(index, offset, node, clock, guard);
        }
    }

    #[cold]
    #[inline(never)]
    fn search_and_clear(&self, index: u64, offset: u64, node: &N, clock: &Clock, guard: &Guard) {
        let is_it = |page: &&Page<N>| page.index() == index && !page.is_sealed(guard);
        if let Some(page) = self.filled.get(guard).filter(is_it) {
            return page.clear(offset, node, guard);
        }
        let Some(oldest) = self.directory.first_from(0, guard) else { return };
        if oldest.index() == index {
            oldest.clear(offset, node, guard);
            let _ = self.lead(&self.oldest, self.oldest.get(guard), oldest, clock, guard);
            return;
        }
        // Whoever emptied it by a shortcut has left it.
        self.seal_if_done(oldest, clock, guard);
        if let Some(page) = self.directory.first_from(index, guard)
            && page.index() == index
        {
            page.clear(offset, node, guard);
            self.seal_if_done(page, clock, guard);
        }
    }

    /// A walk up from the oldest entry.
    #[inline]
    pub fn cursor<'o, 'g>(&'o self, guard: &'g Guard) -> Cursor<'o, 'g, N> {
        Cursor::new(self, 0, guard)
    }

    /// The oldest entry with a tick of at least `from`.
    #[cfg(any(test, tierstack_loom, fuzzing))]
    pub fn first_from<'g>(&self, from: u64, clock: &Clock, guard: &'g Guard) -> Option<(u64, &'g N)> {
        Cursor::new(self, from, guard).here(clock)
    }

    /// Calls `visit` with every entry, oldest first.
    pub fn visit<'g>(&self, guard: &'g Guard, visit: impl FnMut(u64, &'g N)) {
        self.visit_below(u64::MAX, guard, visit);
    }

    /// Calls `visit` with every entry of a tick below `end`, oldest first.
    pub fn visit_below<'g>(&self, end: u64, guard: &'g Guard, mut visit: impl FnMut(u64, &'g N)) {
        let mut index = 0;
        while let Some(page) = self.directory.first_from(index, guard) {
            let base = page.index() * SPAN;
            if base >= end {
                return;
            }
            page.visit_below(end - base, guard, |offset, node| visit(base + offset, node));
            index = page.index() + 1;
        }
    }

    #[cold]
    #[inline(never)]
    fn find_or_make<'g>(&self, index: u64, clock: &Clock, guard: &'g Guard) -> &'g Page<N> {
        let page = self.directory.get_or_insert_with(index, || Arc::new(Page::new(index)), guard);
        // Until the youngest is this one or a younger: an unsealed page that never was the youngest would not be sealed when it is emptied
        // before the clock passes it.
        loop {
            let young = self.young.get(guard);
            if young.is_some_and(|young| young.index() > index) {
                break;
            }
            if self.lead(&self.young, young, page, clock, guard) == Swap::Done {
                return page;
            }
        }
        // Relaxed: a guess. Fills that go back and forth are not worth the swaps.
        if self.searched.load(Ordering::Relaxed) == index {
            let _ = self.lead(&self.filled, self.filled.get(guard), page, clock, guard);
        } else {
            // Relaxed: as above.
            self.searched.store(index, Ordering::Relaxed);
        }
        page
    }

    /// Has a shortcut that leads to `former` lead to the page. The former may have become empty before.
    fn lead(
        &self,
        shortcut: &Shortcut<N>,
        former: Option<&Page<N>>,
        page: &Arc<Page<N>>,
        clock: &Clock,
        guard: &Guard,
    ) -> Swap {
        let swap = shortcut.replace(former, page, guard);
        if let (Swap::Done, Some(former)) = (swap, former) {
            self.seal_if_done(former, clock, guard);
        }
        swap
    }

    /// Seals a page that is empty and below the clock's own, and removes a sealed one.
    fn seal_if_done(&self, page: &Page<N>, clock: &Clock, guard: &Guard) {
        if page.is_sealed(guard) || (page.index() < clock.now() / SPAN && page.try_seal(guard)) {
            reach(Step::Sealed);
            self.directory.remove(page.index(), page, guard);
        }
    }
}

impl<N: Send + Sync + 'static> Drop for Order<N> {
    fn drop(&mut self) {
        let guard = crossbeam_epoch::pin();
        let mut index = 0;
        while let Some(page) = self.directory.first_from(index, &guard) {
            index = page.index() + 1;
            // SAFETY: `&mut self` is the only access to the order, and so to its pages.
            unsafe { page.tear_down() };
        }
    }
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests;
