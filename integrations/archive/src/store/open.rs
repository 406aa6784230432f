//! Making a store with an archive, and taking it apart: the writer's thread begins and ends here.

use core::fmt;
use core::hash::{BuildHasher, Hash};
use core::time::Duration;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, mpsc};
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
///
/// There is one writer at a time. Whoever ends a writer holds `thread` until it has ended, and whoever starts another one holds it from before that end until the
/// start. The inbox opens under it only. So a writer that was told to end never finds the inbox open again.
pub(super) struct Running<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub inner: Arc<Inner<K, V, S>>,
    /// The writer never locks it, as it may be waited for under it: see [`is_writer`](Self::is_writer).
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl<K, V, S> Running<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn lock(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the writer, and waits for it: for the commit and the flush that it is in, at most. The writer itself, which may come here by a listener that drops
    /// the store, does not wait.
    fn end(&self, thread: &mut Option<JoinHandle<()>>) {
        self.inner.inbox.end();
        if let Some(ended) = thread.take_if(|thread| thread.thread().id() != thread::current().id()) {
            ended.thread().unpark();
            if ended.join().is_err() {
                // It catches what its callees throw, but for what the drop of a key or a value throws.
                self.inner.inbox.close(None);
            }
        }
    }

    /// Whether this is the writer's thread. It says so also while somebody waits for the writer.
    fn is_writer(&self) -> bool {
        let writer = self.inner.writer.read().unwrap_or_else(PoisonError::into_inner);
        writer.as_ref().is_some_and(|writer| writer.id() == thread::current().id())
    }
}

impl<K, V, S> Drop for Running<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn drop(&mut self) {
        // Nobody else has it, so nobody holds the lock, and the writer may take it, too.
        self.end(&mut self.lock());
    }
}

impl<K, V, S> Running<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Starts a writer. There is none. The change comes to pass when nothing can fail any more, and before the writer does anything.
    fn start<T>(
        &self,
        thread: &mut Option<JoinHandle<()>>,
        backend: Arc<dyn Backend<K, V>>,
        change: impl FnOnce() -> T,
    ) -> Result<T, ArchiveError> {
        let inner = self.inner.clone();
        let writer = Writer::new(inner.clone(), Batches::new(inner.clone(), backend)?);
        let (go, is_to_go) = mpsc::channel();
        let begin = move || {
            // The thread says so itself: a listener that it calls finds it said.
            *inner.writer.write().unwrap_or_else(PoisonError::into_inner) = Some(thread::current());
            drop(inner);
            if is_to_go.recv().is_ok() {
                writer.run();
            }
        };
        let started = thread::Builder::new().name("tierstack-archive".into()).spawn(begin).map_err(|error| {
            ArchiveError::new(ErrorKind::Unavailable, "the writer's thread was not started").because(error)
        })?;
        let changed = change();
        // Before the writer can say anything else.
        self.inner.state.succeeded();
        self.inner.state.stopped(false);
        self.inner.inbox.open();
        *thread = Some(started);
        // It waits for this.
        let _ = go.send(());
        Ok(changed)
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
        running.start(&mut running.lock(), archive.clone(), || ())?;
        Ok(Self { running, archive: RwLock::new(archive) })
    }

    /// Goes on with another handle, after the writer has stopped or while it runs: the same archive, opened anew. What was set aside is tried again.
    ///
    /// Removals that were not durable are kept, and are committed to this one. Restores that run start over with it. Flushes that run return
    /// [`FlushError::Stopped`].
    ///
    /// # An archive that is open once
    ///
    /// A redb file cannot be opened a second time while the store has it: that is [`InUse`](ErrorKind::InUse). A [`RedbArchive`](crate::RedbArchive) opens its file anew by itself after
    /// an error. So hand over the same one, which an [`Arc`] makes possible: see the example. Or take the store apart with [`into_parts`](Self::into_parts), drop the archive, open it,
    /// and make a [`new`](Self::new) store.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new). Then the writer has stopped, and the store has the archive that it had. Called by a listener on the writer's own thread:
    /// [`ErrorKind::Unsupported`].
    ///
    /// # Progress
    ///
    /// Blocks as [`new`](Self::new) does, and until the writer has ended: it finishes two calls of the archive's at most, as a rule a commit and its flush, and what they call of the
    /// [listener](tierstack::Builder::listener). Other calls of `reopen` and [`close`](Self::close) wait for each other.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "redb")] {
    /// use std::sync::Arc;
    /// use tierstack::{Capacity, TierStore};
    /// use tierstack_archive::{ArchivedOptions, ArchivedStore, Plain, RedbArchive, Typed};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let memory = TierStore::<String, String>::new(1000)?;
    /// let archive = Arc::new(RedbArchive::open(folder.path().join("archive.redb"))?);
    /// let store = ArchivedStore::new(memory, Typed::new(archive, Plain, Plain), ArchivedOptions::new(Capacity::bytes(0)))?;
    ///
    /// let same = store.archive().archive().clone();
    /// store.reopen(Typed::new(same, Plain, Plain))?;
    /// assert!(!store.health().is_stopped);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reopen(&self, archive: Typed<A, KeyCodec, ValueCodec>) -> Result<(), ArchiveError> {
        if self.running.is_writer() {
            return Err(ArchiveError::new(ErrorKind::Unsupported, "the writer cannot wait for its own end"));
        }
        let (inner, archive) = (&self.running.inner, Arc::new(archive));
        let mut thread = self.running.lock();
        self.running.end(&mut thread);
        let before = self.running.start(&mut thread, archive.clone(), || {
            let before = (replace(&inner.backend, archive.clone()), replace(&self.archive, archive.clone()));
            // After that: a restore registers first, and then looks which archive it reads. So one that reads the older is old.
            inner.gates.take_up();
            before
        })?;
        drop(thread);
        // An archive may take its time to be dropped.
        drop(before);
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
    /// Blocks for `limit` at most, and then until the writer has ended, as [`reopen`](Self::reopen) does.
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
        // On the writer's own thread, this is an error: it would have to answer itself. So it does not come to the lock.
        self.flush(limit)?;
        self.running.end(&mut self.running.lock());
        Ok(())
    }

    /// Ends the writer, without a flush, and gives back the store and the archive.
    ///
    /// # Errors
    ///
    /// This, with its writer ended, if a restore of another task's is still running, or if it is called by a listener on the writer's own thread.
    ///
    /// # Progress
    ///
    /// Blocks until the writer has ended, as [`reopen`](Self::reopen) does.
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
        let Self { running, archive } = self;
        let mut thread = running.lock().take();
        running.end(&mut thread);
        let archive = archive.into_inner().unwrap_or_else(PoisonError::into_inner);
        let inner = running.inner.clone();
        drop(running);
        match Arc::try_unwrap(inner) {
            Ok(inner) => Ok((inner.memory, archive)),
            Err(inner) => {
                // The thread is this one, if it has not ended: whoever gets the store next may wait for it.
                let running = Running { inner, thread: Mutex::new(thread) };
                Err(Box::new(Self { running, archive: RwLock::new(archive) }))
            }
        }
    }
}

/// What stood there before. The caller drops it, not under the lock.
fn replace<T>(place: &RwLock<T>, new: T) -> T {
    std::mem::replace(&mut *place.write().unwrap_or_else(PoisonError::into_inner), new)
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
