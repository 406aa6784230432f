//! Whether the counts of the tables are those of their cells: for tests, models and the fuzzer.

use crossbeam_epoch::Guard;

use super::Index;
use super::cell::Kind;
use super::table::Table;
use crate::engine::node::Node;

/// What stands in the cells of a table.
struct Found {
    /// Not null.
    used: u64,
    /// Nodes.
    nodes: u64,
}

impl<K, V> Table<Node<K, V>> {
    fn found(&self) -> Found {
        let mut found = Found { used: 0, nodes: 0 };
        for place in 0..self.len() {
            let kind = self.cell(place).load().kind();
            found.used += u64::from(!matches!(kind, Kind::Null | Kind::FrozenNull));
            found.nodes += u64::from(matches!(kind, Kind::Node(_) | Kind::FrozenNode(_)));
        }
        found
    }
}

impl<K, V> Index<K, V> {
    /// How many cells its newest table has.
    #[cfg(test)]
    pub fn cells(&self, guard: &Guard) -> usize {
        let root = self.root(guard);
        root.next(guard).unwrap_or(root).len()
    }

    /// Compares the counts with the cells. No operation is in flight.
    ///
    /// # Panics
    ///
    /// Where they do not agree.
    pub fn audit(&self, guard: &Guard) {
        let root = self.root(guard);
        let found = root.found();
        assert_eq!(root.room.used(), found.used, "the root's cells");
        if let Some(next) = root.next(guard) {
            assert!(root.room.nodes() >= found.nodes, "the root's nodes");
            let moved = next.found();
            assert!(next.next(guard).is_none(), "a table that is not the root has a next one");
            assert!(next.room.used() >= moved.used + found.nodes, "the next table's cells");
            assert!(next.room.nodes() >= moved.nodes + found.nodes, "the next table's nodes");
        } else {
            assert_eq!(root.room.nodes(), found.nodes, "the root's nodes");
        }
    }
}
