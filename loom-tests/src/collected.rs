//! Models in which something is retired: crossbeam-epoch's default collector takes part, in its own loom mode.

use std::hash::{BuildHasher, Hasher};
use std::ops::Deref;

use crossbeam_epoch::Guard;
use loom::thread;
use tierstack::TierStore;
use tierstack::internals::flush;

/// Words of stack for a thread: loom's own default is too small for the statistics of a store.
const STACK: usize = 64 << 10;

/// Starts a thread of the model.
///
/// # Panics
///
/// Where the model has more threads than loom allows.
pub fn spawn<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    thread::Builder::new().stack_size(STACK).spawn(run).expect("loom has room for the thread")
}

/// A pin that is made before its thread is spawned, and ends after that was joined. What a thread does to pin and unpin would else multiply the
/// schedules; what it retires under the pin is freed afterwards, as it should be.
pub struct Pinned(Guard);

// SAFETY: it is made from a place of its own in the collector, and goes from thread to thread by spawning and joining.
unsafe impl Send for Pinned {}

impl Pinned {
    /// A pin with a place of its own in the collector.
    #[must_use]
    pub fn new() -> Self {
        Self(crossbeam_epoch::default_collector().register().pin())
    }
}

impl Default for Pinned {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Pinned {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        &self.0
    }
}

/// As [`spawn`], with a pin; both come back by the join.
///
/// # Panics
///
/// Where the model has more threads than loom allows.
pub fn spawn_pinned<T: Send + 'static>(
    run: impl FnOnce(&Guard) -> T + Send + 'static,
) -> thread::JoinHandle<(T, Pinned)> {
    let pinned = Pinned::new();
    spawn(move || {
        let result = run(&pinned);
        (result, pinned)
    })
}

/// Runs `body` as a thread of the model, and then has the collector free everything: a first deferral makes a second one, which it
/// cannot when the model is over. That part is not explored.
///
/// A model that fails here may end the process: its threads are dropped where they stand, and the collector's places with them.
///
/// # Panics
///
/// Where `body` does.
pub fn collected(body: impl FnOnce() + Send + 'static) {
    let run = || {
        body();
        loom::skip_branch();
        for _ in 0..4 {
            // The threads that have ended leave what they deferred to the collector.
            thread::yield_now();
            collect();
        }
        // A view that is dropped resets what the crate keeps for each thread of the system, on which the next execution runs as well.
        drop(TierStore::<u64, u64>::builder(0).hasher(Plain).build().expect("nothing is too large").pin());
    };
    spawn(run).join().expect("the thread was joined");
}

/// Has the collector look once for what is due, after the thread has given it what it has retired.
pub fn collect() {
    flush(&crossbeam_epoch::pin());
}

/// Hashes a number to itself: a model must do the same each time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

/// See [`Plain`].
#[derive(Debug, Default)]
pub struct PlainHasher(u64);

impl BuildHasher for Plain {
    type Hasher = PlainHasher;

    fn build_hasher(&self) -> PlainHasher {
        PlainHasher::default()
    }
}

impl Hasher for PlainHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash << 8 | u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}
