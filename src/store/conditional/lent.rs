//! The same through a view, which lends what it answers.

use core::hash::{BuildHasher, Hash};

use super::Updated;
use crate::engine::node::Node;
use crate::store::condition::{Condition, IfAbsent, IfIs};
use crate::store::error::{ReplaceIfRefusal, StoreError, StoreIfAbsentRefusal, UpdateRefusal};
use crate::store::fragment::{Fragment, GetOrStored, Stored};
use crate::store::version::Version;
use crate::store::view::View;
use crate::store::write::{Newcomer, NotStored, Written};

impl<K, V, S> View<'_, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// As [`TierStore::store_if_absent`](crate::TierStore::store_if_absent).
    ///
    /// # Errors
    ///
    /// As [`TierStore::store_if_absent`](crate::TierStore::store_if_absent).
    ///
    /// # Linearization
    ///
    /// As [`TierStore::store_if_absent`](crate::TierStore::store_if_absent); so are progress and panics.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<u32, String>::new(1024)?;
    /// let view = store.pin();
    /// view.store_if_absent(1, "one".into())?;
    /// assert_eq!(view.store_if_absent(1, "uno".into()).unwrap_err().value, "uno");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn store_if_absent(&self, key: K, value: V) -> Result<Stored<&V>, StoreError<K, V, StoreIfAbsentRefusal>> {
        let measured = self.store.measure(&key, &value);
        Ok(self.store_where(measured, key, value, IfAbsent)?.report.map(Node::value))
    }

    /// Stores where the condition holds. What is refused at the first look costs no tick, no memory and no room.
    pub(super) fn store_where<C: Condition>(
        &self,
        measured: Result<(u64, u64), impl Into<C::Refusal>>,
        key: K,
        value: V,
        condition: C,
    ) -> Result<Written<'_, K, V>, StoreError<K, V, C::Refusal>> {
        let looked = measured.map_err(Into::into).and_then(|(hash, weight)| {
            self.look(hash, &key, condition)?;
            Ok((hash, weight))
        });
        let (hash, weight) = match looked {
            Ok(looked) => looked,
            Err(reason) => return Err(StoreError { key, value, reason }),
        };
        let new = Newcomer::new(hash, key, value, weight, &self.store.core);
        self.store_newcomer(new, condition).or_else(NotStored::hand_back)
    }

    /// As [`TierStore::get_or_store_with`](crate::TierStore::get_or_store_with), lending the value. `make` runs while this view is pinned.
    ///
    /// # Errors
    ///
    /// As [`TierStore::get_or_store_with`](crate::TierStore::get_or_store_with).
    ///
    /// # Linearization
    ///
    /// As [`TierStore::get_or_store_with`](crate::TierStore::get_or_store_with); so are progress and panics.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<u32, String>::new(1024)?;
    /// let view = store.pin();
    /// let lent: &String = view.get_or_store_with(1, || "one".into())?.into_fragment().value;
    /// assert_eq!(lent, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_or_store_with(&self, key: K, make: impl FnOnce() -> V) -> Result<GetOrStored<&V>, StoreError<K, V>> {
        let obtained = self.obtain(key, make);
        self.store.core.count_use(&obtained);
        obtained
    }

    fn obtain(&self, key: K, make: impl FnOnce() -> V) -> Result<GetOrStored<&V>, StoreError<K, V>> {
        let hash = self.store.hash(&key);
        if let Some(found) = self.use_hashed(hash, &key) {
            return Ok(GetOrStored::Found(found));
        }
        let value = make();
        let weight = self.store.weigh(&key, &value);
        let mut new = match self.store.built(hash, key, value, weight) {
            Ok(new) => new,
            Err(refused) => return refused.hand_back(),
        };
        loop {
            new = match self.store_newcomer(new, IfAbsent) {
                Ok(Written { report: Stored { tier, version, contended, kept_out, kept, .. }, node }) => {
                    let fragment = Fragment { value: node.value(), tier, kept, weight, version };
                    return Ok(GetOrStored::Stored { fragment, contended, kept_out });
                }
                Err(refused) => match refused.unless_present() {
                    Ok(new) => new,
                    Err(refused) => return refused.hand_back(),
                },
            };
            if let Some(found) = self.use_hashed(hash, new.key()) {
                return Ok(GetOrStored::Found(found));
            }
            // It has gone again.
        }
    }

    /// As [`TierStore::replace_if`](crate::TierStore::replace_if), lending the replaced value.
    ///
    /// # Errors
    ///
    /// As [`TierStore::replace_if`](crate::TierStore::replace_if).
    ///
    /// # Linearization
    ///
    /// As [`TierStore::replace_if`](crate::TierStore::replace_if); so are progress and panics.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<u32, String>::new(1024)?;
    /// let view = store.pin();
    /// let old = view.store(1, "one".into())?.version;
    /// assert_eq!(view.replace_if(1, &old, "uno".into())?.replaced, Some(&"one".to_string()));
    /// assert!(view.replace_if(1, &old, "eins".into()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn replace_if(
        &self,
        key: K,
        version: &Version,
        value: V,
    ) -> Result<Stored<&V>, StoreError<K, V, ReplaceIfRefusal>> {
        let measured = self.store.measure_successor(&key, version, &value);
        Ok(self.store_where(measured, key, value, IfIs(*version))?.report.map(Node::value))
    }

    /// As [`TierStore::update`](crate::TierStore::update), lending `make` the value itself, and the caller what was replaced. `make` runs while this view is pinned.
    ///
    /// # Errors
    ///
    /// As [`TierStore::update`](crate::TierStore::update).
    ///
    /// # Linearization
    ///
    /// As [`TierStore::update`](crate::TierStore::update); so are progress and panics.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<u32, String>::new(1024)?;
    /// let view = store.pin();
    /// view.store(1, "one".into())?;
    /// assert_eq!(view.update(1, |old| format!("{old}!"))?.replaced, Some(&"one".to_string()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update(
        &self,
        mut key: K,
        mut make: impl FnMut(&V) -> V,
    ) -> Result<Stored<&V>, StoreError<K, Option<V>, UpdateRefusal>> {
        let hash = self.store.hash(&key);
        loop {
            let Some(old) = self.peek_hashed(hash, &key) else {
                return Err(StoreError { key, value: None, reason: UpdateRefusal::NotFound });
            };
            let value = make(old.value.value());
            match Updated::of(self.replace_if(key, &old.version, value)) {
                Updated::Done(stored) => return Ok(stored),
                Updated::Changed(unchanged) => key = unchanged,
                Updated::Refused(refused) => return Err(refused),
            }
        }
    }
}
