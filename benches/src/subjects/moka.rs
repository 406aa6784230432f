//! Three `moka::sync::Cache`s; the eviction listener of each stores into the one below.
//!
//! It does less: a fragment can be in two tiers, or in none, while it is stored or demoted; the bounds are charged
//! after the insertion, in batches.

use std::sync::Arc;

use ::moka::{notification::RemovalCause, policy::EvictionPolicy, sync::Cache};

use super::collect_garbage;
use crate::subject::{Bounds, Hasher, Held, Payload, Session, Subject, weigh};

type Tier<V> = Cache<String, V, Hasher>;

/// The caches.
pub struct Moka<V> {
    hot: Tier<V>,
    warm: Tier<V>,
    cold: Tier<V>,
}

fn tier<V: Payload>(bound: Option<u64>, below: Option<Tier<V>>) -> Tier<V> {
    // The order that the tiers are to keep, and the cheaper of moka's two: no frequencies to estimate.
    let mut builder = Cache::builder()
        .eviction_policy(EvictionPolicy::lru())
        .weigher(|key: &String, value: &V| u32::try_from(weigh(key, value)).unwrap_or(u32::MAX));
    // A tier without a bound evicts nothing, and need not pay for a listener.
    if let Some(bytes) = bound {
        builder = builder.max_capacity(bytes);
        if let Some(below) = below {
            builder = builder.eviction_listener(move |key, value, cause| {
                if cause == RemovalCause::Size {
                    below.insert(Arc::unwrap_or_clone(key), value);
                }
            });
        }
    }
    builder.build_with_hasher(Hasher::default())
}

impl<V: Payload> Moka<V> {
    fn tiers(&self) -> [&Tier<V>; 3] {
        [&self.hot, &self.warm, &self.cold]
    }
}

impl<V: Payload> Subject<V> for Moka<V> {
    const NAME: &'static str = "moka";

    type Session<'s> = &'s Self;

    fn new(bounds: Bounds) -> Self {
        let cold = tier(bounds.cold, None);
        let warm = tier(bounds.warm, Some(cold.clone()));
        let hot = tier(Some(bounds.hot), Some(warm.clone()));
        Self { hot, warm, cold }
    }

    fn session(&self) -> &Self {
        self
    }

    fn settle(&self) {
        for tier in self.tiers() {
            tier.run_pending_tasks();
        }
        collect_garbage();
    }

    /// Counted one by one: moka's own sum lags behind what is there.
    fn hot_bytes(&self) -> Option<u64> {
        Some(self.hot.iter().map(|(key, value)| weigh(&key, &value)).sum())
    }

    fn held(&self) -> Option<Held> {
        let tiers = self.tiers();
        Some(Held {
            fragments: tiers.iter().map(|tier| tier.entry_count()).sum(),
            bytes: tiers.iter().map(|tier| tier.weighted_size()).sum(),
        })
    }
}

impl<V: Payload> Session<V> for &Moka<V> {
    #[inline]
    fn get(&mut self, key: &str) -> bool {
        let value = self.hot.get(key).or_else(|| self.warm.get(key)).or_else(|| self.cold.get(key));
        value.is_some_and(|value| {
            value.touch();
            true
        })
    }

    #[inline]
    fn store(&mut self, key: String, value: V) {
        if self.warm.remove(&key).is_none() {
            self.cold.invalidate(&key);
        }
        self.hot.insert(key, value);
    }

    #[inline]
    fn promote(&mut self, key: &str) -> bool {
        let Some(value) = self.warm.remove(key).or_else(|| self.cold.remove(key)) else { return false };
        self.hot.insert(key.to_owned(), value);
        true
    }

    #[inline]
    fn demote(&mut self, key: &str) -> bool {
        let Some(value) = self.hot.remove(key) else { return false };
        self.warm.insert(key.to_owned(), value);
        true
    }

    #[inline]
    fn remove(&mut self, key: &str) -> bool {
        self.tiers().iter().any(|tier| tier.remove(key).is_some())
    }
}
