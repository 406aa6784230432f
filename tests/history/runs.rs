//! Threads at one small store, again and again: the specification allows what they were answered, and what is left in the end.
//!
//! `ROUNDS`, `THREADS`, `LENGTH` (of each thread) and `SEED` in the environment change how many histories there are, and which; the same seed gives the
//! same calls, but not the same schedule. What fails is printed in full. A history that the checker cannot decide is
//! counted, and there may be few.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use rand::Rng;
use tierstack::Tier;

use crate::checker::{Rejection, check};
use crate::common::{dice, together};
use crate::model::versions::Chosen;
use crate::program::{self, Known, Trade};
use crate::recorder::{Call, Clock, Key, Log, Operation, Setup, hesitate};
use crate::setting;

/// What threads did at one store; then, at rest, all that is in it.
fn record(setup: &Setup, trade: Trade, threads: usize, length: usize, seeds: [u64; 2]) -> Vec<Call> {
    let mut choice = dice([seeds[0], seeds[1], u64::MAX]);
    let keys = choice.random_range(3..=6);
    let store = setup.store(choice.random_range(1..=3));
    let clock = Clock::default();
    let mut calls: Vec<Call> = together(threads, |thread| {
        let mut dice = dice([seeds[0], seeds[1], thread as u64]);
        let (mut log, mut known) = (Log::new(&clock), Known::default());
        for number in 0..length {
            let operation = trade.operation(&mut dice, keys, (thread * length + number) as u32, &known);
            hesitate(dice.random_range(0..12), dice.random_range(0..12));
            log.call(&store, operation);
            log.calls.last().into_iter().for_each(|call| known.learn(&call.operation, &call.answer));
            hesitate(0, 0);
            if dice.random_ratio(1, 4) {
                std::thread::yield_now();
            }
        }
        log.calls
    })
    .concat();
    let mut log = Log::new(&clock);
    let looks = Key::all().take(keys.into()).map(Operation::Peek);
    let counts =
        Tier::ALL.into_iter().flat_map(|tier| [Operation::Iter(tier), Operation::Len(tier), Operation::Bytes(tier)]);
    for operation in looks.chain(counts).chain([Operation::HotBudget]) {
        log.call(&store, operation);
    }
    calls.append(&mut log.calls);
    calls
}

/// A history for people to read.
fn portrait(setup: &Setup, calls: &[Call]) -> String {
    let mut calls: Vec<_> = calls.iter().enumerate().collect();
    calls.sort_by_key(|(_, call)| call.invoked);
    let line = |(index, call): (usize, &Call)| {
        let Call { operation, answer, overflow, invoked, returned, .. } = call;
        format!("#{index} {invoked}..{returned} {operation:?} -> {answer:?} {overflow:?}\n")
    };
    format!("{setup:?}\n{}", calls.into_iter().map(line).collect::<String>())
}

/// Records and checks so many histories.
fn storm(name: &str, trade: Trade, threads: usize, length: usize, rounds: u64) {
    let seed: u64 = setting("SEED", rand::random());
    let rounds = setting("ROUNDS", rounds);
    let (threads, length) = (setting("THREADS", threads), setting("LENGTH", length));
    println!("SEED={seed}");
    let mut named = DefaultHasher::new();
    name.hash(&mut named);
    let (mut overlapping, mut entered, mut most, mut undecided) = (0, 0, 0, 0);
    for round in 0..rounds {
        let seeds = [seed ^ named.finish(), round];
        let setup = program::setup(&mut dice([seeds[0], round, u64::MAX - 1]));
        let calls = record(&setup, trade, threads, length, seeds);
        let mut chosen = Chosen::default();
        for call in &calls {
            chosen.by(&call.answer);
        }
        overlapping += calls.iter().filter(|call| call.returned > call.invoked + 1).count();
        match check(&setup, &calls) {
            Ok(number) => {
                entered += number;
                most = most.max(number);
            }
            Err(Rejection::Undecided) => undecided += 1,
            Err(rejection) => panic!("round {round}: {rejection:#?}\n{}", portrait(&setup, &calls)),
        }
    }
    println!(
        "{name}: {rounds} histories, {overlapping} calls overlapped, {entered} configurations, at most {most}; \
         {undecided} undecided"
    );
    assert!(undecided * 100 <= rounds, "{undecided} of {rounds} histories are undecided");
}

#[test]
fn two_threads_that_do_everything() {
    storm("two", Trade::ALL, 2, 8, 1000);
}

#[test]
fn three_threads_that_do_everything() {
    storm("three", Trade::ALL, 3, 6, 1000);
}

#[test]
fn four_threads_that_do_everything() {
    storm("four", Trade::ALL, 4, 4, 1000);
}

#[test]
fn threads_that_never_change_the_budget() {
    storm("constant", Trade::CONSTANT, 3, 6, 1000);
}

#[test]
fn threads_that_use_and_evict() {
    storm("recency", Trade::RECENCY, 3, 6, 1000);
}

#[test]
fn threads_that_need_room() {
    storm("room", Trade::ROOM, 3, 6, 1000);
}

#[test]
fn threads_whose_changes_depend_on_what_is_there() {
    storm("changes", Trade::CHANGES, 3, 6, 1000);
}

#[test]
fn threads_that_take_snapshots() {
    storm("snapshots", Trade::SNAPSHOTS, 3, 6, 1000);
    storm("snapshots by many", Trade::SNAPSHOTS, 4, 4, 1000);
}

#[test]
fn threads_that_keep_and_let_go() {
    storm("keeping", Trade::KEEPING, 3, 6, 1000);
}

#[test]
fn two_threads_for_longer() {
    storm("long", Trade::ALL, 2, 60, 40);
}
