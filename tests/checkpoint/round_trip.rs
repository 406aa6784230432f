//! Whatever a store has been through: what is written, read in any format and restored is the same store, and goes on the same.

use proptest::collection::vec;
use proptest::prelude::*;
use tierstack::{Capacity, Tier};

use crate::common::audit;
use crate::format::Format;
use crate::model::{Operation, Weigh};
use crate::{Shown, Store, Value, builder};

const KEYS: u8 = 12;

type Op = Operation<u8, Value>;

#[derive(Clone, Debug)]
struct Setup {
    budget: u64,
    warm: Capacity,
    cold: Capacity,
    slack: u64,
}

impl Setup {
    fn builder(&self, budget: u64) -> tierstack::Builder<u8, Value> {
        builder(budget).warm_capacity(self.warm).cold_capacity(self.cold).recency_slack(self.slack)
    }
}

fn setup() -> impl Strategy<Value = Setup> {
    let capacity = || {
        let some =
            (0..8_u64, 0..90_u64).prop_map(|(entries, bytes)| Capacity { entries: Some(entries), bytes: Some(bytes) });
        prop_oneof![2 => Just(Capacity::UNBOUNDED), 1 => some]
    };
    let slack = prop_oneof![4 => Just(0), 1 => 1..6_u64];
    (0..=60_u64, capacity(), capacity(), slack).prop_map(|(budget, warm, cold, slack)| Setup {
        budget,
        warm,
        cold,
        slack,
    })
}

fn operation() -> impl Strategy<Value = Op> {
    let key = || 0..KEYS;
    let tier = || prop::sample::select(Tier::ALL.to_vec());
    let value = (0..=20_u64, "[a-z\"\\\\\u{e9}]{0,3}").prop_map(|(weight, text)| Value { weight, text });
    prop_oneof![
        10 => (key(), value.clone()).prop_map(|(key, value)| Operation::Store(key, value)),
        2 => (key(), value).prop_map(|(key, value)| Operation::Update(key, value)),
        6 => key().prop_map(Operation::Get),
        3 => (key(), tier()).prop_map(|(key, tier)| Operation::PromoteTo(key, tier)),
        3 => (key(), tier()).prop_map(|(key, tier)| Operation::DemoteTo(key, tier)),
        2 => tier().prop_map(Operation::EvictLru),
        1 => key().prop_map(Operation::Remove),
        3 => key().prop_map(Operation::Keep),
        2 => key().prop_map(Operation::LetGo),
        1 => (0..=60_u64).prop_map(Operation::SetHotBudget),
    ]
}

/// What a store answers, but for versions, which are its own.
fn answer(store: &Store, operation: &Op) -> String {
    let answer = format!("{:?}", operation.ask::<u8, _>(store));
    let mut pieces = answer.split("Version(");
    let first = pieces.next().unwrap_or_default().to_string();
    pieces.fold(first, |said, piece| said + piece.split_once(')').map_or(piece, |(_, rest)| rest))
}

type Portrait = (Vec<(Tier, u8, Value, u64, bool)>, String);

/// All that a snapshot shows, but for versions; and the order of all fragments, which is that in which it is written.
fn portrait(snapshot: &Shown) -> Portrait {
    let items = snapshot.iter().map(|(tier, item)| (tier, item.key, item.value.clone(), item.weight, item.kept));
    (items.collect(), serde_json::to_string(snapshot).unwrap())
}

/// Both are emptied, and answer the same on the way. What is kept is let go, oldest or youngest first.
fn end_alike(one: &Store, other: &Store) {
    let ask = |operation: Op| assert_eq!(answer(one, &operation), answer(other, &operation), "{operation:?}");
    for tier in Tier::ALL {
        ask(Operation::Iter(tier));
        ask(Operation::Bytes(tier));
        // One from each tier, so that what comes from above meets what stands below.
        ask(Operation::EvictLru(tier));
    }
    for key in 0..KEYS {
        ask(Operation::LetGo(key));
    }
    for tier in Tier::ALL {
        while one.len(tier) > 0 {
            ask(Operation::EvictLru(tier));
        }
    }
    assert!(one.is_empty() && other.is_empty());
}

fn config(cases: u32) -> ProptestConfig {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = if cfg!(debug_assertions) { cases / 4 } else { cases };
    }
    config
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn a_restored_store_is_the_same_and_goes_on_the_same(
        setup in setup(),
        before in vec(operation(), 0..60),
        after in vec(operation(), 0..60),
        format in prop::sample::select(Format::ALL.to_vec()),
    ) {
        let store = setup.builder(setup.budget).build().unwrap();
        for operation in &before {
            operation.ask::<u8, _>(&store);
        }
        let snapshot = store.snapshot();
        let bytes = format.write(&snapshot).map_err(|error| TestCaseError::fail(format!("{format:?}: {error}")))?;
        // What lends is written as what owns is.
        prop_assert_eq!(format.write(&store.pin().snapshot()), Ok(bytes.clone()));
        let read: Shown = format.read(&bytes).map_err(|error| TestCaseError::fail(format!("{format:?}: {error}")))?;
        prop_assert_eq!(portrait(&read), portrait(&snapshot));
        for (tier, item) in &read {
            let found = read.get(&item.key).expect("it is shown");
            prop_assert_eq!((found.tier, found.value, found.version), (tier, &item.value, item.version));
            prop_assert_eq!(store.replace_if(item.key, &item.version, item.value.clone()).unwrap_err().reason.to_string(), "the version is of another store");
        }
        for tier in Tier::ALL {
            prop_assert_eq!(read.bytes(tier), snapshot.bytes(tier));
        }

        let restored = setup.builder(store.hot_budget()).restore(read).unwrap();
        audit(&restored, 0..KEYS);
        prop_assert_eq!(portrait(&restored.snapshot()), portrait(&snapshot));
        let metrics = restored.metrics();
        prop_assert_eq!((metrics.stores, metrics.hits, metrics.misses, metrics.evictions), (0, 0, 0, 0));
        prop_assert_eq!(metrics.peak_hot_bytes, store.hot_bytes());
        if setup.slack == 0 {
            for operation in &after {
                prop_assert_eq!(answer(&store, operation), answer(&restored, operation), "{:?}", operation);
            }
        }
        end_alike(&store, &restored);
    }

    #[test]
    fn what_is_cut_off_is_an_error(before in vec(operation(), 0..30), at in any::<prop::sample::Index>()) {
        let store = builder(50).build().unwrap();
        for operation in &before {
            operation.ask::<u8, _>(&store);
        }
        for format in Format::ALL {
            let bytes = format.write(&store.snapshot()).unwrap();
            let cut = &bytes[..at.index(bytes.len())];
            prop_assert!(format.read::<Shown>(cut).is_err(), "{:?}: {:?} of {:?}", format, cut, bytes);
        }
    }

    /// Anything at all, and anything with some bytes changed: an error, or a snapshot, from which a store is made or there is an error.
    #[test]
    fn whatever_is_read_is_an_error_or_a_snapshot(
        before in vec(operation(), 0..30),
        changed in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        anything in vec(any::<u8>(), 0..40),
    ) {
        let store = builder(50).build().unwrap();
        for operation in &before {
            operation.ask::<u8, _>(&store);
        }
        for format in Format::ALL {
            let mut bytes = format.write(&store.snapshot()).unwrap();
            for (at, byte) in &changed {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            for bytes in [&bytes, &anything] {
                let Ok(mut snapshot) = format.read::<Shown>(bytes) else { continue };
                let shown = portrait(&snapshot);
                if let Err(refused) = builder(50).restore(snapshot) {
                    snapshot = *refused.snapshot.expect("it is handed back");
                    prop_assert_eq!(portrait(&snapshot), shown);
                    snapshot.reweigh(|_, value| value.weight() % 1_000).unwrap();
                } else {
                    continue;
                }
                let budget = snapshot.bytes(Tier::Hot);
                let capacity = Capacity { entries: Some(3), bytes: Some(40) };
                let restored = builder(budget).warm_capacity(capacity).cold_capacity(capacity);
                let restored = restored.weigher(|_, value| value.weight() % 1_000).restore(snapshot).unwrap();
                restored.purge_expired();
                audit(&restored, 0..=u8::MAX);
            }
        }
    }
}
