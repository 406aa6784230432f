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

fn write(path: &Path, content: &[u8]) {
    write_file(path, |file| file.write_all(content)).unwrap();
}

#[test]
fn a_file_is_written_and_replaced() {
    let folder = Folder::new("replaced");
    let long = vec![7; 100_000];
    for content in [&b"first"[..], &long, b"second", b""] {
        write(&folder.file(), content);
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
        Err("no more")
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
fn permissions_stay_and_come_when_the_file_is_whole() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new("permissions");
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    for kept in [0o600, 0o640, 0o644, 0o400, 0o666] {
        fs::write(folder.file(), "old").unwrap();
        fs::set_permissions(folder.file(), fs::Permissions::from_mode(kept)).unwrap();
        write_file(folder.file(), |file| {
            let mode = file.get_ref().metadata()?.permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "while it is written");
            file.write_all(b"new")
        })
        .unwrap();
        assert_eq!(mode(&folder.file()), kept);
        fs::remove_file(folder.file()).unwrap();
    }
}

/// Whoever opens a file while others may can read what is written to it later.
#[cfg(unix)]
#[test]
fn nobody_else_can_open_the_new_file_of_a_secret() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    let folder = Folder::new("secret");
    write(&folder.file(), b"old secret");
    fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o600)).unwrap();
    let temporary = folder.0.join(format!(".tierstack-{}-0.tmp", std::process::id()));
    let (is_over, seen, open) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                if let Ok(metadata) = fs::metadata(&temporary) {
                    seen.fetch_add(1, Ordering::Relaxed);
                    open.fetch_add(u32::from(metadata.mode() & 0o077 != 0), Ordering::Relaxed);
                }
            }
        });
        for tries in 0_u32.. {
            let _ = write_file(folder.file(), |_| Err("enough"));
            if tries > 3000 && seen.load(Ordering::Relaxed) > 100 {
                break;
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(open.load(Ordering::Relaxed), 0, "times it could be opened by others");
}

/// The permissions of what it leads to are not its own.
#[cfg(unix)]
#[test]
fn a_link_is_replaced_by_a_file_of_its_owner() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let folder = Folder::new("link");
    write(&folder.file(), b"secret");
    fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o666)).unwrap();
    let link = folder.0.join("link");
    for target in [folder.file(), folder.0.join("nothing is there")] {
        symlink(target, &link).unwrap();
        write(&link, b"new");
        let metadata = fs::symlink_metadata(&link).unwrap();
        assert!(metadata.is_file());
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        fs::remove_file(&link).unwrap();
    }
    assert_eq!(fs::read(folder.file()).unwrap(), b"secret");
}
