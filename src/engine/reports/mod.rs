//! Reports: what a snapshot in progress is told by everybody else.
//!
//! A snapshot shows where every fragment stands at one instant, while all go on. It walks the orders, and what it cannot see by walking it is told: whoever
//! changes a place, or answers from one, *reports* the node. After Petrank and Timnat, "Lock-Free Data-Structure Iterators" (DISC 2013). It is simpler
//! here, as a place word never recurs: a report is a node with the word that was read, and of all that was told of a node the furthest word counts.
//!
//! # States
//!
//! ```text
//!             install                    walk set (the first wins)            block                    deactivate, by anybody
//!   (none) ────────────► collecting ───────────────────────────► walked ──────────────► blocked ───────────────────────────► (none)
//!                                                                         THE INSTANT            (the picture no longer changes)
//! ```
//!
//! `active` is null, or the *collector* of the snapshot in progress. A collector has a stack of batches of reports, whose head carries the mark *blocked*; the
//! first walk that was finished; the tiers that it is for; and the last few reports, so that what was told is not told again.
//!
//! # Steps
//!
//! - *Report a node*: load `active`. Null: done. Otherwise read the node's word and those of its successors, **again**, and push them as **one** batch. If the
//!   collector is blocked, help `active` to null, and start again.
//! - *Move*: fill the entry, CAS the word, **report**; only then publish, clear, swing the index, give back bytes, retire.
//! - *Answer*: read the word, **report**, answer with what was read first.
//! - *Take a snapshot*: pin, and be counted as a view. Install a collector, or join one that is not blocked. Walk the orders of its tiers, and that of what is kept, below the clock as it is
//!   then. Set the walk. **Block**: the linearization point. Help `active` to null; the winner retires the collector. Of each node take the furthest
//!   word, of the walk and of the reports. What is alive by that is the snapshot. What of it is not published is reported and published, as by any reader.
//!
//! # Why it is the state at the block
//!
//! Say that a change is *told* when the collector holds its word of the node or a further one; of a replacement, when it holds both words. The snapshot
//! shows the store after all changes that are told by the block. It is to be shown that
//! those that are not told can be taken to come just after it, though their CAS may be before:
//!
//! 1. *What was changed before the activation is told.* The CAS of a word comes before the mover's load of `active`, and the installation before the
//!    snapshot's reads, all in one order (`SeqCst`): a mover that has found null has made a CAS that the walk sees. A word that stood at the activation
//!    had its entry filled. So the walk meets it; or the entry was cleared by then. Whoever clears an entry that its node has left has reported the node before: its mover, and also
//!    whoever meets it in a scan, or has filled it too late. So what has become of the node is in the collector. (A fragment whose storer has not published it is looked for in the
//!    index: there it is, if it was put there before the activation.)
//! 2. *What is not told nobody has answered from.* Its mover has not reported, so that the call has not returned, has not released its bytes, and has
//!    cleared, published and retired nothing. Everybody else reports before an answer. So no call that returned before the block depends on it. Neither does any
//!    change that is told: its own mover had reported what it went by.
//! 3. *Whatever is told was there.* A report is read after the activation. A node that died before it is read as dead.
//!
//! *Hot is within its budget.* A fragment that the snapshot shows in hot stands there at the block, or its mover, out of hot, has not reported, and still
//! holds its bytes. Either way they are reserved at that instant: so the sum is at most what is reserved, and that is within the budget.
//!
//! # Who reports, and who need not
//!
//! | who | what |
//! |---|---|
//! | a move, an eviction, a re-listing, a store, a removal | its own node, right after the CAS; a replacement, from its predecessor on |
//! | a look-up that answers "here", "stays there", "kept already", "another version" | the node that it found |
//! | a start of leaving | each node that it hands out; its finish, as a removal, or as a look-up |
//! | a look-up that answers "absent" from a dead node | the chain from the node in the index cell |
//! | whoever takes a dead node, or the predecessors of a live one, out of the index: a tidier, an inserter, who moves the cell | the chain from that node, before |
//! | whoever publishes another's node | the chain that leads to it, before |
//! | whoever clears an entry because the word is beyond it: evictions, scans, a mover who has lost | the node, before |
//! | an iteration | what it has met, before it returns, if anybody collects then |
//!
//! These do not report:
//!
//! - "*Absent*" *from a null cell or a tombstone*: nothing was there, or whoever buried it has reported it.
//! - *Whoever passes an entry that the word is before*: the fragment stands where another entry says. Nothing is answered from the move that is to come.
//! - *Whoever passes what is not published*: to evictions and iterations a stored fragment is there from its publication on.
//! - *Uses*: they change marks and the last use, of which a snapshot says nothing but the order in which it lists.
//! - *Who is refused for want of free bytes, or looks at a count*: bytes are released after the report.
//! - *A store, a removal or a move that has found a node*: it answers from its own CAS, whose word is further than the one that was found.
//!
//! # Progress
//!
//! A report is one load while nobody collects. Otherwise it starts again only when a snapshot has ended meanwhile: lock-free. Blocking is wait-free. The walk ends, as it goes up to the
//! clock that it has read. A snapshot starts again only when it has helped one of other tiers to its end: that one's caller, or those who joined it, return.
//!
//! - *A stalled mover* has not reported, and is not waited for.
//! - *A stalled snapshot* leaves a collector that others report to. One that was told more than its *limit* is ended by whoever reports next: this one walks and
//!   blocks it, as the snapshot would. So what is collected is bounded, and so is the work of those who report: the limit grows with the tiers that are walked.
//!
//! # Freeing
//!
//! A collector is freed through the epoch, by the winner of the CAS to null; after the block nothing is pushed. A node in a report may be freed while the collector
//! is there, if it was retired before the snapshot pinned: then it is dead by that report, and only its name counts, which is its stamp, not its address. What is
//! alive by the furthest word was not retired when the snapshot joined, as who retires a node has reported it before. So its key and value can be read under the snapshot's
//! pin. A value that goes before its node does is not let go: the snapshot is counted as a view before it joins, in the one order, and whoever ends the fragment looks at the
//! count after the CAS (see [`crate::engine::claim`]).

mod collector;
mod walk;

use core::ptr;

use crossbeam_epoch::Guard;

use crate::engine::node::Node;
use crate::failpoint::{Step, reach};
use crate::sync::{AtomicPtr, Ordering, fence, fence_in_models};
use collector::{Batch, Pushed};
pub use collector::{Collector, Tiers};
pub use walk::Walk;

/// Where reports go.
pub struct Reports<K, V> {
    /// Null, or the collector of the snapshot in progress.
    active: AtomicPtr<Collector<K, V>>,
}

impl<K, V> Reports<K, V> {
    pub fn new() -> Self {
        Self { active: AtomicPtr::new(ptr::null_mut()) }
    }

    /// The collector of the snapshot in progress.
    #[inline]
    fn active<'g>(&self, _guard: &'g Guard) -> Option<&'g Collector<K, V>> {
        fence_in_models();
        // SeqCst: after the caller's CAS or read of a word, and before the installation if it finds null: see the head of the module.
        let active = self.active.load(Ordering::SeqCst);
        // SAFETY: a collector is freed through the epoch after `active` has left it, and the caller is pinned.
        unsafe { active.as_ref() }
    }

    /// Whether a snapshot is in progress.
    #[inline]
    pub fn are_collected(&self, guard: &Guard) -> bool {
        self.active(guard).is_some()
    }

    /// How many records the snapshot in progress was told.
    #[cfg(test)]
    pub fn told(&self, guard: &Guard) -> usize {
        self.active(guard).map_or(0, Collector::len)
    }

    /// Reports a node and what has replaced it, if a snapshot is in progress.
    ///
    /// The caller has changed its word, or is about to answer from it, or to take it out of where it is found. It has reached the node through the index or
    /// an order under this pin. Returns a collector that was told enough: who can walk the orders ends it.
    #[inline]
    pub fn report<'g>(&self, node: &Node<K, V>, guard: &'g Guard) -> Option<&'g Collector<K, V>>
    where
        K: 'static,
        V: 'static,
    {
        match self.active(guard) {
            None => None,
            Some(collector) => self.report_to(collector, node, guard),
        }
    }

    #[cold]
    #[inline(never)]
    fn report_to<'g>(
        &self,
        mut collector: &'g Collector<K, V>,
        node: &Node<K, V>,
        guard: &'g Guard,
    ) -> Option<&'g Collector<K, V>>
    where
        K: 'static,
        V: 'static,
    {
        loop {
            // SeqCst: the words are read after the activation. What was read before may be of a node that had died by then.
            fence(Ordering::SeqCst);
            reach(Step::Reporting);
            let batch = Batch::of_chain(node, guard);
            if collector.was_told(&batch) {
                return collector.is_due().then_some(collector);
            }
            match collector.push(batch) {
                Pushed::Done => return collector.is_due().then_some(collector),
                Pushed::Blocked => self.deactivate(collector, guard),
            }
            collector = self.active(guard)?;
        }
    }

    /// A collector that is not blocked: the active one, or a new one for `tiers`, which is due after as many records as `limit` says.
    pub fn join<'g>(&self, tiers: Tiers, limit: impl Fn() -> usize, guard: &'g Guard) -> &'g Collector<K, V>
    where
        K: 'static,
        V: 'static,
    {
        let mut own = None;
        loop {
            if let Some(active) = self.active(guard) {
                if active.is_blocked() {
                    self.deactivate(active, guard);
                    continue;
                }
                // SeqCst: what is walked is read after the activation.
                fence(Ordering::SeqCst);
                return active;
            }
            let new = Box::into_raw(own.take().unwrap_or_else(|| Box::new(Collector::new(tiers, limit()))));
            // SeqCst: the installation. On a loss another was installed, or has gone again: looked at anew.
            match self.active.compare_exchange(ptr::null_mut(), new, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => {
                    // SeqCst: as above.
                    fence(Ordering::SeqCst);
                    reach(Step::Activated);
                    // SAFETY: freed through the epoch, and the caller is pinned since before it was installed.
                    return unsafe { &*new };
                }
                // SAFETY: made above, and nobody else has seen it.
                Err(_) => own = Some(unsafe { Box::from_raw(new) }),
            }
        }
    }

    /// Has `active` leave a collector that is blocked.
    pub fn deactivate(&self, collector: &Collector<K, V>, guard: &Guard)
    where
        K: 'static,
        V: 'static,
    {
        let object = ptr::from_ref(collector).cast_mut();
        // SeqCst: after the block, for whoever finds null or the next one. Relaxed on a loss: another has done it.
        let swapped = self.active.compare_exchange(object, ptr::null_mut(), Ordering::SeqCst, Ordering::Relaxed);
        if let Ok(object) = swapped {
            let content = collector.content();
            // SAFETY: boxed, and left by `active`, once; who still has it is pinned, and nothing is added to what is blocked. It holds no node, only pointers.
            unsafe { guard.defer_unchecked(move || content.free_with(object)) };
        }
    }
}
