//! What leaves for an archive, beside an operation on its key: what that answers, and what is left, is explained by some order of the two.

use std::sync::Arc;

use loom_tests::both_hold;
use loom_tests::collected::{collected, spawn};
use loom_tests::spec::{Answer, Op, explains};
use loom_tests::whole::{Store, at_rest, run, with_room_for};
use tierstack::{Capacity, Leaving, Tier};

const KEY: u64 = 1;
const BESIDE: [Op; 8] = [
    Op::Get,
    Op::Store(2),
    Op::StoreIfAbsent(2),
    Op::Remove,
    Op::Promote,
    Op::Demote,
    Op::Evict(Tier::Cold),
    Op::Leave,
];

/// A store with the key's fragment in cold.
fn store() -> Arc<Store> {
    let store = with_room_for(4);
    store.store(KEY, 1).unwrap();
    store.demote_to(&KEY, Tier::Cold).unwrap();
    store
}

fn start(store: &Store) -> Option<Leaving<u64, u64>> {
    store.start_leaving(Capacity::UNBOUNDED).pop()
}

/// One thread does `mine`, which has to do with leaving, and the other `op`: each in turn is the one that is spawned.
fn beside<T: Send + 'static>(
    name: &str,
    op: Op,
    make: fn() -> (Arc<Store>, Option<Leaving<u64, u64>>),
    mine: fn(&Store, Option<&Leaving<u64, u64>>) -> T,
    check: fn(&Store, T, (Op, Answer)),
) {
    let model = move |op_is_spawned: bool| {
        move || {
            collected(move || {
                let (store, leaving) = make();
                let shared = Arc::clone(&store);
                let (done, answer) = if op_is_spawned {
                    let thread = spawn(move || run(&shared, KEY, op));
                    let done = mine(&store, leaving.as_ref());
                    (done, thread.join().unwrap())
                } else {
                    let thread = spawn(move || mine(&shared, leaving.as_ref()));
                    let answer = run(&store, KEY, op);
                    (thread.join().unwrap(), answer)
                };
                // What follows is sequential.
                loom::skip_branch();
                check(&store, done, (op, answer));
            });
        }
    };
    both_hold(&format!("{name}, {op:?}"), 2, (model(true), model(false)));
}

fn explained(store: &Store, has_left: bool, other: (Op, Answer)) {
    let (done, last) = ([(Op::Leave, Answer::Left(has_left)), other], at_rest(store, [KEY])[0]);
    assert!(explains(Some((1, Tier::Cold)), &done, last), "{done:?}, {last:?}");
    let only_one_ends_it = matches!(other, (Op::Demote, _) | (_, Answer::Evicted(None)));
    assert!(has_left || !only_one_ends_it, "nothing has kept it from leaving: {other:?}");
}

#[test]
fn what_is_leaving_leaves_beside_another_operation() {
    let make = || {
        let store = store();
        let leaving = start(&store);
        (store, leaving)
    };
    for op in BESIDE {
        beside("finish", op, make, |store, leaving| store.finish_leaving(leaving.expect("it stands")), explained);
    }
}

/// What has started beside another operation leaves after it, if it still may.
#[test]
fn what_starts_to_leave_beside_another_operation_is_as_that_says() {
    let check = |store: &Store, leaving: Option<Leaving<u64, u64>>, (op, answer): (Op, Answer)| {
        let has_left = leaving.is_some_and(|leaving| store.finish_leaving(&leaving));
        let (done, last) = ([(op, answer), (Op::Leave, Answer::Left(has_left))], at_rest(store, [KEY])[0]);
        assert!(explains(Some((1, Tier::Cold)), &done, last), "{done:?}, {last:?}");
        // Another start is handed what stands in cold, marked or not.
        let stands = last.is_some_and(|(_, tier)| tier == Tier::Cold);
        assert_eq!(start(store).is_some_and(|leaving| store.finish_leaving(&leaving)), stands);
    };
    for op in BESIDE {
        beside("start", op, || (store(), None), |store, _| start(store), check);
    }
}

/// The fragment is got, and looked at: if it is there, it has not left, and will not.
#[test]
fn a_get_that_has_returned_keeps_what_is_leaving() {
    let model = |getter_is_spawned: bool| {
        move || {
            collected(move || {
                let store = store();
                let leaving = start(&store).expect("it stands");
                let get = |store: &Store| store.get(&KEY).is_some() && store.contains(&KEY);
                let shared = Arc::clone(&store);
                let (is_there_after_the_get, has_left) = if getter_is_spawned {
                    let getter = spawn(move || get(&shared));
                    let has_left = store.finish_leaving(&leaving);
                    (getter.join().unwrap(), has_left)
                } else {
                    let finisher = spawn(move || shared.finish_leaving(&leaving));
                    (get(&store), finisher.join().unwrap())
                };
                loom::skip_branch();
                assert_eq!(has_left, !is_there_after_the_get);
                let _ = at_rest(&store, [KEY]);
            });
        }
    };
    both_hold("get and look, finish", 2, (model(true), model(false)));
}
