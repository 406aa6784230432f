//! Running strategies at once on rayon: all that they do to the store, and where they record what they decide.

use std::{mem, sync::mpsc::Receiver};

use indicatif::ProgressBar;
use rayon::{ThreadPool, prelude::*};
use tierstack::{ChangesetHandle, ChangesetId, PromoteError, RecordedAll};

use crate::{
    corpus::{Corpus, Id},
    fragment::Store,
    plan::{Action, Plan},
    progress::Progress,
    strategies::Strategy,
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

/// What a strategy found, and what it took to find it.
#[derive(Debug, Default)]
pub struct Findings {
    pub strategy: &'static str,
    /// The best first; at most [`SHORTLIST`].
    pub picks: Vec<Pick>,
    /// What it read and did not pick. In no order.
    pub rejects: Vec<Id>,
    /// What it looked for and did not find: in the end, what was removed meanwhile. In no order.
    pub missed: Vec<Id>,
    pub calls: Calls,
    /// The changeset that it holds, and what the plan says of each batch that is recorded in it. The batches in no order.
    pub changeset: Option<ChangesetId>,
    pub recorded: Vec<RecordedAll>,
}

/// Calls to the store.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calls {
    pub reads: u64,
    pub promotes: u64,
    pub demotes: u64,
    /// Promotions for which there was no room, or no fragment any more.
    pub refused: u64,
}

impl Calls {
    pub fn all(&self) -> u64 {
        self.reads + self.promotes + self.demotes
    }
}

/// Runs all strategies at once over the store, each with a changeset of its own from its start to its end. Some
/// fragments are stored only while they run: those that a strategy missed it reads again when `late_is_in` says that
/// all are there.
pub fn run(
    store: &Store,
    corpus: &Corpus,
    strategies: &[Box<dyn Strategy + '_>],
    plan: &Plan,
    pool: &ThreadPool,
    late_is_in: &Receiver<()>,
    progress: &Progress,
) -> Vec<Findings> {
    let candidates: Vec<_> = pool.install(|| strategies.par_iter().map(|strategy| strategy.candidates()).collect());
    let bar = progress.bar("retrieving", candidates.iter().map(Vec::len).sum());

    let first = strategies.par_iter().zip(&candidates).map(|(strategy, ids)| {
        let work = Work { store, corpus, strategy: &**strategy, changeset: plan.start_changeset(), bar: &bar };
        let found = work.pass(ids);
        // One that missed nothing has nothing to wait for.
        if found.missed.is_empty() { (work.finish(found), None) } else { (found, Some(work)) }
    });
    let first: Vec<_> = pool.install(|| first.collect());
    // Waited for out here, not on a thread of the pool. An error says that the loader has panicked: whoever joins it
    // will see.
    let _ = late_is_in.recv();
    let again = |(mut found, unfinished): (Findings, Option<Work<'_>>)| {
        let Some(work) = unfinished else { return found };
        let missed = mem::take(&mut found.missed);
        bar.inc_length(missed.len() as u64);
        work.finish(work.merge(found, work.pass(&missed)))
    };
    let both = pool.install(|| first.into_par_iter().map(again).collect());
    bar.finish_and_clear();
    both
}

/// One strategy at work.
struct Work<'a> {
    store: &'a Store,
    corpus: &'a Corpus,
    strategy: &'a dyn Strategy,
    /// What is recorded through it is in the strategy's own changeset, whatever others start meanwhile.
    changeset: ChangesetHandle<Action>,
    bar: &'a ProgressBar,
}

impl Work<'_> {
    fn nothing(&self) -> Findings {
        Findings { strategy: self.strategy.name(), changeset: Some(self.changeset.id()), ..Findings::default() }
    }

    /// Goes through some of the candidates, on all threads.
    fn pass(&self, ids: &[Id]) -> Findings {
        ids.par_chunks(BATCH).map(|batch| self.read(batch)).reduce(|| self.nothing(), |a, b| self.merge(a, b))
    }

    /// Reads a batch, promotes the best of it, and demotes the rest.
    fn read(&self, ids: &[Id]) -> Findings {
        let mut found = self.nothing();
        let mut view = self.store.pin();
        for (i, &id) in ids.iter().enumerate() {
            if i % REPIN == REPIN - 1 {
                view.repin();
            }
            found.calls.reads += 1;
            match view.get(self.corpus.key(id)) {
                Some(fragment) => match self.strategy.judge(id, fragment.value) {
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
            found.calls.promotes += 1;
            match view.promote(self.corpus.key(pick.id)) {
                Ok(_) => {}
                // It stays where it is. There is no point in trying again: its place may be needed more by others.
                Err(PromoteError::Contended { .. } | PromoteError::OverBudget { .. } | PromoteError::NotFound) => {
                    found.calls.refused += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
        for &id in &found.rejects {
            view.demote(self.corpus.key(id));
        }
        found.calls.demotes += found.rejects.len() as u64;
        drop(view);
        self.record_rejects(&mut found, 0);
        self.bar.inc(ids.len() as u64);
        found
    }

    /// The best of both; the others are rejects, and demoted. This runs where rayon joins, so without a pinned view:
    /// the store's own operations pin for themselves.
    fn merge(&self, mut found: Findings, other: Findings) -> Findings {
        found.picks.extend(other.picks);
        found.rejects.extend(other.rejects);
        found.missed.extend(other.missed);
        found.recorded.extend(other.recorded);
        found.calls.reads += other.calls.reads;
        found.calls.promotes += other.calls.promotes;
        found.calls.demotes += other.calls.demotes;
        found.calls.refused += other.calls.refused;
        let losers = found.keep_best();
        let first = found.rejects.len() - losers;
        for &id in &found.rejects[first..] {
            self.store.demote(self.corpus.key(id));
        }
        found.calls.demotes += losers as u64;
        self.record_rejects(&mut found, first);
        found
    }

    /// Records the rejects from that index on, all at once. They are final, unlike the picks: what is not among the
    /// best of a part is not among the best of the whole.
    fn record_rejects(&self, found: &mut Findings, first: usize) {
        let by = self.strategy.name();
        let rejects = found.rejects[first..].iter().map(|&id| Action::Rejected { by, id });
        found.recorded.push(self.changeset.record_all(rejects).expect("it is open until the strategy ends"));
    }

    /// Records the picks, now that they are final, and closes the changeset. At once: no snapshot of the plan has a
    /// part of them.
    fn finish(&self, mut found: Findings) -> Findings {
        let by = self.strategy.name();
        let picks = found.picks.iter().map(|&Pick { id, score }| Action::Picked { by, id, score });
        found.recorded.push(self.changeset.record_all(picks).expect("it is open until the strategy ends"));
        self.changeset.close().expect("nobody else closes it");
        found
    }
}

impl Findings {
    /// Makes rejects of all picks but the best, and tells of how many. Equal ones go by their number, so that the
    /// outcome does not depend on who ran when.
    fn keep_best(&mut self) -> usize {
        self.picks.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        let losers = self.picks.split_off(self.picks.len().min(SHORTLIST));
        self.rejects.extend(losers.iter().map(|pick| pick.id));
        losers.len()
    }
}
