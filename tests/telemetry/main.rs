//! What a store says to the crates `tracing` and `metrics`, by the features of those names.

#[cfg(feature = "metrics")]
mod numbers;
#[cfg(feature = "tracing")]
mod told;
