//! What a run leaves behind, for the plots and tables: a file of JSON lines.
//!
//! It is `results/<bench>-<seconds>.jsonl` in the target directory, or in the folder that the environment's `RESULTS`
//! names. The first line tells the run:
//!
//! ```json
//! {"run": {"bench": "store", "seconds": 1795268195, "commit": "c54fb27", "machine": "AMD EPYC, 2 cores, 24 GiB",
//!  "system": "Linux 6.1.0, rustc 1.95.0", "command": "cargo bench --manifest-path benches/Cargo.toml --bench store"}}
//! ```
//!
//! `seconds` are those since 1970; `commit` ends in `+` where files that git knows were changed. Each other line is a
//! row: numbers of one subject, in one group of measurements, at one point of what was varied:
//!
//! ```json
//! {"group": "get_hit", "subject": "quick_cache", "at": {"fragments": 1000, "threads": 2},
//!  "is": {"ns": 21.5, "ns_low": 21.3, "ns_high": 21.9}}
//! ```
//!
//! Names of numbers end in their unit or are one (`ns`, `p99_ns`, `peak_bytes`, `hit_ratio`); a number that varies
//! through time or over samples is a list of numbers, lists of one row being of equal lengths. A row's group, subject
//! and `at` name it: where the files of a folder have it twice, the newer file's counts. A file's rows appear as they
//! are measured, so that a run which is cut off leaves what it has.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
    process::Command,
    thread,
    time::SystemTime,
};

use serde_json::{Value, json};

use crate::{estimates::Median, measuring};

/// The file of a run.
pub struct Results {
    /// `None`: nothing is being measured.
    file: Option<File>,
}

impl Results {
    /// Begins the run's file, if this process measures.
    pub fn of_this_run(bench: &str) -> Self {
        if !measuring() {
            return Self { file: None };
        }
        let since_1970 = SystemTime::UNIX_EPOCH.elapsed().expect("the clock is past 1970");
        let directory = env::var_os("RESULTS").map_or_else(|| target_directory().join("results"), PathBuf::from);
        let path = directory.join(format!("{bench}-{}.jsonl", since_1970.as_secs()));
        let opened = fs::create_dir_all(&directory).and_then(|()| File::create(&path));
        let file = opened.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut results = Self { file: Some(file) };
        results.line(&json!({ "run": {
            "bench": bench,
            "seconds": since_1970.as_secs(),
            "commit": commit(),
            "machine": machine(),
            "system": system(),
            "command": command(bench),
        }}));
        results
    }

    /// Adds a row: `is` is what was measured of the subject at that point.
    pub fn row(&mut self, group: &str, subject: &str, at: &[(&str, Value)], is: &[(&str, Value)]) {
        let object = |of: &[(&str, Value)]| -> BTreeMap<String, Value> {
            of.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
        };
        self.line(&json!({ "group": group, "subject": subject, "at": object(at), "is": object(is) }));
    }

    /// Adds a row of a median time per operation; `operations` are those that the median is of.
    #[allow(clippy::cast_precision_loss, reason = "operations are far below 2^52")]
    pub fn median(&mut self, group: &str, subject: &str, at: &[(&str, Value)], median: &Median, operations: u64) {
        let each = |ns: f64| Value::from(ns / operations as f64);
        self.row(
            group,
            subject,
            at,
            &[("ns", each(median.ns)), ("ns_low", each(median.low)), ("ns_high", each(median.high))],
        );
    }

    fn line(&mut self, line: &Value) {
        if let Some(file) = &mut self.file {
            writeln!(file, "{line}").expect("the results' file can be written to");
        }
    }
}

/// The target directory: the benchmark's own executable lies in its `<profile>/deps`.
pub(crate) fn target_directory() -> PathBuf {
    let executable = env::current_exe().ok();
    let target = executable.as_deref().and_then(|path| path.ancestors().nth(3));
    target.map_or_else(|| "target".into(), PathBuf::from)
}

/// What a program prints on its first line, or nothing.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let text = output.ok().filter(|output| output.status.success()).map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned()
}

fn commit() -> String {
    let commit = said("git", &["rev-parse", "--short", "HEAD"]);
    let changed = said("git", &["status", "--porcelain", "--untracked-files=no"]);
    if commit.is_empty() { "unknown".into() } else { commit + if changed.is_empty() { "" } else { "+" } }
}

fn machine() -> String {
    let field = |path: &str, name: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| env::consts::ARCH.into());
    let cores = thread::available_parallelism().map_or_else(|_| "?".into(), |cores| cores.to_string());
    let kib = field("/proc/meminfo", "MemTotal").and_then(|total| total.split(' ').next()?.parse::<u64>().ok());
    let gib = kib.map_or_else(|| "?".into(), |kib| ((kib + (1 << 19)) >> 20).to_string());
    format!("{processor}, {cores} cores, {gib} GiB")
}

fn system() -> String {
    let rustc = said("rustc", &["--version"]);
    let version = rustc.split(' ').nth(1).unwrap_or("unknown");
    format!("{}, rustc {version}", said("uname", &["-sr"]))
}

fn command(bench: &str) -> String {
    let given: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments = if given.is_empty() { String::new() } else { format!(" -- {}", given.join(" ")) };
    format!("cargo bench --manifest-path benches/Cargo.toml --bench {bench}{arguments}")
}
