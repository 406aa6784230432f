//! Many fragments by one call: as single stores, whatever the iterator says, and whatever panics.
#![allow(clippy::cast_possible_truncation, reason = "numbers are small here")]

mod alike;
mod iterators;
mod panics;
#[cfg(feature = "rayon")]
mod parallel;
mod storm;

#[path = "../common/mod.rs"]
mod common;

use std::hash::{BuildHasher, Hash};

use tierstack::{Item, Tier, TierStore};

/// All tiers, each from the most to the least recently used.
fn listed<K, V, S>(store: &TierStore<K, V, S>) -> Vec<(Tier, K, V, u64, bool)>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    let of = |tier| store.iter(tier).map(move |Item { key, value, weight, kept, .. }| (tier, key, value, weight, kept));
    Tier::ALL.into_iter().flat_map(of).collect()
}
