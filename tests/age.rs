//! Fragments that expire: after their tier's lifetime without a use, or at a deadline; by a clock that the test sets.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tierstack::{Builder, Capacity, Cause, KeepError, PromoteError, ReplaceIfRefusal, Tier, TierStore, UpdateRefusal};

type Store = TierStore<u32, u64>;

/// A clock of seconds, and how often it was asked.
#[derive(Clone)]
struct Clock {
    start: Instant,
    seconds: Arc<AtomicU64>,
    asked: Arc<AtomicU64>,
}

impl Clock {
    fn new() -> Self {
        Self { start: Instant::now() + Duration::from_secs(1000), seconds: Arc::default(), asked: Arc::default() }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    fn set(&self, seconds: u64) {
        self.seconds.store(seconds, SeqCst);
    }

    fn asked(&self) -> u64 {
        self.asked.load(SeqCst)
    }

    fn read(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        let clock = self.clone();
        move || {
            clock.asked.fetch_add(1, SeqCst);
            clock.at(clock.seconds.load(SeqCst))
        }
    }
}

/// Values are their weights. Hot lives 10 seconds, warm 100, cold for ever.
fn builder(clock: &Clock, budget: u64) -> Builder<u32, u64> {
    TierStore::builder(budget)
        .weigher(|_, weight| *weight)
        .expire_after(Tier::Hot, Duration::from_secs(10))
        .expire_after(Tier::Warm, Duration::from_secs(100))
        .clock(clock.read())
}

fn store(clock: &Clock, budget: u64) -> Store {
    builder(clock, budget).build().unwrap()
}

#[test]
fn a_store_without_ages_never_asks_for_the_time() {
    let clock = Clock::new();
    let store: Store = TierStore::builder(10).weigher(|_, weight| *weight).clock(clock.read()).build().unwrap();
    for key in 0..100 {
        store.store(key, 1).unwrap();
        store.get(&key);
        store.get(&(key + 1));
        store.peek(&key);
        let _ = store.promote(&(key / 2));
        store.demote(&(key / 3));
    }
    assert_eq!((store.iter(Tier::Hot).len(), store.snapshot().len(), store.purge_expired()), (10, 100, 0));
    store.evict_lru(Tier::Hot);
    store.remove(&1);
    assert_eq!(clock.asked(), 0);
    store.store_until(7, 1, clock.at(1)).unwrap();
    assert!(clock.asked() > 0, "a deadline has to be compared with something");
}

#[test]
fn the_time_is_asked_for_as_often_as_the_documentation_says() {
    let clock = Clock::new();
    let store = store(&clock, 4);
    let version = store.store(1, 1).unwrap().version;
    let asks = |what: &str, most: u64, run: &dyn Fn()| {
        let before = clock.asked();
        run();
        let asked = clock.asked() - before;
        assert!((1..=most).contains(&asked), "{what} asked {asked} times");
    };
    asks("get", 1, &|| _ = store.get(&1));
    asks("a view's get", 1, &|| _ = store.pin().get(&1));
    asks("peek", 1, &|| _ = store.peek(&1));
    asks("contains", 1, &|| _ = store.contains(&1));
    asks("demote", 1, &|| _ = store.demote(&1));
    asks("promote", 1, &|| _ = store.promote(&1));
    asks("keep", 1, &|| _ = store.keep(&1));
    asks("let_go", 1, &|| _ = store.let_go(&1));
    asks("iter", 1, &|| _ = store.iter(Tier::Hot).count());
    asks("snapshot", 2, &|| _ = store.snapshot());
    asks("purge_expired", 1, &|| _ = store.purge_expired());
    asks("replace_if", 3, &|| _ = store.replace_if(1, &version, 2));
    asks("store_if_absent", 3, &|| _ = store.store_if_absent(2, 1));
    asks("store", 3, &|| _ = store.store(3, 4));
    asks("store_until", 3, &|| _ = store.store_until(4, 1, clock.at(5)));
    asks("evict_lru", 1, &|| _ = store.evict_lru(Tier::Warm));
    asks("remove", 1, &|| _ = store.remove(&4));
}

#[test]
fn a_fragment_lives_as_long_as_its_tier_allows_after_its_last_use() {
    let clock = Clock::new();
    let store = store(&clock, 10);
    store.store(1, 1).unwrap();
    for seconds in [9, 18, 27] {
        clock.set(seconds);
        assert_eq!(store.get(&1).map(|found| found.tier), Some(Tier::Hot), "each use gives it another ten seconds");
        assert!(store.peek(&1).is_some(), "a peek gives it none");
    }
    clock.set(36);
    assert!(store.contains(&1) && store.tier_of(&1) == Some(Tier::Hot) && store.peek(&1).is_some());
    clock.set(37);
    assert_eq!((store.len(Tier::Hot), store.bytes(Tier::Hot)), (1, 1), "nobody has met it yet");
    assert!(!store.contains(&1));
    assert_eq!((store.len(Tier::Hot), store.bytes(Tier::Hot)), (0, 0));
    let metrics = store.metrics();
    assert_eq!((metrics.expired, metrics.removals, metrics.evictions, metrics.hits, metrics.misses), (1, 0, 0, 3, 0));
}

#[test]
fn what_sinks_takes_its_last_use_along_and_what_rises_is_used() {
    let clock = Clock::new();
    let store = store(&clock, 10);
    for key in 1..=3 {
        store.store(key, 1).unwrap();
    }
    clock.set(9);
    store.demote(&1);
    store.demote(&2);
    store.demote_to(&3, Tier::Cold);
    clock.set(99);
    assert_eq!([1, 2, 3].map(|key| store.tier_of(&key)), [Some(Tier::Warm), Some(Tier::Warm), Some(Tier::Cold)]);
    store.promote(&1).unwrap();
    clock.set(100);
    assert_eq!([1, 2, 3].map(|key| store.contains(&key)), [true, false, true]);
    clock.set(108);
    assert!(store.contains(&1));
    clock.set(109);
    assert!(!store.contains(&1));
    store.promote_to(&3, Tier::Hot).unwrap();
    clock.set(118);
    assert!(store.contains(&3));
    clock.set(119);
    assert!(!store.contains(&3), "in cold it lived for ever, and not in hot");
}

#[test]
fn every_operation_takes_what_is_due_for_absent() {
    let clock = Clock::new();
    let fresh = || {
        clock.set(0);
        let store = store(&clock, 3);
        let stored = store.store(1, 1).unwrap();
        clock.set(10);
        (store, stored.version)
    };
    let expired = |store: &Store, operation: &str| {
        let metrics = store.metrics();
        assert_eq!(
            (metrics.expired, metrics.removals, metrics.replacements, metrics.evictions),
            (1, 0, 0, 0),
            "{operation}"
        );
    };
    let (store, _) = fresh();
    assert!(store.get(&1).is_none());
    assert_eq!(store.metrics().misses, 1);
    expired(&store, "get");
    let (store, _) = fresh();
    assert!(store.pin().get(&1).is_none());
    assert_eq!(store.metrics().misses, 1);
    expired(&store, "a view's get");
    let (store, _) = fresh();
    assert!(store.peek(&1).is_none() && store.pin().peek(&1).is_none());
    expired(&store, "peek");
    let (store, _) = fresh();
    assert!(store.remove(&1).is_none());
    expired(&store, "remove");
    let (store, _) = fresh();
    assert_eq!(store.demote(&1), None);
    expired(&store, "demote");
    let (store, _) = fresh();
    assert_eq!(store.promote(&1), Err(PromoteError::NotFound));
    expired(&store, "promote");
    let (store, _) = fresh();
    assert_eq!(store.keep(&1), Err(KeepError::NotFound));
    expired(&store, "keep");
    let (store, _) = fresh();
    assert_eq!(store.let_go(&1), Err(KeepError::NotFound));
    expired(&store, "let_go");
    let (store, _) = fresh();
    assert_eq!(store.store(1, 2).unwrap().replaced, None);
    expired(&store, "store");
    let (store, _) = fresh();
    assert_eq!(store.store_if_absent(1, 2).unwrap().replaced, None);
    expired(&store, "store_if_absent");
    let (store, version) = fresh();
    assert!(matches!(store.replace_if(1, &version, 2).unwrap_err().reason, ReplaceIfRefusal::NotFound));
    expired(&store, "replace_if");
    let (store, _) = fresh();
    assert!(matches!(store.update(1, |weight| weight + 1).unwrap_err().reason, UpdateRefusal::NotFound));
    expired(&store, "update");
    let (store, _) = fresh();
    assert_eq!(store.get_or_store_with(1, || 2).unwrap().into_fragment().value, 2);
    expired(&store, "get_or_store_with");
    let (store, _) = fresh();
    assert_eq!(store.evict_lru(Tier::Hot), None);
    expired(&store, "evict_lru");
    let (store, _) = fresh();
    assert_eq!(store.iter(Tier::Hot).len(), 0);
    expired(&store, "iter");
    let (store, _) = fresh();
    assert!(store.snapshot().is_empty());
    expired(&store, "snapshot");
    let (store, _) = fresh();
    assert_eq!((store.purge_expired(), store.purge_expired()), (1, 0));
    expired(&store, "purge_expired");
}

#[test]
fn what_is_due_makes_room_before_anything_is_demoted() {
    let clock = Clock::new();
    let store = store(&clock, 3);
    store.store(1, 2).unwrap();
    clock.set(5);
    store.store(2, 1).unwrap();
    clock.set(10);
    let stored = store.store(3, 2).unwrap();
    assert_eq!((stored.tier, store.tier_of(&2), store.contains(&1)), (Tier::Hot, Some(Tier::Hot), false));
    assert_eq!((store.metrics().evictions, store.metrics().expired, store.hot_bytes()), (0, 1, 3));
    // Of a lowered budget, too.
    clock.set(15);
    assert_eq!(store.set_hot_budget(2).unwrap().demoted, 0);
    assert_eq!((store.tier_of(&2), store.tier_of(&3), store.hot_bytes()), (None, Some(Tier::Hot), 2));
}

#[test]
fn capacities_let_what_is_due_go_first() {
    let clock = Clock::new();
    let store: Store =
        builder(&clock, 10).warm_capacity(Capacity::entries(2)).cold_capacity(Capacity::entries(0)).build().unwrap();
    for key in 1..=2 {
        store.store(key, 1).unwrap();
        store.demote(&key);
        clock.set(50);
    }
    clock.set(100);
    store.store(3, 1).unwrap();
    store.demote(&3);
    assert_eq!([1, 2, 3].map(|key| store.tier_of(&key)), [None, Some(Tier::Warm), Some(Tier::Warm)]);
    assert_eq!((store.metrics().overflowed, store.metrics().expired), (0, 1));
}

#[test]
fn a_deadline_holds_however_the_fragment_is_used() {
    let clock = Clock::new();
    let store: Store = TierStore::builder(10).weigher(|_, weight| *weight).clock(clock.read()).build().unwrap();
    store.store_until(1, 1, clock.at(20)).unwrap();
    store.store(2, 1).unwrap();
    clock.set(19);
    assert!(store.get(&1).is_some() && store.promote(&1).is_ok());
    clock.set(20);
    assert!(store.get(&1).is_none() && store.get(&2).is_some());
    // What replaces it has none.
    store.store_until(1, 1, clock.at(30)).unwrap();
    assert_eq!(store.store(1, 2).unwrap().replaced, Some(1));
    clock.set(30);
    assert!(store.contains(&1));
    // The shorter of the two.
    let store = self::store(&clock, 10);
    store.store_until(1, 1, clock.at(35)).unwrap();
    store.store_until(2, 1, clock.at(1000)).unwrap();
    clock.set(35);
    assert_eq!((store.contains(&1), store.contains(&2)), (false, true));
    clock.set(40);
    assert!(!store.contains(&2));
}

#[test]
fn a_deadline_in_the_past_is_a_fragment_that_has_expired() {
    let clock = Clock::new();
    let gone = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&gone);
    let builder = builder(&clock, 10).listener(move |gone| list.lock().unwrap().push((*gone.value, gone.cause)));
    let store = builder.build().unwrap();
    store.store(1, 1).unwrap();
    let stored = store.store_until(1, 2, clock.start.checked_sub(Duration::from_secs(5)).unwrap()).unwrap();
    assert_eq!((stored.replaced, stored.tier), (Some(1), Tier::Hot));
    assert!(store.get(&1).is_none());
    assert_eq!(*gone.lock().unwrap(), [(1, Cause::Replaced), (2, Cause::Expired)]);
}

#[test]
fn what_has_expired_stays_so_where_the_clock_goes_back() {
    let clock = Clock::new();
    let store = store(&clock, 10);
    clock.set(50);
    for key in 0..9 {
        store.store(key, 1).unwrap();
    }
    clock.set(60);
    assert!(store.peek(&0).is_none());
    assert!(!store.snapshot_of(Tier::Hot).iter().any(|(_, item)| item.key == 1));
    clock.set(0);
    assert!((0..9).all(|key| !store.contains(&key)));
    // Times before the first that was read are the first.
    store.store(1, 1).unwrap();
    clock.set(9);
    assert!(store.contains(&1));
}

#[test]
fn what_is_kept_does_not_expire_until_it_is_let_go() {
    let clock = Clock::new();
    let store = store(&clock, 10);
    store.store(1, 1).unwrap();
    store.store_until(2, 1, clock.at(50)).unwrap();
    store.keep(&1).unwrap();
    store.keep(&2).unwrap();
    clock.set(500);
    assert_eq!((store.purge_expired(), store.iter(Tier::Hot).len(), store.snapshot().len()), (0, 2, 2));
    // To let it go is a use; a deadline has come all the same.
    store.let_go(&1).unwrap();
    store.let_go(&2).unwrap();
    assert_eq!((store.contains(&1), store.contains(&2)), (true, false));
    clock.set(510);
    assert!(!store.contains(&1));
}

#[test]
fn a_purge_ends_all_that_is_due_and_tells_the_listener() {
    let clock = Clock::new();
    let gone = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&gone);
    let builder =
        builder(&clock, 100).listener(move |gone| list.lock().unwrap().push((*gone.key, gone.tier, gone.cause)));
    let store = builder.build().unwrap();
    for key in 0..8 {
        store.store(key, 1).unwrap();
    }
    store.demote(&0);
    store.demote_to(&1, Tier::Cold);
    store.keep(&2).unwrap();
    clock.set(5);
    store.get(&3);
    clock.set(12);
    assert_eq!(store.pin().purge_expired(), 4);
    assert_eq!(*gone.lock().unwrap(), [4, 5, 6, 7].map(|key| (key, Tier::Hot, Cause::Expired)));
    clock.set(100);
    assert_eq!(store.purge_expired(), 2);
    assert_eq!((store.len(Tier::Hot), store.len(Tier::Warm), store.len(Tier::Cold)), (1, 0, 1));
    assert_eq!(store.metrics().expired, 6);
}

#[test]
fn durations_without_end_and_of_nothing() {
    let clock = Clock::new();
    let builder = TierStore::builder(10).weigher(|_: &u32, weight: &u64| *weight).clock(clock.read());
    let store =
        builder.expire_after(Tier::Hot, Duration::MAX).expire_after(Tier::Warm, Duration::ZERO).build().unwrap();
    store.store(1, 1).unwrap();
    clock.set(u64::from(u32::MAX));
    assert!(store.contains(&1));
    store.demote(&1);
    assert!(!store.contains(&1));
}

#[test]
fn a_clock_that_panics_loses_nothing() {
    let clock = Clock::new();
    let (panics, read) = (Arc::new(AtomicU64::new(0)), clock.read());
    let when = Arc::clone(&panics);
    let builder = builder(&clock, 10).clock(move || {
        assert_eq!(when.load(SeqCst), 0, "as the test wants it");
        read()
    });
    let store = builder.build().unwrap();
    for key in 0..10 {
        store.store(key, 1).unwrap();
    }
    panics.store(1, SeqCst);
    let panicked = |run: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err();
    assert!(panicked(&|| _ = store.store(3, 2)));
    assert!(panicked(&|| _ = store.get(&3)));
    assert!(panicked(&|| _ = store.remove(&3)));
    assert!(panicked(&|| _ = store.promote(&3)));
    assert!(panicked(&|| _ = store.evict_lru(Tier::Hot)));
    assert!(panicked(&|| drop(store.snapshot())));
    assert!(panicked(&|| drop(store.iter(Tier::Hot))));
    panics.store(0, SeqCst);
    assert_eq!((store.len(Tier::Hot), store.hot_bytes(), store.snapshot().len()), (10, 10, 10));
}

#[test]
fn a_restored_fragment_has_as_long_to_go_as_it_had() {
    let clock = Clock::new();
    let store = store(&clock, 100);
    // So that tiers and numbers are mixed.
    for key in 0..12 {
        if key % 3 == 0 {
            store.store_until(key, 1, clock.at(5 + 10 * u64::from(key))).unwrap();
        } else {
            store.store(key, 1).unwrap();
        }
        store.keep(&key).unwrap();
        store.demote_to(&key, Tier::ALL[usize::try_from(key % 2).unwrap()]);
    }
    clock.set(8);
    let snapshot = store.snapshot();
    assert_eq!(snapshot.expires_in(&9), Some(Duration::from_secs(87)));
    assert_eq!((snapshot.expires_in(&0), snapshot.expires_in(&1)), (Some(Duration::ZERO), None));
    // As it comes, and as it is written.
    #[cfg_attr(not(feature = "serde"), allow(unused_mut, reason = "then as it comes only"))]
    let mut restored = vec![snapshot.clone()];
    #[cfg(feature = "serde")]
    {
        let text = serde_json::to_string(&snapshot).unwrap();
        restored.push(serde_json::from_str(&text).unwrap());
        let bytes = postcard::to_allocvec(&snapshot).unwrap();
        restored.push(postcard::from_bytes(&bytes).unwrap());
    }
    for snapshot in restored {
        clock.set(1000);
        let store = TierStore::builder(100).weigher(|_: &u32, weight: &u64| *weight).clock(clock.read());
        let store = store.restore(snapshot).unwrap();
        assert_eq!((store.len(Tier::Hot), store.len(Tier::Warm)), (6, 6));
        for key in 0..12 {
            store.let_go(&key).unwrap();
        }
        for (seconds, left) in [(0, 11), (26, 11), (27, 10), (56, 10), (57, 9), (86, 9), (87, 8), (5000, 8)] {
            clock.set(1000 + seconds);
            assert_eq!((0..12).filter(|key| store.contains(key)).count(), left, "after {seconds}");
        }
    }
    // What is restored was used last by that.
    clock.set(0);
    let store = self::store(&clock, 100);
    store.store(1, 1).unwrap();
    clock.set(9);
    let restored = builder(&clock, 100).restore(store.snapshot()).unwrap();
    clock.set(18);
    assert!(restored.contains(&1) && !store.contains(&1));
    clock.set(19);
    assert!(!restored.contains(&1));
}

#[test]
fn uses_keep_fragments_alive_under_threads() {
    let clock = Clock::new();
    let store = store(&clock, 1000);
    for key in 0..64 {
        store.store(key, 1).unwrap();
    }
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (store, clock) = (&store, &clock);
            scope.spawn(move || {
                for round in 0..2000_u64 {
                    // The keys below 32 are used by everybody in each second: they never come to ten.
                    for key in 0..32 {
                        assert!(store.get(&key).is_some(), "{key} was used within the last seconds");
                    }
                    match (thread, round % 4) {
                        (0, 0) => drop(clock.seconds.fetch_add(1, SeqCst)),
                        (1, _) => drop(store.purge_expired()),
                        (2, 0) => _ = store.evict_lru(Tier::Cold),
                        (3, 0) => assert!(store.snapshot().len() >= 32),
                        _ => {}
                    }
                }
            });
        }
    });
    assert!((32..64).all(|key| !store.contains(&key)));
    assert_eq!((store.len(Tier::Hot), store.hot_bytes(), store.metrics().expired), (32, 32, 32));
}
