//! What one thread can see of the index from within: what is where in the midst of a move, when a table is full, and what a cell says.

mod costs;
mod lines;
mod revival;
mod room;

use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::cell::{Cell, Content, Kind, Swap};
use super::table::Table;
use super::{Index, Inserted, spread};
use crate::engine::node::Node;
use crate::engine::place::{Outcome, Place};
use crate::engine::stats::Stats;
use crate::failpoint::{Step, arm};
use crate::tier::Tier;

type Nodes = Table<Node<u64, ()>>;

/// The smallest table's cells, and how many of them take nodes before it grows.
const CELLS: u64 = 64;
const ROOM: u64 = 52;

/// An index, which owns its nodes.
struct Owner {
    index: Index<u64, ()>,
    stats: Arc<Stats>,
    hash: fn(u64) -> u64,
}

/// A quarter of the keys starts at one cell of the smallest table, so that they stand in four runs; the last one passes its end.
/// Keys a thousand apart have one hash.
fn hash(key: u64) -> u64 {
    ((key % 4 * 16 + 9) << 58) | (key % 1_000)
}

impl Owner {
    fn with(keys: u64) -> Self {
        let owner = Self::hashing(hash, 0);
        for key in 0..keys {
            assert_eq!(owner.insert(key), Inserted::Done);
        }
        owner
    }

    fn hashing(hash: fn(u64) -> u64, expected: usize) -> Self {
        Self::with_room_for(expected, expected, hash)
    }

    fn with_room_for(expected: usize, least: usize, hash: fn(u64) -> u64) -> Self {
        Self { index: Index::with_room_for(expected, least), stats: Arc::new(Stats::new()), hash }
    }

    /// A node that nobody sees yet, of one byte.
    fn node(&self, key: u64) -> NonNull<Node<u64, ()>> {
        NonNull::from(Box::leak(Box::new(Node::new((self.hash)(key), key, (), 1, 2, &self.stats))))
    }

    fn insert(&self, key: u64) -> Inserted {
        self.insert_by(key, |other| *other == key)
    }

    fn insert_by(&self, key: u64, is_key: impl Fn(&u64) -> bool) -> Inserted {
        let node = self.node(key);
        // SAFETY: made above.
        let place = unsafe { &node.as_ref().place };
        place.prepare(Place::fresh(Tier::Warm, 1));
        let inserted = self.index.insert(node, is_key, &crossbeam_epoch::pin());
        if inserted == Inserted::Present {
            // SAFETY: it was boxed, and was not published.
            unsafe { Node::free(node.as_ptr()) };
        }
        inserted
    }

    fn has(&self, key: u64) -> bool {
        self.index.find((self.hash)(key), |other| *other == key, &crossbeam_epoch::pin()).is_some()
    }

    fn remove(&self, key: u64) {
        let guard = crossbeam_epoch::pin();
        let (node, place) = self.index.find((self.hash)(key), |other| *other == key, &guard).expect("it is there");
        let Outcome::Done(_) = node.place.remove(place) else { panic!("nobody else") };
        self.index.tidy((self.hash)(key), &guard);
    }

    /// Calls `look` with the root.
    fn with_root<T>(&self, look: impl FnOnce(&Nodes) -> T) -> T {
        look(self.index.root(&crossbeam_epoch::pin()))
    }

    fn is_moving(&self) -> bool {
        self.with_root(|root| !root.next_pointer().is_null())
    }

    /// Has the move of the table end, if there is one: by other writers.
    fn end_move(&self) {
        while self.is_moving() {
            self.index.tidy((self.hash)(0), &crossbeam_epoch::pin());
        }
    }

    fn audit(&self) {
        self.index.audit(&crossbeam_epoch::pin());
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // SAFETY: no other thread has it.
        unsafe { self.index.tear_down() };
    }
}

#[test]
fn a_key_that_is_not_moved_yet_is_present() {
    for key in 0..ROOM {
        let owner = Owner::with(ROOM + 1);
        assert!(owner.is_moving() && owner.has(key));
        assert_eq!(owner.insert(key), Inserted::Present, "{key} is in the old table");
        owner.remove(key);
        assert!(!owner.has(key));
    }
}

#[test]
fn writers_that_pass_end_a_move_and_leave_nothing_behind() {
    let owner = Owner::with(ROOM + 1);
    assert!(owner.is_moving());
    let guard = crossbeam_epoch::pin();
    let old = owner.index.root(&guard);
    for _ in 0..CELLS / 16 {
        owner.index.tidy(hash(0), &guard);
    }
    assert!(!owner.is_moving() && owner.with_root(|root| root.len() == 128));
    for place in 0..old.len() {
        let content = old.cell(place).load();
        assert!(matches!(content.kind(), Kind::FrozenNull | Kind::Moved), "cell {place} is not moved");
    }
    assert!((0..=ROOM).all(|key| owner.has(key)));
}

#[test]
fn a_move_buries_what_was_removed_and_retires_it_once() {
    let owner = Owner::with(ROOM);
    let guard = crossbeam_epoch::pin();
    let old = owner.index.root(&guard);
    let (node, place) = owner.index.find(hash(1), |key| *key == 1, &guard).expect("it is there");
    let Outcome::Done(_) = node.place.remove(place) else { panic!("nobody else") };
    assert_eq!((owner.insert(ROOM), owner.stats.retired_bytes()), (Inserted::Done, 0));
    (0..4).for_each(|_| owner.index.tidy(hash(0), &guard));
    assert!(!owner.is_moving() && matches!(old.at(hash(1), 0).load().kind(), Kind::Tomb));
    assert_eq!(owner.stats.retired_bytes(), 1);
    assert!((0..=ROOM).all(|key| owner.has(key) == (key != 1)));
}

/// Where its replacer swung the copy before the source says that it has moved, a second mover would copy the old one again.
#[test]
fn a_key_that_is_replaced_between_two_movers_is_not_copied_again() {
    let owner = Arc::new(Owner::with(ROOM));
    assert_eq!(owner.insert(ROOM), Inserted::Done);
    let (second, third) = (Arc::clone(&owner), Arc::clone(&owner));
    let replace = move || {
        let guard = crossbeam_epoch::pin();
        let ((old, place), spot) = third.index.find_spot(hash(1), |key| *key == 1, &guard).expect("it is there");
        let new = third.node(1);
        let Outcome::Done(_) = old.place.replace(place, new) else { panic!("nobody else") };
        third.index.swing(spot.as_ref(), new, hash(1), &guard);
    };
    // The first mover has copied the key's node, and the second has found it frozen.
    arm(Step::Copied, move || {
        arm(Step::Frozen, replace);
        second.index.tidy(hash(1), &crossbeam_epoch::pin());
    });
    owner.index.tidy(hash(1), &crossbeam_epoch::pin());
    owner.end_move();
    owner.audit();
    assert_eq!(owner.stats.retired_bytes(), 1, "the old one, once");
    assert!((0..=ROOM).all(|key| owner.has(key)));
}

#[test]
fn a_table_grows_when_thirteen_sixteenths_of_it_are_used() {
    let owner = Owner::with(0);
    let mut grown_at = Vec::new();
    for key in 0..450 {
        let before = owner.with_root(|root| (root.len(), root.next_pointer().is_null()));
        assert_eq!(owner.insert(key), Inserted::Done);
        if before.1 && (owner.is_moving() || owner.with_root(Table::len) > before.0) {
            grown_at.push((key, before.0));
        }
    }
    assert_eq!(grown_at, [(52, 64), (104, 128), (208, 256), (416, 512)]);
}

#[test]
fn keys_of_one_hash_are_told_apart() {
    let owner = Owner::with(2);
    assert!([1_001, 2_001].iter().all(|key| owner.insert(*key) == Inserted::Done));
    assert!([0, 1, 1_001, 2_001].iter().all(|key| owner.has(*key) && owner.insert(*key) == Inserted::Present));
    owner.remove(1_001);
    assert!(!owner.has(1_001) && owner.has(1) && owner.has(2_001));
    assert_eq!((owner.insert(1_001), owner.insert(3_001)), (Inserted::Done, Inserted::Done));
    assert!([0, 1, 1_001, 2_001, 3_001].iter().all(|key| owner.has(*key)));
}

#[test]
fn a_key_is_its_successor_before_its_cell_is_swung_and_after() {
    let owner = Owner::with(2);
    let guard = crossbeam_epoch::pin();
    let find = || owner.index.find(hash(1), |key| *key == 1, &guard).expect("it is there");
    let (old, place) = find();
    let new = owner.node(1);
    let Outcome::Done(_) = old.place.replace(place, new) else { panic!("nobody else") };
    let cell = owner.with_root(|root| ptr::from_ref(root.at(hash(1), 0)));
    // SAFETY: the index does not grow.
    let cell = unsafe { &*cell };
    for in_cell in [ptr::from_ref(old), new.as_ptr()] {
        assert!(matches!(cell.load().kind(), Kind::Node(node) if ptr::eq(node, in_cell)));
        let (found, place) = find();
        assert!(ptr::eq(found, new.as_ptr()) && place == Place::fresh(Tier::Warm, 2));
        assert_eq!(owner.insert(1), Inserted::Present);
        owner.index.tidy(hash(1), &guard);
    }
    assert_eq!(owner.stats.retired_bytes(), 1, "the old one, once");
    let Outcome::Done(_) = find().0.place.remove(find().1) else { panic!("nobody else") };
    owner.index.tidy(hash(1), &guard);
    assert!(matches!(cell.load().kind(), Kind::Tomb) && !owner.has(1));
    assert_eq!(owner.stats.retired_bytes(), 2, "both");
}

#[test]
fn a_removed_key_whose_cell_lags_behind_is_absent_and_inserted_again_in_that_cell() {
    let owner = Owner::with(2);
    let guard = crossbeam_epoch::pin();
    let (old, place) = owner.index.find(hash(1), |key| *key == 1, &guard).expect("it is there");
    let new = owner.node(1);
    let Outcome::Done(_) = old.place.replace(place, new) else { panic!("nobody else") };
    let (last, place) = owner.index.find(hash(1), |key| *key == 1, &guard).expect("it is there");
    let Outcome::Done(_) = last.place.remove(place) else { panic!("nobody else") };
    assert!(!owner.has(1));
    assert_eq!((owner.insert(1), owner.insert(1)), (Inserted::Done, Inserted::Present));
    assert_eq!(owner.stats.retired_bytes(), 2, "both of the chain, once");
    let is_alone = |root: &Nodes| matches!(root.at(hash(1), 1).load().kind(), Kind::Null);
    assert!(owner.has(1) && owner.with_root(is_alone));
}

#[test]
fn every_cell_is_given_out_to_one_helper() {
    let table = Nodes::first(0, 0);
    for range in [0..24, 24..48, 48..64] {
        assert_eq!(table.take_range(24), range);
    }
    assert!(table.take_range(24).is_empty() && table.take_range(24).is_empty());
    assert_eq!([40, 8, 16].map(|cells| table.count_moved(cells)), [false, false, true]);
}

#[test]
fn a_run_starts_with_the_line_of_the_top_bits_and_goes_round() {
    let table = Nodes::first(0, 0);
    for (step, place) in [(0, 8), (1, 9), (55, 63), (56, 0), (63, 7)] {
        assert!(ptr::eq(table.at(9 << 58 | 0x3F, step), table.cell(place)), "step {step}");
    }
}

impl<N> Table<N> {
    /// The cell `step` steps after the first on the probe of `hash`.
    fn at(&self, hash: u64, step: usize) -> &Cell<N> {
        self.run(hash).nth(step).expect("there are more cells")
    }
}

/// What a cell points to has four low bits free.
#[repr(align(16))]
struct Aligned(#[expect(dead_code, reason = "so that two have two addresses")] u64);

#[test]
fn a_cell_says_what_was_put_there_and_refuses_what_it_is_not() {
    let (mut one, mut other) = (Aligned(1), Aligned(2));
    let (one, other) = (&raw mut one, &raw mut other);
    for hash in [0, u64::MAX, 0x0123_4567_89AB_CDEF] {
        let cell = Cell::new();
        let content = Content::of(one, hash);
        assert!(matches!(cell.load().kind(), Kind::Null) && content.may_have(hash));
        assert_eq!(cell.fill(content), Swap::Done);
        assert_eq!(cell.fill(content), Swap::Lost);
        assert!(cell.still_is(content) && matches!(cell.load().kind(), Kind::Node(node) if node == one));
        let swung = Content::of(other, hash);
        assert_eq!((cell.swing(content, swung), cell.bury(content, hash)), (Swap::Done, Swap::Lost));
        assert!(!cell.still_is(content) && matches!(cell.load().kind(), Kind::Node(node) if node == other));
        assert_eq!(cell.freeze(swung), Swap::Done);
        let frozen = cell.load();
        assert!(matches!(frozen.kind(), Kind::FrozenNode(node) if node == other) && frozen.may_have(hash));
        assert!(frozen.is_same_node(swung) && !frozen.is_same_node(content) && frozen.fresh().is_same_node(frozen));
        assert!(matches!(frozen.fresh().kind(), Kind::Node(node) if node == other));
        cell.leave(swung);
        assert!(cell.still_is(frozen), "only what is frozen is moved");
        cell.leave(frozen);
        assert!(matches!(cell.load().kind(), Kind::Moved));

        let cell = Cell::new();
        assert_eq!((cell.fill(content), cell.bury(content, hash)), (Swap::Done, Swap::Done));
        let tomb = cell.load();
        assert!(matches!(tomb.kind(), Kind::Tomb) && tomb.serves(hash) && !tomb.serves(hash ^ 1));
        assert_eq!((cell.revive(tomb, content), cell.revive(tomb, content)), (Swap::Done, Swap::Lost));
        assert_eq!((cell.pass(content), cell.pass(content)), (Swap::Done, Swap::Lost));
        let passed = cell.load();
        assert!(passed.is_passed() && passed.may_have(hash) && !content.is_passed());
        assert!(matches!(passed.kind(), Kind::Node(node) if node == one) && passed.is_same_node(content));
        assert!(!passed.fresh().is_passed());
        assert_eq!(cell.swing(passed, swung), Swap::Done);
        let passed = cell.load();
        assert!(passed.is_passed() && passed.is_same_node(swung));
        assert_eq!(cell.bury(passed, hash), Swap::Done);
        assert!(matches!(cell.load().kind(), Kind::Tomb) && !cell.load().serves(hash));

        let cell = Cell::new();
        assert_eq!((cell.fill(content), cell.bury(content, hash)), (Swap::Done, Swap::Done));
        assert_eq!((cell.pass(tomb), cell.revive(tomb, content)), (Swap::Done, Swap::Lost));
        assert!(matches!(cell.load().kind(), Kind::Tomb) && !cell.load().serves(hash));
    }
    let cell = Cell::<Aligned>::new();
    assert_eq!(cell.freeze(cell.load()), Swap::Done);
    assert!(matches!(cell.load().kind(), Kind::FrozenNull));
}

#[test]
fn a_fingerprint_tells_other_hashes_apart() {
    let mut node = Aligned(0);
    let content = Content::of(&raw mut node, 0);
    let told = (0..64).filter(|bit| !content.may_have(1 << bit)).count();
    assert_eq!(told, if cfg!(target_arch = "x86_64") { 17 } else { 1 }, "bits of a hash in a fingerprint");
}

#[test]
fn weak_hashes_are_spread_over_the_table() {
    let homes: std::collections::HashSet<_> = (0..CELLS).map(|hash| spread(hash) >> 58).collect();
    assert!(homes.len() > 32, "{} homes of {CELLS}", homes.len());
}
