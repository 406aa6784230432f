//! A budget in tokens: the weigher counts them, and the store's bytes are tokens then.
//!
//! ```text
//! cargo run --release --example tokens [-- FILE...]
//! ```
//!
//! The paragraphs of the files (of this crate's documentation, if none is named) are loaded by one call into a store whose hot tier holds a thousand tokens of
//! `cl100k_base`. The prompt is built from a snapshot, and its tokens are counted again.

use std::{env, error::Error, fs, sync::Arc};

use tierstack::{Tier, TierStore};

/// What a model takes for the context, in tokens.
const BUDGET: u64 = 1000;

/// A file, and the number of a paragraph in it.
type Key = (Arc<str>, usize);
type Store = TierStore<Key, Arc<str>>;

/// How many tokens a paragraph adds to the prompt: those of its text, and of what is put behind it.
fn tokens(text: &str) -> u64 {
    let encoding = tiktoken::get_encoding("cl100k_base").expect("tiktoken has it");
    (encoding.count(text) + encoding.count(SEPARATOR)) as u64
}

const SEPARATOR: &str = "\n\n";

/// A file's paragraphs, by its name and their number.
fn paragraphs(path: &str, text: &str) -> Vec<(Key, Arc<str>)> {
    let path: Arc<str> = path.into();
    let paragraphs = text.split(SEPARATOR).filter(|paragraph| !paragraph.trim().is_empty());
    paragraphs.enumerate().map(|(number, paragraph)| ((path.clone(), number), paragraph.trim().into())).collect()
}

fn store() -> Store {
    let builder = Store::builder(BUDGET).weigher(|_, text: &Arc<str>| tokens(text));
    builder.build().expect("the budget is small")
}

/// What is in hot, the most recently used first; with the tokens that the store says that it has.
fn prompt(store: &Store) -> (String, u64) {
    let hot = store.snapshot_of(Tier::Hot);
    let text: String = hot.tier(Tier::Hot).iter().flat_map(|item| [&*item.value, SEPARATOR]).collect();
    (text, hot.bytes(Tier::Hot))
}

fn main() -> Result<(), Box<dyn Error>> {
    let named: Vec<_> = env::args().skip(1).collect();
    let named =
        if named.is_empty() { vec![concat!(env!("CARGO_MANIFEST_DIR"), "/README.md").to_owned()] } else { named };
    let texts: Vec<_> =
        named.iter().map(|path| Ok((path, fs::read_to_string(path)?))).collect::<Result<_, Box<dyn Error>>>()?;

    let store = store();
    let stored = store.store_all(texts.iter().flat_map(|(path, text)| paragraphs(path, text)));
    println!("{} paragraphs, {} refused", stored.stored, stored.refused.len());
    for tier in Tier::ALL {
        println!("{:<5}{:>6} paragraphs{:>8} tokens", tier.to_string(), store.len(tier), store.bytes(tier));
    }
    let (text, said) = prompt(&store);
    let encoding = tiktoken::get_encoding("cl100k_base").expect("tiktoken has it");
    println!("the prompt has {} tokens; the store says {said}, of {BUDGET}", encoding.count(&text));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_has_no_more_tokens_than_the_budget() {
        let text = include_str!("../README.md");
        let store = store();
        let stored = store.store_all(paragraphs("README.md", text));
        assert!(stored.stored > 30 && stored.refused.is_empty());
        assert!(store.len(Tier::Warm) > 0, "not all of it fits");

        let (prompt, said) = prompt(&store);
        let counted = tiktoken::get_encoding("cl100k_base").unwrap().count(&prompt) as u64;
        // Counted together, what stands at the seams is split in another way, mostly into fewer.
        assert!(counted <= said && said <= BUDGET, "{counted} tokens, {said} said");
        assert!(said > BUDGET / 2, "{said}");
    }
}
