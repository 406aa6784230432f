//! Tests of [`bases`]: case by case, against the definition, and against files.

mod files;
mod model;

use super::{StaleBase, Staleness, Step, bases};
use crate::changeset::change::Change;
use crate::changeset::event::Record;
use crate::changeset::id::{ChangesetId, Sequence};
use crate::changeset::tests::text::parse;

fn id(letter: char) -> ChangesetId {
    ChangesetId::from_index(u64::from(letter) - u64::from('A'))
}

/// Changes, each with a letter for its changeset, and aborts: `A.+a B.*a:1,2 A!`. Without a letter it is that of a changeset of its own.
struct Script(Vec<(ChangesetId, Option<Change>)>);

impl Script {
    fn new(text: &str) -> Self {
        let word = |word: &str| match (word.strip_suffix('!'), word.split_once('.')) {
            (Some(letter), _) => (id(letter.chars().next().unwrap()), None),
            (None, Some((letter, change))) => (id(letter.chars().next().unwrap()), Some(parse(change))),
            (None, None) => (id('Z'), Some(parse(word))),
        };
        Self(text.split_whitespace().map(word).collect())
    }

    /// The changes have the numbers of their places.
    fn steps(&self) -> Vec<Step<'_>> {
        let steps = self.0.iter().enumerate().map(|(at, (changeset, change))| {
            let Some(change) = change else { return Step::Aborted(*changeset) };
            let record = Record { sequence: Sequence::new(at as u64 + 1), changeset: *changeset, change };
            let gone = self.0.iter().any(|(other, change)| other == changeset && change.is_none());
            if gone { Step::Gone(record) } else { Step::Change(record) }
        });
        steps.collect()
    }
}

/// As `3 a missing 1 2`: change 3 finds no file at `a`, as change 1 in force says, and was built on change 2, which is gone.
fn write(stale: &StaleBase<'_>) -> String {
    let kind = match stale.kind {
        Staleness::Missing => "missing".into(),
        Staleness::Occupied => "occupied".into(),
        Staleness::OtherContent => "other".into(),
        Staleness::Folder => format!("folder({})", stale.other),
    };
    assert!(stale.kind == Staleness::Folder || stale.other == stale.path);
    let number = |record: Option<Record<'_, Change>>| record.map_or("-".into(), |record| record.sequence.to_string());
    format!("{} {} {kind} {} {}", stale.change.sequence, stale.path, number(stale.against), number(stale.undone))
}

#[track_caller]
fn check(script: &str, expected: &[&str]) {
    let steps = Script::new(script);
    let found: Vec<String> = bases(&steps.steps()).stale.iter().map(write).collect();
    assert_eq!(found, expected, "{script}");
}

#[test]
fn what_fits() {
    for script in [
        "",
        "+a *a -a +a",
        "*a *a a>b *b b>a -a",
        "+a:1 *a:1,2 *a:2,3 -a:3",
        "*a:?,2 *a:2,? *a:5,6",
        "*a:1,1 *a:1,2",
        "a>b:1,? *b:1,2",
        "a>b:?,1 *b:1,2",
        "a>b:1,2 *b:2,3",
        "*a:1,2 a>b *b:2,3",
        "a>a:1,2 *a:2,3",
        "-a b>a +b",
        "a>t b>a t>b",
        // Folders come and go with what is in them.
        "+a/b -a/b +a -a +a/c/d",
        "-a +a/b",
        "a>a/b a/b>a",
        "a>b +a/c -a/c b>a",
        "+a/b +a/c +a- +ab",
    ] {
        check(script, &[]);
    }
}

#[test]
fn what_contradicts_the_change_before() {
    check("+a +a", &["2 a occupied 1 -"]);
    check("*a +a", &["2 a occupied 1 -"]);
    check("+a b>a", &["2 a occupied 1 -"]);
    check("a>b +b", &["2 b occupied 1 -"]);
    check("-a -a", &["2 a missing 1 -"]);
    check("-a *a *a", &["2 a missing 1 -"]);
    check("a>b a>c", &["2 a missing 1 -"]);
    check("a>b *a", &["2 a missing 1 -"]);
    check("*a:1,2 *a:1,3", &["2 a other 1 -"]);
    check("*a:1,2 -a:1", &["2 a other 1 -"]);
    check("+a:1 a>b:2,2 *b:2,3", &["2 a other 1 -"]);
    check("*a:1,2 a>b *b:1,3", &["3 b other 2 -"]);
    check("a>b:1,? b>c c>d:2,3 *d:3,4", &["3 c other 2 -"]);
    check("*a:1,1 a>b:?,2", &["2 a other 1 -"]);
    // Each is measured by what the one before it said, be that itself stale.
    check("*a:1,2 *a:1,3 *a:3,4 *a:2,5", &["2 a other 1 -", "4 a other 3 -"]);
    // Both paths of a rename.
    check("-a +b a>b", &["3 a missing 1 -", "3 b occupied 2 -"]);
    check("a>a -a a>a", &["3 a missing 2 -"]);
}

#[test]
fn what_stands_in_a_folder_or_is_one() {
    check("+a +a/b", &["2 a/b folder(a) 1 -"]);
    check("+a/b/c +a", &["2 a folder(a/b/c) 1 -"]);
    check("*a x>a/b/c", &["2 a/b/c folder(a) 1 -"]);
    check("+x x>x/y -x/y", &[]);
    check("+a/b/c *a/b", &["2 a/b folder(a/b/c) 1 -"]);
    // The folder is deleted, or the file that is one: what was said to be in it cannot have been there.
    check("*a/b -a", &["2 a folder(a/b) 1 -"]);
    check("*a/b -a/ ", &["2 a/ folder(a/b) 1 -"]);
    check("-a *a/b", &["2 a/b folder(a) 1 -"]);
    check("-a a/b>c", &["2 a/b folder(a) 1 -"]);
    check("a>b -a/c", &["2 a/c folder(a) 1 -"]);
    check("-a/b -a", &["2 a folder(a/b) 1 -"]);
    // That it is a folder can be said by a path alone.
    check("+a +a/", &["2 a/ folder(a) 1 -"]);
    check("-a/ -a", &["2 a folder(a/) 1 -"]);
    check("+a/ -a/ +a", &[]);
    // The last one has its way: what it stands on or in is there no more.
    check("+a +a/b *a/b +a/c", &["2 a/b folder(a) 1 -"]);
    check("+a +a/b -a", &["2 a/b folder(a) 1 -", "3 a folder(a/b) 2 -"]);
    check("+a/b +a/c +a +a/b", &["3 a folder(a/c) 2 -", "4 a/b folder(a) 3 -"]);
    check("+a +a/b -a/b *a", &["2 a/b folder(a) 1 -", "4 a folder(a/b) 3 -"]);
}

#[test]
fn what_was_built_on_changes_that_are_gone() {
    check("A.a>b B.*b A!", &["2 b missing - 1"]);
    check("A.+a B.*a A!", &["2 a missing - 1"]);
    check("A.-a B.+a A!", &["2 a occupied - 1"]);
    check("A.-a:1 B.b>a A!", &["2 a occupied - 1"]);
    check("A.*a:1,2 B.*a:2,3 A!", &["2 a other - 1"]);
    // Nobody knows what was there before, but it was not that.
    check("A.*a:?,2 B.*a:2,3 A!", &["2 a other - 1"]);
    // A chain: from the first on that the gone one put there.
    check("A.+a A.a>b B.b>c B.*c B.c>d A!", &["3 b missing - 2"]);
    check("A.+a A.*a A.*a B.-a A!", &["4 a missing - 3"]);
    // Something in force is beneath what is gone.
    check("*a:1,2 A.*a:2,3 B.*a:3,4 A!", &["3 a other 1 2"]);
    check("*a A.*a:2,3 B.*a:2,4 A!", &[]);
    check("*a A.*a:2,3 B.*a:3,4 A!", &["3 a other 1 2"]);
    check("+a A.a>b B.*b A!", &["3 b missing - 2"]);
    // Two that are gone.
    check("A.+a B.*a C.*a A! B!", &["3 a missing - 2"]);
    check("A.+a B.*a A! C.*a B!", &["4 a missing - 2"]);
    check("A.*a:1,2 B.*a:2,3 C.*a:1,4 B! A!", &[]);
    // It fits what was there before: nothing is known of whether it was built on what is gone.
    check("A.*a B.*a A!", &[]);
    check("A.*a:1,2 B.*a:1,3 A!", &[]);
    check("A.a>b B.*a A!", &[]);
    check("A.-a B.*a A!", &[]);
    check("A.a>b B.b>c B.+a A!", &["2 b missing - 1", "3 a occupied - 1"]);
    // It came after the abort: what was undone is nothing to it.
    check("A.+a A! B.*a", &[]);
    check("A.*a:1,2 A! B.*a:2,3", &[]);
    check("+a:1 A.*a:1,2 A! B.*a:1,3", &[]);
    check("A.+a A! B.*a C.*a:2,3", &[]);
    check("A.+a A! B.-a C.*a B!", &[]);
    // What is gone need not fit.
    check("+a A.+a A!", &[]);
}

#[test]
fn folders_and_changes_that_are_gone() {
    check("A.-a B.+a/b A!", &["2 a/b folder(a) - 1"]);
    check("A.-a/b B.+a A!", &["2 a folder(a/b) - 1"]);
    check("*a A.-a B.+a/b A!", &["3 a/b folder(a) 1 2"]);
    check("A.a/b>c B.a>d A!", &["2 a folder(a/b) - 1"]);
    check("A.-a A! B.+a/b", &[]);
    check("A.-a B.+a/b A! C.+a/c", &["2 a/b folder(a) - 1"]);
    check("A.+a B.+a/b A!", &[]);
    check("A.+a/b B.+a A!", &[]);
    check("*a/b A.*a B.+a/c A!", &[]);
}

#[test]
fn what_was_there_before_all() {
    let initial = |script: &str| {
        let script = Script::new(script);
        let initial = bases(&script.steps()).initial;
        let mut initial: Vec<String> = initial.iter().map(|(path, state)| format!("{path} {state:?}")).collect();
        initial.sort();
        initial
    };
    assert_eq!(initial("A.a>b B.*b A!"), ["b Absent"]);
    assert_eq!(initial("A.-a:1 B.+a A!"), ["a Present(Some(01))"]);
    assert_eq!(initial("+a A.a>b B.*b +b A!"), ["b Absent"]);
    // Where a change in force came first, or it fits, there is nothing to tell.
    assert!(initial("+a A.-a B.+a C.*c:1,2 D.*c:2,3 A! C!").is_empty());
}
