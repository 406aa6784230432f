//! Loads of many fragments: the end of the clock, the order of what is refused, and how large they make the index.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::sweep::validate;
use crate::engine::place::MAX_TICK;
use crate::failpoint::{Step, arm};
use crate::{Builder, Capacity, Cause, DefaultHasher, MAX_BYTES, Refusal, Tier, TierStore};

/// Each value is its fragment's weight.
fn builder(budget: u64) -> Builder<u32, u64, DefaultHasher> {
    TierStore::builder(budget).weigher(|_, weight| *weight)
}

#[test]
fn a_load_takes_the_last_ticks_and_hands_back_the_rest() {
    for left in [0, 1, 63, 64, 65, 100] {
        let store = builder(1 << 20).first_tick(MAX_TICK + 1 - left).build().unwrap();
        let stored = store.store_all((0..200).map(|key| (key, 10)));
        assert_eq!((stored.stored as u64, stored.refused.len() as u64), (left, 200 - left));
        let refused = stored.refused.iter().map(|error| (u64::from(error.key), error.reason));
        assert!(refused.eq((left..200).map(|key| (key, Refusal::ClockExhausted))));
        assert_eq!((store.hot_bytes(), validate(&store) as u64), (left * 10, left));
    }
}

#[test]
fn what_is_refused_for_several_reasons_is_in_the_order_in_which_it_came() {
    let store = builder(1 << 20).first_tick(MAX_TICK + 1 - 10).build().unwrap();
    let weight = |key: u32| if key.is_multiple_of(5) { MAX_BYTES + 1 } else { 1 };
    let stored = store.store_all((0..100).map(|key| (key, weight(key))));
    let refused: Vec<_> = stored.refused.iter().map(|error| error.key).collect();
    // Of the first thirteen, three are too heavy; then there are no ticks.
    let expected: Vec<_> = [0, 5, 10].into_iter().chain(13..100).collect();
    assert_eq!((stored.stored, refused), (10, expected));
}

#[test]
fn a_load_is_counted_as_single_stores_are() {
    let store = builder(1 << 20).build().unwrap();
    let weight = |key: u32| if key.is_multiple_of(3) { MAX_BYTES + 1 } else { 10 };
    let stored = store.store_all((0..1000).map(|key| (key, weight(key))));
    assert_eq!((stored.stored, stored.hot), (666, 666));
    let counts = store.metrics();
    assert_eq!((counts.hits, counts.stores, counts.hot.fragments, counts.peak_hot_bytes), (0, 666, 666, 6660));
    store.get(&1).unwrap();
    assert_eq!(store.metrics().hits, 1);
    // The peak is of what stood there at one time.
    let store = builder(100).build().unwrap();
    store.store_all((0..64).map(|key| (key, 10)));
    assert_eq!((store.metrics().peak_hot_bytes, store.len(Tier::Hot), store.len(Tier::Warm)), (100, 10, 54));
    assert_eq!(validate(&store), 64);
}

#[test]
fn a_load_is_in_its_order() {
    let store = builder(1000).warm_capacity(Capacity::entries(100)).build().unwrap();
    store.store_all((0..500).map(|key| (key % 300, 5)));
    let tiers = Tier::ALL.map(|tier| store.iter(tier).map(|item| item.key).collect::<Vec<_>>());
    // From the last that was stored down: 199 to 0, and then 299 to 200.
    let all: Vec<_> = (0..200).rev().chain((200..300).rev()).collect();
    assert_eq!(tiers, [all[..200].to_vec(), all[200..].to_vec(), vec![]]);
}

/// Another thread replaces the first fragment of a load while that makes room, and so has a later place in the order; what comes after it in the load is later still.
#[test]
fn a_load_is_in_its_order_though_one_is_overtaken() {
    let overtaken = |store: &Arc<TierStore<u32, u64>>| {
        store.store(1, 1).unwrap();
        let other = Arc::clone(store);
        arm(Step::Reserved, move || {
            std::thread::spawn(move || assert!(other.store(1, 1).is_ok())).join().unwrap();
        });
        store.store_all([(1, 1), (2, 1), (3, 1)]);
    };
    let store = Arc::new(builder(100).build().unwrap());
    overtaken(&store);
    assert_eq!(store.iter(Tier::Hot).map(|item| item.key).collect::<Vec<_>>(), [3, 2, 1]);
    // And the first is what leaves.
    let gone = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&gone);
    let tiny = builder(2).warm_capacity(Capacity::entries(0)).cold_capacity(Capacity::entries(0));
    let tiny = tiny.listener_causes([Cause::Overflowed]).listener(move |gone| told.lock().unwrap().push(*gone.key));
    overtaken(&Arc::new(tiny.build().unwrap()));
    assert_eq!(*gone.lock().unwrap(), [1]);
}

/// Each fragment of a chunk has a time of its own: what has become due since the one before it is ended, and not replaced.
#[test]
fn each_fragment_of_a_chunk_reads_the_time() {
    let (asked, told) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (count, tell, start) = (Arc::clone(&asked), Arc::clone(&told), Instant::now());
    let store = builder(100)
        .expire_after(Tier::Hot, Duration::from_secs(10))
        // For both of the chunk when they are built, and for the first that is stored, it is early. Then it is late.
        .clock(move || start + Duration::from_secs(if count.fetch_add(1, Relaxed) < 3 { 0 } else { 10 }))
        .listener(move |gone| tell.lock().unwrap().push((*gone.key, gone.cause)))
        .build()
        .unwrap();
    store.store_all([(1, 1), (2, 2)]);
    asked.store(0, Relaxed);
    store.store_all([(1, 3), (2, 4)]);
    assert_eq!(*told.lock().unwrap(), [(1, Cause::Replaced), (2, Cause::Expired)]);
}

fn cells(store: &TierStore<u32, u64>) -> usize {
    store.core.index.cells(&crossbeam_epoch::pin())
}

/// An iterator that promises so many, and gives none.
fn promise(fragments: usize) -> impl Iterator<Item = (u32, u64)> {
    struct Promise(usize);
    impl Iterator for Promise {
        type Item = (u32, u64);
        fn next(&mut self) -> Option<(u32, u64)> {
            None
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (self.0, None)
        }
    }
    Promise(fragments)
}

#[test]
fn an_index_is_made_large_enough_at_once() {
    let store = builder(1 << 40).build().unwrap();
    store.store_all(promise(100_000));
    let made = cells(&store);
    assert!((100_000..=1 << 18).contains(&made), "{made}");
    store.store_all((0..100_000).map(|key| (key, 1)));
    assert_eq!(cells(&store), made, "it was not moved again");
    assert_eq!(validate(&store), 100_000);
    let store = builder(1 << 40).build().unwrap();
    store.store_all(promise(usize::MAX));
    assert_eq!(cells(&store), 1 << 22, "as large as a hint makes it");
}

#[test]
fn an_index_is_made_no_larger_than_what_the_tiers_can_hold() {
    let bounded = |budget: u64, warm: Capacity, cold: Capacity| {
        let store = builder(budget).warm_capacity(warm).cold_capacity(cold).build().unwrap();
        store.store_all(promise(usize::MAX));
        cells(&store)
    };
    let small = bounded(0, Capacity::entries(0), Capacity::bytes(0));
    assert_eq!(cells(&builder(1).build().unwrap()), small);
    assert_eq!(bounded(10, Capacity::entries(10), Capacity::bytes(10)), small);
    let larger = bounded(1000, Capacity::entries(1 << 40).and_bytes(2000), Capacity::entries(3000));
    assert!((6000..=1 << 14).contains(&larger), "{larger}");
    assert_eq!(bounded(1000, Capacity::UNBOUNDED, Capacity::entries(0)), 1 << 22);
    // What is there has its room already.
    let store = builder(0).warm_capacity(Capacity::entries(5000)).cold_capacity(Capacity::entries(0)).build().unwrap();
    for key in 0..5000 {
        store.store(key, 1).unwrap();
    }
    let before = cells(&store);
    store.store_all(promise(usize::MAX));
    assert_eq!(cells(&store), before);
}

#[test]
fn few_fragments_do_not_move_a_large_index() {
    let store = builder(1 << 40).build().unwrap();
    let mut key = 0..;
    let mut moves = 0;
    for _ in 0..1000 {
        let before = cells(&store);
        store.store_all(promise(130));
        moves += usize::from(cells(&store) != before);
        store.store_all(key.by_ref().take(65).map(|key| (key, 1)).filter(|_| true));
    }
    assert!(moves <= 5, "{moves} moves in advance");
    assert_eq!(validate(&store), 65_000);
}
