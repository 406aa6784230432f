//! Closeness in the tree: what stands among fragments that have the question's words, in its file and in the folders
//! around it.

use std::collections::HashMap;

use crate::{
    corpus::{Corpus, Id},
    fragment::Snippet,
    strategies::Judge,
};

/// So many lines away, a neighbour in the file is half as near.
const LINES: f64 = 50.0;
/// So many fragments without any word of the question are added to each folder and file: little that has them all
/// does not make a small folder closer than much that has many makes a large one.
const DILUTION: f64 = 8.0;
/// A file is looked into if it is at least so close, compared with the closest.
const LEAST: f64 = 0.01;

pub struct Closeness<'c> {
    corpus: &'c Corpus,
    /// For each file, how much its surroundings have to do with the question.
    surroundings: Vec<f64>,
}

impl<'c> Closeness<'c> {
    pub fn new(corpus: &'c Corpus) -> Self {
        // For each file and each folder, what its fragments have of the question, and how many they are.
        let mut within: HashMap<&str, (f64, f64)> = HashMap::new();
        for file in &corpus.files {
            let has = file.fragments.clone().map(|id| relevance(corpus, id)).sum::<f64>();
            for (place, _) in outward(&file.path) {
                let within = within.entry(place).or_default();
                within.0 += has;
                within.1 += f64::from(file.fragments.end - file.fragments.start);
            }
        }
        let density = |place| within.get(place).map_or(0.0, |(has, fragments)| has / (fragments + DILUTION));
        let of_file = |path| outward(path).map(|(place, weight)| weight * density(place)).sum();
        Self { corpus, surroundings: corpus.files.iter().map(|file| of_file(&file.path)).collect() }
    }
}

/// How much of the question the fragment has, by the index. Squared: one that has two words tells more than two that
/// have one each.
fn relevance(corpus: &Corpus, id: Id) -> f64 {
    corpus.share(corpus.entry(id).terms).powi(2)
}

/// A file and the folders around it, each weighing half of the one before.
fn outward(path: &str) -> impl Iterator<Item = (&str, f64)> {
    let folders = path.rmatch_indices('/').map(|(end, _)| &path[..end]);
    std::iter::once(path).chain(folders).zip(std::iter::successors(Some(1.0), |weight| Some(weight / 2.0)))
}

impl Judge for Closeness<'_> {
    fn name(&self) -> &'static str {
        "tree"
    }

    fn candidates(&self) -> Vec<Id> {
        let closest = self.surroundings.iter().copied().fold(0.0, f64::max);
        let is_close = |file: usize| self.surroundings[file] > 0.0 && self.surroundings[file] >= closest * LEAST;
        self.corpus.select(|entry| is_close(entry.file))
    }

    fn judge(&self, id: Id, snippet: &Snippet) -> Option<f64> {
        let entry = self.corpus.entry(id);
        let others = self.corpus.files[entry.file].fragments.clone().filter(|&other| other != id);
        let nearness =
            |other: Id| 1.0 / (1.0 + f64::from(self.corpus.key(other).first.abs_diff(entry.key.first)) / LINES);
        let beside = others.map(|other| relevance(self.corpus, other) * nearness(other)).fold(0.0, f64::max);
        // A neighbour that says nothing of the question is worth half of one that says it all.
        let says = self.corpus.share(self.corpus.question.count(&snippet.text).terms());
        Some((beside + self.surroundings[entry.file]) * f64::midpoint(1.0, says))
    }
}

#[cfg(test)]
mod tests {
    use super::outward;

    #[test]
    fn folders_weigh_less_the_further_out_they_are() {
        let places: Vec<_> = outward("a/b/c.rs").collect();
        assert_eq!(places, [("a/b/c.rs", 1.0), ("a/b", 0.5), ("a", 0.25)]);
        assert!(outward("c.rs").eq([("c.rs", 1.0)]));
    }
}
