//! What a call in flight may do next: see [`crate::checker`].

use std::collections::HashSet;

use tierstack::{Enforced, Evicted, GetOrStored, Kept, Moved, PromoteError, Stored, Tier};

use crate::checker::Checker;
use crate::configuration::{Configuration, Flight, Phase};
use crate::recorder::{Call, Key, Operation, Outcome, Value};

pub const END: Phase = Phase::Ending { claim: None, is_again: false };

/// More than any hot tier holds here.
const ANY: u64 = 1 << 60;

/// Which way a `store` went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Went {
    Hot,
    TooHeavy,
    Contended,
    KeptOut,
}

/// What a call in flight may have become.
pub type Next = Vec<Configuration>;

fn changes(operation: &Operation) -> bool {
    use Operation as Op;
    !matches!(
        operation,
        Op::Get(_)
            | Op::Peek(_)
            | Op::Contains(_)
            | Op::TierOf(_)
            | Op::HotBudget
            | Op::HotBytes
            | Op::Len(_)
            | Op::Bytes(_)
            | Op::IsEmpty
            | Op::Iter(_)
            | Op::Snapshot
            | Op::SnapshotOf(_)
    )
}

impl Checker<'_> {
    pub fn begin(&self, configuration: &mut Configuration, call: usize) {
        let operation = &self.calls[call].operation;
        let phase = if *operation == Operation::EnforceHotBudget { Phase::Enforcing(0) } else { Phase::Waiting };
        let held = match operation {
            _ if operation.stores().is_some() => operation.stores().map_or(0, |(_, value)| value.weight),
            Operation::Promote(key) | Operation::PromoteTo(key, Tier::Hot) => self.heaviest(*key),
            Operation::SetHotBudget(_) => ANY,
            _ => 0,
        };
        let watched: &[Tier] = match operation {
            Operation::EvictLru(tier) | Operation::Iter(tier) => &[*tier],
            _ if operation.stores().is_some() => &[Tier::Hot],
            Operation::EnforceHotBudget | Operation::Promote(_) | Operation::PromoteTo(_, Tier::Hot) => &[Tier::Hot],
            _ => &[],
        };
        configuration.begin(call, phase, held, watched);
    }

    /// The most that any fragment of the key weighs.
    fn heaviest(&self, key: Key) -> u64 {
        let weight = |call: &Call| {
            let (_, value) = call.operation.stores().filter(|(stored, _)| **stored == key)?;
            Some(value.weight)
        };
        self.calls.iter().filter_map(weight).max().unwrap_or(0)
    }

    pub fn others_change(&self, now: &Configuration, at: usize) -> bool {
        let others = now.flights.iter().enumerate().filter(|(other, _)| *other != at);
        others.into_iter().any(|(_, flight)| changes(&self.calls[flight.call].operation))
    }

    /// What was stored, where it is known that a call did store it.
    fn stored(&self, call: usize) -> Option<Went> {
        let went = |tier, contended, kept_out| match (tier, contended, kept_out) {
            (Tier::Hot, ..) => Went::Hot,
            (_, true, _) => Went::Contended,
            (_, _, true) => Went::KeptOut,
            _ => Went::TooHeavy,
        };
        match &self.calls[call].answer {
            _ if self.open == Some(call) => None,
            Outcome::Stored(Ok(stored))
            | Outcome::StoredIfAbsent(Ok(stored))
            | Outcome::ReplacedIf(Ok(stored))
            | Outcome::Updated(Ok(stored)) => Some(went(stored.tier, stored.contended, stored.kept_out)),
            Outcome::GotOrStored(Ok(GetOrStored::Stored { fragment, contended, kept_out })) => {
                Some(went(fragment.tier, *contended, *kept_out))
            }
            _ => None,
        }
    }

    fn overlapping(&self, call: usize) -> impl Iterator<Item = &Call> {
        let this = &self.calls[call];
        let meets = |other: &Call| other.invoked < this.returned && this.invoked < other.returned;
        let others = self.calls.iter().enumerate().filter(move |(other, _)| *other != call);
        others.map(|(_, that)| that).filter(move |that| meets(that))
    }

    pub fn overlaps(&self, call: usize) -> bool {
        self.overlapping(call).next().is_some()
    }

    /// Whether the budget is set while the call runs.
    fn meets_a_change(&self, call: usize) -> bool {
        self.overlapping(call).any(|other| matches!(other.operation, Operation::SetHotBudget(_)))
    }

    /// All that the call in flight at that place may do next, what is most likely first.
    pub fn steps(&self, now: &Configuration, at: usize, next: &mut Next) {
        let call = now.flights[at].call;
        let phase = now.flights[at].phase;
        match (phase, &self.calls[call].operation) {
            (Phase::Done, _) => {}
            (Phase::Ending { claim, is_again }, _) => self.end(now, at, claim, is_again, next),
            (Phase::Enforcing(demoted), operation) => {
                let enforced = Enforced { demoted, kept_over: self.kept_over(now, at) };
                let answer = if *operation == Operation::EnforceHotBudget {
                    Outcome::Enforced(enforced)
                } else {
                    Outcome::BudgetSet(Ok(enforced))
                };
                if now.board.hot_bytes() <= now.budget
                    || now.may_seem_empty(at, Tier::Hot, None)
                    || self.others_change(now, at)
                {
                    self.conclude(now, at, answer, 0, next, |_| ());
                }
                self.demote_while_over(now, at, Phase::Enforcing(demoted + 1), next);
            }
            (Phase::Read(_), Operation::GetOrStoreWith(key, _)) => self.get(now, at, *key, next),
            (_, operation) if operation.stores().is_some() => self.store(now, at, operation, next),
            (_, Operation::Get(key)) => self.get(now, at, *key, next),
            (_, Operation::Promote(key)) => {
                self.promote(now, at, *key, |from| from.above().unwrap_or(Tier::Hot), next);
            }
            (_, Operation::PromoteTo(key, to)) => self.promote(now, at, *key, |_| *to, next),
            (_, Operation::Demote(key)) => {
                self.demote(now, at, *key, |from| from.below().unwrap_or(Tier::Cold), next);
            }
            (_, Operation::DemoteTo(key, to)) => self.demote(now, at, *key, |_| *to, next),
            (_, Operation::Keep(key)) => self.keep(now, at, *key, true, next),
            (_, Operation::LetGo(key)) => self.keep(now, at, *key, false, next),
            (_, Operation::EvictLru(tier)) => {
                for victim in now.victims(at, *tier, None) {
                    let mut then = now.clone();
                    let evicted = then.evict(at, victim);
                    let held = if *tier == Tier::Hot { evicted.weight } else { 0 };
                    self.conclude(&then, at, Outcome::Evicted(Some(evicted)), held, next, |_| ());
                }
                if now.may_seem_empty(at, *tier, None) {
                    self.conclude(now, at, Outcome::Evicted(None), 0, next, |_| ());
                }
            }
            (_, Operation::Remove(key)) => {
                let found = now.board.peek(key);
                let held = found.as_ref().filter(|found| found.tier == Tier::Hot).map_or(0, |found| found.weight);
                self.conclude(now, at, Outcome::Fragment(found), held, next, |then| then.remove(*key));
            }
            (_, Operation::SetHotBudget(budget)) => {
                let mut then = now.clone();
                then.set_budget(*budget);
                then.flights[at].phase = Phase::Enforcing(0);
                then.own_step(at, &[Tier::Hot]);
                next.push(then);
            }
            (_, operation) => self.look(now, at, operation, next),
        }
    }

    /// By how many bytes the call may say that what is kept is over the budget.
    fn kept_over(&self, now: &Configuration, at: usize) -> u64 {
        let call = now.flights[at].call;
        let over = now.board.kept_hot().saturating_sub(now.budget);
        match self.calls[call].answer {
            Outcome::Enforced(said) | Outcome::BudgetSet(Ok(said))
                if self.open != Some(call) && self.others_change(now, at) =>
            {
                over.min(said.kept_over)
            }
            _ => over,
        }
    }

    fn keep(&self, now: &Configuration, at: usize, key: Key, kept: bool, next: &mut Next) {
        let answer = now.board.clone().keep(&key, kept);
        self.conclude(now, at, Outcome::Kept(answer), 0, next, |then| match answer {
            Ok(Kept { was_kept, .. }) if was_kept != kept => {
                then.keep(at, key, kept);
                // An iteration finds what is kept, and what is not.
                then.stood_elsewhere(key, |call| !matches!(self.calls[call].operation, Operation::Iter(_)));
            }
            _ => then.observe(key),
        });
        self.fix_early(now, at, next);
    }

    /// The call takes effect with this answer, if that is the one that it gave; what remains is to end.
    pub fn conclude(
        &self,
        now: &Configuration,
        at: usize,
        answer: Outcome,
        held: u64,
        next: &mut Next,
        effect: impl FnOnce(&mut Configuration),
    ) {
        if let Some(answer) = self.admit(now.flights[at].call, answer) {
            let mut then = now.clone();
            effect(&mut then);
            let flight = &mut then.flights[at];
            (flight.phase, flight.answer, flight.held) = (END, answer, held);
            then.own_step(at, self.watched_at_the_end(now.flights[at].call));
            then.unfix(at);
            next.push(then);
        }
    }

    /// A call that only looks.
    fn look(&self, now: &Configuration, at: usize, operation: &Operation, next: &mut Next) {
        let call = now.flights[at].call;
        let exact = match operation {
            Operation::HotBudget => Outcome::Number(now.budget),
            _ => now.board.clone().apply(operation, self.calls[call].version),
        };
        let recorded = &self.calls[call].answer;
        let counted = !matches!(
            operation,
            Operation::Peek(_)
                | Operation::Contains(_)
                | Operation::TierOf(_)
                | Operation::HotBudget
                | Operation::Snapshot
                | Operation::SnapshotOf(_)
        );
        let admitted = if counted && self.open != Some(call) && self.overlaps(call) {
            let is_hot_bytes = matches!(operation, Operation::HotBytes | Operation::Bytes(Tier::Hot));
            let may_be = match (recorded, &exact, operation) {
                (Outcome::Number(bytes), _, _) if is_hot_bytes => *bytes <= self.highest,
                (Outcome::Items(items), Outcome::Items(standing), Operation::Iter(_)) => {
                    let mut met = HashSet::new();
                    let stood = |key| now.flights[at].stood.has(key);
                    items.iter().all(|item| met.insert(item.key))
                        && standing.iter().filter(|item| stood(item.key)).all(|item| items.contains(item))
                }
                _ => true,
            };
            may_be.then_some(0)
        } else if matches!(recorded, Outcome::Shown(_)) && self.open != Some(call) && self.overlaps(call) {
            // The order within a tier is that of the uses as it has read them, afterwards.
            (exact.clone().by_key() == recorded.clone().by_key()).then_some(0)
        } else {
            self.admit(call, exact.clone())
        };
        if let Some(answer) = admitted {
            let mut then = now.clone();
            if let Operation::Peek(key) | Operation::Contains(key) | Operation::TierOf(key) = operation {
                then.observe(*key);
            }
            if let Outcome::Shown(shown) = exact {
                for (_, item) in shown {
                    then.observe(item.key);
                }
            }
            then.flights[at].answer = answer;
            then.rest(at, Phase::Done);
            next.push(then);
        }
    }

    fn get(&self, now: &Configuration, at: usize, key: Key, next: &mut Next) {
        let mut then = now.clone();
        if let Phase::Read(value) = now.flights[at].phase {
            let call = now.flights[at].call;
            then.land(at, key, value);
            if matches!(self.calls[call].operation, Operation::Get(_)) {
                then.rest(at, Phase::Done);
            } else {
                // It may have made room.
                then.flights[at].phase = END;
                then.own_step(at, self.watched_at_the_end(call));
            }
            next.push(then);
            self.fix_early(now, at, next);
            return;
        }
        let found = now.board.peek(&key);
        if let Some(answer) = self.admit(now.flights[at].call, Outcome::Fragment(found)) {
            then.observe(key);
            then.flights[at].answer = answer;
            then.rest(at, found.map_or(Phase::Done, |found| Phase::Read(found.value)));
            next.push(then);
        }
    }

    /// Fixes the place of the call's use, if another call in flight may fix one before this use takes effect.
    fn fix_early(&self, now: &Configuration, at: usize, next: &mut Next) {
        let may_fix = |flight: &Flight| {
            let operation = &self.calls[flight.call].operation;
            let uses = operation.stores().is_some()
                || matches!(operation, Operation::Get(_) | Operation::Promote(_) | Operation::PromoteTo(..))
                || matches!(operation, Operation::Keep(_) | Operation::LetGo(_));
            uses && !flight.fixed && !matches!(flight.phase, Phase::Done | Phase::Ending { .. })
        };
        let mut others = now.flights.iter().enumerate().filter(|(other, _)| *other != at);
        if !now.flights[at].fixed && others.any(|(_, flight)| may_fix(flight)) {
            let mut then = now.clone();
            then.fix(at);
            next.push(then);
        }
    }

    fn turn(now: &Configuration, at: usize, phase: Phase, next: &mut Next) {
        let mut then = now.clone();
        then.rest(at, phase);
        next.push(then);
    }

    /// Whether the call may have found that the weight fits beside what is kept.
    fn may_overlook_what_is_kept(&self, now: &Configuration, at: usize, key: Key, weight: u64) -> bool {
        !now.is_kept_out(key, weight) || self.others_change(now, at)
    }

    /// Whether the call may have found that it does not, while it weighs no more than the budget.
    fn may_be_kept_out(&self, now: &Configuration, at: usize, key: Key, weight: u64) -> bool {
        now.is_kept_out(key, weight) && (weight <= now.budget || self.meets_a_change(now.flights[at].call))
    }

    /// Evicts others than `key`, if the call was short of room since its last own step.
    fn make_room(&self, now: &Configuration, at: usize, key: Key, weight: u64, next: &mut Next) {
        if now.flights[at].short && self.may_overlook_what_is_kept(now, at, key, weight) {
            for victim in now.victims(at, Tier::Hot, Some(key)) {
                let mut then = now.clone();
                let Evicted { weight: gained, .. } = then.evict(at, victim);
                then.own_step(at, &[Tier::Hot]);
                then.flights[at].held = weight + gained;
                next.push(then);
            }
        }
    }

    /// What calls may have found out at this instant, for later use: it only lets them do more.
    pub fn notice(&self, now: &mut Configuration) {
        for at in 0..now.flights.len() {
            let Flight { call: number, phase, .. } = now.flights[at];
            let call = &self.calls[number];
            match (phase, &call.operation) {
                (Phase::Waiting, operation) if operation.applies(&now.board) => {
                    let Some((key, value)) = operation.stores() else { continue };
                    let need = value.weight.saturating_sub(now.hot_weight(*key));
                    now.flights[at].short |= value.weight <= now.budget && i128::from(need) > now.free(at);
                }
                (Phase::Waiting | Phase::Seen(_), Operation::Promote(key) | Operation::PromoteTo(key, Tier::Hot)) => {
                    let a_step_below = matches!(call.operation, Operation::Promote(_));
                    let rises = |from: Tier| from == Tier::Warm || (from == Tier::Cold && !a_step_below);
                    let below = now.board.peek(key).filter(|found| rises(found.tier)).map(|found| found.weight);
                    let seen = if let Phase::Seen(weight) = phase { Some(weight) } else { None };
                    let seen = match call.answer {
                        // It went by this weight.
                        Outcome::Promoted(Err(PromoteError::Contended { weight })) if self.open != Some(number) => {
                            seen.or(below.filter(|below| *below == weight))
                        }
                        _ => seen.max(below.filter(|below| *below <= now.budget)),
                    };
                    if let Some(weight) = seen {
                        now.flights[at].phase = Phase::Seen(weight);
                        now.flights[at].short |= weight <= now.budget && i128::from(weight) > now.free(at);
                    }
                }
                (Phase::Enforcing(_) | Phase::Ending { .. }, _) => {
                    let may_be_over = self.lowered[number] && now.free(at) < 0;
                    now.flights[at].short |= may_be_over || now.board.hot_bytes() > now.budget;
                }
                _ => {}
            }
        }
    }

    fn store(&self, now: &Configuration, at: usize, operation: &Operation, next: &mut Next) {
        let Some((&key, &value)) = operation.stores() else { return };
        let Value { weight, .. } = value;
        let flight = &now.flights[at];
        let version = self.calls[flight.call].version;
        let applies = operation.applies(&now.board);
        if !applies {
            self.decline(now, at, operation, next);
        }
        if operation.tries_again() && self.overlaps(flight.call) {
            self.end(now, at, None, true, next);
        }
        let predecessor = now.board.peek(&key).filter(|_| applies);
        let hot = predecessor.as_ref().filter(|old| old.tier == Tier::Hot);
        let own = hot.map_or(0, |old| old.weight);
        let kept = predecessor.as_ref().is_some_and(|old| old.kept);
        let effect = |went, next: &mut Next| {
            if !applies {
                return;
            }
            let mut then = now.clone();
            let tier = if went == Went::Hot { Tier::Hot } else { Tier::Warm };
            let replaced = then.put(at, key, value, version, tier);
            let held = own + if tier == Tier::Warm { weight } else { 0 };
            let (contended, kept_out) = (went == Went::Contended, went == Went::KeptOut);
            let answer = operation.done(Stored { tier, version, replaced, contended, kept_out, kept });
            self.conclude(&then, at, answer, held, next, |_| ());
        };
        // Which way it went, the answer says.
        let wanted = |way| self.stored(flight.call).is_none_or(|went| went == way);
        match flight.phase {
            Phase::Heavy(_) => {
                if weight > now.budget {
                    effect(Went::TooHeavy, next);
                }
                if wanted(Went::Contended) && self.meets_a_change(flight.call) {
                    Self::turn(now, at, Phase::Contended, next);
                }
            }
            Phase::Contended => effect(Went::Contended, next),
            Phase::KeptOut => effect(Went::KeptOut, next),
            Phase::Relying(old) if predecessor.is_some_and(|now| now.value == old && now.tier != Tier::Hot) => {
                effect(Went::Contended, next);
            }
            Phase::Waiting => {
                let takes_no_more = kept && hot.is_some() && weight <= own.min(flight.highest);
                if wanted(Went::Hot) && (now.board.hot_bytes() - own + weight <= flight.highest || takes_no_more) {
                    effect(Went::Hot, next);
                }
                if wanted(Went::KeptOut) && self.may_be_kept_out(now, at, key, weight) {
                    Self::turn(now, at, Phase::KeptOut, next);
                }
                self.make_room(now, at, key, weight, next);
                if weight > now.budget {
                    if wanted(Went::TooHeavy) || wanted(Went::Contended) {
                        Self::turn(now, at, Phase::Heavy(weight), next);
                    }
                } else {
                    let need = weight.saturating_sub(own);
                    if wanted(Went::Contended) {
                        if i128::from(need) > now.free(at)
                            && now.may_seem_empty(at, Tier::Hot, Some(key))
                            && self.may_overlook_what_is_kept(now, at, key, weight)
                        {
                            Self::turn(now, at, Phase::Contended, next);
                        }
                        if let Some(old) = hot {
                            Self::turn(now, at, Phase::Relying(old.value), next);
                        }
                    }
                }
            }
            _ => {}
        }
        self.fix_early(now, at, next);
    }

    fn promote(&self, now: &Configuration, at: usize, key: Key, target: impl Fn(Tier) -> Tier, next: &mut Next) {
        let flight = &now.flights[at];
        let refuse = |error, next: &mut Next| {
            self.conclude(now, at, Outcome::Promoted(Err(error)), flight.held, next, |_| ());
        };
        if let Some(found) = now.board.peek(&key) {
            let (from, weight) = (found.tier, found.weight);
            let to = target(from).min(from);
            let rises_to_hot = to == Tier::Hot && from != Tier::Hot;
            if !rises_to_hot || now.board.hot_bytes() + weight <= flight.highest {
                let held = if rises_to_hot { 0 } else { flight.held };
                let answer = Outcome::Promoted(Ok(Moved { from, to }));
                self.conclude(now, at, answer, held, next, |then| then.raise(at, key, to));
            }
            if rises_to_hot && weight > now.budget {
                refuse(PromoteError::OverBudget { weight, budget: now.budget }, next);
            }
            if rises_to_hot && self.may_be_kept_out(now, at, key, weight) {
                refuse(PromoteError::KeptOut { weight }, next);
            }
        } else {
            refuse(PromoteError::NotFound, next);
        }
        self.fix_early(now, at, next);
        match flight.phase {
            Phase::Seen(weight) => {
                self.make_room(now, at, key, weight, next);
                if weight > now.budget {
                    if self.lowered[flight.call] {
                        Self::turn(now, at, Phase::Heavy(weight), next);
                    }
                } else if i128::from(weight) > now.free(at)
                    && now.may_seem_empty(at, Tier::Hot, Some(key))
                    && self.may_overlook_what_is_kept(now, at, key, weight)
                {
                    refuse(PromoteError::Contended { weight }, next);
                }
            }
            Phase::Heavy(weight) if weight <= now.budget => refuse(PromoteError::Contended { weight }, next),
            _ => {}
        }
    }

    fn demote(&self, now: &Configuration, at: usize, key: Key, target: impl Fn(Tier) -> Tier, next: &mut Next) {
        let Some(found) = now.board.peek(&key) else {
            return self.conclude(now, at, Outcome::Demoted(None), 0, next, |_| ());
        };
        let from = found.tier;
        let to = target(from).max(from);
        let held = if from == Tier::Hot && to != from { found.weight } else { 0 };
        self.conclude(now, at, Outcome::Demoted(Some(Moved { from, to })), held, next, |then| {
            if from == to { then.observe(key) } else { then.sink(at, key, to) }
        });
    }
}
