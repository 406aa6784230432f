//! One view that is held for long by a thread which does nothing with it, while another thread replaces fragments of 1 KiB.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use tierstack::TierStore;
use tierstack_benches::{measuring, results::Results, subject::Hasher, table};

type Store = TierStore<u64, Arc<[u8]>, Hasher>;

const VALUE: u64 = 1 << 10;

/// Lengths in slices.
struct Plan {
    fragments: u64,
    slice: Duration,
    before: usize,
    held: usize,
    after: usize,
}

/// What was seen at the end of each slice. One in which nothing was done goes on into the next.
#[derive(Default)]
struct Slices {
    ms: Vec<f64>,
    operations: Vec<u64>,
    ns: Vec<f64>,
    longest_ns: Vec<u64>,
    retired_bytes: Vec<u64>,
}

/// What the thread that stores has done.
#[derive(Default)]
struct Done {
    operations: AtomicU64,
    /// The longest `store` since somebody last looked.
    longest_ns: AtomicU64,
}

/// Goes round all keys: each `store` replaces a fragment that is in warm, and demotes one.
fn work(store: &Store, fragments: u64, done: &Done, stop: &AtomicBool) {
    for turn in 0.. {
        if stop.load(Relaxed) {
            return;
        }
        let value = std::iter::repeat_n(0, usize::try_from(VALUE).expect("a KiB fits the address space")).collect();
        let from = Instant::now();
        assert!(store.store(turn % fragments, value).is_ok(), "no weight is above the limit");
        let ns = u64::try_from(from.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if ns > done.longest_ns.load(Relaxed) {
            done.longest_ns.store(ns, Relaxed);
        }
        // Only this thread writes it.
        done.operations.store(turn + 1, Relaxed);
    }
}

fn run(plan: &Plan) -> Slices {
    let store: Store = TierStore::builder(plan.fragments / 2 * VALUE)
        .weigher(|_: &u64, value: &Arc<[u8]>| value.len() as u64)
        .hasher(Hasher::default())
        .build()
        .expect("the budget is far below the largest");
    let (done, stop) = (Done::default(), AtomicBool::new(false));
    let mut slices = Slices::default();
    thread::scope(|scope| {
        scope.spawn(|| work(&store, plan.fragments, &done, &stop));
        // What is measured first is the store once it is full.
        while done.operations.load(Relaxed) < 2 * plan.fragments {
            thread::sleep(Duration::from_millis(1));
        }
        let from = Instant::now();
        let (mut seen_at, mut seen) = (from, done.operations.load(Relaxed));
        let mut view = None;
        for slice in 0..plan.before + plan.held + plan.after {
            if slice == plan.before {
                view = Some(store.pin());
            }
            if slice == plan.before + plan.held {
                view = None;
            }
            let end = plan.slice * u32::try_from(slice + 1).expect("few slices");
            thread::sleep(end.saturating_sub(from.elapsed()));
            let (now, count) = (Instant::now(), done.operations.load(Relaxed));
            if count == seen {
                continue;
            }
            slices.ms.push((now - from).as_secs_f64() * 1e3);
            slices.operations.push(count - seen);
            slices.ns.push((now - seen_at).as_secs_f64() * 1e9 / (count - seen) as f64);
            slices.longest_ns.push(done.longest_ns.swap(0, Relaxed));
            slices.retired_bytes.push(store.metrics().retired_bytes);
            (seen_at, seen) = (now, count);
        }
        drop(view);
        stop.store(true, Relaxed);
    });
    slices
}

pub fn measure(results: &mut Results) {
    let plan = if measuring() {
        Plan { fragments: 20_000, slice: Duration::from_millis(10), before: 20, held: 40, after: 40 }
    } else {
        Plan { fragments: 64, slice: Duration::from_millis(1), before: 2, held: 5, after: 5 }
    };
    let slices = run(&plan);
    let ends = [plan.before, plan.before + plan.held].map(|slice| slice as f64 * plan.slice.as_secs_f64() * 1e3);
    results.row(
        "long_pin",
        "tierstack",
        &[("pinned_from_ms", ends[0].into()), ("pinned_to_ms", ends[1].into())],
        &[
            ("ms", slices.ms.clone().into()),
            ("ns", slices.ns.clone().into()),
            ("longest_ns", slices.longest_ns.clone().into()),
            ("retired_bytes", slices.retired_bytes.clone().into()),
        ],
    );
    if !measuring() {
        return;
    }
    let mib = |bytes: u64| format!("{:.1}", bytes as f64 / f64::from(1 << 20));
    let parts = [("before", 0.0..ends[0]), ("held", ends[0]..ends[1]), ("dropped", ends[1]..f64::MAX)];
    let rows: Vec<Vec<String>> = parts
        .into_iter()
        .map(|(name, part)| {
            // A slice that ends a little late is still of the part that it is of by plan.
            let slack = plan.slice.as_secs_f64() * 500.0;
            let of: Vec<usize> = (0..slices.ms.len()).filter(|&at| part.contains(&(slices.ms[at] - slack))).collect();
            let operations: u64 = of.iter().map(|&at| slices.operations[at]).sum();
            let ns: f64 = of.iter().map(|&at| slices.ns[at] * slices.operations[at] as f64).sum();
            let longest = of.iter().map(|&at| slices.longest_ns[at]).max().unwrap_or(0);
            let retired = || of.iter().map(|&at| slices.retired_bytes[at]);
            vec![
                name.to_owned(),
                format!("{:.0}", ns / operations.max(1) as f64),
                longest.to_string(),
                mib(retired().max().unwrap_or(0)),
                mib(retired().next_back().unwrap_or(0)),
            ]
        })
        .collect();
    table::print(
        "long pin: stores of 1 KiB by one thread while another holds a view",
        &["view", "ns a store", "longest, ns", "most retired, MiB", "in the end"],
        &rows,
    );
}
