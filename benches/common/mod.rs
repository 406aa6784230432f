//! What the two benchmarks share: the work, the subjects that do it, and how results are printed.

#![allow(dead_code, unused_imports, reason = "each benchmark is a crate of its own and uses a part of this")]

pub mod counting;
pub mod estimates;
pub mod lanes;
pub mod subject;
pub mod subjects;
pub mod table;
pub mod workload;

/// Whether this process was started to measure (`cargo bench`), not to be tried once (`cargo test --benches`,
/// `cargo bench -- --test`).
pub fn measuring() -> bool {
    let has = |flag: &str| std::env::args().any(|arg| arg == flag);
    has("--bench") && !has("--test") && !has("--list")
}
