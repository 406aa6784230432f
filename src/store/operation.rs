//! One operation that changes the store: what it holds and owes, whichever way it ends.

use crossbeam_epoch::Guard;

use super::core::Core;
use super::outflow::Outflow;
use crate::budget::Reservation;
use crate::census::Tally;
use crate::node::Node;
use crate::reclaim;
use crate::tier::Tier;

/// An operation in progress. However it ends, also by a panic of the caller's `Eq`, it adds its tally to the counts, then gives back
/// what it has reserved (hot's bytes are never counted above what is reserved), and sees to the budget and the capacities.
pub struct Operation<'c, 'g, K: Send + Sync + 'static, V: Send + Sync + 'static> {
    pub(super) core: &'c Core<K, V>,
    pub(super) guard: &'g Guard,
    pub(super) outflow: &'c Outflow<K, V>,
    pub(super) tally: Tally,
    /// Bytes of hot. Dropped after the tally was added.
    pub(super) reservation: Reservation<'c>,
    /// Whether a claim on what a tier has above its capacity was refused: then it was not above it at that instant.
    pub(super) was_refused: bool,
    is_finished: bool,
}

impl<'c, 'g, K: Send + Sync + 'static, V: Send + Sync + 'static> Operation<'c, 'g, K, V> {
    pub fn new(core: &'c Core<K, V>, outflow: &'c Outflow<K, V>, guard: &'g Guard) -> Self {
        let reservation = Reservation::empty(&core.budget);
        Self { core, guard, outflow, tally: Tally::default(), reservation, was_refused: false, is_finished: false }
    }

    /// Adds to the counts what this operation has changed.
    pub(super) fn account(&mut self) {
        if let Some(hot_bytes) = self.tally.add_to(&self.core.census) {
            self.core.stats.note_hot_bytes(hot_bytes);
        }
    }

    /// Gives back what is reserved above `bytes`.
    pub(super) fn shrink_reservation_to(&mut self, bytes: u64) {
        if self.reservation.held() > bytes {
            self.account();
            self.reservation.shrink_to(bytes);
        }
    }

    /// Before the CAS that takes a fragment out of a tier: see [`crate::census`].
    pub(super) fn before_departure(&mut self, node: &Node<K, V>, tier: Tier) {
        self.tally.leave_early(tier, node.weight(), self.core.census(tier));
    }

    /// After that CAS was lost.
    pub(super) fn no_departure(&self, node: &Node<K, V>, tier: Tier) {
        self.core.census(tier).come_back(node.weight());
    }

    /// After that CAS was won.
    pub(super) fn departed(&mut self, node: &Node<K, V>, tier: Tier) {
        if !self.core.census(tier).is_bounded() {
            self.tally.leave(tier, node.weight());
        }
    }

    fn end(&mut self) {
        self.is_finished = true;
        self.shrink_reservation_to(0);
        self.enforce();
    }

    /// What every operation that changed anything ends with: the budget and the capacities hold, and the collector is flushed now and
    /// then, when nothing is held or owed any more.
    pub fn finish(mut self) {
        self.end();
        if reclaim::has_retired_more_than(self.core.stats.patience()) {
            reclaim::flush(self.guard);
        }
    }
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Drop for Operation<'_, '_, K, V> {
    fn drop(&mut self) {
        if !self.is_finished {
            self.end();
        }
    }
}
