//! Every operation of a store on one thread, owned and through views, with a clock that goes on and back, against the sequential specification.
#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/model/mod.rs"]
mod model;

use std::mem::take;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tierstack::internals::validate;
use tierstack::{Cause, Departure, Fragment, Tier, TierStore, Version, View};
use tierstack_fuzz::{Bytes, Hashes, Level, Room, legal};

use common::{FewHashes, audit};
use model::ages::instant;
use model::versions::{Chosen, foreign};
use model::{Left, Model, Operation, Outcome, Weigh};

/// Few enough that inputs meet the same key again and again, enough for the index to grow more than once.
const KEYS: u8 = 24;

/// More steps take longer than they find.
const MOST_STEPS: usize = 400;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Value {
    weight: u64,
    /// On the heap, for a sanitizer to see a value that is read after it was freed. No two stores have the same.
    number: Box<u64>,
}

impl Weigh for Value {
    fn weight(&self) -> u64 {
        self.weight
    }
}

#[derive(Arbitrary, Debug)]
struct Input {
    budget: Bytes,
    warm: Room,
    cold: Room,
    expected: u8,
    hashes: Hashes,
    /// How long fragments live, by tier.
    lifetimes: [Option<u8>; 3],
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Owned(Op),
    /// Through one of two views, opened if it is not.
    Pinned(bool, Op),
    Repin(bool),
    Close(bool),
    /// Reads a value through a view of its own, and holds on to the borrow during the operations.
    Hold(u8, Vec<Op>),
    /// Looks at everything.
    Sweep,
    /// The clock goes on by so many seconds.
    Pass(u8),
    /// The clock goes back by so many.
    GoBack(u8),
}

#[derive(Arbitrary, Debug)]
enum Op {
    Store(u8, Bytes),
    StoreIfAbsent(u8, Bytes),
    GetOrStoreWith(u8, Bytes),
    ReplaceIf(u8, Old, Bytes),
    Update(u8, Bytes),
    Get(u8),
    Peek(u8),
    Contains(u8),
    TierOf(u8),
    Promote(u8),
    PromoteTo(u8, Level),
    Demote(u8),
    DemoteTo(u8, Level),
    EvictLru(Level),
    Remove(u8),
    SetHotBudget(Bytes),
    EnforceHotBudget,
    HotBudget,
    HotBytes,
    Len(Level),
    Bytes(Level),
    IsEmpty,
    Iter(Level),
    Keep(u8),
    LetGo(u8),
    Snapshot,
    SnapshotOf(Level),
    /// Until so many seconds after a time that is 32 seconds ago.
    StoreUntil(u8, Bytes, u8),
    PurgeExpired,
    StartLeaving(u8),
    Leave(u8),
}

/// A version to replace.
#[derive(Arbitrary, Debug)]
enum Old {
    /// That which the key's fragment has, if there is one.
    Now,
    /// One that was chosen before, counted from the last.
    Before(u8),
    Foreign,
}

type Gone = Left<u8, Value>;
type Handed = Arc<Mutex<Vec<Gone>>>;
type Store = TierStore<u8, Value, FewHashes>;

/// A view, and what has left through it and waits for its end.
type Opened<'s> = (View<'s, u8, Value, FewHashes>, Vec<Gone>);

/// A store beside its model.
struct Trial<'s> {
    store: &'s Store,
    model: Model<u8, Value>,
    views: [Option<Opened<'s>>; 2],
    /// What the listener was given, and what it is to have been given, since this was compared before.
    handed: Handed,
    due: Vec<Gone>,
    /// Seconds.
    clock: Arc<AtomicU64>,
    /// What it was asked to be told of.
    causes: Vec<Cause>,
    largest_budget: u64,
    stored: u64,
    chosen: Chosen,
    /// What was chosen, in that order.
    versions: Vec<Version>,
}

impl Trial<'_> {
    fn operation(&mut self, op: &Op) -> Operation<u8, Value> {
        let key = |key: &u8| key % KEYS;
        self.stored += 1;
        let number = self.stored;
        let value = |weight: &Bytes| Value { weight: weight.0, number: Box::new(number) };
        match op {
            Op::Store(stored, weight) => Operation::Store(key(stored), value(weight)),
            Op::StoreIfAbsent(stored, weight) => Operation::StoreIfAbsent(key(stored), value(weight)),
            Op::GetOrStoreWith(stored, weight) => Operation::GetOrStoreWith(key(stored), value(weight)),
            Op::Update(stored, weight) => Operation::Update(key(stored), value(weight)),
            Op::ReplaceIf(stored, old, weight) => {
                let version = match old {
                    Old::Now => self.model.peek(&key(stored)).map(|fragment| fragment.version),
                    Old::Before(number) => self.versions.iter().nth_back(usize::from(*number)).copied(),
                    Old::Foreign => None,
                };
                Operation::ReplaceIf(key(stored), version.unwrap_or_else(foreign), value(weight))
            }
            Op::Get(got) => Operation::Get(key(got)),
            Op::Peek(peeked) => Operation::Peek(key(peeked)),
            Op::Contains(asked) => Operation::Contains(key(asked)),
            Op::TierOf(asked) => Operation::TierOf(key(asked)),
            Op::Promote(promoted) => Operation::Promote(key(promoted)),
            Op::PromoteTo(promoted, tier) => Operation::PromoteTo(key(promoted), (*tier).into()),
            Op::Demote(demoted) => Operation::Demote(key(demoted)),
            Op::DemoteTo(demoted, tier) => Operation::DemoteTo(key(demoted), (*tier).into()),
            Op::EvictLru(tier) => Operation::EvictLru((*tier).into()),
            Op::Remove(removed) => Operation::Remove(key(removed)),
            Op::SetHotBudget(budget) => Operation::SetHotBudget(budget.0),
            Op::EnforceHotBudget => Operation::EnforceHotBudget,
            Op::HotBudget => Operation::HotBudget,
            Op::HotBytes => Operation::HotBytes,
            Op::Len(tier) => Operation::Len((*tier).into()),
            Op::Bytes(tier) => Operation::Bytes((*tier).into()),
            Op::IsEmpty => Operation::IsEmpty,
            Op::Iter(tier) => Operation::Iter((*tier).into()),
            Op::Keep(kept) => Operation::Keep(key(kept)),
            Op::LetGo(kept) => Operation::LetGo(key(kept)),
            Op::Snapshot => Operation::Snapshot,
            Op::SnapshotOf(tier) => Operation::SnapshotOf((*tier).into()),
            Op::StoreUntil(stored, weight, until) => {
                let deadline = (self.clock.load(SeqCst) + u64::from(*until)).saturating_sub(32);
                Operation::StoreUntil(key(stored), value(weight), deadline)
            }
            Op::PurgeExpired => Operation::PurgeExpired,
            Op::StartLeaving(most) => Operation::StartLeaving((most % 4).into()),
            Op::Leave(most) => Operation::Leave((most % 4).into()),
        }
    }

    /// What the model answers where the store has answered this.
    fn expect(&mut self, operation: &Operation<u8, Value>, answer: &Outcome<u8, Value>) -> Outcome<u8, Value> {
        self.versions.extend(answer.chosen());
        self.model.apply(operation, self.chosen.by(answer))
    }

    /// What has left, of what the listener is told of.
    fn take_left(&mut self) -> Vec<Gone> {
        let mut left = self.model.take_left();
        left.retain(|(.., cause)| self.causes.contains(cause));
        left
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Owned(op) => self.owned(op),
            Step::Pinned(slot, op) => {
                let operation = self.operation(op);
                let slot = usize::from(*slot);
                let (view, _) = self.views[slot].get_or_insert_with(|| (self.store.pin(), Vec::new()));
                match operation.ask_pinned(view) {
                    Some(answer) => {
                        assert_eq!(answer, self.expect(&operation, &answer), "{operation:?} through a view");
                        let left = self.take_left();
                        self.views[slot].as_mut().expect("opened above").1.extend(left);
                    }
                    None => self.ask(&operation),
                }
            }
            Step::Repin(slot) => {
                if let Some((view, pending)) = &mut self.views[usize::from(*slot)] {
                    view.repin();
                    self.due.append(pending);
                }
            }
            Step::Close(slot) => self.close(usize::from(*slot)),
            Step::Hold(key, meanwhile) => {
                let key = key % KEYS;
                let view = self.store.pin();
                let held = view.get(&key);
                let expected = self.model.get(&key);
                let left = self.take_left();
                assert_eq!(held.map(Fragment::cloned), expected);
                for op in meanwhile.iter().take(16) {
                    self.owned(op);
                }
                assert_eq!(held.map(|held| held.value), expected.as_ref().map(|held| &held.value), "a borrowed value");
                drop(view);
                self.due.extend(left);
            }
            Step::Sweep => self.sweep(),
            Step::Pass(seconds) => self.set_clock(self.clock.load(SeqCst) + u64::from(*seconds)),
            Step::GoBack(seconds) => self.set_clock(self.clock.load(SeqCst).saturating_sub((*seconds).into())),
        }
        self.settle();
        self.count();
    }

    fn set_clock(&mut self, seconds: u64) {
        self.clock.store(seconds, SeqCst);
        self.model.set_clock(seconds);
    }

    /// What the listener was handed is what it was to be handed, in that order; what one operation has ended because it was due, in any.
    fn settle(&mut self) {
        let [handed, due] = [take(&mut *self.handed.lock().unwrap()), take(&mut self.due)].map(|gone| {
            let (mut expired, ended): (Vec<_>, Vec<_>) =
                gone.into_iter().partition(|(.., cause)| *cause == Cause::Expired);
            expired.sort_by_key(|(key, value, ..)| (*key, *value.number));
            (ended, expired)
        });
        assert_eq!(handed, due, "what the listener was handed, and in which order");
    }

    fn owned(&mut self, op: &Op) {
        let operation = self.operation(op);
        self.ask(&operation);
    }

    fn ask(&mut self, operation: &Operation<u8, Value>) {
        let answer = operation.ask(self.store);
        assert_eq!(answer, self.expect(operation, &answer), "{operation:?}");
        let left = self.take_left();
        self.due.extend(left);
        self.largest_budget = self.largest_budget.max(self.model.hot_budget());
    }

    fn close(&mut self, slot: usize) {
        if let Some((view, mut pending)) = self.views[slot].take() {
            drop(view);
            self.due.append(&mut pending);
        }
    }

    /// Everything that can be seen of the store, against the model and against what is inside. To look meets what is due: that goes first.
    fn sweep(&mut self) {
        assert_eq!(self.store.purge_expired(), self.model.purge_expired());
        let left = self.take_left();
        self.due.extend(left);
        let found = audit(self.store, 0..KEYS);
        for tier in Tier::ALL {
            assert_eq!(self.store.iter(tier).collect::<Vec<_>>(), self.model.iter(tier), "the order of {tier}");
        }
        for key in 0..KEYS {
            assert_eq!(found.get(&key), self.model.peek(&key).as_ref());
        }
        assert_eq!(self.store.hot_budget(), self.model.hot_budget());
        assert_eq!(validate(self.store), found.len());
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

fuzz_target!(|input: Input| {
    let (budget, warm, cold) = (legal(input.budget), input.warm.up_to(9), input.cold.up_to(9));
    let handed = Handed::default();
    let record = Arc::clone(&handed);
    // The bits that the expectation leaves: each subset of the causes.
    let causes = [Cause::Overflowed, Cause::Removed, Cause::Replaced].into_iter().enumerate();
    let causes: Vec<_> = causes
        .filter(|(bit, _)| input.expected & (32 << bit) == 0)
        .map(|(_, cause)| cause)
        .chain([Cause::Expired, Cause::Archived])
        .collect();
    // So late that it can go back.
    let clock = Arc::new(AtomicU64::new(1000));
    let read = Arc::clone(&clock);
    let builder = TierStore::<u8, Value>::builder(budget)
        .weigher(|_, value| value.weight)
        .warm_capacity(warm)
        .cold_capacity(cold)
        .listener_causes(causes.clone())
        .listener(move |gone: &Departure<'_, u8, Value>| {
            record.lock().unwrap().push((*gone.key, gone.value.clone(), gone.tier, gone.cause));
        })
        .clock(move || instant(read.load(SeqCst)))
        .expected_fragments(usize::from(input.expected % 32))
        .hasher(FewHashes(input.hashes.number()));
    let lifetimes = input.lifetimes.map(|lifetime| lifetime.map(u64::from));
    let builder = Tier::ALL.into_iter().zip(lifetimes).fold(builder, |builder, (tier, lifetime)| match lifetime {
        Some(lifetime) => builder.expire_after(tier, Duration::from_secs(lifetime)),
        None => builder,
    });
    let store = builder.build().expect("the budget is within the limit");
    let mut model = Model::new(budget, warm, cold).with_lifetimes(lifetimes);
    model.set_clock(clock.load(SeqCst));
    let mut trial = Trial {
        store: &store,
        model,
        views: [None, None],
        handed,
        due: Vec::new(),
        clock,
        causes,
        largest_budget: budget,
        stored: 0,
        chosen: Chosen::default(),
        versions: Vec::new(),
    };
    for step in input.steps.iter().take(MOST_STEPS) {
        trial.step(step);
    }
    trial.close(0);
    trial.close(1);
    trial.sweep();
    trial.settle();
});
