//! The jobs: what is prepared, and what is counted of it.

use std::hint::black_box;

use foldhash::fast::FixedState;
use tierstack::{PlanContext, Tier, TierStore};

/// Calls its argument, and counts.
type Count<'c> = &'c mut dyn FnMut(&mut dyn FnMut());

/// Something to be counted.
pub struct Job {
    pub name: &'static str,
    /// How many operations are done while it is counted.
    pub operations: u64,
    pub run: fn(Count<'_>),
}

/// Operations that a job does.
const N: u64 = 10_000;
/// What the stores hold before; so much fits into hot.
const HELD: u64 = 4_096;

type Store = TierStore<String, u64, FixedState>;

/// A source span, as an agent's context names its fragments: 40 bytes.
fn key(i: u64) -> String {
    format!("src/module_{:04}/file_{:04}.rs:{i:08}-{:02}", i / 1_000, i % 997, i % 89)
}

fn keys(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(key).collect()
}

/// A store with room for so many in hot, which holds the keys of that many numbers.
fn store(hot: u64, held: u64) -> Store {
    let store = TierStore::builder(hot)
        .weigher(|_: &String, _: &u64| 1)
        .hasher(FixedState::with_seed(7))
        .build()
        .expect("the budget is far below the largest");
    for key in keys(0..held) {
        put(&store, key);
    }
    store
}

fn put(store: &Store, key: String) {
    assert!(store.store(key, 1).is_ok(), "no weight is above the limit");
}

/// Keys that are there, in an order that is not the order of their use.
fn look_ups() -> Vec<String> {
    (0..N).map(|i| key(i * 2_654_435_761 % HELD)).collect()
}

fn get_pinned(count: Count<'_>) {
    let (store, keys) = (store(2 * HELD, HELD), look_ups());
    let view = store.pin();
    count(&mut || {
        for key in &keys {
            black_box(view.get(key).expect("it is there").value);
        }
    });
}

fn get_owned(count: Count<'_>) {
    let (store, keys) = (store(2 * HELD, HELD), look_ups());
    count(&mut || {
        for key in &keys {
            black_box(store.get(key).expect("it is there").value);
        }
    });
}

/// New keys into a tier that has room: the index grows meanwhile.
fn store_new(count: Count<'_>) {
    let store = store(HELD + N, HELD);
    let mut keys = keys(HELD..HELD + N);
    count(&mut || keys.drain(..).for_each(|key| put(&store, key)));
    assert_eq!(store.len(Tier::Hot), HELD + N, "all are hot");
}

/// Keys that are in warm, into a hot tier that is full: each is replaced, and demotes one.
fn store_demote(count: Count<'_>) {
    let store = store(HELD / 2, HELD);
    let mut keys: Vec<String> = (0..N).map(|i| key(i % HELD)).collect();
    count(&mut || keys.drain(..).for_each(|key| put(&store, key)));
    assert_eq!((store.len(Tier::Hot), store.len(Tier::Warm)), (HELD / 2, HELD / 2), "each demoted one");
}

/// Each is demoted, and promoted again: two moves an operation.
fn demote_promote(count: Count<'_>) {
    let (store, keys) = (store(HELD, HELD), look_ups());
    count(&mut || {
        for key in &keys {
            assert!(store.demote(key).is_some(), "it is in hot");
            assert!(store.promote(key).is_ok(), "there is room");
        }
    });
}

/// The oldest of hot, again and again.
fn evict(count: Count<'_>) {
    let store = store(N, N);
    count(&mut || {
        for _ in 0..N {
            black_box(store.evict_lru(Tier::Hot).expect("hot is not empty"));
        }
    });
}

fn remove(count: Count<'_>) {
    let (store, keys) = (store(N, N), keys(0..N));
    count(&mut || {
        for key in &keys {
            black_box(store.remove(key).expect("it is there"));
        }
    });
}

/// One key, which is stored and removed again and again beside others: two operations an operation.
fn cycle(count: Count<'_>) {
    let store = store(2 * HELD, HELD);
    let (again, mut keys): (_, Vec<String>) = (key(HELD), (0..N).map(|_| key(HELD)).collect());
    count(&mut || {
        for key in keys.drain(..) {
            put(&store, key);
            black_box(store.remove(&again).expect("it is there"));
        }
    });
}

/// Into the changeset on top of a few.
fn record(count: Count<'_>) {
    let plan: PlanContext<u64> = PlanContext::new();
    let _open: Vec<_> = (0..8).map(|_| plan.start_changeset()).collect();
    count(&mut || {
        for change in 0..N {
            assert!(plan.record_change(change).is_ok(), "a changeset is open");
        }
    });
}

/// Each of a plan that has one change more than the last one: a record and a snapshot an operation.
fn snapshot(count: Count<'_>) {
    let plan: PlanContext<u64> = PlanContext::new();
    let _open: Vec<_> = (0..8).map(|_| plan.start_changeset()).collect();
    count(&mut || {
        for change in 0..N {
            assert!(plan.record_change(change).is_ok(), "a changeset is open");
            black_box(plan.snapshot());
        }
    });
}

/// Of all tiers, lent: an operation is a fragment.
fn store_snapshot(count: Count<'_>) {
    const EACH: u64 = 1_000;
    let store = store(EACH, 3 * EACH);
    for key in (0..EACH).map(|i| key(2 * i)) {
        store.demote_to(&key, Tier::Cold);
    }
    count(&mut || {
        let view = store.pin();
        assert_eq!(black_box(view.snapshot()).len() as u64, 3 * EACH);
    });
}

/// All of them.
pub const JOBS: [Job; 11] = [
    Job { name: "get_pinned", operations: N, run: get_pinned },
    Job { name: "get_owned", operations: N, run: get_owned },
    Job { name: "store_new", operations: N, run: store_new },
    Job { name: "store_demote", operations: N, run: store_demote },
    Job { name: "demote_promote", operations: N, run: demote_promote },
    Job { name: "evict", operations: N, run: evict },
    Job { name: "remove", operations: N, run: remove },
    Job { name: "cycle", operations: N, run: cycle },
    Job { name: "record", operations: N, run: record },
    Job { name: "snapshot", operations: N, run: snapshot },
    Job { name: "store_snapshot", operations: 3_000, run: store_snapshot },
];
