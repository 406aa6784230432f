//! Three `lru::LruCache`s behind one `parking_lot::RwLock`.
//!
//! It does less: so that readers can share the lock, which is what it is taken for, a `get` only peeks and is no use of
//! the fragment. Tiers are then first in, first out. A `get` that counted would need the lock to itself: `coarse_lock`
//! is that, with a cheaper lock.

use parking_lot::RwLock;

use super::lru_tiers::LruTiers;
use crate::subject::{Bounds, Held, Payload, Session, Subject};

/// All three tiers, under the lock.
pub struct ReadWriteLock<V>(RwLock<LruTiers<V>>);

impl<V> ReadWriteLock<V> {
    /// Holds the lock for as long as that takes, for writing.
    pub fn locked(&self, meanwhile: impl FnOnce()) {
        let _guard = self.0.write();
        meanwhile();
    }
}

impl<V: Payload> Subject<V> for ReadWriteLock<V> {
    const NAME: &'static str = "rw_lock";
    const EXACT: bool = true;

    type Session<'s> = &'s Self;

    fn new(bounds: Bounds) -> Self {
        Self(RwLock::new(LruTiers::new(bounds)))
    }

    fn session(&self) -> &Self {
        self
    }

    fn held(&self) -> Option<Held> {
        Some(self.0.read().held())
    }

    fn peak_hot_bytes(&self) -> Option<u64> {
        Some(self.0.read().peak_hot_bytes())
    }
}

impl<V: Payload> Session<V> for &ReadWriteLock<V> {
    #[inline]
    fn get(&mut self, key: &str) -> bool {
        // A clone, made under the lock: nothing can be lent out of it.
        let value = self.0.read().peek(key).cloned();
        value.is_some_and(|value| {
            value.touch();
            true
        })
    }

    // What has left is dropped at the end of a statement that has already let go of the lock.

    #[inline]
    fn store(&mut self, key: String, value: V) {
        let left = self.0.write().store(key, value);
        drop(left);
    }

    #[inline]
    fn promote(&mut self, key: &str) -> bool {
        let left = self.0.write().promote(key);
        left.is_some()
    }

    #[inline]
    fn demote(&mut self, key: &str) -> bool {
        let left = self.0.write().demote(key);
        left.is_some()
    }

    #[inline]
    fn remove(&mut self, key: &str) -> bool {
        let left = self.0.write().remove(key);
        left.is_some()
    }
}
