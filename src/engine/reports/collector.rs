//! A collector: what one snapshot is told. The protocol stands at the head of [`super`].

use core::ptr;
use core::ptr::with_exposed_provenance_mut;

use crossbeam_epoch::Guard;

use super::walk::Walk;
use crate::engine::node::Node;
use crate::engine::place::Place;
use crate::sync::{AtomicPtr, AtomicUsize, Ordering};
use crate::tier::Tier;

/// The mark of a stack that takes no more batches, in the low bit of an address.
const BLOCKED: usize = 1;

/// How many reports are remembered as told, a power of two.
const TOLD: usize = if cfg!(any(tierstack_loom, tierstack_shuttle)) { 2 } else { 16 };

/// A set of tiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiers(u8);

impl Tiers {
    pub const ALL: Self = Self(0b111);

    pub const fn only(tier: Tier) -> Self {
        Self(1 << tier as u8)
    }

    pub const fn contain(self, tier: Tier) -> bool {
        self.0 & Self::only(tier).0 != 0
    }

    /// Whether these contain all of the others.
    pub const fn cover(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// The tiers, from hot to cold.
    pub fn each(self) -> impl Iterator<Item = Tier> {
        Tier::ALL.into_iter().filter(move |tier| self.contain(*tier))
    }
}

/// A node, and a word that it has had since the activation.
pub struct Record<K, V> {
    /// To be read only where it is alive by the furthest word.
    pub node: *const Node<K, V>,
    /// Its name: another node may come to stand at its address.
    pub stamp: u64,
    pub place: Place,
}

impl<K, V> Clone for Record<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Record<K, V> {}

impl<K, V> Record<K, V> {
    pub fn new(node: &Node<K, V>, place: Place) -> Self {
        Self { node, stamp: node.stamp(), place }
    }

    /// Calls `visit` with a node and each that has replaced it, as they are now.
    pub fn chain<'n>(mut node: &'n Node<K, V>, guard: &'n Guard, mut visit: impl FnMut(Self)) {
        loop {
            let place = node.place.load();
            visit(Self::new(node, place));
            // SAFETY: the caller has reached the first node under the pin.
            match unsafe { Node::follow(place, guard) } {
                Some(successor) => node = successor,
                None => return,
            }
        }
    }

    fn says_the_same_as(&self, other: &Self) -> bool {
        self.stamp == other.stamp && (self.place == other.place || self.place.is_same_placement(other.place))
    }
}

/// What is pushed at once: a node and its successors.
pub struct Batch<K, V> {
    below: *mut Self,
    /// How many records this and those below have.
    total: usize,
    first: Record<K, V>,
    rest: Vec<Record<K, V>>,
}

impl<K, V> Batch<K, V> {
    /// The words of the node and its successors.
    pub(super) fn of_chain(node: &Node<K, V>, guard: &Guard) -> Self {
        // Does not allocate where nothing has replaced the node.
        let (mut first, mut rest) = (None, Vec::new());
        Record::chain(node, guard, |record| match first {
            None => first = Some(record),
            Some(_) => rest.push(record),
        });
        let first = first.unwrap_or_else(|| Record::new(node, node.place.load()));
        Self { below: ptr::null_mut(), total: 0, first, rest }
    }
}

/// The outcome of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Pushed {
    Done,
    /// The snapshot's instant has come before.
    Blocked,
}

/// What one snapshot collects.
pub struct Collector<K, V> {
    /// The address of the last batch, and whether there may be others.
    head: AtomicUsize,
    /// The records of the walk that was finished first; null until then.
    walk: AtomicPtr<Vec<Record<K, V>>>,
    /// Reports that were pushed, by their nodes' stamps. Anyone may write it; a guess.
    told: [AtomicPtr<Record<K, V>>; TOLD],
    tiers: Tiers,
    limit: usize,
}

impl<K, V> Collector<K, V> {
    pub(super) fn new(tiers: Tiers, limit: usize) -> Self {
        let told = core::array::from_fn(|_| AtomicPtr::new(ptr::null_mut()));
        Self { head: AtomicUsize::new(0), walk: AtomicPtr::new(ptr::null_mut()), told, tiers, limit }
    }

    /// The tiers that are walked.
    pub fn tiers(&self) -> Tiers {
        self.tiers
    }

    /// The last batch of a head.
    fn batch<'c>(head: usize) -> Option<&'c Batch<K, V>> {
        // SAFETY: a batch is freed with its collector, which the caller has.
        unsafe { with_exposed_provenance_mut::<Batch<K, V>>(head & !BLOCKED).as_ref() }
    }

    fn told(&self, stamp: u64) -> &AtomicPtr<Record<K, V>> {
        #[expect(clippy::cast_possible_truncation, reason = "masked")]
        let number = stamp as usize % TOLD;
        &self.told[number]
    }

    /// Whether this very report was pushed before.
    pub(super) fn was_told(&self, batch: &Batch<K, V>) -> bool {
        // Acquire: pairs with the store after that push. SAFETY: a record is freed with its batch, and so with the collector.
        let told = unsafe { self.told(batch.first.stamp).load(Ordering::Acquire).as_ref() };
        batch.rest.is_empty() && told.is_some_and(|told| told.says_the_same_as(&batch.first))
    }

    /// Adds a batch, all of it or nothing.
    pub(super) fn push(&self, batch: Batch<K, V>) -> Pushed {
        const { assert!(align_of::<Batch<K, V>>() > BLOCKED) };
        let is_single = batch.rest.is_empty();
        let batch = Box::into_raw(Box::new(batch));
        let address = batch.expose_provenance();
        // SeqCst: whoever finds the mark is after the block, in the one order.
        let mut head = self.head.load(Ordering::SeqCst);
        loop {
            if head & BLOCKED != 0 {
                // SAFETY: made above, and nobody else has seen it.
                drop(unsafe { Box::from_raw(batch) });
                return Pushed::Blocked;
            }
            let below = Self::batch(head).map_or(0, |below| below.total);
            // SAFETY: as above.
            unsafe {
                (*batch).below = with_exposed_provenance_mut(head);
                (*batch).total = below + 1 + (*batch).rest.len();
            }
            // SeqCst: publishes the batch; on a loss, as above.
            match self.head.compare_exchange_weak(head, address, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        if is_single {
            // SAFETY: freed with the collector, and not changed any more.
            let (record, stamp) = unsafe { (&raw mut (*batch).first, (*batch).first.stamp) };
            // After the push, never before: who finds it need not push it. Release: it is seen whole.
            self.told(stamp).store(record, Ordering::Release);
        }
        Pushed::Done
    }

    /// Whether it was told as much as its limit, so that whoever reports is to end it.
    pub(super) fn is_due(&self) -> bool {
        // Acquire: the batch is read.
        Self::batch(self.head.load(Ordering::Acquire)).is_some_and(|last| last.total >= self.limit)
    }

    /// Whether a walk was set: another would be for nothing.
    pub fn is_walked(&self) -> bool {
        // Acquire: pairs with the CAS that set it.
        !self.walk.load(Ordering::Acquire).is_null()
    }

    /// Sets what a walk has met, if no other was finished before.
    pub fn set_walk(&self, walk: Walk<K, V>) {
        let walk = Box::into_raw(Box::new(walk.into_records()));
        // Release: whoever sees it sees the records. Relaxed on a loss: it is not used.
        if self.walk.compare_exchange(ptr::null_mut(), walk, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            // SAFETY: made above, and nobody else has seen it.
            drop(unsafe { Box::from_raw(walk) });
        }
    }

    /// Takes no more reports, from this instant on if not before: that of the snapshot.
    pub fn block(&self) {
        // SeqCst: after all that was told, and before what whoever finds the mark does.
        self.head.fetch_or(BLOCKED, Ordering::SeqCst);
    }

    pub(super) fn is_blocked(&self) -> bool {
        // SeqCst: who joins has been counted as a view before the block.
        self.head.load(Ordering::SeqCst) & BLOCKED != 0
    }

    /// All that is in it when it is blocked.
    pub(super) fn content(&self) -> Content<K, V> {
        // Acquire: pairs with the pushes; nothing is pushed any more.
        let head = self.head.load(Ordering::Acquire);
        debug_assert!(head & BLOCKED != 0);
        // Acquire: pairs with the CAS that set the walk, which was before the block.
        Content { head: with_exposed_provenance_mut(head & !BLOCKED), walk: self.walk.load(Ordering::Acquire) }
    }

    /// What the walk has met. It was set before.
    pub(super) fn walked<'g>(&self, _guard: &'g Guard) -> &'g [Record<K, V>] {
        // SAFETY: freed with the collector, after the pin.
        unsafe { self.content().walk.as_ref() }.map_or(&[], Vec::as_slice)
    }

    /// Calls `visit` with all that was told before the block.
    pub(super) fn visit_told(&self, _guard: &Guard, mut visit: impl FnMut(Record<K, V>)) {
        let mut batch = self.content().head;
        // SAFETY: freed with the collector, after the pin.
        while let Some(told) = unsafe { batch.as_ref() } {
            visit(told.first);
            told.rest.iter().for_each(|record| visit(*record));
            batch = told.below;
        }
    }

    /// How many records were told.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        // Acquire: the batch is read.
        Self::batch(self.head.load(Ordering::Acquire)).map_or(0, |last| last.total)
    }
}

/// What a collector owns, apart from its atomics: a deferred free touches none of those.
pub struct Content<K, V> {
    head: *mut Batch<K, V>,
    walk: *mut Vec<Record<K, V>>,
}

impl<K, V> Content<K, V> {
    /// Frees it all.
    ///
    /// # Safety
    ///
    /// It is the content of that collector, which was boxed, and nobody else reaches it.
    pub(super) unsafe fn free_with(self, collector: *mut Collector<K, V>) {
        let mut batch = self.head;
        while !batch.is_null() {
            // SAFETY: boxed by its push, and freed once, here.
            batch = unsafe { Box::from_raw(batch) }.below;
        }
        if !self.walk.is_null() {
            // SAFETY: boxed when it was set.
            drop(unsafe { Box::from_raw(self.walk) });
        }
        // SAFETY: as the caller vouches.
        drop(unsafe { Box::from_raw(collector) });
    }
}
