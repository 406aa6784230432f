//! Iteration over a tier, from the most to the least recently used.

use core::hash::{Hash, Hasher};
use std::collections::HashSet;

use crossbeam_epoch::Guard;

use super::core::Core;
use crate::engine::entries::{Entries, Met};
use crate::engine::node::Node;
use crate::store::fragment::Item;
use crate::tier::Tier;

/// A node that equals every node of its key.
struct ByKey<'g, K, V>(&'g Node<K, V>);

impl<K: Eq, V> PartialEq for ByKey<'_, K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.0.hash() == other.0.hash() && self.0.key() == other.0.key()
    }
}

impl<K: Eq, V> Eq for ByKey<'_, K, V> {}

impl<K, V> Hash for ByKey<'_, K, V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash());
    }
}

impl<K: Eq + Send + Sync + 'static, V: Send + Sync + 'static> Core<K, V> {
    /// What stands in `tier`: every fragment that stood there throughout, and no key twice.
    ///
    /// The order is walked from the oldest up. A fragment that moves within it moves up, and so does a key whose fragment is replaced there:
    /// it is met at least once (see [`super::evict`]). It may be met again further up, and the youngest counts.
    #[expect(clippy::mutable_key_type, reason = "hash and key of a node never change")]
    pub fn scan<'g>(&self, tier: Tier, guard: &'g Guard) -> Vec<Item<&'g K, &'g V>> {
        let mut met: Vec<(u64, &'g Node<K, V>)> = Vec::new();
        self.order(tier).visit(guard, |tick, node| match Met::at(node, (tier, tick)) {
            Met::NotYet => {}
            Met::Here(place) => met.push((node.recency(place), node)),
            Met::Over(place) => self.clear_stale(node, place, (tier, tick), guard),
        });
        if self.index.reports().are_collected(guard) {
            for (_, node) in &met {
                self.report(node, guard);
            }
        }
        met.sort_unstable_by_key(|&(recency, _)| core::cmp::Reverse(recency));
        let mut seen = HashSet::with_capacity(met.len());
        met.retain(|(_, node)| seen.insert(ByKey(node)));
        let item = |node: &'g Node<K, V>| Item {
            key: node.key(),
            value: node.value(),
            weight: node.weight(),
            version: self.version(node),
        };
        met.into_iter().map(|(_, node)| item(node)).collect()
    }
}
