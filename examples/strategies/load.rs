//! Filling the store, and then storing, replacing and removing while the strategies run; and recording all of that.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rayon::prelude::*;
use tierstack::{BuildError, Capacity, MAX_BYTES};

use crate::{
    RaisedOnDrop,
    corpus::{Corpus, File, Id},
    fragment::{Key, Snippet, Store, cut},
    plan::{Action, Ambient, Note, Plan},
    progress::Progress,
    walk,
};

/// Warm holds so many times what hot holds; what overflows goes to cold, which holds the rest.
const WARM_TO_HOT: u64 = 8;
/// One fragment in so many comes late: it is stored only when the strategies already run.
const LATE: usize = 16;

/// The last value stored under each key that has not been removed since: what must be in the store in the end.
pub type Ledger = HashMap<Key, Arc<Snippet>>;

/// Fragments on their way to the store.
pub type Fragments = Vec<(Key, Arc<Snippet>)>;

/// A store with room for all fragments. Only hot is strict: no capacity pushes anything out of cold.
pub fn new_store(budget: u64, fragments: Id) -> Result<Store, BuildError> {
    Store::builder(budget)
        .weigher(|_, snippet: &Arc<Snippet>| snippet.weight())
        .warm_capacity(Capacity::bytes(budget.saturating_mul(WARM_TO_HOT).min(MAX_BYTES)))
        .expected_fragments(fragments as usize)
        .build()
}

/// Which fragments are stored before the strategies start, and which come late.
pub fn split(corpus: &Corpus, texts: Vec<Arc<Snippet>>) -> (Fragments, Fragments) {
    let all = (0..corpus.len()).zip(texts).map(|(id, text)| (corpus.key(id).clone(), text));
    let (mut early, mut late) = (Fragments::new(), Fragments::new());
    for (i, fragment) in all.enumerate() {
        if i % LATE == LATE - 1 { late.push(fragment) } else { early.push(fragment) }
    }
    (early, late)
}

/// Stores all fragments, on all threads of the pool.
pub fn load(store: &Store, fragments: &[(Key, Arc<Snippet>)], progress: &Progress) {
    let bar = progress.bar("loading", fragments.len());
    let stored = store.par_store_all(fragments.par_iter().cloned().inspect(|_| bar.inc(1)));
    assert!(stored.refused.is_empty(), "no file is as heavy as MAX_BYTES");
    bar.finish_and_clear();
}

/// Reads the files again and again, and brings the store up to date with them. It is the only one that stores while
/// the strategies run, so it knows what must be there in the end.
pub struct Loader<'a> {
    store: &'a Store,
    corpus: &'a Corpus,
    /// The keys of each file of the corpus.
    keys: Vec<Vec<Key>>,
    recorder: Ambient<'a>,
    loaded: Loaded,
}

/// What a loader did.
#[derive(Default)]
pub struct Loaded {
    pub ledger: Ledger,
    pub stores: u64,
    pub replaced: u64,
    pub removed: u64,
    /// What it recorded, in order.
    pub notes: Vec<Note>,
}

impl<'a> Loader<'a> {
    /// A loader that goes on from what [`load`] stored.
    pub fn new(store: &'a Store, corpus: &'a Corpus, plan: &'a Plan, early: Fragments) -> Self {
        let keys = corpus.files.iter().map(|file| file.fragments.clone().map(|id| corpus.key(id).clone()).collect());
        let loaded = Loaded { ledger: early.into_iter().collect(), ..Loaded::default() };
        Self { store, corpus, keys: keys.collect(), recorder: Ambient::new(plan, store), loaded }
    }

    /// Stores the fragments that come late, says so, and then replaces until it is told to stop.
    pub fn run(mut self, late: Fragments, late_is_in: &AtomicBool, stop: &AtomicBool) -> Loaded {
        // By a panic as well: nobody waits for a loader that is gone.
        let all_are_in = RaisedOnDrop(late_is_in);
        for (key, snippet) in late {
            self.put(key, snippet);
        }
        drop(all_are_in);
        for (number, file) in self.corpus.files.iter().enumerate().cycle() {
            self.refresh(number, file);
            if stop.load(Ordering::Acquire) {
                break;
            }
        }
        Loaded { notes: self.recorder.finish(), ..self.loaded }
    }

    /// Replaces the fragments of a file by what the file now says. A file that can no longer be read stays as it was.
    fn refresh(&mut self, number: usize, file: &File) {
        let Ok((text, modified)) = walk::read(&file.disk_path) else { return };
        let mut gone: HashSet<_> = self.keys[number].drain(..).collect();
        for block in cut(&text) {
            let key = Key { path: file.path.clone(), first: block.first, last: block.last };
            gone.remove(&key);
            self.keys[number].push(key.clone());
            self.put(key, Arc::new(Snippet { text: block.text.into(), modified }));
        }
        for key in gone {
            self.store.remove(&key);
            self.loaded.ledger.remove(&key);
            self.loaded.removed += 1;
            self.recorder.record(Action::Removed(key));
        }
    }

    fn put(&mut self, key: Key, snippet: Arc<Snippet>) {
        let stored = self.store.store(key.clone(), snippet.clone()).expect("no file is as heavy as MAX_BYTES");
        self.loaded.stores += 1;
        self.loaded.replaced += u64::from(stored.replaced.is_some());
        self.loaded.ledger.insert(key.clone(), snippet);
        self.recorder.record(Action::Stored(key));
    }
}
