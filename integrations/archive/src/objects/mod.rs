//! The archive as segments in an object store, or in a folder.
//!
//! # What is there
//!
//! `segments/…` are objects of many records that never change ([`segment`]). `manifest` is one small object that names the segments which
//! are the archive ([`manifest`]). It is replaced only if it is still the one that was read ([`cell`]).
//!
//! # A commit
//!
//! 1. The batch is held against the index; what is stale goes no further.
//! 2. The rest is put as one segment or more. No manifest names them yet: for everybody else nothing has happened.
//! 3. The manifest is replaced by one that names them too. **This is the instant of the commit.**
//! 4. The index takes them in.
//!
//! Killed before 3, segments are left that nobody names; compaction deletes them. Killed after 3, the batch is there.
//!
//! # Who writes
//!
//! Each handle for writing draws an id, and replaces the manifest by one with that id when it opens. So the replacement of an older writer
//! fails: the manifest is not the one that it has read. It reads the new one, sees another id, and is *fenced* for good. What it
//! has reported as committed was in a manifest, and is in all that follow.
//!
//! # Lost answers
//!
//! A replacement of which no answer came may have happened, or may happen later. Before the next one the manifest is read
//! ([`ObjectArchive::settle`]). If it is of this writer, but not the one that was known, then the replacement has happened, and the index takes it in. If it
//! is the known one, the late replacement can still come, but only before the next one of this writer: after that its condition fails. If
//! it comes between, that next one fails, and the manifest is read again.

mod cell;
mod commit;
mod compact;
mod driver;
#[cfg(feature = "fs")]
mod folder;
mod load;
mod manifest;
mod options;
mod read;
mod remote;
mod segment;
mod view;

use core::fmt;
use core::ops::ControlFlow;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Instant;

pub use options::{ObjectOptions, Timeouts};

use crate::{Archive, ArchiveError, Committed, Compacted, Op, Record, Status};
use cell::{Cell, Version};
use driver::Driver;
use remote::Remote;
use view::View;

/// An archive of segments in an object store or in a folder. One process writes it at a time, and others may read.
///
/// # Durability
///
/// [`commit`](Archive::commit) returns when the server or the disk has the batch and the manifest that names it. So
/// [`flush`](Archive::flush) has nothing left to do, except after an error: then it finds out what has happened.
///
/// # Writers and readers
///
/// A handle that is opened for writing fences the one before: that one's next commit fails with [`ErrorKind::Fenced`](crate::ErrorKind::Fenced), and everything that it has
/// reported as committed is there. A fenced handle still reads. What a handle reads is as new as its last commit or [`refresh`](Self::refresh).
/// A [`scan`](Archive::scan) is not one instant: each record is as it stood when it was read.
///
/// # Cost
///
/// In memory: the index, which has for each record the key, 40 bytes beside it and the slack of a B-tree's nodes; and no values. [`get`](Archive::get) is one request by range; of a key that is not there, none. [`commit`](Archive::commit) is one request
/// for each segment and one for the manifest, which has 60 bytes for each segment. So commit large batches, and compact: each commit makes a segment.
///
/// # A runtime of its own
///
/// The calls block. A thread of the handle's own runs a `tokio` current-thread runtime, so that they can be made from anywhere: in an
/// asynchronous task too, which then blocks its thread.
///
/// # Examples
///
/// See [`ObjectOptions`].
pub struct ObjectArchive {
    options: ObjectOptions,
    remote: Remote,
    cell: Cell,
    driver: Driver,
    view: RwLock<View>,
    /// Commits, compaction and what else changes the manifest, one after the other.
    writer: Mutex<Writer>,
}

#[derive(Debug)]
struct Writer {
    id: u128,
    /// The manifest that stands, as far as is known. `None` before there is one.
    version: Option<Version>,
    /// The number of the next segment. A number is used for one attempt.
    next_segment: u64,
    /// A replacement of the manifest was not answered, and it is not known whether it has happened.
    unsettled: bool,
    /// A replacement that was not answered can still happen: until another one has.
    late: bool,
    fenced: bool,
}

impl ObjectArchive {
    /// The handle reads what was committed since by others. Of a handle for writing it does nothing, unless it is fenced.
    ///
    /// # Errors
    ///
    /// Those of [`ObjectOptions::open_store`].
    ///
    /// # Cost
    ///
    /// One request, and one for each segment that is new. If segments were replaced, one for each.
    pub fn refresh(&self) -> Result<(), ArchiveError> {
        self.catch_up()
    }

    /// When a call that begins now has to be done.
    fn deadline(&self) -> Instant {
        Instant::now() + self.options.timeouts.call
    }

    fn view(&self) -> std::sync::RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn view_mut(&self) -> std::sync::RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> std::sync::MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Archive for ObjectArchive {
    fn commit(&self, batch: &[Op<'_>]) -> Result<Committed, ArchiveError> {
        self.commit_batch(batch)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Record>, ArchiveError> {
        self.read_key(key)
    }

    fn scan(&self, after: Option<&[u8]>, visit: &mut dyn FnMut(Record) -> ControlFlow<()>) -> Result<(), ArchiveError> {
        self.read_all(after, visit)
    }

    fn flush(&self) -> Result<(), ArchiveError> {
        self.settle_all()
    }

    fn forget(&self, before: u64) -> Result<(), ArchiveError> {
        self.raise_horizon(before)
    }

    /// Rewrites the live records of segments that are more than half dead, and merges segments of less than half the size that the options name. If more than
    /// a quarter of the index is removals that need not be remembered, it rewrites all.
    ///
    /// The manifest that names the new segments comes first. The old ones are deleted by a later compaction, after the grace
    /// ([`ObjectOptions::grace`]). It also deletes what was left of commits that failed or were killed.
    ///
    /// It reads one segment at a time. Commits wait for a share of the work, and reads for nothing.
    fn compact(&self) -> Result<Compacted, ArchiveError> {
        self.compact_all()
    }

    fn status(&self) -> Result<Status, ArchiveError> {
        let view = self.view();
        Ok(Status {
            records: view.records(),
            removals: view.removals(),
            highest_tick: view.manifest.highest_tick,
            horizon: view.manifest.horizon,
            bytes: view.manifest.bytes(),
            dead_bytes: view.dead_bytes(),
            segments: view.manifest.segments.len() as u64,
        })
    }
}

impl fmt::Debug for ObjectArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectArchive")
            .field("remote", &self.remote)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
