//! Too much of everything.

use tierstack::{Tier, TierStore};

use crate::common::collected_until;
use crate::common::tracked::Registry;

/// A million, or what an unoptimized build does in the same time.
const MANY: u64 = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

#[test]
fn a_million_fragments_in_one_tier() {
    let store = TierStore::<u64, u64>::builder(MANY).weigher(|_, _| 1).build().unwrap();
    for key in 0..MANY {
        assert_eq!(store.store(key, key).unwrap().tier, Tier::Hot);
    }
    assert_eq!((store.len(Tier::Hot), store.hot_bytes()), (MANY, MANY));
    for key in (0..MANY).step_by(3) {
        assert_eq!(store.get(&key).unwrap().value, key);
    }
    // The used ones went to the front; of the others the oldest go first.
    for key in [1, 2, 4, 5, 7] {
        assert_eq!(store.evict_lru(Tier::Hot).unwrap().key, key);
    }
    assert_eq!(store.iter(Tier::Hot).next().unwrap().key, (MANY - 1) / 3 * 3);

    assert_eq!(store.set_hot_budget(0).map(|enforced| enforced.demoted), Ok(usize::try_from(MANY).unwrap() - 5));
    assert_eq!((store.len(Tier::Hot), store.len(Tier::Warm)), (0, MANY));
    let order = store.iter(Tier::Warm);
    assert_eq!(order.len() as u64, MANY);
    assert_eq!(order.last().unwrap().key, 1);
}

#[test]
fn a_million_fragments_are_dropped_with_their_store() {
    let values = Registry::new();
    let store = TierStore::<u64, _>::builder(0).weigher(|_, _| 1).build().unwrap();
    for key in 0..MANY {
        store.pin().store(key, values.tracked(key)).unwrap();
    }
    assert_eq!((store.len(Tier::Warm), values.alive() as u64), (MANY, MANY));
    drop(store);
    assert!(collected_until(|| values.alive() == 0), "{} values live on", values.alive());
}

/// What a key left behind does not pile up, though a neighbour in the tier's order stays where it is.
#[test]
fn thousands_of_replacements_beside_one_old_fragment() {
    const WEIGHT: u64 = 1000;
    let values = Registry::new();
    let store = TierStore::<&str, _>::builder(4 * WEIGHT).weigher(|_, _| WEIGHT).build().unwrap();
    store.store("old", values.tracked(0)).unwrap();
    for batch in 0..10 {
        for step in 0..2000 {
            let stored = store.store("new", values.tracked(step)).unwrap();
            assert_eq!(stored.replaced.is_some(), batch + step > 0);
        }
        let retired = || store.metrics().retired_bytes;
        assert!(collected_until(|| retired() <= 2 * WEIGHT / 4), "{} retired bytes", retired());
        assert!(collected_until(|| values.alive() == 2), "{} values live", values.alive());
    }
    assert_eq!(store.iter(Tier::Hot).map(|item| item.key).collect::<Vec<_>>(), ["new", "old"]);
}

/// Nor do the places in which a fragment once stood, when it is used over and over beside one that is not.
#[test]
fn a_million_uses_beside_one_old_fragment() {
    let store = TierStore::<u64, ()>::builder(3).weigher(|_, ()| 1).build().unwrap();
    for key in 0..3 {
        store.store(key, ()).unwrap();
    }
    for step in 0..MANY {
        store.get(&(1 + step % 2)).unwrap();
    }
    assert_eq!(store.iter(Tier::Hot).map(|item| item.key).collect::<Vec<_>>(), [2, 1, 0]);
    for step in 0..MANY {
        store.demote(&(1 + step % 2)).unwrap();
        store.promote(&(1 + step % 2)).unwrap();
    }
    assert_eq!([0; 3].map(|_| store.evict_lru(Tier::Hot).unwrap().key), [0, 1, 2]);
}
