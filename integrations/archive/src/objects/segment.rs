//! A segment: many records in one object that never changes.
//!
//! | part | what |
//! |---|---|
//! | head | magic, version |
//! | records | one after the other: checksum `u32`, flag `u8`, length of the key `u16`, of the value `u32`, tick `u64`, key, value |
//! | footer | by key: flag, length of the key, key, offset `u32` and length `u32` of the record, tick |
//! | tail | offset of the footer `u64`, number of records `u64`, checksum of the footer, version, magic |
//!
//! All numbers are little-endian. A record is checked by its own checksum, which covers the key. The footer and the tail are checked when the segment is opened.

use bytes::Bytes;

use super::manifest::{SegmentId, SegmentMeta};
use crate::archive::Mark;
use crate::wire::{Reader, checksum, corrupt, removed};
use crate::{ArchiveError, ErrorKind, Op, Record};

const HEAD: &[u8; 8] = b"tstk-seg";
const TAIL: &[u8; 8] = b"tstk-end";
const VERSION: u16 = 1;
const TAIL_BYTES: usize = 8 + 8 + 4 + 2 + TAIL.len();
const RECORD_HEAD_BYTES: usize = 4 + 1 + 2 + 4 + 8;

/// What a footer says of one record.
pub struct Entry {
    pub key: Box<[u8]>,
    pub mark: Mark,
    pub offset: u32,
    pub bytes: u32,
}

/// A segment while it is put together.
pub struct Builder {
    data: Vec<u8>,
    entries: Vec<Entry>,
}

impl Builder {
    pub fn new() -> Self {
        let mut data = HEAD.to_vec();
        data.extend_from_slice(&VERSION.to_le_bytes());
        Self { data, entries: Vec::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    pub fn push(&mut self, op: &Op<'_>) {
        let (key, mark) = (op.key(), op.mark());
        let value = if let Op::Put { value, .. } = op { *value } else { &[] };
        let offset = self.data.len();
        self.data.extend_from_slice(&checksum(mark, key, value).to_le_bytes());
        self.data.push(u8::from(mark.removed));
        self.data.extend_from_slice(&narrow::<u16>(key.len()).to_le_bytes());
        self.data.extend_from_slice(&narrow::<u32>(value.len()).to_le_bytes());
        self.data.extend_from_slice(&mark.tick.to_le_bytes());
        self.data.extend_from_slice(key);
        self.data.extend_from_slice(value);
        let bytes = narrow(self.data.len() - offset);
        self.entries.push(Entry { key: key.into(), mark, offset: narrow(offset), bytes });
    }

    /// The object, what the manifest says of it, and its records in the order of their keys.
    pub fn finish(mut self, id: SegmentId) -> (Bytes, SegmentMeta, Vec<Entry>) {
        self.entries.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        let footer_offset = self.data.len();
        for entry in &self.entries {
            self.data.push(u8::from(entry.mark.removed));
            self.data.extend_from_slice(&narrow::<u16>(entry.key.len()).to_le_bytes());
            self.data.extend_from_slice(&entry.key);
            self.data.extend_from_slice(&entry.offset.to_le_bytes());
            self.data.extend_from_slice(&entry.bytes.to_le_bytes());
            self.data.extend_from_slice(&entry.mark.tick.to_le_bytes());
        }
        let footer_sum = crc32c::crc32c(&self.data[footer_offset..]);
        let records = self.entries.len() as u64;
        self.data.extend_from_slice(&(footer_offset as u64).to_le_bytes());
        self.data.extend_from_slice(&records.to_le_bytes());
        self.data.extend_from_slice(&footer_sum.to_le_bytes());
        self.data.extend_from_slice(&VERSION.to_le_bytes());
        self.data.extend_from_slice(TAIL);
        let lowest_tick = self.entries.iter().map(|entry| entry.mark.tick).min().unwrap_or(0);
        let bytes = self.data.len() as u64;
        let meta = SegmentMeta { id, bytes, footer_offset: footer_offset as u64, records, footer_sum, lowest_tick };
        (self.data.into(), meta, self.entries)
    }
}

/// A length that the limits of keys, values and segments keep small.
fn narrow<T: TryFrom<usize> + Default>(length: usize) -> T {
    debug_assert!(T::try_from(length).is_ok());
    T::try_from(length).unwrap_or_default()
}

/// Reads the footer and the tail: all that follows the records. It is what says where a record lies, so that a damaged one hides no other.
pub fn read_footer(meta: &SegmentMeta, data: &[u8]) -> Result<Vec<Entry>, ArchiveError> {
    let wrong = |what: &str| corrupt(format!("segment {}: {what}", meta.id));
    let Some((footer, tail)) = data.len().checked_sub(TAIL_BYTES).and_then(|at| data.split_at_checked(at)) else {
        return Err(wrong("it is too short"));
    };
    let mut reader = Reader(tail);
    let parts = (reader.u64(), reader.u64(), reader.u32(), reader.u16());
    let (Some(footer_offset), Some(records), Some(sum), Some(version)) = parts else {
        return Err(wrong("it is too short"));
    };
    if reader.0 != TAIL {
        return Err(ArchiveError::new(ErrorKind::Foreign, format!("{} is no segment", meta.id)));
    }
    if version != VERSION {
        return Err(ArchiveError::new(
            ErrorKind::Version,
            format!("segment {} has version {version} of the format, and {VERSION} is known", meta.id),
        ));
    }
    if (footer_offset, records, sum) != (meta.footer_offset, meta.records, meta.footer_sum) {
        return Err(wrong("it is not the one that the manifest names"));
    }
    if crc32c::crc32c(footer) != sum {
        return Err(wrong("the checksum of its footer is wrong"));
    }
    let (mut entries, mut reader) = (Vec::new(), Reader(footer));
    while !reader.0.is_empty() {
        let entry = read_entry(&mut reader).ok_or_else(|| wrong("its footer ends within an entry"))?;
        if u64::from(entry.offset) + u64::from(entry.bytes) > footer_offset {
            return Err(wrong("a record lies behind the records"));
        }
        entries.push(entry);
    }
    if entries.len() as u64 != records {
        return Err(wrong("its footer has another number of records"));
    }
    Ok(entries)
}

fn read_entry(reader: &mut Reader<'_>) -> Option<Entry> {
    let removed = removed(reader.u8()?)?;
    let length = reader.u16()?;
    let key = reader.bytes(length.into())?.into();
    let (offset, bytes) = (reader.u32()?, reader.u32()?);
    Some(Entry { key, mark: Mark { tick: reader.u64()?, removed }, offset, bytes })
}

/// Reads the record at the beginning of these bytes, and says how many it took.
pub fn read_record(data: &Bytes) -> Result<(Mark, Record, usize), ArchiveError> {
    let mut reader = Reader(data);
    let mut head = || Some((reader.u32()?, removed(reader.u8()?)?, reader.u16()?, reader.u32()?, reader.u64()?));
    let (sum, removed, key_bytes, value_bytes, tick) = head().ok_or_else(|| corrupt("a record has no whole head"))?;
    let mut body = || Some((reader.bytes(key_bytes.into())?, reader.bytes(usize::try_from(value_bytes).ok()?)?));
    let (key, value) = body().ok_or_else(|| corrupt("a record is cut off"))?;
    let mark = Mark { tick, removed };
    if sum != checksum(mark, key, value) {
        return Err(corrupt("the checksum of a record is wrong").of_key(key));
    }
    let record = Record { key: data.slice_ref(key), tick, value: data.slice_ref(value) };
    Ok((mark, record, RECORD_HEAD_BYTES + key.len() + value.len()))
}
