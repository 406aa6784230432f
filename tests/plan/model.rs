//! The one sequential model of a plan: what each operation answers, and what the plan is after it.
//!
//! It knows numbers only, nothing of the crate: changesets by their ids (from 1), events by their sequence numbers (from 1), savepoints by
//! the sequence number of the last event before them, changes by any number. So anything can be checked against it.
//!
//! A plan is two lists: all that ever happened, and which of it is in force. Every operation but a roll-back adds to both; a
//! roll-back to savepoint `s` first strikes all after `s` from the second. Status and content follow from what is in force, where
//! an id that was started, but whose start is not in force, is rolled back. The statuses are kept beside the lists, and undone with
//! them, so that long histories are cheap: an event is struck at most once.

use std::collections::BTreeSet;

/// What has become of a changeset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Open,
    Closed,
    Aborted,
    RolledBack,
}

/// Why an operation did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    NoActiveChangeset,
    Unknown,
    Closed,
    Aborted,
    RolledBack,
    /// The savepoint is not in force.
    Savepoint,
}

/// What can be asked of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    Start,
    Record { change: u64 },
    RecordIn { id: u64, change: u64 },
    RecordAll { changes: Vec<u64> },
    RecordAllIn { id: u64, changes: Vec<u64> },
    Close { id: u64 },
    Abort { id: u64 },
    Savepoint,
    RollBackTo { savepoint: u64 },
    Current,
    Status { id: u64 },
    Sequence,
    Snapshot,
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Started {
        id: u64,
        sequence: u64,
    },
    /// With the sequence number of the last change; where there was none to record, of the last event before.
    Recorded {
        changeset: u64,
        last: u64,
    },
    /// Closed, aborted, or rolled back.
    Done {
        sequence: u64,
    },
    Refused(Refusal),
    /// A savepoint, or the sequence number that was asked for.
    At(u64),
    Current(Option<u64>),
    Status(Option<Status>),
    Snapshot(Box<View>),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Started { id: u64 },
    Recorded { id: u64, change: u64 },
    Closed { id: u64 },
    Aborted { id: u64 },
    RolledBack { to: u64 },
}

/// All that a snapshot shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub sequence: u64,
    pub current: Option<u64>,
    /// Of each changeset, by id: its status, and its changes in force with their sequence numbers.
    pub changesets: Vec<(Status, Vec<(u64, u64)>)>,
    /// The changes in force and not aborted: sequence number, changeset, change.
    pub changes: Vec<(u64, u64, u64)>,
    /// All events, with their sequence numbers.
    pub audit: Vec<(u64, Event)>,
}

/// A plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// All that happened: event n at index n - 1.
    audit: Vec<Event>,
    /// The sequence numbers of the events in force, ascending.
    in_force: Vec<u64>,
    /// Of changeset n at index n - 1.
    statuses: Vec<Status>,
    open: BTreeSet<u64>,
}

impl Model {
    /// The sequence number of the last event.
    pub fn sequence(&self) -> u64 {
        self.audit.len() as u64
    }

    /// How many changesets were ever started.
    pub fn started(&self) -> u64 {
        self.statuses.len() as u64
    }

    /// The changeset on top: the largest that is open.
    pub fn current(&self) -> Option<u64> {
        self.open.last().copied()
    }

    pub fn status(&self, id: u64) -> Option<Status> {
        self.statuses.get(usize::try_from(id.checked_sub(1)?).ok()?).copied()
    }

    /// Whether a savepoint, taken when this was the last event's number, is in force.
    pub fn is_in_force(&self, savepoint: u64) -> bool {
        savepoint == 0 || self.in_force.binary_search(&savepoint).is_ok()
    }

    /// What an operation would answer now.
    pub fn answer(&self, operation: &Operation) -> Answer {
        let next = self.sequence() + 1;
        let recorded = |into: Result<u64, Refusal>, changes: usize| match into {
            Ok(changeset) => Answer::Recorded { changeset, last: self.sequence() + changes as u64 },
            Err(refusal) => Answer::Refused(refusal),
        };
        match operation {
            Operation::Start => Answer::Started { id: self.started() + 1, sequence: next },
            Operation::Record { .. } => recorded(self.top(), 1),
            Operation::RecordIn { id, .. } => recorded(self.open(*id), 1),
            Operation::RecordAll { changes } => recorded(self.top(), changes.len()),
            Operation::RecordAllIn { id, changes } => recorded(self.open(*id), changes.len()),
            Operation::Close { id } | Operation::Abort { id } => match self.open(*id) {
                Ok(_) => Answer::Done { sequence: next },
                Err(refusal) => Answer::Refused(refusal),
            },
            Operation::RollBackTo { savepoint } if self.is_in_force(*savepoint) => Answer::Done { sequence: next },
            Operation::RollBackTo { .. } => Answer::Refused(Refusal::Savepoint),
            Operation::Savepoint | Operation::Sequence => Answer::At(self.sequence()),
            Operation::Current => Answer::Current(self.current()),
            Operation::Status { id } => Answer::Status(self.status(*id)),
            Operation::Snapshot => Answer::Snapshot(Box::new(self.view())),
        }
    }

    /// Has an operation take effect, if it has any; what it answers.
    pub fn apply(&mut self, operation: &Operation) -> Answer {
        let answer = self.answer(operation);
        match (operation, &answer) {
            (Operation::Start, &Answer::Started { id, .. }) => self.happen(Event::Started { id }),
            (
                &Operation::Record { change } | &Operation::RecordIn { change, .. },
                &Answer::Recorded { changeset: id, .. },
            ) => {
                self.happen(Event::Recorded { id, change });
            }
            (
                Operation::RecordAll { changes } | Operation::RecordAllIn { changes, .. },
                &Answer::Recorded { changeset: id, .. },
            ) => {
                for &change in changes {
                    self.happen(Event::Recorded { id, change });
                }
            }
            (&Operation::Close { id }, Answer::Done { .. }) => self.happen(Event::Closed { id }),
            (&Operation::Abort { id }, Answer::Done { .. }) => self.happen(Event::Aborted { id }),
            (&Operation::RollBackTo { savepoint: to }, Answer::Done { .. }) => self.happen(Event::RolledBack { to }),
            _ => {}
        }
        answer
    }

    /// What a snapshot would show now.
    pub fn view(&self) -> View {
        let mut changesets: Vec<_> = self.statuses.iter().map(|status| (*status, Vec::new())).collect();
        let mut changes = Vec::new();
        for &sequence in &self.in_force {
            if let Event::Recorded { id, change } = self.audit[sequence as usize - 1] {
                let (status, own) = &mut changesets[id as usize - 1];
                own.push((sequence, change));
                if *status != Status::Aborted {
                    changes.push((sequence, id, change));
                }
            }
        }
        let audit = (1..).zip(self.audit.iter().copied()).collect();
        View { sequence: self.sequence(), current: self.current(), changesets, changes, audit }
    }

    /// Where an ambient record goes.
    fn top(&self) -> Result<u64, Refusal> {
        self.current().ok_or(Refusal::NoActiveChangeset)
    }

    /// The changeset, if it is open.
    fn open(&self, id: u64) -> Result<u64, Refusal> {
        match self.status(id) {
            Some(Status::Open) => Ok(id),
            Some(Status::Closed) => Err(Refusal::Closed),
            Some(Status::Aborted) => Err(Refusal::Aborted),
            Some(Status::RolledBack) => Err(Refusal::RolledBack),
            None => Err(Refusal::Unknown),
        }
    }

    fn happen(&mut self, event: Event) {
        self.audit.push(event);
        match event {
            Event::Started { id } => {
                self.statuses.push(Status::Open);
                self.open.insert(id);
            }
            Event::Recorded { .. } => {}
            Event::Closed { id } => self.set(id, Status::Closed),
            Event::Aborted { id } => self.set(id, Status::Aborted),
            Event::RolledBack { to } => {
                while let Some(last) = self.in_force.pop_if(|last| *last > to) {
                    match self.audit[last as usize - 1] {
                        Event::Started { id } => self.set(id, Status::RolledBack),
                        Event::Closed { id } | Event::Aborted { id } => self.set(id, Status::Open),
                        // A roll-back that is rolled back leaves nothing to do: what it struck was after its savepoint, and
                        // what it kept is struck in its turn.
                        Event::Recorded { .. } | Event::RolledBack { .. } => {}
                    }
                }
            }
        }
        self.in_force.push(self.sequence());
    }

    fn set(&mut self, id: u64, status: Status) {
        self.statuses[id as usize - 1] = status;
        if status == Status::Open {
            self.open.insert(id);
        } else {
            self.open.remove(&id);
        }
    }
}
