//! A tier's order: a page of it with no directory around, and the whole order, whose directory is a stand-in here.
//!
//! A page has four ticks in these models: a block of two slots, with a block of two cells in each. So they reach what comes with the filling,
//! emptying and sealing of blocks of both levels.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_epoch::{Guard, pin};
use loom::cell::UnsafeCell;
use loom_tests::collected::{Pinned, collected, spawn_pinned};
use loom_tests::{both_hold, holds};
use tierstack::internals::{Clock, FAN, Filled, Order, Page, SPAN};

const _: () = assert!(FAN == 2 && SPAN == 4);

/// Entries of two pages.
const ENTRIES: usize = 8;

/// What an entry points to: a number that loom watches, written before the entry is filled.
struct Entry {
    watched: UnsafeCell<u64>,
}

// SAFETY: `watched` is written before the entry is shared, and only read from then on; loom checks that.
unsafe impl Send for Entry {}
// SAFETY: as above.
unsafe impl Sync for Entry {}

impl Entry {
    fn new() -> Self {
        Self { watched: UnsafeCell::new(0) }
    }

    /// Written by who fills it, so that an order that is too weak to publish the entry is a race.
    fn write(&self, tick: u64) {
        // SAFETY: nobody else reads it before it is filled; loom checks that.
        self.watched.with_mut(|watched| unsafe { *watched = tick + 1 });
    }

    fn read(&self) -> u64 {
        // SAFETY: as for `Sync`.
        self.watched.with(|watched| unsafe { *watched }) - 1
    }
}

fn entries() -> [Entry; ENTRIES] {
    std::array::from_fn(|_| Entry::new())
}

/// A page, beside an entry for each of its ticks.
struct Alone {
    page: Page<Entry>,
    entries: [Entry; ENTRIES],
}

impl Drop for Alone {
    fn drop(&mut self) {
        // SAFETY: the last count of the page is dropped.
        unsafe { self.page.tear_down() };
    }
}

impl Alone {
    fn new() -> Arc<Self> {
        Arc::new(Self { page: Page::new(0), entries: entries() })
    }

    /// One in which those were filled in turn, and all but the first were cleared: they leave the blocks that they share with it.
    fn after(offsets: &[u64]) -> Arc<Self> {
        let alone = Self::new();
        for offset in offsets {
            alone.by(&pin()).fill(*offset);
        }
        for offset in offsets.iter().skip(1) {
            alone.by(&pin()).clear(*offset);
        }
        alone
    }

    fn by<'a>(&'a self, guard: &'a Guard) -> Thread<'a> {
        Thread { alone: self, guard }
    }
}

/// A thread in the page.
struct Thread<'a> {
    alone: &'a Alone,
    guard: &'a Guard,
}

impl Thread<'_> {
    fn entry(&self, offset: u64) -> &Entry {
        &self.alone.entries[usize::try_from(offset).unwrap()]
    }

    fn fill(&self, offset: u64) {
        self.entry(offset).write(offset);
        assert_eq!(self.alone.page.fill(offset, self.entry(offset), self.guard), Filled::Done);
    }

    /// Fills the entry, which is found then, as nobody else clears it.
    fn fill_and_find(&self, offset: u64) {
        self.fill(offset);
        assert_eq!(self.first_from(offset), Some(offset), "it was filled");
    }

    /// As one of several; what the entry points to was written before.
    fn fill_too(&self, offset: u64) {
        assert_eq!(self.alone.page.fill(offset, self.entry(offset), self.guard), Filled::Done);
    }

    fn fill_too_and_find(&self, offset: u64) {
        self.fill_too(offset);
        assert_eq!(self.first_from(offset), Some(offset), "it was filled");
    }

    fn clear(&self, offset: u64) {
        self.alone.page.clear(offset, self.entry(offset), self.guard);
    }

    /// The first entry at `from` or above, which is read.
    fn first_from(&self, from: u64) -> Option<u64> {
        let (offset, entry) = self.alone.page.first_from(from, self.guard)?;
        assert_eq!(entry.read(), offset);
        Some(offset)
    }

    fn all(&self) -> Vec<u64> {
        let mut all = Vec::new();
        self.alone.page.visit(self.guard, |offset, entry| {
            assert_eq!(entry.read(), offset);
            all.push(offset);
        });
        all
    }
}

/// Runs that in a thread of its own, which is pinned.
fn in_thread<S: Send + Sync + 'static>(
    shared: &Arc<S>,
    run: impl FnOnce(&S, &Guard) + Send + 'static,
) -> loom::thread::JoinHandle<((), Pinned)> {
    let shared = Arc::clone(shared);
    spawn_pinned(move |guard| run(&shared, guard))
}

type Run<S> = fn(&S, &Guard);

/// Explores two threads beside each other, each of which has its turn as the one that is spawned; then `check`.
fn pair<S: Send + Sync + 'static>(
    name: &str,
    preemptions: usize,
    prepare: fn() -> Arc<S>,
    (one, other): (Run<S>, Run<S>),
    check: Run<S>,
) {
    let model = move |own: Run<S>, spawned: Run<S>| {
        move || {
            collected(move || {
                let shared = prepare();
                let thread = in_thread(&shared, spawned);
                let guard = Pinned::new();
                own(&shared, &guard);
                drop(thread.join().unwrap());
                check(&shared, &guard);
            });
        }
    };
    both_hold(name, preemptions, (model(one, other), model(other, one)));
}

#[test]
fn what_is_filled_beside_a_clear_is_there() {
    // In each the block that the entry belongs in is there, or comes, or goes.
    let check: Run<Alone> = |alone, guard| assert_eq!(alone.by(guard).all(), [1]);
    let race: (Run<Alone>, Run<Alone>) =
        (|alone, guard| alone.by(guard).fill_and_find(1), |alone, guard| alone.by(guard).clear(0));
    pair("a single, fill of its neighbour", 4, || Alone::after(&[0]), race, check);
    pair("a block of cells, fill of the other", 4, || Alone::after(&[0, 1]), race, check);
    pair("a block of slots, fill of its neighbour", 4, || Alone::after(&[0, 2]), race, check);
}

#[test]
fn what_is_filled_beside_the_sealing_of_the_block_above_is_there() {
    let check: Run<Alone> = |alone, guard| assert_eq!(alone.by(guard).all(), [2]);
    let race: (Run<Alone>, Run<Alone>) =
        (|alone, guard| alone.by(guard).fill_and_find(2), |alone, guard| alone.by(guard).clear(0));
    pair("a single in a block, fill of a slot", 4, || Alone::after(&[0, 2]), race, check);
    pair("a cell in two blocks, fill of a slot", 4, || Alone::after(&[0, 1]), race, check);
}

#[test]
fn a_taker_beside_a_fill_takes_what_is_there() {
    let take: Run<Alone> = |alone, guard| {
        let by = alone.by(guard);
        assert_eq!(by.first_from(0), Some(0), "the oldest first");
        by.clear(0);
        // The other, if it is there by now.
        if let Some(next) = by.first_from(0) {
            by.clear(next);
        }
    };
    let check: Run<Alone> = |alone, guard| assert!(matches!(alone.by(guard).all()[..], [] | [1 | 2]));
    pair(
        "fill of a neighbour, take",
        4,
        || Alone::after(&[0, 1]),
        (|alone: &Alone, guard| alone.by(guard).fill(1), take),
        check,
    );
    pair(
        "fill of a slot, take",
        4,
        || Alone::after(&[0]),
        (|alone: &Alone, guard| alone.by(guard).fill(2), take),
        check,
    );
}

#[test]
fn two_that_fill_are_both_there() {
    for (name, other) in [("neighbours", 1), ("one far from the other", 2)] {
        let model = move || {
            collected(move || {
                let alone = Alone::new();
                let filling = in_thread(&alone, move |alone, guard| alone.by(guard).fill_and_find(other));
                let guard = Pinned::new();
                alone.by(&guard).fill_and_find(0);
                drop(filling.join().unwrap());
                assert_eq!(alone.by(&guard).all(), [0, other]);
            });
        };
        holds(&format!("fill, fill: {name}"), 4, model);
    }
}

/// Two threads beside one that clears 0, the last of a block of slots.
fn two_beside_a_seal(name: &str, first: Run<Alone>, second: Run<Alone>, left: &'static [u64]) {
    holds(name, 2, move || {
        collected(move || {
            let alone = Alone::after(&[0, 2]);
            alone.by(&pin()).entry(3).write(3);
            let (first, second) = (in_thread(&alone, first), in_thread(&alone, second));
            let guard = Pinned::new();
            alone.by(&guard).clear(0);
            drop((first.join().unwrap(), second.join().unwrap()));
            assert_eq!(alone.by(&guard).all(), left);
        });
    });
}

/// Two fills meet in a slot of a block that is sealed: one has put a single there, and not counted it; the other puts a block
/// in its place. Nothing is filled in that block unless it was counted in the one above.
#[test]
fn two_that_fill_beside_a_seal_are_both_there() {
    two_beside_a_seal(
        "fill, fill of its neighbour, seal",
        |alone, guard| alone.by(guard).fill(2),
        |alone, guard| alone.by(guard).fill_too_and_find(3),
        &[2, 3],
    );
}

/// The second finds the entry filled, and not counted; it counts it itself before it relies on it.
#[test]
fn two_that_fill_one_entry_beside_a_seal_find_it() {
    let fill: Run<Alone> = |alone, guard| alone.by(guard).fill_too_and_find(3);
    two_beside_a_seal("fill, fill of one entry, seal", fill, fill, &[3]);
}

#[test]
fn two_that_fill_one_entry_fill_it_once() {
    for (name, before) in [("a single", &[][..]), ("in a block", &[0]), ("a cell", &[0, 1])] {
        let model = move || {
            collected(move || {
                let alone = Alone::after(before);
                alone.by(&pin()).entry(1).write(1);
                let other = in_thread(&alone, |alone, guard| alone.by(guard).fill_too_and_find(1));
                let guard = Pinned::new();
                let by = alone.by(&guard);
                by.fill_too_and_find(1);
                drop(other.join().unwrap());
                by.clear(1);
                assert_eq!(by.first_from(1), None);
            });
        };
        holds(&format!("fill, fill of one entry: {name}"), 4, model);
    }
}

/// A scan finds the first cell empty and notes that, so that the next one leaves it out, while it is filled; late, as a demotion keeps its tick.
#[test]
fn what_is_filled_where_a_scan_notes_that_nothing_is_is_found() {
    let scan: Run<Alone> = |alone, guard| assert!(alone.by(guard).first_from(0).is_some(), "1 is there");
    let fill: Run<Alone> = |alone, guard| alone.by(guard).fill_and_find(0);
    let check: Run<Alone> = |alone, guard| assert_eq!(alone.by(guard).all(), [0, 1]);
    pair("fill, scan", 4, || Alone::after(&[1, 0]), (fill, scan), check);
    let noted = || {
        let alone = Alone::after(&[1, 0]);
        assert_eq!(alone.by(&pin()).first_from(0), Some(1));
        alone
    };
    pair("fill of what was noted, scan", 4, noted, (fill, scan), check);
}

/// Two each clear one of the two cells of a block, which is to be taken out when both are empty. Each changes a cell and then reads the
/// other's, which acquire and release do not order: both may miss that the block is empty. That costs memory, until the next one passes.
#[test]
fn what_two_cleared_is_taken_out_by_one_of_them_or_by_the_next_who_passes() {
    static LEFT: AtomicBool = AtomicBool::new(false);
    holds("clear, clear", 4, || {
        collected(|| {
            let alone = Alone::after(&[0, 1]);
            alone.by(&pin()).fill(1);
            let other = in_thread(&alone, |alone, guard| alone.by(guard).clear(1));
            let guard = Pinned::new();
            let by = alone.by(&guard);
            by.clear(0);
            drop(other.join().unwrap());
            if !alone.page.try_seal(&guard) {
                LEFT.store(true, Ordering::Relaxed);
                assert_eq!(by.first_from(0), None);
                assert!(alone.page.try_seal(&guard), "the scan has taken out what was empty");
            }
        });
    });
    assert!(LEFT.load(Ordering::Relaxed), "not claimed: that one of two who clear seals");
}

/// One entry moves up from tick to tick, each filled before the one below is cleared. No other model of this file has a node in two entries.
/// Whoever scans beside it meets it: it stands there throughout.
fn climb(alone: &Alone, guard: &Guard) {
    let entry = &alone.entries[0];
    for offset in 1..SPAN - 1 {
        assert_eq!(alone.page.fill(offset, entry, guard), Filled::Done);
        alone.page.clear(offset - 1, entry, guard);
    }
}

#[test]
fn what_moves_up_within_its_page_is_not_passed_over() {
    let meet: Run<Alone> = |alone, guard| {
        let (_, entry) = alone.page.first_from(0, guard).expect("it stands there throughout");
        assert_eq!(entry.read(), 0);
    };
    let visit: Run<Alone> = |alone, guard| {
        let mut met = 0;
        alone.page.visit(guard, |_, entry| {
            assert_eq!(entry.read(), 0);
            met += 1;
        });
        assert!(met > 0, "it stands there throughout");
    };
    let prepared: [(&str, fn() -> Arc<Alone>); 2] =
        [("from a single", || Alone::after(&[0])), ("from a cell", || Alone::after(&[0, 1]))];
    for (name, prepare) in prepared {
        pair(&format!("climb {name}, first"), 2, prepare, (climb, meet), |_, _| {});
        pair(&format!("climb {name}, visit"), 2, prepare, (climb, visit), |_, _| {});
    }
}

/// A whole order, beside entries for two pages.
struct Whole {
    order: Order<Entry>,
    clock: Clock,
    entries: [Entry; ENTRIES],
}

impl Whole {
    /// The clock stands far above all pages, so that every empty one is to be sealed.
    fn new() -> Arc<Self> {
        Arc::new(Self { order: Order::new(), clock: Clock::starting_at(100), entries: entries() })
    }

    /// One with that entry; a younger page came and went, so that no shortcut leads to the page of it.
    fn with(tick: u64) -> Arc<Self> {
        let whole = Self::new();
        let guard = pin();
        whole.fill(tick, &guard);
        for tick in [3 * SPAN, 2 * SPAN] {
            whole.order.fill(tick, whole.entry(0), &whole.clock, &guard);
            whole.order.clear(tick, whole.entry(0), &whole.clock, &guard);
        }
        drop(guard);
        whole
    }

    fn fill(&self, tick: u64, guard: &Guard) {
        self.entry(tick).write(tick);
        self.order.fill(tick, self.entry(tick), &self.clock, guard);
    }

    fn entry(&self, tick: u64) -> &Entry {
        &self.entries[usize::try_from(tick).unwrap()]
    }

    fn clear(&self, tick: u64, guard: &Guard) {
        self.order.clear(tick, self.entry(tick), &self.clock, guard);
    }

    fn oldest<'g>(&self, guard: &'g Guard) -> Option<(u64, &'g Entry)> {
        self.order.cursor(guard).here(&self.clock)
    }

    fn oldest_tick(&self, guard: &Guard) -> Option<u64> {
        let (tick, entry) = self.oldest(guard)?;
        assert_eq!(entry.read(), tick);
        Some(tick)
    }
}

#[test]
fn what_is_filled_while_its_page_is_sealed_is_found_in_the_next() {
    pair(
        "order: fill, clear and seal",
        3,
        || Whole::with(0),
        (
            |whole: &Whole, guard| whole.fill(1, guard),
            |whole: &Whole, guard| {
                whole.clear(0, guard);
                // What was the oldest page is sealed by the next that looks for another.
                whole.order.clear(2 * SPAN, whole.entry(0), &whole.clock, guard);
            },
        ),
        |whole, guard| assert_eq!(whole.oldest_tick(guard), Some(1)),
    );
}

#[test]
fn the_oldest_is_never_passed_over_while_others_come_and_go() {
    let prepare = || {
        let whole = Whole::new();
        let guard = pin();
        whole.fill(1, &guard);
        whole.fill(SPAN, &guard);
        drop(guard);
        whole
    };
    let come_and_go: Run<Whole> = |whole, guard| {
        whole.fill(SPAN + 1, guard);
        whole.clear(SPAN, guard);
    };
    let take_oldest: Run<Whole> = |whole, guard| {
        assert_eq!(whole.oldest_tick(guard), Some(1));
        whole.clear(1, guard);
        assert!(matches!(whole.oldest_tick(guard), Some(4 | 5)), "one of them is there throughout");
    };
    pair("order: oldest, fill, clear", 3, prepare, (come_and_go, take_oldest), |whole, guard| {
        assert_eq!(whole.oldest_tick(guard), Some(SPAN + 1));
    });
}

/// The entry of tick 3 moves up into the next page, and there on; the emptied page is sealed.
#[test]
fn what_moves_up_into_the_next_page_is_not_passed_over() {
    let climb: Run<Whole> = |whole, guard| {
        let entry = whole.entry(SPAN - 1);
        for tick in SPAN..SPAN + 2 {
            whole.order.fill(tick, entry, &whole.clock, guard);
            whole.order.clear(tick - 1, entry, &whole.clock, guard);
        }
    };
    let meet: Run<Whole> = |whole, guard| {
        let (_, entry) = whole.oldest(guard).expect("it stands there throughout");
        assert_eq!(entry.read(), SPAN - 1);
    };
    let visit: Run<Whole> = |whole, guard| {
        let mut met = 0;
        whole.order.visit(guard, |_, entry| {
            assert_eq!(entry.read(), SPAN - 1);
            met += 1;
        });
        assert!(met > 0, "it stands there throughout");
    };
    pair("order: climb, oldest", 3, || Whole::with(SPAN - 1), (climb, meet), |_, _| {});
    pair("order: climb, visit", 3, || Whole::with(SPAN - 1), (climb, visit), |_, _| {});
}
