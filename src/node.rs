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
//! A [`NodeRef`] keeps a node without a pin, on its way to the overflow hook: where there is one, the first deferral leaves key and value,
//! and the second deferral, to the last that goes. See [`holders`].
//!
//! A value can also go before that: see [`crate::claim`]. The first deferral then finds that it was taken.

mod claimed;
mod holders;
mod retire;

use core::cell::UnsafeCell;
use core::mem::ManuallyDrop;
use core::ptr;
use std::sync::Arc;

use crossbeam_epoch::Guard;

use crate::claim::Claims;
use crate::place::{Fit, Place, PlaceWord};
use crate::stats::Stats;
use crate::sync::{AtomicPtr, AtomicU64, Ordering};
use crate::tier::Tier;
use holders::Holders;

pub use claimed::Claim;
pub use retire::NodeRef;

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
    /// In bytes; and whether the value is claimed: see [`CLAIMED`].
    weight: u64,
    /// Who reads the value without a view: see [`crate::claim`].
    claims: Claims,
    /// Who keeps it without a pin.
    holders: Holders,
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

/// In the weight: owned operations claim the value before they read it. No weight has that bit: see [`crate::budget::MAX_BYTES`].
const CLAIMED: u64 = 1 << 63;

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
            weight: if claimed::is_to_be_claimed::<V>(weight, stats) { weight | CLAIMED } else { weight },
            claims: Claims::new(),
            holders: Holders::new(),
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
        self.weight & !CLAIMED
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
}

// SAFETY: a node is shared by threads that read its key and value and may drop them on any thread; the rest is atomics and a
// pointer to statistics that any thread may use.
unsafe impl<K: Send + Sync, V: Send + Sync> Send for Node<K, V> {}
// SAFETY: as above.
unsafe impl<K: Send + Sync, V: Send + Sync> Sync for Node<K, V> {}
