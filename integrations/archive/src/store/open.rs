//! Making a store with an archive, and taking it apart: the writer's thread begins and ends here.

use core::fmt;
use core::hash::{BuildHasher, Hash};
use core::time::Duration;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use tierstack::TierStore;

use super::backend::Backend;
use super::batch::Batches;
use super::error::FlushError;
use super::gates::Gates;
use super::health::State;
use super::job::{Inbox, Room};
use super::writer::Writer;
use super::{ArchivedOptions, ArchivedStore, Inner};
use crate::{Archive, ArchiveError, Codec, ErrorKind, Typed};

/// What is shared with the writer, and the writer. Dropped, it ends the writer.
pub(super) struct Running<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub inner: Arc<Inner<K, V, S>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl<K, V, S> Running<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// Ends the writer, and waits for it: for the call of the archive's that it is in, at most. Not if it is itself who calls, by a listener.
    fn end(&self) {
        self.inner.inbox.end();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            thread.thread().unpark();
            if thread.thread().id() != thread::current().id() {
                // It catches what its callees throw. Else the inbox would be open still, which the caller sees.
                let _ = thread.join();
            }
        }
    }

    fn is_writer(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_some_and(|thread| thread.thread().id() == thread::current().id())
    }
}

impl<K, V, S> Drop for Running<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn drop(&mut self) {
        self.end();
    }
}

impl<K, V, S> Running<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Starts a writer. There is none.
    fn start(&self, backend: Arc<dyn Backend<K, V>>) -> Result<(), ArchiveError> {
        let writer = Writer::new(self.inner.clone(), Batches::new(self.inner.clone(), backend)?);
        self.inner.inbox.open();
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        match thread::Builder::new().name("tierstack-archive".into()).spawn(|| writer.run()) {
            Ok(started) => {
                let handle = started.thread().clone();
                *self.inner.writer.write().unwrap_or_else(PoisonError::into_inner) = Some(handle);
                *thread = Some(started);
                Ok(())
            }
            Err(error) => {
                self.inner.inbox.close(None);
                Err(ArchiveError::new(ErrorKind::Unavailable, "the writer's thread was not started").because(error))
            }
        }
    }
}

impl<K, V, A, KeyCodec, ValueCodec, S> ArchivedStore<K, V, A, KeyCodec, ValueCodec, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    A: Archive + 'static,
    KeyCodec: Codec<K> + Send + Sync + 'static,
    ValueCodec: Codec<V> + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Puts an archive behind a store, and starts the writer: a thread named `tierstack-archive`.
    ///
    /// What the archive has already is found by [`get_or_restore`](Self::get_or_restore).
    ///
    /// # Errors
    ///
    /// Those of [`Archive::status`], and [`ErrorKind::Unavailable`] if the system starts no thread.
    ///
    /// # Progress
    ///
    /// Blocks while the archive says how it stands.
    ///
    /// # Examples
    ///
    /// See [`ArchivedStore`].
    pub fn new(
        store: TierStore<K, V, S>,
        archive: Typed<A, KeyCodec, ValueCodec>,
        options: ArchivedOptions,
    ) -> Result<Self, ArchiveError> {
        let archive = Arc::new(archive);
        let inner = Inner {
            memory: store,
            gates: Gates::new(),
            options,
            backend: RwLock::new(archive.clone()),
            state: State::default(),
            inbox: Inbox::closed(),
            room: Room::default(),
            is_awake: AtomicBool::new(true),
            writer: RwLock::new(None),
        };
        let running = Running { inner: Arc::new(inner), thread: Mutex::new(None) };
        running.start(archive.clone())?;
        Ok(Self { running, archive: RwLock::new(archive) })
    }

    /// Goes on with another handle, after the writer has stopped or while it runs: the same archive, opened anew. What was set aside is tried again.
    ///
    /// Removals that were not durable are kept, and are committed to this one.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new). Then the writer has stopped, and nothing else has changed. Called by a listener on the writer's own thread:
    /// [`ErrorKind::Unsupported`].
    ///
    /// # Progress
    ///
    /// Blocks as [`new`](Self::new) does, and until the writer has returned from the call of the archive's that it is in.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "redb")] {
    /// # use tierstack::{Capacity, TierStore};
    /// # use tierstack_archive::{ArchivedOptions, ArchivedStore, Plain, RedbArchive, Typed};
    /// # let folder = tempfile::tempdir()?;
    /// # let memory = TierStore::<String, String>::new(1000)?;
    /// # let open = || RedbArchive::open(folder.path().join("archive.redb"));
    /// # let store = ArchivedStore::new(memory, Typed::new(open()?, Plain, Plain), ArchivedOptions::new(Capacity::bytes(0)))?;
    /// # let other = RedbArchive::open(folder.path().join("other.redb"))?;
    /// store.reopen(Typed::new(other, Plain, Plain))?;
    /// assert!(!store.health().is_stopped);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reopen(&self, archive: Typed<A, KeyCodec, ValueCodec>) -> Result<(), ArchiveError> {
        if self.running.is_writer() {
            return Err(ArchiveError::new(ErrorKind::Unsupported, "the writer cannot wait for its own end"));
        }
        let mut current = self.archive.write().unwrap_or_else(PoisonError::into_inner);
        self.running.end();
        let archive = Arc::new(archive);
        let inner = &self.running.inner;
        inner.gates.take_up();
        self.running.start(archive.clone())?;
        *inner.backend.write().unwrap_or_else(PoisonError::into_inner) = archive.clone();
        *current = archive;
        inner.state.succeeded();
        inner.state.stopped(false);
        Ok(())
    }

    /// [Flushes](Self::flush), then ends the writer. From then on nothing is archived, and [`health`](Self::health) says that it has stopped. Restores go on.
    ///
    /// What hot, warm and cold keep is not archived by it: see [`checkpoint`](Self::checkpoint). Dropping the store ends the writer without a flush.
    ///
    /// # Errors
    ///
    /// Those of [`flush`](Self::flush). The writer goes on then.
    ///
    /// # Progress
    ///
    /// Blocks for `limit` at most, and for one call of the archive's.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "redb")] {
    /// # use std::time::Duration;
    /// # use tierstack::{Capacity, TierStore};
    /// # use tierstack_archive::{ArchivedOptions, ArchivedStore, Plain, RedbArchive, Typed};
    /// # let folder = tempfile::tempdir()?;
    /// # let memory = TierStore::<String, String>::new(1000)?;
    /// # let archive = Typed::new(RedbArchive::open(folder.path().join("archive.redb"))?, Plain, Plain);
    /// # let store = ArchivedStore::new(memory, archive, ArchivedOptions::new(Capacity::bytes(0)))?;
    /// store.store("goal".into(), "find the bug".into())?;
    /// store.checkpoint(Duration::from_secs(10))?;
    /// store.close(Duration::from_secs(10))?;
    /// assert!(store.health().is_stopped);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self, limit: Duration) -> Result<(), FlushError> {
        self.flush(limit)?;
        self.running.end();
        Ok(())
    }

    /// Ends the writer, without a flush, and gives back the store and the archive.
    ///
    /// # Errors
    ///
    /// This, with its writer ended, if a restore of another task's is still running.
    ///
    /// # Progress
    ///
    /// Blocks for one call of the archive's at most.
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
    /// # let store = ArchivedStore::new(memory, archive, ArchivedOptions::new(Capacity::bytes(0)))?;
    /// store.store("goal".into(), "find the bug".into())?;
    /// let (memory, _archive) = store.into_parts().expect("nobody restores");
    /// assert_eq!(memory.get("goal").unwrap().value, "find the bug");
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(clippy::type_complexity, reason = "the two that `new` took")]
    pub fn into_parts(self) -> Result<(TierStore<K, V, S>, Arc<Typed<A, KeyCodec, ValueCodec>>), Box<Self>> {
        self.running.end();
        let Self { running, archive } = self;
        let archive = archive.into_inner().unwrap_or_else(PoisonError::into_inner);
        let inner = running.inner.clone();
        drop(running);
        match Arc::try_unwrap(inner) {
            Ok(inner) => Ok((inner.memory, archive)),
            Err(inner) => {
                let running = Running { inner, thread: Mutex::new(None) };
                Err(Box::new(Self { running, archive: RwLock::new(archive) }))
            }
        }
    }
}

impl<K, V, A, KeyCodec, ValueCodec, S> fmt::Debug for ArchivedStore<K, V, A, KeyCodec, ValueCodec, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.running.inner;
        f.debug_struct("ArchivedStore")
            .field("memory", &inner.memory)
            .field("options", &inner.options)
            .finish_non_exhaustive()
    }
}
