//! Checkpoints: snapshots that are written and read, stores that are restored from them, and files that are written as a whole.
#[path = "../common/mod.rs"]
mod common;
mod files;
#[cfg(feature = "serde")]
#[path = "../plan_limits/format.rs"]
mod format;
#[cfg(feature = "serde")]
mod instants;
#[cfg(feature = "serde")]
#[path = "../model/mod.rs"]
mod model;
#[cfg(feature = "serde")]
mod nonsense;
mod panics;
mod restored;
#[cfg(feature = "serde")]
mod round_trip;

use std::sync::LazyLock;
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// A value that says what it weighs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Value {
    weight: u64,
    text: String,
}

#[cfg(feature = "serde")]
impl model::Weigh for Value {
    fn weight(&self) -> u64 {
        self.weight
    }
}

type Store = tierstack::TierStore<u8, Value>;
#[cfg(feature = "serde")]
type Shown = tierstack::StoreSnapshot<u8, Value>;

/// A store of such values with nothing said but its budget.
static NOW: LazyLock<Instant> = LazyLock::new(Instant::now);

fn builder(budget: u64) -> tierstack::Builder<u8, Value> {
    // The time stands still: what has no time left is due when it is restored.
    Store::builder(budget).weigher(|_, value: &Value| value.weight).clock(|| *NOW)
}

fn value(weight: u64) -> Value {
    Value { weight, text: format!("of {weight}") }
}
