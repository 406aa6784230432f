//! `crossbeam_skiplist::SkipMap`s: hot and warm by key, and hot's order by the tick of the store.
//!
//! It does less: the order is first in, first out, since a use moves nothing; the budget is charged after the
//! insertion; warm is unbounded and there is no cold; a fragment can be in two tiers, or in none, while it is stored
//! or demoted, and of two racing stores of one key either may leave an entry behind.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_skiplist::SkipMap;

use super::collect_garbage;
use crate::subject::{Bounds, Held, Payload, Session, Subject, weigh};

struct Placed<V> {
    value: V,
    tick: u64,
}

/// The skip lists.
pub struct SkipMaps<V> {
    hot: SkipMap<String, Placed<V>>,
    order: SkipMap<u64, String>,
    warm: SkipMap<String, V>,
    clock: AtomicU64,
    hot_bytes: AtomicU64,
    budget: u64,
}

impl<V: Payload> SkipMaps<V> {
    /// Puts a fragment that is in neither into hot, and what that displaces into warm.
    #[inline]
    fn put(&self, key: String, value: V) {
        let weight = weigh(&key, &value);
        let tick = self.clock.fetch_add(1, Relaxed);
        self.order.insert(tick, key.clone());
        self.hot.insert(key, Placed { value, tick });
        let mut bytes = self.hot_bytes.fetch_add(weight, Relaxed) + weight;
        while bytes > self.budget
            && let Some(oldest) = self.order.pop_front()
            && let Some(demoted) = self.hot.remove(oldest.value())
        {
            let (key, value) = (demoted.key().clone(), demoted.value().value.clone());
            let weight = weigh(&key, &value);
            self.warm.insert(key, value);
            bytes = self.hot_bytes.fetch_sub(weight, Relaxed) - weight;
        }
    }
}

impl<V: Payload> Subject<V> for SkipMaps<V> {
    const NAME: &'static str = "skip_map";
    const BOUNDED: bool = false;

    type Session<'s> = &'s Self;

    fn new(bounds: Bounds) -> Self {
        Self {
            hot: SkipMap::new(),
            order: SkipMap::new(),
            warm: SkipMap::new(),
            clock: AtomicU64::new(0),
            hot_bytes: AtomicU64::new(0),
            budget: bounds.hot,
        }
    }

    fn session(&self) -> &Self {
        self
    }

    fn settle(&self) {
        collect_garbage();
    }

    fn hot_bytes(&self) -> Option<u64> {
        Some(self.hot_bytes.load(Relaxed))
    }

    fn held(&self) -> Option<Held> {
        let hot = self.hot.iter().map(|entry| weigh(entry.key(), &entry.value().value));
        let warm = self.warm.iter().map(|entry| weigh(entry.key(), entry.value()));
        Some(hot.chain(warm).fold(Held { fragments: 0, bytes: 0 }, |sum, weight| Held {
            fragments: sum.fragments + 1,
            bytes: sum.bytes + weight,
        }))
    }
}

impl<V: Payload> Session<V> for &SkipMaps<V> {
    #[inline]
    fn get(&mut self, key: &str) -> bool {
        // Entries hold references of their own, so the value is read where it lies.
        if let Some(entry) = self.hot.get(key) {
            entry.value().value.touch();
            true
        } else if let Some(entry) = self.warm.get(key) {
            entry.value().touch();
            true
        } else {
            false
        }
    }

    #[inline]
    fn store(&mut self, key: String, value: V) {
        if let Some(replaced) = self.hot.remove(&key) {
            self.order.remove(&replaced.value().tick);
            self.hot_bytes.fetch_sub(weigh(&key, &replaced.value().value), Relaxed);
        } else {
            self.warm.remove(&key);
        }
        self.put(key, value);
    }

    #[inline]
    fn promote(&mut self, key: &str) -> bool {
        let Some(entry) = self.warm.remove(key) else { return false };
        self.put(entry.key().clone(), entry.value().clone());
        true
    }

    #[inline]
    fn demote(&mut self, key: &str) -> bool {
        let Some(entry) = self.hot.remove(key) else { return false };
        self.order.remove(&entry.value().tick);
        self.hot_bytes.fetch_sub(weigh(key, &entry.value().value), Relaxed);
        self.warm.insert(entry.key().clone(), entry.value().value.clone());
        true
    }

    #[inline]
    fn remove(&mut self, key: &str) -> bool {
        if let Some(entry) = self.hot.remove(key) {
            self.order.remove(&entry.value().tick);
            self.hot_bytes.fetch_sub(weigh(key, &entry.value().value), Relaxed);
            true
        } else {
            self.warm.remove(key).is_some()
        }
    }
}
