//! What operations on one key may answer: the sequential specification, for a few of them beside each other.
//!
//! There is room in hot for all, so that it says nothing about the budget.

use tierstack::Tier;

/// A key's fragment: its value, which says who stored it, and its tier; or none.
pub type State = Option<(u64, Tier)>;

/// An operation on the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Of that value.
    Store(u64),
    Get,
    /// To hot.
    Promote,
    /// By one tier.
    Demote,
    Evict(Tier),
    Remove,
    StoreIfAbsent(u64),
    /// Of that value in place of the key's first fragment, whose value is 1.
    ReplaceFirst(u64),
    /// To ten times the value, and this.
    Update(u64),
    /// Of what was handed out as leaving: it has left cold, or it may not any more.
    Leave,
}

/// What it answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Stored {
        tier: Tier,
        replaced: Option<u64>,
        contended: bool,
    },
    /// A store that found nothing to replace, where there is no index to insert into.
    NothingToReplace,
    Found(State),
    /// From where to where.
    Moved(Option<(Tier, Tier)>),
    /// A promotion that found the room held.
    Contended,
    Evicted(Option<u64>),
    Removed(State),
    /// Whether it has left.
    Left(bool),
    /// A store that is only of an absent key found it in that tier.
    Present(Tier),
    /// A replacement of the first fragment found another.
    Changed(Tier),
    /// A store that is only of a present key found none.
    Absent,
}

/// The state after `op` answered `answer` in `state`; `None` where it could not.
fn step(state: State, op: Op, answer: Answer) -> Option<State> {
    match (op, answer) {
        (Op::Store(value), Answer::Stored { tier: Tier::Hot, replaced, contended: false }) => {
            (replaced == state.map(|(value, _)| value)).then_some(Some((value, Tier::Hot)))
        }
        (Op::StoreIfAbsent(value), Answer::Stored { .. }) if state.is_none() => step(state, Op::Store(value), answer),
        (Op::StoreIfAbsent(_), Answer::Present(tier)) => (state?.1 == tier).then_some(state),
        (Op::ReplaceFirst(value), Answer::Stored { .. }) if state?.0 == 1 => step(state, Op::Store(value), answer),
        (Op::ReplaceFirst(_), Answer::Changed(tier)) => (state?.0 != 1 && state?.1 == tier).then_some(state),
        (Op::Update(digit), Answer::Stored { .. }) => step(state, Op::Store(10 * state?.0 + digit), answer),
        (Op::ReplaceFirst(_) | Op::Update(_), Answer::Absent) => state.is_none().then_some(None),
        (Op::Store(_), Answer::NothingToReplace) => state.is_none().then_some(None),
        (Op::Get, Answer::Found(found)) => (found == state).then_some(state),
        (Op::Promote, Answer::Moved(moved)) => {
            let risen = state.map(|(value, _)| (value, Tier::Hot));
            (moved == state.map(|(_, from)| (from, Tier::Hot))).then_some(risen)
        }
        (Op::Demote, Answer::Moved(moved)) => {
            let sunk = state.map(|(value, tier)| (value, tier.below().unwrap_or(tier)));
            (moved == state.zip(sunk).map(|((_, from), (_, to))| (from, to))).then_some(sunk)
        }
        (Op::Evict(tier), Answer::Evicted(victim)) => {
            let here = state.filter(|(_, now)| *now == tier);
            let after =
                if here.is_some() { here.and_then(|(value, tier)| Some((value, tier.below()?))) } else { state };
            (victim == here.map(|(value, _)| value)).then_some(after)
        }
        (Op::Leave, Answer::Left(false)) => Some(state),
        (Op::Leave, Answer::Left(true)) => (state? == (1, Tier::Cold)).then_some(None),
        (Op::Remove, Answer::Removed(removed)) => (removed == state).then_some(None),
        _ => None,
    }
}

/// Whether the answers, in some order, lead from `first` to `last`.
#[must_use]
pub fn explains(first: State, done: &[(Op, Answer)], last: State) -> bool {
    if done.is_empty() {
        return first == last;
    }
    (0..done.len()).any(|number| {
        let (op, answer) = done[number];
        let rest: Vec<_> = done.iter().enumerate().filter(|(other, _)| *other != number).map(|(_, it)| *it).collect();
        step(first, op, answer).is_some_and(|state| explains(state, &rest, last))
    })
}
