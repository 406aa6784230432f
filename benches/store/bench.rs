//! How an operation is measured on every subject.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode};
use tierstack_benches::{
    estimates::{Estimates, Median},
    filters, measuring,
    results::Results,
    subject::{Held, Subject},
    subjects::{self, Nothing, Slack, Visitor},
    table,
    workload::KEY_BYTES,
};

pub type Value = u64;

/// What every fragment weighs.
pub const EACH: u64 = KEY_BYTES as u64 + 8;

/// A number of fragments at which tierstack's index stands in the middle of a growth when it was filled by single stores. Nobody
/// says how many there will be, and nobody stores on: what a reader finds then is what it finds from then on.
pub const MID_GROWTH: usize = 112_500;

const SIZES: [usize; 6] = [1_000, 10_000, MID_GROWTH / 2, 100_000, MID_GROWTH, 1_000_000];
pub const THREADS: [usize; 5] = [1, 2, 4, 8, 16];

/// More than that, beside what is stored under them, would not fit into the memory of a small machine.
const MOST_KEYS: usize = 16_000_000;

/// What all subjects of a row are given.
pub struct Work<L> {
    /// What they hold beforehand, in the order of storing.
    pub keys: Vec<String>,
    /// For each thread its part.
    pub lanes: Vec<L>,
}

/// What can be measured on a subject.
pub trait Operation {
    /// Numbers of fragments, and by how many threads each is measured.
    const DEFAULT: &'static [(&'static [usize], &'static [usize])];
    /// Whether nothing is stored once the subject is filled.
    const ONLY_READS: bool = false;
    /// Whether fragments are used otherwise than by storing or moving them: if not, a slack changes nothing.
    const HAS_GETS: bool = false;
    /// Whether fragments leave at the bottom, so that subjects without bounds there cannot do it.
    const NEEDS_BOUNDS: bool = false;

    type Lane: Send + Sync;

    fn group(&self) -> &'static str;

    /// How many keys that takes.
    fn keys(n: usize, threads: usize) -> usize;

    fn work(&self, n: usize, threads: usize) -> Work<Self::Lane>;

    fn subject<S: Subject<Value>>(&self, n: usize, work: &Work<Self::Lane>) -> S;

    /// Starts again from where all subjects start.
    fn rewind(lane: &mut Self::Lane);

    /// How many operations an iteration is.
    fn operations(&self, _n: usize) -> u64 {
        1
    }

    fn run<S: Subject<Value>>(&self, subject: &mut S, work: &mut Work<Self::Lane>, iterations: u64) -> Duration;

    /// What must be true once all is done and settled: all fragments are there.
    fn check<S: Subject<Value>>(&self, held: Held, _n: usize, work: &Work<Self::Lane>) {
        let fragments = work.keys.len() as u64;
        // Where a fragment is in two tiers or none while it moves, others' operations can leave it so.
        let tolerated = if S::EXACT { 0 } else { fragments / 20 };
        let off = held.fragments.abs_diff(fragments);
        assert!(off <= tolerated, "{} holds {} fragments of {fragments}", S::NAME, held.fragments);
    }
}

pub struct Bench {
    criterion: Criterion,
    estimates: Estimates,
    results: Results,
}

impl Bench {
    pub fn new() -> Self {
        let estimates = Estimates::of_this_run();
        let criterion = estimates.criterion();
        Self { criterion, estimates, results: Results::of_this_run("store") }
    }

    /// Measures the operation on every subject, row by row, and prints the medians.
    pub fn measure<O: Operation>(&mut self, operation: &O) {
        let mut header = vec!["fragments/threads"];
        let mut rows = Vec::new();
        for (n, threads) in points::<O>() {
            let mut row = Row { bench: self, operation, n, threads, work: None, medians: Vec::new() };
            if O::ONLY_READS {
                subjects::visit_readers(&mut row);
            } else {
                subjects::visit_all(&mut row);
            }
            let medians = row.medians;
            if medians.iter().all(|(_, median)| median.is_none()) {
                continue;
            }
            header.truncate(1);
            header.extend(medians.iter().map(|&(name, _)| name));
            let cells = medians.iter().map(|(_, median)| median.map_or("-".into(), |ns| format!("{ns:.1}")));
            rows.push([parameter(n, threads)].into_iter().chain(cells).collect());
        }
        table::print(&format!("{}: medians in ns per operation", operation.group()), &header, &rows);
    }

    pub fn finish(self) {
        self.criterion.final_summary();
    }
}

fn parameter(n: usize, threads: usize) -> String {
    format!("{n}/{threads}t")
}

/// Numbers of fragments and of threads.
fn points<O: Operation>() -> Vec<(usize, usize)> {
    let cross = |sizes: &[usize], threads: &[usize]| -> Vec<_> {
        sizes.iter().flat_map(|&n| threads.iter().map(move |&threads| (n, threads))).collect()
    };
    if !measuring() {
        return cross(&[64], &[1, 2]);
    }
    if filters().is_empty() {
        return O::DEFAULT.iter().flat_map(|(sizes, threads)| cross(sizes, threads)).collect();
    }
    let mut all = cross(&SIZES, &THREADS);
    all.retain(|&(n, threads)| O::keys(n, threads) <= MOST_KEYS);
    all
}

/// A point at which all subjects are measured.
struct Row<'b, O: Operation> {
    bench: &'b mut Bench,
    operation: &'b O,
    n: usize,
    threads: usize,
    /// Made only if something is measured.
    work: Option<Work<O::Lane>>,
    /// Nanoseconds per operation.
    medians: Vec<(&'static str, Option<f64>)>,
}

impl<O: Operation> Visitor<Value> for Row<'_, O> {
    fn visit<S: Subject<Value>>(&mut self) {
        let &mut Self { operation, n, threads, .. } = self;
        let is_slack = S::NAME == <Slack<Value> as Subject<Value>>::NAME;
        if is_slack && !O::HAS_GETS || O::NEEDS_BOUNDS && !S::BOUNDED && !is_harness::<S>() {
            return;
        }
        let mut subject: Option<S> = None;
        let mut group = self.bench.criterion.benchmark_group(operation.group());
        group.sampling_mode(SamplingMode::Flat);
        group.bench_function(BenchmarkId::new(S::NAME, parameter(n, threads)), |bencher| {
            let work = self.work.get_or_insert_with(|| operation.work(n, threads));
            // Filled once for all samples.
            let subject = subject.get_or_insert_with(|| {
                work.lanes.iter_mut().for_each(O::rewind);
                operation.subject(n, work)
            });
            bencher.iter_custom(|iterations| operation.run(subject, work, iterations));
        });
        group.finish();
        if let (Some(subject), Some(work)) = (&subject, &self.work) {
            subject.settle();
            if let Some(held) = subject.held() {
                operation.check::<S>(held, n, work);
            }
        }
        let operations = operation.operations(n);
        let median = self.bench.estimates.median(operation.group(), S::NAME, &parameter(n, threads));
        if let Some(median) = &median {
            let at = [("fragments", n.into()), ("threads", threads.into())];
            self.bench.results.median(operation.group(), S::NAME, &at, median, operations);
        }
        #[allow(clippy::cast_precision_loss, reason = "operations are far below 2^52")]
        let ns = |median: Median| median.ns / operations as f64;
        self.medians.push((S::NAME, median.map(ns)));
    }
}

/// Whether it is the harness alone, which has nothing to find.
pub fn is_harness<S: Subject<Value>>() -> bool {
    S::NAME == <Nothing as Subject<Value>>::NAME
}
