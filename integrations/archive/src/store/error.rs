//! What a restore and a flush say when they fail.

use core::error::Error;
use core::fmt;
use std::sync::Arc;

use tierstack::Refusal;

use crate::ArchiveError;

/// Why [`get_or_restore`](super::ArchivedStore::get_or_restore) has no answer. The archive has what it had.
#[derive(Debug)]
#[non_exhaustive]
pub enum RestoreError {
    /// The archive could not be read, or the record not decoded. [`ArchiveError::retry`] says whether to call again.
    Archive(ArchiveError),
    /// The store has refused what was read, as it would refuse it from [`store`](super::ArchivedStore::store).
    Refused(Refusal),
    /// The task that was to restore it was given up by its runtime, or has panicked.
    #[cfg(feature = "tokio")]
    Task(tokio::task::JoinError),
}

impl From<ArchiveError> for RestoreError {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the fragment was not restored: ")?;
        match self {
            Self::Archive(error) => error.fmt(f),
            Self::Refused(refusal) => refusal.fmt(f),
            #[cfg(feature = "tokio")]
            Self::Task(error) => error.fmt(f),
        }
    }
}

impl Error for RestoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(match self {
            Self::Archive(error) => error,
            Self::Refused(refusal) => refusal,
            #[cfg(feature = "tokio")]
            Self::Task(error) => error,
        })
    }
}

/// Why [`flush`](super::ArchivedStore::flush) or [`checkpoint`](super::ArchivedStore::checkpoint) has not done all. Nothing is lost by it: what is
/// not in the archive is in memory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FlushError {
    /// It was not done within the limit. The writer goes on with what it would write anyway.
    TimedOut {
        /// What the archive said last, if it is failing.
        error: Option<Arc<ArchiveError>>,
    },
    /// The writer has stopped.
    Stopped {
        /// Why, unless it was [closed](super::ArchivedStore::close).
        error: Option<Arc<ArchiveError>>,
    },
    /// All but these are durable. The archive or a codec refuses them one by one: see [`Health::set_aside`](super::Health::set_aside).
    SetAside {
        /// How many, fragments and removals. A removal counts in each flush for as long as it is set aside.
        fragments: u64,
        /// What was said of the last one.
        error: Arc<ArchiveError>,
    },
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut { .. } => f.write_str("not all was archived within the limit"),
            Self::Stopped { .. } => f.write_str("the writer has stopped"),
            Self::SetAside { fragments, .. } => write!(f, "{fragments} fragments or removals cannot be archived"),
        }?;
        match self {
            Self::TimedOut { error: Some(error) }
            | Self::Stopped { error: Some(error) }
            | Self::SetAside { error, .. } => write!(f, ": {error}"),
            _ => Ok(()),
        }
    }
}

impl Error for FlushError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::TimedOut { error } | Self::Stopped { error } => error.as_deref().map(|error| error as _),
            Self::SetAside { error, .. } => Some(&**error),
        }
    }
}
