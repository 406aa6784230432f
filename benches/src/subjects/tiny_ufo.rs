//! Three `TinyUFO` caches; what one evicts is put into the one below by who stored.
//!
//! It does less: it keeps a hash in place of the key, so that a collision hands out another's value, and nobody can
//! list or count what it holds; it hashes with a hasher of its own (here the hash of the text, by everybody's hasher);
//! a fragment can be in two tiers, or in none, while it is stored or demoted; hot is not least recently used first but
//! S3-FIFO; the bounds of racing stores can be passed for a moment; and a place in its queue is kept for what was removed.

use std::hash::BuildHasher as _;

use ::tinyufo::TinyUfo;

use crate::subject::{Bounds, Hasher, Held, Payload, Session, Subject, weigh};

/// More than any run stores; `TinyUFO` has no unbounded caches.
const UNBOUNDED: u64 = 1 << 40;

/// A value, with what it takes to store it in the tier below: each tier hashes otherwise.
#[derive(Clone)]
struct Kept<V> {
    key: u64,
    value: V,
}

type Tier<V> = TinyUfo<u64, Kept<V>>;

/// The caches, from hot to cold.
pub struct TinyUfos<V: Payload> {
    tiers: [Tier<V>; 3],
    hasher: Hasher,
}

impl<V: Payload> TinyUfos<V> {
    /// Puts a fragment into the first of the tiers, and what each evicts into the next.
    #[inline]
    fn put(tiers: &[Tier<V>], kept: Kept<V>, weight: u16) {
        let Some((tier, below)) = tiers.split_first() else { return };
        // What is stored is to be hot, even if it has not been asked for as often as what leaves.
        for evicted in tier.force_put(kept.key, kept, weight) {
            Self::put(below, evicted.data, evicted.weight);
        }
    }

    #[inline]
    fn hash(&self, key: &str) -> u64 {
        self.hasher.hash_one(key)
    }

    #[inline]
    fn remove_below(&self, hash: u64) -> Option<Kept<V>> {
        let [_, warm, cold] = &self.tiers;
        warm.remove(&hash).or_else(|| cold.remove(&hash))
    }
}

/// Weights have 16 bits.
#[inline]
fn weight(key: &str, value: &impl Payload) -> u16 {
    u16::try_from(weigh(key, value)).expect("a fragment weighs less than 64 KiB")
}

impl<V: Payload> Subject<V> for TinyUfos<V> {
    const NAME: &'static str = "tiny_ufo";

    type Session<'s> = &'s Self;

    fn new(bounds: Bounds) -> Self {
        let tiers = [Some(bounds.hot), bounds.warm, bounds.cold].map(|bound| {
            let size = |bytes: u64| usize::try_from(bytes).expect("a bound fits the address space");
            // The estimate is of what will be held; it must not be nothing.
            TinyUfo::new(size(bound.unwrap_or(UNBOUNDED)), size(bounds.expected_in(bound).max(1)))
        });
        Self { tiers, hasher: Hasher::default() }
    }

    fn session(&self) -> &Self {
        self
    }

    fn held(&self) -> Option<Held> {
        None
    }
}

impl<V: Payload> Session<V> for &TinyUfos<V> {
    #[inline]
    fn get(&mut self, key: &str) -> bool {
        let hash = self.hash(key);
        self.tiers.iter().find_map(|tier| tier.get(&hash)).is_some_and(|kept| {
            kept.value.touch();
            true
        })
    }

    #[inline]
    fn store(&mut self, key: String, value: V) {
        let (hash, weight) = (self.hash(&key), weight(&key, &value));
        self.remove_below(hash);
        TinyUfos::put(&self.tiers, Kept { key: hash, value }, weight);
    }

    #[inline]
    fn promote(&mut self, key: &str) -> bool {
        let Some(kept) = self.remove_below(self.hash(key)) else { return false };
        let weight = weight(key, &kept.value);
        TinyUfos::put(&self.tiers, kept, weight);
        true
    }

    #[inline]
    fn demote(&mut self, key: &str) -> bool {
        let [hot, below @ ..] = &self.tiers;
        let Some(kept) = hot.remove(&self.hash(key)) else { return false };
        let weight = weight(key, &kept.value);
        TinyUfos::put(below, kept, weight);
        true
    }

    #[inline]
    fn remove(&mut self, key: &str) -> bool {
        let hash = self.hash(key);
        self.tiers.iter().any(|tier| tier.remove(&hash).is_some())
    }
}
