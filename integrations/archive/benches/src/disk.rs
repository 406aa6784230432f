//! What goes to the disk.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Bytes that this process has made the system write to a disk so far: `write_bytes` of `/proc/self/io`. It counts pages of 4 KiB as they become
/// dirty: one that is written twice before the system has written it back counts once. `None` where nobody counts.
pub fn written() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/io").ok()?;
    text.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok())
}

/// Bytes that the files of a folder take on the disk. Holes take none.
pub fn taken(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let data = entry.metadata()?;
        bytes += if data.is_dir() { taken(&entry.path())? } else { data.blocks() * 512 };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_counted_and_holes_are_not() {
        let (folder, before) = (tempfile::tempdir().unwrap(), written());
        fs::create_dir(folder.path().join("inner")).unwrap();
        let path = folder.path().join("inner/file");
        fs::write(&path, vec![1; 1 << 20]).unwrap();
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_len(1 << 30).unwrap();
        file.sync_all().unwrap();
        assert!((1 << 20..2 << 20).contains(&taken(folder.path()).unwrap()));
        // Not of every file system does the system count it.
        if let (Some(before), Some(after)) = (before, written()) {
            assert!(after >= before);
        }
    }
}
