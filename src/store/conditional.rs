//! Changes that depend on what is there: owned, and through a view.
//!
//! Each is a store with a condition (see [`super::condition`]), and takes effect at that store's one CAS. The caller's functions run between two
//! steps: nothing is held then, and of an owned operation nothing is pinned. Where one panics the store is as it was.

mod lent;

use core::hash::{BuildHasher, Hash};

use super::TierStore;
use super::condition::{IfAbsent, IfIs};
use super::core::Core;
use super::error::{Refusal, ReplaceIfRefusal, StoreError, StoreIfAbsentRefusal, UpdateRefusal};
use super::view::View;
use super::write::{Newcomer, NotStored};
use crate::engine::stats::Event;
use crate::store::fragment::{Fragment, GetOrStored, Stored};
use crate::store::version::Version;

/// What a `replace_if` within an `update` came to.
enum Updated<K, V, S> {
    Done(S),
    /// Another fragment is there. The key, for the next try.
    Changed(K),
    Refused(StoreError<K, Option<V>, UpdateRefusal>),
}

impl<K, V, S> Updated<K, V, S> {
    fn of(replaced: Result<S, StoreError<K, V, ReplaceIfRefusal>>) -> Self {
        let StoreError { key, value, reason } = match replaced {
            Ok(stored) => return Self::Done(stored),
            Err(refused) => refused,
        };
        let reason = match reason {
            ReplaceIfRefusal::Changed { .. } | ReplaceIfRefusal::OtherStore => return Self::Changed(key),
            ReplaceIfRefusal::NotFound => UpdateRefusal::NotFound,
            ReplaceIfRefusal::Refused(refusal) => UpdateRefusal::Refused(refusal),
        };
        Self::Refused(StoreError { key, value: Some(value), reason })
    }
}

impl<K, V> NotStored<K, V, StoreIfAbsentRefusal> {
    /// The fragment again, for another try, where the key was present.
    fn unless_present(self) -> Result<Newcomer<K, V>, NotStored<K, V, Refusal>> {
        let Self { new, reason } = self;
        match reason {
            StoreIfAbsentRefusal::Present { .. } => Ok(new),
            StoreIfAbsentRefusal::Refused(reason) => Err(NotStored { new, reason }),
        }
    }
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Core<K, V> {
    /// Counts the miss, where nothing was found. A hit has taken a tick, which counts it.
    fn count_use<W, E>(&self, obtained: &Result<GetOrStored<W>, E>) {
        if !matches!(obtained, Ok(GetOrStored::Found(_))) {
            self.stats.count(Event::Miss);
        }
    }
}

impl<K, V> From<StoreError<K, V>> for StoreError<K, V, StoreIfAbsentRefusal> {
    fn from(refused: StoreError<K, V>) -> Self {
        refused.map_reason(Refusal::into)
    }
}

impl<K, V> From<StoreError<K, V>> for StoreError<K, V, ReplaceIfRefusal> {
    fn from(refused: StoreError<K, V>) -> Self {
        refused.map_reason(Refusal::into)
    }
}

impl<K, V, S> TierStore<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Stores a fragment as [`store`](Self::store) does, if its key has none.
    ///
    /// Where the key has one, this says in which tier it stood and which version it has. It is not used: its recency stays, and it counts neither
    /// as a hit nor as a miss.
    ///
    /// # Errors
    ///
    /// [`StoreError`] hands key and value back, with a [`StoreIfAbsentRefusal`]. The weight is looked at first, then the key. Demotions that were made for
    /// room before the key turned out to be present stay made: that takes another call that has stored it meanwhile.
    ///
    /// # Linearization
    ///
    /// The CAS that puts the node into its index cell. Present: the read of the place word that says where it is. Each demotion is a step of
    /// its own within the call, before it; so is the instant that fixes this use's place in the recency order.
    ///
    /// # Progress
    ///
    /// As [`store`](Self::store). What is refused at the first look is O(1), allocates nothing and changes nothing.
    ///
    /// # Panics
    ///
    /// As [`store`](Self::store).
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{StoreIfAbsentRefusal, Tier, TierStore};
    ///
    /// let store = TierStore::<&str, u32>::new(1024)?;
    /// let stored = store.store_if_absent("goal", 1)?;
    /// assert_eq!((stored.tier, stored.replaced), (Tier::Hot, None));
    ///
    /// let refused = store.store_if_absent("goal", 2).unwrap_err();
    /// assert_eq!((refused.key, refused.value), ("goal", 2));
    /// assert_eq!(refused.reason, StoreIfAbsentRefusal::Present { tier: Tier::Hot, version: stored.version });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn store_if_absent(&self, key: K, value: V) -> Result<Stored<V>, StoreError<K, V, StoreIfAbsentRefusal>> {
        let measured = self.measure(&key, &value);
        let view = View::for_an_owned_operation(self);
        let stored = view.store_where(measured, key, value, IfAbsent);
        let stored = stored.map(|written| written.report.without_replaced());
        drop(view);
        stored
    }

    /// Reads a key's fragment, or stores what `make` makes if the key has none.
    ///
    /// The first that stores wins. Where another call stores the key while `make` runs, what it has made is dropped, and the other's fragment is
    /// read: `make` has run for nothing. It runs at most once. It runs outside of every step of the store: it may take its time, and use the store.
    ///
    /// What it finds it uses: a hit. Where it stores or fails, that is a miss.
    ///
    /// # Errors
    ///
    /// [`StoreError`] hands the key and what was made back, as [`store`](Self::store) does.
    ///
    /// # Linearization
    ///
    /// Found: as [`get`](Self::get). Stored: as [`store_if_absent`](Self::store_if_absent).
    ///
    /// # Progress
    ///
    /// Lock-free, but for `make`. Expected O(1) amortized, and the number of fragments demoted.
    ///
    /// # Panics
    ///
    /// Where `make` does, and as [`store`](Self::store). Nothing is stored then.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{GetOrStored, TierStore};
    ///
    /// let store = TierStore::<&str, String>::new(1024)?;
    /// let summary = store.get_or_store_with("summary", || "costly to make".into())?;
    /// assert!(matches!(summary, GetOrStored::Stored { .. }));
    ///
    /// let again = store.get_or_store_with("summary", || unreachable!("it is there"))?;
    /// assert_eq!(again.into_fragment().value, "costly to make");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_or_store_with(&self, key: K, make: impl FnOnce() -> V) -> Result<GetOrStored<V>, StoreError<K, V>>
    where
        V: Clone,
    {
        let obtained = self.obtain(key, make);
        self.core.count_use(&obtained);
        obtained
    }

    fn obtain(&self, key: K, make: impl FnOnce() -> V) -> Result<GetOrStored<V>, StoreError<K, V>>
    where
        V: Clone,
    {
        let hash = self.hash(&key);
        if let Some(found) = self.use_owned(hash, &key) {
            return Ok(GetOrStored::Found(found));
        }
        let value = make();
        let (own, weight) = (value.clone(), self.weigh(&key, &value));
        let mut new = match self.built(hash, key, value, weight) {
            Ok(new) => new,
            Err(refused) => return refused.hand_back(),
        };
        loop {
            let view = View::for_an_owned_operation(self);
            let stored = view.store_newcomer(new, IfAbsent).map(|written| written.report.without_replaced::<V>());
            drop(view);
            new = match stored {
                Ok(Stored { tier, version, contended, kept_out, kept, .. }) => {
                    let fragment = Fragment { value: own, tier, kept, weight, version };
                    return Ok(GetOrStored::Stored { fragment, contended, kept_out });
                }
                Err(refused) => match refused.unless_present() {
                    Ok(new) => new,
                    Err(refused) => return refused.hand_back(),
                },
            };
            if let Some(found) = self.use_owned(hash, new.key()) {
                return Ok(GetOrStored::Found(found));
            }
            // It has gone again.
        }
    }

    /// Replaces a fragment as [`store`](Self::store) does, if it still has this version: if it is the very one that was read, stored or listed.
    ///
    /// Moves from tier to tier and uses leave the version as it is, so that they do not matter here. The new fragment goes to hot, as that of a `store`
    /// does, wherever the old one stood; it has a version of its own. Counts as a use.
    ///
    /// # Errors
    ///
    /// [`StoreError`] hands key and value back, with a [`ReplaceIfRefusal`]: the key is absent, its fragment has another version (which it names), or the version is of
    /// another store. Nothing is used then. Demotions that were made for room before another call changed the fragment stay made.
    ///
    /// # Linearization
    ///
    /// The CAS that makes the old fragment's place word *replaced*. Refused: the read of the place word, or of the index cell, that shows the
    /// other version, or that the key is absent. Each demotion is a step of its own within the call, before it; so is the instant
    /// that fixes this use's place in the recency order.
    ///
    /// # Progress
    ///
    /// As [`store`](Self::store). What is refused at the first look is O(1), allocates nothing and changes nothing.
    ///
    /// # Panics
    ///
    /// As [`store`](Self::store).
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{ReplaceIfRefusal, TierStore};
    ///
    /// let store = TierStore::<&str, u32>::new(1024)?;
    /// let old = store.store("text", 1)?.version;
    /// let new = store.replace_if("text", &old, 2)?;
    /// assert_eq!(new.replaced, Some(1));
    ///
    /// // What was made of the old text is not installed over the new one.
    /// let refused = store.replace_if("text", &old, 3).unwrap_err();
    /// assert!(matches!(refused.reason, ReplaceIfRefusal::Changed { version, .. } if version == new.version));
    /// assert_eq!(store.peek("text").map(|fragment| fragment.value), Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn replace_if(
        &self,
        key: K,
        version: &Version,
        value: V,
    ) -> Result<Stored<V>, StoreError<K, V, ReplaceIfRefusal>>
    where
        V: Clone,
    {
        let measured = self.measure_successor(&key, version, &value);
        let view = View::for_an_owned_operation(self);
        let stored = view.store_where(measured, key, value, IfIs(*version));
        let stored = stored.map(|written| written.report.map(|old| view.take_replaced(old)));
        drop(view);
        stored
    }

    /// Hashes and weighs a fragment to store in place of the one of that version.
    fn measure_successor(&self, key: &K, version: &Version, value: &V) -> Result<(u64, u64), ReplaceIfRefusal> {
        if !self.core.has_made(*version) {
            return Err(ReplaceIfRefusal::OtherStore);
        }
        Ok(self.measure(key, value)?)
    }

    /// Replaces a fragment by what `make` makes of it.
    ///
    /// What is replaced is the value that `make` was given, and no other: where another call replaces the fragment while `make` runs, what it has made is
    /// dropped, and it runs again. So it may run several times, and should have no other effect. It runs outside of every step of the
    /// store, on a clone of the value: it may take its time, and use the store. Counts as a use, as a [`store`](Self::store) does; the reading does not.
    ///
    /// # Errors
    ///
    /// [`StoreError`] hands the key back, with an [`UpdateRefusal`], and what `make` has made last, if it has: the key is absent, or what was made is too heavy.
    ///
    /// # Linearization
    ///
    /// The CAS that makes the place word of the fragment, as `make` was given it last, *replaced*. Absent: as [`peek`](Self::peek).
    ///
    /// # Progress
    ///
    /// Lock-free, but for `make`: it runs again only where another call has replaced the fragment, or has removed it and stored another.
    ///
    /// # Panics
    ///
    /// Where `make` does, and as [`store`](Self::store). Nothing is changed then.
    ///
    /// # Examples
    ///
    /// ```
    /// let store = tierstack::TierStore::<&str, u64>::new(1024)?;
    /// store.store("uses", 0)?;
    /// std::thread::scope(|scope| {
    ///     for _ in 0..4 {
    ///         scope.spawn(|| store.update("uses", |uses| uses + 1));
    ///     }
    /// });
    /// assert_eq!(store.peek("uses").map(|fragment| fragment.value), Some(4));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update(
        &self,
        mut key: K,
        mut make: impl FnMut(&V) -> V,
    ) -> Result<Stored<V>, StoreError<K, Option<V>, UpdateRefusal>>
    where
        V: Clone,
    {
        let hash = self.hash(&key);
        loop {
            let Some(old) = self.peek_owned(hash, &key) else {
                return Err(StoreError { key, value: None, reason: UpdateRefusal::NotFound });
            };
            let value = make(&old.value);
            match Updated::of(self.replace_if(key, &old.version, value)) {
                Updated::Done(stored) => return Ok(stored),
                Updated::Changed(unchanged) => key = unchanged,
                Updated::Refused(refused) => return Err(refused),
            }
        }
    }
}
