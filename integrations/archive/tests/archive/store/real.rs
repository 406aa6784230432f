//! Real faults: a disk that is full, a permission that is lost, a server that fails, another process that takes over.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tierstack::{Capacity, TierStore};
use tierstack_archive::{
    Archive, ArchivedOptions, ArchivedStore, Codec, CodecError, ErrorKind, FlushError, Plain, Typed,
};

use super::trial::{LIMIT, until};
use crate::common::{Local, folder_options};
use crate::faults::SmallDisk;
use crate::server::{DROP, FAIL, HANG, LOSE, PASS, Proxy, bucket, open_with, server, short};

#[derive(Clone, Copy)]
pub struct Key;

impl Codec<u64> for Key {
    fn encode(&self, value: &u64, to: &mut Vec<u8>) -> Result<(), CodecError> {
        to.extend_from_slice(&value.to_be_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<u64, CodecError> {
        Ok(u64::from_be_bytes(bytes.try_into()?))
    }
}

pub type Bytes<A> = ArchivedStore<u64, Vec<u8>, A, Key, Plain>;

/// Hot, warm and cold keep 10,000 bytes each.
pub fn open<A: Archive + 'static>(archive: A) -> Bytes<A> {
    let memory = TierStore::builder(10_000)
        .weigher(|_: &u64, value: &Vec<u8>| value.len() as u64)
        .warm_capacity(Capacity::bytes(10_000))
        .build()
        .unwrap();
    let options = ArchivedOptions::new(Capacity::bytes(10_000))
        .queue_bytes(500_000)
        .batch_bytes(100_000)
        .linger(Duration::from_millis(5))
        .back_off(Duration::from_millis(5)..=Duration::from_millis(50));
    ArchivedStore::new(memory, Typed::new(archive, Key, Plain), options).unwrap()
}

pub fn value(key: u64) -> Vec<u8> {
    key.to_le_bytes().repeat(250)
}

fn all_are_there<A: Archive + 'static>(store: &Bytes<A>, keys: u64) {
    for key in 0..keys {
        let restored = store.get_or_restore(&key).unwrap().unwrap_or_else(|| panic!("{key} of {keys} is lost"));
        assert_eq!(restored.fragment.value, value(key));
    }
}

#[test]
fn a_full_disk_is_said_and_nothing_is_lost() {
    for local in Local::ALL {
        let Some(disk) = SmallDisk::mounted(12 << 20) else {
            println!("SKIPPED: no tmpfs can be mounted here, so no disk gets full");
            return;
        };
        let ballast = disk.path().join("ballast");
        let archive = local.open(disk.path()).unwrap();
        std::fs::write(&ballast, vec![1; 6 << 20]).unwrap();
        let store = open(archive);
        let mut keys = 0;
        while store.health().failing_since.is_none() {
            let is_behind = store.store(keys, value(keys)).unwrap().is_behind;
            keys += 1;
            assert!(keys < 10_000);
            if is_behind {
                store.wait_for_room(Duration::from_millis(100));
            }
        }
        for _ in 0..200 {
            store.store(keys, value(keys)).unwrap();
            keys += 1;
        }
        let Err(FlushError::TimedOut { error: Some(error) }) = store.flush(Duration::from_millis(300)) else {
            panic!("the disk is full")
        };
        assert_eq!(error.kind(), ErrorKind::Full, "{error:?}");
        let health = store.health();
        println!("{local:?}: full after {keys} fragments, {} archived, {} tries", health.archived, health.attempts);
        std::fs::remove_file(&ballast).unwrap();
        store.flush(LIMIT).unwrap();
        assert!(store.health().failing_since.is_none());
        store.checkpoint(LIMIT).unwrap();
        all_are_there(&store, keys);
        drop(store);
        all_are_there(&open(local.open(disk.path()).unwrap()), keys);
    }
}

/// A folder that may not be written until this is dropped: by its permissions, or, for a user who may do anything, by a mark of the file system.
struct Forbidden(PathBuf);

impl Forbidden {
    fn now(folder: &Path) -> Option<Self> {
        let forbidden = Self(folder.to_owned());
        let probe = folder.join("probe");
        std::fs::set_permissions(folder, Permissions::from_mode(0o555)).unwrap();
        if std::fs::write(&probe, "").is_ok() {
            std::fs::remove_file(&probe).unwrap();
            Command::new("chattr").arg("+i").arg(folder).output().ok()?;
        }
        std::fs::write(&probe, "").is_err().then_some(forbidden)
    }
}

impl Drop for Forbidden {
    fn drop(&mut self) {
        let _ = Command::new("chattr").arg("-i").arg(&self.0).output();
        std::fs::set_permissions(&self.0, Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn a_permission_that_is_lost_is_said_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(Local::Folder.open(folder.path()).unwrap());
    let mut keys = 0;
    let mut store_some = || {
        for _ in 0..200 {
            store.store(keys, value(keys)).unwrap();
            keys += 1;
        }
        keys
    };
    store_some();
    store.flush(LIMIT).unwrap();
    let segments = folder.path().join("archive").join("segments");
    let Some(forbidden) = Forbidden::now(&segments) else {
        println!("SKIPPED: this user may write everywhere, so no permission is lost");
        return;
    };
    store_some();
    until("it is said", || store.health().error.is_some_and(|error| error.kind() == ErrorKind::Denied));
    assert!(matches!(store.flush(Duration::from_millis(100)), Err(FlushError::TimedOut { error: Some(_) })));
    drop(forbidden);
    let keys = store_some();
    store.flush(LIMIT).unwrap();
    assert!(store.health().failing_since.is_none());
    store.checkpoint(LIMIT).unwrap();
    all_are_there(&store, keys);
    drop(store);
    all_are_there(&open(Local::Folder.open(folder.path()).unwrap()), keys);
}

#[test]
fn a_failing_server_is_said_and_nothing_is_lost() {
    let Some(server) = server() else { return };
    bucket(server, "store-failing");
    let proxy = Proxy::before(server);
    let timed = || folder_options().segment_bytes(1 << 20).timeouts(short());
    let store = open(open_with(timed(), proxy.at, "store-failing").unwrap());
    let mut keys = 0;
    for mode in [FAIL, HANG, DROP, LOSE] {
        proxy.set(mode);
        for _ in 0..100 {
            store.store(keys, value(keys)).unwrap();
            keys += 1;
        }
        until("it is said", || store.health().failing_since.is_some());
        let expected = if mode == HANG { ErrorKind::TimedOut } else { ErrorKind::Unavailable };
        until("of its kind", || store.health().error.is_none_or(|error| error.kind() == expected));
        assert!(store.flush(Duration::from_millis(50)).is_err());
        proxy.set(PASS);
        store.flush(LIMIT).unwrap();
        assert!(store.health().failing_since.is_none(), "mode {mode}");
        all_are_there(&store, keys);
    }
    store.checkpoint(LIMIT).unwrap();
    // Another process takes over: the older one says so, and what it has reported is there.
    let newer = open(open_with(timed(), server, "store-failing").unwrap());
    all_are_there(&newer, keys);
    store.store(keys, value(keys)).unwrap();
    store.remove(&0);
    assert!(
        matches!(store.checkpoint(LIMIT), Err(FlushError::Stopped { error: Some(error) }) if error.kind() == ErrorKind::Fenced)
    );
    assert!(store.health().is_stopped && store.get(&keys).is_some());
    assert!(newer.get_or_restore(&0).unwrap().is_some());
}
