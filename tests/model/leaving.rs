//! What an archive takes over, as the specification has it.

use tierstack::{Cause, Tier};

use super::{Model, oldest};

impl<K: Ord + Clone, V: Clone> Model<K, V> {
    /// Marks so many of cold, the least recently used, and at least one; which.
    pub fn start_leaving(&mut self, most: usize) -> Vec<(K, V, u64)> {
        let mut leaving: Vec<(K, V, u64)> = Vec::new();
        loop {
            let is_next = |key: &K| !leaving.iter().any(|(met, ..)| met == key);
            let next = oldest(self.standing(Tier::Cold).filter(|(key, entry)| !entry.kept && is_next(key)));
            let Some(key) = next else { return leaving };
            if self.is_due(&self.fragments[&key]) {
                self.meet(&key);
                continue;
            }
            if leaving.len() >= most.max(1) {
                return leaving;
            }
            let entry = self.fragments.get_mut(&key).expect("it stands there");
            entry.leaving = true;
            leaving.push((key, entry.value.clone(), entry.weight));
        }
    }

    /// The same; and then the archive has them.
    pub fn leave(&mut self, most: usize) -> Vec<(K, V, u64)> {
        let leaving = self.start_leaving(most);
        for (key, value, _) in &leaving {
            self.fragments.remove(key);
            self.metrics.archived += 1;
            self.left.push((key.clone(), value.clone(), Tier::Cold, Cause::Archived));
        }
        leaving
    }
}
