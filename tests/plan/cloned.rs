//! The model against something plainer still: every state that there ever was, kept whole.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::config;
use crate::model::{Answer, Event, Model, Operation, Refusal, Status, View};
use crate::program::{Step, operation};

/// What a roll-back brings back.
#[derive(Clone, Default)]
struct State {
    statuses: Vec<Status>,
    /// Sequence number, changeset, change.
    changes: Vec<(u64, u64, u64)>,
    /// Which savepoints are in force.
    savepoints: Vec<u64>,
}

struct Cloned {
    /// The one after event n at index n.
    states: Vec<State>,
    audit: Vec<(u64, Event)>,
}

impl Cloned {
    fn new() -> Self {
        Self { states: vec![State { savepoints: vec![0], ..State::default() }], audit: Vec::new() }
    }

    fn now(&self) -> State {
        self.states[self.audit.len()].clone()
    }

    fn happen(&mut self, mut state: State, event: Event) -> u64 {
        let sequence = self.states.len() as u64;
        state.savepoints.push(sequence);
        self.states.push(state);
        self.audit.push((sequence, event));
        sequence
    }

    fn current(&self) -> Option<u64> {
        let open = self.now().statuses.iter().rposition(|status| *status == Status::Open);
        open.map(|index| index as u64 + 1)
    }

    fn status(&self, id: u64) -> Option<Status> {
        if id == 0 { None } else { self.now().statuses.get(id as usize - 1).copied() }
    }

    fn refusal(&self, id: u64) -> Option<Refusal> {
        match self.status(id) {
            Some(Status::Open) => None,
            Some(Status::Closed) => Some(Refusal::Closed),
            Some(Status::Aborted) => Some(Refusal::Aborted),
            Some(Status::RolledBack) => Some(Refusal::RolledBack),
            None => Some(Refusal::Unknown),
        }
    }

    fn record(&mut self, id: u64, changes: &[u64]) -> Answer {
        if let Some(refusal) = self.refusal(id) {
            return Answer::Refused(refusal);
        }
        for &change in changes {
            let mut state = self.now();
            state.changes.push((self.states.len() as u64, id, change));
            self.happen(state, Event::Recorded { id, change });
        }
        Answer::Recorded { changeset: id, last: self.audit.len() as u64 }
    }

    fn end(&mut self, id: u64, status: Status, event: Event) -> Answer {
        if let Some(refusal) = self.refusal(id) {
            return Answer::Refused(refusal);
        }
        let mut state = self.now();
        state.statuses[id as usize - 1] = status;
        Answer::Done { sequence: self.happen(state, event) }
    }

    fn apply(&mut self, operation: &Operation) -> Answer {
        let none = Answer::Refused(Refusal::NoActiveChangeset);
        match *operation {
            Operation::Start => {
                let mut state = self.now();
                state.statuses.push(Status::Open);
                let id = state.statuses.len() as u64;
                Answer::Started { id, sequence: self.happen(state, Event::Started { id }) }
            }
            Operation::Record { change } => self.current().map_or(none, |id| self.record(id, &[change])),
            Operation::RecordIn { id, change } => self.record(id, &[change]),
            Operation::RecordAll { ref changes } => self.current().map_or(none, |id| self.record(id, changes)),
            Operation::RecordAllIn { id, ref changes } => self.record(id, changes),
            Operation::Close { id } => self.end(id, Status::Closed, Event::Closed { id }),
            Operation::Abort { id } => self.end(id, Status::Aborted, Event::Aborted { id }),
            Operation::RollBackTo { savepoint } => {
                let now = self.now();
                if !now.savepoints.contains(&savepoint) {
                    return Answer::Refused(Refusal::Savepoint);
                }
                let mut state = self.states[savepoint as usize].clone();
                state.statuses.resize(now.statuses.len(), Status::RolledBack);
                Answer::Done { sequence: self.happen(state, Event::RolledBack { to: savepoint }) }
            }
            Operation::Savepoint | Operation::Sequence => Answer::At(self.audit.len() as u64),
            Operation::Current => Answer::Current(self.current()),
            Operation::Status { id } => Answer::Status(self.status(id)),
            Operation::Snapshot => Answer::Snapshot(Box::new(self.view())),
        }
    }

    fn view(&self) -> View {
        let State { statuses, changes, .. } = self.now();
        let of =
            |id| changes.iter().filter(move |change| change.1 == id).map(|&(sequence, _, change)| (sequence, change));
        View {
            sequence: self.audit.len() as u64,
            current: self.current(),
            changesets: (1..).zip(&statuses).map(|(id, status)| (*status, of(id).collect())).collect(),
            changes: changes
                .iter()
                .filter(|change| statuses[change.1 as usize - 1] != Status::Aborted)
                .copied()
                .collect(),
            audit: self.audit.clone(),
        }
    }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn the_model_is_what_cloning_every_state_gives(program in vec(any::<Step>(), 1..120)) {
        let (mut model, mut cloned, mut savepoints) = (Model::default(), Cloned::new(), vec![0]);
        for (step, number) in program.into_iter().zip(0..) {
            let operation = operation(step, number, model.started(), &savepoints);
            let answer = model.apply(&operation);
            prop_assert_eq!(&answer, &cloned.apply(&operation), "{:?}", operation);
            if let (Operation::Savepoint, Answer::At(sequence)) = (operation, answer) {
                savepoints.push(sequence);
            }
            prop_assert_eq!(model.view(), cloned.view());
        }
    }
}
