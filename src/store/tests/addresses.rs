//! Addresses that the index cannot hold.

use super::sweep::validate;
use crate::engine::index::pretend::ARE_HIGH;
use crate::{Refusal, Tier, TierStore};

#[test]
fn what_is_placed_at_too_high_an_address_is_handed_back_and_changes_nothing() {
    let store = TierStore::<String, String>::builder(10).weigher(|_, value| value.len() as u64).build().unwrap();
    store.store("old".into(), "12345678".into()).unwrap();
    ARE_HIGH.set(true);
    for key in ["old", "new"] {
        let refused = store.store(key.into(), "value".into()).unwrap_err();
        assert_eq!((&*refused.key, &*refused.value, refused.reason), (key, "value", Refusal::AddressTooHigh));
    }
    ARE_HIGH.set(false);
    assert_eq!((store.hot_bytes(), store.len(Tier::Warm), store.metrics().stores), (8, 0, 1));
    assert_eq!(store.get("old").unwrap().value, "12345678");
    assert_eq!(validate(&store), 1);
    store.store("new".into(), "value".into()).unwrap();
    assert_eq!(validate(&store), 2);
}
