//! A cell of the index's table: a tagged pointer to a node.
//!
//! Nodes are aligned to 16 bytes, so that the low four bits of an address are free: two flags, and two bits of the hash as a
//! fingerprint, so that most cells of other keys are passed without a look at their node. On `x86_64`, where user space has at most
//! 47 bits of address (unless a mapping above is asked for by its address), the 16 bits at the top are fingerprint as well.

use core::ptr;

use crate::sync::{AtomicPtr, Ordering};

const FROZEN: usize = 1;
const TOMB: usize = 2;
const FLAGS: usize = FROZEN | TOMB;
const LOW_PRINT: usize = 0b1100;
#[cfg(target_arch = "x86_64")]
const PRINT: usize = LOW_PRINT | 0xFFFF << 48;
#[cfg(not(target_arch = "x86_64"))]
const PRINT: usize = LOW_PRINT;
const ADDRESS: usize = !(FLAGS | PRINT);

/// A snapshot of a cell.
pub struct Content<N>(*mut N);

impl<N> Clone for Content<N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<N> Copy for Content<N> {}

/// What a cell says, decoded.
pub enum Kind<N> {
    /// Nothing has ever been here: a probe ends.
    Null,
    /// The same, and nothing ever will be in this table.
    FrozenNull,
    /// A node.
    Node(*mut N),
    /// A node that can only become `Moved` here.
    FrozenNode(*mut N),
    /// What was here is gone; the cell is not used again.
    Tomb,
    /// What was here is in the next table.
    Moved,
}

impl<N> Content<N> {
    const NULL: Self = Self(ptr::null_mut());
    const TOMB: Self = Self(ptr::without_provenance_mut(TOMB));
    const MOVED: Self = Self(ptr::without_provenance_mut(TOMB | FROZEN));

    /// An unfrozen cell with `node` and the fingerprint of its hash.
    #[inline]
    pub fn of(node: *mut N, hash: u64) -> Self {
        Self(node.map_addr(|address| address | print_of(hash)))
    }

    #[inline]
    pub fn kind(self) -> Kind<N> {
        let node = self.0.map_addr(|address| address & ADDRESS);
        match (self.0.addr() & FLAGS, node.is_null()) {
            (0, true) => Kind::Null,
            (0, false) => Kind::Node(node),
            (FROZEN, true) => Kind::FrozenNull,
            (FROZEN, false) => Kind::FrozenNode(node),
            (TOMB, _) => Kind::Tomb,
            _ => Kind::Moved,
        }
    }

    /// Whether the cell, which holds a node, may hold one of that hash.
    #[inline]
    pub fn may_have(self, hash: u64) -> bool {
        self.0.addr() & PRINT == print_of(hash)
    }

    /// The same node, not frozen.
    pub fn unfrozen(self) -> Self {
        Self(self.0.map_addr(|address| address & !FROZEN))
    }

    fn frozen(self) -> Self {
        Self(self.0.map_addr(|address| address | FROZEN))
    }

    fn is(self, other: Self) -> bool {
        ptr::eq(self.0, other.0)
    }

    /// Whether both hold the same node.
    pub fn is_same_node(self, other: Self) -> bool {
        self.unfrozen().is(other.unfrozen())
    }
}

/// The bits of a hash that go into the fingerprint: rotated, so that the top ones, which decide the home, are not at the top.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the bits that are left do")]
const fn print_of(hash: u64) -> usize {
    hash.rotate_left(32) as usize & PRINT
}

/// The outcome of a change of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Swap {
    Done,
    Lost,
}

/// The atomic itself. Every change is a CAS on the exact content:
///
/// ```text
///   Null ──► Node ──► Node of the same key ──► Tomb
///    │         └──► FrozenNode ──► Moved
///    └──► FrozenNull
/// ```
///
/// Orderings: `Release` (within `AcqRel`) where a node or a flag is published, `Acquire` on every load.
pub struct Cell<N>(AtomicPtr<N>);

impl<N> Cell<N> {
    pub fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    #[inline]
    pub fn load(&self) -> Content<N> {
        // Acquire: pairs with the CAS that put the content there.
        Content(self.0.load(Ordering::Acquire))
    }

    fn cas(&self, from: Content<N>, to: Content<N>) -> Swap {
        // Relaxed on a loss: whoever lost loads again.
        match self.0.compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => Swap::Done,
            Err(_) => Swap::Lost,
        }
    }

    /// Null → node.
    pub fn fill(&self, node: Content<N>) -> Swap {
        self.cas(Content::NULL, node)
    }

    /// Node → another node of the same key.
    pub fn swing(&self, from: Content<N>, to: Content<N>) -> Swap {
        self.cas(from, to)
    }

    /// Node → tombstone.
    pub fn bury(&self, from: Content<N>) -> Swap {
        self.cas(from, Content::TOMB)
    }

    /// Null → frozen null, or node → frozen node.
    pub fn freeze(&self, from: Content<N>) -> Swap {
        self.cas(from, from.frozen())
    }

    /// Frozen node → moved.
    pub fn leave(&self, from: Content<N>) {
        // A loss means that another has done it.
        let _ = self.cas(from, Content::MOVED);
    }

    /// Whether the cell still has that content.
    pub fn still_is(&self, content: Content<N>) -> bool {
        self.load().is(content)
    }
}
