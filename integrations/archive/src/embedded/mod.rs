//! The archive in one file of redb.
//!
//! # What is in the file
//!
//! | table | from | to |
//! |---|---|---|
//! | `records` | key | checksum, flag, tick, value: the latest of each key, and removals that are remembered |
//! | `removals` | tick and key | nothing: the removals by age, so that those below the horizon are found |
//! | `facts` | name | a number and its checksum: the version of the format, the highest tick, the horizon |
//!
//! A batch is one transaction. redb writes pages to free places only, and then the root that makes them valid, so that a crash at
//! any instant leaves the old root or the new one.
//!
//! # Failing, and going on
//!
//! After an I/O error redb refuses all further calls on a database until it is opened anew. And on a file that somebody has altered it may panic, as
//! its documentation says. So every call goes through [`RedbArchive::with`]: it catches a panic, drops the database after an error
//! of either sort, and the next call opens it anew. Commits that were not flushed are lost by that: see [`Unflushed`].

mod errors;
mod tables;
mod unflushed;

use core::fmt;
use core::ops::ControlFlow;
use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use redb::Database;

use self::unflushed::Unflushed;
use crate::archive::check_batch;
use crate::error::kind_of_io;
use crate::wire::corrupt;
use crate::{Archive, ArchiveError, Committed, Compacted, ErrorKind, Op, Record, Status};

/// When a [`RedbArchive`] waits for the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Each [`commit`](Archive::commit) returns when the disk has the batch (`fsync`). The default.
    #[default]
    EachCommit,
    /// [`flush`](Archive::flush) alone waits for the disk. A crash of the process loses the commits since the last one, all of them and the newest first.
    ///
    /// So does an error of the disk, also one that another call meets, such as a [`get`](Archive::get): the file is opened anew after it. Then the next flush fails, once, with
    /// [`ErrorKind::Unavailable`]. If several threads commit, one of them hears it for all.
    OnFlush,
}

/// How a [`RedbArchive`] is opened.
///
/// # Examples
///
/// ```
/// use tierstack_archive::{Archive, Durability, RedbOptions};
///
/// let folder = tempfile::tempdir()?;
/// let options = RedbOptions::new().durability(Durability::OnFlush).cache_bytes(8 << 20);
/// let archive = options.open(folder.path().join("archive.redb"))?;
/// assert_eq!(archive.status()?.records, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RedbOptions {
    durability: Durability,
    cache_bytes: usize,
    verify: bool,
    create: bool,
}

impl Default for RedbOptions {
    fn default() -> Self {
        Self { durability: Durability::EachCommit, cache_bytes: 64 << 20, verify: false, create: true }
    }
}

impl RedbOptions {
    /// What [`RedbArchive::open`] takes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// When to wait for the disk. The default is [`Durability::EachCommit`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How much memory the engine uses for pages of the file, in bytes. The default is 64 MiB: the archive is what is seldom read. The engine's own default is 1 GiB.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Whether opening reads the whole file and checks every page. The default is `false`: then a page that somebody has altered
    /// is found when it is read, by the record's checksum or by the engine. A page of the engine's own that was altered can also hide records.
    #[must_use]
    pub fn verify(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }

    /// Whether to make the file if there is none. The default is `true`.
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Opens the archive in this file.
    ///
    /// A new file is made under another name beside it, and gets its name when it is whole. So a crash while it is made leaves no half of a file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InUse`] if another handle has it open, [`ErrorKind::Foreign`], [`ErrorKind::Version`] or
    /// [`ErrorKind::Corrupt`] if the file is no archive that can be read, [`ErrorKind::Missing`] if there is none and none was to be made, and what the disk says.
    ///
    /// # Cost
    ///
    /// It does not depend on the number of records, also after a crash; with [`verify`](Self::verify) it reads the whole file.
    pub fn open(self, path: impl Into<PathBuf>) -> Result<RedbArchive, ArchiveError> {
        let path = path.into();
        let database = guarded(|| tables::open(&path, self))??;
        Ok(RedbArchive { path, options: self, database: RwLock::new(Some(database)), unflushed: Unflushed::default() })
    }
}

/// An archive in one file, of the embedded database [redb](https://docs.rs/redb). One process opens it at a time.
///
/// # Durability
///
/// A commit is a transaction. It is durable when [`commit`](Archive::commit) returns, or when the next [`flush`](Archive::flush) returns: see [`Durability`].
/// Durable means written and `fsync`ed, with redb's two-phase commit: the file is valid without a look at its pages' checksums. Each durable
/// commit also writes down which pages are free (redb's *quick repair*), so that opening after a crash need not read the file.
///
/// A [`scan`](Archive::scan) shows one instant.
///
/// # Cost
///
/// Reads and writes are O(log n) pages of 4 KiB. [`get`](Archive::get) and [`scan`](Archive::scan) go on while a batch is written. They
/// wait for [`compact`](Archive::compact).
///
/// # Examples
///
/// ```
/// use tierstack_archive::{Archive, ErrorKind, Op, RedbArchive};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("archive.redb");
/// let archive = RedbArchive::open(&path)?;
/// archive.commit(&[Op::Put { key: b"goal", tick: 1, value: b"find the bug" }])?;
/// assert_eq!(RedbArchive::open(&path).unwrap_err().kind(), ErrorKind::InUse);
///
/// drop(archive);
/// assert_eq!(RedbArchive::open(&path)?.get(b"goal")?.unwrap().value, "find the bug");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RedbArchive {
    path: PathBuf,
    options: RedbOptions,
    /// `None` after an error that only opening anew can mend.
    database: RwLock<Option<Database>>,
    /// With [`Durability::OnFlush`].
    unflushed: Unflushed,
}

impl RedbArchive {
    /// Opens the archive in this file, or makes it, with the defaults of [`RedbOptions`].
    ///
    /// # Errors
    ///
    /// Those of [`RedbOptions::open`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ArchiveError> {
        RedbOptions::new().open(path)
    }

    /// Reads the whole file and checks every page and every record.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] with what was found first. If the engine had to go back to an older state of the file, that is an error too.
    ///
    /// # Cost
    ///
    /// O(n), and all other calls wait.
    pub fn verify(&self) -> Result<(), ArchiveError> {
        self.exclusively(|database| match database.check_integrity() {
            Ok(true) => Ok(()),
            Ok(false) => Err(corrupt("pages were damaged, and an older state of the file was restored")),
            Err(error) => Err(errors::database(error)),
        })?;
        self.scan(None, &mut |_| ControlFlow::Continue(()))
    }

    /// Does something with the database, opened anew if need be.
    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, ArchiveError>) -> Result<T, ArchiveError> {
        let guard = self.opened()?;
        let Some(database) = guard.as_ref() else {
            return Err(ArchiveError::new(ErrorKind::Unavailable, "the file was closed by an error"));
        };
        let outcome = guarded(|| work(database)).flatten();
        drop(guard);
        self.closed_if_broken(outcome)
    }

    /// Does something with the database alone.
    fn exclusively<T>(&self, work: impl FnOnce(&mut Database) -> Result<T, ArchiveError>) -> Result<T, ArchiveError> {
        drop(self.opened()?);
        let mut guard = self.database.write().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = guard.as_mut() else {
            return Err(ArchiveError::new(ErrorKind::Unavailable, "the file was closed by an error"));
        };
        let outcome = guarded(|| work(database)).flatten();
        drop(guard);
        self.closed_if_broken(outcome)
    }

    fn opened(&self) -> Result<RwLockReadGuard<'_, Option<Database>>, ArchiveError> {
        let guard = self.database.read().unwrap_or_else(PoisonError::into_inner);
        if guard.is_some() {
            return Ok(guard);
        }
        drop(guard);
        let mut guard = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if guard.is_none() {
            // The file was there: one that has gone is an error, and not a reason for an empty one.
            *guard = Some(guarded(|| tables::open(&self.path, self.options.create(false)))??);
        }
        drop(guard);
        Ok(self.database.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn closed_if_broken<T>(&self, outcome: Result<T, ArchiveError>) -> Result<T, ArchiveError> {
        if let Err(error) = &outcome
            && matches!(
                error.kind(),
                ErrorKind::Full | ErrorKind::Denied | ErrorKind::TimedOut | ErrorKind::Unavailable | ErrorKind::Corrupt
            )
            // One bad record is no reason to lose commits.
            && !(error.key().is_some() && self.unflushed.is_any())
        {
            let mut guard = self.database.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(broken) = guard.take() {
                self.unflushed.closed();
                // What is wrong with the file has been said; closing it can only say so again.
                let _ = guarded(|| drop(broken));
            }
        }
        outcome
    }
}

impl Drop for RedbArchive {
    fn drop(&mut self) {
        let database = self.database.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // Closing writes down which pages are free, and may panic on an altered file. What was flushed is on the disk already.
        let _ = guarded(|| drop(database));
    }
}

/// Turns a panic of the engine into an error.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, ArchiveError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        corrupt(format!("the engine has panicked, as it may on an altered file: {}", text.unwrap_or("without a word")))
    })
}

impl Archive for RedbArchive {
    fn commit(&self, batch: &[Op<'_>]) -> Result<Committed, ArchiveError> {
        check_batch(batch, 0)?;
        if batch.is_empty() {
            return Ok(Committed::default());
        }
        self.with(|database| {
            let committed = tables::commit(database, batch, self.options.durability)?;
            if self.options.durability == Durability::OnFlush {
                self.unflushed.committed();
            }
            Ok(committed)
        })
    }

    fn get(&self, key: &[u8]) -> Result<Option<Record>, ArchiveError> {
        self.with(|database| tables::get(database, key))
    }

    fn scan(&self, after: Option<&[u8]>, visit: &mut dyn FnMut(Record) -> ControlFlow<()>) -> Result<(), ArchiveError> {
        // The caller's panic is the caller's.
        let mut panic = None;
        let outcome = self.with(|database| {
            tables::scan(database, after, &mut |record| {
                catch_unwind(AssertUnwindSafe(|| visit(record))).unwrap_or_else(|payload| {
                    panic = Some(payload);
                    ControlFlow::Break(())
                })
            })
        });
        match panic {
            Some(payload) => std::panic::resume_unwind(payload),
            None => outcome,
        }
    }

    fn flush(&self) -> Result<(), ArchiveError> {
        match self.options.durability {
            // Whatever a commit has returned for is on the disk.
            Durability::EachCommit => Ok(()),
            Durability::OnFlush => self.flush_all(),
        }
    }

    fn forget(&self, before: u64) -> Result<(), ArchiveError> {
        self.with(|database| tables::forget(database, before))
    }

    /// Moves pages to the front of the file and cuts it off behind them. All other calls wait meanwhile. It waits for the disk.
    fn compact(&self) -> Result<Compacted, ArchiveError> {
        let bytes_before = self.file_bytes()?;
        self.exclusively(|database| {
            tables::flush(database)?;
            database.compact().map_err(errors::compaction)?;
            // The compaction's own commits do not write down the free pages: this one does.
            tables::flush(database)
        })?;
        Ok(Compacted { bytes_before, bytes_after: self.file_bytes()? })
    }

    fn status(&self) -> Result<Status, ArchiveError> {
        let bytes = self.file_bytes()?;
        self.with(|database| tables::status(database, bytes))
    }
}

impl RedbArchive {
    fn flush_all(&self) -> Result<(), ArchiveError> {
        let mut upto = 0;
        let outcome = self.with(|database| {
            // That commits were lost is said of a database that is in order: it is no error of the work with it.
            let begun = self.unflushed.begin();
            if let Ok(committed) = begun {
                upto = committed;
                tables::flush(database)?;
                self.unflushed.told(upto);
            }
            Ok(begun.map(drop))
        });
        if outcome.is_err() {
            self.unflushed.told(upto);
        }
        outcome.flatten()
    }

    fn file_bytes(&self) -> Result<u64, ArchiveError> {
        fs::metadata(&self.path).map(|file| file.len()).map_err(|error| at(&self.path, error))
    }
}

impl fmt::Debug for RedbArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbArchive").field("path", &self.path).field("options", &self.options).finish_non_exhaustive()
    }
}

/// An error of the system about a file.
fn at(path: &Path, error: io::Error) -> ArchiveError {
    ArchiveError::new(kind_of_io(&error), path.display().to_string()).because(error)
}

/// Makes a file that is whole when it has its name. If another was there first, that one stays.
fn create(path: &Path, fill: impl FnOnce(&Path) -> Result<(), ArchiveError>) -> Result<(), ArchiveError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    let nonce =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.subsec_nanos());
    name.push(format!(".{}-{nonce}.tmp", std::process::id()));
    let new = folder.join(name);
    let outcome = fill(&new).and_then(|()| match fs::hard_link(&new, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(at(path, error)),
        _ => Ok(()),
    });
    // Left behind if this fails; it is nobody's.
    let _ = fs::remove_file(&new);
    outcome?;
    #[cfg(unix)]
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| at(folder, error))?;
    Ok(())
}
