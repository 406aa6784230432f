//! A sweep over every structure of a store at rest.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

use crate::engine::node::Node;
use crate::engine::place::{List, Standing};
use crate::{Tier, TierStore};

/// Asserts that at rest the place words, the orders, the index, the counts and the budget say the same; how many fragments.
pub fn validate<K, V, S>(store: &TierStore<K, V, S>) -> usize
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    let guard = crossbeam_epoch::pin();
    let core = &store.core;
    let mut listed: HashMap<*const Node<K, V>, List> = HashMap::new();
    // Of each tier, what stands there and what is kept: how many, and how heavy.
    let mut sums = [[(0, 0); 2]; 3];
    let mut leaving = [0; 3];
    for list in Tier::ALL.map(List::Of).into_iter().chain([List::Kept]) {
        core.order(list).visit(&guard, |tick, node| {
            let place = node.place.load();
            if place.is_prefilled() && place.standing(list, tick) == Standing::Before && place.tick() == tick {
                // It may sink there; whoever moves it beyond clears the entry.
                return;
            }
            let standing = place.standing(list, tick);
            assert_eq!(standing, Standing::At, "a stale entry at rest: {place:?} in {list:?} at {tick}");
            assert!(node.is_published(), "an entry that evictions pass by: {place:?}");
            assert_eq!(listed.insert(node, list), None, "a node in two entries");
            let tier = place.tier().expect("at an entry").index();
            leaving[tier] += u64::from(place.is_leaving());
            for (fragments, bytes) in &mut sums[tier][..=usize::from(list == List::Kept)] {
                *fragments += 1;
                *bytes += node.weight();
            }
            let found = core.index.find(node.hash(), |key| key == node.key(), &guard);
            let (found, _) = found.expect("the index finds what is listed");
            assert!(std::ptr::eq(found, node), "the index finds another node of the key");
        });
    }
    for tier in Tier::ALL {
        let [all, kept] = sums[tier.index()];
        assert_eq!((core.census(tier).fragments(), core.bytes(tier)), all, "what is in {tier}");
        assert_eq!((core.kept(tier).fragments(), core.kept(tier).bytes()), kept, "what is kept in {tier}");
        let may_go = all.0 - kept.0 - leaving[tier.index()];
        assert!(!core.census(tier).is_over() || may_go == 0, "{tier} is over its capacity at rest");
    }
    let reserved = i64::try_from(core.budget.limit()).unwrap() - core.budget.free();
    assert_eq!(reserved, i64::try_from(core.bytes(Tier::Hot)).unwrap(), "reserved and hot bytes");
    let [hot, kept] = sums[Tier::Hot.index()];
    assert!(!core.budget.is_overdrawn() || hot == kept, "over the budget at rest");
    core.index.audit(&guard);
    listed.len()
}

#[test]
fn a_busy_life_leaves_no_trace() {
    let store = TierStore::builder(500)
        .weigher(|_: &u32, value: &u32| u64::from(value % 90))
        .warm_capacity(crate::Capacity::entries(40))
        .cold_capacity(crate::Capacity::bytes(2_000))
        .build()
        .unwrap();
    for round in 0..20_000_u32 {
        let key = round.wrapping_mul(7_919) % 200;
        match round % 11 {
            0..=4 => drop(store.store(key, round).unwrap()),
            5 => drop(store.get(&key)),
            6 => drop(store.promote_to(&key, Tier::Hot)),
            7 => drop(store.demote(&key)),
            8 => drop(store.remove(&key)),
            9 => drop(store.evict_lru(Tier::ALL[round as usize % 3])),
            _ if round % 5 == 0 => drop(store.keep(&key)),
            _ if round % 5 == 1 => drop(store.let_go(&(round % 200))),
            _ => drop(store.set_hot_budget(u64::from(round % 700))),
        }
        if round % 1_000 == 0 {
            validate(&store);
        }
    }
    assert!(validate(&store) > 0);
}
