//! Growth: cell by cell into the next table, by everybody who writes.
//!
//! # Steps
//!
//! - *Move a cell*: null → frozen null; a node whose chain has ended → tombstone; any other node → frozen node, copy that very
//!   pointer (whatever has become of it by now), then → moved.
//! - *Copy*: along the probe in the next table, comparing pointers (no `Eq`, no `Hash`); at the first null, look at the source
//!   again, stop unless it is still that frozen node, then CAS null → node. A copier that stalls in between finds either the null
//!   filled or the source moved.
//! - *Move a run*: every cell from the home of a hash up to and including the first null. A writer does so in the old table before it
//!   changes anything for that hash in the new one: then no copy can come in behind its back.
//! - *Finish*: move every cell, then CAS the root to the next table; the winner retires the old one.
//!
//! A table gets a next one only when it is the root, that is, when everything of its predecessor is in it. So at most two
//! tables take part. Each writer that passes moves some cells besides its own run, so that a move ends long before
//! the room in the new table does; who finds no room there finishes the move first.
//!
//! No step waits: a stalled mover has at most frozen a cell, and whoever needs that cell copies it.

use crossbeam_epoch::Guard;

use super::cell::{Cell, Content, Kind, Swap};
use super::table::Table;
use super::{Index, end};
use crate::failpoint::{Step, reach};
use crate::node::Node;
use crate::place::State;
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

impl<K, V> Index<K, V> {
    /// Moves every cell of the run of `hash`, and so all that could be of that hash, out of `table`.
    pub(super) fn move_run(table: &Table<Node<K, V>>, hash: u64, guard: &Guard) {
        for step in 0..table.len() {
            if Self::move_cell(table, table.probe(hash, step), guard) == Run::Ends {
                return;
            }
        }
    }

    /// Moves a share of the cells; ends the move where all are shared out.
    pub(super) fn move_some(&self, table: &Table<Node<K, V>>, guard: &Guard) {
        for place in table.take_range(SHARE) {
            Self::move_cell(table, table.cell(place), guard);
        }
        if table.is_shared_out() {
            self.finish(table, guard);
        }
    }

    fn move_cell(table: &Table<Node<K, V>>, cell: &Cell<Node<K, V>>, guard: &Guard) -> Run {
        loop {
            let seen = cell.load();
            match seen.kind() {
                Kind::Null => {
                    if cell.freeze(seen) == Swap::Done {
                        return Run::Ends;
                    }
                }
                Kind::FrozenNull => return Run::Ends,
                Kind::Tomb | Kind::Moved => return Run::GoesOn,
                Kind::Node(node) => {
                    // SAFETY: found in a cell under the guard.
                    let (_, place) = end(unsafe { &*node }, guard);
                    if place.state() == State::Removed {
                        if cell.bury(seen) == Swap::Done {
                            table.count_buried();
                            Self::retire_chain(node, core::ptr::null_mut(), guard);
                            return Run::GoesOn;
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

    /// Moves whatever is left in `table`, if it is being moved, and has the root pass it.
    fn finish(&self, table: &Table<Node<K, V>>, guard: &Guard) {
        let (old, next) = (core::ptr::from_ref(table).cast_mut(), table.next_pointer());
        if next.is_null() {
            return;
        }
        for place in 0..table.len() {
            if !self.is_root(table) {
                return;
            }
            Self::move_cell(table, table.cell(place), guard);
        }
        // Release: whoever sees the new root sees every copy. Relaxed on a loss: another has advanced it.
        if let Ok(old) = self.root.compare_exchange(old, next, Ordering::AcqRel, Ordering::Relaxed) {
            // SAFETY: the root has passed the table, so that nobody who pins from now on reaches it; freed once, as the CAS
            // was won once, through the pointer that was the root. Its cells hold no node any more.
            unsafe { guard.defer_unchecked(move || drop(Box::from_raw(old))) };
        }
    }

    /// Sees to room for an insert that found none in `table`.
    pub(super) fn make_room(&self, table: &Table<Node<K, V>>, was_root: bool, guard: &Guard) {
        if !was_root {
            // Room is kept for what is still to come from the table before: have it all come.
            let root = self.root(guard);
            if !core::ptr::eq(root, table) {
                self.finish(root, guard);
            }
        } else if table.next(guard).is_none() {
            table.set_next(Box::new(table.successor()));
            reach(Step::Grown);
        }
    }
}

/// Copies the frozen node `seen` of `cell` into the next table, unless it is there or has been there.
fn copy<N>(table: &Table<N>, cell: &Cell<N>, seen: Content<N>, hash: u64, guard: &Guard) {
    // A frozen node implies a next table.
    let Some(next) = table.next(guard) else { return };
    let mut counted = false;
    'probe: for step in 0..next.len() {
        let target = next.probe(hash, step);
        loop {
            let there = target.load();
            if there.is_same_node(seen) {
                break 'probe;
            }
            match there.kind() {
                Kind::Null => {}
                // The next table is itself being moved: then the source has been.
                Kind::FrozenNull => break 'probe,
                _ => continue 'probe,
            }
            if !cell.still_is(seen) {
                break 'probe;
            }
            if !counted {
                next.count_copied();
                counted = true;
            }
            if target.fill(seen.unfrozen()) == Swap::Done {
                return;
            }
        }
    }
    if counted {
        next.uncount_copied();
    }
}

/// Whether `table` holds the node of `content`.
pub(super) fn holds<K, V>(table: &Table<Node<K, V>>, content: Content<Node<K, V>>) -> bool {
    let (Kind::Node(node) | Kind::FrozenNode(node)) = content.kind() else { return false };
    // SAFETY: called by the owner of the index, whose cell holds the node.
    let hash = unsafe { &*node }.hash();
    for step in 0..table.len() {
        let there = table.probe(hash, step).load();
        if there.is_same_node(content) {
            return true;
        }
        if matches!(there.kind(), Kind::Null | Kind::FrozenNull) {
            return false;
        }
    }
    false
}
