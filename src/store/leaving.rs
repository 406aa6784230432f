//! Leaving: an archive takes over what has stood in cold unused for the longest time, and no fragment is nowhere meanwhile.
//!
//! # The protocol
//!
//! ```text
//!   In(cold) ── start ──► In(cold, leaving) ── finish ──► Removed
//!                             │
//!                             └── used, promoted, kept ──► In(.., another tick)      replaced, removed ──► Replaced, Removed
//! ```
//!
//! The archive *starts*: the least recently used fragments of cold are marked, each by a CAS on its exact word, and copies of them are handed out. The archive
//! writes them, wherever that is and for as long as it takes. Then it *finishes*: each is removed by a CAS on the exact word, if it is where it was, and was not used.
//!
//! - *No hole.* Until the last CAS the fragment stands in cold, and every reader finds it. After it, the archive has it.
//! - *Nothing is overlooked.* A place word never recurs. The mark lasts for as long as the tick: whatever promotes, keeps, or re-lists the fragment gives it
//!   another tick; what replaces or removes it ends it. So a finish that finds the mark at the tick of the start finds that nothing of this has happened.
//! - *A use that returned is not overlooked*, by the argument at the head of [`super::evict`]: the finish reads the word, then the last use where the word is touched or unsure,
//!   and removes that exact word. A used fragment is re-listed at its last use, in cold, and is not leaving any more.
//! - *A use that is not noted* does not count as one: one that the store's recency slack lets be, and one after the last tick.
//! - *Not pushed out meanwhile.* Evictions pass marked fragments by, those for a capacity too. So a capacity of cold pushes out what the archive has not in hand. What is heavier than all
//!   that cold may hold is never marked: it only passes through cold, on its way out.
//! - *Nothing to undo.* Who has started and never finishes leaves marks, and whoever starts next is handed the same fragments: a start hands out what is marked already, too.
//!
//! # Capacities
//!
//! What is leaving counts in cold. Where it and what is kept leave no room, cold is over its capacity until it has left: evictions find nothing that they may take. A use ends the
//! leaving without a look at the capacity, as a `get` changes nothing else; the next operation that changes the store, or starts or finishes, sees to that.
//!
//! An eviction passes by what is leaving one by one: so an archive starts no more than it writes at a time.
//!
//! # Who may stall
//!
//! A stalled archive keeps the fragments that it has started in cold. It stops nobody. Nobody helps it, as only it knows what is written.
//!
//! Two archives of one store may be handed the same fragments, and then both write them. One of the two finishes each.

use core::fmt;
use core::hash::{BuildHasher, Hash};

use super::TierStore;
use super::departure::Cause;
use super::operation::Operation;
use super::trace::Happened;
use super::view::View;
use crate::engine::census::Capacity;
use crate::engine::entries::{Entries, Met};
use crate::engine::node::Node;
use crate::engine::place::{List, Outcome};
use crate::failpoint::{Step, reach};
use crate::store::version::Version;
use crate::tier::Tier;

/// A fragment of cold that an archive is about to take over, by [`TierStore::start_leaving`].
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leaving<K, V> {
    /// Its key.
    pub key: K,
    /// A clone of its value.
    pub value: V,
    /// Its weight, in bytes.
    pub weight: u64,
    /// Names this value of the key.
    pub version: Version,
    /// Of its place.
    tick: u64,
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Leaving<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaving")
            .field("key", &self.key)
            .field("value", &self.value)
            .field("weight", &self.weight)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl<'g, K: Send + Sync + 'static, V: Send + Sync + 'static> Operation<'_, 'g, K, V> {
    /// Marks fragments of cold, the least recently used first, as many as fit; the nodes, with their ticks.
    ///
    /// Lock-free: what comes into cold above the clock's now is not looked at, and each further look at one entry is paid for by a change of another thread.
    ///
    /// `may_leave` is asked before anything is marked, of each that could be. It is the caller's, and runs while the thread is pinned.
    fn start_leaving(
        &mut self,
        most: Capacity,
        mut may_leave: impl FnMut(&Node<K, V>) -> bool,
    ) -> Vec<(&'g Node<K, V>, u64)> {
        let (core, guard) = (self.core, self.guard);
        let (list, end) = (List::Of(Tier::Cold), core.clock.now());
        let mut cursor = core.order(list).cursor(guard);
        let (mut leaving, mut bytes) = (Vec::new(), 0_u64);
        while let Some((tick, node)) = cursor.here(&core.clock).filter(|(tick, _)| *tick < end) {
            let place = match Met::at(node, (list, tick)) {
                Met::Perishable(place) if self.is_relisted(node, place, (Tier::Cold, tick)) => continue,
                Met::Perishable(_) if self.has_perished(node) => continue,
                Met::Here(place) | Met::Perishable(place) => place,
                Met::Unpublished | Met::NotYet(_) => {
                    cursor.pass(tick);
                    continue;
                }
                Met::Over(place) => {
                    core.clear_stale(node, place, (list, tick), guard);
                    cursor.pass(tick);
                    continue;
                }
            };
            if self.is_relisted(node, place, (Tier::Cold, tick)) {
                continue;
            }
            // What cold can never hold is on its way out: whoever brought it in moves it on.
            if !core.census(Tier::Cold).counts(node.weight(), false) || !may_leave(node) {
                cursor.pass(tick);
                continue;
            }
            let with_it = bytes.saturating_add(node.weight());
            let is_too_much = most.bytes.is_some_and(|most| with_it > most)
                || most.entries.is_some_and(|most| leaving.len() as u64 >= most);
            // The first always: else what is too heavy would never leave.
            if is_too_much && !leaving.is_empty() {
                break;
            }
            if !place.is_leaving() && matches!(node.place.mark_leaving(place), Outcome::Lost(_)) {
                continue;
            }
            // That it is handed out tells that it stands in cold.
            core.report(node, guard);
            bytes = with_it;
            leaving.push((node, tick));
            cursor.pass(tick);
        }
        // What was re-listed is not leaving any more: cold may be over its capacity by that.
        self.finish();
        leaving
    }

    /// Ends a fragment that is leaving, if it still is at that tick and was not used; whether this call did.
    fn finish_leaving(&mut self, hash: u64, is_key: impl Fn(&K) -> bool, (version, tick): (Version, u64)) -> bool {
        let (core, guard) = (self.core, self.guard);
        // Each further round is paid for by another's change of the word.
        let has_left = loop {
            let Some(((node, place), spot)) = self.observe_spot(hash, &is_key) else { break false };
            let is_it = || core.version(node) == version && place.tick() == tick;
            if !place.is_leaving() || !is_it() || self.is_relisted(node, place, (Tier::Cold, tick)) {
                core.report(node, guard);
                break false;
            }
            self.before_departure(node, Tier::Cold, false);
            reach(Step::Uncounted);
            match node.place.remove(place) {
                Outcome::Lost(_) => self.no_departure(node, Tier::Cold, false),
                Outcome::Done(now) => {
                    self.has_left(node, Tier::Cold, Cause::Archived);
                    reach(Step::Removed);
                    core.report(node, guard);
                    core.clear_left(node, place, now, guard);
                    core.index.bury(spot.as_ref(), hash, guard);
                    self.departed(node, Tier::Cold);
                    core.stats.count_archived();
                    self.note(node, Happened::Evicted { from: Tier::Cold, to: None });
                    break true;
                }
            }
        };
        self.finish();
        has_left
    }
}

impl<K, V, S> TierStore<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// For an archive: marks the least recently used fragments of cold as *leaving*, and hands out copies of them, the least recently used first.
    ///
    /// As many as fit `most`, but at least one, if there is one. What was marked before, and still is, is handed out again: so nothing is lost where a caller
    /// drops what it was handed.
    ///
    /// A leaving fragment still stands in cold, for every reader and every count. Only no eviction takes it out, neither one for a capacity nor
    /// [`evict_lru`](Self::evict_lru). They pass by what is leaving, one by one: so start no more than is written at a time. What uses, moves or [keeps](Self::keep) a fragment ends
    /// that: it is not leaving then. So does what replaces or removes it, or its deadline. (One that is used by another thread while this call walks may be handed out twice. The first of the two never finishes.)
    ///
    /// Where leaving and kept fragments leave no room, cold is over its capacity until they have left. A [`get`](Self::get) ends a fragment's leaving, and does not see to the capacity: the next
    /// call that changes the store does.
    ///
    /// What is heavier than a capacity of cold allows at all is not handed out: it does not stay in cold, but overflows.
    ///
    /// When the archive has it, [`finish_leaving`](Self::finish_leaving) takes it out. One archive at a time uses these two; two would both be handed the same fragments.
    ///
    /// Deadlines and [ages](crate::Builder::expire_after) are not part of what is handed out.
    ///
    /// # Linearization
    ///
    /// The CAS that marks a fragment's place word, from which on evictions pass it by; of one that was marked before, the read of its word. What is due is ended on the way, each a step of its own.
    ///
    /// # Progress
    ///
    /// Lock-free. Amortized O(n), of n fragments that are handed out. The thread is pinned, and counts as one with a [`View`], while they are cloned.
    ///
    /// # Panics
    ///
    /// Where a `Clone` does. The marks stay, and are handed out again. Where a fragment is due, as [`purge_expired`](Self::purge_expired).
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::{Capacity, Tier, TierStore};
    /// let store = TierStore::builder(1).weigher(|_: &u32, _: &u32| 1).build()?;
    /// for key in 0..4 {
    ///     store.store(key, key)?;
    ///     store.demote_to(&key, Tier::Cold);
    /// }
    /// let leaving = store.start_leaving(Capacity::entries(2));
    /// assert_eq!(leaving.iter().map(|fragment| fragment.key).collect::<Vec<_>>(), [0, 1]);
    /// assert!(store.contains(&0)); // until the archive has it
    ///
    /// // ... the archive writes both ...
    /// store.get(&1);
    /// assert!(store.finish_leaving(&leaving[0]));
    /// assert!(!store.finish_leaving(&leaving[1])); // it was used meanwhile, and stays
    /// assert_eq!((store.tier_of(&0), store.tier_of(&1)), (None, Some(Tier::Cold)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "what is handed out is to be written"]
    pub fn start_leaving(&self, most: Capacity) -> Vec<Leaving<K, V>>
    where
        V: Clone,
    {
        self.start_leaving_if(most, |_, _| true)
    }

    /// As [`start_leaving`](Self::start_leaving), of those fragments of which `may_leave` says so, by key and version: an archive passes by what it has refused before.
    ///
    /// What is passed by is neither marked, nor cloned, nor does it count for `most`. (If it is marked already, it stays so.)
    ///
    /// # Linearization
    ///
    /// As [`start_leaving`](Self::start_leaving); so is progress, with n the fragments that it looks at. `may_leave` runs while the thread is pinned, so it should be short, and may be asked
    /// of one fragment twice. It may use the store.
    ///
    /// # Panics
    ///
    /// As [`start_leaving`](Self::start_leaving), and where `may_leave` does. What was marked before stays so.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::{Capacity, Tier, TierStore};
    /// # let store = TierStore::builder(1).weigher(|_: &u32, _: &u32| 1).build()?;
    /// for key in 0..4 {
    ///     store.store(key, key)?;
    ///     store.demote_to(&key, Tier::Cold);
    /// }
    /// let leaving = store.start_leaving_if(Capacity::entries(2), |key, _| key % 2 == 1);
    /// assert_eq!(leaving.iter().map(|fragment| fragment.key).collect::<Vec<_>>(), [1, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "what is handed out is to be written"]
    pub fn start_leaving_if(&self, most: Capacity, mut may_leave: impl FnMut(&K, Version) -> bool) -> Vec<Leaving<K, V>>
    where
        V: Clone,
    {
        let view = View::new(self);
        let nodes = view.operation().start_leaving(most, |node| may_leave(node.key(), self.core.version(node)));
        let leaving = nodes.into_iter().map(|(node, tick)| Leaving {
            key: node.key().clone(),
            value: node.value().clone(),
            weight: node.weight(),
            version: self.core.version(node),
            tick,
        });
        leaving.collect()
    }

    /// For an archive: takes a fragment out of cold that has left for it; whether this call did.
    ///
    /// It does so only if the fragment is still [leaving](Self::start_leaving) as it was handed out, and was not used since. Else it was used, and is not leaving any more; or another call has
    /// moved, kept, replaced or removed it; or it was due, and has expired; or it is another store's. A use that the store's [recency slack](crate::Builder::recency_slack) lets be is none here
    /// either.
    ///
    /// The listener is told, with [`Cause::Archived`](crate::Cause::Archived), and [`Metrics::archived`](crate::Metrics::archived) counts it.
    ///
    /// # Linearization
    ///
    /// The CAS that makes its place word *removed*. If it was used, moved or replaced: the read of the word that says so. Not found: as [`peek`](Self::peek).
    ///
    /// # Progress
    ///
    /// Lock-free. Expected O(1).
    ///
    /// # Examples
    ///
    /// See [`start_leaving`](Self::start_leaving).
    pub fn finish_leaving(&self, leaving: &Leaving<K, V>) -> bool {
        let hash = self.hash(&leaving.key);
        let view = View::for_an_owned_operation(self);
        let has_left =
            view.operation().finish_leaving(hash, |key| *key == leaving.key, (leaving.version, leaving.tick));
        drop(view);
        has_left
    }
}
