//! One ranking out of several, and the context of the prompt out of that.

use std::collections::{HashMap, HashSet};

use tierstack::Tier;

use crate::{
    corpus::{Corpus, Id},
    fragment::Store,
    strategies::Findings,
};

/// How little the first few ranks of one strategy weigh against being ranked by several.
const K: f64 = 60.0;

/// A fragment in the fused ranking.
#[derive(Clone, Debug, PartialEq)]
pub struct Fused {
    pub id: Id,
    pub score: f64,
    /// Its rank with each strategy, from 1, in the order of the findings.
    pub ranks: Vec<Option<usize>>,
}

/// Reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009): each strategy that ranks a fragment adds
/// 1 / (60 + rank). Fragments that a strategy scores the same share their rank. The best is first.
pub fn fuse(findings: &[Findings]) -> Vec<Fused> {
    let mut fused: HashMap<Id, Vec<Option<usize>>> = HashMap::new();
    for (strategy, found) in findings.iter().enumerate() {
        let mut rank = 0;
        for (i, pick) in found.picks.iter().enumerate() {
            if i == 0 || pick.score < found.picks[i - 1].score {
                rank = i + 1;
            }
            fused.entry(pick.id).or_insert_with(|| vec![None; findings.len()])[strategy] = Some(rank);
        }
    }
    let score = |ranks: &[Option<usize>]| ranks.iter().flatten().map(|&rank| 1.0 / (K + rank as f64)).sum();
    let mut fused: Vec<_> = fused.into_iter().map(|(id, ranks)| Fused { id, score: score(&ranks), ranks }).collect();
    fused.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
    fused
}

/// The ranking without what a better fragment says as well, word for word, and without what was removed meanwhile.
pub fn distinct(store: &Store, corpus: &Corpus, ranking: Vec<Fused>) -> Vec<Fused> {
    let mut said = HashSet::new();
    // A look is no use: it does not change the order of the tiers.
    let text = |fused: &Fused| Some(store.peek(corpus.key(fused.id))?.value.text.clone());
    ranking.into_iter().filter(|fused| text(fused).is_some_and(|text| said.insert(text))).collect()
}

/// Puts the context of the prompt into hot: of the ranking, from the best on, all that fits into the budget beside the question.
/// Then hot holds that and nothing else, and runs from the best to the worst. Gives the fragments in that order.
pub fn assemble(store: &Store, corpus: &Corpus, ranking: &[Fused]) -> Vec<Id> {
    // What is still hot is what was stored, read or promoted last, picked or not; and the question, which is kept.
    while store.evict_lru(Tier::Hot).is_some() {}

    let mut room = store.hot_budget().saturating_sub(store.hot_bytes());
    let mut context = Vec::new();
    for fused in ranking {
        let Some(fragment) = store.peek(corpus.key(fused.id)) else { continue };
        if fragment.weight <= room {
            room -= fragment.weight;
            context.push(fused.id);
        }
    }
    // A tier runs from the most recently used on, so the best is promoted last. It all fits and nobody else is at
    // work, so nothing can be refused; the checks look whether it was.
    for &id in context.iter().rev() {
        let _ = store.promote_to(corpus.key(id), Tier::Hot);
    }
    context
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies::Pick;

    fn found(picks: &[(Id, f64)]) -> Findings {
        let picks = picks.iter().map(|&(id, score)| Pick { id, score }).collect();
        Findings { picks, ..Findings::default() }
    }

    #[test]
    fn several_votes_beat_one_and_equals_share_a_rank() {
        let fused = fuse(&[found(&[(7, 9.0), (1, 5.0), (2, 5.0), (3, 1.0)]), found(&[(3, 0.2)])]);
        let order: Vec<_> = fused.iter().map(|fused| (fused.id, fused.ranks.clone())).collect();
        let expected = [(3, [Some(4), Some(1)]), (7, [Some(1), None]), (1, [Some(2), None]), (2, [Some(2), None])];
        assert_eq!(order, expected.map(|(id, ranks)| (id, ranks.to_vec())));
        assert!((fused[0].score - (1.0 / 64.0 + 1.0 / 61.0)).abs() < 1e-12);
        assert!(fuse(&[]).is_empty());
    }
}
