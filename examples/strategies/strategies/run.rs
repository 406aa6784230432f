//! Running strategies at once: all that they do to the store, and what they record. The executor gives each a changeset,
//! counts what it does, and fuses the rankings.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use indicatif::ProgressBar;
use rayon::{ThreadPool, Yield, prelude::*};
use tierstack::{
    ChangesetId, PromoteError, RecordedAll,
    executor::{Counts, Fused, Interrupted, Outcome, Strategy, StrategyContext, StrategyError, StrategyExecutor},
};

use crate::{
    corpus::{Corpus, Id},
    fragment::{Key, Snippet, Store},
    plan::{Action, Plan},
    progress::Progress,
    strategies::Judge,
};

/// A strategy picks so many fragments in the end.
const SHORTLIST: usize = 64;
/// So many fragments are read, promoted and demoted through one pinned view …
const BATCH: usize = 512;
/// … which lets go of what it has read whenever it has read so many.
const REPIN: usize = 64;

/// A fragment that a strategy picked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pick {
    pub id: Id,
    /// More is better; scores of different strategies do not compare.
    pub score: f64,
}

/// What a strategy found.
#[derive(Debug, Default)]
pub struct Findings {
    pub strategy: &'static str,
    /// The best first; at most [`SHORTLIST`].
    pub picks: Vec<Pick>,
    /// What it read and did not pick. In no order.
    pub rejects: Vec<Id>,
    /// What it looked for and did not find: in the end, what was removed meanwhile. In no order.
    pub missed: Vec<Id>,
    /// What the plan says of each batch that is recorded in its changeset. In no order.
    pub recorded: Vec<RecordedAll>,
    /// What the executor says: which changeset it had, and what it did.
    pub changeset: Option<ChangesetId>,
    pub counts: Counts,
}

/// The fragments that any strategy picked, the best first.
pub type Ranked = Vec<Fused<Key>>;

type Context<'a> = StrategyContext<'a, Key, Arc<Snippet>, Action>;
/// Runs all strategies at once over the store. Some fragments are stored only while they run: those that a strategy
/// missed it reads again when all are in.
pub fn run(
    store: &Store,
    corpus: &Corpus,
    judges: &[Box<dyn Judge + '_>],
    plan: &Plan,
    pool: &ThreadPool,
    late_is_in: &AtomicBool,
    progress: &Progress,
) -> (Vec<Findings>, Ranked) {
    let bar = &progress.bar("retrieving", 0);
    let strategies: Vec<_> =
        judges.iter().map(|judge| Retrieval { judge: &**judge, corpus, late_is_in, bar }).collect();
    let run = StrategyExecutor::new(store, plan).pool(pool).run(&strategies);
    bar.finish_and_clear();
    let ranking = run.fused();
    let findings = run.into_reports().into_iter().map(|report| match report.result {
        Ok(found) => Findings { changeset: Some(report.changeset), counts: report.counts, ..found.value },
        Err(failure) => panic!("{}: {failure}", report.name),
    });
    (findings.collect(), ranking)
}

/// A strategy as the executor runs it.
struct Retrieval<'a> {
    judge: &'a dyn Judge,
    corpus: &'a Corpus,
    late_is_in: &'a AtomicBool,
    bar: &'a ProgressBar,
}

impl Strategy<Key, Arc<Snippet>, Action> for Retrieval<'_> {
    type Value = Findings;
    /// One that a strategy meets is a fault of the example.
    type Error = StrategyError;

    fn name(&self) -> &str {
        self.judge.name()
    }

    fn run(&self, context: &Context<'_>) -> Result<Outcome<Key, Findings>, StrategyError> {
        let mut found = self.pass(context, &self.judge.candidates())?;
        if !found.missed.is_empty() {
            while !self.late_is_in.load(Ordering::Acquire) {
                // The loader has a thread of its own: the pool's can do other work meanwhile.
                if rayon::yield_now() != Some(Yield::Executed) {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            let again = self.pass(context, &mem::take(&mut found.missed))?;
            found = self.merge(context, found, again)?;
        }
        // Recorded now that they are final. At once: no snapshot of the plan has a part of them.
        let by = self.judge.name();
        let picks = found.picks.iter().map(|&Pick { id, score }| Action::Picked { by, id, score });
        found.recorded.push(context.record_all(picks)?);
        let scores: Vec<_> = found.picks.iter().map(|pick| (self.corpus.key(pick.id).clone(), pick.score)).collect();
        Ok(Outcome::new(found).with_ranking(scores))
    }
}

impl Retrieval<'_> {
    fn nothing(&self) -> Findings {
        Findings { strategy: self.judge.name(), ..Findings::default() }
    }

    /// Goes through some of the candidates, on all threads.
    fn pass(&self, context: &Context<'_>, ids: &[Id]) -> Result<Findings, StrategyError> {
        self.bar.inc_length(ids.len() as u64);
        let batches = ids.par_chunks(BATCH).map(|batch| self.read(context, batch));
        batches.try_reduce(|| self.nothing(), |a, b| self.merge(context, a, b))
    }

    /// Reads a batch, promotes the best of it, and demotes the rest.
    fn read(&self, context: &Context<'_>, ids: &[Id]) -> Result<Findings, StrategyError> {
        let mut found = self.nothing();
        let mut view = context.pin()?;
        for (i, &id) in ids.iter().enumerate() {
            if i % REPIN == REPIN - 1 {
                view.repin();
            }
            match view.get(self.corpus.key(id))? {
                Some(fragment) => match self.judge.judge(id, fragment.value) {
                    Some(score) => found.picks.push(Pick { id, score }),
                    None => found.rejects.push(id),
                },
                None => found.missed.push(id),
            }
        }
        found.keep_best();

        // A step up for each strategy that picks a fragment, and a step down for each that rejects it: what several
        // want becomes hot, what several do not want sinks to cold. The worst go up first, to be the first to go again.
        for pick in found.picks.iter().rev() {
            match view.promote(self.corpus.key(pick.id)).map_err(Interrupted::refused) {
                // It stays where it is. There is no point in trying again: its place may be needed more by others.
                Ok(_)
                | Err(Some(
                    PromoteError::Contended { .. } | PromoteError::OverBudget { .. } | PromoteError::NotFound,
                )) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        for &id in &found.rejects {
            view.demote(self.corpus.key(id))?;
        }
        drop(view);
        self.record_rejects(context, &mut found, 0)?;
        self.bar.inc(ids.len() as u64);
        Ok(found)
    }

    /// The best of both; the others are rejects, and demoted. This runs where rayon joins, so without a pinned view:
    /// the context's own helpers pin for themselves.
    fn merge(&self, context: &Context<'_>, mut found: Findings, other: Findings) -> Result<Findings, StrategyError> {
        found.picks.extend(other.picks);
        found.rejects.extend(other.rejects);
        found.missed.extend(other.missed);
        found.recorded.extend(other.recorded);
        let first = found.rejects.len();
        found.keep_best();
        for &id in &found.rejects[first..] {
            context.demote(self.corpus.key(id))?;
        }
        self.record_rejects(context, &mut found, first)?;
        Ok(found)
    }

    /// Records the rejects from that index on, all at once. They are final, unlike the picks: what is not among the
    /// best of a part is not among the best of the whole.
    fn record_rejects(&self, context: &Context<'_>, found: &mut Findings, first: usize) -> Result<(), StrategyError> {
        let by = self.judge.name();
        let rejects = found.rejects[first..].iter().map(|&id| Action::Rejected { by, id });
        found.recorded.push(context.record_all(rejects)?);
        Ok(())
    }
}

impl Findings {
    /// Makes rejects of all picks but the best. Equal ones go by their number, so that the outcome does not depend on
    /// who ran when.
    fn keep_best(&mut self) {
        self.picks.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        let losers = self.picks.split_off(self.picks.len().min(SHORTLIST));
        self.rejects.extend(losers.iter().map(|pick| pick.id));
    }
}
