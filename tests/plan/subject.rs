//! Real plans, asked in the model's terms.

use std::collections::BTreeMap;

use tierstack::{
    ChangesetHandle, ChangesetId, Event, EventKind, NotOpen, PlanContext, RecordError, RecordRefusal, Recorded,
    RecordedAll, Savepoint, SavepointError, Sequence, Snapshot, Status,
};

use super::history::{Log, UNDATED};
use super::model::{self, Answer, Operation, Refusal, View};

/// The changeset with a number, of whatever plan.
pub fn id(number: u64) -> ChangesetId {
    format!("changeset-{number}").parse().expect("a number above 0")
}

/// What a snapshot shows. All is looked at from the front.
pub fn view(snapshot: &Snapshot<u64>) -> View {
    let changesets = snapshot.changesets().zip(1..).map(|(changeset, number)| {
        assert_eq!(changeset.id().number(), number, "they are in the order of their ids");
        let changes = changeset.changes().map(|record| {
            assert_eq!(record.changeset, changeset.id());
            (record.sequence.number(), *record.change)
        });
        (status(changeset.status()), changes.collect())
    });
    let changes = snapshot.changes().map(|record| {
        let (sequence, changeset) = (record.sequence.number(), record.changeset.number());
        (sequence, changeset, *record.change)
    });
    View {
        sequence: snapshot.sequence().number(),
        current: snapshot.current().map(ChangesetId::number),
        changesets: changesets.collect(),
        changes: changes.collect(),
        audit: snapshot.audit().map(event).collect(),
    }
}

pub fn event(event: Event<&u64>) -> (u64, model::Event) {
    let kind = match event.kind {
        EventKind::Started { changeset } => model::Event::Started { id: changeset.number() },
        EventKind::Recorded { changeset, change } => model::Event::Recorded { id: changeset.number(), change: *change },
        EventKind::Closed { changeset } => model::Event::Closed { id: changeset.number() },
        EventKind::Aborted { changeset } => model::Event::Aborted { id: changeset.number() },
        EventKind::RolledBack { to } => model::Event::RolledBack { to: to.number() },
    };
    (event.sequence.number(), kind)
}

/// Who asks a plan: through it, or through handles and clones of it.
pub struct Hand {
    pub plan: PlanContext<u64>,
    /// By sequence number.
    pub savepoints: BTreeMap<u64, Savepoint>,
    /// What the last start gave.
    started: Option<ChangesetHandle<u64>>,
    /// By id. They are used instead of the ids.
    handles: BTreeMap<u64, ChangesetHandle<u64>>,
    /// Each with what it showed when it was taken.
    pub snapshots: Vec<(Snapshot<u64>, View)>,
}

/// What a plan gave.
pub enum Given {
    Started(ChangesetHandle<u64>),
    Recorded(Result<Recorded, RecordError<u64>>),
    RecordedAll(Result<RecordedAll, RecordError<Vec<u64>>>),
    Ended(Result<Sequence, NotOpen>),
    RolledBack(Result<Sequence, SavepointError>),
    Savepoint(Savepoint),
    Current(Option<ChangesetId>),
    Status(Option<Status>),
    Sequence(Sequence),
    Snapshot(Snapshot<u64>),
}

impl Hand {
    pub fn new(plan: PlanContext<u64>) -> Self {
        Self { plan, savepoints: BTreeMap::new(), started: None, handles: BTreeMap::new(), snapshots: Vec::new() }
    }

    /// Performs an operation of the model's: on a changeset to which it has a handle, through that.
    pub fn perform(&self, operation: &Operation) -> Given {
        let plan = &self.plan;
        match operation {
            Operation::Start => Given::Started(plan.start_changeset()),
            Operation::Record { change } => Given::Recorded(plan.record_change(*change)),
            Operation::RecordIn { id: number, change } => Given::Recorded(match self.handles.get(number) {
                Some(handle) => handle.record(*change),
                None => plan.record_in(id(*number), *change),
            }),
            Operation::RecordAll { changes } => Given::RecordedAll(plan.record_all(changes.iter().copied())),
            Operation::RecordAllIn { id: number, changes } => {
                let changes = changes.iter().copied();
                Given::RecordedAll(match self.handles.get(number) {
                    Some(handle) => handle.record_all(changes),
                    None => plan.record_all_in(id(*number), changes),
                })
            }
            Operation::Close { id: number } => Given::Ended(match self.handles.get(number) {
                Some(handle) => handle.close(),
                None => plan.close(id(*number)),
            }),
            Operation::Abort { id: number } => Given::Ended(match self.handles.get(number) {
                Some(handle) => handle.abort(),
                None => plan.abort(id(*number)),
            }),
            Operation::Savepoint => Given::Savepoint(plan.savepoint()),
            Operation::RollBackTo { savepoint } => Given::RolledBack(plan.roll_back_to(&self.savepoints[savepoint])),
            Operation::Current => Given::Current(plan.current()),
            Operation::Status { id: number } => Given::Status(plan.status(id(*number))),
            Operation::Sequence => Given::Sequence(plan.sequence()),
            Operation::Snapshot => Given::Snapshot(plan.snapshot()),
        }
    }

    /// What was given, as the model would say it. Keeps savepoints and snapshots. What was refused must have come back whole.
    pub fn answer(&mut self, operation: &Operation, given: Given) -> Answer {
        match given {
            // How a start is numbered, only the audit trail tells.
            Given::Started(handle) => {
                let id = handle.id().number();
                self.started = Some(handle);
                Answer::Started { id, sequence: UNDATED }
            }
            Given::Recorded(Ok(Recorded { changeset, sequence })) => {
                Answer::Recorded { changeset: changeset.number(), last: sequence.number() }
            }
            Given::Recorded(Err(error)) => {
                let (Operation::Record { change } | Operation::RecordIn { change, .. }) = operation else {
                    unreachable!("it is of a record");
                };
                assert_eq!(error.refused, *change, "what is refused is handed back");
                refused(operation, error.reason)
            }
            Given::RecordedAll(given) => {
                let (Operation::RecordAll { changes } | Operation::RecordAllIn { changes, .. }) = operation else {
                    unreachable!("it is of a batch");
                };
                match given {
                    Ok(recorded) => {
                        let last = recorded.last.number();
                        let numbers = recorded.sequences().map(Sequence::number);
                        assert!(numbers.eq(last + 1 - changes.len() as u64..=last), "they follow upon one another");
                        assert_eq!(recorded.len, changes.len());
                        Answer::Recorded { changeset: recorded.changeset.number(), last }
                    }
                    Err(error) => {
                        assert_eq!(error.refused, *changes, "what is refused is handed back");
                        refused(operation, error.reason)
                    }
                }
            }
            Given::Ended(Ok(sequence)) | Given::RolledBack(Ok(sequence)) => {
                Answer::Done { sequence: sequence.number() }
            }
            Given::Ended(Err(reason)) => refused(operation, RecordRefusal::NotOpen(reason)),
            Given::RolledBack(Err(error)) => {
                assert_eq!(error, SavepointError::RolledBack, "it is of this plan");
                Answer::Refused(Refusal::Savepoint)
            }
            Given::Savepoint(savepoint) => {
                let sequence = savepoint.sequence().number();
                self.savepoints.insert(sequence, savepoint);
                Answer::At(sequence)
            }
            Given::Current(current) => Answer::Current(current.map(ChangesetId::number)),
            Given::Status(given) => Answer::Status(given.map(status)),
            Given::Sequence(sequence) => Answer::At(sequence.number()),
            Given::Snapshot(snapshot) => {
                let view = view(&snapshot);
                self.snapshots.push((snapshot, view.clone()));
                Answer::Snapshot(Box::new(view))
            }
        }
    }

    /// Uses a handle to a changeset from now on: the one that its start gave, if that was the last, or one that the plan is asked for.
    pub fn use_handle(&mut self, number: u64) {
        let started = self.started.take().filter(|handle| handle.id().number() == number);
        let handle = started.or_else(|| self.plan.handle(id(number))).expect("it was started");
        self.handles.insert(number, handle);
    }

    /// Performs an operation and logs it.
    pub fn call(&mut self, log: &mut Log<'_>, operation: Operation) -> Answer {
        let (call, given) = log.call(operation, |operation| self.perform(operation));
        call.answer = self.answer(&call.operation, given);
        call.answer.clone()
    }
}

pub fn status(status: Status) -> model::Status {
    match status {
        Status::Open => model::Status::Open,
        Status::Closed => model::Status::Closed,
        Status::Aborted => model::Status::Aborted,
        Status::RolledBack => model::Status::RolledBack,
    }
}

/// A refusal names the changeset that was asked for.
fn refused(operation: &Operation, reason: RecordRefusal) -> Answer {
    let (refusal, named) = match reason {
        RecordRefusal::NoActiveChangeset => (Refusal::NoActiveChangeset, None),
        RecordRefusal::NotOpen(NotOpen::Unknown(id)) => (Refusal::Unknown, Some(id)),
        RecordRefusal::NotOpen(NotOpen::Closed(id)) => (Refusal::Closed, Some(id)),
        RecordRefusal::NotOpen(NotOpen::Aborted(id)) => (Refusal::Aborted, Some(id)),
        RecordRefusal::NotOpen(NotOpen::RolledBack(id)) => (Refusal::RolledBack, Some(id)),
    };
    let asked = match operation {
        Operation::RecordIn { id, .. }
        | Operation::RecordAllIn { id, .. }
        | Operation::Close { id }
        | Operation::Abort { id } => Some(*id),
        _ => None,
    };
    assert_eq!(named.map(ChangesetId::number), asked, "{operation:?}: {reason}");
    Answer::Refused(refusal)
}
