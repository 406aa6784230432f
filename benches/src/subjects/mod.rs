//! tierstack and its peers, each made to do the same job as far as it goes. Where one does less, its module says so.

mod coarse_lock;
mod floor;
mod foyer;
mod lru_tiers;
mod mini_moka;
mod moka;
mod nothing;
mod quick_cache;
mod rw_lock;
mod scc;
mod skip_map;
mod std_lock;
mod tierstack;
mod tiny_ufo;

#[cfg(test)]
mod tests;

pub use self::{
    coarse_lock::CoarseLock,
    floor::Floor,
    foyer::Foyer,
    mini_moka::{MiniMoka, MiniMokaSession},
    moka::Moka,
    nothing::Nothing,
    quick_cache::QuickCache,
    rw_lock::ReadWriteLock,
    scc::Scc,
    skip_map::SkipMaps,
    std_lock::StdLock,
    tierstack::{Owned, Pinned, PinnedSession, Slack},
    tiny_ufo::TinyUfos,
};

use crate::subject::{Payload, Subject};

/// What is to be done with each subject.
pub trait Visitor<V: Payload> {
    /// Called with one after the other.
    fn visit<S: Subject<V>>(&mut self);
}

/// Visits those that do the whole job, in the order in which they are measured and shown; the harness alone last.
pub fn visit_all<V: Payload>(visitor: &mut impl Visitor<V>) {
    visitor.visit::<Pinned<V>>();
    visitor.visit::<Owned<V>>();
    visitor.visit::<Slack<V>>();
    visitor.visit::<QuickCache<V>>();
    visitor.visit::<CoarseLock<V>>();
    visitor.visit::<ReadWriteLock<V>>();
    visitor.visit::<Moka<V>>();
    visitor.visit::<MiniMoka<V>>();
    visitor.visit::<Foyer<V>>();
    visitor.visit::<Scc<V>>();
    visitor.visit::<TinyUfos<V>>();
    visitor.visit::<SkipMaps<V>>();
    visitor.visit::<Nothing>();
}

/// Visits [`Floor`], which can only be read, and then all others.
pub fn visit_readers<V: Payload>(visitor: &mut impl Visitor<V>) {
    visitor.visit::<Floor<V>>();
    visit_all(visitor);
}

/// Hands crossbeam's default collector whatever this thread has deferred, and lets it free what it can. With no other
/// thread pinned, each round advances the epoch once.
fn collect_garbage() {
    // What the thread has retired of any store of the crate's goes with a flush of another.
    ::tierstack::TierStore::<u8, u8>::new(0).expect("no budget is too large").flush();
    for _ in 0..512 {
        crossbeam_epoch::pin().flush();
    }
}
