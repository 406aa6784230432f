//! A thread is stopped for good at each step of the protocols, and the others finish.
//!
//! The victim runs an operation that reaches the step, and stops there while others run every operation on the same keys, grow the
//! index and pass the budget. A watchdog fails the test if they do not finish. Then the victim goes on, and the store is swept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::sweep::validate;
use crate::failpoint::{Step, arm};
use crate::{Capacity, PromoteError, Tier, TierStore};

type Store = TierStore<u32, u64>;

const KEYS: u32 = 8;
const WEIGHT: u64 = 10;
const BUDGET: u64 = 50;

fn store() -> Arc<Store> {
    let store = TierStore::builder(BUDGET)
        .weigher(|_: &u32, _: &u64| WEIGHT)
        .warm_capacity(Capacity::entries(3).and_bytes(3 * WEIGHT))
        .cold_capacity(Capacity::entries(4))
        .build()
        .unwrap();
    for key in 0..KEYS {
        store.store(key, 0).unwrap();
    }
    Arc::new(store)
}

/// What the victim does until it has reached its step.
fn provoke(store: &Store, step: Step) {
    for round in 1..200_u64 {
        for key in 0..KEYS {
            match step {
                Step::Raised | Step::Found => drop(store.get(&key)),
                Step::Activated | Step::WalkedTier | Step::Walked | Step::Blocked => drop(store.snapshot()),
                Step::Removed | Step::Buried => drop(store.remove(&key)),
                Step::Frozen
                | Step::Copied
                | Step::Sealing
                | Step::Grown
                | Step::Advanced
                | Step::RoomClaimed
                | Step::Inserted
                | Step::Lowered
                | Step::Claimed => {
                    // New keys: the index grows.
                    store.store(1_000 + key + KEYS * u32::try_from(round).unwrap(), round).unwrap();
                }
                Step::Moved | Step::Filled | Step::Emptied | Step::InCell | Step::Left if round % 2 == 0 => {
                    store.demote(&key);
                    let _ = store.promote_to(&key, Tier::Hot);
                }
                // A refused one has no node, or gives it up.
                _ if round % 3 == 0 => drop(store.update(key, |old| old + 1)),
                Step::Sealed => {
                    // The clock goes on, from page to page of an order.
                    for used in (0..64).map(|i| (key + i) % KEYS) {
                        store.get(&used);
                    }
                    store.store(key, round).unwrap();
                }
                _ => drop(store.store(key, round).unwrap()),
            }
        }
    }
}

/// What the others do: everything, on the keys of the victim and on new ones.
fn work(store: &Store, seed: u64) {
    let mut state = seed | 1;
    let mut random = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 8) % below
    };
    for round in 0..3_000_u64 {
        let key = u32::try_from(if random(4) == 0 { 5_000 + random(300) } else { random(u64::from(KEYS)) }).unwrap();
        match random(19) {
            0..=3 => drop(store.store(key, round).unwrap()),
            4 | 5 => drop(store.get(&key)),
            6 => drop(store.promote(&key)),
            7 => drop(store.promote_to(&key, Tier::Hot)),
            8 => drop(store.demote(&key)),
            9 => drop(store.evict_lru(Tier::ALL[usize::try_from(random(3)).unwrap()])),
            10 => drop(store.remove(&key)),
            11 => drop(store.store_if_absent(key, round)),
            16 => _ = store.keep(&key),
            17 => _ = store.let_go(&key),
            12 => drop(store.get_or_store_with(key, || round).unwrap()),
            13 => drop(store.update(key, |old| old + 1)),
            14 => drop(store.snapshot()),
            15 => drop(store.snapshot_of(Tier::Hot)),
            _ => drop(store.iter(Tier::Warm)),
        }
        assert!(store.hot_bytes() <= BUDGET);
        if round % 500 == 0 {
            store.enforce_hot_budget();
        }
    }
}

/// As [`provoke`], in a store of which half is kept.
fn keep_and_let_go(store: &Store) {
    for key in (0..KEYS).cycle().take(200) {
        let is_kept = store.peek(&key).is_some_and(|found| found.kept);
        let _ = if is_kept { store.let_go(&key) } else { store.keep(&key) };
    }
}

fn stop_at(step: Step) {
    stop_within(step, &store(), move |store| provoke(store, step));
}

/// A thread that keeps fragments, or lets them go.
fn stop_keeping_at(step: Step) {
    for first_is_kept in [false, true] {
        let store = store();
        for key in (0..KEYS).filter(|key| (key % 2 == 0) == first_is_kept) {
            store.keep(&key).unwrap();
        }
        stop_within(step, &store, keep_and_let_go);
    }
}

/// A thread that uses what has an age, or ends it. Time passes with each look at it, and stands still in the end.
fn stop_ageing_at(step: Step) {
    let (start, now, is_over) = (Instant::now(), AtomicU64::new(0), Arc::new(AtomicBool::new(false)));
    let stands_still = Arc::clone(&is_over);
    let clock = move || {
        let passed = u64::from(!stands_still.load(SeqCst));
        start + Duration::from_nanos(now.fetch_add(passed, SeqCst))
    };
    let store = TierStore::builder(BUDGET)
        .weigher(|_: &u32, _: &u64| WEIGHT)
        .expire_after(Tier::Hot, Duration::from_nanos(10))
        .expire_after(Tier::Warm, Duration::from_nanos(100))
        .cold_capacity(Capacity::entries(4))
        .clock(clock)
        .build()
        .unwrap();
    let store = Arc::new(store);
    stop_until(step, &store, |store| {
        // So many that the first is due when it comes again.
        for (key, round) in (0..10 * KEYS).cycle().zip(0..4_000_u64) {
            _ = store.store(key, round).unwrap();
            _ = store.get(&(key / 2));
            if round % 50 == 0 {
                store.purge_expired();
            }
        }
    });
    assert!(store.metrics().expired > 0);
    is_over.store(true, SeqCst);
    store.purge_expired();
    validate(&store);
}

fn stop_within(step: Step, store: &Arc<Store>, provoke: impl FnOnce(&Store) + Send + 'static) {
    stop_until(step, store, provoke);
    validate(store);
}

/// Stops the thread at its step until all others are done; then it goes on.
fn stop_until(step: Step, store: &Arc<Store>, provoke: impl FnOnce(&Store) + Send + 'static) {
    let (reached, has_reached): (Sender<()>, Receiver<()>) = channel();
    let (go_on, may_go_on): (Sender<()>, Receiver<()>) = channel();
    let victim = thread::spawn({
        let store = Arc::clone(store);
        move || {
            arm(step, move || {
                reached.send(()).unwrap();
                may_go_on.recv().unwrap();
            });
            provoke(&store);
        }
    });
    has_reached.recv_timeout(Duration::from_mins(1)).unwrap_or_else(|_| panic!("{step:?} was never reached"));
    let (done, is_done) = channel();
    let others: Vec<_> = (1..4)
        .map(|seed| {
            let (store, done) = (Arc::clone(store), done.clone());
            thread::spawn(move || {
                work(&store, seed * 0x9E37);
                done.send(()).unwrap();
            })
        })
        .collect();
    for _ in &others {
        is_done
            .recv_timeout(Duration::from_mins(1))
            .unwrap_or_else(|_| panic!("a thread stopped at {step:?} has stopped others, or they failed"));
    }
    for other in others {
        other.join().unwrap();
    }
    go_on.send(()).unwrap();
    victim.join().unwrap();
}

#[test]
fn what_finds_its_room_reserved_by_a_stopped_thread_is_contended_and_counted() {
    let store = Arc::new(TierStore::builder(WEIGHT).weigher(|_: &u32, _: &u64| WEIGHT).build().unwrap());
    store.store(1, 0).unwrap();
    store.demote(&1);
    let other = Arc::clone(&store);
    let meanwhile = move || {
        assert_eq!(other.promote(&1), Err(PromoteError::Contended { weight: WEIGHT }));
        assert_eq!(other.metrics().contended, 1);
        let stored = other.store(2, 0).unwrap();
        assert_eq!((stored.tier, stored.contended), (Tier::Warm, true));
        assert_eq!(other.metrics().contended, 2);
    };
    arm(Step::Reserved, move || thread::spawn(meanwhile).join().unwrap());
    assert_eq!(store.store(3, 0).unwrap().tier, Tier::Hot);
    assert_eq!(store.metrics().contended, 2);
    assert_eq!(validate(&store), 3);
}

macro_rules! stop_at_each {
    ($stop:ident: $($name:ident: $step:ident,)*) => {
        $(#[test]
        fn $name() {
            $stop(Step::$step);
        })*
    };
}

stop_at_each! {
    stop_keeping_at:
    a_keeper_that_has_filled_and_not_moved: Filled,
    a_keeper_that_has_noted_and_not_moved: Crossing,
    a_keeper_that_has_not_cleared_the_old_entry: Moved,
    a_keeper_that_has_not_looked_at_the_block: Emptied,
}

stop_at_each! {
    stop_ageing_at:
    a_use_that_has_raised_its_time_alone: Aged,
    an_ender_that_has_not_confirmed: Judged,
    an_ender_that_has_not_cleaned_up: Removed,
    an_ender_of_a_used_one_that_has_filled_and_not_moved: Filled,
}

stop_at_each! {
    stop_at:
    a_reader_that_has_not_claimed_the_value: Found,
    a_use_that_has_raised_the_last_use: Raised,
    a_newcomer_that_holds_a_reservation: Reserved,
    a_storer_that_has_replaced_and_not_published: Committed,
    a_storer_that_has_inserted_and_not_published: Inserted,
    a_storer_that_has_published_and_not_cleared: Published,
    a_mover_that_has_not_cleared_the_old_entry: Moved,
    a_mover_that_has_filled_and_not_moved: Filled,
    a_remover_that_has_not_cleaned_up: Removed,
    a_filler_between_cell_and_bit: InCell,
    a_clearer_that_has_not_looked_at_the_block: Emptied,
    a_sealer_that_has_not_removed_the_page: Sealed,
    a_tidier_before_its_swing: Tidying,
    a_remover_that_has_not_counted_the_tombstone: Buried,
    an_inserter_that_has_claimed_room: RoomClaimed,
    a_grower_that_has_sealed_a_table: Sealing,
    a_grower_that_has_frozen_a_cell: Frozen,
    a_grower_that_has_copied_and_not_moved: Copied,
    a_grower_that_has_moved_nothing: Grown,
    a_grower_that_has_not_handed_room_over: Advanced,
    a_claimer_that_has_lowered_both_counts: Lowered,
    a_pusher_that_has_claimed: Claimed,
    an_operation_that_has_found_the_budget_to_hold: Enforced,
    an_evictor_that_has_not_released: Left,
    a_snapshot_that_has_not_walked: Activated,
    a_snapshot_that_has_walked_one_tier: WalkedTier,
    a_snapshot_that_has_not_blocked: Walked,
    a_snapshot_that_has_not_left: Blocked,
}
