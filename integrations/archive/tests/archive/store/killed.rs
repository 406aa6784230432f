//! Killed at any instant: a child process stores, removes, restores and flushes under load. What it was told is durable is there.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tierstack::{Capacity, Tier, TierStore};
use tierstack_archive::{Archive, ArchivedOptions, ArchivedStore, Typed};

use super::real::Key;
use super::trial::LIMIT;
use crate::common::{Chance, Local};

const KILLS: u64 = 100;
const FOLDER: &str = "TIERSTACK_STORE_KILLED_FOLDER";
const LOCAL: &str = "TIERSTACK_STORE_KILLED_LOCAL";
const KEYS: u64 = 60;

type Store = ArchivedStore<u64, u64, Box<dyn Archive>, Key, Key>;

/// Each tier keeps five fragments.
fn open(archive: Box<dyn Archive>) -> Store {
    let memory =
        TierStore::builder(5).weigher(|_: &u64, _: &u64| 1).warm_capacity(Capacity::entries(5)).build().unwrap();
    let options = ArchivedOptions::new(Capacity::entries(5))
        .batch_entries(16)
        .linger(Duration::from_micros(500))
        .poll(Duration::from_millis(1));
    ArchivedStore::new(memory, Typed::new(archive, Key, Key), options).unwrap()
}

/// Run by the test below in a process of its own. Values are the archive's ticks at the start and a count, so that they grow from child to child. It tells `stored KEY VALUE` and
/// `removed KEY VALUE` *before* it does so, and `durable KEY VALUE` or `durable KEY -` after a flush: the value that the key has, or none.
#[test]
fn child() {
    let (Ok(folder), Ok(local)) = (std::env::var(FOLDER), std::env::var(LOCAL)) else { return };
    let archive = Local::ALL[local.parse::<usize>().unwrap()].open(Path::new(&folder)).unwrap();
    // Above all values of earlier children, of which each uses a tick at least.
    let mut number: u64 = std::env::var("TIERSTACK_STORE_KILLED_NUMBER").unwrap().parse().unwrap();
    let store = open(archive);
    let (mut chance, mut out) = (Chance(number), std::io::stdout());
    let mut known: HashMap<u64, Option<u64>> = HashMap::new();
    writeln!(out, "\nopen").unwrap();
    for step in 1_u64.. {
        let key = chance.below(KEYS);
        number += 1;
        match chance.below(10) {
            0 | 1 => {
                writeln!(out, "removed {key} {number}").unwrap();
                store.remove(&key);
                known.insert(key, None);
            }
            2 => {
                // A use in the midst of it, and a check beside.
                let restored = store.get_or_restore(&key).unwrap().map(|restored| restored.fragment.value);
                if let Some(known) = known.get(&key) {
                    assert_eq!(restored, *known, "key {key}");
                }
            }
            _ => {
                writeln!(out, "stored {key} {number}").unwrap();
                store.store(key, number).unwrap();
                store
                    .memory()
                    .demote_to(&key, [Tier::Warm, Tier::Cold, Tier::Hot][usize::try_from(chance.below(3)).unwrap()]);
                known.insert(key, Some(number));
            }
        }
        if step % 40 == 0 {
            // A flush makes durable what is not in memory, and the removals; a checkpoint makes all durable.
            let is_all = step % 160 == 0;
            if is_all {
                store.checkpoint(LIMIT).unwrap();
            } else {
                store.flush(LIMIT).unwrap();
            }
            for (key, value) in &known {
                match value {
                    Some(value) if is_all || !store.memory().contains(key) => writeln!(out, "durable {key} {value}"),
                    None => writeln!(out, "durable {key} -"),
                    Some(_) => Ok(()),
                }
                .unwrap();
            }
            writeln!(out, "flushed").unwrap();
            out.flush().unwrap();
        }
    }
}

/// What may be found of a key: what was durable last, and all that was done since.
#[derive(Clone, Debug)]
struct May(Vec<Option<u64>>);

fn killed(local: usize) {
    let folder = tempfile::tempdir().unwrap();
    let mut chance = Chance(7 + local as u64);
    let mut may: HashMap<u64, May> = (0..KEYS).map(|key| (key, May(vec![None]))).collect();
    let (mut number, mut durable, mut slowest, mut steps) = (0_u64, 0_u64, Duration::ZERO, 0_u64);
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["store::killed::child", "--exact", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(LOCAL, local.to_string())
            .env("TIERSTACK_STORE_KILLED_NUMBER", number.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let reader = std::thread::spawn(move || {
            let mut lines = Vec::new();
            let mut line = String::new();
            while out.read_line(&mut line).unwrap_or(0) > 0 {
                // One that was cut off does not count.
                if line.ends_with('\n') {
                    lines.push(line.trim_end().to_string());
                }
                line.clear();
            }
            lines
        });
        std::thread::sleep(Duration::from_micros(5_000 + chance.below(120_000)));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(
            output.stderr.is_empty() || output.status.code().is_none(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut given_up = false;
        for line in reader.join().unwrap() {
            let words: Vec<&str> = line.split(' ').collect();
            let number_of = |at: usize| words[at].parse::<u64>().unwrap();
            match words[0] {
                "stored" if words.len() == 3 => {
                    may.get_mut(&number_of(1)).unwrap().0.push(Some(number_of(2)));
                    (number, steps) = (number.max(number_of(2)), steps + 1);
                }
                "removed" if words.len() == 3 => {
                    may.get_mut(&number_of(1)).unwrap().0.push(None);
                    number = number.max(number_of(2));
                }
                "durable" if words.len() == 3 => {
                    let value = words[2].parse::<u64>().ok();
                    // All that was before it is out of the question, in the order in which it was told.
                    may.insert(number_of(1), May(vec![value]));
                    durable += 1;
                }
                "panicked" => given_up = true,
                _ => {}
            }
        }
        assert!(!given_up);
        // The child may have done some more that its pipe has not told: no, it tells before it does, and a pipe keeps what was written.
        let begun = Instant::now();
        let archive = Local::ALL[local].open(folder.path()).unwrap();
        slowest = slowest.max(begun.elapsed());
        let store = open(archive);
        for key in 0..KEYS {
            let found = store.get_or_restore(&key).unwrap().map(|restored| restored.fragment.value);
            let may = may.get_mut(&key).unwrap();
            assert!(may.0.contains(&found), "after {kill} kills: key {key} is {found:?}, and may be {:?}", may.0);
            // What is in the archive now is where the next child starts.
            *may = May(vec![found]);
        }
        number += 1_000_000;
    }
    println!(
        "{:?}: {KILLS} kills, {steps} stores, {durable} told durable, the slowest open took {slowest:?}",
        Local::ALL[local]
    );
    assert!(durable > KILLS);
}

#[test]
fn with_a_redb_file_what_was_flushed_is_there() {
    killed(0);
}

#[test]
fn with_a_redb_file_that_is_flushed_by_the_writer_what_was_flushed_is_there() {
    killed(1);
}

#[test]
fn with_a_folder_what_was_flushed_is_there() {
    killed(2);
}
