//! What the listener is told of a fragment that has left, and of its key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::thread;

use tierstack::{Capacity, Departure, Tier, TierStore, Version};

/// What is told of each departure: key, value, weight, and whether the key stands again.
type Told = Arc<Mutex<Vec<(&'static str, u32, u64, bool)>>>;

/// A store with room for so many, of weight ten, in hot alone.
fn store(room: u64) -> (TierStore<&'static str, u32>, Told) {
    let told = Told::default();
    let tell = Arc::clone(&told);
    let builder = TierStore::<&str, u32>::builder(10 * room).weigher(|_, _| 10);
    let builder = builder.warm_capacity(Capacity::entries(0)).cold_capacity(Capacity::entries(0));
    let listener = move |gone: &Departure<'_, &'static str, u32>| {
        tell.lock().unwrap().push((gone.key, *gone.value, gone.weight, gone.stands_again()));
    };
    (builder.listener_causes([tierstack::Cause::Overflowed]).listener(listener).build().unwrap(), told)
}

#[test]
fn a_key_that_was_stored_anew_through_the_view_stands_again() {
    let (store, told) = store(1);
    let view = store.pin();
    view.store("a", 1).unwrap();
    view.store("b", 2).unwrap();
    view.store("a", 3).unwrap();
    drop(view);
    assert_eq!(*told.lock().unwrap(), [("a", 1, 10, true), ("b", 2, 10, false)]);
}

#[test]
fn a_key_that_was_not_stored_anew_does_not_stand() {
    let (store, told) = store(1);
    store.store("a", 1).unwrap();
    store.store("b", 2).unwrap();
    assert_eq!(*told.lock().unwrap(), [("a", 1, 10, false)]);
}

#[test]
fn a_key_that_was_stored_anew_and_removed_does_not_stand() {
    let (store, told) = store(1);
    let mut view = store.pin();
    view.store("a", 1).unwrap();
    view.store("b", 2).unwrap();
    view.remove("b").unwrap();
    view.store("a", 3).unwrap();
    view.remove("a").unwrap();
    view.repin();
    assert_eq!(*told.lock().unwrap(), [("a", 1, 10, false)]);
}

#[test]
fn a_key_that_left_twice_stands_where_it_is_in_another_tier() {
    let told = Told::default();
    let tell = Arc::clone(&told);
    let builder = TierStore::<&str, u32>::builder(10).weigher(|_, _| 10);
    let builder = builder.warm_capacity(Capacity::entries(1)).cold_capacity(Capacity::entries(1));
    let listener = move |gone: &Departure<'_, &'static str, u32>| {
        tell.lock().unwrap().push((gone.key, *gone.value, gone.weight, gone.stands_again()));
    };
    let store = builder.listener_causes([tierstack::Cause::Overflowed]).listener(listener).build().unwrap();
    let view = store.pin();
    for (number, key) in ["a", "b", "c", "d", "a", "e", "f", "g", "a", "b", "c"].into_iter().enumerate() {
        view.store(key, u32::try_from(number).unwrap()).unwrap();
    }
    assert_eq!(view.tier_of("a"), Some(Tier::Cold));
    drop(view);
    let gone = told.lock().unwrap().clone();
    let stands: Vec<_> = gone.iter().map(|(key, value, _, stands)| (*key, *value, *stands)).collect();
    assert!(stands.contains(&("a", 0, true)) && stands.contains(&("a", 4, true)) && stands.contains(&("d", 3, false)));
    assert!(stands.iter().all(|(key, _, stands)| *stands == ["a", "b", "c"].contains(key)), "{stands:?}");
}

/// Backing files that are named after keys, and a listener that deletes those of what has left.
#[test]
fn a_listener_that_deletes_files_leaves_that_of_the_new_fragment() {
    let files: Arc<Mutex<HashMap<u32, u32>>> = Arc::default();
    let builder = TierStore::<u32, u32>::builder(1).weigher(|_, _| 1);
    let builder = builder.warm_capacity(Capacity::entries(0)).cold_capacity(Capacity::entries(0));
    let delete = Arc::clone(&files);
    let listener = builder.listener_causes([tierstack::Cause::Overflowed]).listener(move |gone| {
        if !gone.stands_again() {
            delete.lock().unwrap().remove(gone.key);
        }
    });
    let store = listener.build().unwrap();
    let mut view = store.pin();
    for number in 0..10_000 {
        let key = number * 7 % 5;
        files.lock().unwrap().insert(key, number);
        view.store(key, number).unwrap();
        if number % 9 == 0 {
            view.repin();
        }
    }
    drop(view);
    let standing = store.iter(Tier::Hot).map(|item| (item.key, item.value));
    assert_eq!(*files.lock().unwrap(), standing.collect::<HashMap<_, _>>());
}

/// The listener may ask within any operation of its own, and of other threads.
#[test]
fn a_listener_may_ask_wherever_it_is_called() {
    type Store = TierStore<u32, u32>;
    let own = Arc::new(OnceLock::<Weak<Store>>::new());
    let builder = Store::builder(4).weigher(|_, _| 1);
    let builder = builder.warm_capacity(Capacity::entries(0)).cold_capacity(Capacity::entries(0));
    let listener = {
        let own = Arc::clone(&own);
        builder.listener_causes([tierstack::Cause::Overflowed]).listener(move |gone| {
            let store = own.get().and_then(Weak::upgrade).unwrap();
            if *gone.value > 0 && !gone.stands_again() {
                store.store(*gone.key, gone.value - 1).unwrap();
                let _view = store.pin();
                // Others may push it out again at any time.
                let _ = gone.stands_again();
            }
        })
    };
    let store = Arc::new(listener.build().unwrap());
    own.set(Arc::downgrade(&store)).unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..2_000 {
                    store.store((number * 5 + thread) % 64, 3).unwrap();
                }
            });
        }
    });
    assert_eq!(store.len(Tier::Hot), 4);
}

/// Backing files that are named after versions: a listener that deletes what has left needs to ask nobody, whatever is stored meanwhile.
#[test]
fn a_listener_that_deletes_files_named_after_versions_deletes_the_right_ones() {
    let files: Arc<Mutex<HashMap<Version, u32>>> = Arc::default();
    let builder = TierStore::<u32, u32>::builder(3).weigher(|_, _| 1);
    let builder = builder.warm_capacity(Capacity::entries(0)).cold_capacity(Capacity::entries(0));
    let delete = Arc::clone(&files);
    let listener = builder.listener_causes([tierstack::Cause::Overflowed]).listener(move |gone| {
        delete.lock().unwrap().remove(&gone.version);
    });
    let store = listener.build().unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            let (store, files) = (&store, &files);
            scope.spawn(move || {
                for number in 0..2_000 {
                    // Never replaced.
                    let key = 4 * number + thread;
                    let view = store.pin();
                    let version = view.store(key, number).unwrap().version;
                    files.lock().unwrap().insert(version, number);
                    // It may have been pushed out before the file was made.
                    if view.peek(&key).is_none_or(|now| now.version != version) {
                        files.lock().unwrap().remove(&version);
                    }
                }
            });
        }
    });
    let standing: HashMap<_, _> = store.iter(Tier::Hot).map(|item| (item.version, item.value)).collect();
    assert_eq!((standing.len(), &*files.lock().unwrap()), (3, &standing));
}
