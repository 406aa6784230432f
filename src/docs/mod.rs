//! Why the guarantees hold, and what checks it: for those who want to believe it.

#[doc = include_str!("atomics.md")]
pub mod atomics {}

#[doc = include_str!("proof.md")]
pub mod proof {}
