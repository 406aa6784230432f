//! What is printed, in plain text of at most 100 columns wherever paths allow.

use std::{
    io::{self, Write},
    time::Duration,
};

use tierstack::{Metrics, Snapshot, Status, Tier};

use crate::{
    checks::Check,
    corpus::Corpus,
    format::{bytes, count, counted, printable, shorten},
    fragment::{Key, Snippet, Store},
    load::Loaded,
    plan::Action,
    prompt::Prompt,
    sources::Roots,
    strategies::{Findings, Ranked},
    walk::Walked,
    watch::Watched,
};

const WIDTH: usize = 100;

/// All that a run gave.
pub struct Outcome {
    pub findings: Vec<Findings>,
    pub ranking: Ranked,
    /// The fragments in hot, the best first.
    pub context: Vec<Key>,
    /// Built from a snapshot of hot, after that.
    pub prompt: Prompt,
    pub loaded: Loaded,
    pub watched: Watched,
    /// What the store had gone through when the strategies ended, before the context was put into hot.
    pub metrics: Metrics,
    /// What was recorded.
    pub plan: Snapshot<Action>,
    /// How long the first loading took, and the strategies.
    pub loading: Duration,
    pub running: Duration,
}

pub struct Report<'a> {
    pub roots: &'a Roots,
    pub walked: &'a Walked,
    pub corpus: &'a Corpus,
    pub store: &'a Store,
    pub outcome: &'a Outcome,
    pub checks: &'a [Check],
    /// How many fragments to print.
    pub top: usize,
    pub threads: usize,
}

impl Report<'_> {
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        self.input(out)?;
        self.best(out)?;
        self.tiers(out)?;
        self.strategies(out)?;
        self.changesets(out)?;
        self.operations(out)?;
        self.verdicts(out)?;
        out.flush()
    }

    fn input(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "question    {}", printable(&self.corpus.question.text))?;
        writeln!(out, "searched    {}", self.roots.describe())?;
        let (files, size) = (counted(self.walked.files, "file"), bytes(self.walked.bytes));
        let fragments = counted(u64::from(self.corpus.len()), "fragment");
        writeln!(out, "            {files} of {size}, cut into {fragments}")?;
        for (i, line) in self.walked.skipped().enumerate() {
            writeln!(out, "{:<12}{}", if i == 0 { "skipped" } else { "" }, shorten(&line, WIDTH - 12))?;
        }
        Ok(())
    }

    fn best(&self, out: &mut impl Write) -> io::Result<()> {
        let Outcome { ranking, context, findings, .. } = self.outcome;
        if ranking.is_empty() {
            return writeln!(out, "\nNothing matches the question: no fragment has any of its words.");
        }
        writeln!(out, "\nThe best fragments of {}, with their rank for each strategy:\n", count(ranking.len() as u64))?;
        write!(out, "{:>4}  {:>6}", "", "fused")?;
        for found in findings {
            write!(out, " {:>8}", found.strategy)?;
        }
        writeln!(out, "  path:lines")?;
        for (i, fused) in ranking.iter().take(self.top).enumerate() {
            write!(out, "{:>4}  {:.4}", i + 1, fused.score())?;
            for strategy in 0..findings.len() {
                let rank = fused.rank_in(strategy);
                write!(out, " {:>8}", rank.map_or_else(|| "-".to_owned(), |rank| rank.to_string()))?;
            }
            writeln!(out, "  {}", printable(&fused.item().to_string()))?;
            if let Some(fragment) = self.store.peek(fused.item()) {
                let line = format!("      | {}", self.telling_line(&fragment.value));
                writeln!(out, "{}", shorten(&line, WIDTH))?;
            }
        }
        let weights = context.iter().filter_map(|key| Some(self.store.peek(key)?.weight));
        let (size, budget) = (bytes(weights.sum()), bytes(self.store.hot_budget()));
        let fragments = counted(context.len() as u64, "fragment");
        writeln!(out, "\nThe context for the prompt, now in hot, best first: {fragments}, {size} of {budget}.")
    }

    /// The first of the lines with most words of the question.
    fn telling_line(&self, snippet: &Snippet) -> String {
        let share = |line: &str| self.corpus.share(self.corpus.question.count(line).terms());
        // `max_by` would take the last of equals.
        let best = snippet.text.lines().rev().max_by(|a, b| share(a).total_cmp(&share(b)));
        printable(best.unwrap_or_default().trim())
    }

    fn tiers(&self, out: &mut impl Write) -> io::Result<()> {
        let metrics = self.store.metrics();
        writeln!(out, "\ntier         fragments           bytes")?;
        let mut all = (0, 0);
        for tier in Tier::ALL {
            let here = metrics.tier(tier);
            writeln!(out, "{tier:<8} {:>13} {:>15}", count(here.fragments), count(here.bytes))?;
            all = (all.0 + here.fragments, all.1 + here.bytes);
        }
        writeln!(out, "{:<8} {:>13} {:>15}", "all", count(all.0), count(all.1))
    }

    fn strategies(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\nstrategy         reads    picked   rejected   promotes    refused    demotes")?;
        for Findings { strategy, picks, rejects, counts, .. } in &self.outcome.findings {
            let picked = count(picks.len() as u64);
            let rejected = count(rejects.len() as u64);
            let [reads, promotes, refused, demotes] =
                [counts.reads, counts.promotions, counts.refused, counts.demotions].map(count);
            writeln!(
                out,
                "{strategy:<10} {reads:>11} {picked:>9} {rejected:>10} {promotes:>10} {refused:>10} {demotes:>10}"
            )?;
        }
        Ok(())
    }

    fn changesets(&self, out: &mut impl Write) -> io::Result<()> {
        let Outcome { findings, plan, .. } = self.outcome;
        writeln!(out, "\nchangeset    started by    status     changes    picked   rejected    ambient")?;
        for changeset in plan.changesets() {
            let holder = findings.iter().find(|found| found.changeset == Some(changeset.id()));
            let holder = holder.map_or("loader", |found| found.strategy);
            let status = match changeset.status() {
                Status::Open => "open",
                Status::Closed => "closed",
                Status::Aborted => "aborted",
                Status::RolledBack => "rolled back",
            };
            let [mut picked, mut rejected, mut ambient] = [0; 3];
            for record in changeset.changes() {
                match record.change {
                    Action::Picked { .. } => picked += 1,
                    Action::Rejected { .. } => rejected += 1,
                    Action::Loaded { .. } | Action::Stored(_) | Action::Removed(_) => ambient += 1,
                }
            }
            let all = count(changeset.len() as u64);
            let [picked, rejected, ambient] = [picked, rejected, ambient].map(count);
            let id = changeset.id();
            writeln!(out, "{id:<12} {holder:<11} {status:>8} {all:>11} {picked:>9} {rejected:>10} {ambient:>10}")?;
        }
        Ok(())
    }

    fn operations(&self, out: &mut impl Write) -> io::Result<()> {
        let Outcome { findings, loaded, metrics, plan, loading, running, watched, .. } = self.outcome;
        let (peak, budget) = (self.store.metrics().peak_hot_bytes, self.store.hot_budget());
        let first = metrics.stores - loaded.stores;
        let by_strategies: u64 =
            findings.iter().map(|found| found.counts).map(|did| did.reads + did.promotions + did.demotions).sum();
        let all = by_strategies + loaded.stores + loaded.removed;
        let batches = findings.iter().flat_map(|found| &found.recorded);
        let decided: u64 = batches.clone().map(|batch| batch.len as u64).sum();
        let threads = counted(self.threads as u64, "thread");
        let rows = [
            ("peak hot bytes", format!("{} of a budget of {}", count(peak), count(budget))),
            ("watcher", format!("{} readings, at most {} bytes", count(watched.readings), count(watched.highest))),
            (
                "prompts",
                format!(
                    "{} built meanwhile, at most {} bytes; the last has {}",
                    count(watched.prompts),
                    count(watched.longest),
                    count(self.outcome.prompt.bytes)
                ),
            ),
            ("first loading", format!("{}: {}", counted(first, "fragment"), pace(first, *loading))),
            (
                "operations",
                format!("{} by {threads} and the loader, judging included: {}", count(all), pace(all, *running)),
            ),
            (
                "loader",
                format!(
                    "{} stored meanwhile, {} of them replaced another; {} removed",
                    count(loaded.stores),
                    count(loaded.replaced),
                    count(loaded.removed)
                ),
            ),
            (
                "plan",
                format!(
                    "{}: {} by the strategies in {}, {} by the loader",
                    counted(plan.sequence().number(), "event"),
                    counted(decided, "change"),
                    counted(batches.count() as u64, "call"),
                    count(loaded.notes.len() as u64)
                ),
            ),
            (
                "evictions",
                format!(
                    "{}, besides {} and {}; {} contended",
                    count(metrics.evictions),
                    counted(metrics.promotions, "promotion"),
                    counted(metrics.demotions, "demotion"),
                    counted(metrics.contended, "call")
                ),
            ),
        ];
        writeln!(out)?;
        rows.iter().try_for_each(|(label, text)| writeln!(out, "{label:<16}{text}"))
    }

    fn verdicts(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out)?;
        for Check { promise, found } in self.checks {
            let (verdict, detail) = match found {
                Ok(detail) => ("ok", detail),
                Err(detail) => ("FAILED", detail),
            };
            writeln!(out, "{verdict:<8}{promise:<44}{}", printable(detail))?;
        }
        Ok(())
    }
}

/// `1,234,567 a second (0.81 s)`.
fn pace(operations: u64, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate of calls, rounded down")]
    let rate = (operations as f64 / seconds.max(1e-9)) as u64;
    format!("{} a second ({seconds:.2} s)", count(rate))
}
