//! Snapshots beside threads that are stopped: what nobody has seen comes after them, what somebody has seen comes before.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::sweep::validate;
use crate::failpoint::{Step, arm};
use crate::{Capacity, HEAVY, PromoteError, StoreSnapshot, Tier, TierStore};

use Tier::{Cold, Hot, Warm};

/// Values are their weights, in tens of bytes.
type Store = TierStore<&'static str, u64>;

const BUDGET: u64 = 50;

/// A, B and C, in that order, with the values 1, 2, 3, all hot.
fn store() -> Arc<Store> {
    let store = TierStore::builder(BUDGET).weigher(|_, _| 10).build().unwrap();
    for (key, value) in [("a", 1), ("b", 2), ("c", 3)] {
        store.store(key, value).unwrap();
    }
    Arc::new(store)
}

/// A thread that has stopped at a step.
struct Stopped<T> {
    has_reached: Receiver<()>,
    go_on: Sender<Option<Step>>,
    thread: JoinHandle<T>,
}

impl<T> Stopped<T> {
    fn go_on(self) -> T {
        self.go_on.send(None).unwrap();
        self.thread.join().unwrap()
    }

    /// Until it reaches that step.
    fn go_on_to(self, step: Step) -> Self {
        self.go_on.send(Some(step)).unwrap();
        self.waited_for(step)
    }

    fn waited_for(self, step: Step) -> Self {
        self.has_reached.recv_timeout(Duration::from_mins(1)).unwrap_or_else(|_| panic!("{step:?} was never reached"));
        self
    }
}

/// Has this thread stop at the step, and then at those that it is told.
fn stop_here(step: Step, reached: Sender<()>, may_go_on: Receiver<Option<Step>>) {
    arm(step, move || {
        reached.send(()).unwrap();
        if let Some(next) = may_go_on.recv().unwrap() {
            stop_here(next, reached, may_go_on);
        }
    });
}

/// Has a thread run this until it reaches the step.
fn stop<T: Send + 'static>(
    store: &Arc<Store>,
    step: Step,
    run: impl FnOnce(&Store) -> T + Send + 'static,
) -> Stopped<T> {
    let store = Arc::clone(store);
    let ((reached, has_reached), (go_on, may_go_on)) = (channel(), channel());
    let thread = thread::spawn(move || {
        stop_here(step, reached, may_go_on);
        run(&store)
    });
    Stopped { has_reached, go_on, thread }.waited_for(step)
}

type Taken = StoreSnapshot<&'static str, u64>;

fn tiers_of(snapshot: &Taken, keys: &[&str]) -> Vec<Option<Tier>> {
    keys.iter().map(|key| snapshot.get(*key).map(|found| found.tier)).collect()
}

fn a_and_b(snapshot: &Taken) -> [Option<Tier>; 2] {
    ["a", "b"].map(|key| snapshot.get(key).map(|found| found.tier))
}

/// Takes a snapshot, which has walked when `mover` has changed A and has stopped before it reports that; then has `witness` see that, and moves B; what the snapshot shows of
/// A and B.
fn seen_by(
    step: Step,
    change: impl FnOnce(&Store) + Send + 'static,
    witness: impl FnOnce(&Store),
) -> [Option<Tier>; 2] {
    let store = store();
    let snapshot = stop(&store, Step::Walked, TierStore::snapshot);
    let mover = stop(&store, step, change);
    witness(&store);
    store.demote("b");
    let shown = a_and_b(&snapshot.go_on());
    mover.go_on();
    validate(&store);
    // Another after that shows both.
    assert_eq!(a_and_b(&store.snapshot()), ["a", "b"].map(|key| store.tier_of(key)));
    shown
}

fn demote_a(store: &Store) {
    assert_eq!(store.demote("a").unwrap().to, Warm);
}

fn remove_a(store: &Store) {
    assert_eq!(store.remove("a").unwrap().value, 1);
}

#[test]
fn what_nobody_has_seen_comes_after_the_snapshot() {
    assert_eq!(seen_by(Step::Moved, demote_a, |_| {}), [Some(Hot), Some(Warm)]);
    assert_eq!(seen_by(Step::Removed, remove_a, |_| {}), [Some(Hot), Some(Warm)]);
}

#[test]
fn what_a_reader_has_seen_comes_before_the_snapshot() {
    let witnesses: [fn(&Store); 11] = [
        |store| assert_eq!(store.get("a").unwrap().tier, Warm),
        |store| assert_eq!(store.peek("a").unwrap().tier, Warm),
        |store| assert_eq!(store.tier_of("a"), Some(Warm)),
        |store| assert_eq!(store.pin().get("a").unwrap().tier, Warm),
        |store| assert_eq!(store.pin().peek("a").unwrap().tier, Warm),
        |store| assert_eq!(store.iter(Hot).count(), 2),
        |store| assert_eq!(store.iter(Warm).next().unwrap().key, "a"),
        |store| assert!(store.store_if_absent("a", 7).is_err()),
        |store| assert!(store.replace_if("a", &store.store("x", 1).unwrap().version, 7).is_err()),
        |store| {
            assert_eq!(
                store.get_or_store_with("a", || unreachable!("it is there")).unwrap().into_fragment().tier,
                Warm
            );
        },
        |store| assert_eq!(store.demote_to("a", Warm).unwrap().from, Warm),
    ];
    for (number, witness) in witnesses.into_iter().enumerate() {
        let shown = seen_by(Step::Moved, demote_a, witness);
        assert_eq!(shown, [Some(Warm), Some(Warm)], "witness {number}");
    }
    // Refused, as it was seen below.
    let shown = seen_by(Step::Moved, demote_a, |store| {
        store.set_hot_budget(9).unwrap();
        assert!(matches!(store.promote("a"), Err(PromoteError::OverBudget { .. })));
        store.set_hot_budget(BUDGET).unwrap();
    });
    assert_eq!(shown[0], Some(Warm));
}

#[test]
fn what_an_iteration_does_not_list_any_more_comes_before_the_snapshot_also_where_it_is_kept() {
    let store = store();
    store.keep("a").unwrap();
    let snapshot = stop(&store, Step::Walked, TierStore::snapshot);
    let mover = stop(&store, Step::Moved, demote_a);
    assert!(store.iter(Hot).all(|item| item.key != "a"));
    store.demote("b");
    let snapshot = snapshot.go_on();
    assert_eq!(a_and_b(&snapshot), [Some(Warm), Some(Warm)]);
    assert!(snapshot.get("a").is_some_and(|found| found.kept));
    mover.go_on();
    validate(&store);
}

#[test]
fn what_an_eviction_has_passed_by_comes_before_the_snapshot() {
    let shown =
        seen_by(Step::Moved, demote_a, |store| assert_eq!(store.evict_lru(Hot).unwrap().key, "b", "a has gone before"));
    assert_eq!(shown, [Some(Warm), Some(Cold)]);
}

#[test]
fn what_a_reader_has_found_absent_is_not_shown() {
    let witnesses: [fn(&Store); 5] = [
        |store| assert!(store.get("a").is_none()),
        |store| assert!(store.demote("a").is_none()),
        |store| assert_eq!(store.promote("a"), Err(PromoteError::NotFound)),
        |store| assert!(store.update("a", |value| *value).is_err()),
        // The index grows, and leaves it behind.
        |store| {
            // So that no eviction meets its entry; and few enough that the snapshot does not become due.
            store.set_hot_budget(100_000).unwrap();
            for number in 0..80_u64 {
                store.store(Box::leak(number.to_string().into_boxed_str()), 0).unwrap();
            }
            assert!(store.get("a").is_none());
        },
    ];
    for (number, witness) in witnesses.into_iter().enumerate() {
        let shown = seen_by(Step::Removed, remove_a, witness);
        assert_eq!(shown[0], None, "witness {number}");
    }
    // Out of the bottom of cold.
    let out = |store: &Store| {
        store.demote_to("a", Cold).unwrap();
        assert_eq!(store.evict_lru(Cold).unwrap().key, "a");
    };
    let store = store();
    store.demote_to("a", Cold).unwrap();
    let snapshot = stop(&store, Step::Walked, TierStore::snapshot);
    let mover = stop(&store, Step::Moved, out);
    assert!(store.get("a").is_none());
    assert_eq!(snapshot.go_on().get("a"), None);
    mover.go_on();
    validate(&store);
}

#[test]
fn a_key_that_was_stored_again_is_shown_once() {
    let store = store();
    let snapshot = stop(&store, Step::Walked, TierStore::snapshot);
    let remover = stop(&store, Step::Removed, |store| store.remove("a").map(|found| found.value));
    // Over the dead one, in its cell.
    assert_eq!(store.store("a", 7).unwrap().replaced, None);
    let snapshot = snapshot.go_on();
    assert_eq!(
        snapshot.iter().filter(|(_, item)| item.key == "a").map(|(_, item)| item.value).collect::<Vec<_>>(),
        [7]
    );
    assert_eq!(remover.go_on(), Some(1));
    validate(&store);
}

#[test]
fn a_successor_that_was_seen_is_shown_and_not_what_it_has_replaced() {
    let witnesses: [fn(&Store); 4] = [
        |store| assert_eq!(store.get("a").unwrap().value, 7),
        |store| assert_eq!(store.demote("a").unwrap().from, Hot),
        |store| assert_eq!(store.store("a", 8).unwrap().replaced, Some(7)),
        // Passes by what was replaced, and finds what has replaced it, which is younger.
        |store| assert_eq!(store.evict_lru(Hot).unwrap().key, "b"),
    ];
    for (number, witness) in witnesses.into_iter().enumerate() {
        let store = store();
        let snapshot = stop(&store, Step::Walked, TierStore::snapshot);
        let storer = stop(&store, Step::Committed, |store| store.store("a", 7).unwrap().replaced);
        witness(&store);
        store.demote("b");
        let snapshot = snapshot.go_on();
        let values: Vec<_> = snapshot.iter().filter(|(_, item)| item.key == "a").map(|(_, item)| item.value).collect();
        assert_eq!(values, [if number == 2 { 8 } else { 7 }], "witness {number}");
        assert_eq!(snapshot.len(), 3);
        assert_eq!(storer.go_on(), Some(1));
        validate(&store);
    }
}

#[test]
fn what_is_stored_and_not_published_is_shown_and_then_evicted() {
    let store = store();
    let storer = stop(&store, Step::Inserted, |store| store.store("d", 4).unwrap().tier);
    assert_eq!(store.snapshot().get("d").map(|found| found.tier), Some(Hot));
    let evicted: Vec<_> = std::iter::from_fn(|| store.evict_lru(Hot)).map(|evicted| evicted.key).collect();
    assert_eq!(evicted, ["a", "b", "c", "d"], "whoever was shown it has seen it");
    assert_eq!(storer.go_on(), Hot);
    validate(&store);
    // A replacement.
    let storer = stop(&store, Step::Committed, |store| store.store("a", 7).unwrap().tier);
    let snapshot = store.snapshot();
    assert_eq!((snapshot.len(), snapshot.get("a").map(|found| *found.value)), (4, Some(7)));
    assert_eq!(storer.go_on(), Hot);
    validate(&store);
}

#[test]
fn what_stands_in_an_order_and_not_in_the_index_yet_is_not_shown() {
    let store = store();
    let storer = stop(&store, Step::Filled, |store| store.store("d", 4).unwrap().tier);
    let snapshot = store.snapshot();
    assert_eq!((snapshot.len(), snapshot.get("d").is_some()), (3, false));
    assert_eq!(storer.go_on(), Hot);
    // A replacement.
    let storer = stop(&store, Step::Filled, |store| store.store("a", 7).unwrap().tier);
    let snapshot = store.snapshot();
    assert_eq!((snapshot.len(), snapshot.get("a").map(|found| *found.value)), (4, Some(1)));
    assert_eq!(storer.go_on(), Hot);
    validate(&store);
}

#[test]
fn what_moves_between_the_tiers_of_the_walk_is_shown_once() {
    // After hot was walked, what is to be found in warm goes up.
    let store = store();
    store.demote("b");
    let snapshot = stop(&store, Step::WalkedTier, TierStore::snapshot);
    store.promote("b").unwrap();
    store.demote("a");
    assert_eq!(a_and_b(&snapshot.go_on()), [Some(Warm), Some(Hot)]);

    // And its mover has not reported, when one who has filled the same entry clears it.
    let store = self::store();
    let late = stop(&store, Step::Filled, |store| store.demote("b"));
    store.demote("b");
    let snapshot = stop(&store, Step::WalkedTier, TierStore::snapshot);
    let mover = stop(&store, Step::Moved, |store| store.promote("b"));
    // It has lost, and finds the word beyond its entry.
    let late = late.go_on_to(Step::Settled);
    let shown = a_and_b(&snapshot.go_on());
    late.go_on().unwrap();
    assert!(shown[0].is_some() && shown[1].is_some(), "in no tier: {shown:?}");
    mover.go_on().unwrap();
    validate(&store);
}

#[test]
fn a_snapshot_that_does_not_go_on_is_ended_by_those_who_report() {
    let store = store();
    for step in [Step::Activated, Step::WalkedTier] {
        let snapshot = stop(&store, step, TierStore::snapshot);
        let guard = crossbeam_epoch::pin();
        let reports = store.core.index.reports();
        let mut most = 0;
        for _ in 0..2_000 {
            store.demote("a");
            store.promote("a").unwrap();
            most = most.max(reports.told(&guard));
        }
        assert!(!reports.are_collected(&guard), "nobody has ended it");
        // The limit, and what one operation adds before it comes to end it.
        assert!((256..300).contains(&most), "{most} were told");
        drop(guard);
        let taken = snapshot.go_on();
        assert_eq!(tiers_of(&taken, &["b", "c"]), [Some(Hot), Some(Hot)]);
        assert!(taken.get("a").is_some());
        validate(&store);
    }
}

#[test]
fn a_snapshot_that_has_not_left_delays_no_other() {
    let store = store();
    for step in [Step::Activated, Step::WalkedTier, Step::Walked, Step::Blocked] {
        let first = stop(&store, step, TierStore::snapshot);
        store.demote("a");
        let second = store.snapshot();
        assert_eq!(a_and_b(&second), [Some(Warm), Some(Hot)], "{step:?}");
        store.promote("a").unwrap();
        assert_eq!(a_and_b(&store.snapshot()), [Some(Hot), Some(Hot)], "{step:?}");
        // The first has joined the second, but where it was over before.
        let a = if step == Step::Blocked { Hot } else { Warm };
        assert_eq!(a_and_b(&first.go_on()), [Some(a), Some(Hot)], "{step:?}");
    }
    validate(&store);
}

#[test]
fn what_a_snapshot_was_told_it_is_not_told_again() {
    let store = store();
    let snapshot = stop(&store, Step::Activated, TierStore::snapshot);
    let told = || store.core.index.reports().told(&crossbeam_epoch::pin());
    let read = || {
        for _ in 0..10 {
            assert!(store.get("a").is_some() && store.peek("a").is_some());
        }
    };
    read();
    // Its use has marked the word, which says the same.
    assert_eq!(told(), 1);
    store.demote("a").unwrap();
    read();
    assert_eq!(told(), 2, "another word");
    assert_eq!(snapshot.go_on().get("a").map(|found| found.tier), Some(Warm));
}

#[test]
fn a_snapshot_meets_one_of_other_tiers() {
    let store = store();
    store.demote("b");
    let hot = stop(&store, Step::Activated, |store| store.snapshot_of(Hot));
    let all = store.snapshot();
    assert_eq!(tiers_of(&all, &["a", "b", "c"]), [Some(Hot), Some(Warm), Some(Hot)]);
    store.demote("c");
    assert_eq!(tiers_of(&hot.go_on(), &["a", "b", "c"]), [Some(Hot), None, Some(Hot)]);
    // One of all has what one of a tier asks for.
    let all = stop(&store, Step::Walked, TierStore::snapshot);
    let warm = store.snapshot_of(Warm);
    assert_eq!(tiers_of(&warm, &["a", "b", "c"]), [None, Some(Warm), Some(Warm)]);
    store.remove("b");
    assert!(all.go_on().get("b").is_some());
    validate(&store);
}

#[test]
fn who_reports_to_a_stopped_snapshot_may_stop_too() {
    let store = store();
    let snapshot = stop(&store, Step::Activated, TierStore::snapshot);
    let reporter = stop(&store, Step::Reporting, |store| store.demote("a"));
    // It is not waited for: it has not been told.
    store.demote("c");
    assert_eq!(store.snapshot().get("c").map(|found| found.tier), Some(Warm));
    assert!(snapshot.go_on().get("a").is_some());
    let next = stop(&store, Step::Walked, TierStore::snapshot);
    // The collector that it had found is blocked; it reports to the next one.
    assert_eq!(reporter.go_on().unwrap().to, Warm);
    assert_eq!(next.go_on().get("a").map(|found| found.tier), Some(Warm));
    validate(&store);
}

#[test]
fn a_value_that_a_snapshot_shows_stays_though_it_is_heavy_and_its_end_was_not_told() {
    let store: Arc<TierStore<u32, Arc<str>>> =
        Arc::new(TierStore::builder(9 * HEAVY).weigher(|_, _| HEAVY).build().unwrap());
    let text: Arc<str> = "heavy".into();
    store.store(1, Arc::clone(&text)).unwrap();
    let (walked, has_walked) = channel();
    let (go_on, may_go_on): (Sender<()>, Receiver<()>) = channel();
    let (ended, has_ended): (Sender<()>, Receiver<()>) = channel();
    let reader = thread::spawn({
        let store = Arc::clone(&store);
        move || {
            let view = store.pin();
            arm(Step::Walked, move || {
                walked.send(()).unwrap();
                may_go_on.recv().unwrap();
            });
            let snapshot = view.snapshot();
            // Now its fragment is removed, and whoever removed it has gone on.
            has_ended.recv().unwrap();
            let lent: &Arc<str> = snapshot.get(&&1).expect("it was not told").value;
            assert_eq!(&**lent, "heavy");
        }
    });
    has_walked.recv().unwrap();
    let (ready, is_ready) = channel();
    let (finish, may_finish): (Sender<()>, Receiver<()>) = channel();
    let remover = thread::spawn({
        let store = Arc::clone(&store);
        move || {
            arm(Step::Removed, move || {
                ready.send(()).unwrap();
                may_finish.recv().unwrap();
            });
            store.remove(&1).map(|found| found.value)
        }
    });
    is_ready.recv().unwrap();
    go_on.send(()).unwrap();
    // The snapshot's instant comes before that of the report.
    while store.core.index.reports().are_collected(&crossbeam_epoch::pin()) {
        thread::yield_now();
    }
    finish.send(()).unwrap();
    let value = remover.join().unwrap().expect("it was there");
    assert!(Arc::ptr_eq(&value, &text));
    drop(value);
    ended.send(()).unwrap();
    reader.join().unwrap();
    store.flush();
}

#[test]
fn a_snapshot_of_nothing_and_of_what_a_tier_cannot_hold() {
    let store: Store = TierStore::builder(10).weigher(|_, _| 10).warm_capacity(Capacity::entries(0)).build().unwrap();
    let nothing = store.snapshot();
    assert!(nothing.is_empty() && nothing.get("a").is_none() && nothing.iter().next().is_none());
    for key in ["a", "b", "c"] {
        store.store(key, 1).unwrap();
    }
    assert_eq!(tiers_of(&store.snapshot(), &["a", "b", "c"]), [Some(Cold), Some(Cold), Some(Hot)]);
    let snapshot = store.snapshot();
    assert_eq!((snapshot.bytes(Hot), snapshot.bytes(Warm), snapshot.bytes(Cold)), (10, 0, 20));
    let mut shown = snapshot.iter();
    for left in [3, 2, 1, 0] {
        assert_eq!(shown.len(), left);
        shown.next();
    }
    assert!(format!("{snapshot:?}").contains("hot"));
}

/// The snapshot has met it in warm, and whoever demotes it is stopped before it says so.
#[test]
fn what_was_handed_out_of_cold_for_an_archive_is_shown_there() {
    let store = store();
    store.demote_to(&"a", Warm).unwrap();
    let taker = stop(&store, Step::Walked, Store::snapshot);
    let mover = stop(&store, Step::Moved, |store| store.demote_to(&"a", Cold).unwrap());
    assert_eq!(store.start_leaving(Capacity::UNBOUNDED)[0].key, "a");
    store.store("d", 4).unwrap();
    let snapshot = taker.go_on();
    mover.go_on();
    assert_eq!(tiers_of(&snapshot, &["a", "d"]), [Some(Cold), Some(Hot)]);
    validate(&store);
}
