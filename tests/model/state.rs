//! What makes two models equal.

use std::hash::{Hash, Hasher};

use tierstack::{Tier, Version};

use super::Model;
use super::ages::{Age, Times};

/// The budget, the capacities, the times, and the fragments from the least to the most recently used.
type State<'m, K, V> =
    (u64, [Option<u64>; 4], &'m Times, Vec<(&'m K, &'m V, u64, Tier, Version, bool, bool, Option<Age>)>);

impl<K: Ord, V> Model<K, V> {
    /// All that later answers depend on. Of the last uses only the order matters.
    fn state(&self) -> State<'_, K, V> {
        let mut by_use: Vec<_> = self.fragments.iter().collect();
        by_use.sort_by_key(|(_, entry)| entry.last_use);
        let fragments = by_use
            .into_iter()
            .map(|(key, it)| (key, &it.value, it.weight, it.tier, it.version, it.kept, it.leaving, it.age))
            .collect();
        let capacities = [self.warm.entries, self.warm.bytes, self.cold.entries, self.cold.bytes];
        (self.budget, capacities, &self.times, fragments)
    }
}

impl<K: Ord, V: PartialEq> PartialEq for Model<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.state() == other.state()
    }
}

impl<K: Ord, V: Eq> Eq for Model<K, V> {}

impl<K: Ord + Hash, V: Hash> Hash for Model<K, V> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.state().hash(hasher);
    }
}
