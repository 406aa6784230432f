//! Lines: which cells are open to a hash, by vectors and cell by cell, and what lookups find by them.

use std::array;

use super::{Aligned, Cell, Content, Inserted, Kind, Nodes, Owner, ROOM, Swap, spread};
use crate::engine::index::line::{Line, Lines, WIDTH};

/// A cell of each kind, for that hash.
fn cells(node: *mut Aligned, hash: u64) -> Vec<Cell<Aligned>> {
    let content = Content::of(node, hash);
    let filled = || {
        let cell = Cell::new();
        assert_eq!(cell.fill(content), Swap::Done);
        cell
    };
    let made = |make: &dyn Fn(&Cell<Aligned>)| {
        let cell = filled();
        make(&cell);
        cell
    };
    let done = |swap| assert_eq!(swap, Swap::Done);
    let frozen_null = Cell::new();
    done(frozen_null.freeze(frozen_null.load()));
    vec![
        Cell::new(),
        frozen_null,
        filled(),
        made(&|cell| done(cell.pass(content))),
        made(&|cell| done(cell.freeze(content))),
        made(&|cell| done(cell.bury(content, hash))),
        made(&|cell| {
            done(cell.bury(content, hash));
            done(cell.pass(cell.load()));
        }),
        made(&|cell| {
            done(cell.pass(content));
            done(cell.bury(cell.load(), hash));
        }),
        made(&|cell| {
            done(cell.freeze(content));
            cell.leave(cell.load());
        }),
    ]
}

fn hashes() -> Vec<u64> {
    let mut hashes: Vec<u64> = (0..64).flat_map(|bit| [1 << bit, !(1 << bit), u64::MAX << bit]).collect();
    hashes.extend((0..64).map(|number| spread(number).rotate_left(17)));
    hashes.push(0);
    hashes
}

#[test]
fn what_may_have_something_of_a_hash_is_open_to_it_and_what_has_another_fingerprint_is_not() {
    let mut node = Aligned(0);
    let node = &raw mut node;
    let mut left_out = 0;
    for own in hashes() {
        // Of more kinds than a line has cells: with the first ones, and with the last ones.
        for first in [0, 1] {
            let mut cells = cells(node, own).into_iter().skip(first);
            let line = Line(array::from_fn(|_| cells.next().expect("there are so many")));
            for hash in hashes() {
                let (open, by_cell) = (line.open(hash), line.open_by_cell(hash));
                assert_eq!(open.0 & by_cell.0, by_cell.0, "a vector leaves out more");
                assert_eq!(open.0 >> WIDTH, 0, "cells beyond the line");
                for (place, cell) in line.0.iter().enumerate() {
                    let content = cell.load();
                    let matters = match content.kind() {
                        Kind::Null | Kind::FrozenNull | Kind::Moved => true,
                        Kind::Node(_) | Kind::FrozenNode(_) => hash == own,
                        Kind::Tomb => content.serves(hash),
                    };
                    assert!(!matters || by_cell.0 >> place & 1 == 1, "{own:x} is closed to {hash:x}");
                    left_out += u32::from(open.0 >> place & 1 == 0);
                }
            }
        }
    }
    assert!(left_out > 1_000 || cfg!(not(target_arch = "x86_64")), "{left_out} are left out");
}

#[test]
fn open_cells_are_taken_in_their_order() {
    let mut open = crate::engine::index::line::Open(0b1010_0110);
    assert_eq!(std::iter::from_fn(|| open.take()).collect::<Vec<_>>(), [1, 2, 5, 7]);
    assert_eq!(open.take(), None);
}

#[test]
fn lines_are_lines_of_the_cache_and_empty() {
    for count in [2, 8, 1_024] {
        let lines = Lines::<Aligned>::new(count);
        assert_eq!((lines.len(), lines.as_ptr().addr() % 64), (count, 0));
        assert!(lines.iter().all(|line| line.0.iter().all(|cell| matches!(cell.load().kind(), Kind::Null))));
        let last = &lines[count - 1].0[WIDTH - 1];
        let mut node = Aligned(0);
        assert_eq!(last.fill(Content::of(&raw mut node, 1)), Swap::Done);
    }
}

/// All keys have one home, at the last line: the probe goes on from line to line, and round the end.
#[test]
fn a_probe_goes_on_behind_a_full_line() {
    let owner = Owner::hashing(|key| !0 << 58 | key, 0);
    for key in 0..ROOM {
        assert!(!owner.has(key));
        assert_eq!((owner.insert(key), owner.insert(key)), (Inserted::Done, Inserted::Present));
    }
    assert!((0..ROOM).all(|key| owner.has(key)) && !owner.has(ROOM));
    (0..ROOM).step_by(3).for_each(|key| owner.remove(key));
    assert!((0..ROOM).all(|key| owner.has(key) == (key % 3 != 0)));
}

/// A fill that ends in the midst of a move leaves the keys in two tables.
#[test]
fn a_lookup_in_the_midst_of_a_move_reads_the_line_where_its_key_is_now() {
    use crate::engine::index::table::steps;

    let keys = 2_000;
    let owner = Owner::hashing(|key| spread(key.wrapping_mul(0xD6E8_FEB8_6659_FD93).rotate_left(32) ^ key), 0);
    (0..keys).for_each(|key| assert_eq!(owner.insert(key), Inserted::Done));
    // 1,664 fit into 2,048 cells.
    let mut key = keys;
    while !owner.is_moving() || owner.with_root(Nodes::given_out) < 3_000 {
        assert_eq!(owner.insert(key), Inserted::Done);
        key += 1;
    }
    let before = steps::so_far();
    assert!((0..key).all(|key| owner.has(key)));
    let steps = steps::so_far() - before;
    assert!(steps < 5 * key, "{steps} lines and cells looked at for {key} keys");
    assert!(!(key..2 * key).any(|key| owner.has(key)));
}
