//! Random programs under random schedules: the store's own code on a scheduler's atomics.
//!
//! `RUSTFLAGS="--cfg tierstack_shuttle" cargo test --release --lib schedules`; `PROGRAMS`, `SCHEDULES` and `SEED` in the environment change
//! how many, and which. Sequentially consistent, and the epoch and the directory run as single steps: orderings and
//! reclamation are not tested here. Blocks and tables are tiny, so that sealing and growth are.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::panic::{AssertUnwindSafe, catch_unwind};

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::Arc;
use shuttle::{Config, FailurePersistence, Runner, thread};

use super::sweep::validate;
use crate::{Capacity, Cause, StoreIfAbsentRefusal, Tier, TierStore, Version};

#[derive(Clone, Copy, Debug)]
enum Op {
    Store(u32, u64),
    /// A load of this key and so many after it.
    StoreAll(u32, u32, u64),
    StoreIfAbsent(u32, u64),
    GetOrStore(u32, u64),
    /// What this thread has stored there last.
    ReplaceIf(u32, u64),
    /// By that much, as far as the budget.
    Update(u32, u64),
    Get(u32),
    Promote(u32, Tier),
    Demote(u32, Tier),
    Evict(Tier),
    Remove(u32),
    Budget(u64),
    Keep(u32),
    LetGo(u32),
    Scan(Tier),
    Snapshot,
    /// So many of cold leave for an archive.
    Leave(u64),
}

#[derive(Clone, Debug)]
struct Program {
    budget: u64,
    warm: Capacity,
    cold: Capacity,
    /// Nothing is removed or pushed out: a key, once stored, is there.
    keeps: bool,
    setup: Vec<Op>,
    threads: Vec<Vec<Op>>,
}

pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }

    fn tier(&mut self) -> Tier {
        Tier::ALL[[0, 0, 0, 1, 1, 2][usize::try_from(self.below(6)).unwrap()]]
    }

    fn op(&mut self, keeps: bool, budget: u64) -> Op {
        let key = u32::try_from(if self.below(2) == 0 { 0 } else { self.below(5) }).unwrap();
        match self.below(21) {
            20 if !keeps => Op::Leave(self.below(3)),
            19 => Op::StoreAll(key, u32::try_from(1 + self.below(3)).unwrap(), self.below(budget + 2)),
            0..=3 => Op::Store(key, self.below(budget + 2)),
            4 => Op::StoreIfAbsent(key, self.below(budget + 2)),
            14 => Op::GetOrStore(key, self.below(budget + 2)),
            15 => Op::ReplaceIf(key, self.below(budget + 2)),
            16 => Op::Update(key, 1 + self.below(2)),
            17 => Op::Keep(key),
            18 => Op::LetGo(key),
            5 | 6 => Op::Get(key),
            7 | 8 => Op::Promote(key, self.tier()),
            9 => Op::Demote(key, if self.below(2) == 0 { Tier::Warm } else { Tier::Cold }),
            10 if !keeps => Op::Remove(key),
            10 | 11 => Op::Evict(if keeps && self.below(2) == 0 { Tier::Warm } else { Tier::Hot }),
            12 if self.below(3) == 0 => Op::Budget(self.below(budget + 1)),
            12 if !keeps => Op::Evict(self.tier()),
            13 if self.below(2) == 0 => Op::Snapshot,
            _ => Op::Scan(self.tier()),
        }
    }

    fn program(&mut self) -> Program {
        let keeps = self.below(2) == 0;
        let budget = 1 + self.below(4);
        let capacity = |random: &mut Self| match random.below(3) {
            _ if keeps => Capacity::UNBOUNDED,
            0 => Capacity::entries(random.below(3)),
            1 => Capacity::bytes(random.below(4)),
            _ => Capacity::UNBOUNDED,
        };
        let (warm, cold) = (capacity(self), capacity(self));
        let setup = (0..self.below(6)).map(|_| self.op(keeps, budget)).collect();
        let threads = (0..2 + self.below(2)).map(|_| (0..1 + self.below(4)).map(|_| self.op(keeps, budget)).collect());
        let threads = threads.collect();
        Program { budget, warm, cold, keeps, setup, threads }
    }
}

/// Values are their weights.
type Store = TierStore<u32, u64, BuildHasherDefault<DefaultHasher>>;

fn run(store: &Store, ops: &[Op], program: &Program) {
    // What this thread has stored, and nothing takes away where the program keeps.
    let (mut mine, mut versions) = (Vec::new(), HashMap::new());
    for &op in ops {
        match op {
            Op::Store(key, weight) => {
                let stored = store.store(key, weight).unwrap();
                assert!(stored.tier != Tier::Hot || weight <= program.budget);
                versions.insert(key, stored.version);
                mine.push(key);
            }
            Op::StoreAll(key, more, weight) => {
                let all = (key..=key + more).map(|key| (key % 5, (weight + u64::from(key)) % (program.budget + 2)));
                let stored = store.store_all(all.clone());
                assert_eq!((stored.stored, stored.refused.len()), (more as usize + 1, 0));
                for (key, _) in all {
                    versions.remove(&key);
                    mine.push(key);
                }
            }
            Op::StoreIfAbsent(key, weight) => match store.store_if_absent(key, weight) {
                Ok(stored) => {
                    assert!(stored.replaced.is_none());
                    versions.insert(key, stored.version);
                    mine.push(key);
                }
                Err(refused) => assert!(matches!(refused.reason, StoreIfAbsentRefusal::Present { .. })),
            },
            Op::GetOrStore(key, weight) => {
                let fragment = store.get_or_store_with(key, || weight).unwrap().into_fragment();
                versions.insert(key, fragment.version);
                mine.push(key);
            }
            Op::ReplaceIf(key, weight) => {
                let Some(old) = versions.get(&key) else { continue };
                if let Ok(stored) = store.replace_if(key, old, weight) {
                    assert!(stored.replaced.is_some() && stored.version != *old);
                    versions.insert(key, stored.version);
                }
            }
            Op::Update(key, more) => {
                let mut given = None;
                let updated = store.update(key, |old| {
                    given = Some(*old);
                    (old + more) % (program.budget + 1)
                });
                match updated {
                    Ok(stored) => assert_eq!(stored.replaced, given, "made of another than it has replaced"),
                    Err(_) => assert!(!program.keeps || !mine.contains(&key), "a present key was missed"),
                }
            }
            Op::Get(key) => {
                let got = store.get(&key);
                assert!(!program.keeps || !mine.contains(&key) || got.is_some(), "a present key was missed");
            }
            Op::Promote(key, tier) => drop(store.promote_to(&key, tier)),
            Op::Demote(key, tier) => drop(store.demote_to(&key, tier)),
            Op::Evict(tier) => drop(store.evict_lru(tier)),
            Op::Remove(key) => drop(store.remove(&key)),
            Op::Budget(budget) => drop(store.set_hot_budget(budget).unwrap()),
            Op::Keep(key) => {
                let kept = store.keep(&key);
                assert!(!program.keeps || !mine.contains(&key) || kept.is_ok(), "a present key was missed");
            }
            Op::LetGo(key) => _ = store.let_go(&key),
            Op::Scan(tier) => {
                let mut keys: Vec<u32> = store.iter(tier).map(|item| item.key).collect();
                keys.sort_unstable();
                keys.dedup_by(|a, b| {
                    assert_ne!(a, b, "a key was met twice");
                    false
                });
            }
            Op::Snapshot => {
                let snapshot = store.snapshot();
                let shown: HashSet<u32> = snapshot.iter().map(|(_, item)| item.key).collect();
                assert_eq!(shown.len(), snapshot.len(), "a key is shown twice");
                assert!(!program.keeps || mine.iter().all(|key| shown.contains(key)), "a present key is not shown");
                assert!(snapshot.bytes(Tier::Hot) <= program.budget, "it shows more than any budget was");
            }
            Op::Leave(most) => {
                let leaving = store.start_leaving(Capacity::entries(most));
                leaving.iter().for_each(|leaving| _ = store.finish_leaving(leaving));
            }
        }
        assert!(store.hot_bytes() <= program.budget, "over every budget that was in force");
    }
}

/// Of each fragment that has left, the listener was told once, and why.
fn told_once(store: &Store, told: &[(Version, Cause)]) {
    let metrics = store.metrics();
    let standing: u64 = Tier::ALL.map(|tier| store.len(tier)).iter().sum();
    assert_eq!(told.len() as u64 + standing, metrics.stores, "told of {told:?}");
    let of = |asked: Cause| told.iter().filter(|(_, cause)| *cause == asked).count() as u64;
    assert_eq!((of(Cause::Overflowed), of(Cause::Replaced)), (metrics.overflowed, metrics.replacements));
    assert_eq!(of(Cause::Archived), metrics.archived);
    let versions: HashSet<_> = told.iter().map(|(version, _)| version).collect();
    assert_eq!(versions.len(), told.len(), "told twice");
}

fn execute(program: &Program) {
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let list = Arc::clone(&told);
    let store: Arc<Store> = Arc::new(
        TierStore::builder(program.budget)
            .weigher(|_: &u32, weight: &u64| *weight)
            .warm_capacity(program.warm)
            .cold_capacity(program.cold)
            // Nothing of the scheduler's is used within it.
            .listener(move |gone| list.lock().unwrap().push((gone.version, gone.cause)))
            // Not seeded, so that what fails fails again.
            .hasher(BuildHasherDefault::default())
            .build()
            .unwrap(),
    );
    run(&store, &program.setup, program);
    let threads: Vec<_> = program
        .threads
        .iter()
        .cloned()
        .map(|ops| {
            let (store, program) = (Arc::clone(&store), program.clone());
            thread::spawn(move || run(&store, &ops, &program))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    validate(&store);
    told_once(&store, &told.lock().unwrap());
    for key in 0..5 {
        let _ = store.let_go(&key);
    }
    validate(&store);
    // Alone again, nothing is contended: no reservation was leaked.
    store.set_hot_budget(program.budget).unwrap();
    for key in 0..5 {
        let stored = store.store(key, program.budget).unwrap();
        assert!(stored.tier == Tier::Hot && !stored.contended, "contended alone");
    }
    validate(&store);
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs random programs, each under many random schedules. `PROGRAMS`, `SCHEDULES` and `SEED` say how many, and which.
pub fn run_under_random_schedules<P: Clone + Debug + Send + Sync + 'static>(
    default_seed: u64,
    make: impl Fn(&mut Random) -> P,
    execute: fn(&P),
) {
    let (programs, schedules) = (setting("PROGRAMS", 1_500), setting("SCHEDULES", 60));
    let seed = setting("SEED", default_seed);
    let schedules = usize::try_from(schedules).unwrap();
    for number in 0..programs {
        let mut random = Random((seed + number).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        (0..8).for_each(|_| _ = random.below(2));
        let program = make(&mut random);
        let mut config = Config::new();
        config.failure_persistence = FailurePersistence::None;
        config.stack_size = 1 << 20;
        let result = catch_unwind(AssertUnwindSafe(|| {
            let (by_chance, by_priority) = (program.clone(), program.clone());
            Runner::new(RandomScheduler::new_from_seed(seed + number, schedules), config.clone())
                .run(move || execute(&by_chance));
            Runner::new(PctScheduler::new_from_seed(seed + number, 3, schedules), config)
                .run(move || execute(&by_priority));
        }));
        assert!(result.is_ok(), "SEED={} PROGRAMS=1 fails: {program:?}", seed + number);
    }
}

#[test]
fn random_programs_under_random_schedules() {
    run_under_random_schedules(0x9E37_79B9, Random::program, execute);
}
