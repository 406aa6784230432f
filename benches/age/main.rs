//! What it costs that fragments have an age. `cargo bench --bench age [-- FILTER]`, where the filter is a regular expression over names such as
//! `age/get_pinned/lifetimes/10000`.
//!
//! | store | what its fragments have |
//! |---|---|
//! | `plain` | no age |
//! | `deadlines` | a deadline each, an hour away |
//! | `lifetimes` | an hour to live after each use, in every tier |
//!
//! | row | what is timed |
//! |---|---|
//! | `get_owned`, `get_pinned` | a hit in hot, of uniform keys |
//! | `store_and_remove` | a `store` of a key that is not there, and the removal of the oldest |
//! | `purge` | `purge_expired` where nothing is due, a fragment; of a plain store it returns at once, so that it is left out |
//! | `purge_all` | the same where everything is due |
//!
//! One thread; the time is read by `Instant::now`, but in `purge_all`.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode};
use tierstack::{Builder, Tier, TierStore};
use tierstack_benches::{estimates::Estimates, measuring, results::Results, table};

type Store = TierStore<u64, u64>;

const HOUR: Duration = Duration::from_hours(1);

fn sizes() -> &'static [u64] {
    if measuring() { &[1_000, 10_000, 100_000] } else { &[64] }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ages {
    Plain,
    Deadlines,
    Lifetimes,
}

impl Ages {
    const ALL: [Self; 3] = [Self::Plain, Self::Deadlines, Self::Lifetimes];

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Deadlines => "deadlines",
            Self::Lifetimes => "lifetimes",
        }
    }

    fn builder(self, hot: u64) -> Builder<u64, u64> {
        let builder = TierStore::builder(hot).weigher(|_, _| 1);
        match self {
            Self::Lifetimes => Tier::ALL.into_iter().fold(builder, |builder, tier| builder.expire_after(tier, HOUR)),
            _ => builder,
        }
    }

    fn put(self, store: &Store, key: u64, deadline: Instant) {
        let stored = match self {
            Self::Deadlines => store.store_until(key, key, deadline),
            _ => store.store(key, key),
        };
        assert!(stored.is_ok(), "light enough");
    }

    fn filled(self, builder: Builder<u64, u64>, fragments: u64, deadline: Instant) -> Store {
        let store = builder.build().expect("a small budget");
        (0..fragments).for_each(|key| self.put(&store, spread(key), deadline));
        store
    }
}

/// Keys as an application has them: in no order.
fn spread(number: u64) -> u64 {
    number.wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

/// Numbers below `fragments`, each as likely as any other.
fn numbers(fragments: u64) -> impl FnMut() -> u64 {
    let mut state = 1_u64;
    move || {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        (state >> 33) % fragments
    }
}

struct Bench {
    criterion: Criterion,
    estimates: Estimates,
    results: Results,
    rows: Vec<Vec<String>>,
}

impl Bench {
    /// `run` is told how often it is to do what it does, and answers with the time; each time it does so to `each` fragments.
    fn measure(&mut self, row: &str, (ages, fragments): (Ages, u64), each: u64, mut run: impl FnMut(u64) -> Duration) {
        let parameter = format!("{}/{fragments}", ages.name());
        let mut group = self.criterion.benchmark_group("age");
        group.sampling_mode(SamplingMode::Flat);
        group.bench_function(BenchmarkId::new(row, &parameter), |bencher| bencher.iter_custom(&mut run));
        group.finish();
        if let Some(median) = self.estimates.median("age", row, &parameter) {
            let at = [("row", row.into()), ("fragments", fragments.into())];
            self.results.median("age", ages.name(), &at, &median, each);
            #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
            let ns = median.ns / each as f64;
            self.rows.push(vec![format!("{row}/{parameter}"), format!("{ns:.1}")]);
        }
    }

    fn rows_of(&mut self, ages: Ages, fragments: u64) {
        let at = (ages, fragments);
        let deadline = Instant::now() + HOUR;
        let store = ages.filled(ages.builder(fragments), fragments, deadline);
        let mut number = numbers(fragments);
        self.measure("get_owned", at, 1, |times| {
            timed(times, || assert!(black_box(store.get(&spread(number()))).is_some()))
        });
        let mut number = numbers(fragments);
        self.measure("get_pinned", at, 1, |times| {
            let view = store.pin();
            timed(times, || assert!(black_box(view.get(&spread(number()))).is_some()))
        });
        if ages != Ages::Plain {
            self.measure("purge", at, fragments, |times| timed(times, || assert_eq!(store.purge_expired(), 0)));
        }
        // So many are in the store at any time.
        let mut next = fragments;
        self.measure("store_and_remove", at, 1, |times| {
            timed(times, || {
                ages.put(&store, spread(next), deadline);
                store.remove(&spread(next - fragments));
                next += 1;
            })
        });
        if ages != Ages::Plain {
            self.measure("purge_all", at, fragments, |times| (0..times).map(|_| purged(ages, fragments)).sum());
        }
    }
}

/// The time that it takes to purge a store in which everything is due.
fn purged(ages: Ages, fragments: u64) -> Duration {
    let (start, passed) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let seconds = Arc::clone(&passed);
    let builder = ages.builder(fragments).clock(move || start + Duration::from_secs(seconds.load(Relaxed)));
    let store = ages.filled(builder, fragments, start + HOUR);
    passed.store(3600, Relaxed);
    let begin = Instant::now();
    assert_eq!(store.purge_expired() as u64, fragments);
    begin.elapsed()
}

fn timed(times: u64, mut run: impl FnMut()) -> Duration {
    let begin = Instant::now();
    (0..times).for_each(|_| run());
    begin.elapsed()
}

fn main() {
    let estimates = Estimates::of_this_run();
    let criterion = estimates.criterion().sample_size(20).measurement_time(Duration::from_secs(2));
    let mut bench = Bench { criterion, estimates, results: Results::of_this_run("age"), rows: Vec::new() };
    for &fragments in sizes() {
        for ages in Ages::ALL {
            bench.rows_of(ages, fragments);
        }
    }
    table::print("medians in ns", &["what", "ns"], &bench.rows);
    bench.criterion.final_summary();
}
