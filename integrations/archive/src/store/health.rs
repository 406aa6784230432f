//! How the archive's side of a store is doing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::ArchiveError;

/// How an [`ArchivedStore`](super::ArchivedStore) is doing, by [`health`](super::ArchivedStore::health).
///
/// The counts begin with 0 when the `ArchivedStore` is made. Each is read on its own.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Health {
    /// Since when nothing could be written. `None`: the last try was a success, or there was none, or nothing is left to write.
    pub failing_since: Option<SystemTime>,
    /// What the archive said last, while it is failing.
    pub error: Option<Arc<ArchiveError>>,
    /// How many tries have failed in a row.
    pub attempts: u32,
    /// Whether the writer has given up, or was closed. [`reopen`](super::ArchivedStore::reopen) starts it again.
    pub is_stopped: bool,
    /// Whether cold stands so far above what it is to keep that the queue is full.
    pub is_behind: bool,
    /// By how many bytes cold stands above what it is to keep. Where only entries are bounded, the bytes are those of as many average fragments.
    pub queued_bytes: u64,
    /// Removals that are not durable yet, about.
    pub pending_removals: u64,
    /// Fragments and removals that the archive or a codec refuses one by one. The fragments stay in memory, beyond what cold is to keep. A fragment counts for as long as it stands in
    /// cold, a removal until it or a later value of its key is durable. [`reopen`](super::ArchivedStore::reopen) tries all of them again.
    pub set_aside: u64,
    /// What was said of the last one of those.
    pub set_aside_error: Option<Arc<ArchiveError>>,
    /// Fragments that have left cold for the archive.
    pub archived: u64,
    /// How many of these were not written, as the archive had them already: they had been restored, or copied by a flush or a checkpoint.
    pub unchanged: u64,
    /// Fragments that came back.
    pub restored: u64,
    /// Commits.
    pub commits: u64,
    /// Records and removals that were committed. Records can be more than `archived`, as some fragments are used or replaced while they are written.
    pub committed_steps: u64,
    /// Bytes of the keys and values that were committed, as the codecs wrote them.
    pub committed_bytes: u64,
    /// Panics of codecs, archives and listeners in the writer. Each was caught.
    pub panics: u64,
}

#[derive(Default)]
pub(super) struct State {
    told: Mutex<Told>,
    pub archived: AtomicU64,
    pub unchanged: AtomicU64,
    pub restored: AtomicU64,
    pub commits: AtomicU64,
    pub committed_steps: AtomicU64,
    pub committed_bytes: AtomicU64,
    /// Fragments that are set aside in cold, and their weights. The writer writes them. Relaxed: counts.
    aside: AtomicU64,
    aside_bytes: AtomicU64,
    pub panics: AtomicU64,
}

#[derive(Default)]
struct Told {
    failing_since: Option<SystemTime>,
    error: Option<Arc<ArchiveError>>,
    attempts: u32,
    is_stopped: bool,
    set_aside_error: Option<Arc<ArchiveError>>,
}

impl State {
    /// What the writer has told. The rest is the store's to say.
    pub fn health(&self) -> Health {
        // Relaxed: counts, which publish nothing.
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let told = self.told();
        Health {
            failing_since: told.failing_since,
            error: told.error.clone(),
            attempts: told.attempts,
            is_stopped: told.is_stopped,
            set_aside: count(&self.aside),
            set_aside_error: told.set_aside_error.clone(),
            archived: count(&self.archived),
            unchanged: count(&self.unchanged),
            restored: count(&self.restored),
            commits: count(&self.commits),
            committed_steps: count(&self.committed_steps),
            committed_bytes: count(&self.committed_bytes),
            panics: count(&self.panics),
            ..Health::default()
        }
    }

    pub fn error(&self) -> Option<Arc<ArchiveError>> {
        self.told().error.clone()
    }

    pub fn is_stopped(&self) -> bool {
        self.told().is_stopped
    }

    pub fn failed(&self, error: &Arc<ArchiveError>, attempts: u32) {
        let mut told = self.told();
        told.failing_since.get_or_insert_with(SystemTime::now);
        (told.error, told.attempts) = (Some(error.clone()), attempts);
    }

    pub fn succeeded(&self) {
        let mut told = self.told();
        (told.failing_since, told.error, told.attempts) = (None, None, 0);
    }

    pub fn stopped(&self, is_stopped: bool) {
        self.told().is_stopped = is_stopped;
    }

    pub fn set_aside(&self, bytes: u64, fragments: u64) {
        self.aside_bytes.store(bytes, Ordering::Relaxed);
        self.aside.store(fragments, Ordering::Relaxed);
    }

    /// Bytes and fragments that are set aside, about.
    pub fn aside(&self) -> (u64, u64) {
        (self.aside_bytes.load(Ordering::Relaxed), self.aside.load(Ordering::Relaxed))
    }

    pub fn refused(&self, error: &Arc<ArchiveError>) {
        self.told().set_aside_error = Some(error.clone());
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn add(counter: &AtomicU64, count: u64) {
    // Relaxed: see `health`.
    counter.fetch_add(count, Ordering::Relaxed);
}
