//! Stores that own stores: by a value, a key, a listener, a weigher, a plan's change. `DEPTH=100000` for a deeper chain than usual.

use std::hash::{Hash, Hasher};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tierstack::{PlanContext, TierStore};

use crate::common::collected_until;
use crate::on_a_small_stack;

fn depth() -> u32 {
    std::env::var("DEPTH").map_or(4_000, |depth| depth.parse().expect("a number"))
}

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Makes a chain link by link, drops it on a small stack, and expects that each link was dropped once.
fn dropped<L: Send>(link: impl Fn(Option<L>, Counted) -> L) {
    let count = Arc::new(AtomicUsize::new(0));
    let mut chain = None;
    for _ in 0..depth() {
        chain = Some(link(chain, Counted(Arc::clone(&count))));
    }
    on_a_small_stack(|| drop(chain));
    assert_eq!(count.load(Ordering::Relaxed), depth() as usize);
}

#[test]
fn a_value_owns_the_next_store() {
    struct Link(#[allow(dead_code, reason = "dropped")] Option<TierStore<u32, Link>>, #[allow(dead_code)] Counted);
    dropped(|next, counted| {
        let store = TierStore::new(1 << 20).unwrap();
        assert!(store.pin().store(1, Link(next, counted)).is_ok());
        store
    });
}

/// The destructor of each value panics after the next store has gone, or before.
#[test]
fn a_value_that_panics_owns_the_next_store() {
    struct Link {
        next: Option<TierStore<u32, Link>>,
        _counted: Counted,
        first: bool,
    }
    impl Drop for Link {
        fn drop(&mut self) {
            if self.first {
                self.next = None;
            }
            // Without the message of a panic.
            resume_unwind(Box::new("by design"));
        }
    }
    let first = AtomicUsize::new(0);
    dropped(|next, counted| {
        let store = TierStore::new(1 << 20).unwrap();
        let first = first.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
        assert!(store.pin().store(1, Link { next, _counted: counted, first }).is_ok());
        store
    });
}

#[test]
fn a_key_owns_the_next_store() {
    #[derive(Clone)]
    struct Link(
        #[allow(dead_code, reason = "dropped")] Option<Arc<TierStore<Link, u32>>>,
        #[allow(dead_code)] Arc<Counted>,
    );
    impl PartialEq for Link {
        fn eq(&self, _: &Self) -> bool {
            true
        }
    }
    impl Eq for Link {}
    impl Hash for Link {
        fn hash<H: Hasher>(&self, _: &mut H) {}
    }
    dropped(|next, counted| {
        let store = TierStore::new(1 << 20).unwrap();
        store.store(Link(next, Arc::new(counted)), 1).unwrap_or_else(|_| unreachable!("it fits"));
        Arc::new(store)
    });
}

#[test]
fn a_listener_owns_the_next_store() {
    dropped(|next: Option<TierStore<u32, u32>>, counted| {
        let builder = TierStore::builder(1 << 20);
        builder
            .listener_causes([tierstack::Cause::Overflowed])
            .listener(move |_| _ = (&next, &counted))
            .build()
            .unwrap()
    });
}

#[test]
fn a_weigher_owns_the_next_store() {
    dropped(|next: Option<TierStore<u32, u32>>, counted| {
        let weigher = move |_: &u32, _: &u32| {
            _ = (&next, &counted);
            1
        };
        TierStore::builder(1 << 20).weigher(weigher).build().unwrap()
    });
}

#[test]
fn a_change_of_a_plan_in_a_value_owns_the_next_store() {
    struct Link(
        #[allow(dead_code, reason = "dropped")] Option<TierStore<u32, PlanContext<Link>>>,
        #[allow(dead_code)] Counted,
    );
    dropped(|next, counted| {
        let store = TierStore::new(1 << 20).unwrap();
        let plan = PlanContext::new();
        plan.start_changeset();
        assert!(plan.record_change(Link(next, counted)).is_ok());
        assert!(store.pin().store(1, plan).is_ok());
        store
    });
}

/// What was replaced goes with the collector, and takes a chain with it there.
#[test]
fn a_chain_that_the_collector_drops() {
    struct Link(#[allow(dead_code, reason = "dropped")] Option<TierStore<u32, Link>>, #[allow(dead_code)] Counted);
    let count = Arc::new(AtomicUsize::new(0));
    let first = TierStore::new(1 << 20).unwrap();
    let mut chain: Option<TierStore<u32, Link>> = None;
    for _ in 0..depth() {
        let store = TierStore::new(1 << 20).unwrap();
        assert!(store.pin().store(1, Link(chain, Counted(Arc::clone(&count)))).is_ok());
        chain = Some(store);
    }
    assert!(first.pin().store(1, Link(chain, Counted(Arc::clone(&count)))).is_ok());
    on_a_small_stack(|| {
        assert!(first.pin().remove(&1).is_some());
        assert!(collected_until(|| count.load(Ordering::Relaxed) == depth() as usize + 1));
    });
}
