//! The checker against the model itself: what the model does in any order of whole calls is allowed, without overlap that is all that is
//! allowed, and for calls of one step it is so with overlap too.

use rand::Rng;
use rand::rngs::StdRng;
use tierstack::Tier;

use crate::checker::{Rejection, check};
use crate::common::dice;
use crate::model::versions::minted;
use crate::program::{self, Known, Trade};
use crate::recorder::{Board, Call, Setup};
use crate::setting;

/// A history that the model has in this order; the calls last up to `spread` others.
fn history(dice: &mut StdRng, setup: &Setup, trade: Trade, length: u64, spread: u64) -> (Vec<Call>, Vec<Board>) {
    let (mut model, mut states, mut calls) = (setup.model(), Vec::new(), Vec::new());
    let mut known = Known::default();
    for number in 0..length {
        let operation = trade.operation(dice, 3, number as u32, &known);
        states.push(model.clone());
        let version = minted(number as usize);
        let answer = model.apply(&operation, version);
        known.learn(&operation, &answer);
        let overflow = model.take_overflow();
        // The instant of each call is at 10 times its number; no two ticks are the same.
        let (before, after) = (dice.random_range(0..=10 * spread), dice.random_range(0..=10 * spread));
        let invoked = (10 * (number + spread) - before) * 64 + number;
        let returned = (10 * (number + spread) + 1 + after) * 64 + 32 + number;
        calls.push(Call { operation, answer, version, overflow, invoked, returned });
    }
    (calls, states)
}

/// Gives a call what would have been the answer at another time.
fn spoil(dice: &mut StdRng, calls: &mut [Call], states: &[Board]) {
    let call = &mut calls[dice.random_range(0..states.len())];
    let mut state = states[dice.random_range(0..states.len())].clone();
    call.answer = state.apply(&call.operation, call.version);
    call.overflow = state.take_overflow();
}

/// Whether there is any order of the whole calls in which the model answers the same, and that real time allows.
fn is_linearizable(model: &Board, calls: &[Call]) -> bool {
    let Some(first_return) = calls.iter().map(|call| call.returned).min() else { return true };
    calls.iter().enumerate().any(|(index, call)| {
        let mut model = model.clone();
        if call.invoked > first_return || model.apply(&call.operation, call.version) != call.answer {
            return false;
        }
        model.take_overflow() == call.overflow
            && is_linearizable(&model, &[&calls[..index], &calls[index + 1..]].concat())
    })
}

/// Tries so many histories, numbered.
fn for_each(cases: u64, mut test: impl FnMut(&mut StdRng)) {
    let seed: u64 = setting("SEED", rand::random());
    println!("SEED={seed}");
    for case in 0..setting("CASES", cases) {
        test(&mut dice([seed, case, 77]));
    }
}

#[test]
fn what_the_model_does_in_some_order_is_allowed() {
    for_each(2_000, |dice| {
        let setup = program::setup(dice);
        let length = dice.random_range(1..14);
        let (calls, _) = history(dice, &setup, Trade::ALL, length, 2);
        match check(&setup, &calls) {
            Ok(_) | Err(Rejection::Undecided) => {}
            Err(rejection) => panic!("{rejection:?} of {setup:?} {calls:#?}"),
        }
    });
}

#[test]
fn without_overlap_only_what_the_model_does_is_allowed() {
    let mut rejected = 0;
    for_each(4_000, |dice| {
        let setup = program::setup(dice);
        let length = dice.random_range(1..30);
        let (mut calls, states) = history(dice, &setup, Trade::ALL, length, 0);
        spoil(dice, &mut calls, &states);
        let mut model = setup.model();
        let wrong = calls.iter().position(|call| {
            let answer = model.apply(&call.operation, call.version);
            answer != call.answer || model.take_overflow() != call.overflow
        });
        match (check(&setup, &calls), wrong) {
            (Ok(_), None) => {}
            (Err(Rejection::Impossible { call, possible }), Some(wrong)) => {
                let mut model = setup.model();
                let apply = |call: &Call| model.apply(&call.operation, call.version);
                let answers: Vec<_> = calls[..=wrong].iter().map(apply).collect();
                assert_eq!((call, &possible[..]), (wrong, &answers[wrong..]), "{setup:?} {calls:#?}");
                rejected += 1;
            }
            (found, wrong) => panic!("{found:?}, but {wrong:?} is wrong: {setup:?} {calls:#?}"),
        }
    });
    assert!(rejected > 0);
}

#[test]
fn calls_of_one_step_are_allowed_if_some_order_of_them_explains_them() {
    let (mut accepted, mut rejected) = (0, 0);
    for_each(4_000, |dice| {
        let setup = Setup::unbounded(1_000);
        let length = dice.random_range(1..8);
        let (mut calls, states) = history(dice, &setup, Trade::BY_KEY, length, 3);
        for _ in 0..dice.random_range(0..3) {
            spoil(dice, &mut calls, &states);
        }
        let is_allowed = check(&setup, &calls).is_ok();
        assert_eq!(is_allowed, is_linearizable(&setup.model(), &calls), "{calls:#?}");
        *if is_allowed { &mut accepted } else { &mut rejected } += 1;
    });
    assert!(accepted > 0 && rejected > 0, "{accepted} accepted, {rejected} rejected");
}

#[test]
fn the_histories_have_every_tier_and_overflow() {
    let mut met = [false; 4];
    for_each(500, |dice| {
        let setup = program::setup(dice);
        let (calls, states) = history(dice, &setup, Trade::ALL, 20, 0);
        for tier in Tier::ALL {
            met[tier as usize] |= states.iter().any(|state| state.len(tier) > 1);
        }
        met[3] |= calls.iter().any(|call| !call.overflow.is_empty());
        let is_light = |call: &Call| call.operation.stores().is_none_or(|(_, value)| value.weight <= 6);
        assert!(calls.iter().all(is_light));
    });
    assert_eq!(met, [true; 4]);
}
