//! Memory: bytes of overhead a fragment, also where uses come between stores, and the peak under churn of large values, beside the peers.
//! `cargo bench --bench memory [-- FILTER]`, where the filter is a part of a case's name such as `overhead/moka`.
//!
//! Bytes are those that a counting allocator sees. Each case runs in a process of its own, so that no garbage, pool
//! or thread-local of another is counted. Results are printed as measured, against the goals, and never fail the run.

#![allow(clippy::cast_precision_loss, reason = "bytes and fragments are far below 2^52")]

use std::{
    env,
    process::{self, Command, Stdio},
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::SmallRng};
use tierstack_benches::{
    counting::{self, Counting},
    measuring,
    results::Results,
    subject::{Bounds, Session as _, Subject},
    subjects::{CoarseLock, Foyer, MiniMoka, Moka, Owned, QuickCache, Scc, SkipMaps},
    table::{self, verdict},
    workload::{self, KEY_BYTES, LookUps},
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: u64 = 1 << 20;

/// Bytes of overhead a fragment, at most.
const OVERHEAD_GOAL: f64 = 110.0;
/// Peak live bytes over what the tiers hold, at most.
const CHURN_GOAL: f64 = 1.1;

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

/// Overhead of `n` fragments with small values at rest, half of them hot, where `gets` uses of two others came between one store and
/// the next: what keeps fragments in the order of their uses has gaps then.
fn spread<S: Subject<u64>>(n: usize, gets: u64) -> f64 {
    let keys = workload::keys(0, n);
    let before = counting::live();
    let subject = S::new(Bounds::hot_and_warm(n as u64 / 2, n as u64, SMALL));
    let mut session = subject.session();
    for (key, value) in keys.iter().zip(0..) {
        session.store(key.clone(), value);
        // By turns: the use of what was used last could be passed over.
        for get in 0..gets {
            session.get(&keys[usize::from(get % 2 == 1)]);
        }
    }
    drop(session);
    subject.settle();
    let held = subject.held().expect("it can tell what it holds").fragments;
    assert!(held.abs_diff(n as u64) <= n as u64 / 100, "{} holds {held} fragments of {n}", S::NAME);
    let live = counting::live().wrapping_sub(before).cast_signed();
    (live as f64 - (held * SMALL) as f64) / held as f64
}

/// What a run of churn came to, in bytes.
#[derive(Clone, Copy)]
struct Churn {
    /// The most that lived at once: payload, structure, and what the threads had in hand.
    peak: u64,
    /// What the tiers hold in the end.
    held: u64,
    /// The most that hot held, where the subject knows or somebody looked.
    hot: Option<u64>,
}

impl Churn {
    /// Peak over held. What a subject holds beyond its bounds, `total` MiB, must not make its peak look better.
    fn ratio(&self, total: u64) -> f64 {
        self.peak as f64 / self.held.min(total * MIB) as f64
    }
}

/// Threads store values of 16 KiB, under keys drawn from twice as many as the tiers hold: about half of the stores
/// replace, the others push one out at the bottom. The tiers hold `total` bytes: a quarter hot, a quarter warm, the
/// rest cold.
///
/// Where `is_sampled`, one more thread looks every half a millisecond at what hot holds, for subjects that do not know
/// their peak. It sees what stands over the budget for long, or often, not what does for an instant; what it costs
/// and keeps alive is not to be counted otherwise.
fn churn<S: Subject<Arc<[u8]>>>(total: u64, is_sampled: bool) -> Churn {
    let bounds = Bounds::quarters(total, CHURN_EACH);
    let fit = usize::try_from(bounds.fragments).expect("fragments fit the address space");
    let keys = workload::keys(0, 2 * fit);
    let each_thread = (16 * fit).max(64 << 10) / CHURN_THREADS;

    let before = counting::live();
    counting::reset_peak();
    let subject = S::new(bounds);
    let (working, sampled) = (AtomicUsize::new(CHURN_THREADS), AtomicU64::new(0));
    thread::scope(|scope| {
        if is_sampled {
            scope.spawn(|| {
                while working.load(Relaxed) > 0 {
                    sampled.fetch_max(subject.hot_bytes().unwrap_or(0), Relaxed);
                    thread::sleep(Duration::from_micros(500));
                }
            });
        }
        for seed in 0..CHURN_THREADS as u64 {
            let (subject, keys, working) = (&subject, &keys, &working);
            scope.spawn(move || {
                let mut rng = SmallRng::seed_from_u64(seed);
                let mut session = subject.session();
                for _ in 0..each_thread {
                    let key = &keys[rng.random_range(0..keys.len())];
                    let value = std::iter::repeat_n(rng.random::<u8>(), 16 << 10).collect();
                    session.store(key.clone(), value);
                }
                working.fetch_sub(1, Relaxed);
            });
        }
    });
    let peak = (counting::peak() - before) as u64;
    subject.settle();
    let hot = subject.peak_hot_bytes().or(is_sampled.then_some(sampled.into_inner()));
    Churn { peak, held: subject.held().expect("it can tell what it holds").bytes, hot }
}

const TIERSTACK: &str = <Owned<u64> as Subject<u64>>::NAME;

/// The `get`s between stores of [`spread`].
const GETS: [u64; 3] = [0, 4, 16];
const SPREAD_FRAGMENTS: usize = 100_000;

/// A measurement of each subject, by its name.
type Subjects<R, const N: usize> = [(&'static str, R); N];

/// Overhead, and overhead where uses come between stores.
type Overhead = (fn(usize) -> [f64; 6], fn(usize, u64) -> f64);

const fn overhead_of<S: Subject<u64>>() -> (&'static str, Overhead) {
    (S::NAME, (overhead::<S>, spread::<S>))
}

/// Of those that lie the same in memory one, and none that cannot tell what it holds (`TinyUfos`).
const OVERHEAD: Subjects<Overhead, 8> = [
    overhead_of::<Owned<u64>>(),
    overhead_of::<QuickCache<u64>>(),
    overhead_of::<Moka<u64>>(),
    overhead_of::<MiniMoka<u64>>(),
    overhead_of::<Foyer<u64>>(),
    overhead_of::<Scc<u64>>(),
    overhead_of::<CoarseLock<u64>>(),
    overhead_of::<SkipMaps<u64>>(),
];

type Large = Arc<[u8]>;

/// Those that have bounds for warm and cold.
const CHURN: Subjects<fn(u64, bool) -> Churn, 7> = [
    (TIERSTACK, churn::<Owned<Large>>),
    (<QuickCache<Large> as Subject<Large>>::NAME, churn::<QuickCache<Large>>),
    (<Moka<Large> as Subject<Large>>::NAME, churn::<Moka<Large>>),
    (<MiniMoka<Large> as Subject<Large>>::NAME, churn::<MiniMoka<Large>>),
    (<Foyer<Large> as Subject<Large>>::NAME, churn::<Foyer<Large>>),
    (<Scc<Large> as Subject<Large>>::NAME, churn::<Scc<Large>>),
    (<CoarseLock<Large> as Subject<Large>>::NAME, churn::<CoarseLock<Large>>),
];

/// Runs one case in this process and prints its numbers on one line.
fn run_case(case: &str) {
    fn of<R: Copy>(subjects: &[(&str, R)], name: &str) -> R {
        subjects.iter().find(|(subject, _)| *subject == name).unwrap_or_else(|| panic!("no subject {name}")).1
    }
    let parts: Vec<&str> = case.split('/').collect();
    let size: usize = parts[2].parse().expect("a case has a size");
    let numbers: Vec<String> = match parts[0] {
        "overhead" => of(&OVERHEAD, parts[1]).0(size).iter().map(f64::to_string).collect(),
        "spread" => {
            let gets = parts[3].parse().expect("a case of spread ends in a number of gets");
            vec![of(&OVERHEAD, parts[1]).1(size, gets).to_string()]
        }
        kind @ ("churn" | SAMPLED) => {
            let Churn { peak, held, hot } = of(&CHURN, parts[1])(size as u64 * MIB, kind == SAMPLED);
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

fn measure_overhead(wanted: impl Fn(&str) -> bool, results: &mut Results) {
    let names = ["loaded", "loaded_at_rest", "reads", "reads_at_rest", "churned", "churned_at_rest"]
        .map(|regime| format!("{regime}_bytes"));
    let mut rows = Vec::new();
    for n in [1_000, 10_000, 100_000] {
        for (subject, _) in OVERHEAD {
            let case = format!("overhead/{subject}/{n}");
            if !wanted(&case) {
                continue;
            }
            let mut row = vec![n.to_string(), subject.to_owned()];
            match measure::<f64>(&case).filter(|numbers| numbers.len() == names.len()) {
                Some(numbers) => {
                    let is: Vec<_> =
                        names.iter().map(String::as_str).zip(numbers.iter().map(|&bytes| bytes.into())).collect();
                    results.row("overhead", subject, &[("fragments", n.into())], &is);
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

fn measure_spread(wanted: impl Fn(&str) -> bool, results: &mut Results) {
    let n = SPREAD_FRAGMENTS;
    let mut rows = Vec::new();
    for (subject, _) in OVERHEAD {
        let mut row = vec![subject.to_owned()];
        for gets in GETS {
            let case = format!("spread/{subject}/{n}/{gets}");
            if !wanted(&case) {
                continue;
            }
            row.push(match measure::<f64>(&case).as_deref() {
                Some(&[bytes]) => {
                    let at = [("fragments", n.into()), ("gets_between_stores", gets.into())];
                    results.row("overhead_spread", subject, &at, &[("at_rest_bytes", bytes.into())]);
                    format!("{bytes:.1}")
                }
                _ => "failed".into(),
            });
        }
        if row.len() == 1 + GETS.len() {
            rows.push(row);
        }
    }
    let title = format!("overhead at rest, bytes a fragment of {n}, by the gets of others between two stores");
    table::print(&title, &["subject", "0", "4", "16"], &rows);
}

/// The runs of one case of churn, by their peaks, and the most that hot was seen to hold: by the subject itself in those runs, or in
/// a run of its own by who looks.
fn churns(subject: &str, total: u64) -> Option<(Vec<Churn>, Option<u64>)> {
    let run = |kind: &str| match measure(&format!("{kind}/{subject}/{total}"))?[..] {
        [peak, held] => Some(Churn { peak, held, hot: None }),
        [peak, held, hot] => Some(Churn { peak, held, hot: Some(hot) }),
        _ => None,
    };
    let mut runs = (0..CHURN_RUNS).map(|_| run("churn")).collect::<Option<Vec<Churn>>>()?;
    runs.sort_by(|a, b| a.ratio(total).total_cmp(&b.ratio(total)));
    let hot = runs.iter().filter_map(|run| run.hot).max();
    Some((runs, hot.or_else(|| run(SAMPLED)?.hot)))
}

fn measure_churn(wanted: impl Fn(&str) -> bool, results: &mut Results) {
    let mib = |bytes: u64| format!("{:.2}", bytes as f64 / MIB as f64);
    let mut rows = Vec::new();
    for total in [16, 64, 256] {
        for (subject, _) in CHURN {
            if !wanted(&format!("churn/{subject}/{total}")) {
                continue;
            }
            let budget = Bounds::quarters(total * MIB, CHURN_EACH).hot;
            let mut row = vec![total.to_string(), subject.to_owned()];
            if let Some((runs, hot)) = churns(subject, total)
                && let [.., median, worst] = &runs[..]
            {
                let mut is = vec![
                    ("held_bytes", worst.held.into()),
                    ("peak_bytes", worst.peak.into()),
                    ("median_ratio", median.ratio(total).into()),
                    ("worst_ratio", worst.ratio(total).into()),
                    ("hot_budget_bytes", budget.into()),
                ];
                is.extend(hot.map(|hot| ("peak_hot_bytes", hot.into())));
                results.row("churn_memory", subject, &[("tiers_mib", total.into())], &is);
                row.extend([mib(worst.held), mib(worst.peak), format!("{:.3}", median.ratio(total))]);
                row.push(format!("{:.3} {}", worst.ratio(total), verdict(worst.ratio(total) <= CHURN_GOAL)));
                row.push(mib(budget));
                let by = if median.hot.is_some() { "known" } else { "sampled" };
                row.push(hot.map_or("-".into(), |hot| format!("{} {by} {}", mib(hot), verdict(hot <= budget))));
            } else {
                row.push("failed".into());
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

/// The first part of a case of churn in which somebody looks at hot.
const SAMPLED: &str = "sampled";

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
        run_case(&format!("spread/{TIERSTACK}/64/4"));
        return;
    }
    // Flags are criterion's, and mean nothing here.
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |case: &str| filters.is_empty() || filters.iter().any(|filter| case.contains(*filter));
    let mut results = Results::of_this_run("memory");
    measure_overhead(wanted, &mut results);
    measure_spread(wanted, &mut results);
    measure_churn(wanted, &mut results);
}
