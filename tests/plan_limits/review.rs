//! What a snapshot's changes come to: diffs and conflicts of whole plans, with changesets that end in every way.

use tierstack::{Change, ChangesetHandle, Diff, Digest, NetOperation, PlanContext, Snapshot, Staleness};

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

/// The changeset of a change with a stale base, the path, the kind, and the changesets of the other side.
type Stale = (u64, String, Staleness, Option<u64>, Option<u64>);

fn stale(snapshot: &Snapshot<Change>) -> Vec<Stale> {
    let stale = snapshot.stale_bases();
    assert_eq!(snapshot.diff().stale_bases(), stale);
    let number = |record: tierstack::Record<'_, Change>| record.changeset.number();
    stale
        .iter()
        .map(|stale| {
            let (against, undone) = (stale.against.map(number), stale.undone.map(number));
            (number(stale.change), stale.path.to_owned(), stale.kind, against, undone)
        })
        .collect()
}

fn digest(byte: u8) -> Digest {
    Digest::from([byte])
}

#[test]
fn what_contradicts_an_earlier_changeset_is_reported_without_a_conflict() {
    let plan = PlanContext::new();
    for (before, after) in [(1, 2), (2, 3), (1, 4), (4, 5)] {
        let changeset = plan.start_changeset();
        changeset.record(Change::modify("a", digest(before), digest(after))).unwrap();
        changeset.close().unwrap();
    }
    let changeset = plan.start_changeset();
    changeset.record_all([Change::create("a", None), Change::create("b", None), Change::create("b", None)]).unwrap();
    let snapshot = plan.snapshot();
    assert_eq!(conflicts(&snapshot), []);
    let expected = [
        (3, "a".into(), Staleness::OtherContent, Some(2), None),
        (5, "a".into(), Staleness::Occupied, Some(4), None),
        (5, "b".into(), Staleness::Occupied, Some(5), None),
    ];
    assert_eq!(stale(&snapshot), expected);
    // A changeset by itself contradicts only itself.
    let own = snapshot.changeset(changeset.id()).unwrap().diff();
    let own: Vec<_> = own.stale_bases().iter().map(|stale| (stale.path, stale.kind)).collect();
    assert_eq!(own, [("b", Staleness::Occupied)]);
    // Without what it contradicts, there is no contradiction.
    plan.abort(changeset.id()).unwrap();
    assert_eq!(stale(&plan.snapshot()).len(), 1);
}

#[test]
fn what_was_built_on_an_aborted_changeset_is_reported_and_the_diff_takes_nothing_that_never_was() {
    let plan = PlanContext::new();
    let [aborted, kept] = [(); 2].map(|()| plan.start_changeset());
    aborted.record(Change::rename("a", "b")).unwrap();
    let before = plan.savepoint();
    kept.record(Change::modify("b", None, digest(7)).with_content("text")).unwrap();
    assert_eq!(stale(&plan.snapshot()), []);
    assert_eq!(conflicts(&plan.snapshot()), [("b".into(), vec![1, 2])]);
    let savepoint = plan.savepoint();

    aborted.abort().unwrap();
    let snapshot = plan.snapshot();
    assert_eq!(conflicts(&snapshot), []);
    let missing = [(2, "b".into(), Staleness::Missing, None, Some(1))];
    assert_eq!(stale(&snapshot), missing);
    let diff = snapshot.diff();
    let [change] = diff.changes() else { panic!("one file: {diff:?}") };
    assert_eq!((change.path, change.operation, change.content), ("b", NetOperation::Create, Some(&"text".into())));

    // An abort that is rolled back was none, and what is rolled back is no base.
    plan.roll_back_to(&savepoint).unwrap();
    assert_eq!(stale(&plan.snapshot()), []);
    plan.roll_back_to(&before).unwrap();
    aborted.abort().unwrap();
    kept.record(Change::modify("b", None, None)).unwrap();
    assert_eq!(stale(&plan.snapshot()), [], "it came after the abort");
    assert_eq!(plan.snapshot().diff().get("b").unwrap().operation, NetOperation::Modify);
}

#[test]
fn what_was_done_with_a_file_that_went_with_its_changeset() {
    // Changes built on the creation of "a", with what is left of them without it.
    type Left = Option<(&'static str, NetOperation<'static>)>;
    let renamed = || Change::rename("a", "c");
    let cases: [(Vec<Change>, Left); 6] = [
        (vec![Change::delete("a", None)], None),
        (vec![renamed()], Some(("c", NetOperation::Create))),
        (vec![renamed(), Change::modify("c", None, None)], Some(("c", NetOperation::Create))),
        (vec![renamed(), Change::delete("c", None)], None),
        (vec![renamed(), Change::rename("c", "a")], Some(("a", NetOperation::Create))),
        (vec![Change::modify("a", None, None), renamed()], Some(("c", NetOperation::Create))),
    ];
    for (changes, left) in cases {
        let plan = PlanContext::new();
        let [aborted, kept] = [(); 2].map(|()| plan.start_changeset());
        aborted.record(Change::create("a", digest(1)).with_content("gone")).unwrap();
        kept.record_all(changes.clone()).unwrap();
        aborted.abort().unwrap();
        let snapshot = plan.snapshot();
        assert_eq!(stale(&snapshot), [(2, "a".into(), Staleness::Missing, None, Some(1))], "{changes:?}");
        let diff = snapshot.diff();
        let found: Vec<_> = diff.iter().map(|change| (change.path, change.operation)).collect();
        assert_eq!(found, left.into_iter().collect::<Vec<_>>(), "{changes:?}");
        assert!(diff.iter().all(|change| change.content.is_none()));
    }
    // And with one that is there after all.
    let plan = PlanContext::new();
    let [aborted, kept] = [(); 2].map(|()| plan.start_changeset());
    aborted.record(Change::delete("a", digest(1))).unwrap();
    kept.record(Change::create("a", digest(2)).with_content("new")).unwrap();
    aborted.abort().unwrap();
    let snapshot = plan.snapshot();
    assert_eq!(stale(&snapshot), [(2, "a".into(), Staleness::Occupied, None, Some(1))]);
    let diff = snapshot.diff();
    let [change] = diff.changes() else { panic!("one file: {diff:?}") };
    assert_eq!((change.operation, change.before), (NetOperation::Modify, Some(&digest(1))));
}

#[test]
fn a_file_and_a_folder_of_the_same_path_are_reported() {
    let plan = PlanContext::new();
    let [one, two, three] = [(); 3].map(|()| plan.start_changeset());
    one.record(Change::create("a", None)).unwrap();
    two.record(Change::create("a/b", None)).unwrap();
    three.record(Change::create("a-b", None)).unwrap();
    let snapshot = plan.snapshot();
    assert_eq!(conflicts(&snapshot), [("a".into(), vec![1, 2])]);
    assert_eq!(stale(&snapshot), [(2, "a/b".into(), Staleness::Folder, Some(1), None)]);
    assert_eq!(snapshot.stale_bases()[0].other, "a");
    // Changesets that did not meet are in no conflict.
    for changeset in [one, two, three] {
        changeset.close().unwrap();
    }
    plan.start_changeset().record(Change::delete("a", None)).unwrap();
    let snapshot = plan.snapshot();
    assert_eq!(conflicts(&snapshot).len(), 1);
    assert_eq!(stale(&snapshot)[1..], [(4, "a".into(), Staleness::Folder, Some(2), None)]);
    // To delete a folder is to touch all that is in it.
    let plan = PlanContext::new();
    let [folder, within, within_too, beside] = [(); 4].map(|()| plan.start_changeset());
    within.record(Change::modify("src/main.rs", None, None)).unwrap();
    folder.record(Change::delete("src/", None)).unwrap();
    within_too.record(Change::rename("lib.rs", "src/lib.rs")).unwrap();
    beside.record(Change::create("src.md", None)).unwrap();
    assert_eq!(conflicts(&plan.snapshot()), [("src/".into(), vec![1, 2, 3])]);
    let snapshot = plan.snapshot();
    let pairs = snapshot.conflicts()[0].pairs().map(|(one, two)| (one.changeset, two.changeset)).collect::<Vec<_>>();
    assert_eq!(pairs, [(folder.id(), within.id()), (folder.id(), within_too.id())]);
}

#[cfg(feature = "serde")]
#[test]
fn stale_bases_are_written_with_the_numbers_of_their_records() {
    use serde_json::json;

    let plan = PlanContext::new();
    let [aborted, kept] = [(); 2].map(|()| plan.start_changeset());
    aborted.record(Change::create("a", None)).unwrap();
    kept.record_all([Change::delete("a", None), Change::delete("a", None)]).unwrap();
    aborted.abort().unwrap();
    let expected = json!([
        {"change": 4, "path": "a", "kind": "missing", "other": "a", "undone": 3},
        {"change": 5, "path": "a", "kind": "missing", "other": "a", "against": 4},
    ]);
    assert_eq!(serde_json::to_value(plan.snapshot().stale_bases()).unwrap(), expected);
    assert_eq!(serde_json::to_value(plan.snapshot().diff()).unwrap()["stale_bases"], expected);
}
