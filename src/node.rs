//! A fragment's node: key, value, weight, place word, last use and successor, in one allocation.
//!
//! # Who may hold a node, and until when
//!
//! The index owns a node: the cell that holds it, or the chain of replacements behind that cell. Whoever takes it out of the index
//! retires it, once. Threads reach it in two ways, both while pinned:
//!
//! - *Through the index.* It was not retired when its cell was read, and its successors were not either: a cell is swung past a
//!   successor before that is retired. So what was reached lives until the pin ends, as epochs have it.
//! - *Through an order's cell.* The cell may hold a node that has been retired: the placement has ended, and whoever ended it, or
//!   listed it too late, has not cleared the cell yet. That thread is pinned since before the node died, and
//!   clears the cell before it unpins. So whoever reads the cell is pinned while that thread is, and thus at most one epoch after the
//!   retirement: `reader <= clearer + 1 <= retired + 1`. The node's memory is therefore freed by a *second* deferral, made by the
//!   first, which is not before epoch `retired + 4`, and not while the reader is pinned. The same holds for the node's successors,
//!   which died after it, and so after that thread had pinned.
//!
//! Key and value are dropped by the first deferral already. Who reaches a node through the index may read them; who reaches it through
//! an order reads them only after its word said, under the same pin, that it is alive, so that it is retired after the pin.
//!
//! A [`NodeRef`] keeps a node without a pin, on its way to the overflow hook: the first deferral is made again for as long as there
//! is one.
//!
//! A value can also go before that: see [`crate::claim`]. The first deferral then finds that it was taken.

use core::cell::UnsafeCell;
use core::mem::ManuallyDrop;
use core::ptr;
use std::sync::Arc;

use crossbeam_epoch::Guard;

use crate::claim::{Claims, HEAVY, Left};
use crate::place::{Fit, Place, PlaceWord};
use crate::reclaim;
use crate::stats::Stats;
use crate::sync::deferred::AtomicUsize;
use crate::sync::{AtomicPtr, AtomicU64, Ordering};
use crate::tier::Tier;

/// A node. Aligned so that the low bits of its address are free for the index's flags.
#[repr(C, align(16))]
pub struct Node<K, V> {
    /// Where it is: see [`crate::place`].
    pub place: PlaceWord,
    /// The last use: see [`LastUse`].
    pub last_use: LastUse,
    hash: u64,
    /// Dropped while readers of the word and the successor may still hold the node: hence the cell.
    key: UnsafeCell<ManuallyDrop<K>>,
    /// Set once by the storer that announces a successor; never overridden.
    successor: AtomicPtr<Self>,
    /// As the key.
    value: UnsafeCell<ManuallyDrop<V>>,
    weight: u64,
    /// Who reads the value without a view: see [`crate::claim`].
    claims: Claims,
    /// How many [`NodeRef`]s there are; and whether the value was taken.
    holders: AtomicUsize,
    stats: *const Stats,
}

/// The tick of the last use; only ever raised.
///
/// A use raises it before it looks at the place word, and an eviction reads it after it has read that word. Both are
/// read-modify-writes: so either the eviction sees the raise, or the use sees the word that the eviction decided on or a later
/// one, and changes it. (Two plain loads and stores of different words could each miss the other.)
pub struct LastUse(AtomicU64);

impl LastUse {
    /// A last use at `tick`.
    pub fn starting_at(tick: u64) -> Self {
        Self(AtomicU64::new(tick))
    }

    /// Raises it to `tick`, unless it is there already.
    #[inline]
    pub fn raise(&self, tick: u64) {
        self.0.fetch_max(tick, Ordering::AcqRel);
    }

    /// Its value, by a read-modify-write: what a use raised before it saw the place word is seen.
    pub fn confirm(&self) -> u64 {
        self.0.fetch_max(0, Ordering::AcqRel)
    }

    /// Its value; who raised it to that has seen what the evictions saw that confirmed before.
    #[inline]
    pub fn load(&self) -> u64 {
        // Acquire: pairs with the raise.
        self.0.load(Ordering::Acquire)
    }

    /// Its value, perhaps stale.
    #[inline]
    pub fn peek(&self) -> u64 {
        // Relaxed: for the slack of recency and for the order of an iteration, which tolerate a stale one.
        self.0.load(Ordering::Relaxed)
    }
}

/// In `holders`: the value was moved out.
const TAKEN: usize = 1 << (usize::BITS - 1);

/// How an announcement of a successor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// It is the node's successor.
    Done,
    /// The node has another.
    Taken,
}

impl<K, V> Node<K, V> {
    /// A node that nobody sees yet.
    pub fn new(hash: u64, key: K, value: V, weight: u64, tick: u64, stats: &Arc<Stats>) -> Self {
        Self {
            place: PlaceWord::new(Place::pending(tick, Fit::Never)),
            last_use: LastUse::starting_at(tick),
            hash,
            key: UnsafeCell::new(ManuallyDrop::new(key)),
            successor: AtomicPtr::new(ptr::null_mut()),
            value: UnsafeCell::new(ManuallyDrop::new(value)),
            weight,
            claims: Claims::new(),
            holders: AtomicUsize::new(0),
            stats: Arc::as_ptr(stats),
        }
    }

    #[inline]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// For those who reached the node through the index, or saw it alive: see the head of the module.
    #[inline]
    pub fn key(&self) -> &K {
        // SAFETY: written only by the drop, which comes after the pins, and the holders, of those who may call this.
        unsafe { &*self.key.get() }
    }

    /// As [`Node::key`].
    #[inline]
    pub fn value(&self) -> &V {
        // SAFETY: as for the key.
        unsafe { &*self.value.get() }
    }

    /// In bytes.
    #[inline]
    pub fn weight(&self) -> u64 {
        self.weight
    }

    /// Whether its value is claimed to be read, and let go when it has ended.
    #[inline]
    pub fn is_heavy(&self) -> bool {
        self.weight >= HEAVY
    }

    /// The value, for the one operation that ended the fragment, which calls this or [`Self::let_go`] once: moved out, or a clone where
    /// others have claimed it.
    ///
    /// # Safety
    ///
    /// The fragment was ended by the caller, under the pin or the [`NodeRef`] that it still has; and no view of the store can read it.
    pub unsafe fn take_or_clone(&self) -> V
    where
        V: Clone,
    {
        if self.claims.let_go_alone() == Left::ToCaller {
            // SAFETY: nobody has claimed it or will; the caller vouches for the rest.
            return unsafe { self.take() };
        }
        // Others read it. With a claim of one's own it stays, whenever they end.
        let claim = Claim::of(self).expect("only the caller lets go of it");
        let clone = self.value().clone();
        // The caller's claim is there.
        let _ = self.claims.let_go();
        drop(claim);
        clone
    }

    /// Lets go of the value; hands it over if nobody else has claimed it.
    ///
    /// # Safety
    ///
    /// As for [`Self::take_or_clone`].
    pub unsafe fn let_go(&self) -> Option<V> {
        // SAFETY: nobody has claimed it or will; the caller vouches for the rest.
        (self.claims.let_go() == Left::ToCaller).then(|| unsafe { self.take() })
    }

    /// Moves the value out.
    ///
    /// # Safety
    ///
    /// Called once; nobody else reads the value, or will; the node is not freed yet, and the store is still there.
    unsafe fn take(&self) -> V {
        // Release: before the free, which a pin or a holder still keeps off.
        self.holders.fetch_or(TAKEN, Ordering::Release);
        // SAFETY: the statistics are the store's.
        unsafe { (*self.stats).free(self.weight) };
        // SAFETY: as the caller vouches; it is not dropped again, since it is marked as taken.
        unsafe { ManuallyDrop::take(&mut *self.value.get()) }
    }

    /// When it was last used: the last use, or the placement where that is younger.
    #[inline]
    pub fn recency(&self, place: Place) -> u64 {
        self.last_use.peek().max(place.tick())
    }

    /// Makes `successor` this node's successor, if it has none.
    pub fn announce(&self, successor: ptr::NonNull<Self>) -> Announced {
        let successor = successor.as_ptr();
        // Release: publishes the successor to whoever follows the pointer. Relaxed on a loss: the other one is not followed from here.
        match self.successor.compare_exchange(ptr::null_mut(), successor, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => Announced::Done,
            Err(_) => Announced::Taken,
        }
    }

    /// The successor of a node that was replaced while it stood in `from`, placed.
    ///
    /// # Safety
    ///
    /// The caller reached this node while pinned by `guard`, through the index or an order, or is alone with the store; and the
    /// node's word says that it was replaced.
    #[inline]
    pub unsafe fn follow<'g>(&self, from: Tier, _guard: &'g Guard) -> Option<&'g Self> {
        // SAFETY: a successor died after the node itself: see the head of the module.
        let successor = unsafe { self.successor().as_ref() }?;
        successor.place.resolve(from);
        Some(successor)
    }

    /// What was announced, or null: what is freed is freed through such a pointer, which stems from the allocation.
    pub fn successor(&self) -> *mut Self {
        // Acquire: pairs with the announcement.
        self.successor.load(Ordering::Acquire)
    }

    /// Frees a dead node when nobody can reach it any more; counts its bytes as retired until then.
    ///
    /// # Safety
    ///
    /// Called once for each node, by whoever took it (or the chain it stands in) out of the index, while pinned by `guard`.
    pub unsafe fn retire(this: *mut Self, guard: &Guard) {
        // SAFETY: reached through the index by the pinned caller. `stats` is the store's, which is alive while the index is; the
        // count taken here keeps it until the node is freed.
        unsafe {
            let stats = (*this).stats;
            Arc::increment_strong_count(stats);
            (*stats).retire((*this).weight);
        }
        // SAFETY: key and value are `Send` and `'static`, as the store's bounds ask for: any thread may drop them, at any later
        // time. That nobody reads them then, the head of the module says.
        unsafe { guard.defer_unchecked(move || Self::drop_payload(this)) };
    }

    /// The first deferral; made again for as long as somebody holds the node.
    ///
    /// # Safety
    ///
    /// The node was retired, and the pins of those who may read its key and value have ended.
    unsafe fn drop_payload(this: *mut Self) {
        // SAFETY: not freed yet.
        let node = unsafe { &*this };
        // Acquire: pairs with the drop of the last holder. None can come any more: see `NodeRef::new`.
        let holders = node.holders.load(Ordering::Acquire);
        if holders & !TAKEN > 0 {
            // SAFETY: as for this call.
            return unsafe { reclaim::defer_inside(this.cast(), |this| Self::drop_payload(this.cast())) };
        }
        // SAFETY: `retire` took this count of the statistics.
        let (stats, weight) = unsafe { (Arc::from_raw(node.stats), node.weight) };
        // SAFETY: nobody reads them any more, and they are dropped once, here.
        unsafe { Self::drop_key_and_value(this) };
        if holders & TAKEN == 0 {
            stats.free(weight);
        }
        // SAFETY: after this deferral nobody reaches the node at all: see the head of the module.
        unsafe { reclaim::defer_inside(this.cast(), |this| Self::free_memory(this.cast())) };
    }

    /// Drops key and value, unless that was taken, each on its own, so that a panic in one keeps neither the other nor the collector from its work.
    ///
    /// # Safety
    ///
    /// Nobody reads them any more; called once.
    unsafe fn drop_key_and_value(this: *mut Self) {
        // SAFETY: as the caller vouches; the cells allow it while the node is shared.
        reclaim::quietly(|| unsafe { ManuallyDrop::drop(&mut *(*this).key.get()) });
        // Acquire: as in `drop_payload`.
        // SAFETY: as the caller vouches.
        if unsafe { &*this }.holders.load(Ordering::Acquire) & TAKEN == 0 {
            // SAFETY: as above.
            reclaim::quietly(|| unsafe { ManuallyDrop::drop(&mut *(*this).value.get()) });
        }
    }

    /// # Safety
    ///
    /// The node was boxed, its key and value are dropped, and nobody reaches it.
    unsafe fn free_memory(this: *mut Self) {
        // SAFETY: as the caller vouches. What is left in the box drops nothing.
        drop(unsafe { Box::from_raw(this) });
    }

    /// Drops key and value and frees the node, at once.
    ///
    /// # Safety
    ///
    /// The node was boxed, and nobody else reaches it.
    pub unsafe fn free(this: *mut Self) {
        // SAFETY: as the caller vouches.
        unsafe {
            Self::drop_key_and_value(this);
            Self::free_memory(this);
        }
    }
}

// SAFETY: a node is shared by threads that read its key and value and may drop them on any thread; the rest is atomics and a
// pointer to statistics that any thread may use.
unsafe impl<K: Send + Sync, V: Send + Sync> Send for Node<K, V> {}
// SAFETY: as above.
unsafe impl<K: Send + Sync, V: Send + Sync> Sync for Node<K, V> {}

/// A claim on the value of a node: it can be read until this ends. On that of a light node it is a mere pin.
pub struct Claim<'g, K, V>(&'g Node<K, V>);

impl<'g, K, V> Claim<'g, K, V> {
    /// Claims the value of a node that was seen alive under the pin; nothing if the fragment has ended since, and was let go.
    #[inline]
    pub fn of(node: &'g Node<K, V>) -> Option<Self> {
        (!node.is_heavy() || node.claims.claim()).then_some(Self(node))
    }

    #[inline]
    pub fn node(&self) -> &'g Node<K, V> {
        self.0
    }

    /// Ends it; hands the value over if it was let go meanwhile and this was the last claim.
    #[inline]
    pub fn end(self) -> Option<V> {
        let left = self.left();
        core::mem::forget(self);
        left
    }

    #[inline]
    fn left(&self) -> Option<V> {
        if !self.0.is_heavy() || self.0.claims.unclaim() == Left::ToOthers {
            return None;
        }
        // SAFETY: whoever let go vouched that no view reads it; this was the last claim, made under the pin that `'g` stands for.
        Some(unsafe { self.0.take() })
    }
}

impl<K, V> Drop for Claim<'_, K, V> {
    fn drop(&mut self) {
        let left = self.left();
        reclaim::quietly(|| drop(left));
    }
}

/// A reference that keeps a node without a pin.
pub struct NodeRef<K, V>(ptr::NonNull<Node<K, V>>);

impl<K, V> NodeRef<K, V> {
    /// Holds a node that was not retired when the caller pinned.
    pub fn new(node: &Node<K, V>) -> Self {
        // Relaxed: the free looks at the count after the caller's pin has ended.
        node.holders.fetch_add(1, Ordering::Relaxed);
        Self(ptr::NonNull::from(node))
    }
}

impl<K, V> core::ops::Deref for NodeRef<K, V> {
    type Target = Node<K, V>;

    fn deref(&self) -> &Node<K, V> {
        // SAFETY: not freed while held.
        unsafe { self.0.as_ref() }
    }
}

impl<K, V> Drop for NodeRef<K, V> {
    fn drop(&mut self) {
        // Release: what this holder did is before the free.
        self.holders.fetch_sub(1, Ordering::Release);
    }
}
