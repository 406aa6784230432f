//! What an operation costs as the store grows, and as the garbage does. `cargo bench --bench scaling [-- FILTER]`, where the
//! filter is a part of `sizes/1k` (to `10000k`), `tiers/1k` (likewise) or `pin`.
//!
//! One thread measures, so that nothing is seen but the sizes: the caches miss more, the directories are deeper. All of it
//! takes some two minutes and 3 GiB; the largest size takes most of both.

#![allow(clippy::cast_precision_loss, reason = "times and counts are far below 2^52")]

mod pin;
mod sizes;
mod tiers;

use std::{env, time::Duration};

use tierstack_benches::{filters, measuring, results::Results, table};

/// The median time of an operation over some runs, each of so many operations.
struct Runs {
    ns: Vec<f64>,
}

impl Runs {
    const fn new() -> Self {
        Self { ns: Vec::new() }
    }

    fn add(&mut self, elapsed: Duration, operations: usize) {
        self.ns.push(elapsed.as_secs_f64() * 1e9 / operations as f64);
    }

    fn median(&self) -> f64 {
        let mut sorted = self.ns.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }
}

/// One operation of one subject, at one size.
struct Measured {
    operation: &'static str,
    subject: &'static str,
    fragments: usize,
    ns: f64,
}

/// An operation and a subject a row, a size a column.
fn print(measured: &[Measured]) {
    let mut sizes: Vec<usize> = measured.iter().map(|one| one.fragments).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut names: Vec<_> = measured.iter().map(|one| (one.operation, one.subject)).collect();
    names.sort_unstable();
    names.dedup();
    let rows: Vec<Vec<String>> = names
        .into_iter()
        .map(|(operation, subject)| {
            let at = |size: &usize| {
                let found = measured
                    .iter()
                    .find(|one| (one.operation, one.subject, one.fragments) == (operation, subject, *size));
                found.map_or("-".into(), |one| format!("{:.1}", one.ns))
            };
            [operation.to_owned(), subject.to_owned()].into_iter().chain(sizes.iter().map(at)).collect()
        })
        .collect();
    let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
    let header: Vec<&str> = ["operation", "subject"].into_iter().chain(sizes.iter().map(String::as_str)).collect();
    table::print("scaling: ns an operation (median of five runs), by the number of fragments", &header, &rows);
}

fn main() {
    if env::args().any(|argument| argument == "--list") {
        return;
    }
    let filters = filters();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter));
    let mut results = Results::of_this_run("scaling");
    let sizes: &[usize] = if measuring() { &[1_000, 10_000, 100_000, 1_000_000, 10_000_000] } else { &[64] };
    let mut all = Vec::new();
    for &n in sizes {
        let mut measured = Vec::new();
        if wanted(&format!("sizes/{}k", n / 1_000)) {
            measured.extend(sizes::measure(n));
        }
        if wanted(&format!("tiers/{}k", n / 1_000)) {
            measured.extend(tiers::measure(n));
        }
        for Measured { operation, subject, fragments, ns } in &measured {
            let group = format!("scaling_{operation}");
            results.row(&group, subject, &[("fragments", (*fragments).into())], &[("ns", (*ns).into())]);
        }
        all.append(&mut measured);
    }
    if measuring() {
        print(&all);
    }
    if wanted("pin") {
        pin::measure(&mut results);
    }
}
