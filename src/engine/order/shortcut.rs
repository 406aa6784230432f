//! A pointer to a page that was lately filled, which saves the search for it. Stale, it costs that search.

use core::ptr;
use std::sync::Arc;

use crossbeam_epoch::Guard;

use super::block::Swap;
use super::page::Page;
use crate::sync::{AtomicPtr, Ordering};

/// Null, or a page, of which it owns a count.
pub struct Shortcut<N>(AtomicPtr<Page<N>>);

impl<N> Shortcut<N> {
    pub fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    #[inline]
    pub fn get<'g>(&self, _guard: &'g Guard) -> Option<&'g Page<N>> {
        // SAFETY: the pointer is null or owns a count, which is given up through the epoch after it was swapped out.
        // Acquire: pairs with the swap that published the page.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }
}

impl<N: 'static> Shortcut<N>
where
    Arc<Page<N>>: Send,
{
    /// Swaps `new` in for `old`, unless another thread has swapped.
    pub fn replace(&self, old: Option<&Page<N>>, new: &Arc<Page<N>>, guard: &Guard) -> Swap {
        let new = Arc::into_raw(Arc::clone(new)).cast_mut();
        let old = old.map_or(ptr::null_mut(), |old| ptr::from_ref(old).cast_mut());
        // Release: publishes the page to `get`. Relaxed on a loss: nothing is read through what was found.
        if self.0.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            // SAFETY: the count made above, which nobody else saw.
            drop(unsafe { Arc::from_raw(new) });
            return Swap::Lost;
        }
        if !old.is_null() {
            // SAFETY: the shortcut's count is this thread's since the swap; those who still read the page are pinned.
            unsafe { guard.defer_unchecked(move || drop(Arc::from_raw(old))) };
        }
        Swap::Done
    }
}

impl<N> Drop for Shortcut<N> {
    fn drop(&mut self) {
        // Relaxed: exclusive access.
        let page = self.0.load(Ordering::Relaxed);
        if !page.is_null() {
            // SAFETY: the shortcut's own count, given up once.
            drop(unsafe { Arc::from_raw(page) });
        }
    }
}
