//! A store and its archive: what leaves cold is archived before it leaves, and read back on a miss.
//!
//! # The protocol
//!
//! One thread, the *writer*, commits. A batch goes through these steps:
//!
//! 1. **Collect.** Removals that are not committed, from under the gates. Then the fragments above what cold is to keep, which the store
//!    marks as leaving. Then copies for a flush or a checkpoint, as they stand in memory. The order gives the ticks. So a value has a higher tick
//!    than a removal of the same batch, and rightly: the removal had taken the key out of memory before it was collected.
//! 2. **Commit and flush.** All this time readers find everything in memory.
//! 3. **Settle**, key by key, under the key's gate: its removal is forgotten if it is the one that was committed, and what a running restore of
//!    the key may have read before is old.
//! 4. **Finish.** If no removal of the key waits, the store ends the fragment by a CAS that fails if it was used, moved, replaced or removed since 1.
//!
//! A *restore* of a key (memory has missed) looks under the gate whether the key is in memory or removed. If it is neither, it registers. It reads the
//! archive without the gate. Then, under the gate, it puts the value back if the key is absent, unless what it read is old: then it starts over.
//! A *removal* notes itself, makes restores old, and takes the key out of memory, all under the gate.
//!
//! # The races
//!
//! - *A restore reads, a newer value is stored, archived and leaves.* Step 3 made the read old before step 4 took the value out of memory.
//!   One that registers later reads the newer record, which is durable by then.
//! - *A restore reads, the key is removed.* The removal made it old. A restore that comes later finds the removal noted, until the removal
//!   is durable: then the archive says so.
//! - *A key is removed after 1, stored again, and leaves in the same batch.* (Or before 1, and the batch has no room for the removal.) The batch does not have the removal, which will come with a higher tick
//!   than the new value. So 4 lets nothing leave while a removal waits. The fragment comes again in the next batch, behind the removal.
//!   For the same reason a flush does not count it before.
//! - *The fragment is used or replaced while it is written.* It stays in memory, its record stays in the archive. The record is a state that the key had, and
//!   perhaps one that a flush has promised, so it is not taken back. Memory hides it while the key is there. What takes the key out of memory is
//!   a removal, which deletes the record, or another archiving, which overwrites it. (Or an end that the archive is not told of: see the limits.)
//! - *A commit fails, and is done all the same.* Its records are states of keys that are in memory still, and all later ticks are higher.
//! - *What was restored leaves again unchanged.* The gate knows its version, and it is not written again. Every step that is committed for the key, and every
//!   removal, makes the gate forget it.
//! - *The store is reopened while a restore runs.* The restore registers, and then looks which archive it reads. The reopen changes the archive, and then makes all restores old. So
//!   a restore that has read the archive before is old, and starts over. The new writer commits only after that.
//! - *The store is reopened or closed by several threads.* They wait for each other until the old writer has ended. See [`Running`].
//! - *Somebody else commits a later tick.* A step that changes nothing for that is not done. It is committed again with a tick above all that the archive knows.
//! - *Removals are forgotten* by the archive only below the tick of the next step.
//!
//! The gates are held for operations in memory only. They call no listener: views tell listeners when they are dropped, which is behind the gate.

mod backend;
mod batch;
mod error;
mod gates;
mod health;
mod job;
mod open;
mod operations;
mod options;
mod pace;
mod queued;
mod restore;
mod writer;

use core::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::Thread;

use tierstack::{DefaultHasher, Stored, Tier, TierStore};

use self::backend::Backend;
use self::gates::Gates;
use self::health::State;
use self::job::{Inbox, Room};
use self::open::Running;
use self::queued::Queued;
use crate::Typed;

pub use self::error::{FlushError, RestoreError};
pub use self::health::Health;
pub use self::options::ArchivedOptions;
pub use self::restore::{Restored, Source};

/// A [`TierStore`] whose cold tier overflows into an archive.
///
/// A thread of its own, the *writer*, archives what cold holds above [`ArchivedOptions::cold`], the least recently used first. What is
/// [kept](TierStore::keep) in cold stays, and does not count. A fragment leaves memory when
/// the archive has made it durable, and not before. So every key is in memory or in the archive, at every instant.
/// [`get`](Self::get) never does I/O. [`get_or_restore`](Self::get_or_restore) reads the archive on a miss.
///
/// # When the archive is slower
///
/// Then cold grows. There are three ways to deal with it:
///
/// | | how |
/// |---|---|
/// | let it grow, the default | Each [`store`](Self::store) says whether cold is more than [`queue_bytes`](ArchivedOptions::queue_bytes) above what it is to keep |
/// | wait | [`wait_for_room`](Self::wait_for_room) |
/// | push it out | Build the store with a [`cold_capacity`](tierstack::Builder::cold_capacity) of what cold is to keep and the queue. What is above goes to the [listener](tierstack::Builder::listener) with [`Cause::Overflowed`](tierstack::Cause::Overflowed), and [`Metrics::overflowed`](tierstack::Metrics::overflowed) counts it. It is not archived, and an older record of the key comes back by `get_or_restore` |
///
/// # When the archive fails
///
/// What cannot be written stays in memory. The writer tries again by itself, with [pauses](ArchivedOptions::back_off). A fragment that a codec or the
/// archive refuses for itself is set aside: it stays in memory, and the others go on. After an error that another try cannot change, such as
/// [`Fenced`](crate::ErrorKind::Fenced), the writer stops: see [`reopen`](Self::reopen). [`health`](Self::health) tells all of this.
///
/// # Limits
///
/// - **One `ArchivedStore` for an archive.** Of two on one archive, each overwrites what the other has written, and does not know of its removals.
/// - **Remove through [`remove`](Self::remove)**. What is removed through [`memory`](Self::memory), or expires, or is evicted from cold by a call or a capacity
///   of the store, leaves its older record in the archive. `get_or_restore` brings that back.
/// - **What is set aside keeps its room in cold.** It was marked as leaving before it was refused, so a `cold_capacity` pushes out others instead. A use ends that. Then it
///   is pushed out as any other.
/// - **`Clone` must not panic.** The writer clones what it archives. Where that panics, it tries again and again, and archives nothing else until the value is
///   used, replaced or removed.
/// - **Deadlines are not archived.** What is restored has none.
/// - **A crash loses what is in memory only.** See [`flush`](Self::flush) and [`checkpoint`](Self::checkpoint).
/// - **A listener must not wait for the writer**, which calls it. [`flush`](Self::flush), [`checkpoint`](Self::checkpoint), [`wait_for_room`](Self::wait_for_room) and
///   [`close`](Self::close) would wait until their limits. [`reopen`](Self::reopen) returns [`Unsupported`](crate::ErrorKind::Unsupported) at once. Nor must it wait for a thread that
///   calls one of them.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "redb")] {
/// use std::time::Duration;
/// use tierstack::{Capacity, TierStore};
/// use tierstack_archive::{ArchivedOptions, ArchivedStore, Plain, RedbArchive, Source, Typed};
///
/// # let folder = tempfile::tempdir()?;
/// let memory = TierStore::<String, String>::builder(100)
///     .weigher(|_, text: &String| text.len() as u64)
///     .warm_capacity(Capacity::bytes(100))
///     .build()?;
/// let archive = Typed::new(RedbArchive::open(folder.path().join("archive.redb"))?, Plain, Plain);
/// let store = ArchivedStore::new(memory, archive, ArchivedOptions::new(Capacity::bytes(100)))?;
///
/// for page in 0..100 {
///     store.store(format!("page {page}"), "ten bytes.".into())?;
/// }
/// store.flush(Duration::from_secs(10))?;
/// assert!(store.get("page 0").is_none()); // it has left memory
/// let page = store.get_or_restore("page 0")?.expect("it was stored");
/// assert_eq!((page.fragment.value.as_str(), page.source), ("ten bytes.", Source::Archive));
///
/// store.remove("page 0");
/// assert!(store.get_or_restore("page 0")?.is_none());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ArchivedStore<K, V, A, KeyCodec, ValueCodec, S = DefaultHasher>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    running: Running<K, V, S>,
    archive: RwLock<Arc<Typed<A, KeyCodec, ValueCodec>>>,
}

/// What a [`store`](ArchivedStore::store) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written<V> {
    /// What it did in memory.
    pub stored: Stored<V>,
    /// Whether the archive is behind: cold stands more than [`ArchivedOptions::queue_bytes`] above what it is to keep. Nothing is lost by that, but
    /// memory grows.
    pub is_behind: bool,
}

/// What callers, restores and the writer share.
struct Inner<K: Send + Sync + 'static, V: Send + Sync + 'static, S> {
    memory: TierStore<K, V, S>,
    gates: Gates<K>,
    options: ArchivedOptions,
    backend: RwLock<Arc<dyn Backend<K, V>>>,
    state: State,
    inbox: Inbox<K>,
    room: Room,
    /// Whether the writer is about to look at cold. Who makes it so wakes it. A lost wake-up costs the time of a poll.
    is_awake: AtomicBool,
    /// The writer's thread, which puts itself there. It stays there when it has ended, until there is another one.
    writer: RwLock<Option<Thread>>,
}

impl<K, V, S> Inner<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    fn backend(&self) -> Arc<dyn Backend<K, V>> {
        self.backend.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fragments(&self) -> u64 {
        Tier::ALL.into_iter().map(|tier| self.memory.len(tier)).sum()
    }

    /// How far cold stands above what it is to keep. What is kept there, or is set aside, counts for nothing: neither leaves.
    fn queued(&self) -> Queued {
        let (cold, aside) = (self.memory.metrics().cold, self.state.aside());
        let bytes = cold.bytes.saturating_sub(cold.kept_bytes).saturating_sub(aside.0);
        Queued::above(
            self.options.cold,
            bytes,
            cold.fragments.saturating_sub(cold.kept_fragments).saturating_sub(aside.1),
        )
    }

    /// Whether it can stand so far above that there is a batch: a look at two counters, which does not subtract anything.
    #[inline]
    fn may_have_a_batch(&self) -> bool {
        let (bytes, entries) = (self.memory.bytes(Tier::Cold), self.memory.len(Tier::Cold));
        Queued::above(self.options.cold, bytes, entries).bytes >= self.options.full_batch()
    }

    fn is_behind(&self, queued: Queued) -> bool {
        queued.bytes > self.options.queue_bytes
    }

    /// Wakes the writer if there is a batch for it. Returns whether it is behind.
    #[inline]
    fn nudge(&self) -> bool {
        self.may_have_a_batch() && self.nudge_if_it_has()
    }

    fn nudge_if_it_has(&self) -> bool {
        let queued = self.queued();
        // Relaxed: it publishes nothing, and what it misses the next poll finds.
        if queued.bytes >= self.options.full_batch() && !self.is_awake.load(Ordering::Relaxed) {
            self.wake();
        }
        self.is_behind(queued)
    }

    #[cold]
    fn wake(&self) {
        if !self.is_awake.swap(true, Ordering::SeqCst)
            && let Some(writer) = &*self.writer.read().unwrap_or_else(PoisonError::into_inner)
        {
            writer.unpark();
        }
    }
}
