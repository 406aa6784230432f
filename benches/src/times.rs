//! How long operations took, and how much of it their threads were ready to run and had no core: by the scheduler's own count, where the
//! system keeps one (Linux).

#![allow(clippy::cast_precision_loss, reason = "times are far below 2^52")]

use std::{fs::File, os::unix::fs::FileExt as _, time::Instant};

use hdrhistogram::Histogram;

/// From here on an operation is slow.
const SLOW_NS: u64 = 100_000;

/// A slow operation.
#[derive(Clone, Copy)]
struct Slow {
    ns: u64,
    /// For so many of these its thread waited for a core. `None`: nobody counts that.
    waiting: Option<u64>,
}

/// How long operations took.
pub struct Times {
    /// Of those that are not slow.
    fast: Histogram<u64>,
    slow: Vec<Slow>,
    spent: Spent,
}

/// p99.99, and what of it is waiting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tail {
    /// The whole.
    pub ns: u64,
    /// `None`: nobody counts it.
    pub less_waiting: Option<LessWaiting>,
}

/// A tail without the waits for a core.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LessWaiting {
    /// The p99.99 of the times less what was waited for a core.
    pub ns: u64,
    /// What was waited, as a share of the times of all operations from p99.99 up.
    pub share: f64,
}

/// What threads did with their time, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// All of it.
    lived: u64,
    running: u64,
    waiting: u64,
}

impl Spent {
    /// The share in which they neither ran nor were ready to: they slept, for a lock of the subject's or of the allocator's. `None`: nobody counts it.
    pub fn sleeping(&self) -> Option<f64> {
        let awake = self.running + self.waiting;
        (awake > 0).then(|| self.lived.saturating_sub(awake) as f64 / self.lived.max(1) as f64)
    }

    fn add(&mut self, other: Self) {
        self.lived += other.lived;
        self.running += other.running;
        self.waiting += other.waiting;
    }
}

/// Up to a minute, to a thousandth.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are in order")
}

impl Times {
    /// None yet.
    pub fn new() -> Self {
        Self { fast: histogram(), slow: Vec::new(), spent: Spent::default() }
    }

    /// An operation of this thread that has just ended.
    #[inline]
    pub fn record(&mut self, ns: u64, waiting: &mut Waiting) {
        if ns < SLOW_NS {
            self.fast.saturating_record(ns.max(1));
        } else {
            self.slow.push(Slow { ns, waiting: waiting.of_slow(ns) });
        }
    }

    /// The thread's last operation has ended.
    pub fn end(&mut self, waiting: &Waiting) {
        self.spent.add(waiting.spent());
    }

    /// What the threads that ended did with their time.
    pub fn spent(&self) -> Spent {
        self.spent
    }

    /// Takes over what another has recorded.
    pub fn add(&mut self, other: Self) {
        self.fast.add(other.fast).expect("all histograms have the same bounds");
        self.slow.extend(other.slow);
        self.spent.add(other.spent);
    }

    /// All of them.
    pub fn all(&self) -> Histogram<u64> {
        self.with_slow(|slow| slow.ns)
    }

    fn with_slow(&self, ns: impl Fn(&Slow) -> u64) -> Histogram<u64> {
        let mut all = self.fast.clone();
        self.slow.iter().for_each(|slow| all.saturating_record(ns(slow).max(1)));
        all
    }

    /// p99.99, whole and less waiting.
    pub fn tail(&self) -> Tail {
        const TAIL: f64 = 0.9999;
        let histogram = self.all();
        let ns = histogram.value_at_quantile(TAIL);
        if self.slow.iter().any(|slow| slow.waiting.is_none()) {
            return Tail { ns, less_waiting: None };
        }
        let waiting = |slow: &Slow| slow.waiting.unwrap_or(0);
        let rest = self.with_slow(|slow| slow.ns - waiting(slow)).value_at_quantile(TAIL);
        // The quantile is the upper end of its bucket.
        let from = histogram.lowest_equivalent(ns);
        let beyond = self.slow.iter().filter(|slow| slow.ns >= from);
        let (all, waited) = beyond.fold((0, 0), |(all, waited), slow| (all + slow.ns, waited + waiting(slow)));
        Tail { ns, less_waiting: Some(LessWaiting { ns: rest, share: waited as f64 / all.max(1) as f64 }) }
    }
}

/// The scheduler's counts of the thread that opened them.
pub struct Waiting {
    counts: Option<File>,
    since: Instant,
    first: Counts,
    /// What had been waited when somebody last looked.
    seen: u64,
}

/// Nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    running: u64,
    /// Ready to run, without a core.
    waiting: u64,
}

impl Waiting {
    /// From now on, of the thread that calls.
    pub fn of_this_thread() -> Self {
        let counts = File::open("/proc/thread-self/schedstat").ok();
        let mut waiting = Self { counts, since: Instant::now(), first: Counts::default(), seen: 0 };
        waiting.first = waiting.so_far().unwrap_or_default();
        waiting.seen = waiting.first.waiting;
        waiting
    }

    fn so_far(&self) -> Option<Counts> {
        let mut text = [0; 80];
        let length = self.counts.as_ref()?.read_at(&mut text, 0).ok()?;
        Counts::parse(str::from_utf8(&text[..length]).ok()?)
    }

    /// What of a slow operation that has just ended was waiting. A thread does little but operations, and one that is waited in
    /// is slow: so what was waited since the last slow one is this one's, but for what is longer than it.
    #[cold]
    fn of_slow(&mut self, ns: u64) -> Option<u64> {
        let now = self.so_far()?.waiting;
        let waiting = now.saturating_sub(self.seen).min(ns);
        self.seen = now;
        Some(waiting)
    }

    fn spent(&self) -> Spent {
        let Some(now) = self.so_far() else { return Spent::default() };
        Spent {
            lived: u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX),
            running: now.running.saturating_sub(self.first.running),
            waiting: now.waiting.saturating_sub(self.first.waiting),
        }
    }
}

impl Counts {
    /// Of `<running> <waiting> <turns>`.
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split_ascii_whitespace().map_while(|number| number.parse().ok());
        Some(Self { running: numbers.next()?, waiting: numbers.next()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(fast: u64, slow: &[(u64, Option<u64>)]) -> Times {
        let mut times = Times::new();
        times.fast.record_n(1_000, fast).unwrap();
        times.slow.extend(slow.iter().map(|&(ns, waiting)| Slow { ns, waiting }));
        times
    }

    /// Of histograms, to a thousandth.
    fn is_about(found: u64, expected: u64) -> bool {
        found.abs_diff(expected) <= expected / 500
    }

    #[test]
    fn a_tail_that_is_waiting_is_none_without_it() {
        let tail = times(1_000, &[(20_000_000, Some(19_500_000)), (8_000_000, Some(8_000_000))]).tail();
        let rest = tail.less_waiting.unwrap();
        assert!(is_about(tail.ns, 20_000_000) && is_about(rest.ns, 500_000), "{tail:?}");
        assert!((rest.share - 0.975).abs() < 1e-9, "of the operations from the tail up: {tail:?}");
    }

    #[test]
    fn what_does_not_wait_stays() {
        let tail = times(1_000, &[(300_000, Some(0))]).tail();
        let rest = tail.less_waiting.unwrap();
        assert!(is_about(tail.ns, 300_000) && is_about(rest.ns, 300_000) && rest.share == 0.0, "{tail:?}");
    }

    #[test]
    fn what_nobody_counts_is_not_told() {
        assert_eq!(times(1_000, &[(300_000, Some(0)), (200_000, None)]).tail().less_waiting, None);
    }

    #[test]
    fn slow_ones_are_recorded_as_such() {
        let (mut times, mut waiting) = (Times::new(), nobody_counts());
        for ns in [0, 50, SLOW_NS - 1, SLOW_NS, 7 * SLOW_NS] {
            times.record(ns, &mut waiting);
        }
        assert_eq!((times.fast.len(), times.slow.len(), times.all().len()), (3, 2, 5));
        let mut all = times;
        all.add(self::times(7, &[(SLOW_NS, None)]));
        assert_eq!((all.fast.len(), all.slow.len()), (10, 3));
    }

    fn nobody_counts() -> Waiting {
        Waiting { counts: None, since: Instant::now(), first: Counts::default(), seen: 0 }
    }

    #[test]
    fn the_counts_are_the_first_two_numbers() {
        assert_eq!(Counts::parse("3648932 1234 17\n"), Some(Counts { running: 3_648_932, waiting: 1_234 }));
        assert_eq!(Counts::parse("3648932"), None);
        assert_eq!(Counts::parse(""), None);
    }

    #[test]
    fn what_is_neither_running_nor_waiting_is_sleeping() {
        let mut spent = Spent { lived: 100, running: 20, waiting: 30 };
        assert_eq!(spent.sleeping(), Some(0.5));
        spent.add(Spent { lived: 100, running: 100, waiting: 0 });
        assert_eq!(spent.sleeping(), Some(0.25));
        assert_eq!(nobody_counts().spent().sleeping(), None);
    }

    #[test]
    fn a_thread_that_sleeps_is_seen_to_where_the_system_counts() {
        let waiting = Waiting::of_this_thread();
        std::thread::sleep(std::time::Duration::from_millis(50));
        let mut times = Times::new();
        times.end(&waiting);
        assert!(waiting.counts.is_none() || times.spent().sleeping().unwrap() > 0.3, "{:?}", times.spent());
    }
}
