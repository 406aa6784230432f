//! What an archive behind a store costs, beside other ways to keep on a disk what overflows memory. Prints one table in markdown.
//!
//! ```text
//! cargo run --release --locked --manifest-path integrations/archive/benches/Cargo.toml [-- --brief]
//! ```
//!
//! Fragments of 1 KiB that do not compress are stored into memory that holds a tenth of them.
//!
//! - **Stores a second**: one thread stores fresh keys as fast as it is let. Where a subject says that it is behind, the thread waits. The time ends
//!   when all that has overflowed is safe. What is *safe* differs: the table says it.
//! - **Lost**: fragments that are then neither in memory nor on the disk.
//! - **Written**: bytes that the system has been made to write to the disk, for each byte of keys and values that is there then (`/proc/self/io`).
//!   **On the disk**: bytes that the files take, likewise.
//! - **Restores a second**: random keys are looked up in memory, then on the disk, and put back into memory. That pushes others out again. The system has the files in its cache.
//! - **`get`, `store`**: times of single operations of one thread, a pair at each beat. The beat is the same for all: half of what the slower archive sustains. The
//!   rounds of all subjects take turns. A `get` looks into memory only, and the key is there. A wait for room would not be counted; whether there
//!   was one is said. "Without waits" are the times less what the thread waited for a core, by the scheduler's count.
//!
//! On a machine of two cores, the thread that is timed has one and the archive's writer the other. Anything else that runs shows in the tails.

mod disk;
mod measure;
mod subjects;
mod table;
mod times;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;

use crate::measure::{Latency, Plan, Sustained};
use crate::subjects::{FOLDER, KINDS, Kind, REDB, Sizes, Values};

/// Measures what an archive behind a store costs, beside other ways to keep on a disk what overflows memory.
#[derive(Parser)]
struct Args {
    /// A small run, to see that all works: its figures say nothing.
    #[arg(long)]
    brief: bool,
    /// How many fragments of 1 KiB are stored.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1000..=10_000_000))]
    stores: Option<u64>,
    /// Only subjects with this in their names.
    #[arg(long, value_name = "PART")]
    only: Option<String>,
    /// Where the files go [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let stores = args.stores.unwrap_or(if args.brief { 5000 } else { 200_000 });
    let plan = if args.brief {
        Plan { sizes: Sizes { stores }, longest: Duration::from_secs(1), restores: 500, rounds: 1 }
    } else {
        Plan { sizes: Sizes { stores }, longest: Duration::from_secs(20), restores: 20_000, rounds: 4 }
    };
    let folder = args.folder.unwrap_or_else(std::env::temp_dir);
    let kinds: Vec<_> =
        KINDS.iter().filter(|kind| args.only.as_ref().is_none_or(|part| kind.name.contains(&**part))).collect();
    let rows = run(&kinds, &plan, &folder)?;
    print!("{}", table::markdown(&rows, &plan));
    Ok(())
}

/// What was measured of one subject.
struct Row {
    kind: &'static Kind,
    sustained: Sustained,
    latency: Latency,
    beat: Duration,
}

fn run(kinds: &[&'static Kind], plan: &Plan, folder: &Path) -> Result<Vec<Row>, Box<dyn Error>> {
    let values = Values::new();
    let inside = || tempfile::tempdir_in(folder);
    let mut rows = Vec::new();
    for kind in kinds {
        eprintln!("{}: storing and restoring", kind.name);
        let sustained = measure::sustained(kind, plan, &values, inside()?.path())?;
        rows.push(Row { kind, sustained, latency: Latency::new(), beat: Duration::ZERO });
    }
    let archives = rows.iter().filter(|row| [REDB, FOLDER].contains(&row.kind.name));
    let slower = archives.map(|row| row.sustained.stores).fold(f64::INFINITY, f64::min);
    let beat = Duration::from_secs_f64((2.0 / slower).clamp(20e-6, 500e-6));
    for round in 1..=plan.rounds {
        for row in &mut rows {
            eprintln!("{}: timing, round {round} of {}", row.kind.name, plan.rounds);
            row.beat = beat;
            row.latency.round(row.kind, plan, beat, &values, inside()?.path())?;
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subjects::MEMORY;

    #[test]
    fn each_subject_does_the_job() {
        let folder = tempfile::tempdir().unwrap();
        let plan =
            Plan { sizes: Sizes { stores: 1000 }, longest: Duration::from_millis(500), restores: 100, rounds: 1 };
        let kinds: Vec<_> = KINDS.iter().collect();
        let rows = run(&kinds, &plan, folder.path()).unwrap();
        for Row { kind, sustained, latency, .. } in &rows {
            assert!(sustained.stores > 0.0 && latency.get.len() > 0 && latency.store.len() > 0, "{}", kind.name);
            assert!(latency.missed <= latency.get.len() / 20, "{}: {} missed", kind.name, latency.missed);
            if kind.name == MEMORY {
                assert!(sustained.lost > 0 && sustained.restores.is_none());
            } else {
                assert_eq!(sustained.lost, 0, "{}", kind.name);
            }
        }
        let table = table::markdown(&rows, &plan);
        assert!(KINDS.iter().all(|kind| table.contains(kind.name)), "{table}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it leaves nothing behind");
    }
}
