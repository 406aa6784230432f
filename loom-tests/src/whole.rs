//! A whole store in a model: its operations with their answers, and what is there at rest.

use std::sync::Arc;

use tierstack::{Moved, PromoteError, Tier, TierStore};

use crate::collected::Plain;
use crate::spec::{Answer, Op, State};

pub type Store = TierStore<u64, u64, Plain>;

/// What every fragment weighs.
pub const WEIGHT: u64 = 5;

/// An empty store, with room for so many in hot.
///
/// # Panics
///
/// Where that is too many.
#[must_use]
pub fn with_room_for(fragments: u64) -> Arc<Store> {
    Arc::new(
        TierStore::builder(fragments * WEIGHT).hasher(Plain).weigher(|_, _| WEIGHT).build().expect("not too large"),
    )
}

/// Has the store do `op` on the key.
///
/// # Panics
///
/// Where the store refuses for another reason than that it is contended.
#[must_use]
pub fn run(store: &Store, key: u64, op: Op) -> Answer {
    let ends = |moved: Moved| (moved.from, moved.to);
    match op {
        Op::Store(value) => {
            let stored = store.store(key, value).expect("ticks are left");
            Answer::Stored { tier: stored.tier, replaced: stored.replaced, contended: stored.contended }
        }
        Op::Get => Answer::Found(store.get(&key).map(|found| (found.value, found.tier))),
        Op::Promote => match store.promote_to(&key, Tier::Hot) {
            Ok(moved) => Answer::Moved(Some(ends(moved))),
            Err(PromoteError::NotFound) => Answer::Moved(None),
            Err(PromoteError::Contended { .. }) => Answer::Contended,
            Err(error) => panic!("{error}"),
        },
        Op::Demote => Answer::Moved(store.demote(&key).map(ends)),
        Op::Evict(tier) => Answer::Evicted(store.evict_lru(tier).map(|evicted| evicted.value)),
        Op::Remove => Answer::Removed(store.remove(&key).map(|found| (found.value, found.tier))),
    }
}

/// What is there of those keys, which are all, if the counts and the orders agree.
///
/// # Panics
///
/// Where they do not.
#[must_use]
pub fn at_rest<const N: usize>(store: &Store, keys: [u64; N]) -> [State; N] {
    let states = keys.map(|key| store.peek(&key).map(|found| (found.value, found.tier)));
    for tier in Tier::ALL {
        let fragments = states.iter().flatten().filter(|(_, now)| *now == tier).count() as u64;
        assert_eq!((store.len(tier), store.bytes(tier)), (fragments, fragments * WEIGHT), "{tier:?}");
        assert_eq!(store.iter(tier).count() as u64, fragments, "listed in {tier:?}");
    }
    states
}
