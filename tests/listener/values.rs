//! What the listener is lent is whole, whoever else has it or had it; and goes once, when all have had it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tierstack::{Capacity, Cause, Departure, HEAVY, TierStore};

use crate::common::tracked::{Registry, Tracked};
use crate::common::{collected_until, together};

type Store = TierStore<u32, Tracked>;

fn builder(weight: u64) -> tierstack::Builder<u32, Tracked> {
    let capacity = Capacity::entries(4);
    Store::builder(4 * weight).weigher(move |_, _| weight).warm_capacity(capacity).cold_capacity(capacity)
}

/// A heavy value is moved out to the caller where nobody is told; where somebody is, both have it, and the store has it no more after that.
#[test]
fn caller_and_listener_both_have_what_was_removed() {
    for weight in [1, HEAVY] {
        for told in [true, false] {
            let registry = Registry::new();
            let seen = Arc::new(Mutex::new(Vec::new()));
            let see = Arc::clone(&seen);
            let causes = if told { vec![Cause::Removed, Cause::Replaced] } else { vec![Cause::Overflowed] };
            let builder =
                builder(weight).listener_causes(causes).listener(move |gone: &Departure<'_, u32, Tracked>| {
                    see.lock().unwrap().push(gone.value.number);
                });
            let store = builder.build().unwrap();
            for number in 0..4 {
                store.store(1, registry.tracked(number)).unwrap();
            }
            let removed = store.remove(&1).unwrap();
            assert_eq!(removed.value.number, 3);
            assert_eq!(*seen.lock().unwrap(), if told { vec![0, 1, 2, 3] } else { vec![] });
            // A heavy one does not wait for the epoch.
            assert!(weight < HEAVY || registry.alive() == 1, "{} live", registry.alive());
            drop(removed);
            assert!(collected_until(|| registry.alive() == 0));
        }
    }
}

/// Others read what has left while the listener has it, by clones and by views.
#[test]
fn what_others_still_read_is_lent_all_the_same() {
    for weight in [1, HEAVY] {
        let registry = Registry::new();
        let told = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&told);
        let builder = builder(weight).listener(move |gone: &Departure<'_, u32, Tracked>| {
            assert_eq!(gone.value.number % 8, u64::from(*gone.key));
            count.fetch_add(1, Ordering::Relaxed);
        });
        let store = builder.build().unwrap();
        let stored: usize = together(4, |thread| {
            let mut stored = 0;
            for round in 0..if cfg!(debug_assertions) { 1_000 } else { 5_000 } {
                let key = (round * 3 + u32::try_from(thread).unwrap()) % 8;
                if thread % 2 == 0 {
                    stored += 1;
                    let number = u64::from(round) * 8 + u64::from(key);
                    store.store(key, registry.tracked(number)).unwrap();
                    if round % 5 == 0 {
                        store.remove(&key);
                    }
                } else if round % 2 == 0 {
                    assert!(store.get(&key).is_none_or(|fragment| fragment.value.number % 8 == u64::from(key)));
                } else {
                    let view = store.pin();
                    let lent = view.get(&key);
                    view.remove(&((key + 1) % 8));
                    assert!(lent.is_none_or(|fragment| fragment.value.number % 8 == u64::from(key)));
                }
            }
            stored
        })
        .into_iter()
        .sum();
        let standing = tierstack::Tier::ALL.map(|tier| store.len(tier)).iter().sum::<u64>();
        assert_eq!(told.load(Ordering::Relaxed) as u64 + standing, stored as u64);
        drop(store);
        assert!(collected_until(|| registry.alive() == 0), "{} live", registry.alive());
    }
}

/// A listener that is slow keeps what waits for it, and nothing else.
#[test]
fn what_a_listener_has_not_had_yet_stays_and_nothing_more() {
    let registry = Registry::new();
    let store = builder(1)
        .listener(move |gone: &Departure<'_, u32, Tracked>| assert!(gone.value.number < 100))
        .build()
        .unwrap();
    let view = store.pin();
    for number in 0..100 {
        view.store(7, registry.tracked(number)).unwrap();
    }
    assert_eq!(registry.alive(), 100);
    drop(view);
    assert!(collected_until(|| registry.alive() == 1));
}
