//! Random programs with ages, under random schedules: each operation has a time of its own, and the times go forth and back. What the threads were answered and shown has
//! an order in which each answer is true.
//!
//! A use counts from the instant on at which it has read the time; and what an operation finds due it ends before it takes effect. So these are steps of their own. A purge may pass by
//! a fragment that moves. A snapshot may show what is due by its time where the time has gone back, and a use at an earlier one meets the fragment while the snapshot is taken.
//! There is room for all. `PROGRAMS`, `SCHEDULES` and `SEED` as for the other schedules.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::time::{Duration, Instant};

use shuttle::sync::Arc;
use shuttle::thread;

use super::schedules::{Random, run_under_random_schedules};
use super::sweep::validate;
use crate::{Tier, TierStore};

const KEYS: u64 = 2;
/// In hot and warm; in cold fragments live for ever.
const LIFETIMES: [u64; 3] = [10, 20, u64::MAX];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fragment {
    value: u64,
    tier: Tier,
    kept: bool,
    used: u64,
    deadline: u64,
}

impl Fragment {
    fn is_due(self, now: u64) -> bool {
        let lifetime = LIFETIMES[self.tier.index()];
        !self.kept && (now >= self.deadline || lifetime != u64::MAX && now >= self.used + lifetime)
    }

    fn shown(self) -> Shown {
        (self.value, self.tier, self.kept)
    }
}

type Shown = (u64, Tier, bool);
type State = BTreeMap<u64, Fragment>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Store(u64),
    StoreUntil(u64, u64),
    Get(u64),
    Peek(u64),
    Promote(u64, Tier),
    Demote(u64, Tier),
    Keep(u64),
    LetGo(u64),
    Remove(u64),
    Purge,
    Snapshot,
    SnapshotOf(Tier),
}

/// What a call answered.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    /// The fragment as it stood before the call, or when it was read.
    Was(Option<Shown>),
    /// The tier that it stood in, and whether it was kept where that is told.
    Stood(Option<(Tier, bool)>),
    Shown(BTreeMap<u64, Shown>),
    Nothing,
}

/// An operation and its time.
type Timed = (Op, u64);

impl Op {
    fn random(random: &mut Random) -> Timed {
        let key = random.below(KEYS);
        let tier = Tier::ALL[usize::try_from(random.below(3)).unwrap()];
        let op = match random.below(18) {
            0 => Self::Store(key),
            1 => Self::StoreUntil(key, random.below(30)),
            2..=5 => Self::Get(key),
            6 => Self::Peek(key),
            7 | 8 => Self::Promote(key, tier),
            9 | 10 => Self::Demote(key, tier),
            11 => Self::Keep(key),
            12 => Self::LetGo(key),
            13 => Self::Remove(key),
            14 => Self::Purge,
            15 => Self::SnapshotOf(tier),
            _ => Self::Snapshot,
        };
        // Around the ends of the lifetimes.
        (op, [0, 5, 9, 10, 11, 15, 19, 20, 21, 30][usize::try_from(random.below(10)).unwrap()])
    }

    fn looks_at(self, other: u64) -> bool {
        match self {
            Self::Store(key) | Self::StoreUntil(key, _) | Self::Get(key) | Self::Peek(key) | Self::Promote(key, _) => {
                key == other
            }
            Self::Demote(key, _) | Self::Keep(key) | Self::LetGo(key) | Self::Remove(key) => key == other,
            Self::Purge | Self::Snapshot | Self::SnapshotOf(_) => true,
        }
    }

    /// The key that it uses where it reads the time, before it takes effect.
    fn used(self) -> Option<u64> {
        match self {
            Self::Get(key) | Self::Promote(key, _) | Self::Keep(key) | Self::LetGo(key) => Some(key),
            _ => None,
        }
    }

    /// The answer of the store; what it stores has that value.
    fn ask(self, store: &Store, now: u64, value: u64, at: impl Fn(u64) -> Instant) -> Answer {
        NOW.with(|time| time.set(now));
        let was = |found: crate::Fragment<u64>| (found.value, found.tier, found.kept);
        let shown = |snapshot: crate::StoreSnapshot<u64, u64, _>| {
            let items = snapshot.iter().map(|(tier, item)| (item.key, (item.value, tier, item.kept)));
            Answer::Shown(items.collect())
        };
        match self {
            // Where it stood is not said.
            Self::Store(key) => stored(store.store(key, value).unwrap()),
            Self::StoreUntil(key, deadline) => stored(store.store_until(key, value, at(deadline)).unwrap()),
            Self::Get(key) => Answer::Was(store.get(&key).map(was)),
            Self::Peek(key) => Answer::Was(store.peek(&key).map(was)),
            Self::Promote(key, tier) => {
                Answer::Stood(store.promote_to(&key, tier).ok().map(|moved| (moved.from, false)))
            }
            Self::Demote(key, tier) => Answer::Stood(store.demote_to(&key, tier).map(|moved| (moved.from, false))),
            Self::Keep(key) => Answer::Stood(store.keep(&key).ok().map(|kept| (kept.tier, kept.was_kept))),
            Self::LetGo(key) => Answer::Stood(store.let_go(&key).ok().map(|kept| (kept.tier, kept.was_kept))),
            Self::Remove(key) => Answer::Was(store.remove(&key).map(was)),
            Self::Purge => {
                store.purge_expired();
                Answer::Nothing
            }
            Self::Snapshot => shown(store.snapshot()),
            Self::SnapshotOf(tier) => shown(store.snapshot_of(tier)),
        }
    }

    /// The state after the call's effect, if it may have answered that in this one.
    fn step(
        self,
        state: &State,
        now: u64,
        value: u64,
        answer: &Answer,
        is_used_later: impl Fn(u64, Fragment) -> bool,
    ) -> Option<State> {
        let mut next = state.clone();
        let key = match self {
            Self::Store(key) | Self::StoreUntil(key, _) | Self::Get(key) | Self::Peek(key) | Self::Promote(key, _) => {
                key
            }
            Self::Demote(key, _) | Self::Keep(key) | Self::LetGo(key) | Self::Remove(key) => key,
            Self::Purge => return Some(next),
            Self::Snapshot | Self::SnapshotOf(_) => {
                let is_of = |tier: Tier| !matches!(self, Self::SnapshotOf(of) if of != tier);
                let is_shown = |key: &u64| matches!(answer, Answer::Shown(shown) if shown.contains_key(key));
                next.retain(|key, fragment| {
                    let is_due = is_of(fragment.tier) && fragment.is_due(now);
                    !is_due || is_shown(key) && is_used_later(*key, *fragment)
                });
                let shown = next.iter().filter(|(_, fragment)| is_of(fragment.tier));
                let shown = shown.map(|(key, fragment)| (*key, fragment.shown())).collect();
                return (*answer == Answer::Shown(shown)).then_some(next);
            }
        };
        if next.get(&key).is_some_and(|fragment| fragment.is_due(now)) {
            next.remove(&key);
        }
        let before = next.get(&key).copied();
        let use_it = |fragment: &mut Fragment| fragment.used = fragment.used.max(now);
        let entry = next.entry(key);
        let expected = match self {
            Self::Store(_) | Self::StoreUntil(..) => {
                let deadline = if let Self::StoreUntil(_, deadline) = self { deadline } else { u64::MAX };
                let kept = before.is_some_and(|fragment| fragment.kept);
                entry.insert_entry(Fragment { value, tier: Tier::Hot, kept, used: now, deadline });
                Answer::Was(before.map(|old| (old.value, Tier::Hot, kept)))
            }
            Self::Get(_) => {
                entry.and_modify(use_it);
                Answer::Was(before.map(Fragment::shown))
            }
            Self::Promote(_, tier) => {
                entry.and_modify(use_it).and_modify(|fragment| fragment.tier = tier.min(fragment.tier));
                Answer::Stood(before.map(|fragment| (fragment.tier, false)))
            }
            Self::Demote(_, tier) => {
                entry.and_modify(|fragment| fragment.tier = tier.max(fragment.tier));
                Answer::Stood(before.map(|fragment| (fragment.tier, false)))
            }
            Self::Keep(_) | Self::LetGo(_) => {
                let kept = matches!(self, Self::Keep(_));
                // Where it is so already nothing changes.
                if before.is_some_and(|fragment| fragment.kept != kept) {
                    entry.and_modify(use_it).and_modify(|fragment| fragment.kept = kept);
                }
                Answer::Stood(before.map(|fragment| (fragment.tier, fragment.kept)))
            }
            Self::Remove(_) => {
                next.remove(&key);
                Answer::Was(before.map(Fragment::shown))
            }
            _ => Answer::Was(before.map(Fragment::shown)),
        };
        (*answer == expected).then_some(next)
    }
}

fn stored(stored: crate::Stored<u64>) -> Answer {
    Answer::Was(stored.replaced.map(|old| (old, Tier::Hot, stored.kept)))
}

/// A call, its time, the value that it stores, and its answer.
type Call = (Op, u64, u64, Answer);

/// The calls of a thread that have not taken effect, and whether the first of them has read the time.
type Rest<'a> = (&'a [Call], bool);

/// Whether some order of all steps, each thread's in its own, explains the answers, and leads to what is left.
fn explains(state: &State, threads: &[Rest<'_>], left: &State) -> bool {
    if threads.iter().all(|(calls, _)| calls.is_empty()) {
        return is_left(state, left);
    }
    (0..threads.len()).any(|thread| {
        let (calls, has_read) = threads[thread];
        let Some(((op, now, value, answer), rest)) = calls.split_first() else { return false };
        let goes_on = |next: &State, then: Rest<'_>| {
            let mut threads = threads.to_vec();
            threads[thread] = then;
            explains(next, &threads, left)
        };
        if !has_read && let Some(key) = op.used() {
            let mut next = state.clone();
            if let Some(fragment) = next.get_mut(&key).filter(|fragment| !fragment.is_due(*now)) {
                fragment.used = fragment.used.max(*now);
            }
            if next != *state && goes_on(&next, (calls, true)) {
                return true;
            }
        }
        // What it finds due it ends first, one after the other; and a purge may pass by what moves.
        let due = state.iter().filter(|(key, fragment)| op.looks_at(**key) && fragment.is_due(*now));
        let ended = |key| state.iter().filter(|(other, _)| *other != key).map(|(key, it)| (*key, *it)).collect();
        if due.into_iter().any(|(key, _)| goes_on(&ended(key), (calls, has_read))) {
            return true;
        }
        let is_used_later = |key: u64, fragment: Fragment| {
            let uses = |(op, time, ..): &Call| op.used() == Some(key) && time < now && !fragment.is_due(*time);
            let others = threads.iter().enumerate().filter(|(other, _)| *other != thread);
            others.flat_map(|(_, (calls, _))| calls.iter()).any(uses)
        };
        op.step(state, *now, *value, answer, is_used_later).is_some_and(|next| goes_on(&next, (rest, false)))
    })
}

/// Whether a state is the one that was found: the same fragments, which are due at the same times.
fn is_left(state: &State, left: &State) -> bool {
    let until = |fragment: &Fragment| (0..60).find(|now| fragment.is_due(*now));
    let seen = |state: &State| -> Vec<_> {
        let alive = state.iter().filter(|(_, fragment)| until(fragment) != Some(0));
        alive.map(|(key, fragment)| (*key, fragment.shown(), until(fragment))).collect()
    };
    seen(state) == seen(left)
}

shuttle::thread_local! {
    /// What the clock of the store says to this thread.
    static NOW: Cell<u64> = Cell::new(0);
}

type Store = TierStore<u64, u64, BuildHasherDefault<DefaultHasher>>;

fn execute(programs: &[Vec<Timed>]) {
    NOW.with(|time| time.set(0));
    let start = Instant::now();
    let at = move |time: u64| start + Duration::from_nanos(time);
    let lifetime = |tier: Tier| Duration::from_nanos(LIFETIMES[tier.index()]);
    let store: Store = TierStore::builder(100)
        .weigher(|_: &u64, _: &u64| 1)
        // Not seeded, so that what fails fails again.
        .hasher(BuildHasherDefault::default())
        .expire_after(Tier::Hot, lifetime(Tier::Hot))
        .expire_after(Tier::Warm, lifetime(Tier::Warm))
        .clock(move || at(NOW.with(Cell::get)))
        .build()
        .unwrap();
    let store = Arc::new(store);
    let mut first = State::new();
    for (key, tier) in (0..KEYS).zip([Tier::Hot, Tier::Warm]) {
        store.store(key, key).unwrap();
        store.demote_to(&key, tier).unwrap();
        first.insert(key, Fragment { value: key, tier, kept: false, used: 0, deadline: u64::MAX });
    }
    let run = move |store: &Store, program: &[Timed], number: u64| -> Vec<Call> {
        let values = (0..).map(|call| 100 * (number + 1) + call);
        program.iter().zip(values).map(|(&(op, now), value)| (op, now, value, op.ask(store, now, value, at))).collect()
    };
    let threads: Vec<_> = (0..)
        .zip(programs.iter().cloned())
        .map(|(number, program)| {
            let store = Arc::clone(&store);
            thread::spawn(move || run(&store, &program, number))
        })
        .collect();
    let done: Vec<Vec<Call>> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let left = what_is_left(&store);
    let rest: Vec<Rest<'_>> = done.iter().map(|calls| (calls.as_slice(), false)).collect();
    assert!(explains(&first, &rest, &left), "{done:?}, {left:?}");
    NOW.with(|time| time.set(u64::from(u32::MAX)));
    let alive = store.snapshot();
    assert!(alive.iter().all(|(tier, item)| item.kept || tier == Tier::Cold), "{alive:?}");
    validate(&store);
}

/// What is there, and until when: as one whose deadline that is.
fn what_is_left(store: &Store) -> State {
    let mut left = State::new();
    for now in 0..60 {
        NOW.with(|time| time.set(now));
        for key in 0..KEYS {
            if let Some(found) = store.peek(&key) {
                let (value, tier, kept) = (found.value, found.tier, found.kept);
                // So that nothing but the deadline counts.
                left.insert(key, Fragment { value, tier, kept, used: 1 << 40, deadline: now + 1 });
            }
        }
    }
    for fragment in left.values_mut().filter(|fragment| fragment.deadline == 60) {
        fragment.deadline = u64::MAX;
    }
    left
}

#[test]
fn random_programs_with_ages() {
    let thread = |random: &mut Random| (0..1 + random.below(3)).map(|_| Op::random(random)).collect();
    let make = |random: &mut Random| (0..2 + random.below(2)).map(|_| thread(random)).collect::<Vec<Vec<Timed>>>();
    run_under_random_schedules(0xA6E5_0F3B, make, |programs| execute(programs));
}
