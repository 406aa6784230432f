//! Histories made by hand: what the specification does not allow is rejected, at the call that cannot be and for the answers that could; what
//! it allows is accepted.

mod bounds;

use tierstack::{Capacity, Enforced, Evicted, Fragment, Moved, PromoteError, Stored, Tier, Version};

use crate::checker::{Rejection, check};
use crate::model::Operation as Op;
use crate::model::versions::{foreign, minted};
use crate::recorder::{Call, Key, Operation, Outcome, Setup, Value};

use Tier::{Cold, Hot, Warm};

pub const A: Key = Key(0);
pub const B: Key = Key(1);
pub const C: Key = Key(2);

pub const TEN: Setup = Setup::unbounded(10);

pub const fn value(number: u32, weight: u64) -> Value {
    Value { number, weight }
}

pub fn call(invoked: u64, returned: u64, operation: Operation, answer: Outcome) -> Call {
    let version = operation.stores().map_or_else(foreign, |(_, value)| version(value.number));
    Call { operation, answer, version, overflow: Vec::new(), invoked, returned }
}

/// Of the value with that number.
pub fn version(number: u32) -> Version {
    minted(number as usize)
}

/// That the value of that number was stored.
pub fn stored(number: u32, tier: Tier, replaced: Option<Value>) -> Stored<Value> {
    Stored { tier, version: version(number), replaced, contended: false, kept_out: false, kept: false }
}

pub fn in_tier(number: u32, tier: Tier, replaced: Option<Value>) -> Outcome {
    Outcome::Stored(Ok(stored(number, tier, replaced)))
}

pub fn store(invoked: u64, returned: u64, key: Key, value: Value, tier: Tier) -> Call {
    call(invoked, returned, Op::Store(key, value), in_tier(value.number, tier, None))
}

fn replace(invoked: u64, returned: u64, key: Key, value: Value, tier: Tier, old: Value) -> Call {
    call(invoked, returned, Op::Store(key, value), in_tier(value.number, tier, Some(old)))
}

fn contended(invoked: u64, returned: u64, key: Key, value: Value) -> Call {
    let stored = Stored { contended: true, ..stored(value.number, Warm, None) };
    call(invoked, returned, Op::Store(key, value), Outcome::Stored(Ok(stored)))
}

pub fn found(value: Value, tier: Tier) -> Outcome {
    Outcome::Fragment(Some(Fragment { value, tier, kept: false, weight: value.weight, version: version(value.number) }))
}

const NOT_FOUND: Outcome = Outcome::Fragment(None);

fn evicted(key: Key, value: Value, from: Tier) -> Outcome {
    Outcome::Evicted(Some(Evicted { key, value, weight: value.weight, from, to: from.below() }))
}

const EMPTY: Outcome = Outcome::Evicted(None);

/// By a change of the budget.
pub fn budget_set(demoted: usize) -> Outcome {
    Outcome::BudgetSet(Ok(Enforced { demoted, kept_over: 0 }))
}

pub fn moved(from: Tier, to: Tier) -> Outcome {
    Outcome::Promoted(Ok(Moved { from, to }))
}

pub fn accepted(setup: &Setup, calls: &[Call]) {
    let entered = check(setup, calls).unwrap_or_else(|rejection| panic!("{rejection:?}"));
    assert!(entered > 0 || calls.is_empty());
}

/// Rejected at that call, which could have answered exactly this.
pub fn rejected(setup: &Setup, calls: &[Call], call: usize, could: &[Outcome]) {
    let Err(Rejection::Impossible { call: at, possible }) = check(setup, calls) else {
        panic!("not rejected: {calls:#?}");
    };
    assert_eq!(at, call, "possible there: {possible:?}");
    let same = possible.len() == could.len() && could.iter().all(|answer| possible.contains(answer));
    assert!(same, "possible: {possible:?}, expected: {could:?}");
}

/// A (weight 3), then B (3), then C (3), all hot: ticks 0 to 5.
fn three() -> Vec<Call> {
    vec![store(0, 1, A, value(1, 3), Hot), store(2, 3, B, value(2, 3), Hot), store(4, 5, C, value(3, 3), Hot)]
}

/// Those three, and then these.
pub fn then(calls: impl IntoIterator<Item = Call>) -> Vec<Call> {
    three().into_iter().chain(calls).collect()
}

#[test]
fn a_present_key_missed_is_rejected() {
    let missed = then([
        call(10, 20, Op::Get(A), NOT_FOUND),
        call(11, 12, Op::Demote(A), Outcome::Demoted(Some(Moved { from: Hot, to: Warm }))),
    ]);
    // While it moves: in the one tier or in the other, and nowhere else.
    rejected(&TEN, &missed, 3, &[found(value(1, 3), Hot), found(value(1, 3), Warm)]);
    rejected(&TEN, &then([call(10, 20, Op::Peek(A), NOT_FOUND)]), 3, &[found(value(1, 3), Hot)]);
    rejected(&TEN, &then([call(10, 20, Op::Contains(A), Outcome::Is(false))]), 3, &[Outcome::Is(true)]);
    // While it is replaced.
    let replaced = then([call(10, 20, Op::Get(A), NOT_FOUND), replace(11, 12, A, value(4, 3), Hot, value(1, 3))]);
    rejected(&TEN, &replaced, 3, &[found(value(1, 3), Hot), found(value(4, 3), Hot)]);
}

#[test]
fn a_key_in_two_tiers_is_rejected() {
    let demoted = Outcome::Demoted(Some(Moved { from: Hot, to: Warm }));
    // Warm, then hot again, while a demotion is all that happens.
    let back = |second| {
        then([
            call(10, 20, Op::Demote(A), demoted.clone()),
            call(11, 12, Op::TierOf(A), Outcome::Tier(Some(Warm))),
            call(13, 14, Op::TierOf(A), Outcome::Tier(Some(second))),
        ])
    };
    accepted(&TEN, &back(Warm));
    rejected(&TEN, &back(Hot), 5, &[Outcome::Tier(Some(Warm))]);
    let twice = then([
        call(10, 11, Op::Demote(A), demoted),
        call(
            12,
            13,
            Op::Iter(Hot),
            Outcome::Items([(C, 3), (B, 2), (A, 1)].map(|(key, number)| item(key, number)).into()),
        ),
    ]);
    rejected(&TEN, &twice, 4, &[Outcome::Items([(C, 3), (B, 2)].map(|(key, number)| item(key, number)).into())]);
}

pub fn item(key: Key, number: u32) -> tierstack::Item<Key, Value> {
    tierstack::Item { key, value: value(number, 3), weight: 3, kept: false, version: version(number) }
}

#[test]
fn a_value_that_was_replaced_is_rejected_once_the_store_has_returned() {
    let read = |invoked, answer| {
        then([replace(10, 20, A, value(4, 3), Hot, value(1, 3)), call(invoked, 30, Op::Get(A), answer)])
    };
    accepted(&TEN, &read(15, found(value(1, 3), Hot)));
    accepted(&TEN, &read(15, found(value(4, 3), Hot)));
    rejected(&TEN, &read(21, found(value(1, 3), Hot)), 4, &[found(value(4, 3), Hot)]);
    // Two stores that say that they replaced the same.
    let twice =
        then([replace(10, 20, A, value(4, 3), Hot, value(1, 3)), replace(11, 21, A, value(5, 3), Hot, value(1, 3))]);
    let Err(Rejection::Impossible { call: 4, possible }) = check(&TEN, &twice) else { panic!("not rejected") };
    assert_eq!(possible.len(), 1, "{possible:?}");
}

#[test]
fn more_than_the_budget_in_hot_is_rejected() {
    let tiers = |invoked, tier| {
        then([store(10, 20, Key(3), value(4, 4), Hot), call(invoked, 30, Op::TierOf(A), Outcome::Tier(Some(tier)))])
    };
    accepted(&TEN, &tiers(21, Warm));
    accepted(&TEN, &tiers(11, Hot));
    rejected(&TEN, &tiers(21, Hot), 4, &[Outcome::Tier(Some(Warm))]);
    let bytes = then([store(10, 20, Key(3), value(4, 4), Hot), call(11, 12, Op::HotBytes, Outcome::Number(13))]);
    let Err(Rejection::Impossible { call: 4, .. }) = check(&TEN, &bytes) else { panic!("not rejected") };
}

#[test]
fn a_younger_victim_is_rejected_where_nothing_overlaps() {
    for (key, number) in [(B, 2), (C, 3)] {
        let calls = then([call(10, 11, Op::EvictLru(Hot), evicted(key, value(number, 3), Hot))]);
        rejected(&TEN, &calls, 3, &[evicted(A, value(1, 3), Hot)]);
    }
    // A store that makes room, and one for which there is room.
    let victim = |weight, key| {
        then([store(10, 11, Key(3), value(4, weight), Hot), call(12, 13, Op::TierOf(key), Outcome::Tier(Some(Warm)))])
    };
    accepted(&TEN, &victim(4, A));
    rejected(&TEN, &victim(4, B), 4, &[Outcome::Tier(Some(Hot))]);
    rejected(&TEN, &victim(1, A), 4, &[Outcome::Tier(Some(Hot))]);
}

#[test]
fn an_older_unused_fragment_passed_over_is_rejected_under_overlap_too() {
    let evict = call(10, 20, Op::EvictLru(Hot), evicted(B, value(2, 3), Hot));
    let use_of = |key, number| call(11, 12, Op::Get(key), found(value(number, 3), Hot));
    // A is used meanwhile, so that it may be passed over.
    accepted(&TEN, &then([evict.clone(), use_of(A, 1)]));
    rejected(&TEN, &then([evict.clone(), use_of(C, 3)]), 3, &[evicted(A, value(1, 3), Hot)]);
    rejected(&TEN, &then([evict, store(11, 12, Key(3), value(4, 1), Hot)]), 3, &[evicted(A, value(1, 3), Hot)]);
}

#[test]
fn empty_is_rejected_while_one_stood_there_throughout() {
    let empty = call(10, 20, Op::EvictLru(Warm), EMPTY);
    let demote = |invoked, returned, key| {
        call(invoked, returned, Op::Demote(key), Outcome::Demoted(Some(Moved { from: Hot, to: Warm })))
    };
    let promote = |invoked, returned, key| call(invoked, returned, Op::Promote(key), moved(Warm, Hot));
    accepted(&TEN, &then([empty.clone(), demote(11, 12, A)]));
    // One comes before the other goes; neither stood there throughout.
    accepted(&TEN, &then([demote(6, 7, A), empty.clone(), demote(11, 12, B), promote(13, 14, A)]));
    let used = call(11, 12, Op::Get(A), found(value(1, 3), Warm));
    rejected(&TEN, &then([demote(6, 7, A), empty, used]), 4, &[evicted(A, value(1, 3), Warm)]);
}

#[test]
fn contended_is_rejected_unless_another_call_could_hold_the_room() {
    let in_hot = |replaced| in_tier(1, Hot, replaced);
    let alone = vec![contended(0, 1, A, value(1, 8))];
    rejected(&TEN, &alone, 0, &[in_hot(None)]);
    // A call that only looks holds nothing, and one byte in flight leaves room enough.
    let looked_at = vec![contended(0, 9, A, value(1, 8)), call(1, 2, Op::Get(B), NOT_FOUND)];
    rejected(&TEN, &looked_at, 0, &[in_hot(None)]);
    let light = vec![contended(0, 9, A, value(1, 8)), store(1, 2, B, value(2, 1), Hot)];
    rejected(&TEN, &light, 0, &[in_hot(None)]);
    accepted(&TEN, &[contended(0, 9, A, value(1, 8)), store(1, 2, B, value(2, 3), Hot)]);
    // What stood in hot throughout was there to demote.
    let mut there = then([contended(6, 15, Key(3), value(4, 8)), store(7, 8, Key(4), value(5, 1), Hot)]);
    there.push(call(20, 21, Op::TierOf(C), Outcome::Tier(Some(Hot))));
    assert!(check(&TEN, &there).is_err());
    // The same for a promotion.
    let refused = Outcome::Promoted(Err(PromoteError::Contended { weight: 3 }));
    let promoted = then([
        call(6, 7, Op::Demote(A), Outcome::Demoted(Some(Moved { from: Hot, to: Warm }))),
        call(8, 9, Op::Promote(A), refused),
    ]);
    rejected(&TEN, &promoted, 4, &[moved(Warm, Hot)]);
}

#[test]
fn the_eviction_of_what_a_finished_get_had_used_is_rejected() {
    let history = |get_returned, victim| {
        then([
            call(6, 7, Op::Demote(C), Outcome::Demoted(Some(Moved { from: Hot, to: Warm }))),
            call(10, 20, Op::EvictLru(Hot), victim),
            call(8, get_returned, Op::Get(A), found(value(1, 3), Hot)),
        ])
    };
    let (older, used) = (evicted(B, value(2, 3), Hot), evicted(A, value(1, 3), Hot));
    accepted(&TEN, &history(9, older.clone()));
    rejected(&TEN, &history(9, used.clone()), 4, std::slice::from_ref(&older));
    // A get that has not returned may be seen or not.
    accepted(&TEN, &history(15, older));
    accepted(&TEN, &history(15, used));
}

#[test]
fn a_use_that_returned_during_the_eviction_saves_its_fragment_from_it() {
    // A, the oldest, is used while the eviction runs; then it is seen to have been in hot still; B stood there unused.
    let calls = |victim| {
        then([
            call(10, 20, Op::EvictLru(Hot), victim),
            call(11, 12, Op::Get(A), found(value(1, 3), Hot)),
            call(13, 14, Op::TierOf(A), Outcome::Tier(Some(Hot))),
        ])
    };
    accepted(&TEN, &calls(evicted(B, value(2, 3), Hot)));
    rejected(&TEN, &calls(evicted(A, value(1, 3), Hot)), 3, &[evicted(B, value(2, 3), Hot)]);
}

#[test]
fn a_lost_fragment_is_rejected() {
    let one = Setup { budget: 3, warm: Capacity::entries(1), cold: Capacity::entries(0) };
    let history = |overflow: &[(Key, Value)]| {
        let mut calls = three();
        calls[2].overflow = overflow.to_vec();
        calls.push(call(6, 7, Op::Peek(A), NOT_FOUND));
        calls
    };
    // A went to warm for B, and out for C: to the listener.
    accepted(&one, &history(&[(A, value(1, 3))]));
    let in_hot = in_tier(3, Hot, None);
    rejected(&one, &history(&[]), 2, std::slice::from_ref(&in_hot));
    rejected(&one, &history(&[(B, value(2, 3))]), 2, std::slice::from_ref(&in_hot));
    rejected(&one, &history(&[(A, value(1, 3)), (A, value(1, 3))]), 2, &[in_hot]);
    // Without a bound it has nowhere to go.
    rejected(&TEN, &then([call(6, 7, Op::Peek(A), NOT_FOUND)]), 3, &[found(value(1, 3), Hot)]);
    let overlapped = Setup { warm: Capacity::entries(2), ..one };
    let mut too_much = then([call(4, 9, Op::Demote(Key(7)), Outcome::Demoted(None))]);
    too_much[2].overflow = vec![(A, value(1, 3))];
    rejected(&overlapped, &too_much, 2, &[in_tier(3, Hot, None)]);
}

#[test]
fn two_claims_on_one_excess_are_rejected() {
    // Two demotions into warm, which holds one: only one is pushed on.
    let two = Setup { budget: 10, warm: Capacity::entries(1), cold: Capacity::UNBOUNDED };
    let demoted = Outcome::Demoted(Some(Moved { from: Hot, to: Warm }));
    let history = |left| {
        then([
            call(10, 20, Op::Demote(A), demoted.clone()),
            call(11, 21, Op::Demote(B), demoted.clone()),
            call(30, 31, Op::Len(Warm), Outcome::Number(left)),
        ])
    };
    accepted(&two, &history(1));
    rejected(&two, &history(0), 5, &[Outcome::Number(1)]);
    rejected(&two, &history(2), 5, &[Outcome::Number(1)]);
}

#[test]
fn a_removal_that_two_are_told_of_is_rejected() {
    let removed = |invoked, returned, answer| call(invoked, returned, Op::Remove(A), answer);
    let history = |second| then([removed(10, 20, found(value(1, 3), Hot)), removed(11, 21, second)]);
    accepted(&TEN, &history(NOT_FOUND));
    rejected(&TEN, &history(found(value(1, 3), Hot)), 4, &[NOT_FOUND]);
    // Evicted out of cold and removed.
    let demoted = call(6, 7, Op::DemoteTo(A, Cold), Outcome::Demoted(Some(Moved { from: Hot, to: Cold })));
    let out = |answer| {
        then([
            demoted.clone(),
            call(10, 20, Op::EvictLru(Cold), evicted(A, value(1, 3), Cold)),
            removed(11, 21, answer),
        ])
    };
    accepted(&TEN, &out(NOT_FOUND));
    rejected(&TEN, &out(found(value(1, 3), Cold)), 5, &[NOT_FOUND]);
}

#[test]
fn a_wrong_tier_in_the_answer_is_rejected() {
    let calls = |answer| then([call(10, 11, Op::Promote(A), answer)]);
    accepted(&TEN, &calls(moved(Hot, Hot)));
    rejected(&TEN, &calls(moved(Warm, Hot)), 3, &[moved(Hot, Hot)]);
    let heavy = |tier| vec![store(0, 1, A, value(1, 11), tier)];
    accepted(&TEN, &heavy(Warm));
    let warm = in_tier(1, Warm, None);
    rejected(&TEN, &heavy(Hot), 0, &[warm]);
    rejected(&TEN, &then([call(10, 11, Op::Remove(A), found(value(1, 3), Warm))]), 3, &[found(value(1, 3), Hot)]);
}

#[test]
fn a_promotion_refused_as_over_a_budget_that_was_not_in_force_is_rejected() {
    let demoted = call(6, 7, Op::Demote(A), Outcome::Demoted(Some(Moved { from: Hot, to: Warm })));
    let refused = |budget| Outcome::Promoted(Err(PromoteError::OverBudget { weight: 3, budget }));
    let lowered = call(10, 20, Op::SetHotBudget(2), budget_set(2));
    let history = |promote| then([demoted.clone(), lowered.clone(), promote]);
    accepted(&TEN, &history(call(11, 30, Op::Promote(A), refused(2))));
    accepted(&TEN, &history(call(21, 30, Op::Promote(A), refused(2))));
    rejected(&TEN, &history(call(21, 30, Op::Promote(A), refused(1))), 5, &[refused(2)]);
    rejected(&TEN, &history(call(8, 9, Op::Promote(A), refused(2))), 5, &[moved(Warm, Hot)]);
}

#[test]
fn the_order_of_two_uses_that_did_not_overlap_is_kept() {
    let get = |invoked, returned, key, number| call(invoked, returned, Op::Get(key), found(value(number, 3), Hot));
    let listed = |keys: [(Key, u32); 3]| Outcome::Items(keys.map(|(key, number)| item(key, number)).into());
    let history =
        |returned, keys| then([get(10, returned, B, 2), get(12, 20, A, 1), call(30, 31, Op::Iter(Hot), listed(keys))]);
    let (second, first) = ([(A, 1), (B, 2), (C, 3)], [(B, 2), (A, 1), (C, 3)]);
    accepted(&TEN, &history(11, second));
    rejected(&TEN, &history(11, first), 5, &[listed(second)]);
    accepted(&TEN, &history(15, second));
    accepted(&TEN, &history(15, first));
}

#[test]
fn a_promotion_of_what_replaced_a_fragment_too_heavy_for_hot_makes_room() {
    // B's store, begun first, evicts the light A; the promotion, begun before A was light, evicts B in its turn.
    let calls = [
        store(0, 1, A, value(1, 11), Warm),
        store(10, 20, B, value(2, 10), Hot),
        call(11, 21, Op::PromoteTo(A, Hot), moved(Warm, Hot)),
        replace(12, 13, A, value(3, 10), Hot, value(1, 11)),
        call(30, 31, Op::TierOf(B), Outcome::Tier(Some(Warm))),
    ];
    accepted(&TEN, &calls);
}

#[test]
fn a_store_that_was_short_may_evict_after_the_budget_has_made_it_too_heavy() {
    let calls = then([
        call(10, 30, Op::Store(Key(3), value(4, 8)), in_tier(4, Warm, None)),
        call(11, 12, Op::SetHotBudget(6), budget_set(1)),
        call(13, 14, Op::TierOf(B), Outcome::Tier(Some(Hot))),
        call(31, 32, Op::TierOf(B), Outcome::Tier(Some(Warm))),
    ]);
    accepted(&TEN, &calls);
}

#[test]
fn a_use_may_be_ordered_by_an_instant_before_evictions_see_it() {
    let get = |invoked, returned, key, number| call(invoked, returned, Op::Get(key), found(value(number, 3), Hot));
    let demoted = Outcome::Demoted(Some(Moved { from: Hot, to: Warm }));
    let history = |returned, first, number| {
        then([
            get(10, returned, A, 1),
            get(12, 13, B, 2),
            // Older than B, and not younger than C until its use is seen.
            call(14, 15, Op::EvictLru(Hot), evicted(A, value(1, 3), Hot)),
            call(40, 41, Op::Demote(B), demoted.clone()),
            call(42, 43, Op::EvictLru(Warm), evicted(first, value(number, 3), Warm)),
        ])
    };
    accepted(&TEN, &history(30, A, 1));
    accepted(&TEN, &history(30, B, 2));
    rejected(&TEN, &history(11, A, 1), 5, &[evicted(C, value(3, 3), Hot)]);
}

#[test]
fn a_store_may_be_ordered_by_an_instant_before_its_effect() {
    let listed = |keys: [(Key, u32); 2]| Outcome::Items(keys.map(|(key, number)| item(key, number)).into());
    let history = |keys| {
        vec![
            store(0, 1, A, value(1, 3), Hot),
            store(10, 20, B, value(2, 3), Hot),
            call(11, 12, Op::Get(A), found(value(1, 3), Hot)),
            call(13, 14, Op::Peek(B), NOT_FOUND),
            call(30, 31, Op::Iter(Hot), listed(keys)),
        ]
    };
    accepted(&TEN, &history([(B, 2), (A, 1)]));
    accepted(&TEN, &history([(A, 1), (B, 2)]));
}

#[test]
fn what_a_call_in_flight_has_placed_may_be_overlooked_until_somebody_sees_it() {
    let sunk = Outcome::Demoted(Some(Moved { from: Hot, to: Cold }));
    let history = |seen: Option<Call>, returned| {
        let calls = then([
            call(10, returned, Op::DemoteTo(A, Cold), sunk.clone()),
            // B is the oldest: A has left.
            call(11, 12, Op::EvictLru(Hot), evicted(B, value(2, 3), Hot)),
            call(20, 21, Op::EvictLru(Cold), EMPTY),
        ]);
        calls.into_iter().chain(seen).collect::<Vec<_>>()
    };
    accepted(&TEN, &history(None, 30));
    rejected(&TEN, &history(None, 15), 5, &[evicted(A, value(1, 3), Cold)]);
    let seen = call(13, 14, Op::TierOf(A), Outcome::Tier(Some(Cold)));
    rejected(&TEN, &history(Some(seen), 30), 5, &[evicted(A, value(1, 3), Cold)]);
}

#[test]
fn more_than_the_budget_in_hot_is_rejected_before_the_stores_return_too() {
    let tier = |invoked, key, tier| call(invoked, invoked + 1, Op::TierOf(key), Outcome::Tier(Some(tier)));
    let history = |last| {
        vec![
            store(10, 30, A, value(1, 6), Hot),
            store(11, 31, B, value(2, 6), Hot),
            tier(12, A, Hot),
            tier(14, B, Hot),
            tier(16, A, last),
        ]
    };
    accepted(&TEN, &history(Warm));
    rejected(&TEN, &history(Hot), 4, &[Outcome::Tier(Some(Warm))]);
}

#[test]
fn of_what_was_used_during_the_eviction_any_may_be_its_victim() {
    let get = |invoked, key, number| call(invoked, invoked + 1, Op::Get(key), found(value(number, 3), Hot));
    let history = |victim, number| {
        let evict = call(10, 30, Op::EvictLru(Hot), evicted(victim, value(number, 3), Hot));
        // It is there still after all uses.
        let there = call(17, 18, Op::TierOf(victim), Outcome::Tier(Some(Hot)));
        then([evict, get(11, A, 1), get(13, B, 2), get(15, C, 3), there])
    };
    for (victim, number) in [(A, 1), (B, 2), (C, 3)] {
        accepted(&TEN, &history(victim, number));
    }
}

#[test]
fn a_demotion_for_a_store_whose_predecessor_makes_room_enough_is_rejected() {
    let seven = Setup::unbounded(7);
    let tier = |invoked, key, tier| call(invoked, invoked + 1, Op::TierOf(key), Outcome::Tier(Some(tier)));
    let history = |stored, last| {
        vec![
            store(0, 1, B, value(1, 2), Hot),
            store(2, 3, C, value(2, 1), Hot),
            replace(10, 30, A, value(3, 6), Hot, value(4, 4)),
            store(stored, stored + 1, A, value(4, 4), Hot),
            // From here on only B's bytes are missing.
            tier(13, B, Hot),
            tier(31, B, Warm),
            tier(33, C, last),
        ]
    };
    // It was hot all along, or came while room was made.
    for stored in [5, 11] {
        accepted(&seven, &history(stored, Hot));
        rejected(&seven, &history(stored, Warm), 6, &[Outcome::Tier(Some(Hot))]);
    }
}
