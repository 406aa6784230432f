//! What a subject of the benchmarks can do.

use std::{hint::black_box, sync::Arc};

/// The hasher of every subject.
pub type Hasher = foldhash::fast::RandomState;

/// What is stored. Speed is measured with a `u64`, a handle that costs nothing to clone: most subjects can hand a
/// value out only as a clone, and a reference count shared by all readers would be most of what is measured there.
pub trait Payload: Clone + Send + Sync + 'static {
    /// The bytes that the value stands for.
    fn bytes(&self) -> u64;
    /// Reads from the value what a user of it would read first.
    fn touch(&self);
}

impl Payload for u64 {
    fn bytes(&self) -> u64 {
        8
    }

    #[inline]
    fn touch(&self) {
        black_box(*self);
    }
}

impl Payload for Arc<[u8]> {
    fn bytes(&self) -> u64 {
        self.len() as u64
    }

    #[inline]
    fn touch(&self) {
        black_box(self.first());
    }
}

/// A fragment's weight, for every subject.
#[inline]
pub fn weigh(key: &str, value: &impl Payload) -> u64 {
    key.len() as u64 + value.bytes()
}

/// How much the tiers may hold, in bytes, for fragments of equal weight.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// What hot may hold.
    pub hot: u64,
    /// `None`: unbounded.
    pub warm: Option<u64>,
    /// `None`: unbounded.
    pub cold: Option<u64>,
    /// The weight of one fragment.
    pub each: u64,
    /// How many there will be in all. Only subjects whose constructor asks for a number use it (`quick_cache`, `tiny_ufo`, `scc`'s
    /// caches). All others start small and grow.
    pub fragments: u64,
}

impl Bounds {
    /// Room for twice the fragments in hot: nothing is ever demoted, however a subject splits its budget.
    pub fn all_hot(fragments: u64, each: u64) -> Self {
        Self { hot: 2 * fragments * each, warm: None, cold: None, each, fragments }
    }

    /// Room for `hot` of the fragments in hot, for all others in warm.
    pub fn hot_and_warm(hot: u64, fragments: u64, each: u64) -> Self {
        Self { hot: hot * each, warm: None, cold: None, each, fragments }
    }

    /// `total` bytes: a quarter in hot, a quarter in warm, the rest in cold.
    pub fn quarters(total: u64, each: u64) -> Self {
        let quarter = total / 4;
        let cold = total - 2 * quarter;
        Self { hot: quarter, warm: Some(quarter), cold: Some(cold), each, fragments: total / each }
    }

    /// How many fragments are to be expected in a tier of that bound.
    pub fn expected_in(&self, bound: Option<u64>) -> u64 {
        bound.map_or(self.fragments, |bytes| (bytes / self.each).min(self.fragments))
    }
}

/// What the tiers hold together.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// How many there are.
    pub fragments: u64,
    /// The sum of weights.
    pub bytes: u64,
}

/// A store with a hot, a warm and a cold tier, shared by the threads of a run.
pub trait Subject<V: Payload>: Sync {
    /// As it is called in tables.
    const NAME: &'static str;

    /// Whether it keeps to the bounds of warm and cold.
    const BOUNDED: bool = true;

    /// Whether a fragment is in exactly one tier at every instant, so that others find it while it moves.
    const EXACT: bool = false;

    /// What one thread works through.
    type Session<'s>: Session<V>
    where
        Self: 's;

    /// Empty, and bounded.
    fn new(bounds: Bounds) -> Self;

    /// Bounded, and with these fragments stored, the last of them last.
    fn filled(bounds: Bounds, fragments: impl Iterator<Item = (String, V)>) -> Self
    where
        Self: Sized,
    {
        let subject = Self::new(bounds);
        let mut session = subject.session();
        for (key, value) in fragments {
            session.store(key, value);
        }
        drop(session);
        subject.settle();
        subject
    }

    /// How many fragments it may hold where all tiers are bounded.
    fn most(bounds: &Bounds) -> u64 {
        let tiers = [Some(bounds.hot), bounds.warm, bounds.cold];
        tiers.into_iter().map(|bound| bound.map_or(u64::MAX, |bytes| bytes / bounds.each)).fold(0, u64::saturating_add)
    }

    /// A session for the thread that calls.
    fn session(&self) -> Self::Session<'_>;

    /// Does what the subject has put off: bookkeeping, reclamation.
    fn settle(&self) {}

    /// Exact once the subject is at rest and settled; `None` where it cannot tell.
    fn held(&self) -> Option<Held>;

    /// What hot holds, as far as others can see while threads are at work; `None` where nobody can tell.
    fn hot_bytes(&self) -> Option<u64> {
        None
    }

    /// The most bytes that hot has held, where the subject knows.
    fn peak_hot_bytes(&self) -> Option<u64> {
        None
    }
}

/// A subject in the hands of one thread.
pub trait Session<V> {
    /// Looks a key up in all tiers, counts that as a use, and reads the value. Whether it was there.
    fn get(&mut self, key: &str) -> bool;

    /// Puts a fragment into hot, replacing it in whichever tier it is, and demotes what it displaces.
    fn store(&mut self, key: String, value: V);

    /// Moves a fragment from below to hot, and demotes what it displaces. Whether it did.
    fn promote(&mut self, key: &str) -> bool;

    /// Moves a fragment from hot to warm, and pushes what that displaces down. Whether it did.
    fn demote(&mut self, key: &str) -> bool;

    /// Takes a fragment out, from whichever tier it is in. Whether it was there.
    fn remove(&mut self, key: &str) -> bool;
}
