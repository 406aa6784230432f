//! How a snapshot is taken: the walk, and what is made of it and of what was told. The protocol stands at the head of [`crate::engine::reports`].

use core::cmp::Reverse;

use crossbeam_epoch::Guard;

use super::core::Core;
use crate::engine::node::Node;
use crate::engine::place::List;
use crate::engine::reports::{Collector, Tiers, Walk};
use crate::failpoint::{Step, reach};
use crate::tier::Tier;

/// Reports beside as many as there are fragments, before others end a snapshot that does not. Few in models and schedules.
const REPORTS: usize = if cfg!(any(tierstack_loom, tierstack_shuttle, fuzzing)) { 3 } else { 256 };

/// A fragment in a snapshot: where it stood, whether it was kept, when it was last used, and its node.
pub struct Shown<'g, K, V> {
    pub tier: Tier,
    pub kept: bool,
    pub recency: u64,
    pub node: &'g Node<K, V>,
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Core<K, V> {
    /// What stands in the tiers at one instant of this call; each from the most to the least recently used. The caller is counted as a view.
    pub fn picture<'g>(&self, tiers: Tiers, guard: &'g Guard) -> Vec<Shown<'g, K, V>> {
        loop {
            let limit = || {
                let kept: u64 = Tier::ALL.into_iter().map(|tier| self.kept(tier).fragments()).sum();
                let standing = tiers.each().map(|tier| self.census(tier).fragments()).fold(kept, u64::saturating_add);
                usize::try_from(standing).unwrap_or(usize::MAX).saturating_add(REPORTS)
            };
            let collector = self.index.reports().join(tiers, limit, guard);
            self.end_snapshot(collector, guard);
            if collector.tiers().cover(tiers) {
                return self.develop(collector, tiers, guard);
            }
        }
    }

    /// Takes a snapshot in progress to its end.
    #[cold]
    pub(super) fn end_snapshot(&self, collector: &Collector<K, V>, guard: &Guard) {
        if !collector.is_walked() {
            collector.set_walk(self.walk(collector.tiers(), guard));
        }
        reach(Step::Walked);
        collector.block();
        reach(Step::Blocked);
        self.index.reports().deactivate(collector, guard);
    }

    /// What is met in the tiers, and what is kept. What comes to a tick that is not taken yet comes after the activation, and is reported.
    fn walk(&self, tiers: Tiers, guard: &Guard) -> Walk<K, V> {
        let end = self.clock.now();
        let mut walk = Walk::new();
        let chain_with = |node: &Node<K, V>| self.index.chain_with(node, guard);
        for list in tiers.each().map(List::Of).chain([List::Kept]) {
            self.order(list).visit_below(end, guard, |tick, node| walk.meet(node, (list, tick), chain_with, guard));
            reach(Step::WalkedTier);
        }
        walk
    }

    /// Makes the picture of what a blocked collector has.
    fn develop<'g>(&self, collector: &Collector<K, V>, tiers: Tiers, guard: &'g Guard) -> Vec<Shown<'g, K, V>> {
        let mut shown: Vec<_> = collector
            .furthest(guard)
            .filter_map(|record| {
                let tier = record.place.tier().filter(|tier| tiers.contain(*tier))?;
                // SAFETY: alive by the furthest word, so that it was not retired when this thread joined the collector, pinned by the guard: see the head
                // of `crate::engine::reports`.
                let node = unsafe { &*record.node };
                // Whoever has been shown a fragment has seen it.
                self.see(node, guard);
                Some(Shown { tier, kept: record.place.is_kept(), recency: node.recency(record.place), node })
            })
            .collect();
        shown.sort_unstable_by_key(|shown| (shown.tier, Reverse(shown.recency)));
        shown
    }
}
