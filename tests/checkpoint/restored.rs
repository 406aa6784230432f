//! What a restored store is: whole, however large, whatever it is hashed by, and all by itself.

use std::hash::RandomState;
use std::sync::Arc;

use tierstack::{Tier, TierStore};

use crate::common::{FewHashes, audit};
use crate::{builder, value};

#[test]
fn values_are_moved_not_cloned() {
    let store: TierStore<u32, Arc<str>> = TierStore::new(1 << 10).unwrap();
    let value: Arc<str> = "shared".into();
    store.store(1, Arc::clone(&value)).unwrap();
    let snapshot = store.snapshot();
    drop(store);
    let before = Arc::strong_count(&value);
    let restored = TierStore::builder(1 << 10).restore(snapshot).unwrap();
    assert_eq!(Arc::strong_count(&value), before);
    assert!(Arc::ptr_eq(&restored.remove(&1).unwrap().value, &value));
}

/// Values that are no clones at all can be restored, and read through a view.
#[cfg(feature = "serde")]
#[test]
fn values_need_not_be_cloned() {
    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    struct Unique(u32);

    let store: TierStore<u32, Unique> = TierStore::new(1 << 10).unwrap();
    store.pin().store(1, Unique(7)).unwrap();
    let bytes = postcard::to_stdvec(&store.pin().snapshot()).unwrap();
    let read: tierstack::StoreSnapshot<u32, Unique> = postcard::from_bytes(&bytes).unwrap();
    let restored = TierStore::builder(1 << 10).restore(read).unwrap();
    assert_eq!(restored.pin().get(&1).map(|fragment| fragment.value.0), Some(7));
}

#[test]
fn the_hashers_may_be_of_different_kinds() {
    let store = builder(40).hasher(FewHashes(3)).build().unwrap();
    for key in 0..20 {
        store.store(key, value(u64::from(key))).unwrap();
    }
    let restored = builder(40).hasher(RandomState::new()).restore(store.snapshot()).unwrap();
    let found = audit(&restored, 0..=u8::MAX);
    assert_eq!(found.len(), 20);
    let again = builder(40).hasher(FewHashes::ONE).restore(restored.snapshot()).unwrap();
    assert_eq!(audit(&again, 0..=u8::MAX).len(), 20);
}

#[test]
fn the_fragments_of_one_tier_make_a_store_too() {
    let store = builder(40).build().unwrap();
    for key in 0..20 {
        store.store(key, value(u64::from(key))).unwrap();
    }
    let restored = builder(40).restore(store.snapshot_of(Tier::Warm)).unwrap();
    assert_eq!((restored.len(Tier::Hot), restored.len(Tier::Warm)), (0, store.len(Tier::Warm)));
    let orders = [&store, &restored].map(|store| store.iter(Tier::Warm).map(|item| item.key).collect::<Vec<_>>());
    assert_eq!(orders[0], orders[1]);
}

/// Recency goes across tiers: what is demoted comes between what stands below.
#[test]
fn what_is_demoted_later_comes_where_it_would_have_come() {
    let store = builder(100).build().unwrap();
    for key in 1..=4 {
        store.store(key, value(10)).unwrap();
    }
    store.demote(&2).unwrap();
    store.demote(&4).unwrap();
    store.get(&2).unwrap();
    // From the most recent: 2 (warm), 4 (warm), 3 (hot), 1 (hot).
    let restored = builder(100).restore(store.snapshot()).unwrap();
    for store in [&store, &restored] {
        store.demote(&3).unwrap();
        store.demote(&1).unwrap();
        assert_eq!(store.iter(Tier::Warm).map(|item| item.key).collect::<Vec<_>>(), [2, 4, 3, 1]);
    }
}

#[test]
fn a_large_store_is_restored_whole_and_goes_on_growing() {
    const FRAGMENTS: u32 = if cfg!(debug_assertions) { 20_000 } else { 200_000 };
    let new = || TierStore::<u32, u32>::builder(4 * 1_000).weigher(|_, _| 4);
    let store = new().build().unwrap();
    for key in 0..FRAGMENTS {
        store.store(key, key).unwrap();
        if key % 3 == 0 {
            store.demote_to(&key, Tier::Cold).unwrap();
        }
    }
    let restored = new().restore(store.snapshot()).unwrap();
    for key in FRAGMENTS..2 * FRAGMENTS {
        for store in [&store, &restored] {
            store.store(key, key).unwrap();
        }
    }
    audit(&restored, 0..2 * FRAGMENTS);
    for tier in Tier::ALL {
        assert!(store.iter(tier).map(|item| item.key).eq(restored.iter(tier).map(|item| item.key)), "{tier}");
    }
}
