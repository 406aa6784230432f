//! Strategies in parallel: what becomes of their changesets, however they end, and wherever rayon runs them.
#![cfg(feature = "rayon")]
#![allow(clippy::cast_possible_truncation, reason = "numbers are small here")]

mod endings;
mod fusion;
mod messages;
mod nesting;
mod panics;
mod pools;
mod progress;
mod stopping;
mod storm;

#[path = "../common/mod.rs"]
mod common;

use std::sync::Arc;

use tierstack::executor::{BoxedStrategy, Outcome, StrategyContext, StrategyExecutor};
use tierstack::{ChangesetId, EventKind, PlanContext, Snapshot, Status, TierStore};

/// Whatever goes wrong in a strategy.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Store = TierStore<u32, Arc<u32>>;
type Plan = PlanContext<u32>;
type Executor<'a> = StrategyExecutor<'a, u32, Arc<u32>, u32>;
type Context<'a> = StrategyContext<'a, u32, Arc<u32>, u32>;
type Boxed<'s> = BoxedStrategy<'s, u32, Arc<u32>, u32, Error, u32>;

/// A store of so many fragments of weight 1, of which so many fit into hot.
fn store(fragments: u32, hot: u64) -> Store {
    let store = Store::builder(hot).weigher(|_, _| 1).build().unwrap();
    for key in 0..fragments {
        store.store(key, Arc::new(key)).unwrap();
    }
    store
}

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

/// One that succeeds with a value.
#[allow(clippy::unnecessary_wraps, reason = "what a strategy returns")]
fn well(value: u32) -> Result<Outcome<u32, u32>, Error> {
    Ok(Outcome::new(value))
}

/// The changes in force.
fn in_force(snapshot: &Snapshot<u32>) -> Vec<u32> {
    let mut changes: Vec<_> = snapshot.changes().map(|record| *record.change).collect();
    changes.sort_unstable();
    changes
}

/// All changes of the trail, in force or not.
fn in_trail(snapshot: &Snapshot<u32>) -> Vec<u32> {
    let recorded = snapshot.audit().filter_map(|event| match event.kind {
        EventKind::Recorded { change, .. } => Some(*change),
        _ => None,
    });
    let mut recorded: Vec<_> = recorded.collect();
    recorded.sort_unstable();
    recorded
}

/// What has become of a changeset, by the trail alone, without roll-backs.
fn status_in_trail(snapshot: &Snapshot<u32>, id: ChangesetId) -> Status {
    let statuses = snapshot.audit().filter_map(|event| match event.kind {
        EventKind::Started { changeset } if changeset == id => Some(Status::Open),
        EventKind::Closed { changeset } if changeset == id => Some(Status::Closed),
        EventKind::Aborted { changeset } if changeset == id => Some(Status::Aborted),
        _ => None,
    });
    statuses.last().expect("it was started")
}
