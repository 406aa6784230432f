//! Memory: bytes of overhead a fragment, and the peak under churn of large values, beside the peers.
//! `cargo bench --bench memory [-- FILTER]`, where the filter is a part of a case's name such as `overhead/moka`.
//!
//! Bytes are those that a counting allocator sees. Each case runs in a process of its own, so that no garbage, pool
//! or thread-local of another is counted. Results are printed as measured, against the goals, and never fail the run.

#![allow(clippy::cast_precision_loss, reason = "bytes and fragments are far below 2^52")]

use std::{
    env,
    process::{self, Command, Stdio},
    str::FromStr,
    sync::Arc,
    thread,
};

use rand::{Rng, SeedableRng, rngs::SmallRng};
use tierstack_benches::{
    counting::{self, Counting},
    measuring,
    subject::{Bounds, Session as _, Subject},
    subjects::{CoarseLock, Moka, Owned, QuickCache, SkipMaps},
    table::{self, verdict},
    workload::{self, KEY_BYTES, LookUps},
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: u64 = 1 << 20;

/// Bytes of overhead a fragment, at most.
const OVERHEAD_GOAL: f64 = 200.0;
/// Peak live bytes over what the tiers hold, at most.
const CHURN_GOAL: f64 = 1.25;

/// What is subtracted for each fragment: the key's text and the value. The `String` itself counts as overhead.
const SMALL: u64 = KEY_BYTES as u64 + 8;

const CHURN_THREADS: usize = 8;
const CHURN_VALUE: u64 = 16 << 10;
const CHURN_EACH: u64 = CHURN_VALUE + KEY_BYTES as u64;
/// The worst of so many runs counts.
const CHURN_RUNS: usize = 3;

/// Overhead of `n` fragments with small values, half of them hot: after storing each once, then after 99 `get`s a
/// store by a Zipf distribution, one store for each fragment on average, then after storing each four times in turn.
/// Each is taken twice: as the last operation leaves it, and at rest, when what was put off has been done.
fn overhead<S: Subject<u64>>(n: usize) -> [f64; 6] {
    let keys = workload::keys(0, n);
    let mut look_ups = LookUps::zipf(&keys, 0);
    let before = counting::live();
    let subject = S::new(Bounds::hot_and_warm(n as u64 / 2, n as u64, SMALL));

    let overhead = |fragments: u64| {
        let held = counting::live().wrapping_sub(before).cast_signed();
        (held as f64 - (fragments * SMALL) as f64) / fragments as f64
    };
    let both = || {
        let found = overhead(n as u64);
        subject.settle();
        let held = subject.held().expect("it can tell what it holds").fragments;
        assert!(held.abs_diff(n as u64) <= n as u64 / 100, "{} holds {held} fragments of {n}", S::NAME);
        [found, overhead(held)]
    };

    let mut session = subject.session();
    for (key, value) in keys.iter().zip(0..) {
        session.store(key.clone(), value);
    }
    drop(session);
    let loaded = both();

    let mut session = subject.session();
    for value in 0..n as u64 {
        for _ in 0..99 {
            assert!(session.get(look_ups.next_key()));
        }
        session.store(look_ups.next_key().to_owned(), value);
    }
    drop(session);
    let read = both();

    let mut session = subject.session();
    for _ in 0..4 {
        for (key, value) in keys.iter().zip(0..) {
            session.store(key.clone(), value);
        }
    }
    drop(session);
    let churned = both();

    [loaded[0], loaded[1], read[0], read[1], churned[0], churned[1]]
}

/// What a run of churn came to, in bytes.
#[derive(Clone, Copy)]
struct Churn {
    /// The most that lived at once: payload, structure, and what the threads had in hand.
    peak: u64,
    /// What the tiers hold in the end.
    held: u64,
    /// The most that hot held, where the subject knows.
    hot: Option<u64>,
}

/// Threads store values of 16 KiB, under keys drawn from twice as many as the tiers hold: about half of the stores
/// replace, the others push one out at the bottom. The tiers hold `total` bytes: a quarter hot, a quarter warm, the
/// rest cold.
fn churn<S: Subject<Arc<[u8]>>>(total: u64) -> Churn {
    let bounds = Bounds::quarters(total, CHURN_EACH);
    let fit = usize::try_from(bounds.fragments).expect("fragments fit the address space");
    let keys = workload::keys(0, 2 * fit);
    let each_thread = (16 * fit).max(64 << 10) / CHURN_THREADS;

    let before = counting::live();
    counting::reset_peak();
    let subject = S::new(bounds);
    thread::scope(|scope| {
        for seed in 0..CHURN_THREADS as u64 {
            let (subject, keys) = (&subject, &keys);
            scope.spawn(move || {
                let mut rng = SmallRng::seed_from_u64(seed);
                let mut session = subject.session();
                for _ in 0..each_thread {
                    let key = &keys[rng.random_range(0..keys.len())];
                    let value = std::iter::repeat_n(rng.random::<u8>(), 16 << 10).collect();
                    session.store(key.clone(), value);
                }
            });
        }
    });
    let peak = (counting::peak() - before) as u64;
    subject.settle();
    Churn { peak, held: subject.held().expect("it can tell what it holds").bytes, hot: subject.peak_hot_bytes() }
}

const TIERSTACK: &str = <Owned<u64> as Subject<u64>>::NAME;
const QUICK_CACHE: &str = <QuickCache<u64> as Subject<u64>>::NAME;
const MOKA: &str = <Moka<u64> as Subject<u64>>::NAME;
const COARSE_LOCK: &str = <CoarseLock<u64> as Subject<u64>>::NAME;
const SKIP_MAP: &str = <SkipMaps<u64> as Subject<u64>>::NAME;

/// Runs one case in this process and prints its numbers on one line.
fn run_case(case: &str) {
    let parts: Vec<&str> = case.split('/').collect();
    let size = parts[2].parse().expect("a case ends in a size");
    let numbers: Vec<String> = match parts[0] {
        "overhead" => {
            let run = match parts[1] {
                TIERSTACK => overhead::<Owned<_>>,
                QUICK_CACHE => overhead::<QuickCache<_>>,
                MOKA => overhead::<Moka<_>>,
                COARSE_LOCK => overhead::<CoarseLock<_>>,
                SKIP_MAP => overhead::<SkipMaps<_>>,
                other => panic!("no subject {other}"),
            };
            run(size).iter().map(f64::to_string).collect()
        }
        "churn" => {
            let run = match parts[1] {
                TIERSTACK => churn::<Owned<_>>,
                QUICK_CACHE => churn::<QuickCache<_>>,
                MOKA => churn::<Moka<_>>,
                COARSE_LOCK => churn::<CoarseLock<_>>,
                other => panic!("no subject {other}"),
            };
            let Churn { peak, held, hot } = run(size as u64 * MIB);
            [Some(peak), Some(held), hot].iter().map_while(Option::as_ref).map(u64::to_string).collect()
        }
        other => panic!("no measurement {other}"),
    };
    println!("{}", numbers.join(" "));
}

/// Runs one case in a process of its own; `None` where it failed.
fn measure<N: FromStr>(case: &str) -> Option<Vec<N>> {
    let mut child = Command::new(env::current_exe().ok()?);
    let output = child.args([CASE, case]).stderr(Stdio::inherit()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let numbers = text.split_whitespace().map(|number| number.parse().ok()).collect::<Option<Vec<N>>>();
    output.status.success().then_some(numbers).flatten()
}

fn measure_overhead(wanted: impl Fn(&str) -> bool) {
    let mut rows = Vec::new();
    for n in [1_000, 10_000, 100_000] {
        for subject in [TIERSTACK, QUICK_CACHE, MOKA, COARSE_LOCK, SKIP_MAP] {
            let case = format!("overhead/{subject}/{n}");
            if !wanted(&case) {
                continue;
            }
            let mut row = vec![n.to_string(), subject.to_owned()];
            match measure::<f64>(&case).filter(|numbers| numbers.len() == 6) {
                Some(numbers) => {
                    row.extend(numbers.iter().map(|bytes| format!("{bytes:.1}")));
                    let worst = numbers.iter().skip(1).step_by(2).copied().fold(f64::MIN, f64::max);
                    row.push(verdict(worst <= OVERHEAD_GOAL).to_owned());
                }
                None => row.push("failed".into()),
            }
            rows.push(row);
        }
    }
    let title =
        format!("overhead: bytes a fragment beyond the key's text and the value; at rest at most {OVERHEAD_GOAL}");
    let header = ["fragments", "subject", "loaded", "at rest", "99 % reads", "at rest", "churned", "at rest", "goal"];
    table::print(&title, &header, &rows);
}

fn measure_churn(wanted: impl Fn(&str) -> bool) {
    let mib = |bytes: u64| format!("{:.2}", bytes as f64 / MIB as f64);
    let mut rows = Vec::new();
    for total in [16, 64, 256] {
        for subject in [TIERSTACK, QUICK_CACHE, MOKA, COARSE_LOCK] {
            let case = format!("churn/{subject}/{total}");
            if !wanted(&case) {
                continue;
            }
            let bounds = Bounds::quarters(total * MIB, CHURN_EACH);
            let mut row = vec![total.to_string(), subject.to_owned()];
            let runs: Option<Vec<Churn>> = (0..CHURN_RUNS)
                .map(|_| match measure(&case)?[..] {
                    [peak, held] => Some(Churn { peak, held, hot: None }),
                    [peak, held, hot] => Some(Churn { peak, held, hot: Some(hot) }),
                    _ => None,
                })
                .collect();
            // What a subject holds beyond its bounds must not make its peak look better.
            let ratio = |run: &Churn| run.peak as f64 / run.held.min(total * MIB) as f64;
            let by_ratio = |mut runs: Vec<Churn>| {
                runs.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
                runs
            };
            match runs.map(by_ratio).as_deref() {
                Some([.., median, worst]) => {
                    row.extend([mib(worst.held), mib(worst.peak)]);
                    row.push(format!("{:.3}", ratio(median)));
                    row.push(format!("{:.3} {}", ratio(worst), verdict(ratio(worst) <= CHURN_GOAL)));
                    row.push(mib(bounds.hot));
                    row.push(
                        worst.hot.map_or("-".into(), |hot| format!("{} {}", mib(hot), verdict(hot <= bounds.hot))),
                    );
                }
                _ => row.push("failed".into()),
            }
            rows.push(row);
        }
    }
    let title = format!(
        "churn: {CHURN_THREADS} threads storing values of 16 KiB, in MiB; peak at most {CHURN_GOAL} of what is held \
         (the worst of {CHURN_RUNS} runs)"
    );
    let header = ["tiers", "subject", "held", "peak", "peak/held: median", "worst", "hot budget", "peak hot"];
    table::print(&title, &header, &rows);
}

/// The argument before a case that is to run in this process.
const CASE: &str = "--case";

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [flag, case] = &arguments[..]
        && flag == CASE
    {
        // Ends the process before destructors of statics could fail.
        run_case(case);
        process::exit(0);
    }
    if arguments.iter().any(|argument| argument == "--list") {
        return;
    }
    if !measuring() {
        run_case(&format!("overhead/{TIERSTACK}/64"));
        return;
    }
    // Flags are criterion's, and mean nothing here.
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |case: &str| filters.is_empty() || filters.iter().any(|filter| case.contains(*filter));
    measure_overhead(wanted);
    measure_churn(wanted);
}
