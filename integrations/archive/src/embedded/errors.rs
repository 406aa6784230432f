//! redb's errors as ours.

use redb::{CommitError, CompactionError, DatabaseError, StorageError, TableError, TransactionError};

use crate::error::kind_of_io;
use crate::{ArchiveError, ErrorKind};

pub fn storage(error: StorageError) -> ArchiveError {
    let kind = match &error {
        StorageError::Corrupted(_) => ErrorKind::Corrupt,
        StorageError::ValueTooLarge(_) => ErrorKind::TooLarge,
        // A file that ends too early, or says what cannot be.
        StorageError::Io(io)
            if matches!(io.kind(), std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidData) =>
        {
            ErrorKind::Corrupt
        }
        StorageError::Io(io) => kind_of_io(io),
        StorageError::Unsupported => ErrorKind::Unsupported,
        _ => ErrorKind::Unavailable,
    };
    ArchiveError::new(kind, "the archive's file").because(error)
}

pub fn database(error: DatabaseError) -> ArchiveError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => {
            ArchiveError::new(ErrorKind::InUse, "another handle has the file open").because(error)
        }
        DatabaseError::UpgradeRequired(_) => {
            ArchiveError::new(ErrorKind::Version, "the engine's format is too old").because(error)
        }
        DatabaseError::Storage(error) => storage(error),
        error => ArchiveError::new(ErrorKind::Unavailable, "the archive's file").because(error),
    }
}

pub fn transaction(error: TransactionError) -> ArchiveError {
    match error {
        TransactionError::Storage(error) => storage(error),
        error => ArchiveError::new(ErrorKind::Unavailable, "the archive's file").because(error),
    }
}

/// A table that is missing or of other types: the file was written by somebody else.
pub fn table(error: TableError) -> ArchiveError {
    match error {
        TableError::Storage(error) => storage(error),
        error => ArchiveError::new(ErrorKind::Foreign, "the file has not an archive's tables").because(error),
    }
}

pub fn commit(error: CommitError) -> ArchiveError {
    match error {
        CommitError::Storage(error) => storage(error),
        error => ArchiveError::new(ErrorKind::Unavailable, "the archive's file").because(error),
    }
}

pub fn compaction(error: CompactionError) -> ArchiveError {
    match error {
        CompactionError::Storage(error) => storage(error),
        error => ArchiveError::new(ErrorKind::Unavailable, "the file cannot be compacted now").because(error),
    }
}
