//! A changeset of one's own to record into.

use core::fmt;

use super::error::{NotOpen, RecordError};
use super::event::{Recorded, RecordedAll};
use super::id::{ChangesetId, Sequence};
use super::plan::PlanContext;

/// Records into one changeset, whichever is on top. Strategies that run in parallel each use one.
///
/// [`PlanContext::start_changeset`] and [`PlanContext::handle`] make it. It keeps the plan alive. It can be cloned and sent to other
/// threads. Dropping it closes nothing.
pub struct ChangesetHandle<C> {
    plan: PlanContext<C>,
    id: ChangesetId,
}

impl<C> ChangesetHandle<C> {
    pub(super) fn new(plan: PlanContext<C>, id: ChangesetId) -> Self {
        Self { plan, id }
    }

    /// The changeset's id.
    #[must_use]
    pub fn id(&self) -> ChangesetId {
        self.id
    }

    /// The changeset's plan.
    #[must_use]
    pub fn plan(&self) -> &PlanContext<C> {
        &self.plan
    }

    /// Records a change into this changeset: [`PlanContext::record_in`] with its id.
    ///
    /// # Errors
    ///
    /// [`RecordError`] hands the change back if the changeset is not open any more.
    ///
    /// # Linearization
    ///
    /// As [`PlanContext::record_in`].
    ///
    /// # Progress
    ///
    /// Lock-free. O(log n) for n changesets.
    ///
    /// # Examples
    ///
    /// ```
    /// # let plan: tierstack::PlanContext<&str> = tierstack::PlanContext::new();
    /// let changeset = plan.start_changeset();
    /// plan.start_changeset(); // it is on top now
    /// assert_eq!(changeset.record("mine")?.changeset, changeset.id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn record(&self, change: C) -> Result<Recorded, RecordError<C>> {
        self.plan.record_in(self.id, change)
    }

    /// Records several changes into this changeset at once: [`PlanContext::record_all_in`] with its id.
    ///
    /// # Errors
    ///
    /// [`RecordError`] hands the changes back if the changeset is not open any more.
    ///
    /// # Linearization
    ///
    /// As [`PlanContext::record_all_in`].
    ///
    /// # Progress
    ///
    /// Lock-free, once the iterator has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// # let plan: tierstack::PlanContext<&str> = tierstack::PlanContext::new();
    /// let changeset = plan.start_changeset();
    /// let recorded = changeset.record_all(["a", "b", "c"])?;
    /// assert_eq!((recorded.changeset, recorded.len), (changeset.id(), 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn record_all(&self, changes: impl IntoIterator<Item = C>) -> Result<RecordedAll, RecordError<Vec<C>>> {
        self.plan.record_all_in(self.id, changes)
    }

    /// Closes this changeset: [`PlanContext::close`] with its id.
    ///
    /// # Errors
    ///
    /// [`NotOpen`] if it is not open any more.
    ///
    /// # Linearization
    ///
    /// As [`PlanContext::close`].
    ///
    /// # Progress
    ///
    /// Lock-free.
    ///
    /// # Examples
    ///
    /// ```
    /// # let plan: tierstack::PlanContext<&str> = tierstack::PlanContext::new();
    /// let changeset = plan.start_changeset();
    /// changeset.close()?;
    /// let error = changeset.record("late").unwrap_err();
    /// assert_eq!(error.refused, "late");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) -> Result<Sequence, NotOpen> {
        self.plan.close(self.id)
    }

    /// Aborts this changeset: [`PlanContext::abort`] with its id.
    ///
    /// # Errors
    ///
    /// [`NotOpen`] if it is not open any more.
    ///
    /// # Linearization
    ///
    /// As [`PlanContext::abort`].
    ///
    /// # Progress
    ///
    /// Lock-free.
    ///
    /// # Examples
    ///
    /// ```
    /// # let plan: tierstack::PlanContext<&str> = tierstack::PlanContext::new();
    /// let changeset = plan.start_changeset();
    /// changeset.record("a bad idea")?;
    /// changeset.abort()?;
    /// assert_eq!(plan.snapshot().changes().len(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn abort(&self) -> Result<Sequence, NotOpen> {
        self.plan.abort(self.id)
    }
}

impl<C> Clone for ChangesetHandle<C> {
    fn clone(&self) -> Self {
        Self { plan: self.plan.clone(), id: self.id }
    }
}

impl<C> fmt::Debug for ChangesetHandle<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangesetHandle").field("id", &self.id).finish_non_exhaustive()
    }
}
