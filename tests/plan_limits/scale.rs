//! A million changes, ten thousand changesets, ten thousand roll-backs; all on small stacks, and nothing quadratic.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use tierstack::{Change, ChangesetId, Digest, EventKind, PlanContext, Sequence, Snapshot, Status};

use crate::portrait::id;

const MILLION: u64 = 1_000_000;
const CHANGESETS: u64 = 10_000;
const STACK: usize = 64 << 10;

/// Runs `work` on a thread with a stack that recursion over as much as there is here would burst.
fn on_a_small_stack<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let thread = thread::Builder::new().stack_size(STACK).spawn(work).unwrap();
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A change with a number, that counts when it is dropped.
struct Counted(u64, Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many changes were dropped.
#[derive(Clone, Default)]
struct Dropped(Arc<AtomicUsize>);

impl Dropped {
    fn change(&self, number: u64) -> Counted {
        Counted(number, Arc::clone(&self.0))
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed) as u64
    }
}

/// The least that `work` took of a few times: so that what else runs on the machine counts little.
fn time(mut work: impl FnMut()) -> Duration {
    let mut once = || {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..3).map(|_| once()).min().unwrap()
}

/// Ten thousand changesets, each with so many changes, numbered throughout; every third is aborted, every third closed.
fn many_changesets(each: u64, dropped: &Dropped) -> PlanContext<Counted> {
    let plan = PlanContext::new();
    for index in 0..CHANGESETS {
        let changeset = plan.start_changeset();
        for change in 0..each {
            plan.record_change(dropped.change(index * each + change)).unwrap();
        }
        match index % 3 {
            0 => drop(changeset.close().unwrap()),
            1 => drop(changeset.abort().unwrap()),
            _ => {}
        }
    }
    plan
}

#[test]
fn a_million_changes_in_one_changeset() {
    on_a_small_stack(|| {
        let dropped = Dropped::default();
        let plan = PlanContext::new();
        let changeset = plan.start_changeset();
        let origin = plan.savepoint();
        for number in 0..MILLION / 2 {
            assert_eq!(plan.record_change(dropped.change(number)).unwrap().sequence.number(), number + 2);
        }
        let half = plan.snapshot();
        // The other half through the handle, some of it in large batches.
        for from in (MILLION / 2..MILLION).step_by(100_000) {
            for number in from..from + 50_000 {
                changeset.record(dropped.change(number)).unwrap();
            }
            changeset.record_all((from + 50_000..from + 100_000).map(|number| dropped.change(number))).unwrap();
        }
        let all = plan.snapshot();
        for (snapshot, len) in [(&half, MILLION / 2), (&all, MILLION)] {
            let in_order = |numbers: &mut dyn Iterator<Item = u64>| numbers.eq(0..len);
            let view = snapshot.changeset(changeset.id()).unwrap();
            assert!(in_order(&mut view.changes().map(|record| record.change.0)));
            assert!(view.changes().rev().map(|record| record.change.0).eq((0..len).rev()));
            assert!(in_order(&mut snapshot.changes().map(|record| record.change.0)));
            assert!(snapshot.changes().rev().map(|record| record.sequence.number()).eq((2..len + 2).rev()));
            assert!(in_order(&mut snapshot.audit().map(|event| event.sequence.number() - 1).take(view.len())));
            assert!(snapshot.audit().rev().map(|event| event.sequence.number()).eq((1..len + 2).rev()));
        }
        plan.roll_back_to(&origin).unwrap();
        let after = plan.snapshot();
        assert_eq!((after.changes().len(), after.audit().len() as u64), (0, MILLION + 2));
        drop((plan, changeset, all, after));
        assert_eq!(dropped.count(), 0, "the older snapshot is of the same version");
        drop(half);
        assert_eq!(dropped.count(), MILLION);
    });
}

#[test]
fn ten_thousand_changesets_and_a_hundred_changes_in_each() {
    on_a_small_stack(|| {
        let dropped = Dropped::default();
        let plan = many_changesets(100, &dropped);
        let origin = {
            let snapshot = plan.snapshot();
            assert_eq!((snapshot.started(), plan.current()), (CHANGESETS, Some(id(CHANGESETS - 1))));
            let statuses = [Status::Closed, Status::Aborted, Status::Open].into_iter().cycle();
            for ((index, status), view) in (0..).zip(statuses).zip(snapshot.changesets()) {
                assert_eq!(view.status(), status);
                assert!(view.changes().map(|record| record.change.0).eq(index * 100..(index + 1) * 100));
            }
            assert!(snapshot.changesets().rev().map(|view| view.id().number()).eq((1..=CHANGESETS).rev()));
            let aborted = (0..CHANGESETS).filter(|index| index % 3 == 1).count() as u64;
            assert_eq!(snapshot.changes().len() as u64, MILLION - aborted * 100);
            snapshot
        };
        drop(plan);
        assert_eq!(dropped.count(), 0);
        drop(origin);
        assert_eq!(dropped.count(), MILLION);
    });
}

#[test]
fn all_is_rolled_back_at_once_and_stays_in_the_audit_trail() {
    on_a_small_stack(|| {
        let dropped = Dropped::default();
        let plan = PlanContext::new();
        let origin = plan.savepoint();
        for index in 0..CHANGESETS {
            plan.start_changeset().record(dropped.change(index)).unwrap();
        }
        let before = plan.snapshot();
        plan.roll_back_to(&origin).unwrap();
        let after = plan.snapshot();
        assert_eq!((after.current(), after.started(), after.changes().len()), (None, CHANGESETS, 0));
        assert!(after.changesets().all(|view| view.status() == Status::RolledBack && view.is_empty()));
        assert_eq!(after.audit().len() as u64, 2 * CHANGESETS + 1);
        assert!(before.changesets().all(|view| view.status() == Status::Open && view.len() == 1));
        assert_eq!(plan.start_changeset().id(), id(CHANGESETS + 1));
        drop((plan, before));
        assert_eq!(dropped.count(), 0);
        drop(after);
        assert_eq!(dropped.count(), CHANGESETS);
    });
}

/// Were each changeset to cost a walk through the plan, all would cost ten thousand times one walk.
#[test]
fn a_changeset_costs_its_own_length_and_not_the_plans() {
    let plan = many_changesets(2, &Dropped::default());
    let walk = time(|| assert_eq!(changes_by_walking(&plan.snapshot()), 20_000));
    // A new snapshot each time: what it makes on first use is in it.
    let all = time(|| {
        let snapshot = plan.snapshot();
        assert_eq!(snapshot.changesets().map(|view| view.changes().count()).sum::<usize>(), 20_000);
    });
    assert!(all < walk * 200, "{all:?} for each of {CHANGESETS} changesets, {walk:?} for one walk through all of them");
}

fn changes_by_walking(snapshot: &Snapshot<Counted>) -> usize {
    snapshot.audit().rev().filter(|event| matches!(event.kind, EventKind::Recorded { .. })).count()
}

#[test]
fn what_is_said_to_take_no_time_does_not_take_a_walk_through_the_plan() {
    let plan = many_changesets(20, &Dropped::default());
    let snapshot = plan.snapshot();
    let walk = time(|| assert_eq!(changes_by_walking(&snapshot), 200_000));
    let ends = time(|| {
        for number in 1..=1000 {
            let snapshot = plan.snapshot();
            assert_eq!(snapshot.audit().rev().take(3).map(|event| event.sequence).max(), Some(plan.sequence()));
            let savepoint = plan.savepoint();
            assert_eq!((savepoint.sequence(), snapshot.sequence()), (plan.sequence(), plan.sequence()));
            assert!(plan.status(id(number)).is_some() && snapshot.changeset(id(number)).is_some());
            assert_eq!((plan.current(), snapshot.audit().len() as u64), (snapshot.current(), plan.sequence().number()));
        }
    });
    assert!(ends < walk * 50, "{ends:?} for a thousand times, {walk:?} for one walk");
}

#[test]
fn ten_thousand_open_ones_end_in_any_order() {
    on_a_small_stack(|| {
        let half = CHANGESETS / 2;
        let (below, above) = (1..=half, half + 1..=CHANGESETS);
        let from_the_middle_out = below.clone().rev().zip(above.clone()).flat_map(|(below, above)| [below, above]);
        let from_the_ends_in = below.zip(above.rev()).flat_map(|(below, above)| [above, below]);
        // No factor in common with how many they are: so it comes to each of them.
        let in_strides = (0..CHANGESETS).map(|step| step * 7919 % CHANGESETS + 1);
        end_all(from_the_middle_out);
        end_all(from_the_ends_in);
        end_all(in_strides);
    });
}

/// Has so many open at once, and ends them in that order: all that time, the largest that is left is on top.
fn end_all(order: impl Iterator<Item = u64>) {
    let plan: PlanContext<u64> = PlanContext::new();
    let mut open: BTreeSet<_> = (0..CHANGESETS).map(|_| plan.start_changeset().id()).collect();
    let all_open = plan.snapshot();
    for (number, id) in (0..).zip(order.map(id)) {
        assert_eq!(plan.record_change(number).unwrap().changeset, *open.last().unwrap());
        let end = if number % 2 == 0 { PlanContext::close } else { PlanContext::abort };
        end(&plan, id).unwrap();
        assert!(open.remove(&id));
        assert_eq!(plan.current(), open.last().copied());
        assert!(plan.record_in(id, 0).is_err());
    }
    assert!(open.is_empty());
    assert_eq!(plan.record_change(1).unwrap_err().refused, 1);
    assert_eq!(plan.sequence().number(), 3 * CHANGESETS);
    assert!(all_open.changesets().all(|view| view.status() == Status::Open && view.is_empty()));
    assert!(plan.snapshot().changesets().all(|view| view.status() != Status::Open));
}

/// What a plan has given out so far: each number is to be the next.
#[derive(Default)]
struct Numbers {
    sequence: u64,
    changeset: u64,
}

impl Numbers {
    fn event(&mut self, sequence: Sequence) {
        self.sequence += 1;
        assert_eq!(sequence.number(), self.sequence);
    }

    fn started(&mut self, id: ChangesetId, sequence: Sequence) {
        self.changeset += 1;
        assert_eq!(id.number(), self.changeset);
        self.event(sequence);
    }
}

#[test]
fn ten_thousand_roll_backs_and_no_number_is_given_out_twice() {
    on_a_small_stack(|| {
        let dropped = Dropped::default();
        let plan = PlanContext::new();
        let origin = plan.savepoint();
        let mut numbers = Numbers::default();
        let mut before = origin;
        for round in 0..10_000 {
            let changeset = plan.start_changeset();
            numbers.started(changeset.id(), plan.sequence());
            let within = plan.savepoint();
            numbers.event(plan.record_change(dropped.change(round)).unwrap().sequence);
            // Back to the start of it all, to before this round, or to the middle of it: so that bases of all lengths come about.
            let target = match round % 1000 {
                999 => origin,
                at if at % 3 == 0 => before,
                _ => within,
            };
            numbers.event(plan.roll_back_to(&target).unwrap());
            assert_eq!(plan.status(changeset.id()) == Some(Status::Open), target == within);
            before = plan.savepoint();
            if round % 1000 == 998 {
                assert_eq!(plan.snapshot().changesets().filter(|view| view.status() == Status::Open).count(), 666);
            }
        }
        let snapshot = plan.snapshot();
        assert_eq!((snapshot.started(), snapshot.changes().len()), (10_000, 0));
        assert!(snapshot.changesets().all(|view| view.status() == Status::RolledBack && view.is_empty()));
        assert!(snapshot.audit().map(|event| event.sequence.number()).eq(1..=30_000));
        let back = snapshot.audit().rev().filter(|event| matches!(event.kind, EventKind::RolledBack { .. }));
        assert_eq!(back.count(), 10_000);
        drop(plan);
        assert_eq!(dropped.count(), 0);
        drop(snapshot);
        assert_eq!(dropped.count(), 10_000);
    });
}

/// Four threads with small stacks each drop their part, newest first, all let loose at once.
fn drop_at_once<T: Send + 'static>(parts: [Vec<T>; 4]) {
    let gate = Arc::new(Barrier::new(parts.len()));
    let threads = parts.map(|part| {
        let gate = Arc::clone(&gate);
        let work = move || {
            gate.wait();
            part.into_iter().rev().for_each(drop);
        };
        thread::Builder::new().stack_size(STACK).spawn(work).unwrap()
    });
    for thread in threads {
        thread.join().unwrap();
    }
}

/// What each of them holds is dropped with it; the plan goes first, or at the same time.
#[allow(dead_code, reason = "held, not read")]
enum Held {
    Snapshot(Snapshot<Counted>),
    Plan(PlanContext<Counted>),
}

#[test]
fn four_threads_drop_snapshots_of_different_ages_at_once() {
    for round in 0..6 {
        let dropped = Dropped::default();
        let plan = PlanContext::new();
        let mut parts = [(); 4].map(|()| Vec::new());
        for (index, part) in (0..CHANGESETS).zip((0..parts.len()).cycle()) {
            let changeset = plan.start_changeset();
            for change in 0..10 {
                changeset.record(dropped.change(change)).unwrap();
            }
            // Of every version, or of a few: then long stretches have one owner.
            if round % 2 == 0 || index % 1000 == 999 {
                parts[part].push(Held::Snapshot(plan.snapshot()));
            }
        }
        match round {
            0 | 1 => drop(plan),
            2 | 3 => parts[3].push(Held::Plan(plan)),
            // All of the same age.
            _ => {
                parts = [(); 4].map(|()| vec![Held::Snapshot(plan.snapshot()), Held::Plan(plan.clone())]);
                drop(plan);
            }
        }
        assert_eq!(dropped.count(), 0);
        drop_at_once(parts);
        assert_eq!(dropped.count(), CHANGESETS * 10, "round {round}");
    }
}

/// Changes of so many paths, each touched so often; a hundred changesets that overlap in pairs, every fourth of them aborted.
fn busy(paths: usize, touches: usize, path: impl Fn(usize) -> String) -> PlanContext {
    let plan = PlanContext::new();
    let mut before = plan.start_changeset();
    for number in 0..100 {
        let changeset = plan.start_changeset();
        for touch in (0..paths * touches).skip(number).step_by(100) {
            let (path, version) = (path(touch % paths), u32::try_from(touch / paths).unwrap());
            let [old, new] = [version, version + 1].map(|version| Digest::from(version.to_le_bytes()));
            let change = match touch % 5 {
                0 => Change::delete(path, old),
                1 => Change::create(path, new),
                2 => Change::rename(format!("{path}.old"), path),
                _ => Change::modify(path, old, new),
            };
            (if touch % 2 == 0 { &changeset } else { &before }).record(change).unwrap();
        }
        if number % 4 == 0 {
            before.abort().unwrap()
        } else {
            before.close().unwrap()
        };
        before = changeset;
    }
    plan
}

/// Were anything looked for by going through all that is there, some of these would take a hundred times as long as the others.
#[test]
fn what_many_changes_come_to_costs_the_same_however_they_are_spread() {
    const CHANGES: usize = 40_000;
    type Spread = (usize, fn(usize) -> String);
    let spreads: [Spread; 6] = [
        (CHANGES, |path| format!("path-{path}")),
        (1, |_| "path".into()),
        (2, |path| ["folder", "folder/path"][path].into()),
        (CHANGES, |path| format!("folder/path-{path}")),
        // The folder itself is touched now and then, and each time stands in the way of all that is beneath it.
        (CHANGES, |path| if path % 100 == 50 { "folder".into() } else { format!("folder/path-{path}") }),
        (400, |path| format!("{}path", "folder/".repeat(path % 20))),
    ];
    let mut times = Vec::new();
    for (paths, path) in spreads {
        let plan = busy(paths, CHANGES / paths, path);
        let snapshot = plan.snapshot();
        let mut came_to = (0, 0, 0);
        times.push(time(|| {
            let diff = snapshot.diff();
            came_to = (diff.len(), diff.conflicts().len(), diff.stale_bases().len());
        }));
        assert!(came_to.0 > 0, "{came_to:?} of {paths} paths such as {}", path(paths - 1));
    }
    let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    assert!(*most < *least * 40 + Duration::from_millis(100), "{times:?}");
}
