//! Criterion's own estimates of this run, read back from its files.

use std::{
    env, fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use criterion::Criterion;

use crate::results::target_directory;

/// A median time per operation and its 95 % confidence interval, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Median {
    /// The median.
    pub ns: f64,
    /// The lower end of its interval.
    pub low: f64,
    /// The upper end of its interval.
    pub high: f64,
}

impl Median {
    /// Reads the file's `median` object: it is criterion's format, not any JSON.
    fn parse(json: &str) -> Option<Self> {
        let median = &json[json.find("\"median\"")?..];
        let number = |field: &str| {
            let from = median.find(field)? + field.len();
            let digits = median[from..].trim_start_matches([':', ' ']);
            digits[..digits.find([',', '}'])?].trim().parse::<f64>().ok()
        };
        Some(Self {
            ns: number("\"point_estimate\"")?,
            low: number("\"lower_bound\"")?,
            high: number("\"upper_bound\"")?,
        })
    }

    /// Half the width of the interval, as a share of the median.
    pub fn spread(&self) -> f64 {
        (self.high - self.low) / 2.0 / self.ns
    }
}

/// Where criterion writes, and when the run began: older files are another run's.
pub struct Estimates {
    directory: PathBuf,
    since: SystemTime,
}

impl Estimates {
    /// To be called before the first measurement.
    pub fn of_this_run() -> Self {
        // Some file systems keep times by the second.
        let since = SystemTime::now() - Duration::from_secs(1);
        Self { directory: directory(), since }
    }

    /// Criterion as all benchmarks have it, which writes to where the estimates are read.
    pub fn criterion(&self) -> Criterion {
        Criterion::default()
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_millis(600))
            .sample_size(10)
            .nresamples(5_000)
            .without_plots()
            .output_directory(&self.directory)
            .configure_from_args()
    }

    /// The median of a benchmark, if it was measured in this run.
    pub fn median(&self, group: &str, function: &str, parameter: &str) -> Option<Median> {
        let benchmark = self.directory.join(group).join(function).join(parameter.replace('/', "_"));
        let file = benchmark.join("new/estimates.json");
        let written = fs::metadata(&file).ok()?.modified().ok()?;
        if written < self.since {
            return None;
        }
        Median::parse(&fs::read_to_string(file).ok()?)
    }
}

/// `criterion` in the target directory.
fn directory() -> PathBuf {
    env::var_os("CRITERION_HOME").map_or_else(|| target_directory().join("criterion"), PathBuf::from)
}
