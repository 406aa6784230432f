//! The store by itself: what overflows is dropped. What the others' times are compared with.

use tierstack::{BuildError, Capacity};

use super::{Found, Memory, Sizes, Subject, Value, is_of};

pub struct Alone(Memory);

impl Alone {
    pub fn new(sizes: Sizes) -> Result<Self, BuildError> {
        Ok(Self(sizes.store(Capacity::bytes(sizes.cold_bytes()))?))
    }
}

impl Subject for Alone {
    fn store(&self, key: u64, value: Value) -> bool {
        self.0.store(key, value).expect("it is small");
        false
    }

    fn get(&self, key: u64) -> bool {
        self.0.get(&key).is_some_and(|found| is_of(&found.value, key))
    }

    fn restore(&self, key: u64) -> Found {
        if self.get(key) { Found::InMemory } else { Found::Lost }
    }

    fn flush(&self) {}

    fn place(&self, key: u64) -> Found {
        if self.0.contains(&key) { Found::InMemory } else { Found::Lost }
    }
}
