//! A plan from its audit trail.

use super::error::{NotOpen, RecordRefusal, ReplayError, ReplayRefusal};
use super::event::{Event, EventKind};
use super::id::{ChangesetId, Sequence};
use super::plan::PlanContext;
use super::savepoint::Savepoint;

impl<C> PlanContext<C> {
    /// A new plan, made from an audit trail: with the same ids, sequence numbers, statuses and changes.
    ///
    /// Use it to restore a plan from its events, or to copy one from a [`Snapshot`](crate::Snapshot). Savepoints and handles of the first plan
    /// are of no use in the new one.
    ///
    /// # Errors
    ///
    /// [`ReplayError`] hands back the first event that does not follow from those before it, and the plan that those made. Pass
    /// `iterator.by_ref()` to keep the events that come after it.
    ///
    /// # Linearization
    ///
    /// None: nobody else sees the plan before it is returned.
    ///
    /// # Progress
    ///
    /// O(n log m) for n events and m changesets. Meanwhile it keeps a savepoint for each event, of a few words.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tierstack::PlanContext;
    /// let plan: PlanContext<String> = PlanContext::new();
    /// let changeset = plan.start_changeset();
    /// changeset.record("a change".into())?;
    ///
    /// let copy = PlanContext::replay(plan.snapshot().audit().map(|event| event.cloned()))?;
    /// copy.handle(changeset.id()).expect("it has the same id").record("only in the copy".into())?;
    /// assert_eq!((plan.sequence().number(), copy.sequence().number()), (2, 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn replay(events: impl IntoIterator<Item = Event<C>>) -> Result<Self, ReplayError<C>> {
        let plan = Self::new();
        // The one at index n follows event n.
        let mut savepoints = vec![plan.savepoint()];
        for event in events {
            if let Err((event, reason)) = plan.redo(event, &savepoints) {
                return Err(ReplayError { plan, event, reason });
            }
            savepoints.push(plan.savepoint());
        }
        Ok(plan)
    }

    /// Has an event happen that is to be the next.
    fn redo(&self, event: Event<C>, savepoints: &[Savepoint]) -> Result<(), (Event<C>, ReplayRefusal)> {
        let Event { sequence, kind } = event;
        let expected = Sequence::new(savepoints.len() as u64);
        if sequence != expected {
            return Err((Event { sequence, kind }, ReplayRefusal::Sequence { expected }));
        }
        let refusal = match kind {
            EventKind::Started { changeset } => {
                let expected = ChangesetId::from_index(self.snapshot().started());
                if changeset == expected {
                    self.start_changeset();
                    return Ok(());
                }
                ReplayRefusal::Started { expected }
            }
            EventKind::Recorded { changeset, change } => {
                return self.record_in(changeset, change).map(|_| ()).map_err(|error| {
                    let reason = match error.reason {
                        RecordRefusal::NotOpen(reason) => ReplayRefusal::NotOpen(reason),
                        RecordRefusal::NoActiveChangeset => ReplayRefusal::NotOpen(NotOpen::Unknown(changeset)),
                    };
                    (Event { sequence, kind: EventKind::Recorded { changeset, change: error.refused } }, reason)
                });
            }
            EventKind::Closed { changeset } => match self.close(changeset) {
                Ok(_) => return Ok(()),
                Err(reason) => ReplayRefusal::NotOpen(reason),
            },
            EventKind::Aborted { changeset } => match self.abort(changeset) {
                Ok(_) => return Ok(()),
                Err(reason) => ReplayRefusal::NotOpen(reason),
            },
            EventKind::RolledBack { to } => {
                let savepoint = usize::try_from(to.number()).ok().and_then(|at| savepoints.get(at));
                if savepoint.is_some_and(|savepoint| self.roll_back_to(savepoint).is_ok()) {
                    return Ok(());
                }
                ReplayRefusal::Savepoint
            }
        };
        Err((Event { sequence, kind }, refusal))
    }
}
