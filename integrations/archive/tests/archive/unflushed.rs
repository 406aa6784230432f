//! Commits to a redb file that wait for a flush when something else goes wrong: the flush does not say that they are durable.

use std::fs;
use std::io::Write;
use std::path::Path;

use tierstack_archive::{Archive, Durability, ErrorKind, Op, RedbArchive, RedbOptions};

fn open(path: &Path) -> RedbArchive {
    RedbOptions::new().durability(Durability::OnFlush).cache_bytes(0).open(path).unwrap()
}

fn put<'a>(key: &'a [u8], tick: u64, value: &'a [u8]) -> Op<'a> {
    Op::Put { key, tick, value }
}

/// Makes a read fail while it lasts: the file is cut off for so long.
fn fail_a_read(archive: &RedbArchive, path: &Path) {
    let bytes = fs::read(path).unwrap();
    let file = || fs::OpenOptions::new().write(true).open(path).unwrap();
    file().set_len(8192).unwrap();
    let failed = (0..200_u64).any(|key| archive.get(&key.to_be_bytes()).is_err());
    file().write_all(&bytes).unwrap();
    assert!(failed, "it was read from a cache");
}

fn filled(path: &Path) -> RedbArchive {
    let archive = open(path);
    let value = [7; 3000];
    for key in 0..200_u64 {
        archive.commit(&[put(&key.to_be_bytes(), key + 1, &value)]).unwrap();
    }
    archive.flush().unwrap();
    archive
}

#[test]
fn a_read_that_fails_before_the_flush_makes_the_flush_say_what_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive.redb");
    let archive = filled(&path);
    let new = [put(b"new", 1000, b"value")];
    archive.commit(&new).unwrap();
    fail_a_read(&archive, &path);
    assert!(archive.get(b"new").unwrap().is_none(), "the file was closed before it was flushed");
    let error = archive.flush().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    // Once: whoever has heard it hands it over again.
    archive.commit(&new).unwrap();
    archive.flush().unwrap();
    drop(archive);
    assert_eq!(open(&path).get(b"new").unwrap().unwrap().value, "value");
}

#[test]
fn a_read_that_fails_behind_the_flush_is_nothing_to_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive.redb");
    let archive = filled(&path);
    fail_a_read(&archive, &path);
    archive.flush().unwrap();
    assert!((0..200_u64).all(|key| archive.get(&key.to_be_bytes()).unwrap().is_some()));
}

#[test]
fn a_bad_record_that_is_read_before_the_flush_is_no_harm_to_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive.redb");
    let archive = open(&path);
    archive.commit(&[put(b"bad", 1, b"value")]).unwrap();
    archive.flush().unwrap();
    drop(archive);
    {
        let database = redb::Database::open(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        let table = redb::TableDefinition::<&[u8], &[u8]>::new("tierstack-archive.records");
        transaction.open_table(table).unwrap().insert(&b"bad"[..], &b"nonsense that is long enough"[..]).unwrap();
        transaction.commit().unwrap();
    }
    let archive = open(&path);
    archive.commit(&[put(b"new", 1000, b"value")]).unwrap();
    assert_eq!(archive.get(b"bad").unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(archive.commit(&[put(b"bad", 1001, b"value")]).unwrap_err().kind(), ErrorKind::Corrupt);
    archive.flush().unwrap();
    drop(archive);
    assert_eq!(open(&path).get(b"new").unwrap().unwrap().value, "value");
}
