//! Histories of concurrent calls of a store, and whether the specification allows them: which value, which tier, which victim.
#![allow(clippy::cast_possible_truncation, reason = "small numbers are keys here and indices there")]

mod changes;
mod checker;
mod configuration;
mod ending;
mod orders;
mod planted;
mod planted_changes;
mod planted_keeping;
mod planted_snapshots;
mod program;
mod recorder;
mod runs;
mod steps;

#[path = "../common/mod.rs"]
mod common;
#[path = "../model/mod.rs"]
mod model;

use std::env;
use std::fmt::Debug;
use std::str::FromStr;

/// A setting of the environment, or what is usual.
fn setting<T: FromStr<Err: Debug>>(name: &str, usual: T) -> T {
    env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error:?}")))
}
