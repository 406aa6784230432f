//! Reads: `get`, which counts as a use, and `peek`, which does not.
//!
//! # The use
//!
//! A `get` finds the node and reads its word p₀, alive: there the fragment is present in p₀'s tier, which is the read's
//! linearization point. Then it takes one tick g, raises the last use to g, and sees to it that every eviction that has not
//! decided yet looks at the last use: it goes on until the word is dead, has a tick of g or more, or is touched; where none
//! holds, it CASes touched on. It moves nothing, and never answers "absent" after p₀.
//!
//! Where the last use is the latest tick of all there is nothing to order: the node is the most recently used already. Such a use takes
//! no tick and writes nothing, if it then reads a touched word: an eviction that goes by that word finds the last use above the tick, and
//! one that goes by an earlier word fails. (A use that took a later tick before this one began would be seen in the clock.)
//!
//! All this is of fragments without an age, whose node is published: of others see [`super::expiry`].
//!
//! Why no eviction overlooks a use that has returned is said at the head of [`super::evict`].

use crossbeam_epoch::Guard;

use super::core::Core;
use crate::engine::entries::Entries;
use crate::engine::node::{Claim, Node};
use crate::engine::place::Place;
use crate::engine::stats::{Event, Stripe};
use crate::failpoint::{Step, reach};
use crate::store::fragment::Fragment;

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Core<K, V> {
    /// For a view, which may lend the value, and knows whether the use before was of the same key: for else to ask the clock whether
    /// anything else was used since is likely in vain, and moves its cache line once more. It knows its thread's counts, too.
    ///
    /// Counts no miss.
    #[inline]
    pub fn use_lent<'g>(
        &self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        is_again: bool,
        counts: impl Fn() -> Stripe<'g>,
        guard: &'g Guard,
    ) -> Option<Fragment<&'g V>> {
        let (node, place) = self.find_plain(hash, is_key, guard)?;
        self.report(node, guard);
        self.touch(node, place, is_again, counts);
        self.fragment(node, place).map(|found| found.map(Node::value))
    }

    #[inline]
    pub fn peek<'g>(
        &self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        guard: &'g Guard,
    ) -> Option<Fragment<&'g Node<K, V>>> {
        let (node, place) = self.find_plain(hash, is_key, guard)?;
        self.report(node, guard);
        self.fragment(node, place)
    }

    /// For an owned operation, which is no view. Counts no miss.
    #[inline]
    pub fn use_claimed<'g>(
        &self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        guard: &'g Guard,
    ) -> Option<Fragment<Claim<'g, K, V>>> {
        let (claim, place) = self.claim(hash, is_key, guard)?;
        self.touch(claim.node(), place, true, || self.stats.stripe());
        self.fragment(claim.node(), place).map(|found| found.map(|_| claim))
    }

    /// As [`Self::use_claimed`], without the use.
    #[inline]
    pub fn peek_claimed<'g>(
        &self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        guard: &'g Guard,
    ) -> Option<Fragment<Claim<'g, K, V>>> {
        let (claim, place) = self.claim(hash, is_key, guard)?;
        self.fragment(claim.node(), place).map(|found| found.map(|_| claim))
    }

    /// Where the value has gone the fragment had ended: then the key is looked up again.
    #[inline]
    fn claim<'g>(&self, hash: u64, is_key: impl Fn(&K) -> bool, guard: &'g Guard) -> Option<(Claim<'g, K, V>, Place)> {
        loop {
            let (node, place) = self.find_plain(hash, &is_key, guard)?;
            reach(Step::Found);
            self.report(node, guard);
            if let Some(claim) = Claim::of(node) {
                return Some((claim, place));
            }
        }
    }

    /// `counts` are the thread's: asked for only where a use is counted, as one that takes a tick is not.
    #[inline]
    pub(super) fn touch<'s>(
        &self,
        node: &Node<K, V>,
        place: Place,
        may_be_latest: bool,
        counts: impl FnOnce() -> Stripe<'s>,
    ) {
        if self.is_to_be_left(node, place) {
            counts().count(Event::QuietHit);
            return;
        }
        if may_be_latest && self.is_latest(node, place) {
            counts().count(Event::QuietHit);
            return;
        }
        let Some(tick) = self.clock.tick() else {
            // No tick is left to order this use by.
            counts().count(Event::QuietHit);
            return;
        };
        node.note_use(tick);
    }

    /// Whether the slack lets a use be.
    #[inline]
    pub(super) fn is_to_be_left(&self, node: &Node<K, V>, place: Place) -> bool {
        self.recency_slack > 0 && self.clock.now().saturating_sub(node.recency(place)) < self.recency_slack
    }

    /// Whether the node's last use is the latest tick of all, and every eviction bound to see it. In this order: an eviction that decides by
    /// a later word decides after this use.
    #[inline]
    pub(super) fn is_latest(&self, node: &Node<K, V>, place: Place) -> bool {
        place.is_touched() && self.clock.is_last(node.last_use.load()) && node.place.load() == place
    }
}
