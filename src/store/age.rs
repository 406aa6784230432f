//! What callers ask about ages: fragments with a deadline, and the end of what has expired.

use core::hash::{BuildHasher, Hash};
use std::time::Instant;

use super::TierStore;
use super::condition::Always;
use super::error::StoreError;
use super::view::View;
use crate::engine::node::Node;
use crate::store::fragment::Stored;
use crate::tier::Tier;

impl<K, V, S> TierStore<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// As [`store`](Self::store), of a fragment that expires at `deadline`, however it is used.
    ///
    /// From then on it is absent, in whichever tier it is, unless it is [kept](Self::keep) at that time: then, once it is let go. Where the tier has a
    /// [lifetime](crate::Builder::expire_after) as well, whichever is first counts. What replaces the fragment has a deadline only if it is stored with one.
    ///
    /// A deadline that has passed is no error: the fragment takes its place, and has expired. The time is that of the store's
    /// [clock](crate::Builder::clock).
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store).
    ///
    /// # Linearization
    ///
    /// As [`store`](Self::store); so are progress and panics. The clock is asked before the fragment is stored.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use tierstack::TierStore;
    ///
    /// let store = TierStore::<&str, &str>::new(1024)?;
    /// store.store_until("weather", "rain", Instant::now() + Duration::from_secs(600))?;
    /// store.store_until("yesterday", "sun", Instant::now())?;
    /// assert!(store.get("weather").is_some());
    /// assert!(store.get("yesterday").is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn store_until(&self, key: K, value: V, deadline: Instant) -> Result<Stored<V>, StoreError<K, V>>
    where
        V: Clone,
    {
        match self.built_until(key, value, deadline) {
            Ok(new) => self.store_newcomer(new),
            Err(refused) => refused.hand_back(),
        }
    }

    /// Ends every fragment that has expired; how many that were.
    ///
    /// What has expired is absent for every reader, also without this. But it stays in memory, and is counted by [`len`](Self::len) and [`bytes`](Self::bytes), until an
    /// operation meets it: a read or a change of its key, an eviction, an iteration, a snapshot, or this. Call it now and then, where there is much that expires and little
    /// that is evicted; the store has no thread of its own. The [listener](crate::Builder::listener) is told of each fragment.
    ///
    /// Returns at once where nothing in the store has ever had an age.
    ///
    /// # Linearization
    ///
    /// Each fragment leaves for itself, at the CAS that ends it. What was due when this call read the time, stood in its tier throughout, and was not used meanwhile, has left.
    ///
    /// # Progress
    ///
    /// Lock-free, but for the listener. O(n) for n fragments that are not [kept](Self::keep). The thread is pinned meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use tierstack::TierStore;
    ///
    /// let store = TierStore::<&str, u32>::new(1024)?;
    /// store.store_until("token", 1, Instant::now())?;
    /// store.store_until("plan", 2, Instant::now() + Duration::from_secs(3600))?;
    /// assert_eq!(store.purge_expired(), 1);
    /// assert!(store.contains("plan"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn purge_expired(&self) -> usize {
        View::for_an_owned_operation(self).purge_expired()
    }
}

impl<K, V, S> View<'_, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// As [`TierStore::store_until`], lending the replaced value.
    ///
    /// # Errors
    ///
    /// As [`TierStore::store`].
    ///
    /// # Linearization
    ///
    /// As [`TierStore::store_until`]; so are progress and panics.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Instant;
    /// # let store = tierstack::TierStore::<u32, u32>::new(1024)?;
    /// let view = store.pin();
    /// view.store_until(1, 1, Instant::now())?;
    /// assert!(view.get(&1).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn store_until(&self, key: K, value: V, deadline: Instant) -> Result<Stored<&V>, StoreError<K, V>> {
        match self.store.built_until(key, value, deadline).and_then(|new| self.store_newcomer(new, Always)) {
            Ok(written) => Ok(written.report.map(Node::value)),
            Err(refused) => refused.hand_back(),
        }
    }

    /// As [`TierStore::purge_expired`].
    ///
    /// # Linearization
    ///
    /// As [`TierStore::purge_expired`]; so is progress.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<u32, u32>::new(1024)?;
    /// assert_eq!(store.pin().purge_expired(), 0);
    /// # Ok::<(), tierstack::BuildError>(())
    /// ```
    pub fn purge_expired(&self) -> usize {
        if !self.store.core.time.is_used() {
            return 0;
        }
        let mut operation = self.operation();
        let purged = Tier::ALL.into_iter().map(|tier| operation.purge(tier)).sum();
        operation.finish();
        purged
    }
}
