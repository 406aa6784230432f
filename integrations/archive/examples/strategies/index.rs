//! Which words of the question each fragment has. The texts are in the store alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use crate::{Key, Snippet};

/// A set of the question's words, as bits.
pub type Terms = u64;

/// What is looked for.
pub struct Question {
    terms: Vec<String>,
}

/// How often a text has each word of the question.
pub struct Counts {
    pub of: Vec<u32>,
    /// Words in all.
    words: u32,
}

impl Counts {
    /// Those that it has.
    pub fn terms(&self) -> Terms {
        self.of.iter().enumerate().filter(|(_, count)| **count > 0).fold(0, |terms, (term, _)| terms | 1 << term)
    }
}

impl Question {
    /// `None` where there is no word to look for.
    pub fn new(text: &str) -> Option<Self> {
        const STOP_WORDS: [&str; 10] =
            ["when", "what", "where", "which", "does", "with", "that", "this", "from", "have"];
        let mut terms: Vec<String> = Vec::new();
        for word in words(text).filter(|word| word.len() > 3 && !STOP_WORDS.contains(&&**word)) {
            if terms.len() < Terms::BITS as usize && !terms.contains(&word) {
                terms.push(word);
            }
        }
        (!terms.is_empty()).then_some(Self { terms })
    }

    /// A word counts for a term that it begins with, as `restored` does for `restore`, and the other way round.
    pub fn count(&self, text: &str) -> Counts {
        let mut counts = Counts { of: vec![0; self.terms.len()], words: 0 };
        for word in words(text) {
            counts.words += 1;
            let is_form = |term: &String| word.len() > 3 && (word.starts_with(&**term) || term.starts_with(&*word));
            if let Some(term) = self.terms.iter().position(is_form) {
                counts.of[term] += 1;
            }
        }
        counts
    }
}

/// In lower case: `get_or_restore` has three.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// What is known of a fragment.
pub struct Entry {
    pub key: Key,
    pub terms: Terms,
    pub words: u32,
}

/// What is known of a file: how much its fragments have of the question together, and how many they are.
#[derive(Default)]
pub struct OfFile {
    pub has: f64,
    pub fragments: f64,
}

/// What is known of all fragments.
pub struct Index {
    pub question: Question,
    pub entries: Vec<Entry>,
    /// Of all texts together.
    pub bytes: u64,
    /// When it was asked: one instant, so that two fragments are as old as each other or not.
    pub now: SystemTime,
    files: HashMap<Arc<str>, OfFile>,
    /// How much each word tells: what few fragments have tells more (inverse document frequency).
    idf: Vec<f64>,
    mean_words: f64,
}

impl Index {
    pub fn new(question: Question) -> Self {
        Self {
            question,
            entries: Vec::new(),
            bytes: 0,
            now: SystemTime::now(),
            files: HashMap::new(),
            idf: Vec::new(),
            mean_words: 1.0,
        }
    }

    pub fn add(&mut self, key: Key, snippet: &Snippet) {
        let counts = self.question.count(&snippet.text);
        self.bytes += snippet.text.len() as u64;
        self.entries.push(Entry { key, terms: counts.terms(), words: counts.words });
    }

    /// When all are there: how much words tell, and what files have of them.
    #[allow(clippy::cast_precision_loss, reason = "scores need no exact integers")]
    pub fn weigh(&mut self) {
        let all = self.entries.len() as f64;
        let with = |term: usize| self.entries.iter().filter(|entry| entry.terms >> term & 1 == 1).count() as f64;
        self.idf = (0..self.question.terms.len())
            .map(|term| f64::ln(1.0 + (all - with(term) + 0.5) / (with(term) + 0.5)))
            .collect();
        self.mean_words = self.entries.iter().map(|entry| f64::from(entry.words)).sum::<f64>() / all.max(1.0);
        let mut files: HashMap<_, OfFile> = HashMap::new();
        for entry in &self.entries {
            let file = files.entry(entry.key.path.clone()).or_default();
            file.has += self.share(entry.terms).powi(2);
            file.fragments += 1.0;
        }
        self.files = files;
    }

    pub fn idf(&self, term: usize) -> f64 {
        self.idf[term]
    }

    pub fn mean_words(&self) -> f64 {
        self.mean_words.max(1.0)
    }

    /// How much so many words tell, as a share of the whole question: 0 to 1.
    pub fn share(&self, terms: Terms) -> f64 {
        let told = self.idf.iter().enumerate().filter(|(term, _)| terms >> term & 1 == 1).map(|(_, idf)| idf);
        told.sum::<f64>() / self.idf.iter().sum::<f64>().max(f64::MIN_POSITIVE)
    }

    pub fn file(&self, entry: &Entry) -> &OfFile {
        &self.files[&entry.key.path]
    }

    /// Whether its file has a word of the question.
    pub fn is_worth_reading(&self, entry: &Entry) -> bool {
        self.file(entry).has > 0.0
    }
}
