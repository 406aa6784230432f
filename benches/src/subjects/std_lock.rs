//! Three `lru::LruCache`s behind one `std::sync::Mutex`: `coarse_lock` with the lock that needs no crate.

use std::sync::{Mutex, MutexGuard};

use super::lru_tiers::LruTiers;
use crate::subject::{Bounds, Held, Payload, Session, Subject};

/// All three tiers, under the lock.
pub struct StdLock<V>(Mutex<LruTiers<V>>);

impl<V> StdLock<V> {
    #[inline]
    fn lock(&self) -> MutexGuard<'_, LruTiers<V>> {
        self.0.lock().expect("nothing panics under the lock")
    }

    /// Holds the lock for as long as that takes.
    pub fn locked(&self, meanwhile: impl FnOnce()) {
        let _guard = self.lock();
        meanwhile();
    }
}

impl<V: Payload> Subject<V> for StdLock<V> {
    const NAME: &'static str = "std_lock";
    const EXACT: bool = true;

    type Session<'s> = &'s Self;

    fn new(bounds: Bounds) -> Self {
        Self(Mutex::new(LruTiers::new(bounds)))
    }

    fn session(&self) -> &Self {
        self
    }

    fn held(&self) -> Option<Held> {
        Some(self.lock().held())
    }

    fn peak_hot_bytes(&self) -> Option<u64> {
        Some(self.lock().peak_hot_bytes())
    }
}

impl<V: Payload> Session<V> for &StdLock<V> {
    #[inline]
    fn get(&mut self, key: &str) -> bool {
        let value = self.lock().get(key).cloned();
        value.is_some_and(|value| {
            value.touch();
            true
        })
    }

    // What has left is dropped at the end of a statement that has already let go of the lock.

    #[inline]
    fn store(&mut self, key: String, value: V) {
        let left = self.lock().store(key, value);
        drop(left);
    }

    #[inline]
    fn promote(&mut self, key: &str) -> bool {
        let left = self.lock().promote(key);
        left.is_some()
    }

    #[inline]
    fn demote(&mut self, key: &str) -> bool {
        let left = self.lock().demote(key);
        left.is_some()
    }

    #[inline]
    fn remove(&mut self, key: &str) -> bool {
        let left = self.lock().remove(key);
        left.is_some()
    }
}
