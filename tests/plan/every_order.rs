//! The checker against trying every order: histories of a few calls, some of them spoilt.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::config;
use crate::history::{Call, check};
use crate::model::Model;
use crate::program::{Step, operation};

/// Whether there is any order of the calls in which the model answers the same, and that real time allows.
fn is_linearizable(model: &Model, calls: &[Call]) -> bool {
    let Some(first_return) = calls.iter().map(|call| call.returned).min() else { return true };
    calls.iter().enumerate().any(|(index, call)| {
        let mut model = model.clone();
        if call.invoked > first_return || model.apply(&call.operation) != call.answer {
            return false;
        }
        let rest = [&calls[..index], &calls[index + 1..]].concat();
        is_linearizable(&model, &rest)
    })
}

/// A step, and how long before the instant of its effect it is called, and how long after it returns.
type Timed = (Step, u64, u64);

/// How a call is spoilt: which one, to an answer of which state, and by how much later.
type Spoilt = (prop::sample::Index, prop::sample::Index, u64);

/// A history that is linearizable, until it is spoilt.
fn history(program: Vec<Timed>, spoilt: Vec<Spoilt>) -> Vec<Call> {
    let (mut model, mut states, mut calls) = (Model::default(), Vec::new(), Vec::new());
    for ((step, before, after), number) in program.into_iter().zip(1..) {
        let savepoints: Vec<_> = (0..=model.sequence()).collect();
        let operation = operation(step, number, model.started(), &savepoints);
        states.push(model.clone());
        let answer = model.apply(&operation);
        // The instant of the effect is at 10 for each call; no two ticks are the same.
        let (invoked, returned) = (10 * number + 30 - before, 10 * number + 31 + after);
        calls.push(Call { operation, answer, invoked: invoked * 32 + number, returned: returned * 32 + 16 + number });
    }
    for (which, state, later) in spoilt {
        let call = &mut calls[which.index(states.len())];
        if later % 2 == 0 {
            call.answer = state.get(&states).answer(&call.operation);
        } else {
            call.invoked += later * 32;
            call.returned += later * 32;
        }
    }
    calls
}

proptest! {
    #![proptest_config(config(4_000))]

    #[test]
    fn the_checker_finds_what_trying_every_order_finds(
        program in vec((any::<Step>(), 0..30_u64, 0..30_u64), 1..8),
        spoilt in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..30_u64), 0..3),
    ) {
        let calls = history(program, spoilt);
        let found = check(&calls);
        prop_assert_eq!(found.is_ok(), is_linearizable(&Model::default(), &calls), "{:?} of {:#?}", found, calls);
    }
}
