//! The listener is told of each exit once, with its cause, whoever raced for it; unpinned, and holding nothing.

#[path = "../common/mod.rs"]
mod common;
mod once;
mod values;

use std::collections::HashMap;
use std::mem::take;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use tierstack::{Builder, Capacity, Cause, Departure, Tier, TierStore};

use common::audit;

type Store = TierStore<u32, u32>;

/// What was told: key, value, tier and cause.
type Told = Arc<Mutex<Vec<(u32, u32, Tier, Cause)>>>;

/// A store with room for so many in each tier, and what its listener was told.
fn store(room: u64) -> (Store, Told) {
    let told = Told::default();
    let tell = Arc::clone(&told);
    let listener = move |gone: &Departure<'_, u32, u32>| {
        assert!(!crossbeam_epoch::is_pinned());
        tell.lock().unwrap().push((*gone.key, *gone.value, gone.tier, gone.cause));
    };
    (builder(room).listener(listener).build().unwrap(), told)
}

fn builder(room: u64) -> Builder<u32, u32> {
    let capacity = Capacity::entries(room);
    Store::builder(room).weigher(|_, _| 1).warm_capacity(capacity).cold_capacity(capacity)
}

#[track_caller]
fn was_told(told: &Told, expected: &[(u32, u32, Tier, Cause)]) {
    assert_eq!(take(&mut *told.lock().unwrap()), expected);
}

#[test]
fn every_way_out_is_told_with_its_cause() {
    use Cause::{Overflowed, Removed, Replaced};
    use Tier::{Cold, Hot, Warm};

    let (store, told) = store(3);
    for key in 0..6 {
        store.store(key, 10 + key).unwrap();
    }
    // Hot: 5, 4, 3. Warm: 2. Cold: 1, 0.
    store.demote(&0);
    store.demote(&1);
    was_told(&told, &[]);
    store.store(5, 25).unwrap();
    was_told(&told, &[(5, 15, Hot, Replaced)]);
    let version = store.peek(&2).unwrap().version;
    // Makes room in hot first, so that another comes to warm, where this is.
    store.replace_if(2, &version, 22).unwrap();
    was_told(&told, &[(2, 12, Warm, Replaced)]);
    assert!(store.replace_if(2, &version, 0).is_err() && store.store_if_absent(2, 0).is_err());
    store.update(1, |value| value + 10).unwrap();
    was_told(&told, &[(1, 11, Cold, Replaced)]);
    store.get_or_store_with(1, || 0).unwrap();
    store.remove(&1).unwrap();
    assert!(store.remove(&1).is_none() && store.update(1, |value| *value).is_err());
    was_told(&told, &[(1, 21, Hot, Removed)]);
    store.evict_lru(Hot).unwrap();
    store.evict_lru(Warm).unwrap();
    store.demote(&5);
    store.promote(&5).unwrap();
    store.keep(&5).unwrap();
    store.let_go(&5).unwrap();
    was_told(&told, &[]);
    let evicted = store.evict_lru(Cold).unwrap();
    was_told(&told, &[(evicted.key, evicted.value, Cold, Removed)]);
    let oldest: Vec<_> = store.iter(Cold).chain(store.iter(Warm)).map(|item| (item.key, item.value)).collect();
    for key in 10..20 {
        store.store(key, key).unwrap();
    }
    let gone = take(&mut *told.lock().unwrap());
    assert!(gone.iter().all(|(.., tier, cause)| (*tier, *cause) == (Cold, Overflowed)), "{gone:?}");
    assert!(oldest.iter().all(|old| gone.iter().any(|(key, value, ..)| (*key, *value) == *old)), "{gone:?}");
    let counts = store.metrics();
    assert_eq!((counts.overflowed, counts.replacements, counts.removals), (gone.len() as u64, 3, 1));
    drop(store);
    was_told(&told, &[]);
}

#[test]
fn a_view_tells_in_order_when_it_is_repinned_or_dropped() {
    use Cause::{Overflowed, Removed, Replaced};

    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let builder = Store::builder(1).weigher(|_, _| 1);
    let builder = builder.warm_capacity(Capacity::entries(0)).cold_capacity(Capacity::entries(0));
    let listener = move |gone: &Departure<'_, u32, u32>| {
        tell.lock().unwrap().push((*gone.value, gone.cause, gone.stands_again(), gone.version));
    };
    let store = builder.listener(listener).build().unwrap();
    let mut view = store.pin();
    let versions =
        [view.store(1, 1), view.store(1, 2), view.store(2, 3), view.store(1, 4)].map(|stored| stored.unwrap().version);
    let lent = view.remove(&1).unwrap();
    assert!(told.lock().unwrap().is_empty());
    assert_eq!((*lent.value, lent.version), (4, versions[3]));
    view.repin();
    let expected = [(1, Replaced), (2, Overflowed), (3, Overflowed), (4, Removed)];
    let expected: Vec<_> =
        expected.into_iter().zip(versions).map(|((value, cause), version)| (value, cause, false, version)).collect();
    assert_eq!(take(&mut *told.lock().unwrap()), expected);
    view.store(1, 5).unwrap();
    let version = view.store(1, 6).unwrap().replaced.map(|_| view.peek(&1).unwrap().version);
    drop(view);
    let gone = take(&mut *told.lock().unwrap());
    assert_eq!((gone.len(), gone[0].0, gone[0].1, gone[0].2), (1, 5, Replaced, true));
    assert_ne!(Some(gone[0].3), version);
}

#[test]
fn only_what_was_asked_for_is_told() {
    for asked in [vec![], vec![Cause::Removed], vec![Cause::Replaced, Cause::Overflowed, Cause::Replaced]] {
        let told = Told::default();
        let tell = Arc::clone(&told);
        let builder = builder(1).listener_causes(asked.clone());
        let listener = move |gone: &Departure<'_, u32, u32>| {
            tell.lock().unwrap().push((*gone.key, *gone.value, gone.tier, gone.cause));
        };
        let store = builder.listener(listener).build().unwrap();
        for key in 0..6 {
            store.store(key, 0).unwrap();
        }
        store.store(5, 1).unwrap();
        store.remove(&5).unwrap();
        let counts = told.lock().unwrap().iter().fold(HashMap::new(), |mut counts, (.., cause)| {
            *counts.entry(*cause).or_insert(0) += 1;
            counts
        });
        let expected = [(Cause::Overflowed, 3), (Cause::Replaced, 1), (Cause::Removed, 1)];
        let expected = expected.into_iter().filter(|(cause, _)| asked.contains(cause)).collect();
        assert_eq!(counts, expected, "{asked:?}");
    }
    // With nobody to tell, causes say nothing.
    let store = builder(1).listener_causes([Cause::Removed]).build().unwrap();
    store.store(1, 1).unwrap();
    assert_eq!(store.remove(&1).unwrap().value, 1);
}

/// What the listener's own operations end is told after it has returned, by the outermost call; however many there are.
#[test]
fn a_listener_may_use_the_store() {
    let own = Arc::new(OnceLock::<Weak<Store>>::new());
    let told = Told::default();
    let (tell, store_of) = (Arc::clone(&told), Arc::clone(&own));
    let inside = Arc::new(Mutex::new(false));
    let listener = move |gone: &Departure<'_, u32, u32>| {
        let mut inside = inside.try_lock().expect("it is not called within itself");
        *inside = true;
        tell.lock().unwrap().push((*gone.key, *gone.value, gone.tier, gone.cause));
        let store = store_of.get().and_then(Weak::upgrade).unwrap();
        match gone.cause {
            // Counts down under another key.
            Cause::Removed if *gone.value > 0 => {
                store.store(gone.key + 1, gone.value - 1).unwrap();
                store.store(gone.key + 1, gone.value - 1).unwrap();
                let view = store.pin();
                view.remove(&(gone.key + 1)).unwrap();
            }
            _ => assert!(!gone.stands_again() || gone.cause == Cause::Replaced),
        }
    };
    let store = Arc::new(builder(1).listener(listener).build().unwrap());
    own.set(Arc::downgrade(&store)).unwrap();
    store.store(0, 10_000).unwrap();
    store.remove(&0).unwrap();
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 20_001);
    for (number, (key, value, _, cause)) in (1_u32..).zip(&told[1..]) {
        let expected = if number % 2 == 1 { Cause::Replaced } else { Cause::Removed };
        assert_eq!((*key, *value, *cause), (number.div_ceil(2), 10_000 - number.div_ceil(2), expected), "{number}");
    }
    assert!(store.is_empty());
}

#[test]
fn a_panic_of_the_listener_keeps_nothing_from_being_told() {
    use Cause::{Removed, Replaced};

    let told = Told::default();
    let tell = Arc::clone(&told);
    let listener = move |gone: &Departure<'_, u32, u32>| {
        tell.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((
            *gone.key,
            *gone.value,
            gone.tier,
            gone.cause,
        ));
        panic!("by design");
    };
    let store = builder(2).listener(listener).build().unwrap();
    for key in 0..6 {
        store.store(key, key).unwrap();
    }
    assert!(catch_unwind(AssertUnwindSafe(|| store.store(5, 7))).is_err());
    assert_eq!(store.peek(&5).map(|fragment| fragment.value), Some(7), "it took effect before");
    assert!(catch_unwind(AssertUnwindSafe(|| store.remove(&5))).is_err());
    assert!(!store.contains(&5));
    let view = store.pin();
    for key in 0..3 {
        view.remove(&key).unwrap();
    }
    view.store(3, 9).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(view))).is_err());
    let gone: Vec<_> = told
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .iter()
        .map(|told| (told.0, told.1, told.3))
        .collect();
    assert_eq!(
        gone,
        [(5, 5, Replaced), (5, 7, Removed), (0, 0, Removed), (1, 1, Removed), (2, 2, Removed), (3, 3, Replaced)]
    );
    audit(&store, 0..10);
}

/// What a panic carries: counts its drop, which panics as well.
struct Carried(Arc<Mutex<u32>>);

impl Drop for Carried {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += 1;
        panic!("by design, again");
    }
}

#[test]
fn of_several_panics_of_the_listener_one_goes_on_and_the_others_are_dropped() {
    let dropped = Arc::new(Mutex::new(0));
    let count = Arc::clone(&dropped);
    let listener = move |_: &Departure<'_, u32, u32>| std::panic::panic_any(Carried(Arc::clone(&count)));
    let store = builder(2).listener(listener).build().unwrap();
    let view = store.pin();
    for key in 0..4 {
        view.store(key, 1).unwrap();
        view.remove(&key).unwrap();
    }
    let first = catch_unwind(AssertUnwindSafe(|| drop(view))).unwrap_err();
    assert_eq!(*dropped.lock().unwrap_or_else(std::sync::PoisonError::into_inner), 3);
    assert!(first.is::<Carried>());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(first))).is_err());
    // While another unwinds, none goes on.
    let other = catch_unwind(AssertUnwindSafe(|| {
        let view = store.pin();
        view.store(9, 1).unwrap();
        view.remove(&9).unwrap();
        panic!("another");
    }));
    assert_eq!(other.unwrap_err().downcast_ref(), Some(&"another"));
    assert_eq!(*dropped.lock().unwrap_or_else(std::sync::PoisonError::into_inner), 5);
    audit(&store, 0..10);
}
