//! What a log of changes can do, and what is recorded in it.

use std::fmt::Debug;

/// What is recorded. `Copy`, so that `Mutex<Vec>` can copy itself as fast as memory goes.
pub trait Payload: Copy + Debug + Ord + Send + Sync + 'static {
    const NAME: &'static str;

    fn of(number: u64) -> Self;
}

impl Payload for u64 {
    const NAME: &'static str = "u64";

    #[inline]
    fn of(number: u64) -> Self {
        number
    }
}

/// About what a `Change` weighs, without what it has on the heap.
pub type Large = [u64; 25];

impl Payload for Large {
    const NAME: &'static str = "200B";

    #[inline]
    fn of(number: u64) -> Self {
        [number; 25]
    }
}

/// The name of a changeset: threads have 1 and up.
pub type Id = u64;

/// What a peer keeps of a change. The place at which it stands is its sequence number, and costs no room.
#[derive(Clone, Copy)]
pub struct Entry<P> {
    pub changeset: Id,
    pub payload: P,
}

/// A change as a reader of a snapshot sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen<P> {
    pub changeset: Id,
    pub number: u64,
    pub payload: P,
}

/// A log of changes in one order, shared by the threads of a run.
pub trait Log<P: Payload>: Sync + Sized {
    /// What one thread records through.
    type Changeset<'l>
    where
        Self: 'l;

    /// What does not change any more, for as long as it is kept.
    type Snapshot<'l>
    where
        Self: 'l;

    fn name() -> String;

    /// An empty log, without room made beforehand.
    fn new() -> Self;

    /// A changeset for one thread; `id` is given to those who do not name changesets themselves.
    fn start(&self, id: Id) -> Self::Changeset<'_>;

    /// Appends a change and returns its sequence number.
    fn record(&self, changeset: &Self::Changeset<'_>, payload: P) -> u64;

    /// All that has been recorded so far.
    fn snapshot(&self) -> Self::Snapshot<'_>;

    /// The changes in a snapshot, the oldest first.
    fn read(snapshot: &Self::Snapshot<'_>) -> Vec<Seen<P>>;
}
