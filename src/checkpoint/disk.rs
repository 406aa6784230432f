//! What is asked of the disk, step by step: so that tests see which steps there are, in which order, and can have one fail.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::path::Path;

/// Who may open a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Who may open new files.
    Usual,
    /// Its owner alone, where the system knows such a thing when it creates a file.
    Owner,
}

pub trait Disk {
    /// A file that was not there.
    fn create(&mut self, path: &Path, access: Access) -> io::Result<File>;

    fn set_permissions(&mut self, file: &File, permissions: Permissions) -> io::Result<()>;

    /// What was written to the file is on the disk, and so are its permissions.
    fn sync_file(&mut self, file: &File) -> io::Result<()>;

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    /// The names in the folder are on the disk.
    fn sync_folder(&mut self, folder: &Path) -> io::Result<()>;
}

/// The one that there is.
pub struct TheDisk;

impl Disk for TheDisk {
    fn create(&mut self, path: &Path, access: Access) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        if access == Access::Owner {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        #[cfg(not(unix))]
        let _ = access;
        options.open(path)
    }

    fn set_permissions(&mut self, file: &File, permissions: Permissions) -> io::Result<()> {
        file.set_permissions(permissions)
    }

    fn sync_file(&mut self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    #[cfg(unix)]
    fn sync_folder(&mut self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    /// Folders cannot be opened there.
    #[cfg(not(unix))]
    fn sync_folder(&mut self, _folder: &Path) -> io::Result<()> {
        Ok(())
    }
}
