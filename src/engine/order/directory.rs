//! The ordered map from a page's index to the page: the one seam to crossbeam-skiplist.
//!
//! What is assumed of the map: it is lock-free, `get_or_insert_with` on keys that are never overwritten is linearizable, and an
//! entry that stands throughout a search is found by it. It has no hooks for a model checker, so that under loom a locked
//! tree stands in for it, which proves nothing about the map and adds orderings that the real one may not give: what must hold
//! without them is modelled with no container around it.
//!
//! Of the map only these are used: `get_or_insert_with` (an index is never inserted over another), `front`, `lower_bound`,
//! and `Entry::remove` on the very entry that was looked at.

use std::sync::Arc;

use crossbeam_epoch::Guard;

#[cfg(not(tierstack_loom))]
pub use real::Directory;
#[cfg(tierstack_loom)]
pub use stand_in::Directory;

#[cfg(not(tierstack_loom))]
mod real {
    use core::ops::Bound;

    use crossbeam_skiplist::SkipList;

    use super::{Arc, Guard};

    /// Pages by their index.
    pub struct Directory<T>(SkipList<u64, Arc<T>>);

    impl<T> Directory<T> {
        pub fn new() -> Self {
            Self(SkipList::new(crossbeam_epoch::default_collector().clone()))
        }
    }

    impl<T: 'static> Directory<T>
    where
        Arc<T>: Send,
    {
        /// The entry at `index`, made if there is none.
        pub fn get_or_insert_with<'g>(
            &self,
            index: u64,
            make: impl FnOnce() -> Arc<T>,
            guard: &'g Guard,
        ) -> &'g Arc<T> {
            let entry = self.0.get_or_insert_with(index, make, guard);
            let page: *const Arc<T> = entry.value();
            entry.release(guard);
            // SAFETY: an entry that is removed is freed through the epoch, after this pin.
            unsafe { &*page }
        }

        /// The first entry at or above `index`.
        #[inline]
        pub fn first_from<'g>(&self, index: u64, guard: &'g Guard) -> Option<&'g Arc<T>> {
            let entry =
                if index == 0 { self.0.front(guard) } else { self.0.lower_bound(Bound::Included(&index), guard) };
            let page: *const Arc<T> = entry?.value();
            // SAFETY: as above; and the map outlives the operations on it.
            Some(unsafe { &*page })
        }

        /// Removes the entry at `index` if it is this very one; it is dropped when the current pins are gone.
        pub fn remove(&self, index: u64, page: &T, guard: &Guard) {
            if let Some(entry) = self.0.get(&index, guard)
                && core::ptr::eq(Arc::as_ptr(entry.value()), page)
            {
                entry.remove();
            }
        }
    }
}

#[cfg(tierstack_loom)]
mod stand_in {
    use std::collections::BTreeMap;

    use loom::sync::Mutex;

    use super::{Arc, Guard};

    /// Pages by their index; a stand-in, in models only.
    pub struct Directory<T>(Mutex<BTreeMap<u64, Arc<Arc<T>>>>);

    impl<T> Directory<T> {
        pub fn new() -> Self {
            Self(Mutex::new(BTreeMap::new()))
        }
    }

    impl<T: 'static> Directory<T> {
        pub fn get_or_insert_with<'g>(
            &self,
            index: u64,
            make: impl FnOnce() -> Arc<T>,
            _guard: &'g Guard,
        ) -> &'g Arc<T> {
            let mut map = self.0.lock().unwrap();
            let entry = Arc::as_ptr(map.entry(index).or_insert_with(|| Arc::new(make())));
            // SAFETY: `remove` drops an entry through the epoch, after this pin.
            unsafe { &*entry }
        }

        pub fn first_from<'g>(&self, index: u64, _guard: &'g Guard) -> Option<&'g Arc<T>> {
            let map = self.0.lock().unwrap();
            let page = map.range(index..).next().map(|(_, entry)| Arc::as_ptr(entry))?;
            // SAFETY: as above.
            Some(unsafe { &*page })
        }

        pub fn remove(&self, index: u64, page: &T, guard: &Guard) {
            let mut map = self.0.lock().unwrap();
            if map.get(&index).is_some_and(|entry| core::ptr::eq(Arc::as_ptr(&**entry), page)) {
                let entry = map.remove(&index);
                drop(map);
                // SAFETY: those who still read the entry are pinned.
                unsafe { guard.defer_unchecked(move || drop(entry)) };
            }
        }
    }
}
