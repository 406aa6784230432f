//! What does not hold together is an error that says what is wrong, and hands back what it can.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value as Json, from_value, json, to_value};
use tierstack::{
    BuildError, Capacity, DefaultHasher, MAX_BYTES, Refusal, RestoreRefusal, StoreSnapshot, Tier, TierStore,
};

use crate::{Shown, builder, value};

/// As a snapshot is written: of 1 to 6 in two tiers each, of which two are kept.
fn written() -> Json {
    let fragment = |key: u8, weight: u64, tier: &str, kept: bool| json!({"key": key, "value": {"weight": weight, "text": ""}, "weight": weight, "tier": tier, "kept": kept, "expires_in": null});
    json!({"format": 1, "fragments": [
        fragment(1, 4, "warm", true),
        fragment(2, 5, "hot", false),
        fragment(3, 6, "cold", false),
        fragment(4, 1, "hot", true),
        fragment(5, 0, "warm", false),
        fragment(6, 9, "cold", false),
    ]})
}

#[track_caller]
fn read(json: &Json) -> Shown {
    from_value(json.clone()).unwrap()
}

/// The error where something else stands at a place.
#[track_caller]
fn error_with(pointer: &str, other: Json) -> String {
    let mut json = written();
    *json.pointer_mut(pointer).unwrap() = other;
    from_value::<Shown>(json).unwrap_err().to_string()
}

fn keys(snapshot: &Shown, tier: Tier) -> Vec<u8> {
    snapshot.tier(tier).iter().map(|item| item.key).collect()
}

#[test]
fn json_is_as_it_is_documented_with_fields_in_any_order_and_unknown_ones() {
    let snapshot = read(&written());
    assert_eq!(Tier::ALL.map(|tier| keys(&snapshot, tier)), [vec![2, 4], vec![1, 5], vec![3, 6]]);
    assert_eq!(Tier::ALL.map(|tier| snapshot.bytes(tier)), [6, 4, 15]);
    assert_eq!(to_value(&snapshot).unwrap(), written());
    assert_eq!(
        serde_json::to_string(&snapshot).unwrap()[..60],
        r#"{"format":1,"fragments":[{"key":1,"value":{"weight":4,"text""#[..60]
    );
    let restored = builder(6).restore(snapshot).unwrap();
    assert_eq!(to_value(restored.snapshot()).unwrap(), written());
    assert_eq!(to_value(restored.pin().snapshot()).unwrap(), written());

    let text = r#"{"fragments":[{"kept":false,"of later":[],"tier":"cold","weight":1,"value":{"text":"","weight":1},"key":7}],"format":1,"more":null}"#;
    let snapshot: Shown = serde_json::from_str(text).unwrap();
    assert_eq!(keys(&snapshot, Tier::Cold), [7]);
    let none: Shown = from_value(json!({"format": 1, "fragments": []})).unwrap();
    assert!(none.is_empty() && none.get(&1).is_none() && builder(0).restore(none).unwrap().is_empty());
}

#[test]
fn what_is_no_snapshot_is_not_read() {
    for (pointer, other, told) in [
        ("/format", json!(2), "expected 1, the format of this version"),
        ("/format", json!(0), "expected 1, the format of this version"),
        ("/format", json!(-1), "invalid value: integer `-1`"),
        ("/fragments", json!({}), "expected a sequence of fragments"),
        ("/fragments/1/key", json!(1), "two fragments have the same key"),
        ("/fragments/5/key", json!(1), "two fragments have the same key"),
        ("/fragments/0/tier", json!("tepid"), "unknown variant `tepid`"),
        ("/fragments/0/tier", json!(null), "invalid type"),
        ("/fragments/0/kept", json!(1), "invalid type"),
        ("/fragments/0/weight", json!(-1), "invalid value"),
        ("/fragments/0/weight", json!(MAX_BYTES + 1), "a weight that a store takes"),
        ("/fragments/0", json!({"key": 1}), "missing field"),
        ("/fragments/0", json!([]), "invalid length 0"),
    ] {
        let error = error_with(pointer, other.clone());
        assert!(error.contains(told), "{pointer}: {other}: {error}");
    }
    for gone in ["format", "fragments"] {
        let mut json = written();
        json.as_object_mut().unwrap().remove(gone);
        assert!(from_value::<Shown>(json).unwrap_err().to_string().contains(&format!("missing field `{gone}`")));
    }
}

/// The refusal, for a builder of that budget; what is handed back is as it was.
#[track_caller]
fn refusal(budget: u64, json: &Json) -> RestoreRefusal {
    let error = builder(budget).restore(read(json)).unwrap_err();
    assert_eq!(&to_value(*error.snapshot.expect("it is handed back")).unwrap(), json);
    assert!(format!("{:?}", builder(budget).restore(read(json)).unwrap_err()).contains("reason"));
    error.reason
}

#[test]
fn what_does_not_fit_the_builder_is_handed_back() {
    let json = written();
    assert_eq!(refusal(5, &json), RestoreRefusal::OverBudget { bytes: 6, budget: 5 });
    assert_eq!(refusal(0, &json), RestoreRefusal::OverBudget { bytes: 6, budget: 0 });
    let budget = MAX_BYTES + 1;
    assert_eq!(refusal(budget, &json), RestoreRefusal::Build(BuildError::BudgetTooLarge { budget }));
    let mut light = json.clone();
    *light.pointer_mut("/fragments/3/weight").unwrap() = json!(0);
    // Tier by tier it is the second.
    assert_eq!(refusal(9, &light), RestoreRefusal::WeightDiffers { number: 1, shown: 0, weighed: 1 });
    let mut heavy = read(&json);
    heavy.reweigh(|_, _| MAX_BYTES).unwrap();
    let error = builder(9).weigher(|_, _| MAX_BYTES).restore(heavy).unwrap_err();
    assert!(matches!(error.reason, RestoreRefusal::OverBudget { .. }), "{error}");
    let too_heavy = Refusal::TooHeavy { weight: MAX_BYTES + 1 };
    let shown = read(&json!({"format": 1, "fragments": [json["fragments"][2]]}));
    let error = builder(9).weigher(|_, _| MAX_BYTES + 1).restore(shown).unwrap_err();
    assert!(matches!(error.reason, RestoreRefusal::WeightDiffers { weighed, .. } if weighed > MAX_BYTES), "{error}");
    assert_eq!(error.snapshot.unwrap().reweigh(|_, _| MAX_BYTES + 1), Err(too_heavy));
    for (error, told) in [
        (
            RestoreRefusal::OverBudget { bytes: 2, budget: 1 },
            "the 2 bytes in hot are more than the hot budget of 1 bytes",
        ),
        (RestoreRefusal::KeyTwice, "two fragments have the same key"),
        (RestoreRefusal::WeightDiffers { number: 3, shown: 1, weighed: 2 }, "fragment 3 weighs 2 bytes by the weigher"),
    ] {
        assert!(error.to_string().starts_with(told), "{error}");
    }
}

#[test]
fn weights_that_add_up_beyond_all_bounds_are_over_any_budget() {
    let fragment = |key: u8, tier: &str, kept: bool| json!({"key": key, "value": value(MAX_BYTES), "weight": MAX_BYTES, "tier": tier, "kept": kept, "expires_in": null});
    for kept in [false, true] {
        let hot: Vec<_> = (0..200).map(|key| fragment(key, "hot", kept)).collect();
        let json = json!({"format": 1, "fragments": hot});
        assert_eq!(refusal(MAX_BYTES, &json), RestoreRefusal::OverBudget { bytes: 200 * MAX_BYTES, budget: MAX_BYTES });
    }
    let cold: Vec<_> = (0..200).map(|key| fragment(key, "cold", false)).collect();
    let json = json!({"format": 1, "fragments": cold});
    let store = builder(0).restore(read(&json)).unwrap();
    assert_eq!((store.len(Tier::Cold), store.bytes(Tier::Cold)), (200, 200 * MAX_BYTES));
}

/// What was kept when the budget was lowered: a store may hold it, so that a snapshot may show it.
#[test]
fn what_is_kept_in_hot_may_be_over_the_budget_and_nothing_else() {
    let store = builder(20).build().unwrap();
    for key in [1, 2] {
        store.store(key, value(6)).unwrap();
        store.keep(&key).unwrap();
    }
    store.store(3, value(5)).unwrap();
    store.set_hot_budget(7).unwrap();
    let shown = store.snapshot();
    assert_eq!((shown.bytes(Tier::Hot), store.tier_of(&3)), (12, Some(Tier::Warm)));
    let restored = builder(7).restore(shown).unwrap();
    assert_eq!((restored.hot_bytes(), restored.hot_budget()), (12, 7));
    assert_eq!(restored.enforce_hot_budget(), store.enforce_hot_budget());
    assert_eq!(restored.let_go(&1).map(|kept| kept.tier), store.let_go(&1).map(|kept| kept.tier));
    assert_eq!((restored.hot_bytes(), store.hot_bytes()), (6, 6));

    // With something else beside it that does not fit.
    let store = builder(20).build().unwrap();
    store.store(1, value(8)).unwrap();
    store.keep(&1).unwrap();
    store.store(2, value(2)).unwrap();
    let error = builder(7).restore(store.snapshot()).unwrap_err();
    assert_eq!(error.reason, RestoreRefusal::OverBudget { bytes: 10, budget: 7 });
    assert!(error.to_string().starts_with("the store was not restored: "));
}

#[test]
fn what_is_over_a_capacity_moves_down_and_out() {
    let left = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let list = std::sync::Arc::clone(&left);
    let builder = builder(6).warm_capacity(Capacity::entries(0)).cold_capacity(Capacity::entries(2));
    let store = builder
        .listener_causes([tierstack::Cause::Overflowed])
        .listener(move |gone| list.lock().unwrap().push(*gone.key))
        .restore(read(&written()))
        .unwrap();
    // 1 is kept; 5, and then 6 as the least recently used, go.
    assert_eq!(store.iter(Tier::Warm).map(|item| item.key).collect::<Vec<_>>(), [1]);
    assert_eq!(store.iter(Tier::Cold).map(|item| item.key).collect::<Vec<_>>(), [3, 5]);
    assert_eq!(*left.lock().unwrap(), [6]);
}

static LIES: AtomicBool = AtomicBool::new(false);

/// A key that, from an instant on, is equal to every other.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Liar(u8);

impl Hash for Liar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if LIES.load(Ordering::Relaxed) { 0_u8 } else { self.0 }.hash(state);
    }
}

impl PartialEq for Liar {
    fn eq(&self, other: &Self) -> bool {
        LIES.load(Ordering::Relaxed) || self.0 == other.0
    }
}

impl Eq for Liar {}

#[test]
fn keys_that_lie_are_an_error() {
    type Lying = StoreSnapshot<Liar, u8, DefaultHasher>;
    let store = TierStore::<Liar, u8>::new(100).unwrap();
    for key in 0..5 {
        store.store(Liar(key), key).unwrap();
    }
    let snapshot = store.snapshot();
    let json = to_value(&snapshot).unwrap();
    LIES.store(true, Ordering::Relaxed);
    assert!(from_value::<Lying>(json).is_err());
    let error = TierStore::<Liar, u8>::builder(100).restore(snapshot).unwrap_err();
    assert_eq!(error.reason, RestoreRefusal::KeyTwice);
    assert!(error.snapshot.is_none());
    LIES.store(false, Ordering::Relaxed);
}
