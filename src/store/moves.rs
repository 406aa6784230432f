//! `promote`, `demote` and `remove`: moves by key.
//!
//! Each observes the node listed and CASes its word: that is the linearization point. What it became is listed, and the old entry
//! cleared, before anything is counted or released. A loss means that another thread moved, used, replaced or removed the
//! fragment: then all is decided anew.

use crossbeam_epoch::Guard;

use super::core::Core;
use super::evict::Room;
use super::outflow::Outflow;
use crate::budget::Reservation;
use crate::error::PromoteError;
use crate::failpoint::{Step, reach};
use crate::fragment::{Fragment, Moved};
use crate::metrics::Event;
use crate::node::Node;
use crate::place::Outcome;
use crate::tier::Tier;

impl<K: Eq + Send + Sync + 'static, V: Send + Sync + 'static> Core<K, V> {
    /// Moves a fragment up to where `target` says, given where it is; never down.
    pub fn promote(
        &self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        target: impl Fn(Tier) -> Tier,
        outflow: &Outflow<K, V>,
        guard: &Guard,
    ) -> Result<Moved, PromoteError> {
        let mut reservation = Reservation::empty(&self.budget);
        let mut tick = 0;
        let moved = loop {
            let (node, place) = self.observe(hash, &is_key, guard).ok_or(PromoteError::NotFound)?;
            let Some(from) = place.tier() else { continue };
            let to = target(from).min(from);
            let (weight, rises_to_hot) = (node.weight(), to == Tier::Hot && from != Tier::Hot);
            if rises_to_hot {
                let spare = |other: &Node<K, V>| other.hash() == hash && is_key(other.key());
                let over = |budget| Err(PromoteError::OverBudget { weight, budget });
                let budget = self.budget.limit();
                if weight > budget {
                    return over(budget);
                }
                if self.make_room(&mut reservation, weight, spare, outflow, guard) == Room::Contended {
                    self.enforce(outflow, guard);
                    let budget = self.budget.limit();
                    if weight > budget {
                        return over(budget);
                    }
                    self.events.count(Event::Contended);
                    return Err(PromoteError::Contended { weight });
                }
            }
            if tick <= place.tick() {
                let Some(fresh) = self.other_tick() else {
                    drop(reservation);
                    self.enforce(outflow, guard);
                    return Err(PromoteError::ClockExhausted);
                };
                tick = fresh;
            }
            if tick <= place.tick() {
                continue;
            }
            if let Outcome::Done(_) = node.place.rise(place, to, tick) {
                reach(Step::Moved);
                if rises_to_hot {
                    reservation.hand_over();
                }
                self.settle_after(node, Some((from, place.tick())), guard);
                if from != to {
                    self.census(from).leave(weight);
                    self.enter(to, weight);
                    self.events.count(Event::Promotion);
                }
                break Moved { from, to };
            }
        };
        drop(reservation);
        self.enforce(outflow, guard);
        Ok(moved)
    }

    /// Moves a fragment down to where `target` says, given where it is; never up.
    pub fn demote(
        &self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        target: impl Fn(Tier) -> Tier,
        outflow: &Outflow<K, V>,
        guard: &Guard,
    ) -> Option<Moved> {
        loop {
            let (node, place) = self.observe(hash, &is_key, guard)?;
            let Some(from) = place.tier() else { continue };
            let to = target(from).max(from);
            if from == to {
                return Some(Moved { from, to });
            }
            if let Outcome::Done(_) = node.place.sink(place, to) {
                reach(Step::Moved);
                self.settle_after(node, Some((from, place.tick())), guard);
                self.census(from).leave(node.weight());
                self.enter(to, node.weight());
                if from == Tier::Hot {
                    reach(Step::Left);
                    self.budget.release(node.weight());
                }
                self.events.count(Event::Demotion);
                self.enforce_capacities(outflow, guard);
                return Some(Moved { from, to });
            }
        }
    }

    /// Ends a fragment.
    pub fn remove<'g>(&self, hash: u64, is_key: impl Fn(&K) -> bool, guard: &'g Guard) -> Option<Fragment<&'g V>> {
        loop {
            let (node, place) = self.observe(hash, &is_key, guard)?;
            let Some(tier) = place.tier() else { continue };
            if let Outcome::Done(_) = node.place.remove(place) {
                reach(Step::Removed);
                self.settle_after(node, Some((tier, place.tick())), guard);
                self.index.tidy(hash, self, guard);
                self.census(tier).leave(node.weight());
                if tier == Tier::Hot {
                    reach(Step::Left);
                    self.budget.release(node.weight());
                }
                self.events.count(Event::Removal);
                return Some(Fragment { value: node.value(), tier, weight: node.weight() });
            }
        }
    }
}
