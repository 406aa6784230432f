//! The deadlines of what a snapshot shows. Few fragments have one: so they are beside the items, and not in them.

use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash};
use core::time::Duration;

use super::StoreSnapshot;
use crate::engine::age::{Age, NEVER};
use crate::store::core::Core;
use crate::store::picture::Shown;

/// Of the items that have one, by their number: how long it is until then, in nanoseconds. In the order of the numbers.
#[derive(Clone, Debug, Default)]
pub struct Deadlines(Vec<(usize, u64)>);

impl Deadlines {
    pub fn push(&mut self, number: usize, left: u64) {
        self.0.push((number, left));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn of(&self, number: usize) -> Option<u64> {
        let at = self.0.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        Some(self.0[at].1)
    }

    /// Gives each another number.
    pub fn renumber(&mut self, number: impl Fn(usize) -> usize) {
        for entry in &mut self.0 {
            entry.0 = number(entry.0);
        }
        self.0.sort_unstable();
    }
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Core<K, V> {
    pub(in crate::store) fn deadlines_of(&self, shown: &[Shown<'_, K, V>]) -> Deadlines {
        let mut deadlines = Deadlines::default();
        if !self.time.is_used() {
            return deadlines;
        }
        let now = self.time.now();
        for (number, shown) in shown.iter().enumerate() {
            if let Some(deadline) = shown.node.age().map(Age::deadline).filter(|deadline| *deadline != NEVER) {
                deadlines.push(number, deadline.saturating_sub(now));
            }
        }
        deadlines
    }
}

impl<K, V, S: BuildHasher> StoreSnapshot<K, V, S> {
    /// How long it was until the deadline of a key's fragment when the snapshot was taken; nothing where it has none, or is not shown. To restore a
    /// snapshot begins that time anew: while no process has the store, it does not pass.
    ///
    /// Expected O(1), and a search among the fragments with a deadline.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use tierstack::TierStore;
    ///
    /// let store = TierStore::<&str, u32>::new(1024)?;
    /// store.store("goal", 1)?;
    /// store.store_until("weather", 2, Instant::now() + Duration::from_secs(600))?;
    /// let snapshot = store.snapshot();
    /// assert!(snapshot.expires_in("weather").is_some_and(|left| left <= Duration::from_secs(600)));
    /// assert_eq!(snapshot.expires_in("goal"), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn expires_in<Q>(&self, key: &Q) -> Option<Duration>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.deadlines.of(self.number_of(key)?).map(Duration::from_nanos)
    }
}
