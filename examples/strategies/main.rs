//! Four retrieval strategies over one shared store: what `tierstack` is for, from end to end.
//!
//! ```text
//! cargo run --release --features rayon --example strategies [-- [OPTIONS] [DIR] [QUESTION]...]
//! ```
//!
//! The files of a directory are cut into fragments and loaded into one [`TierStore`](tierstack::TierStore). Then
//! strategies run at once; each reads fragments, promotes what it picks and demotes what it rejects, while a
//! loader thread goes on storing and replacing, and a watcher thread does nothing but read the hot bytes. The rankings
//! are fused, and the best fragments that fit into the budget are put into hot: the context of a prompt.
//!
//! A [`StrategyExecutor`](tierstack::executor::StrategyExecutor) runs them on rayon. All of it is recorded in one
//! [`PlanContext`](tierstack::PlanContext): what a strategy picks and rejects in a changeset of its own, and what the
//! loader does in whichever changeset is on top at the time.
//!
//! At the end everything that the store and the plan promise is checked; the exit code is 1 where a check failed.
//!
//! Where to read on:
//!
//! | file | what it shows of `tierstack` |
//! |---|---|
//! | `fragment.rs` | the key, the value (an `Arc`, cheap to clone) and its weight |
//! | `load.rs` | the builder; loading in parallel by one call; storing, replacing and removing all along |
//! | `plan.rs` | a plan with changes of its own kind; recording into what is on top, and what to do where nothing is |
//! | `strategies/run.rs` | an executor; reading, promoting, demoting and recording from many threads |
//! | `context.rs` | putting the winners into hot, in order |
//! | `watch.rs` | reading the hot bytes |
//! | `checks.rs` | walking the tiers, and the metrics |
//! | `trail.rs` | a snapshot: its changesets, with their changes, and the audit trail |
#![allow(clippy::cast_precision_loss, reason = "scores and rates need no exact integers")]
#![allow(clippy::similar_names, reason = "what a loader has loaded, and a watcher watched, is named so")]

mod args;
mod asked;
mod checks;
mod context;
mod corpus;
mod format;
mod fragment;
mod load;
mod plan;
mod progress;
mod prompt;
mod report;
mod sources;
mod strategies;
mod trail;
mod walk;
mod watch;
mod words;

use std::{
    io::{self, BufWriter, Write},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use clap::Parser;
use rayon::ThreadPool;

use crate::{
    args::Args,
    asked::Asked,
    checks::Check,
    corpus::Corpus,
    fragment::{Snippet, Store},
    load::Loader,
    plan::Plan,
    progress::Progress,
    prompt::Prompt,
    report::{Outcome, Report},
    words::Question,
};

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(message) => {
            // Nothing better can be done where even standard error is closed.
            let _ = writeln!(io::stderr(), "error: {message}");
            ExitCode::from(2)
        }
    }
}

/// Whether every check passed; an error is a message about the input.
fn run(args: &Args) -> Result<bool, String> {
    let question = Question::new(&args.question()).ok_or("the question has no words to look for")?;
    let roots = sources::roots(args.dir())?;
    let threads = args.threads();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|error| format!("cannot start {threads} threads: {error}"))?;
    let progress = Progress::new();

    let (sources, walked) = walk::walk(&roots, threads, &progress);
    let (corpus, texts) = pool.install(|| Corpus::build(sources, question, &progress));
    if texts.is_empty() {
        let files = if walked.files == 0 { "no text files" } else { "only blank files" };
        return Err(format!("there are {files} in {}{}", roots.describe(), walked.in_brackets()));
    }
    let store = load::new_store(args.budget, corpus.len()).map_err(|error| error.to_string())?;
    let asked = Asked::keep(&store, &args.question());
    let outcome = retrieve(&store, &corpus, &asked, texts, &pool, &progress);

    let Outcome { findings, loaded, context, prompt, watched, plan, .. } = &outcome;
    let mut checks = checks::run(&store, &asked, &loaded.ledger, context, prompt, watched);
    checks.extend(trail::run(plan, findings, loaded));
    let report = Report {
        roots: &roots,
        walked: &walked,
        corpus: &corpus,
        store: &store,
        outcome: &outcome,
        checks: &checks,
        top: usize::from(args.top),
        threads,
    };
    match report.write(&mut BufWriter::new(io::stdout().lock())) {
        // A reader such as `head` that has seen enough is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("cannot write the report: {error}")),
        _ => Ok(checks.iter().all(Check::passed)),
    }
}

/// Loads the store, runs the strategies while a loader goes on, and puts the best into hot.
fn retrieve(
    store: &Store,
    corpus: &Corpus,
    asked: &Asked,
    texts: Vec<Arc<Snippet>>,
    pool: &ThreadPool,
    progress: &Progress,
) -> Outcome {
    let strategies = strategies::all(corpus);
    let plan = Plan::new();
    let [stop_loading, stop_watching, late_is_in] = [(); 3].map(|()| AtomicBool::new(false));

    thread::scope(|scope| {
        // The watcher outlives all others: no part of the run goes unwatched.
        let watch_no_more = RaisedOnDrop(&stop_watching);
        let watcher = scope.spawn(|| watch::watch(store, asked, &stop_watching));

        let started = Instant::now();
        let (mut early, late) = load::split(corpus, texts);
        pool.install(|| load::load(store, &early, progress));
        let loading = started.elapsed();
        early.push((asked.key.clone(), asked.snippet.clone()));

        let loader = Loader::new(store, corpus, &plan, early);
        let started = Instant::now();
        let load_no_more = RaisedOnDrop(&stop_loading);
        let loader = scope.spawn(|| loader.run(late, &late_is_in, &stop_loading));
        let (findings, ranking) = strategies::run(store, corpus, &strategies, &plan, pool, &late_is_in, progress);
        drop(load_no_more);
        let loaded = loader.join().expect("the loader does not panic");
        let running = started.elapsed();
        let metrics = store.metrics();

        let ranking = context::distinct(store, ranking);
        let context = context::assemble(store, &ranking);
        let prompt = Prompt::build(store);
        drop(watch_no_more);
        let watched = watcher.join().expect("the watcher does not panic");
        Outcome {
            findings,
            ranking,
            context,
            prompt,
            loaded,
            watched,
            metrics,
            plan: plan.snapshot(),
            loading,
            running,
        }
    })
}

/// Raises a flag when it is dropped, by a panic too: a scope waits for its threads, so each must be told to end.
struct RaisedOnDrop<'a>(&'a AtomicBool);

impl Drop for RaisedOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
