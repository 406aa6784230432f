//! Killed at any instant: a child process commits, and is killed a hundred times. What it was told of is there, and what is there is a prefix
//! of its commits.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tierstack_archive::{Archive, Durability};

use crate::common::{Chance, Local, Model, Step, agree, ops};

const KILLS: u64 = 100;
const FOLDER: &str = "TIERSTACK_ARCHIVE_KILLED_FOLDER";
const LOCAL: &str = "TIERSTACK_ARCHIVE_KILLED_LOCAL";

/// The batch of that number, the first is 1. Its highest tick tells the number.
fn batch(number: u64) -> Vec<Step> {
    let mut chance = Chance(number);
    let mut steps: Vec<Step> = (0..chance.below(12))
        .map(|step| Step {
            key: chance.below(40).to_be_bytes().to_vec(),
            tick: number * 100 + step,
            value: (chance.below(4) > 0)
                .then(|| number.to_le_bytes().repeat(usize::try_from(chance.below(300)).unwrap())),
        })
        .collect();
    // Late ones, that must not overwrite, and the one that tells the number.
    let late = Step { key: chance.below(40).to_be_bytes().to_vec(), tick: number * 50, value: Some(b"late".to_vec()) };
    let last = Step { key: b"last".to_vec(), tick: number * 100 + 99, value: Some(number.to_le_bytes().to_vec()) };
    steps.extend([late, last]);
    steps
}

/// Run by the test below in a process of its own.
#[test]
fn child() {
    let (Ok(folder), Ok(local)) = (std::env::var(FOLDER), std::env::var(LOCAL)) else { return };
    let local = Local::ALL[local.parse::<usize>().unwrap()];
    let archive = local.open(Path::new(&folder)).unwrap();
    let first = archive.status().unwrap().highest_tick / 100 + 1;
    let mut out = std::io::stdout();
    for number in first.. {
        archive.commit(&ops(&batch(number))).unwrap();
        if local != Local::Redb(Durability::OnFlush) || number % 5 == 0 {
            archive.flush().unwrap();
            writeln!(out, "\nflushed {number}").unwrap();
            out.flush().unwrap();
        }
        if number % 17 == 0 {
            archive.compact().unwrap();
        }
    }
}

fn killed(local: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (mut model, mut applied, mut chance, mut slowest) = (Model::default(), 0, Chance(local as u64), Duration::ZERO);
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["killed::child", "--exact", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(LOCAL, local.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Some are killed while they open, the rest under load.
        let wait = Duration::from_micros(chance.below(60_000));
        if kill % 10 > 0 {
            let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
            while !lines.next().expect("the child has ended by itself").unwrap().starts_with("flushed") {}
        }
        std::thread::sleep(wait);
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        let flushed = String::from_utf8(output.stdout).unwrap();
        let flushed =
            flushed.lines().filter_map(|line| line.strip_prefix("flushed ")?.parse().ok()).max().unwrap_or(applied);
        assert!(
            output.stderr.is_empty() || output.status.code().is_none(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );

        let begun = Instant::now();
        let archive = Local::ALL[local].open(folder.path()).unwrap();
        slowest = slowest.max(begun.elapsed());
        let there = archive.status().unwrap().highest_tick / 100;
        assert!(there >= flushed, "flushed {flushed}, there {there}, after {kill} kills");
        for number in applied + 1..=there {
            model.commit(&batch(number)).unwrap();
        }
        applied = there;
        agree(&archive, &model);
    }
    println!("{:?}: {KILLS} kills, {applied} commits, the slowest open took {slowest:?}", Local::ALL[local]);
    assert!(applied > KILLS / 2);
}

#[test]
fn a_redb_file_is_a_prefix_of_commits() {
    killed(0);
}

#[test]
fn a_redb_file_that_is_flushed_now_and_then_is_a_prefix_of_commits() {
    killed(1);
}

#[test]
fn a_folder_is_a_prefix_of_commits() {
    killed(2);
}
