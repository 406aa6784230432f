//! Plans at their limits: what they refuse, how far they scale, what becomes of each change, and how they are written and read back.

mod drops;
#[cfg(feature = "serde")]
mod format;
#[cfg(feature = "serde")]
mod formats;
mod orders;
mod portrait;
mod program;
mod refusals;
mod replay;
mod restored;
mod review;
mod savepoints;
mod scale;
#[cfg(feature = "serde")]
mod wire;

#[path = "../common/mod.rs"]
mod common;
