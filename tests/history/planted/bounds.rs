//! Of the budget, when it changes, and of the capacities.

use super::*;

#[test]
fn too_heavy_is_rejected_of_a_store_that_took_effect_under_a_budget_which_it_fits() {
    let two = Setup::unbounded(2);
    let history = |raised, seen_absent| {
        let (kept, returned) = (if raised == 10 { 10 } else { 2 }, seen_absent + 1);
        vec![
            store(10, 40, A, value(1, 5), Warm),
            call(11, 12, Op::SetHotBudget(raised), budget_set(0)),
            // It takes effect after this, and before the next.
            call(seen_absent, returned, Op::Peek(A), NOT_FOUND),
            call(20, 21, Op::Peek(A), found(value(1, 5), Warm)),
            call(30, 31, Op::SetHotBudget(kept), budget_set(0)),
        ]
    };
    accepted(&two, &history(4, 13));
    let mut contended_instead = history(10, 13);
    contended_instead[0] = contended(10, 40, A, value(1, 5));
    accepted(&two, &contended_instead);
    assert!(check(&two, &history(10, 13)).is_err());
    // Lowered again before it returns: that does not help.
    let mut lowered = history(10, 13);
    lowered[4] = call(30, 31, Op::SetHotBudget(2), budget_set(0));
    assert!(check(&two, &lowered).is_err());
}

#[test]
fn a_demotion_that_neither_of_two_changes_of_the_budget_counts_is_rejected() {
    let history = |counted: [usize; 2]| {
        let [raised, lowered] = counted.map(budget_set);
        then([
            call(10, 20, Op::SetHotBudget(9), raised),
            call(11, 21, Op::SetHotBudget(8), lowered),
            call(30, 31, Op::TierOf(A), Outcome::Tier(Some(Warm))),
            call(32, 33, Op::TierOf(B), Outcome::Tier(Some(Hot))),
        ])
    };
    accepted(&TEN, &history([1, 0]));
    accepted(&TEN, &history([0, 1]));
    assert!(check(&TEN, &history([0, 0])).is_err());
    assert!(check(&TEN, &history([1, 1])).is_err());
}

#[test]
fn what_leaves_for_a_fragment_that_cannot_stay_is_rejected() {
    let small = Setup { budget: 10, warm: Capacity::bytes(4), cold: Capacity::entries(2) };
    let history = |tier| {
        vec![
            store(0, 1, A, value(1, 3), Hot),
            call(2, 3, Op::Demote(A), Outcome::Demoted(Some(Moved { from: Hot, to: Warm }))),
            store(4, 5, B, value(2, 11), Warm),
            call(6, 7, Op::TierOf(B), Outcome::Tier(Some(Cold))),
            call(8, 9, Op::TierOf(A), Outcome::Tier(Some(tier))),
        ]
    };
    accepted(&small, &history(Warm));
    rejected(&small, &history(Cold), 4, &[Outcome::Tier(Some(Warm))]);
}
