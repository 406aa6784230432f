//! How long operations took, and how long without the waits for a core: by the scheduler's own count, where the system keeps one (Linux).

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use hdrhistogram::Histogram;

/// From here on an operation is looked at: whether its thread had a core all the time.
const SLOW_NS: u64 = 20_000;

/// Histograms of one operation.
pub struct Times {
    whole: Histogram<u64>,
    without_waits: Histogram<u64>,
}

impl Times {
    pub fn new() -> Self {
        // Up to a minute, to a thousandth.
        let histogram = || Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are in order");
        Self { whole: histogram(), without_waits: histogram() }
    }

    /// Times one operation. What its thread waited for a core before that is not counted.
    pub fn time<T>(&mut self, core: &Core, operation: impl FnOnce() -> T) -> T {
        let waited = core.waited();
        let begun = Instant::now();
        let result = operation();
        let ns = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1);
        let waited = if ns < SLOW_NS { 0 } else { core.waited().saturating_sub(waited) };
        self.whole.saturating_record(ns);
        self.without_waits.saturating_record(ns.saturating_sub(waited).max(1));
        result
    }

    pub fn len(&self) -> u64 {
        self.whole.len()
    }

    pub fn quantiles(&self) -> Quantiles {
        // A quantile that fewer than ten operations are above of says nothing.
        let at = |histogram: &Histogram<u64>, quantile: f64| {
            #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
            let above = histogram.len() as f64 * (1.0 - quantile);
            (above >= 9.5).then(|| histogram.value_at_quantile(quantile))
        };
        Quantiles {
            p50: at(&self.whole, 0.5),
            p99: at(&self.whole, 0.99),
            p9999: at(&self.whole, 0.9999),
            p9999_without_waits: at(&self.without_waits, 0.9999),
        }
    }
}

/// In nanoseconds. `None`: there were too few operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantiles {
    pub p50: Option<u64>,
    pub p99: Option<u64>,
    pub p9999: Option<u64>,
    pub p9999_without_waits: Option<u64>,
}

/// What the scheduler says of a thread: how long it was ready to run, and had no core.
pub struct Core(Option<File>);

impl Core {
    /// Of the thread that calls.
    pub fn of_this_thread() -> Self {
        Self(File::open("/proc/thread-self/schedstat").ok())
    }

    /// So many nanoseconds until now. 0 where nobody counts them.
    fn waited(&self) -> u64 {
        let mut text = [0; 80];
        let read = self.0.as_ref().and_then(|file| file.read_at(&mut text, 0).ok()).unwrap_or(0);
        let text = str::from_utf8(&text[..read]).unwrap_or_default();
        text.split_ascii_whitespace().nth(1).and_then(|waited| waited.parse().ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_told_where_there_are_enough() {
        let (mut times, core) = (Times::new(), Core::of_this_thread());
        (0..2000).for_each(|_| times.time(&core, || ()));
        let quantiles = times.quantiles();
        assert!(quantiles.p50 <= quantiles.p99 && quantiles.p99.is_some());
        assert_eq!((times.len(), quantiles.p9999), (2000, None));
    }

    #[test]
    fn what_sleeps_does_not_wait_for_a_core() {
        let (mut times, core) = (Times::new(), Core::of_this_thread());
        times.time(&core, || std::thread::sleep(std::time::Duration::from_millis(20)));
        assert!(times.without_waits.max() >= 10_000_000);
    }
}
