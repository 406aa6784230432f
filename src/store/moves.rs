//! `promote`, `demote` and `remove`: moves by key.
//!
//! Each observes the node, fills the cell that it moves to, and CASes its word: that is the linearization point. The old entry is
//! cleared before anything is counted or released. A loss means that another thread moved, used, replaced or removed the
//! fragment: then all is decided anew. While the node is alive that needs no look-up: it is the key's fragment.

use super::departure::Cause;
use super::error::PromoteError;
use super::evict::Room;
use super::operation::Operation;
use super::trace::Happened;
use crate::engine::entries::Entries;
use crate::engine::node::Node;
use crate::engine::place::Outcome;
use crate::engine::stats::Event;
use crate::failpoint::{Step, reach};
use crate::store::fragment::{Fragment, Moved};
use crate::tier::Tier;

impl<'g, K: Eq + Send + Sync + 'static, V: Send + Sync + 'static> Operation<'_, 'g, K, V> {
    /// Moves a fragment up to where `target` says, given where it is; never down.
    pub fn promote(
        &mut self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        target: impl Fn(Tier) -> Tier,
    ) -> Result<Moved, PromoteError> {
        let moved = self.raise(hash, is_key, target);
        match moved {
            Ok(Moved { from, to }) if from != to => self.stripe.count(Event::Promotion),
            Err(PromoteError::Contended { .. }) => self.stripe.count(Event::Contended),
            _ => {}
        }
        self.finish();
        moved
    }

    fn raise(
        &mut self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        target: impl Fn(Tier) -> Tier,
    ) -> Result<Moved, PromoteError> {
        let (core, guard) = (self.core, self.guard);
        loop {
            let (node, place) = self.observe(hash, &is_key).ok_or(PromoteError::NotFound)?;
            let Some(from) = place.tier() else { continue };
            let to = target(from).min(from);
            let rises_to_hot = to == Tier::Hot && from != Tier::Hot;
            if rises_to_hot {
                let is_it = |other: &Node<K, V>| other.hash() == hash && is_key(other.key());
                let stands = || node.place.load().is_same_placement(place);
                // A refusal is true only of a fragment that stood there when the budget was read.
                match self.reserve_for(node, is_it, stands) {
                    Some(Err(refusal)) if stands() => {
                        core.report(node, guard);
                        if let PromoteError::Contended { .. } = refusal {
                            self.note(node, Happened::Contended { tier: from });
                        }
                        return Err(refusal);
                    }
                    None | Some(Err(_)) => continue,
                    Some(Ok(())) => {}
                }
            }
            let tick = core.other_tick(self.stripe).ok_or(PromoteError::ClockExhausted)?;
            if from != to {
                self.before_departure(node, from, place.is_kept());
            }
            self.raise_age(node);
            match core.rise(node, place, to, tick, guard) {
                // The next try takes another tick.
                Outcome::Lost(_) if from != to => self.no_departure(node, from, place.is_kept()),
                Outcome::Lost(_) => {}
                Outcome::Done(_) => {
                    if rises_to_hot {
                        self.reservation.hand_over();
                    }
                    if from != to {
                        self.departed(node, from);
                        self.arrived(node, to, place.is_kept());
                        self.note(node, Happened::Promoted { from, to });
                    }
                    return Ok(Moved { from, to });
                }
            }
        }
    }

    /// Reserves what `node` weighs. `None`: it is not where it was, which `stands` tells.
    fn reserve_for(
        &mut self,
        node: &Node<K, V>,
        spare: impl Fn(&Node<K, V>) -> bool,
        stands: impl Fn() -> bool,
    ) -> Option<Result<(), PromoteError>> {
        let weight = node.weight();
        loop {
            let budget = self.core.budget.limit();
            if weight > budget {
                return Some(Err(PromoteError::OverBudget { weight, budget }));
            }
            match self.make_room(weight, (weight, Some(weight)), &spare, &stands) {
                Room::Made => return Some(Ok(())),
                Room::Outdated => return None,
                // Not where it is the budget that leaves no room by now.
                Room::Contended if weight <= self.core.budget.limit() => {
                    return Some(Err(PromoteError::Contended { weight }));
                }
                Room::KeptOut => return Some(Err(PromoteError::KeptOut { weight })),
                // Too heavy, unless the budget has been raised again.
                Room::Contended | Room::OverBudget => {}
            }
        }
    }

    /// Moves a fragment down to where `target` says, given where it is; never up.
    pub fn demote(&mut self, hash: u64, is_key: impl Fn(&K) -> bool, target: impl Fn(Tier) -> Tier) -> Option<Moved> {
        let (core, guard) = (self.core, self.guard);
        let moved = 'key: loop {
            let Some((node, mut place)) = self.observe(hash, &is_key) else { break None };
            while let Some(from) = place.tier() {
                let to = target(from).max(from);
                if from == to {
                    core.report(node, guard);
                    break 'key Some(Moved { from, to });
                }
                self.before_departure(node, from, place.is_kept());
                match core.sink(node, place, to, guard) {
                    Outcome::Lost(_) => {
                        self.no_departure(node, from, place.is_kept());
                        if node.age().is_some() {
                            // In another tier it may be due.
                            break;
                        }
                        place = node.place.load();
                    }
                    Outcome::Done(_) => {
                        self.departed(node, from);
                        self.arrived(node, to, place.is_kept());
                        self.take_over_bytes(node, from);
                        self.stripe.count(Event::Demotion);
                        self.note(node, Happened::Demoted { from, to });
                        break 'key Some(Moved { from, to });
                    }
                }
            }
        };
        self.finish();
        moved
    }

    /// Ends a fragment.
    pub fn remove(&mut self, hash: u64, is_key: impl Fn(&K) -> bool) -> Option<Fragment<&'g Node<K, V>>> {
        let (core, guard) = (self.core, self.guard);
        let removed = 'key: loop {
            let Some(((node, mut place), spot)) = self.observe_spot(hash, &is_key) else { break None };
            while let Some(tier) = place.tier() {
                self.before_departure(node, tier, place.is_kept());
                match node.place.remove(place) {
                    Outcome::Lost(now) => {
                        self.no_departure(node, tier, place.is_kept());
                        if node.age().is_some() {
                            // In another tier it may be due.
                            break;
                        }
                        place = now;
                    }
                    Outcome::Done(now) => {
                        self.has_left(node, tier, Cause::Removed);
                        reach(Step::Removed);
                        core.report(node, guard);
                        core.clear_left(node, place, now, guard);
                        core.index.bury(spot.as_ref(), hash, guard);
                        self.departed(node, tier);
                        self.take_over_bytes(node, tier);
                        self.stripe.count(Event::Removal);
                        self.note(node, Happened::Removed { from: tier });
                        break 'key core.fragment(node, place);
                    }
                }
            }
        };
        self.finish();
        removed
    }
}
