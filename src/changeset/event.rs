//! What happens in a plan: the events of its audit trail, and the changes among them.

use core::fmt;

use super::id::{ChangesetId, Sequence};

/// Something that happened in a plan. `C` is the change, or a reference to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Event<C> {
    /// Its place in the plan's order.
    pub sequence: Sequence,
    /// What happened.
    pub kind: EventKind<C>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[allow(missing_docs, reason = "the fields say nothing that the variants do not")]
pub enum EventKind<C> {
    /// A changeset was started.
    Started { changeset: ChangesetId },
    /// A change was recorded.
    Recorded { changeset: ChangesetId, change: C },
    /// A changeset was closed.
    Closed { changeset: ChangesetId },
    /// A changeset was aborted.
    Aborted { changeset: ChangesetId },
    /// Everything that had happened after `to` was rolled back.
    RolledBack { to: Sequence },
}

impl<C: Clone> Event<&C> {
    /// The event with a change of its own.
    #[must_use]
    pub fn cloned(self) -> Event<C> {
        let kind = match self.kind {
            EventKind::Started { changeset } => EventKind::Started { changeset },
            EventKind::Recorded { changeset, change } => EventKind::Recorded { changeset, change: change.clone() },
            EventKind::Closed { changeset } => EventKind::Closed { changeset },
            EventKind::Aborted { changeset } => EventKind::Aborted { changeset },
            EventKind::RolledBack { to } => EventKind::RolledBack { to },
        };
        Event { sequence: self.sequence, kind }
    }
}

/// A change in a snapshot, and where it stands.
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Record<'a, C> {
    /// Its place in the plan's order.
    pub sequence: Sequence,
    /// Which changeset it is in.
    pub changeset: ChangesetId,
    /// The change.
    pub change: &'a C,
}

impl<C> Clone for Record<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Record<'_, C> {}

impl<C: fmt::Debug> fmt::Debug for Record<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("sequence", &self.sequence)
            .field("changeset", &self.changeset)
            .field("change", &self.change)
            .finish()
    }
}

impl<C: PartialEq> PartialEq for Record<'_, C> {
    fn eq(&self, other: &Self) -> bool {
        (self.sequence, self.changeset, self.change) == (other.sequence, other.changeset, other.change)
    }
}

impl<C: Eq> Eq for Record<'_, C> {}

/// Where a call recorded a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Recorded {
    /// The changeset that it is in.
    pub changeset: ChangesetId,
    /// Its place in the plan's order.
    pub sequence: Sequence,
}

/// Where a call recorded several changes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordedAll {
    /// The changeset that they are in.
    pub changeset: ChangesetId,
    /// The sequence number of the last. If there was none to record, that of the last event before.
    pub last: Sequence,
    /// How many they are. Their sequence numbers are consecutive, up to `last`.
    pub len: usize,
}

impl RecordedAll {
    /// The sequence numbers of the changes, in their order.
    #[must_use]
    pub fn sequences(&self) -> impl DoubleEndedIterator<Item = Sequence> + use<> {
        let last = self.last.number();
        (last.saturating_sub(self.len as u64)..last).map(|before| Sequence::new(before + 1))
    }
}
