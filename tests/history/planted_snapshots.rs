//! Snapshots by hand: one that shows two instants, or none, is rejected; one of an instant of its call is accepted.

use tierstack::{Item, Moved, Tier};

use crate::model::Operation as Op;
use crate::planted::{A, B, C, TEN, accepted, call, found, moved, rejected, store, then, value, version};
use crate::recorder::{Call, Key, Outcome, Value};

use Tier::{Cold, Hot, Warm};

fn item(key: Key, number: u32) -> Item<Key, Value> {
    Item { key, value: value(number, 3), weight: 3, kept: false, version: version(number) }
}

/// A snapshot that shows the fragments of those numbers there.
fn shown(items: impl IntoIterator<Item = (Tier, Key, u32)>) -> Outcome {
    Outcome::Shown(items.into_iter().map(|(tier, key, number)| (tier, item(key, number))).collect())
}

fn demote(invoked: u64, returned: u64, key: Key) -> Call {
    call(invoked, returned, Op::Demote(key), Outcome::Demoted(Some(Moved { from: Hot, to: Warm })))
}

fn promote(invoked: u64, returned: u64, key: Key) -> Call {
    call(invoked, returned, Op::Promote(key), moved(Warm, Hot))
}

const ALL: [(Tier, Key, u32); 3] = [(Hot, C, 3), (Hot, B, 2), (Hot, A, 1)];

#[test]
fn a_snapshot_that_mixes_two_instants_is_rejected() {
    // A goes down and B comes up, one after the other, while the snapshot is taken.
    let swap = |taken: Outcome| {
        then([demote(10, 11, B), call(20, 40, Op::Snapshot, taken), demote(25, 26, A), promote(30, 31, B)])
    };
    let before = [(Hot, C, 3), (Hot, A, 1), (Warm, B, 2)];
    let between = [(Hot, C, 3), (Warm, B, 2), (Warm, A, 1)];
    let after = [(Hot, B, 2), (Hot, C, 3), (Warm, A, 1)];
    for instant in [before, between, after] {
        accepted(&TEN, &swap(shown(instant)));
    }
    let could = [before, between, after].map(shown);
    // B as it stood at the end, and A as it stood at the beginning.
    rejected(&TEN, &swap(shown([(Hot, B, 2), (Hot, C, 3), (Hot, A, 1)])), 4, &could);
    // B in both tiers.
    rejected(&TEN, &swap(shown([(Hot, B, 2), (Hot, C, 3), (Warm, B, 2), (Warm, A, 1)])), 4, &could);
    // A in neither.
    rejected(&TEN, &swap(shown([(Hot, C, 3), (Warm, B, 2)])), 4, &could);
    // Of one tier.
    let hot = |taken: Outcome| {
        let mut calls = swap(taken);
        calls[4].operation = Op::SnapshotOf(Hot);
        calls
    };
    accepted(&TEN, &hot(shown([(Hot, C, 3)])));
    let could = [&before[..2], &between[..1], &after[..2]].map(|instant| shown(instant.iter().copied()));
    rejected(&TEN, &hot(shown([(Hot, B, 2), (Hot, C, 3), (Hot, A, 1)])), 4, &could);
}

#[test]
fn a_snapshot_of_an_instant_before_or_after_its_call_is_rejected() {
    let moved_then = |invoked, returned, taken| then([demote(10, 20, A), call(invoked, returned, Op::Snapshot, taken)]);
    let below = [(Hot, C, 3), (Hot, B, 2), (Warm, A, 1)];
    accepted(&TEN, &moved_then(15, 25, shown(ALL)));
    accepted(&TEN, &moved_then(15, 25, shown(below)));
    accepted(&TEN, &moved_then(21, 25, shown(below)));
    rejected(&TEN, &moved_then(21, 25, shown(ALL)), 4, &[shown(below)]);
    let early = |taken| then([call(6, 7, Op::Snapshot, taken), demote(10, 20, A)]);
    rejected(&TEN, &early(shown(below)), 3, &[shown(ALL)]);
}

#[test]
fn a_snapshot_that_does_not_show_what_was_seen_before_it_is_rejected() {
    // The demotion goes on; but it was seen.
    let seen = |taken| {
        then([
            demote(10, 50, A),
            call(20, 21, Op::Peek(A), found(value(1, 3), Warm)),
            call(30, 31, Op::Snapshot, taken),
        ])
    };
    let below = [(Hot, C, 3), (Hot, B, 2), (Warm, A, 1)];
    accepted(&TEN, &seen(shown(below)));
    rejected(&TEN, &seen(shown(ALL)), 5, &[shown(below)]);
}

#[test]
fn what_a_snapshot_has_shown_is_seen() {
    // It shows what a store in progress has stored: from then on evictions have to find it.
    let stored = |answer| {
        vec![
            store(0, 50, A, value(1, 3), Hot),
            call(10, 11, Op::Snapshot, shown([(Hot, A, 1)])),
            call(20, 21, Op::EvictLru(Hot), answer),
        ]
    };
    let evicted = tierstack::Evicted { key: A, value: value(1, 3), weight: 3, from: Hot, to: Some(Warm) };
    accepted(&TEN, &stored(Outcome::Evicted(Some(evicted))));
    rejected(&TEN, &stored(Outcome::Evicted(None)), 2, &[Outcome::Evicted(Some(evicted))]);
}

#[test]
fn alone_a_snapshot_shows_the_order_of_the_uses() {
    let used = |taken| then([call(10, 11, Op::Get(A), found(value(1, 3), Hot)), call(20, 21, Op::Snapshot, taken)]);
    let right = [(Hot, A, 1), (Hot, C, 3), (Hot, B, 2)];
    accepted(&TEN, &used(shown(right)));
    rejected(&TEN, &used(shown(ALL)), 4, &[shown(right)]);
    // Of a tier with nothing in it.
    accepted(&TEN, &then([call(10, 11, Op::SnapshotOf(Cold), shown([]))]));
}
