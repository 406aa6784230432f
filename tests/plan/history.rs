//! Histories of concurrent calls, and whether they are linearizable to the model.
//!
//! Threads log their calls with the ticks of one clock. Every call that took effect was answered with its sequence number, which claims to be
//! its place in the order of all effects. So nothing is to be searched for: the claim is checked.
//!
//! 1. *Numbers*: the effects, sorted by number, are 1 to n, without a hole or a repeat (a batch takes several).
//! 2. *Real time*: of two effects, one that returned before the other was called has the smaller number.
//! 3. *Answers*: the model, given the operations in that order, answers each as the plan did.
//! 4. *Reads*: each call that has no effect (what only looks, what was refused, a batch of nothing) is true at a state of the model which
//!    is not older than an effect that returned before the call, nor newer than the last before an effect that was called after the
//!    return; and of two reads, one that returned before the other was called has not the newer state.
//!
//! In 4, reads are placed greedily: in the order of their calls, each at the oldest state that is allowed and at which it is true. That finds a
//! placement if there is one: a read is bound by other reads only from below, and only by those that returned before it was called, which
//! come earlier in that order; so by induction none is placed later than in any valid placement, and no choice can have spoilt another.
//! Reads at one state can then be put in the order of their calls. So 1 to 4 hold exactly if the history is linearizable in
//! the order that the numbers claim.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use super::model::{Answer, Event, Model, Operation};

/// The sequence number of a start whose caller was not told it: see [`date_starts`].
pub const UNDATED: u64 = 0;

/// Gives out ticks.
#[derive(Debug, Default)]
pub struct Clock(AtomicU64);

impl Clock {
    fn tick(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// A call that returned.
#[derive(Clone, Debug)]
pub struct Call {
    pub operation: Operation,
    pub answer: Answer,
    pub invoked: u64,
    pub returned: u64,
}

/// One thread's calls.
#[derive(Debug)]
pub struct Log<'a> {
    clock: &'a Clock,
    pub calls: Vec<Call>,
}

impl<'a> Log<'a> {
    pub fn new(clock: &'a Clock) -> Self {
        Self { clock, calls: Vec::new() }
    }

    /// Performs an operation. What it gave is made an answer by the caller, after the tick of its return, so that this takes no time; until
    /// then the answer is a placeholder.
    pub fn call<R>(&mut self, operation: Operation, perform: impl FnOnce(&Operation) -> R) -> (&mut Call, R) {
        let invoked = self.clock.tick();
        let result = perform(&operation);
        let returned = self.clock.tick();
        let call = Call { operation, answer: Answer::At(UNDATED), invoked, returned };
        (self.calls.push_mut(call), result)
    }
}

/// What is wrong with a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The sequence numbers of the effects are not 1 to n.
    Numbers,
    /// They are not in the order of real time.
    RealTime,
    /// An effect's answer is not the model's.
    Answer,
    /// A read is true at no state that it could have seen.
    Untrue,
}

/// Why a history was rejected.
#[derive(Debug)]
pub struct Rejection {
    pub fault: Fault,
    #[allow(dead_code, reason = "it is for who reads the failure")]
    pub what: String,
}

fn reject<T>(fault: Fault, what: String) -> Result<T, Rejection> {
    Err(Rejection { fault, what })
}

impl Call {
    /// How many events it was.
    fn events(&self) -> u64 {
        match (&self.answer, &self.operation) {
            (Answer::Recorded { .. }, Operation::RecordAll { changes } | Operation::RecordAllIn { changes, .. }) => {
                changes.len() as u64
            }
            (Answer::Started { .. } | Answer::Done { .. } | Answer::Recorded { .. }, _) => 1,
            _ => 0,
        }
    }

    /// The sequence number of the last of them.
    fn last(&self) -> u64 {
        match self.answer {
            Answer::Started { sequence, .. } | Answer::Done { sequence } => sequence,
            Answer::Recorded { last, .. } => last,
            _ => 0,
        }
    }
}

/// Gives the starts that are undated the sequence numbers that an audit trail tells.
pub fn date_starts(calls: &mut [Call], audit: &[(u64, Event)]) -> Result<(), Rejection> {
    let dates: BTreeMap<u64, u64> = audit
        .iter()
        .filter_map(|(sequence, event)| match event {
            Event::Started { id } => Some((*id, *sequence)),
            _ => None,
        })
        .collect();
    for call in calls {
        if let Answer::Started { id, sequence: sequence @ UNDATED } = &mut call.answer {
            match dates.get(id) {
                Some(date) => *sequence = *date,
                None => return reject(Fault::Numbers, format!("the audit trail has no start of {id}")),
            }
        }
    }
    Ok(())
}

/// Whether a history of complete calls, in any order, is linearizable as its sequence numbers claim; the model after it.
pub fn check(calls: &[Call]) -> Result<Model, Rejection> {
    let (mut effects, mut reads): (Vec<&Call>, Vec<&Call>) = calls.iter().partition(|call| call.events() > 0);
    effects.sort_by_key(|call| call.last());
    reads.sort_by_key(|call| call.invoked);
    numbers(&effects)?;
    real_time(&effects)?;

    let mut reads: VecDeque<Read<'_>> = Bounds::new(&effects).of(&reads).into();
    let mut waiting = Vec::new();
    let mut model = Model::default();
    // State n is the one after n effects.
    for state in 0..=effects.len() {
        if let Some(before) = state.checked_sub(1) {
            let effect = effects[before];
            let answer = model.apply(&effect.operation);
            if answer != effect.answer {
                return reject(Fault::Answer, format!("the model answers {answer:?} to {effect:?}"));
            }
        }
        // The earlier a read was called, the older its oldest state.
        while let Some(read) = reads.pop_front_if(|read| read.oldest <= state) {
            waiting.push(read);
        }
        place(&model, state, &mut waiting)?;
    }
    Ok(model)
}

fn numbers(effects: &[&Call]) -> Result<(), Rejection> {
    let mut next = 1;
    for effect in effects {
        if effect.last() + 1 != next + effect.events() {
            return reject(Fault::Numbers, format!("number {next} should be next, and is {effect:?}"));
        }
        next = effect.last() + 1;
    }
    Ok(())
}

fn real_time(effects: &[&Call]) -> Result<(), Rejection> {
    let mut called_last: Option<&Call> = None;
    for effect in effects {
        if let Some(before) = called_last.filter(|before| effect.returned < before.invoked) {
            return reject(Fault::RealTime, format!("{before:?} was called after the return of {effect:?}"));
        }
        if called_last.is_none_or(|before| before.invoked < effect.invoked) {
            called_last = Some(effect);
        }
    }
    Ok(())
}

/// A call without effect, and the states that real time lets it see.
struct Read<'a> {
    call: &'a Call,
    oldest: usize,
    newest: usize,
}

/// Places each read that is true at this state, and may be placed. `waiting` is in the order of the calls.
fn place(model: &Model, state: usize, waiting: &mut Vec<Read<'_>>) -> Result<(), Rejection> {
    // When the first of those that stay unplaced returned: what was called after it is to be placed after it.
    let mut unplaced = u64::MAX;
    let mut rejection = Ok(());
    waiting.retain(|read| {
        if read.call.invoked < unplaced && rejection.is_ok() {
            match is_true(model, read.call) {
                Ok(true) => return false,
                Ok(false) => {}
                Err(rejected) => rejection = Err(rejected),
            }
        }
        unplaced = unplaced.min(read.call.returned);
        if state >= read.newest && rejection.is_ok() {
            let (oldest, now) = (read.oldest, model.sequence());
            let what = format!("{:?} from state {oldest} to {state}, whose last event is {now}", read.call);
            rejection = reject(Fault::Untrue, what);
        }
        true
    });
    rejection
}

/// Whether the model would answer the same. What a snapshot shows is looked at only at the state that it says it is of, and must be that.
fn is_true(model: &Model, read: &Call) -> Result<bool, Rejection> {
    let Answer::Snapshot(view) = &read.answer else { return Ok(model.answer(&read.operation) == read.answer) };
    if view.sequence != model.sequence() {
        return Ok(false);
    }
    let expected = model.view();
    if **view == expected {
        return Ok(true);
    }
    let audit = view.audit.iter().zip(&expected.audit).find(|(seen, expected)| seen != expected);
    let changes = view.changes.iter().zip(&expected.changes).find(|(seen, expected)| seen != expected);
    let what = format!("the snapshot of {}: differs first in audit {audit:?}, changes {changes:?}", view.sequence);
    reject(Fault::Answer, what)
}

/// Which states a read may see, by the effects around it in real time.
struct Bounds {
    /// The return of each effect, ascending, and the newest state of all effects that returned up to then.
    returned: Vec<(u64, usize)>,
    /// The call of each effect, descending, and the oldest state of all effects that were called from then on.
    invoked: Vec<(u64, usize)>,
}

impl Bounds {
    fn new(effects: &[&Call]) -> Self {
        let mut returned: Vec<_> = (1..).zip(effects).map(|(state, call)| (call.returned, state)).collect();
        returned.sort_unstable();
        let mut newest = 0;
        for (_, state) in &mut returned {
            newest = newest.max(*state);
            *state = newest;
        }
        let mut invoked: Vec<_> = (1..).zip(effects).map(|(state, call)| (call.invoked, state)).collect();
        invoked.sort_unstable_by_key(|&(tick, _)| Reverse(tick));
        let mut oldest = usize::MAX;
        for (_, state) in &mut invoked {
            oldest = oldest.min(*state);
            *state = oldest;
        }
        Self { returned, invoked }
    }

    fn of<'a>(&self, reads: &[&'a Call]) -> Vec<Read<'a>> {
        let read = |call: &&'a Call| {
            let over = self.returned.partition_point(|&(tick, _)| tick < call.invoked);
            let oldest = over.checked_sub(1).map_or(0, |last| self.returned[last].1);
            let later = self.invoked.partition_point(|&(tick, _)| tick > call.returned);
            let newest = later.checked_sub(1).map_or(self.returned.len(), |last| self.invoked[last].1 - 1);
            Read { call, oldest, newest }
        };
        reads.iter().map(read).collect()
    }
}
