//! Versions, which only a store makes: where they come from in tests, and that none is chosen twice.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex};

use tierstack::{TierStore, Version};

use super::Outcome;

/// A store that is asked for nothing but versions.
struct Mint(TierStore<(), ()>);

impl Mint {
    fn new() -> Self {
        Self(TierStore::new(0).expect("no budget"))
    }

    fn make(&self) -> Version {
        self.0.store((), ()).expect("ticks are left").version
    }
}

static MINT: LazyLock<Mint> = LazyLock::new(Mint::new);
static MINTED: Mutex<Vec<Version>> = Mutex::new(Vec::new());
static FOREIGN: LazyLock<Version> = LazyLock::new(|| Mint::new().make());

/// The version of that number, for a history that no store has made: other than that of any other number.
pub fn minted(number: usize) -> Version {
    let mut minted = MINTED.lock().expect("no panic while it is held");
    while minted.len() <= number {
        minted.push(MINT.make());
    }
    minted[number]
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
