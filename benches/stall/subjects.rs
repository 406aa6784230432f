//! Where a thread of each subject can be stopped.

use std::{
    borrow::Borrow,
    cell::{Cell, RefCell},
    hash::{Hash, Hasher as StdHasher},
};

use tierstack::{Tier, TierStore};
use tierstack_benches::{
    subject::{Bounds, Hasher, Session, Subject},
    subjects::{CoarseLock, ReadWriteLock, StdLock},
    workload::KEY_BYTES,
};

const EACH: u64 = KEY_BYTES as u64 + 8;

/// A subject of which a thread can be stopped in the middle of an operation.
pub trait Stallable: Sync {
    const NAME: &'static str;

    /// With room in hot for so many fragments, and in warm for all.
    fn with_room_for(hot: u64, all: u64) -> Self;

    /// Whether it was there.
    fn get(&self, key: &str) -> bool;

    fn store(&self, key: String, value: u64);

    /// Calls `meanwhile` in the middle of an operation, and ends that after it. To be called while nobody else is in an
    /// operation; others may begin as soon as `meanwhile` is called.
    fn stall(&self, meanwhile: impl FnOnce() + 'static);

    /// The bytes that have left and are not freed, where a subject frees later.
    fn retired_bytes(&self) -> u64 {
        0
    }

    /// How many `store`s did not go to hot as others held the room, where there is such a thing.
    fn contended(&self) -> u64 {
        0
    }
}

/// A lock's thread is stopped while it holds the lock.
macro_rules! stall_under_lock {
    ($($lock:ident),*) => {$(
        impl Stallable for $lock<u64> {
            const NAME: &'static str = <Self as Subject<u64>>::NAME;

            fn with_room_for(hot: u64, all: u64) -> Self {
                Self::new(Bounds::hot_and_warm(hot, all, EACH))
            }

            fn get(&self, key: &str) -> bool {
                Session::get(&mut self.session(), key)
            }

            fn store(&self, key: String, value: u64) {
                Session::store(&mut self.session(), key, value);
            }

            fn stall(&self, meanwhile: impl FnOnce()) {
                self.locked(meanwhile);
            }
        }
    )*};
}

stall_under_lock!(CoarseLock, StdLock, ReadWriteLock);

/// What a thread is to do when its `Eq` compares two keys that collide.
struct Due {
    /// So many comparisons from now.
    after: u64,
    then: Box<dyn FnOnce()>,
}

thread_local! {
    static DUE: RefCell<Option<Due>> = const { RefCell::new(None) };
    /// The comparisons of keys that collide, so far.
    static COMPARED: Cell<u64> = const { Cell::new(0) };
}

/// A key whose `Eq` can stop the thread that calls it.
#[derive(Clone, Eq)]
struct Key(String);

impl Key {
    /// All that begin so have one hash, so that one is compared with the other wherever either is looked for.
    const COLLIDES: char = '!';

    fn collides(&self) -> bool {
        self.0.starts_with(Self::COLLIDES)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        if self.collides() && other.collides() {
            COMPARED.set(COMPARED.get() + 1);
            let due = DUE.with_borrow_mut(|due| {
                let now = due.as_mut().is_some_and(|due| {
                    due.after -= 1;
                    due.after == 0
                });
                if now { due.take() } else { None }
            });
            if let Some(due) = due {
                (due.then)();
            }
        }
        self.0 == other.0
    }
}

impl Hash for Key {
    fn hash<H: StdHasher>(&self, state: &mut H) {
        let hashed = if self.collides() { &self.0[..Self::COLLIDES.len_utf8()] } else { &self.0 };
        hashed.hash(state);
    }
}

/// Only keys that do not collide are looked up by their text.
impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

type Store = TierStore<Key, u64, Hasher>;

/// As a value: the fragment weighs as much as hot may hold.
const HEAVIEST: u64 = u64::MAX;

/// tierstack, with a thread that stops in a `store`: of a fragment like all others, or of one as heavy as the hot budget.
pub struct InEq<const ALL_OF_HOT: bool>(Store);

impl<const ALL_OF_HOT: bool> InEq<ALL_OF_HOT> {
    /// With nobody else at work: that it stops at the last comparison of all, which is followed by the publication.
    pub fn check() {
        let subject = Self::with_room_for(64, 128);
        for value in 0..128 {
            subject.store(format!("key {value}"), value);
        }
        subject.stall(|| COMPARED.set(0));
        assert_eq!(COMPARED.get(), 0, "{}: it stops where it has compared for the last time", Self::NAME);
    }
}

impl<const ALL_OF_HOT: bool> Stallable for InEq<ALL_OF_HOT> {
    const NAME: &'static str = if ALL_OF_HOT { "tierstack_all_of_hot" } else { "tierstack" };

    fn with_room_for(hot: u64, _: u64) -> Self {
        let store = TierStore::builder(hot * EACH)
            .weigher(move |_: &Key, value: &u64| if *value == HEAVIEST { hot * EACH } else { EACH })
            .hasher(Hasher::default())
            .build()
            .expect("the budget is far below the largest");
        // What the stopped thread's key is compared with. In warm, so that it is no part of what is evicted.
        let there = Key(format!("{}there", Key::COLLIDES));
        assert!(store.store(there.clone(), 0).is_ok() && store.demote(&there).is_some());
        Self(store)
    }

    fn get(&self, key: &str) -> bool {
        self.0.get(key).is_some()
    }

    fn store(&self, key: String, value: u64) {
        assert!(self.0.store(Key(key), value).is_ok(), "no weight is above the limit");
    }

    fn stall(&self, meanwhile: impl FnOnce() + 'static) {
        let (budget, held) = (self.0.hot_budget(), self.0.hot_bytes());
        let (weight, value) = if ALL_OF_HOT { (budget, HEAVIEST) } else { (EACH, 0) };
        let key = Key(format!("{}stops", Key::COLLIDES));
        // A look-up in vain compares once, or twice where the first look at a line of cells does not tell.
        COMPARED.set(0);
        assert!(!self.0.contains(&key), "it was not stored yet");
        let look_up = COMPARED.get();
        // Keys are compared where the key is first looked for, then before each of the evictions that make room, then where
        // the fragment is about to be published, with the room reserved: there it stops.
        let evictions = weight.saturating_sub(budget - held).div_ceil(EACH);
        DUE.set(Some(Due { after: look_up * (evictions + 1) + 1, then: Box::new(meanwhile) }));
        let stored = self.0.store(key, value);
        assert!(DUE.take().is_none(), "it was stopped");
        assert!(stored.is_ok_and(|stored| stored.tier == Tier::Hot), "it has had the room since before it stopped");
    }

    fn retired_bytes(&self) -> u64 {
        self.0.metrics().retired_bytes
    }

    fn contended(&self) -> u64 {
        self.0.metrics().contended
    }
}
