//! Three `lru::LruCache`s behind one `parking_lot::Mutex`: the same job as tierstack's, with everything under one
//! lock.

use lru::LruCache;
use parking_lot::Mutex;

use crate::subject::{Bounds, Hasher, Held, Payload, Session, Subject, weigh};

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

    fn remove(&mut self, key: &str) -> Option<V> {
        // An empty map would hash the key all the same.
        if self.fragments.is_empty() {
            return None;
        }
        let value = self.fragments.pop(key)?;
        self.bytes -= weigh(key, &value);
        Some(value)
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

struct Tiers<V> {
    hot: Tier<V>,
    warm: Tier<V>,
    cold: Tier<V>,
    peak_hot_bytes: u64,
}

/// All three tiers, under the lock.
pub struct CoarseLock<V>(Mutex<Tiers<V>>);

impl<V: Payload> Subject<V> for CoarseLock<V> {
    const NAME: &'static str = "coarse_lock";

    type Session<'s> = &'s Self;

    fn new(bounds: Bounds) -> Self {
        let [hot, warm, cold] = [Some(bounds.hot), bounds.warm, bounds.cold].map(Tier::new);
        Self(Mutex::new(Tiers { hot, warm, cold, peak_hot_bytes: 0 }))
    }

    fn session(&self) -> &Self {
        self
    }

    fn held(&self) -> Held {
        let tiers = self.0.lock();
        let tiers = [&tiers.hot, &tiers.warm, &tiers.cold];
        Held {
            fragments: tiers.iter().map(|tier| tier.fragments.len() as u64).sum(),
            bytes: tiers.iter().map(|tier| tier.bytes).sum(),
        }
    }

    /// As seen whenever the lock is free.
    fn peak_hot_bytes(&self) -> Option<u64> {
        Some(self.0.lock().peak_hot_bytes)
    }
}

impl<V: Payload> Session<V> for &CoarseLock<V> {
    #[inline]
    fn get(&mut self, key: &str) -> bool {
        let mut tiers = self.0.lock();
        let Tiers { hot, warm, cold, .. } = &mut *tiers;
        // A clone, made under the lock: nothing can be lent out of it.
        let value = [hot, warm, cold].into_iter().find_map(|tier| tier.fragments.get(key).cloned());
        drop(tiers);
        value.is_some_and(|value| {
            value.touch();
            true
        })
    }

    #[inline]
    fn store(&mut self, key: String, value: V) {
        let mut tiers = self.0.lock();
        let Tiers { hot, warm, cold, peak_hot_bytes } = &mut *tiers;
        // What leaves the store is dropped once the lock is free.
        let below = warm.remove(&key).or_else(|| cold.remove(&key));
        let replaced = hot.put(key, value).or(below);
        while let Some((key, value)) = hot.overflow() {
            warm.put(key, value);
        }
        while let Some((key, value)) = warm.overflow() {
            cold.put(key, value);
        }
        let out: Vec<_> = std::iter::from_fn(|| cold.overflow()).collect();
        *peak_hot_bytes = hot.bytes.max(*peak_hot_bytes);
        drop(tiers);
        drop((replaced, out));
    }
}
