//! A file is written as a whole, or what was there stays.

use std::fs;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use tierstack::checkpoint::{WriteFileError, write_file};

use crate::common::together;

/// A folder of its own, which is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tierstack-test-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("checkpoint")
    }

    /// The names of what is in it.
    fn names(&self) -> Vec<String> {
        fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn write(path: &Path, content: &[u8]) -> usize {
    write_file(path, |file| file.write_all(content).map(|()| content.len())).unwrap()
}

#[test]
fn a_file_is_written_and_replaced() {
    let folder = Folder::new("replaced");
    let long = vec![7; 100_000];
    for content in [&b"first"[..], &long, b"second", b""] {
        assert_eq!(write(&folder.file(), content), content.len());
        assert_eq!(fs::read(folder.file()).unwrap(), content);
        assert_eq!(folder.names(), ["checkpoint"]);
    }
}

#[test]
fn what_fails_leaves_the_old_file_and_nothing_else() {
    let folder = Folder::new("fails");
    write(&folder.file(), b"old");
    let error = write_file(folder.file(), |file| {
        file.write_all(&vec![1; 100_000]).unwrap();
        Err::<(), _>("no more")
    });
    assert!(matches!(error, Err(WriteFileError::Write("no more"))));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        write_file(folder.file(), |file| -> io::Result<()> {
            file.write_all(b"half")?;
            panic!("in the midst of it")
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(fs::read(folder.file()).unwrap(), b"old");
    assert_eq!(folder.names(), ["checkpoint"]);
}

#[test]
fn what_the_file_system_refuses_is_told() {
    let folder = Folder::new("refused");
    let written = |path: &Path| write_file(path, |file| file.write_all(b"new"));
    let error = written(&folder.0.join("no such folder").join("checkpoint")).unwrap_err();
    assert!(matches!(&error, WriteFileError::File(error) if error.kind() == io::ErrorKind::NotFound), "{error}");
    assert!(error.to_string().starts_with("the file could not be written: "));
    assert!(std::error::Error::source(&error).is_some());
    assert!(matches!(written(Path::new("/")), Err(WriteFileError::File(_))));
    // A folder that is not empty stands there.
    fs::create_dir(folder.file()).unwrap();
    fs::write(folder.file().join("content"), "").unwrap();
    assert!(matches!(written(&folder.file()), Err(WriteFileError::File(_))));
    assert_eq!(folder.names(), ["checkpoint"]);
}

#[test]
fn a_name_without_a_folder_is_of_the_current_one() {
    let name = format!("tierstack-test-{}.tmp", std::process::id());
    write(Path::new(&name), b"here");
    assert_eq!(fs::read(&name).unwrap(), b"here");
    fs::remove_file(&name).unwrap();
}

#[test]
fn names_that_others_have_left_are_passed_by() {
    let folder = Folder::new("left");
    let left = folder.0.join(format!(".tierstack-{}-0.tmp", std::process::id()));
    fs::write(&left, "left").unwrap();
    write(&folder.file(), b"new");
    assert_eq!(fs::read(&left).unwrap(), b"left");
    assert_eq!(folder.names().len(), 2);
}

#[test]
fn of_many_calls_at_once_one_is_the_last_and_no_reader_sees_a_part() {
    let folder = Folder::new("at-once");
    write(&folder.file(), &vec![0; 50_000]);
    together(4, |thread| {
        let own = u8::try_from(thread).unwrap();
        for _ in 0..20 {
            write(&folder.file(), &vec![own; 50_000]);
            let content = fs::read(folder.file()).unwrap();
            assert!(content.len() == 50_000 && content.iter().all(|byte| *byte == content[0]));
        }
    });
    assert_eq!(folder.names(), ["checkpoint"]);
}

#[cfg(unix)]
#[test]
fn permissions_stay_and_a_link_is_replaced() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let folder = Folder::new("permissions");
    write(&folder.file(), b"secret");
    fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o600)).unwrap();
    write_file(folder.file(), |file| {
        let mode = file.get_ref().metadata()?.permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "before anything is written");
        file.write_all(b"newer secret")
    })
    .unwrap();
    assert_eq!(fs::metadata(folder.file()).unwrap().permissions().mode() & 0o777, 0o600);

    let link = folder.0.join("link");
    symlink(folder.file(), &link).unwrap();
    write(&link, b"new");
    assert!(fs::symlink_metadata(&link).unwrap().is_file());
    assert_eq!(fs::read(folder.file()).unwrap(), b"newer secret");
}
