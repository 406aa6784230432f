//! Recency: of what has to do with the question at all, that which was changed last.

use std::time::SystemTime;

use crate::{
    corpus::{Corpus, Id},
    fragment::Snippet,
    strategies::Judge,
};

/// A fragment has to do with the question if it has the words for so much of it.
const LEAST_SHARE: f64 = 0.3;

pub struct Recency<'c> {
    corpus: &'c Corpus,
    now: SystemTime,
}

impl<'c> Recency<'c> {
    pub fn new(corpus: &'c Corpus) -> Self {
        Self { corpus, now: SystemTime::now() }
    }

    /// 1 for what was changed just now, 0.6 after a week, 0.4 after a month, 0.2 after a year: an hour matters for the
    /// newest files, a year does not for the oldest.
    fn freshness(&self, modified: SystemTime) -> f64 {
        let age = self.now.duration_since(modified).unwrap_or_default();
        let weeks = age.as_secs_f64() / (7.0 * 24.0 * 3600.0);
        1.0 / (1.0 + weeks.ln_1p())
    }
}

impl Judge for Recency<'_> {
    fn name(&self) -> &'static str {
        "recency"
    }

    /// All of them: when a fragment was changed is known from the store alone.
    fn candidates(&self) -> Vec<Id> {
        self.corpus.select(|_| true)
    }

    fn judge(&self, _: Id, snippet: &Snippet) -> Option<f64> {
        let share = self.corpus.share(self.corpus.question.count(&snippet.text).terms());
        (share >= LEAST_SHARE).then(|| share * self.freshness(snippet.modified))
    }
}
