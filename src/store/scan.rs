//! Iteration over a tier, from the most to the least recently used.

use core::hash::{Hash, Hasher};
use core::mem;
use std::collections::HashSet;

use crossbeam_epoch::Guard;

use super::core::Core;
use super::expiry::Judged;
use crate::engine::entries::{Entries, Met};
use crate::engine::node::Node;
use crate::engine::place::List;
use crate::failpoint::{Step, reach};
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
    /// it is met at least once (see [`super::evict`]). It may be met again further up, and the youngest counts. The order of what is kept is
    /// walked as well; where a fragment went from the one to the other meanwhile, both are walked again (see [`crate::engine::entries`]). So they are
    /// where one that was met was due, and is not ended by this call. `judge` is only asked where anything has an age.
    #[expect(clippy::mutable_key_type, reason = "hash and key of a node never change")]
    pub fn scan<'g>(
        &self,
        tier: Tier,
        mut judge: impl FnMut(bool, &'g Node<K, V>) -> Judged,
        guard: &'g Guard,
    ) -> Vec<Item<&'g K, &'g V>> {
        let mut met: Vec<(u64, &'g Node<K, V>, bool)> = Vec::new();
        let mut crossings = self.crossings();
        loop {
            for list in [List::Of(tier), List::Kept] {
                self.order(list).visit(guard, |tick, node| {
                    let place = match Met::at(node, (list, tick)) {
                        Met::Unpublished => return,
                        // Also where the word is to come to the entry yet: by then the walk may be in the other order.
                        Met::NotYet(place) | Met::Here(place) | Met::Perishable(place) => place,
                        Met::Over(place) => {
                            self.clear_stale(node, place, (list, tick), guard);
                            place
                        }
                    };
                    if place.tier() == Some(tier) {
                        met.push((node.recency(place), node, place.is_kept()));
                    } else {
                        // That it is not listed tells that it has left the tier.
                        self.report(node, guard);
                    }
                });
                reach(Step::Scanned);
            }
            let before = mem::replace(&mut crossings, self.crossings());
            let mut is_true = crossings == before;
            if is_true && self.time.is_used() {
                met.retain(|&(_, node, kept)| {
                    let judged = judge(kept, node);
                    is_true &= judged != Judged::Unsure;
                    if judged != Judged::Stands {
                        // That it is not listed tells that it has ended.
                        self.report(node, guard);
                    }
                    judged == Judged::Stands
                });
            }
            if is_true {
                break;
            }
            met.clear();
        }
        if self.index.reports().are_collected(guard) {
            for (_, node, _) in &met {
                self.report(node, guard);
            }
        }
        met.sort_unstable_by_key(|&(recency, ..)| core::cmp::Reverse(recency));
        let mut seen = HashSet::with_capacity(met.len());
        met.retain(|(_, node, _)| seen.insert(ByKey(node)));
        let item = |(_, node, kept): (u64, &'g Node<K, V>, bool)| Item {
            key: node.key(),
            value: node.value(),
            weight: node.weight(),
            kept,
            version: self.version(node),
        };
        met.into_iter().map(item).collect()
    }
}
