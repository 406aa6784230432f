//! What a picture of hot costs, alone and beside two threads that store, and what it costs those threads.
//! `cargo bench --bench snapshot [-- FILTER]`, where the filter is a regular expression over names such as `hot_picture/snapshot_owned/10000/2w`.
//!
//! Hot is full, and each store demotes one fragment. A picture is a list of all keys and values in hot:
//!
//! | subject | what it does | what it shows |
//! |---|---|---|
//! | `snapshot_owned`, `snapshot_lent` | `snapshot_of(Tier::Hot)`, of the store and of a view | one instant |
//! | `iter_owned`, `iter_lent` | `iter(Tier::Hot)`, collected | each fragment at an instant of its own |
//! | `lru_clone` | clones an `lru::LruCache` under its `parking_lot::Mutex` | one instant, for which all others wait |
//!
//! `hot_picture` is the time of one picture. `hot_picture_writers` is the time of a store, of two threads together, while a third takes one picture
//! after the other, and while it does not. All of it shares the machine's cores.

mod subjects;

use std::{
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, SamplingMode};
use subjects::{IterLent, IterOwned, LruClone, Pictured, SnapshotLent, SnapshotOwned};
use tierstack_benches::{
    estimates::Estimates,
    lanes, measuring,
    results::Results,
    table,
    workload::{self, Cycle},
};

const WRITERS: usize = 2;

fn sizes() -> &'static [usize] {
    if measuring() { &[1_000, 10_000, 100_000] } else { &[64] }
}

struct Bench {
    criterion: Criterion,
    estimates: Estimates,
    results: Results,
    rows: Vec<Vec<String>>,
}

/// For each writer its keys: twice as many as fit into its half of hot, so that each store demotes one.
fn lanes_of(fragments: usize) -> Vec<Cycle> {
    (0..WRITERS).map(|writer| Cycle::new(workload::keys(writer * fragments, fragments))).collect()
}

fn filled<P: Pictured>(fragments: usize, lanes: &mut [Cycle]) -> P {
    let subject = P::with_room_for(fragments);
    for lane in lanes {
        (0..lane.keys().len()).for_each(|value| subject.store(lane.next_key(), value as u64));
    }
    assert_eq!(subject.picture(), fragments, "hot is full");
    subject
}

impl Bench {
    fn new() -> Self {
        let estimates = Estimates::of_this_run();
        let criterion = estimates.criterion();
        Self { criterion, estimates, results: Results::of_this_run("snapshot"), rows: Vec::new() }
    }

    fn measure(
        &mut self,
        group: &str,
        subject: &str,
        fragments: usize,
        (varied, number): (&str, usize),
        run: impl FnMut(u64) -> Duration,
    ) {
        let parameter = format!("{fragments}/{number}{}", &varied[..1]);
        let mut run = run;
        let mut measured = self.criterion.benchmark_group(group);
        measured.sampling_mode(SamplingMode::Flat);
        measured.bench_function(BenchmarkId::new(subject, &parameter), |bencher| bencher.iter_custom(&mut run));
        measured.finish();
        if let Some(median) = self.estimates.median(group, subject, &parameter) {
            let at = [("fragments", fragments.into()), (varied, number.into())];
            self.results.median(group, subject, &at, &median, 1);
            self.rows.push(vec![format!("{group}/{subject}/{parameter}"), format!("{:.1}", median.ns)]);
        }
    }

    /// Pictures, alone and beside writers.
    fn pictures<P: Pictured>(&mut self) {
        for &fragments in sizes() {
            for writers in [0, WRITERS] {
                let mut lanes = lanes_of(fragments);
                let subject: P = filled(fragments, &mut lanes);
                let run = |iterations| beside(&subject, &mut lanes[..writers], || pictures(&subject, iterations));
                self.measure("hot_picture", P::NAME, fragments, ("writers", writers), run);
            }
        }
    }

    /// Writers, without and with pictures.
    fn writers<P: Pictured>(&mut self) {
        for &fragments in sizes() {
            for takers in [0, 1] {
                let mut lanes = lanes_of(fragments);
                let subject: P = filled(fragments, &mut lanes);
                let run = |iterations| while_pictured(&subject, takers, || stores(&subject, &mut lanes, iterations));
                self.measure("hot_picture_writers", P::NAME, fragments, ("takers", takers), run);
            }
        }
    }

    fn subject<P: Pictured>(&mut self) {
        self.pictures::<P>();
        self.writers::<P>();
    }
}

fn pictures(subject: &impl Pictured, iterations: u64) -> Duration {
    let start = Instant::now();
    (0..iterations).for_each(|_| _ = black_box(subject.picture()));
    start.elapsed()
}

fn stores(subject: &impl Pictured, lanes: &mut [Cycle], iterations: u64) -> Duration {
    lanes::run(lanes, iterations, |lane, share, start| {
        let from = start.cross();
        (0..share).for_each(|value| subject.store(lane.next_key(), value));
        (from, Instant::now())
    })
}

/// Runs `timed` while a thread for each lane stores.
fn beside(subject: &impl Pictured, lanes: &mut [Cycle], timed: impl FnOnce() -> Duration) -> Duration {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for lane in lanes {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Relaxed) {
                    subject.store(lane.next_key(), 1);
                }
            });
        }
        let time = timed();
        stop.store(true, Relaxed);
        time
    })
}

/// Runs `timed` while so many threads take pictures.
fn while_pictured(subject: &impl Pictured, takers: usize, timed: impl FnOnce() -> Duration) -> Duration {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..takers {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    black_box(subject.picture());
                }
            });
        }
        let time = timed();
        stop.store(true, Relaxed);
        time
    })
}

fn main() {
    let mut bench = Bench::new();
    bench.subject::<SnapshotOwned>();
    bench.subject::<SnapshotLent>();
    bench.subject::<IterOwned>();
    bench.subject::<IterLent>();
    bench.subject::<LruClone>();
    table::print("medians in ns: of a picture, and of a store", &["what", "ns"], &bench.rows);
    bench.criterion.final_summary();
}
