//! One operation that changes the store: what it holds and owes, whichever way it ends.

use crossbeam_epoch::Guard;

use super::core::Core;
use super::departure::Cause;
use super::outflow::Outflow;
use super::trace::{self, Happened};
use crate::engine::budget::{Budget, Reservation};
use crate::engine::census::Tally;
use crate::engine::node::Node;
use crate::engine::reclaim;
use crate::engine::stats::Stripe;
use crate::failpoint::{Step, reach};
use crate::store::fragment::Enforced;
use crate::tier::Tier;

/// An operation in progress. However it ends, also by a panic of the caller's `Eq`, it gives back what it has reserved, adds its tally to
/// the counts, and sees to the budget and the capacities.
#[expect(clippy::struct_excessive_bools, reason = "each is a thing to see to at its end, of its own")]
pub struct Operation<'c, 'g, K: Send + Sync + 'static, V: Send + Sync + 'static> {
    pub(super) core: &'c Core<K, V>,
    pub(super) guard: &'g Guard,
    pub(super) outflow: &'c Outflow<K, V>,
    /// The thread's counts of what happened, which are looked up once.
    pub(super) stripe: Stripe<'c>,
    pub(super) tally: Tally,
    /// Bytes of hot.
    pub(super) reservation: Reservation<'c>,
    /// Fragments that this operation brought into a tier which cannot hold them, in the order in which they came.
    pub(super) passing: Vec<(&'g Node<K, V>, Tier)>,
    /// What it has done for the budget.
    pub(super) enforced: Enforced,
    /// Whether a claim on what a tier has above its capacity was refused, or what was taken off a count was given back: then it is to be looked again whether the
    /// tier is above it, by a new walk.
    pub(super) is_to_look_again: bool,
    /// Whether it has ended a fragment that was due; and whether an eviction of its has, and nobody has asked for that yet.
    pub(super) has_expired: bool,
    pub(super) has_made_way: bool,
    /// Whether it has published a fragment in hot.
    has_published: bool,
    is_finished: bool,
    /// Its time, once it was asked for: see [`crate::engine::age`].
    pub(super) now: Option<u64>,
}

impl<'c, 'g, K: Send + Sync + 'static, V: Send + Sync + 'static> Operation<'c, 'g, K, V> {
    pub fn new(core: &'c Core<K, V>, outflow: &'c Outflow<K, V>, guard: &'g Guard) -> Self {
        let reservation = Reservation::empty(&core.budget);
        Self {
            core,
            guard,
            outflow,
            stripe: core.stats.stripe(),
            tally: Tally::default(),
            reservation,
            // Does not allocate until something passes.
            passing: Vec::new(),
            enforced: Enforced::default(),
            is_to_look_again: false,
            has_expired: false,
            has_made_way: false,
            has_published: false,
            is_finished: false,
            now: None,
        }
    }

    /// Adds to the counts what this operation has changed.
    pub(super) fn account(&mut self) {
        self.tally.add_to(&self.core.census);
    }

    /// A fragment has come into `tier` by this operation.
    pub(super) fn arrived(&mut self, node: &'g Node<K, V>, tier: Tier, is_kept: bool) {
        if self.core.census(tier).counts(node.weight(), is_kept) {
            self.tally.enter(tier, node.weight());
        } else {
            self.passing.push((node, tier));
        }
        if is_kept {
            self.core.kept(tier).come(node.weight());
        }
        self.may_be_demoted(tier);
    }

    /// A fragment stands in `tier` by this operation, which a lowered budget may have to demote.
    pub(super) fn may_be_demoted(&mut self, tier: Tier) {
        self.has_published |= tier == Tier::Hot;
    }

    /// Before the CAS that takes a fragment out of `tier`, from a word that says whether it is kept: see [`crate::engine::census`].
    pub(super) fn before_departure(&mut self, node: &Node<K, V>, tier: Tier, is_kept: bool) {
        self.tally.leave_early(tier, node.weight(), is_kept, self.core.census(tier));
        self.before_kept_leaves(node, tier, is_kept);
    }

    /// The same for what is counted elsewhere but for its being kept.
    pub(super) fn before_kept_leaves(&self, node: &Node<K, V>, tier: Tier, is_kept: bool) {
        if is_kept {
            self.core.kept(tier).go(node.weight());
        }
    }

    /// After that CAS was lost.
    pub(super) fn no_departure(&mut self, node: &Node<K, V>, tier: Tier, is_kept: bool) {
        self.core.census(tier).come_back(node.weight(), is_kept);
        // By the lower count others may have left what stands behind the walk of this one.
        self.is_to_look_again = true;
        self.no_kept_leaves(node, tier, is_kept);
    }

    /// As [`Self::before_kept_leaves`].
    pub(super) fn no_kept_leaves(&self, node: &Node<K, V>, tier: Tier, is_kept: bool) {
        if is_kept {
            self.core.kept(tier).come(node.weight());
        }
    }

    /// Right after a CAS that has ended a fragment: the listener is to be told. What overflows or is archived is let go there also where nobody is told.
    #[inline]
    pub(super) fn has_left(&self, node: &Node<K, V>, tier: Tier, cause: Cause) {
        if matches!(cause, Cause::Overflowed | Cause::Archived) || self.core.told.contain(cause) {
            self.outflow.push(node, tier, cause);
        }
    }

    /// What has happened to a fragment is told, if somebody asks for such events.
    #[inline]
    pub(super) fn note(&self, node: &Node<K, V>, happened: Happened) {
        if trace::is_on(happened) {
            self.outflow.note(node, happened);
        }
    }

    /// After that CAS was won.
    pub(super) fn departed(&mut self, node: &Node<K, V>, tier: Tier) {
        if !self.core.census(tier).is_bounded() {
            self.tally.leave(tier, node.weight());
        }
    }

    /// The bytes of a fragment that this operation took out of `tier` are its own then, to be released when it is accounted for.
    pub(super) fn take_over_bytes(&mut self, node: &Node<K, V>, tier: Tier) {
        if tier == Tier::Hot {
            reach(Step::Left);
            self.reservation.join(node.weight());
        }
    }

    /// It has changed nothing, and so has nothing to see to at its end.
    pub(super) const fn owes_nothing(&mut self) {
        self.is_finished = true;
    }

    fn end(&mut self) {
        self.core.stats.note_hot_bytes(self.reservation.peak());
        self.reservation.shrink_to(0);
        if self.has_published {
            Budget::published();
        }
        self.enforce();
        // Last: where the caller's clock panics on the way, the drop sees to the rest, without the clock.
        self.is_finished = true;
    }

    /// What every operation that changed anything ends with: the budget and the capacities hold, and the collector is flushed now and
    /// then, when nothing is held or owed any more. What the whole operation has done for the budget.
    pub fn finish(&mut self) -> Enforced {
        self.end();
        if reclaim::has_retired_more_than(self.core.stats.patience()) {
            reclaim::flush(self.guard);
        }
        self.enforced
    }
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Drop for Operation<'_, '_, K, V> {
    fn drop(&mut self) {
        if !self.is_finished {
            self.end();
        }
    }
}
