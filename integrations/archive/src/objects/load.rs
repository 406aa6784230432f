//! Opening, and taking in what a manifest names.

use std::sync::{Mutex, RwLock};
use std::time::Instant;

use tokio::task::JoinSet;

use super::cell::{Cell, Swap, Version};
use super::driver::Driver;
use super::manifest::{Manifest, SegmentMeta, random};
use super::remote::Remote;
use super::segment::{Entry, read_footer};
use super::view::View;
use super::{ObjectArchive, ObjectOptions, Writer};
use crate::{ArchiveError, ErrorKind};

/// Footers that are read at a time.
const AT_ONCE: usize = 8;
/// How often an open tries to become the writer, while others do so too.
const CLAIMS: usize = 32;

impl ObjectArchive {
    pub(super) fn open(options: ObjectOptions, remote: Remote, cell: Cell) -> Result<Self, ArchiveError> {
        let writer = Writer {
            id: random(),
            version: None,
            next_segment: 0,
            unsettled: false,
            late: false,
            fenced: options.read_only,
        };
        let archive = Self {
            options,
            remote,
            cell,
            driver: Driver::start()?,
            view: RwLock::new(View::default()),
            writer: Mutex::new(writer),
        };
        let manifest = if options.read_only { archive.standing()?.0 } else { archive.claim()? };
        if archive.take_in_newest(manifest)? != archive.writer().id {
            // Overtaken before it was open.
            archive.writer().fenced = true;
        }
        Ok(archive)
    }

    /// Takes in a manifest, or a newer one: while it was read, its segments can have been replaced and deleted. Returns who wrote the one that was taken in.
    fn take_in_newest(&self, mut manifest: Manifest) -> Result<u128, ArchiveError> {
        for _ in 0..CLAIMS {
            let (writer, commit) = (manifest.writer, manifest.commit);
            match self.take_in(manifest) {
                Err(error) if error.kind() == ErrorKind::Missing => {
                    manifest = self.standing()?.0;
                    if (manifest.writer, manifest.commit) == (writer, commit) {
                        return Err(error);
                    }
                }
                outcome => return outcome.map(|()| writer),
            }
        }
        Err(ArchiveError::new(ErrorKind::Unavailable, "others replace the archive's segments too quickly"))
    }

    /// The manifest that stands.
    pub(super) fn standing(&self) -> Result<(Manifest, Version), ArchiveError> {
        self.load(self.deadline())?.ok_or_else(|| ArchiveError::new(ErrorKind::Missing, "there is no archive"))
    }

    pub(super) fn load(&self, until: Instant) -> Result<Option<(Manifest, Version)>, ArchiveError> {
        match self.driver.run(until, self.cell.clone().load())? {
            Some((data, version)) => Ok(Some((Manifest::decode(&data)?, version))),
            None => Ok(None),
        }
    }

    /// Becomes the writer: replaces the manifest by one that says so.
    fn claim(&self) -> Result<Manifest, ArchiveError> {
        let mut writer = self.writer();
        let until = self.deadline();
        for _ in 0..CLAIMS {
            let (old, version) = match self.load(until)? {
                Some((old, version)) => (old, Some(version)),
                None => (self.first_manifest(until)?, None),
            };
            if old.writer == writer.id {
                // The answer to an attempt was lost.
                writer.version = version;
                return Ok(old);
            }
            let manifest = old.next(writer.id);
            match self.driver.run(until, self.cell.clone().swap(version, manifest.encode()))? {
                Swap::Done(version) => {
                    writer.version = Some(version);
                    return Ok(manifest);
                }
                Swap::Lost => {}
            }
        }
        Err(ArchiveError::new(ErrorKind::Unavailable, "too many others open the archive for writing"))
    }

    /// An empty one, if it is certain that there was none before.
    fn first_manifest(&self, until: Instant) -> Result<Manifest, ArchiveError> {
        if !self.options.create {
            return Err(ArchiveError::new(ErrorKind::Missing, "there is no archive"));
        }
        if self.driver.run(until, self.remote.clone().list())?.is_empty() {
            return Ok(Manifest::default());
        }
        // Another may have made it just now. Then there is a manifest.
        if self.load(until)?.is_some() {
            return Ok(Manifest::default());
        }
        Err(ArchiveError::new(ErrorKind::Corrupt, "there are segments, but the manifest is missing"))
    }

    /// Makes the view that of a manifest. Others read the old one until the new one is whole.
    pub(super) fn take_in(&self, manifest: Manifest) -> Result<(), ArchiveError> {
        let view = self.view();
        let still = |meta: &SegmentMeta| manifest.segments.iter().any(|segment| segment.id == meta.id);
        let only_more = view.segments().all(|segment| still(&segment.meta));
        let missing: Vec<_> =
            manifest.segments.iter().filter(|segment| !only_more || !view.has(segment.id)).cloned().collect();
        drop(view);
        let footers = self.footers(&missing)?;
        let mut view = self.view_mut();
        if only_more {
            view.manifest = manifest;
            for (meta, entries) in footers {
                view.add(meta, entries);
            }
        } else {
            let mut new = View::new(manifest);
            for (meta, entries) in footers {
                new.add(meta, entries);
            }
            *view = new;
        }
        Ok(())
    }

    fn footers(&self, segments: &[SegmentMeta]) -> Result<Vec<(SegmentMeta, Vec<Entry>)>, ArchiveError> {
        let mut footers = Vec::with_capacity(segments.len());
        for some in segments.chunks(AT_ONCE) {
            let (remote, some) = (self.remote.clone(), some.to_vec());
            footers.extend(self.driver.run(self.deadline(), async move {
                let mut tasks = JoinSet::new();
                for meta in some {
                    tasks.spawn(footer(remote.clone(), meta));
                }
                let mut read = Vec::new();
                while let Some(joined) = tasks.join_next().await {
                    let lost = |error: tokio::task::JoinError| {
                        ArchiveError::new(ErrorKind::Unavailable, "a task was lost").because(error)
                    };
                    read.push(joined.map_err(lost).flatten()?);
                }
                Ok(read)
            })?);
        }
        Ok(footers)
    }

    /// Reads the manifest anew, for one who only reads: a reader, or a writer that was fenced.
    pub(super) fn catch_up(&self) -> Result<(), ArchiveError> {
        let mut writer = self.writer();
        let (manifest, version) = self.standing()?;
        if !writer.fenced && manifest.writer == writer.id {
            return self.settle(&mut writer, self.deadline());
        }
        writer.fenced = true;
        writer.version = Some(version);
        if manifest.commit == self.view().manifest.commit {
            return Ok(());
        }
        self.take_in_newest(manifest).map(drop)
    }
}

async fn footer(remote: Remote, meta: SegmentMeta) -> Result<(SegmentMeta, Vec<Entry>), ArchiveError> {
    let range = meta.footer_offset..meta.bytes;
    if range.is_empty() {
        return Err(crate::wire::corrupt(format!("segment {} ends before its footer", meta.id)));
    }
    let data = remote.read(meta.clone(), range).await?;
    let entries = read_footer(&meta, &data)?;
    Ok((meta, entries))
}
