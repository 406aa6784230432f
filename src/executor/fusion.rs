//! One ranking out of several: reciprocal rank fusion.
//!
//! G. V. Cormack, C. L. A. Clarke and S. Buettcher, *Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods*, SIGIR 2009:
//! each ranking that has an item adds 1 / (k + rank) to its score. It needs no scores that compare between rankings.

use core::hash::Hash;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use foldhash::fast::RandomState;

/// The k of [`fuse`] that its authors use: how little the first few ranks of one ranking weigh against being in several.
pub const FUSION_K: u32 = 60;

/// Items in an order, the best first. Equals may share a rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranking<T> {
    /// With their ranks, which rise.
    items: Vec<(T, u32)>,
}

impl<T> Ranking<T> {
    /// Items that each have a rank of their own: the best is first.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::executor::Ranking;
    /// let ranking = Ranking::new(["best", "second"]);
    /// assert!(ranking.iter().eq([(&"best", 1), (&"second", 2)]));
    /// ```
    #[must_use]
    pub fn new(items: impl IntoIterator<Item = T>) -> Self {
        Self { items: items.into_iter().zip(places()).collect() }
    }

    /// Sorts items by their scores, the highest first. Equals share a rank, and stay in their order. A score that is no number is the lowest.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::executor::Ranking;
    /// let ranking = Ranking::by_score([("a", 1.0), ("b", 9.0), ("c", 1.0), ("d", 0.5)]);
    /// assert!(ranking.iter().eq([(&"b", 1), (&"a", 2), (&"c", 2), (&"d", 4)]));
    /// ```
    #[must_use]
    pub fn by_score(scored: impl IntoIterator<Item = (T, f64)>) -> Self {
        let lowest_if_none = |score: f64| if score.is_nan() { f64::NEG_INFINITY } else { score + 0.0 };
        let mut scored: Vec<_> = scored.into_iter().map(|(item, score)| (item, lowest_if_none(score))).collect();
        scored.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let mut ranking = Self::new([]);
        let mut last: Option<(f64, u32)> = None;
        for ((item, score), place) in scored.into_iter().zip(places()) {
            let rank = match last {
                Some((equal, rank)) if equal.total_cmp(&score).is_eq() => rank,
                _ => place,
            };
            last = Some((score, rank));
            ranking.items.push((item, rank));
        }
        ranking
    }

    /// How many items it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it has no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The items with their ranks, from 1, the best first.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&T, u32)> + ExactSizeIterator {
        self.items.iter().map(|(item, rank)| (item, *rank))
    }
}

/// 1, 2, 3, and so on; there are no ranks beyond the last.
fn places() -> impl Iterator<Item = u32> {
    (1..=u32::MAX).chain(core::iter::repeat(u32::MAX))
}

/// An item of a fused ranking.
#[derive(Clone, Debug, PartialEq)]
pub struct Fused<T> {
    item: T,
    score: f64,
    votes: Vec<Vote>,
}

/// A ranking that has an item, and the item's rank in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The ranking's place among those that were fused, from 0. Of a run: the strategy's.
    pub ranking: usize,
    /// From 1.
    pub rank: u32,
}

impl<T> Fused<T> {
    /// The item.
    #[must_use]
    pub fn item(&self) -> &T {
        &self.item
    }

    /// The item itself.
    #[must_use]
    pub fn into_item(self) -> T {
        self.item
    }

    /// The sum of 1 / (k + rank).
    #[must_use]
    pub fn score(&self) -> f64 {
        self.score
    }

    /// The rankings that have it, in their order.
    #[must_use]
    pub fn votes(&self) -> &[Vote] {
        &self.votes
    }

    /// Its rank in one of the rankings. O(log n) for n of them.
    #[must_use]
    pub fn rank_in(&self, ranking: usize) -> Option<u32> {
        let at = self.votes.binary_search_by_key(&ranking, |vote| vote.ranking).ok()?;
        Some(self.votes[at].rank)
    }
}

/// Reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009): the sum of 1 / (k + rank) over the rankings that have the item.
///
/// The highest score is first. Items with equal scores are in the order in which the rankings, one after the other, have them first. An item that
/// a ranking has twice counts once there, by its better rank. A ranking that is `None` has no items.
///
/// A score depends on nothing but the item's ranks: shares are added up from the least to the greatest, whichever rankings they are of. So items
/// with the same ranks, each in other rankings, have equal scores, and the order of the rankings decides nothing but between equals.
///
/// O(n log n) for n items in all.
///
/// # Examples
///
/// ```
/// use tierstack::executor::{FUSION_K, Ranking, fuse};
///
/// let (lexical, recent) = (Ranking::new(["a", "b", "c"]), Ranking::new(["c", "a"]));
/// let fused = fuse([Some(&lexical), None, Some(&recent)], FUSION_K);
/// assert!(fused.iter().map(|fused| *fused.item()).eq(["a", "c", "b"]));
/// assert_eq!(fused[0].score(), 1.0 / 61.0 + 1.0 / 62.0);
/// assert_eq!((fused[1].rank_in(0), fused[1].rank_in(2)), (Some(3), Some(1)));
/// ```
#[must_use]
pub fn fuse<'r, T: Hash + Eq + Clone + 'r>(
    rankings: impl IntoIterator<Item = Option<&'r Ranking<T>>>,
    k: u32,
) -> Vec<Fused<T>> {
    let share = |rank: u32| 1.0 / (f64::from(k) + f64::from(rank));
    let mut at: HashMap<&T, usize, RandomState> = HashMap::default();
    let mut fused: Vec<Fused<T>> = Vec::new();
    for (ranking, items) in rankings.into_iter().enumerate() {
        for (item, rank) in items.into_iter().flat_map(Ranking::iter) {
            let at = match at.entry(item) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    fused.push(Fused { item: item.clone(), score: 0.0, votes: Vec::new() });
                    *new.insert(fused.len() - 1)
                }
            };
            let votes = &mut fused[at].votes;
            if votes.last().is_none_or(|vote| vote.ranking != ranking) {
                votes.push(Vote { ranking, rank });
            }
        }
    }
    let mut ranks = Vec::new();
    for Fused { score, votes, .. } in &mut fused {
        ranks.clear();
        ranks.extend(votes.iter().map(|vote| vote.rank));
        ranks.sort_unstable();
        *score = ranks.iter().rev().fold(0.0, |sum, rank| sum + share(*rank));
    }
    fused.sort_by(|a, b| b.score.total_cmp(&a.score));
    fused
}
