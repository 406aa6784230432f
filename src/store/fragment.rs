//! What the operations report.

use crate::store::version::Version;
use crate::tier::Tier;

/// A fragment as it was read or handed back: `V` is the value itself, or `&V` through a [`View`](crate::View).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<V> {
    /// The value, or a borrow of it.
    pub value: V,
    /// The tier that it stood in.
    pub tier: Tier,
    /// Whether it was kept there: see [`keep`](crate::TierStore::keep).
    pub kept: bool,
    /// Its weight, in bytes.
    pub weight: u64,
    /// Names this value of the key: a replacement has another.
    pub version: Version,
}

impl<V> Fragment<V> {
    /// The same fragment with what becomes of its value.
    pub(crate) fn map<W>(self, map: impl FnOnce(V) -> W) -> Fragment<W> {
        let Self { value, tier, kept, weight, version } = self;
        Fragment { value: map(value), tier, kept, weight, version }
    }
}

impl<V: Clone> Fragment<&V> {
    /// The same fragment with a value of its own.
    #[must_use]
    pub fn cloned(self) -> Fragment<V> {
        self.map(V::clone)
    }
}

/// What a `store` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored<V> {
    /// The tier in which the fragment took effect: hot or warm.
    pub tier: Tier,
    /// Names what was stored.
    pub version: Version,
    /// The value that it replaced.
    pub replaced: Option<V>,
    /// Whether it went to warm only because operations in flight held the room that it needed, or changed the budget meanwhile.
    pub contended: bool,
    /// Whether it went to warm because [kept](crate::TierStore::keep) fragments held the room that it needed.
    pub kept_out: bool,
    /// Whether it is kept, as what it replaced was.
    pub kept: bool,
}

impl<V> Stored<V> {
    /// The same report with what becomes of the value.
    pub(crate) fn map<W>(self, map: impl FnOnce(V) -> W) -> Stored<W> {
        let Self { tier, version, replaced, contended, kept_out, kept } = self;
        Stored { tier, version, replaced: replaced.map(map), contended, kept_out, kept }
    }
}

impl<V> Stored<V> {
    /// The same report of what has replaced nothing.
    pub(crate) fn without_replaced<W>(self) -> Stored<W> {
        let Self { tier, version, contended, kept_out, kept, .. } = self;
        Stored { tier, version, replaced: None, contended, kept_out, kept }
    }
}

impl<V: Clone> Stored<&V> {
    /// The same report with a value of its own.
    #[must_use]
    pub fn cloned(self) -> Stored<V> {
        self.map(V::clone)
    }
}

/// What a `get_or_store_with` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GetOrStored<V> {
    /// The key had this fragment already.
    Found(Fragment<V>),
    /// It stored this fragment.
    Stored {
        /// What it stored, and where.
        fragment: Fragment<V>,
        /// Whether it went to warm only because operations in flight held the room that it needed.
        contended: bool,
        /// Whether it went to warm because kept fragments held the room that it needed.
        kept_out: bool,
    },
}

impl<V> GetOrStored<V> {
    /// The fragment, whoever stored it.
    #[must_use]
    pub fn into_fragment(self) -> Fragment<V> {
        match self {
            Self::Found(fragment) | Self::Stored { fragment, .. } => fragment,
        }
    }
}

impl<V: Clone> GetOrStored<&V> {
    /// The same report with a value of its own.
    #[must_use]
    pub fn cloned(self) -> GetOrStored<V> {
        match self {
            Self::Found(fragment) => GetOrStored::Found(fragment.cloned()),
            Self::Stored { fragment, contended, kept_out } => {
                GetOrStored::Stored { fragment: fragment.cloned(), contended, kept_out }
            }
        }
    }
}

/// A fragment that is kept now, or let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The tier that it stands in.
    pub tier: Tier,
    /// Whether it was kept before.
    pub was_kept: bool,
}

/// What a change of the hot budget, or a look at it, came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enforced {
    /// How many fragments were demoted.
    pub demoted: usize,
    /// By how many bytes the [kept](crate::TierStore::keep) fragments alone are over the budget; those stay.
    pub kept_over: u64,
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
    /// Whether it was kept: see [`keep`](crate::TierStore::keep).
    pub kept: bool,
    /// Names this value of the key: a replacement has another.
    pub version: Version,
}

impl<K: Clone, V: Clone> Item<&K, &V> {
    /// The same item with a key and a value of its own.
    #[must_use]
    pub fn cloned(self) -> Item<K, V> {
        let Self { key, value, weight, kept, version } = self;
        Item { key: key.clone(), value: value.clone(), weight, kept, version }
    }
}
