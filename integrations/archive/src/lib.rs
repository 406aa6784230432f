#![doc = include_str!("../README.md")]

mod archive;
mod codec;
#[cfg(feature = "redb")]
mod embedded;
mod error;
#[cfg(feature = "objects")]
mod objects;
mod store;
#[cfg(any(feature = "redb", feature = "objects"))]
mod wire;

pub use archive::{Archive, Committed, Compacted, MAX_KEY_BYTES, MAX_VALUE_BYTES, Op, Record, Status};
#[cfg(feature = "serde")]
pub use codec::Postcard;
pub use codec::{Codec, CodecError, Plain, Typed, TypedOp};
#[cfg(feature = "redb")]
pub use embedded::{Durability, RedbArchive, RedbOptions};
pub use error::{ArchiveError, ErrorKind, Retry};
#[cfg(feature = "objects")]
pub use object_store;
#[cfg(feature = "objects")]
pub use objects::{ObjectArchive, ObjectOptions, Timeouts};
pub use store::{ArchivedOptions, ArchivedStore, FlushError, Health, RestoreError, Restored, Source, Written};
