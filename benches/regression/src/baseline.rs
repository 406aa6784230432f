//! What was counted before, and whether what is counted now is as good.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde_json::{Value, json};

/// By so much a count may rise over the baseline's.
const SLACK: f64 = 0.10;

/// An operation's counts.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// `None`: nothing was there to count them.
    pub instructions: Option<f64>,
    pub allocations: f64,
    pub bytes: f64,
}

impl Counts {
    fn all(&self) -> [(&'static str, Option<f64>); 3] {
        [("instructions", self.instructions), ("allocations", Some(self.allocations)), ("bytes", Some(self.bytes))]
    }
}

/// The counts of all jobs, and the compiler that made what was counted.
pub struct Baseline {
    pub rustc: String,
    pub jobs: BTreeMap<String, Counts>,
}

/// The compiler, in one line.
pub fn rustc() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if text.is_empty() { "unknown".into() } else { text }
}

/// To a thousandth, so that the file has no noise.
fn rounded(count: f64) -> f64 {
    (count * 1e3).round() / 1e3
}

impl Baseline {
    pub fn write(&self, path: &Path) -> Result<(), String> {
        let jobs: serde_json::Map<String, Value> = self
            .jobs
            .iter()
            .map(|(name, counts)| {
                let counts: serde_json::Map<String, Value> = counts
                    .all()
                    .into_iter()
                    .filter_map(|(what, count)| Some((what.to_owned(), json!(rounded(count?)))))
                    .collect();
                (name.clone(), counts.into())
            })
            .collect();
        let text = serde_json::to_string_pretty(&json!({ "rustc": self.rustc, "jobs": jobs }));
        let text = text.map_err(|error| error.to_string())? + "\n";
        fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    }

    pub fn read(path: &Path) -> Result<Self, String> {
        let error = |what: &str| format!("{}: {what}; .ci/regression --update writes it", path.display());
        let text = fs::read_to_string(path).map_err(|why| error(&why.to_string()))?;
        let file: Value = serde_json::from_str(&text).map_err(|why| error(&why.to_string()))?;
        let rustc = file["rustc"].as_str().ok_or_else(|| error("no rustc"))?.to_owned();
        let jobs = file["jobs"].as_object().ok_or_else(|| error("no jobs"))?;
        let jobs = jobs.iter().map(|(name, counts)| {
            let count = |what: &str| counts[what].as_f64().ok_or_else(|| error(&format!("{name} has no {what}")));
            let counts = Counts {
                instructions: Some(count("instructions")?),
                allocations: count("allocations")?,
                bytes: count("bytes")?,
            };
            Ok((name.clone(), counts))
        });
        Ok(Self { rustc, jobs: jobs.collect::<Result<_, String>>()? })
    }

    /// Prints these counts beside the earlier ones, and says whether none has risen by more than the slack.
    pub fn holds_against(&self, before: &Self) -> bool {
        if self.rustc != before.rustc {
            println!("== ANOTHER COMPILER than the baseline's: counts may differ for that reason alone.");
            println!("   {} here, {} there", self.rustc, before.rustc);
        }
        println!("{:<14}{:>30}{:>26}{:>28}", "an operation", "instructions", "allocations", "bytes");
        let (mut risen, mut fallen) = (Vec::new(), Vec::new());
        for (name, now) in &self.jobs {
            let Some(then) = before.jobs.get(name) else {
                risen.push(format!("{name}: the baseline has not got it"));
                continue;
            };
            print!("{name:<14}");
            for ((what, now), (_, then)) in now.all().into_iter().zip(then.all()) {
                let (Some(now), Some(then)) = (now.map(rounded), then) else {
                    print!("{:>30}", "not counted");
                    continue;
                };
                // What was nothing and is something has risen by more than anything.
                let change = if now > 0.0 || then > 0.0 { now / then - 1.0 } else { 0.0 };
                print!("{:>18}{:>10}", format!("{now:.1}"), format!("{:+.1} %", 100.0 * change));
                let line = || format!("{name}: {then:.3} {what} an operation before, {now:.3} now");
                if change > SLACK {
                    risen.push(line());
                } else if change < -SLACK {
                    fallen.push(line());
                }
            }
            println!();
        }
        for name in before.jobs.keys().filter(|name| !self.jobs.contains_key(*name)) {
            risen.push(format!("{name}: it is in the baseline, and was not done"));
        }
        for line in &fallen {
            println!("fallen: {line}; .ci/regression --update keeps what was won");
        }
        for line in &risen {
            println!("RISEN by more than {:.0} %: {line}", 100.0 * SLACK);
        }
        risen.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, instructions: f64, allocations: f64) -> Baseline {
        let counts = Counts { instructions: Some(instructions), allocations, bytes: 8.0 };
        Baseline { rustc: "rustc 1".into(), jobs: BTreeMap::from([(name.to_owned(), counts)]) }
    }

    #[test]
    fn a_rise_within_the_slack_or_a_fall_holds() {
        let before = of("get", 100.0, 1.0);
        assert!(of("get", 109.9, 1.0).holds_against(&before));
        assert!(of("get", 50.0, 0.0).holds_against(&before));
        let other = Baseline { rustc: "rustc 2".into(), ..of("get", 100.0, 1.0) };
        assert!(other.holds_against(&before), "another compiler alone is no failure");
    }

    #[test]
    fn a_rise_beyond_the_slack_fails() {
        assert!(!of("get", 111.0, 1.0).holds_against(&of("get", 100.0, 1.0)));
        assert!(!of("get", 100.0, 1.2).holds_against(&of("get", 100.0, 1.0)));
        assert!(!of("get", 100.0, 0.01).holds_against(&of("get", 100.0, 0.0)), "there was none");
    }

    #[test]
    fn a_job_that_is_in_one_of_them_alone_fails() {
        assert!(!of("get", 1.0, 1.0).holds_against(&of("put", 1.0, 1.0)));
        let none = Baseline { rustc: "rustc 1".into(), jobs: BTreeMap::new() };
        assert!(!none.holds_against(&of("get", 1.0, 1.0)));
    }

    #[test]
    fn what_cannot_be_counted_is_not_compared() {
        let mut now = of("get", 0.0, 1.0);
        now.jobs.get_mut("get").expect("it is there").instructions = None;
        assert!(now.holds_against(&of("get", 100.0, 1.0)));
    }
}
