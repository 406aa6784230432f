//! Tests of [`net`]: case by case, and against applying the changes one by one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::prelude::*;

use super::{Diff, NetChange, NetOperation};
use crate::changeset::change::{Change, Content, Digest, Operation};
use crate::changeset::event::Record;
use crate::changeset::id::{ChangesetId, Sequence};
use crate::changeset::tests::text::{byte, digest, parse};

fn records(changes: &[Change]) -> impl Iterator<Item = Record<'_, Change>> {
    let sequences = (1..).map(Sequence::new);
    let changeset = ChangesetId::from_index(0);
    sequences.zip(changes).map(move |(sequence, change)| Record { sequence, changeset, change })
}

/// Where nothing is known of what was there before.
fn net<'a>(records: impl Iterator<Item = Record<'a, Change>>) -> Vec<NetChange<'a>> {
    super::net(records, &HashMap::new())
}

/// Net changes as text, in the same way; a rename that modifies is `a*>b`. Then `!`, and the content if there is one.
fn write(change: &NetChange<'_>) -> String {
    let path = change.path;
    let what = match change.operation {
        NetOperation::Create => format!("+{path}"),
        NetOperation::Modify => format!("*{path}"),
        NetOperation::Delete => format!("-{path}"),
        NetOperation::Rename { from } if change.modifies() => format!("{from}*>{path}"),
        NetOperation::Rename { from } => format!("{from}>{path}"),
    };
    let known = |digest: Option<&Digest>| digest.map_or("?".into(), |digest| byte(digest).to_string());
    let content = change.content.map_or(String::new(), |content| format!("!{}", content.as_bytes()[0]));
    format!("{what}:{},{}{content}", known(change.before), known(change.after))
}

#[track_caller]
fn check(changes: &str, expected: &str) {
    let changes: Vec<Change> = changes.split_whitespace().map(parse).collect();
    let found: Vec<String> = net(records(&changes)).iter().map(write).collect();
    assert_eq!(found.join(" "), expected, "{changes:?}");
}

#[test]
fn one_file() {
    check("", "");
    check("+a:1", "+a:?,1!1");
    check("+a", "+a:?,?");
    check("*a:1,2", "*a:1,2!2");
    check("-a:1", "-a:1,?");
    check("a>b", "a>b:?,?");
    check("a>b:1,1", "a>b:1,1");
    check("a>b:1,2", "a*>b:1,2!2");
    check("+a:1 *a:1,2", "+a:?,2!2");
    check("+a:1 -a:1", "");
    check("*a:1,2 *a:2,3", "*a:1,3!3");
    check("*a:1,2 *a:2,1", "");
    check("*a *a", "*a:?,?");
    check("*a:1,2 -a:2", "-a:1,?");
    check("*a:1,1", "");
    check("-a:1 +a:2", "*a:1,2!2");
    check("-a:1 +a:1", "");
    check("-a +a:1", "*a:?,1!1");
    check("+a:1 -a:1 +a:2", "+a:?,2!2");
    check("-a:1 +a:2 -a:2", "-a:1,?");
    check("-a:1 +a:2 -a:2 +a:1", "");
}

#[test]
fn renames_are_followed() {
    check("a>b b>c", "a>c:?,?");
    check("a>b b>a", "");
    check("a>b *b:1,2 b>a", "*a:1,2!2");
    check("a>b:1,2 b>a", "*a:1,2!2");
    check("a>b:1,2 b>a:2,1", "");
    check("+a:1 a>b", "+b:?,1!1");
    check("+a:1 a>b *b:1,2", "+b:?,2!2");
    check("*a:1,2 a>b", "a*>b:1,2!2");
    check("*a:1,2 *a:2,1 a>b", "a>b:1,1");
    check("a>b -b:1", "-a:1,?");
    check("+a a>b -b", "");
    check("a>b +a:2", "+a:?,2!2 a>b:?,?");
    check("a>b +a:2 *a:2,3", "+a:?,3!3 a>b:?,?");
    check("-a:1 b>a", "-a:1,? b>a:?,?");
    check("a>t b>a t>b", "b>a:?,? a>b:?,?");
    check("a>t b>a c>b t>c", "b>a:?,? c>b:?,? a>c:?,?");
    check("+b:2 -a:1 b>a", "*a:1,2!2");
    check("a>b +a:2 a>c -b:1", "-a:1,? +c:?,2!2");
    check("a>b -b:1 +a:2", "*a:1,2!2");
    check("a>b -b:1 +b:2", "-a:1,? +b:?,2!2");
}

#[test]
fn only_the_digest_at_the_origin_counts_as_before() {
    // 1 is the digest after the first change: whether 3 is another than that before it, nobody knows.
    check("*a *a:1,3", "*a:?,3!3");
    check("*a:?,1 *a:1,2 *a:2,1", "*a:?,1!1");
    check("*a:?,1 -a:1", "-a:?,?");
    // A rename without digests changes nothing, so that the next one speaks of the origin still.
    check("a>b *b:1,2", "a*>b:1,2!2");
    check("a>b:?,1 *b:1,2", "a*>b:1,2!2");
    check("a>b:?,1 *b:?,2", "a*>b:1,2!2");
    check("a>b:1,? b>a *a:?,1", "");
    // What is known after one change is forgotten by one of which nothing is known.
    check("*a:1,2 *a", "*a:1,?");
    check("*a:1,2 *a a>b:3,?", "a*>b:1,3");
}

#[test]
fn content_is_that_of_the_last_change_of_content() {
    let content = |changes: &[Change]| net(records(changes))[0].content.cloned();
    let (none, old, new) = (Change::modify("a", None, None), Content::from("old"), Content::from("new"));
    let with = |content: &Content| none.clone().with_content(content.clone());
    assert_eq!(content(&[with(&old), with(&new)]), Some(new.clone()));
    assert_eq!(content(&[with(&old), none.clone()]), None);
    assert_eq!(content(&[with(&old), Change::rename("a", "b")]), Some(old));
    assert_eq!(
        content(&[none, Change::rename("a", "b").with_content(new)]),
        None,
        "the same content, which is not known"
    );
}

#[test]
fn an_empty_digest_is_unknown() {
    let empty = || Digest::from([]);
    let new = Content::from("new");
    // It is the same on both sides, and says nothing: least of all that the content is the same.
    for change in [
        Change::modify("a", empty(), empty()),
        Change::modify("a", empty(), None),
        Change::modify("a", digest(1), empty()),
        Change::create("a", empty()),
    ] {
        let changes = [change.with_content(new.clone())];
        let found = net(records(&changes));
        assert_eq!(found.iter().map(|change| change.content).collect::<Vec<_>>(), [Some(&new)], "{changes:?}");
        assert!(found[0].modifies() && found[0].after.is_none(), "{found:?}");
        assert_eq!(found[0].before, changes[0].before.as_ref().filter(|before| **before == digest(1)));
    }
    // Nor that it is another.
    for digests in [(empty(), digest(1)), (digest(1), empty())] {
        let changes = [Change::rename("a", "b").with_digests(digests.0, digests.1)];
        assert_eq!(net(records(&changes)).iter().map(write).collect::<Vec<_>>(), ["a>b:1,1"]);
    }
    let changes = [Change::delete("a", empty()), Change::create("a", empty()).with_content(new.clone())];
    assert_eq!(net(records(&changes)).iter().map(|change| change.content).collect::<Vec<_>>(), [Some(&new)]);
    let changes = [Change::delete("a", empty())];
    assert_eq!(net(records(&changes))[0].before, None);
}

#[test]
fn the_last_of_contradictory_changes_wins() {
    // In parallel, both did the same.
    check("a>b a>b", "a>b:?,?");
    check("-a:1 -a:1", "-a:1,?");
    check("+a:1 +a:1", "+a:?,1!1");
    check("*a:1,2 *a:1,2", "*a:1,2!2");
    // In parallel, they did not.
    check("*a:1,2 *a:1,3", "*a:1,3!3");
    check("+a:1 +a:2", "+a:?,2!2");
    check("-a:1 *a:1,2", "*a:1,2!2");
    check("*a:1,2 +a:3", "*a:1,3!3");
    check("a>b a>c", "a>c:?,?");
    check("a>b b>c a>d", "a>d:?,?");
    check("+a:1 a>b a>c", "+c:?,1!1");
    check("-a a>b", "a>b:?,?");
    check("a>b *a:1,2", "+a:?,2!2 a>b:?,?");
    check("a>b -a:1", "a>b:?,?");
    check("-b:1 a>b b>c b>d", "-b:1,? a>d:?,?");
    check("a>b *b:1,2 +b:3", "-a:1,? +b:?,3!3");
    check("+b:2 a>b", "a>b:?,?");
    check("*a:1,2 b>a", "-a:1,? b>a:?,?");
    // Onto itself.
    check("a>a", "");
    check("a>a:1,2", "*a:1,2!2");
    check("-a a>a", "");
    // Digests that do not follow from each other: the content was changed.
    check("*a:1,2 a>b:3,3", "a*>b:1,3!3");
    check("*a:1,2 a>b:?,3", "a*>b:1,3!3");
    check("a>b:1,1 b>a:2,2", "*a:1,2!2");
}

#[test]
fn the_last_record_that_had_a_part() {
    let last = |changes: &str, path: &str| {
        let changes: Vec<Change> = changes.split_whitespace().map(parse).collect();
        Diff::new(net(records(&changes)), Vec::new(), Vec::new()).get(path).map(|change| change.last.sequence.number())
    };
    assert_eq!(last("*a *b *a *b", "a"), Some(3));
    assert_eq!(last("-a +a:1 *b", "a"), Some(2));
    assert_eq!(last("a>b *c b>d", "d"), Some(3));
    assert_eq!(last("a>b +b:1", "a"), Some(2), "it was replaced");
    assert_eq!(last("-a -a", "a"), Some(1), "nothing was there any more");
}

#[test]
fn a_path_finds_what_is_put_there() {
    let changes: Vec<Change> = ["-b", "c>b", "-d", "+a"].map(parse).into();
    let diff = Diff::new(net(records(&changes)), Vec::new(), Vec::new());
    let get = |path| diff.get(path).map(|change| change.operation);
    assert_eq!(get("a"), Some(NetOperation::Create));
    assert_eq!(get("b"), Some(NetOperation::Rename { from: "c" }));
    assert_eq!((get("c"), get("d"), get("")), (None, Some(NetOperation::Delete), None));
    assert_eq!(((&diff).into_iter().count(), diff.len()), (4, 4));
}

#[cfg(feature = "serde")]
#[test]
fn json() {
    use serde_json::json;

    let changes: Vec<Change> = ["a>b:1,2", "-c"].map(parse).into();
    let diff = Diff::new(net(records(&changes)), Vec::new(), Vec::new());
    let changeset = serde_json::to_value(ChangesetId::from_index(0)).unwrap();
    let expected = json!({
        "changes": [
            {
                "path": "b", "operation": {"rename": {"from": "a"}}, "before": "01", "after": "02", "content": {"bytes": "02"},
                "last": {"sequence": 1, "changeset": changeset}, "modifies": true,
            },
            {"path": "c", "operation": "delete", "last": {"sequence": 2, "changeset": changeset}, "modifies": false},
        ],
        "conflicts": [],
        "stale_bases": [],
    });
    assert_eq!(serde_json::to_value(&diff).unwrap(), expected);
}

/// Paths, and of each the content of its file.
type Files = BTreeMap<String, u8>;

const PATHS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// A change to be made of whatever files there are.
#[derive(Clone, Copy, Debug)]
struct Raw {
    kind: u8,
    path: usize,
    from: usize,
    content: u8,
    /// Whether the digests before and after are told.
    told: (bool, bool),
}

fn raw() -> impl Strategy<Value = Raw> {
    // Few paths, and fewer contents: most changes meet others, and many go back to what was there.
    (0..5_u8, 0..PATHS.len(), 0..PATHS.len(), 0..3_u8, any::<(bool, bool)>())
        .prop_map(|(kind, path, from, content, told)| Raw { kind, path, from, content, told })
}

impl Raw {
    /// The change, with the digest of what is there; `kind` 4 is a rename that also modifies.
    fn change(self, there: Option<u8>, tell_all: bool) -> Change {
        let (path, from) = (PATHS[self.path], PATHS[self.from]);
        let before = there.filter(|_| tell_all || self.told.0).map(digest);
        let after = Some(self.content).filter(|_| tell_all || self.told.1).map(digest);
        let change = match self.kind {
            0 => Change::create(path, after),
            1 => Change::modify(path, before, after),
            2 => return Change::delete(path, before),
            3 => {
                return Change::rename(from, path)
                    .with_digests(before, there.filter(|_| tell_all || self.told.1).map(digest));
            }
            // A rename that changes the content has to say both.
            _ => Change::rename(from, path).with_digests(there.map(digest), digest(self.content)),
        };
        change.with_content(vec![self.content])
    }

    /// The path of the file that it is about, or none.
    fn source(self) -> Option<&'static str> {
        match self.kind {
            0 => None,
            1 | 2 => Some(PATHS[self.path]),
            _ => Some(PATHS[self.from]),
        }
    }

    /// Whether it can be done to these files without replacing or missing any.
    fn fits(self, files: &Files) -> bool {
        let target_is_free = !files.contains_key(PATHS[self.path]);
        match self.kind {
            0 => target_is_free,
            1 | 2 => !target_is_free,
            _ => target_is_free && files.contains_key(PATHS[self.from]),
        }
    }

    /// Does it, whether or not it fits; but not a rename of a file that is not there.
    fn apply(self, files: &mut Files) {
        let path = PATHS[self.path].to_owned();
        match self.kind {
            0 | 1 => drop(files.insert(path, self.content)),
            2 => drop(files.remove(&path)),
            kind => {
                if let Some(content) = files.remove(PATHS[self.from]) {
                    files.insert(path, if kind == 3 { content } else { self.content });
                }
            }
        }
    }
}

/// Applies net changes at once, as the documentation of [`Diff`] says, and checks what they say about the files before and after.
fn apply(changes: &[NetChange<'_>], before: &Files) -> Files {
    let mut files = before.clone();
    let taken: Vec<Option<u8>> =
        changes.iter().map(|change| change.source().and_then(|path| files.remove(path))).collect();
    for (change, old) in changes.iter().zip(taken) {
        assert_eq!(change.source().is_some(), old.is_some(), "a source is there: {change:?}");
        if let Some(digest) = change.before {
            assert_eq!(old, Some(byte(digest)), "{change:?}");
        }
        let Some(path) = change.target() else {
            continue;
        };
        let new = if change.modifies() { change.content.map(|content| content.as_bytes()[0]) } else { old };
        if let Some(digest) = change.after {
            assert_eq!(new, Some(byte(digest)), "{change:?}");
        }
        let Some(new) = new else { panic!("no content: {change:?}") };
        assert_eq!(files.insert(path.to_owned(), new), None, "a target is free: {change:?}");
    }
    files
}

/// What holds for whatever changes.
fn check_form(changes: &[NetChange<'_>]) {
    assert!(changes.is_sorted_by(|a, b| (a.path, a.target()) < (b.path, b.target())), "{changes:?}");
    let sources: BTreeSet<_> = changes.iter().filter_map(NetChange::source).collect();
    assert_eq!(sources.len(), changes.iter().filter_map(NetChange::source).count(), "{changes:?}");
    for change in changes {
        let put = |operation| changes.iter().any(|other| (other.path, other.operation) == (change.path, operation));
        match change.operation {
            NetOperation::Create => assert!(change.modifies() && change.before.is_none()),
            NetOperation::Modify => {
                assert!(change.modifies() && (change.before.is_none() || change.before != change.after));
            }
            NetOperation::Rename { from } => assert!(from != change.path),
            NetOperation::Delete => {
                assert!(!put(NetOperation::Create) && !change.modifies());
                assert!(change.after.is_none() && change.content.is_none());
            }
        }
        if let Some((before, after)) = change.before.zip(change.after) {
            assert_eq!(change.modifies(), before != after, "{change:?}");
        }
    }
}

fn initial() -> impl Strategy<Value = Files> {
    prop::collection::btree_map(prop::sample::select(&PATHS[..]).prop_map(str::to_owned), 0..3_u8, 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn at_once_is_one_by_one(before in initial(), raws in prop::collection::vec(raw(), 0..40), tell_all in any::<bool>()) {
        let mut files = before.clone();
        let mut changes = Vec::new();
        for raw in raws.into_iter().filter(|raw| raw.kind < 3 || raw.path != raw.from) {
            if raw.fits(&files) {
                changes.push(raw.change(raw.source().and_then(|path| files.get(path).copied()), tell_all));
                raw.apply(&mut files);
            }
        }
        let net = net(records(&changes));
        check_form(&net);
        prop_assert_eq!(apply(&net, &before), files);
        // Nothing is there that changes nothing, as far as digests say.
        if tell_all {
            for change in &net {
                prop_assert!(change.source().is_none_or(|path| before.contains_key(path)));
                let renamed_away = net.iter().any(|other| other.operation == NetOperation::Rename { from: change.path });
                match change.operation {
                    NetOperation::Create => prop_assert!(renamed_away || !before.contains_key(change.path)),
                    NetOperation::Modify => prop_assert!(change.before.is_some() && change.before != change.after),
                    // That a rename is to another path, holds for any changes.
                    NetOperation::Delete | NetOperation::Rename { .. } => {}
                }
            }
        }
    }

    /// Files are replaced, created over, modified and deleted where there are none: that can be done to files, too.
    #[test]
    fn the_last_one_wins(raws in prop::collection::vec(raw(), 0..40)) {
        let (mut before, mut files, mut touched) = (Files::new(), Files::new(), BTreeSet::new());
        let mut changes = Vec::new();
        for raw in raws {
            // Before, a file stood wherever the first change that touches the path takes or modifies one.
            if let Some(path) = raw.source() && touched.insert(path) {
                before.insert(path.to_owned(), 0);
                files.insert(path.to_owned(), 0);
            }
            let there = raw.source().and_then(|path| files.get(path).copied());
            // A rename of what is not there cannot be done to files.
            if raw.kind < 3 || there.is_some() {
                touched.insert(PATHS[raw.path]);
                changes.push(raw.change(there, true));
                raw.apply(&mut files);
            }
        }
        let net = net(records(&changes));
        check_form(&net);
        prop_assert_eq!(apply(&net, &before), files);
    }

    #[test]
    fn anything_goes(raws in prop::collection::vec((raw(), prop::option::of(0..3_u8)), 0..60)) {
        let changes: Vec<Change> = raws.iter().map(|(raw, there)| raw.change(*there, false)).collect();
        let entries = net(records(&changes));
        check_form(&entries);
        let again: Vec<String> = net(records(&changes)).iter().map(write).collect();
        prop_assert_eq!(entries.iter().map(write).collect::<Vec<_>>(), again);
        // The last change has its way.
        if let Some(change) = changes.last() {
            let entry = entries.iter().rfind(|entry| entry.path == change.path);
            if change.operation == Operation::Delete {
                prop_assert!(entry.is_none_or(|entry| entry.target().is_none()));
            } else {
                prop_assert!(entry.is_none_or(|entry| entry.target().is_some()));
            }
        }
    }
}
