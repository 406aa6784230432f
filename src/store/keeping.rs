//! `keep` and `let_go`: fragments that no eviction finds.
//!
//! # States and transitions
//!
//! The place word says whether a fragment is kept. A kept fragment has its entry in the order of what is kept, which is one for all tiers; it has none in the
//! order of its tier (see [`crate::engine::place`], [`crate::engine::entries`]). So an eviction never meets it, and costs the same however many are
//! kept. *Keep* and *let go* each fill an entry of the other order at a fresh tick, and then CAS the word: that is the linearization point. Both are
//! uses: the fresh tick is the fragment's recency.
//!
//! The other operations move a kept fragment as they move any other, by a CAS of its word. A demotion changes the tier in the word alone. A promotion takes
//! a fresh tick in the same order. A replacement's node is kept from its beginning, if the word that the CAS replaces is.
//!
//! # Pairs
//!
//! Each transition is one CAS of the exact word. So of two, one comes first, and the other looks again:
//!
//! - *Keep beside an eviction*: the eviction comes first, and the fragment is kept in the tier below. Or the eviction's CAS is lost, and the
//!   entry that led it there is over: it goes on.
//! - *Keep beside a use*: a use whose tick is above the fresh one marks the kept word, as it would any other. The mark matters when the fragment is
//!   let go: that makes the word unsure, so that an eviction looks at the last use.
//! - *Keep beside a re-listing or a demotion that has filled its entry*: the loser settles that entry. The kept word is beyond it, unless it is at a
//!   later last use. Then the loser re-lists the kept node there, in the order of what is kept, and the word is beyond it then.
//! - *Keep beside a replacement*: the replacement comes first, and the new fragment is kept. Or its CAS is lost, and its node is prepared anew, as kept.
//! - *Let go beside a demotion of what is kept*: the tier is in the word, so that the loser tries again.
//! - *Let go beside a lowering of the budget*: whoever lets a hot fragment go looks after that whether the budget is overdrawn. Whoever lowers the budget
//!   walks hot's order after that. A fence on either side makes one of them see the other (see [`crate::engine::budget`]).
//! - *Keep and let go beside an iteration*: see [`crate::engine::entries`].
//!
//! # Counts
//!
//! A kept fragment is counted in its tier as any other. (What is heavier than all that a tier may hold is counted there only while it is kept: else it is on
//! its way out.) It is also counted as kept: after the CAS that keeps it there, and no longer before the CAS that ends that. So the count of
//! what is kept in hot is never above what is kept there at that instant, and *kept out* is true when it is answered. It can be below that, while the
//! call that keeps a fragment is between its CAS and its count. Then a newcomer may be contended, or demote others for nothing.
//!
//! # Who may stall
//!
//! Anybody, as in any move. What is filled and not moved is passed by. What is moved and not cleared is cleared by whoever meets it. Nobody waits.

use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash};

use super::TierStore;
use super::error::KeepError;
use super::operation::Operation;
use super::view::View;
use crate::engine::entries::Entries;
use crate::engine::node::Node;
use crate::engine::place::Outcome;
use crate::store::fragment::Kept;
use crate::tier::Tier;

impl<K: Eq + Send + Sync + 'static, V: Send + Sync + 'static> Operation<'_, '_, K, V> {
    /// Has a fragment be kept, or not.
    pub fn keep(&mut self, hash: u64, is_key: impl Fn(&K) -> bool, is_kept: bool) -> Result<Kept, KeepError> {
        let kept = self.set_kept(hash, is_key, is_kept);
        self.finish();
        kept
    }

    fn set_kept(&mut self, hash: u64, is_key: impl Fn(&K) -> bool, is_kept: bool) -> Result<Kept, KeepError> {
        let (core, guard) = (self.core, self.guard);
        loop {
            let (node, place) = self.observe(hash, &is_key).ok_or(KeepError::NotFound)?;
            let Some(tier) = place.tier() else { continue };
            if place.is_kept() == is_kept {
                core.report(node, guard);
                return Ok(Kept { tier, was_kept: is_kept });
            }
            let tick = core.other_tick(self.stripe).ok_or(KeepError::ClockExhausted)?;
            if !is_kept {
                self.count_as_kept(node, tier, false);
            }
            self.raise_age(node);
            match core.keep(node, place, tier, is_kept, tick, guard) {
                // The next try takes another tick.
                Outcome::Lost(_) if is_kept => {}
                Outcome::Lost(_) => self.count_as_kept(node, tier, true),
                Outcome::Done(_) if is_kept => {
                    self.count_as_kept(node, tier, true);
                    return Ok(Kept { tier, was_kept: false });
                }
                Outcome::Done(_) => {
                    if !core.census(tier).has_room_for(node.weight()) {
                        self.passing.push((node, tier));
                    }
                    self.may_be_demoted(tier);
                    return Ok(Kept { tier, was_kept: true });
                }
            }
        }
    }

    /// Counts what is kept in `tier`, after the CAS that keeps it there; or no longer, before the one that ends that.
    fn count_as_kept(&self, node: &Node<K, V>, tier: Tier, is_kept: bool) {
        let (kept, census) = (self.core.kept(tier), self.core.census(tier));
        let weight = node.weight();
        if is_kept {
            kept.come(weight);
        } else {
            kept.go(weight);
        }
        // Heavier than all that the tier may hold: counted there only while it is kept.
        if !census.has_room_for(weight) {
            if is_kept { census.come(weight) } else { census.go(weight) }
        }
    }
}

impl<K, V, S> TierStore<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Keeps a fragment in its tier until it is [let go](Self::let_go). Counts as a use.
    ///
    /// While a fragment is kept, no overflow, eviction, capacity or lowered budget moves it. Operations on its key work as on any other: `get`,
    /// `promote`, `demote`, `remove` and replacements. A replacement stays kept. A fragment that is removed and stored again is not. To keep a kept fragment
    /// changes nothing, and is no use.
    ///
    /// Kept fragments count for the hot budget and for the capacities of warm and cold, so they leave less room to others. A tier never holds more than its
    /// bound or what is kept in it and [leaving](TierStore::start_leaving), whichever is more. Where kept fragments leave no room in hot, a `store` goes to warm, demotes nothing, and
    /// [says so](crate::Stored::kept_out), and a `promote` is [refused](crate::PromoteError::KeptOut). An eviction costs the same however many are kept.
    ///
    /// # Errors
    ///
    /// [`KeepError`]; nothing changes.
    ///
    /// # Linearization
    ///
    /// The CAS of its place word. Kept already: the read of that word. Not found: as [`peek`](Self::peek). The taking of the tick that becomes its
    /// recency is a step of its own within the call, before it.
    ///
    /// # Progress
    ///
    /// Lock-free. Expected O(1).
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{KeepError, Tier, TierStore};
    ///
    /// let store = TierStore::builder(10).weigher(|_: &&str, text: &&str| text.len() as u64).build()?;
    /// store.store("goal", "win")?;
    /// assert_eq!(store.keep("goal")?.tier, Tier::Hot);
    /// for key in ["a", "b", "c"] {
    ///     store.store(key, "12345")?; // demotes the one before
    /// }
    /// assert_eq!(store.tier_of("goal"), Some(Tier::Hot));
    ///
    /// let stored = store.store("long", "12345678")?; // not beside the goal
    /// assert_eq!((stored.tier, stored.kept_out), (Tier::Warm, true));
    /// assert_eq!(store.keep("other"), Err(KeepError::NotFound));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keep<Q>(&self, key: &Q) -> Result<Kept, KeepError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        View::for_an_owned_operation(self).keep_hashed(hash, key, true)
    }

    /// Lets a kept fragment go: from now on it is evicted as any other. Counts as a use, so that it is the most recently used.
    ///
    /// It stays in its tier, unless that is over its bound. To let a fragment go that is not kept changes nothing, and is no use.
    ///
    /// # Errors
    ///
    /// As [`keep`](Self::keep).
    ///
    /// # Linearization
    ///
    /// As [`keep`](Self::keep). Not kept: the read of the place word.
    ///
    /// # Progress
    ///
    /// Lock-free. Expected O(1), and what is over the bounds then.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::{Tier, TierStore};
    /// # let store = TierStore::<&str, u32>::new(1024)?;
    /// store.store("step", 1)?;
    /// store.keep("step")?;
    /// assert_eq!(store.evict_lru(Tier::Hot), None);
    /// assert!(store.let_go("step")?.was_kept);
    /// assert_eq!(store.evict_lru(Tier::Hot).map(|evicted| evicted.key), Some("step"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn let_go<Q>(&self, key: &Q) -> Result<Kept, KeepError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        View::for_an_owned_operation(self).keep_hashed(hash, key, false)
    }
}

impl<K, V, S> View<'_, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// As [`TierStore::keep`].
    ///
    /// # Errors
    ///
    /// As [`TierStore::keep`].
    ///
    /// # Linearization
    ///
    /// As [`TierStore::keep`]; so is progress.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<u32, u32>::new(1024)?;
    /// let view = store.pin();
    /// view.store(1, 1)?;
    /// view.keep(&1)?;
    /// assert!(view.get(&1).is_some_and(|fragment| fragment.kept));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keep<Q>(&self, key: &Q) -> Result<Kept, KeepError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.keep_hashed(self.store.hash(key), key, true)
    }

    /// As [`TierStore::let_go`].
    ///
    /// # Errors
    ///
    /// As [`TierStore::keep`].
    ///
    /// # Linearization
    ///
    /// As [`TierStore::let_go`]; so is progress.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = tierstack::TierStore::<u32, u32>::new(1024)?;
    /// assert!(store.pin().let_go(&1).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn let_go<Q>(&self, key: &Q) -> Result<Kept, KeepError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.keep_hashed(self.store.hash(key), key, false)
    }
}
