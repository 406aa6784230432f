//! A service that keeps a context for each of a thousand plans in one process: a store and a plan each.
//!
//! ```text
//! cargo run --release --example service [-- [OPTIONS]]
//! ```
//!
//! Eight threads take up plans at random, as the requests of users would. Each time they read fragments of the plan's [`TierStore`](tierstack::TierStore), store others, and record
//! what they have changed in its [`PlanContext`](tierstack::PlanContext). A plan that has come to its end is replaced by a new one, while other threads may still be at work in the
//! old one.
//!
//! At the end it prints how many calls were made, how much memory was taken at most beside the sum of the budgets, and what is left when all plans have ended:
//! nothing. The exit code is 1 where something is left, or where the memory was not bounded.
//!
//! Where to read on:
//!
//! | file | what it shows |
//! |---|---|
//! | `context.rs` | a store with a budget and two capacities, so that its memory is bounded; a plan; what a request does with both |
//! | `service.rs` | contexts that others work in while they are replaced; the threads |
//! | `counting.rs` | an allocator that counts, for the figures |
#![allow(clippy::cast_precision_loss, reason = "rates and ratios need no exact integers")]

mod context;
mod counting;
mod service;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use context::{BOUND, Context, Fragment};
use service::Service;

/// Keeps contexts of many plans in one process, under many threads, and shows that their memory is bounded and freed.
#[derive(Parser)]
struct Args {
    /// How many plans there are at a time.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    plans: u32,
    /// How many threads work on them.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
    /// For how long, in seconds.
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    seconds: f64,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().map_err(|_| "not a number".to_string())?;
    if (0.0..=86_400.0).contains(&seconds) { Ok(seconds) } else { Err("between 0 and 86400".to_string()) }
}

const MIB: f64 = (1 << 20) as f64;
/// What the collector of the threads may keep.
const KEPT: u64 = 1 << 20;

fn main() -> ExitCode {
    let args = Args::parse();
    let before = counting::live();
    let service = Service::new(args.plans);
    let done = service.run(usize::from(args.threads), Duration::from_secs_f64(args.seconds));
    let budgets = u64::from(args.plans) * BOUND;
    let peak = counting::peak() - before;
    let standing = counting::live() - before;
    let plans = done.ended + u64::from(args.plans);

    println!("{plans} plans in all, {} at a time, {} threads, {} s", args.plans, args.threads, args.seconds);
    println!(
        "requests:  {:.0} a second, of {:.1} calls each",
        done.requests as f64 / args.seconds,
        done.calls as f64 / done.requests.max(1) as f64
    );
    println!(
        "calls:     {:.2} million a second: reads, stores, promotions and records",
        done.calls as f64 / args.seconds / 1e6
    );
    println!("budgets:   {:.1} MiB: what the fragments of all plans may weigh together", budgets as f64 / MIB);
    println!(
        "memory:    {:.1} MiB at most, {:.1} MiB at the end; with the plans' trails and all that waits to be freed",
        peak as f64 / MIB,
        standing as f64 / MIB
    );

    // Every plan ends.
    drop(service);
    // One flush is bounded, and much can wait where a thread has lost its core while it was pinned.
    let last = Context::new(0);
    for _ in 0..1000 {
        last.store.flush();
        if Fragment::alive() == 0 && counting::live() < before + KEPT {
            break;
        }
    }
    drop(last);
    let (fragments, left) = (Fragment::alive(), counting::live().saturating_sub(before));
    println!(
        "freed:     {:.1} MiB; {fragments} fragments and {} KiB are left",
        (standing.saturating_sub(left)) as f64 / MIB,
        left >> 10
    );

    // Nodes and indices of such small fragments, and the plans' trails, take as much again as the fragments may weigh; and on a busy machine the same waits for
    // threads that are pinned and do not run.
    let bound = budgets * 3 + (64 << 20);
    let checks = [
        ("no fragment is left", fragments == 0),
        ("no memory is left but what the threads' collector keeps (less than 1 MiB)", left < KEPT),
        ("the memory was bounded", peak < bound),
        ("every request was answered", done.failures == 0),
    ];
    for (check, holds) in checks {
        println!("{} {check}", if holds { "ok    " } else { "FAILED" });
    }
    if checks.iter().all(|(_, holds)| *holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
