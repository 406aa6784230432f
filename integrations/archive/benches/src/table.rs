//! The table.

use std::fmt::Write;

use crate::Row;
use crate::measure::{Plan, ratio};
use crate::subjects::{FOLDER, MEMORY, REDB};
use crate::times::Quantiles;

/// With an archive behind it, an operation of the store is to take no longer than so many times what it takes without.
const GOAL: f64 = 1.2;

pub(crate) fn markdown(rows: &[Row], plan: &Plan) -> String {
    let mut out = String::new();
    write(&mut out, rows, plan).expect("a string takes all");
    out
}

fn write(out: &mut String, rows: &[Row], plan: &Plan) -> std::fmt::Result {
    writeln!(
        out,
        "{} stores of 1 KiB, memory for {}. Times in µs: p50 / p99 / p99.99 (p99.99 without waits for a core), {} pairs at most, one each {} µs.\n",
        count(plan.sizes.stores),
        count(plan.sizes.fragments()),
        count(plan.sizes.stores / plan.rounds * plan.rounds),
        rows.first().map_or(0, |row| row.beat.as_micros()),
    )?;
    writeln!(out, "| | safe | stores/s | lost | written | on the disk | restores/s | `get` | `store` |")?;
    writeln!(out, "|---|---|--:|--:|--:|--:|--:|--:|--:|")?;
    for Row { kind, sustained, latency, .. } in rows {
        let times = |ratio: Option<f64>| ratio.map_or("–".into(), |ratio| format!("{ratio:.2} ×"));
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            kind.name,
            kind.safe,
            rate(sustained.stores),
            if kind.name == MEMORY { "all that overflows".into() } else { count(sustained.lost) },
            times(sustained.written),
            times(sustained.taken),
            sustained.restores.map_or("–".into(), rate),
            micros(latency.get.quantiles()),
            micros(latency.store.quantiles()),
        )?;
    }
    writeln!(out)?;
    for Row { kind, sustained, latency, .. } in rows {
        if sustained.stored < plan.sizes.stores {
            let timed = count(latency.store.len());
            writeln!(
                out,
                "- {}: {} stores, and {timed} that were timed, as the time was up.",
                kind.name,
                count(sustained.stored)
            )?;
        }
        if latency.missed > 0 {
            writeln!(out, "- {}: {} of the timed look-ups missed.", kind.name, count(latency.missed))?;
        }
        if latency.behind > 0 && [REDB, FOLDER].contains(&kind.name) {
            writeln!(
                out,
                "- {}: behind after {} of the timed stores; it was waited for.",
                kind.name,
                count(latency.behind)
            )?;
        }
    }
    let Some(alone) = rows.iter().find(|row| row.kind.name == MEMORY) else { return Ok(()) };
    for row in rows.iter().filter(|row| [REDB, FOLDER].contains(&row.kind.name)) {
        let get = against(row.latency.get.quantiles(), alone.latency.get.quantiles());
        let store = against(row.latency.store.quantiles(), alone.latency.store.quantiles());
        writeln!(out, "- {} against {MEMORY} (goal: {GOAL} × at most): `get` {get}; `store` {store}.", row.kind.name)?;
    }
    Ok(())
}

/// The quantiles as multiples of others.
fn against(ours: Quantiles, theirs: Quantiles) -> String {
    let of = |name: &str, ours: Option<u64>, theirs: Option<u64>| match (ours, theirs) {
        (Some(ours), Some(theirs)) => {
            let ratio = ratio(ours, theirs.max(1));
            format!("{name} {ratio:.2} ×{}", if ratio <= GOAL { "" } else { " (above)" })
        }
        _ => format!("{name} –"),
    };
    [
        of("p50", ours.p50, theirs.p50),
        of("p99", ours.p99, theirs.p99),
        of("p99.99", ours.p9999, theirs.p9999),
        of("without waits", ours.p9999_without_waits, theirs.p9999_without_waits),
    ]
    .join(", ")
}

fn micros(quantiles: Quantiles) -> String {
    let one = |ns: Option<u64>| match ns.map(|ns| ratio(ns, 1000)) {
        None => "–".to_owned(),
        Some(us) if us < 10.0 => format!("{us:.2}"),
        Some(us) if us < 100.0 => format!("{us:.1}"),
        Some(us) => format!("{us:.0}"),
    };
    let Quantiles { p50, p99, p9999, p9999_without_waits } = quantiles;
    format!("{} / {} / {} ({})", one(p50), one(p99), one(p9999), one(p9999_without_waits))
}

fn rate(per_second: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are above 0 and far below 2^63")]
    count(per_second.round() as u64)
}

/// `1234567` as `1,234,567`.
fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!((count(0), count(999), count(1_234_567)), ("0".into(), "999".into(), "1,234,567".into()));
        let quantiles =
            Quantiles { p50: Some(500), p99: Some(12_340), p9999: Some(1_234_000), p9999_without_waits: None };
        assert_eq!(micros(quantiles), "0.50 / 12.3 / 1234 (–)");
        let twice = Quantiles { p50: Some(1000), p99: Some(12_340), ..quantiles };
        assert_eq!(against(twice, quantiles), "p50 2.00 × (above), p99 1.00 ×, p99.99 1.00 ×, without waits –");
    }
}
