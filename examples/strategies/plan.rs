//! What is recorded, and by whom: the strategies each into a changeset of their own, the loader into the one on top.

use tierstack::{ChangesetHandle, PlanContext, Recorded};

use crate::{
    corpus::Id,
    fragment::{Key, Store},
};

/// The plan of a run. There can be hundreds of thousands of actions, so each is small; for changes of files that are to
/// be merged into one diff there is [`tierstack::Change`].
pub type Plan = PlanContext<Action>;

/// What is done with a fragment.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A strategy selects it.
    Picked { by: &'static str, id: Id, score: f64 },
    /// A strategy reads it, and does not select it.
    Rejected { by: &'static str, id: Id },
    /// The loader stores or replaces it.
    Stored(Key),
    /// The loader removes it.
    Removed(Key),
    /// The first loading, of so many at once.
    Loaded { fragments: u64 },
}

impl Action {
    /// The strategy that decided so; `None` for what the loader did.
    pub fn strategy(&self) -> Option<&'static str> {
        match self {
            Self::Picked { by, .. } | Self::Rejected { by, .. } => Some(by),
            Self::Stored(_) | Self::Removed(_) | Self::Loaded { .. } => None,
        }
    }
}

/// An action of the loader, and what the plan said when it was recorded.
#[derive(Clone, Debug)]
pub struct Note {
    pub recorded: Recorded,
    pub action: Action,
}

/// Records into whichever changeset is on top, without knowing of any that others start and close.
pub struct Ambient<'a> {
    plan: &'a Plan,
    /// Those that it started where it found none open.
    base: Vec<ChangesetHandle<Action>>,
    notes: Vec<Note>,
}

impl<'a> Ambient<'a> {
    /// A recorder that begins with what is in the store already. Where nobody has started a changeset yet that gives it
    /// one, which stays below all others until the recorder has [finished](Self::finish).
    pub fn new(plan: &'a Plan, store: &Store) -> Self {
        let mut ambient = Self { plan, base: Vec::new(), notes: Vec::new() };
        ambient.record(Action::Loaded { fragments: store.metrics().stores });
        ambient
    }

    pub fn record(&mut self, action: Action) {
        let mut change = action.clone();
        let recorded = loop {
            match self.plan.record_change(change) {
                Ok(recorded) => break recorded,
                // No changeset is open. Nothing is lost: the change was handed back, and goes into a new one, or into
                // what others start on top of that in between.
                Err(error) => {
                    self.base.push(self.plan.start_changeset());
                    change = error.refused;
                }
            }
        };
        self.notes.push(Note { recorded, action });
    }

    /// Closes what it started, and tells what it recorded, in order.
    pub fn finish(self) -> Vec<Note> {
        for changeset in self.base.iter().rev() {
            // Where another has closed it that is as well.
            let _ = changeset.close();
        }
        self.notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_goes_into_a_changeset_of_its_own() {
        let (plan, store) = (Plan::new(), crate::load::new_store(0, 0).unwrap());
        let mut ambient = Ambient::new(&plan, &store);
        let base = plan.current().expect("it found none, and started one");

        let above = plan.start_changeset();
        ambient.record(Action::Loaded { fragments: 1 });
        above.close().unwrap();
        ambient.record(Action::Loaded { fragments: 2 });
        plan.close(base).unwrap();
        ambient.record(Action::Loaded { fragments: 3 });
        let again = plan.current().expect("it found none again");

        let notes = ambient.finish();
        assert!(notes.iter().map(|note| note.recorded.changeset).eq([base, above.id(), base, again]));
        let snapshot = plan.snapshot();
        let recorded = snapshot.changes().map(|record| record.change);
        assert!(recorded.eq([0, 1, 2, 3].map(|fragments| Action::Loaded { fragments }).iter()));
        assert_eq!(plan.current(), None, "it closed what it started");
    }
}
