//! What is measured.

mod bulk_load;
mod churn;
mod cycle;
mod get_hit;
mod get_miss;
mod insert;
mod mixed;
mod store_demote;

pub use bulk_load::BulkLoad;
pub use churn::Churn;
pub use cycle::CycleKeys;
pub use get_hit::{GetHit, HotKey};
pub use get_miss::GetMiss;
pub use insert::Insert;
pub use mixed::Mixed;
pub use store_demote::StoreDemote;

use tierstack_benches::subject::{Bounds, Subject};

use crate::bench::{EACH, Value};

/// Hot has room for twice these fragments, and holds all of them.
fn all_hot<S: Subject<Value>>(n: usize, keys: &[String]) -> S {
    S::filled(Bounds::all_hot(n as u64, EACH), keys.iter().cloned().zip(0..))
}

/// Hot holds `n` fragments, and below is room for all. The last `n` of the keys are hot.
fn hot_and_warm<S: Subject<Value>>(n: usize, keys: &[String]) -> S {
    S::filled(Bounds::hot_and_warm(n as u64, keys.len() as u64, EACH), keys.iter().cloned().zip(0..))
}

/// Whether so many of the operations found their fragment as should have. All, but where a fragment can be missed by
/// one thread while another moves it.
fn check_found<S: Subject<Value>>(operation: &str, found: u64, of: u64, threads: usize) {
    let tolerated = if S::EXACT || threads == 1 { 0 } else { of / 20 + 1 };
    assert!(of - found <= tolerated, "{}: {operation} found {found} of {of} fragments", S::NAME);
}
