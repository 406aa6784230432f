//! The manifest: which segments are the archive. It is one small object, and replacing it is what commits.

use core::fmt;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::wire::{Reader, corrupt};
use crate::{ArchiveError, ErrorKind};

const MAGIC: &[u8; 8] = b"tstk-man";
const VERSION: u16 = 1;

/// The name of a segment: the writer that made it, and a number that this writer uses once. So no two segments have one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId {
    pub writer: u128,
    pub number: u64,
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}-{:016x}", self.writer, self.number)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentMeta {
    pub id: SegmentId,
    pub bytes: u64,
    pub footer_offset: u64,
    pub records: u64,
    pub footer_sum: u32,
    /// No record of the segment is older. So a removal can be dropped when no segment can hold what it removed.
    pub lowest_tick: u64,
}

/// A segment that is no part of the archive any more, but that a reader may still use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retired {
    pub id: SegmentId,
    /// Milliseconds since 1970, by the clock of the writer that retired it.
    pub since: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// How often the manifest was replaced.
    pub generation: u64,
    /// Which handle wrote it. Another one than before means that the one before is fenced.
    pub writer: u128,
    /// Differs in each manifest, so that a writer recognizes its own after an answer was lost.
    pub commit: u128,
    pub highest_tick: u64,
    pub horizon: u64,
    pub segments: Vec<SegmentMeta>,
    pub retired: Vec<Retired>,
}

impl Manifest {
    /// The one that comes after, by this writer, with nothing else changed.
    pub fn next(&self, writer: u128) -> Self {
        Self { generation: self.generation + 1, writer, commit: random(), ..self.clone() }
    }

    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    pub fn encode(&self) -> Bytes {
        let mut data = MAGIC.to_vec();
        data.extend_from_slice(&VERSION.to_le_bytes());
        data.extend_from_slice(&self.generation.to_le_bytes());
        data.extend_from_slice(&self.writer.to_le_bytes());
        data.extend_from_slice(&self.commit.to_le_bytes());
        data.extend_from_slice(&self.highest_tick.to_le_bytes());
        data.extend_from_slice(&self.horizon.to_le_bytes());
        data.extend_from_slice(&(self.segments.len() as u64).to_le_bytes());
        for segment in &self.segments {
            write_id(&mut data, segment.id);
            data.extend_from_slice(&segment.bytes.to_le_bytes());
            data.extend_from_slice(&segment.footer_offset.to_le_bytes());
            data.extend_from_slice(&segment.records.to_le_bytes());
            data.extend_from_slice(&segment.footer_sum.to_le_bytes());
            data.extend_from_slice(&segment.lowest_tick.to_le_bytes());
        }
        data.extend_from_slice(&(self.retired.len() as u64).to_le_bytes());
        for retired in &self.retired {
            write_id(&mut data, retired.id);
            data.extend_from_slice(&retired.since.to_le_bytes());
        }
        data.extend_from_slice(&crc32c::crc32c(&data).to_le_bytes());
        data.into()
    }

    pub fn decode(data: &[u8]) -> Result<Self, ArchiveError> {
        let mut reader = Reader(data);
        if reader.bytes(MAGIC.len()) != Some(MAGIC) {
            return Err(ArchiveError::new(ErrorKind::Foreign, "the manifest is none of an archive"));
        }
        match reader.u16() {
            Some(VERSION) => {}
            Some(other) => {
                return Err(ArchiveError::new(
                    ErrorKind::Version,
                    format!("the manifest has version {other} of the format, and {VERSION} is known"),
                ));
            }
            None => return Err(corrupt("the manifest is cut off")),
        }
        let Some((body, sum)) = data.split_last_chunk::<4>() else { return Err(corrupt("the manifest is cut off")) };
        if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
            return Err(corrupt("the checksum of the manifest is wrong"));
        }
        reader = Reader(body.get(MAGIC.len() + 2..).unwrap_or_default());
        match Self::read(&mut reader) {
            Some(manifest) if reader.0.is_empty() => Ok(manifest),
            _ => Err(corrupt("the manifest has another length than it says")),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut manifest = Self {
            generation: reader.u64()?,
            writer: reader.u128()?,
            commit: reader.u128()?,
            highest_tick: reader.u64()?,
            horizon: reader.u64()?,
            ..Self::default()
        };
        for _ in 0..reader.u64()? {
            manifest.segments.push(SegmentMeta {
                id: read_id(reader)?,
                bytes: reader.u64()?,
                footer_offset: reader.u64()?,
                records: reader.u64()?,
                footer_sum: reader.u32()?,
                lowest_tick: reader.u64()?,
            });
        }
        for _ in 0..reader.u64()? {
            manifest.retired.push(Retired { id: read_id(reader)?, since: reader.u64()? });
        }
        Some(manifest)
    }
}

fn write_id(data: &mut Vec<u8>, id: SegmentId) {
    data.extend_from_slice(&id.writer.to_le_bytes());
    data.extend_from_slice(&id.number.to_le_bytes());
}

fn read_id(reader: &mut Reader<'_>) -> Option<SegmentId> {
    Some(SegmentId { writer: reader.u128()?, number: reader.u64()? })
}

/// A number that no other handle draws: from the system's randomness, the clock and the process.
pub fn random() -> u128 {
    let half = || {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        hasher.write_u128(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos()));
        u128::from(hasher.finish())
    };
    (half() << 64) | half()
}

/// Milliseconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
