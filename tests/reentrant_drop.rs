//! A value's destructor, which the collector runs, may use this store and others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tierstack::TierStore;

#[test]
fn a_value_may_use_another_store_when_it_is_dropped() {
    struct Archived(u32, Arc<TierStore<u32, u32>>);
    impl Drop for Archived {
        fn drop(&mut self) {
            let _ = self.1.store(self.0 % 7, self.0);
        }
    }
    let heavy = || TierStore::builder(1 << 40).weigher(|_: &u32, _: &u32| 1 << 20).build().unwrap();
    let archive = Arc::new(heavy());
    let store: TierStore<u32, Archived> = TierStore::builder(1 << 40).weigher(|_, _| 1 << 20).build().unwrap();
    let view = store.pin();
    for number in 0..20_000 {
        view.store(0, Archived(number, Arc::clone(&archive))).unwrap();
    }
    drop(view);
    drop(store);
    let until = Instant::now() + Duration::from_mins(1);
    while archive.metrics().stores < 20_000 && Instant::now() < until {
        archive.flush();
    }
    assert_eq!(archive.metrics().stores, 20_000);
    assert_eq!((archive.metrics().hot.fragments, archive.metrics().replacements), (7, 19_993));
}
