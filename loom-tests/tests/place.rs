//! The place word and the last use, with no container around them.

use std::ptr::NonNull;

use loom::sync::Arc;
use loom::thread;
use loom_tests::{fails, holds};
use tierstack::Tier;
use tierstack::internals::{Clock, LastUse, Node, Outcome, Place, PlaceWord, State, Stats};

/// A word and a last use.
struct Fragment {
    place: PlaceWord,
    last_use: LastUse,
}

fn fragment(tier: Tier, tick: u64) -> Arc<Fragment> {
    Arc::new(Fragment { place: PlaceWord::new(Place::fresh(tier, tick)), last_use: LastUse::starting_at(tick) })
}

/// The steps of a use, as the store takes them. The word at which it stopped: its use is done where that word is current.
fn get(fragment: &Fragment, tick: u64) -> Option<Place> {
    fragment.place.load().tier()?;
    fragment.last_use.raise(tick);
    let mut place = fragment.place.load();
    while place.tier().is_some() && place.tick() < tick && !place.is_touched() {
        place = match fragment.place.touch(place) {
            Outcome::Done(touched) => touched,
            Outcome::Lost(now) => now,
        };
    }
    Some(place)
}

/// How an eviction looks at a fragment.
#[derive(Clone, Copy)]
struct Look {
    /// Whether the last use is to be looked at.
    may_be_used: fn(Place) -> bool,
    last_use: fn(&LastUse) -> u64,
}

const RIGHT: Look = Look { may_be_used: Place::may_be_used, last_use: LastUse::confirm };

/// The steps of an eviction out of `tier`: the word that it moved, and the last use that it went by, if it looked.
fn evict(fragment: &Fragment, tier: Tier, look: Look) -> Option<(Place, Option<u64>)> {
    for _ in 0..6 {
        let place = fragment.place.load();
        if place.tier() != Some(tier) {
            return None;
        }
        let last_use = (look.may_be_used)(place).then(|| (look.last_use)(&fragment.last_use));
        if let Some(last_use) = last_use.filter(|last_use| *last_use > place.tick()) {
            let _ = fragment.place.relist(place, tier, last_use);
            continue;
        }
        let moved = match tier.below() {
            Some(below) => fragment.place.sink(place, below),
            None => fragment.place.remove(place),
        };
        if let Outcome::Done(_) = moved {
            return Some((place, last_use));
        }
    }
    None
}

fn rise(fragment: &Fragment, tier: Tier, tick: u64) {
    let mut place = fragment.place.load();
    while place.tier().is_some_and(|now| now >= tier) && place.tick() < tick {
        match fragment.place.rise(place, tier, tick) {
            Outcome::Done(now) | Outcome::Lost(now) => place = now,
        }
    }
}

/// Asserts that a use at `tick`, which stopped at that word, was not overlooked by an eviction. Words never recur, so that a getter that stopped at
/// a word of hot, at or before the one that was moved, had returned before the move.
fn assert_not_overlooked(stopped: Option<Place>, tick: u64, moved: Option<(Place, Option<u64>)>) {
    if let (Some((from, went_by)), Some(stopped)) = (moved, stopped)
        && stopped.tier() == from.tier()
    {
        let is_older = from.tick() >= tick;
        assert!(
            is_older || went_by == Some(tick),
            "a finished get was evicted: it stopped at {stopped:?}, {from:?}, {went_by:?}"
        );
    }
}

/// A getter beside an eviction.
fn get_beside_evict(touched_before: bool, look: Look) {
    let fragment = fragment(Tier::Hot, 5);
    if touched_before {
        get(&fragment, 7);
    }
    let getter = {
        let fragment = Arc::clone(&fragment);
        thread::spawn(move || get(&fragment, 9))
    };
    let moved = evict(&fragment, Tier::Hot, look);
    assert_not_overlooked(getter.join().unwrap(), 9, moved);
}

#[test]
fn a_finished_get_is_never_evicted_by_an_older_decision() {
    holds("get, evict", 4, || get_beside_evict(false, RIGHT));
    holds("get of a touched one, evict", 4, || get_beside_evict(true, RIGHT));
}

#[test]
fn an_eviction_that_only_loads_the_last_use_is_found() {
    let look = Look { last_use: LastUse::peek, ..RIGHT };
    fails("planted: last use by a plain load", 4, move || get_beside_evict(true, look));
}

/// A use beside a rise or a re-listing by an older tick, and an eviction after that.
fn get_beside_move_and_evict(is_relisted: bool, look: Look) {
    let fragment = fragment(Tier::Hot, 5);
    if is_relisted {
        get(&fragment, 7);
    }
    let getter = {
        let fragment = Arc::clone(&fragment);
        thread::spawn(move || get(&fragment, 9))
    };
    if !is_relisted {
        rise(&fragment, Tier::Hot, 7);
    }
    let moved = evict(&fragment, Tier::Hot, look);
    assert_not_overlooked(getter.join().unwrap(), 9, moved);
}

#[test]
fn a_get_that_marked_the_word_before_a_younger_tick_is_not_overlooked() {
    holds("get, rise by an older tick and evict", 4, || get_beside_move_and_evict(false, RIGHT));
    holds("get, re-list and evict", 4, || get_beside_move_and_evict(true, RIGHT));
}

#[test]
fn an_eviction_that_goes_by_touched_alone_is_found() {
    let look = Look { may_be_used: Place::is_touched, ..RIGHT };
    fails("planted: an untouched word is sure", 4, move || get_beside_move_and_evict(false, look));
}

/// A use, a rise by an older tick and an eviction, each by a thread of its own.
#[test]
fn a_get_beside_a_rise_beside_an_eviction() {
    holds("get, rise, evict", 2, || {
        let fragment = fragment(Tier::Warm, 5);
        let other = |run: fn(&Fragment) -> Option<Place>| {
            let fragment = Arc::clone(&fragment);
            thread::spawn(move || run(&fragment))
        };
        let getter = other(|fragment| get(fragment, 9));
        let riser = other(|fragment| {
            rise(fragment, Tier::Hot, 7);
            None
        });
        let moved = evict(&fragment, Tier::Hot, RIGHT);
        riser.join().unwrap();
        assert_not_overlooked(getter.join().unwrap(), 9, moved);
    });
}

/// A use that finds its fragment the most recently used, beside an eviction that has nothing older. Words never recur: where the
/// eviction moved it from the very word at which the use ended, it had decided before the use, which did not stop it.
fn quiet_get_beside_evict(is_touched: fn(Place) -> bool) {
    let (fragment, clock) = (fragment(Tier::Hot, 5), Arc::new(Clock::starting_at(8)));
    get(&fragment, 7);
    let getter = {
        let (fragment, clock) = (Arc::clone(&fragment), Arc::clone(&clock));
        thread::spawn(move || {
            let place = fragment.place.load();
            let is_quiet = place.tier() == Some(Tier::Hot)
                && is_touched(place)
                && clock.is_last(fragment.last_use.load())
                && fragment.place.load() == place;
            is_quiet.then_some(place)
        })
    };
    let mut from = None;
    for _ in 0..6 {
        let place = fragment.place.load();
        let last_use = fragment.last_use.confirm();
        if last_use > place.tick() {
            let _ = fragment.place.relist(place, Tier::Hot, last_use);
        } else if let Outcome::Done(_) = fragment.place.sink(place, Tier::Warm) {
            from = Some(place);
            break;
        }
    }
    let stopped = getter.join().unwrap();
    assert!(stopped.is_none() || stopped != from, "a finished get was evicted by an older decision");
}

#[test]
fn a_get_of_the_most_recently_used_needs_no_tick() {
    holds("quiet get, evict", 4, || quiet_get_beside_evict(Place::is_touched));
    fails("planted: an untouched word will do", 4, || quiet_get_beside_evict(|_| true));
}

#[test]
fn two_gets_beside_an_eviction() {
    holds("get, get, evict", 3, || {
        let fragment = fragment(Tier::Hot, 5);
        let getter = {
            let fragment = Arc::clone(&fragment);
            thread::spawn(move || get(&fragment, 7))
        };
        assert!(get(&fragment, 8).is_some());
        let moved = evict(&fragment, Tier::Hot, RIGHT);
        assert!(getter.join().unwrap().is_some(), "present throughout");
        assert!(moved.is_none_or(|(_, went_by)| went_by >= Some(8)), "this thread's own use was overlooked");
    });
}

#[test]
fn of_all_moves_of_one_word_each_starts_where_another_ended() {
    // Promote, demote, remove and replace on one word: exactly one end, and nothing after it.
    holds("promote, demote, remove, replace", 2, || {
        let fragment = fragment(Tier::Warm, 5);
        let node = Node::new(0, (), (), 1, 9, &std::sync::Arc::new(Stats::new()));
        let successor = NonNull::from(&node);
        let actor = |act: fn(&PlaceWord, Place) -> Outcome| {
            let fragment = Arc::clone(&fragment);
            thread::spawn(move || {
                for _ in 0..3 {
                    let place = fragment.place.load();
                    place.tier()?;
                    if let Outcome::Done(now) = act(&fragment.place, place) {
                        return Some((place, now));
                    }
                }
                None
            })
        };
        let risen = actor(|word, place| word.rise(place, Tier::Hot, place.tick() + 10));
        let removed = actor(|word, place| word.remove(place));
        let place = fragment.place.load();
        let replaced = place.tier().is_some() && matches!(fragment.place.replace(place, successor), Outcome::Done(_));
        let (risen, removed) = (risen.join().unwrap(), removed.join().unwrap());
        assert!(!(removed.is_some() && replaced), "ended twice");
        let last = fragment.place.load();
        let tier = if risen.is_some() { Tier::Hot } else { Tier::Warm };
        match last.state() {
            State::Removed => assert!(removed.is_some()),
            State::Replaced { from } => {
                assert!(replaced);
                // Where it was at the end.
                assert_eq!((from, last.successor()), (tier, Some(successor)));
            }
            State::In(now) => assert_eq!(now, tier),
        }
    });
}
