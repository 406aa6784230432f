//! Histories made by hand of stores that depend on what is there.

use tierstack::{
    Capacity, GetOrStored, Moved, ReplaceIfRefusal, StoreError, StoreIfAbsentRefusal, Stored, Tier, UpdateRefusal,
    Version,
};

use crate::checker::check;
use crate::model::Operation as Op;
use crate::planted::{A, B, TEN, accepted, call, found, in_tier, rejected, store, stored, then, value, version};
use crate::recorder::{Call, Key, Outcome, Setup, Value};

use Tier::{Hot, Warm};

/// Not among the three that are there.
const D: Key = Key(3);

fn replaced(replaced: Result<Stored<Value>, StoreError<Key, Value, ReplaceIfRefusal>>) -> Outcome {
    Outcome::ReplacedIf(replaced)
}

/// The value that weighs 3 and has that number, in place of A's.
fn replace_if(invoked: u64, returned: u64, old: Version, number: u32, answer: Outcome) -> Call {
    call(invoked, returned, Op::ReplaceIf(A, old, value(number, 3)), answer)
}

fn changed(number: u32, now: u32) -> Outcome {
    let reason = ReplaceIfRefusal::Changed { tier: Hot, version: version(now) };
    replaced(Err(StoreError { key: A, value: value(number, 3), reason }))
}

fn done(number: u32, old: u32) -> Outcome {
    replaced(Ok(stored(number, Hot, Some(value(old, 3)))))
}

#[test]
fn two_replacements_of_one_version_are_rejected() {
    let both =
        |second| then([replace_if(10, 20, version(1), 4, done(4, 1)), replace_if(11, 21, version(1), 5, second)]);
    accepted(&TEN, &both(changed(5, 4)));
    rejected(&TEN, &both(done(5, 1)), 4, &[changed(5, 4)]);
    rejected(&TEN, &both(done(5, 4)), 4, &[changed(5, 4)]);
}

#[test]
fn a_replacement_that_is_refused_for_nothing_is_rejected() {
    let refused = |returned, answer| {
        let overlapped =
            call(10, returned, Op::Update(A, value(5, 3)), Outcome::Updated(Ok(stored(5, Hot, Some(value(1, 3))))));
        vec![overlapped, replace_if(15, 30, version(1), 4, answer)]
    };
    accepted(&TEN, &then(refused(12, changed(4, 5))));
    accepted(&TEN, &then(refused(20, changed(4, 5))));
    // Moves do not matter.
    let moved = |answer| {
        let demoted = call(6, 7, Op::Demote(A), Outcome::Demoted(Some(Moved { from: Hot, to: Warm })));
        then([demoted, replace_if(8, 9, version(1), 4, answer)])
    };
    accepted(&TEN, &moved(done(4, 1)));
    rejected(&TEN, &moved(changed(4, 1)), 4, &[done(4, 1)]);
    let absent = || replaced(Err(StoreError { key: A, value: value(4, 3), reason: ReplaceIfRefusal::NotFound }));
    rejected(&TEN, &moved(absent()), 4, &[done(4, 1)]);
}

#[test]
fn an_update_of_what_is_not_there_any_more_is_rejected() {
    let update = |invoked, returned, number, old| {
        let answer = Outcome::Updated(Ok(stored(number, Hot, Some(value(old, 3)))));
        call(invoked, returned, Op::Update(A, value(number, 3)), answer)
    };
    accepted(&TEN, &then([update(10, 20, 4, 1), update(11, 21, 5, 4)]));
    accepted(&TEN, &then([update(10, 20, 4, 5), update(11, 21, 5, 1)]));
    // One of them is lost.
    let four = Outcome::Updated(Ok(stored(5, Hot, Some(value(4, 3)))));
    rejected(&TEN, &then([update(10, 20, 4, 1), update(11, 21, 5, 1)]), 4, &[four]);
    let absent = |returned, value| {
        let absent = Outcome::Updated(Err(StoreError { key: A, value, reason: UpdateRefusal::NotFound }));
        let removed = call(10, returned, Op::Remove(A), found(self::value(1, 3), Hot));
        then([removed, call(15, 30, Op::Update(A, self::value(4, 3)), absent)])
    };
    accepted(&TEN, &absent(12, None));
    accepted(&TEN, &absent(20, None));
    accepted(&TEN, &absent(20, Some(value(4, 3))));
    let nothing = Outcome::Updated(Err(StoreError { key: A, value: None, reason: UpdateRefusal::NotFound }));
    rejected(&TEN, &absent(12, Some(value(4, 3))), 4, &[nothing]);
}

fn if_absent(invoked: u64, returned: u64, key: Key, number: u32, answer: Option<(Tier, u32)>) -> Call {
    let value = value(number, 3);
    let answer = Outcome::StoredIfAbsent(match answer {
        None => Ok(stored(number, Hot, None)),
        Some((tier, now)) => {
            let reason = StoreIfAbsentRefusal::Present { tier, version: version(now) };
            Err(StoreError { key, value, reason })
        }
    });
    call(invoked, returned, Op::StoreIfAbsent(key, value), answer)
}

#[test]
fn a_present_key_that_is_stored_as_absent_is_rejected() {
    let present = if_absent(0, 0, A, 4, Some((Hot, 1))).answer;
    accepted(&TEN, &then([if_absent(6, 7, A, 4, Some((Hot, 1)))]));
    rejected(&TEN, &then([if_absent(6, 7, A, 4, None)]), 3, std::slice::from_ref(&present));
    // The wrong tier, and the wrong version.
    rejected(&TEN, &then([if_absent(6, 7, A, 4, Some((Warm, 1)))]), 3, std::slice::from_ref(&present));
    rejected(&TEN, &then([if_absent(6, 7, A, 4, Some((Hot, 2)))]), 3, &[present]);
    // Two of one key.
    let both = |second| then([if_absent(10, 20, D, 4, None), if_absent(11, 21, D, 5, second)]);
    let lost = if_absent(0, 0, D, 5, Some((Hot, 4))).answer;
    accepted(&TEN, &both(Some((Hot, 4))));
    rejected(&TEN, &both(None), 4, &[lost]);
}

#[test]
fn a_refused_store_that_demotes_is_rejected() {
    let tier = |tier| call(30, 31, Op::TierOf(B), Outcome::Tier(Some(tier)));
    let value = value(4, 9);
    let reason = StoreIfAbsentRefusal::Present { tier: Hot, version: version(1) };
    let refused = || Outcome::StoredIfAbsent(Err(StoreError { key: A, value, reason }));
    let history = |last| then([call(10, 20, Op::StoreIfAbsent(A, value), refused()), tier(last)]);
    accepted(&TEN, &history(Hot));
    rejected(&TEN, &history(Warm), 4, &[Outcome::Tier(Some(Hot))]);
}

#[test]
fn what_two_make_for_one_key_is_stored_once() {
    let got = |invoked, returned, number, answer| {
        call(invoked, returned, Op::GetOrStoreWith(D, value(number, 1)), Outcome::GotOrStored(Ok(answer)))
    };
    let fragment = |number| {
        let Outcome::Fragment(Some(fragment)) = found(value(number, 1), Hot) else { unreachable!() };
        fragment
    };
    let made = |number| GetOrStored::Stored { fragment: fragment(number), contended: false, kept_out: false };
    let both = |second| then([got(10, 20, 4, made(4)), got(11, 21, 5, second)]);
    accepted(&TEN, &both(GetOrStored::Found(fragment(4))));
    let first = Outcome::GotOrStored(Ok(GetOrStored::Found(fragment(4))));
    rejected(&TEN, &both(made(5)), 4, &[first]);
    // A use.
    let evict = |victim, number| {
        let evicted = tierstack::Evicted { key: victim, value: value(number, 3), weight: 3, from: Hot, to: Some(Warm) };
        call(40, 41, Op::EvictLru(Hot), Outcome::Evicted(Some(evicted)))
    };
    let Outcome::Fragment(Some(a)) = found(value(1, 3), Hot) else { unreachable!() };
    let of_a = Outcome::GotOrStored(Ok(GetOrStored::Found(a)));
    let uses = |then_evicts| then([call(30, 31, Op::GetOrStoreWith(A, value(6, 3)), of_a.clone()), then_evicts]);
    accepted(&TEN, &uses(evict(B, 2)));
    rejected(&TEN, &uses(evict(A, 1)), 4, &[evict(B, 2).answer]);
}

/// It was refused by what another has stored, which is over the capacity; pushed that out; and stored.
#[test]
fn a_try_that_was_refused_ends_as_any_store_does() {
    let none = Setup { budget: 10, warm: Capacity::entries(0), cold: Capacity::entries(0) };
    let (own, other) = (value(2, 1), value(1, 11));
    let warm = call(12, 13, Op::Store(A, other), in_tier(1, Warm, None));
    let history = |operation, answer: Outcome| {
        let mut calls =
            vec![call(10, 30, operation, answer), warm.clone(), call(14, 15, Op::Peek(A), found(other, Warm))];
        calls[0].overflow = vec![(A, other)];
        calls
    };
    let Outcome::Fragment(Some(fragment)) = found(own, Hot) else { unreachable!() };
    let made = Outcome::GotOrStored(Ok(GetOrStored::Stored { fragment, contended: false, kept_out: false }));
    accepted(&none, &history(Op::GetOrStoreWith(A, own), made));
    // One that tries once does nothing after its refusal but hand it on.
    let stored = Outcome::StoredIfAbsent(Ok(stored(2, Hot, None)));
    assert!(check(&none, &history(Op::StoreIfAbsent(A, own), stored)).is_err());
}

#[test]
fn a_store_of_an_absent_key_makes_room_as_any_other() {
    let tier = |last| call(30, 31, Op::TierOf(A), Outcome::Tier(Some(last)));
    accepted(&TEN, &then([if_absent(10, 20, D, 4, None), tier(Warm)]));
    rejected(&TEN, &then([if_absent(10, 20, D, 4, None), tier(Hot)]), 4, &[Outcome::Tier(Some(Warm))]);
    let again = vec![
        store(0, 1, A, value(1, 3), Hot),
        call(2, 3, Op::Store(A, value(2, 3)), in_tier(2, Hot, Some(value(1, 3)))),
    ];
    accepted(&TEN, &again);
}
