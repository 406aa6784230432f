//! Iteration over a tier, from the most to the least recently used.

use std::collections::HashSet;

use crossbeam_epoch::Guard;

use super::core::Core;
use crate::fragment::Item;
use crate::node::Node;
use crate::tier::Tier;

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Core<K, V> {
    /// What stands in `tier`: every fragment that stood there throughout, once.
    ///
    /// The order is walked from the oldest up, and a fragment that moves within it moves up and is listed there before the old
    /// entry goes, so that it is met at least once.
    pub fn scan<'g>(&self, tier: Tier, guard: &'g Guard) -> Vec<Item<&'g K, &'g V>> {
        let mut met: Vec<(u64, &'g Node<K, V>)> = Vec::new();
        self.order(tier).visit(guard, |tick, node| {
            let place = node.place.load();
            let stands = place.tier() == Some(tier);
            if stands {
                if !place.is_listed() {
                    self.settle_after(node, None, guard);
                }
                met.push((node.recency(place), node));
            } else if !place.is_at(tier, tick) {
                // Stale: what became of the node is listed before the walk goes on, so that it is met further up.
                self.settle_after(node, None, guard);
            }
        });
        // Youngest first; of a node that was met twice, the youngest.
        met.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
        let mut seen = HashSet::with_capacity(met.len());
        met.retain(|(_, node)| seen.insert(core::ptr::from_ref(*node)));
        met.into_iter().map(|(_, node)| Item { key: node.key(), value: node.value(), weight: node.weight() }).collect()
    }
}
