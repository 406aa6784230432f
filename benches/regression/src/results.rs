//! The counts as a file of results, for the goals and tables that `benches/plots.py` makes: `benches/src/results.rs` in the other
//! package says what such a file is.

use std::{fs, path::Path, process::Command, time::SystemTime};

use serde_json::json;

use crate::baseline::Baseline;

/// Leaves `regression-<seconds>.jsonl` in the folder.
pub fn write(folder: &Path, counted: &Baseline) -> Result<(), String> {
    let seconds = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    let run = json!({ "run": {
        "bench": "regression",
        "seconds": seconds,
        "commit": commit(),
        "machine": "counts of callgrind",
        "system": counted.rustc,
        "command": ".ci/regression",
    }});
    let rows = counted.jobs.iter().map(|(name, counts)| {
        let is =
            json!({ "instructions": counts.instructions, "allocations": counts.allocations, "bytes": counts.bytes });
        json!({ "group": "instructions", "subject": "tierstack", "at": { "job": name }, "is": is })
    });
    let lines: Vec<String> = [run].into_iter().chain(rows).map(|line| line.to_string()).collect();
    let path = folder.join(format!("regression-{seconds}.jsonl"));
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, lines.join("\n") + "\n"));
    written.map_err(|error| format!("{}: {error}", path.display()))
}

fn commit() -> String {
    let said = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success());
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let commit = said(&["rev-parse", "--short", "HEAD"]);
    let changed = said(&["status", "--porcelain", "--untracked-files=no"]);
    if commit.is_empty() { "unknown".into() } else { commit + if changed.is_empty() { "" } else { "+" } }
}
