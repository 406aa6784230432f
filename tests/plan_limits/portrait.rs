//! All that a snapshot says, copied out of it.

use tierstack::{ChangesetId, Event, PlanContext, Sequence, Snapshot, Status};

/// A changeset, what became of it, and the changes that it has.
type Changeset<C> = (ChangesetId, Status, Vec<(Sequence, C)>);

/// All that a snapshot says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portrait<C> {
    pub sequence: Sequence,
    pub current: Option<ChangesetId>,
    pub changesets: Vec<Changeset<C>>,
    pub changes: Vec<(Sequence, ChangesetId, C)>,
    pub audit: Vec<Event<C>>,
}

impl<C: Clone> Portrait<C> {
    pub fn of(snapshot: &Snapshot<C>) -> Self {
        let changesets: Vec<_> = snapshot
            .changesets()
            .map(|view| {
                let changes = view.changes().map(|record| (record.sequence, record.change.clone()));
                (view.id(), view.status(), changes.collect())
            })
            .collect();
        assert_eq!(changesets.len() as u64, snapshot.started());
        Self {
            sequence: snapshot.sequence(),
            current: snapshot.current(),
            changesets,
            changes: snapshot.changes().map(|at| (at.sequence, at.changeset, at.change.clone())).collect(),
            audit: trail(snapshot),
        }
    }

    pub fn of_plan(plan: &PlanContext<C>) -> Self {
        let portrait = Self::of(&plan.snapshot());
        assert_eq!((plan.sequence(), plan.current()), (portrait.sequence, portrait.current));
        portrait
    }
}

/// The events of a snapshot, with changes of their own.
pub fn trail<C: Clone>(snapshot: &Snapshot<C>) -> Vec<Event<C>> {
    snapshot.audit().map(Event::cloned).collect()
}

/// What `refused` gives, which must have left the plan as it was.
#[track_caller]
pub fn unchanged<C: Clone + PartialEq + std::fmt::Debug, R>(plan: &PlanContext<C>, refused: impl FnOnce() -> R) -> R {
    let before = Portrait::of_plan(plan);
    let result = refused();
    assert_eq!(Portrait::of_plan(plan), before, "something was refused, and yet the plan has changed");
    result
}

/// An id from its number, whether a plan has such a changeset or not.
pub fn id(number: u64) -> ChangesetId {
    format!("changeset-{number}").parse().unwrap()
}

/// The sequence numbers from 0 up to and including `last`.
pub fn sequences(last: usize) -> Vec<Sequence> {
    let plan = PlanContext::new();
    plan.start_changeset();
    plan.record_all((0..last).map(drop)).unwrap();
    let events = plan.snapshot();
    std::iter::once(Sequence::ORIGIN).chain(events.audit().map(|event| event.sequence)).take(last + 1).collect()
}
