//! What single operations cost, in instructions and allocations: numbers that are the same on every run and under any load,
//! so that a rise is a rise. `.ci/regression` runs this, and compares it with what is committed in `baseline.json`.
//!
//! Each job is done by one thread, on a store that was filled and used before, with a hasher of a fixed seed. Instructions are
//! counted by callgrind, from the call of [`tierstack_measured`] to its return, in a process for each job. (Where instructions
//! went, the same tool can tell: the script says how to ask it.) Times, caches and what threads do to each other are not
//! seen: that is for the other benchmarks.

#![allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]

mod allocations;
mod baseline;
mod jobs;
mod results;

use std::{
    collections::BTreeMap,
    env, fs,
    hint::black_box,
    path::Path,
    process::{Command, ExitCode},
};

use allocations::Counting;
use baseline::{Baseline, Counts};
use jobs::{JOBS, Job};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What is counted is what happens in here. Named so that callgrind finds it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "Rust" fn tierstack_measured(work: &mut dyn FnMut()) {
    work();
    black_box(());
}

/// What the script has callgrind count: the function's own name.
const MEASURED: &str = "tierstack_measured";

/// Does a job in this process, and prints what it allocated.
fn run_job(job: &Job) {
    let mut counted = (0, 0);
    (job.run)(&mut |work| {
        let before = allocations::so_far();
        tierstack_measured(work);
        let after = allocations::so_far();
        counted = (after.0 - before.0, after.1 - before.1);
    });
    println!("{} {}", counted.0, counted.1);
}

/// The numbers that a job prints.
fn allocations_of(job: &Job) -> Result<(u64, u64), String> {
    let output = this().args([JOB, job.name]).output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace().map_while(|number| number.parse().ok());
    match (output.status.success(), numbers.next(), numbers.next()) {
        (true, Some(allocations), Some(bytes)) => Ok((allocations, bytes)),
        _ => Err(format!("{}: {}{}", job.name, text, String::from_utf8_lossy(&output.stderr))),
    }
}

/// The instructions that callgrind counts in a job.
fn instructions_of(job: &Job, out: &Path) -> Result<u64, String> {
    let file = out.join(format!("callgrind.{}", job.name));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .arg(format!("--toggle-collect={MEASURED}"))
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(env::current_exe().map_err(|error| error.to_string())?)
        .args([JOB, job.name])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let text = fs::read_to_string(&file).unwrap_or_default();
    let summary = text.lines().find_map(|line| line.strip_prefix("summary: ")?.trim().parse().ok());
    summary
        .filter(|&instructions| output.status.success() && instructions > 0)
        .ok_or_else(|| format!("{}: callgrind counted nothing: {}", job.name, String::from_utf8_lossy(&output.stderr)))
}

fn this() -> Command {
    Command::new(env::current_exe().expect("a process knows its own program"))
}

fn has_valgrind() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// The argument before a job that is to be done in this process.
const JOB: &str = "--job";
/// Writes the baseline anew.
const UPDATE: &str = "--update";

fn count_all(out: &Path) -> Result<BTreeMap<String, Counts>, String> {
    let valgrind = has_valgrind();
    if !valgrind {
        println!("== NO INSTRUCTIONS ARE COUNTED: there is no valgrind (apt-get install valgrind); allocations are");
    }
    fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    let mut all = BTreeMap::new();
    for job in &JOBS {
        let each = |count: u64| count as f64 / job.operations as f64;
        let (allocations, bytes) = allocations_of(job)?;
        let instructions = if valgrind { Some(each(instructions_of(job, out)?)) } else { None };
        let counts = Counts { instructions, allocations: each(allocations), bytes: each(bytes) };
        all.insert(job.name.to_owned(), counts);
    }
    Ok(all)
}

fn run(baseline: &Path, out: &Path, update: bool) -> Result<bool, String> {
    let now = Baseline { rustc: baseline::rustc(), jobs: count_all(out)? };
    if let Some(folder) = env::var_os("RESULTS") {
        results::write(Path::new(&folder), &now)?;
    }
    if update {
        if now.jobs.values().any(|counts| counts.instructions.is_none()) {
            return Err("a baseline has instructions: install valgrind".into());
        }
        now.write(baseline)?;
        println!("{} is written anew", baseline.display());
        return Ok(true);
    }
    Ok(now.holds_against(&Baseline::read(baseline)?))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [JOB, name] => {
            let job = JOBS.iter().find(|job| job.name == *name).expect("the jobs have names");
            run_job(job);
            ExitCode::SUCCESS
        }
        [baseline, out, rest @ ..] if rest.is_empty() || rest == [UPDATE] => {
            match run(Path::new(baseline), Path::new(out), !rest.is_empty()) {
                Ok(true) => ExitCode::SUCCESS,
                Ok(false) => ExitCode::FAILURE,
                Err(error) => {
                    eprintln!("{error}");
                    ExitCode::FAILURE
                }
            }
        }
        _ => {
            eprintln!("usage: tierstack-regression BASELINE OUT [{UPDATE}]");
            ExitCode::FAILURE
        }
    }
}
