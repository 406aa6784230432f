//! A store with recency slack, beside the specification.

use tierstack::{Capacity, DefaultHasher, Enforced, GetOrStored, Item, Kept, MAX_BYTES, Tier, TierStore};

use crate::common::audit;
use crate::model::versions::Chosen;
use crate::model::{Model, Operation, Outcome};
use crate::{KEYS, Numbered, Setup, Value, build};

/// A store with recency slack. Its victims may be others than the model's, so the model is told which they were, after
/// they were checked to be admissible.
pub struct Blurred {
    store: TierStore<u8, Value>,
    model: Model<u8, Value>,
    chosen: Chosen,
    slack: u64,
    /// The time of each key's last use, counted in operations.
    used: [usize; KEYS as usize],
    /// The uses that took a tick whatever the slack: stores and promotions.
    ticks: Vec<usize>,
}

impl Blurred {
    pub fn new(budget: u64, slack: u64) -> Self {
        let unbounded = Capacity::UNBOUNDED;
        let setup = Setup {
            budget,
            warm: unbounded,
            cold: unbounded,
            expected: KEYS.into(),
            lifetimes: [None; 3],
            is_aged: false,
        };
        let (store, ..) = build(&setup, slack, DefaultHasher::default());
        let (model, chosen) = (Model::new(budget, unbounded, unbounded), Chosen::default());
        Self { store, model, chosen, slack, used: [0; 8], ticks: Vec::new() }
    }

    pub fn run(&mut self, operations: &[Operation<u8, Value>]) {
        // Which of cold leave is not known of a blurred order.
        let is_known = |operation: &&_| !matches!(operation, Operation::StartLeaving(_) | Operation::Leave(_));
        for (now, operation) in (1..).zip(operations.iter().filter(is_known)) {
            let prepared = self.prepare(operation);
            let answer = operation.ask(&self.store);
            let version = self.chosen.by(&answer);
            let expected = prepared.unwrap_or_else(|| self.model.apply(operation, version));
            assert_eq!(answer, expected, "{operation:?}");
            if let (Some((key, _)), Some(_)) = (operation.stores(), answer.chosen()) {
                self.used[usize::from(*key)] = now;
                self.ticks.push(now);
            }
            match (operation, &expected) {
                (Operation::Promote(key) | Operation::PromoteTo(key, _), Outcome::Promoted(Ok(_)))
                | (Operation::Keep(key), Outcome::Kept(Ok(Kept { was_kept: false, .. })))
                | (Operation::LetGo(key), Outcome::Kept(Ok(Kept { was_kept: true, .. }))) => {
                    self.used[usize::from(*key)] = now;
                    self.ticks.push(now);
                }
                (Operation::Get(key), _)
                | (Operation::GetOrStoreWith(key, _), Outcome::GotOrStored(Ok(GetOrStored::Found(_)))) => {
                    self.used[usize::from(*key)] = now;
                }
                _ => {}
            }
            self.sweep();
        }
    }

    /// Has the model evict what the order of the store says is to be evicted; what it is to answer, where that is known then.
    fn prepare(&mut self, operation: &Operation<u8, Value>) -> Option<Outcome<u8, Value>> {
        let budget = self.model.hot_budget();
        let may_store = |key| match operation {
            Operation::StoreIfAbsent(..) | Operation::GetOrStoreWith(..) => !self.model.contains(key),
            Operation::Update(..) => self.model.contains(key),
            _ => true,
        };
        let shown = |tier| self.listed(tier).into_iter().map(move |item| (tier, item));
        match operation {
            Operation::EvictLru(tier) => {
                let last = self.store.iter(*tier).rfind(|item| !item.kept);
                return Some(Outcome::Evicted(last.and_then(|item| self.model.evict_key(&item.key))));
            }
            Operation::Iter(tier) => return Some(Outcome::Items(self.listed(*tier))),
            Operation::Snapshot => return Some(Outcome::Shown(Tier::ALL.into_iter().flat_map(shown).collect())),
            Operation::SnapshotOf(tier) => return Some(Outcome::Shown(shown(*tier).collect())),
            Operation::SetHotBudget(budget) if *budget <= MAX_BYTES => {
                let demoted = self.make_room(0, None, *budget);
                assert_eq!(
                    self.model.set_hot_budget(*budget).map(|enforced| enforced.demoted),
                    Ok(0),
                    "the room was made already"
                );
                let kept_over = self.kept_hot().saturating_sub(*budget);
                return Some(Outcome::BudgetSet(Ok(Enforced { demoted, kept_over })));
            }
            Operation::Promote(key) if self.model.tier_of(key) == Some(Tier::Warm) => self.promotion(*key),
            Operation::PromoteTo(key, Tier::Hot) => self.promotion(*key),
            _ => {
                if let Some((key, value)) = operation.stores().filter(|(key, _)| may_store(key))
                    && value.weight <= budget
                {
                    self.make_room(value.weight, Some(*key), budget);
                }
            }
        }
        None
    }

    /// What stands in a tier, in the order of the store.
    fn listed(&self, tier: Tier) -> Vec<Item<u8, Value>> {
        let mut items = self.model.iter(tier);
        items.sort_by_key(|item| self.store.iter(tier).position(|listed| listed.key == item.key));
        items
    }

    fn kept_hot(&self) -> u64 {
        self.model.metrics().hot.kept_bytes
    }

    /// Evicts from hot what is last in the store's order, except what is kept and `spared`, whose own bytes count as free. Nothing, where it
    /// does not fit beside what is kept.
    fn make_room(&mut self, weight: u64, spared: Option<u8>, budget: u64) -> usize {
        let own = spared.and_then(|key| self.model.peek(&key)).filter(|own| own.tier == Tier::Hot);
        let own_kept = own.as_ref().filter(|own| own.kept).map_or(0, |own| own.weight);
        let own = own.map_or(0, |own| own.weight);
        if weight > 0 && self.kept_hot() - own_kept + weight > budget {
            return 0;
        }
        let mut evicted = 0;
        for item in self.store.iter(Tier::Hot).rev().filter(|item| !item.kept && Some(item.key) != spared) {
            if self.model.hot_bytes() - own + weight > budget {
                self.model.evict_key(&item.key);
                evicted += 1;
            }
        }
        evicted
    }

    fn promotion(&mut self, key: u8) {
        let (fragment, budget) = (self.model.peek(&key), self.model.hot_budget());
        if let Some(own) = fragment.filter(|own| own.tier != Tier::Hot && own.weight <= budget) {
            self.make_room(own.weight, None, budget);
        }
    }

    /// The contents are the model's, and two fragments stand against the order of their last uses only where the slack
    /// allows it.
    fn sweep(&self) {
        let found = audit(&self.store, u8::all());
        for key in u8::all() {
            assert_eq!(found.get(&key), self.model.peek(&key).as_ref());
        }
        for tier in Tier::ALL {
            let order: Vec<_> = self.store.iter(tier).map(|item| self.used[usize::from(item.key)]).collect();
            for (place, newer) in order.iter().enumerate() {
                for older in order[place + 1..].iter().filter(|older| *older > newer) {
                    let between = self.ticks.iter().filter(|tick| *tick > newer && *tick <= older).count() as u64;
                    assert!(between < self.slack, "{tier}: {between} ticks apart, with a slack of {}", self.slack);
                }
            }
        }
    }
}
