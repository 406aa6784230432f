//! A tier's order and the index, each alone, against trees.
#![no_main]

mod index;
mod order;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

/// More steps take longer than they find.
const MOST_STEPS: usize = 500;

#[derive(Arbitrary, Debug)]
enum Input {
    Order(Vec<order::Step>),
    Index(index::Hashing, Vec<index::Step>),
}

fuzz_target!(|input: Input| {
    match input {
        Input::Order(steps) => order::run(steps.iter().take(MOST_STEPS)),
        Input::Index(hashing, steps) => index::run(hashing, steps.iter().take(MOST_STEPS)),
    }
});
