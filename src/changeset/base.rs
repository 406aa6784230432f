//! Which changes were made of something else than what stood there.
//!
//! # What a change says
//!
//! A change *touches* its path, and a rename first the path that it is from. Of each it *claims* how it was before, and says how it is after:
//!
//! | touch | before | after |
//! |---|---|---|
//! | creation | no file | a file, `after` |
//! | modification | a file, `before` | a file, `after` |
//! | deletion | a file, `before` | no file |
//! | rename, where from | a file, `before` | no file |
//! | rename, where to | no file | a file: the same content, or `after` if both are known and differ |
//!
//! As a file cannot stand in another, each touch also claims that none stands at a folder of the path, nor beneath the path.
//!
//! # What is known
//!
//! The changes are gone through in order, all that are not rolled back. Those of aborted changesets are *gone*; of such a one, what it had
//! done was there until the abort. What is known of a path is
//!
//! - what the last change in force that touched it said;
//! - nothing, if a touch in force of a folder of it, or of a path beneath it, came later: the path is *overruled*;
//! - if changes that are gone, and whose changesets were not aborted yet, touched it since: what the first of them claimed. It
//!   stood on what is in force now, and saw it. What a change in force has said comes first, but for a digest that it did not know.
//!
//! A change is *stale* where its claim contradicts what is known; or where its digest is not known to be there, and is the one that a change
//! which is gone had left. After it, its own word is what is known. What a change claims that is gone from before on counts for nothing:
//! nobody built on it.

mod world;

use super::change::{Change, Digest, Operation, differ};
use super::event::Record;
use super::id::ChangesetId;
pub(super) use world::{Bases, bases};

/// A change that was made of something else than what stood there, as far as the changes before it say.
///
/// Each change says what it found: a modification, for one, a file, with the digest [`before`](Change::before) if that is known. The last
/// change in force before it that touched the path says what was left there. If the two contradict each other, the *base* of the later
/// change is stale. To apply it is to lose what the earlier one did, or it cannot be applied at all.
///
/// That is so whoever recorded the two: the same changeset, one after another, or two in parallel, which are in
/// [conflict](crate::Conflict) besides. A change is also stale if it was built on one that went: see [`undone`](Self::undone).
///
/// Without digests, only that a file stands where none can is noticed. What is rolled back is as if it had never been.
///
/// # Examples
///
/// ```
/// use tierstack::{Change, Digest, PlanContext, Staleness};
///
/// let plan = PlanContext::new();
/// let [one, two, three] = [1, 2, 3].map(|version| Digest::from([version]));
/// let first = plan.start_changeset();
/// first.record(Change::modify("a", one.clone(), two))?;
/// first.close()?;
/// let second = plan.start_changeset();
/// second.record(Change::modify("a", one, three))?; // of what was there before the first
///
/// let snapshot = plan.snapshot();
/// assert!(snapshot.conflicts().is_empty(), "they were not open at the same time");
/// let stale = &snapshot.stale_bases()[0];
/// assert_eq!((stale.path, stale.kind), ("a", Staleness::OtherContent));
/// assert_eq!(stale.change.changeset, second.id());
/// assert_eq!(stale.against.map(|record| record.changeset), Some(first.id()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StaleBase<'a> {
    /// The change.
    pub change: Record<'a, Change>,
    /// The path of which it says something else: its own, or the one that it renames from.
    pub path: &'a str,
    /// What does not fit.
    pub kind: Staleness,
    /// The path of the other side: the same, except for [`Staleness::Folder`].
    pub other: &'a str,
    /// The last change in force before it that touched the other side's path.
    pub against: Option<Record<'a, Change>>,
    /// The change that it was built on, where that has gone: the last before it that touched the other side's path, of a changeset that was aborted
    /// afterwards. If there is none in force that it is [against](Self::against), it does not fit what this one had found there.
    pub undone: Option<Record<'a, Change>>,
}

/// What does not fit in a [`StaleBase`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Staleness {
    /// It modifies, deletes or renames a file where none stands.
    Missing,
    /// It creates a file, or renames one to a path, where one stands.
    Occupied,
    /// The file has another digest than it says.
    OtherContent,
    /// A file stands, or has stood, at a folder of the path or beneath the path.
    Folder,
}

/// Its records are written as their sequence numbers.
#[cfg(feature = "serde")]
impl serde::Serialize for StaleBase<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let &Self { change, path, kind, other, against, undone } = self;
        let sequences = [against, undone].map(|record| record.map(|record| record.sequence));
        let absent = sequences.map(|sequence| sequence.is_none());
        let how_many = absent.into_iter().filter(|absent| *absent).count();
        let mut fields = super::wire::Fields::new(serializer, "StaleBase", 6, how_many)?;
        fields.field("change", &change.sequence)?;
        fields.field("path", path)?;
        fields.field("kind", &kind)?;
        fields.field("other", other)?;
        fields.unless(absent[0], "against", &sequences[0])?;
        fields.unless(absent[1], "undone", &sequences[1])?;
        fields.end()
    }
}

/// What is known of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State<'a> {
    Absent,
    /// A file, with its digest if that is known.
    Present(Option<&'a Digest>),
}

impl State<'_> {
    fn is_present(self) -> bool {
        matches!(self, Self::Present(_))
    }

    /// What of a claim does not fit this.
    fn contradicts(self, claim: Self) -> Option<Staleness> {
        match (self, claim) {
            (Self::Absent, Self::Present(_)) => Some(Staleness::Missing),
            (Self::Present(_), Self::Absent) => Some(Staleness::Occupied),
            (Self::Present(digest), Self::Present(claimed)) => {
                differ(digest, claimed).then_some(Staleness::OtherContent)
            }
            (Self::Absent, Self::Absent) => None,
        }
    }
}

/// What happens to the files, in order.
#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    /// A change that is in force.
    Change(Record<'a, Change>),
    /// A change of a changeset that will be aborted.
    Gone(Record<'a, Change>),
    /// The changeset is aborted.
    Aborted(ChangesetId),
}

/// What a change says of a path.
#[derive(Clone, Copy)]
struct Touch<'a> {
    path: &'a str,
    claim: State<'a>,
    result: State<'a>,
    /// Whether the result is a file of the same content as one that the change takes.
    same: bool,
}

/// The first touch, and the second of a rename.
fn touches(change: &Change) -> (Touch<'_>, Option<Touch<'_>>) {
    let [before, after] = change.digests();
    let path = change.path.as_str();
    let touch = |path, claim, result| Touch { path, claim, result, same: false };
    match &change.operation {
        Operation::Create => (touch(path, State::Absent, State::Present(after)), None),
        Operation::Modify => (touch(path, State::Present(before), State::Present(after)), None),
        Operation::Delete => (touch(path, State::Present(before), State::Absent), None),
        Operation::Rename { from } => {
            let same = !differ(before, after);
            let either = before.or(after);
            let (before, after) = if same { (either, either) } else { (before, after) };
            let (source, target) = (State::Present(before), State::Present(after));
            if from == path {
                (Touch { same, ..touch(path, source, target) }, None)
            } else {
                let to = Touch { same, ..touch(path, State::Absent, target) };
                (touch(from, source, State::Absent), Some(to))
            }
        }
    }
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests;
