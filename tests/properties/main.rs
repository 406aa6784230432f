//! Random sequences of every operation, answered by the store and by its specification alike; with a clock that goes on and back, and without.

mod blurred;
#[path = "../common/mod.rs"]
mod common;
mod gone;
#[path = "../model/mod.rs"]
mod model;

use std::borrow::Borrow;
use std::fmt::Debug;
use std::hash::{BuildHasher, Hash};
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tierstack::{Capacity, DefaultHasher, Departure, Fragment, MAX_BYTES, Tier, TierStore, Version, View};

use blurred::Blurred;
use common::{FewHashes, audit};
use gone::Gone;
use model::ages::instant;
use model::versions::{Chosen, foreign};
use model::{Model, Operation, Outcome, Weigh};

/// Few enough that sequences meet the same key again and again.
const KEYS: u8 = 8;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Value {
    weight: u64,
    /// On the heap, for a sanitizer to see a value that is read after it was freed.
    number: Box<u16>,
}

impl Weigh for Value {
    fn weight(&self) -> u64 {
        self.weight
    }
}

/// A key made from a small number.
trait Numbered: Ord + Hash + Clone + Debug + Send + Sync + 'static {
    fn number(number: u8) -> Self;

    fn all() -> impl Iterator<Item = Self> {
        (0..KEYS).map(Self::number)
    }
}

impl Numbered for u8 {
    fn number(number: u8) -> Self {
        number
    }
}

impl Numbered for String {
    fn number(number: u8) -> Self {
        format!("fragment {number}")
    }
}

#[derive(Clone, Debug)]
struct Setup {
    budget: u64,
    warm: Capacity,
    cold: Capacity,
    expected: usize,
    /// By tier; and whether anything has an age at all.
    lifetimes: [Option<u64>; 3],
    is_aged: bool,
}

/// An operation, made before versions and times are known.
#[derive(Clone, Debug)]
enum Draft<K> {
    Whole(Operation<K, Value>),
    ReplaceIf(K, Old, Value),
    /// Until so long from then; what is below a hundred has passed.
    StoreUntil(K, Value, u64),
}

/// A version to replace.
#[derive(Clone, Copy, Debug)]
enum Old {
    /// That which the key's fragment has, if there is one.
    Now,
    /// One that was chosen before, counted from the last.
    Before(usize),
    Foreign,
}

/// One step of a sequence. Views live across steps, in one of two slots.
#[derive(Clone, Debug)]
enum Step<K> {
    Owned(Draft<K>),
    /// Through the view in that slot, opened if there is none.
    Pinned(usize, Draft<K>),
    Repin(usize),
    Close(usize),
    /// Reads a value through a view of its own, and holds on to the borrow during the operations.
    Hold(K, Vec<Draft<K>>),
    /// The clock goes on.
    Pass(u64),
    /// It says that, whatever it said before.
    SetClock(u64),
}

fn setup() -> impl Strategy<Value = Setup> {
    let capacity = || (prop::option::of(0..6_u64), prop::option::of(0..64_u64));
    (0..=32_u64, capacity(), capacity(), 0..=8_usize).prop_map(|(budget, warm, cold, expected)| Setup {
        budget,
        warm: Capacity { entries: warm.0, bytes: warm.1 },
        cold: Capacity { entries: cold.0, bytes: cold.1 },
        expected,
        lifetimes: [None; 3],
        is_aged: false,
    })
}

fn aged_setup() -> impl Strategy<Value = Setup> {
    let lifetime = || prop::option::of(prop_oneof![1 => Just(0), 8 => 1..24_u64]);
    (setup(), [lifetime(), lifetime(), lifetime()]).prop_map(|(setup, lifetimes)| Setup {
        lifetimes,
        is_aged: true,
        ..setup
    })
}

fn value() -> impl Strategy<Value = Value> {
    let weight = prop_oneof![
        16 => 0..=16_u64,
        6 => 0..=40_u64,
        1 => Just(MAX_BYTES),
        1 => prop_oneof![Just(MAX_BYTES + 1), Just(u64::MAX)],
    ];
    (weight, any::<u16>()).prop_map(|(weight, number)| Value { weight, number: Box::new(number) })
}

fn key<K: Numbered>() -> impl Strategy<Value = K> {
    (0..KEYS).prop_map(K::number)
}

fn tier() -> impl Strategy<Value = Tier> {
    prop::sample::select(Tier::ALL.to_vec())
}

fn operation<K: Numbered>() -> impl Strategy<Value = Operation<K, Value>> {
    let budget = prop_oneof![15 => 0..=40_u64, 1 => Just(MAX_BYTES + 1)];
    prop_oneof![
        10 => (key(), value()).prop_map(|(key, value)| Operation::Store(key, value)),
        3 => (key(), value()).prop_map(|(key, value)| Operation::StoreIfAbsent(key, value)),
        3 => (key(), value()).prop_map(|(key, value)| Operation::GetOrStoreWith(key, value)),
        3 => (key(), value()).prop_map(|(key, value)| Operation::Update(key, value)),
        4 => key().prop_map(Operation::Get),
        1 => key().prop_map(Operation::Peek),
        1 => key().prop_map(Operation::Contains),
        1 => key().prop_map(Operation::TierOf),
        3 => key().prop_map(Operation::Promote),
        3 => (key(), tier()).prop_map(|(key, tier)| Operation::PromoteTo(key, tier)),
        2 => key().prop_map(Operation::Demote),
        2 => (key(), tier()).prop_map(|(key, tier)| Operation::DemoteTo(key, tier)),
        3 => tier().prop_map(Operation::EvictLru),
        2 => key().prop_map(Operation::Remove),
        2 => key().prop_map(Operation::Keep),
        2 => key().prop_map(Operation::LetGo),
        2 => budget.prop_map(Operation::SetHotBudget),
        1 => Just(Operation::EnforceHotBudget),
        1 => Just(Operation::HotBudget),
        1 => Just(Operation::HotBytes),
        1 => tier().prop_map(Operation::Len),
        1 => tier().prop_map(Operation::Bytes),
        1 => Just(Operation::IsEmpty),
        2 => tier().prop_map(Operation::Iter),
        2 => Just(Operation::Snapshot),
        1 => tier().prop_map(Operation::SnapshotOf),
        2 => (0..4_usize).prop_map(Operation::StartLeaving),
        2 => (0..4_usize).prop_map(Operation::Leave),
    ]
}

fn draft<K: Numbered>() -> BoxedStrategy<Draft<K>> {
    let old = prop_oneof![6 => Just(Old::Now), 3 => (0..12_usize).prop_map(Old::Before), 1 => Just(Old::Foreign)];
    prop_oneof![
        12 => operation().prop_map(Draft::Whole),
        1 => (key(), old, value()).prop_map(|(key, old, value)| Draft::ReplaceIf(key, old, value)),
    ]
    .boxed()
}

fn aged_draft<K: Numbered>() -> BoxedStrategy<Draft<K>> {
    // What is leaving and due, used, or both: which operations then see to the capacities is not specified. Here it leaves at once.
    let at_once = |draft| match draft {
        Draft::Whole(Operation::StartLeaving(most)) => Draft::Whole(Operation::Leave(most)),
        draft => draft,
    };
    prop_oneof![
        12 => draft().prop_map(at_once),
        3 => (key(), value(), 95..120_u64).prop_map(|(key, value, until)| Draft::StoreUntil(key, value, until)),
        1 => Just(Draft::Whole(Operation::PurgeExpired)),
    ]
    .boxed()
}

fn steps_of<K: Numbered>(draft: impl Fn() -> BoxedStrategy<Draft<K>>) -> impl Strategy<Value = Step<K>> {
    prop_oneof![
        12 => draft().prop_map(Step::Owned),
        8 => (0..2_usize, draft()).prop_map(|(slot, draft)| Step::Pinned(slot, draft)),
        1 => (0..2_usize).prop_map(Step::Repin),
        1 => (0..2_usize).prop_map(Step::Close),
        1 => (key(), vec(draft(), 1..6)).prop_map(|(key, meanwhile)| Step::Hold(key, meanwhile)),
    ]
}

fn step<K: Numbered>() -> impl Strategy<Value = Step<K>> {
    steps_of(draft)
}

fn aged_step<K: Numbered>() -> impl Strategy<Value = Step<K>> {
    prop_oneof![
        16 => steps_of(aged_draft),
        4 => (0..9_u64).prop_map(Step::Pass),
        1 => (0..90_u64).prop_map(Step::SetClock),
    ]
}

type Handed<K> = Arc<Mutex<Gone<K>>>;
/// Seconds.
type Clock = Arc<AtomicU64>;

/// A store with its listener's record of what it was told, and its clock.
fn build<K: Numbered, S: BuildHasher>(
    setup: &Setup,
    slack: u64,
    hasher: S,
) -> (TierStore<K, Value, S>, Handed<K>, Clock) {
    let (handed, clock) = (Arc::new(Mutex::new(Gone::NOTHING)), Clock::default());
    let (record, read) = (Arc::clone(&handed), Arc::clone(&clock));
    let builder = TierStore::<K, Value>::builder(setup.budget)
        .weigher(|_, value| value.weight)
        .warm_capacity(setup.warm)
        .cold_capacity(setup.cold)
        .listener(move |gone: &Departure<'_, K, Value>| {
            record.lock().unwrap().push((gone.key.clone(), gone.value.clone(), gone.tier, gone.cause));
        })
        .clock(move || instant(read.load(SeqCst)))
        .expected_fragments(setup.expected)
        .recency_slack(slack)
        .hasher(hasher);
    let lifetimes = Tier::ALL.into_iter().zip(setup.lifetimes);
    let builder = lifetimes.fold(builder, |builder, (tier, lifetime)| match lifetime {
        Some(lifetime) => builder.expire_after(tier, Duration::from_secs(lifetime)),
        None => builder,
    });
    (builder.build().expect("the budget is within the limit"), handed, clock)
}

/// A view, and what has left through it and waits for its end.
type Opened<'s, K, S> = (View<'s, K, Value, S>, Gone<K>);

/// A store beside its model.
struct Trial<'s, K: Numbered, S> {
    store: &'s TierStore<K, Value, S>,
    model: Model<K, Value>,
    views: [Option<Opened<'s, K, S>>; 2],
    handed: Handed<K>,
    due: Gone<K>,
    clock: Clock,
    is_aged: bool,
    largest_budget: u64,
    chosen: Chosen,
    /// What was chosen, in that order.
    versions: Vec<Version>,
}

impl<K: Numbered, S: BuildHasher + Clone> Trial<'_, K, S> {
    fn operation(&self, draft: Draft<K>) -> Operation<K, Value> {
        match draft {
            Draft::Whole(operation) => operation,
            Draft::ReplaceIf(key, old, value) => {
                let version = match old {
                    Old::Now => self.model.peek(&key).map(|fragment| fragment.version),
                    Old::Before(number) => self.versions.iter().nth_back(number).copied(),
                    Old::Foreign => None,
                };
                Operation::ReplaceIf(key, version.unwrap_or_else(foreign), value)
            }
            Draft::StoreUntil(key, value, until) => {
                let deadline = self.clock.load(SeqCst) + until;
                Operation::StoreUntil(key, value, deadline.saturating_sub(100))
            }
        }
    }

    /// What the model answers where the store has answered this.
    fn expect(&mut self, operation: &Operation<K, Value>, answer: &Outcome<K, Value>) -> Outcome<K, Value> {
        self.versions.extend(answer.chosen());
        self.model.apply(operation, self.chosen.by(answer))
    }

    fn step<Q>(&mut self, step: Step<K>)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        match step {
            Step::Owned(draft) => self.owned(draft),
            Step::Pinned(slot, draft) => {
                let operation = self.operation(draft);
                let (view, _) = self.views[slot].get_or_insert_with(|| (self.store.pin(), Gone::NOTHING));
                let Some(answer) = operation.ask_pinned(view) else { return self.owned(Draft::Whole(operation)) };
                assert_eq!(answer, self.expect(&operation, &answer), "{operation:?} through a view");
                let gone = Gone::from(&mut self.model);
                self.views[slot].as_mut().expect("opened above").1.append(gone);
            }
            Step::Repin(slot) => {
                if let Some((view, pending)) = &mut self.views[slot] {
                    view.repin();
                    self.due.append(mem::replace(pending, Gone::NOTHING));
                }
            }
            Step::Close(slot) => {
                if let Some((view, pending)) = self.views[slot].take() {
                    drop(view);
                    self.due.append(pending);
                }
            }
            Step::Hold(key, meanwhile) => {
                let view = self.store.pin();
                let held = view.get(key.borrow());
                let expected = self.model.get(&key);
                let gone = Gone::from(&mut self.model);
                assert_eq!(held.map(Fragment::cloned), expected);
                for draft in meanwhile {
                    self.owned(draft);
                }
                assert_eq!(held.map(|held| held.value), expected.as_ref().map(|held| &held.value), "a borrowed value");
                drop(view);
                self.due.append(gone);
            }
            Step::Pass(time) => self.set_clock(self.clock.load(SeqCst) + time),
            Step::SetClock(time) => self.set_clock(time),
        }
        assert_eq!(
            self.handed.lock().unwrap().sorted(),
            self.due.sorted(),
            "what the listener was told, and in which order"
        );
        if self.is_aged {
            self.count();
        }
    }

    fn set_clock(&mut self, time: u64) {
        self.clock.store(time, SeqCst);
        self.model.set_clock(time);
    }

    fn owned<Q>(&mut self, draft: Draft<K>)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let operation = self.operation(draft);
        let answer = operation.ask(self.store);
        assert_eq!(answer, self.expect(&operation, &answer), "{operation:?}");
        self.due.append(Gone::from(&mut self.model));
        self.largest_budget = self.largest_budget.max(self.model.hot_budget());
    }

    /// Everything that can be seen of the store, against the model. A sweep would meet all that is due: it goes first.
    fn sweep(&mut self) {
        self.count();
        assert_eq!(self.store.purge_expired(), self.model.purge_expired());
        self.due.append(Gone::from(&mut self.model));
        let found = audit(self.store, K::all());
        for tier in Tier::ALL {
            assert_eq!(self.store.iter(tier).collect::<Vec<_>>(), self.model.iter(tier), "the order of {tier}");
        }
        for key in K::all() {
            assert_eq!(found.get(&key), self.model.peek(&key).as_ref());
        }
        assert_eq!(self.store.hot_budget(), self.model.hot_budget());
        self.count();
    }

    /// The counts, which meet nothing.
    fn count(&self) {
        let (mut counted, expected) = (self.store.metrics(), self.model.metrics());
        let peak = expected.peak_hot_bytes..=self.largest_budget;
        assert!(peak.contains(&counted.peak_hot_bytes), "{} is not in {peak:?}", counted.peak_hot_bytes);
        (counted.peak_hot_bytes, counted.retired_bytes) = (expected.peak_hot_bytes, 0);
        assert_eq!(counted, expected);
    }
}

fn agrees<K, Q, S>(setup: &Setup, steps: Vec<Step<K>>, hasher: S)
where
    K: Numbered + Borrow<Q>,
    Q: Hash + Eq + ?Sized,
    S: BuildHasher + Clone,
{
    let (store, handed, clock) = build(setup, 0, hasher);
    let model = Model::new(setup.budget, setup.warm, setup.cold).with_lifetimes(setup.lifetimes);
    let mut trial = Trial {
        store: &store,
        model,
        views: [None, None],
        handed,
        due: Gone::NOTHING,
        clock,
        is_aged: setup.is_aged,
        largest_budget: setup.budget,
        chosen: Chosen::default(),
        versions: Vec::new(),
    };
    for (number, step) in steps.into_iter().enumerate() {
        trial.step(step);
        // What is due is to stand for a while.
        if number % if setup.is_aged { 32 } else { 8 } == 7 {
            trial.sweep();
        }
    }
    trial.step(Step::Close(0));
    trial.step(Step::Close(1));
    trial.sweep();
}

fn config() -> ProptestConfig {
    // A failing sequence is printed in full; one worth keeping becomes a test of its own.
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = if cfg!(debug_assertions) { 400 } else { 2000 };
    }
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_store_answers_as_the_model(setup in setup(), steps in vec(step::<u8>(), 1..120)) {
        agrees::<u8, u8, _>(&setup, steps, DefaultHasher::default());
    }

    #[test]
    fn keys_are_found_by_what_they_borrow_as(setup in setup(), steps in vec(step::<String>(), 1..120)) {
        agrees::<String, str, _>(&setup, steps, DefaultHasher::default());
    }

    #[test]
    fn keys_of_one_hash_are_told_apart(setup in setup(), steps in vec(step::<u8>(), 1..120)) {
        agrees::<u8, u8, _>(&setup, steps, FewHashes::ONE);
    }

    #[test]
    fn keys_of_few_hashes_are_told_apart(setup in setup(), steps in vec(step::<String>(), 1..120)) {
        agrees::<String, str, _>(&setup, steps, FewHashes(3));
    }

    #[test]
    fn fragments_expire_as_in_the_model(setup in aged_setup(), steps in vec(aged_step::<u8>(), 1..160)) {
        agrees::<u8, u8, _>(&setup, steps, DefaultHasher::default());
    }

    #[test]
    fn fragments_of_few_hashes_expire_as_in_the_model(setup in aged_setup(), steps in vec(aged_step::<String>(), 1..160)) {
        agrees::<String, str, _>(&setup, steps, FewHashes(3));
    }

    #[test]
    fn recency_slack_only_blurs_the_order_of_the_last_uses(
        budget in 0..=32_u64,
        slack in 1..12_u64,
        steps in vec(operation::<u8>(), 1..160),
    ) {
        Blurred::new(budget, slack).run(&steps);
    }
}
