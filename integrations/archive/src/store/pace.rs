//! When to write: how long to wait for a batch to fill, and after a failure.

use core::time::Duration;
use std::hash::{BuildHasher, RandomState};
use std::ops::RangeInclusive;

/// The pauses after failures in a row. They double from the shortest to the longest. Chance shortens each, to half of it at most, so that
/// writers which a server has failed at one instant do not come back at one instant.
pub(super) struct BackOff {
    pauses: RangeInclusive<Duration>,
    attempts: u32,
    chance: RandomState,
}

impl BackOff {
    pub fn new(pauses: RangeInclusive<Duration>) -> Self {
        Self { pauses, attempts: 0, chance: RandomState::new() }
    }

    /// The pause after one more failure.
    pub fn pause(&mut self) -> Duration {
        let (shortest, longest) = (*self.pauses.start(), (*self.pauses.end()).max(*self.pauses.start()));
        let doubled = 1_u32.checked_shl(self.attempts.min(31)).unwrap_or(u32::MAX);
        let pause = shortest.saturating_mul(doubled).min(longest);
        self.attempts = self.attempts.saturating_add(1);
        let chance = u32::try_from(self.chance.hash_one(self.attempts) % 1024).unwrap_or(0);
        pause.saturating_sub(pause / 2 / 1024 * chance)
    }

    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    pub fn reset(&mut self) {
        self.attempts = 0;
        self.chance = RandomState::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_chance_halves_them_at_most() {
        let (shortest, longest) = (Duration::from_millis(10), Duration::from_millis(300));
        let mut back_off = BackOff::new(shortest..=longest);
        for _ in 0..3 {
            for attempt in 0..100_u32 {
                let whole = shortest.saturating_mul(1 << attempt.min(20)).min(longest);
                let pause = back_off.pause();
                assert!(pause <= whole && pause >= whole / 2, "{attempt}: {pause:?}");
            }
            assert_eq!(back_off.attempts(), 100);
            back_off.reset();
        }
        let mut none = BackOff::new(Duration::ZERO..=Duration::ZERO);
        assert_eq!(none.pause(), Duration::ZERO);
    }
}
