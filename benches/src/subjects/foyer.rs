//! Three `foyer` in-memory caches with its LRU; the event listener of each stores into the one below.
//!
//! It does less: a fragment can be in two tiers, or in none, while it is stored or demoted; bounds are split over
//! shards, so that what a store evicts is the choice of its shard alone. The listener is lent what leaves, and has to
//! clone the key.

use std::{marker::PhantomData, sync::Arc};

use foyer_common::event::{Event, EventListener};
use foyer_memory::{Cache, CacheBuilder, CacheProperties, LruConfig};

use crate::subject::{Bounds, Hasher, Held, Payload, Session, Subject, weigh};

/// More than any run stores; foyer has no unbounded caches.
const UNBOUNDED: u64 = 1 << 40;

type Tier<V> = Cache<String, V, Hasher, CacheProperties>;

/// The caches, from hot to cold.
pub struct Foyer<V: Payload> {
    tiers: [Tier<V>; 3],
}

struct StoreBelow<V: Payload> {
    below: Tier<V>,
    value: PhantomData<fn(V)>,
}

impl<V: Payload> EventListener for StoreBelow<V> {
    type Key = String;
    type Value = V;

    #[inline]
    fn on_leave(&self, reason: Event, key: &String, value: &V) {
        if reason == Event::Evict {
            self.below.insert(key.clone(), value.clone());
        }
    }
}

fn tier<V: Payload>(bound: Option<u64>, below: Option<&Tier<V>>) -> Tier<V> {
    let bytes = bound.unwrap_or(UNBOUNDED);
    let mut builder = CacheBuilder::new(usize::try_from(bytes).expect("a bound fits the address space"))
        .with_eviction_config(LruConfig::default())
        .with_hash_builder(Hasher::default())
        .with_weighter(|key: &String, value: &V| usize::try_from(weigh(key, value)).unwrap_or(usize::MAX));
    if let Some(below) = below.filter(|_| bound.is_some()) {
        builder = builder.with_event_listener(Arc::new(StoreBelow { below: below.clone(), value: PhantomData }));
    }
    builder.build()
}

impl<V: Payload> Subject<V> for Foyer<V> {
    const NAME: &'static str = "foyer";

    type Session<'s> = &'s Self;

    fn new(bounds: Bounds) -> Self {
        let cold = tier(bounds.cold, None);
        let warm = tier(bounds.warm, Some(&cold));
        let hot = tier(Some(bounds.hot), Some(&warm));
        Self { tiers: [hot, warm, cold] }
    }

    fn session(&self) -> &Self {
        self
    }

    fn hot_bytes(&self) -> Option<u64> {
        Some(self.tiers[0].usage() as u64)
    }

    fn held(&self) -> Option<Held> {
        Some(Held {
            fragments: self.tiers.iter().map(|tier| tier.entries() as u64).sum(),
            bytes: self.tiers.iter().map(|tier| tier.usage() as u64).sum(),
        })
    }
}

impl<V: Payload> Session<V> for &Foyer<V> {
    #[inline]
    fn get(&mut self, key: &str) -> bool {
        // Entries hold references of their own, so the value is read where it lies.
        self.tiers.iter().find_map(|tier| tier.get(key)).is_some_and(|entry| {
            entry.value().touch();
            true
        })
    }

    #[inline]
    fn store(&mut self, key: String, value: V) {
        let [hot, warm, cold] = &self.tiers;
        if warm.remove(&key).is_none() {
            cold.remove(&key);
        }
        hot.insert(key, value);
    }

    #[inline]
    fn promote(&mut self, key: &str) -> bool {
        let [hot, warm, cold] = &self.tiers;
        warm.remove(key).or_else(|| cold.remove(key)).is_some_and(|entry| {
            hot.insert(entry.key().clone(), entry.value().clone());
            true
        })
    }

    #[inline]
    fn demote(&mut self, key: &str) -> bool {
        let [hot, warm, _] = &self.tiers;
        hot.remove(key).is_some_and(|entry| {
            warm.insert(entry.key().clone(), entry.value().clone());
            true
        })
    }

    #[inline]
    fn remove(&mut self, key: &str) -> bool {
        self.tiers.iter().any(|tier| tier.remove(key).is_some())
    }
}
