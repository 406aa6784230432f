//! Reading records: by range, without a lock while the store answers.

use core::ops::ControlFlow;

use bytes::Bytes;

use super::ObjectArchive;
use super::manifest::SegmentMeta;
use super::segment::read_record;
use super::view::Place;
use crate::archive::Mark;
use crate::wire::corrupt;
use crate::{ArchiveError, ErrorKind, Record};

/// A scan reads so many records, or so many bytes of them, at a time.
const SCAN_RECORDS: usize = 256;
const SCAN_BYTES: u64 = 8 << 20;
/// How often a record may be moved while it is read.
const MOVES: usize = 16;

impl ObjectArchive {
    pub(super) fn read_key(&self, key: &[u8]) -> Result<Option<Record>, ArchiveError> {
        let until = self.deadline();
        let mut refreshed = false;
        for _ in 0..MOVES {
            let Some((place, segment)) = self.place_of(key) else { return Ok(None) };
            match self.driver.run(until, self.remote.clone().read(segment, place.range())) {
                Ok(data) => return checked(key, place, &data).map(|(_, record)| Some(record)),
                Err(error) if error.kind() != ErrorKind::Missing => return Err(error.of_key(key)),
                // A compaction of this handle has moved it meanwhile.
                Err(_) if self.place_of(key).is_none_or(|(now, _)| now != place) => {}
                // One of another handle has.
                Err(_) if !refreshed => {
                    self.catch_up()?;
                    refreshed = true;
                }
                Err(error) => {
                    return Err(corrupt("a segment that the manifest names is missing").because(error).of_key(key));
                }
            }
        }
        Err(ArchiveError::new(ErrorKind::Unavailable, "the record was moved again and again").of_key(key))
    }

    fn place_of(&self, key: &[u8]) -> Option<(Place, SegmentMeta)> {
        let view = self.view();
        let place = view.find(key).filter(|place| !place.mark().removed)?;
        Some((place, view.segment(place)?.clone()))
    }

    pub(super) fn read_all(
        &self,
        after: Option<&[u8]>,
        visit: &mut dyn FnMut(Record) -> ControlFlow<()>,
    ) -> Result<(), ArchiveError> {
        let mut after: Option<Box<[u8]>> = after.map(Into::into);
        loop {
            let some = self.some_after(after.as_deref());
            let Some((last, ..)) = some.last() else { return Ok(()) };
            after = Some(last.clone());
            let data = self.read_some(&some);
            for (at, (key, place, _)) in some.iter().enumerate() {
                let record = match &data {
                    Ok(data) => Some(checked(key, *place, &data[at])?.1),
                    // One by one: each that was moved is found where it is now, and an error names its key.
                    Err(_) => self.read_key(key)?,
                };
                if let Some(record) = record
                    && visit(record).is_break()
                {
                    return Ok(());
                }
            }
        }
    }

    /// The next keys, and where their records lie.
    fn some_after(&self, after: Option<&[u8]>) -> Vec<(Box<[u8]>, Place, SegmentMeta)> {
        let (view, mut some, mut bytes) = (self.view(), Vec::new(), 0);
        for (key, place) in view.records_after(after) {
            bytes += u64::from(place.bytes);
            if some.len() == SCAN_RECORDS || (bytes > SCAN_BYTES && !some.is_empty()) {
                break;
            }
            if let Some(segment) = view.segment(place) {
                some.push((key.into(), place, segment.clone()));
            }
        }
        some
    }

    /// Their bytes, by a request for those that lie together.
    fn read_some(&self, some: &[(Box<[u8]>, Place, SegmentMeta)]) -> Result<Vec<Bytes>, ArchiveError> {
        let mut order: Vec<usize> = (0..some.len()).collect();
        order.sort_unstable_by_key(|&at| (some[at].2.id, some[at].1.offset));
        let mut data = vec![Bytes::new(); some.len()];
        for together in order.chunk_by(|&one, &next| {
            let (one, next) = (&some[one], &some[next]);
            one.2.id == next.2.id && one.1.range().end == next.1.range().start
        }) {
            let (Some(&first), Some(&last)) = (together.first(), together.last()) else { continue };
            let range = some[first].1.range().start..some[last].1.range().end;
            let begin = range.start;
            let read = self.driver.run(self.deadline(), self.remote.clone().read(some[first].2.clone(), range))?;
            for &at in together {
                let range = some[at].1.range();
                let part = |offset: u64| usize::try_from(offset - begin).unwrap_or(usize::MAX);
                data[at] = read.slice(part(range.start)..part(range.end));
            }
        }
        Ok(data)
    }
}

/// What is known of the record, and the record, if these bytes are the one that was looked for.
pub(super) fn checked(key: &[u8], place: Place, data: &Bytes) -> Result<(Mark, Record), ArchiveError> {
    let (mark, record, bytes) = read_record(data).map_err(|error| error.of_key(key))?;
    if mark == place.mark() && record.key == key && bytes == data.len() {
        Ok((mark, record))
    } else {
        Err(corrupt("another record lies where the index says").of_key(key))
    }
}

/// The bytes of a record in those of its segment.
pub(super) fn slice(data: &Bytes, place: Place) -> Result<Bytes, ArchiveError> {
    let range = usize::try_from(place.range().start).ok().zip(usize::try_from(place.range().end).ok());
    match range.filter(|&(_, end)| end <= data.len()) {
        Some((start, end)) => Ok(data.slice(start..end)),
        None => Err(corrupt("a record lies behind the end of its segment")),
    }
}
