//! The operations as values, and what they answer: the same question to the model, to a store and to a pinned view.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};

use tierstack::{BudgetError, Evicted, Fragment, Item, Moved, PromoteError, StoreError, Stored, Tier, TierStore, View};

use super::Model;

/// A value that says what it weighs, in bytes. The store's weigher and the model both ask it.
pub trait Weigh {
    fn weight(&self) -> u64;
}

/// One call of the public interface.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operation<K, V> {
    Store(K, V),
    Get(K),
    Peek(K),
    Contains(K),
    TierOf(K),
    Promote(K),
    PromoteTo(K, Tier),
    Demote(K),
    DemoteTo(K, Tier),
    EvictLru(Tier),
    Remove(K),
    SetHotBudget(u64),
    EnforceHotBudget,
    HotBudget,
    HotBytes,
    Len(Tier),
    Bytes(Tier),
    IsEmpty,
    Iter(Tier),
}

/// What a call answered, in the store's own types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<K, V> {
    Stored(Result<Stored<V>, StoreError<K, V>>),
    /// Of `get`, `peek` and `remove`.
    Fragment(Option<Fragment<V>>),
    /// Of `contains` and `is_empty`.
    Is(bool),
    Tier(Option<Tier>),
    Promoted(Result<Moved, PromoteError>),
    Demoted(Option<Moved>),
    Evicted(Option<Evicted<K, V>>),
    BudgetSet(Result<usize, BudgetError>),
    Enforced(usize),
    /// Of `len`, `bytes`, `hot_bytes` and `hot_budget`.
    Number(u64),
    Items(Vec<Item<K, V>>),
}

impl<K: Ord + Clone, V: Clone + Weigh> Model<K, V> {
    /// What the specification answers.
    pub fn apply(&mut self, operation: &Operation<K, V>) -> Outcome<K, V> {
        match operation {
            Operation::Store(key, value) => Outcome::Stored(self.store(key.clone(), value.clone(), value.weight())),
            Operation::Get(key) => Outcome::Fragment(self.get(key)),
            Operation::Peek(key) => Outcome::Fragment(self.peek(key)),
            Operation::Contains(key) => Outcome::Is(self.contains(key)),
            Operation::TierOf(key) => Outcome::Tier(self.tier_of(key)),
            Operation::Promote(key) => Outcome::Promoted(self.promote(key)),
            Operation::PromoteTo(key, tier) => Outcome::Promoted(self.promote_to(key, *tier)),
            Operation::Demote(key) => Outcome::Demoted(self.demote(key)),
            Operation::DemoteTo(key, tier) => Outcome::Demoted(self.demote_to(key, *tier)),
            Operation::EvictLru(tier) => Outcome::Evicted(self.evict_lru(*tier)),
            Operation::Remove(key) => Outcome::Fragment(self.remove(key)),
            Operation::SetHotBudget(budget) => Outcome::BudgetSet(self.set_hot_budget(*budget)),
            Operation::EnforceHotBudget => Outcome::Enforced(self.enforce_hot_budget()),
            Operation::HotBudget => Outcome::Number(self.hot_budget()),
            Operation::HotBytes => Outcome::Number(self.hot_bytes()),
            Operation::Len(tier) => Outcome::Number(self.len(*tier)),
            Operation::Bytes(tier) => Outcome::Number(self.bytes(*tier)),
            Operation::IsEmpty => Outcome::Is(self.is_empty()),
            Operation::Iter(tier) => Outcome::Items(self.iter(*tier)),
        }
    }
}

impl<K, V> Operation<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// What a store answers, asked by its owned operations, with keys borrowed as `Q`.
    pub fn ask<Q, S>(&self, store: &TierStore<K, V, S>) -> Outcome<K, V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        S: BuildHasher,
    {
        match self {
            Self::Store(key, value) => Outcome::Stored(store.store(key.clone(), value.clone())),
            Self::Get(key) => Outcome::Fragment(store.get::<Q>(key.borrow())),
            Self::Peek(key) => Outcome::Fragment(store.peek::<Q>(key.borrow())),
            Self::Contains(key) => Outcome::Is(store.contains::<Q>(key.borrow())),
            Self::TierOf(key) => Outcome::Tier(store.tier_of::<Q>(key.borrow())),
            Self::Promote(key) => Outcome::Promoted(store.promote::<Q>(key.borrow())),
            Self::PromoteTo(key, tier) => Outcome::Promoted(store.promote_to::<Q>(key.borrow(), *tier)),
            Self::Demote(key) => Outcome::Demoted(store.demote::<Q>(key.borrow())),
            Self::DemoteTo(key, tier) => Outcome::Demoted(store.demote_to::<Q>(key.borrow(), *tier)),
            Self::EvictLru(tier) => Outcome::Evicted(store.evict_lru(*tier)),
            Self::Remove(key) => Outcome::Fragment(store.remove::<Q>(key.borrow())),
            Self::SetHotBudget(budget) => Outcome::BudgetSet(store.set_hot_budget(*budget)),
            Self::EnforceHotBudget => Outcome::Enforced(store.enforce_hot_budget()),
            Self::HotBudget => Outcome::Number(store.hot_budget()),
            Self::HotBytes => Outcome::Number(store.hot_bytes()),
            Self::Len(tier) => Outcome::Number(store.len(*tier)),
            Self::Bytes(tier) => Outcome::Number(store.bytes(*tier)),
            Self::IsEmpty => Outcome::Is(store.is_empty()),
            Self::Iter(tier) => Outcome::Items(store.iter(*tier).collect()),
        }
    }

    /// What a store answers, asked through a pinned view of it; `None` where views do not offer the operation.
    pub fn ask_pinned<Q, S>(&self, view: &View<'_, K, V, S>) -> Option<Outcome<K, V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        S: BuildHasher,
    {
        Some(match self {
            Self::Store(key, value) => {
                Outcome::Stored(view.store(key.clone(), value.clone()).map(Stored::<&V>::cloned))
            }
            Self::Get(key) => Outcome::Fragment(view.get::<Q>(key.borrow()).map(Fragment::<&V>::cloned)),
            Self::Peek(key) => Outcome::Fragment(view.peek::<Q>(key.borrow()).map(Fragment::<&V>::cloned)),
            Self::Contains(key) => Outcome::Is(view.contains::<Q>(key.borrow())),
            Self::TierOf(key) => Outcome::Tier(view.tier_of::<Q>(key.borrow())),
            Self::Promote(key) => Outcome::Promoted(view.promote::<Q>(key.borrow())),
            Self::PromoteTo(key, tier) => Outcome::Promoted(view.promote_to::<Q>(key.borrow(), *tier)),
            Self::Demote(key) => Outcome::Demoted(view.demote::<Q>(key.borrow())),
            Self::DemoteTo(key, tier) => Outcome::Demoted(view.demote_to::<Q>(key.borrow(), *tier)),
            Self::EvictLru(tier) => Outcome::Evicted(view.evict_lru(*tier).map(Evicted::<&K, &V>::cloned)),
            Self::Remove(key) => Outcome::Fragment(view.remove::<Q>(key.borrow()).map(Fragment::<&V>::cloned)),
            Self::Iter(tier) => {
                let own =
                    |item: Item<&K, &V>| Item { key: item.key.clone(), value: item.value.clone(), weight: item.weight };
                Outcome::Items(view.iter(*tier).map(own).collect())
            }
            Self::SetHotBudget(_)
            | Self::EnforceHotBudget
            | Self::HotBudget
            | Self::HotBytes
            | Self::Len(_)
            | Self::Bytes(_)
            | Self::IsEmpty => return None,
        })
    }
}
