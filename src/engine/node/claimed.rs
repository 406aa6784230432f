//! Values that go before their node does: see [`crate::engine::claim`] for who may take them.

use core::mem::{ManuallyDrop, MaybeUninit, forget, needs_drop};
use core::ptr;

use super::{CLAIMED, Node};
use crate::drops;
use crate::engine::claim::{HEAVY, HEAVY_SIZE, Left};
use crate::engine::stats::Stats;

/// Whether a new fragment's value is to be claimed: it is heavy, or too many values wait for the epoch. (Of one that needs no drop nothing would go
/// before its node does, unless it is large.)
pub fn is_to_be_claimed<V>(weight: u64, stats: &Stats) -> bool {
    size_of::<V>() >= HEAVY_SIZE || weight >= HEAVY || needs_drop::<V>() && stats.is_crowded()
}

impl<K, V> Node<K, V> {
    /// Whether its value is claimed to be read, and let go when it has ended.
    #[inline]
    pub fn is_claimed(&self) -> bool {
        self.weight & CLAIMED != 0
    }

    /// Marks the value as moved out.
    ///
    /// # Safety
    ///
    /// As for what follows. The store is still there.
    unsafe fn leave_value(&self) -> *mut ManuallyDrop<V> {
        self.holders.take_value();
        // SAFETY: the statistics are the store's.
        unsafe { (*self.stats).free(self.weight()) };
        self.value.get()
    }

    /// The value, for the one operation that ended the fragment, which calls this or [`Self::let_go`] once: moved out, or a clone where
    /// others have claimed it.
    ///
    /// # Safety
    ///
    /// The fragment was ended by the caller, under the pin or the [`NodeRef`](super::retire::NodeRef) that it still has; and no view
    /// of the store can read it.
    pub unsafe fn take_or_clone(&self) -> V
    where
        K: 'static,
        V: Clone + 'static,
    {
        if self.claims.let_go_alone() == Left::ToCaller {
            // SAFETY: nobody has claimed it or will; it is not dropped again, since it is marked; the caller vouches for the rest.
            unsafe { ManuallyDrop::take(&mut *self.leave_value()) }
        } else {
            self.cloned_and_let_go()
        }
    }

    /// Of its own, as the value may be large: where it is moved out, it is moved to the caller at once.
    #[cold]
    #[inline(never)]
    fn cloned_and_let_go(&self) -> V
    where
        K: 'static,
        V: Clone + 'static,
    {
        // Others read it. With a claim of one's own, which only the caller could refuse, it stays, whenever they end.
        let claim = Claim::of(self);
        let clone = self.value().clone();
        // The caller's claim is there.
        let _ = self.claims.let_go();
        drop(claim);
        clone
    }

    /// Lets go of the value; drops it if nobody else has claimed it.
    ///
    /// # Safety
    ///
    /// As for [`Self::take_or_clone`].
    pub unsafe fn let_go(&self)
    where
        V: 'static,
    {
        if self.claims.let_go() == Left::ToCaller {
            // SAFETY: nobody has claimed it or will; it is not dropped again, since it is marked; the caller vouches for the rest.
            unsafe { drops::drop_in_place(self.leave_value().cast::<V>()) };
        }
    }
}

/// A claim on the value of a node: it can be read until this ends. On that of a light node it is a mere pin.
pub struct Claim<'g, K: 'static, V: 'static>(&'g Node<K, V>);

impl<'g, K, V> Claim<'g, K, V> {
    /// Claims the value of a node that was seen alive under the pin; nothing if the fragment has ended since, and was let go.
    #[inline]
    pub fn of(node: &'g Node<K, V>) -> Option<Self> {
        (!node.is_claimed() || node.claims.claim()).then_some(Self(node))
    }

    #[inline]
    pub fn node(&self) -> &'g Node<K, V> {
        self.0
    }

    /// Ends it; hands the value over if it was let go meanwhile and this was the last claim: to be dropped after the pin, by
    /// [`drops::drop_box`].
    #[inline]
    pub fn end(self) -> Option<Box<V>> {
        let left = self.left();
        forget(self);
        left
    }

    #[inline]
    fn left(&self) -> Option<Box<V>> {
        if !self.0.is_claimed() || self.0.claims.unclaim() == Left::ToOthers { None } else { Some(self.moved()) }
    }

    /// The value, by whoever has the last claim on it: boxed, since it may be too large for the stack.
    #[cold]
    #[allow(clippy::unnecessary_box_returns, reason = "see above")]
    fn moved(&self) -> Box<V> {
        let mut moved = Box::<MaybeUninit<V>>::new_uninit();
        // SAFETY: whoever let go vouched that no view reads it; this was the last claim, made under the pin that `'g` stands for. It is
        // not dropped again, since it is marked.
        unsafe {
            ptr::copy_nonoverlapping(self.0.leave_value().cast(), moved.as_mut_ptr(), 1);
            moved.assume_init().assume_init()
        }
    }
}

impl<K, V> Drop for Claim<'_, K, V> {
    fn drop(&mut self) {
        if let Some(left) = self.left() {
            drops::drop_box(left);
        }
    }
}
