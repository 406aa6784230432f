//! Freeing of nodes: the collector is asked for no more than is good for the caller.
//!
//! | file | what |
//! |---|---|
//! | `batch` | what a thread has retired, given to the collector together |
//! | `memory` | memory of nodes, used again by its thread |
//! | `collect` | second deferrals, and who has the collector run what is due |
//!
//! What a node's retirement does with these, [`crate::engine::node::retire`] says. Key and value are dropped by [`crate::drops`].

mod batch;
mod collect;
pub mod memory;

pub use batch::{Dead, Kind, has_retired_more_than, retire};
pub use collect::{collect, defer_again, flush, leave_nothing};
