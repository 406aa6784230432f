//! Checkpoints in files: written as a whole, or not at all.
//!
//! **What is here blocks**: it writes to a disk, and waits until that says that it is done. Nothing else in this crate does.
//!
//! With the feature `serde`, a [`StoreSnapshot`](crate::StoreSnapshot) and a plan's [`Snapshot`](crate::Snapshot) can be written in any format of serde's.
//! [`Builder::restore`](crate::Builder::restore) and [`PlanContext::restore`](crate::PlanContext::restore) go on from them. A snapshot is one instant, while all go on; one of a store and
//! one of a plan are two. Values behind an `Arc` or `Rc` are written where serde's own feature `rc` is on.
//!
//! Snapshots are best taken owned, with values that are cheap handles, before the file is begun. Those of a [`View`](crate::View) clone nothing at all, but hold the view,
//! which delays freeing, for as long as the disk takes.

use core::fmt;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process;

/// Why [`write_file`] has not written a file. Where it was there before, it is as it was; but see [`WriteFileError::Settle`].
#[derive(Debug)]
#[non_exhaustive]
pub enum WriteFileError<E> {
    /// The caller's function said so.
    Write(E),
    /// The file system has refused a step before the file was put in its place.
    File(io::Error),
    /// The file is in its place, and whole. But the folder could not be told to keep that: after a loss of power the old file may be back.
    Settle(io::Error),
}

impl<E: fmt::Display> fmt::Display for WriteFileError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(error) => write!(f, "the file's content could not be written: {error}"),
            Self::File(error) => write!(f, "the file could not be written: {error}"),
            Self::Settle(error) => write!(f, "the file was written, but its folder could not be synchronized: {error}"),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for WriteFileError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(match self {
            Self::Write(error) => error,
            Self::File(error) | Self::Settle(error) => error,
        })
    }
}

/// Writes a file as a whole, or leaves what was there. **Blocks.**
///
/// The content goes to a new file in the same folder, is synchronized to the disk, and takes the place of the old file by a rename; then the folder is synchronized,
/// where that can be done (on Unix). So whoever opens the file, also after a crash or a loss of power at any instant, finds the old content or the new one, and never a part.
///
/// The new file has the permissions of the old one, if there was one, before anything is written to it. A symbolic link is replaced, not followed. Of two calls
/// for one file, one comes last. If the process is ended in the midst of it, a file `.tierstack-….tmp` is left in the folder.
///
/// What `write` gives is given back. It need not flush.
///
/// # Errors
///
/// [`WriteFileError`]; the new file is removed.
///
/// # Progress
///
/// Blocks for as long as the disk takes. Holds nothing of any store or plan, so that it delays nobody else.
///
/// # Panics
///
/// Where `write` does: the new file is removed, and the old one stays.
///
/// # Examples
///
/// ```
/// use std::io::Write;
/// use tierstack::TierStore;
/// use tierstack::checkpoint::write_file;
///
/// let store: TierStore<u32, String> = TierStore::new(1 << 20)?;
/// store.store(1, "one".into())?;
///
/// let path = std::env::temp_dir().join(format!("tierstack-example-{}", std::process::id()));
/// let snapshot = store.snapshot();
/// # #[cfg(feature = "serde")]
/// write_file(&path, |file| serde_json::to_writer(file, &snapshot))?;
/// # #[cfg(feature = "serde")]
/// # {
///
/// let read: tierstack::StoreSnapshot<u32, String> = serde_json::from_reader(std::fs::File::open(&path)?)?;
/// let restored = TierStore::builder(1 << 20).restore(read)?;
/// assert_eq!(restored.get(&1).map(|fragment| fragment.value).as_deref(), Some("one"));
/// # std::fs::remove_file(&path)?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_file<T, E>(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<T, E>,
) -> Result<T, WriteFileError<E>> {
    let path = path.as_ref();
    let folder = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Err(WriteFileError::File(io::Error::from(io::ErrorKind::InvalidInput))),
    };
    let (file, temporary) = Temporary::create(folder).map_err(WriteFileError::File)?;
    if let Ok(old) = fs::metadata(path) {
        file.set_permissions(old.permissions()).map_err(WriteFileError::File)?;
    }
    let mut file = BufWriter::new(file);
    let written = write(&mut file).map_err(WriteFileError::Write)?;
    file.flush().map_err(WriteFileError::File)?;
    file.get_ref().sync_all().map_err(WriteFileError::File)?;
    // Closed first: some systems rename no file that is open.
    drop(file);
    temporary.take_the_place_of(path).map_err(WriteFileError::File)?;
    synchronize(folder).map_err(WriteFileError::Settle)?;
    Ok(written)
}

/// Has a folder keep the names that it has now.
#[cfg(unix)]
fn synchronize(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Folders cannot be opened there.
#[cfg(not(unix))]
fn synchronize(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// A file that is removed when this is dropped, unless it has gone.
struct Temporary {
    path: PathBuf,
    is_there: bool,
}

impl Temporary {
    /// A new file with a name that no other has.
    fn create(folder: &Path) -> io::Result<(File, Self)> {
        let mut number = 0_u64;
        loop {
            let name = OsString::from(format!(".tierstack-{}-{number}.tmp", process::id()));
            let path = folder.join(name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((file, Self { path, is_there: true })),
                // Another call's, or one that a process of that number has left.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn take_the_place_of(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        // The name is free by now, and may be another call's.
        self.is_there = false;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.is_there {
            // What cannot be removed stays; the caller is told why the file was not written.
            let _ = fs::remove_file(&self.path);
        }
    }
}
