//! A version's log: a stack of entries, of which each is pushed by one CAS, until a seal is pushed on them.
//!
//! - *Purpose*: what was recorded while the plan's structure stood still, in order.
//! - *Who runs it*: any thread pushes; any thread reads what it has found at or below a head.
//! - *States*: the head is null, an entry, or a seal. It goes from one to the next by one CAS, each entry's `below` is what the CAS
//!   replaced, and a seal is never replaced. An entry does not change once it is pushed.
//! - *Memory*: entries live as long as their log, so that heads never recur.
//! - *Orderings*: the CAS releases the entry, and what its pusher acquired, which is all that lies below; whoever acquires the head so
//!   acquires the whole stack. That is enough for each plan. Both are `SeqCst` besides, so that several plans are linearizable together: with
//!   less, two threads that each record in one plan and then look at the other's could both see neither record.
//!
//! The log knows a seal's payload only as a type, `N`: what the next version is, is [`crate::changeset::version`]'s business.

use core::marker::PhantomData;
use core::ptr;
use core::slice;

use super::id::ChangesetId;
use crate::drops;
use crate::sync::{AtomicPtr, Ordering};

/// What an entry holds.
pub enum Content<C, N> {
    /// One change.
    Record(C),
    /// Changes that were recorded at once.
    Batch(Batch<C>),
    /// The end of the log, and what comes after.
    Seal(N),
}

/// Several changes, behind one pointer: most entries are single records, which it is not to make larger.
pub struct Batch<C>(Box<Box<[C]>>);

impl<C> Batch<C> {
    /// Without the vector's spare room, which would be kept for as long as the plan.
    pub fn new(changes: Vec<C>) -> Self {
        Self(Box::new(changes.into_boxed_slice()))
    }

    pub fn into_vec(self) -> Vec<C> {
        self.0.into_vec()
    }
}

impl<C, N> Content<C, N> {
    pub fn into_seal(self) -> Option<N> {
        match self {
            Self::Seal(next) => Some(next),
            _ => None,
        }
    }
}

/// An entry of a log.
pub struct Entry<C, N> {
    below: *mut Entry<C, N>,
    /// The sequence number of its last event.
    last: u64,
    /// Which changeset the changes are in; of no meaning in a seal.
    changeset: ChangesetId,
    content: Content<C, N>,
}

// SAFETY: its pointer is to another entry of its log, which it does nothing to but read it.
unsafe impl<C: Send + Sync, N: Send + Sync> Send for Entry<C, N> {}
// SAFETY: as above.
unsafe impl<C: Send + Sync, N: Send + Sync> Sync for Entry<C, N> {}

impl<C, N> Entry<C, N> {
    /// An entry that is not pushed; what it is to say is [written](Self::aim) before each attempt.
    pub fn new(content: Content<C, N>) -> Self {
        Self { below: ptr::null_mut(), last: 0, changeset: ChangesetId::from_index(0), content }
    }

    /// Says where the entry is to stand.
    #[inline]
    pub fn aim(&mut self, changeset: ChangesetId, last: u64) {
        (self.changeset, self.last) = (changeset, last);
    }

    pub fn content(&self) -> &Content<C, N> {
        &self.content
    }

    pub fn into_content(self) -> Content<C, N> {
        self.content
    }

    pub fn changeset(&self) -> ChangesetId {
        self.changeset
    }

    pub fn last(&self) -> u64 {
        self.last
    }

    /// The changes, the first of which has the sequence number `last + 1 - len`.
    pub fn changes(&self) -> &[C] {
        match &self.content {
            Content::Record(change) => slice::from_ref(change),
            Content::Batch(changes) => &changes.0,
            Content::Seal(_) => &[],
        }
    }

    /// What lies below, for as long as the log is borrowed.
    pub fn below(&self) -> Position<'_, C, N> {
        Position { entry: self.below, log: PhantomData }
    }
}

/// An entry of a log that is borrowed, or the place below all.
pub struct Position<'a, C, N> {
    entry: *mut Entry<C, N>,
    log: PhantomData<&'a Entry<C, N>>,
}

impl<C, N> Clone for Position<'_, C, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C, N> Copy for Position<'_, C, N> {}

impl<'a, C, N> Position<'a, C, N> {
    /// # Safety
    ///
    /// The entry is null, or is of a log that is borrowed for `'a`.
    #[inline]
    pub unsafe fn from_raw(entry: *mut Entry<C, N>) -> Self {
        Self { entry, log: PhantomData }
    }

    #[inline]
    pub fn as_raw(self) -> *mut Entry<C, N> {
        self.entry
    }

    #[inline]
    pub fn entry(self) -> Option<&'a Entry<C, N>> {
        // SAFETY: the entry, where there is one, is of a log that is borrowed for 'a, and was acquired with the head from which it
        // was found; nobody changes it before the log is dropped.
        unsafe { self.entry.as_ref() }
    }
}

// SAFETY: it is a reference to an entry, which is shared.
unsafe impl<C: Send + Sync, N: Send + Sync> Send for Position<'_, C, N> {}
// SAFETY: as above.
unsafe impl<C: Send + Sync, N: Send + Sync> Sync for Position<'_, C, N> {}

/// The stack of entries.
pub struct Log<C, N> {
    /// Written by pushers, read by all.
    head: AtomicPtr<Entry<C, N>>,
}

// SAFETY: the log owns its entries, as a `Vec` would, and lends them to many threads at once.
unsafe impl<C: Send + Sync, N: Send + Sync> Send for Log<C, N> {}
// SAFETY: as above; changes are moved in by one thread, and dropped by another.
unsafe impl<C: Send + Sync, N: Send + Sync> Sync for Log<C, N> {}

impl<C, N> Log<C, N> {
    pub fn new() -> Self {
        Self { head: AtomicPtr::new(ptr::null_mut()) }
    }

    #[inline]
    pub fn head(&self) -> Position<'_, C, N> {
        // Acquires: pairs with the release in `push`, of this entry and so of all below. SeqCst: see the head of the module.
        Position { entry: self.head.load(Ordering::SeqCst), log: PhantomData }
    }

    /// Pushes the entry, if the head is still `below`; or hands it back.
    #[inline]
    pub fn push(&self, below: Position<'_, C, N>, mut entry: Box<Entry<C, N>>) -> Result<(), Box<Entry<C, N>>> {
        entry.below = below.as_raw();
        let entry = Box::into_raw(entry);
        // Releases: pairs with the acquire in `head`. SeqCst: see the head of the module. Relaxed: a loser looks at the head again.
        match self.head.compare_exchange(below.as_raw(), entry, Ordering::SeqCst, Ordering::Relaxed) {
            Ok(_) => Ok(()),
            // SAFETY: nobody has seen it.
            Err(_) => Err(unsafe { Box::from_raw(entry) }),
        }
    }
}

impl<C, N> Drop for Log<C, N> {
    /// Drops what is in it, the newest first, without recursion.
    fn drop(&mut self) {
        // Acquire: whoever owns the log has synchronized with all pushers, but a model need not be told how.
        let mut next = self.head.load(Ordering::Acquire);
        while !next.is_null() {
            // SAFETY: each entry came from `Box::into_raw`, the log owns it, and nobody borrows the log.
            let entry = unsafe { Box::from_raw(next) };
            next = entry.below;
            // A change's destructor that panics must not keep the others from being dropped. Those of a batch one by one, too: a second
            // panic while the first unwinds would be the end of the process.
            match entry.into_content() {
                Content::Batch(batch) => {
                    batch.into_vec().into_iter().rev().for_each(|change| drops::quietly(|| drop(change)));
                }
                content => drops::quietly(|| drop(content)),
            }
        }
    }
}
