//! The harness alone: what each number includes that is not the subject's.

use std::hint::black_box;

use crate::subject::{Bounds, Held, Payload, Session, Subject};

/// Holds nothing.
pub struct Nothing;

impl<V: Payload> Subject<V> for Nothing {
    const NAME: &'static str = "harness";
    const EXACT: bool = true;
    const BOUNDED: bool = false;

    type Session<'s> = Self;

    fn new(_: Bounds) -> Self {
        Self
    }

    fn session(&self) -> Self {
        Self
    }

    fn held(&self) -> Option<Held> {
        None
    }
}

impl<V: Payload> Session<V> for Nothing {
    #[inline]
    fn get(&mut self, key: &str) -> bool {
        black_box(key);
        true
    }

    #[inline]
    fn store(&mut self, key: String, value: V) {
        black_box((key, value));
    }

    #[inline]
    fn promote(&mut self, key: &str) -> bool {
        black_box(key);
        true
    }

    #[inline]
    fn demote(&mut self, key: &str) -> bool {
        black_box(key);
        true
    }

    #[inline]
    fn remove(&mut self, key: &str) -> bool {
        black_box(key);
        true
    }
}
