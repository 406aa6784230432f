//! What a history is made of, and how one is recorded.
//!
//! Keys hesitate: on a thread that records, hashing and comparing them now and then yields the processor, which happens in the middle of
//! calls. On few processors threads would seldom meet there by themselves.

use std::cell::{Cell, RefCell};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::yield_now;

use tierstack::{Capacity, TierStore, Version};

use crate::common::FewHashes;
use crate::model::versions::foreign;
use crate::model::{self, Model, Weigh};

/// A number below [`Key::MOST`].
#[derive(Clone, Copy, Debug, PartialOrd, Eq, Ord)]
pub struct Key(pub u8);

/// No two stores of a history store the same: so a value names a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value {
    pub number: u32,
    pub weight: u64,
}

pub type Operation = model::Operation<Key, Value>;
pub type Outcome = model::Outcome<Key, Value>;
pub type Board = Model<Key, Value>;
pub type Store = TierStore<Key, Value, FewHashes>;

/// A call that returned.
#[derive(Clone, Debug)]
pub struct Call {
    pub operation: Operation,
    pub answer: Outcome,
    /// That of what it stores, or would have stored.
    pub version: Version,
    /// What the listener was given within the call.
    pub overflow: Vec<(Key, Value)>,
    pub invoked: u64,
    pub returned: u64,
}

/// The bounds of a store.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub budget: u64,
    pub warm: Capacity,
    pub cold: Capacity,
}

thread_local! {
    /// Of so many hashes and comparisons of keys one yields; 0: none.
    static HESITATION: Cell<u32> = const { Cell::new(0) };
    static HASTE: Cell<u32> = const { Cell::new(0) };
    static OVERFLOW: RefCell<Vec<(Key, Value)>> = const { RefCell::new(Vec::new()) };
}

/// Has keys hesitate on this thread, once in so many times, from the `first` on.
pub fn hesitate(once_in: u32, first: u32) {
    HESITATION.set(once_in);
    HASTE.set(first);
}

fn pause() {
    let once_in = HESITATION.get();
    if once_in > 0 {
        let haste = HASTE.get();
        HASTE.set(if haste == 0 { once_in - 1 } else { haste - 1 });
        if haste == 0 {
            yield_now();
        }
    }
}

impl Key {
    pub const MOST: u8 = 8;

    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::MOST).map(Self)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        pause();
        self.0 == other.0
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        pause();
        state.write_u8(self.0);
    }
}

impl Weigh for Value {
    fn weight(&self) -> u64 {
        self.weight
    }
}

impl Setup {
    pub const fn unbounded(budget: u64) -> Self {
        Self { budget, warm: Capacity::UNBOUNDED, cold: Capacity::UNBOUNDED }
    }

    pub fn model(&self) -> Board {
        Model::new(self.budget, self.warm, self.cold)
    }

    /// A store whose keys have so many hashes: where that is few, more comparisons are needed.
    pub fn store(&self, hashes: u64) -> Store {
        TierStore::<Key, Value>::builder(self.budget)
            .weigher(|_, value| value.weight)
            .warm_capacity(self.warm)
            .cold_capacity(self.cold)
            .listener_causes([tierstack::Cause::Overflowed])
            .listener(|gone| OVERFLOW.with_borrow_mut(|overflow| overflow.push((*gone.key, *gone.value))))
            .hasher(FewHashes(hashes))
            .build()
            .expect("small bounds")
    }
}

/// Gives out ticks.
#[derive(Debug, Default)]
pub struct Clock(AtomicU64);

impl Clock {
    fn tick(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// One thread's calls.
#[derive(Debug)]
pub struct Log<'a> {
    clock: &'a Clock,
    pub calls: Vec<Call>,
}

impl<'a> Log<'a> {
    pub fn new(clock: &'a Clock) -> Self {
        Self { clock, calls: Vec::new() }
    }

    pub fn call(&mut self, store: &Store, operation: Operation) {
        let invoked = self.clock.tick();
        let answer = operation.ask::<Key, _>(store);
        let returned = self.clock.tick();
        let overflow = OVERFLOW.take();
        let version = answer.chosen().unwrap_or_else(foreign);
        self.calls.push(Call { operation, answer, version, overflow, invoked, returned });
    }
}
