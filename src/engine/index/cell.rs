//! A cell of the index's table: a tagged pointer to a node, or a tombstone.
//!
//! A node's address leaves some bits free: three low ones or more, as nodes are aligned, and on some platforms the high ones. Three
//! low bits are flags; the others hold a *fingerprint* of the hash, so that most cells of other keys are passed without a look at
//! their node. A tombstone has no address, and keeps the *class* of its hash: all bits of it but the flags'. The fingerprint is part of
//! the class, at the same bits.

use core::ptr::{self, NonNull};

use crate::sync::{AtomicPtr, Ordering};

const FROZEN: usize = 1;
const TOMB: usize = 2;
/// Of a node: a key of its class, but another one, has been looked for beyond the cell. Of a tombstone: so it serves nobody any more.
const PASSED: usize = 4;
const FLAGS: usize = FROZEN | TOMB | PASSED;

/// The high bits that no address of user space has. On `x86_64` the upper half is the kernel's, and what is above 47 bits is given out only to who
/// asks for such an address; on `aarch64` so is what is above 48, and the top byte can be a tag of the allocator's.
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
const HIGH: usize = 0xFFFF << 48;
#[cfg(all(target_arch = "aarch64", target_pointer_width = "64"))]
const HIGH: usize = 0xFF << 48;
#[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_pointer_width = "64")))]
const HIGH: usize = 0;

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
    /// What was here is gone.
    Tomb,
    /// What was here is in the next table.
    Moved,
}

impl<N> Content<N> {
    const NULL: Self = Self(ptr::null_mut());
    const MOVED: Self = Self(ptr::without_provenance_mut(TOMB | FROZEN));

    /// The bits of an address that hold a fingerprint instead.
    const PRINT: usize = HIGH | ((align_of::<N>() - 1) & !FLAGS);
    const ADDRESS: usize = !(FLAGS | Self::PRINT);

    /// Whether a cell can hold that address.
    pub fn can_be(node: *mut N) -> bool {
        const { assert!(align_of::<N>() > FLAGS, "a node's address leaves no room for the flags") };
        node.addr() & !Self::ADDRESS == 0
    }

    /// An unfrozen cell with `node` and the fingerprint of its hash.
    #[inline]
    pub fn of(node: *mut N, hash: u64) -> Self {
        debug_assert!(Self::can_be(node));
        Self(node.map_addr(|address| address | class_of(hash) & Self::PRINT))
    }

    #[inline]
    pub fn kind(self) -> Kind<N> {
        let node = self.0.map_addr(|address| address & Self::ADDRESS);
        match (self.0.addr() & (FROZEN | TOMB), node.is_null()) {
            (0, true) => Kind::Null,
            (0, false) => Kind::Node(node),
            (FROZEN, true) => Kind::FrozenNull,
            (FROZEN, false) => Kind::FrozenNode(node),
            (TOMB, _) => Kind::Tomb,
            _ => Kind::Moved,
        }
    }

    /// Whether the cell, which holds a node, may hold one of that hash, or of another of its class.
    #[inline]
    pub fn may_have(self, hash: u64) -> bool {
        (self.0.addr() ^ class_of(hash)) & Self::PRINT == 0
    }

    /// The node in the cell, frozen or not.
    #[inline]
    pub fn node(self) -> Option<NonNull<N>> {
        if self.0.addr() & TOMB != 0 {
            return None;
        }
        NonNull::new(self.0.map_addr(|address| address & Self::ADDRESS))
    }

    #[inline]
    pub fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// Whether the cell, which is a tombstone, serves keys of the class of that hash.
    #[inline]
    pub fn serves(self, hash: u64) -> bool {
        self.0.addr() == class_of(hash) | TOMB
    }

    /// Whether a key of the class, but another one, may be beyond the cell, which holds a node.
    #[inline]
    pub fn is_passed(self) -> bool {
        self.0.addr() & PASSED != 0
    }

    /// The same node, as it is put into another table.
    pub fn fresh(self) -> Self {
        Self(self.0.map_addr(|address| address & !(FROZEN | PASSED)))
    }

    fn with(self, flag: usize) -> Self {
        Self(self.0.map_addr(|address| address | flag))
    }

    fn is(self, other: Self) -> bool {
        ptr::eq(self.0, other.0)
    }

    /// Whether both hold the same node.
    pub fn is_same_node(self, other: Self) -> bool {
        self.fresh().is(other.fresh())
    }
}

/// The bits of a hash that tell classes apart: rotated, so that the top ones, which decide the home, are not the fingerprint's.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the bits that are left do")]
const fn class_of(hash: u64) -> usize {
    const HALF: u32 = if usize::BITS == 64 { 32 } else { 48 };
    hash.rotate_left(HALF) as usize & !FLAGS
}

/// The two bytes at the top of a class, which is where the fingerprint is.
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
#[cfg_attr(
    any(tierstack_portable, tierstack_loom, tierstack_shuttle, fuzzing),
    allow(dead_code, reason = "for vectors")
)]
#[expect(clippy::cast_possible_truncation, reason = "sixteen bits are left")]
#[inline]
pub const fn top_of_class(hash: u64) -> i16 {
    ((class_of(hash) >> 48) as u16).cast_signed()
}

/// Whether both hashes are of one class.
#[inline]
pub const fn is_same_class(one: u64, other: u64) -> bool {
    class_of(one) == class_of(other)
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
///             ┌───────── of the same class ◄──────────┐
///             ▼                                       │
///   Null ──► Node ──► Node of the same key ──► Tomb of a class ──► Tomb
///    │        │└──► passed Node ─────────────────────────────────────▲
///    │        └──► FrozenNode ──► Moved
///    └──► FrozenNull
/// ```
///
/// A passed node is frozen as any other.
///
/// Orderings: `Release` (within `SeqCst`) where a node or a flag is published, `Acquire` on every load.
pub struct Cell<N>(AtomicPtr<N>);

impl<N> Cell<N> {
    #[cfg_attr(not(any(tierstack_loom, tierstack_shuttle)), allow(dead_code, reason = "tables are allocated zeroed"))]
    pub fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    #[inline]
    pub fn load(&self) -> Content<N> {
        // Acquire: pairs with the CAS that put the content there.
        Content(self.0.load(Ordering::Acquire))
    }

    /// Whether the cell may have something of the class of that hash, now or later, or says nothing of a class: see [`super::line`].
    #[inline]
    pub fn is_open_to(&self, hash: u64) -> bool {
        // Relaxed: what is open is loaded again, and what is not never will be.
        let seen = Content::<N>(self.0.load(Ordering::Relaxed));
        seen.may_have(hash) || seen.0.addr() & !FLAGS == 0
    }

    fn cas(&self, from: Content<N>, to: Content<N>) -> Swap {
        // Relaxed on a loss: whoever lost loads again. SeqCst: an insert comes before the storer's look for a snapshot in progress, in one order with its
        // activation.
        match self.0.compare_exchange(from.0, to.0, Ordering::SeqCst, Ordering::Relaxed) {
            Ok(_) => Swap::Done,
            Err(_) => Swap::Lost,
        }
    }

    /// Null → node.
    pub fn fill(&self, node: Content<N>) -> Swap {
        self.cas(Content::NULL, node)
    }

    /// Node → another node of the same key. What has been passed stays so.
    pub fn swing(&self, from: Content<N>, to: Content<N>) -> Swap {
        self.cas(from, to.with(from.0.addr() & PASSED))
    }

    /// Node → tombstone, which serves the class of that hash, the node's, unless the node was passed.
    pub fn bury(&self, from: Content<N>, hash: u64) -> Swap {
        let class = if from.is_passed() { PASSED } else { class_of(hash) };
        self.cas(from, Content(ptr::without_provenance_mut(class | TOMB)))
    }

    /// Tombstone of a class → node of that class.
    pub fn revive(&self, from: Content<N>, node: Content<N>) -> Swap {
        self.cas(from, node)
    }

    /// Node → passed node, or tombstone of a class → tombstone: whoever looks for another key of the class beyond the cell does so
    /// first.
    pub fn pass(&self, from: Content<N>) -> Swap {
        self.cas(from, from.with(PASSED))
    }

    /// Null → frozen null, or node → frozen node.
    pub fn freeze(&self, from: Content<N>) -> Swap {
        self.cas(from, from.with(FROZEN))
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
