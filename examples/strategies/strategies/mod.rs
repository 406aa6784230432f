//! The retrieval strategies: each a small struct that says what to read and how good it is. What they do to the store
//! is the same for all of them, and is in one place: [`run()`].

mod bm25;
mod closeness;
mod recency;
mod run;
mod symbols;

#[cfg(test)]
pub use run::Pick;
pub use run::{Findings, Ranked, run};

use crate::{
    corpus::{Corpus, Id},
    fragment::Snippet,
};

/// One way to find what answers the question.
pub trait Judge: Send + Sync {
    /// For the report; a short word.
    fn name(&self) -> &'static str;

    /// The fragments that are worth reading, by all that the index knows.
    fn candidates(&self) -> Vec<Id>;

    /// How well the fragment, as it was read from the store, answers: more is better. `None` where it does not.
    fn judge(&self, id: Id, snippet: &Snippet) -> Option<f64>;
}

/// How many strategies there are.
pub const COUNT: usize = 4;

pub fn all(corpus: &Corpus) -> [Box<dyn Judge + '_>; COUNT] {
    [
        Box::new(bm25::Bm25::new(corpus)),
        Box::new(recency::Recency::new(corpus)),
        Box::new(closeness::Closeness::new(corpus)),
        Box::new(symbols::Symbols::new(corpus)),
    ]
}
