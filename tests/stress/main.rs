//! Threads at odds with each other, each test for a second or so: what must hold at every instant is watched while they
//! run, and what must hold at rest is recounted after them.
#![allow(clippy::cast_possible_truncation, reason = "small numbers are keys here and indices there")]

mod budget;
mod capacity;
mod conservation;
mod growth;
mod passed_over;
mod recency;
mod snapshots;
mod visibility;

#[path = "../common/mod.rs"]
mod common;

use std::time::Duration;

/// How long each test storms.
const STORM: Duration = Duration::from_millis(1200);
