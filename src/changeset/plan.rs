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
/// A changeset takes changes from its start until it is [closed](Self::close), [aborted](Self::abort) or rolled back. Those that are open
/// form a stack, by age: the one started last is *on top*, and takes what is [recorded](Self::record_change) with no changeset
/// named. Strategies that run in parallel each record through the [handle](ChangesetHandle) of their own, whoever else starts one.
///
/// The plan is one persistent structure: a [snapshot](Self::snapshot) of all of it is O(1), and never changes. Cloning the context is cheap, and gives another
/// way to the same plan.
///
/// # Guarantees
///
/// - *Linearizable*: every operation takes effect, and every refusal is true, at one instant, between its call and its return.
/// - *The right changeset*: a change lands in the changeset that is on top, or open, at that very instant. From the instant at which a
///   `start_changeset` takes effect to that of the next start, close, abort or roll-back, every ambient record is in that changeset. (The
///   next can be another thread's, and come before the first has returned: who needs a changeset for himself uses the handle.)
/// - *Nothing is lost*: what is recorded stays in the audit trail for as long as the plan or a later snapshot lives; what is refused is handed back.
/// - *Lock-free*: a thread that is stopped at any instruction stops nobody else. Not wait-free: a call can be overtaken again and again,
///   and a `start_changeset`, `close`, `abort` or `roll_back_to` more easily than a record, as its attempt takes longer. Any call that meets
///   one of these under way completes it first: O(t), once, for the t threads that use plans or other `ArcSwap`s. The complexities below come on
///   top of that. A thread's first use of an `ArcSwap` allocates.
///
/// # Memory
///
/// A plan keeps all of its events, the rolled back ones too: they are its audit trail. It is freed when the plan, with its handles, and all
/// snapshots of it are dropped, in O(n) on the thread that drops the last, without recursion. A destructor of a change that panics then
/// ends there; the others run. A change should not hold its own plan, nor a handle or a snapshot of it: that can keep all of it alive for
/// ever, and what is freed then is freed by recursion.
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

    /// Starts a changeset: it is on top until another is started, or it is closed, aborted or rolled back.
    ///
    /// # Linearization
    ///
    /// The CAS that seals the log of the plan's current version; so also for [`close`](Self::close), [`abort`](Self::abort) and
    /// [`roll_back_to`](Self::roll_back_to).
    ///
    /// # Progress
    ///
    /// Lock-free. O(log n) for n changesets, and O(t) to publish, for the t threads that have used plans or other `ArcSwap`s.
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

    /// A handle to a changeset that was started, whatever has become of it. `None` where there is none with that id.
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

    /// Closes a changeset, wherever it is in the stack: it takes no more changes, and those that it has stay. The sequence number of that.
    ///
    /// # Errors
    ///
    /// [`NotOpen`] where the changeset is unknown, closed, aborted or rolled back.
    ///
    /// # Linearization
    ///
    /// As [`start_changeset`](Self::start_changeset). Refused: the load of the log's head.
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

    /// Aborts a changeset, wherever it is in the stack: it takes no more changes, and those that it has leave the diff. The audit trail keeps
    /// them. The sequence number of that.
    ///
    /// # Errors
    ///
    /// [`NotOpen`] where the changeset is unknown, closed, aborted or rolled back.
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

    /// Undoes all that has happened since a savepoint, of every thread: the changes recorded, and the changesets closed and aborted, which
    /// are open again. Those started since are rolled back for good, and savepoints taken since are not in force any more; the one
    /// that is rolled back to still is. The sequence number of that: it is itself an event, the audit trail keeps all, and sequence
    /// numbers and ids go on from where they were.
    ///
    /// # Errors
    ///
    /// [`SavepointError`] where the savepoint is of another plan, or of a part of this one that was rolled back.
    ///
    /// # Linearization
    ///
    /// As [`start_changeset`](Self::start_changeset). Refused: the load of the log's head; for another plan's savepoint, any instant.
    ///
    /// # Progress
    ///
    /// As [`start_changeset`](Self::start_changeset), and O(v) to find the savepoint, for v starts, closes, aborts and roll-backs since.
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

    /// The changeset on top: the one started last of those that are open.
    ///
    /// By the time that this has returned it may be another: to record into what is on top use [`record_change`](Self::record_change).
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

    /// What has become of a changeset. `None` where none with that id was started.
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
    /// Another way to the same plan.
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
