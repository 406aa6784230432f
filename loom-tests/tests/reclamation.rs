//! Reclamation: nothing is freed while it can be reached, with crossbeam-epoch's own loom mode in the path.
//!
//! Two things watch. A value is in a cell that loom watches, which its drop writes: to read it without being ordered before the drop is a
//! race, and to read it after the drop finds the mark that the drop has left. And the memory of nodes, and of an order's blocks, is poisoned when it is freed, and kept: to look
//! at a word in it fails the model. The collector is driven hard, so that frees do happen beside the readers; each test asserts it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam_epoch::{Guard, LocalHandle};
use loom::cell::UnsafeCell;
use loom_tests::collected::{Plain, collect, collected, spawn};
use loom_tests::holds;
use tierstack::internals::{Block, Clock, Filled, Node, Order, Outcome, Page, Place, Stats};
use tierstack::{Tier, TierStore};

/// Poisons the memory of nodes and blocks when it is freed, and keeps it for the test's process.
struct Poisoning;

const NODE: Layout = Layout::new::<Node<u64, Watched>>();
const BLOCK: Layout = Layout::new::<Block<u64>>();

// SAFETY: the system's allocator, but for nodes and blocks, which are never given out again.
unsafe impl GlobalAlloc for Poisoning {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if layout == NODE || layout == BLOCK {
            let freed = if layout == NODE { &NODES_FREED } else { &BLOCKS_FREED };
            freed.fetch_add(1, Ordering::Relaxed);
            // SAFETY: the caller has given it up.
            unsafe { memory.write_bytes(0xA5, layout.size()) };
        } else {
            // SAFETY: as the caller vouches.
            unsafe { System.dealloc(memory, layout) };
        }
    }
}

#[global_allocator]
static ALLOCATOR: Poisoning = Poisoning;

static NODES_FREED: AtomicUsize = AtomicUsize::new(0);
static BLOCKS_FREED: AtomicUsize = AtomicUsize::new(0);

const DEAD: u64 = u64::MAX;

/// What the drops of an execution's values have to report. The collector lets no panic of theirs through.
#[derive(Default)]
struct Drops {
    done: AtomicUsize,
    raced: AtomicBool,
    /// Raised by each drop. Who reads it in between has loom try both orders of the two: of memory that is freed it knows nothing.
    watched: loom::sync::atomic::AtomicUsize,
}

/// A value of which loom sees the reads and the drop.
struct Watched {
    number: UnsafeCell<u64>,
    drops: Arc<Drops>,
    /// Nodes of a size that nothing else has.
    _size: [u64; 37],
}

// SAFETY: written by its maker before it is shared and by its drop, and only read in between; loom checks that.
unsafe impl Send for Watched {}
// SAFETY: as above.
unsafe impl Sync for Watched {}

impl Watched {
    fn new(number: u64, drops: &Arc<Drops>) -> Self {
        Self { number: UnsafeCell::new(number), drops: Arc::clone(drops), _size: [0; 37] }
    }

    fn read(&self) -> u64 {
        // SAFETY: as for `Sync`.
        let number = self.number.with(|number| unsafe { *number });
        assert_ne!(number, DEAD, "read after it was dropped");
        number
    }
}

impl Clone for Watched {
    fn clone(&self) -> Self {
        Self::new(self.read(), &self.drops)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // SAFETY: as for `Sync`.
        let write = || self.number.with_mut(|number| unsafe { *number = DEAD });
        if catch_unwind(AssertUnwindSafe(write)).is_err() {
            self.drops.raced.store(true, Ordering::Relaxed);
        }
        self.drops.done.fetch_add(1, Ordering::Relaxed);
        self.drops.watched.fetch_add(1, Ordering::Relaxed);
    }
}

type Store = TierStore<u64, Watched, Plain>;

/// Heavy enough that each operation that retires one flushes the collector.
const WEIGHT: u64 = 40_000;

/// Explores `one` and `other` beside each other on a store that holds key 1, and asserts that something was freed beside them in some
/// execution, and never so that it raced with a reader.
fn beside(
    name: &str,
    preemptions: usize,
    one: impl Fn(&Store, &Arc<Drops>) + Copy + Send + Sync + 'static,
    other: impl Fn(&Store, &Arc<Drops>) + Copy + Send + Sync + 'static,
) {
    let freed = Arc::new(AtomicUsize::new(0));
    {
        let freed = Arc::clone(&freed);
        holds(name, preemptions, move || {
            let freed = Arc::clone(&freed);
            collected(move || {
                let drops = Arc::new(Drops::default());
                let store = TierStore::builder(4 * WEIGHT).hasher(Plain).weigher(|_, _| WEIGHT).build().unwrap();
                let store: Arc<Store> = Arc::new(store);
                assert!(store.pin().store(1, Watched::new(1, &drops)).is_ok());
                let thread = {
                    let (store, drops) = (Arc::clone(&store), Arc::clone(&drops));
                    spawn(move || other(&store, &drops))
                };
                one(&store, &drops);
                thread.join().unwrap();
                freed.fetch_add(drops.done.load(Ordering::Relaxed), Ordering::Relaxed);
                loom::skip_branch();
                drop(store);
                assert!(!drops.raced.load(Ordering::Relaxed), "dropped beside a reader");
            });
        });
    }
    let freed = freed.load(Ordering::Relaxed);
    println!("{name}: {freed} values were dropped beside the threads");
    assert!(freed > 0, "{name}: nothing was freed while the threads ran");
}

fn get(store: &Store, _: &Arc<Drops>) {
    let view = store.pin();
    if let Some(found) = view.get(&1) {
        assert!([1, 2].contains(&found.value.read()));
    }
}

/// As the pins of a while: what was retired before is due.
fn churn() {
    (0..3).for_each(|_| collect());
}

#[test]
fn a_value_that_is_replaced_is_not_dropped_under_its_reader() {
    let replace = |store: &Store, drops: &Arc<Drops>| {
        assert!(store.pin().store(1, Watched::new(2, drops)).is_ok());
        churn();
    };
    beside("get, replace", 1, get, replace);
    beside("replace, get", 1, replace, get);
}

#[test]
fn a_value_that_is_removed_is_not_dropped_under_its_reader() {
    let remove = |store: &Store, _: &Arc<Drops>| {
        assert_eq!(store.pin().remove(&1).map(|removed| removed.value.read()), Some(1));
        churn();
    };
    beside("get, remove", 1, get, remove);
    beside("remove, get", 1, remove, get);
}

#[test]
fn a_victim_of_an_eviction_is_not_dropped_under_who_evicted_it() {
    let evict = |store: &Store, _: &Arc<Drops>| {
        let view = store.pin();
        if let Some(evicted) = view.evict_lru(Tier::Hot) {
            assert_eq!(evicted.value.read(), 1);
        }
    };
    let remove = |store: &Store, _: &Arc<Drops>| {
        assert_eq!(store.pin().remove(&1).map(|removed| removed.value.read()), Some(1));
        churn();
    };
    beside("evict, remove", 1, evict, remove);
    beside("remove, evict", 1, remove, evict);
}

/// As [`get`], by an owned operation.
fn get_owned(store: &Store, _: &Arc<Drops>) {
    if let Some(found) = store.get(&1) {
        assert!([1, 2].contains(&found.value.read()));
    }
}

#[test]
fn a_heavy_value_that_goes_at_once_is_not_dropped_under_its_readers() {
    let replace = |store: &Store, drops: &Arc<Drops>| {
        let stored = store.store(1, Watched::new(2, drops)).ok().unwrap();
        assert_eq!(stored.replaced.map(|replaced| replaced.read()), Some(1));
    };
    let remove = |store: &Store, _: &Arc<Drops>| {
        assert_eq!(store.remove(&1).map(|removed| removed.value.read()), Some(1));
    };
    beside("owned get, owned replace", 2, get_owned, replace);
    beside("owned replace, owned get", 2, replace, get_owned);
    beside("owned get, owned remove", 2, get_owned, remove);
    beside("get, owned replace", 2, get, replace);
    beside("owned replace, get", 2, replace, get);
    beside("get, owned remove", 2, get, remove);
}

/// Under which pin a node is given to the collector: that under which it left the index, or a later one, as with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    AtOnce,
    Later,
}

/// A node that is retired by one thread while another, which ended its placement, has not cleared its entry; and who reads the entry.
///
/// Two participants of the collector on one thread stand for the two: the first is pinned from before the end of the node until
/// it has cleared the entry.
fn read_through_an_order(reader_is_spawned: bool, given: Given) {
    let drops = Arc::new(Drops::default());
    let (stats, clock) = (Arc::new(Stats::new()), Clock::starting_at(1));
    let node = Box::into_raw(Box::new(Node::new(0, 1, Watched::new(1, &drops), 1, 1, &stats)));
    let shared = Arc::new((Order::new(), clock));
    // SAFETY: freed through the collector, after the pin of whoever reaches it.
    let dead = unsafe { &*node };
    dead.place.prepare(Place::fresh(Tier::Hot, 1));
    shared.0.fill(1, dead, &shared.1, &crossbeam_epoch::pin());
    let (ender, retirer) = (participant(), participant());
    // A participant's first pin collects, and so moves the epoch on: the two are to be pinned in one.
    drop((ender.pin(), retirer.pin()));
    let pinned = ender.pin();
    let Outcome::Done(_) = dead.place.remove(dead.place.load()) else { unreachable!("nobody else moves it") };
    let mut guard = retirer.pin();
    if given == Given::Later {
        // The pin under which it left the index ends, and the epoch moves on.
        drop(guard);
        retirer.pin().flush();
        guard = retirer.pin();
    }
    // SAFETY: it is in no index, and retired once.
    unsafe { Node::retire(node, &guard) };
    guard.flush();
    drop(guard);
    let ending = Ending { pinned, retirer, _ender: ender };
    let end = {
        let shared = Arc::clone(&shared);
        move || {
            let Ending { pinned, retirer, _ender } = { ending };
            shared.0.clear(1, dead, &shared.1, &pinned);
            drop(pinned);
            (0..3).for_each(|_| retirer.pin().flush());
        }
    };
    let read = {
        let (shared, drops) = (Arc::clone(&shared), Arc::clone(&drops));
        move || {
            let guard = crossbeam_epoch::pin();
            if let Some((tick, node)) = shared.0.first_from(0, &shared.1, &guard) {
                // Relaxed: it is to order nothing.
                drops.watched.load(Ordering::Relaxed);
                let place = node.place.load();
                assert_eq!(tick, 1);
                // Alive under this pin: its value may be read.
                if place.tier().is_some() {
                    assert_eq!(place.tick(), 1);
                    assert_eq!(node.value().read(), 1);
                }
            }
        }
    };
    if reader_is_spawned {
        let reader = spawn(read);
        end();
        reader.join().unwrap();
    } else {
        let ender = spawn(end);
        read();
        ender.join().unwrap();
    }
    loom::skip_branch();
    assert!(!drops.raced.load(Ordering::Relaxed), "dropped beside a reader");
}

/// The two participants, on their way to the thread that plays them.
struct Ending {
    pinned: Guard,
    retirer: LocalHandle,
    _ender: LocalHandle,
}

// SAFETY: they are used by one thread at a time.
unsafe impl Send for Ending {}

fn participant() -> LocalHandle {
    crossbeam_epoch::default_collector().register()
}

#[test]
fn a_node_is_not_freed_under_who_found_it_in_an_order() {
    let before = NODES_FREED.load(Ordering::Relaxed);
    for given in [Given::AtOnce, Given::Later] {
        for reader_is_spawned in [true, false] {
            let name = format!("retire, clear, read the entry; given {given:?}, reader spawned: {reader_is_spawned}");
            holds(&name, 2, move || collected(move || read_through_an_order(reader_is_spawned, given)));
        }
    }
    assert!(NODES_FREED.load(Ordering::Relaxed) > before, "no node was freed");
}

/// Clears the last entry of a page, whose blocks are taken out, and has the collector free what is due, beside a scan.
fn scan_beside_a_clear(scan_is_spawned: bool) {
    let page = Arc::new(Page::new(0));
    {
        let guard = crossbeam_epoch::pin();
        for offset in [0, 1] {
            assert_eq!(page.fill(offset, &NUMBER, &guard), Filled::Done);
        }
        page.clear(1, &NUMBER, &guard);
    }
    let clear = {
        let page = Arc::clone(&page);
        move || {
            page.clear(0, &NUMBER, &crossbeam_epoch::pin());
            churn();
        }
    };
    let scan = move || {
        let guard = crossbeam_epoch::pin();
        assert!(page.first_from(0, &guard).is_none_or(|(offset, number)| (offset, *number) == (0, NUMBER)));
    };
    if scan_is_spawned {
        let scanning = spawn(scan);
        clear();
        scanning.join().unwrap();
    } else {
        let clearing = spawn(clear);
        scan();
        clearing.join().unwrap();
    }
    loom::skip_branch();
}

static NUMBER: u64 = 7;

#[test]
fn a_block_is_not_freed_under_who_scans_it() {
    let before = BLOCKS_FREED.load(Ordering::Relaxed);
    for scan_is_spawned in [true, false] {
        let name = format!("clear the last, scan; scan spawned: {scan_is_spawned}");
        holds(&name, 1, move || collected(move || scan_beside_a_clear(scan_is_spawned)));
    }
    assert!(BLOCKS_FREED.load(Ordering::Relaxed) > before, "no block was freed");
}
