//! A fragment's node: key, value, weight, place word and last use, in one allocation.
//!
//! # Who may hold a node, and until when
//!
//! A node is its storer's until the index has it, and the index's from then on: the cell that holds it, or the chain of replacements
//! behind that cell. Whoever takes it out of the index retires it, once. A storer that gives its node up, because the caller's `Eq`
//! panicked or the clock has ended, retires it too, if an order has had it. Threads reach a node in two ways, both while pinned:
//!
//! - *Through the index.* It was not retired when its cell was read, and its successors were not either: a cell is swung past a
//!   successor before that is retired. So what was reached lives until the pin ends, as epochs have it.
//! - *Through an order's cell.* The cell may hold a node that has been retired, whose entry has not been cleared yet. But whoever is
//!   to clear the entry is pinned since before the node died, and clears it before it unpins:
//!     - Who moved the word away from the placement, or ended it, has read a live word under its pin.
//!     - Who filled the cell for a move that it then lost has read a live word under its pin, before it filled. It clears the entry if the
//!       word is beyond it, or leaves it to whoever moves the word away, whose clearing comes after the fill: it finds the
//!       filler's read-modify-write in the word. See [`crate::engine::entries`].
//!     - A storer that gives up its node clears the entry before it retires the node. Nobody else fills a cell with it.
//!
//!   So whoever reads the cell is pinned while a clearer is that is pinned since before the retirement, and thus at most one epoch after
//!   it: `reader <= clearer + 1 <= retired + 1`. (A late fill may be in a block that was taken out already. Then the reader has
//!   found that block before it was taken out, and so before the filler unpins: the same holds.) The node's memory is freed by a *second*
//!   deferral, made by the first, which is not before epoch `retired + 4`, and not while the reader is pinned. The same
//!   holds for the node's successors, which died after it, and so after that thread had pinned.
//!
//! Key and value are dropped by the first deferral already. Who reaches a node through the index may read them; who reaches it through
//! an order reads them only after it was seen to be published and its word said, under the same pin, that it is alive, so that it is
//! retired after the pin.
//!
//! A [`NodeRef`] keeps a node without a pin, on its way to the listener: where there is one, the first deferral leaves key and value,
//! and the second deferral, to the last that goes. See [`holders`].
//!
//! A value can also go before that: see [`crate::engine::claim`]. The first deferral then finds that it was taken.
//!
//! # A node with an age
//!
//! A node that was made with an [age](crate::engine::age) has it behind it, in the same allocation: [`Aged`]. Its flags say so, for good.

mod claimed;
mod holders;
mod retire;

use core::cell::UnsafeCell;
use core::mem::{ManuallyDrop, offset_of};
use core::ptr;
use std::alloc::Layout;
use std::sync::Arc;

use crossbeam_epoch::Guard;

use crate::engine::age::Age;
use crate::engine::claim::Claims;
use crate::engine::place::{Outcome, Place, PlaceWord};
use crate::engine::reclaim::memory;
use crate::engine::stats::Stats;
use crate::failpoint::{Step, reach};
use crate::sync::{AtomicU8, AtomicU64, Ordering};
use crate::tier::Tier;
use holders::Holders;

pub use claimed::Claim;
pub use retire::NodeRef;

/// A node. Aligned so that the low bits of its address are free for the index's flags.
#[repr(C, align(16))]
pub struct Node<K, V> {
    /// Where it is: see [`crate::engine::place`].
    pub place: PlaceWord,
    /// The last use: see [`LastUse`].
    pub last_use: LastUse,
    hash: u64,
    /// [`AGED`] from the beginning, or not; and [`PUBLISHED`], set by the storer, and by whoever sees that the index leads to the node; never reset.
    /// Before the key, so that it is beside the word whatever the key's size.
    flags: AtomicU8,
    /// Who reads the value without a view: see [`crate::engine::claim`]. Here it takes no room of its own, beside the flag.
    claims: Claims,
    /// Dropped while readers of the word may still hold the node: hence the cell.
    key: UnsafeCell<ManuallyDrop<K>>,
    /// As the key.
    value: UnsafeCell<ManuallyDrop<V>>,
    /// In bytes; and whether the value is claimed: see [`CLAIMED`].
    weight: u64,
    /// See [`Node::stamp`].
    stamp: u64,
    /// Who keeps it without a pin.
    holders: Holders,
    stats: *const Stats,
}

/// In the flags: see [`Node::is_published`].
const PUBLISHED: u8 = 1;
/// In the flags: see [`Node::age`].
const AGED: u8 = 2;

/// A node with an age.
#[repr(C)]
struct Aged<K, V> {
    node: Node<K, V>,
    age: Age,
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

    /// Sets that of a node that is not published.
    pub fn prepare(&self, tick: u64) {
        // Relaxed: published with the place word.
        self.0.store(tick, Ordering::Relaxed);
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

/// In the weight: owned operations claim the value before they read it. No weight has that bit: see [`crate::engine::budget::MAX_BYTES`].
const CLAIMED: u64 = 1 << 63;

impl<K, V> Node<K, V> {
    /// A node that nobody sees yet, for models and tests of parts. The tick was taken for it, and for nothing else.
    #[cfg(any(test, tierstack_loom, tierstack_shuttle, fuzzing))]
    #[cfg_attr(tierstack_shuttle, allow(dead_code, reason = "schedules are of whole stores"))]
    pub fn new(hash: u64, key: K, value: V, weight: u64, tick: u64, stats: &Arc<Stats>) -> Self {
        Self {
            place: PlaceWord::new(Place::fresh(Tier::Warm, tick)),
            last_use: LastUse::starting_at(tick),
            hash,
            flags: AtomicU8::new(0),
            claims: Claims::new(),
            key: UnsafeCell::new(ManuallyDrop::new(key)),
            value: UnsafeCell::new(ManuallyDrop::new(value)),
            weight: if claimed::is_to_be_claimed::<V>(weight, stats) { weight | CLAIMED } else { weight },
            stamp: tick,
            holders: Holders::new(),
            stats: Arc::as_ptr(stats),
        }
    }

    /// A node that nobody sees yet, and that has no tick, in memory as of a box.
    ///
    /// Key and value are moved there at once: a value may be too large to be moved about on the stack.
    #[inline]
    pub fn build(hash: u64, key: K, value: V, weight: u64, stats: &Arc<Stats>) -> ptr::NonNull<Self> {
        // SAFETY: allocated for a node.
        unsafe {
            Self::write(memory::allocate(const { Self::layout(false) }).cast(), hash, (key, value), weight, 0, stats)
        }
    }

    /// As [`Self::build`], with an age.
    pub fn build_aged(hash: u64, key: K, value: V, weight: u64, age: Age, stats: &Arc<Stats>) -> ptr::NonNull<Self> {
        let node = memory::allocate(const { Self::layout(true) }).cast::<Self>();
        // SAFETY: allocated for a node with an age behind it.
        unsafe {
            Self::write_age(node, age);
            Self::write(node, hash, (key, value), weight, AGED, stats)
        }
    }

    #[inline]
    const fn layout(is_aged: bool) -> Layout {
        if is_aged { Layout::new::<Aged<K, V>>() } else { Layout::new::<Self>() }
    }

    /// Makes a node of memory.
    ///
    /// # Safety
    ///
    /// The memory was allocated for a node, and is the caller's own; it has an age if the flags say so.
    #[inline]
    unsafe fn write(
        node: *mut Self,
        hash: u64,
        (key, value): (K, V),
        weight: u64,
        flags: u8,
        stats: &Arc<Stats>,
    ) -> ptr::NonNull<Self> {
        let weight = if claimed::is_to_be_claimed::<V>(weight, stats) { weight | CLAIMED } else { weight };
        // SAFETY: as the caller vouches, so that it is not null, and each field can be written. The cells of key and value have their layouts.
        unsafe {
            (&raw mut (*node).value).cast::<V>().write(value);
            (&raw mut (*node).key).cast::<K>().write(key);
            Self::write_the_rest(node, hash, weight, flags, Arc::as_ptr(stats));
            ptr::NonNull::new_unchecked(node)
        }
    }

    /// Puts an age behind a node.
    ///
    /// # Safety
    ///
    /// The memory was allocated for a node with an age, and is the caller's own.
    unsafe fn write_age(node: *mut Self, age: Age) {
        // SAFETY: as the caller vouches.
        unsafe { (&raw mut (*node.cast::<Aged<K, V>>()).age).write(age) };
        // Of the whole allocation: see `age`.
        node.expose_provenance();
    }

    /// Makes a node of memory that has its key and value.
    ///
    /// # Safety
    ///
    /// As [`Self::write`].
    #[inline]
    unsafe fn write_the_rest(node: *mut Self, hash: u64, weight: u64, flags: u8, stats: *const Stats) {
        // So that no field is forgotten below.
        #[rustfmt::skip]
        let _ = |node: &Self| {
            let Self { place: _, last_use: _, hash: _, key: _, flags: _, claims: _, value: _, weight: _, stamp: _, holders: _, stats: _ } = node;
        };
        // SAFETY: as the caller vouches.
        unsafe {
            (&raw mut (*node).place).write(PlaceWord::new(Place::fresh(Tier::Warm, 0)));
            (&raw mut (*node).last_use).write(LastUse::starting_at(0));
            (&raw mut (*node).hash).write(hash);
            (&raw mut (*node).flags).write(AtomicU8::new(flags));
            (&raw mut (*node).claims).write(Claims::new());
            (&raw mut (*node).weight).write(weight);
            (&raw mut (*node).stamp).write(0);
            (&raw mut (*node).holders).write(Holders::new());
            (&raw mut (*node).stats).write(stats);
        }
    }

    /// Gives it its first tick, which was taken for it, and for nothing else.
    pub fn begin(&mut self, tick: u64) {
        self.place.prepare(Place::fresh(Tier::Warm, tick));
        self.last_use.prepare(tick);
        self.stamp = tick;
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

    /// What its version is made of: the first tick that was taken for it, which stays where its placement takes another. See [`crate::store::version`].
    #[inline]
    pub fn stamp(&self) -> u64 {
        self.stamp
    }

    /// When it was last used: the last use, or the placement where that is younger.
    #[inline]
    pub fn recency(&self, place: Place) -> u64 {
        self.last_use.peek().max(place.tick())
    }

    /// Notes a use that has taken that tick; whether the fragment was alive at the end. Who notes the use of one that is alive goes on until every eviction is
    /// bound to see it: see [`crate::store`]'s `read`.
    #[inline]
    pub fn note_use(&self, tick: u64) -> bool {
        self.last_use.raise(tick);
        reach(Step::Raised);
        let place = self.place.load();
        place.is_touched() || self.mark_touched(place, tick)
    }

    /// Wait-free, but for other threads' changes of the word, each of which sends it round once.
    #[cold]
    fn mark_touched(&self, mut place: Place, tick: u64) -> bool {
        while place.tier().is_some() && place.tick() < tick && !place.is_touched() {
            match self.place.touch(place) {
                Outcome::Done(_) => return true,
                Outcome::Lost(now) => place = now,
            }
        }
        place.tier().is_some()
    }

    /// Whether the index is known to lead to the node. Evictions and iterations pass by what is not published: its storer has
    /// not finished, and nobody has seen the fragment.
    #[inline]
    pub fn is_published(&self) -> bool {
        // Acquire: pairs with `publish`. The word is from then on what evictions may go by.
        self.flags.load(Ordering::Acquire) & PUBLISHED != 0
    }

    /// Whether it is published and has no age, so that its word alone says whether the fragment is there.
    #[inline]
    pub fn is_plain(&self) -> bool {
        // Acquire: as above.
        self.flags.load(Ordering::Acquire) == PUBLISHED
    }

    /// Has evictions and iterations look at the node: by its storer, and by whoever sees that the index leads to it.
    #[inline]
    pub fn publish(&self) {
        // A plain load and store, as the one flag is only ever set, and the other never changes. Release: the word is seen with it.
        self.flags.store(self.age_flag() | PUBLISHED, Ordering::Release);
    }

    #[inline]
    fn age_flag(&self) -> u8 {
        // Relaxed: it was there before anybody else saw the node.
        self.flags.load(Ordering::Relaxed) & AGED
    }

    /// What it was made with.
    #[inline]
    pub fn age(&self) -> Option<&Age> {
        if self.age_flag() == 0 {
            return None;
        }
        let address = ptr::from_ref(self).addr() + offset_of!(Aged<K, V>, age);
        // SAFETY: it was made with an age there, by which its memory was exposed, and which is freed with it.
        Some(unsafe { &*ptr::with_exposed_provenance(address) })
    }

    /// What replaced a node whose word is `place`, if it was replaced.
    ///
    /// # Safety
    ///
    /// The caller read that word while pinned by `guard`, of a node that it reached through the index or an order under that pin; or
    /// it is alone with the store.
    #[inline]
    pub unsafe fn follow(place: Place, _guard: &Guard) -> Option<&Self> {
        // SAFETY: a successor died after the node itself, and lives as long: see the head of the module.
        place.successor().map(|successor| unsafe { successor.as_ref() })
    }
}

// SAFETY: a node is shared by threads that read its key and value and may drop them on any thread; the rest is atomics and a
// pointer to statistics that any thread may use.
unsafe impl<K: Send + Sync, V: Send + Sync> Send for Node<K, V> {}
// SAFETY: as above.
unsafe impl<K: Send + Sync, V: Send + Sync> Sync for Node<K, V> {}
