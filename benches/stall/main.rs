//! One thread is stopped in the middle of an operation; what the others get done meanwhile, in slices of 10 ms.
//! `cargo bench --bench stall [-- FILTER]`, where the filter is a part of a subject's name.
//!
//! The others, one for each core, do nine `get`s to one `store` that demotes. For 200 ms all is as usual, then for 200 ms one
//! more thread is stopped, then it goes on.
//!
//! - A lock's thread is stopped while it holds the lock, which is where a thread that is taken off its core may be too.
//! - tierstack's is stopped at the worst place that a caller's function can reach: in `Eq`, at the end of a `store`'s search for
//!   the cell where it is about to publish the fragment. It is pinned then, so that nothing that leaves is freed, and has room in hot
//!   reserved, which nobody else can have. `tierstack_all_of_hot` is a fragment as heavy as the hot budget: for it
//!   everything was demoted, and every other store goes to warm, as contended, for as long as it lasts. It is the
//!   only operation that can take that much.
//!
//! Each subject does that five times, and of each slice the median counts. The thread that samples counts what the others count, and runs on the same cores for some microseconds a slice.

#![allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]

mod subjects;

use std::{
    env,
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use subjects::{InEq, Stallable};
use tierstack_benches::{
    filters, measuring,
    results::Results,
    subjects::{CoarseLock, ReadWriteLock, StdLock},
    table,
    workload::{self, Cycle, LookUps},
};

/// How long each part takes, in slices.
#[derive(Clone, Copy)]
struct Plan {
    fragments: usize,
    slice: Duration,
    before: usize,
    stopped: usize,
    after: usize,
}

impl Plan {
    const fn slices(&self) -> usize {
        self.before + self.stopped + self.after
    }

    /// The parts, as indices of slices. What the stop or its end falls into belongs to neither side of it.
    fn parts(&self) -> [std::ops::Range<usize>; 3] {
        let stop = self.before + self.stopped;
        [0..self.before, self.before + 1..stop, stop + 1..self.slices()]
    }
}

/// One of the others' counters. On a line of its own, so that they do not slow each other down.
#[derive(Default)]
#[repr(align(128))]
struct Count(AtomicU64);

/// Each subject's run is done so often.
const RUNS: usize = 5;

/// What was seen at the end of each slice.
#[derive(Default)]
struct Slices {
    ms: Vec<f64>,
    operations_per_s: Vec<f64>,
    retired_bytes: Vec<u64>,
    /// Since the beginning.
    contended: Vec<u64>,
}

impl Slices {
    /// Of each slice the median over some runs: what the system does meanwhile hits one run and not the others.
    fn medians(runs: &[Self]) -> Self {
        fn of<N: Copy + PartialOrd>(runs: &[Slices], series: impl Fn(&Slices) -> &Vec<N>) -> Vec<N> {
            let length = runs.iter().map(|run| series(run).len()).min().unwrap_or(0);
            let median = |slice| {
                let mut values: Vec<N> = runs.iter().map(|run| series(run)[slice]).collect();
                values.sort_by(|a, b| a.partial_cmp(b).expect("nothing here is no number"));
                values[values.len() / 2]
            };
            (0..length).map(median).collect()
        }
        Self {
            ms: of(runs, |run| &run.ms),
            operations_per_s: of(runs, |run| &run.operations_per_s),
            retired_bytes: of(runs, |run| &run.retired_bytes),
            contended: of(runs, |run| &run.contended),
        }
    }

    fn mean(&self, part: std::ops::Range<usize>) -> f64 {
        let of = &self.operations_per_s[part];
        of.iter().sum::<f64>() / of.len().max(1) as f64
    }
}

/// What tells the others what to do.
struct Signals {
    stop: AtomicBool,
    /// They are to wait at the barrier, twice: until all are there, and until all may go on.
    pause: AtomicBool,
    all: Barrier,
}

/// One of the others: nine `get`s to one `store`, until told to stop.
fn work<S: Stallable>(subject: &S, thread: usize, plan: &Plan, count: &Count, signals: &Signals) {
    let keys = lane(thread, plan);
    let (mut look_ups, mut cycle) = (LookUps::zipf(&keys, thread), Cycle::new(keys));
    let mut operations = 0;
    signals.all.wait();
    while !signals.stop.load(Relaxed) {
        if signals.pause.load(Relaxed) {
            signals.all.wait();
            signals.all.wait();
        }
        for _ in 0..9 {
            assert!(subject.get(look_ups.next_key()), "nothing is lost");
        }
        subject.store(cycle.next_key(), operations);
        operations += 10;
        // Only its own thread writes it.
        count.0.store(operations, Relaxed);
    }
}

/// The keys of one thread: twice as many as fit into hot.
fn lane(thread: usize, plan: &Plan) -> Vec<String> {
    workload::keys(2 * plan.fragments * thread, 2 * plan.fragments)
}

fn run<S: Stallable>(plan: &Plan) -> Slices {
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let subject = S::with_room_for(plan.fragments as u64, (2 * plan.fragments * threads) as u64);
    for thread in 0..threads {
        lane(thread, plan).into_iter().zip(0..).for_each(|(key, value)| subject.store(key, value));
    }
    let counts: Vec<Count> = (0..threads).map(|_| Count::default()).collect();
    let signals =
        Signals { stop: AtomicBool::new(false), pause: AtomicBool::new(false), all: Barrier::new(threads + 1) };
    let (let_go, until_let_go) = mpsc::channel();
    let mut until_let_go = Some(until_let_go);
    let mut slices = Slices::default();
    thread::scope(|scope| {
        for (thread, count) in counts.iter().enumerate() {
            let (subject, signals) = (&subject, &signals);
            scope.spawn(move || work(subject, thread, plan, count, signals));
        }
        let total = || counts.iter().map(|count| count.0.load(Relaxed)).sum::<u64>();
        signals.all.wait();
        // A first slice is not looked at: threads may still be starting.
        thread::sleep(plan.slice);
        let from = Instant::now();
        let (mut seen_at, mut seen) = (from, total());
        for slice in 0..plan.slices() {
            if slice == plan.before {
                // The others stand still until it is where it is to be stopped: a moment of the slice that belongs to no part.
                signals.pause.store(true, Relaxed);
                signals.all.wait();
                let (reached, until_reached) = mpsc::channel();
                let until_let_go = until_let_go.take().expect("one thread is stopped, once");
                let subject = &subject;
                scope.spawn(move || {
                    subject.stall(move || {
                        reached.send(()).expect("somebody waits for it");
                        until_let_go.recv().expect("it is let go");
                    });
                });
                until_reached.recv().expect("it comes to where it is stopped");
                signals.pause.store(false, Relaxed);
                signals.all.wait();
            }
            if slice == plan.before + plan.stopped {
                let_go.send(()).expect("it waits for that");
            }
            // By the clock from the start, so that slices do not drift; each is divided by the length that it had.
            let end = plan.slice * u32::try_from(slice + 1).expect("few slices");
            thread::sleep(end.saturating_sub(from.elapsed()));
            let (now, count) = (Instant::now(), total());
            slices.ms.push((now - from).as_secs_f64() * 1e3);
            slices.operations_per_s.push((count - seen) as f64 / (now - seen_at).as_secs_f64().max(1e-9));
            slices.retired_bytes.push(subject.retired_bytes());
            slices.contended.push(subject.contended());
            (seen_at, seen) = (now, count);
        }
        signals.stop.store(true, Relaxed);
    });
    slices
}

/// A subject by name, and its run.
type Entry = (&'static str, fn(&Plan) -> Slices);

fn entry<S: Stallable>() -> Entry {
    (S::NAME, run::<S>)
}

fn main() {
    if env::args().any(|argument| argument == "--list") {
        return;
    }
    let filters = filters();
    let ms = Duration::from_millis;
    let plan = if measuring() {
        Plan { fragments: 10_000, slice: ms(10), before: 20, stopped: 20, after: 20 }
    } else {
        Plan { fragments: 64, slice: ms(2), before: 3, stopped: 4, after: 3 }
    };
    let entries: [Entry; 5] = [
        entry::<InEq<false>>(),
        entry::<InEq<true>>(),
        entry::<CoarseLock<_>>(),
        entry::<StdLock<_>>(),
        entry::<ReadWriteLock<_>>(),
    ];
    InEq::<false>::check();
    InEq::<true>::check();
    let mut results = Results::of_this_run("stall");
    let mut rows = Vec::new();
    for (subject, run) in entries {
        if !filters.is_empty() && !filters.iter().any(|filter| subject.contains(filter)) {
            continue;
        }
        let runs: Vec<Slices> = (0..if measuring() { RUNS } else { 1 }).map(|_| run(&plan)).collect();
        let slices = Slices::medians(&runs);
        let stopped =
            [plan.before, plan.before + plan.stopped].map(|slice| slice as f64 * plan.slice.as_secs_f64() * 1e3);
        results.row(
            "stall",
            subject,
            &[("stopped_from_ms", stopped[0].into()), ("stopped_to_ms", stopped[1].into())],
            &[
                ("ms", slices.ms.clone().into()),
                ("operations_per_s", slices.operations_per_s.clone().into()),
                ("retired_bytes", slices.retired_bytes.clone().into()),
                ("contended", slices.contended.clone().into()),
            ],
        );
        let [before, during, after] = plan.parts().map(|part| slices.mean(part));
        let retired = slices.retired_bytes.iter().max().copied().unwrap_or(0);
        let contended = slices.contended[plan.before + plan.stopped - 1] - slices.contended[plan.before];
        rows.push(vec![
            subject.to_owned(),
            format!("{:.2}", before / 1e6),
            format!("{:.2}", during / 1e6),
            format!("{:.2}", after / 1e6),
            format!("{:.1} %", 100.0 * during / before.max(1.0)),
            format!("{:.1}", retired as f64 / f64::from(1 << 20)),
            contended.to_string(),
        ]);
    }
    if measuring() {
        let title =
            "stall: one thread is stopped in the middle of an operation; 10^6 operations a second of the others";
        let header = ["subject", "before", "stopped", "after", "stopped/before", "most retired, MiB", "contended"];
        table::print(title, &header, &rows);
    }
}
