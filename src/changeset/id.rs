//! What names a changeset, and a place in a plan's order.

use core::fmt;
use core::num::NonZeroU64;
use core::str::FromStr;

/// The name of a changeset within its plan: `changeset-1` is the first that the plan started.
///
/// Ids are given out in the order in which changesets start. None is given out twice, not even after a roll-back. In another plan an id
/// names another changeset, or none. A [`ChangesetHandle`](crate::ChangesetHandle) knows its plan, and cannot be mistaken in this way.
///
/// # Examples
///
/// ```
/// use tierstack::{ChangesetId, PlanContext};
///
/// let plan: PlanContext = PlanContext::new();
/// let id = plan.start_changeset().id();
/// assert_eq!(id.to_string(), "changeset-1");
/// assert_eq!("changeset-1".parse(), Ok(id));
/// assert!("changeset-0".parse::<ChangesetId>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangesetId(NonZeroU64);

const PREFIX: &str = "changeset-";

impl ChangesetId {
    /// The changeset that started after `index` others.
    pub(crate) fn from_index(index: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(index))
    }

    /// How many changesets of the plan started before this one.
    pub(crate) fn index(self) -> u64 {
        self.0.get() - 1
    }

    /// The number of the changeset. The plan's first changeset has number 1.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for ChangesetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{PREFIX}{}", self.0))
    }
}

impl fmt::Debug for ChangesetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ChangesetId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        // What `parse` takes beyond what `Display` writes: a sign, and zeros in front.
        let number = text.strip_prefix(PREFIX).filter(|digits| digits.starts_with(|c: char| matches!(c, '1'..='9')));
        number.and_then(|digits| digits.parse().ok()).map(Self).ok_or_else(|| ParseIdError { text: text.into() })
    }
}

/// A text is not the name of a changeset, such as `changeset-1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseIdError {
    /// The text.
    pub text: Box<str>,
}

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not the name of a changeset, such as \"{PREFIX}1\"", Excerpt(&self.text))
    }
}

impl core::error::Error for ParseIdError {}

/// The beginning of a text that is shown in a message. The text may be an input of any length.
pub(super) struct Excerpt<'a>(pub(super) &'a str);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 64;
        match self.0.char_indices().nth(LONGEST) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => write!(f, "{:?}…", &self.0[..end]),
        }
    }
}

/// The number of an event in its plan. The first event has number 1, and each next one more, in the order in which the events took effect.
///
/// Every event has a number: each change, and each start, close, abort and roll-back. Numbers never repeat and never go back, not even by
/// a roll-back. Number 0 stands before all events.
///
/// # Examples
///
/// ```
/// use tierstack::{PlanContext, Sequence};
///
/// let plan: PlanContext<&str> = PlanContext::new();
/// assert_eq!(plan.sequence(), Sequence::ORIGIN);
/// let changeset = plan.start_changeset();
/// assert_eq!(changeset.record("a change")?.sequence.number(), 2, "after the start");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Sequence(u64);

impl Sequence {
    /// Before all events.
    pub const ORIGIN: Self = Self(0);

    pub(crate) fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number itself.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_written_is_read() {
        let largest = ChangesetId(NonZeroU64::MAX);
        assert_eq!(largest.to_string().parse(), Ok(largest));
        for text in
            ["", "changeset-", "changeset-0", "changeset-01", "changeset-+1", "changeset--1", "Changeset-1", "1"]
        {
            assert_eq!(text.parse::<ChangesetId>(), Err(ParseIdError { text: text.into() }), "{text}");
        }
        assert!("changeset-18446744073709551616".parse::<ChangesetId>().is_err());
        assert_eq!(format!("{:>13}|", ChangesetId::from_index(6)), "  changeset-7|");
    }
}
