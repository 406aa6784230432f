//! What can be wrong, and what to do about it.

use core::error::Error;
use core::fmt;

type Source = Box<dyn Error + Send + Sync>;

/// What is wrong, by what can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What was read is not what was written: torn, overwritten, or a part of it is missing.
    Corrupt,
    /// The file is no archive of this kind.
    Foreign,
    /// The archive was written in a format that this version does not know.
    Version,
    /// There is no archive, and none was to be made.
    Missing,
    /// Another process, or another handle of this one, has the file open.
    InUse,
    /// Another process has opened the archive for writing since. This handle writes no more.
    Fenced,
    /// The handle was opened for reading only.
    ReadOnly,
    /// No room is left: the disk is full, or a quota is used up.
    Full,
    /// Permission was refused, or the credentials are not valid.
    Denied,
    /// No answer came within the time-outs.
    TimedOut,
    /// The disk or the server has failed: an I/O error, a refused or lost connection, an answer such as 500.
    Unavailable,
    /// A key or a value is larger than [`MAX_KEY_BYTES`](crate::MAX_KEY_BYTES) or [`MAX_VALUE_BYTES`](crate::MAX_VALUE_BYTES).
    TooLarge,
    /// A tick lies below what [`Archive::forget`](crate::Archive::forget) was told never to come again.
    BelowHorizon,
    /// A [`Codec`](crate::Codec) has refused a key or a value.
    Codec,
    /// The store cannot do what the archive needs, or is not set up to do it: for example a conditional put.
    Unsupported,
    /// An archive or a codec has panicked, and the panic was caught. Only the writer of an [`ArchivedStore`](crate::ArchivedStore) says so.
    Panicked,
}

/// Whether to call again after an [`ArchiveError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// Call again with the same arguments, after a pause. It can succeed once the cause is gone. The handle recovers by itself.
    Again,
    /// This handle cannot do it. One that is opened anew can, if the cause is gone.
    Reopen,
    /// Calling again gives the same error.
    Never,
}

/// Why an archive has not done what it was asked.
///
/// It has three parts: [`kind`](Self::kind) says what is wrong, [`retry`](Self::retry) says whether to call again, and
/// [`source`](Error::source) is the error of the engine or the system, if there was one.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "redb")] {
/// use tierstack_archive::{ErrorKind, RedbArchive, Retry};
///
/// let file = tempfile::NamedTempFile::new().unwrap();
/// std::fs::write(&file, "not an archive").unwrap();
/// let error = RedbArchive::open(file.path()).unwrap_err();
/// assert_eq!((error.kind(), error.retry()), (ErrorKind::Foreign, Retry::Never));
/// # }
/// ```
#[derive(Debug)]
pub struct ArchiveError {
    kind: ErrorKind,
    what: String,
    key: Option<Box<[u8]>>,
    source: Option<Source>,
}

impl ArchiveError {
    /// An error of this kind: for an [`Archive`](crate::Archive) of your own.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack_archive::{ArchiveError, ErrorKind, Retry};
    ///
    /// let error = ArchiveError::new(ErrorKind::Unavailable, "the tape is in the other room").of_key(b"goal");
    /// assert_eq!((error.retry(), error.key()), (Retry::Again, Some(&b"goal"[..])));
    /// ```
    #[must_use]
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), key: None, source: None }
    }

    /// The same error with its [`source`](Error::source).
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error of one [`key`](Self::key) only.
    #[must_use]
    pub fn of_key(mut self, key: &[u8]) -> Self {
        self.key = Some(key.into());
        self
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether to call again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self.kind {
            ErrorKind::Full
            | ErrorKind::Denied
            | ErrorKind::TimedOut
            | ErrorKind::Unavailable
            | ErrorKind::InUse
            | ErrorKind::Panicked => Retry::Again,
            ErrorKind::Fenced | ErrorKind::ReadOnly => Retry::Reopen,
            ErrorKind::Corrupt
            | ErrorKind::Foreign
            | ErrorKind::Version
            | ErrorKind::Missing
            | ErrorKind::TooLarge
            | ErrorKind::BelowHorizon
            | ErrorKind::Codec
            | ErrorKind::Unsupported => Retry::Never,
        }
    }

    /// The key of the record that is at fault, if it is one. A scan can go on behind it.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl Error for ArchiveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// The kind of an I/O error, wherever it stands in the chain of sources.
#[cfg(any(feature = "redb", feature = "objects"))]
pub(crate) fn kind_of_io(error: &std::io::Error) -> ErrorKind {
    use std::io::ErrorKind as Io;
    match error.kind() {
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => ErrorKind::Full,
        Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::Denied,
        Io::TimedOut => ErrorKind::TimedOut,
        Io::NotFound => ErrorKind::Missing,
        Io::Unsupported => ErrorKind::Unsupported,
        _ => ErrorKind::Unavailable,
    }
}
