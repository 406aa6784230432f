//! A plan as it was at one instant.

use core::fmt;
use std::sync::Arc;

use super::event::{EventKind, Record};
use super::id::{ChangesetId, Sequence};
use super::index::{Changes, Lazy};
use super::status::Status;
use super::timeline::Here;
use super::version::{LogEntry, LogPosition, Version};
use super::walk::{Along, Audit, Walk, backwards};

/// A plan as it was at one instant. It never changes, and may outlive the plan.
///
/// [`PlanContext::snapshot`](crate::PlanContext::snapshot) makes it in O(1). It keeps in memory what had happened up to then, and also what was
/// recorded after it until the next start, close, abort or roll-back.
///
/// # Serialization
///
/// With the `serde` feature a snapshot is written as a struct of three fields, in every format:
///
/// - `format`: a number, 1. A snapshot of another format is not read.
/// - `changesets`: the id, the status and the sequence numbers of the changes of each changeset. It is for readers that want no more.
/// - `events`: the audit trail. All else follows from it.
///
/// Both sequences say how long they are. To read a snapshot is to [replay](crate::PlanContext::replay) its events. It is an error if they do not
/// follow upon one another, or if the changesets are not what they come to. Ids are texts, such as `"changeset-1"`; sequence numbers are
/// numbers. A snapshot that was read is of a new plan: only the events are the same. [`PlanContext::restore`](crate::PlanContext::restore) goes on
/// from it.
///
/// # Examples
///
/// ```
/// use tierstack::{PlanContext, Status};
///
/// let plan: PlanContext<&str> = PlanContext::new();
/// let draft = plan.start_changeset();
/// draft.record("outline")?;
/// let before = plan.snapshot();
/// draft.record("text")?;
/// draft.close()?;
///
/// let changes = |snapshot: &tierstack::Snapshot<&'static str>| -> Vec<_> {
///     snapshot.changeset(draft.id()).unwrap().changes().map(|record| *record.change).collect()
/// };
/// assert_eq!(changes(&before), ["outline"]);
/// assert_eq!(changes(&plan.snapshot()), ["outline", "text"]);
/// assert_eq!(before.changeset(draft.id()).unwrap().status(), Status::Open);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Snapshot<C> {
    version: Arc<Version<C>>,
    /// Of that version's log; no seal.
    at: *mut LogEntry<C>,
    by_changeset: Lazy<C>,
}

// SAFETY: it owns its version, to whose log the pointer points.
unsafe impl<C: Send + Sync> Send for Snapshot<C> {}
// SAFETY: as above; all that it does to the version is to read it.
unsafe impl<C: Send + Sync> Sync for Snapshot<C> {}

impl<C> Snapshot<C> {
    pub(super) fn new(here: &Here<'_, C>) -> Self {
        Self { version: here.version.share(), at: here.head.as_raw(), by_changeset: Lazy::new() }
    }

    /// What a plan begins with that goes on from here.
    pub(super) fn continued(&self) -> Version<C> {
        // SAFETY: it is of the log of the version, was acquired when the snapshot was taken, and is no seal.
        unsafe { Version::restored(Arc::clone(&self.version), self.at) }
    }

    fn at(&self) -> LogPosition<'_, C> {
        // SAFETY: it is of the log of the version, which lives as long as this is borrowed.
        unsafe { LogPosition::from_raw(self.at) }
    }

    fn walk(&self, along: Along) -> Walk<'_, C> {
        Walk::new(&self.version, self.at(), along)
    }

    /// The sequence number of the last event before the snapshot. O(1).
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        Sequence::new(self.version.last(self.at()))
    }

    /// The changeset that was on top: the one that was started last of those that were open. O(1).
    #[must_use]
    pub fn current(&self) -> Option<ChangesetId> {
        self.version.top
    }

    /// How many changesets had been started, whatever has become of them. O(1).
    #[must_use]
    pub fn started(&self) -> u64 {
        self.version.statuses.started()
    }

    /// A changeset as it was, with changes or without. `None` if none with that id had been started. O(log n) for n changesets.
    #[must_use]
    pub fn changeset(&self, id: ChangesetId) -> Option<ChangesetView<'_, C>> {
        let status = self.version.statuses.get(id)?;
        Some(ChangesetView { snapshot: self, id, status })
    }

    /// All changesets that had been started, in order. Those without changes, and those that were aborted or rolled back, are among them. O(log n)
    /// each.
    pub fn changesets(&self) -> impl DoubleEndedIterator<Item = ChangesetView<'_, C>> {
        (0..self.started()).filter_map(|index| self.changeset(ChangesetId::from_index(index)))
    }

    /// The changes in force, of all changesets, in the plan's order: those that are not rolled back, nor in an aborted changeset.
    ///
    /// O(n log m) when it is called, for n events of the plan and m changesets.
    pub fn changes(&self) -> impl DoubleEndedIterator<Item = Record<'_, C>> + ExactSizeIterator {
        let aborted = |id| self.version.statuses.get(id) == Some(Status::Aborted);
        let recorded = backwards(self.walk(Along::Bases)).filter_map(|event| match event.kind {
            EventKind::Recorded { changeset, change } if !aborted(changeset) => {
                Some(Record { sequence: event.sequence, changeset, change })
            }
            _ => None,
        });
        let mut changes: Vec<_> = recorded.collect();
        changes.shrink_to_fit();
        changes.into_iter().rev()
    }

    /// Everything that happened up to the snapshot, in order: started, recorded, closed, aborted, rolled back. What was aborted or rolled
    /// back is also there.
    ///
    /// A step from the back is O(1). The first step from the front is O(n) in the length of the plan, each other is O(1).
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{EventKind, PlanContext};
    ///
    /// let plan: PlanContext<&str> = PlanContext::new();
    /// let changeset = plan.start_changeset();
    /// changeset.record("a try")?;
    /// changeset.abort()?;
    ///
    /// let snapshot = plan.snapshot();
    /// let id = changeset.id();
    /// let kinds: Vec<_> = snapshot.audit().map(|event| event.kind).collect();
    /// assert_eq!(kinds, [
    ///     EventKind::Started { changeset: id },
    ///     EventKind::Recorded { changeset: id, change: &"a try" },
    ///     EventKind::Aborted { changeset: id },
    /// ]);
    /// let last = snapshot.audit().next_back().unwrap();
    /// assert_eq!(last.sequence, snapshot.sequence());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn audit(&self) -> Audit<'_, C> {
        Audit::new(self.walk(Along::Before), self.sequence().number())
    }

    /// From the newest back to the oldest, what is not rolled back.
    pub(super) fn in_force(&self) -> Walk<'_, C> {
        self.walk(Along::Bases)
    }
}

impl<C> Clone for Snapshot<C> {
    fn clone(&self) -> Self {
        Self { version: Arc::clone(&self.version), at: self.at, by_changeset: self.by_changeset.clone() }
    }
}

impl<C> fmt::Debug for Snapshot<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("sequence", &self.sequence())
            .field("current", &self.current())
            .field("started", &self.started())
            .finish_non_exhaustive()
    }
}

/// A changeset as it is in a [`Snapshot`].
pub struct ChangesetView<'a, C> {
    snapshot: &'a Snapshot<C>,
    id: ChangesetId,
    status: Status,
}

impl<'a, C> ChangesetView<'a, C> {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> ChangesetId {
        self.id
    }

    /// What had become of it.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Its changes that are not rolled back, in order. An aborted changeset still shows its own.
    ///
    /// The first call for any changeset of a snapshot indexes the snapshot, in O(n) in the length of the plan. After that, a call is O(1), and so is each
    /// step. Calls at the same time may each make the index; none waits.
    ///
    /// # Examples
    ///
    /// ```
    /// # let plan: tierstack::PlanContext<u32> = tierstack::PlanContext::new();
    /// let (a, b) = (plan.start_changeset(), plan.start_changeset());
    /// a.record(1)?;
    /// b.record(2)?;
    /// a.record(3)?;
    /// let snapshot = plan.snapshot();
    /// let changes = snapshot.changeset(a.id()).unwrap().changes();
    /// assert_eq!(changes.map(|record| (record.sequence.number(), *record.change)).collect::<Vec<_>>(), [(3, 1), (5, 3)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn changes(&self) -> Changes<'a, C> {
        let Snapshot { by_changeset, version, .. } = self.snapshot;
        // SAFETY: a snapshot does not change, nor what it walks through, which it owns; a clone of it is of the same.
        unsafe { by_changeset.of(self.id, &self.snapshot.in_force(), version.statuses.started()) }
    }

    /// How many changes it has. Indexes the snapshot, as [`changes`](Self::changes).
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes().len()
    }

    /// Whether it has no changes. Indexes the snapshot, as [`changes`](Self::changes).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<C> Clone for ChangesetView<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for ChangesetView<'_, C> {}

impl<C> fmt::Debug for ChangesetView<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangesetView").field("id", &self.id).field("status", &self.status).finish_non_exhaustive()
    }
}
