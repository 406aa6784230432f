//! Lookups. They change nothing; one that finds the key's node dead reports that, if a snapshot is in progress.

use crossbeam_epoch::Guard;

use super::cell::{Cell, Content, Kind};
use super::table::Table;
use super::{Found, Index, end};
use crate::engine::node::Node;

/// The cell of the root that led to a node, and what it held.
///
/// Who replaces the node swings this very cell, and who removes it buries it. That needs no look at older tables, as there is none before the root; and while
/// the cell is not frozen nobody has copied it.
pub struct Spot<'g, K, V> {
    pub(super) table: &'g Table<Node<K, V>>,
    pub(super) cell: &'g Cell<Node<K, V>>,
    pub(super) seen: Content<Node<K, V>>,
    /// The node that it held.
    pub(super) first: *mut Node<K, V>,
}

impl<'g, K, V> Spot<'g, K, V> {
    /// The cell of the root that held this; none where that is frozen.
    #[inline]
    fn of(table: &'g Table<Node<K, V>>, cell: &'g Cell<Node<K, V>>, seen: Content<Node<K, V>>) -> Option<Self> {
        let Kind::Node(first) = seen.kind() else { return None };
        Some(Self { table, cell, seen, first })
    }
}

/// A node, and the cell that led to it, where it is to be swung or buried by who ends the node.
pub type FoundAt<'g, K, V> = (Found<'g, K, V>, Option<Spot<'g, K, V>>);

impl<K: 'static, V: 'static> Index<K, V> {
    /// The live node of a key. `is_key` is the caller's `Eq`. Wait-free but for the walk along replacements in progress.
    #[inline]
    pub fn find<'g>(&self, hash: u64, is_key: impl Fn(&K) -> bool, guard: &'g Guard) -> Option<Found<'g, K, V>> {
        let root = self.root(guard);
        if root.next(guard).is_none() {
            match look_at_home(root, hash, &is_key, guard) {
                AtHome::Node { found, .. } => return Some(found),
                AtHome::Absent => return None,
                AtHome::Unclear => {}
            }
        }
        self.find_further(root, hash, &is_key, guard)
    }

    /// As [`Self::find`]; and the cell.
    #[inline]
    pub fn find_spot<'g>(&self, hash: u64, is_key: impl Fn(&K) -> bool, guard: &'g Guard) -> Option<FoundAt<'g, K, V>> {
        let root = self.root(guard);
        if root.next(guard).is_none() {
            match look_at_home(root, hash, &is_key, guard) {
                AtHome::Node { found, cell, seen } => return Some((found, Spot::of(root, cell, seen))),
                AtHome::Absent => return None,
                AtHome::Unclear => {}
            }
            match look(root, hash, &is_key, guard) {
                Look::Node { node, cell, seen } => return Some((self.alive(node, guard)?, Spot::of(root, cell, seen))),
                Look::Absent => return None,
                Look::Further => {}
            }
        }
        self.find_further(root, hash, &is_key, guard).map(|found| (found, None))
    }

    /// The same where the home line does not tell, or the root is moved. Where the key is in the home line of the next table, as most that were
    /// moved are, that is all that is read: so a move that nobody goes on with costs lookups little. Otherwise the tables are looked through in
    /// the order in which keys move.
    #[inline(never)]
    fn find_further<'g>(
        &self,
        root: &'g Table<Node<K, V>>,
        hash: u64,
        is_key: &impl Fn(&K) -> bool,
        guard: &'g Guard,
    ) -> Option<Found<'g, K, V>> {
        if let Some(next) = root.next(guard)
            && let AtHome::Node { found, .. } = look_at_home(next, hash, is_key, guard)
        {
            return Some(found);
        }
        let mut table = root;
        loop {
            match look(table, hash, is_key, guard) {
                Look::Node { node, .. } => return self.alive(node, guard),
                Look::Absent => return None,
                Look::Further => table = table.next(guard)?,
            }
        }
    }

    /// The end of a chain, if it is alive. That it is dead, and with it the key absent, is reported.
    #[inline]
    fn alive<'g>(&self, node: &'g Node<K, V>, guard: &'g Guard) -> Option<Found<'g, K, V>> {
        let found = end(node, guard);
        if found.1.tier().is_none() {
            let _ = self.reports.report(node, guard);
            return None;
        }
        Some(found)
    }

    /// The node in a cell that the chain with `node` begins at; nothing if `node` is in no chain, as it is not in the index yet, or not any more.
    #[cold]
    pub fn chain_with<'g>(&self, node: &Node<K, V>, guard: &'g Guard) -> Option<&'g Node<K, V>> {
        let hash = node.hash();
        let mut table = self.root(guard);
        loop {
            let mut may_be_further = false;
            for cell in table.probe(hash) {
                let seen = cell.load();
                match seen.kind() {
                    Kind::Null => break,
                    Kind::FrozenNull | Kind::Moved => may_be_further = true,
                    Kind::Tomb => {}
                    Kind::Node(first) | Kind::FrozenNode(first) => {
                        // SAFETY: found in a cell under the guard.
                        let first = unsafe { &*first };
                        if first.hash() == hash && leads_to(first, node, guard) {
                            return Some(first);
                        }
                    }
                }
                if matches!(seen.kind(), Kind::FrozenNull) {
                    break;
                }
            }
            if !may_be_further {
                return None;
            }
            table = table.next(guard)?;
        }
    }
}

/// Whether `node` is in the chain from `first` on.
fn leads_to<'g, K, V>(mut first: &'g Node<K, V>, node: &Node<K, V>, guard: &'g Guard) -> bool {
    while !core::ptr::eq(first, node) {
        // SAFETY: the chain was entered at a cell's node, under the guard.
        match unsafe { Node::follow(first.place.load(), guard) } {
            Some(successor) => first = successor,
            None => return false,
        }
    }
    true
}

/// What a table says of a key.
enum Look<'g, K, V> {
    /// It has this node of the key, in this cell.
    Node { node: &'g Node<K, V>, cell: &'g Cell<Node<K, V>>, seen: Content<Node<K, V>> },
    /// The key is absent.
    Absent,
    /// The key may be in the next table.
    Further,
}

/// Looks through a table for a key.
fn look<'g, K, V>(
    table: &'g Table<Node<K, V>>,
    hash: u64,
    is_key: &impl Fn(&K) -> bool,
    guard: &'g Guard,
) -> Look<'g, K, V> {
    let mut moved = false;
    for cell in table.probe(hash) {
        let seen = cell.load();
        if let Some(node) = is_of(seen, hash, is_key, guard) {
            return Look::Node { node, cell, seen };
        }
        match seen.kind() {
            Kind::Null => break,
            // No key of the class is beyond it.
            Kind::Tomb if seen.serves(hash) => break,
            Kind::FrozenNull => return Look::Further,
            Kind::Moved => moved = true,
            Kind::Tomb | Kind::Node(_) | Kind::FrozenNode(_) => {}
        }
    }
    if moved { Look::Further } else { Look::Absent }
}

/// What the home line of a table says of a key.
enum AtHome<'g, K, V> {
    /// It has its live node, in this cell.
    Node {
        found: Found<'g, K, V>,
        cell: &'g Cell<Node<K, V>>,
        seen: Content<Node<K, V>>,
    },
    /// The key is not in the table.
    Absent,
    Unclear,
}

/// Looks for a key at the first open cell of its home line: there nearly all keys are that have hashes of their own, and nearly all nulls that say that
/// a key is absent.
#[inline]
fn look_at_home<'g, K, V>(
    table: &'g Table<Node<K, V>>,
    hash: u64,
    is_key: &impl Fn(&K) -> bool,
    guard: &'g Guard,
) -> AtHome<'g, K, V> {
    let Some(cell) = table.first_open(hash) else { return AtHome::Unclear };
    let seen = cell.load();
    if let Some(node) = is_of(seen, hash, is_key, guard) {
        let place = node.place.load();
        if place.tier().is_none() {
            return AtHome::Unclear;
        }
        return AtHome::Node { found: (node, place), cell, seen };
    }
    if seen.is_null() { AtHome::Absent } else { AtHome::Unclear }
}

/// The node in a cell, if it is one of the key.
#[inline]
fn is_of<'g, K, V>(
    content: Content<Node<K, V>>,
    hash: u64,
    is_key: &impl Fn(&K) -> bool,
    _guard: &'g Guard,
) -> Option<&'g Node<K, V>> {
    // Of the open cells nearly all that hold a node hold the hash's: to compare the fingerprint once more would spare nothing.
    let node = content.node()?;
    // SAFETY: found in a cell under the guard.
    let node = unsafe { node.as_ref() };
    (node.hash() == hash && is_key(node.key())).then_some(node)
}
