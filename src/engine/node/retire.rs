//! How a node goes: retired, its key and value dropped, its memory freed.
//!
//! Why two deferrals, the head of [`super`] says. Both are those of the [batch](crate::engine::reclaim) that the node is retired in. The first
//! drops key and value, and the second frees the memory. Where somebody [holds](super::holders) the node, the first says that it is due,
//! and the last holder does both.

use core::mem::{ManuallyDrop, needs_drop};
use core::ops::Deref;
use core::ptr::{self, NonNull};
use std::sync::Arc;

use crossbeam_epoch::Guard;

use super::holders::Duty;
use super::{Aged, Node};
use crate::drops::{self, Progress, Task};
use crate::engine::reclaim::{self, Dead, Kind, memory};
use crate::engine::stats::Stats;

impl<K, V> Node<K, V> {
    const KIND: Kind =
        Kind { end: Self::end_of_pins, free: Self::free_memory, runs_code: needs_drop::<K>() || needs_drop::<V>() };

    /// Frees a dead node when nobody can reach it any more; counts its bytes as retired until then.
    ///
    /// # Safety
    ///
    /// Called once for each node, by whoever took it (or the chain it stands in) out of the index, or by its storer, who never put it in;
    /// while pinned by `guard`.
    pub unsafe fn retire(this: *mut Self, guard: &Guard) {
        // SAFETY: reached through the index by the pinned caller. `stats` is the store's, which is alive while the index is.
        let (stats, bytes) = unsafe {
            let stats = (*this).stats;
            (stats, (*stats).retire((*this).weight(), size_of::<Self>() as u64))
        };
        let dead = Dead { object: this.cast(), kind: const { &Self::KIND } };
        // SAFETY: key and value are `Send` and `'static`, as the store's bounds ask for: any thread may drop them, at any later
        // time. That nobody reads them then, nor anything of the node after that, the head of the module says.
        unsafe { reclaim::retire(dead, stats, bytes, guard) };
    }

    /// Ends a node: drops key and value, unless somebody holds it.
    ///
    /// # Safety
    ///
    /// The node was retired, and the pins of those who may read its key and value have ended. Called once, by a task.
    unsafe fn end_of_pins(this: *mut ()) -> bool {
        // SAFETY: not freed yet, and the batch that it is in has a count of the statistics.
        let (node, stats) = unsafe { (&*this.cast::<Self>(), &*(*this.cast::<Self>()).stats) };
        if node.holders.are_some() {
            // For the last holder: see the drop of a `NodeRef`.
            this.expose_provenance();
            // SAFETY: as above.
            unsafe { Arc::increment_strong_count(node.stats) };
            match node.holders.due() {
                Duty::Others => return false,
                // SAFETY: made above. The batch has another.
                Duty::Mine => unsafe { Arc::decrement_strong_count(node.stats) },
            }
        }
        // SAFETY: nobody reads them any more or holds the node, and they are dropped once, here.
        unsafe { Self::drop_payload(this.cast(), stats) };
        true
    }

    /// As [`Self::end_of_pins`], and frees the memory later.
    ///
    /// # Safety
    ///
    /// The node is due and nobody holds it any more, as the last holder knows, which calls this once, by a task.
    unsafe fn end_of_holders(this: *mut ()) -> Progress {
        // SAFETY: not freed yet; the deferral took this count of the statistics.
        let stats = unsafe { Arc::from_raw((*this.cast::<Self>()).stats) };
        // SAFETY: as for this call.
        unsafe { Self::drop_payload(this.cast(), &stats) };
        // SAFETY: after this deferral nobody reaches the node at all: see the head of the module.
        unsafe { reclaim::defer_again(this, Self::free_memory) };
        Progress::Done
    }

    /// # Safety
    ///
    /// Nobody reads key or value any more; called once, by a task.
    unsafe fn drop_payload(this: *mut Self, stats: &Stats) {
        // SAFETY: not freed yet.
        let node = unsafe { &*this };
        let freed = (!node.holders.is_value_taken()).then_some(node.weight());
        // SAFETY: as the caller vouches.
        unsafe { Self::drop_key_and_value(this) };
        if let Some(weight) = freed {
            stats.free(weight);
        }
    }

    /// Drops key and value, unless that was taken, each on its own, so that a panic in one keeps neither the other nor the collector from its work.
    ///
    /// # Safety
    ///
    /// Nobody reads them any more; called once, by a task.
    unsafe fn drop_key_and_value(this: *mut Self) {
        if const { needs_drop::<K>() } {
            // SAFETY: as the caller vouches; the cells allow it while the node is shared.
            drops::quietly(|| unsafe { ManuallyDrop::drop(&mut *(*this).key.get()) });
        }
        // SAFETY: as the caller vouches.
        if const { needs_drop::<V>() } && !unsafe { &*this }.holders.is_value_taken() {
            // SAFETY: as above.
            drops::quietly(|| unsafe { ManuallyDrop::drop(&mut *(*this).value.get()) });
        }
    }

    /// # Safety
    ///
    /// The node was boxed, its key and value are dropped, and nobody reaches it.
    unsafe fn free_memory(this: *mut ()) {
        // SAFETY: as the caller vouches. What is left in it drops nothing; a model's atomics may.
        unsafe {
            if (*this.cast::<Self>()).age_flag() == 0 {
                ptr::drop_in_place(this.cast::<Self>());
                memory::free(this.cast(), const { Self::layout(false) });
            } else {
                ptr::drop_in_place(this.cast::<Aged<K, V>>());
                memory::free(this.cast(), const { Self::layout(true) });
            }
        }
    }
}

impl<K: 'static, V: 'static> Node<K, V> {
    /// Moves key and value of a node that its storer gives up to another, which nobody has seen, and frees the memory of this one when nobody
    /// can reach it any more.
    ///
    /// # Safety
    ///
    /// The node was boxed, and was not published; the caller is its storer, has cleared its entries, and is pinned by `guard`. Called once.
    pub unsafe fn give_up(this: NonNull<Self>, guard: &Guard) -> NonNull<Self> {
        // SAFETY: the caller's own.
        let flags = unsafe { this.as_ref() }.age_flag();
        let another = memory::allocate(Self::layout(flags != 0)).cast::<Self>();
        // SAFETY: nobody else reads key or value of a node that is not published; they are moved out once, here, to memory for another node.
        unsafe {
            let given_up = this.as_ref();
            ptr::copy_nonoverlapping(given_up.key.get().cast_const(), (&raw mut (*another).key).cast(), 1);
            ptr::copy_nonoverlapping(given_up.value.get().cast_const(), (&raw mut (*another).value).cast(), 1);
            if let Some(age) = given_up.age() {
                Self::write_age(another, age.copied());
            }
            Self::write_the_rest(another, given_up.hash, given_up.weight, flags, given_up.stats);
        }
        // SAFETY: whoever has found it in an order is pinned now; from there it was cleared, and nobody puts it there again.
        unsafe { guard.defer_unchecked(move || Self::free_memory(this.as_ptr().cast())) };
        // SAFETY: allocated.
        unsafe { NonNull::new_unchecked(another) }
    }

    /// Moves key and value out of a node, and frees its memory.
    ///
    /// # Safety
    ///
    /// The node was boxed, and nobody else has ever seen it.
    pub unsafe fn take_apart(this: NonNull<Self>) -> (K, V) {
        // SAFETY: as the caller vouches.
        unsafe {
            let payload = (this.as_ref().key.get().cast::<K>().read(), this.as_ref().value.get().cast::<V>().read());
            Self::free_memory(this.as_ptr().cast());
            payload
        }
    }

    /// Drops key and value and frees the node: at once, or, where destructors of callers run on this thread, after them.
    ///
    /// # Safety
    ///
    /// The node was boxed, and nobody else reaches it.
    pub unsafe fn free(this: *mut Self) {
        // SAFETY: as the caller vouches; key and value are `'static`, and stay on this thread.
        unsafe { drops::run(Task { object: this.cast(), step: Self::free_now }) };
    }

    /// # Safety
    ///
    /// As [`Self::free`]; called by a task.
    unsafe fn free_now(this: *mut ()) -> Progress {
        // SAFETY: as the caller vouches.
        unsafe {
            Self::drop_key_and_value(this.cast());
            // To the allocator: what goes with its store is not used again.
            if (*this.cast::<Self>()).age_flag() == 0 {
                drop(Box::from_raw(this.cast::<Self>()));
            } else {
                drop(Box::from_raw(this.cast::<Aged<K, V>>()));
            }
        }
        Progress::Done
    }

    /// Frees these nodes, each once: at once, or, where destructors of callers run on this thread, after them.
    ///
    /// # Safety
    ///
    /// Nobody else reaches the nodes.
    pub unsafe fn free_all<N: Iterator<Item = *mut Self> + 'static>(nodes: N) {
        unsafe fn step<K: 'static, V: 'static, N: Iterator<Item = *mut Node<K, V>>>(nodes: *mut ()) -> Progress {
            // SAFETY: the task's own, from the box below. Destructors do not reach it.
            while let Some(node) = unsafe { (*nodes.cast::<N>()).next() } {
                // SAFETY: as the caller of `free_all` vouches; this is a task.
                unsafe { Node::<K, V>::free_now(node.cast()) };
                if const { needs_drop::<K>() || needs_drop::<V>() } {
                    // What their destructors have put aside comes before the next node.
                    return Progress::More;
                }
            }
            // SAFETY: made below; a task that is done is not done again.
            drop(unsafe { Box::from_raw(nodes.cast::<N>()) });
            Progress::Done
        }
        let object = Box::into_raw(Box::new(nodes)).cast();
        // SAFETY: the iterator is the task's own, `'static`, and stays on this thread.
        unsafe { drops::run(Task { object, step: step::<K, V, N> }) };
    }
}

/// A reference that keeps a node without a pin.
pub struct NodeRef<K: 'static, V: 'static>(NonNull<Node<K, V>>);

impl<K, V> NodeRef<K, V> {
    /// Holds a node that was not retired when the caller pinned.
    pub fn new(node: &Node<K, V>) -> Self {
        node.holders.hold();
        Self(NonNull::from(node))
    }
}

impl<K, V> Deref for NodeRef<K, V> {
    type Target = Node<K, V>;

    fn deref(&self) -> &Node<K, V> {
        // SAFETY: not freed while held.
        unsafe { self.0.as_ref() }
    }
}

impl<K, V> Drop for NodeRef<K, V> {
    fn drop(&mut self) {
        if self.holders.leave() == Duty::Mine {
            // As the deferral knew it, which has exposed it: a node is not freed through what was borrowed of it.
            let object = ptr::with_exposed_provenance_mut(self.0.addr().get());
            // SAFETY: it is due, and this was the last that held it.
            unsafe { drops::run(Task { object, step: Node::<K, V>::end_of_holders }) };
        }
    }
}
