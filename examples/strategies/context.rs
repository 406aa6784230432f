//! The context of the prompt, out of the fused ranking.

use std::collections::HashSet;

use tierstack::{Tier, executor::Fused};

use crate::{
    fragment::{Key, Store},
    strategies::Ranked,
};

/// The ranking without what a better fragment says as well, word for word, and without what was removed meanwhile.
pub fn distinct(store: &Store, ranking: Ranked) -> Ranked {
    let mut said = HashSet::new();
    // A look is no use: it does not change the order of the tiers.
    let text = |key: &Key| Some(store.peek(key)?.value.text.clone());
    ranking.into_iter().filter(|fused| text(fused.item()).is_some_and(|text| said.insert(text))).collect()
}

/// Puts the context of the prompt into hot: of the ranking, from the best on, all that fits into the budget beside the question.
/// Then hot holds that and nothing else, and runs from the best to the worst. Gives the fragments in that order.
pub fn assemble(store: &Store, ranking: &Ranked) -> Vec<Key> {
    // What is still hot is what was stored, read or promoted last, picked or not; and the question, which is kept.
    while store.evict_lru(Tier::Hot).is_some() {}

    let mut room = store.hot_budget().saturating_sub(store.hot_bytes());
    let mut context = Vec::new();
    for key in ranking.iter().map(Fused::item) {
        let Some(fragment) = store.peek(key) else { continue };
        if fragment.weight <= room {
            room -= fragment.weight;
            context.push(key.clone());
        }
    }
    // A tier runs from the most recently used on, so the best is promoted last. It all fits and nobody else is at
    // work, so nothing can be refused; the checks look whether it was.
    for key in context.iter().rev() {
        let _ = store.promote_to(key, Tier::Hot);
    }
    context
}
