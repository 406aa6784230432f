//! Changesets: a plan's changes, as a persistent stack that parallel strategies record into.
//!
//! | file | what |
//! |---|---|
//! | `plan`, `record`, `handle` | what callers see |
//! | `timeline` | the protocol: the current version, records, and changes of structure |
//! | `root` | the cell that holds the current version |
//! | `version` | the plan's structure between two changes of it, and its links to earlier ones |
//! | `log` | the stack of entries of a version |
//! | `status` | what has become of each changeset: a persistent map |
//! | `savepoint`, `snapshot` | a place in the history to go back to; a whole plan to look at |
//! | `walk`, `index` | going through a snapshot: back from its end; by changeset |
//! | `id`, `event`, `change` | what names things, what happens, and what a change says |
//! | `diff`, `conflict`, `base` | what changes come to, where parallel changesets meet, and which changes contradict earlier ones |
//! | `review`, `path` | these for a snapshot; paths and folders |
//! | `replay`, `restore` | a plan from its audit trail; one that goes on from a snapshot |
//! | `error`, `wire` | why an operation was refused; serialization |

mod base;
mod change;
mod conflict;
mod diff;
mod error;
mod event;
mod handle;
mod id;
mod index;
mod log;
mod path;
mod plan;
mod record;
mod replay;
mod restore;
mod review;
mod root;
mod savepoint;
mod snapshot;
mod status;
mod timeline;
mod version;
mod walk;
#[cfg(feature = "serde")]
mod wire;

#[cfg(all(test, not(tierstack_loom)))]
mod tests;

pub use base::{StaleBase, Staleness};
pub use change::{Change, Content, Digest, Operation, ParseDigestError};
pub use conflict::{Conflict, Side};
pub use diff::{Diff, NetChange, NetOperation};
pub use error::{NotOpen, RecordError, RecordRefusal, ReplayError, ReplayRefusal, SavepointError};
pub use event::{Event, EventKind, Record, Recorded, RecordedAll};
pub use handle::ChangesetHandle;
pub use id::{ChangesetId, ParseIdError, Sequence};
pub use index::Changes;
pub use plan::PlanContext;
pub use savepoint::Savepoint;
pub use snapshot::{ChangesetView, Snapshot};
pub use status::Status;
pub use walk::Audit;
