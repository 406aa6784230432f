//! Three `quick_cache::sync::Cache`s; what one evicts is stored into the one below.
//!
//! It does less: its order is a clock's that resists scans, not LRU, so that of keys stored in turn it keeps some in
//! hot and about half of the stores of `store_demote` replace in place and demote nothing; bounds are split over
//! shards, so that what a store evicts is the choice of its shard alone, and a full tier holds somewhat less than its
//! bound; a fragment can be in two tiers, or in none, while it is stored or demoted.

use std::mem;

use ::quick_cache::{Lifecycle, Weighter, sync::Cache};

use crate::subject::{Bounds, Hasher, Held, Payload, Session, Subject, weigh};

/// More than any run stores; `quick_cache` has no unbounded caches.
const UNBOUNDED: u64 = 1 << 40;

#[derive(Clone)]
struct Weigh;

impl<V: Payload> Weighter<String, V> for Weigh {
    fn weight(&self, key: &String, value: &V) -> u64 {
        weigh(key, value)
    }
}

/// What one insertion evicted. With equal weights it is one fragment, which then costs no allocation.
struct Evicted<V> {
    /// `before_evict` was called, and its `on_evict` is still to come.
    underway: bool,
    first: Option<(String, V)>,
    others: Vec<(String, V)>,
}

impl<V> Default for Evicted<V> {
    fn default() -> Self {
        Self { underway: false, first: None, others: Vec::new() }
    }
}

#[derive(Clone)]
struct KeepEvicted;

impl<V> Lifecycle<String, V> for KeepEvicted {
    type RequestState = Evicted<V>;

    #[inline]
    fn before_evict(&self, evicted: &mut Evicted<V>, _: &String, _: &mut V) {
        evicted.underway = true;
    }

    /// Called with what was replaced, too, which must not be stored below.
    #[inline]
    fn on_evict(&self, evicted: &mut Evicted<V>, key: String, value: V) {
        if !mem::take(&mut evicted.underway) {
            return;
        }
        match evicted.first {
            None => evicted.first = Some((key, value)),
            Some(_) => evicted.others.push((key, value)),
        }
    }
}

type Tier<V> = Cache<String, V, Weigh, Hasher, KeepEvicted>;

/// The caches, from hot to cold.
pub struct QuickCache<V> {
    tiers: [Tier<V>; 3],
}

impl<V: Payload> QuickCache<V> {
    /// Inserts into the tiers from that one down.
    fn put(tiers: &[Tier<V>], key: String, value: V) {
        let Some((tier, below)) = tiers.split_first() else { return };
        let mut evicted = Evicted::default();
        tier.insert_with_lifecycle(key, value, &mut evicted);
        for (key, value) in evicted.first.into_iter().chain(evicted.others) {
            Self::put(below, key, value);
        }
    }
}

impl<V: Payload> Subject<V> for QuickCache<V> {
    const NAME: &'static str = "quick_cache";

    type Session<'s> = &'s Self;

    fn new(bounds: Bounds) -> Self {
        let tiers = [Some(bounds.hot), bounds.warm, bounds.cold].map(|bound| {
            let expected = usize::try_from(bounds.expected_in(bound)).expect("fragments fit the address space");
            Cache::with(expected, bound.unwrap_or(UNBOUNDED), Weigh, Hasher::default(), KeepEvicted)
        });
        Self { tiers }
    }

    fn session(&self) -> &Self {
        self
    }

    fn hot_bytes(&self) -> Option<u64> {
        Some(self.tiers[0].weight())
    }

    fn held(&self) -> Option<Held> {
        Some(Held {
            fragments: self.tiers.iter().map(|tier| tier.len() as u64).sum(),
            bytes: self.tiers.iter().map(Cache::weight).sum(),
        })
    }
}

impl<V: Payload> Session<V> for &QuickCache<V> {
    #[inline]
    fn get(&mut self, key: &str) -> bool {
        self.tiers.iter().find_map(|tier| tier.get(key)).is_some_and(|value| {
            value.touch();
            true
        })
    }

    #[inline]
    fn store(&mut self, key: String, value: V) {
        let [_, warm, cold] = &self.tiers;
        if warm.remove(&key).is_none() {
            cold.remove(&key);
        }
        QuickCache::put(&self.tiers, key, value);
    }

    #[inline]
    fn promote(&mut self, key: &str) -> bool {
        let [_, warm, cold] = &self.tiers;
        let Some((key, value)) = warm.remove(key).or_else(|| cold.remove(key)) else { return false };
        QuickCache::put(&self.tiers, key, value);
        true
    }

    #[inline]
    fn demote(&mut self, key: &str) -> bool {
        let [hot, below @ ..] = &self.tiers;
        let Some((key, value)) = hot.remove(key) else { return false };
        QuickCache::put(below, key, value);
        true
    }

    #[inline]
    fn remove(&mut self, key: &str) -> bool {
        self.tiers.iter().any(|tier| tier.remove(key).is_some())
    }
}
