//! Exact LRU, by the crate `lru` and by tierstack, in one tier: which requests hit is a matter of the order alone, and both must
//! say the same of each.

use std::num::NonZeroUsize;

use lru::LruCache;
use tierstack::{Capacity, TierStore};
use tierstack_benches::{
    requests::Requests,
    results::Results,
    subject::{Hasher, Subject as _},
    subjects::Owned,
};

/// How many requests hit where room is for so many fragments.
fn hits(requests: &Requests, room: usize) -> u64 {
    let mut lru = LruCache::with_hasher(NonZeroUsize::new(room).expect("there is some room"), Hasher::default());
    // What leaves hot leaves the store.
    let store: TierStore<String, (), Hasher> = TierStore::builder(room as u64)
        .weigher(|_: &String, (): &()| 1)
        .warm_capacity(Capacity::entries(0))
        .cold_capacity(Capacity::entries(0))
        .hasher(Hasher::default())
        .build()
        .expect("the budget is far below the largest");
    let mut hits = 0;
    for at in 0..requests.len() {
        let key = requests.key(at);
        let is_hit = lru.get(key).is_some();
        assert_eq!(store.get(key).is_some(), is_hit, "request {at} of {}, room for {room}", requests.name);
        if is_hit {
            hits += 1;
        } else {
            lru.put(key, ());
            assert!(store.store(key.to_owned(), ()).is_ok(), "no weight is above the limit");
        }
    }
    hits
}

/// Measures the hit ratios, and returns rows of a table.
#[allow(clippy::cast_precision_loss, reason = "requests are far below 2^52")]
pub fn measure(requests: &Requests, room: u64, results: &mut Results) -> Vec<Vec<String>> {
    let room = usize::try_from(room).expect("the room fits the address space");
    let rooms = [room / 4, room, 4 * room].into_iter().filter(|&room| room > 0);
    rooms
        .map(|room| {
            let ratio = hits(requests, room) as f64 / requests.len() as f64;
            let at = [("trace", requests.name.clone().into()), ("fragments", room.into())];
            for subject in ["lru", <Owned<u64>>::NAME] {
                results.row("trace_one_tier", subject, &at, &[("hit_ratio", ratio.into())]);
            }
            vec![requests.name.clone(), room.to_string(), format!("{:.2}", 100.0 * ratio)]
        })
        .collect()
}
