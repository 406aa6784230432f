//! Plans. They hold no Python objects: a change is copied into its plan. So the garbage collector has no business here.
//!
//! | file | what |
//! |---|---|
//! | `change` | a change, and its JSON |
//! | `context`, `changeset` | the plan, and the handles of its changesets |
//! | `trail` | where changes stand: records and events |
//! | `snapshot` | a plan as it was at one instant |
//! | `review` | what its changes come to, and what of them does not fit together |

mod change;
mod changeset;
mod context;
mod review;
mod snapshot;
mod trail;

pub use change::Change;
pub use changeset::{Changeset, ChangesetScope};
pub use context::{PlanContext, Savepoint};
pub use review::{Conflict, Diff, NetChange, Side, StaleBase};
pub use snapshot::PlanSnapshot;
pub use trail::{Event, Record, Recorded, RecordedAll};
