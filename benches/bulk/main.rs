//! How long it takes to load a store, fragment by fragment and in bulk.
//! `cargo bench --bench bulk [-- FILTER]`, where the filter is a regular expression over names such as `bulk/store_all/1000000/hot/1t`.
//!
//! A fresh store is filled with a million fragments. In `hot` all of them fit into hot; in `warm` one in a hundred does, so that nearly each store demotes another.
//! Neither the making of the store nor its end is timed. The number is the time of one fragment.
//!
//! | subject | what it does |
//! |---|---|
//! | `store` | a `store` for each, into a store that knows nothing of their number |
//! | `store_expected` | the same, into a store that was told their number |
//! | `view` | a `store` for each through a view that is repinned every 64, as above |
//! | `store_all` | one `store_all` of an iterator that knows its length |
//! | `store_all_unsized` | the same of one that does not |
//! | `par_store_all` | one `par_store_all` on a pool of so many threads |
//! | `store_all_apart` | a `store_all` by each of so many threads of its share, into a store of its own: what the machine gives them |

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode};
use rayon::{ThreadPool, ThreadPoolBuilder, iter::ParallelIterator, prelude::*};
use tierstack::{Tier, TierStore};
use tierstack_benches::{estimates::Estimates, measuring, results::Results, table};

type Store = TierStore<u64, u64>;

const WEIGHT: u64 = 16;

fn fragments() -> u64 {
    if measuring() { 1_000_000 } else { 1_000 }
}

/// Which share of the fragments fits into hot.
#[derive(Clone, Copy)]
enum Fits {
    All,
    OneInAHundred,
}

impl Fits {
    fn name(self) -> &'static str {
        match self {
            Self::All => "hot",
            Self::OneInAHundred => "warm",
        }
    }

    fn budget(self) -> u64 {
        let all = fragments() * WEIGHT;
        match self {
            Self::All => all,
            Self::OneInAHundred => all / 100,
        }
    }
}

/// A way to load a store.
type Load<'a> = &'a dyn Fn(&Store);

struct Bench {
    criterion: Criterion,
    estimates: Estimates,
    results: Results,
    rows: Vec<Vec<String>>,
}

impl Bench {
    fn new() -> Self {
        let estimates = Estimates::of_this_run();
        let criterion = estimates.criterion().sample_size(10).measurement_time(Duration::from_secs(8));
        Self { criterion, estimates, results: Results::of_this_run("bulk"), rows: Vec::new() }
    }

    fn measure(&mut self, subject: &str, (fits, threads): (Fits, usize), expected: usize, load: Load<'_>) {
        self.measure_by(subject, (fits, threads), &|| loaded(fits, expected, load));
    }

    fn measure_by(&mut self, subject: &str, (fits, threads): (Fits, usize), time: &dyn Fn() -> Duration) {
        let parameter = format!("{}/{}/{threads}t", fragments(), fits.name());
        let mut measured = self.criterion.benchmark_group("bulk");
        measured.sampling_mode(SamplingMode::Flat);
        measured.bench_function(BenchmarkId::new(subject, &parameter), |bencher| {
            bencher.iter_custom(|iterations| (0..iterations).map(|_| time()).sum());
        });
        measured.finish();
        if let Some(median) = self.estimates.median("bulk", subject, &parameter) {
            let at = [("fragments", fragments().into()), ("fits", fits.name().into()), ("threads", threads.into())];
            self.results.median("bulk", subject, &at, &median, fragments());
            #[allow(clippy::cast_precision_loss, reason = "a million is far below 2^52")]
            let each = median.ns / fragments() as f64;
            self.rows.push(vec![format!("{subject}/{parameter}"), format!("{each:.1}")]);
        }
    }
}

/// The time that it takes to load a fresh store.
fn loaded(fits: Fits, expected: usize, load: Load<'_>) -> Duration {
    let store = Store::builder(fits.budget()).weigher(|_, _| WEIGHT).expected_fragments(expected).build();
    let store = store.expect("a small budget");
    let start = Instant::now();
    load(&store);
    let time = start.elapsed();
    let fragments: u64 = Tier::ALL.iter().map(|&tier| store.metrics().tier(tier).fragments).sum();
    assert_eq!(fragments, self::fragments());
    time
}

/// Keys as an application has them: in no order.
fn pair(number: u64) -> (u64, u64) {
    (number.wrapping_mul(0xD6E8_FEB8_6659_FD93), number)
}

fn single(store: &Store) {
    for (key, value) in (0..fragments()).map(pair) {
        store.store(key, value).expect("light enough");
    }
}

fn view(store: &Store) {
    let mut view = store.pin();
    for (number, (key, value)) in (0..fragments()).map(pair).enumerate() {
        view.store(key, value).expect("light enough");
        if number % 64 == 63 {
            view.repin();
        }
    }
}

/// The time that it takes so many threads to load a fresh store each, with a share of the fragments.
fn apart(fits: Fits, threads: u64) -> Duration {
    let share = fragments() / threads;
    let stores: Vec<_> = (0..threads)
        .map(|_| Store::builder(fits.budget() / threads).weigher(|_, _| WEIGHT).build().expect("a small budget"))
        .collect();
    let barrier = Barrier::new(stores.len());
    thread::scope(|scope| {
        let loads = stores.iter().zip(0..).map(|(store, thread)| {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                let start = Instant::now();
                store.store_all((thread * share..(thread + 1) * share).map(pair));
                (start, Instant::now())
            })
        });
        let times: Vec<_> = loads.collect::<Vec<_>>().into_iter().map(|load| load.join().expect("loads")).collect();
        let start = times.iter().map(|(start, _)| *start).min().expect("some");
        times.iter().map(|(_, end)| *end).max().expect("some") - start
    })
}

fn parallel(pool: &ThreadPool, store: &Store) {
    pool.install(|| store.par_store_all((0..fragments()).into_par_iter().map(pair)));
}

fn main() {
    let mut bench = Bench::new();
    let expected = usize::try_from(fragments()).expect("a million");
    let pools = [1, 2].map(|threads| ThreadPoolBuilder::new().num_threads(threads).build().expect("threads start"));
    for fits in [Fits::All, Fits::OneInAHundred] {
        bench.measure("store", (fits, 1), 0, &single);
        bench.measure("store_expected", (fits, 1), expected, &single);
        bench.measure("view", (fits, 1), 0, &view);
        bench.measure("store_all", (fits, 1), 0, &|store| _ = store.store_all((0..fragments()).map(pair)));
        let unsized_pairs = || (0..fragments()).map(pair).filter(|_| true);
        bench.measure("store_all_unsized", (fits, 1), 0, &|store| _ = store.store_all(unsized_pairs()));
        for pool in &pools {
            bench.measure("par_store_all", (fits, pool.current_num_threads()), 0, &|store| parallel(pool, store));
        }
        bench.measure_by("store_all_apart", (fits, 2), &|| apart(fits, 2));
    }
    table::print("medians in ns of one fragment", &["what", "ns"], &bench.rows);
    bench.criterion.final_summary();
}
