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

#[derive(Default)]
struct Slices {
    ms: Vec<f64>,
    ns: Vec<f64>,
    retired_bytes: Vec<u64>,
}

/// Goes round all keys: each `store` replaces a fragment that is in warm, and demotes one.
fn work(store: &Store, fragments: u64, count: &AtomicU64, stop: &AtomicBool) {
    for done in 0.. {
        if stop.load(Relaxed) {
            return;
        }
        let value = std::iter::repeat_n(0, usize::try_from(VALUE).expect("a KiB fits the address space")).collect();
        assert!(store.store(done % fragments, value).is_ok(), "no weight is above the limit");
        // Only this thread writes it.
        count.store(done + 1, Relaxed);
    }
}

fn run(plan: &Plan) -> Slices {
    let store: Store = TierStore::builder(plan.fragments / 2 * VALUE)
        .weigher(|_: &u64, value: &Arc<[u8]>| value.len() as u64)
        .hasher(Hasher::default())
        .build()
        .expect("the budget is far below the largest");
    let (count, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut slices = Slices::default();
    thread::scope(|scope| {
        scope.spawn(|| work(&store, plan.fragments, &count, &stop));
        // What is measured first is the store once it is full.
        while count.load(Relaxed) < 2 * plan.fragments {
            thread::sleep(Duration::from_millis(1));
        }
        let from = Instant::now();
        let (mut seen_at, mut seen) = (from, count.load(Relaxed));
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
            let (now, done) = (Instant::now(), count.load(Relaxed));
            slices.ms.push((now - from).as_secs_f64() * 1e3);
            slices.ns.push((now - seen_at).as_secs_f64() * 1e9 / (done - seen).max(1) as f64);
            slices.retired_bytes.push(store.metrics().retired_bytes);
            (seen_at, seen) = (now, done);
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
            ("retired_bytes", slices.retired_bytes.clone().into()),
        ],
    );
    if !measuring() {
        return;
    }
    let held = plan.before + plan.held;
    let parts = [("before", 0..plan.before), ("pinned", plan.before..held), ("after", held..slices.ms.len())];
    let rows: Vec<Vec<String>> = parts
        .into_iter()
        .map(|(name, part)| {
            let (ns, retired) = (&slices.ns[part.clone()], &slices.retired_bytes[part]);
            let mib = |bytes: u64| format!("{:.1}", bytes as f64 / f64::from(1 << 20));
            vec![
                name.to_owned(),
                format!("{:.0}", ns.iter().sum::<f64>() / ns.len() as f64),
                mib(retired.iter().max().copied().unwrap_or(0)),
                mib(retired.last().copied().unwrap_or(0)),
            ]
        })
        .collect();
    table::print(
        "long pin: stores of 1 KiB by one thread while another holds a view",
        &["view", "ns a store", "most retired, MiB", "in the end"],
        &rows,
    );
}
