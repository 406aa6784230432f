//! A lock-free, linearizable three-tier fragment store with a strict hot-tier byte budget, and changesets to record into in parallel.
//!
//! [`TierStore`] keeps the context of a running plan in three tiers. *Hot* goes into the next prompt and has a strict byte budget.
//! *Warm* and *cold* take what does not fit. Many threads read, store, promote and demote at once. No call takes a lock,
//! no fragment is lost, and hot never holds more than its budget.
//!
//! ```
//! use std::sync::Arc;
//! use tierstack::{Tier, TierStore};
//!
//! let store: TierStore<String, Arc<str>> =
//!     TierStore::builder(20).weigher(|_, text: &Arc<str>| text.len() as u64).build()?;
//!
//! store.store("goal".into(), "find the bug".into())?; // 12 bytes: hot
//! store.store("note".into(), "it is in main".into())?; // 13 bytes: hot, and "goal" moves to warm
//! assert_eq!(store.tier_of("goal"), Some(Tier::Warm));
//!
//! let view = store.pin(); // lends `&V`, and pins once for many calls
//! assert_eq!(&**view.get("goal").unwrap().value, "find the bug");
//! view.promote("goal")?; // hot again, and "note" moves to warm
//! assert_eq!(store.hot_bytes(), 12);
//!
//! let hot = store.snapshot_of(Tier::Hot); // as it stands at one instant, while others go on
//! let prompt: String = hot.iter().map(|(_, item)| &*item.value).collect();
//! assert_eq!(prompt, "find the bug");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`PlanContext`] records what the strategies changed, in changesets. Each change lands in the changeset that its strategy holds, or in the
//! one on top at that instant.
//!
//! ```
//! use tierstack::{Change, PlanContext};
//!
//! let plan = PlanContext::new();
//! let mine = plan.start_changeset();
//! let theirs = plan.start_changeset(); // on top now
//! mine.record(Change::create("notes.md", None))?;
//! plan.record_change(Change::delete("old.md", None))?; // goes into the changeset on top
//! theirs.abort()?;
//!
//! let snapshot = plan.snapshot(); // O(1), and never changes
//! assert_eq!(snapshot.diff().changes()[0].path, "notes.md");
//! assert_eq!(snapshot.audit().len(), 5); // the trail keeps what was aborted
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
#![cfg_attr(
    feature = "rayon",
    doc = "[`executor::StrategyExecutor`] runs strategies in parallel over both, each with a changeset of its own.\n"
)]
//! # Guarantees
//!
//! - **One place.** A key that is present is in exactly one tier at every instant. No reader misses a present key or sees it twice
//!   while it moves, is replaced or is evicted.
//! - **The budget.** The weights of the hot fragments never add up to more than the hot budget, at any instant. While a call that lowers the budget
//!   runs, or a call that held a reservation then, the old budget is the bound. Where [kept](TierStore::keep) fragments weigh more than a budget that was set
//!   later, hot holds them and nothing else: never more than the larger of the two.
//! - **Snapshots.** A [`snapshot`](TierStore::snapshot) shows the fragments of all tiers, or of one, as they stood at one instant: each once, in one tier, and in hot
//!   no more than the bound above. It never changes. It delays nobody, and nobody delays it.
//! - **Nothing is lost.** Overflow demotes. A fragment leaves the store only by `remove`, by replacement, by its [age](#ages), to an [archive](TierStore::start_leaving), or out of the bottom of
//!   cold. Then the caller or the listener gets it. A capacity pushes out no more than it must.
//! - **Exact LRU.** With no overlapping call, an eviction takes exactly the tier's least recently used fragment. Under overlap, it passes over no
//!   fragment that stood in the tier, older and unused, from the start of the call to the move. A `get` that has returned makes a move fail
//!   that was decided before it. What is [kept](TierStore::keep) or [leaving](TierStore::start_leaving) for an archive is never taken, and all this is said of the others.
//! - **Linearizable.** Every operation on a key takes effect at one instant, and its documentation names that instant. Two things are steps
//!   of their own within the call: the demotions that a `store` or `promote` causes, and the instant that fixes a use's place in the recency order.
//! - **The right changeset.** A change lands in the changeset that is open, or on top, at one instant. Between the instant of a
//!   [`start_changeset`](PlanContext::start_changeset) and that of the next start, close, abort or roll-back, every ambient record goes into that
//!   changeset. With none open, recording returns an error that holds the change.
//! - **Lock-free.** No mutex, condition variable, wait loop, yield or sleep. A thread that is stopped at any instruction stops nobody else.
//!
//! # What is not guaranteed
//!
//! - *Freeing takes time*: see [reclamation](#reclamation).
//! - *Iteration and counts* are exact at rest only: see [`TierStore::iter`], [`TierStore::len`], [`TierStore::metrics`]. What an iteration over hot yields
//!   beside others can add up to more than the budget: build a prompt from [`snapshot_of`](TierStore::snapshot_of) instead.
//! - *A plan keeps all its events* for as long as it or a later snapshot lives. They are its audit trail.
//! - *Fairness.* Lock-free is not wait-free. Others that make progress can overtake a call again and again.
//! - *Room under contention.* Calls in flight may hold the room that a `store` needs. Then it goes to warm and [says so](Stored::contended). A
//!   `promote` returns [`PromoteError::Contended`]. Neither waits.
//! - *Hostile keys.* The default hasher is fast and seeded at random. Keys chosen to collide make it slow: see [`Builder::hasher`].
//!
//! # Reclamation
//!
//! What left the store is freed when nobody can be reading it any more.
//!
//! | what | when it is dropped |
//! |---|---|
//! | a [heavy](HEAVY) value that an owned operation or a capacity ended while the store had no [`View`] | at once, when the last owned operation that reads it is done |
//! | every other key and value | when every thread that was pinned then has unpinned, by a later operation of any store |
//! | the memory around it, about a hundred bytes | when that has come to pass once more |
//! | what a dropped store holds | at once |
//!
//! - *A thread that stays pinned delays all of this*, in every store of the process. It delays no operation. A thread is pinned while it holds a
//!   [`View`], and inside each call. [`Metrics::retired_bytes`] says how much waits. Where more threads churn than there are cores, some of
//!   them are always descheduled inside a call, and the dead can outweigh the living.
//! - *Nothing runs in the background.* In a program that falls idle, the last light values stay until somebody goes on, up to some hundred for each
//!   thread. [`TierStore::flush`] frees them.
//! - *After a `fork`* the child has only the thread that forked. A thread of the parent that was pinned at that instant stays pinned in the
//!   child for ever. Then the child frees nothing but heavy values and dropped stores, and its memory grows with what it retires. Fork
//!   while no thread holds a view or is inside a call, or replace the child by another program at once (`exec`).
//! - *Destructors* of keys, values, listeners and weighers run on whichever thread frees them. They may use any store. They never
//!   run inside each other: a store that a destructor drops is emptied after the destructor has returned. A panic of a destructor ends there.
//!   Two things are dropped where they are, as boxes are: a plan that a change of another plan owns, and a store that a hasher owns.
//!
//! The dependencies [arc-swap], [crossbeam-epoch] and [crossbeam-skiplist] are lock-free. The allocator may not be.
//!
//! # The race that users will write
//!
//! ```
//! # use tierstack::{Tier, TierStore};
//! # let store = TierStore::<&str, u32>::new(1024)?;
//! # store.store("key", 1)?;
//! if store.tier_of("key") == Some(Tier::Hot) {
//!     // Another thread may have demoted or removed it by now: two calls are two instants.
//!     assert!(store.get("key").is_some_and(|fragment| fragment.value == 1));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Act on what one call returned: [`get`](TierStore::get) says the tier, [`promote`](TierStore::promote) says from where to where. Do not
//! ask for the [`current`](PlanContext::current) changeset and then record into it: [`record_change`](PlanContext::record_change) finds it
//! in the same step. Reading, changing and storing back is not one step either: two threads that do so overwrite each other. These are one step:
//!
//! | instead of | call |
//! |---|---|
//! | `if !contains { store }` | [`store_if_absent`](TierStore::store_if_absent) |
//! | `get`, or else make and `store` | [`get_or_store_with`](TierStore::get_or_store_with) |
//! | `get`, then `store` a new value made from it | [`update`](TierStore::update) |
//! | the same, but much later or in another place | [`replace_if`](TierStore::replace_if), with the [`Version`] that was read |
//!
//! ```
//! # use tierstack::TierStore;
//! let store = TierStore::<&str, String>::new(1024)?;
//! store.store("text", "a long text".into())?;
//!
//! let text = store.get("text").expect("stored above");
//! let summary = text.value.to_uppercase(); // takes a while
//! store.store("text", "a newer text".into())?; // another thread, meanwhile
//! assert!(store.replace_if("text", &text.version, summary).is_err()); // the newer text stays
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Ages
//!
//! Fragments expire where the caller says so: when a tier's [lifetime](Builder::expire_after) has passed since the last use, or at a [deadline](TierStore::store_until) of
//! their own. The time is read by the store's [clock](Builder::clock).
//!
//! To an operation, a fragment that is due when the operation reads the time is absent. Whoever finds it due ends it first, by the CAS that a removal would make. So what
//! has expired stays so, also where the clock goes back. (Where it goes back while a snapshot is taken, the snapshot may show what a use at the earlier time has kept alive meanwhile.) A use counts from the instant on at which it has read the time, also for those who find the fragment before it is
//! moved. [Kept](TierStore::keep) fragments do not expire.
//!
//! Nothing runs in the background: what has expired and meets nobody stays in memory, and is counted, until [`purge_expired`](TierStore::purge_expired) or an eviction comes
//! by. A store without ages never asks for the time.
//!
//! # Checkpoints
//!
//! With the feature `serde`, a [`StoreSnapshot`] and a plan's [`Snapshot`] are written and read in any format of serde's, also in those that name no fields. Writing copies no
//! value. [`Builder::restore`] makes a store of what was read: the same tiers, the same kept fragments, the same order of eviction. [`PlanContext::restore`] goes on from a
//! plan: the same open changesets, and ids and sequence numbers from where they were. [`checkpoint::write_file`] writes a file as a whole or not at all. It blocks.
//!
//! Input that does not hold together is refused. Reading it ends in the format's own error. What can be read and does not fit the store is a [`RestoreError`].
//!
//! # Events and metrics
//!
//! With the feature `tracing` a store tells what becomes of its fragments, as events with the target `tierstack`:
//!
//! | message | level | fields |
//! |---|---|---|
//! | `store` | trace | `to`, `replaced` |
//! | `promote`, `demote` | trace | `from`, `to` |
//! | `evict` | trace | `from`, and `to` unless it has left the store: whatever it was evicted for |
//! | `remove`, `expire` | trace | `from` |
//! | `contended` | debug | `tier`, in which a `store` or a `promote` that was contended has left it |
//!
//! All have the fragment's `version` and `weight`, in bytes. They have its `key` where `Builder::trace_keys` asked for it.
//!
//! Events are told after the operation, as the [listener](Builder::listener) is: by a [`View`], when it is dropped or repinned. No subscriber is asked anything before. So a subscriber may
//! take its time, panic, and use the store. One that uses the same store at each event never ends. A panic of a subscriber is that of a listener.
//!
//! Without the feature events cost nothing. With it, and with no subscriber for that level in the process, they cost a load and a compare each. With one, each event of that level is gathered,
//! and filtered when it is told.
//!
//! With the feature `metrics`, `TierStore::publish_metrics` hands the counters and the tiers' gauges to the recorder of the `metrics` crate, when it is called.
//!
//! # When something else is the better choice
//!
//! With one thread, or with calls so rare that they never meet, `lru::LruCache`s behind one mutex are simpler and use less memory. Without tiers,
//! and where a budget may be passed for a moment, a cache such as `moka` or `quick_cache` evicts by better policies than LRU.
//!
//! # How it works
//!
//! Each fragment's node has a *place word*: one atomic that says everything about where the fragment is. Every move is one CAS of that word. A lock-free
//! open-addressing index finds nodes by key. A skip list for each tier, of pages of slots, lists them by recency. Both are hints; the word decides.
//! Bytes of hot are reserved before a fragment becomes hot, and released after it has left. The protocols stand at the heads of the modules.
//!
//! A plan is a persistent stack of versions. A record is pushed onto the log of the newest version. A start, close, abort or roll-back seals that log
//! and publishes the next version. Each is one CAS of the same word.
//!
//! [`docs::proof`] outlines why this holds, and what checks it.
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
pub mod checkpoint;
pub mod docs;
mod drops;
mod engine;
// Not under the model checkers: rayon's threads are none of theirs.
#[cfg(all(feature = "rayon", not(any(tierstack_loom, tierstack_shuttle))))]
pub mod executor;
mod failpoint;
#[cfg(feature = "serde")]
mod format;
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
#[cfg(feature = "rayon")]
pub use store::ParSnapshotIter;
pub use store::{
    BudgetError, BuildError, Builder, Cause, DefaultHasher, Departure, Enforced, Evicted, Fragment, GetOrStored, Item,
    KeepError, Kept, Leaving, Metrics, Moved, PromoteError, Refusal, ReplaceIfRefusal, RestoreError, RestoreRefusal,
    SnapshotIter, StoreError, StoreIfAbsentRefusal, StoreSnapshot, Stored, StoredAll, TierMetrics, TierStore,
    UpdateRefusal, Version, View,
};
pub use tier::Tier;

/// The parts, for models and fuzz targets of them. Not there without the model checkers' and the fuzzer's cfg flags.
#[cfg(any(tierstack_loom, tierstack_shuttle, fuzzing))]
#[doc(hidden)]
pub mod internals {
    pub use crate::engine::age::{Age, Lifetimes, NEVER, Ripe, ripen};
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
    pub use crate::engine::place::{List, Outcome, Place, PlaceWord, Standing, State};
    pub use crate::engine::reclaim::flush;
    pub use crate::engine::reports::{Collector, Reports, Tiers, Walk};
    pub use crate::engine::stats::Stats;
    #[cfg(all(fuzzing, not(test)))]
    pub use crate::failpoint::{Step, watch};
    #[cfg(all(fuzzing, not(test)))]
    pub use crate::store::sweep::validate;
}

/// The examples of the README, run with those of the documentation. Some of them need features.
#[cfg(all(doctest, feature = "rayon", feature = "serde"))]
#[doc = include_str!("../README.md")]
struct Readme;
