//! What a word says, and what becomes of it.

use super::*;

#[repr(align(16))]
struct Successor;

fn is_at(place: Place, tier: Tier, tick: u64) -> bool {
    place.standing(List::Of(tier), tick) == Standing::At
}

fn done(outcome: Outcome) -> Place {
    let Outcome::Done(place) = outcome else { panic!("nobody else: {outcome:?}") };
    place
}

#[test]
fn a_word_decodes_to_what_was_encoded() {
    let successor = NonNull::from(Box::leak(Box::new(Successor)));
    for tier in Tier::ALL {
        for tick in [1, 77, MAX_TICK] {
            let word = PlaceWord::new(Place::fresh(tier, tick));
            let place = word.load();
            assert_eq!((place.state(), place.tick(), place.tier()), (State::In(tier), tick, Some(tier)));
            assert!(!place.is_touched() && !place.may_be_used() && !place.is_prefilled() && !place.is_kept());
            assert_eq!(place.successor::<Successor>(), None);
            let touched = done(word.touch(place));
            assert!(touched.is_touched() && touched.may_be_used() && touched.is_same_placement(place));
            assert_eq!(word.touch(place), Outcome::Lost(touched));
            let prefilled = done(word.mark_prefilled(touched));
            assert!(prefilled.is_prefilled() && prefilled.is_touched() && is_at(prefilled, tier, tick));
            assert_eq!((word.confirm(), word.load()), (prefilled, prefilled));
            let dead = done(word.replace(prefilled, successor));
            assert_eq!((dead.state(), dead.tier()), (State::Replaced { from: tier }, None));
            assert_eq!(dead.successor(), Some(successor));
            assert!(!dead.is_same_placement(dead), "it has none");
            let word = PlaceWord::new(place);
            let dead = done(word.remove(place));
            assert_eq!((dead.state(), dead.tier(), dead.successor::<Successor>()), (State::Removed, None, None));
        }
    }
    // SAFETY: leaked above, and nobody else has it.
    drop(unsafe { Box::from_raw(successor.as_ptr()) });
}

#[test]
fn sinking_keeps_the_tick_and_the_marks_and_what_has_a_new_tick_is_unsure() {
    let word = PlaceWord::new(Place::fresh(Tier::Hot, 5));
    let sunk = done(word.sink(word.load(), Tier::Warm));
    assert!(is_at(sunk, Tier::Warm, 5) && !sunk.may_be_used() && !sunk.is_prefilled());
    let place = done(word.mark_prefilled(done(word.touch(sunk))));
    let sunk = done(word.sink(place, Tier::Cold));
    assert!(is_at(sunk, Tier::Cold, 5) && sunk.is_touched() && sunk.is_prefilled());
    let relisted = done(word.relist(sunk, Tier::Cold, 6));
    assert!(is_at(relisted, Tier::Cold, 6) && !relisted.is_touched() && !relisted.is_prefilled());
    assert!(relisted.may_be_used(), "a use that marked the word before");
    let risen = done(word.rise(relisted, Tier::Hot, 8));
    assert!(is_at(risen, Tier::Hot, 8) && !risen.is_touched() && risen.may_be_used());
    assert!(done(word.sink(risen, Tier::Warm)).may_be_used(), "at the same tick it stays so");
}

#[test]
fn what_is_leaving_stands_where_it_stood_until_it_has_another_tick() {
    let word = PlaceWord::new(Place::fresh(Tier::Cold, 5));
    let before = word.load();
    let leaving = done(word.mark_leaving(before));
    assert!(leaving.is_leaving() && !before.is_leaving() && leaving.is_same_placement(before));
    assert!(is_at(leaving, Tier::Cold, 5) && !leaving.may_be_used() && !leaving.is_kept() && !leaving.is_prefilled());
    assert_eq!((leaving.state(), leaving.tick()), (State::In(Tier::Cold), 5));
    assert_eq!(word.mark_prefilled(before), Outcome::Lost(leaving));
    let touched = done(word.touch(leaving));
    assert!(touched.is_leaving() && touched.may_be_used());
    let relisted = done(word.relist(touched, Tier::Cold, 6));
    assert!(!relisted.is_leaving() && is_at(relisted, Tier::Cold, 6));
    let risen = done(word.rise(done(word.mark_leaving(relisted)), Tier::Hot, 7));
    assert!(!risen.is_leaving() && is_at(risen, Tier::Hot, 7));
    let word = PlaceWord::new(Place::fresh(Tier::Cold, 5));
    let kept = done(word.keep(done(word.mark_leaving(word.load())), Tier::Cold, true, 6));
    assert!(kept.is_kept() && !kept.is_leaving());
    let successor = NonNull::from(Box::leak(Box::new(Successor)));
    let word = PlaceWord::new(Place::fresh(Tier::Cold, 5));
    let dead = done(word.replace(done(word.mark_leaving(word.load())), successor));
    assert!(!dead.is_leaving() && dead.tier().is_none(), "of a dead word the bit is an address'");
    let word = PlaceWord::new(Place::fresh(Tier::Cold, 5));
    assert!(!done(word.remove(done(word.mark_leaving(word.load())))).is_leaving());
    // SAFETY: leaked above, and nobody else has it.
    drop(unsafe { Box::from_raw(successor.as_ptr()) });
}

#[test]
fn a_word_stands_to_a_placement_by_the_tick_and_then_by_the_tier() {
    let place = Place::fresh(Tier::Warm, 5);
    for (tier, tick, standing) in [
        (Tier::Hot, 4, Standing::Beyond),
        (Tier::Cold, 4, Standing::Beyond),
        (Tier::Hot, 5, Standing::Beyond),
        (Tier::Warm, 5, Standing::At),
        (Tier::Cold, 5, Standing::Before),
        (Tier::Hot, 6, Standing::Before),
        (Tier::Cold, 6, Standing::Before),
    ] {
        assert_eq!(place.standing(List::Of(tier), tick), standing, "{tier:?}@{tick}");
    }
    assert_eq!(place.standing(List::Kept, 6), Standing::Before);
    assert_eq!(place.standing(List::Kept, 5), Standing::Beyond, "it was not kept with that tick");
    let word = PlaceWord::new(place);
    let dead = done(word.remove(place));
    assert_eq!(dead.standing(List::Of(Tier::Cold), MAX_TICK), Standing::Beyond);
}

#[test]
fn what_is_kept_moves_as_any_other_and_stays_kept_until_it_is_let_go() {
    let word = PlaceWord::new(Place::fresh(Tier::Hot, 5));
    let touched = done(word.touch(word.load()));
    let kept = done(word.keep(touched, Tier::Hot, true, 7));
    assert!(kept.is_kept() && kept.may_be_used() && !kept.is_touched());
    assert_eq!((kept.state(), kept.list(), kept.tick()), (State::In(Tier::Hot), Some(List::Kept), 7));
    let standings = [4, 5, 6, 7, 8].map(|tick| kept.standing(List::Of(Tier::Hot), tick));
    assert_eq!(standings[3..], [Standing::Beyond, Standing::Before]);
    assert!(standings[..3].iter().all(|standing| *standing == Standing::Beyond));
    assert_eq!(
        [6, 7, 8].map(|tick| kept.standing(List::Kept, tick)),
        [Standing::Beyond, Standing::At, Standing::Before]
    );
    let sunk = done(word.sink(kept, Tier::Cold));
    assert_eq!((sunk.tier(), sunk.list(), sunk.tick()), (Some(Tier::Cold), Some(List::Kept), 7));
    assert!(!sunk.is_same_placement(kept));
    let relisted = done(word.relist(sunk, Tier::Cold, 8));
    assert!(relisted.is_kept() && done(word.touch(relisted)).is_same_placement(relisted));
    let risen = done(word.rise(word.load(), Tier::Warm, 9));
    assert!(risen.is_kept() && !risen.is_touched());
    let free = done(word.keep(risen, Tier::Warm, false, 10));
    assert!(!free.is_kept() && free.may_be_used() && is_at(free, Tier::Warm, 10));
    let fresh = Place::fresh_kept(Tier::Warm, 3);
    assert!(fresh.is_kept() && !fresh.may_be_used() && !fresh.is_same_placement(Place::fresh(Tier::Warm, 3)));
    let word = PlaceWord::new(fresh);
    assert!(!done(word.remove(fresh)).is_kept());
}
