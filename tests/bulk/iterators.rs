//! Iterators that say too much, too little or nothing of their length, and that use the store themselves.

use tierstack::{Tier, TierStore};

use crate::common::tracked::Registry;
use crate::common::{audit, collected_until};

type Store = TierStore<u64, u64>;

fn store() -> Store {
    Store::builder(1 << 30).weigher(|_, _| 1).build().unwrap()
}

/// An iterator that says what it likes of its length.
struct Says<I>(I, usize);

impl<I: Iterator> Iterator for Says<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.1, None)
    }
}

#[test]
fn what_an_iterator_says_of_its_length_is_a_hint() {
    for said in [0, 1, 65, 1000, usize::MAX] {
        for fragments in [0, 1, 64, 65, 1000] {
            let store = store();
            let stored = store.store_all(Says((0..fragments).map(|key| (key, key)), said));
            assert_eq!((stored.stored as u64, stored.refused.len()), (fragments, 0), "{said}");
            assert_eq!(audit(&store, 0..fragments).len() as u64, fragments);
            // And once more into the store that was made so large.
            let stored = store.store_all(Says((0..fragments).map(|key| (key, key + 1)), said));
            assert_eq!(stored.replaced as u64, fragments);
            for key in 0..fragments {
                assert_eq!(store.remove(&key).map(|fragment| fragment.value), Some(key + 1));
            }
            assert!(store.is_empty());
        }
    }
}

#[test]
fn loads_add_up_whatever_is_there_and_whatever_has_gone() {
    let store = store();
    let mut expected = 0;
    for round in 0..20 {
        let keys = round * 700..round * 700 + 1000;
        let stored = store.store_all(keys.clone().map(|key| (key, key)));
        expected += stored.stored - stored.replaced;
        for key in keys.filter(|key| key % 3 == 0) {
            expected -= usize::from(store.remove(&key).is_some());
        }
        assert_eq!(audit(&store, 0..20 * 700 + 300).len(), expected);
    }
}

#[test]
fn an_iterator_may_use_the_store_and_load_it_itself() {
    let store = store();
    let inner = &store;
    let stored = store.store_all((0..300).map(|key| {
        if key % 100 == 50 {
            assert_eq!(inner.store_all((1000..1200).map(|key| (key, key))).stored, 200);
        }
        // Seen once it is stored, which is 64 fragments later at most.
        let seen = (0..key).rev().find(|other| inner.contains(other)).map_or(0, |other| other + 1);
        assert!(key - seen < 64, "{key}: {seen} are there");
        (key, key)
    }));
    assert_eq!((stored.stored, store.len(Tier::Hot)), (300, 500));
    audit(&store, 0..1200);
}

#[test]
fn nothing_is_pinned_while_the_iterator_runs() {
    let registry = Registry::new();
    let garbage = TierStore::<u64, _>::new(1 << 20).unwrap();
    let store = store();
    store.store_all((0..200).map(|key| {
        garbage.store(key, registry.tracked(key)).unwrap();
        drop(garbage.remove(&key));
        if key % 50 == 49 {
            assert!(collected_until(|| registry.alive() == 0), "the thread that loads holds it up");
        }
        (key, key)
    }));
    assert_eq!(store.len(Tier::Hot), 200);
}

#[test]
fn no_value_is_lost_or_dropped_twice() {
    let registry = Registry::new();
    let store = TierStore::<u64, _>::builder(500).weigher(|_, _| 1).build().unwrap();
    for _ in 0..3 {
        store.store_all((0..1000).map(|key| (key % 800, registry.tracked(key))));
    }
    assert!(collected_until(|| registry.alive() == 800));
    drop(store);
    assert!(collected_until(|| registry.alive() == 0));
}
