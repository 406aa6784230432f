//! Random setups and operations.

use rand::Rng;
use rand::rngs::StdRng;
use tierstack::{Capacity, GetOrStored, Tier, Version};

use crate::model::versions::foreign;
use crate::recorder::{Key, Operation, Outcome, Setup, Value};

/// Bounds that few small fragments pass.
pub fn setup(dice: &mut StdRng) -> Setup {
    let mut capacity = || match dice.random_range(0..5) {
        0 | 1 => Capacity::UNBOUNDED,
        2 => Capacity::entries(dice.random_range(0..3)),
        3 => Capacity::bytes(dice.random_range(0..8)),
        _ => Capacity::entries(dice.random_range(0..3)).and_bytes(dice.random_range(0..8)),
    };
    let (warm, cold) = (capacity(), capacity());
    Setup { budget: dice.random_range(1..12), warm, cold }
}

/// Which operations there are, each as often as the others.
#[derive(Clone, Copy, Debug)]
pub struct Trade(pub &'static [Kind]);

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Store,
    /// A store that depends on what is there.
    Change,
    Use,
    Look,
    Promote,
    Demote,
    Evict,
    Remove,
    Keep,
    Budget,
    Count,
    Snapshot,
}

impl Trade {
    pub const ALL: Self = Self(&[
        Kind::Store,
        Kind::Store,
        Kind::Change,
        Kind::Change,
        Kind::Use,
        Kind::Use,
        Kind::Look,
        Kind::Promote,
        Kind::Promote,
        Kind::Demote,
        Kind::Evict,
        Kind::Remove,
        Kind::Keep,
        Kind::Budget,
        Kind::Count,
        Kind::Snapshot,
    ]);
    /// No operation whose answer or effect depends on the others' use, room or number.
    pub const BY_KEY: Self = Self(&[Kind::Store, Kind::Change, Kind::Look, Kind::Demote, Kind::Remove, Kind::Keep]);
    pub const SNAPSHOTS: Self = Self(&[
        Kind::Snapshot,
        Kind::Snapshot,
        Kind::Store,
        Kind::Change,
        Kind::Look,
        Kind::Promote,
        Kind::Promote,
        Kind::Demote,
        Kind::Evict,
        Kind::Remove,
    ]);
    pub const CHANGES: Self = Self(&[Kind::Change, Kind::Change, Kind::Store, Kind::Look, Kind::Remove]);
    /// Without a change of the budget.
    pub const CONSTANT: Self = Self(&[
        Kind::Store,
        Kind::Change,
        Kind::Use,
        Kind::Look,
        Kind::Promote,
        Kind::Promote,
        Kind::Demote,
        Kind::Evict,
        Kind::Remove,
        Kind::Keep,
    ]);
    pub const KEEPING: Self = Self(&[
        Kind::Keep,
        Kind::Keep,
        Kind::Keep,
        Kind::Store,
        Kind::Store,
        Kind::Promote,
        Kind::Demote,
        Kind::Evict,
        Kind::Budget,
        Kind::Count,
    ]);
    pub const RECENCY: Self = Self(&[Kind::Use, Kind::Use, Kind::Evict, Kind::Promote, Kind::Demote, Kind::Store]);
    pub const ROOM: Self = Self(&[Kind::Store, Kind::Change, Kind::Promote, Kind::Look]);

    /// One of its operations; the number is that of the value that it stores.
    pub fn operation(self, dice: &mut StdRng, keys: u8, number: u32, known: &Known) -> Operation {
        let key = Key(dice.random_range(0..keys));
        let tier = Tier::ALL[dice.random_range(0..3)];
        let turn = dice.random_range(0..4);
        match self.0[dice.random_range(0..self.0.len())] {
            Kind::Store => Operation::Store(key, Value { number, weight: dice.random_range(0..7) }),
            Kind::Change => {
                let value = Value { number, weight: dice.random_range(0..7) };
                match turn {
                    0 => Operation::StoreIfAbsent(key, value),
                    1 => Operation::GetOrStoreWith(key, value),
                    2 => Operation::ReplaceIf(key, known.version(key), value),
                    _ => Operation::Update(key, value),
                }
            }
            Kind::Use => Operation::Get(key),
            Kind::Look => match turn {
                0 => Operation::Contains(key),
                1 => Operation::TierOf(key),
                _ => Operation::Peek(key),
            },
            Kind::Promote if turn < 2 => Operation::Promote(key),
            Kind::Promote => Operation::PromoteTo(key, tier),
            Kind::Demote if turn < 2 => Operation::Demote(key),
            Kind::Demote => Operation::DemoteTo(key, tier),
            Kind::Evict => Operation::EvictLru(tier),
            Kind::Remove => Operation::Remove(key),
            Kind::Keep if turn < 2 => Operation::Keep(key),
            Kind::Keep => Operation::LetGo(key),
            Kind::Budget => match turn {
                0 => Operation::EnforceHotBudget,
                1 => Operation::HotBudget,
                _ => Operation::SetHotBudget(dice.random_range(0..12)),
            },
            Kind::Count => match turn {
                0 => Operation::HotBytes,
                1 => Operation::Len(tier),
                2 => Operation::Bytes(tier),
                _ => Operation::Iter(tier),
            },
            Kind::Snapshot if turn < 2 => Operation::Snapshot,
            Kind::Snapshot => Operation::SnapshotOf(tier),
        }
    }
}

/// Of each key, the version that the thread has heard of last; a foreign one before that.
#[derive(Debug)]
pub struct Known([Version; Key::MOST as usize]);

impl Default for Known {
    fn default() -> Self {
        Self([foreign(); Key::MOST as usize])
    }
}

impl Known {
    fn version(&self, key: Key) -> Version {
        self.0[usize::from(key.0)]
    }

    pub fn learn(&mut self, operation: &Operation, answer: &Outcome) {
        let learnt = match (operation, answer) {
            (Operation::Get(key) | Operation::Peek(key), Outcome::Fragment(Some(found)))
            | (Operation::GetOrStoreWith(key, _), Outcome::GotOrStored(Ok(GetOrStored::Found(found)))) => {
                Some((key, found.version))
            }
            _ => operation.stores().and_then(|(key, _)| Some((key, answer.chosen()?))),
        };
        if let Some((key, version)) = learnt {
            self.0[usize::from(key.0)] = version;
        }
    }
}
