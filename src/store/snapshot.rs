//! Snapshots: what callers are given. How they are taken stands in [`super::picture`], and the protocol at the head of [`crate::engine::reports`].

mod deadlines;
mod order;
mod table;
#[cfg(feature = "serde")]
mod wire;

use core::borrow::Borrow;
use core::fmt;
use core::hash::{BuildHasher, Hash};
use core::iter::FusedIterator;
use core::ops::Range;

use super::TierStore;
use super::builder::DefaultHasher;
use super::picture::Shown;
use super::view::View;
use crate::engine::index::spread;
use crate::engine::reports::Tiers;
use crate::store::fragment::{Fragment, Item};
use crate::tier::Tier;
use deadlines::Deadlines;
pub(super) use order::OldestLast;
use table::home;

/// The fragments of a store, or of one tier, as they stood at one instant.
///
/// From [`TierStore::snapshot`] or [`TierStore::snapshot_of`], with keys and values of its own; or from a [`View`], with borrows. It does not change. It shows each
/// fragment once, in one tier. What it shows in hot weighs no more than the hot budget; or than what was [kept](TierStore::keep) there, where that is more.
///
/// It can be sent to other threads and shared by them, and outlives the store if it owns what it shows. [`Builder::restore`](crate::Builder::restore) makes a store of it.
///
/// # Serialization
///
/// With the `serde` feature a snapshot is written as a struct of two fields, in every format:
///
/// - `format`: a number, 1. A snapshot of another format is not read.
/// - `fragments`: a sequence, from the most to the least recently used of all tiers. Each is a struct of `key`, `value`, `weight`, `tier` (such as `"hot"`), `kept`, and
///   `expires_in`: the nanoseconds until its deadline, or nothing.
///
/// The sequence says how long it is. Fragments are written where they are, one by one: nothing is copied, also of a snapshot that a [`View`] lends. Versions are not
/// written: they name values of one store in one process. What is read has versions that are those of no store.
///
/// It is an error to read two fragments of one key, or a weight that no store takes. Room is made for fragments as they come, whatever length was promised. The
/// hasher that looks keys up is a new one, by `Default`: for keys from outside see [`Builder::hasher`](crate::Builder::hasher).
///
/// ```
/// # #[cfg(feature = "serde")] {
/// # use tierstack::{StoreSnapshot, TierStore};
/// let store = TierStore::builder(1024).weigher(|_: &u32, text: &String| text.len() as u64).build()?;
/// store.store(1, "one".into())?;
/// let text = serde_json::to_string(&store.snapshot())?;
/// assert_eq!(text, r#"{"format":1,"fragments":[{"key":1,"value":"one","weight":3,"tier":"hot","kept":false,"expires_in":null}]}"#);
///
/// let read: StoreSnapshot<u32, String> = serde_json::from_str(&text)?;
/// assert_eq!(read.get(&1).map(|fragment| fragment.value.as_str()), Some("one"));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct StoreSnapshot<K, V, S = DefaultHasher> {
    /// Tier by tier, each from the most to the least recently used.
    items: Vec<Item<K, V>>,
    /// Where in the items each tier ends.
    ends: [usize; 3],
    bytes: [u64; 3],
    /// Of each item, the higher the more recently used; nothing where all are of one tier. See [`order`].
    recencies: Vec<u64>,
    /// By the items' numbers.
    deadlines: Deadlines,
    /// By hash: the number of an item, and one more; or nothing. At most half full.
    numbers: Vec<usize>,
    hasher: S,
}

impl<K, V, S> StoreSnapshot<K, V, S> {
    fn range(&self, tier: Tier) -> Range<usize> {
        let begin = tier.above().map_or(0, |above| self.ends[above.index()]);
        begin..self.ends[tier.index()]
    }

    /// The fragments of a tier, from the most to the least recently used, as the snapshot has read it.
    ///
    /// What is used while the snapshot is taken may stand where it stood before or after that use. Of tiers that the snapshot is not of, nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::{Tier, TierStore};
    /// # let store = TierStore::<&str, u32>::new(1024)?;
    /// store.store("a", 1)?;
    /// store.store("b", 2)?;
    /// store.get("a");
    /// let snapshot = store.snapshot();
    /// let keys: Vec<&str> = snapshot.tier(Tier::Hot).iter().map(|item| item.key).collect();
    /// assert_eq!(keys, ["a", "b"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn tier(&self, tier: Tier) -> &[Item<K, V>] {
        &self.items[self.range(tier)]
    }

    /// What the fragments of a tier weigh together, in bytes. A sum above `u64::MAX` reads as that.
    ///
    /// Of hot, that is at most the hot budget: the one that was in force at the snapshot's instant; or, while a call that lowered the budget was running, the one before. Where what is kept in hot weighs more than a budget that was set later, it is at most that.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::{Tier, TierStore};
    /// # let store = TierStore::builder(100).weigher(|_: &u32, _: &u32| 7).build()?;
    /// store.store(1, 1)?;
    /// assert_eq!(store.snapshot().bytes(Tier::Hot), 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn bytes(&self, tier: Tier) -> u64 {
        self.bytes[tier.index()]
    }

    /// How many fragments it shows, of all tiers.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<u32, u32>::new(1024)?;
    /// store.store(1, 1)?;
    /// assert_eq!(store.snapshot().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it shows no fragment.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<u32, u32>::new(1024)?;
    /// assert!(store.snapshot().is_empty());
    /// # Ok::<(), tierstack::BuildError>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Its fragments with their tiers: hot first, and each tier from the most to the least recently used.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::{Tier, TierStore};
    /// # let store = TierStore::<&str, u32>::new(1024)?;
    /// store.store("a", 1)?;
    /// store.store("b", 2)?;
    /// store.demote("b");
    /// let snapshot = store.snapshot();
    /// let shown: Vec<_> = snapshot.iter().map(|(tier, item)| (tier, item.key)).collect();
    /// assert_eq!(shown, [(Tier::Hot, "a"), (Tier::Warm, "b")]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn iter(&self) -> SnapshotIter<'_, K, V> {
        SnapshotIter { items: &self.items, next: 0, ends: self.ends }
    }

    /// Adds up what the fragments weigh.
    pub(super) fn add_up(&mut self) {
        self.bytes = Tier::ALL.map(|tier| self.tier(tier).iter().fold(0, |sum, item| item.weight.saturating_add(sum)));
    }

    /// Its items, tier by tier, to give them other weights; then [`Self::add_up`].
    pub(super) fn items_mut(&mut self) -> &mut [Item<K, V>] {
        &mut self.items
    }

    /// The items of all tiers, and where each tier ends.
    #[cfg(feature = "rayon")]
    pub(super) fn parts(&self) -> (&[Item<K, V>], [usize; 3]) {
        (&self.items, self.ends)
    }

    fn tier_of(&self, number: usize) -> Tier {
        tier_of(number, self.ends)
    }

    /// The same, with what becomes of keys and values.
    fn map<L, W>(self, map: impl FnMut(Item<K, V>) -> Item<L, W>) -> StoreSnapshot<L, W, S> {
        let Self { items, ends, bytes, recencies, deadlines, numbers, hasher } = self;
        let items = items.into_iter().map(map).collect();
        StoreSnapshot { items, ends, bytes, recencies, deadlines, numbers, hasher }
    }
}

/// The tier of an item, by its number.
pub(super) fn tier_of(number: usize, ends: [usize; 3]) -> Tier {
    if number < ends[0] {
        Tier::Hot
    } else if number < ends[1] {
        Tier::Warm
    } else {
        Tier::Cold
    }
}

impl<K, V, S: BuildHasher> StoreSnapshot<K, V, S> {
    /// The fragment of a key, if it is shown.
    ///
    /// Expected O(1). The keys of a snapshot that a [`View`] lends are borrows: of `String`s it is asked by `&String`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::{Tier, TierStore};
    /// # let store = TierStore::<String, u32>::new(1024)?;
    /// store.store("key".into(), 1)?;
    /// let snapshot = store.snapshot();
    /// store.store("key".into(), 2)?;
    /// let fragment = snapshot.get("key").expect("it was there");
    /// assert_eq!((*fragment.value, fragment.tier), (1, Tier::Hot));
    /// assert!(snapshot.get("other").is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get<Q>(&self, key: &Q) -> Option<Fragment<&V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let number = self.number_of(key)?;
        let Item { value, weight, kept, version, .. } = &self.items[number];
        Some(Fragment { value, tier: self.tier_of(number), kept: *kept, weight: *weight, version: *version })
    }

    /// The number of the item of a key.
    fn number_of<Q>(&self, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = spread(self.hasher.hash_one(key));
        let mut place = home(hash, self.numbers.len())?;
        while let Some(number) = self.numbers[place].checked_sub(1) {
            if self.items[number].key.borrow() == key {
                return Some(number);
            }
            place = (place + 1) % self.numbers.len();
        }
        None
    }
}

impl<K: Clone, V: Clone, S> StoreSnapshot<&K, &V, S> {
    /// The same snapshot with keys and values of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::TierStore;
    /// # let store = TierStore::<String, u32>::new(1024)?;
    /// store.store("key".into(), 1)?;
    /// let view = store.pin();
    /// let snapshot = view.snapshot().cloned();
    /// drop(view);
    /// drop(store);
    /// assert_eq!(snapshot.get("key").map(|fragment| *fragment.value), Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn cloned(self) -> StoreSnapshot<K, V, S> {
        self.map(Item::cloned)
    }
}

impl<'a, K, V, S> IntoIterator for &'a StoreSnapshot<K, V, S> {
    type Item = (Tier, &'a Item<K, V>);
    type IntoIter = SnapshotIter<'a, K, V>;

    fn into_iter(self) -> SnapshotIter<'a, K, V> {
        self.iter()
    }
}

impl<K: fmt::Debug, V: fmt::Debug, S> fmt::Debug for StoreSnapshot<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("StoreSnapshot");
        for (name, tier) in ["hot", "warm", "cold"].into_iter().zip(Tier::ALL) {
            debug.field(name, &self.tier(tier));
        }
        debug.finish()
    }
}

/// The fragments of a [`StoreSnapshot`] with their tiers.
#[derive(Clone, Debug)]
pub struct SnapshotIter<'a, K, V> {
    items: &'a [Item<K, V>],
    next: usize,
    ends: [usize; 3],
}

impl<'a, K, V> Iterator for SnapshotIter<'a, K, V> {
    type Item = (Tier, &'a Item<K, V>);

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.items.get(self.next)?;
        let tier = tier_of(self.next, self.ends);
        self.next += 1;
        Some((tier, item))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.items.len() - self.next;
        (left, Some(left))
    }
}

impl<K, V> ExactSizeIterator for SnapshotIter<'_, K, V> {}

impl<K, V> FusedIterator for SnapshotIter<'_, K, V> {}

impl<K, V, S> TierStore<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher + Clone,
{
    /// All fragments as they stand at one instant of this call, as clones; not a use of any.
    ///
    /// Everybody else goes on meanwhile. Any number of snapshots may be taken at once; those that meet share their work. To look at fragment after fragment, where it does not matter that
    /// they go on moving, [`iter`](Self::iter) does.
    ///
    /// # Linearization
    ///
    /// The read-modify-write that blocks the collector of reports: by this call, or by another that has found it between this one's first step and its last. Every
    /// fragment that stood in a tier throughout the call is shown there. The order in which a tier is shown is read afterwards, fragment by fragment.
    ///
    /// # Progress
    ///
    /// Lock-free. A call that is stopped at any instruction delays no other: neither does a stopped snapshot delay a change, nor a stopped change a snapshot. O(n log n) for n fragments,
    /// mostly sorted already, and as much memory. Where a snapshot of other tiers is in progress it is taken to its end first. The thread is pinned meanwhile. While it is taken, each
    /// change, and each read that is not of what was just read, adds a note of its own to what the snapshot collects.
    ///
    /// # Panics
    ///
    /// Where `Clone` of a key, a value or the hasher does; nothing is lost. Clones of the hasher are to hash alike.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{Tier, TierStore};
    ///
    /// let store = TierStore::builder(10).weigher(|_: &&str, text: &String| text.len() as u64).build()?;
    /// store.store("a", "12345".to_string())?;
    /// store.store("b", "1234567".to_string())?;
    ///
    /// let snapshot = store.snapshot();
    /// store.remove("b");
    /// assert_eq!(snapshot.get("b").map(|fragment| fragment.tier), Some(Tier::Hot));
    /// assert_eq!(snapshot.get("a").map(|fragment| fragment.tier), Some(Tier::Warm));
    /// assert!(snapshot.bytes(Tier::Hot) <= 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn snapshot(&self) -> StoreSnapshot<K, V, S>
    where
        V: Clone,
    {
        self.pin().snapshot().cloned()
    }

    /// The fragments of one tier as they stand at one instant of this call, as clones; not a use of any.
    ///
    /// # Linearization
    ///
    /// As [`snapshot`](Self::snapshot); so are progress, for n fragments in that tier, and panics.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::{Tier, TierStore};
    /// # let store = TierStore::<&str, String>::new(1024)?;
    /// store.store("goal", "win".into())?;
    /// let prompt: String = store.snapshot_of(Tier::Hot).iter().map(|(_, item)| item.value.as_str()).collect();
    /// assert_eq!(prompt, "win");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn snapshot_of(&self, tier: Tier) -> StoreSnapshot<K, V, S>
    where
        V: Clone,
    {
        self.pin().snapshot_of(tier).cloned()
    }
}

impl<K, V, S> View<'_, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher + Clone,
{
    /// As [`TierStore::snapshot`], lending keys and values.
    ///
    /// # Linearization
    ///
    /// As [`TierStore::snapshot`]; so are progress and panics.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<u32, String>::new(1024)?;
    /// let view = store.pin();
    /// view.store(1, "one".into())?;
    /// let snapshot = view.snapshot();
    /// view.remove(&1);
    /// let lent: &String = snapshot.get(&1).expect("it was there").value;
    /// assert_eq!(lent, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> StoreSnapshot<&K, &V, S> {
        self.snapshot_of_tiers(Tiers::ALL)
    }

    /// As [`TierStore::snapshot_of`], lending keys and values.
    ///
    /// # Linearization
    ///
    /// As [`TierStore::snapshot_of`]; so are progress and panics.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::{Tier, TierStore};
    /// # let store = TierStore::<u32, String>::new(1024)?;
    /// let view = store.pin();
    /// view.store(1, "one".into())?;
    /// assert_eq!(view.snapshot_of(Tier::Hot).len(), 1);
    /// assert!(view.snapshot_of(Tier::Cold).is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn snapshot_of(&self, tier: Tier) -> StoreSnapshot<&K, &V, S> {
        self.snapshot_of_tiers(Tiers::only(tier))
    }

    fn snapshot_of_tiers(&self, tiers: Tiers) -> StoreSnapshot<&K, &V, S> {
        // Before anything is in progress: it is the caller's code.
        let hasher = self.store.hasher.clone();
        let core = &self.store.core;
        let shown = self.picture(tiers);
        let (mut ends, mut bytes) = ([0; 3], [0_u64; 3]);
        for Shown { tier, node, .. } in &shown {
            ends[tier.index()] += 1;
            bytes[tier.index()] = bytes[tier.index()].saturating_add(node.weight());
        }
        ends[1] += ends[0];
        ends[2] += ends[1];
        let recencies =
            if order::is_of_several(&ends) { shown.iter().map(|shown| shown.recency).collect() } else { Vec::new() };
        let numbers = table::of(shown.iter().map(|shown| shown.node.hash()));
        let items = shown.iter().map(|Shown { node, kept, .. }| Item {
            key: node.key(),
            value: node.value(),
            weight: node.weight(),
            kept: *kept,
            version: core.version(node),
        });
        let deadlines = core.deadlines_of(&shown);
        StoreSnapshot { items: items.collect(), ends, bytes, recencies, deadlines, numbers, hasher }
    }
}
