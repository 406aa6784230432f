//! Four retrieval strategies over source fragments, in memory that holds a seventh of them. The rest is archived.
//!
//! ```text
//! cargo run --release --features serde --example strategies [-- [OPTIONS] [DIR] [QUESTION]...]
//! ```
//!
//! The first run cuts the files of a directory into fragments and stores them. Hot and warm hold a tenth of them together, and cold half as much. What leaves
//! cold goes to the archive: a redb file in a folder, or with `--archive s3://bucket/prefix` a bucket. At the end a checkpoint
//! writes what is still in memory.
//!
//! The second run starts from the archive. It reads no source. Its strategies read fragments by `get_or_restore`, which puts them back into memory.
//!
//! Where to read on:
//!
//! | what | where |
//! |---|---|
//! | opening an archive, by what the command line says | `open_archive` |
//! | a store whose memory is bounded, with the archive behind it | `archived_store` |
//! | storing more than memory holds, and waiting where the archive is behind | `load` |
//! | reading what may have left memory | `retrieve` |
//! | having all on the disk before the end | `run`, at its end |
//!
//! The rest is the job: `files.rs` cuts files into fragments, `index.rs` knows the words of each, and `judges.rs` has the four strategies. tierstack's own
//! example of this name does it in full, with a loader that stores while the strategies run.

mod files;
mod index;
mod judges;

use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Parser;
use serde::{Deserialize, Serialize};
use tierstack::executor::{Outcome, StrategyContext, StrategyError, StrategyExecutor};
use tierstack::{Capacity, PlanContext, Tier, TierStore};
use tierstack_archive::{Archive, ArchivedOptions, ArchivedStore, Postcard, RedbArchive, Typed};

use files::{File, cut, walk};
use index::{Index, Question};
use judges::{JUDGES, Judge};

/// Asks a question of a directory. What does not fit into memory is archived, and a second run starts from the archive.
#[derive(Parser)]
#[command(name = "strategies", max_term_width = 100)]
struct Args {
    /// Where to look. A run that finds fragments in the archive does not look there.
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,

    /// What to look for, in words
    #[arg(
        value_name = "QUESTION",
        default_value = "When does an archived fragment leave memory, and when is it restored?"
    )]
    question: Vec<String>,

    /// Where the archive is: a folder, or `s3://bucket/prefix` with the feature `aws` and the usual `AWS_…` variables
    #[arg(long, value_name = "WHERE", default_value = "strategies-archive")]
    archive: String,

    /// In the folder, keep segments as in a bucket instead of a redb file (with the feature `fs`)
    #[arg(long)]
    segments: bool,

    /// How many of the best fragments to print
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
}

/// Which lines of which file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Key {
    path: Arc<str>,
    first: u32,
    last: u32,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}-{}", self.path, self.first, self.last)
    }
}

/// The lines, and when their file was last modified.
#[derive(Debug, Serialize, Deserialize)]
struct Snippet {
    text: Box<str>,
    modified: SystemTime,
}

/// Keys and values go to the archive in postcard's format. Values are behind an `Arc`, so that memory hands them out cheaply.
type Fragments = Typed<Box<dyn Archive>, Postcard, Postcard>;
type Store = ArchivedStore<Key, Arc<Snippet>, Box<dyn Archive>, Postcard, Postcard>;
type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    let question = Question::new(&args.question.join(" ")).ok_or("the question has no words to look for")?;
    let archive = Typed::new(open_archive(args)?, Postcard, Postcard);
    let found = archive.archive().status()?.records;
    let sources = if found > 0 { "no source is read" } else { "the sources are read" };
    println!("found       {} in {}: {sources}", counted(found, "fragment"), args.archive);

    // What is known of each fragment: its words, not its text.
    let mut index = Index::new(question);
    let (store, behind) = if found > 0 {
        scan(&archive, &mut index)?;
        (archived_store(archive, index.bytes)?, 0)
    } else {
        let files = walk(&args.dir)?;
        let store = archived_store(archive, files.iter().map(|file| file.bytes).sum())?;
        let behind = load(&store, &files, &mut index)?;
        (store, behind)
    };
    if index.entries.is_empty() {
        return Err(format!("there are no text files in {}", args.dir.display()).into());
    }
    index.weigh();

    let best = retrieve(&store, &index)?;
    put_into_hot(&store, &best)?;
    println!("\nbest of {} fragments:", index.entries.len());
    for (rank, key) in (1..).zip(best.iter().take(args.top)) {
        let tier = store.memory().tier_of(key).map_or("archived".into(), |tier| format!("{tier:?}").to_lowercase());
        println!("{rank:>4}. {key}  ({tier})");
    }

    // Until here, a crash would have lost what is in memory only.
    let copied = store.checkpoint(LONG)?;
    let (memory, health) = (store.memory(), store.health());
    let status = store.archive().archive().status()?;
    let stored = if found == 0 { index.entries.len() as u64 } else { 0 };
    println!("\nstored      {} from files", counted(stored, "fragment"));
    println!("archived    {} left memory, each when the archive had it", counted(health.archived, "fragment"));
    println!("restored    {} from the archive", counted(health.restored, "fragment"));
    println!("behind      {} were told to wait, and waited", counted(behind, "store"));
    println!("checkpoint  {} of those in memory written", counted(copied, "fragment"));
    let [hot, warm, cold] = Tier::ALL.map(|tier| memory.bytes(tier));
    println!("bytes       {} of text in all; hot {hot}, warm {warm}, cold {cold}", index.bytes);
    println!("            {} in the archive, for {}", status.bytes, counted(status.records, "record"));
    Ok(())
}

/// How long to wait for a disk or a server before something must be wrong.
const LONG: Duration = Duration::from_mins(1);

/// Whatever the archive is kept on, the rest of the program sees an [`Archive`].
fn open_archive(args: &Args) -> Result<Box<dyn Archive>, Failure> {
    if args.archive.contains("://") {
        #[cfg(feature = "aws")]
        return Ok(Box::new(tierstack_archive::ObjectOptions::new().open_url(&args.archive)?));
        #[cfg(not(feature = "aws"))]
        return Err("for a bucket, build it with `--features serde,aws`".into());
    }
    if args.segments {
        #[cfg(feature = "fs")]
        return Ok(Box::new(tierstack_archive::ObjectOptions::new().open_folder(&args.archive)?));
        #[cfg(not(feature = "fs"))]
        return Err("for segments, build it with `--features serde,fs`".into());
    }
    fs::create_dir_all(&args.archive)?;
    Ok(Box::new(RedbArchive::open(Path::new(&args.archive).join("archive.redb"))?))
}

/// Hot and warm hold a tenth of so many bytes together, and cold a twentieth.
fn archived_store(archive: Fragments, bytes: u64) -> Result<Store, Failure> {
    let twentieth = (bytes / 20).max(1);
    let memory = TierStore::builder(twentieth)
        .weigher(|_, snippet: &Arc<Snippet>| snippet.text.len() as u64)
        .warm_capacity(Capacity::bytes(twentieth))
        .build()?;
    // Cold has no capacity in the store itself: what is above this one waits there until the archive has it.
    let options = ArchivedOptions::new(Capacity::bytes(twentieth)).queue_bytes(twentieth);
    Ok(ArchivedStore::new(memory, archive, options)?)
}

/// Stores all fragments of the files, and waits where the archive is behind, so that memory stays bounded. How often that was.
fn load(store: &Store, files: &[File], index: &mut Index) -> Result<u64, Failure> {
    let mut behind = 0;
    for file in files {
        let Some((text, modified)) = file.read() else { continue };
        for (first, last, text) in cut(&text) {
            let key = Key { path: file.path.clone(), first, last };
            let snippet = Arc::new(Snippet { text: text.into(), modified });
            index.add(key.clone(), &snippet);
            if store.store(key, snippet)?.is_behind {
                behind += 1;
                if !store.wait_for_room(LONG) {
                    return Err(format!("the archive takes nothing: {:?}", store.health().error).into());
                }
            }
        }
    }
    Ok(behind)
}

/// Goes through the archive once, instead of the files. Nothing of it stays in memory but the index.
fn scan(archive: &Fragments, index: &mut Index) -> Result<(), Failure> {
    archive.scan(|key: Key, _, snippet: Arc<Snippet>| {
        index.add(key, &snippet);
        ControlFlow::Continue(())
    })?;
    // The archive's order is that of the keys' bytes.
    index.entries.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(())
}

/// A strategy picks so many fragments.
const SHORTLIST: usize = 32;

/// What a strategy records in the plan.
#[derive(Clone, Debug)]
struct Picked;

/// Runs all strategies at once. The fragments that they picked, the best first.
fn retrieve(store: &Store, index: &Index) -> Result<Vec<Key>, Failure> {
    let plan = PlanContext::<Picked>::new();
    let executor = StrategyExecutor::new(store.memory(), &plan);
    let strategies = JUDGES.map(|(name, judge)| {
        executor.strategy(name, move |context| -> Result<_, StrategyError> {
            let mut picks = read_all(store, index, judge, context)?;
            picks.sort_by(|(a, a_score), (b, b_score)| b_score.total_cmp(a_score).then(a.cmp(b)));
            picks.truncate(SHORTLIST);
            context.record_all(picks.iter().map(|_| Picked))?;
            Ok(Outcome::new(picks.len()).with_ranking(picks))
        })
    });
    let run = executor.run(&strategies);
    if let Some((report, failure)) = run.failed().next() {
        return Err(format!("{}: {failure}", report.name).into());
    }
    // Of what is said word for word in several places, the best is enough.
    let mut said = HashSet::new();
    let mut best = Vec::new();
    for fused in run.fused() {
        let Some(found) = store.get_or_restore(fused.item())? else { continue };
        if said.insert(found.fragment.value.text.clone()) {
            best.push(fused.into_item());
        }
    }
    Ok(best)
}

/// Reads each fragment that may answer, from memory or the archive, and judges it.
fn read_all(
    store: &Store,
    index: &Index,
    judge: Judge,
    context: &StrategyContext<'_, Key, Arc<Snippet>, Picked>,
) -> Result<Vec<(Key, f64)>, StrategyError> {
    let mut picks = Vec::new();
    for entry in index.entries.iter().filter(|entry| index.is_worth_reading(entry)) {
        context.check()?;
        // A `get` would find only what is in memory. This blocks while it reads the archive.
        let found = store.get_or_restore(&entry.key).map_err(StrategyError::other)?;
        let Some(found) = found else { continue };
        if let Some(score) = judge(index, entry, &found.fragment.value) {
            picks.push((entry.key.clone(), score));
        }
    }
    Ok(picks)
}

/// Fills hot with the best: the context of a prompt.
fn put_into_hot(store: &Store, best: &[Key]) -> Result<(), Failure> {
    let memory = store.memory();
    while memory.evict_lru(Tier::Hot).is_some() {}
    let (mut room, mut context) = (memory.hot_budget(), Vec::new());
    for key in best {
        // Other restores may have pushed it out again.
        let Some(found) = store.get_or_restore(key)? else { continue };
        if found.fragment.weight <= room {
            room -= found.fragment.weight;
            context.push(key);
        }
    }
    // A tier runs from the most recently used on, so the best is promoted last.
    for key in context.iter().rev() {
        if store.get_or_restore(*key)?.is_some() {
            memory.promote_to(*key, Tier::Hot)?;
        }
    }
    Ok(())
}

/// `1 fragment`, `2 fragments`.
fn counted(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}
