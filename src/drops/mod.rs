//! Callers' destructors, which never nest. Both halves stand on it: the store's values and the plan's changes are dropped by it.
//!
//! | file | what |
//! |---|---|
//! | `aside` | destructors: one at a time on each thread, the others put aside |
//! | `callback` | functions of callers, whose captures are dropped so too |

mod aside;
mod callback;

pub use aside::{Progress, Task, drop_box, drop_in_place, is_anything_aside, is_running, quietly, run};
pub use callback::Callback;
