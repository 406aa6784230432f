//! The index: from a key to its node. A lock-free open-addressing table of tagged node pointers that grows and shrinks while all go on.
//! (The one call that starts a move allocates the next table; it holds up nobody else.)
//!
//! The index only finds. What a fragment's state is, the place word at the end of a node's chain of successors says; a cell may lag
//! behind, holding a node that has been replaced or removed, until somebody swings it.
//!
//! # Cells
//!
//! See [`cell`]. A probe goes from the home of a hash from cell to cell, and ends at the first null. A cell that is not null never becomes null
//! again in the life of its table. It serves keys of one *class*: those whose hashes agree in all bits but three (on platforms of 64 bits). In
//! practice a class is one key.
//!
//! A removed key leaves a tombstone of its class, and a key of the class that comes finds it and revives it. So a key
//! that comes and goes uses one cell, and never lengthens a probe.
//!
//! The home of a hash is a [`line`] of eight cells, which is one line of the cache. A probe looks through a line at once, by fingerprints, and leaves out
//! the cells of other classes.
//!
//! # Two inserters of a key meet
//!
//! An insert walks from the home of its hash, and takes the first cell that it may take: a null, or a tombstone of its class. A cell
//! that it does not take it leaves behind only where the cell can never serve its class again, but for another key's node:
//!
//! - a node or a tombstone of another class: the cell serves that class for the life of the table;
//! - a node of its class, of another key: it marks the cell as *passed* before it goes on. The mark stays when the cell is swung to
//!   a successor of that key, and a passed node leaves a tombstone that serves nobody.
//!
//! A copy into the table does the same; a tombstone of its class, which it must not revive, it marks. Hence:
//!
//! 1. *Beyond a cell that serves a class, no key of the class stands or is put.* ("Beyond" on the probe of that key; a cell serves a class while
//!    it is a tombstone of that class, or a node of the class that is not passed and so may become one.) Whatever stands beyond has gone by, when the cell could
//!    already never serve the class again. That stays true for good.
//! 2. *A key has one live node at most in a table.* Suppose that two inserts of a key succeed at different cells, and that the node of the first is still
//!    alive at the CAS of the second. Call the nearer of the two cells *x*. The insert that took the farther one has gone by *x*. If the other took *x*
//!    after that, *x* was a null or a tombstone of the class then, which is what the first rule excludes. If before, the other was the first, and its live
//!    node was in *x*: the insert that went by would have answered that the key is present.
//!
//! By 1 a lookup may end at a tombstone of its class, as at a null: at that instant the key is not in the table.
//!
//! (A tombstone can recur, and that harms nobody: an insert that read it earlier and revives it now needs no more than that it is there now.
//! A copy never revives one: its node may have been removed and retired since it looked.)
//!
//! # Operations
//!
//! - *Find*: along the probe, a node of the key decides, frozen or not; a null is absence, as is a tombstone of the class, unless something *moved* was
//!   passed, or the null is frozen: then the next table is asked. Readers never help and never write. While a table is moved, the home line of the
//!   next one is asked first: a live node of the key is one wherever it is found. So a move that nobody goes on with costs lookups little.
//! - *Insert*: at the first null, or the tombstone of the class. A dead node of the key that is met on the way is replaced in its cell (CAS → new), never passed.
//! - *Swing* (after a replacement): the cell that led the storer to the predecessor, if it still holds what it held; else tidy.
//! - *Tidy* (after a removal): in the run of the hash, cells are swung to the end of their chain or buried; nodes
//!   are told by hash and chain, so no `Eq` is called. It ends at the first cell of the hash that is not passed.
//! - *Settle the run*: before a writer changes anything in a table, it moves every cell of its run in the older table, up to
//!   and including the first null. See [`grow`].
//! - *Retire*: whoever CASes a node out of an unfrozen cell retires the chain from it up to what was put in.
//!
//! # Cost
//!
//! At most thirteen sixteenths of a table's cells are ever used, each by another class, and hashes spread them evenly: so a probe looks at O(1) cells in
//! the mean, whichever keys come and go (about fifteen at the worst; Knuth 1963). A table that is full is replaced by one that is at most about half full of what
//! lives; so each insert pays for moving a constant number of cells. Keys of one hash make one run, which each of them walks: with n of them, an operation takes O(n).
//!
//! # Who may stall where
//!
//! Anywhere: nothing is waited for. A stalled mover's cell is moved by whoever needs it; a stalled swinger's cell is swung by
//! the next one, and until then the chain behind it answers. What a stalled thread has not counted is counted late: see [`room`].
//!
//! # Reports
//!
//! The index forgets nodes, and it can answer that a key is absent from a dead one. For a snapshot in progress it reports first what has become of them (see [`crate::engine::reports`]): whoever
//! swings or buries a cell without having ended its node, or fills it over a dead one, reports the chain from that cell; and so does a look-up that finds the end of the chain dead.
//!
//! Sources: Purcell and Harris, "Non-blocking Hashtables with Open Addressing" (DISC 2005), for probing without reuse; Cliff
//! Click's non-blocking hash map (2007) for keys that keep their cell, and for moving cell by cell with a frozen mark.

#[cfg(any(test, tierstack_loom, tierstack_shuttle, fuzzing))]
mod audit;
pub mod cell;
mod find;
mod grow;
mod line;
#[cfg(test)]
pub mod pretend;
pub mod remains;
mod room;
pub mod table;
#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle, fuzzing))))]
mod tests;
pub mod vector;
mod write;

use core::ptr;

use crossbeam_epoch::Guard;

use crate::engine::node::Node;
use crate::engine::place::Place;
use crate::engine::reports::Reports;
use crate::sync::{AtomicPtr, Ordering};
use cell::{Content, Kind, is_same_class};
pub use find::{FoundAt, Spot};
use remains::Remains;
use table::Table;
pub use write::Inserted;

/// The index.
pub struct Index<K, V> {
    root: AtomicPtr<Table<Node<K, V>>>,
    /// Beside the root: everybody reads both, and few write either.
    reports: Reports<K, V>,
}

// SAFETY: the index shares nodes, which any thread may read, retire and drop.
unsafe impl<K: Send + Sync, V: Send + Sync> Send for Index<K, V> {}
// SAFETY: as above.
unsafe impl<K: Send + Sync, V: Send + Sync> Sync for Index<K, V> {}

/// A node of the key, at the end of its chain, and the word that was read last.
pub type Found<'g, K, V> = (&'g Node<K, V>, Place);

/// Spreads a caller's hash, so that weak hashers do not cluster: the table uses the top bits.
#[inline]
pub fn spread(hash: u64) -> u64 {
    hash.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Walks a chain that was entered through the index, to the node that is not replaced.
#[inline]
fn end<'g, K, V>(mut node: &'g Node<K, V>, guard: &'g Guard) -> Found<'g, K, V> {
    loop {
        let place = node.place.load();
        // SAFETY: the chain was entered at a cell's node, under the guard.
        let Some(successor) = (unsafe { Node::follow(place, guard) }) else { return (node, place) };
        node = successor;
    }
}

/// Whether the cell serves the class of that hash, or will when it is buried: then whoever looks for a key beyond it has to mark it as passed.
fn may_serve<K, V>(content: Content<Node<K, V>>, hash: u64, _guard: &Guard) -> bool {
    match content.kind() {
        Kind::Tomb => content.serves(hash),
        Kind::Node(node) => {
            // SAFETY: found in a cell under the guard.
            !content.is_passed() && content.may_have(hash) && is_same_class(unsafe { &*node }.hash(), hash)
        }
        _ => false,
    }
}

impl<K, V> Index<K, V> {
    /// An index with room for about `expected` nodes before it first grows, and for no fewer than about `least` when it shrinks.
    pub fn with_room_for(expected: usize, least: usize) -> Self {
        let first = Box::new(Table::first(expected, least));
        Self { root: AtomicPtr::new(Box::into_raw(first)), reports: Reports::new() }
    }

    /// Has the memory fetched that an operation on that hash will look at first.
    #[inline]
    pub fn prefetch(&self, hash: u64, guard: &Guard) {
        self.root(guard).prefetch(hash);
    }

    /// Where it reports what it forgets, and everybody else what they change.
    #[inline]
    pub fn reports(&self) -> &Reports<K, V> {
        &self.reports
    }

    #[inline]
    fn root<'g>(&self, _guard: &'g Guard) -> &'g Table<Node<K, V>> {
        // SAFETY: never null; the table is freed through the epoch after the root has passed it.
        // Acquire: pairs with the CAS that advanced the root.
        unsafe { &*self.root.load(Ordering::Acquire) }
    }

    /// Whether the node's address fits into a cell: see [`cell`].
    #[inline]
    #[expect(clippy::unused_self, reason = "it is asked of the index that is to hold it")]
    pub fn can_hold(&self, node: ptr::NonNull<Node<K, V>>) -> bool {
        #[cfg(test)]
        if pretend::ARE_HIGH.get() {
            return false;
        }
        Content::can_be(node.as_ptr())
    }

    fn is_root(&self, table: &Table<Node<K, V>>) -> bool {
        // Acquire: a table that became the root is wholly copied into.
        ptr::eq(self.root.load(Ordering::Acquire), table)
    }

    /// Takes out all that is in it; the index is not used after that.
    fn remains(&mut self) -> Remains<K, V> {
        // Relaxed: exclusive access.
        let root = self.root.load(Ordering::Relaxed);
        // Relaxed: as above.
        self.root.store(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: the caller has the only access.
        unsafe { Remains::of(root) }
    }
}

impl<K: 'static, V: 'static> Index<K, V> {
    /// Frees every node; the index is not used after that. At once, or, where destructors of callers run on this thread, after them.
    ///
    /// # Safety
    ///
    /// No other thread has access to the index or its nodes.
    pub unsafe fn tear_down(&mut self) {
        let remains = self.remains();
        // SAFETY: as the caller vouches.
        unsafe { Node::free_all(remains) };
    }
}

impl<K, V> Drop for Index<K, V> {
    fn drop(&mut self) {
        // The tables; the nodes are freed by whoever tore it down.
        drop(self.remains());
    }
}
