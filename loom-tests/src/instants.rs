//! What threads may see of two keys: whether all that they did and were shown has an order in which each step is true.

use tierstack::Tier;

/// The fragments of the two keys: value and tier.
pub type Keys = [Option<(u64, Tier)>; 2];

/// What a thread did, or was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The key's fragment, from the one to the other.
    Changed(usize, Option<(u64, Tier)>, Option<(u64, Tier)>),
    Saw(usize, Option<(u64, Tier)>),
    Shown(Keys),
    /// Those in hot alone.
    ShownHot(Keys),
}

impl Event {
    fn step(self, mut keys: Keys) -> Option<Keys> {
        let hot = |key: Option<(u64, Tier)>| key.filter(|(_, tier)| *tier == Tier::Hot);
        let is_true = match self {
            Self::Changed(key, from, to) => {
                let is_true = keys[key] == from;
                keys[key] = to;
                is_true
            }
            Self::Saw(key, seen) => keys[key] == seen,
            Self::Shown(shown) => keys == shown,
            Self::ShownHot(shown) => keys.map(hot) == shown,
        };
        is_true.then_some(keys)
    }
}

/// Whether some order of all that the threads did, each in its own order, leads from `first` through what each was shown.
#[must_use]
pub fn explains(first: Keys, threads: &[&[Event]]) -> bool {
    threads.iter().all(|events| events.is_empty())
        || (0..threads.len()).any(|thread| {
            let Some((event, rest)) = threads[thread].split_first() else { return false };
            event.step(first).is_some_and(|keys| {
                let mut threads = threads.to_vec();
                threads[thread] = rest;
                explains(keys, &threads)
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOT: Option<(u64, Tier)> = Some((1, Tier::Hot));
    const WARM: Option<(u64, Tier)> = Some((1, Tier::Warm));

    #[test]
    fn what_mixes_two_instants_has_no_order() {
        let swap = [Event::Changed(0, HOT, WARM), Event::Changed(1, WARM, HOT)];
        for shown in [[HOT, WARM], [WARM, WARM], [WARM, HOT]] {
            assert!(explains([HOT, WARM], &[&swap, &[Event::Shown(shown)]]));
        }
        assert!(!explains([HOT, WARM], &[&swap, &[Event::Shown([HOT, HOT])]]));
        assert!(!explains([HOT, WARM], &[&swap, &[Event::ShownHot([HOT, HOT])]]));
        // The second has seen what the first did, and did something after it.
        let seen = [Event::Saw(0, WARM), Event::Changed(1, HOT, WARM)];
        assert!(!explains([HOT, HOT], &[&swap[..1], &seen, &[Event::Shown([HOT, WARM])]]));
        assert!(explains([HOT, HOT], &[&swap[..1], &seen, &[Event::Shown([WARM, HOT])]]));
    }
}
