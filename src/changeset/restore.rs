//! A plan that goes on from a snapshot.

use std::sync::Arc;

use super::plan::PlanContext;
use super::snapshot::Snapshot;
use super::timeline::Timeline;

impl<C> PlanContext<C> {
    /// A new plan that goes on from a snapshot: with its open changesets, its changes and its audit trail. Ids and sequence numbers go on from where
    /// they were.
    ///
    /// Use it to bring back a plan after a restart, from a snapshot that was read. Or use it to try something on the side: the first plan, if it is still there,
    /// does not change. Both share what had happened before, so that no change is copied.
    ///
    /// Savepoints and handles of the first plan are of no use in the new one. [`handle`](Self::handle) gives handles to the changesets that are open.
    ///
    /// To bring a plan back from events that are kept in another way, [`replay`](Self::replay) does.
    ///
    /// # Linearization
    ///
    /// None: nobody else sees the plan before it is returned. A snapshot of a store and one of a plan are two instants.
    ///
    /// # Progress
    ///
    /// O(1).
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::{PlanContext, Status};
    /// let plan: PlanContext<String> = PlanContext::new();
    /// let changeset = plan.start_changeset();
    /// changeset.record("before".into())?;
    /// let snapshot = plan.snapshot();
    /// drop((changeset, plan)); // the process ends, say; with `serde` the snapshot is written, and read by the next
    ///
    /// let plan = PlanContext::restore(&snapshot);
    /// let open = plan.current().expect("it is still open");
    /// assert_eq!(plan.record_change("after".into())?.sequence.number(), 3);
    /// plan.close(open)?;
    /// assert_eq!(plan.snapshot().changes().len(), 2);
    /// assert_eq!(plan.start_changeset().id().to_string(), "changeset-2");
    /// assert_eq!(snapshot.changeset(open).unwrap().status(), Status::Open); // it never changes
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn restore(snapshot: &Snapshot<C>) -> Self {
        Self { timeline: Arc::new(Timeline::starting_with(snapshot.continued())) }
    }
}
