//! The index: inserts, removals and replacements of one key beside each other, beside lookups, and while the table grows.
//!
//! Tables are small in models: four cells, of which three are used before the next table is made.

use std::ptr::NonNull;
use std::sync::Arc;

use loom_tests::collected::{collected, spawn};
use loom_tests::{both_hold, holds};
use tierstack::Tier;
use tierstack::internals::{IS_COMPARED, Index, Inserted, Node, Outcome, Place, State, Stats};

type Numbered = Node<u64, u64>;

/// An index, which owns its nodes.
struct Table {
    index: Index<u64, u64>,
    stats: Arc<Stats>,
}

/// Where the bits of a hash begin that are its fingerprint.
const FINGERPRINT: u32 = 16;

/// Where a key's probe starts, by its top bits: those of one tens digit start at one cell. Keys a thousand apart have one hash.
fn hash(key: u64) -> u64 {
    let key = key % 1_000;
    (key / 10) << 62 | key << FINGERPRINT | key
}

impl Table {
    /// With those keys; those from 90 to 99 are removed again, and leave a tombstone.
    fn new(keys: &[u64]) -> Arc<Self> {
        let table = Self { index: Index::with_room_for(0, 0), stats: Arc::new(Stats::new()) };
        for &key in keys {
            assert_eq!(table.insert(key, key), Inserted::Done);
        }
        for &key in keys.iter().filter(|key| (90..100).contains(*key)) {
            assert_eq!(table.remove(key), Some(key));
        }
        Arc::new(table)
    }

    fn node(&self, key: u64, value: u64) -> NonNull<Numbered> {
        let node = Box::new(Node::new(hash(key), key, value, 1, 1, &self.stats));
        node.place.prepare(Place::fresh(Tier::Warm, 1));
        NonNull::from(Box::leak(node))
    }

    fn insert(&self, key: u64, value: u64) -> Inserted {
        let node = self.node(key, value);
        let inserted = self.index.insert(node, |other| *other == key, &crossbeam_epoch::pin());
        if inserted == Inserted::Present {
            // SAFETY: it was boxed, and was not published.
            unsafe { Node::free(node.as_ptr()) };
        }
        inserted
    }

    fn find(&self, key: u64) -> Option<u64> {
        let guard = crossbeam_epoch::pin();
        let (node, place) = self.index.find(hash(key), |other| *other == key, &guard)?;
        assert!(place.tier().is_some() && *node.key() == key);
        Some(*node.value())
    }

    /// Whether this thread ended the key.
    fn remove(&self, key: u64) -> Option<u64> {
        let guard = crossbeam_epoch::pin();
        loop {
            let ((node, place), spot) = self.index.find_spot(hash(key), |other| *other == key, &guard)?;
            if let Outcome::Done(_) = node.place.remove(place) {
                self.index.bury(spot.as_ref(), hash(key), &guard);
                return Some(*node.value());
            }
        }
    }

    /// Replaces a key that is there and that nobody else replaces; whether it took effect.
    fn replace(&self, key: u64, value: u64) -> bool {
        let guard = crossbeam_epoch::pin();
        let Some(((old, mut place), spot)) = self.index.find_spot(hash(key), |other| *other == key, &guard) else {
            return false;
        };
        let new = self.node(key, value);
        while place.tier().is_some() {
            match old.place.replace(place, new) {
                Outcome::Lost(now) => place = now,
                Outcome::Done(_) => {
                    self.index.swing(spot.as_ref(), new, hash(key), &guard);
                    return true;
                }
            }
        }
        assert_eq!(place.state(), State::Removed);
        // SAFETY: it never took effect, so that nobody follows a pointer to it.
        unsafe { Node::free(new.as_ptr()) };
        false
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: the threads have been joined.
        unsafe { self.index.tear_down() };
    }
}

/// Explores two things beside each other, what ends in "grow" within a lower bound, over an index with `keys`; each has its turn as the thread that is spawned.
fn beside<A: Send + 'static, B: Send + 'static>(
    name: &str,
    keys: &'static [u64],
    first: fn(&Table) -> A,
    second: fn(&Table) -> B,
    check: fn(&Table, A, B),
) {
    let second_spawned = move || {
        collected(move || {
            let table = Table::new(keys);
            let spawned = in_thread(&table, second);
            let from_first = first(&table);
            let from_second = spawned.join().unwrap();
            loom::skip_branch();
            table.index.audit(&crossbeam_epoch::pin());
            check(&table, from_first, from_second);
        });
    };
    let first_spawned = move || {
        collected(move || {
            let table = Table::new(keys);
            let spawned = in_thread(&table, first);
            let from_second = second(&table);
            let from_first = spawned.join().unwrap();
            loom::skip_branch();
            table.index.audit(&crossbeam_epoch::pin());
            check(&table, from_first, from_second);
        });
    };
    let preemptions = if name.ends_with("grow") { 1 } else { 2 };
    both_hold(name, preemptions, (second_spawned, first_spawned));
}

fn in_thread<T: Send + 'static>(
    table: &Arc<Table>,
    run: impl FnOnce(&Table) -> T + Send + 'static,
) -> loom::thread::JoinHandle<T> {
    let table = Arc::clone(table);
    spawn(move || run(&table))
}

/// A key has one cell: once it is removed, nothing of it is found.
fn has_one_cell(table: &Table, key: u64) {
    assert!(table.remove(key).is_some());
    assert_eq!(table.find(key), None, "another cell of the key");
}

fn one_of_two(table: &Table, first: Inserted, second: Inserted) {
    one_of_two_of(11, table, first, second);
}

fn one_of_two_of(key: u64, table: &Table, first: Inserted, second: Inserted) {
    let value = match (first, second) {
        (Inserted::Done, Inserted::Present) => 100,
        (Inserted::Present, Inserted::Done) => 200,
        both => panic!("{both:?}"),
    };
    assert_eq!(table.find(key), Some(value));
    has_one_cell(table, key);
}

#[test]
fn of_two_inserts_of_a_key_one_is_in() {
    let (first, second) = (|table: &Table| table.insert(11, 100), |table: &Table| table.insert(11, 200));
    beside("insert, insert", &[], first, second, one_of_two);
    beside("insert, insert, behind another key", &[12], first, second, one_of_two);
}

#[test]
fn of_two_inserts_of_a_key_one_is_in_while_the_table_grows() {
    beside(
        "insert, insert, grow",
        &[12, 90, 91],
        |table| table.insert(11, 100),
        |table| table.insert(11, 200),
        |table, first, second| {
            one_of_two(table, first, second);
            assert_eq!(table.find(12), Some(12));
        },
    );
}

#[test]
fn of_two_inserts_of_a_key_one_is_in_where_the_other_finds_the_table_full() {
    beside(
        "insert, insert another and insert, grow",
        &[12, 90],
        |table| table.insert(11, 100),
        |table| {
            assert_eq!(table.insert(14, 14), Inserted::Done);
            table.insert(11, 200)
        },
        |table, first, second| {
            one_of_two(table, first, second);
            assert_eq!([12, 14].map(|key| table.find(key)), [12, 14].map(Some));
        },
    );
}

#[test]
fn of_two_inserts_of_a_removed_key_one_is_in() {
    let (first, second) = (|table: &Table| table.insert(95, 100), |table: &Table| table.insert(95, 200));
    beside("insert, insert, over a tombstone", &[95], first, second, |table, first, second| {
        one_of_two_of(95, table, first, second);
    });
    beside("insert, insert, over a tombstone, grow", &[95, 12, 90], first, second, |table, first, second| {
        one_of_two_of(95, table, first, second);
    });
}

#[test]
fn an_insert_that_passes_a_key_of_its_hash_beside_its_removal_and_another_insert() {
    for keys in [&[1_011][..], &[90, 1_011]] {
        beside(
            "insert, remove another of the hash and insert",
            keys,
            |table| table.insert(11, 100),
            |table| {
                assert_eq!(table.remove(1_011), Some(1_011));
                table.insert(11, 200)
            },
            |table, first, second| {
                one_of_two(table, first, second);
                assert_eq!(table.find(1_011), None);
            },
        );
    }
}

#[test]
fn a_removed_key_that_comes_back_while_the_table_is_moved_is_in() {
    beside(
        "insert over a tombstone, insert, grow",
        &[95, 12, 90],
        |table| table.insert(95, 100),
        |table| table.insert(14, 200),
        |table, first, second| {
            assert_eq!((first, second), (Inserted::Done, Inserted::Done));
            assert_eq!([12, 14, 95].map(|key| table.find(key)), [12, 200, 100].map(Some));
            has_one_cell(table, 95);
        },
    );
}

#[test]
fn keys_of_one_hash_have_one_cell_each_when_they_were_moved() {
    beside(
        "remove one of two of a hash, insert, grow",
        &[11, 1_011, 90],
        |table| table.remove(11),
        |table| table.insert(14, 200),
        |table, removed, inserted| {
            assert_eq!((removed, inserted), (Some(11), Inserted::Done));
            assert_eq!((table.insert(1_011, 300), table.insert(11, 400)), (Inserted::Present, Inserted::Done));
            has_one_cell(table, 1_011);
            has_one_cell(table, 11);
        },
    );
}

#[test]
fn inserts_of_two_keys_are_both_in_while_the_table_grows() {
    beside(
        "insert, insert of another, grow",
        &[12, 90],
        |table| table.insert(11, 100),
        |table| table.insert(14, 200),
        |table, first, second| {
            assert_eq!((first, second), (Inserted::Done, Inserted::Done));
            assert_eq!([11, 12, 14].map(|key| table.find(key)), [100, 12, 200].map(Some));
            has_one_cell(table, 11);
            has_one_cell(table, 14);
        },
    );
}

#[test]
fn an_insert_beside_a_removal_of_the_key() {
    for keys in [&[11][..], &[90, 11, 91]] {
        beside(
            "insert, remove",
            keys,
            |table| table.insert(11, 100),
            |table| table.remove(11),
            |table, inserted, removed| match (inserted, removed) {
                (Inserted::Present, Some(11)) => assert_eq!(table.find(11), None),
                (Inserted::Done, Some(11)) => {
                    assert_eq!(table.find(11), Some(100));
                    has_one_cell(table, 11);
                }
                both => panic!("{both:?}"),
            },
        );
    }
}

#[test]
fn a_present_key_is_never_missed_while_the_table_grows() {
    beside(
        "find, insert that grows",
        &[90, 12, 91],
        |table| (table.find(12), table.find(13)),
        |table| table.insert(14, 200),
        |table, found, inserted| {
            assert_eq!((found, inserted), ((Some(12), None), Inserted::Done));
            assert_eq!([12, 14].map(|key| table.find(key)), [12, 200].map(Some));
        },
    );
}

#[test]
fn a_key_is_never_missed_while_it_is_replaced() {
    for keys in [&[11][..], &[90, 11, 91]] {
        beside(
            "find, replace",
            keys,
            |table| table.find(11),
            |table| table.replace(11, 100),
            |table, found, replaced| {
                assert!(replaced && [Some(11), Some(100)].contains(&found), "{found:?}");
                assert_eq!(table.find(11), Some(100));
                has_one_cell(table, 11);
            },
        );
    }
}

#[test]
fn a_key_that_is_replaced_while_the_table_grows_is_the_new_one() {
    beside(
        "replace, insert that grows",
        &[11, 90, 91],
        |table| table.replace(11, 100),
        |table| table.insert(14, 200),
        |table, replaced, inserted| {
            assert_eq!((replaced, inserted), (true, Inserted::Done));
            assert_eq!([11, 14].map(|key| table.find(key)), [100, 200].map(Some));
            has_one_cell(table, 11);
        },
    );
}

#[test]
fn a_key_that_is_removed_while_the_table_grows_stays_removed() {
    beside(
        "remove, insert that grows",
        &[11, 90, 91],
        |table| table.remove(11),
        |table| table.insert(14, 200),
        |table, removed, inserted| {
            assert_eq!((removed, inserted), (Some(11), Inserted::Done));
            assert_eq!([11, 14].map(|key| table.find(key)), [None, Some(200)]);
        },
    );
}

#[test]
fn a_lookup_beside_two_that_insert_and_remove() {
    holds("find, insert of another that grows, remove", 0, || {
        collected(|| {
            let table = Table::new(&[11, 12, 90]);
            let inserter = in_thread(&table, |table| table.insert(14, 200));
            let remover = in_thread(&table, |table| table.remove(11));
            assert_eq!(table.find(12), Some(12));
            assert_eq!((inserter.join().unwrap(), remover.join().unwrap()), (Inserted::Done, Some(11)));
            loom::skip_branch();
            assert_eq!([11, 12, 14].map(|key| table.find(key)), [None, Some(12), Some(200)]);
        });
    });
}

/// As [`beside`], with lines compared by fingerprints, which may be old.
fn beside_compared<A: Send + 'static, B: Send + 'static>(
    name: &str,
    keys: &'static [u64],
    first: fn(&Table) -> A,
    second: fn(&Table) -> B,
    check: fn(&Table, A, B),
) {
    IS_COMPARED.set(true);
    beside(name, keys, first, second, check);
    IS_COMPARED.set(false);
}

#[test]
fn a_present_key_is_never_missed_by_fingerprints() {
    beside_compared(
        "find by fingerprints, insert, grow",
        &[90, 12, 91],
        |table| (table.find(12), table.find(13)),
        |table| table.insert(14, 200),
        |table, found, inserted| {
            assert_eq!((found, inserted), ((Some(12), None), Inserted::Done));
            assert_eq!([12, 14].map(|key| table.find(key)), [12, 200].map(Some));
        },
    );
    beside_compared(
        "find by fingerprints, replace",
        &[90, 11],
        |table| table.find(11),
        |table| table.replace(11, 100),
        |table, found, replaced| {
            assert!(replaced && [Some(11), Some(100)].contains(&found), "{found:?}");
            has_one_cell(table, 11);
        },
    );
}

#[test]
fn of_two_inserts_of_a_key_one_is_in_by_fingerprints() {
    let (first, second) = (|table: &Table| table.insert(11, 100), |table: &Table| table.insert(11, 200));
    beside_compared("insert, insert by fingerprints", &[12], first, second, one_of_two);
    beside_compared(
        "insert, insert by fingerprints, over a tombstone",
        &[95],
        |table| table.insert(95, 100),
        |table| table.insert(95, 200),
        |table, first, second| {
            one_of_two_of(95, table, first, second);
        },
    );
    beside_compared(
        "insert, remove another of the hash and insert, by fingerprints",
        &[1_011],
        |table| table.insert(11, 100),
        |table| {
            assert_eq!(table.remove(1_011), Some(1_011));
            table.insert(11, 200)
        },
        |table, first, second| {
            one_of_two(table, first, second);
            assert_eq!(table.find(1_011), None);
        },
    );
}

#[test]
fn room_is_reserved_beside_all_else() {
    let reserve = |table: &Table| table.index.reserve(8, &crossbeam_epoch::pin());
    beside(
        "reserve, insert, grow",
        &[11],
        reserve,
        |table| table.insert(12, 12),
        |table, (), inserted| {
            assert_eq!(inserted, Inserted::Done);
            assert_eq!([11, 12].map(|key| table.find(key)), [11, 12].map(Some));
        },
    );
    beside(
        "reserve, remove, grow",
        &[11, 21],
        reserve,
        |table| table.remove(11),
        |table, (), removed| {
            assert_eq!((removed, table.find(11), table.find(21)), (Some(11), None, Some(21)));
        },
    );
    beside("reserve, reserve, grow", &[11], reserve, reserve, |table, (), ()| has_one_cell(table, 11));
}
