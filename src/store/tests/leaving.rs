//! What leaves for an archive: which fragments, in which order, what becomes of them until it has them, and what ends that.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::sweep::validate;
use crate::failpoint::{Step, arm};
use crate::{Capacity, Cause, KeepError, Leaving, Tier, TierStore};

type Store = Arc<TierStore<u32, u64>>;
type Gone = Arc<Mutex<Vec<(u32, Tier, Cause)>>>;

const ALL: Capacity = Capacity::UNBOUNDED;

/// A store of values that weigh what they say, and what its listener is told.
fn told(budget: u64, warm: Capacity, cold: Capacity) -> (Store, Gone) {
    let gone = Gone::default();
    let list = Arc::clone(&gone);
    let store = TierStore::builder(budget)
        .weigher(|_: &u32, weight: &u64| *weight)
        .warm_capacity(warm)
        .cold_capacity(cold)
        .listener(move |departure| list.lock().unwrap().push((*departure.key, departure.tier, departure.cause)))
        .build();
    (Arc::new(store.unwrap()), gone)
}

/// So many in cold, each of weight 1, the first the least recently used.
fn cold(keys: u32, capacity: Capacity) -> (Store, Gone) {
    let (store, gone) = told(100, ALL, capacity);
    for key in 0..keys {
        store.store(key, 1).unwrap();
        store.demote_to(&key, Tier::Cold).unwrap();
    }
    (store, gone)
}

fn keys(leaving: &[Leaving<u32, u64>]) -> Vec<u32> {
    leaving.iter().map(|leaving| leaving.key).collect()
}

/// Has another thread do that when this one next reaches `step`.
fn at(step: Step, store: &Store, run: impl FnOnce(&Store) + Send + 'static) {
    let store = Arc::clone(store);
    arm(step, move || thread::spawn(move || run(&store)).join().unwrap());
}

#[test]
fn the_least_recently_used_of_cold_leave_as_many_as_fit() {
    let (store, gone) = cold(5, ALL);
    store.get(&0);
    assert_eq!(keys(&store.start_leaving(Capacity::entries(2))), [1, 2]);
    assert_eq!(keys(&store.start_leaving(Capacity::entries(0))), [1], "at least one");
    assert_eq!(keys(&store.start_leaving(Capacity::bytes(3))), [1, 2, 3], "those that were marked, too");
    assert_eq!(keys(&store.start_leaving(Capacity::entries(4).and_bytes(1))), [1]);
    let leaving = store.start_leaving(ALL);
    assert_eq!(keys(&leaving), [1, 2, 3, 4, 0]);
    let one = &leaving[1];
    let found = store.peek(&2).unwrap();
    assert_eq!((one.key, one.value, one.weight, one.version), (2, 1, 1, found.version));
    assert_eq!((found.tier, store.len(Tier::Cold), store.bytes(Tier::Cold)), (Tier::Cold, 5, 5));
    assert_eq!(store.snapshot().tier(Tier::Cold).len(), 5);
    assert_eq!(validate(&store), 5);
    assert!(leaving.iter().all(|leaving| store.finish_leaving(leaving)));
    assert!(!store.finish_leaving(one) && store.is_empty());
    assert_eq!(store.metrics().archived, 5);
    let told = [1, 2, 3, 4, 0].map(|key| (key, Tier::Cold, Cause::Archived));
    assert_eq!(*gone.lock().unwrap(), told);
    assert_eq!(validate(&store), 0);
}

#[test]
fn one_that_alone_is_more_than_fits_leaves_alone() {
    let (store, _) = told(100, ALL, ALL);
    for (key, weight) in [(0, 9), (1, 1)] {
        store.store(key, weight).unwrap();
        store.demote_to(&key, Tier::Cold).unwrap();
    }
    assert_eq!(keys(&store.start_leaving(Capacity::bytes(5))), [0]);
}

#[test]
fn what_may_not_leave_is_passed_by_and_counts_for_nothing() {
    let (store, _) = cold(5, Capacity::entries(5));
    let third = store.peek(&2).unwrap().version;
    let leaving = store.start_leaving_if(Capacity::entries(3), |key, version| *key != 0 && version != third);
    assert_eq!(keys(&leaving), [1, 3, 4]);
    // It was not marked, so it is pushed out.
    assert_eq!([0, 1].map(|_| store.evict_lru(Tier::Cold).unwrap().key), [0, 2]);
    assert!(store.evict_lru(Tier::Cold).is_none());
    assert!(store.start_leaving_if(ALL, |_, _| false).is_empty());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.start_leaving_if(ALL, |key, _| if *key == 3 { panic!("as the test wants it") } else { true })
    }));
    assert!(panicked.is_err());
    assert!(leaving.iter().all(|leaving| store.finish_leaving(leaving)));
    assert_eq!(validate(&store), 0);
}

#[test]
fn kept_fragments_and_other_tiers_do_not_leave() {
    let (store, _) = cold(3, ALL);
    store.keep(&0).unwrap();
    store.promote_to(&1, Tier::Warm).unwrap();
    assert_eq!(keys(&store.start_leaving(ALL)), [2]);
    assert!(cold(0, ALL).0.start_leaving(ALL).is_empty());
}

#[test]
fn nothing_evicts_what_is_leaving() {
    let (store, gone) = cold(3, Capacity::entries(3));
    let leaving = store.start_leaving(Capacity::entries(2));
    assert_eq!(store.evict_lru(Tier::Cold).unwrap().key, 2);
    assert!(store.evict_lru(Tier::Cold).is_none(), "all that is left is leaving");
    for key in [3, 4, 5] {
        store.store(key, 1).unwrap();
        store.demote_to(&key, Tier::Cold).unwrap();
    }
    // Two of the three that the capacity allows are leaving.
    assert_eq!(store.iter(Tier::Cold).map(|item| item.key).collect::<Vec<_>>(), [5, 1, 0]);
    assert!(leaving.iter().all(|leaving| store.finish_leaving(leaving)));
    assert_eq!((store.len(Tier::Cold), store.metrics().overflowed), (1, 2));
    assert_eq!(gone.lock().unwrap().len(), 5);
    assert_eq!(validate(&store), 1);
}

/// What has left, where that ended the leaving of fragment 0.
fn ended_by(end: impl Fn(&Store)) -> Store {
    let (store, _) = cold(2, ALL);
    let leaving = store.start_leaving(Capacity::entries(1));
    end(&store);
    assert!(!store.finish_leaving(&leaving[0]));
    assert_eq!(store.metrics().archived, 0);
    validate(&store);
    store
}

#[test]
fn what_is_used_moved_kept_replaced_or_removed_meanwhile_stays_as_that_says() {
    let used = ended_by(|store| assert!(store.get(&0).is_some()));
    assert_eq!((used.tier_of(&0), keys(&used.start_leaving(ALL))), (Some(Tier::Cold), vec![1, 0]));
    let evicted = ended_by(|store| {
        store.get(&0);
        assert_eq!(store.evict_lru(Tier::Cold).unwrap().key, 1);
        assert_eq!(store.evict_lru(Tier::Cold).unwrap().key, 0, "it is not leaving any more");
    });
    assert!(evicted.is_empty());
    let risen = ended_by(|store| _ = store.promote_to(&0, Tier::Cold).unwrap());
    assert_eq!(keys(&risen.start_leaving(ALL)), [1, 0]);
    let hot = ended_by(|store| _ = store.promote_to(&0, Tier::Hot).unwrap());
    assert_eq!(hot.tier_of(&0), Some(Tier::Hot));
    let kept = ended_by(|store| _ = store.keep(&0).unwrap());
    assert!(kept.peek(&0).unwrap().kept);
    let let_go = ended_by(|store| {
        store.keep(&0).unwrap();
        store.let_go(&0).unwrap();
    });
    assert_eq!(keys(&let_go.start_leaving(ALL)), [1, 0]);
    let replaced = ended_by(|store| assert_eq!(store.store(0, 7).unwrap().replaced, Some(1)));
    assert_eq!(replaced.peek(&0).unwrap().value, 7);
    let removed = ended_by(|store| assert!(store.remove(&0).is_some()));
    assert_eq!((removed.tier_of(&0), removed.keep(&0)), (None, Err(KeepError::NotFound)));
    let back = ended_by(|store| {
        store.remove(&0).unwrap();
        store.store(0, 1).unwrap();
        store.demote_to(&0, Tier::Cold).unwrap();
        assert_eq!(keys(&store.start_leaving(ALL)), [1, 0]);
    });
    assert_eq!(back.len(Tier::Cold), 2, "that is another");
}

#[test]
fn what_was_used_and_is_leaving_again_is_not_what_was_handed_out_before() {
    let (store, _) = cold(1, ALL);
    let before = store.start_leaving(ALL);
    store.get(&0);
    let again = store.start_leaving(ALL);
    assert_eq!(before[0].version, again[0].version);
    assert!(!store.finish_leaving(&before[0]));
    assert!(store.contains(&0) && store.finish_leaving(&again[0]));
}

#[test]
fn what_was_demoted_as_it_is_leaving_stays_so() {
    let (store, _) = cold(1, ALL);
    let leaving = store.start_leaving(ALL);
    assert_eq!(store.demote_to(&0, Tier::Cold).map(|moved| moved.to), Some(Tier::Cold));
    assert!(store.peek(&0).is_some() && store.contains(&0));
    assert!(store.finish_leaving(&leaving[0]), "nothing of this uses or moves it");
}

#[test]
fn another_store_does_not_take_it() {
    let ((one, _), (other, _)) = (cold(1, ALL), cold(1, ALL));
    let leaving = one.start_leaving(ALL);
    assert_eq!(other.start_leaving(ALL).len(), 1);
    assert!(!other.finish_leaving(&leaving[0]));
    assert!(one.finish_leaving(&leaving[0]));
    assert_eq!((validate(&one), validate(&other)), (0, 1));
}

#[test]
fn a_get_that_returns_before_the_removal_keeps_the_fragment() {
    let (store, _) = cold(1, ALL);
    let leaving = store.start_leaving(ALL);
    at(Step::Uncounted, &store, |store| assert!(store.get(&0).is_some()));
    assert!(!store.finish_leaving(&leaving[0]));
    assert_eq!((store.tier_of(&0), validate(&store)), (Some(Tier::Cold), 1));
}

#[test]
fn a_tier_holds_its_capacity_after_a_removal_that_was_given_back() {
    let (store, _) = cold(1, Capacity::entries(1));
    let leaving = store.start_leaving(ALL);
    // While the count is lowered another brings one, and sees room for it.
    at(Step::Uncounted, &store, |store| {
        store.get(&0);
        store.store(1, 1).unwrap();
        store.demote_to(&1, Tier::Cold).unwrap();
        assert_eq!(store.metrics().overflowed, 0);
    });
    assert!(!store.finish_leaving(&leaving[0]));
    assert_eq!((store.len(Tier::Cold), validate(&store)), (1, 1));
}

#[test]
fn what_cold_can_never_hold_does_not_leave_but_overflows() {
    let (store, gone) = told(1, Capacity::bytes(1), Capacity::bytes(1));
    // It has come into cold, and is about to be moved on.
    at(Step::Left, &store, |store| {
        assert_eq!(store.tier_of(&0), Some(Tier::Cold));
        assert!(store.start_leaving(ALL).is_empty());
    });
    store.store(0, 5).unwrap();
    assert_eq!(*gone.lock().unwrap(), [(0, Tier::Cold, Cause::Overflowed)]);
    assert_eq!(validate(&store), 0);
}

#[test]
fn what_is_due_does_not_leave() {
    let gone = Gone::default();
    let (list, now) = (Arc::clone(&gone), Instant::now());
    let clock = Arc::new(Mutex::new(now));
    let read = Arc::clone(&clock);
    let store = TierStore::<u32, u64>::builder(100)
        .clock(move || *read.lock().unwrap())
        .listener(move |departure| list.lock().unwrap().push((*departure.key, departure.tier, departure.cause)))
        .build()
        .unwrap();
    for (key, seconds) in [(0, 1), (1, 9), (2, 2)] {
        store.store_until(key, 1, now + Duration::from_secs(seconds)).unwrap();
        store.demote_to(&key, Tier::Cold).unwrap();
    }
    *clock.lock().unwrap() = now + Duration::from_secs(1);
    let leaving = store.start_leaving(ALL);
    assert_eq!(keys(&leaving), [1, 2]);
    *clock.lock().unwrap() = now + Duration::from_secs(3);
    assert!(!store.finish_leaving(&leaving[1]) && store.finish_leaving(&leaving[0]));
    let told = [(0, Cause::Expired), (2, Cause::Expired), (1, Cause::Archived)];
    assert_eq!(*gone.lock().unwrap(), told.map(|(key, cause)| (key, Tier::Cold, cause)));
    assert_eq!(validate(&store), 0);
}

#[test]
fn a_snapshot_that_has_passed_what_leaves_is_told() {
    let (store, _) = cold(1, ALL);
    let leaving = store.start_leaving(ALL);
    at(Step::Walked, &store, move |store| {
        assert!(store.finish_leaving(&leaving[0]));
        store.store(1, 1).unwrap();
    });
    let snapshot = store.snapshot();
    // What came after the other had left is shown, and so the other is not.
    assert_eq!(snapshot.iter().map(|(tier, item)| (tier, item.key)).collect::<Vec<_>>(), [(Tier::Hot, 1)]);
}

#[test]
fn a_start_sees_to_the_capacity_where_what_was_used_is_not_leaving_any_more() {
    let (store, _) = cold(3, Capacity::entries(3));
    assert_eq!(store.start_leaving(ALL).len(), 3);
    store.store(9, 1).unwrap();
    store.keep(&9).unwrap();
    store.demote_to(&9, Tier::Cold).unwrap();
    assert_eq!((store.len(Tier::Cold), validate(&store)), (4, 4));
    store.get(&0);
    assert_eq!(keys(&store.start_leaving(Capacity::entries(1))), [1]);
    assert_eq!((store.len(Tier::Cold), store.tier_of(&0), validate(&store)), (3, None, 3));
}

/// A heavy value that says when it is dropped.
#[derive(Clone)]
struct Heavy(#[expect(dead_code, reason = "counted")] Arc<()>);

#[test]
fn a_heavy_value_goes_at_once_when_an_archive_has_it() {
    let count = Arc::new(());
    let store = TierStore::<u32, Heavy>::builder(1 << 20).weigher(|_, _| 1 << 12).build().unwrap();
    store.store(0, Heavy(Arc::clone(&count))).unwrap();
    store.demote_to(&0, Tier::Cold).unwrap();
    let leaving = store.start_leaving(ALL);
    assert_eq!(Arc::strong_count(&count), 3, "the store's, the copy, and this");
    // Others stay pinned.
    let guard = crossbeam_epoch::pin();
    assert!(store.finish_leaving(&leaving[0]));
    assert_eq!(Arc::strong_count(&count), 2);
    drop((guard, leaving));
}
