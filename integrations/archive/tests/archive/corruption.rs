//! Altered, torn and foreign files: an error with a kind, and never a panic or a wrong value.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use tierstack_archive::{Archive, ErrorKind, ObjectOptions, Op, RedbArchive, RedbOptions, Retry};

use crate::common::{Model, Step, folder_options, ops, scanned};

fn fill(archive: &dyn Archive) -> Vec<Model> {
    let mut states = vec![Model::default()];
    for number in 0..4_u8 {
        let mut model = states.last().unwrap().clone();
        let step = |key: u8| Step {
            key: vec![key; 3],
            tick: number.into(),
            value: (key != 5).then(|| vec![key ^ number; 20]),
        };
        let steps: Vec<_> = (number..number + 3).map(step).collect();
        archive.commit(&ops(&steps)).unwrap();
        model.commit(&steps).unwrap();
        states.push(model);
    }
    states
}

fn fine(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Corrupt | ErrorKind::Foreign | ErrorKind::Version | ErrorKind::Missing)
}

/// What is there of a folder's files, to be altered one at a time.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = vec![folder.join("manifest")];
    files.extend(fs::read_dir(folder.join("segments")).unwrap().map(|entry| entry.unwrap().path()));
    files
}

fn folder_is_right_or_refused(folder: &Path, last: &Model) -> bool {
    let reader = ObjectOptions::new().read_only(true).open_folder(folder);
    let refused = |error: tierstack_archive::ArchiveError| {
        assert!(fine(error.kind()), "{error:?}");
        assert_eq!(error.retry(), Retry::Never);
        true
    };
    let reader = match reader {
        Ok(reader) => reader,
        Err(error) => return refused(error),
    };
    let mut any = false;
    for (key, (tick, value)) in &last.known {
        match reader.get(key) {
            Ok(found) => assert_eq!(
                found.map(|record| (record.tick, record.value.to_vec())),
                value.clone().map(|value| (*tick, value))
            ),
            Err(error) => any |= refused(error),
        }
    }
    match scanned(&reader) {
        Ok(records) => assert_eq!(records, last.records()),
        Err(error) => any |= refused(error),
    }
    any
}

#[test]
fn each_byte_of_a_folder_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let last = fill(&folder_options().open_folder(folder.path()).unwrap()).pop().unwrap();
    let (mut noticed, mut altered) = (0, 0);
    for file in files(folder.path()) {
        let right = fs::read(&file).unwrap();
        for at in 0..right.len() {
            for mask in [1 << (at % 8), 0xff] {
                let mut wrong = right.clone();
                wrong[at] ^= mask;
                fs::write(&file, &wrong).unwrap();
                altered += 1;
                noticed += u32::from(folder_is_right_or_refused(folder.path(), &last));
            }
            fs::write(&file, &right[..at]).unwrap();
            assert!(folder_is_right_or_refused(folder.path(), &last), "{} cut to {at} bytes", file.display());
        }
        let mut longer = right.clone();
        longer.push(0);
        fs::write(&file, &longer).unwrap();
        assert!(folder_is_right_or_refused(folder.path(), &last));
        fs::write(&file, &right).unwrap();
        fs::rename(&file, folder.path().join("away")).unwrap();
        assert!(folder_is_right_or_refused(folder.path(), &last));
        fs::rename(folder.path().join("away"), &file).unwrap();
    }
    assert!(!folder_is_right_or_refused(folder.path(), &last));
    // Only the heads of segments, ten bytes each, and what is no longer the latest of its key are not read.
    println!("{noticed} of {altered} noticed");
    assert!(noticed * 10 > altered * 7);
}

#[test]
fn a_segment_in_the_place_of_another_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let last = fill(&folder_options().open_folder(folder.path()).unwrap()).pop().unwrap();
    let files = files(folder.path());
    fs::copy(&files[1], &files[2]).unwrap();
    assert!(folder_is_right_or_refused(folder.path(), &last));
}

#[test]
fn a_lost_manifest_is_no_empty_archive() {
    let folder = tempfile::tempdir().unwrap();
    fill(&folder_options().open_folder(folder.path()).unwrap());
    fs::remove_file(folder.path().join("manifest")).unwrap();
    let error = folder_options().open_folder(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(fs::read_dir(folder.path().join("segments")).unwrap().count(), 4);
}

#[test]
fn compaction_stops_at_what_is_corrupt_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder_options().open_folder(folder.path()).unwrap();
    for tick in 0..2_u64 {
        archive.commit(&[Op::Put { key: &tick.to_le_bytes(), tick, value: b"value" }]).unwrap();
    }
    let file = files(folder.path())
        .into_iter()
        .skip(1)
        .find(|file| fs::read(file).unwrap()[15..].starts_with(&[8, 0]))
        .unwrap();
    let mut data = fs::read(&file).unwrap();
    data[40] ^= 1;
    fs::write(&file, &data).unwrap();
    assert_eq!(archive.compact().unwrap_err().kind(), ErrorKind::Corrupt);
    let right = (0..2_u64).filter(|tick| archive.get(&tick.to_le_bytes()).is_ok_and(|found| found.is_some())).count();
    assert_eq!(right, 1);
    let error = scanned(&archive).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let damaged = error.key().unwrap();
    // A later step gets it out of the way.
    assert!(archive.delete(damaged, 7).unwrap());
    archive.compact().unwrap();
    assert_eq!(scanned(&archive).unwrap().len(), 1);
}

/// Where bytes of a redb file are altered: where something is, and in the head at each byte; as many as `most`.
fn places(right: &[u8], most: usize) -> Vec<usize> {
    let some: Vec<_> =
        (0..right.len()).filter(|&at| at < 320 || right[at] != 0 || right[at.saturating_sub(1)] != 0).collect();
    let step = some.len().div_ceil(most).max(1);
    some.into_iter().enumerate().filter(|(number, at)| *at < 320 || number % step == 0).map(|(_, at)| at).collect()
}

fn redb_with(verify: bool) {
    let folder = tempfile::tempdir().unwrap();
    let (path, altered) = (folder.path().join("right.redb"), folder.path().join("altered.redb"));
    let states = fill(&RedbArchive::open(&path).unwrap());
    let right = fs::read(&path).unwrap();
    // Of each key and tick, the one value that was ever written.
    let written: HashMap<_, _> =
        states.iter().flat_map(Model::records).map(|(key, tick, value)| ((key, tick), value)).collect();
    let keys: Vec<_> = states.last().unwrap().known.keys().cloned().collect();
    let (mut refused, mut older, mut hidden) = (0, 0, 0);
    for at in places(&right, 1500) {
        let mut wrong = right.clone();
        wrong[at] ^= 0xff;
        fs::write(&altered, &wrong).unwrap();
        let archive = match RedbOptions::new().verify(verify).cache_bytes(1 << 20).open(&altered) {
            Ok(archive) => archive,
            Err(error) => {
                assert!(fine(error.kind()), "byte {at}: {error:?}");
                refused += 1;
                continue;
            }
        };
        for key in &keys {
            match archive.get(key) {
                Ok(Some(record)) => {
                    assert_eq!(written.get(&(key.clone(), record.tick)).unwrap(), &record.value, "byte {at}");
                }
                Ok(None) => {}
                Err(error) => assert!(fine(error.kind()), "byte {at}: {error:?}"),
            }
        }
        match scanned(&archive) {
            Ok(records) if records == states.last().unwrap().records() => {}
            Ok(records) if states.iter().any(|state| records == state.records()) => older += 1,
            Ok(records) if verify => panic!("byte {at}: {records:?} never was"),
            Ok(_) => hidden += 1,
            Err(error) => {
                assert!(fine(error.kind()), "byte {at}: {error:?}");
                refused += 1;
            }
        }
    }
    println!("verify {verify}: {refused} refused, {older} went back to an older commit, {hidden} hid records");
    assert!(refused > 100);
}

#[test]
fn each_byte_of_a_redb_file_is_checked_when_it_is_read() {
    redb_with(false);
}

#[test]
fn each_byte_of_a_redb_file_is_checked_when_it_is_opened() {
    redb_with(true);
}

#[test]
fn a_redb_file_that_is_cut_off_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, altered) = (folder.path().join("right.redb"), folder.path().join("altered.redb"));
    let states = fill(&RedbArchive::open(&path).unwrap());
    let right = fs::read(&path).unwrap();
    for bytes in (0..right.len()).step_by(right.len() / 300) {
        fs::write(&altered, &right[..bytes]).unwrap();
        match RedbOptions::new().cache_bytes(1 << 20).open(&altered) {
            Err(error) => assert!(fine(error.kind()), "{bytes} bytes: {error:?}"),
            Ok(archive) => match scanned(&archive) {
                Err(error) => assert!(fine(error.kind()), "{bytes} bytes: {error:?}"),
                Ok(records) => {
                    assert!(states.iter().any(|state| state.records() == records), "{bytes} bytes: {records:?}");
                }
            },
        }
    }
}

#[test]
fn foreign_files_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foreign");
    for content in [&b"a text of somebody else's, and longer than what is looked at"[..], &[0; 5000], b"re"] {
        fs::write(&path, content).unwrap();
        assert_eq!(RedbArchive::open(&path).unwrap_err().kind(), ErrorKind::Foreign);
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    fs::write(&path, "").unwrap();
    assert_eq!(RedbArchive::open(&path).unwrap_err().kind(), ErrorKind::Corrupt);
    // A database of the same engine, but no archive.
    let database = folder.path().join("other.redb");
    drop(redb::Database::create(&database).unwrap());
    assert_eq!(RedbArchive::open(&database).unwrap_err().kind(), ErrorKind::Foreign);
    fs::write(folder.path().join("manifest"), "a text of somebody else's").unwrap();
    assert_eq!(folder_options().open_folder(folder.path()).unwrap_err().kind(), ErrorKind::Foreign);
    // A version that is not known yet.
    let newer = tempfile::tempdir().unwrap();
    fill(&folder_options().open_folder(newer.path()).unwrap());
    let mut manifest = fs::read(newer.path().join("manifest")).unwrap();
    manifest[8] = 2;
    fs::write(newer.path().join("manifest"), manifest).unwrap();
    let error = folder_options().open_folder(newer.path()).unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Version, Retry::Never));
    // None at all, and none to be made.
    let missing = RedbOptions::new().create(false).open(folder.path().join("missing")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Missing);
    let missing = ObjectOptions::new().create(false).open_folder(folder.path().join("nowhere")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Missing);
    assert!(!folder.path().join("nowhere").exists());
}
