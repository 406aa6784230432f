//! Random programs: numbers that come to operations.

use std::ops::Range;

use super::model::Operation;

/// A step of a program: which operation, and what to choose its changeset or savepoint by.
pub type Step = (u8, u16);

// The first number of a step, by what it comes to.
pub const START: Range<u8> = 0..40;
pub const RECORD: Range<u8> = 40..144;
pub const CLOSE: Range<u8> = 144..162;
pub const ABORT: Range<u8> = 162..180;
pub const ROLL_BACK: Range<u8> = 180..220;
pub const LOOK: Range<u8> = 220..255;

/// The operation that a step comes to. Its changeset is one of those started, or one more, which is unknown; mostly a new one. Its changes
/// are numbered from a hundred times `number`. Of the savepoints there must be one.
pub fn operation((kind, chosen): Step, number: u64, started: u64, savepoints: &[u64]) -> Operation {
    let chosen = usize::from(chosen);
    let newest = started + 1;
    let among = if kind.is_multiple_of(4) { newest } else { newest.min(4) };
    let id = newest - chosen as u64 % among;
    let change = number * 100;
    let changes = || (change..change + u64::from(kind % 5)).collect();
    match kind {
        0..40 => Operation::Start,
        40..80 => Operation::Record { change },
        80..112 => Operation::RecordIn { id, change },
        112..128 => Operation::RecordAll { changes: changes() },
        128..144 => Operation::RecordAllIn { id, changes: changes() },
        144..162 => Operation::Close { id },
        162..180 => Operation::Abort { id },
        180..204 => Operation::Savepoint,
        204..220 => Operation::RollBackTo { savepoint: savepoints[chosen % savepoints.len()] },
        220..228 => Operation::Current,
        228..236 => Operation::Status { id },
        236..242 => Operation::Sequence,
        242.. => Operation::Snapshot,
    }
}
