//! The recency order of all that a snapshot shows, across its tiers.
//!
//! Items stand tier by tier. The order matters when fragments meet that stand in different tiers: what is demoted keeps its recency. Only writing and restoring ask
//! for it. So a snapshot has no more than the recencies, and not even those where all of its items are of one tier; who asks merges the tiers by them.

use super::StoreSnapshot;
use super::deadlines::Deadlines;
use crate::store::fragment::Item;
use crate::tier::Tier;

/// Where in the items each tier begins.
fn begins(ends: &[usize; 3]) -> [usize; 3] {
    [0, ends[0], ends[1]]
}

/// Where each tier ends, of an order.
#[cfg(feature = "serde")]
pub fn ends(order: &[Tier]) -> [usize; 3] {
    let mut ends = [0; 3];
    for tier in order {
        ends[tier.index()] += 1;
    }
    ends[1] += ends[0];
    ends[2] += ends[1];
    ends
}

/// Whether items of that order are of several tiers.
pub fn is_of_several(ends: &[usize; 3]) -> bool {
    begins(ends).into_iter().zip(ends).filter(|(begin, end)| begin < end).count() > 1
}

/// The tiers of items of which each tier is in its own order, by their recencies: from the most to the least recently used of all.
struct Merged<'a> {
    next: [usize; 3],
    ends: [usize; 3],
    /// Of each item; nothing where all are of one tier.
    recencies: &'a [u64],
}

impl<'a> Merged<'a> {
    fn new(ends: &[usize; 3], recencies: &'a [u64]) -> Self {
        Self { next: begins(ends), ends: *ends, recencies }
    }
}

impl Iterator for Merged<'_> {
    /// The tier, and the number of the item.
    type Item = (Tier, usize);

    fn next(&mut self) -> Option<(Tier, usize)> {
        let heads = Tier::ALL.into_iter().map(|tier| (tier, self.next[tier.index()]));
        let heads = heads.filter(|(tier, number)| *number < self.ends[tier.index()]);
        let (tier, number) = heads.max_by_key(|(_, number)| self.recencies.get(*number))?;
        self.next[tier.index()] += 1;
        Some((tier, number))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.next.into_iter().zip(self.ends).map(|(next, end)| end - next).sum();
        (left, Some(left))
    }
}

/// Of items that come in that order: the number of each when they are put tier by tier.
#[cfg(feature = "serde")]
fn numbers(order: &[Tier], ends: &[usize; 3]) -> impl Iterator<Item = usize> {
    let mut next = begins(ends);
    order.iter().map(move |tier| {
        let number = next[tier.index()];
        next[tier.index()] += 1;
        number
    })
}

/// Puts the items, which are in that order, tier by tier. In their place: they may be large. Their recencies then.
#[cfg(feature = "serde")]
pub fn put_by_tier<T>(items: &mut [T], deadlines: &mut Deadlines, order: &[Tier], ends: &[usize; 3]) -> Vec<u64> {
    if !is_of_several(ends) {
        return Vec::new();
    }
    let targets: Vec<usize> = numbers(order, ends).collect();
    deadlines.renumber(|number| targets[number]);
    permute(items, targets);
    let mut recencies = vec![0; items.len()];
    for (number, recency) in numbers(order, ends).zip((0..items.len() as u64).rev()) {
        recencies[number] = recency;
    }
    recencies
}

/// Moves each item to its target, which are all different.
fn permute<T>(items: &mut [T], mut targets: Vec<usize>) {
    for number in 0..targets.len() {
        while targets[number] != number {
            let target = targets[number];
            items.swap(number, target);
            targets.swap(number, target);
        }
    }
}

/// The fragments of a snapshot, with their tiers, from the least to the most recently used of all: from the back.
pub struct OldestLast<K, V> {
    pub items: Vec<Item<K, V>>,
    pub tiers: Vec<Tier>,
    pub deadlines: Deadlines,
}

impl<K, V, S> StoreSnapshot<K, V, S> {
    /// Its fragments with their tiers, from the most to the least recently used of all, and how long it is until their deadlines.
    #[cfg_attr(not(feature = "serde"), allow(dead_code, reason = "for the wire"))]
    pub(super) fn in_order(&self) -> impl Iterator<Item = (Tier, &Item<K, V>, Option<u64>)> {
        Merged::new(&self.ends, &self.recencies)
            .map(|(tier, number)| (tier, &self.items[number], self.deadlines.of(number)))
    }

    pub(in crate::store) fn into_oldest_last(self) -> OldestLast<K, V> {
        let Self { mut items, ends, recencies, mut deadlines, .. } = self;
        let mut tiers = Vec::with_capacity(items.len());
        let mut targets = vec![0; items.len()];
        for (at, (tier, number)) in Merged::new(&ends, &recencies).enumerate() {
            tiers.push(tier);
            targets[number] = at;
        }
        deadlines.renumber(|number| targets[number]);
        permute(&mut items, targets);
        OldestLast { items, tiers, deadlines }
    }
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn items_are_moved_to_their_targets() {
        for targets in [vec![], vec![0], vec![1, 0], vec![2, 0, 1], vec![1, 2, 3, 0, 4], vec![4, 3, 2, 1, 0]] {
            let mut items: Vec<usize> = (0..targets.len()).collect();
            permute(&mut items, targets.clone());
            for (item, target) in targets.iter().enumerate() {
                assert_eq!(items[*target], item, "{targets:?}");
            }
        }
    }

    #[test]
    fn tiers_are_merged_by_recency() {
        // Hot: 9, 4. Warm: 8, 7, 1. Cold: nothing.
        let recencies = [9, 4, 8, 7, 1];
        let merged = Merged::new(&[2, 5, 5], &recencies);
        assert_eq!(merged.size_hint(), (5, Some(5)));
        let (tiers, numbers): (Vec<_>, Vec<_>) = merged.unzip();
        let (hot, warm) = (Tier::Hot, Tier::Warm);
        assert_eq!(tiers, [hot, warm, warm, hot, warm]);
        assert_eq!(numbers, [0, 2, 3, 1, 4]);
        let one: Vec<_> = Merged::new(&[0, 3, 3], &[]).collect();
        assert_eq!(one, [(warm, 0), (warm, 1), (warm, 2)]);
    }

    #[test]
    fn several_tiers_are_told_from_one() {
        for (ends, several) in [([0, 0, 0], false), ([2, 2, 2], false), ([0, 1, 1], false), ([0, 0, 4], false)] {
            assert_eq!(is_of_several(&ends), several, "{ends:?}");
        }
        for ends in [[1, 2, 2], [1, 1, 2], [0, 1, 2], [1, 2, 3]] {
            assert!(is_of_several(&ends), "{ends:?}");
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn what_comes_in_order_is_in_order_by_tier() {
        let (hot, warm, cold) = (Tier::Hot, Tier::Warm, Tier::Cold);
        let order = [warm, hot, cold, cold, hot, warm];
        let mut items = [0, 1, 2, 3, 4, 5];
        let mut deadlines = Deadlines::default();
        deadlines.push(0, 7);
        deadlines.push(4, 9);
        let recencies = put_by_tier(&mut items, &mut deadlines, &order, &ends(&order));
        assert_eq!([0, 1, 2, 3, 4, 5].map(|number| deadlines.of(number)), [None, Some(9), Some(7), None, None, None]);
        assert_eq!((items, &*recencies), ([1, 4, 0, 5, 2, 3], &[4, 1, 5, 0, 3, 2][..]));
        let again: Vec<_> = Merged::new(&ends(&order), &recencies).map(|(tier, _)| tier).collect();
        assert_eq!(again, order);
        let mut items = [0, 1];
        assert!(put_by_tier(&mut items, &mut deadlines, &[cold, cold], &[0, 0, 2]).is_empty());
        assert_eq!(items, [0, 1]);
    }
}
