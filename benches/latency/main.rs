//! Tails: how long single operations take when there are far more threads than cores.
//! `cargo bench --bench latency [-- FILTER]`, where the filter is a part of a row's name such as `store/16t/coarse_lock`.
//!
//! Each operation is timed by itself, and each thread has a histogram. Threads form a closed loop: one starts its next
//! operation when its last one has ended. So the histogram is of *service times*. No arrivals are scheduled, hence no
//! time is counted that an operation would have waited to start behind a slow one (coordinated omission): who queues
//! requests sees worse tails than these, and the more so the longer the longest are. What is compared is what one
//! call can do to the thread that makes it.
//!
//! A thread that the system takes off its core in the middle of an operation has a slow one, whatever the subject is: the
//! harness, which does nothing between two readings of the clock, shows how many of those there are. A lock adds the
//! operations of all who wait for a thread that was taken off while it held the lock.
//!
//! The two are told apart by the scheduler's own count of how long a thread was ready to run and had no core. It is read after
//! every operation of 100 µs or more. `p9999_ns` is of the whole times; `p9999_less_waiting_ns` is of the times less what
//! was waited for a core; `waiting_share` is the share of that wait in the time of all operations from p99.99 up. Sleeping is no wait for a
//! core: `sleeping_share` is how much of their time threads slept. They sleep for a subject's locks, and for the allocator's: glibc's malloc and free
//! lock an arena, and a thread that is taken off its core in there is waited for by those that share it.

#![allow(clippy::cast_precision_loss, reason = "times and counts are far below 2^52")]

use std::{
    env,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use tierstack_benches::{
    filters, measuring,
    results::Results,
    subject::{Bounds, Session, Subject},
    subjects::{CoarseLock, Moka, Nothing, Owned, Pinned, QuickCache, ReadWriteLock, StdLock},
    table,
    times::{Tail, Times, Waiting},
    workload::{self, Cycle, KEY_BYTES, LookUps},
};

type Value = u64;

const EACH: u64 = KEY_BYTES as u64 + 8;
const THREADS: [usize; 2] = [8, 16];
const QUANTILES: [(&str, f64); 4] = [("p50_ns", 0.5), ("p99_ns", 0.99), ("p999_ns", 0.999), ("p9999_ns", 0.9999)];

const OURS: [&str; 2] = [<Pinned<Value> as Subject<Value>>::NAME, <Owned<Value> as Subject<Value>>::NAME];
const COARSE_LOCK: &str = <CoarseLock<Value> as Subject<Value>>::NAME;

/// Each subject is measured so often, in turn with the others, so that a noisy second hits all alike.
const ROUNDS: usize = 4;
const ROUND: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    /// Of 10,000 fragments that are all hot, by a Zipf distribution.
    Get,
    /// Into a hot tier that is full, of a key that is in warm: each demotes one.
    Store,
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Store => "store",
        }
    }
}

/// What one row asks for.
#[derive(Clone, Copy)]
struct Row {
    operation: Operation,
    threads: usize,
    fragments: usize,
    length: Duration,
}

/// What one subject's threads did in one round.
struct Round {
    times: Times,
    /// From the first thread's start to the last one's end.
    elapsed: Duration,
}

/// What one thread did, and from when to when.
type Lap = (Times, Instant, Instant);

/// Times one operation after the other, until it is told to stop.
fn time(stop: &AtomicBool, mut operation: impl FnMut()) -> Lap {
    let (mut times, mut waiting, started) = (Times::new(), Waiting::of_this_thread(), Instant::now());
    while !stop.load(Relaxed) {
        let from = Instant::now();
        operation();
        let ns = u64::try_from(from.elapsed().as_nanos()).unwrap_or(u64::MAX);
        times.record(ns, &mut waiting);
    }
    times.end(&waiting);
    (times, started, Instant::now())
}

fn run<L: Send>(row: &Row, lanes: Vec<L>, work: impl Fn(L, &AtomicBool) -> Lap + Sync) -> Round {
    let (stop, start) = (AtomicBool::new(false), Barrier::new(lanes.len() + 1));
    let laps: Vec<Lap> = thread::scope(|scope| {
        let (work, stop, start) = (&work, &stop, &start);
        let each = |lane| {
            scope.spawn(move || {
                start.wait();
                work(lane, stop)
            })
        };
        let running: Vec<_> = lanes.into_iter().map(each).collect();
        start.wait();
        thread::sleep(row.length);
        stop.store(true, Relaxed);
        running.into_iter().map(|thread| thread.join().expect("a thread of the run panicked")).collect()
    });
    let first = laps.iter().map(|lap| lap.1).min().expect("a run has a lane");
    let last = laps.iter().map(|lap| lap.2).max().expect("a run has a lane");
    let mut all = Times::new();
    for (times, ..) in laps {
        all.add(times);
    }
    Round { times: all, elapsed: last - first }
}

fn round<S: Subject<Value>>(row: &Row) -> Round {
    let (n, threads) = (row.fragments, row.threads);
    match row.operation {
        Operation::Get => {
            let keys = workload::keys(0, n);
            let subject = S::filled(Bounds::all_hot(n as u64, EACH), keys.iter().cloned().zip(0..));
            let lanes = (0..threads).map(|thread| LookUps::zipf(&keys, thread)).collect();
            run(row, lanes, |mut look_ups: LookUps, stop| {
                let mut session = subject.session();
                time(stop, || assert!(session.get(look_ups.next_key()), "every look-up is a hit"))
            })
        }
        Operation::Store => {
            // Each goes round keys of its own, of which there are twice as many as fit into hot: see the bench `store`.
            let lanes: Vec<_> = (0..threads).map(|thread| Cycle::new(workload::keys(2 * n * thread, 2 * n))).collect();
            let bounds = Bounds::hot_and_warm(n as u64, (2 * n * threads) as u64, EACH);
            let subject = S::filled(bounds, lanes.iter().flat_map(|lane| lane.keys().iter().cloned().zip(0..)));
            run(row, lanes, |mut cycle: Cycle, stop| {
                let mut session = subject.session();
                let mut value = 0;
                time(stop, || {
                    session.store(cycle.next_key(), value);
                    value += 1;
                })
            })
        }
    }
}

/// A subject by name, and how to measure it.
type Entry = (&'static str, fn(&Row) -> Round);

fn entry<S: Subject<Value>>() -> Entry {
    (S::NAME, round::<S>)
}

fn entries() -> [Entry; 8] {
    [
        entry::<Pinned<_>>(),
        entry::<Owned<_>>(),
        entry::<CoarseLock<_>>(),
        entry::<StdLock<_>>(),
        entry::<ReadWriteLock<_>>(),
        entry::<QuickCache<_>>(),
        entry::<Moka<_>>(),
        entry::<Nothing>(),
    ]
}

/// Whether tierstack is asked for that operation in that way: a `get` that lends, a `store` by whoever passes by.
fn is_asked_for(operation: Operation, subject: &str) -> bool {
    match operation {
        Operation::Get => subject != OURS[1],
        Operation::Store => subject != OURS[0],
    }
}

fn measure(row: &Row, rounds: usize, wanted: impl Fn(&str) -> bool, results: &mut Results) {
    let name = row.operation.name();
    let wanted =
        |subject: &str| is_asked_for(row.operation, subject) && wanted(&format!("{name}/{}t/{subject}", row.threads));
    let entries: Vec<Entry> = entries().into_iter().filter(|(subject, _)| wanted(subject)).collect();
    let mut sums: Vec<Round> = entries.iter().map(|_| Round { times: Times::new(), elapsed: Duration::ZERO }).collect();
    for number in 0..rounds {
        for place in 0..entries.len() {
            let at = (number + place) % entries.len();
            let Round { times, elapsed } = (entries[at].1)(row);
            sums[at].times.add(times);
            sums[at].elapsed += elapsed;
        }
    }
    let tails: Vec<Tail> = sums.iter().map(|sum| sum.times.tail()).collect();
    let lock = entries.iter().zip(&tails).find(|((subject, _), _)| *subject == COARSE_LOCK).map(|(_, tail)| tail.ns);
    let mut rows = Vec::new();
    for (((subject, _), sum), tail) in entries.iter().zip(&sums).zip(&tails) {
        let histogram = sum.times.all();
        let per_s = histogram.len() as f64 / sum.elapsed.as_secs_f64();
        let mut is = vec![
            ("operations", histogram.len().into()),
            ("operations_per_s", per_s.into()),
            ("max_ns", histogram.max().into()),
        ];
        let mut cells =
            vec![(*subject).to_owned(), format!("{:.2}", per_s / 1e6), format!("{:.0}", 1e9 / per_s.max(1.0))];
        for (name, quantile) in QUANTILES {
            let ns = histogram.value_at_quantile(quantile);
            is.push((name, ns.into()));
            cells.push(ns.to_string());
        }
        cells.push(histogram.max().to_string());
        if let Some(rest) = tail.less_waiting {
            is.extend([("p9999_less_waiting_ns", rest.ns.into()), ("waiting_share", rest.share.into())]);
            cells.extend([rest.ns.to_string(), format!("{:.0} %", 100.0 * rest.share)]);
        } else {
            cells.extend(["-".to_owned(), "-".to_owned()]);
        }
        let sleeping = sum.times.spent().sleeping();
        is.extend(sleeping.map(|share| ("sleeping_share", share.into())));
        cells.push(sleeping.map_or("-".into(), |share| format!("{:.0} %", 100.0 * share)));
        cells.push(lock.map_or("-".into(), |lock| format!("{:.3}", tail.ns as f64 / lock.max(1) as f64)));
        let at = [("fragments", row.fragments.into()), ("threads", row.threads.into())];
        results.row(&format!("latency_{name}"), subject, &at, &is);
        rows.push(cells);
    }
    if !measuring() {
        return;
    }
    let ratio = format!("p99.99 / {COARSE_LOCK}'s");
    let header = [
        "subject",
        "10^6 op/s",
        "ns/op",
        "p50",
        "p99",
        "p99.9",
        "p99.99",
        "max",
        "less waiting",
        "waiting",
        "asleep",
        &ratio,
    ];
    table::print(
        &format!(
            "{name}: {} threads, {} fragments; service times of a closed loop in ns, the clock's own included; \
             the p99.99 of times less waits for a core, the share of those waits in times from p99.99 up, and how much of their time \
             threads were asleep",
            row.threads, row.fragments
        ),
        &header,
        &rows,
    );
}

fn main() {
    if env::args().any(|argument| argument == "--list") {
        return;
    }
    let filters = filters();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter));
    let mut results = Results::of_this_run("latency");
    // Tried once, each does everything that it does when it is measured.
    let (fragments, length, rounds) =
        if measuring() { (10_000, ROUND, ROUNDS) } else { (64, Duration::from_millis(5), 1) };
    for operation in [Operation::Get, Operation::Store] {
        for threads in THREADS {
            measure(&Row { operation, threads, fragments, length }, rounds, wanted, &mut results);
        }
    }
}
