//! Word relevance: Okapi BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009).

use crate::{
    corpus::{Corpus, Id},
    fragment::Snippet,
    strategies::Judge,
};

/// How soon more of the same word stops to count.
const K1: f64 = 1.2;
/// How much a long fragment has to say to equal a short one.
const B: f64 = 0.75;

pub struct Bm25<'c> {
    corpus: &'c Corpus,
}

impl<'c> Bm25<'c> {
    pub fn new(corpus: &'c Corpus) -> Self {
        Self { corpus }
    }
}

impl Judge for Bm25<'_> {
    fn name(&self) -> &'static str {
        "words"
    }

    fn candidates(&self) -> Vec<Id> {
        self.corpus.select(|entry| entry.terms != 0)
    }

    fn judge(&self, _: Id, snippet: &Snippet) -> Option<f64> {
        let counts = self.corpus.question.count(&snippet.text);
        let length = 1.0 - B + B * f64::from(counts.words) / self.corpus.mean_words;
        let of_term = |(term, &n): (usize, &u32)| {
            let n = f64::from(n);
            self.corpus.idf(term) * n * (K1 + 1.0) / (n + K1 * length)
        };
        let score: f64 = counts.of.iter().enumerate().map(of_term).sum();
        (score > 0.0).then_some(score)
    }
}
