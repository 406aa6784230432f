//! Compaction: live records move to new segments, a manifest names those instead, and later the old ones are deleted.
//!
//! What may be deleted:
//!
//! - A segment that a manifest has retired, after the grace. No later manifest names it. Only somebody who still uses an older one reads
//!   it: they find it missing, and read the newer manifest.
//! - A segment that no manifest names, left by a commit that failed or was killed. It might also be one that a newer writer has put, and has not
//!   named yet. So the segments are listed first, and then the manifest is read: if it is still of this writer, then nobody else had begun to write when
//!   they were listed.
//!
//! When a removal may be dropped: when its tick lies below the horizon, so that nothing older comes any more, and no other segment can hold a
//! record that it holds back. Every record of those is newer than the removal.

use std::collections::HashSet;
use std::time::Instant;

use super::commit::{Standing, fenced};
use super::manifest::{Manifest, Retired, SegmentId, SegmentMeta, now};
use super::read::{checked, slice};
use super::segment::{Builder, Entry, read_footer};
use super::view::{Place, View};
use super::{ObjectArchive, Writer};
use crate::{ArchiveError, Compacted, ErrorKind, Op};

/// Segments that are rewritten between two turns of the commits.
const AT_ONCE: usize = 16;
/// A compaction that others keep from ending stops after so many turns.
const TURNS: usize = 1 << 16;

impl ObjectArchive {
    pub(super) fn compact_all(&self) -> Result<Compacted, ArchiveError> {
        let bytes_before = self.view().manifest.bytes();
        for _ in 0..TURNS {
            let mut writer = self.writer();
            self.settle(&mut writer, self.deadline())?;
            let chosen = self.chosen(&self.view());
            if chosen.is_empty() {
                self.delete_retired(&mut writer)?;
                self.delete_unnamed(&mut writer)?;
                break;
            }
            match self.rewrite(&mut writer, &chosen) {
                // A newer writer has replaced and deleted what was to be rewritten.
                Err(error) if error.kind() == ErrorKind::Missing && self.standing()?.0.writer != writer.id => {
                    writer.fenced = true;
                    return Err(fenced());
                }
                outcome => outcome?,
            }
        }
        Ok(Compacted { bytes_before, bytes_after: self.view().manifest.bytes() })
    }

    fn chosen(&self, view: &View) -> Vec<SegmentMeta> {
        let removals = view.removed().filter(|(_, place)| place.mark().tick < view.manifest.horizon).count() as u64;
        if removals * 4 > view.records() + view.removals() {
            return view.segments().map(|segment| segment.meta.clone()).collect();
        }
        let small = |meta: &SegmentMeta| meta.bytes < (self.options.segment_bytes / 2) as u64;
        let several = view.segments().filter(|segment| small(&segment.meta)).count() > 1;
        view.segments()
            .filter(|segment| segment.live_bytes * 2 < segment.meta.footer_offset || (several && small(&segment.meta)))
            .take(AT_ONCE)
            .map(|segment| segment.meta.clone())
            .collect()
    }

    /// Rewrites what is live in these segments, and retires them.
    fn rewrite(&self, writer: &mut Writer, chosen: &[SegmentMeta]) -> Result<(), ArchiveError> {
        let chosen_ids: HashSet<SegmentId> = chosen.iter().map(|meta| meta.id).collect();
        let (horizon, lowest_elsewhere) = {
            let view = self.view();
            let elsewhere = view.segments().map(|segment| &segment.meta).filter(|meta| !chosen_ids.contains(&meta.id));
            (view.manifest.horizon, elsewhere.map(|meta| meta.lowest_tick).min().unwrap_or(u64::MAX))
        };
        let (mut written, mut builder, mut dropped) = (Vec::new(), Builder::new(), Vec::new());
        for meta in chosen {
            let data = self.driver.run(self.deadline(), self.remote.clone().read(meta.clone(), 0..meta.bytes))?;
            let footer = usize::try_from(meta.footer_offset).ok().and_then(|at| data.get(at..));
            for entry in read_footer(meta, footer.unwrap_or_default())? {
                let Some(place) = self.live(meta, &entry) else { continue };
                let (mark, record) = checked(&entry.key, place, &slice(&data, place)?)?;
                if mark.removed && mark.tick < horizon && mark.tick < lowest_elsewhere {
                    dropped.push(entry.key);
                    continue;
                }
                let (key, tick, value) = (&entry.key[..], mark.tick, &record.value[..]);
                builder.push(&if mark.removed { Op::Remove { key, tick } } else { Op::Put { key, tick, value } });
                if builder.bytes() >= self.options.segment_bytes {
                    let full = std::mem::replace(&mut builder, Builder::new());
                    written.push(self.put_segment(writer, self.deadline(), full)?);
                }
            }
        }
        if !builder.is_empty() {
            written.push(self.put_segment(writer, self.deadline(), builder)?);
        }
        let manifest = self.rewritten(writer, &chosen_ids, &written);
        match self.replace(writer, self.deadline(), &manifest)? {
            Standing::New => {
                let mut view = self.view_mut();
                view.manifest = manifest;
                for (meta, entries) in written {
                    view.replace(meta, entries);
                }
                for key in dropped {
                    view.drop_removal(&key);
                }
                for id in chosen_ids {
                    view.retire(id);
                }
                Ok(())
            }
            // Known: nothing is left to do. Earlier: the next turn chooses anew, and what was written in vain is unnamed.
            Standing::Known | Standing::Earlier => Ok(()),
        }
    }

    /// Where the record lies, if it is the latest of its key.
    fn live(&self, meta: &SegmentMeta, entry: &Entry) -> Option<Place> {
        let view = self.view();
        let place = view.find(&entry.key).filter(|place| (place.offset, place.bytes) == (entry.offset, entry.bytes))?;
        view.segment(place).is_some_and(|segment| segment.id == meta.id).then_some(place)
    }

    fn rewritten(
        &self,
        writer: &Writer,
        chosen: &HashSet<SegmentId>,
        written: &[(SegmentMeta, Vec<Entry>)],
    ) -> Manifest {
        let mut manifest = self.view().manifest.next(writer.id);
        manifest.segments.retain(|segment| !chosen.contains(&segment.id));
        manifest.segments.extend(written.iter().map(|(meta, _)| meta.clone()));
        let since = now();
        manifest.retired.extend(chosen.iter().map(|&id| Retired { id, since }));
        manifest
    }

    /// Deletes what was retired longer ago than the grace.
    fn delete_retired(&self, writer: &mut Writer) -> Result<(), ArchiveError> {
        let grace = u64::try_from(self.options.grace.as_millis()).unwrap_or(u64::MAX);
        let (due, manifest) = {
            let manifest = self.view().manifest.next(writer.id);
            let (now, retired) = (now(), manifest.retired.clone());
            let due = |retired: &Retired| retired.since.saturating_add(grace) <= now;
            let (due, left): (Vec<_>, Vec<_>) = retired.into_iter().partition(due);
            (due, Manifest { retired: left, ..manifest })
        };
        if due.is_empty() {
            return Ok(());
        }
        for retired in due {
            self.driver.run(self.deadline(), self.remote.clone().delete(self.remote.path_of(retired.id)))?;
        }
        // Killed before this, they are named as retired for longer, and deleted twice.
        if let Standing::New = self.replace(writer, self.deadline(), &manifest)? {
            self.view_mut().manifest = manifest;
        }
        Ok(())
    }

    /// Deletes what no manifest names.
    fn delete_unnamed(&self, writer: &mut Writer) -> Result<(), ArchiveError> {
        if writer.late {
            // A manifest that names some of them could still come. After another one it cannot.
            let manifest = self.view().manifest.next(writer.id);
            if let Standing::New = self.replace(writer, self.deadline(), &manifest)? {
                self.view_mut().manifest = manifest;
            }
        }
        if writer.late {
            return Ok(());
        }
        let listed = self.driver.run(self.deadline(), self.remote.clone().list())?;
        let until: Instant = self.deadline();
        let Some((manifest, _)) = self.load(until)? else {
            return Err(ArchiveError::new(ErrorKind::Corrupt, "the manifest has gone"));
        };
        if manifest.writer != writer.id {
            writer.fenced = true;
            return Ok(());
        }
        let segments = manifest.segments.iter().map(|segment| segment.id);
        let named: HashSet<_> = segments
            .chain(manifest.retired.iter().map(|retired| retired.id))
            .map(|id| self.remote.path_of(id))
            .collect();
        for path in listed.into_iter().filter(|path| !named.contains(path)) {
            self.driver.run(self.deadline(), self.remote.clone().delete(path))?;
        }
        Ok(())
    }
}
