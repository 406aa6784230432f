//! Any bytes, read as snapshots: an error, or what a store and a plan are restored from.
#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tierstack::internals::validate;
use tierstack::{Builder, Capacity, Event, MAX_BYTES, PlanContext, Snapshot, StoreSnapshot, Tier, TierStore};

/// A key, and a value that is a part of its weight.
type Shown = StoreSnapshot<u8, u32>;

#[derive(Clone, Copy)]
enum Format {
    Postcard,
    Json,
}

impl Format {
    fn read<T: DeserializeOwned>(self, bytes: &[u8]) -> Option<T> {
        match self {
            Self::Postcard => postcard::from_bytes(bytes).ok(),
            Self::Json => serde_json::from_slice(bytes).ok(),
        }
    }

    fn write<T: Serialize>(self, value: &T) -> Vec<u8> {
        match self {
            Self::Postcard => postcard::to_stdvec(value).expect("a snapshot can be written"),
            Self::Json => serde_json::to_vec(value).expect("a snapshot can be written"),
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as weighers are")]
fn weigh(_: &u8, value: &u32) -> u64 {
    u64::from(*value)
}

/// The time stands still: what has no time left is due when it is restored.
static NOW: LazyLock<Instant> = LazyLock::new(Instant::now);

fn builder(budget: u64) -> Builder<u8, u32> {
    TierStore::builder(budget).weigher(weigh).clock(|| *NOW)
}

type Portrait = Vec<(Tier, u8, u32, u64, bool)>;

fn portrait(snapshot: &Shown) -> Portrait {
    let shown = |(tier, item): (Tier, &tierstack::Item<u8, u32>)| (tier, item.key, item.value, item.weight, item.kept);
    snapshot.iter().map(shown).collect()
}

/// What stands when it is restored.
fn standing(shown: &Shown) -> Portrait {
    let mut portrait = portrait(shown);
    portrait.retain(|(_, key, .., kept)| *kept || shown.expires_in(key) != Some(Duration::ZERO));
    portrait
}

/// The snapshot, with the weights that a store of this kind gives.
fn admitted(snapshot: Shown, budget: u64) -> Shown {
    let (before, standing) = (portrait(&snapshot), standing(&snapshot));
    match builder(budget).restore(snapshot) {
        Ok(store) => {
            validate(&store);
            let restored = store.snapshot();
            if restored.bytes(Tier::Hot) <= budget {
                assert_eq!(portrait(&restored), standing);
            } else {
                // Beside what is kept over the budget, what weighs nothing was shown too, as of an operation in flight.
                assert!(restored.tier(Tier::Hot).iter().all(|item| item.kept));
                assert_eq!(restored.len(), standing.len());
            }
            restored
        }
        Err(refused) => {
            let mut snapshot = *refused.snapshot.expect("keys do not lie");
            assert_eq!(portrait(&snapshot), before, "it is handed back as it was");
            snapshot.reweigh(weigh).expect("values are small");
            snapshot
        }
    }
}

fn restore_stores(format: Format, snapshot: Shown, settings: [u8; 3]) {
    let again: Shown = format.read(&format.write(&snapshot)).expect("what was written is read");
    assert_eq!((portrait(&again), format.write(&again)), (portrait(&snapshot), format.write(&snapshot)));

    let [budget, warm, cold] = settings;
    let snapshot = admitted(snapshot, u64::from(budget));
    // Without what is due.
    let snapshot = builder(snapshot.bytes(Tier::Hot)).restore(snapshot).expect("it fits").snapshot();
    let hot = snapshot.bytes(Tier::Hot);
    assert!(hot <= MAX_BYTES, "256 weights of 32 bits");
    if let Some(short) = hot.checked_sub(1)
        && let Ok(store) = builder(short).restore(snapshot.clone())
    {
        validate(&store);
        assert!(store.iter(Tier::Hot).all(|item| item.kept), "only what is kept may be over the budget");
    }
    let store = builder(hot).restore(snapshot.clone()).expect("it fits");
    assert_eq!(validate(&store), snapshot.len());
    assert_eq!(portrait(&store.snapshot()), portrait(&snapshot));
    assert_eq!(format.write(&store.snapshot()), format.write(&snapshot), "also in the order of all");
    for tier in Tier::ALL.into_iter().rev() {
        let order = snapshot.tier(tier).iter().rev().filter(|item| !item.kept);
        for item in order {
            assert_eq!(store.evict_lru(tier).map(|evicted| evicted.key), Some(item.key));
        }
        assert_eq!(store.evict_lru(tier), None);
        // What has come down is not looked at again.
        for item in store.iter(tier.below().unwrap_or(tier)).filter(|item| !item.kept) {
            store.remove(&item.key);
        }
    }
    validate(&store);

    let bounded =
        builder(hot).warm_capacity(Capacity::bytes(warm.into())).cold_capacity(Capacity::entries(cold.into()));
    let store = bounded.restore(snapshot).expect("it fits");
    validate(&store);
}

fn restore_plan(format: Format, snapshot: &Snapshot<u8>) {
    let trail = |plan: &PlanContext<u8>| plan.snapshot().audit().map(Event::cloned).collect::<Vec<_>>();
    let restored = PlanContext::restore(snapshot);
    let replayed = PlanContext::replay(trail(&restored)).expect("it is a plan's");
    for round in 0..3 {
        assert_eq!(trail(&restored), trail(&replayed));
        assert_eq!(format.write(&restored.snapshot()), format.write(&replayed.snapshot()));
        let again: Snapshot<u8> = format.read(&format.write(&restored.snapshot())).expect("what was written is read");
        assert_eq!(again.sequence(), restored.sequence());
        for plan in [&restored, &replayed] {
            let savepoint = plan.savepoint();
            let _ = plan.record_change(round);
            plan.start_changeset().record_all([round, 2]).expect("it is open");
            match round {
                0 => drop(plan.current().map(|id| plan.close(id))),
                1 => drop(plan.roll_back_to(&savepoint).expect("it is in force")),
                _ => drop(plan.current().map(|id| plan.abort(id))),
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let [format, budget, warm, cold, bytes @ ..] = data else { return };
    let format = if format % 2 == 0 { Format::Postcard } else { Format::Json };
    if let Some(snapshot) = format.read::<Shown>(bytes) {
        restore_stores(format, snapshot, [*budget, *warm, *cold]);
    }
    if let Some(snapshot) = format.read::<Snapshot<u8>>(bytes) {
        restore_plan(format, &snapshot);
    }
});
