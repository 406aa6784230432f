//! The place word and the last use, with no container around them.

use loom::sync::Arc;
use loom::thread;
use loom_tests::{fails, holds};
use tierstack::Tier;
use tierstack::internals::{Clock, Fit, LastUse, Outcome, Place, PlaceWord, State};

/// A word that is placed and listed, and a last use.
struct Fragment {
    place: PlaceWord,
    last_use: LastUse,
}

fn fragment(tier: Tier, tick: u64) -> Arc<Fragment> {
    let fragment =
        Fragment { place: PlaceWord::new(Place::unlisted(tier, tick)), last_use: LastUse::starting_at(tick) };
    assert!(matches!(fragment.place.list(fragment.place.load()), Outcome::Done(_)));
    Arc::new(fragment)
}

/// The steps of a use, as the store takes them. The word at which it stopped: its use is done where that word is current.
fn get(fragment: &Fragment, tick: u64) -> Option<Place> {
    fragment.place.load().tier()?;
    fragment.last_use.raise(tick);
    loop {
        let place = fragment.place.load();
        if place.tier().is_none() || place.tick() >= tick {
            return Some(place);
        }
        if !place.is_listed() {
            let _ = fragment.place.list(place);
        } else if place.is_touched() {
            return Some(place);
        } else if let Outcome::Done(touched) = fragment.place.touch(place) {
            return Some(touched);
        }
    }
}

/// The steps of an eviction out of `tier`: the last use that it went by, where it moved the fragment.
fn evict(fragment: &Fragment, tier: Tier, last_use: impl Fn(&LastUse) -> u64) -> Option<u64> {
    for _ in 0..6 {
        let place = fragment.place.load();
        if place.tier() != Some(tier) {
            return None;
        }
        if !place.is_listed() {
            let _ = fragment.place.list(place);
            continue;
        }
        let last_use = last_use(&fragment.last_use);
        if last_use > place.tick() {
            let _ = fragment.place.relist(place, tier, last_use);
            continue;
        }
        let moved = match tier.below() {
            Some(below) => fragment.place.sink(place, below),
            None => fragment.place.remove(place),
        };
        if let Outcome::Done(_) = moved {
            return Some(last_use);
        }
    }
    None
}

/// A getter beside an eviction. Words never recur, so a getter that stopped at a word of hot had returned before the move.
fn get_beside_evict(touched_before: bool, last_use: fn(&LastUse) -> u64) {
    let fragment = fragment(Tier::Hot, 5);
    if touched_before {
        get(&fragment, 7);
    }
    let getter = {
        let fragment = Arc::clone(&fragment);
        thread::spawn(move || get(&fragment, 9))
    };
    let moved = evict(&fragment, Tier::Hot, last_use);
    let stopped = getter.join().unwrap();
    if let (Some(went_by), Some(stopped)) = (moved, stopped)
        && stopped.tier() == Some(Tier::Hot)
    {
        assert_eq!(went_by, 9, "a finished get was evicted by an older decision");
    }
}

#[test]
fn a_finished_get_is_never_evicted_by_an_older_decision() {
    holds("get, evict", 4, || get_beside_evict(false, LastUse::confirm));
    holds("get of a touched one, evict", 4, || get_beside_evict(true, LastUse::confirm));
}

#[test]
fn an_eviction_that_only_loads_the_last_use_is_found() {
    fails("planted: last use by a plain load", 4, || get_beside_evict(true, LastUse::peek));
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
        if !place.is_listed() {
            let _ = fragment.place.list(place);
            continue;
        }
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
        let moved = evict(&fragment, Tier::Hot, LastUse::confirm);
        assert!(getter.join().unwrap().is_some(), "present throughout");
        assert!(moved.is_none_or(|went_by| went_by >= 8), "this thread's own use was overlooked");
    });
}

#[test]
fn of_all_moves_of_one_word_each_starts_where_another_ended() {
    // Promote, demote, remove and replace on one word: exactly one end, and nothing after it.
    holds("promote, demote, remove, replace", 2, || {
        let fragment = fragment(Tier::Warm, 5);
        let actor = |act: fn(&PlaceWord, Place) -> Outcome| {
            let fragment = Arc::clone(&fragment);
            thread::spawn(move || {
                for _ in 0..3 {
                    let place = fragment.place.load();
                    if place.tier().is_none() {
                        return None;
                    }
                    if !place.is_listed() {
                        let _ = fragment.place.list(place);
                        continue;
                    }
                    if let Outcome::Done(now) = act(&fragment.place, place) {
                        return Some((place, now));
                    }
                }
                None
            })
        };
        let risen = actor(|word, place| word.rise(place, Tier::Hot, place.tick() + 10));
        let removed = actor(|word, place| word.remove(place));
        let replaced = {
            let place = fragment.place.load();
            if place.tier().is_some() && place.is_listed() {
                fragment.place.replace(place)
            } else {
                Outcome::Lost(place)
            }
        };
        let (risen, removed) = (risen.join().unwrap(), removed.join().unwrap());
        let replaced = matches!(replaced, Outcome::Done(_));
        assert!(!(removed.is_some() && replaced), "ended twice");
        let last = fragment.place.load();
        match last.state() {
            State::Removed => assert!(removed.is_some()),
            State::Replaced { from } => {
                assert!(replaced);
                // The note says where it was at the end.
                let was_risen = risen.is_some_and(|(_, now)| now.tick() == last.tick());
                assert_eq!(from, if was_risen { Tier::Hot } else { Tier::Warm });
            }
            State::In(tier) => assert_eq!(tier, if risen.is_some() { Tier::Hot } else { Tier::Warm }),
            State::Pending => unreachable!("never pending"),
        }
    });
}

#[test]
fn helpers_resolve_a_successor_alike() {
    holds("resolve, resolve, move", 3, || {
        let word = Arc::new(PlaceWord::new(Place::pending(9, Fit::AfterHot)));
        let helper = {
            let word = Arc::clone(&word);
            thread::spawn(move || word.resolve(Tier::Warm))
        };
        word.resolve(Tier::Warm);
        // Moved on by this thread: the late helper must not put it back.
        let Outcome::Done(listed) = word.list(word.load()) else { panic!("nobody else lists") };
        let Outcome::Done(_) = word.sink(listed, Tier::Cold) else { panic!("nobody else moves") };
        helper.join().unwrap();
        assert!(word.load().is_at(Tier::Cold, 9));
    });
}
