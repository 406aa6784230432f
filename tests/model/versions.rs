//! Versions, which only a store makes: where they come from in tests, and that none is chosen twice.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex};

use tierstack::{TierStore, Version};

use super::Outcome;

/// A store that is asked for nothing but versions.
static MINT: LazyLock<(TierStore<(), ()>, Mutex<Vec<Version>>)> =
    LazyLock::new(|| (TierStore::new(0).expect("no budget"), Mutex::default()));

static FOREIGN: LazyLock<Version> = LazyLock::new(|| {
    let store = TierStore::<(), ()>::new(0).expect("no budget");
    store.store((), ()).expect("the first tick").version
});

/// The version of that number, for a history that no store has made: other than that of any other number.
pub fn minted(number: usize) -> Version {
    let (store, versions) = &*MINT;
    let mut versions = versions.lock().expect("no panic while it is held");
    while versions.len() <= number {
        versions.push(store.store((), ()).expect("ticks are left").version);
    }
    versions[number]
}

/// A version that is of no store of any test.
pub fn foreign() -> Version {
    *FOREIGN
}

/// The versions that a store has chosen.
#[derive(Debug, Default)]
pub struct Chosen(HashSet<Version>);

impl Chosen {
    /// The version that the call stored under, which must be a new one; a foreign one where it stored nothing.
    pub fn by<K, V>(&mut self, answer: &Outcome<K, V>) -> Version {
        let Some(version) = answer.chosen() else { return foreign() };
        assert!(self.0.insert(version), "{version:?} was chosen before");
        version
    }
}
