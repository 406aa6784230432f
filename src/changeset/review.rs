//! What a snapshot's changes come to: net diffs, and the conflicts between changesets.

use super::base::{Bases, StaleBase, Step, bases};
use super::change::Change;
use super::conflict::{Conflict, Span, conflicts};
use super::diff::{Diff, net};
use super::event::{EventKind, Record};
use super::id::Sequence;
use super::snapshot::{ChangesetView, Snapshot};
use super::status::Status;
use super::walk::backwards;

impl Snapshot<Change> {
    /// What the plan's changes in force come to, with the [conflicts](Self::conflicts) and the [stale bases](Self::stale_bases) among them.
    ///
    /// A change is in force if it is neither rolled back nor in an aborted changeset. The changeset may still be open. Where changesets touch the
    /// same path, the change that was recorded last decides. O(n log n) in the length of the plan.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{Change, NetOperation, PlanContext};
    ///
    /// let plan = PlanContext::new();
    /// let changeset = plan.start_changeset();
    /// changeset.record(Change::create("draft.md", None))?;
    /// changeset.record(Change::rename("draft.md", "report.md"))?;
    /// let snapshot = plan.snapshot();
    /// let diff = snapshot.diff();
    /// assert_eq!(diff.len(), 1);
    /// assert_eq!(diff.get("report.md").unwrap().operation, NetOperation::Create);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn diff(&self) -> Diff<'_> {
        let Bases { stale, initial } = bases(&self.steps());
        Diff::new(net(self.changes(), &initial), self.conflicts(), stale)
    }

    /// Where changesets that were open at the same time touched the same path, or one of them a path and another a path beneath it.
    ///
    /// That is always reported, with all sides. It is reported also if they did the same, or if what one of them did came to nothing.
    /// Changes that are rolled back, or in an aborted changeset, are left out.
    ///
    /// O(n log n) in the length of the plan, and as much again for each folder of a path that was itself touched.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{Change, PlanContext};
    ///
    /// let plan = PlanContext::new();
    /// let (a, b) = (plan.start_changeset(), plan.start_changeset());
    /// a.record(Change::modify("main.rs", None, None))?;
    /// b.record(Change::rename("main.rs", "lib.rs"))?;
    /// let snapshot = plan.snapshot();
    /// let conflicts = snapshot.conflicts();
    /// assert_eq!(conflicts.len(), 1);
    /// assert_eq!(conflicts[0].path(), "main.rs");
    /// assert!(conflicts[0].involves(a.id()) && conflicts[0].involves(b.id()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn conflicts(&self) -> Vec<Conflict<'_>> {
        let spans = self.spans();
        let span = |id: super::id::ChangesetId| {
            let at = usize::try_from(id.index()).unwrap_or(usize::MAX);
            spans.get(at).copied().unwrap_or(Span { started: Sequence::ORIGIN, ended: None })
        };
        conflicts(self.changes(), span)
    }

    /// Which changes were made of something else than what stood there, as the changes before them say; in the order of the changes.
    ///
    /// Changes that are rolled back, or in an aborted changeset, are not in the list. It tells of changes that were built on those
    /// of a changeset that was aborted afterwards. O(n log n) in the length of the plan, and as much as each path has folders that are touched.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{Change, PlanContext, Staleness};
    ///
    /// let plan = PlanContext::new();
    /// let (a, b) = (plan.start_changeset(), plan.start_changeset());
    /// a.record(Change::rename("draft.md", "final.md"))?;
    /// b.record(Change::modify("final.md", None, None))?;
    /// assert!(plan.snapshot().stale_bases().is_empty());
    ///
    /// a.abort()?; // so there is no `final.md`
    /// let snapshot = plan.snapshot();
    /// let [stale] = snapshot.stale_bases()[..] else { panic!("one change") };
    /// assert_eq!((stale.change.changeset, stale.kind), (b.id(), Staleness::Missing));
    /// assert_eq!(stale.undone.map(|record| record.changeset), Some(a.id()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stale_bases(&self) -> Vec<StaleBase<'_>> {
        bases(&self.steps()).stale
    }

    /// What happens to the files, in order.
    fn steps(&self) -> Vec<Step<'_>> {
        let gone = |id| self.changeset(id).is_some_and(|changeset| changeset.status() == Status::Aborted);
        let steps = backwards(self.in_force()).filter_map(|event| match event.kind {
            EventKind::Recorded { changeset, change } => {
                let record = Record { sequence: event.sequence, changeset, change };
                Some(if gone(changeset) { Step::Gone(record) } else { Step::Change(record) })
            }
            EventKind::Aborted { changeset } => Some(Step::Aborted(changeset)),
            EventKind::Started { .. } | EventKind::Closed { .. } | EventKind::RolledBack { .. } => None,
        });
        let mut steps: Vec<_> = steps.collect();
        steps.reverse();
        steps
    }

    /// From when to when each changeset was open, by index; of those that are rolled back nothing is told.
    fn spans(&self) -> Vec<Span> {
        let started = usize::try_from(self.started()).unwrap_or(usize::MAX);
        let mut spans = vec![Span { started: Sequence::ORIGIN, ended: None }; started];
        for event in backwards(self.in_force()) {
            let (id, ended) = match event.kind {
                EventKind::Started { changeset } => (changeset, false),
                EventKind::Closed { changeset } | EventKind::Aborted { changeset } => (changeset, true),
                EventKind::Recorded { .. } | EventKind::RolledBack { .. } => continue,
            };
            if let Some(span) = usize::try_from(id.index()).ok().and_then(|at| spans.get_mut(at)) {
                if ended {
                    span.ended = Some(event.sequence);
                } else {
                    span.started = event.sequence;
                }
            }
        }
        spans
    }
}

impl<'a> ChangesetView<'a, Change> {
    /// What the changeset's own changes come to, as if there were no others, whatever its status. Its stale bases are changes that contradict
    /// others of the changeset. What other changesets did to the same paths is not in it: see [`Snapshot::conflicts`] and
    /// [`Snapshot::stale_bases`].
    ///
    /// O(n log n) in the changeset's length, once the snapshot has been [indexed](Self::changes).
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{Change, PlanContext};
    ///
    /// let plan = PlanContext::new();
    /// let changeset = plan.start_changeset();
    /// changeset.record_all([Change::create("scratch", None), Change::delete("scratch", None)])?;
    /// let snapshot = plan.snapshot();
    /// let view = snapshot.changeset(changeset.id()).unwrap();
    /// assert_eq!(view.len(), 2);
    /// assert!(view.diff().is_empty(), "it came and went");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn diff(&self) -> Diff<'a> {
        let Bases { stale, initial } = bases(&self.changes().map(Step::Change).collect::<Vec<_>>());
        Diff::new(net(self.changes(), &initial), Vec::new(), stale)
    }
}
