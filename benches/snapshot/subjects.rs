//! Who takes a picture of hot.

use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::Mutex;
use tierstack::{Tier, TierStore};
use tierstack_benches::{subject::Hasher, workload::KEY_BYTES};

/// A store of which a picture can be taken.
pub trait Pictured: Sync {
    const NAME: &'static str;

    /// Empty, with room for so many in hot.
    fn with_room_for(fragments: usize) -> Self;

    fn store(&self, key: String, value: u64);

    /// Takes a picture of hot, drops it, and says how much it showed.
    fn picture(&self) -> usize;
}

type Store = TierStore<String, u64, Hasher>;

const EACH: u64 = KEY_BYTES as u64 + 8;

fn store(fragments: usize) -> Store {
    let builder = TierStore::builder(fragments as u64 * EACH).weigher(|_: &String, _: &u64| EACH);
    builder.hasher(Hasher::default()).build().expect("the budget is not too large")
}

/// A subject over a store, by what it does for a picture.
macro_rules! pictured {
    ($($(#[$doc:meta])* $name:ident, $called:literal, $picture:expr;)*) => {$(
        $(#[$doc])*
        pub struct $name(Store);

        impl Pictured for $name {
            const NAME: &'static str = $called;

            fn with_room_for(fragments: usize) -> Self {
                Self(store(fragments))
            }

            fn store(&self, key: String, value: u64) {
                assert!(self.0.store(key, value).is_ok(), "ticks are left");
            }

            fn picture(&self) -> usize {
                let picture: fn(&Store) -> usize = $picture;
                picture(&self.0)
            }
        }
    )*};
}

pictured! {
    /// Owned, of one instant.
    SnapshotOwned, "snapshot_owned", |store| store.snapshot_of(Tier::Hot).len();
    /// Lent, of one instant.
    SnapshotLent, "snapshot_lent", |store| store.pin().snapshot_of(Tier::Hot).len();
    /// Owned, fragment by fragment.
    IterOwned, "iter_owned", |store| store.iter(Tier::Hot).collect::<Vec<_>>().len();
    /// Lent, fragment by fragment.
    IterLent, "iter_lent", |store| store.pin().iter(Tier::Hot).collect::<Vec<_>>().len();
}

/// A clone of the whole cache, under its lock.
pub struct LruClone(Mutex<LruCache<String, u64, Hasher>>);

impl Pictured for LruClone {
    const NAME: &'static str = "lru_clone";

    fn with_room_for(fragments: usize) -> Self {
        let fragments = NonZeroUsize::new(fragments).expect("there is room for one");
        Self(Mutex::new(LruCache::with_hasher(fragments, Hasher::default())))
    }

    fn store(&self, key: String, value: u64) {
        // What leaves is dropped once the lock is free.
        let left = self.0.lock().push(key, value);
        drop(left);
    }

    fn picture(&self) -> usize {
        let picture = self.0.lock().clone();
        picture.len()
    }
}
