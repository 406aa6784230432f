//! A fragment's node: key, value, weight, place word, last use and successor, in one allocation.
//!
//! # Ownership
//!
//! A node counts its owners: one for the index (the cell that holds it, or the chain of successors behind that cell), one for
//! each order cell that holds it, one for each [`NodeRef`]. Whoever gives up the last count defers the free through the epoch, so that
//! a node is never freed under a pinned thread that found it. A count is only ever raised from above zero: a helper that comes
//! after the last owner is told so and lists nothing.
//!
//! The successor is not counted. It is followed only from a node whose word says *replaced, not settled*: the index cell is not
//! swung before the node is settled, so whoever reads such a word while pinned is pinned since before the successor could
//! be retired.

use core::mem::ManuallyDrop;
use core::panic::AssertUnwindSafe;
use core::ptr;
use std::panic::catch_unwind;
use std::sync::Arc;

use crossbeam_epoch::Guard;

use crate::metrics::Retired;
use crate::place::{Outcome, Place, PlaceWord, State};
use crate::sync::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use crate::tier::Tier;

/// Set in the owners' word when the index has given the node up; the count is below it.
const RETIRED: usize = 1 << (usize::BITS - 1);

/// A node. Aligned so that the low bits of its address are free for the index's flags.
#[repr(C, align(64))]
pub struct Node<K, V> {
    /// Where it is: see [`crate::place`].
    pub place: PlaceWord,
    /// The last use: see [`LastUse`].
    pub last_use: LastUse,
    /// Set once by the storer that announces a successor; never overridden.
    successor: AtomicPtr<Self>,
    hash: u64,
    key: ManuallyDrop<K>,
    value: ManuallyDrop<V>,
    weight: u64,
    /// What its storer has fixed when it announced this node as a successor: a packed [`Grant`].
    grant: AtomicU64,
    /// Owners; the top bit says that the index is none of them any more.
    owners: AtomicUsize,
    retired: *const Retired,
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

    /// Its value, perhaps stale.
    #[inline]
    pub fn peek(&self) -> u64 {
        // Relaxed: for the slack of recency and for the order of an iteration, which tolerate a stale one.
        self.0.load(Ordering::Relaxed)
    }
}

/// What a storer fixes when it announces a successor, and every helper goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Bytes of hot reserved for the successor. They are its own from the announcement on; the winner of the commit gives back
    /// what is too much.
    pub bytes: u64,
    /// Where it goes.
    pub fit: Fit,
}

/// Into which tier a successor goes when it takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Warm.
    Never,
    /// Hot if its predecessor was hot, whose bytes make up the difference; else warm.
    AfterHot,
    /// Hot: its own reservation covers it.
    Always,
}

impl Grant {
    /// The successor's tier.
    pub const fn tier(self, predecessor_was_hot: bool) -> Tier {
        match self.fit {
            Fit::Always => Tier::Hot,
            Fit::AfterHot if predecessor_was_hot => Tier::Hot,
            Fit::AfterHot | Fit::Never => Tier::Warm,
        }
    }

    const fn pack(self) -> u64 {
        self.bytes << 2 | self.fit as u64
    }

    const fn unpack(word: u64) -> Self {
        let fit = match word & 3 {
            0 => Fit::Never,
            1 => Fit::AfterHot,
            _ => Fit::Always,
        };
        Self { bytes: word >> 2, fit }
    }
}

/// How an announcement of a successor ended.
pub enum Announced {
    /// It is the node's successor.
    Done,
    /// The node has another.
    Taken,
}

impl<K, V> Node<K, V> {
    /// A node that nobody sees yet, owned once: by the index, as soon as it is published.
    pub fn new(hash: u64, key: K, value: V, weight: u64, tick: u64, retired: &Arc<Retired>) -> Self {
        Self {
            place: PlaceWord::new(Place::pending(tick)),
            last_use: LastUse::starting_at(tick),
            successor: AtomicPtr::new(ptr::null_mut()),
            hash,
            key: ManuallyDrop::new(key),
            value: ManuallyDrop::new(value),
            weight,
            grant: AtomicU64::new(Grant { bytes: 0, fit: Fit::Never }.pack()),
            owners: AtomicUsize::new(1),
            retired: Arc::as_ptr(retired),
        }
    }

    #[inline]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    #[inline]
    pub fn key(&self) -> &K {
        &self.key
    }

    #[inline]
    pub fn value(&self) -> &V {
        &self.value
    }

    /// In bytes.
    #[inline]
    pub fn weight(&self) -> u64 {
        self.weight
    }

    /// When it was last used: the last use, or the placement where that is younger.
    #[inline]
    pub fn recency(&self, place: Place) -> u64 {
        self.last_use.peek().max(place.tick())
    }

    /// What its storer granted it.
    pub fn grant(&self) -> Grant {
        // Relaxed: written before the announcement, which the reader has acquired.
        Grant::unpack(self.grant.load(Ordering::Relaxed))
    }

    /// Fixes the grant of a successor that is to be announced.
    pub fn prepare_successor(&self, tick: u64, grant: Grant) {
        self.place.prepare(Place::pending(tick));
        // Relaxed: published by the announcement.
        self.grant.store(grant.pack(), Ordering::Relaxed);
    }

    /// Makes `successor` this node's successor, if it has none.
    pub fn announce(&self, successor: &Self) -> Announced {
        let successor = ptr::from_ref(successor).cast_mut();
        // Release: publishes the successor to whoever follows the pointer. Acquire on a loss: the other one is followed.
        match self.successor.compare_exchange(ptr::null_mut(), successor, Ordering::Release, Ordering::Acquire) {
            Ok(_) => Announced::Done,
            Err(_) => Announced::Taken,
        }
    }

    /// The announced successor.
    ///
    /// # Safety
    ///
    /// The caller is pinned by `guard`, and this node's word is *replaced*. Under the guard it has either reached the node through an
    /// index cell, or read a word of it that is not settled: only then has the successor not been retired before the pin.
    pub unsafe fn successor<'g>(&self, _guard: &'g Guard) -> Option<&'g Self> {
        // SAFETY: not null means announced, and the caller vouches that it has not been retired since before the pin.
        // Acquire: pairs with the announcement.
        unsafe { self.successor.load(Ordering::Acquire).as_ref() }
    }

    /// Resolves and returns what replaced this node; `None` unless its word says replaced and unsettled.
    pub fn effective_successor<'g>(&self, place: Place, guard: &'g Guard) -> Option<&'g Self> {
        let State::Replaced { was_hot } = place.state() else { return None };
        if place.is_settled() {
            return None;
        }
        // SAFETY: `place` is replaced and not settled, read under the guard.
        let successor = unsafe { self.successor(guard) }?;
        successor.resolve(was_hot);
        Some(successor)
    }

    /// Of a successor: places it, once its predecessor is replaced.
    pub fn resolve(&self, predecessor_was_hot: bool) {
        self.place.resolve(self.grant().tier(predecessor_was_hot));
    }

    /// Marks the node as settled: its successor has been listed.
    pub fn settle(&self) {
        let mut place = self.place.load();
        while !place.is_settled() {
            match self.place.settle(place) {
                Outcome::Done(_) => return,
                Outcome::Lost(now) => place = now,
            }
        }
    }
}

/// What is shared by counted owners: a node, or a stand-in in a model.
pub trait Counted {
    /// Becomes one more owner, unless there is none left.
    fn try_own(&self) -> bool;

    /// Gives up one count.
    ///
    /// # Safety
    ///
    /// The caller holds that count and does not use `this` on its account again. `guard` pins the current thread, or is
    /// [`crossbeam_epoch::unprotected`] where no other thread can reach the object.
    unsafe fn disown(this: *const Self, guard: &Guard);
}

impl<K, V> Counted for Node<K, V> {
    fn try_own(&self) -> bool {
        // Relaxed: the caller is pinned and has found the node, so that it is not freed; a count only keeps it.
        let mut owners = self.owners.load(Ordering::Relaxed);
        while owners & !RETIRED > 0 {
            // Relaxed: as above.
            match self.owners.compare_exchange_weak(owners, owners + 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => owners = now,
            }
        }
        false
    }

    unsafe fn disown(this: *const Self, guard: &Guard) {
        // SAFETY: the caller's count keeps the node.
        let node = unsafe { &*this };
        // AcqRel: the last one out sees all that the others did to the node.
        if node.owners.fetch_sub(1, Ordering::AcqRel) & !RETIRED == 1 {
            // SAFETY: no owner is left, and none can come: see `try_own`.
            unsafe { Self::free_later(this, guard) };
        }
    }
}

impl<K, V> Node<K, V> {
    /// Gives up the index's count of a dead node, and counts its bytes as retired until it is freed.
    ///
    /// # Safety
    ///
    /// Called once for each node, by whoever took it (or the chain it stands in) out of the index. Otherwise as
    /// [`Counted::disown`].
    pub unsafe fn retire(this: *const Self, guard: &Guard) {
        // SAFETY: the index's count keeps the node.
        let node = unsafe { &*this };
        // SAFETY: `retired` is the store's, which is alive while the index is; the count taken here keeps it until the free.
        let retired = unsafe {
            Arc::increment_strong_count(node.retired);
            &*node.retired
        };
        let due = retired.add(node.weight);
        // AcqRel: as in `disown`. Takes one owner off and sets the mark, at once.
        if node.owners.fetch_add(RETIRED - 1, Ordering::AcqRel) == 1 {
            // SAFETY: as in `disown`.
            unsafe { Self::free_later(this, guard) };
        }
        if due {
            guard.flush();
        }
    }

    /// # Safety
    ///
    /// The node has no owner left; `guard` is as for [`Counted::disown`].
    unsafe fn free_later(this: *const Self, guard: &Guard) {
        let this = this.cast_mut();
        // SAFETY: nobody can reach the node any more but those who are pinned now; the closure runs when they are not.
        // Key and value are `Send`, as the store's bounds ask for, so that any thread may drop them; they are
        // `'static`, as they may outlive the store.
        unsafe { guard.defer_unchecked(move || Self::free(this)) };
    }

    /// Drops key and value, each on its own, so that a panic in one keeps neither the other nor the collector from its work.
    ///
    /// # Safety
    ///
    /// The node was boxed, has no owner left, and nobody reaches it.
    unsafe fn free(this: *mut Self) {
        // SAFETY: the caller hands over the only access. The content of a `ManuallyDrop` is dropped once, here, and the
        // box afterwards frees the allocation alone.
        unsafe {
            let mut node = Box::from_raw(this.cast::<ManuallyDrop<Self>>());
            drop_quietly(|| ManuallyDrop::drop(&mut node.key));
            drop_quietly(|| ManuallyDrop::drop(&mut node.value));
            // Relaxed: nobody else has access.
            if node.owners.load(Ordering::Relaxed) & RETIRED != 0 {
                // SAFETY: `retire` took this count.
                let retired = Arc::from_raw(node.retired);
                retired.sub(node.weight);
            }
        }
    }
}

/// Runs a caller's destructor; a panic in it ends there.
fn drop_quietly(destroy: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(destroy)) {
        // The payload's own destructor may panic as well.
        core::mem::forget(payload);
    }
}

impl<K, V> Drop for Node<K, V> {
    /// Only for nodes that are dropped as boxes, before they were published: an unwinding storer.
    fn drop(&mut self) {
        // SAFETY: dropped once, here; `free` never runs this.
        unsafe {
            ManuallyDrop::drop(&mut self.key);
            ManuallyDrop::drop(&mut self.value);
        }
    }
}

// SAFETY: a node is shared by threads that read its key and value and may drop them on any thread; the rest is atomics and a
// pointer to a counter that any thread may use.
unsafe impl<K: Send + Sync, V: Send + Sync> Send for Node<K, V> {}
// SAFETY: as above.
unsafe impl<K: Send + Sync, V: Send + Sync> Sync for Node<K, V> {}

/// A counted reference that keeps a node without a pin.
pub struct NodeRef<K, V>(ptr::NonNull<Node<K, V>>);

impl<K, V> NodeRef<K, V> {
    /// One more owner of a node that the caller found while pinned; `None` if it has no owner left.
    pub fn new(node: &Node<K, V>) -> Option<Self> {
        node.try_own().then(|| Self(ptr::NonNull::from(node)))
    }
}

impl<K, V> core::ops::Deref for NodeRef<K, V> {
    type Target = Node<K, V>;

    fn deref(&self) -> &Node<K, V> {
        // SAFETY: the count keeps the node.
        unsafe { self.0.as_ref() }
    }
}

impl<K, V> Drop for NodeRef<K, V> {
    fn drop(&mut self) {
        // SAFETY: the count is this reference's, and it is not used again.
        unsafe { Node::disown(self.0.as_ptr(), &crossbeam_epoch::pin()) };
    }
}
