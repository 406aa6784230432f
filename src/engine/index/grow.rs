//! Growth: cell by cell into the next table, by everybody who writes.
//!
//! # Steps
//!
//! - *Seal* the table's room, and make the next one, as large as what can still come asks for: see [`super::room`]. It may be smaller.
//! - *Move a cell*: null → frozen null; a node whose chain has ended → tombstone; any other node → frozen node, copy that very
//!   pointer (whatever has become of it by now), then → moved. A tombstone that serves a class → one that serves nobody.
//! - *Copy*: along the probe in the next table, comparing pointers (no `Eq`, no `Hash`); at the first null, look at the source
//!   again, stop unless it is still that frozen node, then CAS null → node. A copier that stalls in between finds either the null
//!   filled or the source moved. It passes no cell that serves the node's class, as inserts do: see [the index](super).
//! - *Move a run*: every cell from the home of a hash up to and including the first null. A writer does so in the old table before it
//!   changes anything for that hash in the new one: then no copy can come in behind its back.
//! - *Advance*: when every cell is moved, CAS the root to the next table; the winner hands the room over, and retires the old table.
//!
//! A table gets a next one only when it is the root, that is, when everything of its predecessor is in it. So at most two
//! tables take part.
//!
//! # Who moves what
//!
//! Each writer that passes is given a share of the cells to move, besides its own run, and whoever moves the last of those that were given
//! out advances the root. A helper that stops keeps its share: meanwhile lookups ask both tables. Who finds no room in the new one then
//! moves every cell and advances the root. That is rare: a table takes inserts for at least a tenth of the cells of the one before, as
//! it has at least a quarter of its size and is half empty, and after a sixteenth all cells are given out.
//!
//! # In advance
//!
//! A thread that is about to insert many may *reserve* room. It gives the root a next table that has room for them, and moves every cell at once. It does
//! so only where they are an eighth of the cells at least, so that the move costs O(1) for each of them. It is a hint: the size is
//! bounded, and the thread gives up where others have started another move meanwhile. What is said above holds of a larger next table too.
//!
//! No step waits: a stalled mover has at most frozen a cell, and whoever needs that cell copies it.

use core::hint::black_box;

use crossbeam_epoch::Guard;

use super::cell::{Cell, Content, Kind, Swap};
use super::table::Table;
use super::{Index, end, may_serve};
use crate::engine::node::Node;
use crate::engine::place::State;
use crate::failpoint::{Step, reach};
use crate::sync::Ordering;

/// Cells that a passing writer moves besides its own run. Few in models and under a fuzzer, or it would move the whole of their
/// small tables.
const SHARE: usize = if cfg!(any(tierstack_loom, tierstack_shuttle, fuzzing)) { 1 } else { 16 };

/// Whether a probe goes on behind a moved cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    GoesOn,
    Ends,
}

impl<K: 'static, V: 'static> Index<K, V> {
    /// Moves every cell of the run of `hash`, and so all that could be of that hash, out of `table`.
    pub(super) fn move_run(&self, table: &Table<Node<K, V>>, hash: u64, guard: &Guard) {
        for cell in table.run(hash) {
            if self.move_cell(table, cell, guard) == Run::Ends {
                return;
            }
        }
    }

    /// Moves a share of the cells; ends the move with the last.
    pub(super) fn move_some(&self, table: &Table<Node<K, V>>, guard: &Guard) {
        let range = table.take_range(SHARE);
        let cells = range.len();
        if cells == 0 {
            return;
        }
        read_ahead(range.clone().map(|place| table.cell(place)), guard);
        for place in range {
            self.move_cell(table, table.cell(place), guard);
        }
        if table.count_moved(cells) {
            self.advance(table, guard);
        }
    }

    fn move_cell(&self, table: &Table<Node<K, V>>, cell: &Cell<Node<K, V>>, guard: &Guard) -> Run {
        loop {
            let seen = cell.load();
            match seen.kind() {
                Kind::Null => {
                    if cell.freeze(seen) == Swap::Done {
                        return Run::Ends;
                    }
                }
                Kind::FrozenNull => return Run::Ends,
                Kind::Moved => return Run::GoesOn,
                Kind::Tomb => {
                    if seen.is_passed() || cell.pass(seen) == Swap::Done {
                        return Run::GoesOn;
                    }
                }
                Kind::Node(pointer) => {
                    // SAFETY: found in a cell under the guard.
                    let node = unsafe { &*pointer };
                    if end(node, guard).1.state() == State::Removed {
                        let _ = self.reports.report(node, guard);
                        if cell.bury(seen, node.hash()) == Swap::Done {
                            Self::buried(table, pointer, guard);
                        }
                    } else {
                        // Lost or not: the cell is looked at again.
                        let _ = cell.freeze(seen);
                    }
                }
                Kind::FrozenNode(node) => {
                    reach(Step::Frozen);
                    // SAFETY: found in a cell under the guard.
                    copy(table, cell, seen, unsafe { &*node }.hash(), guard);
                    reach(Step::Copied);
                    cell.leave(seen);
                    return Run::GoesOn;
                }
            }
        }
    }

    /// Has the root pass a table of which every cell is moved.
    fn advance(&self, table: &Table<Node<K, V>>, guard: &Guard) {
        let (old, next) = (core::ptr::from_ref(table).cast_mut(), table.next_pointer());
        // Release: whoever sees the new root sees every copy. Relaxed on a loss: another has advanced it.
        if let Ok(old) = self.root.compare_exchange(old, next, Ordering::AcqRel, Ordering::Relaxed) {
            reach(Step::Advanced);
            table.hand_over(guard);
            // SAFETY: the root has passed the table, so that nobody who pins from now on reaches it; freed once, as the CAS
            // was won once, through the pointer that was the root. Its cells hold no node any more.
            unsafe { guard.defer_unchecked(move || drop(Box::from_raw(old))) };
        }
    }

    /// Moves whatever is left in `table`, and has the root pass it.
    fn finish(&self, table: &Table<Node<K, V>>, guard: &Guard) {
        for place in 0..table.len() {
            if !self.is_root(table) {
                return;
            }
            self.move_cell(table, table.cell(place), guard);
        }
        self.advance(table, guard);
    }

    /// Sees to room for an insert that found none in `table`.
    pub(super) fn make_room(&self, table: &Table<Node<K, V>>, guard: &Guard) {
        let root = self.root(guard);
        if core::ptr::eq(root, table) {
            Self::start(table, guard);
        } else if root.next(guard).is_some_and(|next| core::ptr::eq(next, table)) {
            // What was kept for the cells of the table before, and does not come, is known when all have come.
            self.finish(root, guard);
        }
    }

    /// Makes room for so many more nodes, up to a bound, if they are many beside its cells. A hint: see the head of the module.
    pub fn reserve(&self, more: usize, guard: &Guard) {
        // Once more where the index was being moved already: a table gets a next one only when it is the root.
        for _ in 0..2 {
            let root = self.root(guard);
            let newest = root.next(guard).unwrap_or(root);
            if !newest.is_small_for(more) {
                return;
            }
            if core::ptr::eq(newest, root) {
                Self::start_with(root, |table| table.successor_with_room_for(more), guard);
            }
            self.finish(root, guard);
        }
    }

    /// Gives `table`, which is or was the root, a next one, unless it has one.
    fn start(table: &Table<Node<K, V>>, guard: &Guard) {
        Self::start_with(table, Table::successor, guard);
    }

    fn start_with(
        table: &Table<Node<K, V>>,
        successor: impl FnOnce(&Table<Node<K, V>>) -> Table<Node<K, V>>,
        guard: &Guard,
    ) {
        if table.next(guard).is_none() {
            table.room.seal();
            reach(Step::Sealing);
            // Before any memory is asked for: where many come to this at once, most find it done.
            if table.next(guard).is_none() {
                table.set_next(Box::new(successor(table)));
                reach(Step::Grown);
            }
        }
    }

    /// Counts and retires what the caller has buried.
    pub(super) fn buried(table: &Table<Node<K, V>>, chain: *mut Node<K, V>, guard: &Guard) {
        reach(Step::Buried);
        table.count_buried(guard);
        Self::retire_chain(chain, core::ptr::null_mut(), guard);
    }

    /// Starts a move into a smaller table, where few nodes are left in this one.
    pub(super) fn shrink(&self, table: &Table<Node<K, V>>, guard: &Guard) {
        if table.is_sparse() && self.is_root(table) {
            Self::start(table, guard);
        }
    }
}

/// Reads what a move of these cells will read of their nodes, and uses none of it: here the reads are under way all at once, while a move waits
/// for one after the other, as its compare-and-swaps stand between them.
#[inline]
fn read_ahead<'t, K: 't, V: 't>(cells: impl Iterator<Item = &'t Cell<Node<K, V>>>, _guard: &Guard) {
    // A model checker has no caches, and would try every order of these reads.
    if !cfg!(any(tierstack_loom, tierstack_shuttle)) {
        let nodes = cells.filter_map(|cell| cell.load().node());
        // SAFETY: found in a cell under the guard.
        black_box(nodes.fold(0, |all: u64, node| all ^ unsafe { node.as_ref() }.hash()));
    }
}

/// Copies the frozen node `seen` of `cell` into the next table, unless it is there or has been there.
fn copy<K, V>(table: &Table<Node<K, V>>, cell: &Cell<Node<K, V>>, seen: Content<Node<K, V>>, hash: u64, guard: &Guard) {
    // A frozen node implies a next table.
    let Some(next) = table.next(guard) else { return };
    'probe: for target in next.probe(hash) {
        loop {
            let there = target.load();
            let is_free = match there.kind() {
                _ if there.is_same_node(seen) => return,
                // The next table is itself being moved: then the source has been.
                Kind::FrozenNull => return,
                Kind::Null => true,
                _ if may_serve(there, hash, guard) => false,
                _ => continue 'probe,
            };
            // After the target: what was copied there is seen to have left the source.
            if !cell.still_is(seen) {
                return;
            }
            if !is_free {
                // Done or lost, it is looked at again.
                let _ = target.pass(there);
            } else if target.fill(seen.fresh()) == Swap::Done {
                return;
            }
        }
    }
}

/// Whether `table` holds the node of `content`.
pub(super) fn holds<K, V>(table: &Table<Node<K, V>>, content: Content<Node<K, V>>) -> bool {
    let (Kind::Node(node) | Kind::FrozenNode(node)) = content.kind() else { return false };
    // SAFETY: called by the owner of the index, whose cell holds the node.
    let hash = unsafe { &*node }.hash();
    for cell in table.probe(hash) {
        let there = cell.load();
        if there.is_same_node(content) {
            return true;
        }
        if matches!(there.kind(), Kind::Null | Kind::FrozenNull) {
            return false;
        }
    }
    false
}
