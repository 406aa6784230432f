//! The cell that holds a plan's current version: the one seam to arc-swap.
//!
//! # Two words
//!
//! An `ArcSwap` owns the current version and says which it is. Beside it is a *hint*: a version that was current once, mostly the one
//! that still is. A version tells by itself whether it has been succeeded (its log is sealed), so that an operation that finds an unsealed one through the
//! hint need not ask the `ArcSwap`, whose loads protect what they lend by two atomic exchanges. It need not be
//! protected: what was published is kept for as long as the root lives, which is what [`Root::new`] asks for. Whoever finds the hint outdated
//! asks the `ArcSwap`, and sets it. It may be set to an outdated version by a thread that was slow, which costs the next one an
//! extra look.
//!
//! # What is assumed of arc-swap
//!
//! `load` and `compare_and_swap` are linearizable and acquire what was released into them; both are lock-free. (A thread's first call may allocate.)
//! A write visits the list of all threads that have ever loaded, helping those that it meets in the middle of a load, so that a swing costs O(threads): here
//! it is needed only where the plan's structure changes, not for a record.
//!
//! arc-swap has no hooks for a model checker. There a bare pointer stands in for it, which publishes by release and acquire alone: that
//! is what the protocol asks for.

use core::marker::PhantomData;
use core::ops::Deref;
use std::sync::Arc;

use crate::sync::{AtomicPtr, Ordering};

#[cfg(not(any(tierstack_loom, tierstack_shuttle)))]
use real::Cell;
#[cfg(any(tierstack_loom, tierstack_shuttle))]
use stand_in::Cell;

/// Something that was published, and is kept for as long as its root is borrowed.
pub struct Kept<'a, T> {
    /// From an `Arc`.
    value: *const T,
    root: PhantomData<&'a T>,
}

impl<T> Clone for Kept<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Kept<'_, T> {}

impl<T> Deref for Kept<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.get()
    }
}

impl<'a, T> Kept<'a, T> {
    #[inline]
    pub fn get(self) -> &'a T {
        // SAFETY: it was published, was acquired from where it was found, and is kept for 'a.
        unsafe { &*self.value }
    }

    /// A count of one's own.
    pub fn share(self) -> Arc<T> {
        // SAFETY: it is from an `Arc`, and kept.
        unsafe {
            Arc::increment_strong_count(self.value);
            Arc::from_raw(self.value)
        }
    }

    fn is(self, other: Self) -> bool {
        core::ptr::eq(self.value, other.value)
    }
}

/// Owns the current version, and points to one that was current.
pub struct Root<T> {
    current: Cell<T>,
    /// From an `Arc`. Read by all, written by who found it outdated.
    hint: AtomicPtr<T>,
}

impl<T> Root<T> {
    /// # Safety
    ///
    /// What is ever published in it lives as long as it: each owns the one before, say.
    pub unsafe fn new(first: Arc<T>) -> Self {
        Self { hint: AtomicPtr::new(Arc::as_ptr(&first).cast_mut()), current: Cell::new(first) }
    }

    /// One that was current once, mostly the one that still is. Wait-free.
    #[inline]
    pub fn hint(&self) -> Kept<'_, T> {
        // Acquire: pairs with the release in `current`.
        Kept { value: self.hint.load(Ordering::Acquire), root: PhantomData }
    }

    /// The current one. It becomes the hint, if it is not the `outdated` that was.
    pub fn current(&self, outdated: Kept<'_, T>) -> Kept<'_, T> {
        let current = Kept { value: self.current.load(), root: PhantomData };
        if !current.is(outdated) {
            // Release: pairs with the acquire in `hint`.
            self.hint.store(current.value.cast_mut(), Ordering::Release);
        }
        current
    }

    /// Publishes `next` in the place of `current`, if that is still there; whether it was.
    pub fn swing(&self, current: Kept<'_, T>, next: Arc<T>) -> bool {
        self.current.swing(current.value, next)
    }
}

#[cfg(not(any(tierstack_loom, tierstack_shuttle)))]
mod real {
    use core::ptr;
    use std::sync::Arc;

    use arc_swap::ArcSwap;

    pub struct Cell<T>(ArcSwap<T>);

    impl<T> Cell<T> {
        pub fn new(first: Arc<T>) -> Self {
            Self(ArcSwap::new(first))
        }

        pub fn load(&self) -> *const T {
            Arc::as_ptr(&self.0.load())
        }

        pub fn swing(&self, current: *const T, next: Arc<T>) -> bool {
            ptr::eq(Arc::as_ptr(&self.0.compare_and_swap(current, next)), current)
        }
    }
}

#[cfg(any(tierstack_loom, tierstack_shuttle))]
mod stand_in {
    use std::sync::Arc;

    use crate::sync::{AtomicPtr, Ordering};

    pub struct Cell<T>(AtomicPtr<T>);

    impl<T> Cell<T> {
        pub fn new(first: Arc<T>) -> Self {
            Self(AtomicPtr::new(Arc::into_raw(first).cast_mut()))
        }

        pub fn load(&self) -> *const T {
            // Acquire: pairs with the release in `swing`.
            self.0.load(Ordering::Acquire)
        }

        pub fn swing(&self, current: *const T, next: Arc<T>) -> bool {
            let (from, to) = (current.cast_mut(), Arc::into_raw(next).cast_mut());
            // Release: pairs with the acquire in `load`. Relaxed: a loser reads nothing through what it found.
            let swung = self.0.compare_exchange(from, to, Ordering::Release, Ordering::Relaxed).is_ok();
            // SAFETY: the count of the root on what it held, or of `next`, which it does not hold.
            drop(unsafe { Arc::from_raw(if swung { from } else { to }) });
            swung
        }
    }

    impl<T> Drop for Cell<T> {
        fn drop(&mut self) {
            // SAFETY: the count of the root, which nobody uses any more.
            drop(unsafe { Arc::from_raw(self.load()) });
        }
    }
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn who_finds_the_hint_outdated_sets_it() {
        let (first, second) = (Arc::new(1), Arc::new(2));
        // SAFETY: both outlive it.
        let root = unsafe { Root::new(Arc::clone(&first)) };
        let outdated = root.hint();
        assert!(root.swing(outdated, Arc::clone(&second)));
        assert!(!root.swing(outdated, Arc::clone(&first)), "it has been left");
        assert_eq!(*root.hint(), 1);
        assert_eq!((*root.current(outdated), *root.hint()), (2, 2));
    }
}
