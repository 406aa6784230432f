//! The collector is the process's own: what others retire there is run by any thread. A test binary of its own, as it would make the
//! threads of other tests panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tierstack::{Tier, TierStore};

#[test]
fn a_destructor_of_others_that_panics_in_the_collector_breaks_nothing() {
    let store: TierStore<u32, String> =
        TierStore::builder(1 << 30).weigher(|_: &u32, _: &String| 100_000).build().unwrap();
    for round in 0..2_000 {
        if round % 50 == 0 {
            crossbeam_epoch::pin().defer(|| panic!("somebody else's"));
        }
        // A pin may collect, and panic, before anything is done; the store's own flushes do not.
        let _ = catch_unwind(AssertUnwindSafe(|| store.store(round % 3, round.to_string())));
    }
    for key in 0..3 {
        let got = (0..100).find_map(|_| catch_unwind(AssertUnwindSafe(|| store.get(&key))).ok()).unwrap();
        assert!(got.unwrap().value.parse::<u32>().unwrap() % 3 == key);
    }
    let metrics = store.metrics();
    assert_eq!((metrics.hot.fragments, metrics.hot.bytes), (3, 300_000));
    assert_eq!(catch_unwind(AssertUnwindSafe(|| store.iter(Tier::Hot).count())).unwrap_or(3), 3);
}
