//! Who frees a node that is held without a pin: the deferral that finds it due, or the last of those who hold it.
//!
//! The source of the module itself is compiled here over loom's atomics: in the crate the word is the standard library's also in models, as the
//! collector runs deferrals when no model is running.

#[path = "../../src/engine/node/holders.rs"]
#[allow(clippy::new_without_default, dead_code, reason = "as the crate has it")]
mod holders;

/// What the module imports.
mod sync {
    pub use loom::sync::atomic::Ordering;

    pub mod deferred {
        pub use loom::sync::atomic::AtomicUsize;
    }
}

use holders::{Duty, Holders};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use loom_tests::holds;

/// A node. Its payload is watched: to free it beside a reader is a race, which fails the model.
struct Node {
    holders: Holders,
    freed: AtomicUsize,
    payload: UnsafeCell<u64>,
    /// Written by whoever moves the value out.
    value: UnsafeCell<u64>,
}

// SAFETY: what the model is to show; loom checks the accesses.
unsafe impl Sync for Node {}
// SAFETY: as above.
unsafe impl Send for Node {}

impl Node {
    /// One that so many hold.
    fn held_by(holders: usize) -> Arc<Self> {
        let node = Self {
            holders: Holders::new(),
            freed: AtomicUsize::new(0),
            payload: UnsafeCell::new(1),
            value: UnsafeCell::new(1),
        };
        (0..holders).for_each(|_| node.holders.hold());
        Arc::new(node)
    }

    fn free_if(&self, duty: Duty) {
        if duty == Duty::Others {
            return;
        }
        // Relaxed: counted, and looked at after all threads have ended.
        self.freed.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as for `Sync`.
        self.payload.with_mut(|payload| unsafe { *payload = 0 });
        let value = self.value.with(|value| unsafe { *value });
        assert_eq!(self.holders.is_value_taken(), value == 0, "dropped twice, or never");
    }

    /// As a delivery to the listener does.
    fn read_and_leave(&self) {
        // SAFETY: as for `Sync`.
        assert_eq!(self.payload.with(|payload| unsafe { *payload }), 1, "read after it was freed");
        self.free_if(self.holders.leave());
    }

    fn take_and_leave(&self) {
        // SAFETY: as for `Sync`.
        self.value.with_mut(|value| unsafe { *value = 0 });
        self.holders.take_value();
        self.read_and_leave();
    }

    fn end_of_pins(&self) {
        self.free_if(if self.holders.are_some() { self.holders.due() } else { Duty::Mine });
    }
}

/// Has the first deferral run beside holders that do as given.
fn beside<const N: usize>(holders: [fn(&Node); N]) {
    let node = Node::held_by(N);
    let threads = holders.map(|hold| {
        let node = Arc::clone(&node);
        thread::spawn(move || hold(&node))
    });
    node.end_of_pins();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    // Relaxed: all have ended.
    assert_eq!(node.freed.load(Ordering::Relaxed), 1);
}

#[test]
fn a_held_node_is_freed_once_and_by_the_last() {
    holds("due, leave", 3, || beside([Node::read_and_leave]));
    holds("due, leave, leave", 3, || beside([Node::read_and_leave, Node::read_and_leave]));
}

#[test]
fn a_value_that_a_holder_takes_is_not_dropped_again() {
    holds("due, take and leave", 3, || beside([Node::take_and_leave]));
    holds("due, take and leave, leave", 3, || beside([Node::take_and_leave, Node::read_and_leave]));
}

#[test]
fn a_node_that_nobody_holds_any_more_is_freed_by_the_deferral() {
    let node = || {
        let node = Node::held_by(1);
        let held = {
            let node = Arc::clone(&node);
            thread::spawn(move || node.read_and_leave())
        };
        held.join().unwrap();
        node.end_of_pins();
        assert_eq!(node.freed.load(Ordering::Relaxed), 1);
    };
    loom::model(node);
}

/// Has so many threads hold the node while it is alive, each under a pin of its own, beside one that ends it under another; the deferral comes when all
/// have unpinned.
fn held_alive<const N: usize>() {
    let node = Node::held_by(0);
    let pins = Arc::new(AtomicUsize::new(N + 1));
    let unpin = |node: &Node, pins: &AtomicUsize| {
        // AcqRel: as the epoch, the deferral comes after all that was done under the pins.
        if pins.fetch_sub(1, Ordering::AcqRel) == 1 {
            node.end_of_pins();
        }
    };
    let threads = [(); N].map(|()| {
        let (node, pins) = (Arc::clone(&node), Arc::clone(&pins));
        thread::spawn(move || {
            node.holders.hold();
            unpin(&node, &pins);
            node.read_and_leave();
        })
    });
    unpin(&node, &pins);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    // Relaxed: all have ended.
    assert_eq!(node.freed.load(Ordering::Relaxed), 1);
}

/// As an event does, which is told after the pin: the node may have been ended by then, or be ended later.
#[test]
fn a_node_that_is_held_while_it_is_alive_is_freed_once_and_after_that() {
    holds("hold, unpin, leave; end, unpin", 3, held_alive::<1>);
    holds("twice hold, unpin, leave; end, unpin", 3, held_alive::<2>);
}
