//! A store, and the books that its callers keep: each value that was stored is there, or left once; nothing present is missed;
//! and the hot budget is never passed.

use std::array;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tierstack::internals::validate;
use tierstack::{
    Capacity, Departure, Evicted, Fragment, GetOrStored, KeepError, PromoteError, StoreIfAbsentRefusal, Stored, Tier,
    TierStore, UpdateRefusal,
};

use crate::common::ledger::{Ledger, Tally};
use crate::common::{FewHashes, audit};
use crate::model::{Operation, Outcome};

pub const KEYS: u8 = 8;

/// A value, with the number of its account, and the key that it is stored under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// On the heap, for a sanitizer to see a value that is read after it was freed.
    pub account: Box<usize>,
    pub key: u8,
    pub weight: u64,
}

pub type Store = TierStore<u8, Value, FewHashes>;

pub struct Setup {
    pub budget: u64,
    pub warm: Capacity,
    pub cold: Capacity,
    pub slack: u64,
    pub hashes: FewHashes,
    /// How many values there may be.
    pub accounts: usize,
    /// Nothing is removed, and nothing leaves cold: a key that was ever there stays.
    pub keeps: bool,
    pub threads: usize,
}

/// A bound of hot.
#[derive(Clone, Copy, Default)]
struct Bound {
    /// Of the weights of hot fragments: the largest budget that was in force during a call that still runs.
    weights: u64,
    /// Of the bytes that are counted: a call that demotes for a lowered budget has them counted as hot for a while after, so that it is the
    /// largest bound of the weights during a call that still runs.
    counted: u64,
}

pub struct Kept {
    pub store: Store,
    books: Arc<(Ledger, Tally)>,
    keeps: bool,
    seen: [AtomicBool; KEYS as usize],
    /// By account: somebody was told that the value is there.
    observed: Vec<AtomicBool>,
    /// Of each thread: what bounds hot during its present call.
    bounds: Mutex<Vec<Option<Bound>>>,
    /// The largest budget that was seen in force after anything was to be kept, or when it was: what is kept stays over a budget that is
    /// lowered.
    within: AtomicU64,
}

impl Kept {
    pub fn new(setup: &Setup) -> Self {
        let books = Arc::new((Ledger::new(setup.accounts), Tally::default()));
        let listener_books = Arc::clone(&books);
        let store = TierStore::<u8, Value>::builder(setup.budget)
            .weigher(|_, value| value.weight)
            .warm_capacity(setup.warm)
            .cold_capacity(setup.cold)
            .listener_causes([tierstack::Cause::Overflowed])
            .listener(move |gone: &Departure<'_, _, Value>| {
                assert_eq!(*gone.key, gone.value.key);
                listener_books.0.leave(*gone.value.account);
                Tally::add(&listener_books.1.overflowed);
            })
            .recency_slack(setup.slack)
            .hasher(setup.hashes)
            .build()
            .expect("the budget is within the limit");
        let bounds = Mutex::new(vec![None; setup.threads]);
        let seen = array::from_fn(|_| AtomicBool::new(false));
        let observed = (0..setup.accounts).map(|_| AtomicBool::new(false)).collect();
        Self { store, books, keeps: setup.keeps, seen, observed, bounds, within: AtomicU64::new(0) }
    }

    /// Makes a call of thread `me` by `ask`.
    pub fn call(
        &self,
        me: usize,
        operation: &Operation<u8, Value>,
        ask: impl FnOnce(&Operation<u8, Value>) -> Outcome<u8, Value>,
    ) {
        let must_be_there = match operation {
            Operation::Get(key)
            | Operation::Peek(key)
            | Operation::PromoteTo(key, _)
            | Operation::DemoteTo(key, _)
            | Operation::Keep(key)
            | Operation::LetGo(key)
            | Operation::Store(key, _)
            | Operation::StoreIfAbsent(key, _)
            | Operation::Update(key, _) => self.keeps && self.seen[usize::from(*key)].load(Ordering::Relaxed),
            _ => false,
        };
        if let Some((_, value)) = operation.stores() {
            self.books.0.enter(*value.account);
        }
        self.bounds.lock().unwrap()[me] = Some(Bound::default());
        if matches!(operation, Operation::Keep(_)) {
            self.within.fetch_max(self.bound().counted.max(1), Ordering::Relaxed);
        }
        self.watch();
        let outcome = ask(operation);
        self.watch();
        self.bounds.lock().unwrap()[me] = None;
        self.watch();
        let is_there = self.note(operation, outcome);
        assert!(is_there || !must_be_there, "{operation:?}: a present key was missed");
    }

    /// What an answer means to the books; whether the key was found, where that is known.
    fn note(&self, operation: &Operation<u8, Value>, outcome: Outcome<u8, Value>) -> bool {
        let (ledger, tally) = &*self.books;
        match (operation, outcome) {
            (Operation::Store(key, value), Outcome::Stored(stored)) => {
                return self.stored(*key, value, stored.expect("a light value"));
            }
            (Operation::StoreIfAbsent(key, value), Outcome::StoredIfAbsent(Ok(stored)))
            | (Operation::ReplaceIf(key, _, value), Outcome::ReplacedIf(Ok(stored)))
            | (Operation::Update(key, value), Outcome::Updated(Ok(stored))) => return self.stored(*key, value, stored),
            (Operation::StoreIfAbsent(_, value), Outcome::StoredIfAbsent(Err(refused))) => {
                assert!(matches!(refused.reason, StoreIfAbsentRefusal::Present { .. }));
                ledger.leave(*value.account);
            }
            (Operation::ReplaceIf(_, _, value), Outcome::ReplacedIf(Err(_))) => ledger.leave(*value.account),
            (Operation::Update(_, value), Outcome::Updated(Err(refused))) => {
                assert_eq!(refused.reason, UpdateRefusal::NotFound);
                ledger.leave(*value.account);
                return false;
            }
            (Operation::GetOrStoreWith(key, value), Outcome::GotOrStored(got)) => match got.expect("a light value") {
                GetOrStored::Found(found) => {
                    Tally::add(&tally.hits);
                    ledger.leave(*value.account);
                    return self.is_of(*key, Some(&found));
                }
                GetOrStored::Stored { fragment, contended, kept_out } => {
                    Tally::add(&tally.misses);
                    let Fragment { tier, version, kept, .. } = fragment;
                    self.stored(*key, value, Stored { tier, version, replaced: None, contended, kept_out, kept });
                }
            },
            (Operation::Get(key), Outcome::Fragment(found)) => {
                Tally::add(if found.is_some() { &tally.hits } else { &tally.misses });
                return self.is_of(*key, found.as_ref());
            }
            (Operation::Peek(key), Outcome::Fragment(found)) => return self.is_of(*key, found.as_ref()),
            (Operation::Remove(key), Outcome::Fragment(removed)) => {
                if self.is_of(*key, removed.as_ref()) {
                    ledger.leave(*removed.expect("it was").value.account);
                    Tally::add(&tally.removals);
                }
            }
            (Operation::PromoteTo(_, tier), Outcome::Promoted(promoted)) => match promoted {
                Ok(moved) => {
                    assert_eq!(moved.to, moved.from.min(*tier));
                    if moved.from != moved.to {
                        Tally::add(&tally.promotions);
                    }
                }
                Err(PromoteError::NotFound) => return false,
                Err(PromoteError::Contended { .. }) => Tally::add(&tally.contended),
                Err(PromoteError::KeptOut { .. }) => {}
                Err(PromoteError::OverBudget { weight, budget }) => assert!(weight > budget),
                Err(error) => panic!("the clock goes on: {error}"),
            },
            (Operation::DemoteTo(_, tier), Outcome::Demoted(demoted)) => {
                let Some(moved) = demoted else { return false };
                assert_eq!(moved.to, moved.from.max(*tier));
                if moved.from != moved.to {
                    Tally::add(&tally.demotions);
                }
            }
            (Operation::Keep(_) | Operation::LetGo(_), Outcome::Kept(kept)) => match kept {
                Ok(_) => {}
                Err(KeepError::NotFound) => return false,
                Err(error) => panic!("the clock goes on: {error}"),
            },
            (Operation::EvictLru(tier), Outcome::Evicted(evicted)) => self.evicted(*tier, evicted.as_ref()),
            (Operation::Iter(_), Outcome::Items(items)) => {
                let mut keys: Vec<_> = items.iter().map(|item| item.key).collect();
                keys.sort_unstable();
                assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "a key was met twice: {keys:?}");
            }
            (Operation::Snapshot | Operation::SnapshotOf(_), Outcome::Shown(shown)) => {
                let mut keys: Vec<_> = shown.iter().map(|(_, item)| item.key).collect();
                keys.sort_unstable();
                assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "a key is shown twice: {keys:?}");
                for (tier, item) in shown {
                    let (kept, weight, version) = (item.kept, item.weight, item.version);
                    self.is_of(item.key, Some(&Fragment { value: item.value, tier, kept, weight, version }));
                }
            }
            (Operation::SetHotBudget(_), Outcome::BudgetSet(Ok(_)))
            | (Operation::EnforceHotBudget, Outcome::Enforced(_)) => {}
            (operation, outcome) => panic!("{operation:?}: {outcome:?}"),
        }
        true
    }

    /// Whether there was something to replace.
    fn stored(&self, key: u8, value: &Value, stored: Stored<Value>) -> bool {
        let (ledger, tally) = &*self.books;
        Tally::add(&tally.stores);
        if stored.contended {
            Tally::add(&tally.contended);
            assert_eq!(stored.tier, Tier::Warm);
        }
        assert!(!stored.kept_out || (stored.tier, stored.contended) == (Tier::Warm, false));
        assert!(value.weight > 0 || stored.tier == Tier::Hot || stored.kept_out, "nothing fits, but over the budget");
        self.see(value);
        let Some(replaced) = stored.replaced else { return false };
        assert_eq!(replaced.key, key);
        ledger.leave(*replaced.account);
        Tally::add(&tally.replacements);
        true
    }

    fn see(&self, value: &Value) {
        self.seen[usize::from(value.key)].store(true, Ordering::Relaxed);
        self.observed[*value.account].store(true, Ordering::Relaxed);
    }

    fn is_of(&self, key: u8, found: Option<&Fragment<Value>>) -> bool {
        if let Some(found) = found {
            assert_eq!((found.value.key, found.value.weight), (key, found.weight));
            self.see(&found.value);
        }
        found.is_some()
    }

    fn evicted(&self, tier: Tier, evicted: Option<&Evicted<u8, Value>>) {
        let Some(Evicted { key, value, weight, from, to }) = evicted else { return };
        assert_eq!((*from, *to), (tier, tier.below()));
        assert_eq!((value.key, value.weight), (*key, *weight));
        if to.is_none() {
            self.books.0.leave(*value.account);
        }
    }

    /// At an instant: no more is counted as hot than the budget, or than what bounds it during a call that still runs.
    pub fn watch(&self) {
        let bound = self.bound().counted;
        let bytes = self.store.hot_bytes();
        assert!(bytes <= bound, "{bytes} bytes are hot, of {bound}");
    }

    fn bound(&self) -> Bound {
        let budget = self.store.hot_budget();
        let mut running = self.bounds.lock().unwrap();
        if self.within.load(Ordering::Relaxed) > 0 {
            self.within.fetch_max(budget, Ordering::Relaxed);
        }
        let floor = budget.max(self.within.load(Ordering::Relaxed));
        let mut bound = Bound { weights: floor, counted: floor };
        for call in running.iter_mut().flatten() {
            call.weights = call.weights.max(budget);
            bound.weights = bound.weights.max(call.weights);
        }
        for call in running.iter_mut().flatten() {
            call.counted = call.counted.max(bound.weights);
            bound.counted = bound.counted.max(call.counted);
        }
        bound
    }

    /// At an instant, wherever the other threads are: each key is in one tier, and is there alone; and hot is within its bound. A snapshot shows the same, also
    /// where it joins one of a thread that has stopped: the look-ups were told to that.
    pub fn look(&self) {
        let found: Vec<_> = (0..KEYS).filter_map(|key| Some((key, self.store.peek(&key)?))).collect();
        let snapshot = self.store.snapshot();
        for (key, fragment) in &found {
            assert_eq!(
                snapshot.get(key).map(Fragment::<&Value>::cloned).as_ref(),
                Some(fragment),
                "{key} in a snapshot"
            );
        }
        assert_eq!(snapshot.len(), found.len());
        for tier in Tier::ALL {
            let mut items: Vec<_> = self.store.iter(tier).map(|item| (item.key, item.value)).collect();
            items.sort_unstable_by_key(|(key, _)| *key);
            let expected = found.iter().filter(|(_, fragment)| fragment.tier == tier);
            let expected: Vec<_> = expected.map(|(key, fragment)| (*key, fragment.value.clone())).collect();
            assert_eq!(items, expected, "{tier} lists what look-ups find in it");
        }
        for key in 0..KEYS {
            let fragment = found.iter().find(|(there, _)| *there == key);
            let is_there = self.is_of(key, fragment.map(|(_, fragment)| fragment));
            assert!(is_there || !self.keeps || !self.seen[usize::from(key)].load(Ordering::Relaxed), "{key} is lost");
        }
        let hot = found.iter().filter(|(_, fragment)| fragment.tier == Tier::Hot);
        let (hot, bound) = (hot.map(|(_, fragment)| fragment.weight).sum::<u64>(), self.bound().weights);
        assert!(hot <= bound, "{hot} bytes are hot, of {bound}");
        self.watch();
    }

    /// Evicts, wherever the other threads are, until every tier says again and again that nothing is there but what is kept. No call in flight changes more
    /// than once where a value is, so that none can have been there all along: none that somebody had been told of.
    pub fn drain(&self) {
        let observed: Vec<_> = self.observed.iter().map(|observed| observed.load(Ordering::Relaxed)).collect();
        let mut empty_rounds = 0;
        while empty_rounds < 4 {
            empty_rounds += 1;
            for tier in Tier::ALL {
                while let Some(evicted) = self.store.evict_lru(tier) {
                    self.evicted(tier, Some(&evicted));
                    empty_rounds = 0;
                }
            }
        }
        for key in 0..KEYS {
            if let Some(Fragment { value, tier, kept: false, .. }) = self.store.peek(&key) {
                assert!(!observed[*value.account], "{value:?} is in {tier}, which was empty");
            }
        }
        self.watch();
    }

    /// At rest: everything agrees, inside and outside, and the books balance. Then empties the store, each tier from its least
    /// recently used on, and looks again.
    pub fn settle(&self) {
        self.balance();
        for key in 0..KEYS {
            let is_there = self.store.contains(&key);
            assert_eq!(self.store.let_go(&key).is_ok(), is_there);
        }
        self.balance();
        for tier in [Tier::Cold, Tier::Warm, Tier::Hot] {
            let mut order: Vec<_> = self.store.iter(tier).map(|item| item.key).collect();
            while let Some(evicted) = self.store.evict_lru(tier) {
                assert_eq!(order.pop(), Some(evicted.key), "the least recently used of {tier}");
                self.evicted(tier, Some(&evicted));
            }
            assert!(order.is_empty());
        }
        for tier in [Tier::Warm, Tier::Cold] {
            while let Some(evicted) = self.store.evict_lru(tier) {
                self.evicted(tier, Some(&evicted));
            }
        }
        self.balance();
        assert!(self.store.is_empty());
    }

    fn balance(&self) {
        let (ledger, tally) = &*self.books;
        let found = audit(&self.store, 0..KEYS);
        assert_eq!(validate(&self.store), found.len());
        ledger.settle(found.values().map(|fragment| *fragment.value.account));
        tally.agree(&self.store.metrics());
    }
}
