//! A sequence behind a mutex: `Vec`, `rpds::StackSync` or `imbl::Vector`, behind `parking_lot`'s or `std`'s.
//!
//! A snapshot of a `Vec` is a copy of all, made under the lock; of the other two a clone of the handle. imbl stands
//! for `im` as well, of which it is the maintained fork.

use std::{marker::PhantomData, ops::DerefMut};

use imbl::Vector;
use rpds::StackSync;

use crate::log::{Entry, Id, Log, Payload, Seen};

pub trait Mutex<T>: Send + Sync {
    const NAME: &'static str;

    fn new(value: T) -> Self;
    fn lock(&self) -> impl DerefMut<Target = T>;
}

pub type ParkingLot<T> = parking_lot::Mutex<T>;
pub type Std<T> = std::sync::Mutex<T>;

impl<T: Send> Mutex<T> for ParkingLot<T> {
    const NAME: &'static str = "pl";

    fn new(value: T) -> Self {
        Self::new(value)
    }

    #[inline]
    fn lock(&self) -> impl DerefMut<Target = T> {
        self.lock()
    }
}

impl<T: Send> Mutex<T> for Std<T> {
    const NAME: &'static str = "std";

    fn new(value: T) -> Self {
        Self::new(value)
    }

    #[inline]
    fn lock(&self) -> impl DerefMut<Target = T> {
        self.lock().expect("nobody panics with the lock")
    }
}

/// What a mutex guards. Its clone is a snapshot.
pub trait Sequence<P>: Clone + Send {
    const NAME: &'static str;

    fn empty() -> Self;
    /// Appends an entry and returns how many there are.
    fn append(&mut self, entry: Entry<P>) -> usize;
    /// The entries, the oldest first.
    fn entries(&self) -> Vec<Entry<P>>;
}

impl<P: Payload> Sequence<P> for Vec<Entry<P>> {
    const NAME: &'static str = "vec";

    fn empty() -> Self {
        Self::new()
    }

    #[inline]
    fn append(&mut self, entry: Entry<P>) -> usize {
        self.push(entry);
        self.len()
    }

    fn entries(&self) -> Vec<Entry<P>> {
        self.clone()
    }
}

impl<P: Payload> Sequence<P> for StackSync<Entry<P>> {
    const NAME: &'static str = "rpds";

    fn empty() -> Self {
        Self::new_sync()
    }

    #[inline]
    fn append(&mut self, entry: Entry<P>) -> usize {
        self.push_mut(entry);
        self.size()
    }

    fn entries(&self) -> Vec<Entry<P>> {
        let mut entries: Vec<_> = self.iter().copied().collect();
        entries.reverse();
        entries
    }
}

impl<P: Payload> Sequence<P> for Vector<Entry<P>> {
    const NAME: &'static str = "imbl";

    fn empty() -> Self {
        Self::new()
    }

    #[inline]
    fn append(&mut self, entry: Entry<P>) -> usize {
        self.push_back(entry);
        self.len()
    }

    fn entries(&self) -> Vec<Entry<P>> {
        self.iter().copied().collect()
    }
}

/// A sequence `S` behind a mutex `M`.
pub struct Locked<S, M> {
    log: M,
    sequence: PhantomData<fn() -> S>,
}

impl<P: Payload, S: Sequence<P>, M: Mutex<S>> Log<P> for Locked<S, M> {
    type Changeset<'l>
        = Id
    where
        Self: 'l;
    type Snapshot<'l>
        = S
    where
        Self: 'l;

    fn name() -> String {
        format!("{}_{}", S::NAME, M::NAME)
    }

    fn new() -> Self {
        Self { log: M::new(S::empty()), sequence: PhantomData }
    }

    fn start(&self, id: Id) -> Id {
        id
    }

    #[inline]
    fn record(&self, &changeset: &Id, payload: P) -> u64 {
        self.log.lock().append(Entry { changeset, payload }) as u64
    }

    #[inline]
    fn snapshot(&self) -> S {
        self.log.lock().clone()
    }

    fn read(snapshot: &S) -> Vec<Seen<P>> {
        let entries = (1..).zip(snapshot.entries());
        entries.map(|(number, Entry { changeset, payload })| Seen { changeset, number, payload }).collect()
    }
}
