//! Two `mini_moka::sync::Cache`s: hot, and below it one that everything is stored into as well.
//!
//! It has no eviction listener, so that the usual way is barred: what hot evicts would be gone. It does less: a hot
//! fragment is in the lower cache too, and counts against its bound; warm and cold are one; a demotion only drops the
//! upper copy; bounds are charged after the insertion, in batches; and its one policy, `TinyLFU`, may refuse the newest.

use ::mini_moka::sync::{Cache, ConcurrentCacheExt as _};

use crate::subject::{Bounds, Hasher, Held, Payload, Session, Subject, weigh};

type Tier<V> = Cache<String, V, Hasher>;

/// The caches.
pub struct MiniMoka<V: Payload> {
    hot: Tier<V>,
    below: Tier<V>,
}

fn tier<V: Payload>(bound: Option<u64>) -> Tier<V> {
    let mut builder =
        Cache::builder().weigher(|key: &String, value: &V| u32::try_from(weigh(key, value)).unwrap_or(u32::MAX));
    if let Some(bytes) = bound {
        builder = builder.max_capacity(bytes);
    }
    builder.build_with_hasher(Hasher::default())
}

/// Look-ups take a `&String` where others take a `&str`: each thread has one to copy the key's text into.
pub struct MiniMokaSession<'s, V: Payload> {
    tiers: &'s MiniMoka<V>,
    key: String,
}

impl<V: Payload> MiniMokaSession<'_, V> {
    #[inline]
    fn set_key(&mut self, key: &str) {
        self.key.clear();
        self.key.push_str(key);
    }
}

impl<V: Payload> Subject<V> for MiniMoka<V> {
    const NAME: &'static str = "mini_moka";

    type Session<'s> = MiniMokaSession<'s, V>;

    fn new(bounds: Bounds) -> Self {
        let below = bounds.warm.zip(bounds.cold).map(|(warm, cold)| warm + cold);
        Self { hot: tier(Some(bounds.hot)), below: tier(below) }
    }

    fn session(&self) -> Self::Session<'_> {
        MiniMokaSession { tiers: self, key: String::new() }
    }

    fn settle(&self) {
        self.hot.sync();
        self.below.sync();
    }

    /// Counted one by one: mini-moka's own sum lags behind what is there.
    fn hot_bytes(&self) -> Option<u64> {
        Some(self.hot.iter().map(|entry| weigh(entry.key(), entry.value())).sum())
    }

    /// Each fragment once: what is in hot is almost always below as well.
    fn held(&self) -> Option<Held> {
        Some(Held { fragments: self.below.entry_count(), bytes: self.below.weighted_size() })
    }
}

impl<V: Payload> Session<V> for MiniMokaSession<'_, V> {
    #[inline]
    fn get(&mut self, key: &str) -> bool {
        self.set_key(key);
        let MiniMoka { hot, below } = self.tiers;
        hot.get(&self.key).or_else(|| below.get(&self.key)).is_some_and(|value| {
            value.touch();
            true
        })
    }

    #[inline]
    fn store(&mut self, key: String, value: V) {
        self.tiers.below.insert(key.clone(), value.clone());
        self.tiers.hot.insert(key, value);
    }

    #[inline]
    fn promote(&mut self, key: &str) -> bool {
        self.set_key(key);
        let Some(value) = self.tiers.below.get(&self.key) else { return false };
        self.tiers.hot.insert(key.to_owned(), value);
        true
    }

    #[inline]
    fn demote(&mut self, key: &str) -> bool {
        self.set_key(key);
        let hot = self.tiers.hot.contains_key(&self.key);
        self.tiers.hot.invalidate(&self.key);
        hot
    }

    #[inline]
    fn remove(&mut self, key: &str) -> bool {
        self.set_key(key);
        let there = self.tiers.below.contains_key(&self.key);
        self.tiers.hot.invalidate(&self.key);
        self.tiers.below.invalidate(&self.key);
        there
    }
}
