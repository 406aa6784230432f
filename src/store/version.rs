//! Versions: the names of what was stored.
//!
//! A node carries the first tick that was taken for it as its *stamp*. The clock gives out no tick twice, and nobody else takes this one for a
//! node, so that a stamp names one stored value of its store for good. (Where its placement is does not matter: a store takes another tick
//! for the same node if its predecessor was moved meanwhile, and moves take ticks of their own. The stamp stays.) The number of the store
//! makes it a name in the process.
//!
//! Nothing is published through either: a stamp is written before its node is, and never changes.

use core::fmt;

use crate::sync::stat::{AtomicU64, Ordering};

/// Which store of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreNumber(u64);

impl StoreNumber {
    pub fn next() -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        // Relaxed: only that no two get the same matters.
        Self(MADE.fetch_add(1, Ordering::Relaxed))
    }
}

/// Names what one `store` has stored, for as long as the process runs.
///
/// Each [`Fragment`](crate::Fragment), [`Stored`](crate::Stored) and [`Item`](crate::Item) carries one. A replacement has another version than
/// what it replaced. Moves, evictions from tier to tier and uses leave the version as it is. No version comes back, and none of another store
/// is equal to it.
///
/// [`replace_if`](crate::TierStore::replace_if) takes one. Versions have no order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version {
    store: StoreNumber,
    stamp: u64,
}

impl Version {
    #[inline]
    pub(crate) const fn new(store: StoreNumber, stamp: u64) -> Self {
        Self { store, stamp }
    }

    pub(crate) fn is_of(self, store: StoreNumber) -> bool {
        self.store == store
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({}:{})", self.store.0, self.stamp)
    }
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests {
    use std::sync::Arc;

    use crate::Fragment;
    use crate::engine::node::Node;

    use super::*;

    #[test]
    fn a_stamp_takes_the_room_that_narrower_claims_have_left() {
        assert_eq!(size_of::<Node<u64, u64>>(), 10 * 8);
        assert_eq!(size_of::<Node<Arc<str>, Arc<str>>>(), 12 * 8);
        assert_eq!(size_of::<Option<Fragment<&u64>>>(), 5 * 8);
    }

    #[test]
    fn a_version_shows_its_store_and_its_stamp_and_knows_its_store() {
        let (one, other) = (StoreNumber::next(), StoreNumber::next());
        let version = Version::new(one, 7);
        assert!(version.is_of(one) && !version.is_of(other));
        assert_ne!(version, Version::new(other, 7));
        assert_eq!(format!("{version:?}"), format!("Version({}:7)", one.0));
    }
}
