//! What many changes come to, and what it looks like to whoever applies it.

mod net;

use core::slice;

pub(super) use self::net::net;
use super::base::StaleBase;
use super::change::{Change, Content, Digest};
use super::conflict::Conflict;
use super::event::Record;

/// What the changes of a snapshot, or of one changeset, come to, and what of them does not fit together.
///
/// The changes are the fewest that are left when all steps between are forgotten. A file that was created, modified and renamed is
/// created at the last path. One that was created and deleted is not there. They are sorted by path, and are to be applied as if at once:
/// each [`before`](NetChange::before) and each [`from`](NetOperation::Rename::from) speaks of the state before all of them.
///
/// Look at [`conflicts`](Self::conflicts) and [`stale_bases`](Self::stale_bases) before you apply it. They tell where changes were made without
/// knowing of each other, and where they contradict each other.
///
/// # Applying it
///
/// First take away all [sources](NetChange::source), then put all [targets](NetChange::target). In this way two files can
/// change places without a temporary path. Each path is the source of at most one entry, and the target of at most one.
///
/// ```
/// use std::collections::BTreeMap;
/// use tierstack::{Change, PlanContext};
///
/// let plan: PlanContext = PlanContext::new();
/// let changeset = plan.start_changeset();
/// changeset.record(Change::rename("a", "spare"))?;
/// changeset.record(Change::rename("b", "a"))?;
/// changeset.record(Change::rename("spare", "b"))?;
/// changeset.record(Change::create("c", None).with_content("new"))?;
///
/// let mut files = BTreeMap::from([("a", "was a"), ("b", "was b")]);
/// let snapshot = plan.snapshot();
/// let diff = snapshot.diff();
/// let taken: Vec<_> = diff.changes().iter().map(|change| change.source().and_then(|path| files.remove(path))).collect();
/// for (change, old) in diff.changes().iter().zip(taken) {
///     let new = change.content.map(|content| std::str::from_utf8(content.as_bytes())).transpose()?;
///     if let (Some(path), Some(content)) = (change.target(), if change.modifies() { new } else { old }) {
///         files.insert(path, content);
///     }
/// }
/// assert_eq!(files, BTreeMap::from([("a", "was b"), ("b", "was a"), ("c", "new")]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What is taken to be there before
///
/// A file stands at each path that a change modifies, deletes or renames from, unless an earlier change put one there or took it away.
/// None stands at a path that a change creates or renames to. To replace a file by renaming another to its path, record its deletion first.
///
/// It is different where a change was built on one of a changeset that was [aborted](crate::PlanContext::abort) afterwards. What that one found
/// counts: if the aborted change created the file, none stood there.
///
/// # What does not fit together
///
/// Parallel changesets do not know of each other, and nobody checks what is recorded. [`stale_bases`](Self::stale_bases) lists the changes that
/// contradict earlier ones. The last one wins:
///
/// - What is created or renamed to a path where a file stands replaces that file.
/// - A modification where no file stands puts one there.
/// - A deletion where no file stands does nothing.
/// - A rename from where no file stands any more takes the file that last stood there, from wherever it is now, even if it was deleted. If
///   none ever stood there, it creates the file, with what the change says of it.
/// - A rename of a file to its own path leaves it there.
///
/// Files in the place of folders are not resolved. If one change creates `a` and another `a/b`, both are in the diff, and it cannot be applied:
/// to delete `a` for the sake of `a/b` could delete a folder that nobody meant. A stale base tells of it, and a conflict if the two
/// changesets were parallel.
///
/// # Examples
///
/// ```
/// use tierstack::{Change, NetOperation, PlanContext};
///
/// let plan: PlanContext = PlanContext::new();
/// let changeset = plan.start_changeset();
/// changeset.record(Change::create("draft", None).with_content("one"))?;
/// changeset.record(Change::modify("draft", None, None).with_content("two"))?;
/// changeset.record(Change::rename("draft", "final"))?;
/// changeset.record(Change::create("scratch", None))?;
/// changeset.record(Change::delete("scratch", None))?;
///
/// let snapshot = plan.snapshot();
/// let diff = snapshot.changeset(changeset.id()).unwrap().diff();
/// assert_eq!(diff.len(), 1);
/// let change = diff.get("final").unwrap();
/// assert_eq!((change.operation, change.content), (NetOperation::Create, Some(&"two".into())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Diff<'a> {
    changes: Vec<NetChange<'a>>,
    conflicts: Vec<Conflict<'a>>,
    stale_bases: Vec<StaleBase<'a>>,
}

/// What has become of one file. It is an entry of a [`Diff`].
///
/// Serialized, the last record is its sequence number and its changeset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetChange<'a> {
    /// The path of the file after; the path before, where it was deleted.
    pub path: &'a str,
    /// What is to be done.
    pub operation: NetOperation<'a>,
    /// The digest of its content before all changes, if one is known.
    pub before: Option<&'a Digest>,
    /// The digest of its content after all changes, if one is known.
    pub after: Option<&'a Digest>,
    /// What the last change of its content left there. `None` if it was recorded without, or if the content is the same. To create or modify a
    /// file without it, the content must be had from elsewhere.
    pub content: Option<&'a Content>,
    /// The last record that had a part in it.
    pub last: Record<'a, Change>,
    modifies: bool,
}

/// What a [`NetChange`] does, once for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum NetOperation<'a> {
    /// A file that was not there before.
    Create,
    /// Another content at the same path.
    Modify,
    /// A file that is no longer there.
    Delete,
    /// A file that stands at another path, also with another content if it [`modifies`](NetChange::modifies).
    Rename {
        /// The path at which it stood before all changes.
        from: &'a str,
    },
}

#[cfg(feature = "serde")]
impl serde::Serialize for NetChange<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let &Self { path, operation, before, after, content, last, modifies } = self;
        let absent = [before.is_none(), after.is_none(), content.is_none()];
        let how_many = absent.into_iter().filter(|absent| *absent).count();
        let mut fields = super::wire::Fields::new(serializer, "NetChange", 7, how_many)?;
        fields.field("path", path)?;
        fields.field("operation", &operation)?;
        fields.unless(absent[0], "before", &before)?;
        fields.unless(absent[1], "after", &after)?;
        fields.unless(absent[2], "content", &content)?;
        fields.field("last", &Place { sequence: last.sequence, changeset: last.changeset })?;
        fields.field("modifies", &modifies)?;
        fields.end()
    }
}

/// Where a record stands.
#[cfg(feature = "serde")]
#[derive(serde::Serialize)]
struct Place {
    sequence: super::id::Sequence,
    changeset: super::id::ChangesetId,
}

impl<'a> NetChange<'a> {
    /// Whether the content at the path is another than the one that was taken from the [source](Self::source).
    ///
    /// It is for creations and modifications, and not for deletions. For a rename it is if both digests are known and differ. If they are not
    /// both known, it is if a change said that it changed the content.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{Change, PlanContext};
    ///
    /// let plan: PlanContext = PlanContext::new();
    /// let changeset = plan.start_changeset();
    /// changeset.record(Change::rename("a", "b"))?;
    /// assert!(!plan.snapshot().diff().get("b").unwrap().modifies());
    /// changeset.record(Change::modify("b", None, None))?;
    /// assert!(plan.snapshot().diff().get("b").unwrap().modifies());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn modifies(&self) -> bool {
        self.modifies
    }

    /// The path of the file that it takes away; `None` for a creation.
    ///
    /// # Examples
    ///
    /// See [`Diff`](Diff#applying-it).
    #[must_use]
    pub fn source(&self) -> Option<&'a str> {
        match self.operation {
            NetOperation::Create => None,
            NetOperation::Modify | NetOperation::Delete => Some(self.path),
            NetOperation::Rename { from } => Some(from),
        }
    }

    /// The path at which it puts a file; `None` for a deletion.
    ///
    /// # Examples
    ///
    /// See [`Diff`](Diff#applying-it).
    #[must_use]
    pub fn target(&self) -> Option<&'a str> {
        match self.operation {
            NetOperation::Create | NetOperation::Modify | NetOperation::Rename { .. } => Some(self.path),
            NetOperation::Delete => None,
        }
    }
}

impl<'a> Diff<'a> {
    /// As [`net`], [`conflicts`](super::conflict::conflicts) and [`bases`](super::base::bases) give them.
    pub(super) fn new(
        changes: Vec<NetChange<'a>>,
        conflicts: Vec<Conflict<'a>>,
        stale_bases: Vec<StaleBase<'a>>,
    ) -> Self {
        Self { changes, conflicts, stale_bases }
    }

    /// The net changes, sorted by path.
    ///
    /// A path occurs twice if a file was deleted there and another renamed to it. The deletion comes first.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{Change, PlanContext};
    ///
    /// let plan: PlanContext = PlanContext::new();
    /// let changeset = plan.start_changeset();
    /// changeset.record(Change::delete("b", None))?;
    /// changeset.record(Change::create("a", None))?;
    /// let snapshot = plan.snapshot();
    /// assert!(snapshot.diff().changes().iter().map(|change| change.path).eq(["a", "b"]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn changes(&self) -> &[NetChange<'a>] {
        &self.changes
    }

    /// The paths that parallel changesets touched, sorted by path. The net changes are there all the same.
    ///
    /// # Examples
    ///
    /// See [`Conflict`].
    #[must_use]
    pub fn conflicts(&self) -> &[Conflict<'a>] {
        &self.conflicts
    }

    /// The changes that were made of something else than what stood there, in their order. What they come to is in the net changes all the same.
    ///
    /// If there are none, the changes can be applied one after the other, and the net changes at once, to any files that are as the first change of
    /// each path says.
    ///
    /// # Examples
    ///
    /// See [`StaleBase`].
    #[must_use]
    pub fn stale_bases(&self) -> &[StaleBase<'a>] {
        &self.stale_bases
    }

    /// The net change that puts a file at the path. If there is none, the one that deletes the file there. O(log changes).
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{Change, NetOperation, PlanContext};
    ///
    /// let plan: PlanContext = PlanContext::new();
    /// plan.start_changeset().record(Change::rename("a", "b"))?;
    /// let snapshot = plan.snapshot();
    /// let diff = snapshot.diff();
    /// assert_eq!(diff.get("b").unwrap().operation, NetOperation::Rename { from: "a" });
    /// assert!(diff.get("a").is_none(), "what became of it stands at its new path");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&NetChange<'a>> {
        let end = self.changes.partition_point(|change| change.path <= path);
        self.changes[..end].last().filter(|change| change.path == path)
    }

    /// Whether nothing is left to be done. There can be [conflicts](Self::conflicts) all the same.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{Change, PlanContext};
    ///
    /// let plan: PlanContext = PlanContext::new();
    /// let changeset = plan.start_changeset();
    /// changeset.record(Change::create("a", None))?;
    /// assert!(!plan.snapshot().diff().is_empty());
    /// changeset.record(Change::delete("a", None))?;
    /// assert!(plan.snapshot().diff().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many net changes there are.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{Change, PlanContext};
    ///
    /// let plan: PlanContext = PlanContext::new();
    /// let changeset = plan.start_changeset();
    /// changeset.record(Change::rename("a", "b"))?;
    /// changeset.record(Change::rename("b", "c"))?;
    /// assert_eq!(plan.snapshot().diff().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// The net changes, as [`changes`](Self::changes) has them.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{Change, PlanContext};
    ///
    /// let plan: PlanContext = PlanContext::new();
    /// plan.start_changeset().record(Change::delete("a", None))?;
    /// let snapshot = plan.snapshot();
    /// for change in &snapshot.diff() {
    ///     assert_eq!(change.path, "a");
    /// }
    /// assert_eq!(snapshot.diff().iter().count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> slice::Iter<'_, NetChange<'a>> {
        self.changes.iter()
    }

    /// The net changes alone.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{Change, PlanContext};
    ///
    /// let plan: PlanContext = PlanContext::new();
    /// plan.start_changeset().record(Change::delete("a", None))?;
    /// let snapshot = plan.snapshot();
    /// let mut changes = snapshot.diff().into_changes();
    /// assert_eq!(changes.pop().unwrap().path, "a");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn into_changes(self) -> Vec<NetChange<'a>> {
        self.changes
    }
}

impl<'d, 'a> IntoIterator for &'d Diff<'a> {
    type Item = &'d NetChange<'a>;
    type IntoIter = slice::Iter<'d, NetChange<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests;
