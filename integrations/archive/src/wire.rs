//! Bytes on their way to a disk and back: checksums, and reading that trusts no length.

use crate::archive::Mark;
use crate::{ArchiveError, ErrorKind};

/// What is still to be read. Every read is checked against what is there, so that a wrong length is an error and allocates nothing.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    #[cfg(feature = "objects")]
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    #[cfg(feature = "objects")]
    pub fn u128(&mut self) -> Option<u128> {
        self.array().map(u128::from_le_bytes)
    }
}

/// The checksum of a record: of all that must not be mistaken for another's.
pub fn checksum(mark: Mark, key: &[u8], value: &[u8]) -> u32 {
    let mut head = [0; 17];
    head[0] = u8::from(mark.removed);
    head[1..9].copy_from_slice(&mark.tick.to_le_bytes());
    head[9..17].copy_from_slice(&(key.len() as u64).to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(&head), key), value)
}

/// Whether a record is a removal, of the byte that says so.
pub fn removed(flag: u8) -> Option<bool> {
    match flag {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

pub fn corrupt(what: impl Into<String>) -> ArchiveError {
    ArchiveError::new(ErrorKind::Corrupt, what)
}
