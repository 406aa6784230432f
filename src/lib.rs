//! wip
// The parts are public only to their models.
#![cfg_attr(any(tierstack_loom, tierstack_shuttle), allow(missing_docs))]

mod budget;
mod census;
mod clock;
mod error;
mod failpoint;
mod fragment;
mod index;
mod metrics;
mod node;
mod order;
mod place;
mod store;
mod sync;
mod tier;

pub use budget::MAX_BYTES;
pub use census::Capacity;
pub use error::{BudgetError, BuildError, PromoteError, Refusal, StoreError};
pub use fragment::{Evicted, Fragment, Item, Moved, Stored};
pub use metrics::{Metrics, TierMetrics};
pub use store::{Builder, DefaultHasher, TierStore, View};
pub use tier::Tier;

/// The parts, for models of them. Not there without the model checkers' cfg flags.
#[cfg(any(tierstack_loom, tierstack_shuttle))]
#[doc(hidden)]
pub mod internals {
    pub use crate::budget::{Budget, Reservation};
    pub use crate::census::Census;
    pub use crate::clock::Clock;
    pub use crate::index::{Index, Inserted, Settle};
    pub use crate::metrics::Retired;
    pub use crate::node::{Announced, Counted, Fit, Grant, LastUse, Node};
    pub use crate::order::Order;
    pub use crate::order::segment::{Placed, Segment, WIDTH};
    pub use crate::place::{Outcome, Place, PlaceWord, State};
}
