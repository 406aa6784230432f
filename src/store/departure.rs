//! What the listener is told, and the listener.

use core::fmt;

use super::core::Core;
use crate::drops::Callback;
use crate::engine::node::Node;
use crate::store::version::Version;
use crate::tier::Tier;

/// Why a fragment has left the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// A capacity has pushed it out of cold.
    Overflowed,
    /// A call has taken it out, whose caller has it: `remove`, or `evict_lru` of cold.
    Removed,
    /// Another fragment of its key has taken its place.
    Replaced,
    /// Its deadline has come, or it was not used for as long as [its tier allows](crate::Builder::expire_after).
    Expired,
    /// An archive has it: see [`TierStore::finish_leaving`](crate::TierStore::finish_leaving).
    Archived,
}

/// Some causes: a bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Causes(u8);

impl Causes {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(u8::MAX);

    #[inline]
    pub const fn contain(self, cause: Cause) -> bool {
        self.0 & (1 << cause as u8) != 0
    }
}

impl FromIterator<Cause> for Causes {
    fn from_iter<I: IntoIterator<Item = Cause>>(causes: I) -> Self {
        Self(causes.into_iter().fold(0, |all, cause| all | 1 << cause as u8))
    }
}

/// A fragment that has left the store: what the listener is told. See [`Builder::listener`](crate::Builder::listener).
///
/// # Warning: the key may stand again
///
/// The listener is called after the fragment has left. By then another `store` may have put the key back; where the cause is [`Cause::Replaced`], one has. Through a
/// [`View`](crate::View) the gap is as long as the view lives: the listener is called when the view is dropped or repinned. So do not delete, in the listener, what
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
/// use tierstack::{Capacity, Cause, TierStore};
///
/// let gone = Arc::new(Mutex::new(Vec::new()));
/// let list = Arc::clone(&gone);
/// let store = TierStore::<&str, u32>::builder(1)
///     .weigher(|_, _| 1)
///     .warm_capacity(Capacity::entries(0))
///     .cold_capacity(Capacity::entries(0))
///     .listener(move |departure| {
///         list.lock().unwrap().push((*departure.key, *departure.value, departure.cause, departure.stands_again()));
///     })
///     .build()?;
///
/// let view = store.pin();
/// view.store("a", 1)?;
/// view.store("b", 2)?; // pushes out "a"
/// view.store("a", 3)?; // pushes out "b"
/// view.store("a", 4)?;
/// drop(view); // the listener is called now
/// assert_eq!(*gone.lock().unwrap(), [
///     ("a", 1, Cause::Overflowed, true),
///     ("b", 2, Cause::Overflowed, false),
///     ("a", 3, Cause::Replaced, true),
/// ]);
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
    /// The tier that it stood in.
    pub tier: Tier,
    /// Why it has left.
    pub cause: Cause,
    stands_again: &'a dyn Fn() -> bool,
}

impl<'a, K, V> Departure<'a, K, V> {
    pub(super) fn new<'n: 'a>(
        node: &'n Node<K, V>,
        (tier, cause): (Tier, Cause),
        version: Version,
        stands_again: &'a dyn Fn() -> bool,
    ) -> Self {
        Self { key: node.key(), value: node.value(), weight: node.weight(), version, tier, cause, stands_again }
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
            .field("tier", &self.tier)
            .field("cause", &self.cause)
            .finish_non_exhaustive()
    }
}

/// A caller's listener.
pub type Listen<K, V> = dyn Fn(&Departure<'_, K, V>) + Send + Sync;

/// The listener of a store.
pub struct Listener<K: Send + Sync + 'static, V: Send + Sync + 'static> {
    listen: Callback<Listen<K, V>>,
    /// Asks the store with the key's own `Eq`, which views and outflows do not know when they are dropped.
    stands_again: fn(&Core<K, V>, &Node<K, V>) -> bool,
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Listener<K, V> {
    pub fn new(listen: Callback<Listen<K, V>>) -> Self
    where
        K: Eq,
    {
        fn stands_again<K, V>(core: &Core<K, V>, departed: &Node<K, V>) -> bool
        where
            K: Eq + Send + Sync + 'static,
            V: Send + Sync + 'static,
        {
            core.stands(departed.hash(), |key| key == departed.key(), &crossbeam_epoch::pin())
        }
        Self { listen, stands_again: stands_again::<K, V> }
    }

    pub(super) fn call(&self, departure: &Departure<'_, K, V>) {
        (*self.listen)(departure);
    }

    pub(super) fn stands_again(&self, core: &Core<K, V>, departed: &Node<K, V>) -> bool {
        (self.stands_again)(core, departed)
    }
}
