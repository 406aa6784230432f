//! A plan: what callers see.

use core::fmt;
use std::sync::Arc;

use super::change::Change;
use super::error::{NotOpen, SavepointError};
use super::handle::ChangesetHandle;
use super::id::{ChangesetId, Sequence};
use super::savepoint::Savepoint;
use super::snapshot::Snapshot;
use super::status::Status;
use super::timeline::Timeline;

/// A plan's changes, recorded into changesets by many threads at once.
///
/// A changeset takes changes from its start until it is [closed](Self::close), [aborted](Self::abort) or rolled back. The open ones
/// form a stack by age. The one that was started last is *on top*: it takes what is [recorded](Self::record_change) without
/// naming a changeset. Strategies that run in parallel each record through a [handle](ChangesetHandle) of their own. Then it does not matter which
/// changesets the others start.
///
/// A [snapshot](Self::snapshot) of the whole plan is O(1) and never changes. A clone of the context is cheap, and is the same plan.
///
/// # Guarantees
///
/// - *Linearizable*: every operation takes effect, and every refusal is true, at one instant between its call and its return.
/// - *The right changeset*: a change lands in the changeset that is on top, or open, at that instant. From the instant at which a
///   `start_changeset` takes effect to that of the next start, close, abort or roll-back, every ambient record is in that changeset. The
///   next start can be another thread's, and can come before the first has returned. To have a changeset for yourself, use the handle.
/// - *Nothing is lost*: what is recorded stays in the audit trail as long as the plan or a later snapshot lives. What is refused is handed
///   back.
/// - *Lock-free*: a thread that is stopped at any instruction stops nobody else. It is not wait-free: a call can be overtaken again and again.
///   A `start_changeset`, `close`, `abort` or `roll_back_to` is overtaken more easily than a record, because its attempt takes longer. A call
///   that meets an unfinished one of these finishes it first. That costs O(t), once, for the t threads that use plans or other `ArcSwap`s, on top
///   of the complexities below. A thread's first use of an `ArcSwap` allocates.
///
/// # Memory
///
/// A plan keeps all of its events, also those that are rolled back: they are its audit trail. It is freed when the plan, its handles and all
/// snapshots of it are dropped. That takes O(n) on the thread that drops the last of them, without recursion. If the destructor of a change
/// panics, the panic ends there, and the other changes are dropped.
///
/// A change should not hold its own plan, nor a handle or a snapshot of it: that can keep all of it alive for ever. A change may hold
/// another plan. Plans within plans are dropped by recursion, as deep as they are within each other.
///
/// # Examples
///
/// ```
/// use tierstack::{Change, PlanContext};
///
/// let plan = PlanContext::new();
/// let (lexical, recent) = (plan.start_changeset(), plan.start_changeset());
/// std::thread::scope(|scope| {
///     scope.spawn(|| lexical.record(Change::create("notes/a.md", None)).unwrap());
///     scope.spawn(|| recent.record(Change::create("notes/b.md", None)).unwrap());
/// });
/// recent.abort()?;
/// let snapshot = plan.snapshot();
/// let paths: Vec<_> = snapshot.diff().changes().iter().map(|change| change.path).collect();
/// assert_eq!(paths, ["notes/a.md"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PlanContext<C = Change> {
    pub(super) timeline: Arc<Timeline<C>>,
}

impl<C> PlanContext<C> {
    /// A plan in which nothing has happened.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::PlanContext;
    /// let plan: PlanContext = PlanContext::new(); // of `Change`
    /// assert_eq!(plan.current(), None);
    /// let of_another_kind: PlanContext<(u32, f64)> = PlanContext::new();
    /// # assert_eq!(of_another_kind.current(), None);
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self { timeline: Arc::new(Timeline::new()) }
    }

    /// Starts a changeset. It is on top until another is started, or it is closed, aborted or rolled back.
    ///
    /// # Linearization
    ///
    /// The CAS that seals the log of the plan's current version.
    ///
    /// # Progress
    ///
    /// Lock-free. O(log n) for n changesets. Publishing is O(t) for the t threads that have used plans or other `ArcSwap`s.
    ///
    /// # Examples
    ///
    /// ```
    /// # let plan: tierstack::PlanContext<&str> = tierstack::PlanContext::new();
    /// let changeset = plan.start_changeset();
    /// assert_eq!(plan.current(), Some(changeset.id()));
    /// changeset.record("a change")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(clippy::must_use_candidate, reason = "whoever records into what is on top needs no handle")]
    pub fn start_changeset(&self) -> ChangesetHandle<C> {
        ChangesetHandle::new(self.clone(), self.timeline.start().0)
    }

    /// A handle to a changeset that was started, whatever has become of it. `None` if there is none with that id.
    ///
    /// # Linearization
    ///
    /// As [`status`](Self::status).
    ///
    /// # Progress
    ///
    /// Lock-free. O(log n) for n changesets.
    ///
    /// # Examples
    ///
    /// ```
    /// # let plan: tierstack::PlanContext<&str> = tierstack::PlanContext::new();
    /// let id = plan.start_changeset().id();
    /// let again = plan.handle(id).expect("it was started");
    /// again.record("a change")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn handle(&self, id: ChangesetId) -> Option<ChangesetHandle<C>> {
        self.status(id).map(|_| ChangesetHandle::new(self.clone(), id))
    }

    /// Closes a changeset, wherever it is in the stack. It takes no more changes, and those that it has stay. Returns the sequence number of
    /// the event.
    ///
    /// # Errors
    ///
    /// [`NotOpen`] if the changeset is unknown, closed, aborted or rolled back.
    ///
    /// # Linearization
    ///
    /// The CAS that seals the log of the plan's current version. If refused: the load of the log's head.
    ///
    /// # Progress
    ///
    /// As [`start_changeset`](Self::start_changeset).
    ///
    /// # Examples
    ///
    /// ```
    /// # let plan: tierstack::PlanContext<&str> = tierstack::PlanContext::new();
    /// let (below, top) = (plan.start_changeset(), plan.start_changeset());
    /// plan.close(top.id())?;
    /// assert_eq!(plan.current(), Some(below.id()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self, id: ChangesetId) -> Result<Sequence, NotOpen> {
        self.timeline.close(id)
    }

    /// Aborts a changeset, wherever it is in the stack. It takes no more changes, and those that it has leave the diff. The audit trail keeps
    /// them. Returns the sequence number of the event.
    ///
    /// Changes of other changesets that were built on its changes stay. [`Snapshot::stale_bases`] tells of those that do not fit any more.
    ///
    /// # Errors
    ///
    /// [`NotOpen`] if the changeset is unknown, closed, aborted or rolled back.
    ///
    /// # Linearization
    ///
    /// As [`close`](Self::close).
    ///
    /// # Progress
    ///
    /// As [`start_changeset`](Self::start_changeset).
    ///
    /// # Examples
    ///
    /// ```
    /// # let plan: tierstack::PlanContext<&str> = tierstack::PlanContext::new();
    /// let changeset = plan.start_changeset();
    /// changeset.record("a bad idea")?;
    /// plan.abort(changeset.id())?;
    /// let snapshot = plan.snapshot();
    /// assert_eq!((snapshot.changes().len(), snapshot.audit().len()), (0, 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn abort(&self, id: ChangesetId) -> Result<Sequence, NotOpen> {
        self.timeline.abort(id)
    }

    /// A place to [roll back to](Self::roll_back_to): the plan as it is now.
    ///
    /// # Linearization
    ///
    /// The load of the head of the current version's log.
    ///
    /// # Progress
    ///
    /// Lock-free. O(1).
    ///
    /// # Examples
    ///
    /// ```
    /// # let plan: tierstack::PlanContext<&str> = tierstack::PlanContext::new();
    /// plan.start_changeset().record("kept")?;
    /// let savepoint = plan.savepoint();
    /// assert_eq!(savepoint.sequence(), plan.sequence());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn savepoint(&self) -> Savepoint {
        self.timeline.savepoint()
    }

    /// Undoes all that has happened since a savepoint, whichever thread did it.
    ///
    /// - Changes that were recorded since are not in force any more.
    /// - Changesets that were closed or aborted since are open again.
    /// - Changesets that were started since are rolled back for good.
    /// - Savepoints that were taken since are not in force any more. The one that is rolled back to still is.
    ///
    /// A roll-back is itself an event. The audit trail keeps all events, and sequence numbers and ids go on from where they were.
    /// Returns the sequence number of the event.
    ///
    /// # Errors
    ///
    /// [`SavepointError`] if the savepoint is of another plan, or of a part of this one that was rolled back.
    ///
    /// # Linearization
    ///
    /// The CAS that seals the log of the plan's current version. If refused: the load of the log's head; for another plan's savepoint, any instant.
    ///
    /// # Progress
    ///
    /// As [`start_changeset`](Self::start_changeset). To find the savepoint is O(v), for v starts, closes, aborts and roll-backs since.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{PlanContext, Status};
    ///
    /// let plan: PlanContext<&str> = PlanContext::new();
    /// let first = plan.start_changeset();
    /// first.record("kept")?;
    /// let savepoint = plan.savepoint();
    ///
    /// first.record("undone")?;
    /// first.close()?;
    /// let second = plan.start_changeset();
    /// plan.roll_back_to(&savepoint)?;
    ///
    /// assert_eq!(plan.status(second.id()), Some(Status::RolledBack));
    /// assert_eq!(plan.current(), Some(first.id()), "open again");
    /// let snapshot = plan.snapshot();
    /// let changes: Vec<_> = snapshot.changes().map(|record| *record.change).collect();
    /// assert_eq!(changes, ["kept"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn roll_back_to(&self, savepoint: &Savepoint) -> Result<Sequence, SavepointError> {
        self.timeline.roll_back_to(savepoint)
    }

    /// The changeset on top: the one that was started last of those that are open.
    ///
    /// It may be another by the time that this has returned. To record into the changeset on top, use [`record_change`](Self::record_change).
    ///
    /// # Linearization
    ///
    /// The load of the head of the current version's log.
    ///
    /// # Progress
    ///
    /// Lock-free. O(1).
    ///
    /// # Examples
    ///
    /// ```
    /// # let plan: tierstack::PlanContext<&str> = tierstack::PlanContext::new();
    /// assert_eq!(plan.current(), None);
    /// let changeset = plan.start_changeset();
    /// assert_eq!(plan.current(), Some(changeset.id()));
    /// ```
    #[must_use]
    pub fn current(&self) -> Option<ChangesetId> {
        self.timeline.here().version.top
    }

    /// What has become of a changeset. `None` if none with that id was started.
    ///
    /// # Linearization
    ///
    /// The load of the head of the current version's log.
    ///
    /// # Progress
    ///
    /// Lock-free. O(log n) for n changesets.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{PlanContext, Status};
    ///
    /// let plan: PlanContext = PlanContext::new();
    /// let changeset = plan.start_changeset();
    /// assert_eq!(plan.status(changeset.id()), Some(Status::Open));
    /// changeset.close()?;
    /// assert_eq!(plan.status(changeset.id()), Some(Status::Closed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn status(&self, id: ChangesetId) -> Option<Status> {
        self.timeline.here().version.statuses.get(id)
    }

    /// The sequence number of the last event.
    ///
    /// # Linearization
    ///
    /// The load of the head of the current version's log.
    ///
    /// # Progress
    ///
    /// Lock-free. O(1).
    ///
    /// # Examples
    ///
    /// ```
    /// # let plan: tierstack::PlanContext<&str> = tierstack::PlanContext::new();
    /// plan.start_changeset().record("a change")?;
    /// assert_eq!(plan.sequence().number(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        Sequence::new(self.timeline.here().last())
    }

    /// The whole plan as it is now: changesets, changes and audit trail.
    ///
    /// # Linearization
    ///
    /// The load of the head of the current version's log.
    ///
    /// # Progress
    ///
    /// Lock-free. O(1).
    ///
    /// # Examples
    ///
    /// ```
    /// # let plan: tierstack::PlanContext<&str> = tierstack::PlanContext::new();
    /// let changeset = plan.start_changeset();
    /// let before = plan.snapshot();
    /// changeset.record("a change")?;
    /// assert_eq!((before.changes().len(), plan.snapshot().changes().len()), (0, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<C> {
        Snapshot::new(&self.timeline.here())
    }
}

impl<C> Clone for PlanContext<C> {
    /// The same plan.
    fn clone(&self) -> Self {
        Self { timeline: Arc::clone(&self.timeline) }
    }
}

impl<C> Default for PlanContext<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C> fmt::Debug for PlanContext<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let here = self.timeline.here();
        f.debug_struct("PlanContext")
            .field("sequence", &here.last())
            .field("current", &here.version.top)
            .field("started", &here.version.statuses.started())
            .finish_non_exhaustive()
    }
}
