use super::*;
use crate::engine::budget::MAX_BYTES;

fn add(census: &Census, weight: u64) {
    census.add(Change::of(weight));
}

#[test]
fn a_claim_is_granted_only_while_over() {
    let census = Census::new(Capacity::entries(2));
    for _ in 0..3 {
        add(&census, 10);
    }
    assert!(census.is_over() && census.claim(10) && !census.claim(10));
    census.come_back(10, false);
    assert!(census.claim(10));
    assert_eq!((census.fragments(), census.bytes()), (2, 20));

    let census = Census::new(Capacity::bytes(25));
    add(&census, 20);
    add(&census, 10);
    assert!(census.claim(20) && !census.is_over());
    assert_eq!((census.fragments(), census.bytes()), (1, 10));
}

#[test]
fn a_tally_is_added_once_and_a_count_below_zero_reads_as_zero() {
    let tiers = [(); 3].map(|()| Census::new(Capacity::UNBOUNDED));
    let counts = || [0, 1, 2].map(|tier: usize| (tiers[tier].fragments(), tiers[tier].bytes()));
    let mut tally = Tally::default();
    tally.leave(Tier::Warm, 5);
    tally.enter(Tier::Cold, 5);
    tally.enter(Tier::Hot, 5);
    for _ in 0..2 {
        tally.add_to(&tiers);
        assert_eq!(counts(), [(1, 0), (0, 0), (1, 5)], "hot's bytes are counted elsewhere");
    }
    tally.enter(Tier::Warm, 5);
    tally.add_to(&tiers);
    assert_eq!((tiers[1].fragments(), tiers[1].bytes(), tiers[1].is_over()), (0, 0, false));
}

/// A tier of that capacity, with two fragments of 30 bytes.
fn with_two(capacity: Capacity) -> Census {
    let census = Census::new(capacity);
    add(&census, 10);
    add(&census, 20);
    census
}

#[test]
fn departures_are_counted_early_only_where_there_is_a_capacity() {
    let (entries, bytes) = (Capacity::entries(9), Capacity::bytes(90));
    for (capacity, left) in
        [(Capacity::UNBOUNDED, (2, 30)), (entries, (1, 20)), (bytes, (1, 20)), (entries.and_bytes(90), (1, 20))]
    {
        let census = with_two(capacity);
        let mut tally = Tally::default();
        tally.leave_early(Tier::Warm, 10, false, &census);
        assert_eq!((census.fragments(), census.bytes()), left, "{capacity:?}");
        census.come_back(10, false);
        assert_eq!((census.fragments(), census.bytes()), (2, 30));
    }
}

#[test]
fn an_early_departure_is_made_up_for_by_what_came_in_and_is_not_counted_yet() {
    // Weights of low bits and of high ones alone.
    for unit in [1, 1 << LOW_BITS] {
        for (came_in, counted) in [(10, (2, 30)), (15, (2, 30)), (4, (2, 24))] {
            let census = Census::new(Capacity::entries(9));
            add(&census, 10 * unit);
            add(&census, 20 * unit);
            let mut tally = Tally::default();
            tally.enter(Tier::Warm, came_in * unit);
            tally.leave_early(Tier::Warm, 10 * unit, false, &census);
            let counted = (counted.0, counted.1 * unit);
            assert_eq!((census.fragments(), census.bytes()), counted, "never above what stands there");
            let tiers = [Census::new(Capacity::UNBOUNDED), census, Census::new(Capacity::UNBOUNDED)];
            tally.add_to(&tiers);
            assert_eq!((tiers[1].fragments(), tiers[1].bytes()), (2, (20 + came_in) * unit));
        }
    }
}

#[test]
fn a_tier_is_over_and_claims_are_granted_where_either_bound_is_passed() {
    for (capacity, is_over) in [
        (Capacity::UNBOUNDED, false),
        (Capacity::entries(2), false),
        (Capacity::entries(1), true),
        (Capacity::bytes(30), false),
        (Capacity::bytes(29), true),
        (Capacity::entries(2).and_bytes(30), false),
        (Capacity::entries(1).and_bytes(30), true),
        (Capacity::entries(2).and_bytes(29), true),
        (Capacity::bytes(29).and_entries(2), true),
        (Capacity::entries(1).and_bytes(29), true),
    ] {
        let census = with_two(capacity);
        assert_eq!((census.is_over(), census.claim(10)), (is_over, is_over), "{capacity:?}");
        let left = if is_over { (1, 20) } else { (2, 30) };
        assert_eq!((census.fragments(), census.bytes()), left, "{capacity:?}");
    }
}

#[test]
fn what_is_heavier_than_the_whole_capacity_is_never_counted() {
    for capacity in [Capacity::bytes(30), Capacity::entries(2).and_bytes(30)] {
        let census = with_two(capacity);
        assert!(census.has_room_for(30) && !census.has_room_for(31));
        assert!(census.claim(31), "it may always go");
        let mut tally = Tally::default();
        tally.leave_early(Tier::Warm, 31, false, &census);
        census.come_back(32, false);
        assert_eq!((census.fragments(), census.bytes(), census.is_over()), (2, 30, false), "{capacity:?}");
    }
    assert!(Census::new(Capacity::entries(0)).has_room_for(MAX_BYTES));
    // Unless it is kept.
    let census = with_two(Capacity::bytes(30));
    assert!(census.counts(31, true) && !census.counts(31, false));
    census.come(31);
    assert!(census.is_over());
    let mut tally = Tally::default();
    tally.leave_early(Tier::Warm, 31, true, &census);
    assert_eq!((census.fragments(), census.bytes()), (2, 30));
    census.come_back(31, true);
    census.go(31);
    assert_eq!((census.fragments(), census.bytes(), census.is_over()), (2, 30, false));
}

#[test]
fn no_sum_of_weights_wraps() {
    let census = Census::new(Capacity::UNBOUNDED);
    let many = |number: i64, weight| {
        let Change { fragments, low, high } = Change::of(weight);
        Change { fragments: number * fragments, low: number * low, high: number * high }
    };
    let mut sum = 0;
    for (number, weight) in [(3, (1 << 20) - 1), (5, 1 << 20), (1 << 23, MAX_BYTES), (1 << 23, MAX_BYTES - 1)] {
        census.add(many(number, weight));
        sum += i128::from(number) * i128::from(weight);
        assert_eq!(census.bytes(), u64::try_from(sum).unwrap());
    }
    census.add(many(1 << 24, MAX_BYTES));
    assert_eq!(census.bytes(), u64::MAX, "more cannot be said");
    for (number, weight) in [(1 << 24, MAX_BYTES), (1 << 23, MAX_BYTES), (1 << 23, MAX_BYTES - 1)] {
        census.add(many(number, weight).negated());
    }
    assert_eq!((census.fragments(), census.bytes()), (8, (8 << 20) - 3));
}

#[test]
fn a_capacity_of_more_bytes_than_can_be_counted_holds_at_what_can() {
    let census = Census::new(Capacity::bytes(u64::MAX));
    let half = Change { fragments: 1 << 21, low: 0, high: 1 << 41 };
    census.add(half);
    census.add(half);
    assert_eq!((census.bytes(), census.is_over()), (1 << 62, false));
    add(&census, 1);
    assert!(census.is_over() && census.claim(MAX_BYTES) && !census.is_over());
}
