//! A thread that does nothing but read the hot bytes.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use crate::fragment::Store;

/// What the watcher saw.
#[derive(Debug, Default)]
pub struct Watched {
    pub readings: u64,
    /// The most bytes that it saw in hot.
    pub highest: u64,
}

/// Reads in bursts, until told to stop. Each reading is one atomic load, and is bound by the budget at that instant.
pub fn watch(store: &Store, stop: &AtomicBool) -> Watched {
    const BURST: u64 = 1_000;
    const PAUSE: Duration = Duration::from_micros(50);

    let mut watched = Watched::default();
    loop {
        let last = stop.load(Ordering::Acquire);
        for _ in 0..BURST {
            watched.highest = watched.highest.max(store.hot_bytes());
        }
        watched.readings += BURST;
        if last {
            return watched;
        }
        // The strategies need the core more.
        thread::sleep(PAUSE);
    }
}
