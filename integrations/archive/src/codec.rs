//! Keys and values as bytes.

use core::error::Error;
use core::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

use crate::{Archive, ArchiveError, ErrorKind};

/// Turns a type into bytes and back.
///
/// A codec of keys must give one key the same bytes each time. Archives sort keys by these bytes.
///
/// # Examples
///
/// ```
/// use tierstack_archive::{Codec, CodecError};
///
/// /// Numbers as eight bytes, the highest first, so that archives sort them as numbers.
/// struct BigEndian;
///
/// impl Codec<u64> for BigEndian {
///     fn encode(&self, value: &u64, to: &mut Vec<u8>) -> Result<(), CodecError> {
///         to.extend_from_slice(&value.to_be_bytes());
///         Ok(())
///     }
///
///     fn decode(&self, bytes: &[u8]) -> Result<u64, CodecError> {
///         Ok(u64::from_be_bytes(bytes.try_into()?))
///     }
/// }
///
/// let mut bytes = Vec::new();
/// BigEndian.encode(&258, &mut bytes).unwrap();
/// assert_eq!((&bytes[6..], BigEndian.decode(&bytes).unwrap()), (&[1, 2][..], 258));
/// assert!(BigEndian.decode(&bytes[1..]).is_err());
/// ```
pub trait Codec<T> {
    /// Appends the bytes of a value.
    ///
    /// # Errors
    ///
    /// Whatever the codec cannot write.
    fn encode(&self, value: &T, to: &mut Vec<u8>) -> Result<(), CodecError>;

    /// The value of these bytes, all of them.
    ///
    /// # Errors
    ///
    /// Whatever the codec cannot read.
    fn decode(&self, bytes: &[u8]) -> Result<T, CodecError>;
}

/// Why a codec has refused. It becomes the source of an [`ArchiveError`].
pub type CodecError = Box<dyn Error + Send + Sync>;

/// Bytes as they are: for `Vec<u8>`, [`Bytes`], `Box<[u8]>` and `Arc<[u8]>`, and for `String`, `Box<str>` and `Arc<str>`, which must be UTF-8.
///
/// # Examples
///
/// ```
/// use tierstack_archive::{Codec, Plain};
///
/// let mut bytes = Vec::new();
/// Plain.encode(&"note".to_string(), &mut bytes).unwrap();
/// let read: Vec<u8> = Plain.decode(&bytes).unwrap();
/// assert_eq!(read, b"note");
/// assert!(Codec::<String>::decode(&Plain, &[0xff]).is_err());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

macro_rules! plain {
    ($bytes:ident => $from:expr; $($type:ty),*) => {$(
        impl Codec<$type> for Plain {
            fn encode(&self, value: &$type, to: &mut Vec<u8>) -> Result<(), CodecError> {
                to.extend_from_slice(AsRef::<[u8]>::as_ref(&**value));
                Ok(())
            }

            fn decode(&self, $bytes: &[u8]) -> Result<$type, CodecError> {
                Ok($from.into())
            }
        }
    )*};
}

plain!(bytes => bytes; Vec<u8>, Box<[u8]>, Arc<[u8]>);
plain!(bytes => core::str::from_utf8(bytes)?; String, Box<str>, Arc<str>);

impl Codec<Bytes> for Plain {
    fn encode(&self, value: &Bytes, to: &mut Vec<u8>) -> Result<(), CodecError> {
        to.extend_from_slice(value);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Bytes, CodecError> {
        Ok(Bytes::copy_from_slice(bytes))
    }
}

/// Any type that serde knows, in [postcard](https://docs.rs/postcard)'s format: compact, and without the names of fields.
///
/// The format does not describe itself: read with the type that was written. Bytes that are left over are an error.
///
/// # Examples
///
/// ```
/// use tierstack_archive::{Codec, Postcard};
///
/// let mut bytes = Vec::new();
/// Postcard.encode(&(7_u32, "seven".to_string()), &mut bytes).unwrap();
/// let read: (u32, String) = Postcard.decode(&bytes).unwrap();
/// assert_eq!(read, (7, "seven".to_string()));
/// ```
#[cfg(feature = "serde")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Postcard;

#[cfg(feature = "serde")]
impl<T: serde::Serialize + serde::de::DeserializeOwned> Codec<T> for Postcard {
    fn encode(&self, value: &T, to: &mut Vec<u8>) -> Result<(), CodecError> {
        to.extend_from_slice(&postcard::to_stdvec(value)?);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, CodecError> {
        match postcard::take_from_bytes(bytes)? {
            (value, []) => Ok(value),
            (_, rest) => Err(format!("{} bytes are left over", rest.len()).into()),
        }
    }
}

/// One step of a batch of typed keys and values, for [`Typed::commit`].
#[derive(Clone, Copy, Debug)]
pub enum TypedOp<'a, K, V> {
    /// See [`Op::Put`](crate::Op::Put).
    Put {
        /// The key.
        key: &'a K,
        /// When the value was made.
        tick: u64,
        /// The value.
        value: &'a V,
    },
    /// See [`Op::Remove`](crate::Op::Remove).
    Remove {
        /// The key.
        key: &'a K,
        /// When the key was removed.
        tick: u64,
    },
}

/// An archive of typed keys and values: an [`Archive`] of bytes, with a codec for each.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "redb")] {
/// use tierstack_archive::{Plain, RedbArchive, Typed, TypedOp};
///
/// let folder = tempfile::tempdir()?;
/// let archive = Typed::new(RedbArchive::open(folder.path().join("archive.redb"))?, Plain, Plain);
/// let (key, value) = ("goal".to_string(), "find the bug".to_string());
/// archive.commit(&[TypedOp::Put { key: &key, tick: 1, value: &value }])?;
/// assert_eq!(archive.get(&key)?, Some((1, value)));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Typed<A, KeyCodec, ValueCodec> {
    archive: A,
    keys: KeyCodec,
    values: ValueCodec,
}

impl<A: Archive, KeyCodec, ValueCodec> Typed<A, KeyCodec, ValueCodec> {
    /// An archive whose keys and values go through these codecs.
    pub fn new(archive: A, keys: KeyCodec, values: ValueCodec) -> Self {
        Self { archive, keys, values }
    }

    /// The archive of bytes: for what is not about keys and values, such as [`flush`](Archive::flush).
    pub fn archive(&self) -> &A {
        &self.archive
    }

    pub(crate) fn codecs(&self) -> (&KeyCodec, &ValueCodec) {
        (&self.keys, &self.values)
    }

    /// [`Archive::commit`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] before anything is written, and those of [`Archive::commit`].
    pub fn commit<K, V>(&self, batch: &[TypedOp<'_, K, V>]) -> Result<crate::Committed, ArchiveError>
    where
        KeyCodec: Codec<K>,
        ValueCodec: Codec<V>,
    {
        let mut encoded = Vec::with_capacity(batch.len());
        for op in batch {
            encoded.push(match op {
                TypedOp::Put { key, tick, value } => {
                    (encode(&self.keys, *key)?, *tick, Some(encode(&self.values, *value)?))
                }
                TypedOp::Remove { key, tick } => (encode(&self.keys, *key)?, *tick, None),
            });
        }
        let ops: Vec<_> = encoded
            .iter()
            .map(|(key, tick, value)| match value {
                Some(value) => crate::Op::Put { key, tick: *tick, value },
                None => crate::Op::Remove { key, tick: *tick },
            })
            .collect();
        self.archive.commit(&ops)
    }

    /// The tick and the value of a key: [`Archive::get`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`], and those of [`Archive::get`].
    pub fn get<K, V>(&self, key: &K) -> Result<Option<(u64, V)>, ArchiveError>
    where
        KeyCodec: Codec<K>,
        ValueCodec: Codec<V>,
    {
        let Some(record) = self.archive.get(&encode(&self.keys, key)?)? else { return Ok(None) };
        Ok(Some((record.tick, decode(&self.values, &record.value, &record.key)?)))
    }

    /// Removes a key as of a tick: [`Archive::delete`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`], and those of [`Archive::delete`].
    pub fn delete<K>(&self, key: &K, tick: u64) -> Result<bool, ArchiveError>
    where
        KeyCodec: Codec<K>,
    {
        self.archive.delete(&encode(&self.keys, key)?, tick)
    }

    /// Shows key, tick and value of each record, in the order of the keys' bytes: [`Archive::scan`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`], and those of [`Archive::scan`].
    pub fn scan<K, V>(&self, mut visit: impl FnMut(K, u64, V) -> ControlFlow<()>) -> Result<(), ArchiveError>
    where
        KeyCodec: Codec<K>,
        ValueCodec: Codec<V>,
    {
        let mut refused = None;
        self.archive.scan(None, &mut |record| {
            let key = decode(&self.keys, &record.key, &record.key);
            match key.and_then(|key| Ok((key, decode(&self.values, &record.value, &record.key)?))) {
                Ok((key, value)) => visit(key, record.tick, value),
                Err(error) => {
                    refused = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        refused.map_or(Ok(()), Err)
    }
}

pub(crate) fn encode<T>(codec: &impl Codec<T>, value: &T) -> Result<Vec<u8>, ArchiveError> {
    let mut bytes = Vec::new();
    match codec.encode(value, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) => Err(ArchiveError::new(ErrorKind::Codec, "it could not be encoded").because(error)),
    }
}

pub(crate) fn decode<T>(codec: &impl Codec<T>, bytes: &[u8], key: &[u8]) -> Result<T, ArchiveError> {
    let refused =
        |error: CodecError| ArchiveError::new(ErrorKind::Codec, "it could not be decoded").because(error).of_key(key);
    codec.decode(bytes).map_err(refused)
}
