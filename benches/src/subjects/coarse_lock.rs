//! Three `lru::LruCache`s behind one `parking_lot::Mutex`: the same job as tierstack's, with everything under one
//! lock.

use parking_lot::Mutex;

use super::lru_tiers::LruTiers;
use crate::subject::{Bounds, Held, Payload, Session, Subject};

/// All three tiers, under the lock.
pub struct CoarseLock<V>(Mutex<LruTiers<V>>);

impl<V> CoarseLock<V> {
    /// Holds the lock for as long as that takes.
    pub fn locked(&self, meanwhile: impl FnOnce()) {
        let _guard = self.0.lock();
        meanwhile();
    }
}

impl<V: Payload> Subject<V> for CoarseLock<V> {
    const NAME: &'static str = "coarse_lock";
    const EXACT: bool = true;

    type Session<'s> = &'s Self;

    fn new(bounds: Bounds) -> Self {
        Self(Mutex::new(LruTiers::new(bounds)))
    }

    fn session(&self) -> &Self {
        self
    }

    fn held(&self) -> Option<Held> {
        Some(self.0.lock().held())
    }

    fn peak_hot_bytes(&self) -> Option<u64> {
        Some(self.0.lock().peak_hot_bytes())
    }
}

impl<V: Payload> Session<V> for &CoarseLock<V> {
    #[inline]
    fn get(&mut self, key: &str) -> bool {
        // A clone, made under the lock: nothing can be lent out of it.
        let value = self.0.lock().get(key).cloned();
        value.is_some_and(|value| {
            value.touch();
            true
        })
    }

    // What has left is dropped at the end of a statement that has already let go of the lock.

    #[inline]
    fn store(&mut self, key: String, value: V) {
        let left = self.0.lock().store(key, value);
        drop(left);
    }

    #[inline]
    fn promote(&mut self, key: &str) -> bool {
        let left = self.0.lock().promote(key);
        left.is_some()
    }

    #[inline]
    fn demote(&mut self, key: &str) -> bool {
        let left = self.0.lock().demote(key);
        left.is_some()
    }

    #[inline]
    fn remove(&mut self, key: &str) -> bool {
        let left = self.0.lock().remove(key);
        left.is_some()
    }
}
