//! The counts of a tier with a capacity: claims beside each other, and beside what comes back.
//!
//! Left out: what stands in the tier, and the moves that the claims are for.

use std::sync::Arc;

use loom::thread;
use loom_tests::{both_hold, holds};
use tierstack::internals::{Census, Tally};
use tierstack::{Capacity, Tier};

/// What each fragment weighs.
const WEIGHT: u64 = 40;

const BOTH: Capacity = Capacity::entries(2).and_bytes(2 * WEIGHT);

/// Both bounds passed by one fragment, where there are three; the one; the other; and tiers with one bound only.
const CAPACITIES: [Capacity; 5] = [
    BOTH,
    Capacity::entries(2).and_bytes(9 * WEIGHT),
    Capacity::entries(9).and_bytes(2 * WEIGHT),
    Capacity::entries(2),
    Capacity::bytes(2 * WEIGHT),
];

/// A tier with so many fragments.
fn census(capacity: Capacity, fragments: u64) -> Arc<Census> {
    let census = Census::new(capacity);
    (0..fragments).for_each(|_| census.come_back(WEIGHT, false));
    Arc::new(census)
}

/// Pushes out as a store does, and counts it.
fn enforce(census: &Census) -> u64 {
    let mut pushed = 0;
    while census.is_over() {
        pushed += u64::from(census.claim(WEIGHT));
    }
    pushed
}

/// Takes a fragment off, before a move.
fn leave(census: &Census) {
    Tally::default().leave_early(Tier::Warm, WEIGHT, false, census);
}

fn counts(census: &Census) -> (u64, u64) {
    (census.fragments(), census.bytes())
}

#[test]
fn whoever_is_refused_while_the_tier_is_over_has_lost_to_a_claim_that_is_granted() {
    for capacity in CAPACITIES {
        holds(&format!("claim twice, claim; {capacity:?}"), 3, move || {
            let census = census(capacity, 3);
            let other = {
                let census = Arc::clone(&census);
                thread::spawn(move || census.claim(WEIGHT))
            };
            let first = census.claim(WEIGHT);
            let second = !first && census.claim(WEIGHT);
            let other = other.join().unwrap();
            assert!(first || other, "the first claims were refused, both; the third: {second}");
            assert!(!(first && other) && !second, "one excess was claimed twice");
            assert_eq!(counts(&census), (2, 2 * WEIGHT));
        });
    }
}

#[test]
fn two_who_push_out_leave_the_tier_full() {
    for capacity in CAPACITIES {
        holds(&format!("enforce, enforce; {capacity:?}"), 3, move || {
            let census = census(capacity, 4);
            let other = {
                let census = Arc::clone(&census);
                thread::spawn(move || enforce(&census))
            };
            let pushed = enforce(&census) + other.join().unwrap();
            assert_eq!((pushed, counts(&census)), (2, (2, 2 * WEIGHT)));
        });
    }
}

#[test]
fn three_claims_on_one_excess_are_granted_once() {
    holds("claim, claim, claim", 2, || {
        let census = census(BOTH, 3);
        let others = [0, 1].map(|_| {
            let census = Arc::clone(&census);
            thread::spawn(move || census.claim(WEIGHT))
        });
        let own = census.claim(WEIGHT);
        let granted = u64::from(own) + others.map(|other| u64::from(other.join().unwrap())).iter().sum::<u64>();
        assert_eq!((granted, counts(&census)), (1, (2, 2 * WEIGHT)));
    });
}

#[test]
fn an_excess_that_is_hidden_by_a_move_that_fails_is_seen_to_by_the_mover() {
    for capacity in CAPACITIES {
        let model = move |mover_is_spawned: bool| {
            move || {
                let census = census(capacity, 3);
                let fail_to_move = |census: &Census| {
                    leave(census);
                    census.come_back(WEIGHT, false);
                    enforce(census)
                };
                let shared = Arc::clone(&census);
                let pushed = if mover_is_spawned {
                    let other = thread::spawn(move || fail_to_move(&shared));
                    enforce(&census) + other.join().unwrap()
                } else {
                    let other = thread::spawn(move || enforce(&shared));
                    fail_to_move(&census) + other.join().unwrap()
                };
                assert_eq!((pushed, counts(&census)), (1, (2, 2 * WEIGHT)));
            }
        };
        both_hold(&format!("enforce, leave and come back; {capacity:?}"), 3, (model(true), model(false)));
    }
}

#[test]
fn what_leaves_by_itself_is_not_pushed_out_as_well() {
    for capacity in CAPACITIES {
        let model = move |leaver_is_spawned: bool| {
            move || {
                let census = census(capacity, 3);
                let shared = Arc::clone(&census);
                let is_granted = if leaver_is_spawned {
                    let other = thread::spawn(move || leave(&shared));
                    let is_granted = census.claim(WEIGHT);
                    other.join().unwrap();
                    is_granted
                } else {
                    let other = thread::spawn(move || shared.claim(WEIGHT));
                    leave(&census);
                    // Two are left: the claim takes another only if it came first.
                    other.join().unwrap()
                };
                let left = if is_granted { 1 } else { 2 };
                assert_eq!(counts(&census), (left, left * WEIGHT));
                assert!(!census.claim(WEIGHT));
            }
        };
        both_hold(&format!("claim, leave; {capacity:?}"), 3, (model(true), model(false)));
    }
}
