//! Writes: a new node, and cells that are put right.

use core::ptr;

use crossbeam_epoch::Guard;

use super::cell::{Content, Kind, Swap};
use super::room::{Claim, Claimed};
use super::{Index, Spot, end, may_serve};
use crate::engine::node::Node;
use crate::engine::place::State;
use crate::failpoint::{Step, reach};

/// The outcome of an insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Inserted {
    /// The node is in; that CAS was its publication.
    Done,
    /// The key has a live node.
    Present,
}

impl<K: 'static, V: 'static> Index<K, V> {
    /// Publishes `new`, whose place says where it will be, unless its key has a live node.
    pub fn insert(&self, new: ptr::NonNull<Node<K, V>>, is_key: impl Fn(&K) -> bool, guard: &Guard) -> Inserted {
        // SAFETY: the caller's own node.
        let hash = unsafe { new.as_ref() }.hash();
        let content = Content::of(new.as_ptr(), hash);
        'restart: loop {
            let mut table = self.root(guard);
            'table: loop {
                if let Some(next) = table.next(guard) {
                    self.move_run(table, hash, guard);
                    self.move_some(table, guard);
                    table = next;
                    continue;
                }
                for cell in table.probe(hash) {
                    loop {
                        let seen = cell.load();
                        let claim = match seen.kind() {
                            Kind::Null => Claim::Fill,
                            Kind::Tomb if seen.serves(hash) => Claim::Revival,
                            Kind::Tomb => break,
                            // A next table was set after this one was entered.
                            Kind::FrozenNull | Kind::FrozenNode(_) | Kind::Moved => continue 'table,
                            Kind::Node(pointer) => {
                                // SAFETY: found in a cell under the guard.
                                let node = unsafe { &*pointer };
                                if seen.may_have(hash) && node.hash() == hash && is_key(node.key()) {
                                    let (_, place) = end(node, guard);
                                    if place.tier().is_some() {
                                        return Inserted::Present;
                                    }
                                    let _ = self.reports.report(node, guard);
                                    if cell.swing(seen, content) == Swap::Done {
                                        Self::retire_chain(pointer, ptr::null_mut(), guard);
                                        return Inserted::Done;
                                    }
                                } else if !may_serve(seen, hash, guard) || cell.pass(seen) == Swap::Done {
                                    break;
                                }
                                continue;
                            }
                        };
                        if table.room.claim(claim) == Claimed::Refused {
                            self.make_room(table, guard);
                            continue 'restart;
                        }
                        reach(Step::RoomClaimed);
                        let swap = match claim {
                            Claim::Fill => cell.fill(content),
                            Claim::Revival => cell.revive(seen, content),
                        };
                        if swap == Swap::Done {
                            return Inserted::Done;
                        }
                        table.give_back(claim, guard);
                    }
                }
                // A table without a null: none is, as its room sees to it.
                self.make_room(table, guard);
                continue 'restart;
            }
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

    /// Buries the cell that led to a node that has been removed; where the cell has changed, tidies instead.
    #[inline]
    pub fn bury(&self, spot: Option<&Spot<'_, K, V>>, hash: u64, guard: &Guard) {
        reach(Step::Tidying);
        match spot {
            Some(spot) if spot.cell.bury(spot.seen, hash) == Swap::Done => {
                Self::buried(spot.table, spot.first, guard);
                self.shrink(spot.table, guard);
            }
            _ => self.tidy(hash, guard),
        }
    }

    /// Has the cells of `hash` say what is true: swings them to the ends of their chains, buries what is removed.
    pub fn tidy(&self, hash: u64, guard: &Guard) {
        'restart: loop {
            let mut table = self.root(guard);
            while let Some(next) = table.next(guard) {
                self.move_run(table, hash, guard);
                self.move_some(table, guard);
                table = next;
            }
            for cell in table.probe(hash) {
                loop {
                    let seen = cell.load();
                    match seen.kind() {
                        Kind::Null => return,
                        // No key of the class is beyond it.
                        Kind::Tomb if seen.serves(hash) => return,
                        Kind::Tomb => break,
                        Kind::FrozenNull | Kind::FrozenNode(_) | Kind::Moved => continue 'restart,
                        Kind::Node(_) if !seen.may_have(hash) => break,
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
                            if place.state() == State::Removed || !ptr::eq(last, pointer) {
                                // Before it is forgotten: whoever has ended it may not have come to that.
                                let _ = self.reports.report(node, guard);
                            }
                            reach(Step::Tidying);
                            if place.state() == State::Removed {
                                if cell.bury(seen, hash) != Swap::Done {
                                    continue;
                                }
                                Self::buried(table, pointer, guard);
                                self.shrink(table, guard);
                            } else if !ptr::eq(last, pointer) {
                                if cell.swing(seen, Content::of(last, hash)) == Swap::Done {
                                    Self::retire_chain(pointer, last, guard);
                                }
                                // The end of the chain may have moved on.
                                continue;
                            }
                            if !seen.is_passed() {
                                return;
                            }
                            break;
                        }
                    }
                }
            }
            return;
        }
    }
}

impl<K, V> Index<K, V> {
    /// Retires the chain from `first` up to and without `until`; null: all of it. The caller has taken it out of its cell.
    pub(super) fn retire_chain(first: *mut Node<K, V>, until: *mut Node<K, V>, guard: &Guard) {
        let mut node = first;
        while !node.is_null() && !ptr::eq(node, until) {
            let next = Self::successor(node);
            // SAFETY: the CAS that took the chain out of its cell made this thread the one that retires it.
            unsafe { Node::retire(node, guard) };
            node = next;
        }
    }

    /// What replaced a node of a dead chain, or null at its end.
    pub(super) fn successor(node: *mut Node<K, V>) -> *mut Node<K, V> {
        // SAFETY: the chain is or was in a cell, and was entered there under a guard that is still held.
        let place = unsafe { &*node }.place.load();
        place.successor().map_or(ptr::null_mut(), ptr::NonNull::as_ptr)
    }
}
