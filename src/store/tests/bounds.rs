//! The budget, the capacities and the counts beside threads that are stopped half-way, and answers about a budget that is changed meanwhile.

use std::cell::Cell;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use super::sweep::validate;
use crate::failpoint::{Step, arm};
use crate::{Capacity, Moved, Tier, TierStore};

pub type Store = Arc<TierStore<u32, u64>>;

/// A store of values that weigh what they say.
pub fn weights(budget: u64, warm: Capacity, cold: Capacity) -> Store {
    let store = TierStore::builder(budget).weigher(|_: &u32, weight: &u64| *weight);
    Arc::new(store.warm_capacity(warm).cold_capacity(cold).build().unwrap())
}

/// What another thread is to do meanwhile.
#[must_use]
pub struct Meanwhile(Receiver<thread::Result<()>>);

impl Meanwhile {
    /// It was done, and nothing in it failed. (It may not unwind through a protocol.)
    pub fn done(self) {
        if let Err(payload) = self.0.try_recv().expect("the step was reached") {
            resume_unwind(payload);
        }
    }
}

/// Has another thread do that, to its end, when this one next reaches `step`.
pub fn at<S: Send + Sync + 'static>(step: Step, store: &Arc<S>, run: impl FnOnce(&S) + Send + 'static) -> Meanwhile {
    let store = Arc::clone(store);
    let (sender, done) = channel();
    arm(step, move || sender.send(thread::spawn(move || run(&store)).join()).unwrap());
    Meanwhile(done)
}

fn standing(store: &TierStore<u32, u64>, tier: Tier) -> u64 {
    store.iter(tier).map(|item| item.weight).sum()
}

/// What a stopped storer has made hot is demoted for a lowered budget as soon as anybody has seen it, though the storer counts nothing.
fn is_demoted_beside_a_storer_stopped_at(step: Step, before: u64) {
    let store = weights(100, Capacity::UNBOUNDED, Capacity::UNBOUNDED);
    if before > 0 {
        store.store(1, before).unwrap();
    }
    let meanwhile = at(step, &store, move |store| {
        let set = store.set_hot_budget(10).unwrap().demoted;
        assert_eq!(store.get(&1).map(|found| found.weight), Some(100));
        assert_eq!(set + store.enforce_hot_budget().demoted, 1);
        assert_eq!((standing(store, Tier::Hot), store.tier_of(&1)), (0, Some(Tier::Warm)));
        assert_eq!(store.enforce_hot_budget().demoted, 0);
        assert!(store.hot_bytes() <= 10);
        assert_eq!(store.store(2, 5).unwrap().tier, Tier::Hot);
    });
    store.store(1, 100).unwrap();
    meanwhile.done();
    assert_eq!((store.tier_of(&1), store.hot_bytes()), (Some(Tier::Warm), 5));
    assert_eq!(validate(&store), 2);
}

#[test]
fn a_lowered_budget_demotes_what_a_stopped_storer_has_made_hot() {
    is_demoted_beside_a_storer_stopped_at(Step::Inserted, 0);
    is_demoted_beside_a_storer_stopped_at(Step::Published, 0);
}

#[test]
fn a_lowered_budget_demotes_what_a_stopped_storer_has_replaced_in_hot() {
    for before in [1, 40, 100] {
        is_demoted_beside_a_storer_stopped_at(Step::Committed, before);
    }
}

/// The bytes of hot are never below what stands there.
#[test]
fn what_stands_in_hot_is_counted_before_anybody_sees_it() {
    let store = weights(100, Capacity::UNBOUNDED, Capacity::UNBOUNDED);
    for (step, weight) in [(Step::Inserted, 40), (Step::Committed, 70), (Step::Committed, 20)] {
        let meanwhile = at(step, &store, move |store| {
            assert_eq!(store.get(&1).map(|found| (found.tier, found.weight)), Some((Tier::Hot, weight)));
            assert!((weight..=100).contains(&store.hot_bytes()), "{} are counted of {weight}", store.hot_bytes());
        });
        store.store(1, weight).unwrap();
        meanwhile.done();
        assert_eq!(store.hot_bytes(), weight);
    }
    store.demote(&1);
    let meanwhile = at(Step::Moved, &store, |store| assert_eq!(store.hot_bytes(), 20));
    store.promote(&1).unwrap();
    meanwhile.done();
    assert_eq!(validate(&store), 1);
}

/// A key whose next comparison but so many is preceded by that.
#[derive(Clone, Copy, Debug, Eq)]
struct Key(u32);

type Interlude = (u32, Box<dyn FnOnce()>);

thread_local!(static INTERLUDE: Cell<Option<Interlude>> = const { Cell::new(None) });

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        match INTERLUDE.take() {
            Some((0, run)) => run(),
            Some((comparisons, run)) => INTERLUDE.set(Some((comparisons - 1, run))),
            None => {}
        }
        self.0 == other.0
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // All alike, so that they are compared.
        state.write_u32(0);
    }
}

type Compared = Arc<TierStore<Key, u64, BuildHasherDefault<DefaultHasher>>>;

fn compared(budget: u64) -> Compared {
    let store = TierStore::builder(budget).weigher(|_: &Key, weight: &u64| *weight);
    Arc::new(store.hasher(BuildHasherDefault::default()).build().unwrap())
}

fn set(store: &Compared, budget: u64) -> impl FnOnce() + Send + 'static {
    let store = Arc::clone(store);
    move || {
        let set = thread::spawn(move || store.set_hot_budget(budget)).join().unwrap();
        assert_eq!(set.map(|enforced| enforced.demoted), Ok(0));
    }
}

#[test]
fn a_store_does_not_say_that_it_is_too_heavy_for_a_budget_that_was_raised_before_it_took_effect() {
    for comparisons in 0..6 {
        let store = compared(2);
        store.store(Key(0), 9).unwrap();
        INTERLUDE.set(Some((comparisons, Box::new(set(&store, 10)))));
        let stored = store.store(Key(1), 5).unwrap();
        let was_raised = INTERLUDE.take().is_none();
        assert_eq!(stored.tier == Tier::Warm, stored.contended || !was_raised, "{stored:?} after {comparisons}");
        assert!(was_raised || comparisons > 1);
    }
}

#[test]
fn a_store_does_not_say_that_it_is_too_heavy_though_the_budget_is_lowered_again_after_it_took_effect() {
    for comparisons in 0..6 {
        let store = compared(2);
        store.store(Key(0), 9).unwrap();
        INTERLUDE.set(Some((comparisons, Box::new(set(&store, 10)))));
        let lowered = at(Step::Inserted, &store, |store| _ = store.set_hot_budget(2).unwrap());
        let stored = store.store(Key(1), 5).unwrap();
        lowered.done();
        let was_raised = INTERLUDE.take().is_none();
        assert_eq!(stored.tier == Tier::Warm, stored.contended || !was_raised, "{stored:?} after {comparisons}");
    }
}

#[test]
fn a_replacement_does_not_say_that_it_is_too_heavy_for_a_budget_that_was_raised_before_it_took_effect() {
    let store = weights(2, Capacity::UNBOUNDED, Capacity::UNBOUNDED);
    store.store(1, 9).unwrap();
    let raised =
        at(Step::Filled, &store, |store| assert_eq!(store.set_hot_budget(10).map(|enforced| enforced.demoted), Ok(0)));
    let stored = store.store(1, 5).unwrap();
    raised.done();
    assert_eq!((stored.tier, stored.contended, stored.replaced), (Tier::Warm, true, Some(9)));
    assert_eq!(store.metrics().contended, 1);
}

#[test]
fn a_store_says_that_it_is_too_heavy_for_a_budget_that_is_raised_and_stays_too_low() {
    let store = weights(2, Capacity::UNBOUNDED, Capacity::UNBOUNDED);
    store.store(1, 9).unwrap();
    let raised =
        at(Step::Filled, &store, |store| assert_eq!(store.set_hot_budget(10).map(|enforced| enforced.demoted), Ok(0)));
    let stored = store.store(1, 12).unwrap();
    raised.done();
    assert_eq!((stored.tier, stored.contended), (Tier::Warm, false));
    let stored = store.store(1, 11).unwrap();
    assert_eq!((stored.tier, stored.contended), (Tier::Warm, false));
    assert_eq!(store.metrics().contended, 0);
}

/// With what the listener was given, in order.
fn recorded(budget: u64, warm: Capacity, cold: Capacity) -> (Store, Arc<Mutex<Vec<u32>>>) {
    let handed = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&handed);
    let store = TierStore::builder(budget)
        .weigher(|_: &u32, weight: &u64| *weight)
        .warm_capacity(warm)
        .cold_capacity(cold)
        .listener_causes([crate::Cause::Overflowed])
        .listener(move |gone| record.lock().unwrap().push(*gone.key));
    (Arc::new(store.build().unwrap()), handed)
}

/// Hot holds 10 bytes of 50, warm 100 of 100, cold 490 of 500.
fn full() -> (Store, Arc<Mutex<Vec<u32>>>) {
    let (store, handed) = recorded(50, Capacity::bytes(100), Capacity::bytes(500));
    for (key, weight, tier) in [(1, 60, Tier::Cold), (2, 430, Tier::Cold), (3, 60, Tier::Warm), (4, 40, Tier::Warm)] {
        store.store(key, weight).unwrap();
        store.demote_to(&key, tier).unwrap();
    }
    store.store(5, 10).unwrap();
    assert_eq!(Tier::ALL.map(|tier| store.bytes(tier)), [10, 100, 490]);
    (store, handed)
}

#[test]
fn nobody_pushes_out_what_fits_beside_a_thread_stopped_with_what_fits_nowhere() {
    for step in [Step::Inserted, Step::Published] {
        let (store, handed) = full();
        let meanwhile = at(step, &store, |store| {
            assert_eq!(store.get(&6).map(|found| found.tier), Some(Tier::Warm));
            assert_eq!(store.demote(&5), Some(Moved { from: Tier::Hot, to: Tier::Warm }));
            // 10 more in warm: its oldest had to leave, and cold's oldest for that.
            assert_eq!(Tier::ALL.map(|tier| standing(store, tier)), [0, 1_050, 490]);
        });
        assert_eq!(store.store(6, 1_000).unwrap().tier, Tier::Warm);
        meanwhile.done();
        assert_eq!(Tier::ALL.map(|tier| store.bytes(tier)), [0, 50, 490]);
        assert_eq!(*handed.lock().unwrap(), [1, 6]);
        assert_eq!(validate(&store), 4);
    }
}

#[test]
fn what_fits_nowhere_and_moves_on_before_its_storer_is_counted_where_it_is() {
    let (store, handed) = full();
    let meanwhile = at(Step::Published, &store, |store| {
        assert_eq!(store.set_hot_budget(2_000).map(|enforced| enforced.demoted), Ok(0));
        assert_eq!(store.promote(&6), Ok(Moved { from: Tier::Warm, to: Tier::Hot }));
        assert_eq!(store.remove(&4).map(|removed| removed.tier), Some(Tier::Warm));
    });
    assert_eq!(store.store(6, 1_000).unwrap().tier, Tier::Warm);
    meanwhile.done();
    assert_eq!(Tier::ALL.map(|tier| store.bytes(tier)), [1_010, 60, 490]);
    assert_eq!(*handed.lock().unwrap(), [0; 0]);
    assert_eq!(validate(&store), 5);
}

#[test]
fn an_eviction_that_meets_what_fits_nowhere_moves_it_and_the_storer_finds_it_gone() {
    let (store, handed) = full();
    let meanwhile = at(Step::Published, &store, |store| {
        for key in [3, 4] {
            store.get(&key).unwrap();
        }
        let evicted = store.evict_lru(Tier::Warm).unwrap();
        assert_eq!((evicted.key, evicted.to), (6, Some(Tier::Cold)));
        // It fits in cold no better.
        assert_eq!((store.tier_of(&6), store.metrics().overflowed), (None, 1));
        assert_eq!(Tier::ALL.map(|tier| standing(store, tier)), [10, 100, 490]);
    });
    assert_eq!(store.store(6, 1_000).unwrap().tier, Tier::Warm);
    meanwhile.done();
    assert_eq!(Tier::ALL.map(|tier| store.bytes(tier)), [10, 100, 490]);
    assert_eq!(*handed.lock().unwrap(), [6]);
    assert_eq!(validate(&store), 5);
}

/// The budget is lowered by one thread, which is stopped before it demotes for that, while another's call that has found the budget to hold ends.
#[test]
fn every_demotion_for_a_budget_is_counted_by_the_call_that_made_it() {
    let store = weights(100, Capacity::UNBOUNDED, Capacity::UNBOUNDED);
    (0..10).try_for_each(|key| store.store(key, 10).map(drop)).unwrap();
    let (go_on, may_go_on) = channel::<()>();
    let (sender, setter) = channel();
    let other = Arc::clone(&store);
    arm(Step::Enforced, move || {
        let (reached, has_lowered) = channel();
        let lowering = thread::spawn(move || {
            arm(Step::Raising, move || {
                reached.send(()).unwrap();
                may_go_on.recv().unwrap();
            });
            other.set_hot_budget(25).unwrap().demoted
        });
        has_lowered.recv().unwrap();
        sender.send(lowering).unwrap();
    });
    let own = store.set_hot_budget(60).unwrap().demoted;
    go_on.send(()).unwrap();
    let others = setter.recv().unwrap().join().unwrap();
    assert_eq!((own + others, standing(&store, Tier::Hot)), (8, 20), "{own} and {others}");
    assert_eq!(store.metrics().evictions, 8);
    validate(&store);
}
