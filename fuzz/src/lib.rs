//! What inputs of the targets are made of: sizes, capacities and tiers, from a byte or two each.

use arbitrary::{Arbitrary, Result, Unstructured};
use tierstack::{Capacity, MAX_BYTES, Tier};

/// A tier.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Level {
    Hot,
    Warm,
    Cold,
}

impl From<Level> for Tier {
    fn from(level: Level) -> Self {
        match level {
            Level::Hot => Self::Hot,
            Level::Warm => Self::Warm,
            Level::Cold => Self::Cold,
        }
    }
}

/// Bytes: a weight, or a budget. Mostly so few that some fragments fit and some do not; sometimes about the most that there
/// may be, or more.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(pub u64);

impl<'a> Arbitrary<'a> for Bytes {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        let byte = u64::from(u8::arbitrary(input)?);
        Ok(Self(match byte {
            0..180 => byte % 18,
            180..236 => byte - 180,
            236..246 => MAX_BYTES / 8 * (byte - 236),
            246..250 => MAX_BYTES - (byte - 246),
            250..254 => MAX_BYTES + (byte - 249),
            _ => u64::MAX,
        }))
    }

    fn size_hint(depth: usize) -> (usize, Option<usize>) {
        u8::size_hint(depth)
    }
}

/// Bytes of which a budget may be.
#[must_use]
pub fn legal(bytes: Bytes) -> u64 {
    bytes.0.min(MAX_BYTES)
}

/// A tier's capacity.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Room {
    entries: Option<u8>,
    bytes: Option<Bytes>,
}

impl Room {
    /// At most `most` entries, where entries are bounded at all.
    #[must_use]
    pub fn up_to(self, most: u8) -> Capacity {
        let entries = self.entries.map(|entries| u64::from(entries % (most + 1)));
        Capacity { entries, bytes: self.bytes.map(|bytes| bytes.0) }
    }
}

/// How many hashes keys are mapped to: one, a few that collide, or as good as all.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Hashes {
    One,
    Three,
    Many,
}

impl Hashes {
    #[must_use]
    pub const fn number(self) -> u64 {
        match self {
            Self::One => 1,
            Self::Three => 3,
            Self::Many => u64::MAX,
        }
    }
}
