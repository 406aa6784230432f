//! Where the manifest stands, and how it is replaced: only if it is still the one that was read.
//!
//! | store | how |
//! |---|---|
//! | S3, Google, Azure, in memory | a put with `If-Match` (and `If-None-Match: *` for the first one): the server compares and replaces in one step |
//! | a folder | an exclusive lock on a file beside it (`flock`), then compare, write a new file, `fsync`, rename. The system lets the lock go when its holder ends, however it ends |
//!
//! One scheme for all would be to create `manifest-1`, `manifest-2`, … and let a second `create` of one name fail. It is weaker. Old generations must
//! be deleted at some time. A writer that was stopped before its `create` of number n, and goes on when n was deleted, then succeeds with
//! a generation that nobody will read.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};

use super::remote;
use crate::ArchiveError;
#[cfg(feature = "fs")]
use crate::ErrorKind;

/// Which manifest was read or written last.
#[derive(Clone, Debug)]
pub enum Version {
    /// By what the server calls it.
    Tag(UpdateVersion),
    /// By its content. No two manifests have the same.
    #[cfg(feature = "fs")]
    Content(Bytes),
}

/// What became of a replacement.
pub enum Swap {
    Done(Version),
    /// Another manifest stands there than the one that was to be replaced.
    Lost,
}

#[derive(Clone, Debug)]
pub enum Cell {
    Conditional {
        store: Arc<dyn ObjectStore>,
        at: Path,
    },
    #[cfg(feature = "fs")]
    Locked(super::folder::LockedFile),
}

impl Cell {
    pub async fn load(self) -> Result<Option<(Bytes, Version)>, ArchiveError> {
        match self {
            Self::Conditional { store, at } => {
                let read = async {
                    let result = store.get(&at).await?;
                    let version =
                        UpdateVersion { e_tag: result.meta.e_tag.clone(), version: result.meta.version.clone() };
                    Ok((result.bytes().await?, Version::Tag(version)))
                };
                match read.await {
                    Ok(found) => Ok(Some(found)),
                    Err(object_store::Error::NotFound { .. }) => Ok(None),
                    Err(error) => Err(remote::error("the manifest could not be read", error)),
                }
            }
            #[cfg(feature = "fs")]
            Self::Locked(file) => {
                let content = remote::blocking(move || file.load()).await?;
                Ok(content.map(|content| (content.clone(), Version::Content(content))))
            }
        }
    }

    /// After an error, the replacement may still happen, also later: but never once another one has.
    pub async fn swap(self, expected: Option<Version>, manifest: Bytes) -> Result<Swap, ArchiveError> {
        match self {
            Self::Conditional { store, at } => {
                let mode = match expected {
                    None => PutMode::Create,
                    Some(Version::Tag(version)) => PutMode::Update(version),
                    #[cfg(feature = "fs")]
                    Some(Version::Content(_)) => {
                        return Err(ArchiveError::new(ErrorKind::Unsupported, "a file's version for an object"));
                    }
                };
                match store.put_opts(&at, manifest.into(), PutOptions { mode, ..PutOptions::default() }).await {
                    Ok(result) => Ok(Swap::Done(Version::Tag(result.into()))),
                    Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                        Ok(Swap::Lost)
                    }
                    Err(error) => Err(remote::error("the manifest could not be replaced", error)),
                }
            }
            #[cfg(feature = "fs")]
            Self::Locked(file) => {
                let expected = match expected {
                    None => None,
                    Some(Version::Content(content)) => Some(content),
                    Some(Version::Tag(_)) => {
                        return Err(ArchiveError::new(ErrorKind::Unsupported, "an object's version for a file"));
                    }
                };
                let new = manifest.clone();
                let swapped = remote::blocking(move || file.swap(expected.as_deref(), &new)).await?;
                Ok(if swapped { Swap::Done(Version::Content(manifest)) } else { Swap::Lost })
            }
        }
    }
}
