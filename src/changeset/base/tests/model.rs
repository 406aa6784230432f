//! What is stale, by the definition at the head of the module: everything is looked for from the beginning, for each change.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::{StaleBase, Staleness, State, Step, Touch, bases, touches};
use super::files::{Raw, nested, raws, script};
use crate::changeset::id::ChangesetId;

/// A touch that was.
struct Past<'a> {
    /// Which of the steps it is of.
    step: usize,
    sequence: u64,
    path: &'a str,
    claim: State<'a>,
    /// What it left; of one in force, with what is known of it.
    left: State<'a>,
    /// The changeset, where it is gone.
    gone: Option<ChangesetId>,
}

/// What is known of a path.
struct Known<'a, 'p> {
    settled: Option<&'p Past<'a>>,
    overruled: Option<&'p Past<'a>>,
    undone: Option<&'p Past<'a>>,
    state: Option<State<'a>>,
}

/// The other side's path, and the changes that it is against and that are undone.
type Other = (String, Option<u64>, Option<u64>);

/// The steps, and what has been so far.
struct Model<'a> {
    steps: Vec<Step<'a>>,
    past: Vec<Past<'a>>,
}

impl<'a> Model<'a> {
    /// Whether the changeset has not been aborted by a step.
    fn alive(&self, changeset: ChangesetId, step: usize) -> bool {
        !self.steps[..step].iter().any(|step| matches!(step, Step::Aborted(aborted) if *aborted == changeset))
    }

    fn known(&self, path: &str, now: usize) -> Known<'a, '_> {
        let in_force = |past: &&Past<'_>| past.gone.is_none();
        let settled = self.past.iter().rposition(|past| past.gone.is_none() && past.path == path);
        let since = &self.past[settled.map_or(0, |at| at + 1)..];
        let overruled = since.iter().rfind(|past| in_force(past) && nested(past.path, path));
        let gone: Vec<_> =
            since.iter().filter_map(|past| Some((past, past.gone?))).filter(|(past, _)| past.path == path).collect();
        let mut found = None;
        for (at, (past, _)) in gone.iter().enumerate() {
            if !gone[..at].iter().any(|(_, changeset)| self.alive(*changeset, past.step)) {
                found = Some(past.claim);
            }
        }
        let undone = gone.iter().rfind(|(_, changeset)| self.alive(*changeset, now)).map(|(past, _)| *past);
        let found = undone.and(found);
        let settled = settled.map(|at| &self.past[at]);
        let state = match (settled.map(|settled| settled.left), found) {
            (None, found) => found,
            (Some(State::Present(None)), Some(State::Present(digest))) => Some(State::Present(digest)),
            (settled, _) => settled,
        };
        Known { settled, overruled, undone, state: state.filter(|_| overruled.is_none()) }
    }

    /// What of a touch is stale, and what can be the other side.
    fn stale(&self, touch: Touch<'a>, now: usize) -> Option<(Staleness, Vec<Other>)> {
        let side = |path: &str, known: &Known<'_, '_>| {
            (path.to_owned(), known.settled.map(|past| past.sequence), known.undone.map(|past| past.sequence))
        };
        let known = self.known(touch.path, now);
        let exact = match (known.state, touch.claim) {
            (Some(State::Absent), State::Present(_)) => Some(Staleness::Missing),
            (Some(State::Present(_)), State::Absent) => Some(Staleness::Occupied),
            (Some(State::Present(Some(is))), State::Present(Some(claimed))) if is != claimed => {
                Some(Staleness::OtherContent)
            }
            (Some(State::Present(None)), State::Present(Some(_))) => {
                known.undone.filter(|undone| undone.left == touch.claim).map(|_| Staleness::OtherContent)
            }
            _ => None,
        };
        if let Some(kind) = exact {
            return Some((kind, vec![side(touch.path, &known)]));
        }
        let paths: BTreeSet<&str> = self.past.iter().map(|past| past.path).collect();
        let mut others: Vec<_> = paths
            .into_iter()
            .filter(|path| nested(path, touch.path))
            .map(|path| (path, self.known(path, now)))
            .filter(|(_, known)| matches!(known.state, Some(State::Present(_))))
            .map(|(path, known)| side(path, &known))
            .collect();
        if others.is_empty() && touch.claim != State::Absent {
            others.extend(known.overruled.map(|past| (past.path.to_owned(), Some(past.sequence), None)));
        }
        (!others.is_empty()).then_some((Staleness::Folder, others))
    }
}

/// Checks what was found to be stale.
fn check(steps: Vec<Step<'_>>, found: &[StaleBase<'_>]) {
    let mut found = found.iter();
    let mut model = Model { steps, past: Vec::new() };
    for now in 0..model.steps.len() {
        let (record, gone) = match model.steps[now] {
            Step::Change(record) => (record, None),
            Step::Gone(record) => (record, Some(record.changeset)),
            Step::Aborted(_) => continue,
        };
        let sequence = record.sequence.number();
        let (first, second) = touches(record.change);
        let content = model.known(first.path, now).state;
        for touch in [Some(first), second].into_iter().flatten() {
            let mut left = touch.result;
            if gone.is_none() {
                if let Some((kind, others)) = model.stale(touch, now) {
                    let stale = found.next().unwrap_or_else(|| panic!("{kind:?} of {record:?} at {}", touch.path));
                    assert_eq!((stale.change, stale.path, stale.kind), (record, touch.path, kind));
                    let [against, undone] =
                        [stale.against, stale.undone].map(|side| side.map(|side| side.sequence.number()));
                    let side = (stale.other.to_owned(), against, undone);
                    assert!(others.contains(&side), "{stale:?}: the other side is one of {others:?}");
                    assert!(against.is_some() || undone.is_some());
                }
                if let (true, State::Present(None), Some(State::Present(digest))) = (touch.same, left, content) {
                    left = State::Present(digest);
                }
            }
            model.past.push(Past { step: now, sequence, path: touch.path, claim: touch.claim, left, gone });
        }
    }
    assert_eq!(found.next(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn bases_are_as_defined(raws in raws(), noise in 0..4_u8) {
        let changes = script(&raws, noise);
        let steps = changes.steps();
        let found = bases(&steps);
        check(steps, &found.stale);
    }
}

/// So that a change of the generator that makes it useless is noticed.
#[test]
fn each_kind_is_met_often() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut met = std::collections::BTreeMap::<String, u32>::new();
    for _ in 0..2_000 {
        let raws: Vec<Raw> = raws().new_tree(&mut runner).unwrap().current();
        let changes = script(&raws, 1);
        for stale in bases(&changes.steps()).stale {
            let sides = (stale.against.is_some(), stale.undone.is_some());
            *met.entry(format!("{:?} {sides:?}", stale.kind)).or_default() += 1;
        }
    }
    for kind in [Staleness::Missing, Staleness::Occupied, Staleness::OtherContent, Staleness::Folder] {
        for sides in [(true, false), (false, true), (true, true)] {
            let times = met.get(&format!("{kind:?} {sides:?}")).copied().unwrap_or_default();
            assert!(times >= 3, "{kind:?} {sides:?}: {times} times, of {met:?}");
        }
    }
}
