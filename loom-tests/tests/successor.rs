//! The announcement of a successor, with no index and no order around it: who finds the successor through its predecessor sees what
//! its storer wrote into it.
//!
//! The storer may stop right after the announcement, so that its compare-and-swap is all that publishes the successor: the word
//! that says *replaced* is written by whoever commits, who may be another.

use std::ptr::NonNull;
use std::sync::Arc;

use loom_tests::collected::spawn;
use loom_tests::watched::Watched;
use loom_tests::{both_hold, holds};
use tierstack::Tier;
use tierstack::internals::{Announced, Fit, Node, Outcome, Place, State, Stats};

type Fragment = Node<Watched, Watched>;

/// A key's first node, hot, and its successor, once there is one.
struct Key {
    first: Box<Fragment>,
    stats: Arc<Stats>,
}

impl Key {
    fn new() -> Arc<Self> {
        let stats = Arc::new(Stats::new());
        let first = Box::new(Node::new(0, Watched::new(1), Watched::new(1), 5, 1, &stats));
        first.place.prepare(Place::unlisted(Tier::Hot, 1));
        let Outcome::Done(_) = first.place.list(first.place.load()) else { unreachable!("nobody else has it") };
        Arc::new(Self { first, stats })
    }

    /// Makes a node and announces it.
    fn announce(&self, number: u64) -> Announced {
        let node = Node::new(0, Watched::new(number), Watched::new(number), 5, number, &self.stats);
        node.place.prepare(Place::pending(number, Fit::Always));
        let node = NonNull::from(Box::leak(Box::new(node)));
        let announced = self.first.announce(node);
        if announced == Announced::Taken {
            // SAFETY: it was boxed, and nobody else has it.
            unsafe { Node::free(node.as_ptr()) };
        }
        announced
    }

    /// Has the successor take effect, and reads it: its number.
    fn commit(&self) -> u64 {
        let mut place = self.first.place.load();
        while place.tier().is_some() {
            match self.first.place.replace(place) {
                Outcome::Done(now) | Outcome::Lost(now) => place = now,
            }
        }
        self.read().expect("it was replaced")
    }

    /// The number of the node that has taken effect in the first one's stead.
    fn read(&self) -> Option<u64> {
        let State::Replaced { from } = self.first.place.load().state() else { return None };
        // SAFETY: the nodes live as long as the key, with no collector.
        let node = unsafe { self.first.follow(from, crossbeam_epoch::unprotected()) }.expect("it was announced");
        let (number, place) = (node.value().number(), node.place.load());
        assert_eq!(node.key().number(), number);
        assert!(place.is_at(Tier::Hot, number), "its storer has reserved its bytes: {place:?}");
        Some(number)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        let successor = self.first.successor();
        if !successor.is_null() {
            // SAFETY: it was boxed, and the threads have been joined.
            unsafe { Node::free(successor) };
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

/// As a lookup or a helper that finds what was announced; the number that it read.
fn commit_what_is_announced(key: &Key) -> Option<u64> {
    (!key.first.successor().is_null()).then(|| key.commit())
}

#[test]
fn who_commits_for_a_storer_that_stopped_sees_what_it_wrote() {
    let storer_spawned = || {
        let key = Key::new();
        let storer = in_thread(&key, |key| key.announce(2));
        let read = commit_what_is_announced(&key);
        assert_eq!(storer.join().unwrap(), Announced::Done);
        assert!(read.is_none_or(|number| number == 2));
    };
    let helper_spawned = || {
        let key = Key::new();
        let helper = in_thread(&key, commit_what_is_announced);
        assert_eq!(key.announce(2), Announced::Done);
        assert!(helper.join().unwrap().is_none_or(|number| number == 2));
    };
    both_hold("announce, commit", 4, (storer_spawned, helper_spawned));
}

#[test]
fn of_two_storers_the_second_commits_the_first_one_s_and_sees_it() {
    holds("announce and commit, announce and commit", 4, || {
        let key = Key::new();
        let store = |number| move |key: &Key| (key.announce(number), key.commit());
        let other = in_thread(&key, store(2));
        let (own, read) = store(3)(&key);
        let (announced, read_by_other) = other.join().unwrap();
        assert_ne!(own, announced, "one of the two was first");
        let first = if own == Announced::Done { 3 } else { 2 };
        assert_eq!((read, read_by_other), (first, first));
    });
}

#[test]
fn who_finds_it_through_the_replaced_word_sees_what_its_storer_wrote() {
    holds("announce, commit, read", 3, || {
        let key = Key::new();
        let storer = in_thread(&key, |key| key.announce(2));
        let helper = in_thread(&key, |key| {
            commit_what_is_announced(key);
        });
        assert!(key.read().is_none_or(|number| number == 2));
        helper.join().unwrap();
        assert_eq!(storer.join().unwrap(), Announced::Done);
    });
}
