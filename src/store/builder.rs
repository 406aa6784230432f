//! The builder of a store.

use core::fmt;
use core::hash::{BuildHasher, Hash};
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::time::Duration;
use std::time::Instant;

use super::TierStore;
use super::core::{Core, Settings};
use super::departure::{Cause, Causes, Departure, Listen, Listener};
use super::error::BuildError;
use crate::drops::Callback;
use crate::engine::age::{Lifetimes, ReadTime, nanoseconds};
use crate::engine::budget::MAX_BYTES;
use crate::engine::census::Capacity;
use crate::tier::Tier;

/// The hasher of a store that is not given one: fast, seeded at random, and not meant to withstand keys that are chosen to collide.
pub type DefaultHasher = foldhash::fast::RandomState;

/// A caller's weigher. What it counts is the unit of all weights, budgets and capacities.
pub type Weigher<K, V> = dyn Fn(&K, &V) -> u64 + Send + Sync;

/// Makes a [`TierStore`]; from [`TierStore::builder`].
///
/// | setting | default | why |
/// |---|---|---|
/// | hot budget | none: it is asked for | only the caller knows what a prompt may hold |
/// | [`weigher`](Self::weigher) | `size_of::<K>() + size_of::<V>()` | right for keys and values that own nothing on the heap |
/// | [`warm_capacity`](Self::warm_capacity), [`cold_capacity`](Self::cold_capacity) | unbounded | nothing is lost unless asked for |
/// | [`listener`](Self::listener), [`listener_causes`](Self::listener_causes) | none, all | what a capacity pushes out of cold is dropped; all else that leaves is the caller's |
/// | [`expire_after`](Self::expire_after), by tier | never | nothing is lost unless asked for |
/// | [`clock`](Self::clock) | [`Instant::now`] | only asked where fragments have an age |
/// | [`hasher`](Self::hasher) | [`DefaultHasher`] | a look-up should cost less than the memory it waits for |
/// | [`expected_fragments`](Self::expected_fragments) | 0 | the index grows while all go on |
/// | [`recency_slack`](Self::recency_slack) | 0 | exact LRU |
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use tierstack::{Capacity, TierStore};
///
/// let store: TierStore<String, Arc<str>> = TierStore::builder(64 << 10)
///     .weigher(|key: &String, value: &Arc<str>| (key.len() + value.len()) as u64)
///     .warm_capacity(Capacity::bytes(1 << 20))
///     .cold_capacity(Capacity::entries(100_000))
///     .listener(|departure| eprintln!("{} has left the store", departure.key))
///     .expected_fragments(10_000)
///     .build()?;
/// assert_eq!(store.hot_budget(), 64 << 10);
/// # Ok::<(), tierstack::BuildError>(())
/// ```
#[must_use = "a builder does nothing until `build`"]
pub struct Builder<K: 'static, V: 'static, S = DefaultHasher> {
    pub(super) settings: Settings,
    weigher: Option<Callback<Weigher<K, V>>>,
    listener: Option<Callback<Listen<K, V>>>,
    read_time: Option<Callback<ReadTime>>,
    #[cfg(feature = "tracing")]
    show_key: Option<super::trace::ShowKey<K>>,
    hasher: S,
}

impl<K, V> Builder<K, V> {
    pub(super) fn new(hot_budget: u64) -> Self {
        Self {
            settings: Settings {
                hot_budget,
                warm: Capacity::UNBOUNDED,
                cold: Capacity::UNBOUNDED,
                expected_fragments: 0,
                restored_fragments: 0,
                recency_slack: 0,
                first_tick: 1,
                told: Causes::ALL,
                lifetimes: Lifetimes::NONE,
            },
            weigher: None,
            read_time: None,
            listener: None,
            #[cfg(feature = "tracing")]
            show_key: None,
            hasher: DefaultHasher::default(),
        }
    }
}

impl<K, V, S> Builder<K, V, S> {
    /// What a fragment weighs, in bytes. Called once for each `store`, by the owned one before anything is pinned or held;
    /// the weight is kept with the fragment. A weight of zero always fits; one above [`MAX_BYTES`] is refused.
    ///
    /// The weight is all that the store knows of what a value owns on the heap. It decides:
    ///
    /// - what the budget, the capacities and [`Metrics::retired_bytes`](crate::Metrics::retired_bytes) count;
    /// - which values are [heavy](crate::HEAVY), and so do not wait for the epoch when they have left. (What is large by its type is heavy in
    ///   any case.)
    /// - when the collector is asked to free what was retired: when a thread has retired a 256th of the bytes that the store holds, or 32 KiB where
    ///   that is more; or a sixteenth of the fragments, between 4 and 64 of them.
    ///
    /// So let it say at least what the value takes. With a weigher that says 1 of a megabyte, the memory of what has left is bounded by number
    /// alone: about three times a sixteenth of the fragments for each thread that stores, and at least a dozen; where a thread stays
    /// pinned, about three times the fragments and some two hundred.
    ///
    /// The documentation calls the unit bytes. It is what the weigher counts: with one that counts tokens, budgets and capacities are in tokens
    /// (the example `tokens` does so), and so are the bounds above and [`HEAVY`](crate::HEAVY).
    ///
    /// Count what a fragment costs beside its text: add a fixed overhead to each weight, such as 64. Fragments that weigh nothing are bounded
    /// by no budget and by no capacity in bytes. They are demoted and pushed out in their turn all the same, as the least recently
    /// used, though that frees nothing: one `store` can then move a thousand of them before it comes to a fragment that has weight.
    pub fn weigher(mut self, weigher: impl Fn(&K, &V) -> u64 + Send + Sync + 'static) -> Self {
        self.weigher = Some(Callback::new(Box::new(weigher)));
        self
    }

    /// How much warm may hold; what is over it goes to cold, least recently used first. See [`Capacity`].
    pub fn warm_capacity(mut self, capacity: Capacity) -> Self {
        self.settings.warm = capacity;
        self
    }

    /// How much cold may hold; what is over it leaves the store, least recently used first, and the listener is told. See [`Capacity`].
    ///
    /// What is [leaving](TierStore::start_leaving) for an archive counts, and is not pushed out.
    pub fn cold_capacity(mut self, capacity: Capacity) -> Self {
        self.settings.cold = capacity;
        self
    }

    /// Told of each fragment that leaves the store, once, and why: see [`Departure`] and [`Cause`].
    ///
    /// A fragment leaves by `remove` and `evict_lru` of cold, by a replacement, by its age, and by a capacity that pushes it out of cold. What the store holds when it is dropped
    /// does not leave it. [`listener_causes`](Self::listener_causes) has it be told of less.
    ///
    /// It is called after the operation that ended the fragment has taken effect, on the same thread, in the order in which that thread's operation or view has ended
    /// fragments:
    ///
    /// - by the owned operations, before they return;
    /// - by a [`View`](crate::View), when it is dropped or repinned.
    ///
    /// **The key may stand again by then**, with another value: see the [warning](Departure#warning-the-key-may-stand-again).
    ///
    /// The operation, or the view, has unpinned by then, and holds nothing of the store. So the listener may take its time, use the store, and panic. (Where the thread has another view,
    /// of whichever store, it stays pinned by that: then what leaves meanwhile is freed later.) A panic goes on to the caller, after the listener was told of the other fragments too. A listener that takes its time keeps what waits for it,
    /// and nothing else. (A view that is [forgotten](core::mem::forget) is never dropped, and tells nothing.)
    ///
    /// A heavy value that a `remove` or a `store` has ended is not moved out to the caller where the listener is told of it: the caller gets a clone, as of light ones.
    ///
    /// # A listener that stores
    ///
    /// The listener is not called within itself. What its own operations end in the same store it is told of after it has returned, by the call
    /// that it was called from. So that call returns when nothing is left to tell. **A listener that always ends another fragment never
    /// ends**, in a loop that needs no more stack or memory as it goes on: store only new keys where there is room, or into another store.
    pub fn listener(mut self, listener: impl Fn(&Departure<'_, K, V>) + Send + Sync + 'static) -> Self {
        self.listener = Some(Callback::new(Box::new(listener)));
        self
    }

    /// Which causes the [`listener`](Self::listener) is told of; all, unless this is said. Exits for other causes cost what they cost without a listener.
    ///
    /// With `[Cause::Overflowed]` it is told only of what nobody else is given: to save it elsewhere, say.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use tierstack::{Capacity, Cause, TierStore};
    ///
    /// let saved = Arc::new(Mutex::new(Vec::new()));
    /// let save = Arc::clone(&saved);
    /// let builder = TierStore::<&str, u32>::builder(1).weigher(|_, _| 1);
    /// let builder = builder.warm_capacity(Capacity::entries(0)).cold_capacity(Capacity::entries(0));
    /// let builder = builder.listener_causes([Cause::Overflowed]).listener(move |gone| save.lock().unwrap().push(*gone.key));
    /// let store = builder.build()?;
    /// store.store("a", 1)?;
    /// store.store("a", 2)?; // replaces
    /// store.store("b", 3)?; // pushes out
    /// store.remove("b");
    /// assert_eq!(*saved.lock().unwrap(), ["a"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn listener_causes(mut self, causes: impl IntoIterator<Item = Cause>) -> Self {
        self.settings.told = causes.into_iter().collect();
        self
    }

    /// Has fragments expire that were not used in that tier for so long. For each tier by itself; never, unless this is said.
    ///
    /// An expired fragment is absent for every reader, from the instant on at which the reader's clock says so. It leaves the store by whatever meets it next: a read
    /// or a change of its key, an eviction, an iteration, a snapshot, or [`purge_expired`](TierStore::purge_expired). The [`listener`](Self::listener) is told of it, with
    /// [`Cause::Expired`]. Until then [`len`](TierStore::len) and [`bytes`](TierStore::bytes) count it.
    ///
    /// What counts as a use is what counts for the order: a store, a `get`, a `promote`, `keep` and `let_go`. A
    /// fragment that moves down takes the time of its last use along. So with an hour in hot and a day in warm, what is demoted after 50 minutes has 23
    /// hours and 10 minutes to go.
    ///
    /// A [kept](TierStore::keep) fragment does not expire, for as long as it is kept. What has expired stays so, also where the clock goes back. A duration of zero has
    /// everything in that tier expire at once.
    ///
    /// With this each operation reads the clock, and each `get` writes to its fragment. A fragment takes 16 bytes more. A store without it, and
    /// without [`store_until`](TierStore::store_until), never asks for the time, and its fragments are no larger.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
    /// use std::sync::Arc;
    /// use std::time::{Duration, Instant};
    /// use tierstack::{Tier, TierStore};
    ///
    /// let (start, seconds) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    /// let clock = Arc::clone(&seconds);
    /// let store = TierStore::builder(1024)
    ///     .expire_after(Tier::Hot, Duration::from_secs(60))
    ///     .clock(move || start + Duration::from_secs(clock.load(SeqCst)))
    ///     .build()?;
    /// store.store("goal", 1)?;
    /// store.store("note", 2)?;
    /// seconds.store(59, SeqCst);
    /// assert!(store.get("goal").is_some());
    /// seconds.store(60, SeqCst);
    /// assert!(store.get("goal").is_some() && store.get("note").is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn expire_after(mut self, tier: Tier, duration: Duration) -> Self {
        self.settings.lifetimes.set(tier, nanoseconds(duration));
        self
    }

    /// Reads the time; by default [`Instant::now`].
    ///
    /// Only asked where fragments have an age, by [`expire_after`](Self::expire_after) or [`store_until`](TierStore::store_until): once for a read or a move, twice for a snapshot, up to three times for a store; as a
    /// rule while the thread is pinned. So it should not block, and it must not use this store: that would ask it again. It may go back: what has expired stays so. Where it panics the operation has not taken effect, or the store is as after it.
    ///
    /// # Examples
    ///
    /// See [`expire_after`](Self::expire_after).
    pub fn clock(mut self, clock: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        self.read_time = Some(Callback::new(Box::new(clock)));
        self
    }

    /// Names keys in [events](crate#events-and-metrics), for the `tracing` crate.
    ///
    /// Events have the fragment's `key` only after this call: not every key can be shown, and not every key should stand in a log.
    ///
    /// # Examples
    ///
    /// ```
    /// let store = tierstack::TierStore::<String, u32>::builder(1024).trace_keys().build()?;
    /// store.store("key".into(), 1)?; // TRACE tierstack: store key="key" version=Version(0:1) weight=28 to=hot replaced=false
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "tracing")]
    pub fn trace_keys(mut self) -> Self
    where
        K: fmt::Debug,
    {
        self.show_key = Some(<K as fmt::Debug>::fmt);
        self
    }

    /// Hashes the keys.
    ///
    /// Two keys of one hash are told apart by `Eq`. The index walks past all keys of that hash: with `n` of them an operation takes O(n).
    ///
    /// - *Keys of your own* (numbers, paths, identifiers that the program makes): the default does. Its seed is random. A hasher that gives a
    ///   number back as it is does, too: the store spreads the hashes.
    /// - *Keys from outside* (what a user or a network sends): somebody may choose keys that collide. Take a hasher with a secret key that is made
    ///   to withstand that, such as the standard library's [`RandomState`](std::hash::RandomState).
    ///
    /// ```
    /// use std::hash::RandomState;
    /// use tierstack::TierStore;
    ///
    /// let store = TierStore::builder(1024).hasher(RandomState::new()).build()?;
    /// store.store("from outside", 1)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn hasher<S2: BuildHasher>(self, hasher: S2) -> Builder<K, V, S2> {
        Builder {
            settings: self.settings,
            weigher: self.weigher,
            listener: self.listener,
            read_time: self.read_time,
            #[cfg(feature = "tracing")]
            show_key: self.show_key,
            hasher,
        }
    }

    /// Makes room in the index for so many fragments at once, up to about twelve million. It grows beyond that, and shrinks again as
    /// fragments leave the store, but not below what was asked for here.
    pub fn expected_fragments(mut self, fragments: usize) -> Self {
        self.settings.expected_fragments = fragments;
        self
    }

    /// Lets a `get` leave a fragment alone whose last use is fewer than `ticks` ticks (uses and placements, of any fragment) old. Such a `get`
    /// only reads. What is lost is the order among the last `ticks` uses. 0, the default, is exact.
    ///
    /// It pays where several threads read the same store at once: they no longer write the same words. For one thread it mostly
    /// changes little, and can cost some nanoseconds, because a processor cannot predict which uses are recorded.
    pub fn recency_slack(mut self, ticks: u64) -> Self {
        self.settings.recency_slack = ticks;
        self
    }

    /// Starts the clock late, for tests of its end.
    #[cfg(test)]
    #[cfg_attr(tierstack_shuttle, allow(dead_code, reason = "schedules start at the beginning"))]
    pub(crate) fn first_tick(mut self, tick: u64) -> Self {
        self.settings.first_tick = tick;
        self
    }
}

impl<K, V, S> Builder<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// The store.
    ///
    /// # Errors
    ///
    /// [`BuildError::BudgetTooLarge`] for a hot budget above [`MAX_BYTES`]. A budget of zero is legal: then only
    /// fragments that weigh nothing are hot.
    pub fn build(self) -> Result<TierStore<K, V, S>, BuildError> {
        let budget = self.settings.hot_budget;
        if budget > MAX_BYTES {
            return Err(BuildError::BudgetTooLarge { budget });
        }
        Ok(self.made())
    }

    /// The store, where the budget is one that there may be.
    pub(super) fn made(mut self) -> TierStore<K, V, S> {
        if self.listener.is_none() {
            self.settings.told = Causes::NONE;
        }
        let listener = self.listener.map(Listener::new);
        #[cfg_attr(not(feature = "tracing"), allow(unused_mut, reason = "as it is made"))]
        let mut core = Core::new(&self.settings, self.read_time);
        #[cfg(feature = "tracing")]
        {
            core.show_key = self.show_key;
        }
        TierStore {
            core,
            weigher: self.weigher,
            listener,
            #[cfg(feature = "metrics")]
            published: super::metrics::publish::Told::default(),
            hasher: self.hasher,
        }
    }
}

// It has called none of the functions that it was given, and holds no fragment.
impl<K, V, S: UnwindSafe> UnwindSafe for Builder<K, V, S> {}
impl<K, V, S: RefUnwindSafe> RefUnwindSafe for Builder<K, V, S> {}

impl<K, V, S> fmt::Debug for Builder<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
