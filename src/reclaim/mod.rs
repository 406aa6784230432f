//! Freeing: callers' destructors, which never nest, and the collector, which is asked for no more than is good for the caller.
//!
//! | file | what |
//! |---|---|
//! | `aside` | destructors: one at a time on each thread, the others put aside |
//! | `batch` | what a thread has retired, given to the collector together |
//! | `callback` | functions of callers, whose captures are dropped so too |
//! | `memory` | memory of nodes, used again by its thread |
//! | `collect` | second deferrals, and who has the collector run what is due |
//!
//! What a node's retirement does with these, [`crate::node::retire`] says.

mod aside;
mod batch;
mod callback;
mod collect;
pub mod memory;

pub use aside::{Progress, Task, drop_box, drop_in_place, is_running, quietly, run};
pub use batch::{Dead, Kind, has_retired_more_than, retire};
pub use callback::Callback;
pub use collect::{collect, defer_again, flush, leave_nothing};
