//! The archive as the writer and the restores see it, whatever its type and its codecs are.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;

use super::health::add;
use crate::codec::{decode, encode};
use crate::{Archive, ArchiveError, Codec, ErrorKind, Typed};

pub(super) trait Backend<K, V>: Send + Sync {
    fn archive(&self) -> &dyn Archive;
    fn encode_key(&self, key: &K) -> Result<Vec<u8>, ArchiveError>;
    fn encode_value(&self, value: &V) -> Result<Vec<u8>, ArchiveError>;
    fn decode_value(&self, key: &[u8], bytes: &[u8]) -> Result<V, ArchiveError>;
}

impl<K, V, A, KeyCodec, ValueCodec> Backend<K, V> for Typed<A, KeyCodec, ValueCodec>
where
    A: Archive,
    KeyCodec: Codec<K> + Send + Sync,
    ValueCodec: Codec<V> + Send + Sync,
{
    fn archive(&self) -> &dyn Archive {
        self.archive()
    }

    fn encode_key(&self, key: &K) -> Result<Vec<u8>, ArchiveError> {
        encode(self.codecs().0, key)
    }

    fn encode_value(&self, value: &V) -> Result<Vec<u8>, ArchiveError> {
        encode(self.codecs().1, value)
    }

    fn decode_value(&self, key: &[u8], bytes: &[u8]) -> Result<V, ArchiveError> {
        decode(self.codecs().1, bytes, key)
    }
}

/// Calls what others wrote. A panic of it is an error like any other.
pub(super) fn guarded<T>(
    panics: &AtomicU64,
    kind: ErrorKind,
    call: impl FnOnce() -> Result<T, ArchiveError>,
) -> Result<T, ArchiveError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        add(panics, 1);
        Err(ArchiveError::new(kind, format!("it has panicked: {}", message(&*panic))))
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}
