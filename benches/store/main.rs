//! Speed: `get` hits, and stores that each demote one, beside the peers. `cargo bench --bench store [-- FILTER]`.
//!
//! Keys are strings of 40 bytes, values a `u64` handle, the hasher and the weigher are the same for all. Each row (an
//! operation, a number of fragments, a number of threads) measures all subjects one right after the other. Times are
//! those of all threads together: the wall time of a run divided by its operations. At the end, criterion's medians
//! of the run are put side by side and held against the goals.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, SamplingMode};
use tierstack_benches::{
    estimates::{Estimates, Median},
    lanes, measuring,
    subject::{Bounds, Session as _, Subject},
    subjects::{CoarseLock, Moka, Nothing, Owned, Pinned, QuickCache, SkipMaps},
    table,
    workload::{self, Cycle, KEY_BYTES, LookUps},
};

type Value = u64;

const EACH: u64 = KEY_BYTES as u64 + 8;
const THREADS: [usize; 2] = [1, 2];

/// `pinned` and `owned` are tierstack's two ways.
const PINNED: &str = <Pinned<Value> as Subject<Value>>::NAME;
const OWNED: &str = <Owned<Value> as Subject<Value>>::NAME;
const QUICK_CACHE: &str = <QuickCache<Value> as Subject<Value>>::NAME;
const COARSE_LOCK: &str = <CoarseLock<Value> as Subject<Value>>::NAME;
const MOKA: &str = <Moka<Value> as Subject<Value>>::NAME;
const SKIP_MAP: &str = <SkipMaps<Value> as Subject<Value>>::NAME;
const HARNESS: &str = <Nothing as Subject<Value>>::NAME;

fn sizes() -> &'static [usize] {
    if measuring() { &[1_000, 10_000, 100_000] } else { &[64] }
}

/// A subject, and for each thread its part of the work.
struct Fixture<S, L> {
    subject: S,
    lanes: Vec<L>,
}

/// An operation to be measured on every subject.
trait Operation {
    const GROUP: &'static str;
    type Lane: Send;

    fn prepare<S: Subject<Value>>(n: usize, threads: usize) -> Fixture<S, Self::Lane>;
    fn run<S: Subject<Value>>(fixture: &mut Fixture<S, Self::Lane>, iterations: u64) -> Duration;
}

/// `get` of `n` fragments that are all hot, by a Zipf distribution.
struct GetHit;

impl Operation for GetHit {
    const GROUP: &'static str = "get_hit";
    type Lane = LookUps;

    fn prepare<S: Subject<Value>>(n: usize, threads: usize) -> Fixture<S, LookUps> {
        let keys = workload::keys(0, n);
        let subject = S::new(Bounds::all_hot(n as u64, EACH));
        fill(&subject, &keys);
        Fixture { subject, lanes: (0..threads).map(|thread| LookUps::zipf(&keys, thread)).collect() }
    }

    fn run<S: Subject<Value>>(fixture: &mut Fixture<S, LookUps>, iterations: u64) -> Duration {
        lanes::run(&mut fixture.lanes, iterations, |look_ups, share, start| {
            let mut session = fixture.subject.session();
            let mut hits = 0;
            let from = start.cross();
            for _ in 0..share {
                hits += u64::from(session.get(look_ups.next_key()));
            }
            let to = Instant::now();
            assert_eq!(hits, share, "every look-up is a hit");
            (from, to)
        })
    }
}

/// `store` into a hot tier that holds `n` fragments and is full, of a key that is in warm: it is replaced there and
/// goes to hot, and hot's oldest goes to warm.
///
/// Each thread goes round `2n` keys of its own. So a key has left hot by the time it comes round again even where one
/// thread runs alone for a while, as threads behind an unfair lock do.
struct StoreDemote;

impl Operation for StoreDemote {
    const GROUP: &'static str = "store_demote";
    type Lane = Cycle;

    fn prepare<S: Subject<Value>>(n: usize, threads: usize) -> Fixture<S, Cycle> {
        let lanes: Vec<_> = (0..threads).map(|thread| Cycle::new(workload::keys(2 * n * thread, 2 * n))).collect();
        let subject = S::new(Bounds::hot_and_warm(n as u64, (2 * n * threads) as u64, EACH));
        for lane in &lanes {
            fill(&subject, lane.keys());
        }
        Fixture { subject, lanes }
    }

    fn run<S: Subject<Value>>(fixture: &mut Fixture<S, Cycle>, iterations: u64) -> Duration {
        lanes::run(&mut fixture.lanes, iterations, |cycle, share, start| {
            let mut session = fixture.subject.session();
            let from = start.cross();
            for value in 0..share {
                session.store(cycle.next_key(), value);
            }
            (from, Instant::now())
        })
    }
}

fn fill<S: Subject<Value>>(subject: &S, keys: &[String]) {
    let mut session = subject.session();
    for (key, value) in keys.iter().zip(0..) {
        session.store(key.clone(), value);
    }
    drop(session);
    subject.settle();
}

fn row(n: usize, threads: usize) -> String {
    format!("{n}/{threads}t")
}

fn measure<O: Operation, S: Subject<Value>>(criterion: &mut Criterion, n: usize, threads: usize) {
    let mut group = criterion.benchmark_group(O::GROUP);
    group.sampling_mode(SamplingMode::Flat);
    // Filled only if it is measured, and once for all samples.
    let mut fixture: Option<Fixture<S, O::Lane>> = None;
    group.bench_function(BenchmarkId::new(S::NAME, row(n, threads)), |bencher| {
        let fixture = fixture.get_or_insert_with(|| O::prepare(n, threads));
        bencher.iter_custom(|iterations| O::run(fixture, iterations));
    });
    group.finish();
}

fn measure_all<O: Operation>(criterion: &mut Criterion) {
    for &n in sizes() {
        for threads in THREADS {
            measure::<O, Pinned<Value>>(criterion, n, threads);
            measure::<O, QuickCache<Value>>(criterion, n, threads);
            measure::<O, CoarseLock<Value>>(criterion, n, threads);
            measure::<O, Owned<Value>>(criterion, n, threads);
            measure::<O, Moka<Value>>(criterion, n, threads);
            measure::<O, SkipMaps<Value>>(criterion, n, threads);
            measure::<O, Nothing>(criterion, n, threads);
        }
    }
}

/// How many times as fast as a peer tierstack is to be.
struct Goal {
    group: &'static str,
    ours: &'static str,
    peer: &'static str,
    /// Only rows of that many threads.
    threads: Option<usize>,
    at_least: f64,
}

const GOALS: [Goal; 5] = [
    Goal { group: GetHit::GROUP, ours: PINNED, peer: QUICK_CACHE, threads: None, at_least: 1.0 },
    Goal { group: GetHit::GROUP, ours: PINNED, peer: MOKA, threads: None, at_least: 3.0 },
    Goal { group: StoreDemote::GROUP, ours: OWNED, peer: MOKA, threads: None, at_least: 2.0 },
    Goal { group: StoreDemote::GROUP, ours: OWNED, peer: COARSE_LOCK, threads: Some(1), at_least: 0.7 },
    Goal { group: StoreDemote::GROUP, ours: OWNED, peer: COARSE_LOCK, threads: Some(2), at_least: 1.0 },
];

/// The medians of a group, a row for each number of fragments and of threads, with what comes of the goals.
fn print_group(estimates: &Estimates, group: &str) {
    let names = [PINNED, OWNED, QUICK_CACHE, MOKA, SKIP_MAP, COARSE_LOCK, HARNESS];
    let goals: Vec<&Goal> = GOALS.iter().filter(|goal| goal.group == group).collect();
    let against: Vec<String> = goals
        .iter()
        .map(|goal| {
            format!(
                "{} >= {:.1}{}",
                goal.peer,
                goal.at_least,
                goal.threads.map_or(String::new(), |t| format!(" ({t}t)"))
            )
        })
        .collect();
    let mut widest: Option<(f64, String)> = None;
    let mut rows = Vec::new();
    for &n in sizes() {
        for threads in THREADS {
            let row = row(n, threads);
            let median = |name: &str| estimates.median(group, name, &row);
            for name in names {
                if let Some(spread) = median(name).as_ref().map(Median::spread)
                    && widest.as_ref().is_none_or(|(most, _)| spread > *most)
                {
                    widest = Some((spread, format!("{name} {row}")));
                }
            }
            if names.iter().all(|name| median(name).is_none()) {
                continue;
            }
            let mut cells = vec![row.clone()];
            cells.extend(names.map(|name| median(name).map_or("-".into(), |median| format!("{:.1}", median.ns))));
            cells.extend(goals.iter().map(|goal| {
                let applies = goal.threads.is_none_or(|only| only == threads);
                match (median(goal.ours), median(goal.peer)) {
                    (Some(ours), Some(peer)) if applies => {
                        let ratio = peer.ns / ours.ns;
                        format!("{ratio:.2} {}", table::verdict(ratio >= goal.at_least))
                    }
                    _ => "-".into(),
                }
            }));
            rows.push(cells);
        }
    }
    let header: Vec<&str> =
        ["fragments/threads"].into_iter().chain(names).chain(against.iter().map(String::as_str)).collect();
    let mut title = format!("{group}: medians in ns per operation");
    if let Some(goal) = goals.first() {
        let _ = write!(title, "; {} is so many times as fast as", goal.ours);
    }
    table::print(&title, &header, &rows);
    if let Some((spread, of)) = widest {
        println!("widest 95 % interval of a median: +-{:.1} % ({of})", 100.0 * spread);
    }
}

fn main() {
    let estimates = Estimates::of_this_run();
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
        .nresamples(10_000)
        .output_directory(estimates.directory())
        .configure_from_args();
    measure_all::<GetHit>(&mut criterion);
    measure_all::<StoreDemote>(&mut criterion);
    criterion.final_summary();
    if measuring() {
        print_group(&estimates, GetHit::GROUP);
        print_group(&estimates, StoreDemote::GROUP);
    }
}
