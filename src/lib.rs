//! A lock-free, linearizable three-tier fragment store with a strict hot-tier byte budget, and the changesets of a plan.
//!
//! An agent's context is kept in three tiers: *hot* is what goes into the next prompt, under a strict byte budget; *warm* and
//! *cold* are what overflowed. Many strategies run in parallel over that one context: they read, they promote what they pick and
//! demote what they reject, while others go on storing. [`TierStore`] is that context as one concurrent structure: nothing is lost, the
//! budget is never passed, and no thread ever waits for another.
//!
//! ```
//! use std::sync::Arc;
//! use tierstack::{Tier, TierStore};
//!
//! let store: TierStore<String, Arc<str>> =
//!     TierStore::builder(20).weigher(|_, text: &Arc<str>| text.len() as u64).build()?;
//!
//! store.store("goal".into(), "find the bug".into())?; // 12 bytes, hot
//! store.store("note".into(), "it is in main".into())?; // 13 bytes: "goal" makes room
//! assert_eq!(store.tier_of("goal"), Some(Tier::Warm));
//!
//! let view = store.pin(); // lends `&V`, and pays the pin once
//! assert_eq!(&**view.get("goal").unwrap().value, "find the bug");
//! view.promote("goal")?; // hot again: "note" makes room
//! assert_eq!(store.hot_bytes(), 12);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What the strategies change is recorded in changesets. [`PlanContext`] keeps them: each change lands in exactly the changeset that its
//! strategy holds, or that is on top at that instant, whoever starts and closes others meanwhile.
//!
//! ```
//! use tierstack::{Change, PlanContext};
//!
//! let plan = PlanContext::new();
//! let mine = plan.start_changeset();
//! let theirs = plan.start_changeset(); // on top now
//! mine.record(Change::create("notes.md", None))?;
//! plan.record_change(Change::delete("old.md", None))?; // into what is on top
//! theirs.abort()?;
//!
//! let snapshot = plan.snapshot(); // O(1), and never changes
//! assert_eq!(snapshot.diff().changes()[0].path, "notes.md");
//! assert_eq!(snapshot.audit().len(), 5); // what was aborted is in the trail
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//!
//! - **One place.** A key that is present is in exactly one tier at every instant. No reader misses a present key, or sees it twice,
//!   while it moves, is replaced or is evicted.
//! - **The budget.** The weights of the hot fragments never add up to more than the hot budget, at any instant, not only after a call
//!   has returned. (While a call that lowers the budget runs, or a call that held a reservation then, the old one is the bound.)
//! - **Nothing is lost.** Overflow demotes. A fragment leaves the store only by `remove`, by replacement, or out of the bottom of
//!   cold, and then it is handed to the caller or to the overflow hook. A capacity pushes out no more than it must.
//! - **Exact LRU.** With no overlapping call the victim is exactly the tier's least recently used fragment. Under overlap no
//!   fragment that stood there, older and unused, from the start of the call to the move is passed over; and a `get` that has
//!   returned makes a move fail that was decided before it.
//! - **Linearizable.** Every operation on a key takes effect at one instant, which its documentation names. Two things are steps of their
//!   own within the call: the demotions that a `store` or `promote` causes, and the instant that fixes a use's place in the recency order.
//! - **The right changeset.** A change lands in the changeset that is on top, or open, at one instant: from the instant of a
//!   [`start_changeset`](PlanContext::start_changeset) to that of the next start, close, abort or roll-back, every ambient record is in that one.
//!   With none open it is an error, which hands the change back. A snapshot never changes.
//! - **Lock-free.** No mutex, condition variable, wait loop, yield or sleep: a thread that is stopped at any instruction stops nobody
//!   else.
//!
//! # What is not guaranteed
//!
//! - *What left the store is not always freed at once*: see [reclamation](#reclamation).
//! - *Iteration and counts* are exact at rest only: see [`TierStore::iter`], [`TierStore::len`], [`TierStore::metrics`].
//! - *A plan keeps all of its events*, the rolled back ones too, for as long as it or a later snapshot lives: they are its audit trail.
//! - *Fairness*: lock-free is not wait-free. A call can be overtaken again and again by others that make progress.
//! - *Contention has an answer*: a `store` that finds the room it needs held by operations in flight goes to warm and
//!   [says so](Stored::contended), and a `promote` returns [`PromoteError::Contended`], rather than wait.
//! - The default hasher is fast and randomly seeded, and not meant to withstand keys chosen to collide.
//!
//! # Reclamation
//!
//! What left the store is freed when nobody can be reading it any more.
//!
//! | what | when it is dropped |
//! |---|---|
//! | a [heavy](HEAVY) value that an owned operation or a capacity ended, while the store had no [`View`] | at once, when the last owned operation that reads it is done |
//! | every other key and value | when every thread that was pinned then has unpinned, by a later operation of any store |
//! | the memory around it, about a hundred bytes | when that has come to pass once more |
//! | what a dropped store holds | at once |
//!
//! - *A thread that stays pinned delays all of this*, in every store of the process; it delays no operation. A thread is pinned while it holds a
//!   [`View`], and within each call. [`Metrics::retired_bytes`] says how much waits. Where more threads churn than there are cores, some of
//!   them are always descheduled within a call, and the dead can outweigh the living.
//! - *Nothing runs in the background.* In a program that falls idle, the last light values stay, up to some hundred for each thread,
//!   until somebody goes on. [`TierStore::flush`] frees them.
//! - *After a `fork`* the child has only the thread that forked. A thread of the parent that was pinned at that instant stays pinned in the
//!   child for ever. Then the child frees nothing but heavy values and dropped stores, and its memory grows with what it retires. So
//!   fork while no thread holds a view or is within a call, or replace the child by another program at once (`exec`).
//! - *Destructors* of keys, values, hooks and weighers run on the thread that frees them, whichever it is. They may use any store. They never
//!   run within each other: what one of them gives up comes after it. A store that a destructor drops, say, is emptied when the
//!   destructor has returned. A panic of a destructor ends there. A plan that is owned by a change of another plan is dropped within that one's
//!   drop, as boxes are, and so is a store that is owned by a hasher.
//!
//! What is lock-free here rests on [arc-swap], [crossbeam-epoch] and [crossbeam-skiplist], which are, and on the allocator, which may not be.
//!
//! # The race that users will write
//!
//! ```
//! # use tierstack::{Tier, TierStore};
//! # let store = TierStore::<&str, u32>::new(1024)?;
//! # store.store("key", 1)?;
//! if store.tier_of("key") == Some(Tier::Hot) {
//!     // Somebody else may have demoted or removed it by now: each call is one instant, two calls are two.
//!     assert!(store.get("key").is_some_and(|fragment| fragment.value == 1));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Act on what one call returned ([`get`](TierStore::get) says the tier, [`promote`](TierStore::promote) says from where to where) rather
//! than on what an earlier call saw. So also [`current`](PlanContext::current): to record into the changeset on top, let
//! [`record_change`](PlanContext::record_change) find it. Read, change and store back is not one step either: two who do so overwrite each other. These are one step:
//!
//! | instead of | call |
//! |---|---|
//! | `if !contains { store }` | [`store_if_absent`](TierStore::store_if_absent) |
//! | `get`, or else make and `store` | [`get_or_store_with`](TierStore::get_or_store_with) |
//! | `get`, then `store` what was made of it, at once | [`update`](TierStore::update) |
//! | the same, much later, or by somebody else | [`replace_if`](TierStore::replace_if), with the [`Version`] that was read |
//!
//! ```
//! # use tierstack::TierStore;
//! let store = TierStore::<&str, String>::new(1024)?;
//! store.store("text", "a long text".into())?;
//!
//! let text = store.get("text").expect("stored above");
//! let summary = text.value.to_uppercase(); // takes a while
//! store.store("text", "a newer text".into())?; // meanwhile, by another
//! assert!(store.replace_if("text", &text.version, summary).is_err()); // the newer text stays
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # When something else is the better choice
//!
//! With one thread, or with calls so rare that they never meet, `lru::LruCache`s behind one mutex are simpler, and their `store` is
//! faster. Without tiers and where a budget may be passed for a moment, a cache such as `moka` or `quick_cache` evicts by better policies
//! than LRU and needs less memory for each entry.
//!
//! # How it works
//!
//! Each fragment's node has a *place word*, one atomic that says everything about where it is; every move is one CAS of it. A lock-free
//! open-addressing index finds nodes, a chunked skip list for each tier lists them by recency, and both are hints that the word overrules.
//! Bytes of hot are reserved before a fragment becomes hot and released after it has left. The protocols stand at the heads of the modules.
//!
//! A plan is a persistent stack of versions: records are pushed onto the newest one's log, and a start, close, abort or roll-back seals that log
//! and publishes the next version; either is one CAS of the same word.
//!
//! [`docs::proof`] says in outline why all this holds, and what checks it.
//!
//! [arc-swap]: https://docs.rs/arc-swap
//! [crossbeam-epoch]: https://docs.rs/crossbeam-epoch
//! [crossbeam-skiplist]: https://docs.rs/crossbeam-skiplist

// The parts are public only to their models and fuzz targets.
#![cfg_attr(any(tierstack_loom, tierstack_shuttle, fuzzing), allow(missing_docs))]

// Under its own name too, for what the tests from within share with those from without.
#[cfg(all(test, tierstack_shuttle))]
extern crate self as tierstack;

mod changeset;
pub mod docs;
mod drops;
mod engine;
mod failpoint;
mod store;
mod sync;
mod tier;

pub use changeset::{
    Audit, Change, Changes, ChangesetHandle, ChangesetId, ChangesetView, Conflict, Content, Diff, Digest, Event,
    EventKind, NetChange, NetOperation, NotOpen, Operation, ParseDigestError, ParseIdError, PlanContext, Record,
    RecordError, RecordRefusal, Recorded, RecordedAll, ReplayError, ReplayRefusal, Savepoint, SavepointError, Sequence,
    Side, Snapshot, StaleBase, Staleness, Status,
};
pub use engine::budget::MAX_BYTES;
pub use engine::census::Capacity;
pub use engine::claim::HEAVY;
pub use store::{
    BudgetError, BuildError, Builder, DefaultHasher, Departure, Evicted, Fragment, GetOrStored, Item, Metrics, Moved,
    PromoteError, Refusal, ReplaceIfRefusal, StoreError, StoreIfAbsentRefusal, Stored, TierMetrics, TierStore,
    UpdateRefusal, Version, View,
};
pub use tier::Tier;

/// The parts, for models and fuzz targets of them. Not there without the model checkers' and the fuzzer's cfg flags.
#[cfg(any(tierstack_loom, tierstack_shuttle, fuzzing))]
#[doc(hidden)]
pub mod internals {
    pub use crate::engine::budget::{Budget, Reservation};
    pub use crate::engine::census::{Census, Tally};
    pub use crate::engine::claim::{Claims, Left, Views};
    pub use crate::engine::clock::Clock;
    pub use crate::engine::entries::{Entries, Met, Placement};
    #[cfg(tierstack_loom)]
    pub use crate::engine::index::vector::model::IS_COMPARED;
    pub use crate::engine::index::{Index, Inserted};
    pub use crate::engine::node::{LastUse, Node};
    pub use crate::engine::order::block::{Block, Counted};
    pub use crate::engine::order::page::{Filled, Page};
    pub use crate::engine::order::{FAN, Order, SPAN};
    pub use crate::engine::place::{Outcome, Place, PlaceWord, Standing, State};
    pub use crate::engine::reclaim::flush;
    pub use crate::engine::stats::Stats;
    #[cfg(all(fuzzing, not(test)))]
    pub use crate::failpoint::{Step, watch};
    #[cfg(all(fuzzing, not(test)))]
    pub use crate::store::sweep::validate;
}
