//! The strategies: each says how well a fragment answers, or `None` where it does not.

use crate::Snippet;
use crate::index::{Entry, Index};

pub type Judge = fn(&Index, &Entry, &Snippet) -> Option<f64>;

pub const JUDGES: [(&str, Judge); 4] =
    [("words", by_words), ("recency", by_recency), ("tree", by_closeness), ("symbols", by_symbols)];

/// Okapi BM25 (Robertson and Zaragoza, 2009).
fn by_words(index: &Index, entry: &Entry, snippet: &Snippet) -> Option<f64> {
    let length = f64::from(entry.words) / index.mean_words();
    let of_term = |(term, count): (usize, u32)| {
        let count = f64::from(count);
        index.idf(term) * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * length))
    };
    let score: f64 = index.question.count(&snippet.text).of.into_iter().enumerate().map(of_term).sum();
    (score > 0.0).then_some(score)
}

/// Of what has much of the question, that which was changed last.
fn by_recency(index: &Index, entry: &Entry, snippet: &Snippet) -> Option<f64> {
    let age = index.now.duration_since(snippet.modified).unwrap_or_default();
    let weeks = age.as_secs_f64() / (7.0 * 24.0 * 3600.0);
    let share = index.share(entry.terms);
    (share >= 0.3).then(|| share / (1.0 + weeks.ln_1p()))
}

/// What stands in files that have much of the question.
fn by_closeness(index: &Index, entry: &Entry, _: &Snippet) -> Option<f64> {
    let file = index.file(entry);
    // Eight more without any word: a small file with all is not closer than a large one with much.
    let score = file.has / (file.fragments + 8.0) * f64::midpoint(1.0, index.share(entry.terms));
    (score > 0.0).then_some(score)
}

/// What defines a name with words of the question, by the looks of its lines.
fn by_symbols(index: &Index, _: &Entry, snippet: &Snippet) -> Option<f64> {
    const KEYWORDS: [&str; 9] = ["fn ", "struct ", "enum ", "trait ", "type ", "mod ", "const ", "class ", "def "];
    let of_line = |line: &str| {
        let name = KEYWORDS.iter().find_map(|keyword| line.split_once(keyword))?.1;
        let name = name.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
        Some(index.share(index.question.count(name).terms()))
    };
    snippet.text.lines().filter_map(of_line).max_by(f64::total_cmp).filter(|score| *score > 0.0)
}
