//! Finding and reading the files.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{self, Read},
    path::{MAIN_SEPARATOR, Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::SystemTime,
};

use ignore::{DirEntry, WalkBuilder, WalkState};

use crate::{
    format::{count, printable},
    progress::Progress,
    sources::Roots,
};

/// Longer files are data or generated; no one reads them for an answer.
const MAX_FILE_BYTES: u64 = 512 << 10;
/// Enough for any project, and few enough for any machine.
const MAX_TOTAL_BYTES: u64 = 1 << 30;
/// So many of the files that were skipped for one reason are named.
const NAMED: usize = 3;

/// A text file.
pub struct Source {
    /// Below the base of the roots.
    pub path: Arc<str>,
    /// Where it can be read again.
    pub disk_path: PathBuf,
    pub text: String,
    pub modified: SystemTime,
}

/// Why a file was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    Unreadable,
    NotUtf8,
    Binary,
    TooLong,
    /// The files before it already make up [`MAX_TOTAL_BYTES`].
    TooMany,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => f.write_str("unreadable"),
            Self::NotUtf8 => f.write_str("not UTF-8"),
            Self::Binary => f.write_str("binary"),
            Self::TooLong => write!(f, "longer than {} KiB", MAX_FILE_BYTES >> 10),
            Self::TooMany => write!(f, "past {} GiB in all", MAX_TOTAL_BYTES >> 30),
        }
    }
}

/// What a walk met, apart from the texts themselves.
#[derive(Default)]
pub struct Walked {
    pub files: u64,
    pub bytes: u64,
    skipped: BTreeMap<Skip, Vec<String>>,
}

impl Walked {
    /// ` (skipped: 2 unreadable, 1 binary)`, or nothing.
    pub fn in_brackets(&self) -> String {
        let parts = self.skipped.iter().map(|(why, files)| format!("{} {why}", count(files.len() as u64)));
        let parts = parts.collect::<Vec<_>>().join(", ");
        if parts.is_empty() { parts } else { format!(" (skipped: {parts})") }
    }

    /// A line for each reason to skip, with the first few files.
    pub fn skipped(&self) -> impl Iterator<Item = String> {
        self.skipped.iter().map(|(why, files)| {
            let more = if files.len() > NAMED { ", …" } else { "" };
            format!("{} {why}: {}{more}", count(files.len() as u64), files[..files.len().min(NAMED)].join(", "))
        })
    }
}

/// Reads all text files below the roots, on `threads` threads. Links are not followed, so there are no loops; hidden
/// files are left out, as are those that ignore files name. The texts are in the order of their paths.
pub fn walk(roots: &Roots, threads: usize, progress: &Progress) -> (Vec<Source>, Walked) {
    let mut walker = WalkBuilder::new(&roots.dirs[0]);
    for dir in &roots.dirs[1..] {
        walker.add(dir);
    }
    walker.standard_filters(roots.ignore_files).hidden(true).threads(threads);
    let total = AtomicU64::new(0);
    let bar = progress.spinner("reading");
    let (found, receiver) = mpsc::channel();
    walker.build_parallel().run(|| {
        let (found, bar, total) = (found.clone(), &bar, &total);
        Box::new(move |entry| {
            let result = match &entry {
                Ok(entry) if !entry.file_type().is_some_and(|kind| kind.is_file()) => return WalkState::Continue,
                Ok(entry) => read_entry(entry, roots, total),
                Err(error) => Err((Skip::Unreadable, error_path(error, roots))),
            };
            bar.inc(1);
            // The receiver is there until all walkers have ended.
            let _ = found.send(result);
            WalkState::Continue
        })
    });
    drop(found);

    let (mut sources, mut walked) = (Vec::new(), Walked::default());
    for result in receiver {
        match result {
            Ok(source) => {
                walked.files += 1;
                walked.bytes += source.text.len() as u64;
                sources.push(source);
            }
            Err((why, path)) => walked.skipped.entry(why).or_default().push(path),
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    walked.skipped.values_mut().for_each(|files| files.sort());
    bar.finish_and_clear();
    (sources, walked)
}

fn read_entry(entry: &DirEntry, roots: &Roots, total: &AtomicU64) -> Result<Source, (Skip, String)> {
    let path = entry.path().strip_prefix(&roots.base).unwrap_or(entry.path());
    let shown = || printable(&path.display().to_string());
    // Two names that are not UTF-8 could look the same once they are, and be one key.
    let utf8 = path.to_str().ok_or_else(|| (Skip::NotUtf8, shown()))?;
    if total.load(Ordering::Relaxed) > MAX_TOTAL_BYTES {
        return Err((Skip::TooMany, shown()));
    }
    let (text, modified) = read(entry.path()).map_err(|why| (why, shown()))?;
    // A count that publishes nothing: the limit need not be exact.
    total.fetch_add(text.len() as u64, Ordering::Relaxed);
    Ok(Source { path: utf8.replace(MAIN_SEPARATOR, "/").into(), disk_path: entry.path().to_owned(), text, modified })
}

/// The text of a file, and when it was last modified.
pub fn read(path: &Path) -> Result<(String, SystemTime), Skip> {
    let open = || -> io::Result<_> {
        let file = File::open(path)?;
        let modified = file.metadata()?.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        Ok((bytes, modified))
    };
    let (bytes, modified) = open().map_err(|_| Skip::Unreadable)?;
    if bytes.contains(&0) {
        return Err(Skip::Binary);
    }
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Skip::TooLong);
    }
    String::from_utf8(bytes).map(|text| (text, modified)).map_err(|_| Skip::NotUtf8)
}

/// The path that an error of the walker is about, with what went wrong.
fn error_path(error: &ignore::Error, roots: &Roots) -> String {
    let mut inner = error;
    while let ignore::Error::WithDepth { err, .. } = inner {
        inner = err;
    }
    match inner {
        ignore::Error::WithPath { path, .. } => {
            printable(&path.strip_prefix(&roots.base).unwrap_or(path).display().to_string())
        }
        other => printable(&other.to_string()),
    }
}
