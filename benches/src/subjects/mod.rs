//! tierstack and its peers, each made to do the same job as far as it goes. Where one does less, its module says so.

mod coarse_lock;
mod moka;
mod nothing;
mod quick_cache;
mod skip_map;
mod tierstack;

pub use coarse_lock::CoarseLock;
pub use moka::Moka;
pub use nothing::Nothing;
pub use quick_cache::QuickCache;
pub use skip_map::SkipMaps;
pub use tierstack::{Owned, Pinned};

/// Hands crossbeam's default collector whatever this thread has deferred, and lets it free what it can. With no other
/// thread pinned, each round advances the epoch once.
fn collect_garbage() {
    for _ in 0..512 {
        crossbeam_epoch::pin().flush();
    }
}
