//! A whole store in a model: its operations with their answers, and what is there at rest.

use std::sync::Arc;

use tierstack::{
    Capacity, Moved, PromoteError, ReplaceIfRefusal, StoreIfAbsentRefusal, Stored, Tier, TierStore, UpdateRefusal,
    Version,
};

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

/// Has the store do `op`, which is of any fragment, on the key.
///
/// # Panics
///
/// Where the store refuses for another reason than that it is contended.
#[must_use]
pub fn run(store: &Store, key: u64, op: Op) -> Answer {
    run_after(store, key, None, op)
}

/// As [`run`], where the key's first fragment has had that version.
///
/// # Panics
///
/// As [`run`]; and where an update has replaced another value than it was made of.
#[must_use]
pub fn run_after(store: &Store, key: u64, first: Option<Version>, op: Op) -> Answer {
    let ends = |moved: Moved| (moved.from, moved.to);
    let done = |Stored { tier, replaced, contended, .. }: Stored<u64>| Answer::Stored { tier, replaced, contended };
    match op {
        Op::Store(value) => done(store.store(key, value).expect("ticks are left")),
        Op::StoreIfAbsent(value) => match store.store_if_absent(key, value).map_err(|refused| refused.reason) {
            Ok(stored) => done(stored),
            Err(StoreIfAbsentRefusal::Present { tier, .. }) => Answer::Present(tier),
            Err(reason) => panic!("{reason}"),
        },
        Op::ReplaceFirst(value) => {
            let first = first.expect("it has one");
            match store.replace_if(key, &first, value).map_err(|refused| refused.reason) {
                Ok(stored) => done(stored),
                Err(ReplaceIfRefusal::Changed { tier, version }) => {
                    assert_ne!(version, first);
                    Answer::Changed(tier)
                }
                Err(ReplaceIfRefusal::NotFound) => Answer::Absent,
                Err(reason) => panic!("{reason}"),
            }
        }
        Op::Update(digit) => {
            let mut given = None;
            let updated = store.update(key, |old| {
                given = Some(*old);
                10 * old + digit
            });
            match updated.map_err(|refused| refused.reason) {
                Ok(stored) => {
                    assert_eq!(stored.replaced, given, "made of another");
                    done(stored)
                }
                Err(UpdateRefusal::NotFound) => Answer::Absent,
                Err(reason) => panic!("{reason}"),
            }
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
        Op::Leave => {
            let leaving = store.start_leaving(Capacity::UNBOUNDED);
            Answer::Left(leaving.first().is_some_and(|leaving| store.finish_leaving(leaving)))
        }
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
