//! What the operations report.

use crate::tier::Tier;

/// A fragment as it was read or handed back: `V` is the value itself, or `&V` through a [`View`](crate::View).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<V> {
    /// The value, or a borrow of it.
    pub value: V,
    /// The tier that it stood in.
    pub tier: Tier,
    /// Its weight, in bytes.
    pub weight: u64,
}

impl<V> Fragment<V> {
    /// The same fragment with what becomes of its value.
    pub(crate) fn map<W>(self, map: impl FnOnce(V) -> W) -> Fragment<W> {
        Fragment { value: map(self.value), tier: self.tier, weight: self.weight }
    }
}

impl<V: Clone> Fragment<&V> {
    /// The same fragment with a value of its own.
    #[must_use]
    pub fn cloned(self) -> Fragment<V> {
        Fragment { value: self.value.clone(), tier: self.tier, weight: self.weight }
    }
}

/// What a `store` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored<V> {
    /// The tier in which the fragment took effect: hot or warm.
    pub tier: Tier,
    /// The value that it replaced.
    pub replaced: Option<V>,
    /// Whether it went to warm only because operations in flight held the room that it needed.
    pub contended: bool,
}

impl<V> Stored<V> {
    /// The same report with what becomes of the value.
    pub(crate) fn map<W>(self, map: impl FnOnce(V) -> W) -> Stored<W> {
        Stored { tier: self.tier, replaced: self.replaced.map(map), contended: self.contended }
    }
}

impl<V: Clone> Stored<&V> {
    /// The same report with a value of its own.
    #[must_use]
    pub fn cloned(self) -> Stored<V> {
        Stored { tier: self.tier, replaced: self.replaced.cloned(), contended: self.contended }
    }
}

/// A move from one tier to another; equal tiers mean that the fragment stayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The tier that it stood in.
    pub from: Tier,
    /// The tier that it stands in now.
    pub to: Tier,
}

/// A fragment that an eviction moved down, or out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evicted<K, V> {
    /// The key, or a borrow of it.
    pub key: K,
    /// The value, or a borrow of it.
    pub value: V,
    /// Its weight, in bytes.
    pub weight: u64,
    /// The tier that it stood in.
    pub from: Tier,
    /// The tier that it stands in now; `None` where it left the store.
    pub to: Option<Tier>,
}

impl<K, V> Evicted<K, V> {
    /// The same report with what becomes of the value.
    pub(crate) fn map<W>(self, map: impl FnOnce(V) -> W) -> Evicted<K, W> {
        Evicted { key: self.key, value: map(self.value), weight: self.weight, from: self.from, to: self.to }
    }
}

impl<K: Clone, V: Clone> Evicted<&K, &V> {
    /// The same report with a key and a value of its own.
    #[must_use]
    pub fn cloned(self) -> Evicted<K, V> {
        Evicted { key: self.key.clone(), value: self.value.clone(), weight: self.weight, from: self.from, to: self.to }
    }
}

/// A fragment met by an iteration of a tier, from the most to the least recently used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<K, V> {
    /// The key, or a borrow of it.
    pub key: K,
    /// The value, or a borrow of it.
    pub value: V,
    /// Its weight, in bytes.
    pub weight: u64,
}

impl<K: Clone, V: Clone> Item<&K, &V> {
    /// The same item with a key and a value of its own.
    #[must_use]
    pub fn cloned(self) -> Item<K, V> {
        Item { key: self.key.clone(), value: self.value.clone(), weight: self.weight }
    }
}
