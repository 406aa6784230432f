//! Files, cut into fragments.

use std::path::{MAIN_SEPARATOR, Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use std::{fs, io};

/// Longer files are data or generated.
const MOST_BYTES: u64 = 512 << 10;

/// A file that may be text.
pub struct File {
    /// Below the directory that is searched.
    pub path: Arc<str>,
    pub bytes: u64,
    disk_path: PathBuf,
}

impl File {
    /// The text, and when it was last modified. `None` where it is no text, or cannot be read.
    pub fn read(&self) -> Option<(String, SystemTime)> {
        let text = String::from_utf8(fs::read(&self.disk_path).ok()?).ok()?;
        let modified = fs::metadata(&self.disk_path).ok()?.modified().ok()?;
        (!text.contains('\0')).then_some((text, modified))
    }
}

/// The files below a directory, in the order of their paths, without those that are hidden or built.
pub fn walk(dir: &Path) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            // Of a link, not of what it leads to: so there are no loops.
            let (kind, name, disk_path) = (entry.file_type()?, entry.file_name(), entry.path());
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
            if kind.is_dir() && name != "target" {
                open.push(disk_path);
            } else if kind.is_file() {
                let bytes = entry.metadata()?.len();
                let path = disk_path.strip_prefix(dir).unwrap_or(&disk_path).to_str();
                if let Some(path) = path.filter(|_| bytes <= MOST_BYTES) {
                    files.push(File { path: path.replace(MAIN_SEPARATOR, "/").into(), bytes, disk_path });
                }
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// A fragment ends at a blank line once it has so many lines …
const ENOUGH: u32 = 12;
/// … and anywhere, once it has so many.
const MOST: u32 = 80;

/// Cuts a text into fragments: the first line, the last one, and the text. Blank lines between them belong to none.
pub fn cut(text: &str) -> Vec<(u32, u32, &str)> {
    let (mut fragments, mut open) = (Vec::new(), None);
    let mut end = 0;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let begin = end;
        end += line.len();
        let is_blank = line.trim().is_empty();
        if open.is_none() && !is_blank {
            open = Some((number, begin));
        }
        if let Some((first, from)) = open {
            let lines = number - first + 1;
            if lines >= MOST || (is_blank && lines > ENOUGH) || end == text.len() {
                let fragment = text[from..end].trim_end();
                let last = first + u32::try_from(fragment.lines().count()).unwrap_or(MOST) - 1;
                fragments.push((first, last, fragment));
                open = None;
            }
        }
    }
    fragments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_blank_lines_is_lost() {
        let text: String = (1..300).map(|n| if n % 7 == 0 { "\n".into() } else { format!("line {n}\r\n") }).collect();
        let (lines, fragments) = (text.lines().collect::<Vec<_>>(), cut(&text));
        assert!(fragments.len() > 10);
        let mut next = 0;
        for (first, last, fragment) in fragments {
            let (first, last) = (first as usize - 1, last as usize);
            assert!(lines[next..first].iter().all(|line| line.is_empty()));
            assert!(fragment.lines().eq(lines[first..last].iter().copied()), "{fragment:?}");
            next = last;
        }
        assert!(lines[next..].iter().all(|line| line.is_empty()));
        assert_eq!((cut(""), cut(" \n\n"), cut("é")), (vec![], vec![], vec![(1, 1, "é")]));
        assert_eq!(cut(&"x\n".repeat(200)).len(), 3);
    }
}
