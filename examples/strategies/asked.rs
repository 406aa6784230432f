//! The question: a fragment that stays in hot, and so is in every prompt.

use std::{sync::Arc, time::SystemTime};

use tierstack::Tier;

use crate::fragment::{Key, Snippet, Store};

/// The question, as the store has it.
#[derive(Debug)]
pub struct Asked {
    pub key: Key,
    pub snippet: Arc<Snippet>,
    /// Whether it fits into the budget. Else it is kept in warm.
    pub is_hot: bool,
}

impl Asked {
    /// Stores the question, before anything else, and keeps it: no overflow and no eviction moves it from then on.
    pub fn keep(store: &Store, question: &str) -> Self {
        let key = Key { path: "the question".into(), first: 1, last: 1 };
        let snippet = Arc::new(Snippet { text: question.into(), modified: SystemTime::now() });
        store.store(key.clone(), snippet.clone()).expect("no question is as heavy as MAX_BYTES");
        let kept = store.keep(&key).expect("it was just stored");
        Self { key, snippet, is_hot: kept.tier == Tier::Hot }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_stays_where_there_is_room_for_it() {
        let store = crate::load::new_store(9, 3).unwrap();
        let asked = Asked::keep(&store, "why?");
        assert!(asked.is_hot);
        while store.evict_lru(Tier::Hot).is_some() {}
        assert_eq!(store.peek(&asked.key).map(|found| (found.tier, found.kept)), Some((Tier::Hot, true)));
        let asked = Asked::keep(&crate::load::new_store(9, 3).unwrap(), "why, of all things?");
        assert!(!asked.is_hot);
    }
}
