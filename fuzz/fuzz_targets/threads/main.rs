//! Several threads on one store, interleaved step by step as the input says.
//!
//! Only one runs at a time, so that what is seen is sequentially consistent: the orderings of the atomics are not tested here.
#![no_main]

mod baton;
#[path = "../../../tests/common/mod.rs"]
mod common;
mod kept;
#[path = "../../../tests/model/mod.rs"]
mod model;

use std::sync::Arc;
use std::thread;

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use tierstack::internals::watch;
use tierstack::{Capacity, View};
use tierstack_fuzz::{Hashes, Level, Room};

use baton::{Baton, Turn};
use common::FewHashes;
use kept::{KEYS, Kept, Setup, Value};
use model::versions::foreign;
use model::{Operation, Outcome};

const THREADS: usize = 3;
const HEAVIEST: u64 = 9;
const LARGEST_BUDGET: u64 = 24;

#[derive(Arbitrary, Debug)]
struct Input {
    budget: u8,
    warm: Room,
    cold: Room,
    slack: u8,
    hashes: Hashes,
    /// Keys stay once they are there: what would take them away is left out.
    keeps: bool,
    before: List<16>,
    threads: [List<8>; THREADS],
    schedule: Vec<Turn>,
}

/// So many operations, or fewer.
#[derive(Debug)]
struct List<const MOST: usize>(Vec<Op>);

impl<'a, const MOST: usize> Arbitrary<'a> for List<MOST> {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let length = usize::from(u8::arbitrary(input)?) % (MOST + 1);
        (0..length).map(|_| Op::arbitrary(input)).collect::<Result<_, _>>().map(Self)
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Op {
    Store {
        key: u8,
        weight: u8,
    },
    StoreIfAbsent {
        key: u8,
        weight: u8,
    },
    GetOrStoreWith {
        key: u8,
        weight: u8,
    },
    /// What the thread has stored or read there last.
    ReplaceIf {
        key: u8,
        weight: u8,
    },
    Update {
        key: u8,
        weight: u8,
    },
    Get(u8),
    Peek(u8),
    Promote(u8, Level),
    Demote(u8, Level),
    Evict(Level),
    Remove(u8),
    SetHotBudget(u8),
    EnforceHotBudget,
    Iter(Level),
    Snapshot,
    SnapshotOf(Level),
    /// Makes the calls after this one through a view, which it opens, or closes if it is open.
    Pin,
    /// Looks at everything in one instant.
    Look,
    /// Takes everything out in one instant, but for what is kept.
    Drain,
    Keep(u8),
    LetGo(u8),
}

/// The operations of one thread, whose values have accounts from `account` on.
fn run(kept: &Kept, baton: &Baton, me: usize, ops: &[Op], mut account: usize) {
    let mut view: Option<View<'_, _, _, _>> = None;
    let mut known = [foreign(); KEYS as usize];
    let mut value = |key: u8, weight: u8| {
        account += 1;
        let (key, weight) = (key % KEYS, u64::from(weight) % (HEAVIEST + 1));
        (key, Value { account: Box::new(account - 1), key, weight })
    };
    for op in ops {
        let operation = match *op {
            Op::Store { key, weight } => {
                let (key, value) = value(key, weight);
                Operation::Store(key, value)
            }
            Op::StoreIfAbsent { key, weight } => {
                let (key, value) = value(key, weight);
                Operation::StoreIfAbsent(key, value)
            }
            Op::GetOrStoreWith { key, weight } => {
                let (key, value) = value(key, weight);
                Operation::GetOrStoreWith(key, value)
            }
            Op::ReplaceIf { key, weight } => {
                let (key, value) = value(key, weight);
                Operation::ReplaceIf(key, known[usize::from(key)], value)
            }
            Op::Update { key, weight } => {
                let (key, value) = value(key, weight);
                Operation::Update(key, value)
            }
            Op::Get(key) => Operation::Get(key % KEYS),
            Op::Peek(key) => Operation::Peek(key % KEYS),
            Op::Promote(key, tier) => Operation::PromoteTo(key % KEYS, tier.into()),
            Op::Demote(key, tier) => Operation::DemoteTo(key % KEYS, tier.into()),
            Op::Evict(tier) => Operation::EvictLru(tier.into()),
            Op::Remove(key) => Operation::Remove(key % KEYS),
            Op::SetHotBudget(budget) => Operation::SetHotBudget(u64::from(budget) % (LARGEST_BUDGET + 1)),
            Op::EnforceHotBudget => Operation::EnforceHotBudget,
            Op::Iter(tier) => Operation::Iter(tier.into()),
            Op::Keep(key) => Operation::Keep(key % KEYS),
            Op::LetGo(key) => Operation::LetGo(key % KEYS),
            Op::Snapshot => Operation::Snapshot,
            Op::SnapshotOf(tier) => Operation::SnapshotOf(tier.into()),
            Op::Pin => {
                view = if view.is_none() { Some(kept.store.pin()) } else { None };
                continue;
            }
            Op::Look => {
                baton.frozen(|| kept.look());
                continue;
            }
            Op::Drain => {
                baton.frozen(|| kept.drain());
                continue;
            }
        };
        kept.call(me, &operation, |operation| {
            let pinned = view.as_ref().and_then(|view| operation.ask_pinned(view));
            let answer = pinned.unwrap_or_else(|| operation.ask(&kept.store));
            let read = match (operation, &answer) {
                (Operation::Get(key) | Operation::Peek(key), Outcome::Fragment(Some(found))) => {
                    Some((*key, found.version))
                }
                _ => operation.stores().and_then(|(key, _)| Some((*key, answer.chosen()?))),
            };
            if let Some((key, version)) = read {
                known[usize::from(key)] = version;
            }
            answer
        });
    }
}

fuzz_target!(|input: Input| {
    let Input { budget, warm, cold, slack, hashes, keeps, before, threads, schedule } = input;
    let mut lists = [&before.0, &threads[0].0, &threads[1].0, &threads[2].0].map(Clone::clone);
    if keeps {
        for list in &mut lists {
            list.retain(|op| !matches!(op, Op::Remove(_) | Op::Evict(Level::Cold) | Op::Drain));
        }
    }
    let room = |room: Room| if keeps { Capacity::UNBOUNDED } else { room.up_to(4) };
    let most = lists.iter().map(Vec::len).max().unwrap_or(0);
    let kept = Arc::new(Kept::new(&Setup {
        budget: u64::from(budget) % (LARGEST_BUDGET + 1),
        warm: room(warm),
        cold: room(cold),
        slack: u64::from(slack.saturating_sub(128)) % 8,
        hashes: FewHashes(hashes.number()),
        accounts: most * lists.len(),
        keeps,
        threads: THREADS,
    }));

    let baton = Arc::new(Baton::new(THREADS, schedule));
    let [before, threads @ ..] = lists;
    run(&kept, &baton, 0, &before, 0);
    let threads = threads.into_iter().enumerate();
    let handles: Vec<_> = threads
        .map(|(me, ops)| {
            let (kept, baton) = (Arc::clone(&kept), Arc::clone(&baton));
            thread::spawn(move || {
                baton.begin(me);
                let watched = (Arc::clone(&kept), Arc::clone(&baton));
                watch(move |_| {
                    let (kept, baton) = &watched;
                    kept.watch();
                    baton.step(me);
                });
                run(&kept, &baton, me, &ops, most * (me + 1));
                baton.end(me);
            })
        })
        .collect();
    // Joined, a thread has dropped also what is its own: what it watched with, and its part of the collector.
    for handle in handles {
        handle.join().expect("a panic is the end of the process");
    }
    kept.settle();
});
