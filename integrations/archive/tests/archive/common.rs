//! The model that every backend has to agree with, and batches that are made up.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use tierstack_archive::{
    Archive, ArchiveError, Committed, Durability, ErrorKind, ObjectOptions, Op, Record, RedbOptions,
};

/// A step that owns what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub key: Vec<u8>,
    pub tick: u64,
    /// `None` removes the key.
    pub value: Option<Vec<u8>>,
}

pub fn ops(steps: &[Step]) -> Vec<Op<'_>> {
    steps
        .iter()
        .map(|Step { key, tick, value }| match value {
            Some(value) => Op::Put { key, tick: *tick, value },
            None => Op::Remove { key, tick: *tick },
        })
        .collect()
}

/// What an archive should be: of each key, what is known last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    pub known: BTreeMap<Vec<u8>, (u64, Option<Vec<u8>>)>,
    pub horizon: u64,
    pub highest_tick: u64,
}

impl Model {
    pub fn commit(&mut self, steps: &[Step]) -> Result<Committed, ErrorKind> {
        if steps.iter().any(|step| step.tick < self.horizon) {
            return Err(ErrorKind::BelowHorizon);
        }
        let mut committed = Committed::default();
        for Step { key, tick, value } in steps {
            self.highest_tick = self.highest_tick.max(*tick);
            let known = self.known.get(key).map(|(tick, value)| (*tick, value.is_none()));
            if known.is_some_and(|known| known >= (*tick, value.is_none())) {
                committed.stale += 1;
            } else {
                committed.applied += 1;
                self.known.insert(key.clone(), (*tick, value.clone()));
            }
        }
        Ok(committed)
    }

    pub fn forget(&mut self, before: u64) {
        self.horizon = self.horizon.max(before);
    }

    pub fn records(&self) -> Vec<Whole> {
        let live =
            |(key, (tick, value)): (&Vec<u8>, &(u64, Option<Vec<u8>>))| Some((key.clone(), *tick, value.clone()?));
        self.known.iter().filter_map(live).collect()
    }
}

/// Key, tick and value.
pub type Whole = (Vec<u8>, u64, Vec<u8>);

pub fn scanned(archive: &impl Archive) -> Result<Vec<Whole>, ArchiveError> {
    let mut records = Vec::new();
    archive.scan(None, &mut |Record { key, tick, value }| {
        records.push((key.to_vec(), tick, value.to_vec()));
        ControlFlow::Continue(())
    })?;
    Ok(records)
}

/// The archive is what the model says, by every way to look at it.
pub fn agree(archive: &impl Archive, model: &Model) {
    let records = model.records();
    assert_eq!(scanned(archive).unwrap(), records);
    for (key, (tick, value)) in &model.known {
        let found = archive.get(key).unwrap().map(|record| (record.key.to_vec(), record.tick, record.value.to_vec()));
        assert_eq!(found, value.clone().map(|value| (key.clone(), *tick, value)));
    }
    assert!(archive.get(b"a key that no test stores").unwrap().is_none());
    // From the middle on, and no further than one.
    if let Some((middle, ..)) = records.get(records.len() / 2) {
        let mut next = Vec::new();
        let stop = &mut |record: Record| {
            next.push(record.key.to_vec());
            ControlFlow::Break(())
        };
        archive.scan(Some(middle), stop).unwrap();
        assert_eq!(next.first(), records.get(records.len() / 2 + 1).map(|record| &record.0));
        assert!(next.len() <= 1);
    }
    let status = archive.status().unwrap();
    assert_eq!(
        (status.records, status.horizon, status.highest_tick),
        (records.len() as u64, model.horizon, model.highest_tick)
    );
    let removed = model.known.values().filter(|(_, value)| value.is_none());
    let removed: Vec<u64> = removed.map(|(tick, _)| *tick).collect();
    let needed = removed.iter().filter(|tick| **tick >= model.horizon).count();
    assert!((needed as u64..=removed.len() as u64).contains(&status.removals), "{status:?} of {removed:?}");
}

/// The backends that keep something on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    Redb(Durability),
    Folder,
}

impl Local {
    pub const ALL: [Self; 3] = [Self::Redb(Durability::EachCommit), Self::Redb(Durability::OnFlush), Self::Folder];

    pub fn open(self, folder: &Path) -> Result<Box<dyn Archive>, ArchiveError> {
        Ok(match self {
            Self::Redb(durability) => Box::new(
                RedbOptions::new().durability(durability).cache_bytes(1 << 20).open(folder.join("archive.redb"))?,
            ),
            Self::Folder => Box::new(folder_options().open_folder(folder.join("archive"))?),
        })
    }
}

/// Small segments and no grace, so that a few records reach all that there is.
pub fn folder_options() -> ObjectOptions {
    ObjectOptions::new().segment_bytes(512).grace(std::time::Duration::ZERO)
}

/// Numbers by chance, the same for the same seed (splitmix64).
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
