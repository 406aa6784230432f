//! What the plan promises, checked from one snapshot of it, taken when all threads are at rest again.
//!
//! The audit trail tells what has happened, in which order; the snapshot's changesets tell what is in them; and the
//! strategies and the loader know what they recorded, and what they were told when they did. All have to agree.

use std::collections::BTreeSet;

use tierstack::{ChangesetId, ChangesetView, Event, EventKind, Sequence, Snapshot, Status};

use crate::{
    checks::Check,
    corpus::Id,
    format::{count, counted},
    load::Loaded,
    plan::{Action, Note},
    strategies::Findings,
};

/// Checks the plan against what was decided, and what the loader did.
pub fn run(plan: &Snapshot<Action>, findings: &[Findings], loaded: &Loaded) -> Vec<Check> {
    let trail: Vec<_> = plan.audit().collect();
    let notes = &*loaded.notes;
    let check = |promise, found| Check { promise, found };
    vec![
        check("changesets have what strategies decided", decided(plan, findings)),
        check("ambient changes are where they were told", placed(plan, loaded)),
        check("what took them was on top at that instant", on_top(&trail, notes)),
        check("each change recorded is in the trail, once", told(&trail, findings, notes)),
        check("the trail counts from 1, without a gap", numbered(&trail, plan.sequence())),
    ]
}

type Trail<'a> = [Event<&'a Action>];

/// Every decision of a strategy is in the changeset that it held, and no other's.
fn decided(plan: &Snapshot<Action>, findings: &[Findings]) -> Result<String, String> {
    let mut decisions = 0;
    for found in findings {
        let strategy = found.strategy;
        let changeset = found.changeset.and_then(|id| plan.changeset(id));
        let changeset = changeset.ok_or_else(|| format!("{strategy} has no changeset"))?;
        if changeset.status() != Status::Closed {
            return Err(format!("{} of {strategy} is {:?}", changeset.id(), changeset.status()));
        }
        decisions += as_decided(changeset, found)?;
    }
    let all = plan.changes().filter(|record| record.change.strategy().is_some()).count();
    if all != decisions {
        return Err(format!(
            "{} of strategies, and {} in theirs",
            counted(all as u64, "change"),
            count(decisions as u64)
        ));
    }
    Ok(format!("{} in {}", counted(all as u64, "change"), counted(findings.len() as u64, "changeset")))
}

/// How many decisions are in the changeset, if they are those that the strategy took, and each of them once.
fn as_decided(changeset: ChangesetView<'_, Action>, found: &Findings) -> Result<usize, String> {
    let (mut picks, mut rejects) = (Vec::new(), Vec::new());
    for record in changeset.changes() {
        match *record.change {
            Action::Picked { by, .. } | Action::Rejected { by, .. } if by != found.strategy => {
                return Err(format!("{} of {} has one of {by}", changeset.id(), found.strategy));
            }
            Action::Picked { id, score, .. } => picks.push((id, score)),
            Action::Rejected { id, .. } => rejects.push(id),
            Action::Stored(_) | Action::Removed(_) | Action::Loaded { .. } => {}
        }
    }
    let which = |wrong| format!("{} of {} {wrong}", changeset.id(), found.strategy);
    if !picks.iter().copied().eq(found.picks.iter().map(|pick| (pick.id, pick.score))) {
        return Err(which(format!("has {} picked, not the {} that are", picks.len(), found.picks.len())));
    }
    // Recorded from many threads, so that any order is right.
    let mut expected: Vec<Id> = found.rejects.clone();
    expected.sort_unstable();
    rejects.sort_unstable();
    if rejects != expected {
        return Err(which(format!("has {} rejected, not the {} that are", rejects.len(), expected.len())));
    }
    // So that it does not agree with a strategy that is itself wrong.
    let ids: BTreeSet<_> = picks.iter().map(|(id, _)| id).chain(&rejects).collect();
    let decisions = picks.len() + rejects.len();
    if ids.len() == decisions { Ok(decisions) } else { Err(which("has decided twice".to_owned())) }
}

/// Each thing that the loader did is noted, and in the very changeset, at the very place, that `record_change` told.
fn placed(plan: &Snapshot<Action>, loaded: &Loaded) -> Result<String, String> {
    let notes = &loaded.notes;
    let there = plan
        .changesets()
        .flat_map(|changeset| changeset.changes().map(move |record| (record.sequence, changeset.id(), record.change)));
    let mut there: Vec<_> = there.filter(|(.., action)| action.strategy().is_none()).collect();
    there.sort_by_key(|&(sequence, ..)| sequence);
    let noted = notes.iter().map(|note| (note.recorded.sequence, note.recorded.changeset, &note.action));
    if let Some((there, noted)) = there.iter().zip(noted).find(|(there, noted)| *there != noted) {
        let (there, noted) = ((there.0, there.1), (noted.0, noted.1));
        return Err(format!("noted {} in {}, and there is {} in {}", noted.0, noted.1, there.0, there.1));
    }
    // One more for the first loading.
    let done = loaded.stores + loaded.removed + 1;
    if (there.len() as u64, notes.len() as u64) != (done, done) {
        let (there, noted) = (counted(there.len() as u64, "change"), count(notes.len() as u64));
        return Err(format!("{there} there, {noted} noted, {} done", count(done)));
    }
    let changesets: BTreeSet<_> = there.iter().map(|&(_, id, _)| id).collect();
    Ok(format!("{} in {}", counted(notes.len() as u64, "change"), counted(changesets.len() as u64, "changeset")))
}

/// Goes through the trail with the stack as it was: what the loader recorded went to the top of it, and nothing to what
/// was not open.
fn on_top(trail: &Trail<'_>, notes: &[Note]) -> Result<String, String> {
    let mut open = BTreeSet::new();
    let mut tops = BTreeSet::new();
    let mut notes = notes.iter();
    for event in trail {
        let sequence = event.sequence;
        let known = match &event.kind {
            EventKind::Started { changeset } => open.insert(*changeset),
            EventKind::Closed { changeset } | EventKind::Aborted { changeset } => open.remove(changeset),
            EventKind::Recorded { changeset, .. } => open.contains(changeset),
            EventKind::RolledBack { .. } => {
                return Err(format!("event {sequence} is a roll-back: nobody asked for one"));
            }
        };
        if !known {
            return Err(format!("event {sequence} is of a changeset that could not be in it then"));
        }
        if let EventKind::Recorded { changeset, change } = event.kind
            && change.strategy().is_none()
        {
            let top = open.last().copied();
            let told = notes.next().map(|note| note.recorded.changeset);
            if (Some(changeset), told) != (top, top) {
                let [top, told] = [top, told].map(|id| id.map_or_else(|| "none".to_owned(), |id| id.to_string()));
                return Err(format!("change {sequence} is in {changeset}, {told} was told, {top} was on top"));
            }
            tops.insert(changeset);
        }
    }
    match (notes.len(), open.last()) {
        (0, None) => Ok(format!("{} were on top then", counted(tops.len() as u64, "changeset"))),
        (0, Some(open)) => Err(format!("{open} is still open")),
        (missing, _) => Err(format!("{} not in the trail", counted(missing as u64, "change"))),
    }
}

/// What calls were told: no two the same number, for each the event with that number, and no event that nobody was told.
fn told(trail: &Trail<'_>, findings: &[Findings], notes: &[Note]) -> Result<String, String> {
    let batches = findings.iter().flat_map(|found| &found.recorded);
    let of_strategies = batches.flat_map(|batch| batch.sequences().map(|sequence| (sequence, batch.changeset)));
    let of_loader = notes.iter().map(|note| (note.recorded.sequence, note.recorded.changeset));
    let mut told: Vec<_> = of_strategies.chain(of_loader).collect();
    told.sort_unstable();
    if let Some([(_, _), (sequence, _)]) = told.array_windows().find(|[a, b]| a.0 == b.0) {
        return Err(format!("number {sequence} was told twice"));
    }
    let recorded = trail.iter().filter_map(|event| match event.kind {
        EventKind::Recorded { changeset, .. } => Some((event.sequence, changeset)),
        _ => None,
    });
    let recorded: Vec<(Sequence, ChangesetId)> = recorded.collect();
    if let Some((trail, told)) = recorded.iter().zip(&told).find(|(trail, told)| trail != told) {
        return Err(format!("the trail has change {} in {}, told {} in {}", trail.0, trail.1, told.0, told.1));
    }
    let numbers = format!("{} of {} told", counted(recorded.len() as u64, "change"), count(told.len() as u64));
    if recorded.len() == told.len() { Ok(numbers) } else { Err(numbers) }
}

fn numbered(trail: &Trail<'_>, last: Sequence) -> Result<String, String> {
    match (1..).zip(trail).find(|(number, event)| event.sequence.number() != *number) {
        Some((number, event)) => Err(format!("event {} stands at {number}", event.sequence)),
        None if trail.len() as u64 != last.number() => {
            Err(format!("{}, the last is {last}", count(trail.len() as u64)))
        }
        None => Ok(counted(last.number(), "event")),
    }
}

#[cfg(test)]
mod tests {
    use tierstack::{ChangesetHandle, Recorded};

    use super::*;
    use crate::{
        fragment::Key,
        plan::{Ambient, Plan},
        strategies::Pick,
    };

    /// What a run would give: two strategies that decide on three fragments each, and a loader.
    struct Run {
        plan: Plan,
        findings: Vec<Findings>,
        loaded: Loaded,
    }

    fn start(plan: &Plan, strategy: &'static str) -> (ChangesetHandle<Action>, Findings) {
        let changeset = plan.start_changeset();
        let found = Findings { strategy, changeset: Some(changeset.id()), ..Findings::default() };
        (changeset, found)
    }

    fn reject(changeset: &ChangesetHandle<Action>, found: &mut Findings, ids: &[Id]) {
        found.rejects.extend(ids);
        let by = found.strategy;
        found.recorded.push(changeset.record_all(ids.iter().map(|&id| Action::Rejected { by, id })).unwrap());
    }

    fn pick(changeset: &ChangesetHandle<Action>, found: &mut Findings, id: Id) {
        found.picks.push(Pick { id, score: 0.5 });
        found.recorded.push(changeset.record_all([Action::Picked { by: found.strategy, id, score: 0.5 }]).unwrap());
    }

    fn stored(first: u32) -> Action {
        Action::Stored(Key { path: "a.rs".into(), first, last: first })
    }

    /// `meanwhile` may do what should not be done, before anything is closed.
    fn run_with(meanwhile: impl FnOnce([(&ChangesetHandle<Action>, &mut Findings); 2])) -> Run {
        let plan = Plan::new();
        let mut loader = Ambient::new(&plan, &crate::load::new_store(0, 0).unwrap());
        let (lower, mut low) = start(&plan, "low");
        loader.record(stored(1));
        let (upper, mut up) = start(&plan, "up");
        loader.record(stored(2));
        reject(&lower, &mut low, &[7, 3]);
        reject(&upper, &mut up, &[7]);
        reject(&upper, &mut up, &[5]);
        pick(&lower, &mut low, 5);
        pick(&upper, &mut up, 3);
        meanwhile([(&lower, &mut low), (&upper, &mut up)]);
        // Unless it was aborted meanwhile.
        let _ = upper.close();
        loader.record(stored(3));
        lower.close().unwrap();
        loader.record(stored(4));
        let loaded = Loaded { stores: 4, notes: loader.finish(), ..Loaded::default() };
        Run { plan, findings: vec![low, up], loaded }
    }

    impl Run {
        /// The checks that fail, by their place, with all that they say.
        fn failures(&self) -> (Vec<usize>, String) {
            let checks = run(&self.plan.snapshot(), &self.findings, &self.loaded);
            let failed =
                checks.iter().enumerate().filter_map(|(i, check)| Some((i, check.found.as_ref().err()?.clone())));
            failed.unzip()
        }

        /// With a trail that is not the plan's: the checks that go by the trail alone.
        fn told_by(&self, spoil: impl FnOnce(&mut Vec<Event<&Action>>)) -> [Result<String, String>; 3] {
            let snapshot = self.plan.snapshot();
            let mut trail = snapshot.audit().collect();
            spoil(&mut trail);
            let last = snapshot.sequence();
            [
                on_top(&trail, &self.loaded.notes),
                told(&trail, &self.findings, &self.loaded.notes),
                numbered(&trail, last),
            ]
        }
    }

    #[test]
    fn a_sound_plan_passes() {
        let run = run_with(|_| {});
        let checks = super::run(&run.plan.snapshot(), &run.findings, &run.loaded);
        let said: Vec<_> = checks.into_iter().map(|check| check.found.unwrap()).collect();
        let expected = ["6 changes in 2 changesets", "5 changes in 3 changesets", "3 changesets were on top then"];
        assert_eq!(said, [&expected[..], &["11 changes of 11 told", "17 events"]].concat());
    }

    #[test]
    fn what_is_in_the_wrong_changeset_is_noticed() {
        let run = run_with(|[(_, low), (upper, _)]| reject(upper, low, &[9]));
        assert_eq!(run.failures(), (vec![0], "changeset-2 of low has 2 rejected, not the 3 that are".to_owned()));

        let run = run_with(|[_, (upper, up)]| {
            up.rejects.push(9);
            up.recorded.push(upper.record_all([Action::Rejected { by: "low", id: 9 }]).unwrap());
        });
        assert_eq!(run.failures(), (vec![0], "changeset-3 of up has one of low".to_owned()));
        let run = run_with(|[_, (upper, _)]| _ = upper.record(stored(9)).unwrap());
        let (failed, said) = run.failures();
        assert_eq!(failed, [1, 2, 3], "{said}");
    }

    #[test]
    fn what_is_lost_or_doubled_or_never_decided_is_noticed() {
        let run = run_with(|[(_, low), _]| low.rejects.push(9));
        assert_eq!(run.failures(), (vec![0], "changeset-2 of low has 2 rejected, not the 3 that are".to_owned()));
        let run = run_with(|[_, (_, up)]| up.picks[0].score = 0.4);
        assert_eq!(run.failures(), (vec![0], "changeset-3 of up has 1 picked, not the 1 that are".to_owned()));
        let run = run_with(|[_, (_, up)]| up.rejects[0] = 6);
        assert_eq!(run.failures(), (vec![0], "changeset-3 of up has 2 rejected, not the 2 that are".to_owned()));
        let run = run_with(|[(lower, low), _]| reject(lower, low, &[5]));
        assert_eq!(run.failures(), (vec![0], "changeset-2 of low has decided twice".to_owned()));
        let run = run_with(|[_, (upper, _)]| _ = upper.record(Action::Rejected { by: "up", id: 9 }).unwrap());
        assert_eq!(run.failures().0, [0, 3]);

        let mut run = run_with(|_| {});
        run.findings.pop();
        assert_eq!(run.failures().0, [0, 3]);
    }

    #[test]
    fn what_the_loader_was_told_wrongly_is_noticed() {
        let mut run = run_with(|_| {});
        run.loaded.notes[3].recorded.changeset = run.loaded.notes[2].recorded.changeset;
        let (failed, said) = run.failures();
        assert_eq!(failed, [1, 2, 3], "{said}");
        assert!(said.contains("is in changeset-2, changeset-3 was told, changeset-2 was on top"), "{said}");

        let mut run = run_with(|_| {});
        run.loaded.removed += 1;
        assert_eq!(run.failures(), (vec![1], "5 changes there, 5 noted, 6 done".to_owned()));
        let mut run = run_with(|_| {});
        run.loaded.notes[3].action = stored(9);
        assert_eq!(run.failures().0, [1]);
        let mut run = run_with(|_| {});
        run.loaded.notes[2].recorded = Recorded { ..run.loaded.notes[1].recorded };
        let (failed, said) = run.failures();
        assert_eq!(failed, [1, 2, 3]);
        assert!(said.contains("number 4 was told twice"), "{said}");
        let mut run = run_with(|_| {});
        run.loaded.notes.pop();
        assert_eq!(run.failures().0, [1, 2, 3]);
    }

    #[test]
    fn what_is_left_open_or_aborted_is_noticed() {
        let run = run_with(|[_, (upper, _)]| _ = upper.abort().unwrap());
        assert_eq!(run.failures(), (vec![0], "changeset-3 of up is Aborted".to_owned()));
        let run = run_with(|_| {});
        run.plan.start_changeset();
        assert_eq!(run.failures(), (vec![2], "changeset-4 is still open".to_owned()));
    }

    #[test]
    fn a_trail_that_is_not_what_happened_is_noticed() {
        let run = run_with(|_| {});
        let failed = |spoil: fn(&mut Vec<Event<&Action>>)| run.told_by(spoil).map(|found| found.is_err());
        assert_eq!(failed(|_| {}), [false; 3]);
        assert_eq!(failed(|trail| _ = trail.pop()), [true, false, true]);
        assert_eq!(failed(|trail| _ = trail.remove(3)), [true; 3]);
        // The start of `up` and the change right after it, which is on top of `up` then: the other way round.
        assert_eq!(failed(|trail| trail.swap(4, 5)), [true, false, true]);
        // The last change of `up`, and its close.
        assert_eq!(failed(|trail| trail.swap(11, 12)), [true, false, true]);
        assert_eq!(failed(|trail| trail.push(trail[3])), [true; 3]);
    }
    #[test]
    fn what_went_to_a_changeset_that_was_on_top_a_moment_before_is_noticed() {
        let mut run = run_with(|_| {});
        let before = run.loaded.notes[1].recorded.changeset;
        run.loaded.notes[2].recorded.changeset = before;
        let found = run.told_by(|trail| {
            let EventKind::Recorded { changeset, .. } = &mut trail[5].kind else { panic!("{:?}", trail[5]) };
            *changeset = before;
        });
        let expected = "change 6 is in changeset-2, changeset-2 was told, changeset-3 was on top";
        assert_eq!(found[0], Err(expected.to_owned()));
        assert!(found[1..].iter().all(Result::is_ok), "{found:?}");
    }
}
