//! Every backend against one model, and against what can go wrong beside it. `check` in the package's folder says what it takes to run all.

mod common;
mod conformance;
mod corruption;
mod faults;
mod killed;
mod server;
mod store;
mod unflushed;
mod writers;
