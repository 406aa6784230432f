//! Failing stores and full disks: an error with a kind in time, nothing lost that was reported, and it goes on by itself.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_core::stream::BoxStream;
use tierstack_archive::object_store::local::LocalFileSystem;
use tierstack_archive::object_store::memory::InMemory;
use tierstack_archive::object_store::path::Path as Location;
use tierstack_archive::object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tierstack_archive::{Archive, ArchiveError, ErrorKind, Op, Retry, Timeouts};

use crate::common::{Chance, Local, Model, Step, agree, folder_options, ops};

/// A store that fails by chance: before it does what it was asked, after, or so that what it was asked is done later.
#[derive(Debug)]
struct Flaky {
    inner: InMemory,
    state: Mutex<State>,
    hangs: AtomicBool,
}

struct State {
    chance: Chance,
    /// One in so many requests fails; 0 is none.
    one_in: u64,
    late: Vec<(Location, PutPayload, PutOptions)>,
    came_late: u64,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}

impl fmt::Display for Flaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flaky")
    }
}

enum Fate {
    Fine,
    Before,
    After,
    Late,
}

fn failure() -> Error {
    Error::Generic { store: "flaky", source: "a made-up failure".into() }
}

impl Flaky {
    fn new(seed: u64, one_in: u64) -> Arc<Self> {
        let state = State { chance: Chance(seed), one_in, late: Vec::new(), came_late: 0 };
        Arc::new(Self { inner: InMemory::new(), state: Mutex::new(state), hangs: AtomicBool::new(false) })
    }

    async fn fate(&self) -> Fate {
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let late = {
            let mut state = self.state.lock().unwrap();
            if state.one_in > 0 && state.chance.below(3) == 0 { state.late.pop() } else { None }
        };
        if let Some((location, payload, options)) = late {
            let came = self.inner.put_opts(&location, payload, options).await.is_ok();
            self.state.lock().unwrap().came_late += u64::from(came);
        }
        let mut state = self.state.lock().unwrap();
        if state.one_in == 0 {
            return Fate::Fine;
        }
        let one_in = state.one_in;
        match state.chance.below(one_in * 3) {
            0 => Fate::Before,
            1 => Fate::After,
            2 => Fate::Late,
            _ => Fate::Fine,
        }
    }
}

#[async_trait::async_trait]
impl ObjectStore for Flaky {
    async fn put_opts(&self, location: &Location, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        match self.fate().await {
            Fate::Fine => self.inner.put_opts(location, payload, options).await,
            Fate::Before => Err(failure()),
            Fate::After => {
                self.inner.put_opts(location, payload, options).await?;
                Err(failure())
            }
            Fate::Late => {
                self.state.lock().unwrap().late.push((location.clone(), payload, options));
                Err(failure())
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Location,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Location, options: GetOptions) -> Result<GetResult> {
        match self.fate().await {
            Fate::Fine => self.inner.get_opts(location, options).await,
            _ => Err(failure()),
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Location>>) -> BoxStream<'static, Result<Location>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Location>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Location>) -> Result<ListResult> {
        match self.fate().await {
            Fate::Fine => self.inner.list_with_delimiter(prefix).await,
            _ => Err(failure()),
        }
    }

    async fn copy_opts(&self, from: &Location, to: &Location, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// Does it again until it succeeds, as a writer would.
fn until_it_succeeds<T>(mut work: impl FnMut() -> std::result::Result<T, ArchiveError>) -> T {
    loop {
        match work() {
            Ok(done) => return done,
            Err(error) => assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Again), "{error}"),
        }
    }
}

#[test]
fn lost_and_late_answers_lose_and_double_nothing() {
    let mut came_late = 0;
    for seed in 0..60 {
        let store = Flaky::new(seed, 14);
        let open = || until_it_succeeds(|| folder_options().open_store(store.clone(), "prefix"));
        let (mut archive, mut model, mut chance) = (open(), Model::default(), Chance(seed));
        for number in 0..40_u64 {
            let step = |_| Step {
                key: vec![u8::try_from(chance.below(15)).unwrap()],
                tick: (number + chance.below(8)).max(model.horizon),
                value: (chance.below(4) > 0).then(|| number.to_le_bytes().to_vec()),
            };
            let steps: Vec<_> = (0..4).map(step).collect();
            until_it_succeeds(|| archive.commit(&ops(&steps)));
            model.commit(&steps).unwrap();
            match chance.below(12) {
                0 => archive = open(),
                1 | 2 => drop(until_it_succeeds(|| archive.compact())),
                3 => {
                    until_it_succeeds(|| archive.forget(number / 2));
                    model.forget(number / 2);
                }
                _ => {}
            }
        }
        until_it_succeeds(|| archive.flush());
        let one_in = std::mem::replace(&mut store.state.lock().unwrap().one_in, 0);
        agree(&archive, &model);
        // And as it stands for one who opens it.
        agree(&folder_options().read_only(true).open_store(store.clone(), "prefix").unwrap(), &model);
        store.state.lock().unwrap().one_in = one_in;
        came_late += store.state.lock().unwrap().came_late;
    }
    println!("{came_late} late requests took effect");
    assert!(came_late > 20);
}

#[test]
fn a_store_that_hangs_is_given_up_in_time() {
    let store = Flaky::new(1, 0);
    let timeouts = Timeouts { call: Duration::from_millis(200), ..Timeouts::default() };
    let archive = folder_options().timeouts(timeouts).open_store(store.clone(), "").unwrap();
    archive.commit(&[Op::Put { key: b"before", tick: 1, value: b"value" }]).unwrap();
    store.hangs.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    let batch = [Op::Put { key: b"after", tick: 2, value: b"value" }];
    assert_eq!(archive.commit(&batch).unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(archive.get(b"before").unwrap_err().retry(), Retry::Again);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    // What the index knows needs no answer.
    assert!(archive.get(b"nowhere").unwrap().is_none());
    store.hangs.store(false, Ordering::SeqCst);
    assert_eq!(archive.commit(&batch).unwrap().applied, 1);
    assert!(archive.get(b"before").unwrap().is_some() && archive.get(b"after").unwrap().is_some());
}

#[test]
fn a_store_without_conditional_puts_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    // The first manifest can be created. The next open would replace it.
    let store = Arc::new(store);
    let error = folder_options()
        .open_store(store.clone(), "")
        .and_then(|_| folder_options().open_store(store, ""))
        .unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unsupported, Retry::Never));
}

/// A small file system of its own, or `None` where it cannot be had.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    pub fn mounted(bytes: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={bytes}");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(folder.path()).output();
        mount.is_ok_and(|mount| mount.status.success()).then_some(Self(folder))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}

#[test]
fn a_full_disk_is_said_and_got_over() {
    for local in Local::ALL {
        let Some(disk) = SmallDisk::mounted(12 << 20) else {
            println!("SKIPPED: no tmpfs can be mounted here, so no disk gets full");
            return;
        };
        let ballast = disk.path().join("ballast");
        let archive = local.open(disk.path()).unwrap();
        let (mut model, mut number, value) = (Model::default(), 0_u64, vec![7; 20_000]);
        let batch = |number: u64| {
            let step = |at: u64| Step {
                key: (number * 4 + at).to_be_bytes().to_vec(),
                tick: number,
                value: Some(value.clone()),
            };
            (0..4).map(step).collect::<Vec<_>>()
        };
        for _ in 0..3 {
            number += 1;
            archive.commit(&ops(&batch(number))).unwrap();
            archive.flush().unwrap();
            model.commit(&batch(number)).unwrap();
        }
        std::fs::write(&ballast, vec![1; 1 << 20]).unwrap();
        let mut flushed = model.clone();
        let error = loop {
            number += 1;
            match archive.commit(&ops(&batch(number))).and_then(|_| archive.flush()) {
                Ok(()) => flushed.commit(&batch(number)).map(drop).unwrap(),
                Err(error) => break error,
            }
            assert!(number < 10_000);
        };
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Full, Retry::Again), "{local:?}: {error:?}");
        // What was reported can be read, or an error says why not.
        let read = archive.get(&4_u64.to_be_bytes());
        println!(
            "{local:?}: {number} batches; a read while the disk is full: {:?}",
            read.as_ref().map(Option::is_some).map_err(ArchiveError::kind)
        );
        assert!(read.is_ok_and(|record| record.is_some()) || local != Local::Folder);
        std::fs::remove_file(&ballast).unwrap();
        archive.commit(&ops(&batch(number))).unwrap();
        archive.flush().unwrap();
        flushed.commit(&batch(number)).unwrap();
        agree(&archive, &flushed);
        drop(archive);
        agree(&local.open(disk.path()).unwrap(), &flushed);
    }
}
