//! The recency order of all that a snapshot shows, across its tiers.
//!
//! Items stand tier by tier. The order says no more than the tiers, from the most to the least recently used of all fragments: each is the next of its tier. That is a
//! byte a fragment. It matters when fragments meet that stand in different tiers: what is demoted keeps its recency.

use core::slice;

use super::StoreSnapshot;
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

/// The order of items of which each tier is in its own, by their recencies.
pub fn merged(ends: &[usize; 3], recency: impl Fn(usize) -> u64) -> Vec<Tier> {
    let mut next = begins(ends);
    let most_recent = |next: &[usize; 3]| {
        let heads = Tier::ALL.into_iter().filter(|tier| next[tier.index()] < ends[tier.index()]);
        heads.max_by_key(|tier| recency(next[tier.index()]))
    };
    let mut order = Vec::with_capacity(ends[2]);
    while let Some(tier) = most_recent(&next) {
        next[tier.index()] += 1;
        order.push(tier);
    }
    order
}

/// The numbers of the items, in that order.
fn numbers(order: &[Tier], ends: &[usize; 3]) -> impl Iterator<Item = usize> {
    let mut next = begins(ends);
    order.iter().map(move |tier| {
        let number = next[tier.index()];
        next[tier.index()] += 1;
        number
    })
}

/// Puts the items, which are in that order, tier by tier. In their place: they may be large.
#[cfg(feature = "serde")]
pub fn put_by_tier<T>(items: &mut [T], order: &[Tier], ends: &[usize; 3]) {
    permute(items, numbers(order, ends).collect());
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

/// The fragments of a snapshot with their tiers, from the most to the least recently used of all.
pub struct InOrder<'a, K, V> {
    items: &'a [Item<K, V>],
    order: slice::Iter<'a, Tier>,
    next: [usize; 3],
}

impl<'a, K, V> Iterator for InOrder<'a, K, V> {
    type Item = (Tier, &'a Item<K, V>);

    fn next(&mut self) -> Option<Self::Item> {
        let tier = *self.order.next()?;
        let number = &mut self.next[tier.index()];
        *number += 1;
        Some((tier, &self.items[*number - 1]))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.order.size_hint()
    }
}

impl<K, V, S> StoreSnapshot<K, V, S> {
    /// Its fragments with their tiers, from the most to the least recently used of all.
    #[cfg_attr(not(feature = "serde"), allow(dead_code, reason = "for the wire"))]
    pub(super) fn in_order(&self) -> InOrder<'_, K, V> {
        InOrder { items: &self.items, order: self.order.iter(), next: begins(&self.ends) }
    }

    /// Its fragments with their tiers, from the least to the most recently used of all.
    pub(in crate::store) fn into_oldest_first(self) -> impl ExactSizeIterator<Item = (Tier, Item<K, V>)> {
        let Self { mut items, ends, order, .. } = self;
        let mut targets = vec![0; items.len()];
        for (at, number) in numbers(&order, &ends).enumerate() {
            targets[number] = at;
        }
        permute(&mut items, targets);
        order.into_iter().zip(items).rev()
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
        let order = merged(&[2, 5, 5], |number| recencies[number]);
        let (hot, warm) = (Tier::Hot, Tier::Warm);
        assert_eq!(order, [hot, warm, warm, hot, warm]);
        let by_number: Vec<_> = numbers(&order, &[2, 5, 5]).map(|number| recencies[number]).collect();
        assert_eq!(by_number, [9, 8, 7, 4, 1]);
    }
}
