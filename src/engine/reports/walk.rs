//! What a snapshot's own walk meets, and what comes of that and of what was told.

use core::hash::{BuildHasherDefault, Hasher};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crossbeam_epoch::Guard;

use super::collector::{Collector, Record};
use crate::engine::entries::Placement;
use crate::engine::node::Node;
use crate::engine::place::Standing;

/// What is met on the way up the orders.
pub struct Walk<K, V>(Vec<Record<K, V>>);

impl<K, V> Walk<K, V> {
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// An entry of an order. `chain_with` looks in the index for the chain with a node.
    #[inline]
    pub fn meet<'g>(
        &mut self,
        node: &'g Node<K, V>,
        (tier, tick): Placement,
        chain_with: impl FnOnce(&Node<K, V>) -> Option<&'g Node<K, V>>,
        guard: &'g Guard,
    ) {
        if !node.is_published() {
            // Where the index leads to it, it is there all the same. Else whoever is to put it there reports it.
            if let Some(first) = chain_with(node) {
                Record::chain(first, guard, |record| self.0.push(record));
            }
            return;
        }
        let place = node.place.load();
        match place.standing(tier, tick) {
            // It stands where another entry says, which is met, or whose leaver reports.
            Standing::Before => {}
            Standing::At => self.0.push(Record::new(node, place)),
            // Who has moved it may not have reported it.
            Standing::Beyond => Record::chain(node, guard, |record| self.0.push(record)),
        }
    }

    pub(super) fn into_records(self) -> Vec<Record<K, V>> {
        self.0
    }
}

/// Hashes stamps, which are ticks, and all different.
#[derive(Default)]
struct Stamps(u64);

impl Hasher for Stamps {
    fn write(&mut self, _bytes: &[u8]) {
        debug_assert!(false, "a stamp is a `u64`");
    }

    fn write_u64(&mut self, stamp: u64) {
        self.0 = stamp.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl<K, V> Collector<K, V> {
    /// Of each node the furthest word, of the walk and of what was told. It is blocked.
    pub fn furthest(&self, guard: &Guard) -> impl Iterator<Item = Record<K, V>> {
        let walked = self.walked(guard);
        let mut furthest: HashMap<u64, Record<K, V>, BuildHasherDefault<Stamps>> =
            HashMap::with_capacity_and_hasher(walked.len(), BuildHasherDefault::default());
        let mut add = |record: Record<K, V>| match furthest.entry(record.stamp) {
            Entry::Occupied(mut known) => {
                if record.place.is_further_than(known.get().place) {
                    known.insert(record);
                }
            }
            Entry::Vacant(free) => {
                free.insert(record);
            }
        };
        walked.iter().copied().for_each(&mut add);
        self.visit_told(guard, &mut add);
        furthest.into_values()
    }
}
