//! The operations on a store with an archive.

use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash};
use core::time::Duration;
use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use tierstack::{Fragment, StoreError, Tier, TierStore};

use super::error::{FlushError, RestoreError};
use super::health::Health;
use super::job::Job;
use super::queued::Queued;
use super::{ArchivedStore, Restored, Written};
use crate::{Archive, Codec, Typed};

impl<K, V, A, KeyCodec, ValueCodec, S> ArchivedStore<K, V, A, KeyCodec, ValueCodec, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    A: Archive + 'static,
    KeyCodec: Codec<K> + Send + Sync + 'static,
    ValueCodec: Codec<V> + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// The store in memory, for all that the archive does not change: `get`, `promote`, `keep`, snapshots, metrics, pinned views. Storing through it is
    /// fine, too: the writer finds what overflows within [`poll`](super::ArchivedOptions::poll).
    ///
    /// **Do not remove through it.** A key whose older record is archived would come back: call [`remove`](Self::remove).
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "redb")] {
    /// # use tierstack::{Capacity, Tier, TierStore};
    /// # use tierstack_archive::{ArchivedOptions, ArchivedStore, Plain, RedbArchive, Typed};
    /// # let folder = tempfile::tempdir()?;
    /// # let memory = TierStore::<String, String>::new(1000)?;
    /// # let archive = Typed::new(RedbArchive::open(folder.path().join("archive.redb"))?, Plain, Plain);
    /// # let store = ArchivedStore::new(memory, archive, ArchivedOptions::new(Capacity::bytes(1000)))?;
    /// store.store("goal".into(), "find the bug".into())?;
    /// store.memory().demote("goal");
    /// assert_eq!(store.memory().tier_of("goal"), Some(Tier::Warm));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn memory(&self) -> &TierStore<K, V, S> {
        &self.running.inner.memory
    }

    /// The archive: to [compact](Archive::compact) it, or ask for its [status](Archive::status). Do not commit to it.
    ///
    /// # Progress
    ///
    /// No I/O. It takes a lock that is held for as long as it takes to read or write a few words, also while a [`reopen`](Self::reopen) runs.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "redb")] {
    /// # use std::time::Duration;
    /// # use tierstack::{Capacity, TierStore};
    /// # use tierstack_archive::{Archive, ArchivedOptions, ArchivedStore, Plain, RedbArchive, Typed};
    /// # let folder = tempfile::tempdir()?;
    /// # let memory = TierStore::<String, String>::new(1000)?;
    /// # let archive = Typed::new(RedbArchive::open(folder.path().join("archive.redb"))?, Plain, Plain);
    /// # let store = ArchivedStore::new(memory, archive, ArchivedOptions::new(Capacity::bytes(1000)))?;
    /// store.store("goal".into(), "find the bug".into())?;
    /// store.checkpoint(Duration::from_secs(10))?;
    /// assert_eq!(store.archive().archive().status()?.records, 1);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn archive(&self) -> Arc<Typed<A, KeyCodec, ValueCodec>> {
        self.archive.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stores a fragment in memory, as [`TierStore::store`] does, and says whether the archive is behind.
    ///
    /// # Errors
    ///
    /// Those of [`TierStore::store`].
    ///
    /// # Linearization
    ///
    /// As [`TierStore::store`].
    ///
    /// # Progress
    ///
    /// Lock-free, but for waking the writer when a batch is full and it sleeps. No I/O, whatever the archive does.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "redb")] {
    /// # use tierstack::{Capacity, TierStore};
    /// # use tierstack_archive::{ArchivedOptions, ArchivedStore, Plain, RedbArchive, Typed};
    /// # let folder = tempfile::tempdir()?;
    /// # let memory = TierStore::<String, String>::new(1000)?;
    /// # let archive = Typed::new(RedbArchive::open(folder.path().join("archive.redb"))?, Plain, Plain);
    /// # let store = ArchivedStore::new(memory, archive, ArchivedOptions::new(Capacity::bytes(1000)))?;
    /// let written = store.store("goal".into(), "find the bug".into())?;
    /// assert!(!written.is_behind && written.stored.replaced.is_none());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn store(&self, key: K, value: V) -> Result<Written<V>, StoreError<K, V>> {
        let stored = self.running.inner.memory.store(key, value)?;
        Ok(Written { stored, is_behind: self.running.inner.nudge() })
    }

    /// Reads a fragment from memory: [`TierStore::get`]. Never does I/O.
    ///
    /// # Linearization
    ///
    /// As [`TierStore::get`]. What is being archived is found until the archive has it.
    ///
    /// # Progress
    ///
    /// As [`TierStore::get`].
    ///
    /// # Examples
    ///
    /// See [`ArchivedStore`].
    pub fn get<Q>(&self, key: &Q) -> Option<Fragment<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.running.inner.memory.get(key)
    }

    /// Reads a fragment from memory, or from the archive if it has left. Then it stands in memory again, as if it was stored now, unless another one
    /// was stored meanwhile: that one is returned.
    ///
    /// A hit in memory is a use, as in [`get`](Self::get). The record stays in the archive.
    ///
    /// # Errors
    ///
    /// [`RestoreError`]. An error is not an absent key: the archive could not be asked.
    ///
    /// # Linearization
    ///
    /// Found in memory: as [`TierStore::get`]. From the archive: as [`TierStore::store_if_absent`]. `None`: an instant of the call at which the key was neither
    /// in memory nor in the archive.
    ///
    /// # Progress
    ///
    /// A hit in memory is lock-free. A miss blocks for the archive. It starts over when the key is removed or archived meanwhile, or the store is [reopened](Self::reopen).
    ///
    /// # Examples
    ///
    /// See [`ArchivedStore`].
    pub fn get_or_restore<Q>(&self, key: &Q) -> Result<Option<Restored<V>>, RestoreError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.running.inner.get_or_restore(key)
    }

    /// [`get_or_restore`](Self::get_or_restore) for tasks of tokio's. A hit is ready at once. A miss reads the archive on one of the runtime's threads for
    /// [blocking work](tokio::task::spawn_blocking).
    ///
    /// With another runtime, share the store in an [`Arc`], and call [`get_or_restore`](Self::get_or_restore) where that runtime has its blocking work done.
    ///
    /// # Errors
    ///
    /// As [`get_or_restore`](Self::get_or_restore), and [`RestoreError::Task`].
    ///
    /// # Linearization
    ///
    /// As [`get_or_restore`](Self::get_or_restore), before the future is ready. If it is dropped, the restore may come to pass all the same.
    ///
    /// # Progress
    ///
    /// The task does not block.
    ///
    /// # Panics
    ///
    /// Outside of a runtime of tokio's, on a miss.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "redb")] {
    /// # use std::time::Duration;
    /// # use tierstack::{Capacity, TierStore};
    /// # use tierstack_archive::{ArchivedOptions, ArchivedStore, Plain, RedbArchive, Source, Typed};
    /// # let folder = tempfile::tempdir()?;
    /// # let memory = TierStore::<String, String>::builder(0).weigher(|_, _| 1).warm_capacity(Capacity::entries(0)).build()?;
    /// # let archive = Typed::new(RedbArchive::open(folder.path().join("archive.redb"))?, Plain, Plain);
    /// # let store = ArchivedStore::new(memory, archive, ArchivedOptions::new(Capacity::entries(0)))?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// store.store("goal".into(), "find the bug".into())?;
    /// store.flush(Duration::from_secs(10))?;
    /// let goal = store.get_or_restore_async("goal".to_string()).await?.expect("it was stored");
    /// assert_eq!((goal.fragment.value.as_str(), goal.source), ("find the bug", Source::Archive));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "tokio")]
    pub fn get_or_restore_async(
        &self,
        key: K,
    ) -> impl Future<Output = Result<Option<Restored<V>>, RestoreError>> + Send + use<K, V, A, KeyCodec, ValueCodec, S>
    {
        let inner = self.running.inner.clone();
        async move {
            if let Some(fragment) = inner.memory.get(&key) {
                return Ok(Some(Restored { fragment, source: super::Source::Memory }));
            }
            let restored = tokio::task::spawn_blocking(move || inner.get_or_restore(&key));
            restored.await.map_err(RestoreError::Task)?
        }
    }

    /// Takes a key out of memory and out of the archive. Returns what stood in memory.
    ///
    /// No later call finds the key, in this process. It is gone from the archive for good when the writer has committed the removal: see [`flush`](Self::flush). A crash
    /// before that can bring back what was archived.
    ///
    /// # Linearization
    ///
    /// As [`TierStore::remove`]. If the key is not in memory: an instant under its gate.
    ///
    /// # Progress
    ///
    /// No I/O. It takes a mutex that is held for operations in memory only.
    ///
    /// # Examples
    ///
    /// See [`ArchivedStore`].
    pub fn remove<Q>(&self, key: &Q) -> Option<Fragment<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.running.inner.remove(key)
    }

    /// Returns when the archive has made two things durable: all that stood in cold above what it is to keep, at an instant of the call, and all removals
    /// before the call. Each fragment is durable as it was then, or newer.
    ///
    /// Some need not be durable. They left memory, or stayed there, in another way:
    ///
    /// - what was removed meanwhile, by [`remove`](Self::remove) or through [`memory`](Self::memory),
    /// - what a [`cold_capacity`](tierstack::Builder::cold_capacity) has pushed out meanwhile, or a deadline has ended: the store's
    ///   [listener](tierstack::Builder::listener) was told,
    /// - what is [kept](TierStore::keep) in cold: it does not count, and stays.
    ///
    /// It does not wait for a batch to fill. What hot, warm and cold keep is not written: see [`checkpoint`](Self::checkpoint).
    ///
    /// # Errors
    ///
    /// [`FlushError`]: not within the limit, or not all of it. Nothing is lost by that.
    ///
    /// # Progress
    ///
    /// Blocks for `limit` at most, and looks through cold first: O(n log n) for n fragments in it.
    ///
    /// # Examples
    ///
    /// See [`ArchivedStore`].
    pub fn flush(&self, limit: Duration) -> Result<(), FlushError> {
        let inner = &self.running.inner;
        let view = inner.memory.pin();
        let items: Vec<_> = view.iter(Tier::Cold).filter(|item| !item.kept).collect();
        let mut bytes = items.iter().fold(0_u64, |sum, item| sum.saturating_add(item.weight));
        let (mut entries, mut owed, mut keys) = (items.len() as u64, 0_u64, HashSet::new());
        for item in items.iter().rev() {
            if !Queued::above(inner.options.cold, bytes, entries).is_any() {
                break;
            }
            bytes = bytes.saturating_sub(item.weight);
            entries -= 1;
            owed = owed.saturating_add(item.weight);
            keys.insert(item.key.clone());
        }
        drop(items);
        drop(view);
        self.order(keys, owed, limit).map(drop)
    }

    /// Returns when each fragment that stood in memory at an instant of the call, in whichever tier, is durable in the archive, as it was then or newer. Returns
    /// how many were written or had left for the archive by then. What was removed, pushed out or expired meanwhile need not be durable: see [`flush`](Self::flush).
    ///
    /// They stay in memory. It is what to call before a shutdown, to find everything by [`get_or_restore`](Self::get_or_restore) after it. All removals before the call are
    /// durable, too.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    ///
    /// # Linearization
    ///
    /// Which keys: as [`TierStore::snapshot`]. Their values are read one by one after that.
    ///
    /// # Progress
    ///
    /// Blocks for `limit` at most, and takes a snapshot first.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "redb")] {
    /// # use std::time::Duration;
    /// # use tierstack::{Capacity, TierStore};
    /// # use tierstack_archive::{ArchivedOptions, ArchivedStore, Plain, RedbArchive, Typed};
    /// # let folder = tempfile::tempdir()?;
    /// let open = || {
    ///     let memory = TierStore::<String, String>::new(1000)?;
    ///     let archive = Typed::new(RedbArchive::open(folder.path().join("archive.redb"))?, Plain, Plain);
    ///     Ok::<_, Box<dyn std::error::Error>>(ArchivedStore::new(memory, archive, ArchivedOptions::new(Capacity::bytes(1000)))?)
    /// };
    /// let store = open()?;
    /// store.store("goal".into(), "find the bug".into())?; // it is hot
    /// assert_eq!(store.checkpoint(Duration::from_secs(10))?, 1);
    /// drop(store);
    ///
    /// let goal = open()?.get_or_restore("goal")?.expect("it was checkpointed");
    /// assert_eq!(goal.fragment.value, "find the bug");
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn checkpoint(&self, limit: Duration) -> Result<u64, FlushError>
    where
        S: Clone,
    {
        let view = self.running.inner.memory.pin();
        let keys: HashSet<K> = view.snapshot().iter().map(|(_, item)| K::clone(item.key)).collect();
        drop(view);
        self.order(keys, 0, limit)
    }

    fn order(&self, keys: HashSet<K>, owed: u64, limit: Duration) -> Result<u64, FlushError> {
        let inner = &self.running.inner;
        let (job, answer) = Job::new(keys, owed);
        inner.inbox.post(job);
        inner.wake();
        answer.wait(limit).unwrap_or_else(|| Err(FlushError::TimedOut { error: inner.state.error() }))
    }

    /// Waits until the archive is not [behind](Written::is_behind). Returns whether it is so: `false` after the limit, and at once if the writer has stopped.
    ///
    /// # Progress
    ///
    /// Blocks for `limit` at most.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "redb")] {
    /// # use std::time::Duration;
    /// # use tierstack::{Capacity, TierStore};
    /// # use tierstack_archive::{ArchivedOptions, ArchivedStore, Plain, RedbArchive, Typed};
    /// # let folder = tempfile::tempdir()?;
    /// # let memory = TierStore::<String, String>::builder(0).weigher(|_, _| 1).warm_capacity(Capacity::entries(0)).build()?;
    /// # let archive = Typed::new(RedbArchive::open(folder.path().join("archive.redb"))?, Plain, Plain);
    /// # let store = ArchivedStore::new(memory, archive, ArchivedOptions::new(Capacity::bytes(10)).queue_bytes(10))?;
    /// for page in 0..100 {
    ///     if store.store(format!("page {page}"), "text".into())?.is_behind {
    ///         assert!(store.wait_for_room(Duration::from_secs(10)));
    ///     }
    /// }
    /// assert!(store.health().queued_bytes <= 20);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_for_room(&self, limit: Duration) -> bool {
        let inner = &self.running.inner;
        inner.room.wait(limit, inner.options.poll.max(Duration::from_millis(1)), || {
            if !inner.nudge() {
                return Some(true);
            }
            inner.state.is_stopped().then_some(false)
        })
    }

    /// How the archive's side is doing: what is wrong since when, what waits, what was done.
    ///
    /// # Progress
    ///
    /// No I/O. It takes a mutex that is held for as long as it takes to read or write a few words.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "redb")] {
    /// # use tierstack::{Capacity, TierStore};
    /// # use tierstack_archive::{ArchivedOptions, ArchivedStore, Plain, RedbArchive, Typed};
    /// # let folder = tempfile::tempdir()?;
    /// # let memory = TierStore::<String, String>::new(1000)?;
    /// # let archive = Typed::new(RedbArchive::open(folder.path().join("archive.redb"))?, Plain, Plain);
    /// # let store = ArchivedStore::new(memory, archive, ArchivedOptions::new(Capacity::bytes(1000)))?;
    /// let health = store.health();
    /// assert!(health.failing_since.is_none() && !health.is_stopped && health.queued_bytes == 0);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn health(&self) -> Health {
        let inner = &self.running.inner;
        let (queued, told) = (inner.queued(), inner.state.health());
        Health {
            queued_bytes: queued.bytes,
            is_behind: inner.is_behind(queued),
            pending_removals: inner.gates.removals(),
            set_aside: told.set_aside + inner.gates.aside(),
            ..told
        }
    }
}
