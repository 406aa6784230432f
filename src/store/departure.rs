//! What the overflow hook is given, and the hook.

use core::fmt;

use super::core::Core;
use crate::drops::Callback;
use crate::engine::node::Node;
use crate::store::version::Version;

/// A fragment that has left the store: what the overflow hook is given. See [`Builder::overflow_hook`](crate::Builder::overflow_hook).
///
/// # Warning: the key may stand again
///
/// The hook runs after the fragment has left. By then another `store` may have put the key back. Through a [`View`](crate::View) the
/// gap is as long as the view lives: the hook is called when the view is dropped or repinned. So do not delete, in the hook, what
/// belongs to the *key*: a file that is named after it may be the new fragment's by now.
///
/// - Name such things after the *fragment*: after its [`version`](Self::version), which the [`Stored`](crate::Stored) named, or after
///   something that the value carries. No other fragment has the same. This is always right.
/// - Or ask [`stands_again`](Self::stands_again). It knows what was stored before it looks. It cannot know what is stored right after.
///   So it is enough only where no other thread stores that key meanwhile.
///
/// # Examples
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use tierstack::{Capacity, TierStore};
///
/// let gone = Arc::new(Mutex::new(Vec::new()));
/// let list = Arc::clone(&gone);
/// let store = TierStore::<&str, u32>::builder(1)
///     .weigher(|_, _| 1)
///     .warm_capacity(Capacity::entries(0))
///     .cold_capacity(Capacity::entries(0))
///     .overflow_hook(move |departure| {
///         list.lock().unwrap().push((*departure.key, *departure.value, departure.stands_again()));
///     })
///     .build()?;
///
/// let view = store.pin();
/// view.store("a", 1)?;
/// view.store("b", 2)?; // pushes out "a"
/// view.store("a", 3)?; // pushes out "b"
/// drop(view); // the hook is called now
/// assert_eq!(*gone.lock().unwrap(), [("a", 1, true), ("b", 2, false)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub struct Departure<'a, K, V> {
    /// Its key.
    pub key: &'a K,
    /// Its value: lent, as other threads may still be reading it.
    pub value: &'a V,
    /// Its weight, in bytes.
    pub weight: u64,
    /// Names this value of the key, as when it was stored: what stands there by now has another.
    pub version: Version,
    stands_again: &'a dyn Fn() -> bool,
}

impl<'a, K, V> Departure<'a, K, V> {
    pub(super) fn new<'n: 'a>(node: &'n Node<K, V>, version: Version, stands_again: &'a dyn Fn() -> bool) -> Self {
        Self { key: node.key(), value: node.value(), weight: node.weight(), version, stands_again }
    }

    /// Whether the key has a fragment in the store again, in whichever tier: one that was stored after this one had left.
    ///
    /// # Linearization
    ///
    /// As [`TierStore::contains`](crate::TierStore::contains). The answer is about that instant: see the warning above.
    ///
    /// # Progress
    ///
    /// As [`TierStore::contains`](crate::TierStore::contains). The thread is pinned for the length of the look-up.
    ///
    /// # Examples
    ///
    /// See above.
    #[must_use]
    pub fn stands_again(&self) -> bool {
        (self.stands_again)()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Departure<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Departure")
            .field("key", self.key)
            .field("value", self.value)
            .field("weight", &self.weight)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// A caller's overflow hook.
pub type OverflowHook<K, V> = dyn Fn(&Departure<'_, K, V>) + Send + Sync;

/// The hook of a store.
pub struct Hook<K: Send + Sync + 'static, V: Send + Sync + 'static> {
    hook: Callback<OverflowHook<K, V>>,
    /// Asks the store with the key's own `Eq`, which views and outflows do not know when they are dropped.
    stands_again: fn(&Core<K, V>, &Node<K, V>) -> bool,
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Hook<K, V> {
    pub fn new(hook: Callback<OverflowHook<K, V>>) -> Self
    where
        K: Eq,
    {
        fn stands_again<K, V>(core: &Core<K, V>, departed: &Node<K, V>) -> bool
        where
            K: Eq + Send + Sync + 'static,
            V: Send + Sync + 'static,
        {
            core.peek(departed.hash(), |key| key == departed.key(), &crossbeam_epoch::pin()).is_some()
        }
        Self { hook, stands_again: stands_again::<K, V> }
    }

    pub(super) fn call(&self, departure: &Departure<'_, K, V>) {
        (*self.hook)(departure);
    }

    pub(super) fn stands_again(&self, core: &Core<K, V>, departed: &Node<K, V>) -> bool {
        (self.stands_again)(core, departed)
    }
}
