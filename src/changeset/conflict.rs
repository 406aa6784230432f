//! Which paths were touched by changesets that ran in parallel.
//!
//! A change touches its paths, and the folders of its paths: it is in conflict there only with one that touches such a folder as a path of its own.
//!
//! All records are sorted by path and changeset, each folder before what is beneath it. That gives for each path those that touched it, and
//! right after them those beneath. By changeset, these are in the order in which they started. One sweep over them, with the latest end so far, tells which
//! are parallel to any other: so a path that thousands touched costs no more than thousands of paths. The pairs are found only
//! where somebody asks for them.

use core::cmp::Ordering;
use core::iter;

use super::change::Change;
use super::event::Record;
use super::id::{ChangesetId, Sequence};
use super::path;

/// From when to when a changeset was open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Its start.
    pub(super) started: Sequence,
    /// Its end, which is after its start; `None` where it is open.
    pub(super) ended: Option<Sequence>,
}

impl Span {
    /// Whether it had not ended when `later`, which started after it, started.
    fn reaches(self, later: Self) -> bool {
        self.ended.is_none_or(|ended| later.started < ended)
    }

    /// The one that ends later.
    fn longer(self, other: Self) -> Self {
        match (self.ended, other.ended) {
            (Some(a), Some(b)) if a < b => other,
            (Some(_), None) => other,
            _ => self,
        }
    }
}

/// A path that changesets touched which were open at the same time.
///
/// A change touches its path. A rename touches the path that it was renamed from, too. It is a conflict
/// even if all did the same, or if what one did comes to nothing: neither could know of the other.
///
/// It is also a conflict where one changeset touched a path and the other a path beneath it, such as `a` and `a/b`: a file cannot stand at both,
/// and what was done to a folder was done to what is in it. Two changesets that touched different paths beneath the same
/// folder, and not the folder, are in no conflict.
///
/// # Examples
///
/// ```
/// use tierstack::{Change, PlanContext};
///
/// let plan: PlanContext = PlanContext::new();
/// let (one, two) = (plan.start_changeset(), plan.start_changeset());
/// one.record(Change::modify("a", None, None))?;
/// two.record(Change::rename("a", "b"))?;
///
/// let snapshot = plan.snapshot();
/// let diff = snapshot.diff();
/// let [conflict] = diff.conflicts() else { panic!("one path") };
/// assert_eq!(conflict.path(), "a");
/// assert!(conflict.involves(one.id()) && conflict.involves(two.id()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Conflict<'a> {
    path: &'a str,
    sides: Box<[Side<'a>]>,
}

/// A changeset that takes part in a [`Conflict`], with what it did to the path.
///
/// Serialized, its records are their sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Side<'a> {
    /// The changeset.
    pub changeset: ChangesetId,
    /// The first of its changes that touched the path, or one beneath it.
    #[cfg_attr(feature = "serde", serde(serialize_with = "sequence"))]
    pub first: Record<'a, Change>,
    /// The last of its changes that touched the path, or one beneath it.
    #[cfg_attr(feature = "serde", serde(serialize_with = "sequence"))]
    pub last: Record<'a, Change>,
    beneath: bool,
    /// Which of the conflict's sides is the next that touched the path itself.
    #[cfg_attr(feature = "serde", serde(skip))]
    next: usize,
    #[cfg_attr(feature = "serde", serde(skip))]
    span: Span,
}

#[cfg(feature = "serde")]
fn sequence<S: serde::Serializer>(record: &Record<'_, Change>, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&record.sequence, serializer)
}

impl Side<'_> {
    /// Whether the changeset touched only paths beneath the [conflict's](Conflict::path), and not that path itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{Change, PlanContext};
    ///
    /// let plan: PlanContext = PlanContext::new();
    /// let (one, two) = (plan.start_changeset(), plan.start_changeset());
    /// one.record(Change::create("notes", None))?;
    /// two.record(Change::create("notes/today", None))?;
    ///
    /// let snapshot = plan.snapshot();
    /// let conflicts = snapshot.conflicts();
    /// assert_eq!((conflicts.len(), conflicts[0].path()), (1, "notes"));
    /// let beneath: Vec<_> = conflicts[0].sides().iter().map(|side| side.is_beneath()).collect();
    /// assert_eq!(beneath, [false, true]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_beneath(&self) -> bool {
        self.beneath
    }

    /// Whether the two changesets were open at the same time. None is parallel to itself.
    ///
    /// # Examples
    ///
    /// See [`Conflict::pairs`].
    #[must_use]
    pub fn is_parallel_to(&self, other: &Self) -> bool {
        match self.changeset.cmp(&other.changeset) {
            Ordering::Less => self.span.reaches(other.span),
            Ordering::Equal => false,
            Ordering::Greater => other.span.reaches(self.span),
        }
    }
}

impl<'a> Conflict<'a> {
    /// The path that they touched. Some may have touched only paths [beneath](Side::is_beneath) it.
    ///
    /// # Examples
    ///
    /// See [`Conflict`].
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// All changesets that are in a [pair](Self::pairs), by id: at least two.
    ///
    /// Not each two of them are one.
    ///
    /// # Examples
    ///
    /// See [`pairs`](Self::pairs).
    #[must_use]
    pub fn sides(&self) -> &[Side<'a>] {
        &self.sides
    }

    /// Each two changesets that were open at the same time, of which one touched the path, and the other the path or one beneath it. By id.
    ///
    /// O(1) for each pair, and O(sides) more for all. Of n sides there can be n (n − 1) / 2 pairs.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{Change, PlanContext};
    ///
    /// let plan: PlanContext = PlanContext::new();
    /// let touch = || Change::modify("a", None, None);
    /// let (first, long) = (plan.start_changeset(), plan.start_changeset());
    /// first.record(touch())?;
    /// long.record(touch())?;
    /// let (a, b) = (first.id(), long.id());
    /// first.close()?;
    /// let last = plan.start_changeset(); // it has never met `first`
    /// last.record(touch())?;
    /// let c = last.id();
    ///
    /// let snapshot = plan.snapshot();
    /// let diff = snapshot.diff();
    /// let conflict = &diff.conflicts()[0];
    /// let sides: Vec<_> = conflict.sides().iter().map(|side| side.changeset).collect();
    /// assert_eq!(sides, [a, b, c]);
    /// let pairs: Vec<_> = conflict.pairs().map(|(one, two)| (one.changeset, two.changeset)).collect();
    /// assert_eq!(pairs, [(a, b), (b, c)]);
    /// assert!(!conflict.sides()[0].is_parallel_to(&conflict.sides()[2]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pairs(&self) -> impl Iterator<Item = (&Side<'a>, &Side<'a>)> {
        self.sides.iter().zip(1..).flat_map(|(one, next)| {
            let first = if one.beneath { one.next } else { next };
            let after = |at: &usize| Some(if one.beneath { self.sides.get(*at)?.next } else { at + 1 });
            let others = iter::successors(Some(first), after).map_while(|at| self.sides.get(at));
            // They are in the order in which they started: after the first that one does not reach, it reaches none.
            others.take_while(|two| one.span.reaches(two.span)).map(move |two| (one, two))
        })
    }

    /// Whether the changeset is one of the [`sides`](Self::sides). O(log sides).
    ///
    /// # Examples
    ///
    /// See [`Conflict`].
    #[must_use]
    pub fn involves(&self, changeset: ChangesetId) -> bool {
        self.sides.binary_search_by_key(&changeset, |side| side.changeset).is_ok()
    }

    /// Whether any two of those changesets are a [pair](Self::pairs). O(sides).
    #[cfg(any(feature = "rayon", test))]
    pub(crate) fn is_between_any(&self, is_one: impl Fn(ChangesetId) -> bool) -> bool {
        // Of these alone: the pairs of all others may be quadratically many.
        let sides: Vec<_> = self.sides.iter().filter(|side| is_one(side.changeset)).copied().collect();
        paired(&sides).contains(&true)
    }
}

/// The paths that were touched by changesets that are parallel, in the order of texts.
///
/// The records are in the order of their sequence numbers. For n of them, of which each touches f folders that others touch as paths:
/// O(f n log n) comparisons of paths, and at most f calls of `span` for each path and changeset.
pub(super) fn conflicts<'a>(
    records: impl Iterator<Item = Record<'a, Change>>,
    span: impl Fn(ChangesetId) -> Span,
) -> Vec<Conflict<'a>> {
    let mut touches: Vec<Touch<'a>> =
        records.flat_map(|record| record.change.paths().map(move |path| Touch { path, record })).collect();
    // Stable: what one changeset did to one path stays in order.
    touches.sort_by(|touch, other| {
        path::compare(touch.path, other.path).then_with(|| touch.record.changeset.cmp(&other.record.changeset))
    });
    let mut conflicts = Vec::new();
    let mut rest = &touches[..];
    while let Some(first) = rest.first() {
        let itself = rest.iter().take_while(|touch| touch.path == first.path).count();
        let beneath = rest[itself..].iter().take_while(|touch| path::is_beneath(touch.path, first.path)).count();
        conflicts.extend(conflict(&rest[..itself], &rest[itself..itself + beneath], &span));
        rest = &rest[itself..];
    }
    // Folders first is another order than that of texts.
    conflicts.sort_unstable_by_key(|conflict| conflict.path);
    conflicts.shrink_to_fit();
    conflicts
}

/// A record, and a path that its change touches.
#[derive(Clone, Copy)]
struct Touch<'a> {
    path: &'a str,
    record: Record<'a, Change>,
}

/// The conflict at a path, of all records that touched it, by changeset, and of all that touched one beneath it.
fn conflict<'a>(
    itself: &[Touch<'a>],
    beneath: &[Touch<'a>],
    span: impl Fn(ChangesetId) -> Span,
) -> Option<Conflict<'a>> {
    let Touch { path, record } = *itself.first()?;
    if itself.iter().chain(beneath).all(|touch| touch.record.changeset == record.changeset) {
        return None;
    }
    let mut touches: Vec<(Record<'a, Change>, bool)> = Vec::with_capacity(itself.len() + beneath.len());
    touches.extend(itself.iter().map(|touch| (touch.record, false)));
    touches.extend(beneath.iter().map(|touch| (touch.record, true)));
    touches.sort_by_key(|(record, beneath)| (record.changeset, record.sequence, *beneath));
    let by_changeset = touches.chunk_by(|(record, _), (next, _)| record.changeset == next.changeset);
    let mut sides: Vec<Side<'a>> = by_changeset
        .filter_map(|touches| {
            let ((first, _), (last, _)) = (touches.first()?, touches.last()?);
            let (changeset, beneath) = (first.changeset, touches.iter().all(|(_, beneath)| *beneath));
            Some(Side { changeset, first: *first, last: *last, beneath, next: 0, span: span(changeset) })
        })
        .collect();
    let mut paired = paired(&sides).into_iter();
    sides.retain(|_| paired.next() == Some(true));
    let mut next = sides.len();
    for (at, side) in sides.iter_mut().enumerate().rev() {
        side.next = next;
        if !side.beneath {
            next = at;
        }
    }
    if sides.is_empty() { None } else { Some(Conflict { path, sides: sides.into() }) }
}

/// For each of the sides, which are in the order in which they started, whether it makes a pair with any other.
fn paired(sides: &[Side<'_>]) -> Vec<bool> {
    let mut paired = vec![false; sides.len()];
    // With one before it, if with the one that ends last; of those that touched the path itself, and of all.
    let (mut itself, mut all): (Option<Span>, Option<Span>) = (None, None);
    let longer = |longest: Option<Span>, span: Span| Some(longest.map_or(span, |longest| longest.longer(span)));
    for (paired, side) in paired.iter_mut().zip(sides) {
        let longest = if side.beneath { itself } else { all };
        *paired = longest.is_some_and(|longest| longest.reaches(side.span));
        all = longer(all, side.span);
        if !side.beneath {
            itself = longer(itself, side.span);
        }
    }
    // With one after it, if with the next.
    let (mut itself, mut all): (Option<Span>, Option<Span>) = (None, None);
    for (paired, side) in paired.iter_mut().zip(sides).rev() {
        let next = if side.beneath { itself } else { all };
        *paired |= next.is_some_and(|next| side.span.reaches(next));
        all = Some(side.span);
        if !side.beneath {
            itself = all;
        }
    }
    paired
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests;
