//! Destructors that the collector runs, by a pin that one of them asks for.

use std::hash::{Hash, Hasher};
use std::panic::resume_unwind;
use std::sync::{Arc, Barrier};
use std::thread;

use tierstack::{PlanContext, TierStore};

use crate::common::collected_until;
use crate::{Depths, on_a_small_stack};

/// Uses a store when it is dropped, so that it pins.
struct Pins {
    number: u32,
    other: Arc<TierStore<u32, u32>>,
    depths: Arc<Depths>,
    panics: bool,
}

impl Drop for Pins {
    fn drop(&mut self) {
        self.depths.destructor(|| assert!(self.other.get(&1).is_some()));
        if self.panics {
            // Without the message of a panic.
            resume_unwind(Box::new("by design"));
        }
    }
}

impl PartialEq for Pins {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Pins {}

impl Hash for Pins {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

impl Clone for Pins {
    fn clone(&self) -> Self {
        unreachable!("views lend")
    }
}

/// What makes values that pin.
struct Scene {
    other: Arc<TierStore<u32, u32>>,
    depths: Arc<Depths>,
}

impl Scene {
    fn new() -> Self {
        let other = TierStore::new(1 << 20).unwrap();
        other.store(1, 1).unwrap();
        Self { other: Arc::new(other), depths: Arc::default() }
    }

    fn pins(&self, number: u32, panics: bool) -> Pins {
        Pins { number, other: Arc::clone(&self.other), depths: Arc::clone(&self.depths), panics }
    }

    /// Has a thread with a small stack end while all that `retire` retires waits, so that the thread's end collects it: each pin is a
    /// first one by then, and collects.
    fn at_the_end_of_a_thread(&self, retire: impl FnOnce() + Send) {
        let (ready, go) = (Barrier::new(2), Barrier::new(2));
        // Keeps the collector off.
        let pinned = crossbeam_epoch::pin();
        thread::scope(|scope| scope.spawn(retire).join().unwrap());
        thread::scope(|scope| {
            let end = || {
                on_a_small_stack(|| {
                    // So many that the last pin, that of the thread's end, is due to collect.
                    for _ in 0..128 {
                        assert!(self.other.get(&1).is_some());
                    }
                    ready.wait();
                    go.wait();
                });
            };
            let ending = scope.spawn(end);
            ready.wait();
            drop(pinned);
            // The epoch moves on, until what waits is due: a flush collects but a little of it.
            assert!(collected_until(|| self.depths.done() > 0));
            go.wait();
            ending.join().unwrap();
        });
    }

    #[track_caller]
    fn expect(&self, done: usize) {
        assert!(collected_until(|| self.depths.done() >= done), "{} of {done}", self.depths.done());
        assert_eq!((self.depths.done(), self.depths.deepest()), (done, 1));
    }
}

const MANY: u32 = 20_000;

#[test]
fn values_that_pin_at_the_end_of_a_thread() {
    let scene = Scene::new();
    let store = TierStore::new(1 << 30).unwrap();
    scene.at_the_end_of_a_thread(|| {
        let view = store.pin();
        for number in 0..MANY {
            view.store(number % 3, scene.pins(number, false)).unwrap_or_else(|_| unreachable!("it fits"));
        }
    });
    scene.expect(MANY as usize - 3);
}

#[test]
fn keys_that_pin_at_the_end_of_a_thread() {
    let scene = Scene::new();
    let store = TierStore::new(1 << 30).unwrap();
    scene.at_the_end_of_a_thread(|| {
        let view = store.pin();
        for number in 0..MANY {
            view.store(scene.pins(number, false), number).unwrap_or_else(|_| unreachable!("it fits"));
            assert!(view.evict_lru(tierstack::Tier::Hot).is_some());
            assert!(view.evict_lru(tierstack::Tier::Warm).is_some());
            assert!(view.evict_lru(tierstack::Tier::Cold).is_some());
        }
    });
    scene.expect(MANY as usize);
}

#[test]
fn values_that_pin_and_panic_at_the_end_of_a_thread() {
    let scene = Scene::new();
    let store = TierStore::new(1 << 30).unwrap();
    scene.at_the_end_of_a_thread(|| {
        let view = store.pin();
        for number in 0..MANY {
            view.store(number % 3, scene.pins(number, number % 2 == 0)).unwrap_or_else(|_| unreachable!("it fits"));
        }
    });
    scene.expect(MANY as usize - 3);
}

/// A plan in a value: its changes' destructors pin.
#[test]
fn plans_in_values_at_the_end_of_a_thread() {
    let scene = Scene::new();
    let store = TierStore::new(1 << 30).unwrap();
    scene.at_the_end_of_a_thread(|| {
        let view = store.pin();
        for number in 0..MANY / 4 {
            let plan = PlanContext::new();
            plan.start_changeset();
            for change in 0..4 {
                plan.record_change(scene.pins(change, false)).unwrap_or_else(|_| unreachable!("one is open"));
            }
            assert!(view.store(number % 3, plan).is_ok());
        }
    });
    scene.expect(MANY as usize - 12);
}

/// A pin in the middle of a thread's life collects now and then too, and so does each operation that has retired enough.
#[test]
fn values_that_pin_where_a_thread_goes_on() {
    let scene = Scene::new();
    let store = TierStore::builder(1 << 40).weigher(|_: &u32, _: &Pins| 1 << 20).build().unwrap();
    on_a_small_stack(|| {
        for number in 0..MANY {
            let view = store.pin();
            assert!(view.store(number % 3, scene.pins(number, number % 5 == 0)).is_ok());
        }
    });
    drop(store);
    scene.expect(MANY as usize);
}

/// The changes of a plan, dropped where each pin is a first one.
#[test]
fn changes_of_a_plan_that_pin() {
    let scene = Scene::new();
    let plan = PlanContext::new();
    plan.start_changeset();
    for number in 0..MANY {
        plan.record_change(scene.pins(number, number % 2 == 0)).unwrap_or_else(|_| unreachable!("one is open"));
    }
    on_a_small_stack(|| drop(plan));
    scene.expect(MANY as usize);
}
