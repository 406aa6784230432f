//! A successor, with no index and no order around it: who finds it through its predecessor's word sees what its storer wrote.
//!
//! The storer may stop right after its compare-and-swap, so that this is all that publishes the successor.

use std::ptr::NonNull;
use std::sync::Arc;

use loom_tests::collected::spawn;
use loom_tests::watched::Watched;
use loom_tests::{both_hold, holds};
use tierstack::Tier;
use tierstack::internals::{List, Node, Outcome, Place, Standing, Stats};

type Fragment = Node<Watched, Watched>;

/// A key's first node, hot, with its successors.
struct Key {
    first: Box<Fragment>,
    stats: Arc<Stats>,
}

impl Key {
    fn new() -> Arc<Self> {
        let stats = Arc::new(Stats::new());
        let first = Box::new(Node::new(0, Watched::new(1), Watched::new(1), 5, 1, &stats));
        first.place.prepare(Place::fresh(Tier::Hot, 1));
        Arc::new(Self { first, stats })
    }

    /// The last of the chain, each of whose nodes is read; with its word.
    fn end(&self) -> (&Fragment, Place) {
        let mut node = &*self.first;
        loop {
            let place = node.place.load();
            assert_eq!(node.key().number(), node.value().number());
            // SAFETY: the nodes live as long as the key, with no collector.
            match unsafe { Node::follow(place, crossbeam_epoch::unprotected()) } {
                Some(successor) => node = successor,
                None => return (node, place),
            }
        }
    }

    /// Makes a node and replaces the last one by it; the number of that.
    fn store(&self, number: u64) -> u64 {
        let node = Node::new(0, Watched::new(number), Watched::new(number), 5, number, &self.stats);
        node.place.prepare(Place::fresh(Tier::Hot, number));
        let node = NonNull::from(Box::leak(Box::new(node)));
        loop {
            let (old, place) = self.end();
            if let Outcome::Done(_) = old.place.replace(place, node) {
                return old.value().number();
            }
        }
    }

    /// The number of the last node, which stands where its storer has said.
    fn read(&self) -> u64 {
        let (node, place) = self.end();
        let number = node.value().number();
        assert!(place.standing(List::Of(Tier::Hot), number) == Standing::At, "{place:?}");
        number
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        let mut next = self.first.place.load().successor::<Fragment>();
        while let Some(node) = next {
            // SAFETY: made from a box; the threads have been joined.
            let node = unsafe { Box::from_raw(node.as_ptr()) };
            next = node.place.load().successor();
            // SAFETY: as above. The box is freed as a node is, with its key and its value.
            unsafe { Node::free(Box::into_raw(node)) };
        }
    }
}

fn in_thread<T: Send + 'static>(
    key: &Arc<Key>,
    run: impl FnOnce(&Key) -> T + Send + 'static,
) -> loom::thread::JoinHandle<T> {
    let key = Arc::clone(key);
    spawn(move || run(&key))
}

#[test]
fn who_finds_it_through_the_replaced_word_sees_what_its_storer_wrote() {
    let storer_spawned = || {
        let key = Key::new();
        let storer = in_thread(&key, |key| key.store(2));
        assert!([1, 2].contains(&key.read()));
        assert_eq!(storer.join().unwrap(), 1);
        assert_eq!(key.read(), 2);
    };
    let reader_spawned = || {
        let key = Key::new();
        let reader = in_thread(&key, Key::read);
        assert_eq!(key.store(2), 1);
        assert!([1, 2].contains(&reader.join().unwrap()));
    };
    both_hold("replace, read", 4, (storer_spawned, reader_spawned));
}

#[test]
fn of_two_storers_the_second_replaces_what_the_first_has_stored() {
    holds("replace, replace", 4, || {
        let key = Key::new();
        let other = in_thread(&key, |key| key.store(2));
        let replaced = key.store(3);
        let replaced_by_other = other.join().unwrap();
        let expected = if replaced == 1 { (1, 3, 2) } else { (2, 1, 3) };
        assert_eq!((replaced, replaced_by_other, key.read()), expected);
    });
}

#[test]
fn two_storers_and_a_reader() {
    holds("replace, replace, read", 2, || {
        let key = Key::new();
        let first = in_thread(&key, |key| key.store(2));
        let second = in_thread(&key, |key| key.store(3));
        assert!([1, 2, 3].contains(&key.read()));
        first.join().unwrap();
        second.join().unwrap();
    });
}
