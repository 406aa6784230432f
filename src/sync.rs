//! The atomics, from the standard library or from a model checker: the only file that names either.
//!
//! Everything that a protocol depends on imports its atomics from here, so that `--cfg tierstack_loom` and
//! `--cfg tierstack_shuttle` swap them all. Statistics come from [`stat`], which is never swapped: no protocol reads them,
//! and a model checker would only multiply its schedules by them. Nor is [`deferred`]. So it is with what is kept for each thread.
//!
//! The ordered map that a tier's order uses as its directory is behind [`crate::engine::order::directory`]; it has no hooks for a
//! model checker, so that its linearizability is assumed.

#[cfg(not(any(tierstack_loom, tierstack_shuttle)))]
#[cfg_attr(not(feature = "rayon"), allow(unused_imports, reason = "of some only features make use"))]
pub use core::sync::atomic::{
    AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
#[cfg(tierstack_loom)]
#[cfg_attr(not(feature = "rayon"), allow(unused_imports, reason = "as above"))]
pub use loom::sync::atomic::{
    AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
#[cfg(all(tierstack_shuttle, not(tierstack_loom)))]
#[cfg_attr(not(feature = "rayon"), allow(unused_imports, reason = "as above"))]
pub use shuttle::sync::atomic::{
    AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

/// What operations keep for their thread, from a constant that the model checkers' macros take for an expression. (What the collector keeps
/// for a thread is always the standard library's.)
macro_rules! per_thread {
    ($(#[$attribute:meta])* static $name:ident: $type:ty = $value:expr) => {
        #[cfg(tierstack_loom)]
        loom::thread_local! { $(#[$attribute])* static $name: $type = $value; }
        #[cfg(all(tierstack_shuttle, not(tierstack_loom)))]
        shuttle::thread_local! { $(#[$attribute])* static $name: $type = $value; }
        #[cfg(not(any(tierstack_loom, tierstack_shuttle)))]
        std::thread_local! { $(#[$attribute])* static $name: $type = const { $value }; }
    };
}
pub(crate) use per_thread;

/// Between two `SeqCst` operations, which are ordered by that: nothing. Loom takes such loads and stores for acquires and releases, and is told by a
/// fence.
#[inline(always)]
pub fn fence_in_models() {
    #[cfg(tierstack_loom)]
    fence(Ordering::SeqCst);
}

/// Atomics for statistics, always the standard library's.
pub mod stat {
    pub use core::sync::atomic::{AtomicU64, Ordering};
}

/// Atomics that deferred frees touch, always the standard library's: the collector runs them also when no model is running.
pub mod deferred {
    pub use core::sync::atomic::AtomicUsize;
}

/// A value on cache lines of its own: two, as adjacent lines are prefetched in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Padded<T>(pub T);

impl<T> core::ops::Deref for Padded<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}
