//! A thread that reads the hot bytes, and builds prompts, while the others go on.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use crate::{asked::Asked, fragment::Store, prompt::Prompt};

/// What the watcher saw.
#[derive(Debug, Default)]
pub struct Watched {
    pub readings: u64,
    /// The most bytes that it saw in hot.
    pub highest: u64,
    pub prompts: u64,
    /// How many prompts had the question in them.
    pub with_question: u64,
    /// The most bytes that a prompt had.
    pub longest: u64,
}

/// Reads in bursts, and builds a prompt after each, until told to stop. Each reading is one atomic load, and is bound by the budget at that instant; so is
/// each prompt, which is of one snapshot.
pub fn watch(store: &Store, asked: &Asked, stop: &AtomicBool) -> Watched {
    const BURST: u64 = 1_000;
    const PAUSE: Duration = Duration::from_micros(50);

    let mut watched = Watched::default();
    loop {
        let last = stop.load(Ordering::Acquire);
        for _ in 0..BURST {
            watched.highest = watched.highest.max(store.hot_bytes());
        }
        watched.readings += BURST;
        let prompt = Prompt::build(store);
        watched.longest = watched.longest.max(prompt.bytes);
        watched.prompts += 1;
        watched.with_question += u64::from(prompt.keys.contains(&asked.key));
        if last {
            return watched;
        }
        // The strategies need the core more.
        thread::sleep(PAUSE);
    }
}
