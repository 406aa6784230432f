//! Ages, as the specification has them.
//!
//! What is due stands until it is met. An operation on its key meets it, before it does anything else. Evictions meet the fragments of their tier from the
//! least recently used up, end those that are due, and look again what is needed. Iterations and snapshots end what is due in the tiers that they
//! show, and a purge in all. Whoever is kept is not due. What is pushed straight on, since its tier cannot hold it, is not met by that.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tierstack::{Cause, StoreError, Stored, Tier, Version};

use super::{Entry, Model, oldest};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The instant that a time of the model stands for.
pub fn instant(time: u64) -> Instant {
    *START + Duration::from_secs(time)
}

/// The clock of a model, and how long fragments live.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Times {
    /// Without a use, by tier.
    lifetimes: [Option<u64>; 3],
    /// What the caller's clock says.
    clock: u64,
    /// What it said when it was first asked: no time is before that.
    first: Option<u64>,
}

impl Times {
    /// Asks the clock.
    fn ask(&mut self) -> u64 {
        let first = *self.first.get_or_insert(self.clock);
        self.clock.max(first)
    }

    /// The age of a fragment that is stored now.
    pub(super) fn new_age(&mut self, deadline: Option<u64>) -> Option<Age> {
        let is_aged = deadline.is_some() || self.lifetimes != [None; 3];
        is_aged.then(|| {
            let used = self.ask();
            Age { used, deadline: deadline.map(|deadline| deadline.max(self.first.unwrap_or(0))) }
        })
    }
}

/// When a fragment was last used, and its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Age {
    used: u64,
    deadline: Option<u64>,
}

impl<K: Ord + Clone, V: Clone> Model<K, V> {
    /// The same, of a store whose tiers have these lifetimes.
    pub fn with_lifetimes(mut self, lifetimes: [Option<u64>; 3]) -> Self {
        self.times.lifetimes = lifetimes;
        self
    }

    /// From now on the caller's clock says this.
    pub fn set_clock(&mut self, time: u64) {
        self.times.clock = time;
    }

    pub fn store_until(
        &mut self,
        key: K,
        value: V,
        weight: u64,
        version: Version,
        deadline: u64,
    ) -> Result<Stored<V>, StoreError<K, V>> {
        let age = self.times.new_age(Some(deadline));
        self.store_aged(key, value, weight, version, age)
    }

    pub fn purge_expired(&mut self) -> usize {
        Tier::ALL.into_iter().map(|tier| self.meet_tier(tier)).sum()
    }

    /// Whether a fragment is due, as it stands.
    pub(super) fn is_due(&self, entry: &Entry<V>) -> bool {
        let Some(Age { used, deadline }) = entry.age.filter(|_| !entry.kept) else { return false };
        let now = self.times.clock.max(self.times.first.unwrap_or(0));
        let lifetime = self.times.lifetimes[entry.tier as usize];
        deadline.is_some_and(|deadline| deadline <= now) || lifetime.is_some_and(|lifetime| now >= used + lifetime)
    }

    /// The fragment is used now.
    pub(super) fn note_use(&mut self, key: &K) {
        let entry = self.fragments.get_mut(key);
        if let Some(age) = entry.and_then(|entry| entry.age.as_mut()) {
            age.used = age.used.max(self.times.ask());
        }
    }

    /// Ends the fragment of a key if it is due.
    pub fn meet(&mut self, key: &K) {
        if self.fragments.get(key).is_some_and(|entry| self.is_due(entry)) {
            self.expire(key);
        }
    }

    /// Ends all that is due in a tier; how many that were.
    pub fn meet_tier(&mut self, tier: Tier) -> usize {
        let is_due = |(_, entry): &(&K, &Entry<V>)| self.is_due(entry);
        let due: Vec<K> = self.standing(tier).filter(is_due).map(|(key, _)| key.clone()).collect();
        for key in &due {
            self.expire(key);
        }
        due.len()
    }

    /// What an eviction meets first, and does not pass by.
    pub(super) fn first_met(&self, tier: Tier) -> Option<K> {
        let is_met = |entry: &Entry<V>| !entry.kept && (!entry.leaving || self.is_due(entry));
        oldest(self.standing(tier).filter(|(_, entry)| is_met(entry)))
    }

    /// Ends the fragment that an eviction meets first, if it is due; whether it was.
    pub(super) fn meet_oldest(&mut self, tier: Tier) -> bool {
        let met = self.first_met(tier);
        let due = met.filter(|key| self.is_due(&self.fragments[key]));
        due.inspect(|key| self.expire(key)).is_some()
    }

    fn expire(&mut self, key: &K) {
        if let Some(entry) = self.fragments.remove(key) {
            self.metrics.expired += 1;
            self.left.push((key.clone(), entry.value, entry.tier, Cause::Expired));
        }
    }
}
