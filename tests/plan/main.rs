//! Plans against the one sequential model of them: by programs on one thread, by the histories of many, and by the race that users write.
#![allow(clippy::cast_possible_truncation, reason = "small numbers are sequence numbers here and indices there")]

mod cloned;
mod every_order;
mod history;
mod model;
mod planted;
mod program;
mod properties;
mod race;
mod stress;
mod subject;

#[path = "../common/mod.rs"]
mod common;

use std::env;
use std::fmt::Debug;
use std::str::FromStr;

use proptest::test_runner::Config;

/// A setting of the environment, or what is usual.
fn setting<T: FromStr<Err: Debug>>(name: &str, usual: T) -> T {
    env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error:?}")))
}

/// How many programs to try, unless `PROPTEST_CASES` says: fewer where the code is slow.
fn config(cases: u32) -> Config {
    // A failing program is printed in full; one worth keeping becomes a test of its own.
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if env::var_os("PROPTEST_CASES").is_none() {
        config.cases = if cfg!(debug_assertions) { cases / 4 } else { cases };
    }
    config
}
