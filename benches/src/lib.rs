//! What the benchmarks share: the work, the subjects that do it, and what becomes of the results.

pub mod counting;
pub mod estimates;
pub mod lanes;
pub mod requests;
pub mod results;
pub mod subject;
pub mod subjects;
pub mod table;
pub mod times;
pub mod workload;

/// Whether this process was started to measure (`cargo bench`), not to be tried once (`cargo test --benches`,
/// `cargo bench -- --test`).
pub fn measuring() -> bool {
    let has = |flag: &str| std::env::args().any(|arg| arg == flag);
    has("--bench") && !has("--test") && !has("--list")
}

/// The filters among the arguments. What follows an option may be its value.
pub fn filters() -> Vec<String> {
    let arguments: Vec<String> = std::env::args().collect();
    let after_option = |before: &str| before.starts_with("--") && !["--bench", "--exact"].contains(&before);
    let pairs = arguments.windows(2).filter(|pair| !pair[1].starts_with('-') && !after_option(&pair[0]));
    pairs.map(|pair| pair[1].clone()).collect()
}
