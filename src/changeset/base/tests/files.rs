//! Changes of files: of a few that are there, in folders, with some changesets that are aborted, and some changes that do not fit.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::{State, Step, bases, touches};
use super::{Script, id};
use crate::changeset::change::Change;
use crate::changeset::diff::{NetChange, net};
use crate::changeset::event::Record;
use crate::changeset::id::ChangesetId;
use crate::changeset::tests::text::{byte, digest};

const PATHS: [&str; 9] = ["a", "b", "a/b", "a/c", "a/b/d", "b/e", "a-b", "c", "a/"];

/// Paths, and of each the content of its file.
type Files = BTreeMap<&'static str, u8>;

fn before() -> Files {
    Files::from([("a", 0), ("b/e", 1), ("c", 2)])
}

/// A change or an abort to be made of whatever there is.
#[derive(Clone, Copy, Debug)]
pub struct Raw {
    changeset: u8,
    /// 5 is an abort.
    kind: u8,
    path: usize,
    from: usize,
    content: u8,
    told: (bool, bool),
    noise: u8,
    claimed: Option<u8>,
}

pub fn raws() -> impl Strategy<Value = Vec<Raw>> {
    // Few contents: digests are often those of others, too.
    let raw = (
        0..4_u8,
        prop::sample::select(vec![0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 5]),
        0..PATHS.len(),
        0..PATHS.len(),
        0..4_u8,
        any::<(bool, bool)>(),
        0..8_u8,
        prop::option::of(0..4_u8),
    );
    let raw = raw.prop_map(|(changeset, kind, path, from, content, told, noise, claimed)| Raw {
        changeset,
        kind,
        path,
        from,
        content,
        told,
        noise,
        claimed,
    });
    prop::collection::vec(raw, 0..40)
}

pub fn nested(path: &str, other: &str) -> bool {
    let beneath =
        |path: &str, folder: &str| format!("{path}/").starts_with(&format!("{}/", folder.trim_end_matches('/')));
    path != other && (beneath(path, other) || beneath(other, path))
}

impl Raw {
    fn changeset(self) -> ChangesetId {
        id(char::from(b'A' + self.changeset))
    }

    /// The path of the file that it takes.
    fn source(self) -> Option<&'static str> {
        match self.kind {
            0 => None,
            1 | 2 => Some(PATHS[self.path]),
            _ => Some(PATHS[self.from]),
        }
    }

    /// What is there after it; `None` if it cannot be done without missing or replacing a file, or having one in another.
    fn done(self, files: &Files) -> Option<Files> {
        let (mut files, path) = (files.clone(), PATHS[self.path]);
        let taken = match self.source() {
            Some(source) => Some(files.remove(source)?),
            None => None,
        };
        let left = match self.kind {
            2 => return Some(files),
            3 => taken?,
            _ => self.content,
        };
        let free = !files.contains_key(path) && !files.keys().any(|other| nested(path, other));
        files.insert(path, left);
        free.then_some(files)
    }

    /// The change, of a file with that content before.
    fn change(self, there: Option<u8>, tell_all: bool) -> Change {
        let (path, from) = (PATHS[self.path], PATHS[self.from]);
        let before = there.filter(|_| tell_all || self.told.0).map(digest);
        let after = Some(self.content).filter(|_| tell_all || self.told.1).map(digest);
        let change = match self.kind {
            0 => Change::create(path, after),
            1 => Change::modify(path, before, after),
            2 => return Change::delete(path, before),
            3 => {
                let same = there.filter(|_| tell_all || self.told.1).map(digest);
                return Change::rename(from, path).with_digests(before, same);
            }
            // A rename that changes the content has to say both.
            _ => Change::rename(from, path).with_digests(there.map(digest), digest(self.content)),
        };
        change.with_content(vec![self.content])
    }
}

/// What files a plan's changes left that were recorded so far, but for those whose changesets are aborted.
fn live(recorded: &[(ChangesetId, Option<Raw>)]) -> Files {
    let mut files = before();
    for (changeset, raw) in recorded {
        let aborted = recorded.iter().any(|(other, raw)| other == changeset && raw.is_none());
        if let Some(raw) = raw.filter(|_| !aborted) {
            // Where its base has gone, as much as can be done.
            if let Some(after) = raw.done(&files) {
                files = after;
            }
        }
    }
    files
}

/// Changes that fit what is there when they are recorded; but so many out of eight do not care.
pub fn script(raws: &[Raw], noise: u8) -> Script {
    let mut recorded: Vec<(ChangesetId, Option<Raw>)> = Vec::new();
    let mut script = Vec::new();
    for raw in raws {
        let changeset = raw.changeset();
        if recorded.iter().any(|(other, raw)| *other == changeset && raw.is_none()) {
            continue;
        }
        let files = live(&recorded);
        if raw.kind == 5 {
            recorded.push((changeset, None));
            script.push((changeset, None));
        } else if raw.noise < noise {
            recorded.push((changeset, Some(*raw)));
            script.push((changeset, Some(raw.change(raw.claimed, false))));
        } else if raw.done(&files).is_some() && (raw.kind < 3 || raw.path != raw.from) {
            let there = raw.source().map(|path| files[path]);
            recorded.push((changeset, Some(*raw)));
            script.push((changeset, Some(raw.change(there, raw.noise == 7))));
        }
    }
    Script(script)
}

/// The changes that are in force.
fn in_force(script: &Script) -> Vec<Record<'_, Change>> {
    let in_force = script.steps().into_iter().filter_map(|step| match step {
        Step::Change(record) => Some(record),
        Step::Gone(_) | Step::Aborted(_) => None,
    });
    in_force.collect()
}

/// Applies net changes at once, to paths alone. Each source is there, each target is free.
fn apply<'a>(changes: &[NetChange<'a>], before: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut files: Vec<&str> = before.collect();
    for source in changes.iter().filter_map(NetChange::source) {
        let at = files.iter().position(|path| *path == source);
        let at = at.unwrap_or_else(|| panic!("{source} is not there: {changes:?}"));
        files.swap_remove(at);
    }
    for target in changes.iter().filter_map(NetChange::target) {
        assert!(!files.contains(&target), "{target} is there: {changes:?}");
        files.push(target);
    }
    files.sort_unstable();
    files
}

fn none_is_in_another(files: &[&str]) -> bool {
    !files.iter().any(|path| files.iter().any(|other| nested(path, other)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Nothing is stale that fitted what was there.
    #[test]
    fn what_fits_is_not_stale(mut raws in raws()) {
        raws.retain(|raw| raw.kind < 5);
        let script = script(&raws, 0);
        let bases = bases(&script.steps());
        prop_assert_eq!(bases.stale, []);
        prop_assert!(bases.initial.is_empty());
        let net = net(in_force(&script).into_iter(), &bases.initial);
        let files = apply(&net, before().into_keys());
        prop_assert!(none_is_in_another(&files));
        let recorded: Vec<_> = raws.iter().map(|raw| (raw.changeset(), Some(*raw))).collect();
        prop_assert_eq!(files, live(&recorded).into_keys().collect::<Vec<_>>());
    }

    /// Where nothing is stale the changes can be done one by one, to files that are as the first change of each path says, whatever was aborted; and
    /// the net changes come to the same.
    #[test]
    fn what_is_not_stale_can_be_applied(raws in raws(), noise in 0..3_u8) {
        let mut script = script(&raws, noise);
        // Without what is stale, and what is stale without that.
        loop {
            let stale = bases(&script.steps()).stale;
            let stale: Vec<u64> = stale.iter().map(|stale| stale.change.sequence.number()).collect();
            if stale.is_empty() {
                break;
            }
            let mut numbers = 1..;
            script.0.retain(|_| numbers.next().is_some_and(|number| !stale.contains(&number)));
        }
        let bases = bases(&script.steps());
        let changes = in_force(&script);

        // Contents are numbered; the digest of each is known or not.
        let mut digests: Vec<Option<u8>> = Vec::new();
        let mut files = BTreeMap::<&str, usize>::new();
        let mut touched = Vec::new();
        for record in &changes {
            let (first, second) = touches(record.change);
            for touch in [Some(first), second].into_iter().flatten() {
                if !touched.contains(&touch.path) {
                    touched.push(touch.path);
                    if touch.claim.is_present() {
                        digests.push(None);
                        files.insert(touch.path, digests.len() - 1);
                    }
                }
            }
        }
        let initial = files.clone();
        prop_assert!(none_is_in_another(&initial.keys().copied().collect::<Vec<_>>()));
        for record in &changes {
            let (first, second) = touches(record.change);
            let mut taken = None;
            for touch in [Some(first), second].into_iter().flatten() {
                let there = files.remove(touch.path);
                prop_assert_eq!(there.is_some(), touch.claim.is_present(), "{:?} at {}", record, touch.path);
                prop_assert!(!files.keys().any(|other| nested(other, touch.path)), "{:?} at {}", record, touch.path);
                taken = taken.or(there);
                if let (Some(content), State::Present(Some(claimed))) = (there, touch.claim) {
                    let known = digests[content].get_or_insert(byte(claimed));
                    prop_assert_eq!(*known, byte(claimed), "{:?} at {}", record, touch.path);
                }
                if let State::Present(left) = touch.result {
                    let content = taken.filter(|_| touch.same).unwrap_or_else(|| {
                        digests.push(left.map(byte));
                        digests.len() - 1
                    });
                    files.insert(touch.path, content);
                }
            }
        }

        let net = net(changes.into_iter(), &bases.initial);
        prop_assert_eq!(apply(&net, initial.keys().copied()), files.keys().copied().collect::<Vec<_>>());
        for change in &net {
            if let (Some(before), Some(source)) = (change.before, change.source()) {
                prop_assert_eq!(digests[initial[source]], Some(byte(before)));
            }
            if let (Some(after), Some(target)) = (change.after, change.target()) {
                prop_assert_eq!(digests[files[target]], Some(byte(after)));
            }
        }
    }

    /// What was built on changesets that were aborted cannot be done as it was meant; but nothing is taken from where no file ever was, and
    /// nothing put where one stands. (Unless what is left without them has one file in another, which is told: of that nobody can say what was there.)
    #[test]
    fn the_diff_can_be_applied_to_what_was_there(raws in raws()) {
        let script = script(&raws, 0);
        let bases = bases(&script.steps());
        let net = net(in_force(&script).into_iter(), &bases.initial);
        if bases.stale.iter().any(|stale| stale.kind == super::Staleness::Folder) {
            return Ok(());
        }
        let files = apply(&net, before().into_keys());
        prop_assert!(!bases.stale.is_empty() || none_is_in_another(&files), "{:?}", net);
    }
}
