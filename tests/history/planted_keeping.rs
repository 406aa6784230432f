//! Histories made by hand of fragments that are kept and let go.

use tierstack::{Enforced, Evicted, Fragment, Kept, PromoteError, Stored, Tier};

use crate::model::Operation as Op;
use crate::planted::{A, B, C, TEN, accepted, call, found, rejected, store, stored, then, value};
use crate::recorder::{Call, Key, Outcome, Value};

use Tier::{Hot, Warm};

fn keep(invoked: u64, returned: u64, key: Key, was_kept: bool) -> Call {
    call(invoked, returned, Op::Keep(key), Outcome::Kept(Ok(Kept { tier: Hot, was_kept })))
}

fn let_go(invoked: u64, returned: u64, key: Key, was_kept: bool) -> Call {
    call(invoked, returned, Op::LetGo(key), Outcome::Kept(Ok(Kept { tier: Hot, was_kept })))
}

fn evicted(key: Key, value: Value) -> Outcome {
    Outcome::Evicted(Some(Evicted { key, value, weight: value.weight, from: Hot, to: Some(Warm) }))
}

fn kept(value: Value, tier: Tier) -> Outcome {
    let Outcome::Fragment(Some(found)) = found(value, tier) else { unreachable!("made as that") };
    Outcome::Fragment(Some(Fragment { kept: true, ..found }))
}

#[test]
fn the_eviction_of_what_is_kept_is_rejected() {
    let a = |invoked, returned| call(invoked, returned, Op::EvictLru(Hot), evicted(A, value(1, 3)));
    let b = |invoked, returned| call(invoked, returned, Op::EvictLru(Hot), evicted(B, value(2, 3)));
    accepted(&TEN, &then([keep(10, 11, A, false), b(20, 21)]));
    rejected(&TEN, &then([keep(10, 11, A, false), a(20, 21)]), 4, &[evicted(B, value(2, 3))]);
    // Beside each other: either the keep comes first, or the fragment is kept in warm.
    accepted(&TEN, &then([keep(10, 20, A, false), b(11, 21)]));
    let kept_in_warm = call(10, 20, Op::Keep(A), Outcome::Kept(Ok(Kept { tier: Warm, was_kept: false })));
    accepted(&TEN, &then([kept_in_warm, a(11, 21)]));
    let both = then([keep(10, 20, A, false), a(11, 21), call(30, 31, Op::TierOf(A), Outcome::Tier(Some(Hot)))]);
    rejected(&TEN, &both, 4, &[evicted(B, value(2, 3))]);
    // Let go, it is the youngest.
    accepted(&TEN, &then([keep(10, 11, A, false), let_go(12, 13, A, true), b(20, 21)]));
    let oldest = then([keep(10, 11, A, false), let_go(12, 13, A, true), a(20, 21)]);
    rejected(&TEN, &oldest, 5, &[evicted(B, value(2, 3))]);
}

#[test]
fn empty_is_answered_where_all_is_kept_and_not_before() {
    let all = |kept: &[Key]| {
        let keeps = kept.iter().zip(5..).map(|(key, number)| keep(2 * number, 2 * number + 1, *key, false));
        then(keeps.chain([call(30, 31, Op::EvictLru(Hot), Outcome::Evicted(None))]))
    };
    accepted(&TEN, &all(&[A, B, C]));
    rejected(&TEN, &all(&[A, C]), 5, &[evicted(B, value(2, 3))]);
}

#[test]
fn two_that_keep_one_fragment_are_not_both_the_first() {
    accepted(&TEN, &then([keep(10, 20, A, false), keep(11, 21, A, true)]));
    accepted(&TEN, &then([keep(10, 20, A, true), keep(11, 21, A, false)]));
    let first = Outcome::Kept(Ok(Kept { tier: Hot, was_kept: true }));
    rejected(&TEN, &then([keep(10, 20, A, false), keep(11, 21, A, false)]), 4, &[first]);
}

#[test]
fn a_replacement_that_is_kept_as_its_predecessor_was_not_is_rejected() {
    let replaced = |number, kept| {
        let stored = Stored { kept, ..stored(number, Hot, Some(value(1, 3))) };
        call(20, 30, Op::Store(A, value(number, 3)), Outcome::Stored(Ok(stored)))
    };
    accepted(&TEN, &then([keep(10, 11, A, false), replaced(4, true)]));
    let lost = then([keep(10, 11, A, false), replaced(4, false)]);
    rejected(&TEN, &lost, 4, &[replaced(4, true).answer]);
    // Beside each other.
    for is_kept in [true, false] {
        accepted(&TEN, &then([keep(10, 25, A, false), replaced(4, is_kept)]));
    }
    let read = |answer| then([keep(10, 25, A, false), replaced(4, false), call(40, 41, Op::Get(A), answer)]);
    accepted(&TEN, &read(kept(value(4, 3), Hot)));
    rejected(&TEN, &read(found(value(4, 3), Hot)), 5, &[kept(value(4, 3), Hot)]);
}

#[test]
fn kept_out_is_rejected_where_what_is_kept_leaves_room() {
    let out = |weight| {
        let stored = Stored { kept_out: true, ..stored(4, Warm, None) };
        call(20, 21, Op::Store(Key(3), value(4, weight)), Outcome::Stored(Ok(stored)))
    };
    let with = |weight| then([keep(10, 11, A, false), keep(12, 13, B, false), out(weight)]);
    accepted(&TEN, &with(5));
    let in_hot = store(20, 21, Key(3), value(4, 4), Hot).answer;
    rejected(&TEN, &with(4), 5, &[in_hot]);
    // Nor does it demote anybody.
    let demoted = |tier| {
        let look = call(30, 31, Op::TierOf(C), Outcome::Tier(Some(tier)));
        with(5).into_iter().chain([look]).collect::<Vec<_>>()
    };
    accepted(&TEN, &demoted(Hot));
    rejected(&TEN, &demoted(Warm), 6, &[Outcome::Tier(Some(Hot))]);
    let promote = |weight| {
        then([
            keep(10, 11, A, false),
            store(12, 13, Key(3), value(4, 11), Warm),
            call(14, 15, Op::Promote(Key(3)), Outcome::Promoted(Err(PromoteError::KeptOut { weight }))),
        ])
    };
    let too_heavy = Outcome::Promoted(Err(PromoteError::OverBudget { weight: 11, budget: 10 }));
    rejected(&TEN, &promote(11), 5, &[too_heavy]);
}

#[test]
fn a_budget_below_what_is_kept_demotes_the_others_and_says_by_how_much() {
    let lowered = |demoted, kept_over| {
        let enforced = Enforced { demoted, kept_over };
        then([keep(10, 11, A, false), call(20, 21, Op::SetHotBudget(1), Outcome::BudgetSet(Ok(enforced)))])
    };
    let right = Outcome::BudgetSet(Ok(Enforced { demoted: 2, kept_over: 2 }));
    accepted(&TEN, &lowered(2, 2));
    rejected(&TEN, &lowered(3, 0), 4, std::slice::from_ref(&right));
    rejected(&TEN, &lowered(2, 0), 4, &[right]);
}
