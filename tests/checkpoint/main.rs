//! Checkpoints: snapshots that are written and read, stores that are restored from them, and files that are written as a whole.
#![cfg(feature = "serde")]

#[path = "../common/mod.rs"]
mod common;
mod files;
#[path = "../plan_limits/format.rs"]
mod format;
mod instants;
#[path = "../model/mod.rs"]
#[allow(dead_code, reason = "only the operations are of use here")]
mod model;
mod nonsense;
mod restored;
mod round_trip;

use serde::{Deserialize, Serialize};

use model::Weigh;

/// A value that says what it weighs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Value {
    weight: u64,
    text: String,
}

impl Weigh for Value {
    fn weight(&self) -> u64 {
        self.weight
    }
}

type Store = tierstack::TierStore<u8, Value>;
type Shown = tierstack::StoreSnapshot<u8, Value>;

/// A store of such values with nothing said but its budget.
fn builder(budget: u64) -> tierstack::Builder<u8, Value> {
    Store::builder(budget).weigher(|_, value: &Value| value.weight)
}

fn value(weight: u64) -> Value {
    Value { weight, text: format!("of {weight}") }
}
