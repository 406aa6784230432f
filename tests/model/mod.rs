//! The sequential specification of the store, written as plainly as it can be: one map, and a clock that counts uses.
//!
//! It is the oracle of the property tests, of the fuzz targets and of the history checker, and so it knows nothing of
//! any of them. What it says of ages is in [`ages`]. Every operation answers in the store's own public types. The steps of which operations are made
//! ([`touch`](Model::touch), [`evict_key`](Model::evict_key), [`evict_oldest`](Model::evict_oldest),
//! [`make_room`](Model::make_room), [`enforce_capacities`](Model::enforce_capacities)) are public too, for a checker
//! that lets other operations in between.
#![allow(dead_code, reason = "each of those who include the model uses its own part of it")]

pub mod ages;
mod leaving;
mod operation;
mod state;
pub mod versions;

use std::collections::BTreeMap;

use ages::{Age, Times};
use tierstack::{
    BudgetError, Capacity, Cause, Enforced, Evicted, Fragment, GetOrStored, Item, KeepError, Kept, MAX_BYTES, Metrics,
    Moved, PromoteError, Refusal, ReplaceIfRefusal, StoreError, StoreIfAbsentRefusal, Stored, Tier, TierMetrics,
    UpdateRefusal, Version,
};

#[allow(unused_imports, reason = "not everyone who includes the model speaks in operations")]
pub use operation::{Operation, Outcome, Weigh};

/// What the specification knows of a fragment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry<V> {
    pub value: V,
    pub weight: u64,
    pub tier: Tier,
    /// The model's clock at its last use; no two are equal.
    pub last_use: u64,
    pub version: Version,
    /// Nothing but what is asked of its key moves it.
    pub kept: bool,
    /// An archive is about to take it over: nothing pushes it out.
    pub leaving: bool,
    pub age: Option<Age>,
}

/// What has left: key and value, from where, and why.
pub type Left<K, V> = (K, V, Tier, Cause);

/// The store as the specification has it.
///
/// Equal models answer alike from now on: they compare and hash the fragments, the order of their last uses, the
/// budget, the capacities and the times, but neither the counters nor what has left, which tell how a state came about.
#[derive(Clone, Debug)]
pub struct Model<K, V> {
    fragments: BTreeMap<K, Entry<V>>,
    budget: u64,
    warm: Capacity,
    cold: Capacity,
    now: u64,
    times: Times,
    left: Vec<Left<K, V>>,
    metrics: Metrics,
}

/// The operations. What is stored gets a `version` that no fragment has had; which one, the store decides, and the model is told.
impl<K: Ord + Clone, V: Clone> Model<K, V> {
    /// An empty store.
    pub fn new(budget: u64, warm: Capacity, cold: Capacity) -> Self {
        assert!(budget <= MAX_BYTES, "the model does not build what the builder refuses");
        let (fragments, times, left, metrics) = Default::default();
        Self { fragments, budget, warm, cold, now: 0, times, left, metrics }
    }

    pub fn store(&mut self, key: K, value: V, weight: u64, version: Version) -> Result<Stored<V>, StoreError<K, V>> {
        let age = self.times.new_age(None);
        self.store_aged(key, value, weight, version, age)
    }

    fn store_aged(
        &mut self,
        key: K,
        value: V,
        weight: u64,
        version: Version,
        age: Option<Age>,
    ) -> Result<Stored<V>, StoreError<K, V>> {
        if weight > MAX_BYTES {
            return Err(StoreError { key, value, reason: Refusal::TooHeavy { weight } });
        }
        self.meet(&key);
        // Out of the way first: its bytes are then free, and it is no victim.
        let old = self.fragments.remove(&key);
        let was_hot = old.as_ref().is_some_and(|old| old.tier == Tier::Hot);
        let own = old.as_ref().filter(|_| was_hot).map_or(0, |old| old.weight);
        let kept = old.as_ref().is_some_and(|old| old.kept);
        let replaced = old.map(|entry| {
            self.left.push((key.clone(), entry.value.clone(), entry.tier, Cause::Replaced));
            entry.value
        });
        // It takes no room from others, also where what is kept is over the budget.
        let fits_anyway = kept && was_hot && weight <= own;
        let kept_out = weight <= self.budget && !fits_anyway && self.is_kept_out(weight);
        let tier = if weight > self.budget || kept_out { Tier::Warm } else { Tier::Hot };
        if tier == Tier::Hot {
            self.make_room(weight);
        }
        self.metrics.stores += 1;
        self.metrics.replacements += u64::from(replaced.is_some());
        self.fragments
            .insert(key.clone(), Entry { value, weight, tier, last_use: 0, version, kept, leaving: false, age });
        self.touch(&key);
        self.note_peak();
        self.enforce_capacities();
        Ok(Stored { tier, version, replaced, contended: false, kept_out, kept })
    }

    pub fn store_if_absent(
        &mut self,
        key: K,
        value: V,
        weight: u64,
        version: Version,
    ) -> Result<Stored<V>, StoreError<K, V, StoreIfAbsentRefusal>> {
        if weight <= MAX_BYTES {
            self.meet(&key);
        }
        let reason = match self.fragments.get(&key) {
            _ if weight > MAX_BYTES => Refusal::TooHeavy { weight }.into(),
            Some(&Entry { tier, version, .. }) => StoreIfAbsentRefusal::Present { tier, version },
            None => return Ok(self.store(key, value, weight, version).expect("light enough")),
        };
        Err(StoreError { key, value, reason })
    }

    pub fn get_or_store_with(
        &mut self,
        key: K,
        value: V,
        weight: u64,
        version: Version,
    ) -> Result<GetOrStored<V>, StoreError<K, V>> {
        if let Some(found) = self.get(&key) {
            return Ok(GetOrStored::Found(found));
        }
        let Stored { tier, contended, kept_out, kept, .. } = self.store(key, value.clone(), weight, version)?;
        Ok(GetOrStored::Stored { fragment: Fragment { value, tier, kept, weight, version }, contended, kept_out })
    }

    /// `old` is the version that the key's fragment is to have.
    pub fn replace_if(
        &mut self,
        key: K,
        old: Version,
        value: V,
        weight: u64,
        version: Version,
    ) -> Result<Stored<V>, StoreError<K, V, ReplaceIfRefusal>> {
        if old != versions::foreign() && weight <= MAX_BYTES {
            self.meet(&key);
        }
        let reason = match self.fragments.get(&key) {
            _ if old == versions::foreign() => ReplaceIfRefusal::OtherStore,
            _ if weight > MAX_BYTES => Refusal::TooHeavy { weight }.into(),
            None => ReplaceIfRefusal::NotFound,
            Some(entry) if entry.version == old => {
                return Ok(self.store(key, value, weight, version).expect("light enough"));
            }
            Some(&Entry { tier, version, .. }) => ReplaceIfRefusal::Changed { tier, version },
        };
        Err(StoreError { key, value, reason })
    }

    /// `value` is what the function makes, whatever it is given.
    pub fn update(
        &mut self,
        key: K,
        value: V,
        weight: u64,
        version: Version,
    ) -> Result<Stored<V>, StoreError<K, Option<V>, UpdateRefusal>> {
        self.meet(&key);
        if !self.contains(&key) {
            return Err(StoreError { key, value: None, reason: UpdateRefusal::NotFound });
        }
        let refused = |StoreError { key, value, reason }: StoreError<K, V>| StoreError {
            key,
            value: Some(value),
            reason: reason.into(),
        };
        self.store(key, value, weight, version).map_err(refused)
    }

    pub fn get(&mut self, key: &K) -> Option<Fragment<V>> {
        self.meet(key);
        let found = self.peek(key);
        match found {
            Some(_) => self.metrics.hits += 1,
            None => self.metrics.misses += 1,
        }
        self.touch(key);
        found
    }

    pub fn peek(&self, key: &K) -> Option<Fragment<V>> {
        let Entry { value, weight, tier, version, kept, .. } = self.fragments.get(key)?.clone();
        Some(Fragment { value, tier, kept, weight, version })
    }

    pub fn contains(&self, key: &K) -> bool {
        self.fragments.contains_key(key)
    }

    pub fn tier_of(&self, key: &K) -> Option<Tier> {
        self.fragments.get(key).map(|entry| entry.tier)
    }

    pub fn promote(&mut self, key: &K) -> Result<Moved, PromoteError> {
        self.meet(key);
        let from = self.tier_of(key).ok_or(PromoteError::NotFound)?;
        self.promote_to(key, from.above().unwrap_or(Tier::Hot))
    }

    pub fn promote_to(&mut self, key: &K, tier: Tier) -> Result<Moved, PromoteError> {
        self.meet(key);
        let Entry { tier: from, weight, .. } = *self.fragments.get(key).ok_or(PromoteError::NotFound)?;
        let to = from.min(tier);
        if to == Tier::Hot && from != Tier::Hot {
            if weight > self.budget {
                return Err(PromoteError::OverBudget { weight, budget: self.budget });
            }
            if self.is_kept_out(weight) {
                return Err(PromoteError::KeptOut { weight });
            }
            self.make_room(weight);
        }
        self.put(key, to);
        self.touch(key);
        self.metrics.promotions += u64::from(from != to);
        self.note_peak();
        self.enforce_capacities();
        Ok(Moved { from, to })
    }

    pub fn demote(&mut self, key: &K) -> Option<Moved> {
        self.meet(key);
        let from = self.tier_of(key)?;
        self.demote_to(key, from.below().unwrap_or(Tier::Cold))
    }

    pub fn demote_to(&mut self, key: &K, tier: Tier) -> Option<Moved> {
        self.meet(key);
        let from = self.tier_of(key)?;
        let to = from.max(tier);
        self.put(key, to);
        self.metrics.demotions += u64::from(from != to);
        self.enforce_capacities();
        Some(Moved { from, to })
    }

    pub fn keep(&mut self, key: &K, kept: bool) -> Result<Kept, KeepError> {
        self.meet(key);
        let entry = self.fragments.get_mut(key).ok_or(KeepError::NotFound)?;
        let answer = Kept { tier: entry.tier, was_kept: entry.kept };
        if answer.was_kept != kept {
            entry.kept = kept;
            self.touch(key);
            // What is let go may be too much.
            self.make_room(0);
            self.enforce_capacities();
        }
        Ok(answer)
    }

    pub fn evict_lru(&mut self, tier: Tier) -> Option<Evicted<K, V>> {
        while self.meet_oldest(tier) {}
        let evicted = self.evict_oldest(tier);
        if let Some(Evicted { key, value, from, to: None, .. }) = evicted.clone() {
            self.left.push((key, value, from, Cause::Removed));
        }
        self.enforce_capacities();
        evicted
    }

    pub fn remove(&mut self, key: &K) -> Option<Fragment<V>> {
        self.meet(key);
        let Entry { value, weight, tier, version, kept, .. } = self.fragments.remove(key)?;
        self.metrics.removals += 1;
        self.left.push((key.clone(), value.clone(), tier, Cause::Removed));
        Some(Fragment { value, tier, kept, weight, version })
    }

    pub fn set_hot_budget(&mut self, budget: u64) -> Result<Enforced, BudgetError> {
        if budget > MAX_BYTES {
            return Err(BudgetError { budget });
        }
        self.budget = budget;
        Ok(self.enforce_hot_budget())
    }

    pub fn enforce_hot_budget(&mut self) -> Enforced {
        let demoted = self.make_room(0);
        self.enforce_capacities();
        Enforced { demoted, kept_over: self.kept_hot().saturating_sub(self.budget) }
    }

    pub fn hot_budget(&self) -> u64 {
        self.budget
    }

    pub fn hot_bytes(&self) -> u64 {
        self.bytes(Tier::Hot)
    }

    pub fn len(&self, tier: Tier) -> u64 {
        self.standing(tier).count() as u64
    }

    pub fn is_empty(&self) -> bool {
        self.fragments.is_empty()
    }

    pub fn bytes(&self, tier: Tier) -> u64 {
        self.standing(tier).map(|(_, entry)| entry.weight).sum()
    }

    /// From the most to the least recently used.
    #[allow(clippy::iter_not_returning_iterator, reason = "named and ordered as the store's, and easier to compare")]
    pub fn iter(&self, tier: Tier) -> Vec<Item<K, V>> {
        let mut standing: Vec<_> = self.standing(tier).collect();
        standing.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.last_use));
        let item = |(key, entry): (&K, &Entry<V>)| {
            let Entry { value, weight, version, kept, .. } = entry.clone();
            Item { key: key.clone(), value, weight, kept, version }
        };
        standing.into_iter().map(item).collect()
    }

    /// All tiers, each from the most to the least recently used.
    pub fn snapshot(&self) -> Vec<(Tier, Item<K, V>)> {
        Tier::ALL.into_iter().flat_map(|tier| self.snapshot_of(tier)).collect()
    }

    pub fn snapshot_of(&self, tier: Tier) -> Vec<(Tier, Item<K, V>)> {
        self.iter(tier).into_iter().map(|item| (tier, item)).collect()
    }

    /// The counters. Nothing is ever retired here, and nothing contended; the peak is that of the states between steps.
    pub fn metrics(&self) -> Metrics {
        let kept = |tier| self.standing(tier).filter(|(_, entry)| entry.kept);
        let tier = |tier| TierMetrics {
            fragments: self.len(tier),
            bytes: self.bytes(tier),
            kept_fragments: kept(tier).count() as u64,
            kept_bytes: kept(tier).map(|(_, entry)| entry.weight).sum(),
        };
        let mut metrics = self.metrics;
        (metrics.hot, metrics.warm, metrics.cold) = (tier(Tier::Hot), tier(Tier::Warm), tier(Tier::Cold));
        metrics
    }

    /// What capacities pushed out of the store since the last call, in the order in which the listener is given it.
    pub fn take_overflow(&mut self) -> Vec<(K, V)> {
        let overflowed = self.take_left().into_iter().filter(|(.., cause)| *cause == Cause::Overflowed);
        overflowed.map(|(key, value, ..)| (key, value)).collect()
    }

    /// What has left the store since the last call, whatever for, in the order in which the listener is told of it.
    pub fn take_left(&mut self) -> Vec<Left<K, V>> {
        std::mem::take(&mut self.left)
    }
}

/// The steps of which the operations are made.
impl<K: Ord + Clone, V: Clone> Model<K, V> {
    /// Makes the fragment the most recently used.
    pub fn touch(&mut self, key: &K) {
        if let Some(entry) = self.fragments.get_mut(key) {
            self.now += 1;
            entry.last_use = self.now;
            entry.leaving = false;
        }
        self.note_use(key);
    }

    /// Moves a fragment one step down, or out of the bottom of cold, as evictions do: it keeps its last use.
    pub fn evict_key(&mut self, key: &K) -> Option<Evicted<K, V>> {
        let entry = self.fragments.get(key)?.clone();
        let to = entry.tier.below();
        match to {
            Some(below) => self.put(key, below),
            None => drop(self.fragments.remove(key)),
        }
        self.metrics.evictions += 1;
        Some(Evicted { key: key.clone(), value: entry.value, weight: entry.weight, from: entry.tier, to })
    }

    /// Evicts the least recently used fragment of a tier that is not kept.
    pub fn evict_oldest(&mut self, tier: Tier) -> Option<Evicted<K, V>> {
        let oldest = oldest(self.standing(tier).filter(|(_, entry)| !entry.kept && !entry.leaving))?;
        self.evict_key(&oldest)
    }

    /// Evicts from hot until `weight` more bytes fit, or all there is kept; how many it took.
    pub fn make_room(&mut self, weight: u64) -> usize {
        let mut evicted = 0;
        while self.hot_bytes() + weight > self.budget {
            // What is due makes way, and it is looked again whether that was enough.
            if self.meet_oldest(Tier::Hot) {
                continue;
            }
            if self.evict_oldest(Tier::Hot).is_none() {
                break;
            }
            evicted += 1;
        }
        evicted
    }

    /// Warm over its capacity overflows into cold, and cold over its own out of the store. What is heavier than all the bytes that a
    /// tier may hold goes first, and straight on.
    pub fn enforce_capacities(&mut self) {
        for tier in [Tier::Warm, Tier::Cold] {
            while let Some(key) = self.oldest_too_heavy(tier) {
                self.push_out(&key);
            }
            while self.is_over(tier)
                && let Some(oldest) = self.first_met(tier)
            {
                if !self.meet_oldest(tier) {
                    self.push_out(&oldest);
                }
            }
        }
    }

    fn push_out(&mut self, key: &K) {
        let Some(out) = self.evict_key(key) else { return };
        match out.to {
            Some(below) if self.is_too_heavy(below, out.weight) => self.push_out(key),
            Some(_) => {}
            None => {
                self.metrics.overflowed += 1;
                self.left.push((out.key, out.value, out.from, Cause::Overflowed));
            }
        }
    }

    fn is_over(&self, tier: Tier) -> bool {
        let Capacity { entries, bytes } = self.capacity(tier);
        entries.is_some_and(|most| self.len(tier) > most) || bytes.is_some_and(|most| self.bytes(tier) > most)
    }

    /// Whether a tier cannot hold a fragment of that weight, with no other beside it.
    fn is_too_heavy(&self, tier: Tier, weight: u64) -> bool {
        self.capacity(tier).bytes.is_some_and(|most| weight > most)
    }

    fn oldest_too_heavy(&self, tier: Tier) -> Option<K> {
        oldest(self.standing(tier).filter(|(_, entry)| !entry.kept && self.is_too_heavy(tier, entry.weight)))
    }

    fn capacity(&self, tier: Tier) -> Capacity {
        match tier {
            Tier::Hot => Capacity::UNBOUNDED,
            Tier::Warm => self.warm,
            Tier::Cold => self.cold,
        }
    }

    /// The bytes that are kept in hot.
    pub fn kept_hot(&self) -> u64 {
        self.standing(Tier::Hot).filter(|(_, entry)| entry.kept).map(|(_, entry)| entry.weight).sum()
    }

    /// Whether a fragment of that weight does not fit beside what is kept in hot.
    fn is_kept_out(&self, weight: u64) -> bool {
        self.kept_hot() + weight > self.budget
    }

    fn standing(&self, tier: Tier) -> impl Iterator<Item = (&K, &Entry<V>)> {
        self.fragments.iter().filter(move |(_, entry)| entry.tier == tier)
    }

    fn put(&mut self, key: &K, tier: Tier) {
        if let Some(entry) = self.fragments.get_mut(key) {
            entry.tier = tier;
        }
    }

    fn note_peak(&mut self) {
        self.metrics.peak_hot_bytes = self.metrics.peak_hot_bytes.max(self.hot_bytes());
    }
}

/// The least recently used of them.
fn oldest<'m, K: Clone + 'm, V: 'm>(among: impl Iterator<Item = (&'m K, &'m Entry<V>)>) -> Option<K> {
    among.min_by_key(|(_, entry)| entry.last_use).map(|(key, _)| key.clone())
}
