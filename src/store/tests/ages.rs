//! What is due beside threads that are stopped half-way, and a clock that panics half-way.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use super::bounds::{Store, at};
use super::sweep::validate;
use crate::failpoint::Step;
use crate::{Builder, Capacity, KeepError, PromoteError, Tier, TierStore};

/// Seconds; or none, and then it panics.
#[derive(Clone)]
struct Clock(Instant, Arc<AtomicU64>);

impl Clock {
    const BROKEN: u64 = u64::MAX;

    fn new() -> Self {
        Self(Instant::now(), Arc::default())
    }

    fn at(&self, seconds: u64) -> Instant {
        self.0 + Duration::from_secs(seconds)
    }

    fn set(&self, seconds: u64) {
        self.1.store(seconds, SeqCst);
    }

    fn builder(&self, budget: u64) -> Builder<u32, u64> {
        let clock = self.clone();
        TierStore::builder(budget).weigher(|_: &u32, weight: &u64| *weight).clock(move || {
            let seconds = clock.1.load(SeqCst);
            assert_ne!(seconds, Self::BROKEN, "as the test wants it");
            clock.at(seconds)
        })
    }

    /// What is in hot lives for ten seconds without a use.
    fn store(&self) -> Store {
        Arc::new(self.builder(100).expire_after(Tier::Hot, Duration::from_secs(10)).build().unwrap())
    }
}

fn hot(store: &Store) -> Vec<(u32, u64)> {
    store.iter(Tier::Hot).map(|item| (item.key, item.value)).collect()
}

#[test]
fn an_iteration_shows_what_is_used_before_it_is_ended() {
    let clock = Clock::new();
    let store = clock.store();
    store.store(1, 1).unwrap();
    clock.set(10);
    let late = clock.clone();
    let meanwhile = at(Step::Judged, &store, move |store| {
        // By a thread that has read its clock before.
        late.set(9);
        assert!(store.get(&1).is_some());
    });
    assert_eq!(hot(&store), [(1, 1)]);
    meanwhile.done();
    assert_eq!(validate(&store), 1);
}

#[test]
fn an_iteration_shows_what_is_kept_before_it_is_ended() {
    let clock = Clock::new();
    let store = clock.store();
    store.store_until(1, 1, clock.at(5)).unwrap();
    store.store(2, 2).unwrap();
    clock.set(5);
    let late = clock.clone();
    let meanwhile = at(Step::Judged, &store, move |store| {
        late.set(4);
        store.keep(&1).unwrap();
    });
    assert_eq!(hot(&store), [(1, 1), (2, 2)]);
    meanwhile.done();
    assert_eq!(validate(&store), 2);
}

#[test]
fn an_iteration_shows_a_key_whose_fragment_is_replaced_behind_the_walk() {
    // One without an age in a store that has others, and one that is due by the time of the iteration.
    for is_aged in [false, true] {
        let clock = Clock::new();
        let store = if is_aged { clock.store() } else { Arc::new(clock.builder(100).build().unwrap()) };
        store.store_until(7, 7, clock.at(1000)).unwrap();
        store.demote_to(&7, Tier::Cold).unwrap();
        store.store(1, 1).unwrap();
        clock.set(5);
        let late = clock.clone();
        let meanwhile = at(Step::Scanned, &store, move |store| {
            store.store(1, 2).unwrap();
            late.set(10);
        });
        let shown = hot(&store);
        meanwhile.done();
        assert_eq!(shown, if is_aged { [(1, 2)] } else { [(1, 1)] });
        assert_eq!(validate(&store), 2);
    }
}

#[test]
fn an_iteration_does_not_show_what_another_has_ended_as_due() {
    let clock = Clock::new();
    let store = clock.store();
    store.store(1, 1).unwrap();
    store.store(2, 2).unwrap();
    let late = clock.clone();
    let meanwhile = at(Step::Scanned, &store, move |store| {
        late.set(10);
        assert!(!store.contains(&1));
        late.set(0);
        assert!(store.get(&2).is_some());
        late.set(10);
    });
    assert_eq!(hot(&store), []);
    meanwhile.done();
    assert_eq!(validate(&store), 0);
}

#[test]
fn what_changes_nothing_is_no_use() {
    let clock = Clock::new();
    let store = clock.store();
    let fresh = || {
        clock.set(0);
        store.store(1, 1).unwrap();
        store.store(2, 1).unwrap();
        store.keep(&2).unwrap();
        clock.set(9);
    };
    fresh();
    assert_eq!(store.let_go(&1).map(|kept| kept.was_kept), Ok(false));
    clock.set(10);
    assert_eq!(store.let_go(&1), Err(KeepError::NotFound));
    // Kept again; and let go by a clock that went back.
    fresh();
    assert!(store.keep(&2).unwrap().was_kept);
    clock.set(0);
    store.let_go(&2).unwrap();
    clock.set(10);
    assert!(!store.contains(&2));
    // Where it is refused.
    let store = clock.builder(1).expire_after(Tier::Warm, Duration::from_secs(10)).build().unwrap();
    clock.set(0);
    store.store(1, 5).unwrap();
    clock.set(9);
    assert!(matches!(store.promote(&1), Err(PromoteError::OverBudget { .. })));
    clock.set(10);
    assert!(!store.contains(&1));
}

/// Hot has one without an age, and then one that may be due; so has warm one that may be.
fn before_the_clock_breaks(clock: &Clock) -> Store {
    let store = Arc::new(clock.builder(10).warm_capacity(Capacity::entries(1)).build().unwrap());
    store.store_until(1, 1, clock.at(1000)).unwrap();
    store.demote(&1).unwrap();
    store.store(2, 5).unwrap();
    store.store_until(3, 5, clock.at(1000)).unwrap();
    clock.set(Clock::BROKEN);
    store
}

#[test]
fn a_clock_that_panics_at_the_end_of_an_operation_leaves_the_counts_true() {
    let clock = Clock::new();
    let store = before_the_clock_breaks(&clock);
    assert!(catch_unwind(AssertUnwindSafe(|| store.set_hot_budget(0))).is_err());
    clock.set(0);
    assert_eq!(validate(&store), 3);
    assert_eq!([1, 2, 3].map(|key| store.tier_of(&key)), [Some(Tier::Cold), Some(Tier::Cold), Some(Tier::Warm)]);
}

#[test]
fn a_clock_that_panics_is_not_asked_again_by_what_cleans_up() {
    let clock = Clock::new();
    let store = before_the_clock_breaks(&clock);
    assert!(catch_unwind(AssertUnwindSafe(|| store.store(4, 10))).is_err());
    clock.set(0);
    assert_eq!(validate(&store), 3);
    assert_eq!([1, 2, 3].map(|key| store.tier_of(&key)), [Some(Tier::Cold), Some(Tier::Warm), Some(Tier::Hot)]);
}

/// A read that is about to end what is due has lowered the count, which lets another fragment in; then a use keeps what was due.
#[test]
fn a_tier_holds_its_capacity_after_an_expiry_that_was_given_back() {
    let clock = Clock::new();
    let builder = clock.builder(100).cold_capacity(Capacity::entries(1));
    let store: Store = Arc::new(builder.expire_after(Tier::Cold, Duration::from_secs(10)).build().unwrap());
    store.store(1, 1).unwrap();
    store.demote_to(&1, Tier::Cold).unwrap();
    clock.set(10);
    let late = clock.clone();
    let meanwhile = at(Step::Uncounted, &store, move |store| {
        // By a thread that has read its clock before.
        late.set(9);
        assert!(store.get(&1).is_some());
        store.store(2, 1).unwrap();
        store.demote_to(&2, Tier::Cold).unwrap();
        assert_eq!(store.metrics().overflowed, 0);
        late.set(10);
    });
    assert!(store.peek(&1).is_some());
    meanwhile.done();
    assert_eq!((store.len(Tier::Cold), validate(&store)), (1, 1));
}
