//! The context of one plan.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rand::Rng;
use rand::rngs::SmallRng;
use tierstack::{Capacity, Change, ChangesetHandle, PlanContext, Tier, TierStore};

/// What hot holds of a plan at most, in bytes: what goes into its next prompt.
const HOT: u64 = 16 << 10;
/// What warm and cold hold.
const BELOW: u64 = 24 << 10;
/// All that the fragments of one plan may weigh.
pub const BOUND: u64 = HOT + 2 * BELOW;
/// Fragments that a plan asks for.
const FRAGMENTS: u32 = 256;
/// What a fragment costs beside its text.
const OVERHEAD: u64 = 64;
/// Records after which a plan has come to its end: its audit trail grows with each.
const RECORDS: usize = 400;

static ALIVE: AtomicU64 = AtomicU64::new(0);

/// The text of a fragment, which is counted while it is alive.
#[derive(Debug)]
pub struct Fragment(Box<str>);

impl Fragment {
    pub fn new(text: String) -> Self {
        ALIVE.fetch_add(1, Relaxed);
        Self(text.into())
    }

    /// How many there are in the process.
    pub fn alive() -> u64 {
        ALIVE.load(Relaxed)
    }
}

impl Drop for Fragment {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Relaxed);
    }
}

/// What a request has done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    pub requests: u64,
    pub calls: u64,
    /// Plans that have come to their end.
    pub ended: u64,
    /// Answers that there should not be.
    pub failures: u64,
}

impl Done {
    pub fn add(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            calls: self.calls + other.calls,
            ended: self.ended + other.ended,
            failures: self.failures + other.failures,
        }
    }
}

/// A store and a plan.
pub struct Context {
    number: u64,
    pub store: TierStore<u32, Arc<Fragment>>,
    plan: PlanContext,
}

impl Context {
    /// Whatever is asked of it, its fragments weigh no more than [`BOUND`]: what overflows hot goes to warm, what overflows warm goes to cold, and what overflows
    /// cold leaves the store.
    pub fn new(number: u64) -> Self {
        let store = TierStore::builder(HOT)
            .weigher(|_, fragment: &Arc<Fragment>| fragment.0.len() as u64 + OVERHEAD)
            .warm_capacity(Capacity::bytes(BELOW))
            .cold_capacity(Capacity::bytes(BELOW))
            .build()
            .expect("the budget is far below the largest");
        Self { number, store, plan: PlanContext::new() }
    }

    /// A step of the plan: it reads some fragments, loads what is not there, and records what it has changed, in a changeset of its own.
    pub fn request(&self, random: &mut SmallRng) -> Done {
        let mut done = Done { requests: 1, ..Done::default() };
        let changeset = self.plan.start_changeset();
        for _ in 0..16 {
            done.calls += 1;
            // Some are asked for much more often than others.
            let key = random.random_range(0..FRAGMENTS) & random.random_range(0..FRAGMENTS);
            match self.store.get(&key) {
                Some(found) if found.tier != Tier::Hot => {
                    done.calls += 1;
                    // Another thread may have pushed it out since; and where others hold the room it stays where it is.
                    let _ = self.store.promote_to(&key, Tier::Hot);
                }
                Some(_) => {}
                None => done = done.add(self.load(key, &changeset, random)),
            }
        }
        done.calls += 2;
        let closed = if random.random_range(0..8) == 0 { changeset.abort() } else { changeset.close() };
        done.failures += u64::from(closed.is_err()) + u64::from(self.store.hot_bytes() > HOT);
        done
    }

    fn load(&self, key: u32, changeset: &ChangesetHandle<Change>, random: &mut SmallRng) -> Done {
        let text = format!("fragment {key} of plan {}: ", self.number).repeat(random.random_range(1..24));
        let stored = self.store.store(key, Arc::new(Fragment::new(text)));
        let recorded = changeset.record(Change::create(format!("fragments/{key}"), None));
        Done { calls: 2, failures: u64::from(stored.is_err()) + u64::from(recorded.is_err()), ..Done::default() }
    }

    /// Whether the plan has come to its end.
    pub fn has_ended(&self) -> bool {
        self.plan.snapshot().audit().len() >= RECORDS
    }
}
