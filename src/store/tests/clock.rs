//! The end of the clock.

use super::sweep::validate;
use crate::engine::place::MAX_TICK;
use crate::{KeepError, Kept, PromoteError, Refusal, StoreIfAbsentRefusal, Tier, TierStore};

#[test]
fn ticks_near_overflow_order_as_any_others_and_their_end_is_an_error() {
    let store = TierStore::builder(1_000).weigher(|_: &u32, _: &u32| 10).first_tick(MAX_TICK - 4).build().unwrap();
    for key in 0..3 {
        assert_eq!(store.store(key, key).unwrap().tier, Tier::Hot);
    }
    assert!(store.get(&0).is_some(), "the use takes the last but one");
    assert_eq!(store.promote(&1).unwrap().to, Tier::Hot, "and this the last");
    let refused = store.store(9, 99).unwrap_err();
    assert_eq!((refused.key, refused.value, refused.reason), (9, 99, Refusal::ClockExhausted));
    assert_eq!(store.promote(&0), Err(PromoteError::ClockExhausted));
    let refused = store.store_if_absent(9, 99).unwrap_err();
    assert_eq!((refused.key, refused.value, refused.reason), (9, 99, Refusal::ClockExhausted.into()));
    let refused = store.get_or_store_with(9, || 99).unwrap_err();
    assert_eq!((refused.key, refused.value, refused.reason), (9, 99, Refusal::ClockExhausted));
    let refused = store.update(1, |old| old + 1).unwrap_err();
    assert_eq!((refused.key, refused.value, refused.reason), (1, Some(2), Refusal::ClockExhausted.into()));
    let version = store.peek(&1).unwrap().version;
    let refused = store.replace_if(1, &version, 99).unwrap_err();
    assert_eq!((refused.value, refused.reason), (99, Refusal::ClockExhausted.into()));
    assert_eq!(
        (store.keep(&1), store.let_go(&1)),
        (Err(KeepError::ClockExhausted), Ok(Kept { tier: Tier::Hot, was_kept: false }))
    );
    // What is refused needs no tick.
    let present = StoreIfAbsentRefusal::Present { tier: Tier::Hot, version };
    assert_eq!(store.store_if_absent(1, 99).unwrap_err().reason, present);
    // Everything that takes no tick goes on, in the right order.
    assert_eq!(store.get(&2).unwrap().value, 2);
    assert_eq!(store.demote(&2).unwrap().to, Tier::Warm);
    assert_eq!(store.evict_lru(Tier::Hot).unwrap().key, 0);
    assert_eq!(store.evict_lru(Tier::Hot).unwrap().key, 1);
    assert_eq!(store.remove(&2).unwrap().value, 2);
    assert_eq!(store.metrics().hits, 2);
    assert_eq!(validate(&store), 2);
}

#[test]
fn a_get_of_the_most_recently_used_takes_no_tick_and_is_a_hit() {
    let store = TierStore::builder(100).weigher(|_: &u32, _: &u32| 10).build().unwrap();
    for key in 0..3 {
        store.store(key, key).unwrap();
    }
    let ticks = |use_it: &dyn Fn()| {
        let before = store.core.clock.taken();
        use_it();
        store.core.clock.taken() - before
    };
    let get = |key| assert!(store.get(&key).is_some());
    // The first use marks the fragment, so that evictions look at its uses; the next finds nothing to order.
    assert_eq!(ticks(&|| get(2)), 1);
    assert_eq!(ticks(&|| (0..10).for_each(|_| get(2))), 0);
    // Another's use comes between.
    assert_eq!(ticks(&|| get(0)), 1);
    assert_eq!(ticks(&|| get(2)), 1);
    // Re-listed by an eviction that had nothing to evict before it but fragment 1, and then 0.
    assert_eq!(store.evict_lru(Tier::Hot).unwrap().key, 1);
    assert_eq!(store.evict_lru(Tier::Hot).unwrap().key, 0);
    get(2);
    assert_eq!(store.metrics().hits, 14);
    assert_eq!(store.evict_lru(Tier::Hot).unwrap().key, 2);
    assert_eq!(validate(&store), 3);
}

#[test]
fn a_get_within_the_slack_takes_no_tick_and_one_beyond_it_does() {
    let store = TierStore::builder(100).weigher(|_: &u32, _: &u32| 10).recency_slack(3).build().unwrap();
    let ticks_of_a_get = || {
        let before = store.core.clock.taken();
        assert!(store.get(&0).is_some());
        store.core.clock.taken() - before
    };
    store.store(0, 0).unwrap();
    store.store(1, 1).unwrap();
    assert_eq!(ticks_of_a_get(), 0, "two ticks old");
    store.store(2, 2).unwrap();
    assert_eq!(ticks_of_a_get(), 1, "three ticks old");
    assert_eq!(store.metrics().hits, 2);
    assert_eq!(validate(&store), 3);
}
