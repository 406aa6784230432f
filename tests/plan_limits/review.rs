//! What a snapshot's changes come to: diffs and conflicts of whole plans, with changesets that end in every way.

use tierstack::{Change, ChangesetHandle, Diff, NetOperation, PlanContext, Snapshot};

/// The paths of the conflicts, with the numbers of the changesets on each.
fn conflicts(snapshot: &Snapshot<Change>) -> Vec<(String, Vec<u64>)> {
    let changesets =
        |conflict: &tierstack::Conflict<'_>| conflict.sides().iter().map(|side| side.changeset.number()).collect();
    snapshot.conflicts().iter().map(|conflict| (conflict.path().to_owned(), changesets(conflict))).collect()
}

fn paths<'a>(diff: &Diff<'a>) -> Vec<&'a str> {
    diff.iter().map(|change| change.path).collect()
}

fn touch(changeset: &ChangesetHandle<Change>, path: &str) {
    changeset.record(Change::modify(path, None, None)).unwrap();
}

#[test]
fn the_diff_has_what_is_open_or_closed_and_not_what_was_aborted_or_rolled_back() {
    let plan = PlanContext::new();
    let [open, closed, aborted] = [(); 3].map(|()| plan.start_changeset());
    touch(&open, "open");
    touch(&closed, "closed");
    touch(&aborted, "aborted");
    closed.close().unwrap();
    let savepoint = plan.savepoint();
    touch(&open, "undone");
    let undone = plan.start_changeset();
    touch(&undone, "undone with its changeset");
    aborted.abort().unwrap();
    assert_eq!(paths(&plan.snapshot().diff()), ["closed", "open", "undone", "undone with its changeset"]);

    plan.roll_back_to(&savepoint).unwrap();
    let snapshot = plan.snapshot();
    assert_eq!(paths(&snapshot.diff()), ["aborted", "closed", "open"], "the abort is undone too");
    aborted.abort().unwrap();

    let snapshot = plan.snapshot();
    let diff = snapshot.diff();
    assert_eq!(paths(&diff), ["closed", "open"]);
    assert!(diff.changes().iter().eq(&diff) && diff.conflicts().is_empty() && !diff.is_empty());
    assert_eq!(diff.clone().into_changes(), diff.changes());
    assert_eq!(diff.get("open").unwrap().operation, NetOperation::Modify);
    let view = snapshot.changeset(aborted.id()).unwrap();
    assert_eq!(paths(&view.diff()), ["aborted"], "a changeset's own diff is there whatever its status");
}

#[test]
fn changesets_conflict_where_they_were_open_at_the_same_time_and_only_there() {
    let plan = PlanContext::new();
    let first = plan.start_changeset();
    touch(&first, "a");
    let second = plan.start_changeset();
    touch(&second, "a");
    first.close().unwrap();
    // Open together with the second, and started after the first had ended.
    let third = plan.start_changeset();
    touch(&third, "a");
    touch(&third, "b");
    second.close().unwrap();
    let fourth = plan.start_changeset();
    touch(&fourth, "c");
    third.close().unwrap();
    touch(&fourth, "b");
    assert_eq!(conflicts(&plan.snapshot()), [("a".into(), vec![1, 2, 3]), ("b".into(), vec![3, 4])]);
    assert_eq!(plan.snapshot().diff().conflicts(), plan.snapshot().conflicts());

    // One after the other is no conflict.
    fourth.close().unwrap();
    for _ in 0..2 {
        let alone = plan.start_changeset();
        touch(&alone, "c");
        alone.close().unwrap();
    }
    assert_eq!(conflicts(&plan.snapshot()).len(), 2);
}

#[test]
fn what_is_aborted_is_in_no_conflict_and_a_roll_back_brings_conflicts_back() {
    let plan = PlanContext::new();
    let (one, two) = (plan.start_changeset(), plan.start_changeset());
    touch(&one, "a");
    touch(&two, "a");
    let savepoint = plan.savepoint();
    two.abort().unwrap();
    assert_eq!(conflicts(&plan.snapshot()), []);
    plan.roll_back_to(&savepoint).unwrap();
    assert_eq!(conflicts(&plan.snapshot()), [("a".into(), vec![1, 2])]);

    // An end that was rolled back is none: the changeset is open together with whatever starts then.
    one.close().unwrap();
    plan.roll_back_to(&savepoint).unwrap();
    let three = plan.start_changeset();
    touch(&three, "a");
    assert_eq!(conflicts(&plan.snapshot()), [("a".into(), vec![1, 2, 3])]);
}
