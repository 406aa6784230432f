//! Values that are large by themselves, on a thread with the usual stack: what is stored is moved to its node at once.
//!
//! How large they may be depends on what the compiler moves on the stack: without optimization each call's copies have room of their own.

use std::thread;

use tierstack::{Capacity, Tier, TierStore};

const STACK: usize = 2 << 20;

const OWNED: usize = if cfg!(debug_assertions) { 160 << 10 } else { 512 << 10 };
const LENT: usize = if cfg!(debug_assertions) { 256 << 10 } else { 512 << 10 };

fn on_a_usual_stack(run: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(STACK).spawn(run).unwrap().join().unwrap();
}

/// Room for one in each tier.
fn store<const N: usize>() -> TierStore<u32, [u8; N]> {
    let builder = TierStore::builder(1).weigher(|_, _: &[u8; N]| 1);
    builder.warm_capacity(Capacity::entries(1)).cold_capacity(Capacity::entries(1)).build().unwrap()
}

// Each call has a frame of its own: without optimization every value in it has room of its own.

#[inline(never)]
fn store_owned<const N: usize>(store: &TierStore<u32, [u8; N]>, key: u32, byte: u8) {
    assert!(store.store(key, [byte; N]).is_ok());
}

#[inline(never)]
fn store_lent<const N: usize>(store: &TierStore<u32, [u8; N]>, key: u32, byte: u8) {
    assert!(store.pin().store(key, [byte; N]).is_ok());
}

#[inline(never)]
fn look<const N: usize>(store: &TierStore<u32, [u8; N]>, key: u32, byte: u8) {
    let view = store.pin();
    let value = view.peek(&key).unwrap().value;
    assert!(value.iter().all(|found| *found == byte));
}

fn new_replaced_demoted_and_pushed_out<const N: usize>(put: fn(&TierStore<u32, [u8; N]>, u32, u8)) {
    let store = store::<N>();
    put(&store, 0, 10);
    put(&store, 0, 20);
    for key in 1..5 {
        put(&store, key, 30);
    }
    put(&store, 4, 40);
    look(&store, 4, 40);
    look(&store, 3, 30);
    assert_eq!(Tier::ALL.map(|tier| store.len(tier)), [1, 1, 1]);
}

#[test]
fn stored_by_owned_operations() {
    on_a_usual_stack(|| new_replaced_demoted_and_pushed_out::<OWNED>(store_owned));
}

#[test]
fn stored_through_views() {
    on_a_usual_stack(|| new_replaced_demoted_and_pushed_out::<LENT>(store_lent));
}
