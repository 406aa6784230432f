//! What two calls on two keys may answer, where hot has room for one fragment: the sequential specification in steps.
//!
//! A `store` or a `promote` has one effect, but is more than one step: before its effect it demotes what is in its way, and holds the
//! bytes; a call that took a fragment out of hot holds its bytes for a while after. Who meets bytes that are held, and nothing to demote, is
//! *contended*. No bytes are ever free and held, or held and taken by what is hot: so if they are given back twice, or not at all, no order of
//! the steps explains what follows.

use tierstack::Tier;

use crate::spec::{Answer, Op, State};

/// The fragments of the two keys.
pub type Keys = [State; 2];

/// What a call on one of the two did.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// 0 or 1.
    pub key: usize,
    pub op: Op,
    pub answer: Answer,
}

/// How far a call has got.
#[derive(Clone, Copy)]
struct Flight {
    call: Call,
    /// Bytes of hot, of one fragment.
    holds: bool,
    /// Found the room held by the other call, and nothing to demote.
    was_short: bool,
    /// Found its key's own fragment hot, whose bytes the successor is to have.
    relies: bool,
    is_over: bool,
}

impl Flight {
    const fn new(call: Call) -> Self {
        Self { call, holds: false, was_short: false, relies: false, is_over: false }
    }

    /// After its effect.
    const fn over(self, holds: bool) -> Self {
        Self { holds, is_over: true, ..self }
    }
}

/// Whether the steps of both calls, in some order, lead from `first` to `last`.
#[must_use]
pub fn explains(first: Keys, calls: [Call; 2], last: Keys) -> bool {
    search(first, calls.map(Flight::new), last)
}

fn search(keys: Keys, flights: [Flight; 2], last: Keys) -> bool {
    let is_done = keys == last && flights.iter().all(|flight| flight.is_over && !flight.holds);
    is_done
        || [0, 1].iter().any(|&at| {
            let mut next = Vec::new();
            steps(keys, flights, at, |keys, flight| {
                let mut flights = flights;
                flights[at] = flight;
                next.push((keys, flights));
            });
            next.into_iter().any(|(keys, flights)| search(keys, flights, last))
        })
}

fn is_hot(state: State) -> bool {
    state.is_some_and(|(_, tier)| tier == Tier::Hot)
}

/// The steps that a call can take. Each is taken once at most, so that the search ends.
fn steps(keys: Keys, flights: [Flight; 2], at: usize, mut step: impl FnMut(Keys, Flight)) {
    let flight = flights[at];
    let Call { key, op, .. } = flight.call;
    if flight.is_over {
        if flight.holds {
            step(keys, Flight { holds: false, ..flight });
        }
        return;
    }
    if matches!(op, Op::Store(_) | Op::Promote) && !flight.holds {
        let other = 1 - key;
        let is_free = !keys.iter().any(|state| is_hot(*state)) && !flights.iter().any(|flight| flight.holds);
        if is_free {
            step(keys, Flight { holds: true, ..flight });
        }
        if is_hot(keys[other]) {
            let mut keys = keys;
            keys[other] = keys[other].map(|(value, _)| (value, Tier::Warm));
            step(keys, Flight { holds: true, ..flight });
        } else if !is_free && !is_hot(keys[key]) && !flight.was_short {
            step(keys, Flight { was_short: true, ..flight });
        }
        if is_hot(keys[key]) && !flight.relies {
            step(keys, Flight { relies: true, ..flight });
        }
    }
    let mut effect = |answer: Answer, after: State, holds: bool| {
        if answer == flight.call.answer {
            let mut keys = keys;
            keys[key] = after;
            step(keys, flight.over(holds));
        }
    };
    let old = keys[key];
    match op {
        Op::Store(value) => {
            let stored = |tier, contended| Answer::Stored { tier, replaced: old.map(|(value, _)| value), contended };
            if flight.holds || (flight.relies && is_hot(old)) {
                effect(stored(Tier::Hot, false), Some((value, Tier::Hot)), flight.holds && is_hot(old));
            }
            let has_left = flight.relies && old.is_some() && !is_hot(old);
            if !flight.holds && (flight.was_short || has_left) {
                effect(stored(Tier::Warm, true), Some((value, Tier::Warm)), is_hot(old));
            }
        }
        Op::Promote => match old {
            Some((value, from)) => {
                if flight.holds || from == Tier::Hot {
                    let holds = flight.holds && from == Tier::Hot;
                    effect(Answer::Moved(Some((from, Tier::Hot))), Some((value, Tier::Hot)), holds);
                }
                if flight.was_short && from != Tier::Hot {
                    effect(Answer::Contended, old, flight.holds);
                }
            }
            None => effect(Answer::Moved(None), None, flight.holds),
        },
        Op::Get => effect(Answer::Found(old), old, false),
        Op::Remove => effect(Answer::Removed(old), None, is_hot(old)),
        Op::Demote | Op::Evict(_) | Op::StoreIfAbsent(_) | Op::ReplaceFirst(_) | Op::Update(_) | Op::Leave => {
            unimplemented!("no model of these here")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOT: State = Some((1, Tier::Hot));
    const WARM: State = Some((1, Tier::Warm));

    fn stored(tier: Tier, replaced: Option<u64>, contended: bool) -> Answer {
        Answer::Stored { tier, replaced, contended }
    }

    fn ends(other: Op, other_answer: Answer, answer: Answer, last: Keys) -> bool {
        let calls = [Call { key: 0, op: Op::Store(2), answer }, Call { key: 1, op: other, answer: other_answer }];
        explains([None, HOT], calls, last)
    }

    #[test]
    fn a_store_demotes_or_is_contended_and_never_makes_two_hot() {
        let (own_hot, own_warm) = (Some((2, Tier::Hot)), Some((2, Tier::Warm)));
        let (done, refused) = (stored(Tier::Hot, None, false), stored(Tier::Warm, None, true));
        for found in [HOT, WARM] {
            assert!(ends(Op::Get, Answer::Found(found), done, [own_hot, WARM]));
        }
        assert!(!ends(Op::Get, Answer::Found(HOT), done, [own_hot, HOT]), "two are hot");
        assert!(!ends(Op::Get, Answer::Found(HOT), refused, [own_warm, HOT]), "nobody held the room");
        assert!(!ends(Op::Get, Answer::Found(None), done, [own_hot, WARM]), "missed");
        assert!(ends(Op::Remove, Answer::Removed(HOT), refused, [own_warm, None]));
        assert!(ends(Op::Remove, Answer::Removed(HOT), done, [own_hot, None]));
        assert!(ends(Op::Remove, Answer::Removed(WARM), done, [own_hot, None]));
        assert!(
            !ends(Op::Remove, Answer::Removed(WARM), refused, [own_warm, None]),
            "it had demoted, and held the room"
        );
        let replaced = stored(Tier::Hot, Some(1), false);
        assert!(ends(Op::Store(3), replaced, done, [own_warm, Some((3, Tier::Hot))]));
        assert!(ends(Op::Store(3), stored(Tier::Warm, Some(1), true), done, [own_hot, Some((3, Tier::Warm))]));
        assert!(!ends(Op::Store(3), stored(Tier::Hot, None, false), done, [own_hot, Some((3, Tier::Warm))]), "lost");
    }
}
