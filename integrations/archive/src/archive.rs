//! What an archive does.

use core::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

use crate::ArchiveError;

/// The most bytes that a key can have: 65,535.
pub const MAX_KEY_BYTES: usize = u16::MAX as usize;

/// The most bytes that a value can have: 256 MiB.
pub const MAX_VALUE_BYTES: usize = 256 << 20;

/// One step of a batch. It borrows all that it is about, so that the caller has it still, whatever comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// Keep this value for this key, unless the archive knows something later about the key.
    Put {
        /// The key.
        key: &'a [u8],
        /// When the value was made. Of two steps for one key, the later tick wins.
        tick: u64,
        /// The value.
        value: &'a [u8],
    },
    /// The key has no value as of this tick. The archive remembers the tick, so that an older `Put` which comes late stays out.
    Remove {
        /// The key.
        key: &'a [u8],
        /// When the key was removed.
        tick: u64,
    },
}

impl<'a> Op<'a> {
    /// The key that the step is about.
    #[must_use]
    pub fn key(&self) -> &'a [u8] {
        match *self {
            Self::Put { key, .. } | Self::Remove { key, .. } => key,
        }
    }

    /// The tick of the step.
    #[must_use]
    pub fn tick(&self) -> u64 {
        match *self {
            Self::Put { tick, .. } | Self::Remove { tick, .. } => tick,
        }
    }

    #[cfg(any(feature = "redb", feature = "objects"))]
    pub(crate) fn mark(&self) -> Mark {
        Mark { tick: self.tick(), removed: matches!(self, Self::Remove { .. }) }
    }
}

/// What is known last of a key: when, and whether it was removed. The order of the fields is the order of who wins: the later tick, and of two
/// with one tick the removal.
#[cfg(any(feature = "redb", feature = "objects"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    pub tick: u64,
    pub removed: bool,
}

/// What became of the steps of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Steps that were the latest of their key.
    pub applied: usize,
    /// Steps that changed nothing, because something as late or later was known of their key.
    pub stale: usize,
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The key.
    pub key: Bytes,
    /// The tick that it was put with.
    pub tick: u64,
    /// The value.
    pub value: Bytes,
}

/// What [`Archive::compact`] has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compacted {
    /// Bytes that the archive took before.
    pub bytes_before: u64,
    /// Bytes that it takes now. An object archive frees replaced segments only after a grace; they are not counted here.
    pub bytes_after: u64,
}

/// How an archive stands. An [`Archive`] of your own fills in a default one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Records that `get` finds.
    pub records: u64,
    /// Removals that are remembered, so that older records stay out. [`Archive::forget`] bounds them.
    pub removals: u64,
    /// The highest tick that was ever committed, or 0. A writer that starts anew begins above it.
    pub highest_tick: u64,
    /// What [`Archive::forget`] was told last, or 0.
    pub horizon: u64,
    /// Bytes that the archive takes: of a file, its length; of segments, the sum of theirs.
    pub bytes: u64,
    /// Bytes of these that nobody needs any more, as far as that is known. Compaction frees them. Always 0 for a redb file, which uses them again.
    pub dead_bytes: u64,
    /// Segments, or 0 where there are none.
    pub segments: u64,
}

/// An archive of records: what has left a store's memory, on a disk or a server. **Every call blocks** until the disk or the server has answered.
///
/// A record is a key, a tick and a value. **The later tick wins**, in whatever order records arrive: a batch that comes late never
/// overwrites a newer record, and never brings back what was removed later. Of a removal and a record with the same tick the removal wins. Of
/// two records with the same key and the same tick the first one stays, so handing over a batch twice does the same as handing it over once.
///
/// One handle may be used by many threads. Batches are committed one after the other.
///
/// # A writer on top
///
/// A writer collects `(key, tick, value)`, hands them to [`commit`](Self::commit), and lets go of its own copies when
/// [`flush`](Self::flush) has returned. After an error it has everything still, since a batch only borrows. It then looks at
/// [`ArchiveError::retry`]. An error does not say that the batch was *not* committed: an answer can be lost on its way. The same batch can
/// always be handed over again. A record that was overtaken while it was written is taken back with [`delete`](Self::delete)
/// and its own tick. A writer that starts anew begins with ticks above [`Status::highest_tick`].
///
/// # Errors
///
/// Every call returns an [`ArchiveError`] instead of a wrong value.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "redb")] {
/// use tierstack_archive::{Archive, Committed, Op, RedbArchive};
///
/// let folder = tempfile::tempdir()?;
/// let archive = RedbArchive::open(folder.path().join("archive.redb"))?;
/// let batch = [Op::Put { key: b"goal", tick: 7, value: b"find the bug" }, Op::Put { key: b"note", tick: 8, value: b"in main" }];
/// assert_eq!(archive.commit(&batch)?, Committed { applied: 2, stale: 0 });
///
/// // An older record comes late. It changes nothing.
/// assert_eq!(archive.commit(&[Op::Put { key: b"goal", tick: 3, value: b"find a bug" }])?.stale, 1);
/// assert_eq!(archive.get(b"goal")?.unwrap().value, "find the bug");
///
/// // What was removed stays removed.
/// assert!(archive.delete(b"note", 9)?);
/// assert_eq!(archive.commit(&[batch[1]])?.stale, 1);
/// assert!(archive.get(b"note")?.is_none());
/// archive.flush()?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Archive: Send + Sync {
    /// Commits a batch: all of its steps or none, and nobody sees a part. Steps for one key may stand in one batch; the rules of ticks decide.
    ///
    /// Whether it survives a crash before [`flush`](Self::flush) is the backend's to say. What survives is always a prefix of the commits.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) and [`ErrorKind::BelowHorizon`](crate::ErrorKind::BelowHorizon) refuse the whole batch before anything is written. After the other errors the
    /// batch is committed or not. Handing it over again settles it.
    fn commit(&self, batch: &[Op<'_>]) -> Result<Committed, ArchiveError>;

    /// The record of this key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if what is there is not what was written, and what the disk or the server says.
    fn get(&self, key: &[u8]) -> Result<Option<Record>, ArchiveError>;

    /// Removes a key as of a tick: a batch of one [`Op::Remove`]. Returns whether nothing later was known of the key.
    ///
    /// # Errors
    ///
    /// Those of [`commit`](Self::commit).
    fn delete(&self, key: &[u8], tick: u64) -> Result<bool, ArchiveError> {
        Ok(self.commit(&[Op::Remove { key, tick }])?.applied == 1)
    }

    /// Shows the records with keys above `after`, or all, in the order of their keys (by bytes), until there are no more or `visit` breaks.
    ///
    /// Whether all are of one instant is the backend's to say. Each is whole, and was current at some instant of the call.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get). A record that is corrupt ends the scan; [`ArchiveError::key`] names it, so that another scan can go on behind it.
    fn scan(&self, after: Option<&[u8]>, visit: &mut dyn FnMut(Record) -> ControlFlow<()>) -> Result<(), ArchiveError>;

    /// Returns when all that was committed before the call survives a crash of the process, and of the machine as far as its disks keep their word.
    ///
    /// # Errors
    ///
    /// After an error, nothing is known of what was committed since the last `flush` that succeeded. Hand it over again, then flush again.
    fn flush(&self) -> Result<(), ArchiveError>;

    /// Promises that no step with a tick below `before` will be handed over any more. Removals that are older than that need not be remembered,
    /// and compaction can drop them. A step that breaks the promise is refused. A lower `before` than the last one changes nothing.
    ///
    /// # Errors
    ///
    /// Those of [`commit`](Self::commit).
    fn forget(&self, before: u64) -> Result<(), ArchiveError>;

    /// Frees what nobody needs: it rewrites what is needed where much around it is not. Other calls may wait meanwhile.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get) and [`commit`](Self::commit). Whatever it is, no record is lost or changed.
    fn compact(&self) -> Result<Compacted, ArchiveError>;

    /// How the archive stands. It reads no record.
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn status(&self) -> Result<Status, ArchiveError>;
}

macro_rules! by_reference {
    ($($pointer:ty),*) => {$(
        impl<A: Archive + ?Sized> Archive for $pointer {
            fn commit(&self, batch: &[Op<'_>]) -> Result<Committed, ArchiveError> {
                (**self).commit(batch)
            }

            fn get(&self, key: &[u8]) -> Result<Option<Record>, ArchiveError> {
                (**self).get(key)
            }

            fn delete(&self, key: &[u8], tick: u64) -> Result<bool, ArchiveError> {
                (**self).delete(key, tick)
            }

            fn scan(&self, after: Option<&[u8]>, visit: &mut dyn FnMut(Record) -> ControlFlow<()>) -> Result<(), ArchiveError> {
                (**self).scan(after, visit)
            }

            fn flush(&self) -> Result<(), ArchiveError> {
                (**self).flush()
            }

            fn forget(&self, before: u64) -> Result<(), ArchiveError> {
                (**self).forget(before)
            }

            fn compact(&self) -> Result<Compacted, ArchiveError> {
                (**self).compact()
            }

            fn status(&self) -> Result<Status, ArchiveError> {
                (**self).status()
            }
        }
    )*};
}

by_reference!(&A, Box<A>, Arc<A>);

/// What every backend refuses before it writes anything.
#[cfg(any(feature = "redb", feature = "objects"))]
pub(crate) fn check_batch(batch: &[Op<'_>], horizon: u64) -> Result<(), ArchiveError> {
    use crate::ErrorKind;
    for op in batch {
        let key = op.key();
        if key.len() > MAX_KEY_BYTES {
            return Err(ArchiveError::new(ErrorKind::TooLarge, format!("a key has {} bytes", key.len())).of_key(key));
        }
        if let Op::Put { value, .. } = op
            && value.len() > MAX_VALUE_BYTES
        {
            return Err(
                ArchiveError::new(ErrorKind::TooLarge, format!("a value has {} bytes", value.len())).of_key(key)
            );
        }
        if op.tick() < horizon {
            let what = format!("tick {} lies below {horizon}, which was promised not to come again", op.tick());
            return Err(ArchiveError::new(ErrorKind::BelowHorizon, what).of_key(key));
        }
    }
    Ok(())
}
