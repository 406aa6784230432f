//! A snapshot's changes by changeset, made on first use.
//!
//! Two threads that need it at the same time both make it; the first to publish it by CAS wins, and the other's is dropped. Nobody waits.

use core::ptr;
use core::slice;
use std::sync::Arc;

use super::event::{EventKind, Record};
use super::id::{ChangesetId, Sequence};
use super::walk::{Walk, backwards};
use crate::sync::{AtomicPtr, Ordering};

/// A change of a snapshot's version, or of one before it.
struct Located<C> {
    sequence: Sequence,
    change: *const C,
}

// SAFETY: it is a reference to a change.
unsafe impl<C: Sync> Send for Located<C> {}
// SAFETY: as above.
unsafe impl<C: Sync> Sync for Located<C> {}

/// The changes that are not rolled back, by changeset, each in order.
pub struct Index<C> {
    changes: Box<[Located<C>]>,
    /// Where each changeset's begin, and one more: where the last's end.
    starts: Box<[usize]>,
}

impl<C> Index<C> {
    /// Over `started` changesets. O(changesets + changes).
    fn new(walk: &Walk<'_, C>, started: u64) -> Self {
        // As many as are in memory. The changesets' counts, each one place further on, become the places where they begin.
        let mut starts = vec![0; usize::try_from(started).unwrap_or(usize::MAX) + 1];
        let mut ids = Vec::new();
        let mut located = Vec::new();
        for event in backwards(walk.clone()) {
            if let EventKind::Recorded { changeset, change } = event.kind {
                let id = place(changeset);
                starts[id + 1] += 1;
                ids.push(id);
                located.push(Located { sequence: event.sequence, change: ptr::from_ref(change) });
            }
        }
        for id in 1..starts.len() {
            starts[id] += starts[id - 1];
        }
        // A counting sort, from the oldest on. `order[i]` is which of the located, newest first, comes i-th.
        let mut next = starts.clone();
        let mut order = vec![0; located.len()];
        for at in (0..located.len()).rev() {
            order[next[ids[at]]] = at;
            next[ids[at]] += 1;
        }
        let changes = order.into_iter().map(|at| Located { ..located[at] }).collect();
        Self { changes, starts: starts.into() }
    }

    fn of(&self, changeset: ChangesetId) -> &[Located<C>] {
        let id = place(changeset);
        match (self.starts.get(id), self.starts.get(id + 1)) {
            (Some(&start), Some(&end)) => &self.changes[start..end],
            _ => &[],
        }
    }
}

fn place(changeset: ChangesetId) -> usize {
    usize::try_from(changeset.index()).unwrap_or(usize::MAX - 1)
}

/// An index that may not have been made yet.
pub struct Lazy<C> {
    /// Null, or from `Arc::into_raw`. It changes once.
    index: AtomicPtr<Index<C>>,
}

// SAFETY: as an `Arc` of an index.
unsafe impl<C: Sync> Send for Lazy<C> {}
// SAFETY: as above.
unsafe impl<C: Sync> Sync for Lazy<C> {}

impl<C> Lazy<C> {
    pub fn new() -> Self {
        Self { index: AtomicPtr::new(ptr::null_mut()) }
    }

    /// The changes of a changeset, in order.
    ///
    /// # Safety
    ///
    /// `walk` and `started` are the same in each call on this, or a clone of it, and what is walked through outlives `'a`.
    pub unsafe fn of<'a>(&'a self, changeset: ChangesetId, walk: &Walk<'a, C>, started: u64) -> Changes<'a, C> {
        Changes { changeset, located: self.get(|| Index::new(walk, started)).of(changeset).iter() }
    }

    fn get(&self, make: impl FnOnce() -> Index<C>) -> &Index<C> {
        // Acquire: pairs with the release below.
        let mut index = self.index.load(Ordering::Acquire);
        if index.is_null() {
            let own = Arc::into_raw(Arc::new(make())).cast_mut();
            let null = ptr::null_mut();
            // Release: publishes what was made. Acquire: pairs with the release of whoever was first.
            index = match self.index.compare_exchange(null, own, Ordering::Release, Ordering::Acquire) {
                Ok(_) => own,
                Err(first) => {
                    // SAFETY: nobody has seen it.
                    drop(unsafe { Arc::from_raw(own) });
                    first
                }
            };
        }
        // SAFETY: it is not null any more, was acquired, and is owned for as long as `self` lives.
        unsafe { &*index }
    }
}

impl<C> Clone for Lazy<C> {
    /// Shares what has been made.
    fn clone(&self) -> Self {
        // Acquire: pairs with the release in `get`.
        let index = self.index.load(Ordering::Acquire);
        if !index.is_null() {
            // SAFETY: it came from `Arc::into_raw`, and this owns a count.
            unsafe { Arc::increment_strong_count(index) };
        }
        Self { index: AtomicPtr::new(index) }
    }
}

impl<C> Drop for Lazy<C> {
    fn drop(&mut self) {
        // Acquire: pairs with the release in `get`.
        let index = self.index.load(Ordering::Acquire);
        if !index.is_null() {
            // SAFETY: it came from `Arc::into_raw`, and this owns a count.
            drop(unsafe { Arc::from_raw(index) });
        }
    }
}

/// The changes of one changeset, in order: see [`ChangesetView::changes`](crate::ChangesetView::changes).
pub struct Changes<'a, C> {
    changeset: ChangesetId,
    located: slice::Iter<'a, Located<C>>,
}

impl<'a, C> Changes<'a, C> {
    fn record(&self, located: &Located<C>) -> Record<'a, C> {
        // SAFETY: it points to a change that outlives 'a, as whoever asked for the changes vouched.
        Record { sequence: located.sequence, changeset: self.changeset, change: unsafe { &*located.change } }
    }
}

impl<C> Clone for Changes<'_, C> {
    fn clone(&self) -> Self {
        Self { changeset: self.changeset, located: self.located.clone() }
    }
}

impl<'a, C> Iterator for Changes<'a, C> {
    type Item = Record<'a, C>;

    fn next(&mut self) -> Option<Record<'a, C>> {
        let located = self.located.next()?;
        Some(self.record(located))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.located.size_hint()
    }
}

impl<C> DoubleEndedIterator for Changes<'_, C> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let located = self.located.next_back()?;
        Some(self.record(located))
    }
}

impl<C> ExactSizeIterator for Changes<'_, C> {}
impl<C> core::iter::FusedIterator for Changes<'_, C> {}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn of_two_that_make_an_index_at_once_both_read_that_of_the_first() {
        let of_length = |length| Index::<u8> { changes: Box::new([]), starts: vec![0; length].into() };
        let lazy = Lazy::new();
        let mut first = ptr::null();
        // While this one is made, another thread, as it were, makes and publishes its own.
        let seen = lazy.get(|| {
            first = lazy.get(|| of_length(1));
            of_length(2)
        });
        assert_eq!((ptr::from_ref(seen), seen.starts.len()), (first, 1));
        assert!(ptr::eq(lazy.get(|| unreachable!("it is there")), first));
        let shared = lazy.clone();
        drop(lazy);
        assert_eq!(shared.get(|| unreachable!("a clone shares it")).starts.len(), 1);
    }

    #[test]
    fn the_last_of_those_that_share_an_index_frees_it() {
        let lazy = Lazy::new();
        lazy.get(|| Index::<u8> { changes: Box::new([]), starts: Box::new([]) });
        let made = lazy.index.load(Ordering::Acquire);
        // SAFETY: it is from an `Arc`, of which `lazy` owns a count.
        let index = unsafe {
            Arc::increment_strong_count(made);
            Arc::from_raw(made)
        };
        let shared = lazy.clone();
        assert_eq!(Arc::strong_count(&index), 3);
        drop(lazy);
        assert_eq!(Arc::strong_count(&index), 2);
        drop(shared);
        assert_eq!(Arc::strong_count(&index), 1);
    }
}
