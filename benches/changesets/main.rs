//! Changesets: recording changes, with and without snapshots of the whole plan, and the latency of a record, beside
//! the peers. `cargo bench --bench changesets [-- FILTER]`, where the filter is a part of a benchmark's name such as
//! `record/`, `^snapshots`, `latency` or `latency_snapshots/vec_pl`.
//!
//! A record appends a changeset's name and a payload to one log, and returns its sequence number. A snapshot is what a
//! reader can go through later, and does not change. `handle` and `plan` are tierstack's two ways to record; `pl` and
//! `std` are peers behind `parking_lot`'s and the standard library's mutex; `boxcar` does less than the others. No log
//! is sized beforehand, and all use the system's allocator.
//!
//! Each measurement fills new logs; making and dropping them, and starting the threads, is not measured. Times are
//! those of all threads together: the wall time from the first thread's start to the last one's end, divided by the
//! records. At the end, criterion's medians of the run are put side by side and held against the goals.

#![allow(clippy::cast_precision_loss, reason = "records are far below 2^52")]

mod job;
mod latency;
mod log;
mod logs;
mod subjects;

use std::env;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use job::Job;
use latency::Latency;
use log::{Large, Payload};
use subjects::{Kind, Subject};
use tierstack_benches::{
    estimates::{Estimates, Median},
    filters, measuring,
    results::Results,
    table,
};

const THREADS: [u64; 3] = [1, 2, 8];

/// A job that is measured on every log, by every number of threads.
struct Group {
    name: &'static str,
    title: &'static str,
    before: u64,
    records: u64,
    snapshot_every: Option<u64>,
    /// Whether tierstack is to be ahead of a peer of that name; if not, the ratio is only told.
    goal: fn(&str) -> bool,
}

const GROUPS: [Group; 2] = [
    Group {
        name: "record",
        title: "record alone, into a log that grows from 0 to 100,000",
        before: 0,
        records: 100_000,
        snapshot_every: None,
        goal: |peer| peer.starts_with("rpds"),
    },
    // The records divide into threads' shares of whole hundreds: as many snapshots by 8 threads as by one.
    Group {
        name: "snapshots",
        title: "record with a snapshot every 100, in a log that grows from 10,000 to 19,600",
        before: 10_000,
        records: 9_600,
        snapshot_every: Some(100),
        // A count is not a snapshot: what `boxcar` does is told and not competed with. `boxcar_copy` makes one of it.
        goal: |peer| peer != "boxcar",
    },
];

impl Group {
    fn job(&self, threads: u64) -> Job {
        Job { before: self.before, records: self.records, snapshot_every: self.snapshot_every, threads }
    }

    fn row<P: Payload>(threads: u64) -> String {
        format!("{}/{threads}t", P::NAME)
    }

    fn measure<P: Payload>(&self, criterion: &mut Criterion, estimates: &Estimates, results: &mut Results) {
        for threads in THREADS {
            let job = self.job(threads);
            let mut group = criterion.benchmark_group(self.name);
            group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(job.records));
            for subject in subjects::of_job::<P>(&job) {
                group.bench_function(BenchmarkId::new(&subject.name, Self::row::<P>(threads)), |bencher| {
                    bencher.iter_custom(|logs| (0..logs).map(|_| (subject.fill)(&job)).sum());
                });
                if let Some(median) = estimates.median(self.name, &subject.name, &Self::row::<P>(threads)) {
                    let at = [("payload", P::NAME.into()), ("threads", threads.into())];
                    results.median(self.name, &subject.name, &at, &median, job.records);
                }
            }
            group.finish();
        }
    }

    /// The medians, a row for each payload and number of threads.
    fn print(&self, estimates: &Estimates) {
        let (mut times, mut ratios) = (Vec::new(), Vec::new());
        let mut widest: Option<(f64, String)> = None;
        self.rows::<u64>(estimates, &mut times, &mut ratios, &mut widest);
        self.rows::<Large>(estimates, &mut times, &mut ratios, &mut widest);

        let subjects = subjects::of_job::<u64>(&self.job(1));
        let header = |wanted: fn(&Subject) -> bool, first: &'static str| {
            let names = subjects.iter().filter(move |subject| wanted(subject)).map(|subject| subject.name.as_str());
            [first].into_iter().chain(names).collect::<Vec<_>>()
        };
        let title = format!("{}: {}; medians in ns per record", self.name, self.title);
        table::print(&title, &header(|_| true, "payload/threads"), &times);
        let title =
            format!("{}: a peer's time over tierstack's; with a verdict where at least 1 is the goal", self.name);
        table::print(&title, &header(|subject| subject.kind == Kind::Peer, "tierstack's"), &ratios);
        if let Some((spread, of)) = widest {
            println!("widest 95 % interval of a median: +-{:.1} % ({of})", 100.0 * spread);
        }
    }

    fn rows<P: Payload>(
        &self,
        estimates: &Estimates,
        times: &mut Vec<Vec<String>>,
        ratios: &mut Vec<Vec<String>>,
        widest: &mut Option<(f64, String)>,
    ) {
        for threads in THREADS {
            let row = Self::row::<P>(threads);
            let medians: Vec<(Subject, Option<Median>)> = subjects::of_job::<P>(&self.job(threads))
                .into_iter()
                .map(|subject| {
                    let median = estimates.median(self.name, &subject.name, &row);
                    (subject, median)
                })
                .collect();
            if medians.iter().all(|(_, median)| median.is_none()) {
                continue;
            }
            for (subject, median) in &medians {
                if let Some(spread) = median.as_ref().map(Median::spread)
                    && widest.as_ref().is_none_or(|(most, _)| spread > *most)
                {
                    *widest = Some((spread, format!("{} {row}", subject.name)));
                }
            }
            let each = |median: &Median| format!("{:.1}", median.ns / self.records as f64);
            let cells = medians.iter().map(|(_, median)| median.as_ref().map_or("-".into(), each));
            times.push([row.clone()].into_iter().chain(cells).collect());
            for (subject, ours) in medians.iter().filter(|(subject, _)| subject.kind == Kind::Ours) {
                let peers = medians.iter().filter(|(subject, _)| subject.kind == Kind::Peer);
                let cells = peers.map(|(peer, theirs)| match (ours, theirs) {
                    (Some(ours), Some(theirs)) => self.ratio(&peer.name, theirs.ns / ours.ns),
                    _ => "-".into(),
                });
                ratios.push([format!("{} {row}", subject.name)].into_iter().chain(cells).collect());
            }
        }
    }

    fn ratio(&self, peer: &str, ratio: f64) -> String {
        if (self.goal)(peer) { format!("{ratio:.2} {}", table::verdict(ratio >= 1.0)) } else { format!("{ratio:.2}") }
    }
}

const LATENCIES: [Latency; 2] = [
    Latency {
        name: "latency",
        title: "a record of a u64, into logs that grow from 0 to 200,000",
        job: Job { before: 0, records: 200_000, snapshot_every: None, threads: 8 },
        rounds: 20,
    },
    Latency {
        name: "latency_snapshots",
        title: "a record of a u64, while each thread takes a snapshot every 100, in logs from 10,000 to 19,600",
        job: Job { before: 10_000, records: 9_600, snapshot_every: Some(100), threads: 8 },
        rounds: 150,
    },
];

fn measure_latencies(results: &mut Results) {
    let filters = filters();
    let mut clock = Some(latency::clock());
    for measured in LATENCIES {
        let wanted = |subject: &Subject| {
            let name = format!("{}/{}", measured.name, subject.name);
            filters.is_empty() || filters.iter().any(|filter| name.contains(filter))
        };
        let subjects: Vec<Subject> = subjects::of_job::<u64>(&measured.job).into_iter().filter(wanted).collect();
        if subjects.is_empty() {
            continue;
        }
        if let Some(clock) = clock.take() {
            println!("\nreading the clock takes {} ns; harness is two readings with nothing between", clock.as_nanos());
        }
        measured.run(&subjects, results);
    }
}

/// Each log does what is asked of it.
fn check<P: Payload>() {
    for threads in THREADS {
        let job = Job { before: 300, records: 1_001, snapshot_every: Some(100), threads };
        for subject in subjects::of_job::<P>(&job).iter().filter(|subject| subject.kind != Kind::Harness) {
            (subject.check)(&job);
            (subject.check)(&Job { before: 0, snapshot_every: None, ..job });
        }
    }
}

fn main() {
    let estimates = Estimates::of_this_run();
    let mut results = Results::of_this_run("changesets");
    let mut criterion = estimates.criterion();
    for group in &GROUPS {
        group.measure::<u64>(&mut criterion, &estimates, &mut results);
        group.measure::<Large>(&mut criterion, &estimates, &mut results);
    }
    criterion.final_summary();
    if measuring() {
        for group in &GROUPS {
            group.print(&estimates);
        }
        measure_latencies(&mut results);
    } else if !env::args().any(|argument| argument == "--list") {
        check::<u64>();
        check::<Large>();
    }
}
