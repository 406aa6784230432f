//! The manifest of an archive in a folder: a file that is compared and replaced under a lock.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::error::kind_of_io;
use crate::{ArchiveError, ErrorKind};

#[derive(Clone, Debug)]
pub struct LockedFile {
    pub folder: PathBuf,
    /// How long to wait for the lock. Its holders need a few milliseconds, unless they are stopped.
    pub patience: Duration,
}

impl LockedFile {
    fn manifest(&self) -> PathBuf {
        self.folder.join("manifest")
    }

    /// The content. It is on the disk under its name, also if the one that wrote it was killed before it had asked for that.
    pub fn load(&self) -> Result<Option<Bytes>, ArchiveError> {
        let content = self.read()?;
        if content.is_some() {
            sync_folder(&self.folder)?;
        }
        Ok(content)
    }

    fn read(&self) -> Result<Option<Bytes>, ArchiveError> {
        match fs::read(self.manifest()) {
            Ok(content) => Ok(Some(content.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(&self.manifest(), error)),
        }
    }

    /// Replaces the content if it is still the expected one, and says whether it was. When it returns, the disk has it.
    pub fn swap(&self, expected: Option<&[u8]>, new: &[u8]) -> Result<bool, ArchiveError> {
        let _lock = self.lock()?;
        if self.read()?.as_deref() != expected {
            return Ok(false);
        }
        // Nobody but the holder of the lock writes this file: what is left of one that was killed is overwritten.
        let written = self.folder.join("manifest.new");
        let write = || {
            let mut file = File::create(&written)?;
            file.write_all(new)?;
            file.sync_all()
        };
        write().map_err(|error| at(&written, error))?;
        fs::rename(&written, self.manifest()).map_err(|error| at(&self.manifest(), error))?;
        sync_folder(&self.folder)?;
        Ok(true)
    }

    fn lock(&self) -> Result<File, ArchiveError> {
        let path = self.folder.join("manifest.lock");
        let file =
            File::options().create(true).truncate(false).write(true).open(&path).map_err(|error| at(&path, error))?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if begun.elapsed() < self.patience => sleep(Duration::from_millis(1)),
                Err(TryLockError::WouldBlock) => {
                    return Err(ArchiveError::new(
                        ErrorKind::TimedOut,
                        "another process holds the lock of the manifest",
                    ));
                }
                Err(TryLockError::Error(error)) => return Err(at(&path, error)),
            }
        }
    }
}

/// Makes a folder, with its name on the disk.
pub fn create(folder: &Path) -> Result<(), ArchiveError> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(|error| at(folder, error))?;
    // Of all that may have been made; the highest of them is enough to ask of one that had no parents.
    for above in folder.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()).take(2) {
        sync_folder(above)?;
    }
    Ok(())
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<(), ArchiveError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| at(folder, error))
}

/// Folders cannot be opened there.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> Result<(), ArchiveError> {
    Ok(())
}

pub fn at(path: &Path, error: io::Error) -> ArchiveError {
    ArchiveError::new(kind_of_io(&error), path.display().to_string()).because(error)
}
