//! How long single records take: each is timed, and each thread has a histogram.
//!
//! Every round gives each log the same job, one right after the other and each round with another one first, so that
//! a noisy second hits all alike.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use super::{job::Job, subjects::Subject};
use tierstack_benches::{results::Results, table};

/// A job, done again and again with new logs.
pub struct Latency {
    pub name: &'static str,
    pub title: &'static str,
    pub job: Job,
    pub rounds: usize,
}

const QUANTILES: [f64; 3] = [0.5, 0.99, 0.9999];
const NAMES: [&str; 3] = ["p50_ns", "p99_ns", "p9999_ns"];

/// Up to a minute, to a thousandth.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are in order")
}

/// The mean time between two readings of the clock, one right after the other.
pub fn clock() -> Duration {
    let readings = 1_000_000;
    let from = Instant::now();
    for _ in 0..readings {
        black_box(Instant::now());
    }
    from.elapsed() / readings
}

impl Latency {
    /// Measures the logs, prints them and leaves them behind.
    pub fn run(&self, subjects: &[Subject], results: &mut Results) {
        let mut histograms: Vec<Vec<_>> =
            subjects.iter().map(|_| (0..self.job.threads).map(|_| histogram()).collect()).collect();
        for round in 0..self.rounds {
            for place in 0..subjects.len() {
                let at = (round + place) % subjects.len();
                (subjects[at].time)(&self.job, &mut histograms[at]);
            }
        }
        let rows: Vec<_> =
            subjects.iter().zip(&histograms).map(|(subject, of)| self.row(subject, of, results)).collect();
        let title =
            format!("{}: {}; {} threads, ns, the clock's own time included", self.name, self.title, self.job.threads);
        table::print(&title, &["log", "records", "p50", "p99", "p99.99", "max"], &rows);
    }

    fn row(&self, subject: &Subject, threads: &[Histogram<u64>], results: &mut Results) -> Vec<String> {
        let mut all = histogram();
        for thread in threads {
            all.add(thread).expect("all histograms have the same bounds");
        }
        assert_eq!(all.len(), self.job.records * self.rounds as u64, "{}: every record is timed", subject.name);
        let quantiles = QUANTILES.map(|quantile| all.value_at_quantile(quantile));
        let mut is: Vec<(&str, _)> = NAMES.iter().zip(quantiles).map(|(name, ns)| (*name, ns.into())).collect();
        is.push(("max_ns", all.max().into()));
        let group = format!("record_{}", self.name);
        results.row(&group, &subject.name, &[("payload", "u64".into()), ("threads", self.job.threads.into())], &is);
        let mut row = vec![subject.name.clone(), all.len().to_string()];
        row.extend(quantiles.map(|ns| ns.to_string()));
        row.push(all.max().to_string());
        row
    }
}
