//! Changes that depend on what is there, and the versions that they depend on.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_epoch::is_pinned;
use tierstack::{
    GetOrStored, MAX_BYTES, Refusal, ReplaceIfRefusal, StoreIfAbsentRefusal, Tier, TierStore, UpdateRefusal, Version,
};

use common::{FewHashes, audit, together};

type Store = TierStore<&'static str, u64>;

/// A store of numbers that weigh what they say.
fn weights(budget: u64) -> Store {
    Store::builder(budget).weigher(|_, weight| *weight).build().unwrap()
}

fn keys(store: &Store, tier: Tier) -> Vec<&'static str> {
    store.iter(tier).map(|item| item.key).collect()
}

fn version(store: &Store, key: &str) -> Version {
    store.peek(key).unwrap().version
}

#[test]
fn a_version_stays_with_moves_and_uses_and_changes_with_each_replacement() {
    let store = weights(10);
    let first = store.store("a", 3).unwrap().version;
    let is_first = |what: &str| {
        assert_eq!(version(&store, "a"), first, "{what}");
        let tier = store.tier_of("a").unwrap();
        assert_eq!(store.iter(tier).next().unwrap().version, first, "{what}: listed");
        assert_eq!(store.pin().peek("a").unwrap().version, first, "{what}: lent");
    };
    is_first("stored");
    assert_eq!(store.get("a").unwrap().version, first);
    is_first("used");
    store.demote_to("a", Tier::Cold).unwrap();
    is_first("demoted");
    store.promote_to("a", Tier::Hot).unwrap();
    is_first("promoted");
    store.promote("a").unwrap();
    is_first("promoted in place");
    // Used and older than another, it is re-listed on the way.
    store.store("b", 3).unwrap();
    store.get("a").unwrap();
    assert_eq!(store.evict_lru(Tier::Hot).unwrap().key, "b");
    is_first("re-listed");
    store.store("c", 8).unwrap();
    is_first("evicted");

    let mut versions = vec![first];
    for value in 0..4 {
        let stored = store.store("a", value % 2).unwrap().version;
        assert!(!versions.contains(&stored), "a version came back");
        assert_eq!(version(&store, "a"), stored);
        versions.push(stored);
    }
    assert_eq!(Some(&store.remove("a").unwrap().version), versions.last());
    assert!(!versions.contains(&store.store("a", 3).unwrap().version), "that of a fragment that was removed");
}

#[test]
fn a_replacement_has_its_own_version_where_its_predecessor_moved_to_a_later_tick() {
    let store = weights(10);
    let old = store.store("a", 1).unwrap().version;
    // The predecessor's placement is younger than many a tick.
    for _ in 0..200 {
        store.promote("a").unwrap();
    }
    let new = store.replace_if("a", &old, 1).unwrap().version;
    assert_ne!(old, new);
    assert_eq!(version(&store, "a"), new);
}

#[test]
fn store_if_absent_stores_what_is_absent_and_says_where_the_present_is() {
    let store = weights(10);
    let stored = store.store_if_absent("a", 4).unwrap();
    assert_eq!((stored.tier, stored.replaced, stored.contended), (Tier::Hot, None, false));
    store.store("b", 6).unwrap();
    store.demote("b");

    let before = store.metrics();
    for (key, tier) in [("a", Tier::Hot), ("b", Tier::Warm)] {
        // There would be no room for it, and nothing is demoted.
        let refused = store.store_if_absent(key, 9).unwrap_err();
        assert_eq!((refused.key, refused.value), (key, 9));
        let version = version(&store, key);
        assert_eq!(refused.reason, StoreIfAbsentRefusal::Present { tier, version });
        assert!(store.pin().store_if_absent(key, 9).is_err());
    }
    assert_eq!(store.metrics(), before, "neither a hit nor a store");
    let heavy = store.store_if_absent("a", MAX_BYTES + 1).unwrap_err();
    assert_eq!(heavy.reason, Refusal::TooHeavy { weight: MAX_BYTES + 1 }.into(), "the weight is looked at first");

    store.remove("a").unwrap();
    assert!(store.store_if_absent("a", 1).is_ok(), "absent again");
    audit(&store, ["a", "b"]);
}

#[test]
fn a_refused_store_is_no_use_of_what_is_there() {
    let store = weights(10);
    for key in ["a", "b", "c"] {
        store.store(key, 3).unwrap();
    }
    let old = version(&store, "b");
    store.store("b", 3).unwrap();
    assert!(store.store_if_absent("a", 3).is_err());
    assert!(store.replace_if("a", &old, 3).is_err());
    assert!(store.update("a", |_| MAX_BYTES + 1).is_err());
    assert_eq!(keys(&store, Tier::Hot), ["b", "c", "a"]);
    assert_eq!(store.evict_lru(Tier::Hot).unwrap().key, "a");
}

#[test]
fn get_or_store_with_uses_what_it_finds_and_makes_what_it_does_not() {
    let store = weights(10);
    store.store("a", 3).unwrap();
    store.store("b", 3).unwrap();
    let found = store.get_or_store_with("a", || unreachable!("it is there")).unwrap();
    assert_eq!(found, GetOrStored::Found(store.peek("a").unwrap()));
    assert_eq!(keys(&store, Tier::Hot), ["a", "b"], "a use");
    let metrics = store.metrics();
    assert_eq!((metrics.hits, metrics.misses, metrics.stores), (1, 0, 2));

    let made = store.get_or_store_with("c", || 5).unwrap();
    assert_eq!(made, GetOrStored::Stored { fragment: store.peek("c").unwrap(), contended: false, kept_out: false });
    assert_eq!((made.into_fragment().value, store.tier_of("b")), (5, Some(Tier::Warm)));
    let metrics = store.metrics();
    assert_eq!((metrics.hits, metrics.misses, metrics.stores), (1, 1, 3));

    let heavy = store.get_or_store_with("d", || MAX_BYTES + 1).unwrap_err();
    assert_eq!((heavy.key, heavy.value), ("d", MAX_BYTES + 1));
    assert_eq!((store.metrics().misses, store.contains("d")), (2, false));
    // What is warm stays there.
    assert_eq!(store.pin().get_or_store_with("b", || unreachable!()).unwrap().into_fragment().tier, Tier::Warm);
}

#[test]
fn what_others_store_while_the_value_is_made_is_found() {
    let store = weights(10);
    let mut stored = None;
    let found = store.get_or_store_with("a", || {
        stored = Some(store.store("a", 1).unwrap().version);
        2
    });
    let GetOrStored::Found(found) = found.unwrap() else { panic!("the first wins") };
    assert_eq!((found.value, Some(found.version)), (1, stored));
    let metrics = store.metrics();
    assert_eq!((metrics.hits, metrics.misses, metrics.stores), (1, 0, 1));
    audit(&store, ["a"]);
}

#[test]
fn replace_if_replaces_the_very_version_and_nothing_else() {
    let store = weights(10);
    let first = store.store("a", 1).unwrap().version;
    store.demote("a");
    let second = store.replace_if("a", &first, 2).unwrap();
    assert_eq!((second.tier, second.replaced), (Tier::Hot, Some(1)), "as a store does");
    let metrics = store.metrics();
    assert_eq!((metrics.stores, metrics.replacements), (2, 1));

    let refused = store.replace_if("a", &first, 3).unwrap_err();
    assert_eq!((refused.key, refused.value), ("a", 3));
    assert_eq!(refused.reason, ReplaceIfRefusal::Changed { tier: Tier::Hot, version: second.version });
    store.remove("a").unwrap();
    let refused = store.pin().replace_if("a", &second.version, 3).unwrap_err();
    assert_eq!((refused.value, refused.reason), (3, ReplaceIfRefusal::NotFound));
    // Equal to what was there, and still another.
    store.store("a", 2).unwrap();
    assert!(store.replace_if("a", &second.version, 3).is_err());
    assert_eq!(store.metrics().stores, 3);
    audit(&store, ["a"]);
}

#[test]
fn a_version_of_another_store_is_refused() {
    let (one, other) = (weights(10), weights(10));
    let mine = one.store("a", 1).unwrap().version;
    let theirs = other.store("a", 1).unwrap().version;
    assert_ne!(mine, theirs);
    // Not even weighed.
    let refused = one.replace_if("a", &theirs, MAX_BYTES + 1).unwrap_err();
    assert_eq!((refused.key, refused.value), ("a", MAX_BYTES + 1));
    assert_eq!(refused.reason, ReplaceIfRefusal::OtherStore);
    assert_eq!(one.pin().replace_if("a", &theirs, 2).unwrap_err().reason, ReplaceIfRefusal::OtherStore);
    assert_eq!(one.peek("a").unwrap().version, mine);
    drop(other);
    let third = weights(10);
    assert_ne!(third.store("a", 1).unwrap().version, theirs, "that of a store that is gone");
}

#[test]
fn update_replaces_what_it_was_given() {
    let store = weights(10);
    let refused = store.update("a", |_| unreachable!("nothing to make it of")).unwrap_err();
    assert_eq!((refused.key, refused.value, refused.reason), ("a", None, UpdateRefusal::NotFound));
    store.store("a", 1).unwrap();
    assert_eq!(store.update("a", |old| old + 1).unwrap().replaced, Some(1));
    assert_eq!(store.pin().update("a", |old| old + 1).unwrap().replaced, Some(&2));
    let refused = store.update("a", |_| MAX_BYTES + 1).unwrap_err();
    assert_eq!(refused.value, Some(MAX_BYTES + 1));
    assert_eq!(refused.reason, Refusal::TooHeavy { weight: MAX_BYTES + 1 }.into());
    assert_eq!(store.peek("a").unwrap().value, 3);
}

#[test]
fn update_makes_it_anew_of_what_has_come_meanwhile() {
    let store = weights(1_000);
    store.store("a", 1).unwrap();
    let mut given = Vec::new();
    let updated = store.update("a", |old| {
        given.push(*old);
        match given.len() {
            1 => _ = store.store("a", 10).unwrap(),
            // Removed, and stored again.
            2 => {
                store.remove("a").unwrap();
                store.store("a", 100).unwrap();
            }
            // Moved and used: that does not matter.
            _ => {
                store.demote("a");
                store.get("a").unwrap();
            }
        }
        old + 1
    });
    assert_eq!(updated.unwrap().replaced, Some(100));
    assert_eq!((given, store.peek("a").unwrap().value), (vec![1, 10, 100], 101));
    let gone = store.update("a", |old| {
        store.remove("a").unwrap();
        old + 1
    });
    let gone = gone.unwrap_err();
    assert_eq!((gone.value, gone.reason), (Some(102), UpdateRefusal::NotFound), "what was made is handed back");
}

#[test]
fn the_functions_run_unpinned() {
    let store = weights(10);
    let made = store.get_or_store_with("a", || {
        assert!(!is_pinned());
        1
    });
    assert!(made.is_ok());
    let updated = store.update("a", |old| {
        assert!(!is_pinned());
        old + 1
    });
    assert!(updated.is_ok());
}

#[test]
fn updates_of_threads_lose_nothing() {
    const THREADS: usize = 4;
    const EACH: u64 = 2_000;
    let store = TierStore::<u8, u64>::builder(4).hasher(FewHashes::ONE).weigher(|_, _| 1).build().unwrap();
    for key in 0..3 {
        store.store(key, 0).unwrap();
    }
    together(THREADS, |thread| {
        let view = store.pin();
        for number in 0..EACH {
            let key = (number % 3) as u8;
            if (number + thread as u64).is_multiple_of(2) {
                assert!(store.update(key, |count| count + 1).is_ok());
            } else {
                assert!(view.update(key, |count| count + 1).is_ok());
            }
            if number % 7 == 0 {
                // Neither changes a version.
                store.demote(&key);
                _ = store.promote_to(&key, Tier::Hot);
            }
        }
    });
    let found = audit(&store, 0..3);
    assert_eq!(found.values().map(|fragment| fragment.value).sum::<u64>(), THREADS as u64 * EACH);
}

#[test]
fn of_threads_that_store_one_key_the_first_wins() {
    let store = TierStore::<u64, usize>::builder(1 << 20).build().unwrap();
    for key in 0..300 {
        let runs = AtomicUsize::new(0);
        let fragments = together(4, |thread| {
            let make = || {
                runs.fetch_add(1, Ordering::Relaxed);
                thread
            };
            match thread % 2 {
                0 => store.get_or_store_with(key, make).unwrap().into_fragment(),
                _ => store.pin().get_or_store_with(key, make).unwrap().cloned().into_fragment(),
            }
        });
        assert!(runs.into_inner() >= 1);
        assert!(fragments.iter().all(|fragment| *fragment == fragments[0]), "{fragments:?}");

        let key = key + 1_000;
        let stored = together(4, |thread| store.store_if_absent(key, thread));
        let won: Vec<_> = stored.iter().flatten().collect();
        let [won] = won[..] else { panic!("not one has won: {stored:?}") };
        for refused in stored.iter().filter_map(|stored| stored.as_ref().err()) {
            let StoreIfAbsentRefusal::Present { version, .. } = refused.reason else { panic!("{refused:?}") };
            assert_eq!(version, won.version);
        }

        let old = won.version;
        let replaced = together(4, |thread| store.replace_if(key, &old, thread));
        assert_eq!(replaced.iter().flatten().count(), 1, "{replaced:?}");
    }
    let metrics = store.metrics();
    assert_eq!((metrics.stores, metrics.replacements), (900, 300));
    assert_eq!((metrics.hits, metrics.misses), (900, 300), "of each that was asked for");
}
