//! What is left of an index that nobody has access to any more: its nodes, one after the other, and its tables.

use core::mem::replace;
use core::ptr;

use super::cell::Kind;
use super::table::Table;
use super::{Index, grow};
use crate::engine::node::Node;

/// The nodes that are still to be freed, and the tables that they are in; the tables are freed with it.
pub struct Remains<K, V> {
    /// From a box; null at the end.
    table: *mut Table<Node<K, V>>,
    /// The next cell of that table.
    cell: usize,
    /// The next node of the chain of the cell before; null at its end.
    node: *mut Node<K, V>,
}

impl<K, V> Remains<K, V> {
    /// What begins with that table.
    ///
    /// # Safety
    ///
    /// It is the root of an index, or null; and nobody else has access to that index.
    pub(super) unsafe fn of(table: *mut Table<Node<K, V>>) -> Self {
        Self { table, cell: 0, node: ptr::null_mut() }
    }
}

impl<K, V> Iterator for Remains<K, V> {
    type Item = *mut Node<K, V>;

    /// The next node: the caller's, to be freed before the one after it is asked for or later.
    fn next(&mut self) -> Option<Self::Item> {
        while self.node.is_null() {
            // SAFETY: the tables are this one's.
            let table = unsafe { self.table.as_ref() }?;
            if self.cell == table.len() {
                let next = table.next_pointer();
                // SAFETY: from a box; nobody borrows it any more.
                drop(unsafe { Box::from_raw(replace(&mut self.table, next)) });
                self.cell = 0;
                continue;
            }
            let content = table.cell(self.cell).load();
            self.cell += 1;
            let (Kind::Node(node) | Kind::FrozenNode(node)) = content.kind() else { continue };
            // SAFETY: as above.
            let next = unsafe { table.next_pointer().as_ref() };
            // What was copied and not yet marked as moved is in the next table as well.
            if !next.is_some_and(|next| grow::holds(next, content)) {
                self.node = node;
            }
        }
        let next = Index::successor(self.node);
        Some(replace(&mut self.node, next))
    }
}

impl<K, V> Drop for Remains<K, V> {
    fn drop(&mut self) {
        while !self.table.is_null() {
            // SAFETY: each table is freed once; those before the root were given to the collector when it passed them.
            let table = unsafe { Box::from_raw(self.table) };
            self.table = table.next_pointer();
        }
    }
}
