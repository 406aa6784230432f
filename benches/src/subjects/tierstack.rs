//! tierstack, through the pinned view and through the owned operations.
//!
//! It is given no `expected_fragments`: its index grows, as the peers' do.

use ::tierstack::{Capacity, Moved, PromoteError, Tier, TierStore, View};

use super::collect_garbage;
use crate::subject::{Bounds, Hasher, Held, Payload, Session, Subject, weigh};

type Store<V> = TierStore<String, V, Hasher>;

fn build<V: Payload>(bounds: Bounds, recency_slack: u64) -> Store<V> {
    let capacity = |bound: Option<u64>| bound.map_or(Capacity::UNBOUNDED, Capacity::bytes);
    TierStore::builder(bounds.hot)
        .weigher(|key: &String, value: &V| weigh(key, value))
        .warm_capacity(capacity(bounds.warm))
        .cold_capacity(capacity(bounds.cold))
        .hasher(Hasher::default())
        .recency_slack(recency_slack)
        .build()
        .expect("the bounds are far below the largest budget")
}

fn held<V: Payload>(store: &Store<V>) -> Held {
    let metrics = store.metrics();
    let tiers = [metrics.hot, metrics.warm, metrics.cold];
    Held { fragments: tiers.iter().map(|tier| tier.fragments).sum(), bytes: tiers.iter().map(|tier| tier.bytes).sum() }
}

/// One that finds its room held by operations in flight is not promoted, and stays where it is.
#[inline]
fn promoted(outcome: Result<Moved, PromoteError>) -> bool {
    outcome.is_ok_and(|moved| moved.from != moved.to)
}

/// Pins often enough that whatever the store's collector waits for comes round.
fn settle<V: Payload>(store: &Store<V>) {
    for _ in 0..10_000 {
        drop(store.pin());
    }
    collect_garbage();
}

/// Each thread holds a view, and repins it now and then as a long loop should.
///
/// `SLACK`: with a `recency_slack` of a quarter of the fragments that hot holds. The order among the last uses is lost then, and
/// most hits only read.
pub struct Pinned<V: Payload, const SLACK: bool = false>(Store<V>);

/// [`Pinned`], with the slack.
pub type Slack<V> = Pinned<V, true>;

/// A view, and how long it has been pinned.
pub struct PinnedSession<'s, V: Payload> {
    view: View<'s, String, V, Hasher>,
    operations: u32,
}

impl<V: Payload> PinnedSession<'_, V> {
    const REPIN_AFTER: u32 = 256;

    #[inline]
    fn count(&mut self) {
        self.operations += 1;
        if self.operations == Self::REPIN_AFTER {
            self.operations = 0;
            self.view.repin();
        }
    }
}

impl<V: Payload, const SLACK: bool> Subject<V> for Pinned<V, SLACK> {
    const NAME: &'static str = if SLACK { "tierstack_slack" } else { "tierstack_pinned" };
    const EXACT: bool = true;

    type Session<'s> = PinnedSession<'s, V>;

    fn new(bounds: Bounds) -> Self {
        let slack = if SLACK { bounds.expected_in(Some(bounds.hot)) / 4 } else { 0 };
        Self(build(bounds, slack))
    }

    fn session(&self) -> Self::Session<'_> {
        PinnedSession { view: self.0.pin(), operations: 0 }
    }

    fn settle(&self) {
        settle(&self.0);
    }

    fn held(&self) -> Option<Held> {
        Some(held(&self.0))
    }

    fn peak_hot_bytes(&self) -> Option<u64> {
        Some(self.0.metrics().peak_hot_bytes)
    }
}

impl<V: Payload> Session<V> for PinnedSession<'_, V> {
    #[inline]
    fn get(&mut self, key: &str) -> bool {
        self.count();
        self.view.get(key).is_some_and(|fragment| {
            fragment.value.touch();
            true
        })
    }

    #[inline]
    fn store(&mut self, key: String, value: V) {
        self.count();
        assert!(self.view.store(key, value).is_ok(), "no weight is above the limit");
    }

    #[inline]
    fn promote(&mut self, key: &str) -> bool {
        self.count();
        promoted(self.view.promote_to(key, Tier::Hot))
    }

    #[inline]
    fn demote(&mut self, key: &str) -> bool {
        self.count();
        self.view.demote_to(key, Tier::Warm).is_some_and(|moved| moved.from != moved.to)
    }

    #[inline]
    fn remove(&mut self, key: &str) -> bool {
        self.count();
        self.view.remove(key).is_some()
    }
}

/// Every operation pins for itself, and what it hands back is a clone.
pub struct Owned<V: Payload>(Store<V>);

impl<V: Payload> Subject<V> for Owned<V> {
    const NAME: &'static str = "tierstack_owned";
    const EXACT: bool = true;

    type Session<'s> = &'s Self;

    fn new(bounds: Bounds) -> Self {
        Self(build(bounds, 0))
    }

    fn session(&self) -> &Self {
        self
    }

    fn settle(&self) {
        settle(&self.0);
    }

    fn held(&self) -> Option<Held> {
        Some(held(&self.0))
    }

    fn peak_hot_bytes(&self) -> Option<u64> {
        Some(self.0.metrics().peak_hot_bytes)
    }
}

impl<V: Payload> Session<V> for &Owned<V> {
    #[inline]
    fn get(&mut self, key: &str) -> bool {
        self.0.get(key).is_some_and(|fragment| {
            fragment.value.touch();
            true
        })
    }

    #[inline]
    fn store(&mut self, key: String, value: V) {
        assert!(self.0.store(key, value).is_ok(), "no weight is above the limit");
    }

    #[inline]
    fn promote(&mut self, key: &str) -> bool {
        promoted(self.0.promote_to(key, Tier::Hot))
    }

    #[inline]
    fn demote(&mut self, key: &str) -> bool {
        self.0.demote_to(key, Tier::Warm).is_some_and(|moved| moved.from != moved.to)
    }

    #[inline]
    fn remove(&mut self, key: &str) -> bool {
        self.0.remove(key).is_some()
    }
}
