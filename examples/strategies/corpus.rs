//! The index that all strategies share: built once, in parallel, and then only read.
//!
//! One question is asked of it, so it keeps no more than that question needs: which of its words stand in each
//! fragment. The text, and when it was changed, are in the store alone.

use std::{ops::Range, path::PathBuf, sync::Arc};

use rayon::prelude::*;

use crate::{
    fragment::{Key, Snippet, cut},
    progress::Progress,
    walk::Source,
    words::{Question, Terms},
};

/// The number of a fragment of the corpus. Fragments of a file have successive numbers.
pub type Id = u32;

pub struct Corpus {
    pub question: Question,
    pub files: Vec<File>,
    entries: Vec<Entry>,
    /// How much each term of the question tells (its inverse document frequency).
    idf: Vec<f64>,
    /// The mean number of words of a fragment.
    pub mean_words: f64,
}

pub struct File {
    /// As in the keys of its fragments.
    pub path: Arc<str>,
    /// Where it can be read again.
    pub disk_path: PathBuf,
    pub fragments: Range<Id>,
}

/// What the index knows of a fragment.
pub struct Entry {
    pub key: Key,
    /// The number of its file.
    pub file: usize,
    /// The question's terms that stand in it.
    pub terms: Terms,
    words: u32,
}

impl Corpus {
    /// Cuts the files into fragments, and indexes them. The fragments' texts are handed back, in the order of their
    /// numbers, for the store.
    pub fn build(sources: Vec<Source>, question: Question, progress: &Progress) -> (Self, Vec<Arc<Snippet>>) {
        let bar = progress.bar("indexing", sources.len());
        let indexed: Vec<_> = sources
            .into_par_iter()
            .enumerate()
            .map(|(number, source)| {
                let indexed = index(number, source, &question);
                bar.inc(1);
                indexed
            })
            .collect();

        let mut corpus = Self {
            question,
            files: Vec::with_capacity(indexed.len()),
            entries: Vec::new(),
            idf: Vec::new(),
            mean_words: 1.0,
        };
        let mut texts = Vec::new();
        for (path, disk_path, fragments) in indexed {
            let first = corpus.len();
            for (entry, text) in fragments {
                corpus.entries.push(entry);
                texts.push(text);
            }
            corpus.files.push(File { path, disk_path, fragments: first..corpus.len() });
        }
        corpus.weigh_terms();
        bar.finish_and_clear();
        (corpus, texts)
    }

    fn weigh_terms(&mut self) {
        let all = self.entries.len() as f64;
        let with = |term| self.entries.iter().filter(|entry| entry.terms >> term & 1 == 1).count() as f64;
        // A word that is nowhere tells nothing: what has all others has all that can be had.
        let idf = |term| match with(term) {
            0.0 => 0.0,
            with => f64::ln(1.0 + (all - with + 0.5) / (with + 0.5)),
        };
        self.idf = (0..self.question.terms().len()).map(idf).collect();
        let words: u64 = self.entries.iter().map(|entry| u64::from(entry.words)).sum();
        self.mean_words = (words as f64 / all.max(1.0)).max(1.0);
    }

    /// How many fragments it knows; their numbers are all those below.
    pub fn len(&self) -> Id {
        Id::try_from(self.entries.len()).expect("1 GiB of text has fewer lines than 2³²")
    }

    pub fn entry(&self, id: Id) -> &Entry {
        &self.entries[id as usize]
    }

    pub fn key(&self, id: Id) -> &Key {
        &self.entry(id).key
    }

    /// Those fragments whose entry `is_one`.
    pub fn select(&self, is_one: impl Fn(&Entry) -> bool + Sync) -> Vec<Id> {
        (0..self.len()).into_par_iter().filter(|&id| is_one(self.entry(id))).collect()
    }

    /// How much the term tells.
    pub fn idf(&self, term: usize) -> f64 {
        self.idf[term]
    }

    /// How much all of the terms tell, as a share of the whole question: 0 to 1.
    pub fn share(&self, terms: Terms) -> f64 {
        let told = self.idf.iter().enumerate().filter(|(term, _)| terms >> term & 1 == 1).map(|(_, idf)| idf);
        told.sum::<f64>() / self.idf.iter().sum::<f64>().max(f64::MIN_POSITIVE)
    }
}

type Indexed = (Arc<str>, PathBuf, Vec<(Entry, Arc<Snippet>)>);

fn index(number: usize, source: Source, question: &Question) -> Indexed {
    let Source { path, disk_path, text, modified } = source;
    let entry = |key, text: &str| {
        let counts = question.count(text);
        Entry { key, file: number, terms: counts.terms(), words: counts.words }
    };
    let blocks = cut(&text).into_iter().map(|block| {
        let key = Key { path: path.clone(), first: block.first, last: block.last };
        (entry(key, block.text), Arc::new(Snippet { text: block.text.into(), modified }))
    });
    let blocks = blocks.collect();
    (path, disk_path, blocks)
}
