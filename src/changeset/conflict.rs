//! Which paths were touched by changesets that ran in parallel.
//!
//! All records are sorted by path and changeset, which gives for each path those that touched it, in the order in which they started.
//! One sweep over these, with the latest end so far, tells which are parallel to any other: so a path that
//! thousands touched costs no more than thousands of paths. The pairs are found only where somebody asks for them.

use core::cmp::Ordering;

use super::change::Change;
use super::event::Record;
use super::id::{ChangesetId, Sequence};

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
/// A change touches its path, and a rename the path that it was renamed from, too. It is a conflict
/// even where all did the same, or where what one did comes to nothing: neither could know of the other.
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

/// A changeset that has part in a [`Conflict`], with what it did to the path.
///
/// Serialized, its records are their sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Side<'a> {
    /// The changeset.
    pub changeset: ChangesetId,
    /// The first of its changes that touched the path.
    #[cfg_attr(feature = "serde", serde(serialize_with = "sequence"))]
    pub first: Record<'a, Change>,
    /// The last of its changes that touched the path.
    #[cfg_attr(feature = "serde", serde(serialize_with = "sequence"))]
    pub last: Record<'a, Change>,
    #[cfg_attr(feature = "serde", serde(skip))]
    span: Span,
}

#[cfg(feature = "serde")]
fn sequence<S: serde::Serializer>(record: &Record<'_, Change>, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&record.sequence, serializer)
}

impl Side<'_> {
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
    /// The path.
    ///
    /// # Examples
    ///
    /// See [`Conflict`].
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// All changesets that touched the path and were open at the same time as another that did, by id: at least two.
    ///
    /// Not each two of them were: see [`pairs`](Self::pairs).
    ///
    /// # Examples
    ///
    /// See [`pairs`](Self::pairs).
    #[must_use]
    pub fn sides(&self) -> &[Side<'a>] {
        &self.sides
    }

    /// Each two changesets that touched the path and were open at the same time, by id.
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
        let sides = self.sides.iter().zip(1..);
        sides.flat_map(|(one, next)| {
            // They are in the order in which they started: after the first that one does not reach, it reaches none.
            let later = self.sides.iter().skip(next);
            later.take_while(|two| one.span.reaches(two.span)).map(move |two| (one, two))
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
}

/// The paths that were touched by changesets that are parallel, in their order.
///
/// The records are in the order of their sequence numbers. For n of them: O(n log n) comparisons of paths, and at most one call of
/// `span` for each path and changeset.
pub(super) fn conflicts<'a>(
    records: impl Iterator<Item = Record<'a, Change>>,
    span: impl Fn(ChangesetId) -> Span,
) -> Vec<Conflict<'a>> {
    let mut touches: Vec<(&'a str, Record<'a, Change>)> =
        records.flat_map(|record| record.change.paths().map(move |path| (path, record))).collect();
    // Stable: what one changeset did to one path stays in order.
    touches.sort_by(|(path, record), (other, than)| (path, record.changeset).cmp(&(other, than.changeset)));
    let paths = touches.chunk_by(|(path, _), (next, _)| path == next);
    let mut conflicts: Vec<_> = paths.filter_map(|touches| conflict(touches, &span)).collect();
    conflicts.shrink_to_fit();
    conflicts
}

/// The conflict at a path, of all records that touched it, by changeset.
fn conflict<'a>(touches: &[(&'a str, Record<'a, Change>)], span: impl Fn(ChangesetId) -> Span) -> Option<Conflict<'a>> {
    let ((path, first), (_, last)) = (touches.first()?, touches.last()?);
    if first.changeset == last.changeset {
        return None;
    }
    let by_changeset = touches.chunk_by(|(_, record), (_, next)| record.changeset == next.changeset);
    let mut sides: Vec<Side<'a>> = by_changeset
        .filter_map(|touches| {
            let ((_, first), (_, last)) = (touches.first()?, touches.last()?);
            Some(Side { changeset: first.changeset, first: *first, last: *last, span: span(first.changeset) })
        })
        .collect();
    let mut parallel = parallel(&sides).into_iter();
    sides.retain(|_| parallel.next() == Some(true));
    if sides.is_empty() { None } else { Some(Conflict { path, sides: sides.into() }) }
}

/// For each of the sides, which are in the order in which they started, whether it is parallel to any other.
fn parallel(sides: &[Side<'_>]) -> Vec<bool> {
    let mut longest: Option<Span> = None;
    let mut parallel = Vec::with_capacity(sides.len());
    for (index, side) in sides.iter().enumerate() {
        // To one before it, if to the one that ends last; to one after it, if to the next.
        let before = longest.is_some_and(|longest| longest.reaches(side.span));
        let after = sides.get(index + 1).is_some_and(|next| side.span.reaches(next.span));
        parallel.push(before || after);
        longest = Some(longest.map_or(side.span, |longest| longest.longer(side.span)));
    }
    parallel
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    const PATHS: [&str; 3] = ["a", "b", "c"];

    fn id(index: usize) -> ChangesetId {
        ChangesetId::from_index(index as u64)
    }

    fn overlap(a: (u64, Option<u64>), b: (u64, Option<u64>)) -> bool {
        let (a_end, b_end) = (a.1.unwrap_or(u64::MAX), b.1.unwrap_or(u64::MAX));
        a.0.max(b.0) < a_end.min(b_end)
    }

    /// What a plan may do: start a changeset, close one that is open, record a change in one.
    #[derive(Clone, Debug)]
    enum Step {
        Start,
        Close(prop::sample::Index),
        Record(prop::sample::Index, Change),
    }

    fn step() -> impl Strategy<Value = Step> {
        let path = || prop::sample::select(&PATHS[..]);
        let change = prop_oneof![
            path().prop_map(|path| Change::modify(path, None, None)),
            (path(), path()).prop_map(|(from, to)| Change::rename(from, to)),
        ];
        prop_oneof![
            2 => Just(Step::Start),
            2 => any::<prop::sample::Index>().prop_map(Step::Close),
            4 => (any::<prop::sample::Index>(), change).prop_map(|(at, change)| Step::Record(at, change)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn the_sweep_finds_what_all_pairs_do(steps in prop::collection::vec(step(), 0..60)) {
            let mut spans: Vec<(u64, Option<u64>)> = Vec::new();
            let mut changes = Vec::new();
            for (sequence, step) in (1..).zip(&steps) {
                let open: Vec<usize> = (0..spans.len()).filter(|index| spans[*index].1.is_none()).collect();
                match step {
                    Step::Start => spans.push((sequence, None)),
                    Step::Close(at) if !open.is_empty() => spans[*at.get(&open)].1 = Some(sequence),
                    Step::Record(at, change) if !open.is_empty() => changes.push((sequence, *at.get(&open), change)),
                    _ => {}
                }
            }

            // By definition: each path, each two changesets.
            let mut touched: BTreeMap<&str, BTreeMap<usize, Vec<u64>>> = BTreeMap::new();
            for (sequence, changeset, change) in &changes {
                for path in change.paths() {
                    touched.entry(path).or_default().entry(*changeset).or_default().push(*sequence);
                }
            }
            let mut expected = Vec::new();
            for (path, touchers) in &touched {
                let all: Vec<usize> = touchers.keys().copied().collect();
                let pairs: Vec<(usize, usize)> = all.iter().enumerate()
                    .flat_map(|(at, one)| all[at + 1..].iter().map(move |two| (*one, *two)))
                    .filter(|(one, two)| overlap(spans[*one], spans[*two]))
                    .collect();
                let sides: BTreeSet<usize> = pairs.iter().flat_map(|(one, two)| [*one, *two]).collect();
                let sides: Vec<(ChangesetId, u64, u64)> = sides.into_iter()
                    .map(|side| (id(side), touchers[&side][0], touchers[&side][touchers[&side].len() - 1]))
                    .collect();
                if !sides.is_empty() {
                    expected.push((*path, sides, pairs.iter().map(|(one, two)| (id(*one), id(*two))).collect::<Vec<_>>()));
                }
            }

            let records = changes.iter().map(|(sequence, changeset, change)| Record {
                sequence: Sequence::new(*sequence), changeset: id(*changeset), change: *change,
            });
            let found = conflicts(records, |changeset| {
                let (started, ended) = spans[usize::try_from(changeset.index()).unwrap()];
                Span { started: Sequence::new(started), ended: ended.map(Sequence::new) }
            });
            for conflict in &found {
                for index in 0..spans.len() {
                    let is_side = conflict.sides().iter().any(|side| side.changeset == id(index));
                    prop_assert_eq!(conflict.involves(id(index)), is_side);
                }
                for (one, two) in conflict.pairs() {
                    prop_assert!(one.is_parallel_to(two) && two.is_parallel_to(one) && !one.is_parallel_to(one));
                }
            }
            let found: Vec<_> = found.iter().map(|conflict| (
                conflict.path(),
                conflict.sides().iter()
                    .map(|side| (side.changeset, side.first.sequence.number(), side.last.sequence.number()))
                    .collect::<Vec<_>>(),
                conflict.pairs().map(|(one, two)| (one.changeset, two.changeset)).collect::<Vec<_>>(),
            )).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn thousands_at_one_path() {
        let change = Change::modify("a", None, None);
        let records = || {
            (0..10_000).map(|index| Record {
                sequence: Sequence::new(20_001 + index as u64),
                changeset: id(index),
                change: &change,
            })
        };
        let open = conflicts(records(), |id| Span { started: Sequence::new(id.number()), ended: None });
        assert_eq!((open.len(), open[0].sides().len()), (1, 10_000));
        assert_eq!(open[0].pairs().take(20_000).count(), 20_000);
        let one_by_one = conflicts(records(), |id| Span {
            started: Sequence::new(2 * id.number()),
            ended: Some(Sequence::new(2 * id.number() + 1)),
        });
        assert!(one_by_one.is_empty());
    }

    #[cfg(feature = "serde")]
    #[test]
    fn json() {
        use serde_json::json;

        let change = Change::rename("a", "a");
        let record =
            |sequence, index| Record { sequence: Sequence::new(sequence), changeset: id(index), change: &change };
        let found = conflicts([record(3, 0), record(4, 1), record(5, 0)].into_iter(), |id| Span {
            started: Sequence::new(id.number()),
            ended: None,
        });
        let expected = json!([{
            "path": "a",
            "sides": [
                {"changeset": "changeset-1", "first": 3, "last": 5},
                {"changeset": "changeset-2", "first": 4, "last": 4},
            ],
        }]);
        assert_eq!(serde_json::to_value(&found).unwrap(), expected);
    }
}
