//! Counters and gauges, as a recorder gets them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tierstack::{Capacity, Tier, TierStore};

use crate::alone;

/// By name and labels: counts, and the bits of gauges.
#[derive(Default)]
struct Numbers(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Numbers {
    fn of(&self, kind: &str, key: &Key) -> Arc<AtomicU64> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = format!("{kind} {} {}", key.name(), labels.join(" "));
        Arc::clone(self.0.lock().unwrap().entry(name).or_default())
    }

    fn count(&self, name: &str, store: &str) -> u64 {
        let numbers = self.0.lock().unwrap();
        numbers[&format!("counter tierstack_{name} store={store}")].load(Ordering::Relaxed)
    }

    /// A gauge, which is set to whole numbers.
    fn gauge(&self, name: &str, labels: &str) -> String {
        let numbers = self.0.lock().unwrap();
        f64::from_bits(numbers[&format!("gauge tierstack_{name} {labels}")].load(Ordering::Relaxed)).to_string()
    }
}

impl Recorder for Numbers {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of("counter", key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.of("gauge", key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn one_call_hands_over_all_numbers() {
    let _alone = alone();
    let store = TierStore::<u32, u32>::builder(30).weigher(|_, _| 10).warm_capacity(Capacity::entries(2));
    let store = store.cold_capacity(Capacity::entries(1)).build().unwrap();
    let numbers = Numbers::default();
    let metrics = metrics::with_local_recorder(&numbers, || {
        store.publish_metrics("one");
        assert_eq!((numbers.count("stores", "one"), numbers.gauge("fragments", "store=one tier=hot")), (0, "0".into()));
        for key in 0..8 {
            store.store(key, 0).unwrap();
        }
        store.store(7, 1).unwrap();
        store.get(&7);
        store.get(&100);
        store.keep(&6).unwrap();
        store.promote(&3).unwrap();
        store.demote(&7).unwrap();
        store.remove(&7).unwrap();
        store.store_until(8, 0, std::time::Instant::now()).unwrap();
        assert!(!store.contains(&8));
        let leaving = store.start_leaving(Capacity::entries(1));
        assert!(store.finish_leaving(&leaving[0]));
        assert_eq!(numbers.count("stores", "one"), 0, "nothing is handed over in between");
        let metrics = store.metrics();
        store.publish_metrics("one");
        let other: TierStore<u32, u32> = TierStore::new(100).unwrap();
        other.store(1, 1).unwrap();
        other.publish_metrics("other");
        metrics
    });
    let counts = [
        ("hits", metrics.hits),
        ("misses", metrics.misses),
        ("stores", metrics.stores),
        ("replacements", metrics.replacements),
        ("promotions", metrics.promotions),
        ("demotions", metrics.demotions),
        ("evictions", metrics.evictions),
        ("removals", metrics.removals),
        ("overflowed", metrics.overflowed),
        ("expired", metrics.expired),
        ("archived", metrics.archived),
        ("contended", metrics.contended),
    ];
    for (name, count) in counts {
        assert_eq!(numbers.count(name, "one"), count, "{name}");
        assert!(count > 0 || name == "contended", "{name} says nothing");
    }
    assert_eq!(numbers.count("stores", "other"), 1);
    assert_eq!(numbers.gauge("peak_hot_bytes", "store=one"), metrics.peak_hot_bytes.to_string());
    // Freed meanwhile, perhaps, by another thread.
    let retired: u64 = numbers.gauge("retired_bytes", "store=one").parse().unwrap();
    assert!((store.metrics().retired_bytes..=metrics.retired_bytes).contains(&retired));
    for tier in Tier::ALL {
        let (held, labels) = (metrics.tier(tier), format!("store=one tier={tier}"));
        let expected = [
            ("fragments", held.fragments),
            ("bytes", held.bytes),
            ("kept_fragments", held.kept_fragments),
            ("kept_bytes", held.kept_bytes),
        ];
        for (name, number) in expected {
            assert_eq!(numbers.gauge(name, &labels), number.to_string(), "{name} of {tier}");
        }
    }
    assert_eq!(metrics.hot.kept_bytes, 10);
    assert_eq!(numbers.0.lock().unwrap().len(), 2 * (12 + 2 + 3 * 4), "and nothing else");
}

/// Each goes on from where the last one of that name was.
#[test]
fn the_counters_of_a_name_are_of_all_stores_that_had_it() {
    let _alone = alone();
    let numbers = Numbers::default();
    let new = || TierStore::<u32, u32>::new(1 << 20).unwrap();
    let store_some = |store: &TierStore<u32, u32>, count: u32| {
        for key in 0..count {
            store.store(key, key).unwrap();
        }
    };
    metrics::with_local_recorder(&numbers, || {
        let first = new();
        store_some(&first, 100);
        first.publish_metrics("plan");
        drop(first);
        let second = new();
        second.publish_metrics("plan");
        assert_eq!(numbers.count("stores", "plan"), 100, "it has stored nothing yet");
        store_some(&second, 60);
        second.publish_metrics("plan");
        second.publish_metrics("plan");
        assert_eq!(numbers.count("stores", "plan"), 160);
        let beside = new();
        store_some(&beside, 7);
        beside.publish_metrics("plan");
        store_some(&second, 1);
        second.publish_metrics("plan");
        assert_eq!(numbers.count("stores", "plan"), 168);
        assert_eq!(numbers.gauge("fragments", "store=plan tier=hot"), "60", "of the last one");
    });
}

#[test]
fn calls_at_once_hand_over_each_part_once() {
    let _alone = alone();
    let numbers = Numbers::default();
    let store = TierStore::<u32, u32>::new(1 << 20).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (store, numbers) = (&store, &numbers);
            scope.spawn(move || {
                metrics::with_local_recorder(numbers, || {
                    for key in 0..500 {
                        store.store(thread, key).unwrap();
                        store.publish_metrics("one");
                    }
                });
            });
        }
    });
    assert_eq!(numbers.count("stores", "one"), 2000);
    assert_eq!(numbers.count("replacements", "one"), 1996);
}
