//! Three `lru::LruCache`s as tiers, for one thread at a time: what the two locks guard.

use lru::LruCache;

use crate::subject::{Bounds, Hasher, Held, Payload, weigh};

struct Tier<V> {
    fragments: LruCache<String, V, Hasher>,
    bytes: u64,
    bound: Option<u64>,
}

impl<V: Payload> Tier<V> {
    fn new(bound: Option<u64>) -> Self {
        Self { fragments: LruCache::unbounded_with_hasher(Hasher::default()), bytes: 0, bound }
    }

    fn put(&mut self, key: String, value: V) -> Option<V> {
        let weight = weigh(&key, &value);
        let replaced = self.fragments.put(key, value);
        // All fragments of a run weigh the same.
        self.bytes += if replaced.is_none() { weight } else { 0 };
        replaced
    }

    fn take(&mut self, key: &str) -> Option<(String, V)> {
        // An empty map would hash the key all the same.
        if self.fragments.is_empty() {
            return None;
        }
        let (key, value) = self.fragments.pop_entry(key)?;
        self.bytes -= weigh(&key, &value);
        Some((key, value))
    }

    fn overflow(&mut self) -> Option<(String, V)> {
        if self.bytes <= self.bound? {
            return None;
        }
        let (key, value) = self.fragments.pop_lru()?;
        self.bytes -= weigh(&key, &value);
        Some((key, value))
    }
}

/// What has left the store. The caller drops it, once the lock is free.
pub type Left<V> = (Option<V>, Vec<(String, V)>);

pub struct LruTiers<V> {
    hot: Tier<V>,
    warm: Tier<V>,
    cold: Tier<V>,
    peak_hot_bytes: u64,
}

impl<V: Payload> LruTiers<V> {
    pub fn new(bounds: Bounds) -> Self {
        let [hot, warm, cold] = [Some(bounds.hot), bounds.warm, bounds.cold].map(Tier::new);
        Self { hot, warm, cold, peak_hot_bytes: 0 }
    }

    /// Finds a fragment, and counts that as a use of it.
    #[inline]
    pub fn get(&mut self, key: &str) -> Option<&V> {
        let Self { hot, warm, cold, .. } = self;
        [hot, warm, cold].into_iter().find_map(|tier| tier.fragments.get(key))
    }

    /// Finds a fragment, which is no use of it.
    #[inline]
    pub fn peek(&self, key: &str) -> Option<&V> {
        [&self.hot, &self.warm, &self.cold].into_iter().find_map(|tier| tier.fragments.peek(key))
    }

    #[inline]
    pub fn store(&mut self, key: String, value: V) -> Left<V> {
        let below = self.warm.take(&key).or_else(|| self.cold.take(&key));
        let replaced = self.hot.put(key, value).or(below.map(|(_, value)| value));
        (replaced, self.overflow())
    }

    /// `None`: nowhere below hot.
    pub fn promote(&mut self, key: &str) -> Option<Left<V>> {
        let (key, value) = self.warm.take(key).or_else(|| self.cold.take(key))?;
        self.hot.put(key, value);
        Some((None, self.overflow()))
    }

    /// `None`: not in hot.
    pub fn demote(&mut self, key: &str) -> Option<Left<V>> {
        let (key, value) = self.hot.take(key)?;
        self.warm.put(key, value);
        Some((None, self.overflow()))
    }

    /// `None`: nowhere.
    pub fn remove(&mut self, key: &str) -> Option<(String, V)> {
        let Self { hot, warm, cold, .. } = self;
        [hot, warm, cold].into_iter().find_map(|tier| tier.take(key))
    }

    fn overflow(&mut self) -> Vec<(String, V)> {
        let Self { hot, warm, cold, peak_hot_bytes } = self;
        while let Some((key, value)) = hot.overflow() {
            warm.put(key, value);
        }
        while let Some((key, value)) = warm.overflow() {
            cold.put(key, value);
        }
        *peak_hot_bytes = hot.bytes.max(*peak_hot_bytes);
        std::iter::from_fn(|| cold.overflow()).collect()
    }

    pub fn held(&self) -> Held {
        let tiers = [&self.hot, &self.warm, &self.cold];
        Held {
            fragments: tiers.iter().map(|tier| tier.fragments.len() as u64).sum(),
            bytes: tiers.iter().map(|tier| tier.bytes).sum(),
        }
    }

    /// As seen whenever the lock is free.
    pub fn peak_hot_bytes(&self) -> u64 {
        self.peak_hot_bytes
    }
}
