//! Recorded traces, replayed: time and hit ratio, beside the peers. `cargo bench --bench trace -- --trace PATH [--trace
//! PATH] [FILTER]`, or with paths in the environment's `TRACE`, as in a `PATH` variable. Without any, a million draws by a Zipf distribution.
//!
//! A trace is text, or Zstandard-compressed text in a file that ends in `.zst`: accesses to the blocks of a disk, or requests to a
//! served language model whose prompts are blocks of context. See `Requests::of_trace` for the formats.
//!
//! A request is a `get`; where it misses, the key is stored. A hit is one in any tier: hot, warm and cold together hold 3 to 6 % of
//! the trace's different keys (a power of two, as `scc` rounds up to one), a quarter of that in hot, a quarter in warm,
//! half in cold, and all start empty. Threads take the requests by turns. Subjects that do not keep to bounds below hot are not measured.
//!
//! Each pass replays the trace on every subject, one after the other; of the passes' times the median counts, with the
//! shortest and longest beside it.
//!
//! Beside that, unmeasured, what exact LRU hits in one tier of a quarter, once and four times that room: by the crate
//! `lru`, and by tierstack, which must hit with the very same requests.

mod one_tier;

use std::{
    env,
    path::PathBuf,
    time::{Duration, Instant},
};

use tierstack_benches::{
    filters, lanes, measuring,
    requests::Requests,
    results::Results,
    subject::{Bounds, Session as _, Subject},
    subjects::{self, Visitor},
    table,
    workload::KEY_BYTES,
};

const EACH: u64 = KEY_BYTES as u64 + 8;
const THREADS: [usize; 3] = [1, 2, 8];
const PASSES: usize = 3;
/// What the tiers hold of all different keys, in percent, before it is rounded up to a power of two.
const SHARE: usize = 3;

/// What the passes on one subject came to.
struct Measured {
    subject: &'static str,
    times: Vec<Duration>,
    hits: Vec<u64>,
}

/// The passes by one number of threads.
struct Replay<'r> {
    requests: &'r Requests,
    room: u64,
    threads: usize,
    wanted: &'r dyn Fn(&str) -> bool,
    measured: Vec<Measured>,
}

impl Visitor<u64> for Replay<'_> {
    fn visit<S: Subject<u64>>(&mut self) {
        let &mut Self { requests, room, threads, wanted, .. } = self;
        if !S::BOUNDED || !wanted(&format!("{}/{}/{threads}t", requests.name, S::NAME)) {
            return;
        }
        let subject = S::new(Bounds::quarters(room * EACH, EACH));
        let mut lanes: Vec<_> = (0..threads).map(|thread| (thread, 0)).collect();
        let time = lanes::run(&mut lanes, requests.len() as u64, |(thread, hits), _, start| {
            let mut session = subject.session();
            let from = start.cross();
            for at in (*thread..requests.len()).step_by(threads) {
                let key = requests.key(at);
                if session.get(key) {
                    *hits += 1;
                } else {
                    session.store(key.to_owned(), at as u64);
                }
            }
            (from, Instant::now())
        });
        subject.settle();
        if let Some(held) = subject.held() {
            // Where a fragment is in two tiers or none while it moves, racing threads can leave it so.
            let most = if S::EXACT || threads == 1 { room } else { room + room / 20 };
            assert!(held.fragments <= most, "{} holds {} of {room} fragments", S::NAME, held.fragments);
        }
        let hits = lanes.iter().map(|(_, hits)| hits).sum();
        match self.measured.iter_mut().find(|measured| measured.subject == S::NAME) {
            Some(measured) => {
                measured.times.push(time);
                measured.hits.push(hits);
            }
            None => self.measured.push(Measured { subject: S::NAME, times: vec![time], hits: vec![hits] }),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "requests are far below 2^52")]
fn report(replay: Replay<'_>, results: &mut Results) -> Vec<Vec<String>> {
    let Replay { requests, room, threads, measured, .. } = replay;
    let row = |Measured { subject, mut times, mut hits }: Measured| {
        times.sort_unstable();
        hits.sort_unstable();
        let ns = |time: Duration| time.as_secs_f64() * 1e9 / requests.len() as f64;
        let (low, middle, high) = (ns(times[0]), ns(times[times.len() / 2]), ns(times[times.len() - 1]));
        let ratio = hits[hits.len() / 2] as f64 / requests.len() as f64;
        results.row(
            "trace",
            subject,
            &[("trace", requests.name.clone().into()), ("fragments", room.into()), ("threads", threads.into())],
            &[("ns", middle.into()), ("ns_low", low.into()), ("ns_high", high.into()), ("hit_ratio", ratio.into())],
        );
        vec![
            format!("{}/{threads}t", requests.name),
            subject.to_owned(),
            format!("{middle:.1}"),
            format!("{:.2}", 100.0 * ratio),
        ]
    };
    measured.into_iter().map(row).collect()
}

/// The traces that the arguments or the environment name.
fn traces() -> Vec<PathBuf> {
    let arguments: Vec<String> = env::args().collect();
    let pairs = arguments.windows(2).filter(|pair| pair[0] == "--trace");
    let given: Vec<PathBuf> = pairs.map(|pair| PathBuf::from(&pair[1])).collect();
    let from_environment = || env::var_os("TRACE").iter().flat_map(env::split_paths).collect();
    if given.is_empty() { from_environment() } else { given }
}

fn main() {
    if env::args().any(|argument| argument == "--list") {
        return;
    }
    let mut results = Results::of_this_run("trace");
    let traces = traces();
    if !measuring() {
        replay(&Requests::zipf(10_000, 20_000), &mut results);
    } else if traces.is_empty() {
        replay(&Requests::zipf(200_000, 1_000_000), &mut results);
    }
    for path in traces.iter().filter(|_| measuring()) {
        let requests = Requests::of_trace(path).unwrap_or_else(|error| panic!("{error}"));
        replay(&requests, &mut results);
    }
}

/// Replays one trace on all subjects, and prints what came of it.
fn replay(requests: &Requests, results: &mut Results) {
    let room = (requests.distinct * SHARE / 100).next_power_of_two() as u64;
    println!("{}: {} requests, {} different keys, room for {room}", requests.name, requests.len(), requests.distinct);
    let filters = filters();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter));
    let mut rows = Vec::new();
    for threads in THREADS {
        let mut replay = Replay { requests, room, threads, wanted: &wanted, measured: Vec::new() };
        for _ in 0..if measuring() { PASSES } else { 1 } {
            subjects::visit_all(&mut replay);
        }
        rows.extend(report(replay, results));
    }
    let title = format!("trace: {room} fragments in all tiers");
    table::print(&title, &["trace/threads", "subject", "ns a request", "hits, %"], &rows);
    if wanted(&format!("{}/one_tier", requests.name)) {
        let rows = one_tier::measure(requests, room, results);
        table::print("exact LRU, one tier: lru and tierstack alike", &["trace", "room", "hits, %"], &rows);
    }
}
