//! Recording into a plan.

use super::error::RecordError;
use super::event::{Recorded, RecordedAll};
use super::id::ChangesetId;
use super::plan::PlanContext;
use super::timeline::Target;

impl<C> PlanContext<C> {
    /// Records a change into the changeset on top. Returns which changeset that was, and the change's sequence number.
    ///
    /// # Errors
    ///
    /// [`RecordError`] hands the change back if no changeset is open.
    ///
    /// # Linearization
    ///
    /// The CAS that pushes the change onto the log of the plan's current version. If refused: the load of that log's head.
    ///
    /// # Progress
    ///
    /// Lock-free. O(1), one allocation.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{PlanContext, RecordRefusal};
    ///
    /// let plan: PlanContext<String> = PlanContext::new();
    /// let error = plan.record_change("too early".into()).unwrap_err();
    /// assert_eq!(error.reason, RecordRefusal::NoActiveChangeset);
    ///
    /// let changeset = plan.start_changeset();
    /// let recorded = plan.record_change(error.refused)?; // handed back: not lost
    /// assert_eq!(recorded.changeset, changeset.id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn record_change(&self, change: C) -> Result<Recorded, RecordError<C>> {
        self.record(Target::Top, change)
    }

    /// Records a change into a changeset, whichever is on top.
    ///
    /// # Errors
    ///
    /// [`RecordError`] hands the change back if the changeset is unknown, closed, aborted or rolled back.
    ///
    /// # Linearization
    ///
    /// As [`record_change`](Self::record_change).
    ///
    /// # Progress
    ///
    /// Lock-free. O(log n) for n changesets, one allocation.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{NotOpen, PlanContext, RecordRefusal};
    ///
    /// let plan: PlanContext<&str> = PlanContext::new();
    /// let id = plan.start_changeset().id();
    /// plan.record_in(id, "in time")?;
    /// plan.close(id)?;
    /// let error = plan.record_in(id, "late").unwrap_err();
    /// assert_eq!((error.refused, error.reason), ("late", RecordRefusal::NotOpen(NotOpen::Closed(id))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn record_in(&self, id: ChangesetId, change: C) -> Result<Recorded, RecordError<C>> {
        self.record(Target::Changeset(id), change)
    }

    #[inline]
    fn record(&self, target: Target, change: C) -> Result<Recorded, RecordError<C>> {
        match self.timeline.record(target, change) {
            Ok((changeset, sequence)) => Ok(Recorded { changeset, sequence }),
            Err((refused, reason)) => Err(RecordError { refused, reason }),
        }
    }

    /// Records several changes into the changeset on top, at once. Their sequence numbers are consecutive. Every snapshot has all of them or
    /// none.
    ///
    /// The iterator is drained before anything is recorded. If it panics, nothing is recorded. It may use the plan. If it gives nothing,
    /// nothing is recorded, but it is still an error if there is no changeset to record into. The plan keeps the changes in one allocation of
    /// exactly their size.
    ///
    /// # Errors
    ///
    /// [`RecordError`] hands the changes back if no changeset is open.
    ///
    /// # Linearization
    ///
    /// The one CAS that pushes all of them. If refused, or if there are none: the load of the log's head.
    ///
    /// # Progress
    ///
    /// Lock-free, once the iterator has ended. O(n) for n changes.
    ///
    /// # Examples
    ///
    /// ```
    /// # let plan: tierstack::PlanContext<u32> = tierstack::PlanContext::new();
    /// plan.start_changeset();
    /// let recorded = plan.record_all((0..3).map(|i| i * i))?;
    /// assert_eq!((recorded.last.number(), recorded.len), (4, 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn record_all(&self, changes: impl IntoIterator<Item = C>) -> Result<RecordedAll, RecordError<Vec<C>>> {
        self.record_batch(Target::Top, changes.into_iter().collect())
    }

    /// Records several changes into a changeset, at once, whichever is on top. Otherwise it is like [`record_all`](Self::record_all).
    ///
    /// # Errors
    ///
    /// [`RecordError`] hands the changes back if the changeset is unknown, closed, aborted or rolled back.
    ///
    /// # Linearization
    ///
    /// As [`record_all`](Self::record_all).
    ///
    /// # Progress
    ///
    /// As [`record_all`](Self::record_all), and O(log m) for m changesets.
    ///
    /// # Examples
    ///
    /// ```
    /// # let plan: tierstack::PlanContext<&str> = tierstack::PlanContext::new();
    /// let id = plan.start_changeset().id();
    /// plan.record_all_in(id, ["a", "b"])?;
    /// plan.abort(id)?;
    /// assert_eq!(plan.record_all_in(id, ["c", "d"]).unwrap_err().refused, ["c", "d"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn record_all_in(
        &self,
        id: ChangesetId,
        changes: impl IntoIterator<Item = C>,
    ) -> Result<RecordedAll, RecordError<Vec<C>>> {
        self.record_batch(Target::Changeset(id), changes.into_iter().collect())
    }

    fn record_batch(&self, target: Target, changes: Vec<C>) -> Result<RecordedAll, RecordError<Vec<C>>> {
        let len = changes.len();
        match self.timeline.record_all(target, changes) {
            Ok((changeset, last)) => Ok(RecordedAll { changeset, last, len }),
            Err((refused, reason)) => Err(RecordError { refused, reason }),
        }
    }
}
