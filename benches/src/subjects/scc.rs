//! Three tiers of `scc`: a `HashCache` where a tier is bounded, a `HashMap` where it is not. What a cache evicts is
//! put into the one below by who stored.
//!
//! It does less: bounds are numbers of fragments, rounded up to a power of two, and 32-way: a bucket that is full evicts
//! its own least recently used, though others have room; a fragment can be in two tiers, or in none, while it is stored
//! or demoted.

use ::scc::{HashCache, HashMap};

use crate::subject::{Bounds, Hasher, Held, Payload, Session, Subject, weigh};

enum Tier<V> {
    Bounded(HashCache<String, V, Hasher>),
    Unbounded(HashMap<String, V, Hasher>),
}

impl<V: Payload> Tier<V> {
    fn new(bounds: &Bounds, bound: Option<u64>) -> Self {
        let count = |fragments: u64| usize::try_from(fragments).expect("fragments fit the address space");
        match bound {
            Some(bytes) => {
                let room = count(bytes / bounds.each);
                // All room from the start: a cache that had to grow would evict before it does. A map grows, as all others do.
                Self::Bounded(HashCache::with_capacity_and_hasher(room, room, Hasher::default()))
            }
            None => Self::Unbounded(HashMap::with_hasher(Hasher::default())),
        }
    }

    #[inline]
    fn get(&self, key: &str) -> bool {
        match self {
            Self::Bounded(cache) => cache.get_sync(key).is_some_and(|entry| {
                entry.get().touch();
                true
            }),
            Self::Unbounded(map) => map.read_sync(key, |_, value| value.touch()).is_some(),
        }
    }

    #[inline]
    fn put(&self, key: String, value: V) -> Option<(String, V)> {
        match self {
            Self::Bounded(cache) => cache.entry_sync(key).put_entry(value).0,
            Self::Unbounded(map) => {
                map.upsert_sync(key, value);
                None
            }
        }
    }

    #[inline]
    fn remove(&self, key: &str) -> Option<(String, V)> {
        match self {
            Self::Bounded(cache) => cache.remove_sync(key),
            Self::Unbounded(map) => map.remove_sync(key),
        }
    }

    fn held(&self) -> Held {
        let mut held = Held { fragments: 0, bytes: 0 };
        let count = |key: &String, value: &V| {
            held.fragments += 1;
            held.bytes += weigh(key, value);
            true
        };
        match self {
            Self::Bounded(cache) => cache.iter_sync(count),
            Self::Unbounded(map) => map.iter_sync(count),
        };
        held
    }
}

/// The tiers, from hot to cold.
pub struct Scc<V> {
    tiers: [Tier<V>; 3],
}

impl<V: Payload> Scc<V> {
    /// Puts a fragment into the first of the tiers, and what each evicts into the next.
    #[inline]
    fn put(tiers: &[Tier<V>], key: String, value: V) {
        let mut moving = Some((key, value));
        for tier in tiers {
            let Some((key, value)) = moving else { return };
            moving = tier.put(key, value);
        }
    }
}

impl<V: Payload> Subject<V> for Scc<V> {
    const NAME: &'static str = "scc";

    type Session<'s> = &'s Self;

    fn new(bounds: Bounds) -> Self {
        Self { tiers: [Some(bounds.hot), bounds.warm, bounds.cold].map(|bound| Tier::new(&bounds, bound)) }
    }

    /// It rounds each tier up.
    fn most(bounds: &Bounds) -> u64 {
        let tier =
            |bound: Option<u64>| bound.map_or(u64::MAX, |bytes| (bytes / bounds.each).next_power_of_two().max(64));
        [Some(bounds.hot), bounds.warm, bounds.cold].into_iter().map(tier).fold(0, u64::saturating_add)
    }

    fn session(&self) -> &Self {
        self
    }

    /// Counted one by one.
    fn hot_bytes(&self) -> Option<u64> {
        Some(self.tiers[0].held().bytes)
    }

    fn held(&self) -> Option<Held> {
        let held = self.tiers.iter().map(Tier::held);
        held.reduce(|sum, tier| Held { fragments: sum.fragments + tier.fragments, bytes: sum.bytes + tier.bytes })
    }
}

impl<V: Payload> Session<V> for &Scc<V> {
    #[inline]
    fn get(&mut self, key: &str) -> bool {
        self.tiers.iter().any(|tier| tier.get(key))
    }

    #[inline]
    fn store(&mut self, key: String, value: V) {
        let [_, warm, cold] = &self.tiers;
        if warm.remove(&key).is_none() {
            cold.remove(&key);
        }
        Scc::put(&self.tiers, key, value);
    }

    #[inline]
    fn promote(&mut self, key: &str) -> bool {
        let [_, warm, cold] = &self.tiers;
        let Some((key, value)) = warm.remove(key).or_else(|| cold.remove(key)) else { return false };
        Scc::put(&self.tiers, key, value);
        true
    }

    #[inline]
    fn demote(&mut self, key: &str) -> bool {
        let [hot, below @ ..] = &self.tiers;
        let Some((key, value)) = hot.remove(key) else { return false };
        Scc::put(below, key, value);
        true
    }

    #[inline]
    fn remove(&mut self, key: &str) -> bool {
        self.tiers.iter().any(|tier| tier.remove(key).is_some())
    }
}
