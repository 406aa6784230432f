//! How a call ends: it sees to the budget and to the capacities. See [`crate::checker`].

use tierstack::{Capacity, Fragment, Tier};

use crate::checker::Checker;
use crate::configuration::{Configuration, Flight, Phase};
use crate::recorder::{Key, Operation, Value};
use crate::steps::{END, Next};

impl Checker<'_> {
    /// What a call looks at while it ends.
    pub fn watched_at_the_end(&self, call: usize) -> &'static [Tier] {
        match (self.lowered[call], self.setup.warm, self.setup.cold) {
            (true, ..) => &Tier::ALL,
            (false, Capacity::UNBOUNDED, Capacity::UNBOUNDED) => &[],
            (false, Capacity::UNBOUNDED, _) => &[Tier::Cold],
            (false, _, Capacity::UNBOUNDED) => &[Tier::Warm],
            _ => &[Tier::Warm, Tier::Cold],
        }
    }

    pub fn may_return(&self, now: &Configuration, at: usize) -> bool {
        let flight = &now.flights[at];
        match flight.phase {
            Phase::Done => true,
            Phase::Ending { claim: None, is_again: false } => {
                let call = &self.calls[flight.call];
                let handed_over = self.open == Some(flight.call) || flight.overflowed == call.overflow.len();
                handed_over && (self.others_change(now, at) || self.holds(now))
            }
            _ => false,
        }
    }

    /// Whether the budget and the capacities hold.
    fn holds(&self, now: &Configuration) -> bool {
        let stays = |tier| !self.is_over(now, tier) && self.too_heavy(now, tier).next().is_none();
        let fits = now.board.hot_bytes() <= now.budget || now.is_all_kept(Tier::Hot);
        fits && stays(Tier::Warm) && stays(Tier::Cold)
    }

    fn capacity(&self, tier: Tier) -> Capacity {
        if tier == Tier::Warm { self.setup.warm } else { self.setup.cold }
    }

    /// The weights of the fragments that can stay in the tier.
    fn staying(&self, now: &Configuration, tier: Tier) -> Vec<u64> {
        let most = self.capacity(tier).bytes.unwrap_or(u64::MAX);
        let found = Key::all().filter_map(|key| now.board.peek(&key)).filter(|found| found.tier == tier);
        found.filter(|found| found.kept || found.weight <= most).map(|found| found.weight).collect()
    }

    /// Whether the tier is over its capacity, but for what is claimed, and for what cannot stay; and not all there is kept.
    fn is_over(&self, now: &Configuration, tier: Tier) -> bool {
        if now.is_all_kept(tier) {
            return false;
        }
        let Capacity { entries, bytes } = self.capacity(tier);
        let claims = |phase| matches!(phase, Phase::Ending { claim: Some(claimed), .. } if claimed == tier);
        let claimed = now.flights.iter().filter(|flight| claims(flight.phase)).count();
        let staying = self.staying(now, tier);
        let number = staying.len().saturating_sub(if bytes.is_none() { claimed } else { 0 });
        entries.is_some_and(|most| number as u64 > most) || bytes.is_some_and(|most| staying.iter().sum::<u64>() > most)
    }

    /// The fragments in a tier which are heavier than all the bytes that it may hold, and not kept.
    fn too_heavy(&self, now: &Configuration, tier: Tier) -> impl Iterator<Item = Key> {
        let most = self.capacity(tier).bytes.unwrap_or(u64::MAX);
        let is_too_heavy = move |found: Fragment<Value>| found.tier == tier && found.weight > most && !found.kept;
        Key::all().filter(move |key| now.board.peek(key).is_some_and(is_too_heavy))
    }

    /// Evicts from hot, where it is over the budget: that was lowered.
    pub fn demote_while_over(&self, now: &Configuration, at: usize, phase: Phase, next: &mut Next) {
        if now.flights[at].short {
            for victim in now.victims(at, Tier::Hot, None) {
                let mut then = now.clone();
                let evicted = then.evict(at, victim);
                let watched: &[Tier] = if matches!(phase, Phase::Ending { .. }) {
                    self.watched_at_the_end(now.flights[at].call)
                } else {
                    &[Tier::Hot]
                };
                then.own_step(at, watched);
                let flight = &mut then.flights[at];
                flight.phase = phase;
                flight.held = flight.held.max(evicted.weight);
                next.push(then);
            }
        }
    }

    /// Sees to the budget and to the capacities; where it `is_again`, before it tries again.
    pub fn end(&self, now: &Configuration, at: usize, claim: Option<Tier>, is_again: bool, next: &mut Next) {
        let Flight { call, overflowed, .. } = now.flights[at];
        let push = |victim, next: &mut Next| {
            let mut then = now.clone();
            let evicted = then.evict(at, victim);
            then.own_step(at, self.watched_at_the_end(call));
            let out = evicted.to.is_none();
            let handed = self.calls[call].overflow.get(overflowed);
            if !out || self.open == Some(call) || handed == Some(&(evicted.key, evicted.value)) {
                then.flights[at].overflowed += usize::from(out);
                if is_again {
                    then.flights[at].phase = Phase::Waiting;
                    then.own_step(at, &[Tier::Hot]);
                    then.unfix(at);
                } else {
                    then.flights[at].phase = END;
                }
                next.push(then);
            }
        };
        if let Some(tier) = claim {
            now.victims(at, tier, None).into_iter().for_each(|victim| push(victim, next));
            return;
        }
        let mut may_pass = true;
        for tier in [Tier::Warm, Tier::Cold] {
            if may_pass {
                self.too_heavy(now, tier).for_each(|victim| push(victim, next));
            }
            may_pass &= self.others_change(now, at) || self.too_heavy(now, tier).next().is_none();
            if may_pass && self.is_over(now, tier) {
                let mut then = now.clone();
                then.flights[at].phase = Phase::Ending { claim: Some(tier), is_again };
                next.push(then);
            }
            may_pass &= self.others_change(now, at) || !self.is_over(now, tier);
        }
        // A call that answers how many it has demoted does so before.
        let counts = matches!(self.calls[call].operation, Operation::SetHotBudget(_) | Operation::EnforceHotBudget);
        if self.lowered[call] && !counts && !is_again {
            self.demote_while_over(now, at, END, next);
        }
    }
}
