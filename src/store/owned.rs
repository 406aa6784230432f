//! The owned operations: a view for the length of one call, and a clone of what it lends.

use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash};

use super::TierStore;
use super::departure::Cause;
use super::error::{PromoteError, StoreError};
use super::hashed::{drop_left, read};
use super::pin::Pin;
use super::view::View;
use crate::store::fragment::{Evicted, Fragment, Moved, Stored};
use crate::tier::Tier;

impl<K, V, S> TierStore<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Pins the current thread and returns a [`View`], which lends what it reads.
    ///
    /// A pinned thread delays the freeing of what leaves the store, of every store in the process: drop the view, or
    /// [`repin`](View::repin) it, now and then, and hold none across a rayon join or any other wait.
    ///
    /// # Linearization
    ///
    /// None: a view shows the store as it is at each of its operations, not as it was when it was pinned.
    ///
    /// # Progress
    ///
    /// Lock-free: the first pin of a thread registers it, and now and then a pin collects.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<String, String>::new(1024)?;
    /// let view = store.pin();
    /// view.store("plan".into(), "write tests".into())?;
    /// let fragment = view.get("plan").expect("stored above");
    /// assert_eq!(fragment.value, "write tests"); // a `&String`, not a clone
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pin(&self) -> View<'_, K, V, S> {
        View::new(self)
    }

    /// Stores a fragment in hot, replacing the key's fragment if it has one; counts as a use.
    ///
    /// The weigher is asked first. Where the weight is above the hot budget the fragment goes to warm, and nothing is demoted.
    /// Otherwise the least recently used hot fragments are demoted to warm until it fits, of which a hot predecessor's own bytes count
    /// as free. Where it does not fit and no other hot fragment is there to demote, because operations in flight
    /// hold the rest, it goes to warm and says that it was [contended](Stored::contended): it never waits. Alone, it is never contended.
    ///
    /// "Too heavy", that is, warm and not contended, is true at the instant at which the fragment takes effect. Where the budget is
    /// changed while the call runs, and that cannot be told, it was contended.
    ///
    /// The replaced value is cloned, or, if it is [heavy](crate::HEAVY) and nobody else can read it, itself handed back; through a
    /// [`View`] it is lent.
    ///
    /// # Errors
    ///
    /// [`StoreError`] hands key and value back: a weight above [`MAX_BYTES`](crate::MAX_BYTES), or no tick left (after 2⁵⁶ uses and placements).
    ///
    /// # Linearization
    ///
    /// A new key: the CAS that puts the node into its index cell. A replacement: the CAS that makes the predecessor's place word
    /// *replaced*. Evictions and iterations take it to be there once this call has returned, or anybody has seen it. Each demotion is a step
    /// of its own within the call, before it; so is the instant that fixes this use's place in the recency order. A demotion is decided
    /// at an instant when the room is missing. By the move, another thread may have given back as much.
    ///
    /// # Progress
    ///
    /// Lock-free. Expected O(1) amortized, and the number of fragments demoted. A call that makes the index grow or shrink asks the allocator for the next
    /// table, zeroed; those that follow move a share of the index each.
    ///
    /// # Panics
    ///
    /// Where the weigher, `Hash`, `Eq`, `Clone` or the listener does; nothing but the fragment concerned is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{Tier, TierStore};
    ///
    /// let store = TierStore::builder(10).weigher(|_: &&str, text: &String| text.len() as u64).build()?;
    /// assert_eq!(store.store("a", "12345".to_string())?.tier, Tier::Hot);
    /// assert_eq!(store.store("b", "123456".to_string())?.tier, Tier::Hot);
    /// assert_eq!(store.tier_of("a"), Some(Tier::Warm), "it made room for b");
    ///
    /// let stored = store.store("a", "12".to_string())?;
    /// assert_eq!((stored.tier, stored.replaced.as_deref()), (Tier::Hot, Some("12345")));
    ///
    /// assert_eq!(store.store("c", "more than ten bytes".to_string())?.tier, Tier::Warm);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn store(&self, key: K, value: V) -> Result<Stored<V>, StoreError<K, V>>
    where
        V: Clone,
    {
        // A value may be too large to be moved about on the stack: it goes to its node at once.
        let (hash, weight) = (self.hash(&key), self.weigh(&key, &value));
        match self.built(hash, key, value, weight) {
            Ok(new) => self.store_newcomer(new),
            Err(refused) => refused.hand_back(),
        }
    }

    /// Reads a fragment; counts as a use, and as a hit or a miss.
    ///
    /// # Linearization
    ///
    /// Found: the read of the place word that says where it is. Not found: the read of the index cell, or of the place word, that
    /// says that it is absent. The use is two steps within the call, after it: the instant that
    /// fixes its place in the recency order, and then that from which evictions see it.
    ///
    /// # Progress
    ///
    /// Lock-free; wait-free where no other thread changes the fragment or its index cells meanwhile. Expected O(1).
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::{Tier, TierStore};
    /// # let store = TierStore::<String, u32>::new(1024)?;
    /// store.store("answer".into(), 42)?;
    /// let fragment = store.get("answer").expect("stored above");
    /// assert_eq!((fragment.value, fragment.tier), (42, Tier::Hot));
    /// assert!(store.get("question").is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get<Q>(&self, key: &Q) -> Option<Fragment<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        let hash = self.hash(key);
        let pin = Pin::new();
        let Some(claimed) = self.core.use_claimed(hash, |other| other.borrow() == key, pin.guard()) else {
            drop(pin);
            return self.get_further(hash, key);
        };
        let (found, left) = read(claimed);
        drop(pin);
        drop_left(left);
        Some(found)
    }

    /// Reads a fragment without using it: neither recency nor hits and misses change.
    ///
    /// # Linearization
    ///
    /// As [`get`](Self::get), without the use.
    ///
    /// # Progress
    ///
    /// As [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::{Tier, TierStore};
    /// # let store = TierStore::<&str, u32>::new(1024)?;
    /// store.store("old", 1)?;
    /// store.store("new", 2)?;
    /// assert_eq!(store.peek("old").map(|fragment| fragment.value), Some(1));
    /// assert_eq!(store.evict_lru(Tier::Hot).map(|evicted| evicted.key), Some("old"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peek<Q>(&self, key: &Q) -> Option<Fragment<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        self.peek_owned(self.hash(key), key)
    }

    /// Whether the key has a fragment, in whichever tier; not a use.
    ///
    /// # Linearization
    ///
    /// As [`peek`](Self::peek).
    ///
    /// # Progress
    ///
    /// As [`peek`](Self::peek).
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<String, u32>::new(1024)?;
    /// store.store("key".into(), 1)?;
    /// assert!(store.contains("key") && !store.contains("other"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn contains<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.tier_of(key).is_some()
    }

    /// The tier of a key's fragment; not a use.
    ///
    /// # Linearization
    ///
    /// As [`peek`](Self::peek).
    ///
    /// # Progress
    ///
    /// As [`peek`](Self::peek).
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::{Tier, TierStore};
    /// # let store = TierStore::<String, u32>::new(1024)?;
    /// store.store("key".into(), 1)?;
    /// store.demote("key");
    /// assert_eq!(store.tier_of("key"), Some(Tier::Warm));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tier_of<Q>(&self, key: &Q) -> Option<Tier>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        let pin = Pin::new();
        let found = self.core.peek(hash, |other| other.borrow() == key, pin.guard()).map(|found| found.tier);
        drop(pin);
        found.or_else(|| self.tier_of_further(hash, key))
    }

    /// Moves a fragment one tier up; counts as a use. From hot it stays in hot.
    ///
    /// Room in hot is made as by [`store`](Self::store), never by demoting the fragment itself.
    ///
    /// # Errors
    ///
    /// [`PromoteError`]; the fragment stays as it was, unused. Demotions that were made for room before it turned out to be
    /// contended stay made.
    ///
    /// # Linearization
    ///
    /// The CAS of its place word. An error: the read that found the key absent, the budget too small, or no room. Each demotion, and the
    /// taking of the tick that becomes its recency, are steps of their own within the call, before it.
    ///
    /// # Progress
    ///
    /// Lock-free. Expected O(1), and the number of fragments demoted.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::{Moved, PromoteError, Tier, TierStore};
    /// # let store = TierStore::<String, u32>::new(1024)?;
    /// store.store("key".into(), 1)?;
    /// store.demote_to("key", Tier::Cold);
    /// assert_eq!(store.promote("key"), Ok(Moved { from: Tier::Cold, to: Tier::Warm }));
    /// assert_eq!(store.promote("other"), Err(PromoteError::NotFound));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn promote<Q>(&self, key: &Q) -> Result<Moved, PromoteError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        View::for_an_owned_operation(self).promote_hashed(hash, key, |from| from.above().unwrap_or(Tier::Hot))
    }

    /// Moves a fragment up to `tier`; counts as a use. One that is there or above already stays where it is.
    ///
    /// # Errors
    ///
    /// As [`promote`](Self::promote).
    ///
    /// # Linearization
    ///
    /// As [`promote`](Self::promote).
    ///
    /// # Progress
    ///
    /// As [`promote`](Self::promote).
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::{Moved, Tier, TierStore};
    /// # let store = TierStore::<String, u32>::new(1024)?;
    /// store.store("key".into(), 1)?;
    /// store.demote_to("key", Tier::Cold);
    /// assert_eq!(store.promote_to("key", Tier::Hot), Ok(Moved { from: Tier::Cold, to: Tier::Hot }));
    /// assert_eq!(store.promote_to("key", Tier::Warm), Ok(Moved { from: Tier::Hot, to: Tier::Hot }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn promote_to<Q>(&self, key: &Q, tier: Tier) -> Result<Moved, PromoteError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        View::for_an_owned_operation(self).promote_hashed(hash, key, |_| tier)
    }

    /// Moves a fragment one tier down; it keeps its last use. From cold it stays in cold. `None`: no such key.
    ///
    /// # Linearization
    ///
    /// The CAS of its place word; where it stays, the read of that word.
    ///
    /// # Progress
    ///
    /// Lock-free. Expected O(1), and what the tier below pushes out.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::{Moved, Tier, TierStore};
    /// # let store = TierStore::<String, u32>::new(1024)?;
    /// store.store("key".into(), 1)?;
    /// assert_eq!(store.demote("key"), Some(Moved { from: Tier::Hot, to: Tier::Warm }));
    /// assert_eq!(store.hot_bytes(), 0);
    /// assert_eq!(store.demote("other"), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn demote<Q>(&self, key: &Q) -> Option<Moved>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        View::for_an_owned_operation(self).demote_hashed(hash, key, |from| from.below().unwrap_or(Tier::Cold))
    }

    /// Moves a fragment down to `tier`; it keeps its last use. One that is there or below already stays where it is.
    /// `None`: no such key.
    ///
    /// # Linearization
    ///
    /// As [`demote`](Self::demote).
    ///
    /// # Progress
    ///
    /// As [`demote`](Self::demote).
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::{Moved, Tier, TierStore};
    /// # let store = TierStore::<String, u32>::new(1024)?;
    /// store.store("key".into(), 1)?;
    /// assert_eq!(store.demote_to("key", Tier::Cold), Some(Moved { from: Tier::Hot, to: Tier::Cold }));
    /// assert_eq!(store.demote_to("key", Tier::Hot), Some(Moved { from: Tier::Cold, to: Tier::Cold }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn demote_to<Q>(&self, key: &Q, tier: Tier) -> Option<Moved>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        View::for_an_owned_operation(self).demote_hashed(hash, key, |_| tier)
    }

    /// Moves the least recently used fragment of `tier` one tier down; out of cold it leaves the store. `None`: the tier is empty, but for what is [kept](Self::keep) or [leaving](Self::start_leaving).
    ///
    /// With no overlapping call the victim is exactly the least recently used. Under overlap no fragment that stood in the tier, older
    /// and unused, from the start of the call to the move is passed over, "empty" is answered only if none stood there
    /// throughout, and a `get` that has returned makes a move fail that was decided before it. Of what is kept or leaving nothing of this is said: it is passed by.
    ///
    /// What leaves cold is handed back here; the listener is told, as of a `remove`.
    ///
    /// # Linearization
    ///
    /// The CAS of the victim's place word. The choice of the victim is a step of its own within the call, before it.
    ///
    /// # Progress
    ///
    /// Lock-free. Amortized O(1): fragments used since they were placed are re-listed on the way, once for each use at most. And one step for each fragment of cold that is leaving.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::{Tier, TierStore};
    /// # let store = TierStore::<&str, u32>::new(1024)?;
    /// store.store("a", 1)?;
    /// store.store("b", 2)?;
    /// store.get("a");
    /// let evicted = store.evict_lru(Tier::Hot).expect("two are hot");
    /// assert_eq!((evicted.key, evicted.from, evicted.to), ("b", Tier::Hot, Some(Tier::Warm)));
    /// assert!(store.evict_lru(Tier::Cold).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn evict_lru(&self, tier: Tier) -> Option<Evicted<K, V>>
    where
        V: Clone,
    {
        // What stays in the store is read as by a view: others may end it meanwhile. What has left it was ended here.
        let view = if tier == Tier::Cold { View::for_an_owned_operation(self) } else { View::new(self) };
        let Evicted { key, value, weight, from, to } = view.evict(tier)?;
        let value = if to.is_some() { value.value().clone() } else { view.take(value, Cause::Removed) };
        let evicted = Evicted { key: key.clone(), value, weight, from, to };
        drop(view);
        Some(evicted)
    }

    /// Takes a fragment out of the store and hands back its value: as [`store`](Self::store) does what it replaced.
    ///
    /// # Linearization
    ///
    /// The CAS that makes its place word *removed*. Not found: as [`peek`](Self::peek).
    ///
    /// # Progress
    ///
    /// Lock-free. Expected O(1).
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::TierStore;
    /// # let store = TierStore::<String, u32>::new(1024)?;
    /// store.store("key".into(), 1)?;
    /// assert_eq!(store.remove("key").map(|fragment| fragment.value), Some(1));
    /// assert!(store.remove("key").is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove<Q>(&self, key: &Q) -> Option<Fragment<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        let hash = self.hash(key);
        let view = View::for_an_owned_operation(self);
        let removed = view.remove_hashed(hash, key)?.map(|removed| view.take(removed, Cause::Removed));
        drop(view);
        Some(removed)
    }
}
