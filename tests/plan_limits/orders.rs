//! Whichever of a plan, its clones, handles and snapshots goes last, each change goes with the last that can see it, once.

use crate::common::tracked::{Registry, Tracked};
use tierstack::{ChangesetHandle, PlanContext, Snapshot};

/// What keeps changes alive; dropped for what it holds.
#[allow(dead_code, reason = "held, not read")]
enum Owner {
    Plan(PlanContext<Tracked>),
    Handle(ChangesetHandle<Tracked>),
    /// And how many changes there were up to the end of its version.
    Snapshot(Snapshot<Tracked>, usize),
}

/// Each owner of a plan in which all has happened that can, and the number of changes.
fn owners(registry: &'static Registry) -> (Vec<Owner>, usize) {
    let plan = PlanContext::new();
    let mut number = 0;
    let mut change = || {
        number += 1;
        registry.tracked(number)
    };
    let first = plan.start_changeset();
    first.record(change()).unwrap();
    first.record_all([change(), change()]).unwrap();
    let early = plan.snapshot();
    // Of the same version as the snapshot, though after it.
    first.record(change()).unwrap();
    let savepoint = plan.savepoint();
    let second = plan.start_changeset();
    second.record_all((0..5).map(|_| change())).unwrap();
    second.abort().unwrap();
    first.record(change()).unwrap();
    first.close().unwrap();
    let middle = plan.snapshot();
    plan.roll_back_to(&savepoint).unwrap();
    first.record(change()).unwrap();
    first.close().unwrap();
    let refused = first.record(change()).unwrap_err().refused;
    plan.start_changeset().record(refused).unwrap();
    plan.record_all([]).unwrap();
    // One that has been indexed, and a clone of it, which shares the index.
    let late = plan.snapshot();
    assert_eq!(late.changeset(first.id()).unwrap().len(), 5);
    let (clone, total) = (plan.clone(), registry.alive());
    let indexed = late.clone();
    assert_eq!(indexed.changeset(first.id()).unwrap().changes().map(|record| record.change.number).sum::<u64>(), 21);
    drop(late);
    let snapshots = [(early, 4), (middle, 10), (indexed, 12)];
    let owners = [Owner::Plan(plan), Owner::Plan(clone), Owner::Handle(first)];
    (owners.into_iter().chain(snapshots.map(|(snapshot, sees)| Owner::Snapshot(snapshot, sees))).collect(), total)
}

/// All orders of `items`.
fn permutations<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let with_first = |first: usize| {
        let mut rest = items.to_vec();
        let item = rest.remove(first);
        permutations(&rest).into_iter().map(move |mut order| {
            order.push(item.clone());
            order
        })
    };
    (0..items.len()).flat_map(with_first).collect()
}

#[test]
fn in_every_order_each_change_is_dropped_once_with_the_last_that_sees_it() {
    let orders = permutations(&[0, 1, 2, 3, 4, 5]);
    assert_eq!(orders.len(), 720);
    for order in orders {
        let registry = Registry::new();
        let (owners, total) = owners(registry);
        assert_eq!(total, 12);
        let mut owners: Vec<_> = owners.into_iter().map(Some).collect();
        for at in &order {
            drop(owners[*at].take());
            let seen = owners.iter().flatten().map(|owner| match owner {
                Owner::Plan(_) | Owner::Handle(_) => total,
                Owner::Snapshot(_, sees) => *sees,
            });
            assert_eq!(registry.alive(), seen.max().unwrap_or(0), "{at} of {order:?}");
        }
    }
}

#[test]
fn what_a_snapshot_lends_can_be_read_when_all_else_is_gone() {
    let registry = Registry::new();
    let (owners, _) = owners(registry);
    let snapshots = owners.into_iter().filter_map(|owner| match owner {
        Owner::Snapshot(snapshot, _) => Some(snapshot),
        _ => None,
    });
    let snapshots: Vec<_> = snapshots.collect();
    let numbers =
        |snapshot: &Snapshot<Tracked>| -> Vec<u64> { snapshot.changes().map(|record| record.change.number).collect() };
    assert_eq!(
        snapshots.iter().map(numbers).collect::<Vec<_>>(),
        [vec![1, 2, 3], vec![1, 2, 3, 4, 10], vec![1, 2, 3, 4, 11, 12],]
    );
    drop(snapshots);
    assert_eq!(registry.alive(), 0);
}
