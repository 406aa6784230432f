//! Rankings, and reciprocal rank fusion.

use std::collections::HashMap;

use proptest::prelude::*;
use tierstack::executor::{FUSION_K, Fused, Outcome, Ranking, fuse};

use super::*;

fn ranks(ranking: &Ranking<&'static str>) -> Vec<(&'static str, u32)> {
    ranking.iter().map(|(item, rank)| (*item, rank)).collect()
}

#[test]
fn equals_share_a_rank_and_what_is_no_number_is_last() {
    let scores = [
        ("a", f64::NAN),
        ("b", 1.0),
        ("c", f64::INFINITY),
        ("d", 1.0),
        ("e", -0.0),
        ("f", 0.0),
        ("g", f64::NEG_INFINITY),
    ];
    let ranking = Ranking::by_score(scores);
    assert_eq!(ranks(&ranking), [("c", 1), ("b", 2), ("d", 2), ("e", 4), ("f", 4), ("a", 6), ("g", 6)]);
    assert_eq!((ranking.len(), ranking.is_empty()), (7, false));
    assert_eq!(ranks(&Ranking::new(["x", "y"])), [("x", 1), ("y", 2)]);
    assert!(Ranking::<u32>::new([]).is_empty());
}

#[test]
fn several_votes_beat_one_and_ties_go_by_the_first_that_has_them() {
    let first = Ranking::by_score([(7, 9.0), (1, 5.0), (2, 5.0), (3, 1.0)]);
    let second = Ranking::new([3]);
    let fused = fuse([Some(&first), None, Some(&second)], FUSION_K);
    let order: Vec<_> = fused.iter().map(|fused| (*fused.item(), fused.rank_in(0), fused.rank_in(2))).collect();
    let expected = [(3, Some(4), Some(1)), (7, Some(1), None), (1, Some(2), None), (2, Some(2), None)];
    assert_eq!(order, expected);
    assert!((fused[0].score() - (1.0 / 64.0 + 1.0 / 61.0)).abs() < 1e-12);
    assert_eq!((fused[0].votes().len(), fused[0].rank_in(1)), (2, None));
    assert!(fuse::<u32>([None, None], 60).is_empty());
}

#[test]
fn an_item_that_is_there_twice_counts_once() {
    let fused = fuse([Some(&Ranking::new(["a", "b", "a", "a"]))], 0);
    let told: Vec<_> = fused.into_iter().map(|fused| (fused.score(), fused.votes().len(), fused.into_item())).collect();
    assert_eq!(told, [(1.0, 1, "a"), (0.5, 1, "b")]);
}

#[test]
fn k_decides_how_much_the_first_rank_weighs() {
    let (store, plan) = (store(0, 9), Plan::new());
    let first = |k: u32| {
        let executor = Executor::new(&store, &plan).fusion_k(k);
        let rank = |keys: [u32; 3]| executor.strategy("s", move |_| Ok::<_, Error>(Outcome::ranked(keys)));
        let run = executor.run(&[rank([1, 9, 8]), rank([2, 7, 9]), rank([3, 6, 5])]);
        *run.fused()[0].item()
    };
    assert_eq!((first(0), first(FUSION_K), first(u32::MAX)), (1, 9, 9));
}

#[test]
fn what_failed_has_no_vote_and_votes_name_strategies() {
    let (store, plan) = (store(0, 9), Plan::new());
    let executor = Executor::new(&store, &plan);
    let run = executor.run(&[
        executor.strategy("none", |_| Ok::<_, Error>(Outcome::new(()))),
        executor.strategy("undone", |context| {
            context.changeset().abort()?;
            Ok(Outcome::ranked([1]))
        }),
        executor.strategy("well", |_| Ok(Outcome::ranked([2]))),
    ]);
    let fused = run.fused();
    assert_eq!((fused.len(), *fused[0].item(), fused[0].votes()[0].ranking), (1, 2, 2));
}

#[test]
fn the_same_ranks_in_other_rankings_are_a_tie() {
    // With each rotation `b` has the ranks that `a` has in other rankings; added up as they come, some sums differ in the last bit.
    for [x, y, z] in [[1, 2, 3], [1, 7, 13], [1, 7, 14], [1, 7, 25], [3, 30, 90]] {
        let at = |a: usize, b: usize| {
            let mut items: Vec<u32> = (100..200).collect();
            (items[a - 1], items[b - 1]) = (1, 2);
            Ranking::new(items)
        };
        let rankings = [at(x, y), at(y, z), at(z, x)];
        let fused = fuse(rankings.iter().map(Some), FUSION_K);
        let place = |item| fused.iter().position(|fused| *fused.item() == item).unwrap();
        assert_eq!(fused[place(1)].score().to_bits(), fused[place(2)].score().to_bits(), "{x} {y} {z}");
        assert_eq!(place(2), place(1) + 1, "the first ranking has 1 first");
    }
}

/// The definition, item by item.
fn by_definition(rankings: &[Vec<u8>], k: u32) -> Vec<(u8, f64)> {
    let mut items: Vec<u8> = Vec::new();
    for &item in rankings.iter().flatten() {
        if !items.contains(&item) {
            items.push(item);
        }
    }
    let score = |item: u8| {
        let ranks = rankings.iter().filter_map(|ranking| ranking.iter().position(|&other| other == item));
        let mut shares: Vec<f64> =
            ranks.map(|before| 1.0 / (f64::from(k) + f64::from(u32::try_from(before).unwrap()) + 1.0)).collect();
        shares.sort_by(f64::total_cmp);
        shares.into_iter().fold(0.0, |sum, share| sum + share)
    };
    let mut scored: Vec<_> = items.into_iter().map(|item| (item, score(item))).collect();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1));
    scored
}

proptest! {
    #[test]
    fn fusing_is_what_the_definition_says(rankings: [Vec<u8>; 4], k in 0_u32..100) {
        let made: Vec<_> = rankings.iter().map(|items| Ranking::new(items.iter().copied())).collect();
        let fused = fuse(made.iter().map(Some), k);
        let told: Vec<_> = fused.iter().map(|fused: &Fused<u8>| (*fused.item(), fused.score())).collect();
        prop_assert_eq!(told, by_definition(&rankings, k));
    }

    #[test]
    fn scores_do_not_depend_on_the_order_of_the_rankings(
        (rankings, shuffled) in prop::collection::vec(prop::collection::vec(0_u8..20, 0..20), 0..9)
            .prop_flat_map(|rankings| (Just(rankings.clone()), Just(rankings).prop_shuffle())),
        k in 0_u32..100,
    ) {
        let scores = |rankings: &[Vec<u8>]| -> HashMap<u8, u64> {
            let made: Vec<_> = rankings.iter().map(|items| Ranking::new(items.iter().copied())).collect();
            fuse(made.iter().map(Some), k).into_iter().map(|fused| (*fused.item(), fused.score().to_bits())).collect()
        };
        prop_assert_eq!(scores(&rankings), scores(&shuffled));
    }
}
