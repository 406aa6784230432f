//! Running strategies at once on rayon, and all that they do to the store.

use std::{mem, sync::mpsc::Receiver};

use indicatif::ProgressBar;
use rayon::{ThreadPool, prelude::*};
use tierstack::PromoteError;

use crate::{
    corpus::{Corpus, Id},
    fragment::Store,
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

/// Runs all strategies at once over the store. Some fragments are stored only while they run: those that a strategy
/// missed it reads again when `late_is_in` says that all are there.
pub fn run(
    store: &Store,
    corpus: &Corpus,
    strategies: &[Box<dyn Strategy + '_>],
    pool: &ThreadPool,
    late_is_in: &Receiver<()>,
    progress: &Progress,
) -> Vec<Findings> {
    let candidates: Vec<_> = pool.install(|| strategies.par_iter().map(|strategy| strategy.candidates()).collect());
    let bar = progress.bar("retrieving", candidates.iter().map(Vec::len).sum());
    let pass = |strategy: &dyn Strategy, ids: &[Id]| Pass { store, corpus, strategy, bar: &bar }.run(ids);

    let first: Vec<_> =
        pool.install(|| strategies.par_iter().zip(&candidates).map(|(strategy, ids)| pass(&**strategy, ids)).collect());
    // Waited for out here, not on a thread of the pool. An error says that the loader has panicked: whoever joins it
    // will see.
    let _ = late_is_in.recv();
    let again = |strategy: &dyn Strategy, mut first: Findings| {
        let missed = mem::take(&mut first.missed);
        bar.inc_length(missed.len() as u64);
        first.merge(pass(strategy, &missed), store, corpus)
    };
    let both =
        pool.install(|| strategies.par_iter().zip(first).map(|(strategy, first)| again(&**strategy, first)).collect());
    bar.finish_and_clear();
    both
}

/// One strategy going through some of its candidates.
struct Pass<'a> {
    store: &'a Store,
    corpus: &'a Corpus,
    strategy: &'a dyn Strategy,
    bar: &'a ProgressBar,
}

impl Pass<'_> {
    fn run(&self, ids: &[Id]) -> Findings {
        let none = || Findings { strategy: self.strategy.name(), ..Findings::default() };
        ids.par_chunks(BATCH).map(|batch| self.read(batch)).reduce(none, |a, b| a.merge(b, self.store, self.corpus))
    }

    /// Reads a batch, promotes the best of it, and demotes the rest.
    fn read(&self, ids: &[Id]) -> Findings {
        let mut found = Findings { strategy: self.strategy.name(), ..Findings::default() };
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
        self.bar.inc(ids.len() as u64);
        found
    }
}

impl Findings {
    /// The best of both; the others are rejects, and demoted. This runs where rayon joins, so without a pinned view:
    /// the store's own operations pin for themselves.
    fn merge(mut self, other: Self, store: &Store, corpus: &Corpus) -> Self {
        self.picks.extend(other.picks);
        self.rejects.extend(other.rejects);
        self.missed.extend(other.missed);
        self.calls.reads += other.calls.reads;
        self.calls.promotes += other.calls.promotes;
        self.calls.demotes += other.calls.demotes;
        self.calls.refused += other.calls.refused;
        let losers = self.keep_best();
        for &id in &self.rejects[self.rejects.len() - losers..] {
            store.demote(corpus.key(id));
        }
        self.calls.demotes += losers as u64;
        self
    }

    /// Makes rejects of all picks but the best, and tells of how many. Equal ones go by their number, so that the
    /// outcome does not depend on who ran when.
    fn keep_best(&mut self) -> usize {
        self.picks.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        let losers = self.picks.split_off(self.picks.len().min(SHORTLIST));
        self.rejects.extend(losers.iter().map(|pick| pick.id));
        losers.len()
    }
}
