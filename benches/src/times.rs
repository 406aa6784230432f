//! How long operations took, and how much of it their threads were ready to run and had no core: by the scheduler's own count, where the
//! system keeps one (Linux).

#![allow(clippy::cast_precision_loss, reason = "times are far below 2^52")]

use std::{fs::File, os::unix::fs::FileExt as _};

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

/// Up to a minute, to a thousandth.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are in order")
}

impl Times {
    /// None yet.
    pub fn new() -> Self {
        Self { fast: histogram(), slow: Vec::new() }
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

    /// Takes over what another has recorded.
    pub fn add(&mut self, other: Self) {
        self.fast.add(other.fast).expect("all histograms have the same bounds");
        self.slow.extend(other.slow);
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

/// The scheduler's count of what the thread that opened it has waited for a core.
pub struct Waiting {
    counts: Option<File>,
    seen: u64,
}

impl Waiting {
    /// From now on, of the thread that calls.
    pub fn of_this_thread() -> Self {
        let mut waiting = Self { counts: File::open("/proc/thread-self/schedstat").ok(), seen: 0 };
        waiting.seen = waiting.so_far().unwrap_or(0);
        waiting
    }

    fn so_far(&self) -> Option<u64> {
        let mut text = [0; 80];
        let length = self.counts.as_ref()?.read_at(&mut text, 0).ok()?;
        waited(str::from_utf8(&text[..length]).ok()?)
    }

    /// What of a slow operation that has just ended was waiting. A thread does little but operations, and one that is waited in
    /// is slow: so what was waited since the last slow one is this one's, but for what is longer than it.
    #[cold]
    fn of_slow(&mut self, ns: u64) -> Option<u64> {
        let now = self.so_far()?;
        let waiting = now.saturating_sub(self.seen).min(ns);
        self.seen = now;
        Some(waiting)
    }
}

/// Of `<running> <ready> <turns>` the second, in nanoseconds.
fn waited(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().nth(1)?.parse().ok()
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
        let (mut times, mut waiting) = (Times::new(), Waiting { counts: None, seen: 0 });
        for ns in [0, 50, SLOW_NS - 1, SLOW_NS, 7 * SLOW_NS] {
            times.record(ns, &mut waiting);
        }
        assert_eq!((times.fast.len(), times.slow.len(), times.all().len()), (3, 2, 5));
        let mut all = times;
        all.add(self::times(7, &[(SLOW_NS, None)]));
        assert_eq!((all.fast.len(), all.slow.len()), (10, 3));
    }

    #[test]
    fn the_second_number_is_what_was_waited() {
        assert_eq!(waited("3648932 1234 17\n"), Some(1_234));
        assert_eq!(waited("3648932"), None);
        assert_eq!(waited(""), None);
    }
}
