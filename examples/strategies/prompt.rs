//! The prompt: what is in hot at one instant, best first.

use std::fmt::Write;

use tierstack::Tier;

use crate::fragment::{Key, Store};

/// A prompt's context.
#[derive(Debug, Default)]
pub struct Prompt {
    pub text: String,
    /// Its fragments, in that order.
    pub keys: Vec<Key>,
    /// What the texts of the fragments come to.
    pub bytes: u64,
}

impl Prompt {
    /// From a snapshot, as others go on: `iter` would read fragment by fragment, and could show more than hot ever held.
    pub fn build(store: &Store) -> Self {
        let mut prompt = Self::default();
        for item in store.snapshot_of(Tier::Hot).tier(Tier::Hot) {
            // Writing to a string does not fail.
            let _ = writeln!(prompt.text, "// {}\n{}\n", item.key, item.value.text);
            prompt.bytes += item.value.weight();
            prompt.keys.push(item.key.clone());
        }
        prompt
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::SystemTime};

    use super::*;
    use crate::fragment::Snippet;

    #[test]
    fn a_prompt_has_what_is_hot_best_first() {
        let store = crate::load::new_store(9, 3).unwrap();
        let keys = [1, 11, 21].map(|first| Key { path: "a.rs".into(), first, last: first + 9 });
        for (key, text) in keys.iter().zip(["one", "two", "three"]) {
            let snippet = Arc::new(Snippet { text: text.into(), modified: SystemTime::UNIX_EPOCH });
            store.store(key.clone(), snippet).unwrap();
        }
        let prompt = Prompt::build(&store);
        assert_eq!((prompt.text.as_str(), prompt.bytes), ("// a.rs:21-30\nthree\n\n// a.rs:11-20\ntwo\n\n", 8));
        assert_eq!(prompt.keys, [keys[2].clone(), keys[1].clone()]);
    }
}
