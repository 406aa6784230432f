//! Random programs with snapshots, under random schedules: what the threads were answered and shown has an order in which each answer is true.
//!
//! There is room for all, so that each call is one step; and few keys. `PROGRAMS`, `SCHEDULES` and `SEED` as for the other schedules.

use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

use shuttle::sync::Arc;
use shuttle::thread;

use super::schedules::{Random, run_under_random_schedules};
use super::sweep::validate;
use crate::{Capacity, Leaving, Tier, TierStore};

const KEYS: u64 = 3;

/// Of each key that is there: its value and its tier.
type State = BTreeMap<u64, (u64, Tier)>;

#[derive(Clone, Copy, Debug)]
enum Op {
    Store(u64),
    /// A load of two fragments. Each is a call of its own that does not say what it replaced.
    StoreAll(u64, u64),
    StoreIfAbsent(u64),
    Get(u64),
    Peek(u64),
    Promote(u64, Tier),
    Demote(u64, Tier),
    Remove(u64),
    Snapshot,
    SnapshotOf(Tier),
    /// All of cold starts to leave, and each of it leaves, if it still may: a call of its own.
    Leave,
    Left(u64),
}

/// What a call answered.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    /// The fragment as it stood before the call, or when it was read.
    Was(Option<(u64, Tier)>),
    /// In order of tiers; in each, by key.
    Shown(State),
    /// Nothing.
    Untold,
}

impl Op {
    fn random(random: &mut Random) -> Self {
        let key = random.below(KEYS);
        let tier = Tier::ALL[usize::try_from(random.below(3)).unwrap()];
        match random.below(17) {
            0 | 1 => Self::Store(key),
            14 => Self::StoreAll(key, random.below(KEYS)),
            15 | 16 => Self::Leave,
            2 => Self::StoreIfAbsent(key),
            3 => Self::Get(key),
            4 => Self::Peek(key),
            5 | 6 => Self::Promote(key, tier),
            7 | 8 => Self::Demote(key, tier),
            9 => Self::Remove(key),
            10 => Self::SnapshotOf(tier),
            _ => Self::Snapshot,
        }
    }

    /// What it does is one call, or several; what they store has that value, or the next.
    fn run(self, store: &Store, value: u64) -> Vec<Call> {
        if let Self::Leave = self {
            let leaving = store.start_leaving(Capacity::UNBOUNDED).into_iter();
            let finish = |leaving: Leaving<u64, u64>| (leaving.key, leaving.value, store.finish_leaving(&leaving));
            // Of what has not left nothing is known.
            let left = leaving.map(finish).filter(|(.., has_left)| *has_left);
            return left.map(|(key, value, _)| (Self::Left(key), value, Answer::Untold)).collect();
        }
        let Self::StoreAll(one, two) = self else { return vec![(self, value, self.ask(store, value))] };
        let stored = store.store_all([(one, value), (two, value + 1)]);
        assert_eq!((stored.stored, stored.hot), (2, 2));
        vec![(Self::StoreAll(one, one), value, Answer::Untold), (Self::StoreAll(two, two), value + 1, Answer::Untold)]
    }

    /// The answer of the store; what it stores has that value.
    fn ask(self, store: &Store, value: u64) -> Answer {
        let shown = |snapshot: crate::StoreSnapshot<u64, u64, _>| {
            let shown: State = snapshot.iter().map(|(tier, item)| (item.key, (item.value, tier))).collect();
            assert_eq!(shown.len(), snapshot.len(), "a key is shown twice: {snapshot:?}");
            assert!(snapshot.iter().all(|(_, item)| snapshot.get(&item.key).is_some()));
            Answer::Shown(shown)
        };
        match self {
            // Where it stood is not said.
            Self::Store(key) => Answer::Was(store.store(key, value).unwrap().replaced.map(|old| (old, Tier::Hot))),
            Self::StoreAll(..) | Self::Leave | Self::Left(_) => unreachable!("of several calls"),
            Self::StoreIfAbsent(key) => Answer::Was(match store.store_if_absent(key, value) {
                Ok(_) => None,
                Err(_) => Some((0, Tier::Hot)),
            }),
            Self::Get(key) => Answer::Was(store.get(&key).map(|found| (found.value, found.tier))),
            Self::Peek(key) => Answer::Was(store.peek(&key).map(|found| (found.value, found.tier))),
            Self::Promote(key, tier) => Answer::Was(store.promote_to(&key, tier).ok().map(|moved| (0, moved.from))),
            Self::Demote(key, tier) => Answer::Was(store.demote_to(&key, tier).map(|moved| (0, moved.from))),
            Self::Remove(key) => Answer::Was(store.remove(&key).map(|found| (found.value, found.tier))),
            Self::Snapshot => shown(store.snapshot()),
            Self::SnapshotOf(tier) => shown(store.snapshot_of(tier)),
        }
    }

    /// The state after the call, if it may have answered that in this one.
    fn step(self, state: &State, value: u64, answer: &Answer) -> Option<State> {
        let mut next = state.clone();
        let was = |key: u64| state.get(&key).copied();
        let expected = match self {
            Self::Store(key) => Answer::Was(next.insert(key, (value, Tier::Hot)).map(|(old, _)| (old, Tier::Hot))),
            Self::StoreAll(key, _) => {
                next.insert(key, (value, Tier::Hot));
                Answer::Untold
            }
            Self::StoreIfAbsent(key) => {
                next.entry(key).or_insert((value, Tier::Hot));
                Answer::Was(was(key).map(|_| (0, Tier::Hot)))
            }
            Self::Get(key) | Self::Peek(key) => Answer::Was(was(key)),
            Self::Promote(key, tier) => {
                next.entry(key).and_modify(|(_, now)| *now = tier.min(*now));
                Answer::Was(was(key).map(|(_, from)| (0, from)))
            }
            Self::Demote(key, tier) => {
                next.entry(key).and_modify(|(_, now)| *now = tier.max(*now));
                Answer::Was(was(key).map(|(_, from)| (0, from)))
            }
            Self::Remove(key) => Answer::Was(next.remove(&key)),
            Self::Left(key) if next.remove(&key) == Some((value, Tier::Cold)) => Answer::Untold,
            Self::Left(_) | Self::Leave => return None,
            Self::Snapshot => Answer::Shown(next.clone()),
            Self::SnapshotOf(of) => {
                Answer::Shown(state.iter().filter(|(_, (_, tier))| *tier == of).map(|(key, it)| (*key, *it)).collect())
            }
        };
        (*answer == expected).then_some(next)
    }
}

/// A call, the value that it stores, and its answer.
type Call = (Op, u64, Answer);

/// Whether some order of all calls, each thread's in its own, explains the answers, and leads to what is left.
fn explains(state: &State, threads: &[&[Call]], left: &State) -> bool {
    threads.iter().all(|calls| calls.is_empty()) && state == left
        || (0..threads.len()).any(|thread| {
            let Some(((op, value, answer), rest)) = threads[thread].split_first() else { return false };
            op.step(state, *value, answer).is_some_and(|next| {
                let mut threads = threads.to_vec();
                threads[thread] = rest;
                explains(&next, &threads, left)
            })
        })
}

type Store = TierStore<u64, u64, BuildHasherDefault<DefaultHasher>>;

fn execute(programs: &[Vec<Op>]) {
    let store: Arc<Store> = Arc::new(
        TierStore::builder(100)
            .weigher(|_: &u64, _: &u64| 1)
            // Not seeded, so that what fails fails again.
            .hasher(BuildHasherDefault::default())
            .build()
            .unwrap(),
    );
    let mut first = State::new();
    for (key, tier) in (0..KEYS).zip([Tier::Hot, Tier::Warm, Tier::Cold]) {
        store.store(key, key).unwrap();
        store.demote_to(&key, tier).unwrap();
        first.insert(key, (key, tier));
    }
    let run = |store: &Store, program: &[Op], number: u64| -> Vec<Call> {
        let values = (0..).map(|call| 100 * (number + 1) + 2 * call);
        program.iter().zip(values).flat_map(|(op, value)| op.run(store, value)).collect()
    };
    let threads: Vec<_> = (0..)
        .zip(programs.iter().cloned())
        .map(|(number, program)| {
            let store = Arc::clone(&store);
            thread::spawn(move || run(&store, &program, number))
        })
        .collect();
    let done: Vec<Vec<Call>> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let last = run(&store, &[Op::Snapshot, Op::Peek(0), Op::Peek(1), Op::Peek(2)], 50);
    let Answer::Shown(left) = &last[0].2 else { unreachable!("a snapshot") };
    assert!(explains(&first, &done.iter().map(Vec::as_slice).collect::<Vec<_>>(), left), "{done:?}, {left:?}");
    for ((_, _, answer), key) in last[1..].iter().zip(0..) {
        assert_eq!(*answer, Answer::Was(left.get(&key).copied()), "at rest");
    }
    validate(&store);
}

#[test]
fn random_programs_with_snapshots() {
    let thread = |random: &mut Random| (0..1 + random.below(3)).map(|_| Op::random(random)).collect();
    let make = |random: &mut Random| (0..2 + random.below(2)).map(|_| thread(random)).collect::<Vec<Vec<Op>>>();
    run_under_random_schedules(0x51A9_5407, make, |programs| execute(programs));
}
