//! What a checkpoint costs: to take a snapshot of a store, to write it, to read it, and to restore it. `cargo bench --bench checkpoint [-- FILTER]`, where the
//! filter is a regular expression over names such as `checkpoint/write_json/100000`.
//!
//! Values are texts of 100 bytes. The number is the time of one fragment. What is written goes to memory that is there: no disk is measured.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, SamplingMode};
use tierstack::{Builder, StoreSnapshot, Tier, TierStore};
use tierstack_benches::{estimates::Estimates, measuring, results::Results, table};

type Text = String;

fn sizes() -> &'static [u64] {
    if measuring() { &[10_000, 1_000_000] } else { &[64] }
}

/// A tenth fits into hot.
fn builder(fragments: u64) -> Builder<u64, Text> {
    TierStore::builder(fragments / 10).weigher(|_, _| 1)
}

fn filled(fragments: u64) -> TierStore<u64, Text> {
    let store = builder(fragments).build().expect("a small budget");
    for key in 0..fragments {
        store.store(key, format!("{key:0100}")).expect("light enough");
    }
    assert_eq!(Tier::ALL.into_iter().map(|tier| store.len(tier)).sum::<u64>(), fragments);
    store
}

fn timed<T>(times: u64, mut run: impl FnMut() -> T) -> Duration {
    let mut time = Duration::ZERO;
    for _ in 0..times {
        let begin = Instant::now();
        let made = black_box(run());
        time += begin.elapsed();
        // Its end is not timed.
        drop(made);
    }
    time
}

fn main() {
    let estimates = Estimates::of_this_run();
    let mut criterion = estimates.criterion().sample_size(10).measurement_time(Duration::from_secs(5));
    let mut results = Results::of_this_run("checkpoint");
    let mut rows = Vec::new();
    for &fragments in sizes() {
        let store = filled(fragments);
        let snapshot = store.snapshot();
        let json = serde_json::to_vec(&snapshot).expect("plain text");
        let mut room = Vec::with_capacity(json.len());
        let mut measure = |row: &str, run: &mut dyn FnMut(u64) -> Duration| {
            let mut group = criterion.benchmark_group("checkpoint");
            group.sampling_mode(SamplingMode::Flat);
            group.bench_function(BenchmarkId::new(row, fragments), |bencher| bencher.iter_custom(&mut *run));
            group.finish();
            if let Some(median) = estimates.median("checkpoint", row, &fragments.to_string()) {
                results.median("checkpoint", row, &[("fragments", fragments.into())], &median, fragments);
                #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
                let ns = median.ns / fragments as f64;
                rows.push(vec![format!("{row}/{fragments}"), format!("{ns:.1}")]);
            }
        };
        measure("snapshot_lent", &mut |times| {
            let view = store.pin();
            timed(times, || view.snapshot().len())
        });
        measure("snapshot_owned", &mut |times| timed(times, || store.snapshot()));
        measure("write_json", &mut |times| {
            timed(times, || {
                room.clear();
                serde_json::to_writer(&mut room, &snapshot).expect("to memory");
            })
        });
        measure("read_json", &mut |times| {
            timed(times, || serde_json::from_slice::<StoreSnapshot<u64, Text>>(&json).expect("written above"))
        });
        measure("restore", &mut |times| {
            let read = |_| {
                let taken = store.snapshot();
                let begin = Instant::now();
                let restored = builder(fragments).restore(taken).expect("of the same builder");
                let time = begin.elapsed();
                drop(restored);
                time
            };
            (0..times).map(read).sum()
        });
    }
    table::print("medians in ns of one fragment", &["what", "ns"], &rows);
    criterion.final_summary();
}
