//! Keys and values that tell when they were dropped, and how often.

use std::hash::{Hash, Hasher};
use std::sync::Mutex;

/// Every instance ever made, clones too, with how often it was dropped.
#[derive(Default)]
pub struct Registry {
    drops: Mutex<Vec<u32>>,
}

impl Registry {
    /// Never freed, so that an instance that is dropped twice does no harm of its own.
    pub fn new() -> &'static Self {
        Box::leak(Box::default())
    }

    pub fn tracked(&'static self, number: u64) -> Tracked {
        let mut drops = self.drops.lock().unwrap();
        drops.push(0);
        Tracked { number, instance: drops.len() - 1, registry: self, fatal: false }
    }

    /// An instance that panics when it is dropped, which its clones do not.
    pub fn fatal(&'static self, number: u64) -> Tracked {
        let mut tracked = self.tracked(number);
        tracked.fatal = true;
        tracked
    }

    /// How many instances live. None was dropped twice.
    pub fn alive(&self) -> usize {
        let drops = self.drops.lock().unwrap();
        let twice = drops.iter().position(|drops| *drops > 1);
        assert_eq!(twice, None, "an instance was dropped twice");
        drops.iter().filter(|drops| **drops == 0).count()
    }
}

/// A key or a value that tells when it was dropped.
pub struct Tracked {
    pub number: u64,
    instance: usize,
    registry: &'static Registry,
    fatal: bool,
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.registry.drops.lock().unwrap()[self.instance] += 1;
        assert!(!self.fatal || std::thread::panicking(), "a value that panics when it is dropped");
    }
}

impl Clone for Tracked {
    fn clone(&self) -> Self {
        self.registry.tracked(self.number)
    }
}

impl PartialEq for Tracked {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Tracked {}

impl Hash for Tracked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

impl std::fmt::Debug for Tracked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.number.fmt(f)
    }
}
