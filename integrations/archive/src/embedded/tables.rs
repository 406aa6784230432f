//! The tables of the file, and the transactions on them.

use core::ops::{Bound, ControlFlow};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use redb::{
    Database, Durability as Engine, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table, TableDefinition,
    TableError, WriteTransaction,
};

use super::{Durability, RedbOptions, at, create, errors, guarded};
use crate::archive::{Mark, check_batch};
use crate::wire::{Reader, checksum, corrupt, removed};
use crate::{ArchiveError, Committed, ErrorKind, Op, Record, Status};

const RECORDS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("tierstack-archive.records");
const REMOVALS: TableDefinition<(u64, &[u8]), ()> = TableDefinition::new("tierstack-archive.removals");
const FACTS: TableDefinition<&str, (u64, u32)> = TableDefinition::new("tierstack-archive.facts");

const VERSION: u64 = 1;
/// The first bytes of each file of redb.
const ENGINE: &[u8] = b"redb";

pub fn open(path: &Path, options: RedbOptions) -> Result<Database, ArchiveError> {
    match first_bytes(path) {
        Ok(first) if first.is_empty() => return Err(corrupt(format!("{} is empty", path.display()))),
        Ok(first) if first != ENGINE => {
            return Err(ArchiveError::new(ErrorKind::Foreign, format!("{} is no archive", path.display())));
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && options.create => create(path, |new| {
            let database = builder(options).create(new).map_err(errors::database)?;
            let transaction = begin(&database, Engine::Immediate)?;
            set(&mut transaction.open_table(FACTS).map_err(errors::table)?, "version", VERSION)?;
            transaction.open_table(RECORDS).map_err(errors::table)?;
            transaction.open_table(REMOVALS).map_err(errors::table)?;
            transaction.commit().map_err(errors::commit)?;
            database.close().map_err(errors::database)
        })?,
        Err(error) => return Err(at(path, error)),
    }
    let database = builder(options).open(path).map_err(errors::database)?;
    // Apart, so that a panic in one is over before the other begins: two at once end the process.
    match guarded(|| check_version(&database)).flatten() {
        Ok(()) => Ok(database),
        Err(error) => {
            let _ = guarded(|| drop(database));
            Err(error)
        }
    }
}

fn first_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut first = Vec::new();
    File::open(path)?.take(ENGINE.len() as u64).read_to_end(&mut first)?;
    Ok(first)
}

fn builder(options: RedbOptions) -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(options.cache_bytes).set_check_integrity_on_open(options.verify);
    builder
}

fn check_version(database: &Database) -> Result<(), ArchiveError> {
    let facts = match database.begin_read().map_err(errors::transaction)?.open_table(FACTS) {
        Ok(facts) => facts,
        Err(TableError::TableDoesNotExist(_)) => {
            return Err(ArchiveError::new(ErrorKind::Foreign, "the file is a database, but no archive"));
        }
        Err(error) => return Err(errors::table(error)),
    };
    match fact(&facts, "version")? {
        VERSION => Ok(()),
        0 => Err(corrupt("the file does not say its version")),
        other => Err(ArchiveError::new(
            ErrorKind::Version,
            format!("the file has version {other} of the format, and {VERSION} is known"),
        )),
    }
}

fn begin(database: &Database, durability: Engine) -> Result<WriteTransaction, ArchiveError> {
    let mut transaction = database.begin_write().map_err(errors::transaction)?;
    transaction.set_durability(durability).map_err(|error| corrupt(error.to_string()))?;
    // So that opening after a crash reads the root and the free pages, and not the whole file.
    transaction.set_quick_repair(matches!(durability, Engine::Immediate));
    Ok(transaction)
}

/// A number by its name, or 0.
fn fact(facts: &impl ReadableTable<&'static str, (u64, u32)>, name: &str) -> Result<u64, ArchiveError> {
    let Some(stored) = facts.get(name).map_err(errors::storage)? else { return Ok(0) };
    let (value, sum) = stored.value();
    if sum != checksum_of_fact(name, value) {
        return Err(corrupt(format!("the checksum of the {name} is wrong")));
    }
    Ok(value)
}

fn set(facts: &mut Table<'_, &'static str, (u64, u32)>, name: &str, value: u64) -> Result<(), ArchiveError> {
    facts.insert(name, (value, checksum_of_fact(name, value))).map_err(errors::storage)?;
    Ok(())
}

fn checksum_of_fact(name: &str, value: u64) -> u32 {
    checksum(Mark { tick: value, removed: false }, name.as_bytes(), &[])
}

/// What is stored for a key, checked.
fn decode<'a>(key: &[u8], stored: &'a [u8]) -> Result<(Mark, &'a [u8]), ArchiveError> {
    let mut reader = Reader(stored);
    let mut parse = || Some((reader.u32()?, removed(reader.u8()?)?, reader.u64()?));
    let Some((sum, removed, tick)) = parse() else { return Err(corrupt("a record has no whole head").of_key(key)) };
    let mark = Mark { tick, removed };
    if sum != checksum(mark, key, reader.0) {
        return Err(corrupt("the checksum of a record is wrong").of_key(key));
    }
    Ok((mark, reader.0))
}

fn encode(op: &Op<'_>) -> Vec<u8> {
    let (mark, value) = (op.mark(), if let Op::Put { value, .. } = op { *value } else { &[] });
    let mut stored = Vec::with_capacity(13 + value.len());
    stored.extend_from_slice(&checksum(mark, op.key(), value).to_le_bytes());
    stored.push(u8::from(mark.removed));
    stored.extend_from_slice(&mark.tick.to_le_bytes());
    stored.extend_from_slice(value);
    stored
}

pub fn commit(database: &Database, batch: &[Op<'_>], durability: Durability) -> Result<Committed, ArchiveError> {
    let engine = match durability {
        Durability::EachCommit => Engine::Immediate,
        Durability::OnFlush => Engine::None,
    };
    let transaction = begin(database, engine)?;
    let mut committed = Committed::default();
    {
        let mut records = transaction.open_table(RECORDS).map_err(errors::table)?;
        let mut removals = transaction.open_table(REMOVALS).map_err(errors::table)?;
        let mut facts = transaction.open_table(FACTS).map_err(errors::table)?;
        check_batch(batch, fact(&facts, "horizon")?)?;
        let (before, mut highest) = (fact(&facts, "highest tick")?, 0);
        for op in batch {
            highest = highest.max(op.tick());
            let known = match records.get(op.key()).map_err(errors::storage)? {
                Some(stored) => Some(decode(op.key(), stored.value())?.0),
                None => None,
            };
            let mark = op.mark();
            if known.is_some_and(|known| known >= mark) {
                committed.stale += 1;
                continue;
            }
            if let Some(Mark { tick, removed: true }) = known {
                removals.remove((tick, op.key())).map_err(errors::storage)?;
            }
            if mark.removed {
                removals.insert((mark.tick, op.key()), ()).map_err(errors::storage)?;
            }
            records.insert(op.key(), encode(op).as_slice()).map_err(errors::storage)?;
            committed.applied += 1;
        }
        if highest > before {
            set(&mut facts, "highest tick", highest)?;
        }
    }
    transaction.commit().map_err(errors::commit)?;
    Ok(committed)
}

/// Makes what was committed durable: an empty transaction that waits for the disk.
pub fn flush(database: &Database) -> Result<(), ArchiveError> {
    begin(database, Engine::Immediate)?.commit().map_err(errors::commit)
}

pub fn get(database: &Database, key: &[u8]) -> Result<Option<Record>, ArchiveError> {
    let records = database.begin_read().map_err(errors::transaction)?.open_table(RECORDS).map_err(errors::table)?;
    let Some(stored) = records.get(key).map_err(errors::storage)? else { return Ok(None) };
    record(key, stored.value())
}

/// The record, unless it is a removal.
fn record(key: &[u8], stored: &[u8]) -> Result<Option<Record>, ArchiveError> {
    let (mark, value) = decode(key, stored)?;
    let whole = || Record { key: Bytes::copy_from_slice(key), tick: mark.tick, value: Bytes::copy_from_slice(value) };
    Ok((!mark.removed).then(whole))
}

pub fn scan(
    database: &Database,
    after: Option<&[u8]>,
    visit: &mut dyn FnMut(Record) -> ControlFlow<()>,
) -> Result<(), ArchiveError> {
    let records = database.begin_read().map_err(errors::transaction)?.open_table(RECORDS).map_err(errors::table)?;
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    for entry in records.range::<&[u8]>((from, Bound::Unbounded)).map_err(errors::storage)? {
        let (key, stored) = entry.map_err(errors::storage)?;
        if let Some(record) = record(key.value(), stored.value())?
            && visit(record).is_break()
        {
            break;
        }
    }
    Ok(())
}

pub fn forget(database: &Database, before: u64) -> Result<(), ArchiveError> {
    let transaction = begin(database, Engine::Immediate)?;
    {
        let mut facts = transaction.open_table(FACTS).map_err(errors::table)?;
        if fact(&facts, "horizon")? >= before {
            return Ok(());
        }
        set(&mut facts, "horizon", before)?;
        let mut records = transaction.open_table(RECORDS).map_err(errors::table)?;
        let mut removals = transaction.open_table(REMOVALS).map_err(errors::table)?;
        let old: (u64, &[u8]) = (before, &[]);
        for entry in removals.extract_from_if(..old, |_, ()| true).map_err(errors::storage)? {
            let (removal, ()) = entry.map(|(removal, nothing)| (removal, nothing.value())).map_err(errors::storage)?;
            records.remove(removal.value().1).map_err(errors::storage)?;
        }
    }
    transaction.commit().map_err(errors::commit)
}

pub fn status(database: &Database, bytes: u64) -> Result<Status, ArchiveError> {
    let transaction = database.begin_read().map_err(errors::transaction)?;
    let entries = transaction.open_table(RECORDS).map_err(errors::table)?.len().map_err(errors::storage)?;
    let removals = transaction.open_table(REMOVALS).map_err(errors::table)?.len().map_err(errors::storage)?;
    let facts = transaction.open_table(FACTS).map_err(errors::table)?;
    Ok(Status {
        records: entries.saturating_sub(removals),
        removals,
        highest_tick: fact(&facts, "highest tick")?,
        horizon: fact(&facts, "horizon")?,
        bytes,
        dead_bytes: 0,
        segments: 0,
    })
}
