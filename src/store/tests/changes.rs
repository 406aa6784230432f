//! Stores that depend on what is there, where others come between their steps.

use std::sync::{Arc, OnceLock};
use std::thread;

use super::sweep::validate;
use crate::failpoint::{Step, arm};
use crate::{Capacity, GetOrStored, ReplaceIfRefusal, StoreIfAbsentRefusal, Tier, TierStore, UpdateRefusal};

type Store = Arc<TierStore<u32, u64>>;

/// A store of values that weigh what they say.
fn weights(budget: u64) -> Store {
    Arc::new(TierStore::builder(budget).weigher(|_: &u32, weight: &u64| *weight).build().unwrap())
}

/// Has another thread do that when this one next reaches `step`.
fn at(step: Step, store: &Store, run: impl FnOnce(&Store) + Send + 'static) {
    let store = Arc::clone(store);
    arm(step, move || thread::spawn(move || run(&store)).join().unwrap());
}

/// At rest everything agrees, and no byte of hot is held.
fn settled(store: &Store, fragments: usize) {
    assert_eq!(validate(store), fragments);
    let budget = store.hot_budget();
    assert_eq!(store.store(99, budget).unwrap().tier, Tier::Hot, "all of it can be had");
    assert_eq!(validate(store), fragments + 1);
}

/// The steps of a store that is not done yet, at which others may come in.
const BEFORE: [Step; 2] = [Step::Reserved, Step::Filled];

#[test]
fn a_key_that_comes_while_room_is_made_is_not_replaced() {
    for step in BEFORE {
        let store = weights(10);
        store.store(2, 9).unwrap();
        at(step, &store, |store| assert!(store.store(1, 1).is_ok()));
        let refused = store.store_if_absent(1, 2).unwrap_err();
        let found = store.peek(&1).unwrap();
        assert_eq!((refused.key, refused.value, found.value), (1, 2, 1), "{step:?}");
        let StoreIfAbsentRefusal::Present { tier, version } = refused.reason else { panic!("{refused:?}") };
        assert_eq!((tier, version), (found.tier, found.version));
        settled(&store, 2);
    }
}

#[test]
fn a_key_that_comes_and_goes_while_room_is_made_is_absent() {
    for step in BEFORE {
        let store = weights(10);
        at(step, &store, |store| {
            store.store(1, 1).unwrap();
            store.remove(&1).unwrap();
        });
        assert_eq!(store.store_if_absent(1, 2).unwrap().tier, Tier::Hot);
        settled(&store, 1);
    }
}

#[test]
fn what_is_replaced_meanwhile_is_not_replaced_again() {
    for step in BEFORE {
        let store = weights(10);
        let old = store.store(1, 1).unwrap().version;
        at(step, &store, |store| assert!(store.store(1, 2).is_ok()));
        let refused = store.replace_if(1, &old, 3).unwrap_err();
        let found = store.peek(&1).unwrap();
        assert_eq!((refused.value, found.value), (3, 2), "{step:?}");
        assert_eq!(refused.reason, ReplaceIfRefusal::Changed { tier: Tier::Hot, version: found.version });
        settled(&store, 1);
    }
}

#[test]
fn what_moves_or_is_used_meanwhile_is_replaced() {
    for step in BEFORE {
        let store = weights(10);
        let old = store.store(1, 1).unwrap().version;
        at(step, &store, |store| {
            store.demote(&1).unwrap();
            store.get(&1).unwrap();
            store.promote(&1).unwrap();
        });
        let new = store.replace_if(1, &old, 3).unwrap();
        assert_eq!((new.replaced, store.peek(&1).unwrap().version), (Some(1), new.version), "{step:?}");
        settled(&store, 1);
    }
}

#[test]
fn what_is_removed_meanwhile_is_not_replaced() {
    for step in BEFORE {
        let store = weights(10);
        let old = store.store(1, 1).unwrap().version;
        at(step, &store, |store| assert!(store.remove(&1).is_some()));
        let refused = store.replace_if(1, &old, 3).unwrap_err();
        assert_eq!((refused.value, refused.reason), (3, ReplaceIfRefusal::NotFound), "{step:?}");
        settled(&store, 0);

        let store = weights(10);
        store.store(1, 1).unwrap();
        at(step, &store, |store| assert!(store.remove(&1).is_some()));
        let refused = store.update(1, |old| old + 1).unwrap_err();
        assert_eq!((refused.value, refused.reason), (Some(2), UpdateRefusal::NotFound));
        settled(&store, 0);
    }
}

#[test]
fn an_update_is_of_what_it_replaces_whenever_that_comes() {
    for step in BEFORE {
        let store = weights(100);
        store.store(1, 1).unwrap();
        at(step, &store, |store| assert!(store.store(1, 10).is_ok()));
        let mut given = Vec::new();
        let updated = store.update(1, |old| {
            given.push(*old);
            old + 1
        });
        assert_eq!((updated.unwrap().replaced, given), (Some(10), vec![1, 10]), "{step:?}");
        settled(&store, 1);
    }
}

/// The listener runs between the two: what it is given made room.
#[test]
fn what_was_found_to_be_there_and_has_gone_again_is_stored() {
    let kept: Arc<OnceLock<Store>> = Arc::default();
    let in_listener = Arc::clone(&kept);
    let none = Capacity::entries(0);
    let store = TierStore::builder(1).weigher(|_: &u32, weight: &u64| *weight).warm_capacity(none).cold_capacity(none);
    let store = store.listener_causes([crate::Cause::Overflowed]).listener(move |_| {
        if let Some(store) = in_listener.get() {
            assert_eq!(store.remove(&1).map(|removed| removed.value), Some(0));
        }
    });
    let store = Arc::new(store.build().unwrap());
    assert!(kept.set(Arc::clone(&store)).is_ok());
    store.store(2, 1).unwrap();
    at(Step::Reserved, &store, |store| assert!(store.store(1, 0).is_ok()));
    let mut made = 0;
    let stored = store.get_or_store_with(1, || {
        made += 1;
        1
    });
    let GetOrStored::Stored { fragment, .. } = stored.unwrap() else { panic!("it had gone") };
    assert_eq!((fragment.value, made, store.peek(&1)), (1, 1, Some(fragment)));
    assert_eq!((store.metrics().misses, store.metrics().hits), (1, 0));
    assert_eq!(validate(&store), 1);
}
