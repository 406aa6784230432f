//! Models in which something is retired: crossbeam-epoch's default collector takes part, in its own loom mode.

use std::hash::{BuildHasher, Hasher};

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
