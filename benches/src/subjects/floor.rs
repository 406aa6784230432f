//! The floor: a `std` `HashMap` that nobody changes once it is filled, with the same hasher. What any look-up costs.
//!
//! It does less than all others: it has no tiers, no order, no bounds, and takes nothing in.

use std::collections::HashMap;

use crate::subject::{Bounds, Hasher, Held, Payload, Session, Subject, weigh};

/// The map, shared by reference.
pub struct Floor<V>(HashMap<String, V, Hasher>);

impl<V: Payload> Subject<V> for Floor<V> {
    const NAME: &'static str = "floor";
    const EXACT: bool = true;

    type Session<'s> = &'s Self;

    fn new(_: Bounds) -> Self {
        Self(HashMap::default())
    }

    fn filled(_: Bounds, fragments: impl Iterator<Item = (String, V)>) -> Self {
        Self(fragments.collect())
    }

    fn session(&self) -> &Self {
        self
    }

    fn held(&self) -> Option<Held> {
        let bytes = self.0.iter().map(|(key, value)| weigh(key, value)).sum();
        Some(Held { fragments: self.0.len() as u64, bytes })
    }
}

impl<V: Payload> Session<V> for &Floor<V> {
    #[inline]
    fn get(&mut self, key: &str) -> bool {
        self.0.get(key).is_some_and(|value| {
            value.touch();
            true
        })
    }

    fn store(&mut self, _: String, _: V) {
        unreachable!("the floor is only read");
    }

    fn promote(&mut self, _: &str) -> bool {
        unreachable!("the floor has no tiers");
    }

    fn demote(&mut self, _: &str) -> bool {
        unreachable!("the floor has no tiers");
    }

    fn remove(&mut self, _: &str) -> bool {
        unreachable!("the floor is only read");
    }
}
