//! Tests of [`conflicts`]: against looking at all pairs.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// `a` is a folder of some of them, and stands between others in the order of texts.
const PATHS: [&str; 7] = ["a", "b", "a/b", "a/c/d", "a-b", "a/c", "a/"];

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

        // By definition: each path, each two changesets of which one touched it, and the other it or what is beneath.
        let touched: BTreeSet<&str> = changes.iter().flat_map(|(_, _, change)| change.paths()).collect();
        let mut expected = Vec::new();
        for path in &touched {
            let mut touchers: BTreeMap<usize, (bool, Vec<u64>)> = BTreeMap::new();
            for (sequence, changeset, change) in &changes {
                let folder = format!("{}/", path.trim_end_matches('/'));
                let is_beneath = |other: &str| other.starts_with(&folder) && (*path != folder || other.len() > folder.len());
                for other in change.paths().filter(|other| other == path || is_beneath(other)) {
                    let (itself, sequences) = touchers.entry(*changeset).or_default();
                    *itself |= other == *path;
                    sequences.push(*sequence);
                }
            }
            let all: Vec<usize> = touchers.keys().copied().collect();
            let pairs: Vec<(usize, usize)> = all.iter().enumerate()
                .flat_map(|(at, one)| all[at + 1..].iter().map(move |two| (*one, *two)))
                .filter(|(one, two)| overlap(spans[*one], spans[*two]) && (touchers[one].0 || touchers[two].0))
                .collect();
            let sides: BTreeSet<usize> = pairs.iter().flat_map(|(one, two)| [*one, *two]).collect();
            let sides: Vec<(ChangesetId, u64, u64, bool)> = sides.into_iter()
                .map(|side| {
                    let (itself, sequences) = &touchers[&side];
                    (id(side), sequences[0], sequences[sequences.len() - 1], !itself)
                })
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
            for is_one in [|id: u64| id.is_multiple_of(2), |id: u64| !id.is_multiple_of(3), |id: u64| id < 3] {
                let is_one = |id: ChangesetId| is_one(id.index());
                let any = conflict.pairs().any(|(one, two)| is_one(one.changeset) && is_one(two.changeset));
                prop_assert_eq!(conflict.is_between_any(is_one), any);
            }
            for (one, two) in conflict.pairs() {
                prop_assert!(one.is_parallel_to(two) && two.is_parallel_to(one) && !one.is_parallel_to(one));
            }
        }
        let found: Vec<_> = found.iter().map(|conflict| (
            conflict.path(),
            conflict.sides().iter()
                .map(|side| {
                    let (first, last) = (side.first.sequence.number(), side.last.sequence.number());
                    (side.changeset, first, last, side.is_beneath())
                })
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

/// Were each side to look at all others, these would be a hundred million.
#[test]
fn thousands_beneath_a_folder_that_one_touched() {
    const MANY: usize = 10_000;
    let beneath: Vec<Change> = (0..MANY).map(|file| Change::modify(format!("a/{file}"), None, None)).collect();
    let folder = Change::delete("a", None);
    let changes = beneath.iter().chain([&folder]).enumerate();
    let records = changes.map(|(index, change)| Record {
        sequence: Sequence::new(20_001 + index as u64),
        changeset: id(index),
        change,
    });
    let found = conflicts(records, |id| Span { started: Sequence::new(id.number()), ended: None });
    assert_eq!((found.len(), found[0].path(), found[0].sides().len()), (1, "a", MANY + 1));
    assert!(found[0].pairs().all(|(one, two)| one.is_beneath() && two.changeset == id(MANY)));
    assert_eq!(found[0].pairs().count(), MANY);
}

/// Each folder is touched: a change at the bottom is in conflict with each of them.
#[test]
fn folders_within_folders() {
    let folders: Vec<Change> = (1..200).map(|depth| Change::modify(vec!["a"; depth].join("/"), None, None)).collect();
    let records = folders.iter().enumerate().map(|(index, change)| Record {
        sequence: Sequence::new(1_001 + index as u64),
        changeset: id(index),
        change,
    });
    let found = conflicts(records, |id| Span { started: Sequence::new(id.number()), ended: None });
    let sides: Vec<usize> = found.iter().map(|conflict| conflict.sides().len()).collect();
    assert!(sides.iter().copied().eq((2..200).rev()), "{sides:?}");
    assert!(found.iter().all(|conflict| conflict.pairs().count() == conflict.sides().len() - 1));
}

#[cfg(feature = "serde")]
#[test]
fn json() {
    use serde_json::json;

    let change = Change::rename("a", "a");
    let record = |sequence, index| Record { sequence: Sequence::new(sequence), changeset: id(index), change: &change };
    let found = conflicts([record(3, 0), record(4, 1), record(5, 0)].into_iter(), |id| Span {
        started: Sequence::new(id.number()),
        ended: None,
    });
    let expected = json!([{
        "path": "a",
        "sides": [
            {"changeset": "changeset-1", "first": 3, "last": 5, "beneath": false},
            {"changeset": "changeset-2", "first": 4, "last": 4, "beneath": false},
        ],
    }]);
    assert_eq!(serde_json::to_value(&found).unwrap(), expected);
}
