//! The operations as values, and what they answer: the same question to the model, to a store and to a pinned view.

use std::borrow::Borrow;
use std::fmt::Debug;
use std::hash::{BuildHasher, Hash};

use tierstack::{
    BudgetError, Capacity, Enforced, Evicted, Fragment, GetOrStored, Item, KeepError, Kept, Leaving, Moved,
    PromoteError, ReplaceIfRefusal, StoreError, StoreIfAbsentRefusal, StoreSnapshot, Stored, Tier, TierStore,
    UpdateRefusal, Version, View,
};

use super::Model;
use super::ages::instant;

/// A value that says what it weighs, in bytes. The store's weigher and the model both ask it.
pub trait Weigh {
    fn weight(&self) -> u64;
}

/// One call of the public interface.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operation<K, V> {
    Store(K, V),
    /// Until that time.
    StoreUntil(K, V, u64),
    StoreIfAbsent(K, V),
    GetOrStoreWith(K, V),
    ReplaceIf(K, Version, V),
    /// To that value.
    Update(K, V),
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
    Keep(K),
    LetGo(K),
    SetHotBudget(u64),
    EnforceHotBudget,
    HotBudget,
    HotBytes,
    Len(Tier),
    Bytes(Tier),
    IsEmpty,
    Iter(Tier),
    Snapshot,
    SnapshotOf(Tier),
    PurgeExpired,
    /// So many of cold start to leave.
    StartLeaving(usize),
    /// The same, and finish.
    Leave(usize),
}

/// What a call answered, in the store's own types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<K, V> {
    Stored(Result<Stored<V>, StoreError<K, V>>),
    StoredIfAbsent(Result<Stored<V>, StoreError<K, V, StoreIfAbsentRefusal>>),
    GotOrStored(Result<GetOrStored<V>, StoreError<K, V>>),
    ReplacedIf(Result<Stored<V>, StoreError<K, V, ReplaceIfRefusal>>),
    Updated(Result<Stored<V>, StoreError<K, Option<V>, UpdateRefusal>>),
    /// Of `get`, `peek` and `remove`.
    Fragment(Option<Fragment<V>>),
    /// Of `contains` and `is_empty`.
    Is(bool),
    Tier(Option<Tier>),
    Promoted(Result<Moved, PromoteError>),
    Demoted(Option<Moved>),
    Evicted(Option<Evicted<K, V>>),
    Kept(Result<Kept, KeepError>),
    BudgetSet(Result<Enforced, BudgetError>),
    Enforced(Enforced),
    /// Of `len`, `bytes`, `hot_bytes`, `hot_budget` and `purge_expired`.
    Number(u64),
    Items(Vec<Item<K, V>>),
    /// Of a snapshot: each tier from the most to the least recently used.
    Shown(Vec<(Tier, Item<K, V>)>),
    /// Key, value and weight, the least recently used first.
    Leaving(Vec<(K, V, u64)>),
}

impl<K: Ord + Clone, V: Clone + Weigh> Model<K, V> {
    /// What the specification answers, where what is stored gets that version.
    pub fn apply(&mut self, operation: &Operation<K, V>, version: Version) -> Outcome<K, V> {
        self.meet_what_is_looked_at(operation);
        let outcome = self.answer(operation, version);
        // What was leaving, and so was not pushed out, may have been used since.
        if operation.moves() {
            self.enforce_capacities();
        }
        outcome
    }

    fn answer(&mut self, operation: &Operation<K, V>, version: Version) -> Outcome<K, V> {
        let own = |key: &K, value: &V| (key.clone(), value.clone(), value.weight());
        match operation {
            Operation::Store(key, value) => {
                let (key, value, weight) = own(key, value);
                Outcome::Stored(self.store(key, value, weight, version))
            }
            Operation::StoreUntil(key, value, deadline) => {
                let (key, value, weight) = own(key, value);
                Outcome::Stored(self.store_until(key, value, weight, version, *deadline))
            }
            Operation::StoreIfAbsent(key, value) => {
                let (key, value, weight) = own(key, value);
                Outcome::StoredIfAbsent(self.store_if_absent(key, value, weight, version))
            }
            Operation::GetOrStoreWith(key, value) => {
                let (key, value, weight) = own(key, value);
                Outcome::GotOrStored(self.get_or_store_with(key, value, weight, version))
            }
            Operation::ReplaceIf(key, old, value) => {
                let (key, value, weight) = own(key, value);
                Outcome::ReplacedIf(self.replace_if(key, *old, value, weight, version))
            }
            Operation::Update(key, value) => {
                let (key, value, weight) = own(key, value);
                Outcome::Updated(self.update(key, value, weight, version))
            }
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
            Operation::Keep(key) => Outcome::Kept(self.keep(key, true)),
            Operation::LetGo(key) => Outcome::Kept(self.keep(key, false)),
            Operation::SetHotBudget(budget) => Outcome::BudgetSet(self.set_hot_budget(*budget)),
            Operation::EnforceHotBudget => Outcome::Enforced(self.enforce_hot_budget()),
            Operation::HotBudget => Outcome::Number(self.hot_budget()),
            Operation::HotBytes => Outcome::Number(self.hot_bytes()),
            Operation::Len(tier) => Outcome::Number(self.len(*tier)),
            Operation::Bytes(tier) => Outcome::Number(self.bytes(*tier)),
            Operation::IsEmpty => Outcome::Is(self.is_empty()),
            Operation::Iter(tier) => Outcome::Items(self.iter(*tier)),
            Operation::Snapshot => Outcome::Shown(self.snapshot()),
            Operation::SnapshotOf(tier) => Outcome::Shown(self.snapshot_of(*tier)),
            Operation::PurgeExpired => Outcome::Number(self.purge_expired() as u64),
            Operation::StartLeaving(most) => Outcome::Leaving(self.start_leaving(*most)),
            Operation::Leave(most) => Outcome::Leaving(self.leave(*most)),
        }
    }

    /// Ends what is due and met by operations that else only look.
    fn meet_what_is_looked_at(&mut self, operation: &Operation<K, V>) {
        match operation {
            Operation::Peek(key) | Operation::Contains(key) | Operation::TierOf(key) => self.meet(key),
            Operation::Iter(tier) | Operation::SnapshotOf(tier) => _ = self.meet_tier(*tier),
            Operation::Snapshot => _ = self.purge_expired(),
            _ => {}
        }
    }
}

impl<K, V> Operation<K, V> {
    /// Whether it may move a fragment, and sees to the capacities whatever it finds.
    const fn moves(&self) -> bool {
        matches!(
            self,
            Self::Promote(_)
                | Self::PromoteTo(..)
                | Self::Demote(_)
                | Self::DemoteTo(..)
                | Self::EvictLru(_)
                | Self::Remove(_)
                | Self::Keep(_)
                | Self::LetGo(_)
                | Self::EnforceHotBudget
        )
    }

    /// What it stores, or would: under which key, and what.
    pub fn stores(&self) -> Option<(&K, &V)> {
        match self {
            Self::Store(key, value)
            | Self::StoreUntil(key, value, _)
            | Self::StoreIfAbsent(key, value)
            | Self::GetOrStoreWith(key, value)
            | Self::ReplaceIf(key, _, value)
            | Self::Update(key, value) => Some((key, value)),
            _ => None,
        }
    }
}

impl<K, V> Outcome<K, V> {
    /// The version of what the call has stored, if it has.
    pub fn chosen(&self) -> Option<Version> {
        match self {
            Self::Stored(Ok(stored))
            | Self::StoredIfAbsent(Ok(stored))
            | Self::ReplacedIf(Ok(stored))
            | Self::Updated(Ok(stored)) => Some(stored.version),
            Self::GotOrStored(Ok(GetOrStored::Stored { fragment, .. })) => Some(fragment.version),
            _ => None,
        }
    }
}

impl<K, V> Outcome<K, V>
where
    K: Hash + Eq + Clone,
    V: Clone + PartialEq + Debug,
{
    fn leaving(leaving: Vec<Leaving<K, V>>) -> Self {
        Self::Leaving(leaving.into_iter().map(|leaving| (leaving.key, leaving.value, leaving.weight)).collect())
    }

    /// What a snapshot shows; whichever way it is asked, it says the same.
    fn shown<S: BuildHasher>(snapshot: &StoreSnapshot<K, V, S>) -> Self {
        let shown: Vec<_> = snapshot.iter().map(|(tier, item)| (tier, item.clone())).collect();
        assert_eq!((snapshot.len(), snapshot.is_empty()), (shown.len(), shown.is_empty()));
        for tier in Tier::ALL {
            let items = snapshot.tier(tier);
            assert!(items.iter().eq(shown.iter().filter(|(shown, _)| *shown == tier).map(|(_, item)| item)));
            assert_eq!(snapshot.bytes(tier), items.iter().map(|item| item.weight).sum::<u64>());
        }
        for (tier, Item { key, value, weight, version, .. }) in snapshot {
            let found = snapshot.get(key).expect("it is shown");
            assert_eq!((found.value, found.tier, found.weight, found.version), (value, tier, *weight, *version));
        }
        Self::Shown(shown)
    }

    /// The same, in an order that is not that of recency.
    pub fn by_key(mut self) -> Self
    where
        K: Ord,
    {
        if let Self::Shown(shown) = &mut self {
            shown.sort_by(|(_, one), (_, other)| one.key.cmp(&other.key));
        }
        self
    }
}

impl<K, V> Operation<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + PartialEq + Debug + Send + Sync + 'static,
{
    /// What a store answers, asked by its owned operations, with keys borrowed as `Q`.
    pub fn ask<Q, S>(&self, store: &TierStore<K, V, S>) -> Outcome<K, V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        S: BuildHasher + Clone,
    {
        match self {
            Self::Store(key, value) => Outcome::Stored(store.store(key.clone(), value.clone())),
            Self::StoreUntil(key, value, deadline) => {
                Outcome::Stored(store.store_until(key.clone(), value.clone(), instant(*deadline)))
            }
            Self::StoreIfAbsent(key, value) => {
                Outcome::StoredIfAbsent(store.store_if_absent(key.clone(), value.clone()))
            }
            Self::GetOrStoreWith(key, value) => {
                Outcome::GotOrStored(store.get_or_store_with(key.clone(), || value.clone()))
            }
            Self::ReplaceIf(key, old, value) => Outcome::ReplacedIf(store.replace_if(key.clone(), old, value.clone())),
            Self::Update(key, value) => {
                let mut given = None;
                let updated = store.update(key.clone(), |old| {
                    given = Some(old.clone());
                    value.clone()
                });
                let is_it = updated.as_ref().map_or(true, |updated| updated.replaced == given);
                assert!(is_it, "{updated:?} replaced another than {given:?}, of which the new one was made");
                Outcome::Updated(updated)
            }
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
            Self::Keep(key) => Outcome::Kept(store.keep::<Q>(key.borrow())),
            Self::LetGo(key) => Outcome::Kept(store.let_go::<Q>(key.borrow())),
            Self::SetHotBudget(budget) => Outcome::BudgetSet(store.set_hot_budget(*budget)),
            Self::EnforceHotBudget => Outcome::Enforced(store.enforce_hot_budget()),
            Self::HotBudget => Outcome::Number(store.hot_budget()),
            Self::HotBytes => Outcome::Number(store.hot_bytes()),
            Self::Len(tier) => Outcome::Number(store.len(*tier)),
            Self::Bytes(tier) => Outcome::Number(store.bytes(*tier)),
            Self::IsEmpty => Outcome::Is(store.is_empty()),
            Self::Iter(tier) => Outcome::Items(store.iter(*tier).collect()),
            Self::Snapshot => Outcome::shown(&store.snapshot()),
            Self::SnapshotOf(tier) => Outcome::shown(&store.snapshot_of(*tier)),
            Self::PurgeExpired => Outcome::Number(store.purge_expired() as u64),
            Self::StartLeaving(most) => Outcome::leaving(store.start_leaving(Capacity::entries(*most as u64))),
            Self::Leave(most) => {
                let leaving = store.start_leaving(Capacity::entries(*most as u64));
                assert!(leaving.iter().all(|leaving| store.finish_leaving(leaving)), "nobody else does anything");
                assert!(!leaving.iter().any(|leaving| store.finish_leaving(leaving)), "they have left");
                Outcome::leaving(leaving)
            }
        }
    }

    /// What a store answers, asked through a pinned view of it; `None` where views do not offer the operation.
    pub fn ask_pinned<Q, S>(&self, view: &View<'_, K, V, S>) -> Option<Outcome<K, V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        S: BuildHasher + Clone,
    {
        Some(match self {
            Self::Store(key, value) => {
                Outcome::Stored(view.store(key.clone(), value.clone()).map(Stored::<&V>::cloned))
            }
            Self::StoreUntil(key, value, deadline) => {
                let stored = view.store_until(key.clone(), value.clone(), instant(*deadline));
                Outcome::Stored(stored.map(Stored::<&V>::cloned))
            }
            Self::StoreIfAbsent(key, value) => {
                Outcome::StoredIfAbsent(view.store_if_absent(key.clone(), value.clone()).map(Stored::<&V>::cloned))
            }
            Self::GetOrStoreWith(key, value) => Outcome::GotOrStored(
                view.get_or_store_with(key.clone(), || value.clone()).map(GetOrStored::<&V>::cloned),
            ),
            Self::ReplaceIf(key, old, value) => {
                Outcome::ReplacedIf(view.replace_if(key.clone(), old, value.clone()).map(Stored::<&V>::cloned))
            }
            Self::Update(key, value) => {
                let mut given = None;
                let updated = view.update(key.clone(), |old| {
                    given = Some(old.clone());
                    value.clone()
                });
                let updated = updated.map(Stored::<&V>::cloned);
                let is_it = updated.as_ref().map_or(true, |updated| updated.replaced == given);
                assert!(is_it, "{updated:?} replaced another than {given:?}, of which the new one was made");
                Outcome::Updated(updated)
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
            Self::Keep(key) => Outcome::Kept(view.keep::<Q>(key.borrow())),
            Self::LetGo(key) => Outcome::Kept(view.let_go::<Q>(key.borrow())),
            Self::Iter(tier) => Outcome::Items(view.iter(*tier).map(Item::<&K, &V>::cloned).collect()),
            Self::Snapshot => Outcome::shown(&view.snapshot().cloned()),
            Self::SnapshotOf(tier) => Outcome::shown(&view.snapshot_of(*tier).cloned()),
            Self::PurgeExpired => Outcome::Number(view.purge_expired() as u64),
            Self::SetHotBudget(_)
            | Self::EnforceHotBudget
            | Self::HotBudget
            | Self::HotBytes
            | Self::Len(_)
            | Self::Bytes(_)
            | Self::IsEmpty
            | Self::StartLeaving(_)
            | Self::Leave(_) => return None,
        })
    }
}
