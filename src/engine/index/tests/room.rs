//! The room in tables: what is claimed, what is handed on from table to table, and what is counted late.

use std::sync::Arc;

use super::{CELLS, Inserted, Nodes, Owner, ROOM};
use crate::engine::index::room::{Claim, Claimed, Counted, Room};
use crate::failpoint::{Step, arm};

/// How many claims are granted until one is refused.
fn claims(room: &Room, claim: Claim) -> u64 {
    (0..1_000).take_while(|_| room.claim(claim) == Claimed::Granted).count() as u64
}

#[test]
fn room_that_is_given_back_is_granted_again_and_none_beyond_it() {
    let room = Room::new(64, 0);
    assert_eq!(claims(&room, Claim::Fill), 52);
    assert_eq!((room.claim(Claim::Fill), room.used(), room.nodes()), (Claimed::Refused, 52, 52));
    assert_eq!((room.give_back(Claim::Fill), room.used(), room.nodes()), (Counted::InTime, 51, 51));
    assert_eq!(claims(&room, Claim::Fill), 1);
    assert_eq!(claims(&Room::new(64, 20), Claim::Fill), 32, "what may still come has room kept");
}

#[test]
fn what_is_buried_and_revived_uses_no_more_cells() {
    let room = Room::new(64, 10);
    for _ in 0..10 {
        assert_eq!(room.count_buried(), Counted::InTime);
    }
    assert_eq!((room.used(), room.nodes()), (10, 0));
    assert_eq!((0..7).filter(|_| room.claim(Claim::Revival) == Claimed::Granted).count(), 7);
    assert_eq!((room.used(), room.nodes()), (10, 7));
    assert_eq!((room.give_back(Claim::Revival), room.nodes()), (Counted::InTime, 6));
}

#[test]
fn nothing_is_claimed_in_a_sealed_room() {
    let room = Room::new(64, 5);
    assert_eq!((room.claim(Claim::Fill), room.claim(Claim::Revival)), (Claimed::Granted, Claimed::Granted));
    for _ in 0..2 {
        room.seal();
        assert_eq!((room.claim(Claim::Fill), room.claim(Claim::Revival)), (Claimed::Refused, Claimed::Refused));
        assert_eq!((room.used(), room.nodes()), (6, 7));
    }
    assert_eq!(room.give_back(Claim::Fill), Counted::InTime);
    assert_eq!(room.give_back(Claim::Revival), Counted::InTime);
    assert_eq!((room.count_buried(), room.nodes()), (Counted::InTime, 4));
}

#[test]
fn what_does_not_come_is_handed_over_and_what_is_counted_after_that_is_late() {
    let room = Room::new(64, 0);
    assert_eq!((0..5).filter(|_| room.claim(Claim::Fill) == Claimed::Granted).count(), 5);
    assert_eq!((room.claim(Claim::Revival), room.count_buried()), (Claimed::Granted, Counted::InTime));
    room.seal();
    let kept = room.nodes();
    assert_eq!((kept, room.count_buried()), (5, Counted::InTime));
    assert_eq!(room.hand_over(kept), 1);
    assert_eq!(room.claim(Claim::Fill), Claimed::Refused);
    let late = [room.give_back(Claim::Fill), room.give_back(Claim::Revival), room.count_buried(), room.lower(1)];
    assert_eq!(late, [Counted::Late; 4]);
}

#[test]
fn a_table_is_sparse_when_a_quarter_of_it_would_be_half_full() {
    let room = Room::new(256, 26);
    assert!(room.is_sparse());
    assert_eq!(room.claim(Claim::Fill), Claimed::Granted);
    assert!(!room.is_sparse());
}

#[test]
fn a_first_table_has_room_for_what_is_expected() {
    for (expected, cells) in [(0, 64), (51, 64), (52, 128), (103, 128), (104, 256), (10_000, 16_384)] {
        let table = Nodes::first(expected, expected);
        assert_eq!(table.len(), cells, "for {expected}");
        assert!((0..expected).all(|_| table.room.claim(Claim::Fill) == Claimed::Granted));
    }
}

#[test]
fn a_successor_is_half_full_at_most_and_neither_far_larger_nor_far_smaller() {
    // The limits are 52, 104, 208, 416 and 832.
    for (nodes, cells) in [(0, 64), (26, 64), (27, 128), (52, 128), (53, 256), (104, 256), (105, 512), (208, 512)] {
        let table = Nodes::of(256, 64, nodes);
        table.room.seal();
        let next = table.successor();
        assert_eq!((next.len(), next.room.used()), (cells, nodes), "{nodes} are left");
    }
    for (nodes, cells) in [(0, 256), (104, 256), (105, 512), (832, 2_048)] {
        assert_eq!(Nodes::of(1_024, 64, nodes).successor().len(), cells, "{nodes} are left of 1,024 cells");
        assert_eq!(Nodes::of(1_024, 1_024, nodes).successor().len(), cells.max(1_024), "no fewer than at first");
    }
}

/// Keys come and go, also while a table is moved: each time room is kept for some that are gone before they are copied.
#[test]
fn a_table_has_the_room_of_the_one_before_in_each_of_hundreds() {
    const LIVE: u64 = 21;
    let owner = Owner::with(LIVE);
    let (mut tables, mut inserts) = (0, 0);
    let mut root = owner.with_root(|root| std::ptr::from_ref(root).addr());
    for key in LIVE.. {
        inserts += u64::from(!owner.is_moving());
        assert_eq!(owner.insert(key), Inserted::Done);
        owner.remove(key - LIVE);
        let now = owner.with_root(|root| std::ptr::from_ref(root).addr());
        if now != root {
            assert!(inserts >= ROOM - LIVE - CELLS / 16, "table {tables} took {inserts}");
            (tables, inserts, root) = (tables + 1, 0, now);
            owner.audit();
        }
        if tables == 300 {
            break;
        }
    }
    assert_eq!(owner.with_root(Nodes::len) as u64, CELLS);
}

#[test]
fn where_helpers_stop_a_full_table_has_the_rest_moved() {
    let owner = Owner::with(ROOM);
    let before = owner.with_root(|root| std::ptr::from_ref(root).addr());
    let mut key = ROOM;
    while owner.with_root(|root| std::ptr::from_ref(root).addr()) == before {
        assert_eq!(owner.insert(key), Inserted::Done);
        key += 1;
        owner.with_root(|root| {
            // All that is left is given out to helpers that stop.
            if std::ptr::from_ref(root).addr() == before && owner.is_moving() {
                root.take_range(64);
            }
        });
    }
    assert!(key > ROOM + 40, "a table of 128 takes 104, of which {ROOM} came from the one before");
    assert!((0..key).all(|key| owner.has(key)));
    owner.end_move();
    owner.audit();
}

/// Churns through tables of the smallest size, in keys from `first` on.
fn churn(owner: &Owner, first: u64) {
    for key in first..first + 1_000 {
        assert_eq!(owner.insert(key), Inserted::Done);
        owner.remove(key);
    }
}

/// A thread stops at that step, and goes on many tables later: then the counts are exact.
fn counts_late(step: Step, provoke: impl Fn(&Owner)) {
    let owner = Arc::new(Owner::with(20));
    let reached = Arc::new(());
    arm(step, {
        let (owner, reached) = (Arc::clone(&owner), Arc::clone(&reached));
        move || {
            churn(&owner, 10_000);
            drop(reached);
        }
    });
    provoke(&owner);
    assert_eq!(Arc::strong_count(&reached), 1, "{step:?} was not reached");
    owner.end_move();
    owner.audit();
    assert_eq!(owner.with_root(Nodes::len) as u64, CELLS);
}

#[test]
fn a_burial_that_is_counted_late_is_counted() {
    counts_late(Step::Buried, |owner| owner.remove(3));
}

#[test]
fn a_claim_that_is_given_back_late_is_given_back() {
    // Of a key that is new, and of one that was removed.
    counts_late(Step::RoomClaimed, |owner| assert_eq!(owner.insert(30), Inserted::Done));
    counts_late(Step::RoomClaimed, |owner| {
        owner.remove(3);
        assert_eq!(owner.insert(3), Inserted::Done);
    });
}

#[test]
fn room_that_is_handed_over_late_is_handed_over() {
    counts_late(Step::Advanced, |owner| churn(owner, 20_000));
}

#[test]
fn a_table_whose_sealer_stops_is_replaced_by_others() {
    counts_late(Step::Sealing, |owner| churn(owner, 20_000));
}

#[test]
fn a_table_of_which_most_is_removed_shrinks_by_the_removals() {
    let owner = Owner::with(10_000);
    owner.end_move();
    assert_eq!(owner.with_root(Nodes::len), 16_384);
    (0..10_000).for_each(|key| owner.remove(key));
    owner.end_move();
    let cells = owner.with_root(Nodes::len);
    assert!(cells <= 1_024, "{cells} cells for nothing");
    owner.audit();
}

#[test]
fn a_table_does_not_shrink_below_what_was_expected() {
    let owner = Owner::hashing(super::hash, 1_000);
    for round in 0..10 {
        (0..1_000).for_each(|key| assert_eq!(owner.insert(round * 1_000 + key), Inserted::Done));
        (0..1_000).for_each(|key| owner.remove(round * 1_000 + key));
        assert_eq!(owner.with_root(Nodes::len), 2_048);
    }
}

/// As that of a store that is restored: room for all at once, and no floor.
#[test]
fn a_table_with_room_for_many_and_a_floor_of_few_shrinks_to_the_floor() {
    let owner = Owner::with_room_for(10_000, 1_000, super::hash);
    assert_eq!(owner.with_root(Nodes::len), 16_384);
    (0..10_000).for_each(|key| assert_eq!(owner.insert(key), Inserted::Done));
    assert_eq!(owner.with_root(Nodes::len), 16_384, "it has not grown");
    (0..10_000).for_each(|key| owner.remove(key));
    owner.end_move();
    assert_eq!(owner.with_root(Nodes::len), 2_048);
    owner.audit();
}

impl Nodes {
    /// A table of that size in which so many nodes are, or are claimed to be.
    fn of(cells: usize, least: usize, nodes: u64) -> Self {
        Self::new(cells, nodes, least)
    }
}
