//! Two writers on one archive: the second is refused, or the first is fenced and has lost nothing that it has reported.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tierstack_archive::object_store::memory::InMemory;
use tierstack_archive::object_store::{ObjectStore, ObjectStoreExt};
use tierstack_archive::{Archive, ErrorKind, ObjectArchive, ObjectOptions, Op, RedbArchive, Retry};

use crate::common::{Chance, Local, folder_options, scanned};

const FOLDER: &str = "TIERSTACK_ARCHIVE_WRITERS_FOLDER";
const NAME: &str = "TIERSTACK_ARCHIVE_WRITERS_NAME";

/// Opens and commits, over and over, until it has been fenced so often; returns the keys that were reported as committed.
fn contend(name: u64, rounds: u64, open: impl Fn() -> ObjectArchive) -> Vec<Vec<u8>> {
    let (mut committed, mut chance, mut took) = (Vec::new(), Chance(name), Duration::ZERO);
    for round in 0..rounds {
        // So that some get their turn for a while, and some are fenced at once, however slow the machine is.
        std::thread::sleep(Duration::from_millis(chance.below(60)) + took * u32::try_from(chance.below(12)).unwrap());
        let begun = Instant::now();
        let archive = open();
        took = begun.elapsed();
        for number in 0..6_u64 {
            let key = [name.to_be_bytes(), round.to_be_bytes(), number.to_be_bytes()].concat();
            match archive.commit(&[Op::Put { key: &key, tick: 1, value: &key }]) {
                Ok(_) => committed.push(key),
                Err(error) => {
                    assert_eq!((error.kind(), error.retry()), (ErrorKind::Fenced, Retry::Reopen));
                    // And from then on, always.
                    assert_eq!(archive.flush().unwrap_err().kind(), ErrorKind::Fenced);
                    assert_eq!(archive.compact().unwrap_err().kind(), ErrorKind::Fenced);
                    break;
                }
            }
            if number == 3
                && let Err(error) = archive.compact()
            {
                assert_eq!(error.kind(), ErrorKind::Fenced);
                break;
            }
        }
    }
    committed
}

fn race(open: impl Fn() -> ObjectArchive + Sync) {
    let committed: Vec<_> = std::thread::scope(|scope| {
        let open = &open;
        let threads: Vec<_> = (0..6).map(|name| scope.spawn(move || contend(name, 8, open))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(committed.len() > 20);
    let archive = open();
    let there: BTreeSet<_> = scanned(&archive).unwrap().into_iter().map(|(key, ..)| key).collect();
    let lost: Vec<_> = committed.iter().filter(|key| !there.contains(*key)).collect();
    assert!(lost.is_empty(), "{} of {} lost", lost.len(), committed.len());
    // Nor is anything left over that no manifest names.
    archive.compact().unwrap();
    assert_eq!(scanned(&archive).unwrap().len(), there.len());
}

#[test]
fn racing_writers_of_a_folder_lose_nothing_reported() {
    let folder = tempfile::tempdir().unwrap();
    race(|| folder_options().open_folder(folder.path()).unwrap());
    let segments = std::fs::read_dir(folder.path().join("segments")).unwrap().count();
    let archive = ObjectOptions::new().read_only(true).open_folder(folder.path()).unwrap();
    assert_eq!(archive.status().unwrap().segments, segments as u64);
}

#[test]
fn racing_writers_of_a_bucket_lose_nothing_reported() {
    let store = Arc::new(InMemory::new());
    race(|| folder_options().open_store(store.clone(), "prefix").unwrap());
}

/// Run by the tests below in a process of its own.
#[test]
fn child() {
    let (Ok(folder), Ok(name)) = (std::env::var(FOLDER), std::env::var(NAME)) else { return };
    let mut out = std::io::stdout();
    if name == "redb" {
        let error = RedbArchive::open(Path::new(&folder).join("archive.redb")).unwrap_err();
        writeln!(out, "\nrefused {:?}", error.kind()).unwrap();
        return;
    }
    for key in contend(name.parse().unwrap(), 10, || folder_options().open_folder(&folder).unwrap()) {
        writeln!(out, "\ncommitted {key:?}").unwrap();
    }
}

fn process(folder: &Path, name: &str) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["writers::child", "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .env(NAME, name)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn racing_processes_lose_nothing_reported() {
    let folder = tempfile::tempdir().unwrap();
    let children: Vec<_> = (0..4).map(|name| process(folder.path(), &name.to_string())).collect();
    let mut committed = Vec::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        committed.extend(text.lines().filter_map(|line| Some(line.strip_prefix("committed ")?.to_string())));
    }
    assert!(committed.len() > 10, "{}", committed.len());
    let archive = folder_options().open_folder(folder.path()).unwrap();
    let text = |key: Vec<u8>| format!("{key:?}");
    let there: BTreeSet<_> = scanned(&archive).unwrap().into_iter().map(|(key, ..)| text(key)).collect();
    assert!(committed.iter().all(|key| there.contains(key)));
}

#[test]
fn a_second_process_is_refused_by_a_redb_file() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Local::ALL[0].open(folder.path()).unwrap();
    let output = process(folder.path(), "redb").wait_with_output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("refused InUse"));
    archive.commit(&[Op::Put { key: b"key", tick: 1, value: b"value" }]).unwrap();
    let error = RedbArchive::open(folder.path().join("archive.redb")).unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::InUse, Retry::Again));
}

#[test]
fn readers_follow_and_survive_compaction() {
    let store = Arc::new(InMemory::new());
    let open = |read_only| folder_options().read_only(read_only).open_store(store.clone(), "").unwrap();
    let writer = open(false);
    let keys: Vec<_> = (0..40_u64).map(u64::to_be_bytes).collect();
    for (key, tick) in keys.iter().zip(1..) {
        writer.commit(&[Op::Put { key, tick, value: b"first" }]).unwrap();
    }
    let reader = open(true);
    assert_eq!(reader.commit(&[]).unwrap_err().kind(), ErrorKind::ReadOnly);
    for (key, tick) in keys.iter().zip(100..) {
        writer.commit(&[Op::Put { key, tick, value: b"second" }]).unwrap();
    }
    // It still reads what it has opened.
    assert_eq!(reader.get(&keys[0]).unwrap().unwrap().value, "first");
    // Without a grace the old segments go at once, and the reader finds out by itself.
    writer.compact().unwrap();
    assert!(scanned(&reader).unwrap().into_iter().all(|(_, _, value)| value == b"second"));
    writer.delete(&keys[0], 1000).unwrap();
    reader.refresh().unwrap();
    assert!(reader.get(&keys[0]).unwrap().is_none());
    writer.flush().unwrap();
    assert_eq!(writer.status().unwrap(), reader.status().unwrap());
}

#[test]
fn replaced_segments_stay_for_the_grace() {
    let store = Arc::new(InMemory::new());
    let open = |grace, read_only| {
        ObjectOptions::new().grace(grace).read_only(read_only).open_store(store.clone(), "").unwrap()
    };
    let writer = open(Duration::from_millis(300), false);
    for tick in 0..10_u64 {
        writer.commit(&[Op::Put { key: &tick.to_be_bytes(), tick, value: b"value" }]).unwrap();
    }
    let reader = open(Duration::ZERO, true);
    writer.compact().unwrap();
    assert_eq!(writer.status().unwrap().segments, 1);
    let objects = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let segments = "segments".into();
        runtime.block_on(store.list_with_delimiter(Some(&segments))).unwrap().objects
    };
    assert_eq!(objects().len(), 11);
    assert_eq!(scanned(&reader).unwrap().len(), 10);
    // What a killed writer has left goes at once; nobody can be using it.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.put(&"segments/left".into(), "left".into())).unwrap();
    writer.compact().unwrap();
    assert_eq!(objects().len(), 11);
    std::thread::sleep(Duration::from_millis(350));
    writer.compact().unwrap();
    assert_eq!(objects().len(), 1);
    assert_eq!(scanned(&reader).unwrap().len(), 10);
}

#[test]
fn calls_work_within_another_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let archive = folder_options().open_store(Arc::new(InMemory::new()), "").unwrap();
        archive.commit(&[Op::Put { key: b"key", tick: 1, value: b"value" }]).unwrap();
        assert!(archive.get(b"key").unwrap().is_some());
    });
}
