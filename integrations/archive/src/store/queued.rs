//! How far cold stands above what it is to keep.

use tierstack::Capacity;

/// What cold holds above a capacity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Queued {
    over_bytes: u64,
    over_entries: u64,
    /// Bytes above it; where entries are bounded, those of as many average fragments, if that is more.
    pub bytes: u64,
    /// Fragments above it; where bytes are bounded, as many average fragments, if that is more.
    pub entries: u64,
}

impl Queued {
    /// Of so many bytes and fragments.
    pub fn above(capacity: Capacity, bytes: u64, entries: u64) -> Self {
        let over_bytes = capacity.bytes.map_or(0, |most| bytes.saturating_sub(most));
        let over_entries = capacity.entries.map_or(0, |most| entries.saturating_sub(most));
        Self {
            over_bytes,
            over_entries,
            bytes: over_bytes.max(share(bytes, over_entries, entries)),
            entries: over_entries.max(share(entries, over_bytes, bytes)),
        }
    }

    pub fn is_any(self) -> bool {
        self.over_bytes > 0 || self.over_entries > 0
    }

    /// As much of it as one batch takes, by one bound at a time: the other one's turn comes after.
    pub fn within(self, bytes: u64, entries: u64) -> Capacity {
        if self.over_bytes > 0 {
            Capacity::bytes(self.over_bytes.min(bytes)).and_entries(entries)
        } else {
            Capacity::bytes(bytes).and_entries(self.over_entries.min(entries))
        }
    }
}

/// `part` of `of`, as a share of `whole`: about, as it is about averages anyway.
#[inline]
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "about; saturates"
)]
fn share(whole: u64, part: u64, of: u64) -> u64 {
    if part == 0 || of == 0 { 0 } else { (whole as f64 * (part as f64 / of as f64)).round() as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_above_is_told_in_bytes_and_entries() {
        let queued = |capacity| Queued::above(capacity, 1000, 10);
        assert!(!queued(Capacity::UNBOUNDED).is_any());
        assert!(!queued(Capacity::bytes(1000).and_entries(10)).is_any());
        let by_bytes = queued(Capacity::bytes(700));
        assert_eq!((by_bytes.bytes, by_bytes.entries), (300, 3));
        assert_eq!(by_bytes.within(200, 5), Capacity::bytes(200).and_entries(5));
        let by_entries = queued(Capacity::entries(6));
        assert_eq!((by_entries.bytes, by_entries.entries), (400, 4));
        assert_eq!(by_entries.within(200, 5), Capacity::bytes(200).and_entries(4));
        let by_both = queued(Capacity::bytes(900).and_entries(1));
        assert_eq!((by_both.bytes, by_both.entries), (900, 9));
        assert_eq!(Queued::above(Capacity::bytes(0), u64::MAX, u64::MAX).entries, u64::MAX);
        assert!(!Queued::above(Capacity::bytes(0), 0, 5).is_any());
    }
}
