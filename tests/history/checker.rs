//! Whether the specification allows a history: a search for an order of the steps of its calls.
//!
//! # The search
//!
//! The history is walked in the order of its ticks. Where a call begins, it is in flight; where it returns, it must be over, with the answer
//! that it gave. Before each return any of the calls in flight may take steps; that is enough, as a step can always be put off to
//! the next return: what begins meanwhile only finds more reasons to look away. This is the search of Wing and Gong ("Testing and verifying
//! concurrent objects", 1993) in the just-in-time form of Lowe ("Testing for linearizability", 2017), depth first; what was reached before,
//! the same place in the history with the same [`Configuration`], is not entered again. Nothing is partitioned by key: all keys share
//! the budget and the orders.
//!
//! # The steps of the calls
//!
//! All answers are the model's ([`crate::configuration`]); what is said here is only which steps there are, and when.
//!
//! | call | steps |
//! |---|---|
//! | `peek`, `contains`, `tier_of`, `hot_budget` | read |
//! | `get` | read; fix the use's place; land: from here on evictions see the use (if that very fragment is still there) |
//! | `store` | fix the use's place, at any time before the effect; make room; effect; end |
//! | a store that depends on what is there | the same, with the effect at an instant when it is so; or refused at one when it is not. `get_or_store_with` then goes on as a `get`, and ends; or ends, as `update` may, and tries again |
//! | `promote` | the same; or *not found*, *over budget* at an instant when it is so, or *contended* |
//! | `demote`, `remove` | effect, or found absent; end |
//! | `keep`, `let_go` | fix the use's place; effect, or found so already, or found absent; end |
//! | `evict_lru` | move, or found empty; end |
//! | `set_hot_budget` | set; demote while over; end. `enforce_hot_budget`: the same without set |
//!
//! *Make room*: be short (at an instant when it does not fit, by what the others may hold), then evict from hot; and so on. A hot
//! predecessor's bytes count as free at that instant. To have been short only lets a call do more, so that it is no step but noticed. *End*:
//! evict from warm, or from cold after warm, what is heavier than all the bytes that the tier may hold; claim a push (at an instant when the
//! tier is over its capacity, counting what others have claimed, and not what cannot stay), then evict from
//! there; and so on. What is pushed out of cold must be what the listener was given.
//!
//! *Too heavy*: `store` has found its weight above the budget at an instant, and it is so at the effect.
//!
//! *Evict*: any fragment of the tier but one that is younger than another that has stood there, listed and unused, since the last own
//! step of the call (its beginning, if there is none). "Empty": if no fragment has stood there since. A fragment counts as listed once
//! anybody has seen it there, or the call that brought it has made its next step or returned.
//!
//! *Contended*: the call is short at an instant, and no other hot fragment has stood in hot since its last own step; or it was above the budget at
//! one instant and (`promote`) not at a later one, or (`store`) the budget is set while it runs; or (`store`) its predecessor was hot at one instant and has left at the effect. Others may hold:
//! before its effect, a `store` or `promote` its weight and that of a victim; after taking a fragment out of hot, any call that
//! fragment's weight; a change of the budget in progress, any number.
//!
//! *Kept*: what is kept is no victim, and does not count where a tier is asked whether it is empty; when it is let go it has just come there. *Kept out*: at an
//! instant the weight does not fit beside what is kept in hot. Then the call evicts nobody, and is not contended, unless others are in flight that
//! change something: what is kept may not be counted yet.
//!
//! *Return*: the budget and the capacities hold, but for what is kept, or another call is in flight that changes something.
//!
//! # Sound
//!
//! Each step is allowed wherever section by section the documentation of the operation allows it, so no history that the specification
//! allows is rejected. With no other call in flight the steps leave no choice, and come to what the model does: `orders.rs` checks both.
//!
//! # Weaker than the specification
//!
//! - A use has two instants, not one: the one that fixes its place, and the one from which evictions see it. (A `get` takes its tick before it
//!   raises the last use. An eviction between the two goes by the older use.)
//! - What other calls hold is bounded from above and not followed. So a call is let be short, or contended, when the bytes that it lacks
//!   *could* have been held. Conversely, nobody is required to be short.
//! - "Empty" and "contended" ask for no instant at which nothing stood there, only that nothing stood there throughout.
//! - An `update` that hands a value back with *absent* is not asked whether the key was there before, where it overlaps another call.
//! - *Contended* from `promote` asks that the fragment was there at an earlier instant of the call, not at the one of the answer.
//! - By how much what is kept is over the budget may be answered as too little under overlap, as what is kept may not be counted yet.
//! - *Kept out* from `store` asks for no more than one instant of the call, as *contended* does.
//! - Of several fragments that cannot stay in a tier any may go first.
//! - Of an over-full tier it is not asked which call in flight sees to it; the last of them must. With a capacity in bytes two may claim
//!   one excess.
//! - `len`, `bytes`, `is_empty` and `iter` under overlap: only `hot_bytes` against the budget, and that an iteration meets what stood
//!   throughout exactly once, and no key twice.
//! - Under overlap, *hot* may be filled up to the largest budget in force since the call began.

use std::cell::RefCell;
use std::collections::HashSet;

use rand::seq::SliceRandom;

use crate::common::dice;
use crate::configuration::Configuration;
use crate::recorder::{Call, Operation, Outcome, Setup};

/// Why a history was not accepted.
#[derive(Debug)]
pub enum Rejection {
    /// No order explains this call's answer (or what the listener was given within it), given all that returned before it did.
    Impossible {
        call: usize,
        /// The answers that some order explains.
        possible: Vec<Outcome>,
    },
    /// So many configurations were entered without an end.
    Undecided,
}

/// A history, with what is known of it as a whole.
pub struct Checker<'a> {
    pub setup: &'a Setup,
    pub calls: &'a [Call],
    /// The call whose answer is left open, to learn which are possible.
    pub open: Option<usize>,
    /// The answers of the open call.
    pub answers: RefCell<Vec<Outcome>>,
    /// The largest budget ever.
    pub highest: u64,
    /// For each call, whether hot may be over the budget meanwhile: it was lowered since nothing was in flight, or ever, where
    /// anything may be kept.
    pub lowered: Vec<bool>,
}

enum Event {
    Call(usize),
    Return(usize),
}

/// About a kilobyte each.
const MOST: usize = 200_000;

/// Before the whole search, so many short ones go astray at random: an early choice that only a late answer contradicts is
/// then met by others, and not by all that follows from it.
const STRAYS: u64 = 60;

/// Whether the specification allows a history of complete calls, in any order; the configurations entered by the search that found out.
pub fn check(setup: &Setup, calls: &[Call]) -> Result<usize, Rejection> {
    let mut checker = Checker::new(setup, calls);
    for stray in 0..STRAYS {
        let mut dice = dice([stray, 0, 0]);
        let most = 50 * calls.len() + 50 * stray as usize;
        match checker.search(most, |steps| {
            if stray > 0 {
                steps.shuffle(&mut dice);
            }
        }) {
            Ok((None, entered)) => return Ok(entered),
            Ok(_) => break,
            Err(_) => {}
        }
    }
    let (returned, entered) = checker.search(MOST, |_| {})?;
    let Some(call) = returned else { return Ok(entered) };
    checker.open = Some(call);
    checker.search(MOST, |_| {})?;
    let possible = checker.answers.take();
    Err(Rejection::Impossible { call, possible })
}

impl<'a> Checker<'a> {
    fn new(setup: &'a Setup, calls: &'a [Call]) -> Self {
        let budgets = calls.iter().filter_map(|call| match call.operation {
            Operation::SetHotBudget(budget) => Some(budget),
            _ => None,
        });
        let highest = budgets.max().unwrap_or(0).max(setup.budget);
        let mut checker =
            Self { setup, calls, open: None, answers: RefCell::default(), highest, lowered: vec![false; calls.len()] };
        checker.find_lowered();
        checker
    }

    fn find_lowered(&mut self) {
        let (mut in_flight, mut together, mut is_lowered, mut is_kept) = (0, Vec::new(), false, false);
        for event in self.events() {
            match event {
                Event::Call(call) => {
                    in_flight += 1;
                    together.push(call);
                    is_lowered |=
                        matches!(self.calls[call].operation, Operation::SetHotBudget(budget) if budget < self.highest);
                    is_kept |= matches!(self.calls[call].operation, Operation::Keep(_));
                }
                Event::Return(_) => in_flight -= 1,
            }
            if in_flight == 0 {
                together.drain(..).for_each(|call| self.lowered[call] = is_lowered);
                // What is kept stays over a lowered budget.
                is_lowered &= is_kept;
            }
        }
    }

    /// The number of the answer, if the call may have given it.
    pub fn admit(&self, call: usize, answer: Outcome) -> Option<usize> {
        if self.open != Some(call) {
            return (answer == self.calls[call].answer).then_some(0);
        }
        let mut answers = self.answers.borrow_mut();
        let known = answers.iter().position(|known| *known == answer);
        Some(known.unwrap_or_else(|| {
            answers.push(answer);
            answers.len() - 1
        }))
    }

    fn events(&self) -> Vec<Event> {
        let calls = self.calls.iter().enumerate();
        let mut events: Vec<_> = calls
            .flat_map(|(index, call)| [(call.invoked, Event::Call(index)), (call.returned, Event::Return(index))])
            .collect();
        events.sort_by_key(|(tick, _)| *tick);
        events.into_iter().map(|(_, event)| event).collect()
    }

    /// The call that cannot have returned as it did, if there is one.
    fn search(
        &self,
        most: usize,
        mut arrange: impl FnMut(&mut [Configuration]),
    ) -> Result<(Option<usize>, usize), Rejection> {
        let events = self.events();
        let mut stack = vec![(0, Configuration::new(self.setup))];
        let mut entered = HashSet::new();
        let mut furthest = 0;
        let mut finished = Vec::new();
        while let Some((at, mut configuration)) = stack.pop() {
            furthest = furthest.max(at);
            match events.get(at) {
                None => return Ok((None, entered.len())),
                Some(Event::Call(call)) => {
                    self.begin(&mut configuration, *call);
                    stack.push((at + 1, configuration));
                }
                Some(Event::Return(call)) => {
                    self.notice(&mut configuration);
                    if !entered.insert((at, configuration.clone())) {
                        continue;
                    }
                    if entered.len() > most {
                        return Err(Rejection::Undecided);
                    }
                    let own = configuration.flights.iter().position(|flight| flight.call == *call).expect("in flight");
                    let mut next = Vec::new();
                    if self.may_return(&configuration, own) {
                        if self.open == Some(*call) {
                            finished.push(configuration.flights[own].answer);
                        } else {
                            let mut returned = configuration.clone();
                            returned.flights.remove(own);
                            next.push((at + 1, returned));
                        }
                    }
                    // What returns is tried first, then the steps of the call itself: the last on the stack.
                    let mut steps = Vec::new();
                    self.steps(&configuration, own, &mut steps);
                    for other in (0..configuration.flights.len()).filter(|other| *other != own) {
                        self.steps(&configuration, other, &mut steps);
                    }
                    arrange(&mut steps);
                    next.extend(steps.into_iter().map(|step| (at, step)));
                    stack.extend(next.into_iter().rev());
                }
            }
        }
        if self.open.is_some() {
            let answers = self.answers.take();
            let possible = answers.into_iter().enumerate().filter(|(number, _)| finished.contains(number));
            *self.answers.borrow_mut() = possible.map(|(_, answer)| answer).collect();
        }
        let Event::Return(call) = events[furthest] else { unreachable!("to begin is always possible") };
        Ok((Some(call), entered.len()))
    }
}
