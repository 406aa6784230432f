//! Checkpoints in files: written as a whole, or not at all.
//!
//! **What is here blocks**: it writes to a disk, and waits until that says that it is done. No operation of a store or a plan waits for it.
//!
//! With the feature `serde`, a [`StoreSnapshot`](crate::StoreSnapshot) and a plan's [`Snapshot`](crate::Snapshot) can be written in any format of serde's.
//! [`Builder::restore`](crate::Builder::restore) and [`PlanContext::restore`](crate::PlanContext::restore) go on from them. A snapshot is one instant, while all go on. One of a store
//! and one of a plan are two instants. Values behind an `Arc` or `Rc` are written where serde's own feature `rc` is on.
//!
//! Take snapshots owned, with values that are cheap handles, before the file is begun. Those of a [`View`](crate::View) clone nothing at all. But they hold the view,
//! which delays freeing, for as long as the disk takes.

mod disk;
#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests;

use core::fmt;
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process;

use disk::{Access, Disk, TheDisk};

/// Why [`write_file`] has not written a file. Where it was there before, it is as it was; but see [`WriteFileError::SyncFolder`].
#[derive(Debug)]
#[non_exhaustive]
pub enum WriteFileError<E> {
    /// The caller's function said so.
    Write(E),
    /// The file system has refused a step before the file was put in its place.
    File(io::Error),
    /// The new file is in its place, and whole. But its folder could not be synchronized: after a loss of power the old file may be back.
    SyncFolder(io::Error),
}

impl<E: fmt::Display> fmt::Display for WriteFileError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(error) => write!(f, "the file's content could not be written: {error}"),
            Self::File(error) => write!(f, "the file could not be written: {error}"),
            Self::SyncFolder(error) => {
                write!(f, "the file was written, but its folder could not be synchronized: {error}")
            }
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for WriteFileError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(match self {
            Self::Write(error) => error,
            Self::File(error) | Self::SyncFolder(error) => error,
        })
    }
}

/// Writes a file as a whole, or leaves what was there. **Blocks.**
///
/// The content goes to a new file in the same folder. That is synchronized to the disk, and takes the place of the old file by a rename. Then the folder is synchronized,
/// where that can be done (on Unix). So whoever opens the file, also after a crash or a loss of power at any instant, finds the old content or the new one, and never a part.
///
/// `write` need not flush. If the process is ended in the midst of it, a file `.tierstack-….tmp` is left in the folder. Of two calls for one file, one comes last.
///
/// # Permissions
///
/// The new file has those of the old one. Where there was none, it has those that new files have. On Unix nobody but the owner can open it until it is
/// whole, where there was an old one.
///
/// A symbolic link is replaced, not followed. What replaces it only its owner may read and write.
///
/// # Errors
///
/// [`WriteFileError`]; the new file is removed, but for [`WriteFileError::SyncFolder`].
///
/// # Progress
///
/// Blocks for as long as the disk takes. It holds nothing of any store or plan, so that it delays nobody else.
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
pub fn write_file<E>(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), E>,
) -> Result<(), WriteFileError<E>> {
    write_to(&mut TheDisk, path.as_ref(), write)
}

/// [`write_file`], on any disk.
fn write_to<E>(
    disk: &mut impl Disk,
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), E>,
) -> Result<(), WriteFileError<E>> {
    let folder = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Err(WriteFileError::File(io::Error::from(io::ErrorKind::InvalidInput))),
    };
    let last = Last::of(path).map_err(WriteFileError::File)?;
    let (file, temporary) = Temporary::create(disk, folder, last.access()).map_err(WriteFileError::File)?;
    let mut file = BufWriter::new(file);
    write(&mut file).map_err(WriteFileError::Write)?;
    file.flush().map_err(WriteFileError::File)?;
    if let Last::File(permissions) = last {
        disk.set_permissions(file.get_ref(), permissions).map_err(WriteFileError::File)?;
    }
    disk.sync_file(file.get_ref()).map_err(WriteFileError::File)?;
    // Closed first: some systems rename no file that is open.
    drop(file);
    temporary.take_the_place_of(disk, path).map_err(WriteFileError::File)?;
    disk.sync_folder(folder).map_err(WriteFileError::SyncFolder)
}

/// What stood in the file's place.
enum Last {
    Nothing,
    File(Permissions),
    Link,
}

impl Last {
    fn of(path: &Path) -> io::Result<Self> {
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_symlink() => Ok(Self::Link),
            Ok(metadata) => Ok(Self::File(metadata.permissions())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Who may open the new file while it is being written: whoever has it open can read what comes later.
    const fn access(&self) -> Access {
        match self {
            Self::Nothing => Access::Usual,
            Self::File(_) | Self::Link => Access::Owner,
        }
    }
}

/// A file that is removed when this is dropped, unless it has gone.
struct Temporary {
    path: PathBuf,
    is_there: bool,
}

impl Temporary {
    /// A new file with a name that no other has.
    fn create(disk: &mut impl Disk, folder: &Path, access: Access) -> io::Result<(File, Self)> {
        let mut number = 0_u64;
        loop {
            let name = OsString::from(format!(".tierstack-{}-{number}.tmp", process::id()));
            let path = folder.join(name);
            match disk.create(&path, access) {
                Ok(file) => return Ok((file, Self { path, is_there: true })),
                // Another call's, or one that a process of that number has left.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn take_the_place_of(mut self, disk: &mut impl Disk, path: &Path) -> io::Result<()> {
        disk.rename(&self.path, path)?;
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
