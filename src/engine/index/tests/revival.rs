//! Removed keys that come back: to the cell that they had, and never to a second one.

use std::sync::Arc;

use super::{Inserted, Kind, Owner, ROOM};
use crate::failpoint::{Step, arm};

/// All keys have one home; of two that are a thousand apart the hashes are one.
fn hash(key: u64) -> u64 {
    key % 1_000
}

fn owner(keys: &[u64]) -> Arc<Owner> {
    let owner = Owner::hashing(hash, 0);
    assert!(keys.iter().all(|key| owner.insert(*key) == Inserted::Done));
    Arc::new(owner)
}

impl Owner {
    fn used(&self) -> u64 {
        self.with_root(|root| root.room.used())
    }

    /// Asserts that a key has one cell: once it is removed, nothing of it is found.
    fn has_one_cell(&self, key: u64) {
        self.remove(key);
        assert!(!self.has(key), "another cell of {key}");
    }
}

#[test]
fn a_removed_key_comes_back_to_its_cell() {
    let owner = owner(&[1, 2, 3]);
    for _ in 0..100 {
        owner.remove(2);
        assert!(!owner.has(2) && owner.has(1) && owner.has(3));
        assert_eq!((owner.insert(2), owner.insert(2)), (Inserted::Done, Inserted::Present));
        assert_eq!(owner.used(), 3);
    }
    owner.audit();
}

#[test]
fn a_cell_that_was_passed_by_a_key_of_its_hash_serves_nobody_again() {
    let owner = owner(&[1, 1_001]);
    owner.remove(1);
    assert!(owner.has(1_001) && !owner.has(1));
    assert_eq!((owner.insert(1_001), owner.used()), (Inserted::Present, 2));
    assert_eq!((owner.insert(1), owner.used()), (Inserted::Done, 3));
    owner.has_one_cell(1_001);
    owner.has_one_cell(1);
    owner.audit();
}

#[test]
fn hashes_of_one_class_share_a_cell_and_others_do_not() {
    let owner = Owner::hashing(|key| key << 32, 0);
    assert_eq!(owner.insert(1), Inserted::Done);
    owner.remove(1);
    // The class leaves out three bits.
    let is_shared = usize::BITS == 64;
    assert_eq!((owner.insert(2), owner.used()), (Inserted::Done, if is_shared { 1 } else { 2 }));
    assert_eq!((owner.insert(1), owner.has(2)), (Inserted::Done, true));
    owner.has_one_cell(2);
    owner.has_one_cell(1);
    assert_eq!((owner.insert(8), owner.has(8)), (Inserted::Done, true));
    owner.audit();
}

/// An insert of key 1 has passed the cell of another key of its hash when that one is removed, and key 1 inserted by another thread.
#[test]
fn an_insert_that_has_passed_a_cell_meets_one_that_comes_when_it_is_free() {
    for others in [&[1_001][..], &[5, 1_001, 6], &[1_001, 2_001]] {
        let owner = owner(others);
        arm(Step::RoomClaimed, {
            let owner = Arc::clone(&owner);
            move || {
                owner.remove(1_001);
                assert_eq!(owner.insert(1), Inserted::Done);
            }
        });
        assert_eq!(owner.insert(1), Inserted::Present);
        owner.has_one_cell(1);
        owner.audit();
    }
}

/// An insert is about to revive a tombstone when the table is moved.
#[test]
fn an_insert_that_revives_a_cell_of_a_table_that_is_moved_looks_again() {
    let keys: Vec<u64> = (0..ROOM).collect();
    let owner = owner(&keys);
    owner.remove(7);
    let old = owner.with_root(|root| std::ptr::from_ref(root).addr());
    arm(Step::RoomClaimed, {
        let owner = Arc::clone(&owner);
        move || {
            assert_eq!(owner.insert(100), Inserted::Done);
            owner.end_move();
            assert!(owner.with_root(|root| std::ptr::from_ref(root).addr()) != old);
        }
    });
    assert_eq!(owner.insert(7), Inserted::Done);
    assert!((0..ROOM).all(|key| owner.has(key)) && owner.has(100));
    owner.has_one_cell(7);
    owner.audit();
}

/// An insert has looked at the key before the tombstone that it is about to revive when the table gets a next one.
#[test]
fn nothing_is_revived_in_a_table_that_has_a_next_one() {
    // In two runs, with nulls between them: of the four first lines, and of one further on.
    fn hash(key: u64) -> u64 {
        let line = if key >= 5_000 { key % 4 } else { 5 };
        (line << 61) | (key % 1_000)
    }

    let owner = Owner::hashing(hash, 0);
    let keys: Vec<u64> = (5_000..5_036).chain(2..ROOM - 36).chain([1_001, 1]).collect();
    assert!(keys.iter().all(|key| owner.insert(*key) == Inserted::Done) && owner.used() == ROOM);
    owner.remove(1);
    let is_key = |other: &u64| {
        if *other == 1_001 && !owner.is_moving() {
            assert_eq!(owner.insert(5_100), Inserted::Done);
            assert!(owner.is_moving());
        }
        *other == 1
    };
    assert_eq!(owner.insert_by(1, is_key), Inserted::Done);
    owner.audit();
    assert!(keys.iter().all(|key| owner.has(*key)));
    owner.has_one_cell(1);
}

/// Both keys of a hash are moved: the first cell of the new table is passed for the second.
#[test]
fn a_copy_marks_what_it_passes() {
    let owner = owner(&[1, 1_001]);
    (2..=ROOM).for_each(|key| assert_eq!(owner.insert(key), Inserted::Done));
    owner.end_move();
    owner.with_root(|root| {
        let [first, second] = [0, 1].map(|step| root.at(hash(1), step).load());
        assert!(matches!((first.kind(), second.kind()), (Kind::Node(_), Kind::Node(_))));
        assert!(first.is_passed() && !second.is_passed());
    });
    owner.remove(1);
    assert_eq!((owner.insert(1_001), owner.insert(1)), (Inserted::Present, Inserted::Done));
    owner.has_one_cell(1_001);
    owner.has_one_cell(1);
    owner.audit();
}
