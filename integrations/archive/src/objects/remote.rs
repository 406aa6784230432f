//! What is asked of an object store, and its errors as ours.

use core::error::Error;
use core::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};

use super::manifest::{SegmentId, SegmentMeta};
use crate::error::kind_of_io;
use crate::wire::corrupt;
use crate::{ArchiveError, ErrorKind};

/// The segments of an archive.
#[derive(Clone, Debug)]
pub struct Remote {
    pub store: Arc<dyn ObjectStore>,
    pub prefix: Path,
}

impl Remote {
    fn folder(&self) -> Path {
        self.prefix.clone().join("segments")
    }

    fn path(&self, id: SegmentId) -> Path {
        self.folder().join(id.to_string())
    }

    pub async fn put(self, id: SegmentId, data: Bytes) -> Result<(), ArchiveError> {
        let put = self.store.put(&self.path(id), data.into()).await;
        put.map(drop).map_err(|error| self::error("a segment could not be written", error))
    }

    /// A part of a segment. [`ErrorKind::Missing`] if there is no such segment.
    pub async fn read(self, segment: SegmentMeta, range: Range<u64>) -> Result<Bytes, ArchiveError> {
        let (path, wanted) = (self.path(segment.id), range.end - range.start);
        let cut =
            |bytes| corrupt(format!("segment {} has {bytes} bytes, and should have {}", segment.id, segment.bytes));
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let read = async {
            let result = self.store.get_opts(&path, options).await?;
            let bytes = result.meta.size;
            Ok((bytes, result.bytes().await?))
        };
        match read.await {
            Ok((bytes, _)) if bytes != segment.bytes => Err(cut(bytes)),
            Ok((bytes, data)) if data.len() as u64 != wanted => Err(cut(bytes)),
            Ok((_, data)) => Ok(data),
            // A range that lies behind the end is an error that stores do not give a name.
            Err(error @ object_store::Error::Generic { .. }) => match self.store.head(&path).await {
                Ok(meta) if meta.size != segment.bytes => Err(cut(meta.size)),
                _ => Err(self::error("a segment could not be read", error)),
            },
            Err(error) => Err(self::error("a segment could not be read", error)),
        }
    }

    /// The names of all segments that there are, of the archive and left over.
    pub async fn list(self) -> Result<Vec<Path>, ArchiveError> {
        let folder = self.folder();
        let listed = self.store.list_with_delimiter(Some(&folder)).await;
        let listed = listed.map_err(|error| self::error("the segments could not be listed", error))?;
        Ok(listed.objects.into_iter().map(|object| object.location).collect())
    }

    /// Deletes an object, if it is there.
    pub async fn delete(self, path: Path) -> Result<(), ArchiveError> {
        match self.store.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self::error("a segment could not be deleted", error)),
        }
    }

    pub fn path_of(&self, id: SegmentId) -> Path {
        self.path(id)
    }
}

/// Runs what blocks beside the runtime.
#[cfg(feature = "fs")]
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, ArchiveError> {
    let failed = |error: tokio::task::JoinError| {
        ArchiveError::new(ErrorKind::Unavailable, "the work was dropped").because(error)
    };
    tokio::task::spawn_blocking(work).await.map_err(failed).flatten()
}

pub fn error(what: &str, error: object_store::Error) -> ArchiveError {
    use object_store::Error as Remote;
    let kind = match &error {
        Remote::NotFound { .. } => ErrorKind::Missing,
        Remote::PermissionDenied { .. } | Remote::Unauthenticated { .. } => ErrorKind::Denied,
        Remote::NotImplemented { .. }
        | Remote::NotSupported { .. }
        | Remote::InvalidPath { .. }
        | Remote::UnknownConfigurationKey { .. } => ErrorKind::Unsupported,
        other => kind_of_sources(other),
    };
    ArchiveError::new(kind, what).because(error)
}

/// What the first error in the chain that has a kind says.
fn kind_of_sources(error: &(dyn Error + 'static)) -> ErrorKind {
    let mut next = Some(error);
    while let Some(error) = next {
        #[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
        if let Some(http) = error.downcast_ref::<object_store::client::HttpError>()
            && http.kind() == object_store::client::HttpErrorKind::Timeout
        {
            return ErrorKind::TimedOut;
        }
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return kind_of_io(io);
        }
        next = error.source();
    }
    ErrorKind::Unavailable
}
