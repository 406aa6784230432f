//! The steps that a file is written by: their order, and what becomes of the file where one of them fails.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::disk::{Access, Disk, TheDisk};
use super::{WriteFileError, write_to};

/// The disk, which notes its steps, and has one of them fail.
struct Noted {
    steps: Vec<String>,
    fails: Option<usize>,
}

impl Noted {
    fn failing_at(fails: Option<usize>) -> Self {
        Self { steps: Vec::new(), fails }
    }

    fn step(&mut self, step: String) -> io::Result<()> {
        self.steps.push(step);
        if self.fails == Some(self.steps.len() - 1) { Err(io::Error::other("by design")) } else { Ok(()) }
    }
}

impl Disk for Noted {
    fn create(&mut self, path: &Path, access: Access) -> io::Result<File> {
        self.step(format!("create for {access:?}"))?;
        TheDisk.create(path, access)
    }

    fn set_permissions(&mut self, file: &File, permissions: Permissions) -> io::Result<()> {
        self.step(format!("permissions at {} bytes", file.metadata()?.len()))?;
        TheDisk.set_permissions(file, permissions)
    }

    fn sync_file(&mut self, file: &File) -> io::Result<()> {
        self.step(format!("sync file of {} bytes", file.metadata()?.len()))?;
        TheDisk.sync_file(file)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.step("rename".into())?;
        TheDisk.rename(from, to)
    }

    fn sync_folder(&mut self, folder: &Path) -> io::Result<()> {
        self.step("sync folder".into())?;
        TheDisk.sync_folder(folder)
    }
}

/// A folder of its own, which is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tierstack-steps-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

const REPLACED: [&str; 5] =
    ["create for Owner", "permissions at 3 bytes", "sync file of 3 bytes", "rename", "sync folder"];

fn write(disk: &mut Noted, path: &Path, content: &[u8]) -> Result<(), WriteFileError<io::Error>> {
    write_to(disk, path, |file| file.write_all(content))
}

#[test]
fn content_is_on_the_disk_before_the_name_and_the_name_before_the_end() {
    let folder = Folder::new("order");
    let path = folder.0.join("file");
    let mut disk = Noted::failing_at(None);
    write(&mut disk, &path, b"old!").unwrap();
    assert_eq!(disk.steps, ["create for Usual", "sync file of 4 bytes", "rename", "sync folder"]);
    let mut disk = Noted::failing_at(None);
    write(&mut disk, &path, b"new").unwrap();
    assert_eq!(disk.steps, REPLACED);
    assert_eq!(fs::read(&path).unwrap(), b"new");
}

#[test]
fn a_step_that_fails_is_the_last_and_leaves_the_old_file_or_the_new_one() {
    let folder = Folder::new("fails");
    let path = folder.0.join("file");
    for (number, step) in REPLACED.into_iter().enumerate() {
        fs::write(&path, "old").unwrap();
        let mut disk = Noted::failing_at(Some(number));
        let error = write(&mut disk, &path, b"new").unwrap_err();
        assert_eq!(disk.steps, REPLACED[..=number]);
        let is_in_place = matches!(error, WriteFileError::SyncFolder(_));
        assert_eq!(is_in_place, step == "sync folder", "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), if is_in_place { "new" } else { "old" });
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "{step} leaves a file behind");
    }
}
