//! The index: from a key to its node. A lock-free open-addressing table of tagged node pointers that grows while all go on.
//! (The one call that starts a growth allocates the next table, in time linear in its size; it holds up nobody else.)
//!
//! The index only finds. What a fragment's state is, the place word at the end of a node's chain of successors says; a cell may lag
//! behind, holding a node that has been replaced or removed, until somebody swings it.
//!
//! # Cells
//!
//! See [`cell`]. A cell serves one key for the life of its table: the first null of a probe is where two inserters of a key
//! meet. A frozen node only ever becomes *moved*; a frozen null never changes.
//!
//! # Operations
//!
//! - *Find*: along the probe, a node of the key decides, frozen or not; a null is absence, unless something *moved* was passed,
//!   or it is frozen: then the next table is asked. Readers never help and never write.
//! - *Insert*: at the first null. A dead node of the key that is met on the way is revived (CAS → new), never passed.
//! - *Swing* (after a replacement): the cell that led the storer to the predecessor, if it still holds what it held; else tidy.
//! - *Tidy* (after a removal): in the run of the hash, cells are swung to the end of their chain or buried; nodes
//!   are told by hash and chain, so no `Eq` is called.
//! - *Settle the run*: before a writer changes anything in a table, it moves every cell of its run in the older table, up to
//!   and including the first null. See [`grow`].
//! - *Retire*: whoever CASes a node out of an unfrozen cell retires the chain from it up to what was put in.
//!
//! # Who may stall where
//!
//! Anywhere: nothing is waited for. A stalled mover's cell is moved by whoever needs it; a stalled swinger's cell is swung by
//! the next one, and until then the chain behind it answers.
//!
//! Sources: Purcell and Harris, "Non-blocking Hashtables with Open Addressing" (DISC 2005), for probing without reuse; Cliff
//! Click's non-blocking hash map (2007) for moving cell by cell with a frozen mark.

pub mod cell;
pub mod grow;
pub mod remains;
pub mod table;
#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle, fuzzing))))]
mod tests;

use core::ptr;

use crossbeam_epoch::Guard;

use crate::failpoint::{Step, reach};
use crate::node::Node;
use crate::place::{Place, State};
use crate::sync::{AtomicPtr, Ordering};
use cell::{Content, Kind, Swap};
use remains::Remains;
use table::Table;

/// The index.
pub struct Index<K, V> {
    root: AtomicPtr<Table<Node<K, V>>>,
}

// SAFETY: the index shares nodes, which any thread may read, retire and drop.
unsafe impl<K: Send + Sync, V: Send + Sync> Send for Index<K, V> {}
// SAFETY: as above.
unsafe impl<K: Send + Sync, V: Send + Sync> Sync for Index<K, V> {}

/// A node of the key, at the end of its chain, and the word that was read last.
pub type Found<'g, K, V> = (&'g Node<K, V>, Place);

/// The cell of the root that led to a node, and what it held.
///
/// Who replaces the node swings this very cell. That needs no look at older tables, as there is none before the root; and while the cell
/// is not frozen nobody has copied it.
pub struct Spot<'g, K, V> {
    cell: &'g cell::Cell<Node<K, V>>,
    seen: Content<Node<K, V>>,
    first: *mut Node<K, V>,
}

/// The same, and the cell, where it is to be swung by who replaces the node.
pub type FoundAt<'g, K, V> = (Found<'g, K, V>, Option<Spot<'g, K, V>>);

/// The outcome of an insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Inserted {
    /// The node is in; that CAS was its publication.
    Done,
    /// The key has a live node.
    Present,
}

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

impl<K, V> Index<K, V> {
    /// An index with room for about `expected` nodes before it first grows.
    pub fn with_room_for(expected: usize) -> Self {
        Self { root: AtomicPtr::new(Box::into_raw(Box::new(Table::first(expected)))) }
    }

    #[inline]
    fn root<'g>(&self, _guard: &'g Guard) -> &'g Table<Node<K, V>> {
        // SAFETY: never null; the table is freed through the epoch after the root has passed it.
        // Acquire: pairs with the CAS that advanced the root.
        unsafe { &*self.root.load(Ordering::Acquire) }
    }

    fn is_root(&self, table: &Table<Node<K, V>>) -> bool {
        // Acquire: a table that became the root is wholly copied into.
        ptr::eq(self.root.load(Ordering::Acquire), table)
    }

    /// The live node of a key. `is_key` is the caller's `Eq`. Wait-free but for the walk along replacements in progress.
    #[inline]
    pub fn find<'g>(&self, hash: u64, is_key: impl Fn(&K) -> bool, guard: &'g Guard) -> Option<Found<'g, K, V>> {
        self.find_spot(hash, is_key, guard).map(|(found, _)| found)
    }

    /// As [`Self::find`]; and the cell.
    #[inline]
    pub fn find_spot<'g>(&self, hash: u64, is_key: impl Fn(&K) -> bool, guard: &'g Guard) -> Option<FoundAt<'g, K, V>> {
        let mut table = self.root(guard);
        let mut is_root = true;
        loop {
            let mut look_on = false;
            for step in 0..table.len() {
                let cell = table.probe(hash, step);
                let content = cell.load();
                let node = match content.kind() {
                    Kind::Node(node) | Kind::FrozenNode(node) => node,
                    Kind::Null => break,
                    Kind::FrozenNull => {
                        look_on = true;
                        break;
                    }
                    Kind::Tomb => continue,
                    Kind::Moved => {
                        look_on = true;
                        continue;
                    }
                };
                if !content.may_have(hash) {
                    continue;
                }
                let first = node;
                // SAFETY: found in a cell under the guard.
                let node = unsafe { &*first };
                if node.hash() != hash || !is_key(node.key()) {
                    continue;
                }
                let (node, place) = end(node, guard);
                place.tier()?;
                let is_spot = is_root && matches!(content.kind(), Kind::Node(_));
                return Some(((node, place), is_spot.then_some(Spot { cell, seen: content, first })));
            }
            if !look_on {
                return None;
            }
            table = table.next(guard)?;
            is_root = false;
        }
    }

    /// Swings the cell that led to a node to `new`, which has replaced it; where the cell has changed, tidies instead.
    #[inline]
    pub fn swing(&self, spot: Option<&Spot<'_, K, V>>, new: ptr::NonNull<Node<K, V>>, hash: u64, guard: &Guard) {
        reach(Step::Tidying);
        match spot {
            Some(spot) if spot.cell.swing(spot.seen, Content::of(new.as_ptr(), hash)) == Swap::Done => {
                Self::retire_chain(spot.first, new.as_ptr(), guard);
            }
            _ => self.tidy(hash, guard),
        }
    }

    /// Publishes `new`, whose place says where it will be, unless its key has a live node.
    pub fn insert(&self, new: ptr::NonNull<Node<K, V>>, is_key: impl Fn(&K) -> bool, guard: &Guard) -> Inserted {
        // SAFETY: the caller's own node.
        let hash = unsafe { new.as_ref() }.hash();
        let content = Content::of(new.as_ptr(), hash);
        'restart: loop {
            let mut table = self.root(guard);
            'table: loop {
                if let Some(next) = table.next(guard) {
                    Self::move_run(table, hash, guard);
                    self.move_some(table, guard);
                    table = next;
                    continue;
                }
                let mut claim = Claim::none(table);
                for step in 0..table.len() {
                    let cell = table.probe(hash, step);
                    loop {
                        let seen = cell.load();
                        match seen.kind() {
                            Kind::Null => {
                                let is_root = self.is_root(table);
                                if !claim.make(is_root) {
                                    self.make_room(table, is_root, guard);
                                    continue 'restart;
                                }
                                if cell.fill(content) == Swap::Done {
                                    claim.use_up();
                                    return Inserted::Done;
                                }
                            }
                            Kind::Tomb => break,
                            // A next table was set after this one was entered.
                            Kind::FrozenNull | Kind::FrozenNode(_) | Kind::Moved => continue 'table,
                            Kind::Node(pointer) => {
                                // SAFETY: found in a cell under the guard.
                                let node = unsafe { &*pointer };
                                if !seen.may_have(hash) || node.hash() != hash || !is_key(node.key()) {
                                    break;
                                }
                                let (_, place) = end(node, guard);
                                if place.tier().is_some() {
                                    return Inserted::Present;
                                }
                                if cell.swing(seen, content) == Swap::Done {
                                    Self::retire_chain(pointer, ptr::null_mut(), guard);
                                    return Inserted::Done;
                                }
                            }
                        }
                    }
                }
                // No null at all: the room is kept so that this does not happen.
                drop(claim);
                self.make_room(table, self.is_root(table), guard);
                continue 'restart;
            }
        }
    }

    /// Has the cells of `hash` say what is true: swings them to the ends of their chains, buries what is removed.
    pub fn tidy(&self, hash: u64, guard: &Guard) {
        'restart: loop {
            let mut table = self.root(guard);
            while let Some(next) = table.next(guard) {
                Self::move_run(table, hash, guard);
                self.move_some(table, guard);
                table = next;
            }
            for step in 0..table.len() {
                let cell = table.probe(hash, step);
                loop {
                    let seen = cell.load();
                    match seen.kind() {
                        Kind::Null => return,
                        Kind::Tomb => break,
                        Kind::FrozenNull | Kind::FrozenNode(_) | Kind::Moved => continue 'restart,
                        Kind::Node(pointer) => {
                            // SAFETY: found in a cell under the guard.
                            let node = unsafe { &*pointer };
                            if node.hash() != hash {
                                break;
                            }
                            let (mut last, mut place) = (pointer, node.place.load());
                            while let Some(successor) = place.successor::<Node<K, V>>() {
                                // SAFETY: the chain was entered at a cell's node, under the guard.
                                (last, place) = (successor.as_ptr(), unsafe { successor.as_ref() }.place.load());
                            }
                            reach(Step::Tidying);
                            if place.state() == State::Removed {
                                if cell.bury(seen) == Swap::Done {
                                    table.count_buried();
                                    Self::retire_chain(pointer, ptr::null_mut(), guard);
                                    break;
                                }
                            } else if ptr::eq(last, pointer) {
                                break;
                            } else if cell.swing(seen, Content::of(last, hash)) == Swap::Done {
                                Self::retire_chain(pointer, last, guard);
                            }
                        }
                    }
                }
            }
            return;
        }
    }

    /// Retires the chain from `first` up to and without `until`; null: all of it. The caller has taken it out of its cell.
    fn retire_chain(first: *mut Node<K, V>, until: *mut Node<K, V>, guard: &Guard) {
        let mut node = first;
        while !node.is_null() && !ptr::eq(node, until) {
            let next = Self::successor(node);
            // SAFETY: the CAS that took the chain out of its cell made this thread the one that retires it.
            unsafe { Node::retire(node, guard) };
            node = next;
        }
    }

    /// What replaced a node of a dead chain, or null at its end.
    fn successor(node: *mut Node<K, V>) -> *mut Node<K, V> {
        // SAFETY: the chain is or was in a cell, and was entered there under a guard that is still held.
        let place = unsafe { &*node }.place.load();
        place.successor().map_or(ptr::null_mut(), ptr::NonNull::as_ptr)
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

/// Room claimed in a table; given back when dropped, unless used.
struct Claim<'t, N> {
    table: &'t Table<N>,
    held: bool,
}

impl<'t, N> Claim<'t, N> {
    const fn none(table: &'t Table<N>) -> Self {
        Self { table, held: false }
    }

    fn make(&mut self, is_root: bool) -> bool {
        self.held = self.held || self.table.claim(is_root);
        self.held
    }

    fn use_up(&mut self) {
        self.held = false;
    }
}

impl<N> Drop for Claim<'_, N> {
    fn drop(&mut self) {
        if self.held {
            self.table.unclaim();
        }
    }
}

impl<K, V> Drop for Index<K, V> {
    fn drop(&mut self) {
        // The tables; the nodes are freed by whoever tore it down.
        drop(self.remains());
    }
}
