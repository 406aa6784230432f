//! Commits: what replaces the manifest, and what became of it.

use std::collections::HashMap;
use std::time::Instant;

use super::cell::Swap;
use super::manifest::{Manifest, SegmentId, SegmentMeta};
use super::segment::{Builder, Entry};
use super::{ObjectArchive, Writer};
use crate::archive::{Mark, check_batch};
use crate::{ArchiveError, Committed, ErrorKind, Op};

/// How often a commit begins anew because an earlier one of this writer has come late.
const ATTEMPTS: usize = 4;

/// What became of a manifest that was to stand.
pub(super) enum Standing {
    /// It stands, and the view is to be told.
    New,
    /// It stood already, by an answer that was lost, and the view knows.
    Known,
    /// An earlier one of this writer stands. The view knows that one. What was built on the one before has to be built anew.
    Earlier,
}

impl ObjectArchive {
    pub(super) fn commit_batch(&self, batch: &[Op<'_>]) -> Result<Committed, ArchiveError> {
        check_batch(batch, 0)?;
        let until = self.deadline();
        let mut writer = self.writer();
        self.settle(&mut writer, until)?;
        for _ in 0..ATTEMPTS {
            check_batch(batch, self.view().manifest.horizon)?;
            let (latest, committed) = self.latest(batch);
            if latest.is_empty() {
                return Ok(committed);
            }
            let segments = self.put(&mut writer, until, latest.into_iter().map(|at| batch[at]))?;
            let mut manifest = self.view().manifest.next(writer.id);
            manifest.highest_tick = batch.iter().map(Op::tick).fold(manifest.highest_tick, u64::max);
            manifest.segments.extend(segments.iter().map(|(meta, _)| meta.clone()));
            match self.replace(&mut writer, until, &manifest)? {
                Standing::New => {
                    let mut view = self.view_mut();
                    view.manifest = manifest;
                    for (meta, entries) in segments {
                        view.add(meta, entries);
                    }
                    return Ok(committed);
                }
                Standing::Known => return Ok(committed),
                Standing::Earlier => {}
            }
        }
        Err(ArchiveError::new(ErrorKind::Unavailable, "late answers came again and again"))
    }

    /// Which steps of a batch are the latest of their keys, and how many were so when their turn came.
    fn latest(&self, batch: &[Op<'_>]) -> (Vec<usize>, Committed) {
        let (view, mut committed) = (self.view(), Committed::default());
        let mut latest: HashMap<&[u8], (Mark, usize)> = HashMap::new();
        for (at, op) in batch.iter().enumerate() {
            let (key, mark) = (op.key(), op.mark());
            let known = latest.get(key).map(|known| known.0).or_else(|| Some(view.find(key)?.mark()));
            if known.is_some_and(|known| known >= mark) {
                committed.stale += 1;
            } else {
                committed.applied += 1;
                latest.insert(key, (mark, at));
            }
        }
        let mut steps: Vec<usize> = latest.into_values().map(|(_, at)| at).collect();
        steps.sort_unstable();
        (steps, committed)
    }

    /// Puts records as segments that no manifest names yet.
    fn put<'a>(
        &self,
        writer: &mut Writer,
        until: Instant,
        ops: impl Iterator<Item = Op<'a>>,
    ) -> Result<Vec<(SegmentMeta, Vec<Entry>)>, ArchiveError> {
        let (mut segments, mut builder) = (Vec::new(), Builder::new());
        for op in ops {
            builder.push(&op);
            if builder.bytes() >= self.options.segment_bytes {
                segments.push(self.put_segment(writer, until, std::mem::replace(&mut builder, Builder::new()))?);
            }
        }
        if !builder.is_empty() {
            segments.push(self.put_segment(writer, until, builder)?);
        }
        Ok(segments)
    }

    pub(super) fn put_segment(
        &self,
        writer: &mut Writer,
        until: Instant,
        builder: Builder,
    ) -> Result<(SegmentMeta, Vec<Entry>), ArchiveError> {
        let id = SegmentId { writer: writer.id, number: writer.next_segment };
        writer.next_segment += 1;
        let (data, meta, entries) = builder.finish(id);
        self.driver.run(until, self.remote.clone().put(id, data))?;
        Ok((meta, entries))
    }

    /// Replaces the manifest. The writer is settled before.
    pub(super) fn replace(
        &self,
        writer: &mut Writer,
        until: Instant,
        manifest: &Manifest,
    ) -> Result<Standing, ArchiveError> {
        (writer.unsettled, writer.late) = (true, true);
        match self.driver.run(until, self.cell.clone().swap(writer.version.clone(), manifest.encode()))? {
            Swap::Done(version) => {
                writer.version = Some(version);
                (writer.unsettled, writer.late) = (false, false);
                Ok(Standing::New)
            }
            Swap::Lost => {
                self.settle(writer, until)?;
                let known = self.view().manifest.commit == manifest.commit;
                Ok(if known { Standing::Known } else { Standing::Earlier })
            }
        }
    }

    /// Finds out what became of a replacement that was not answered, and whether the handle may write.
    pub(super) fn settle(&self, writer: &mut Writer, until: Instant) -> Result<(), ArchiveError> {
        if self.options.read_only {
            return Err(ArchiveError::new(ErrorKind::ReadOnly, "the archive was opened for reading only"));
        }
        if writer.fenced {
            return Err(fenced());
        }
        if !writer.unsettled {
            return Ok(());
        }
        let Some((manifest, version)) = self.load(until)? else {
            return Err(ArchiveError::new(ErrorKind::Corrupt, "the manifest has gone"));
        };
        if manifest.writer != writer.id {
            writer.fenced = true;
            return Err(fenced());
        }
        if manifest.commit != self.view().manifest.commit {
            self.take_in(manifest)?;
            writer.late = false;
        }
        writer.version = Some(version);
        writer.unsettled = false;
        Ok(())
    }

    pub(super) fn settle_all(&self) -> Result<(), ArchiveError> {
        if self.options.read_only {
            return Ok(());
        }
        self.settle(&mut self.writer(), self.deadline())
    }

    pub(super) fn raise_horizon(&self, before: u64) -> Result<(), ArchiveError> {
        let until = self.deadline();
        let mut writer = self.writer();
        self.settle(&mut writer, until)?;
        for _ in 0..ATTEMPTS {
            let mut manifest = self.view().manifest.next(writer.id);
            if manifest.horizon >= before {
                return Ok(());
            }
            manifest.horizon = before;
            match self.replace(&mut writer, until, &manifest)? {
                Standing::New => {
                    self.view_mut().manifest = manifest;
                    return Ok(());
                }
                Standing::Known => return Ok(()),
                Standing::Earlier => {}
            }
        }
        Err(ArchiveError::new(ErrorKind::Unavailable, "late answers came again and again"))
    }
}

pub(super) fn fenced() -> ArchiveError {
    ArchiveError::new(ErrorKind::Fenced, "another writer has opened the archive since")
}
