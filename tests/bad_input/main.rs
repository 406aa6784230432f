//! What callers get wrong: absurd numbers, code of theirs that panics or lies, and too much of everything.
#![allow(clippy::mutable_key_type, reason = "a key's fuse is no part of its hash")]

mod lies;
mod limits;
mod panics;
mod scale;

#[path = "../common/mod.rs"]
mod common;
