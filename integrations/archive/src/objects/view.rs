//! What a handle knows of the archive: a manifest, and of each key where its latest record lies. Values are not kept in memory.

use core::ops::Bound;
use std::collections::BTreeMap;

use super::manifest::{Manifest, SegmentId, SegmentMeta};
use super::segment::Entry;
use crate::archive::Mark;

/// Where the latest record of a key lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    tick: u64,
    segment: u32,
    pub offset: u32,
    pub bytes: u32,
    removed: bool,
}

impl Place {
    pub fn mark(&self) -> Mark {
        Mark { tick: self.tick, removed: self.removed }
    }

    /// Where it lies in the segment.
    pub fn range(&self) -> core::ops::Range<u64> {
        u64::from(self.offset)..u64::from(self.offset) + u64::from(self.bytes)
    }
}

#[derive(Debug)]
pub struct Segment {
    pub meta: SegmentMeta,
    /// Bytes of records that are the latest of their key.
    pub live_bytes: u64,
}

#[derive(Debug, Default)]
pub struct View {
    pub manifest: Manifest,
    /// By the number that places use. A segment that has gone leaves its place to a later one.
    segments: Vec<Option<Segment>>,
    index: BTreeMap<Box<[u8]>, Place>,
    removals: u64,
}

impl View {
    pub fn new(manifest: Manifest) -> Self {
        Self { manifest, ..Self::default() }
    }

    pub fn find(&self, key: &[u8]) -> Option<Place> {
        self.index.get(key).copied()
    }

    pub fn segment(&self, place: Place) -> Option<&SegmentMeta> {
        Some(&self.segments.get(place.segment as usize)?.as_ref()?.meta)
    }

    pub fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().flatten()
    }

    pub fn has(&self, id: SegmentId) -> bool {
        self.segments().any(|segment| segment.meta.id == id)
    }

    /// Keys above `after` that have a record, with its place.
    pub fn records_after<'a>(&'a self, after: Option<&'a [u8]>) -> impl Iterator<Item = (&'a [u8], Place)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.entries(from).filter(|(_, place)| !place.removed)
    }

    /// Keys that were removed, with the place of that record.
    pub fn removed(&self) -> impl Iterator<Item = (&[u8], Place)> {
        self.entries(Bound::Unbounded).filter(|(_, place)| place.removed)
    }

    fn entries<'a>(&'a self, from: Bound<&'a [u8]>) -> impl Iterator<Item = (&'a [u8], Place)> {
        self.index.range::<[u8], _>((from, Bound::Unbounded)).map(|(key, place)| (&**key, *place))
    }

    pub fn records(&self) -> u64 {
        self.index.len() as u64 - self.removals
    }

    pub fn removals(&self) -> u64 {
        self.removals
    }

    pub fn dead_bytes(&self) -> u64 {
        self.segments().map(|segment| segment.meta.footer_offset.saturating_sub(segment.live_bytes)).sum()
    }

    /// Takes in a segment. What it holds that is not the latest of its key is dead in it.
    pub fn add(&mut self, meta: SegmentMeta, entries: Vec<Entry>) {
        let slot = self.free_slot();
        self.segments[slot as usize] = Some(Segment { meta, live_bytes: 0 });
        for entry in entries {
            let Entry { key, mark, offset, bytes } = entry;
            let known = self.find(&key);
            if known.is_some_and(|known| known.mark() >= mark) {
                continue;
            }
            self.leave(known);
            self.put(key, Place { tick: mark.tick, segment: slot, offset, bytes, removed: mark.removed });
        }
    }

    /// Takes in a segment that holds live records of segments which go.
    pub fn replace(&mut self, meta: SegmentMeta, entries: Vec<Entry>) {
        let slot = self.free_slot();
        self.segments[slot as usize] = Some(Segment { meta, live_bytes: 0 });
        for Entry { key, mark, offset, bytes } in entries {
            let known = self.find(&key);
            if known.is_some_and(|known| known.mark() == mark) {
                self.leave(known);
                self.put(key, Place { tick: mark.tick, segment: slot, offset, bytes, removed: mark.removed });
            }
        }
    }

    /// Lets go of a removal that cannot hold anything back any more.
    pub fn drop_removal(&mut self, key: &[u8]) {
        if let Some(place) = self.find(key)
            && place.removed
        {
            self.leave(Some(place));
            self.index.remove(key);
        }
    }

    /// Lets go of a segment that holds nothing live.
    pub fn retire(&mut self, id: SegmentId) {
        for slot in &mut self.segments {
            if slot.as_ref().is_some_and(|segment| segment.meta.id == id) {
                *slot = None;
            }
        }
    }

    fn free_slot(&mut self) -> u32 {
        let slot = self.segments.iter().position(Option::is_none).unwrap_or_else(|| {
            self.segments.push(None);
            self.segments.len() - 1
        });
        u32::try_from(slot).unwrap_or(u32::MAX)
    }

    fn leave(&mut self, known: Option<Place>) {
        let Some(known) = known else { return };
        self.removals -= u64::from(known.removed);
        if let Some(Some(segment)) = self.segments.get_mut(known.segment as usize) {
            segment.live_bytes = segment.live_bytes.saturating_sub(known.bytes.into());
        }
    }

    fn put(&mut self, key: Box<[u8]>, place: Place) {
        self.removals += u64::from(place.removed);
        if let Some(Some(segment)) = self.segments.get_mut(place.segment as usize) {
            segment.live_bytes += u64::from(place.bytes);
        }
        self.index.insert(key, place);
    }
}
