//! The gates: what is known of a key that neither the memory nor the archive says.
//!
//! Three things are. A *removal* that the archive has not committed yet. A *restore* that is reading the archive. And which fragment of memory is
//! *unchanged*: the archive has its record already. They stand in ordinary maps, striped by key, each behind a mutex. **A gate is held for operations in memory only, never
//! while the archive is asked.** Nor while a listener is called: what is done to the store under a gate is done through a
//! [`View`](tierstack::View), which tells the listener when it is dropped, and it is dropped behind the gate.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tierstack::Version;

pub(super) const STRIPES: usize = 64;

pub(super) struct Gates<K> {
    stripes: Box<[Mutex<Stripe<K>>]>,
    hasher: RandomState,
    /// Names each removal. Relaxed: only that no two of a key get the same matters, and those are ordered by its gate.
    sequence: AtomicU64,
    /// Removals that stand in the stripes. Relaxed: a hint; who needs to know looks under the gates.
    pending: AtomicU64,
    /// Those of them that are set aside.
    aside: AtomicU64,
    /// How many that were set aside were followed by another removal of the key.
    ///
    /// `SeqCst`, as `aside`: it rises before that one falls, so who reads `aside` first, and this one after it, does not miss one in both.
    renewed: AtomicU64,
}

pub(super) struct Stripe<K> {
    removals: HashMap<K, Removal>,
    /// By the hash of the key, so that a ticket need not hash it again: see [`Ticket`]. Two keys with one hash make each other's restores old now and then,
    /// which costs another read.
    restores: HashMap<u64, Restores>,
    /// The version whose record the archive has, durable and not followed by another step for the key. It saves writing it again, and nothing else: one
    /// that is missing is written again. One of a fragment that has gone is no harm, as no version comes back.
    unchanged: HashMap<K, Version>,
}

/// Removals that a batch takes.
pub(super) struct Pending<K> {
    /// The keys, and the sequences of their removals.
    pub removals: Vec<(K, u64)>,
    /// All were taken of so many stripes, from the first one on, that were made before the call. Of the next one there are more.
    pub stripes: usize,
}

#[derive(Clone, Copy)]
struct Removal {
    sequence: u64,
    /// The archive refuses steps for this key: see `set_aside`.
    is_aside: bool,
}

/// The restores of one key that are reading.
#[derive(Default)]
struct Restores {
    running: u32,
    /// How often what they may have read has become old. It stands for as long as one of them runs.
    epoch: u64,
}

impl<K: Hash + Eq + Clone> Gates<K> {
    pub fn new() -> Self {
        let stripe =
            || Mutex::new(Stripe { removals: HashMap::new(), restores: HashMap::new(), unchanged: HashMap::new() });
        Self {
            stripes: std::iter::repeat_with(stripe).take(STRIPES).collect(),
            hasher: RandomState::new(),
            sequence: AtomicU64::new(0),
            pending: AtomicU64::new(0),
            aside: AtomicU64::new(0),
            renewed: AtomicU64::new(0),
        }
    }

    /// The gate of a key. A panic of `Hash`, `Eq` or a weigher under a gate leaves the maps whole, so a poisoned one is no worse.
    pub fn lock(&self, key: &K) -> MutexGuard<'_, Stripe<K>> {
        self.stripe(self.hash(key))
    }

    fn hash(&self, key: &K) -> u64 {
        self.hasher.hash_one(key)
    }

    fn stripe(&self, hash: u64) -> MutexGuard<'_, Stripe<K>> {
        lock(&self.stripes[usize::try_from(hash % STRIPES as u64).unwrap_or(0)])
    }

    /// The key is gone from the archive, too, from now on. The caller holds its gate, and takes it out of the memory before it lets go.
    pub fn remove(&self, stripe: &mut Stripe<K>, key: K) {
        stripe.make_old(self.hash(&key));
        stripe.unchanged.remove(&key);
        let removal = Removal { sequence: self.sequence.fetch_add(1, Ordering::Relaxed), is_aside: false };
        self.pending.fetch_add(1, Ordering::Relaxed);
        if let Some(before) = stripe.removals.insert(key, removal) {
            self.renewed.fetch_add(u64::from(before.is_aside), Ordering::SeqCst);
            self.uncount(before);
        }
    }

    fn uncount(&self, removal: Removal) {
        self.pending.fetch_sub(1, Ordering::Relaxed);
        self.aside.fetch_sub(u64::from(removal.is_aside), Ordering::SeqCst);
    }

    /// Removals that are to be committed, `most` of them at most, from a stripe on and round. They stay until they are settled.
    pub fn pending(&self, first: usize, most: u64) -> Pending<K> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let mut pending = Pending { removals: Vec::new(), stripes: 0 };
        for at in 0..STRIPES {
            let stripe = lock(&self.stripes[(first + at) % STRIPES]);
            let mut here = stripe.removals.iter().filter(|(_, removal)| !removal.is_aside);
            let room = most - pending.removals.len();
            pending.removals.extend(here.by_ref().take(room).map(|(key, removal)| (key.clone(), removal.sequence)));
            if here.next().is_some() {
                break;
            }
            pending.stripes += 1;
        }
        pending
    }

    /// What was committed for a key is durable: the removal of this sequence, if there was one, and a record, if there was one. Whatever a restore
    /// may have read before is old. Returns whether the record may leave the memory: not while a later removal waits,
    /// which would take it out of the archive although it was stored after that removal.
    ///
    /// A record settles a removal that is set aside, too. That one was handed out by `pending` before the record was collected, so the record is later. A removal
    /// that came after that is not aside.
    pub fn settle(&self, key: &K, committed: Option<u64>) -> bool {
        let hash = self.hash(key);
        let mut stripe = self.stripe(hash);
        stripe.make_old(hash);
        stripe.unchanged.remove(key);
        let Some(&removal) = stripe.removals.get(key) else { return true };
        let is_settled = committed.map_or(removal.is_aside, |committed| removal.sequence == committed);
        if is_settled {
            stripe.removals.remove(key);
            self.uncount(removal);
        }
        is_settled
    }

    /// The archive or the key's codec refuses this removal. It holds for as long as this process runs, or until the key has a later record.
    pub fn set_aside(&self, key: &K, sequence: u64) {
        if let Some(removal) = self.lock(key).removals.get_mut(key)
            && removal.sequence == sequence
            && !removal.is_aside
        {
            removal.is_aside = true;
            self.aside.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// There is another archive: all removals are to be committed, and all fragments to be written again. Whatever a restore may have read before is old.
    pub fn take_up(&self) {
        for stripe in &self.stripes {
            let mut stripe = lock(stripe);
            for removal in stripe.removals.values_mut().filter(|removal| removal.is_aside) {
                removal.is_aside = false;
                self.aside.fetch_sub(1, Ordering::SeqCst);
            }
            stripe.restores.values_mut().for_each(|restores| restores.epoch += 1);
            stripe.unchanged.clear();
        }
    }

    pub fn is_unchanged(&self, key: &K, version: Version) -> bool {
        self.lock(key).unchanged.get(key) == Some(&version)
    }

    /// Removals that are not committed, about.
    pub fn removals(&self) -> u64 {
        self.pending.load(Ordering::Relaxed)
    }

    /// Those of them that are set aside.
    pub fn aside(&self) -> u64 {
        self.aside.load(Ordering::SeqCst)
    }

    /// How often a key whose removal is set aside was removed again, ever.
    pub fn renewed(&self) -> u64 {
        self.renewed.load(Ordering::SeqCst)
    }

    /// Removals that are to be committed, about.
    pub fn queued(&self) -> u64 {
        self.removals().saturating_sub(self.aside())
    }

    /// Registers a restore. The caller holds the key's gate.
    pub fn enter(&self, stripe: &mut Stripe<K>, key: &K) -> Ticket<'_, K> {
        let hash = self.hash(key);
        let restores = stripe.restores.entry(hash).or_default();
        restores.running += 1;
        Ticket { gates: self, hash, epoch: restores.epoch }
    }
}

impl<K: Hash + Eq + Clone> Stripe<K> {
    /// The archive has the record of this version, unless a removal of the key waits. `fragments` stand in memory: much more need not be known.
    pub fn set_unchanged(&mut self, key: &K, version: Version, fragments: u64) {
        if self.removals.contains_key(key) {
            return;
        }
        if self.unchanged.len() as u64 > 64 + 4 * fragments / STRIPES as u64 {
            // They are of fragments that expired, or were taken out behind our back.
            self.unchanged.clear();
        }
        self.unchanged.insert(key.clone(), version);
    }

    pub fn is_removed(&self, key: &K) -> bool {
        self.removals.contains_key(key)
    }

    fn make_old(&mut self, hash: u64) {
        if let Some(restores) = self.restores.get_mut(&hash) {
            restores.epoch += 1;
        }
    }
}

/// A restore that is registered. Dropped, it is no more, whatever came of it. It may be dropped while a panic goes on, so it calls no code of the key's: a
/// second panic would end the process.
pub(super) struct Ticket<'g, K: Hash + Eq + Clone> {
    gates: &'g Gates<K>,
    hash: u64,
    epoch: u64,
}

impl<K: Hash + Eq + Clone> Ticket<'_, K> {
    /// Whether what was read since it was registered is still the newest. The caller holds the key's gate.
    pub fn is_current(&self, stripe: &Stripe<K>) -> bool {
        stripe.restores.get(&self.hash).is_some_and(|restores| restores.epoch == self.epoch)
    }
}

impl<K: Hash + Eq + Clone> Drop for Ticket<'_, K> {
    fn drop(&mut self) {
        let mut stripe = self.gates.stripe(self.hash);
        if let Some(restores) = stripe.restores.get_mut(&self.hash) {
            restores.running -= 1;
            if restores.running == 0 {
                stripe.restores.remove(&self.hash);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(gates: &Gates<i32>) -> Vec<(i32, u64)> {
        let pending = gates.pending(0, u64::MAX);
        assert_eq!(pending.stripes, STRIPES);
        pending.removals
    }

    #[test]
    fn removals_are_handed_out_a_batch_at_a_time_and_all_are_when_all_stripes_are() {
        let gates = Gates::new();
        (0..1000).for_each(|key| gates.remove(&mut gates.lock(&key), key));
        let (mut first, mut stripes, mut rounds) = (5, 0, 0);
        while stripes < STRIPES {
            let pending = gates.pending(first, 7);
            assert!(
                pending.removals.len() <= 7 && (pending.removals.len() == 7 || stripes + pending.stripes >= STRIPES)
            );
            for (key, sequence) in pending.removals {
                assert!(gates.settle(&key, Some(sequence)));
            }
            first = (first + pending.stripes) % STRIPES;
            stripes += pending.stripes;
            rounds += 1;
        }
        assert!(gates.removals() == 0 && rounds >= 1000 / 7, "{rounds} rounds");
    }

    #[test]
    fn a_removal_stands_until_its_own_commit() {
        let gates = Gates::new();
        gates.remove(&mut gates.lock(&1), 1);
        let first = pending(&gates);
        assert!(first.len() == 1 && gates.removals() == 1);
        gates.remove(&mut gates.lock(&1), 1);
        assert!(!gates.settle(&1, Some(first[0].1)), "a later removal waits");
        assert!(gates.lock(&1).is_removed(&1));
        let second = pending(&gates);
        assert!(gates.settle(&1, Some(second[0].1)) && gates.removals() == 0 && !gates.lock(&1).is_removed(&1));
    }

    #[test]
    fn a_removal_that_is_set_aside_holds_and_is_not_handed_out() {
        let gates = Gates::new();
        gates.remove(&mut gates.lock(&1), 1);
        gates.remove(&mut gates.lock(&2), 2);
        let removals = pending(&gates);
        gates.set_aside(&1, removals.iter().find(|(key, _)| *key == 1).unwrap().1);
        assert_eq!(pending(&gates).len(), 1);
        assert!(gates.lock(&1).is_removed(&1));
        gates.take_up();
        assert_eq!((pending(&gates).len(), gates.aside()), (2, 0));
    }

    #[test]
    fn a_record_settles_a_removal_that_is_set_aside_and_no_later_one() {
        let gates = Gates::new();
        let refuse = || {
            gates.remove(&mut gates.lock(&1), 1);
            let sequence = pending(&gates)[0].1;
            gates.set_aside(&1, sequence);
            gates.set_aside(&1, sequence);
            assert_eq!((gates.removals(), gates.aside(), gates.queued()), (1, 1, 0));
        };
        refuse();
        assert!(gates.settle(&1, None) && !gates.lock(&1).is_removed(&1));
        assert_eq!((gates.removals(), gates.aside()), (0, 0));
        refuse();
        gates.remove(&mut gates.lock(&1), 1);
        assert_eq!((gates.removals(), gates.aside()), (1, 0));
        assert!(!gates.settle(&1, None) && gates.lock(&1).is_removed(&1));
    }

    #[test]
    fn a_restore_becomes_old_by_what_happens_while_it_runs_only() {
        let gates = Gates::new();
        let first = gates.enter(&mut gates.lock(&1), &1);
        assert!(first.is_current(&gates.lock(&1)));
        gates.settle(&1, None);
        let second = gates.enter(&mut gates.lock(&1), &1);
        assert!(!first.is_current(&gates.lock(&1)) && second.is_current(&gates.lock(&1)));
        drop(first);
        assert!(second.is_current(&gates.lock(&1)));
        gates.take_up();
        assert!(!second.is_current(&gates.lock(&1)), "there is another archive");
        drop(second);
        assert!(gates.lock(&1).restores.is_empty());
    }
}
