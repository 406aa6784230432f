//! Listeners and destructors that make more of what they are called for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use tierstack::{Capacity, HEAVY, TierStore};

use crate::{Depths, on_a_small_stack};

const MANY: usize = 20_000;

type Store = TierStore<usize, usize>;

/// A store in which a single fragment has room, with a listener that stores `next(number)`, if there is one, in `target`.
fn feeding(
    target: Arc<OnceLock<Weak<Store>>>,
    depths: Arc<Depths>,
    next: impl Fn(usize) -> Option<usize> + Send + Sync + 'static,
) -> Arc<Store> {
    let builder = TierStore::builder(1).weigher(|_, _| 1);
    let builder = builder.warm_capacity(Capacity::entries(0)).cold_capacity(Capacity::entries(0));
    let listener = builder.listener_causes([tierstack::Cause::Overflowed]).listener(move |departure| {
        depths.destructor(|| {
            if let Some(number) = next(*departure.key) {
                let target = target.get().and_then(Weak::upgrade).expect("it stands");
                target.store(number, number).unwrap();
            }
        });
    });
    Arc::new(listener.build().unwrap())
}

#[test]
fn a_listener_that_stores_is_called_in_a_loop() {
    let (target, depths) = (Arc::new(OnceLock::new()), Arc::<Depths>::default());
    let next = |number| (number < MANY).then_some(number + 2);
    let store = feeding(Arc::clone(&target), Arc::clone(&depths), next);
    target.set(Arc::downgrade(&store)).unwrap();
    on_a_small_stack(|| {
        store.store(0, 0).unwrap();
        assert_eq!(depths.done(), 0);
        // Pushes out the first, whose listener pushes out this one, and so on.
        store.store(1, 1).unwrap();
    });
    assert_eq!((depths.done(), depths.deepest()), (MANY + 1, 1));
    assert_eq!((store.len(tierstack::Tier::Hot), store.metrics().overflowed), (1, MANY as u64 + 1));
}

#[test]
fn listeners_of_two_stores_that_store_in_each_other_are_called_in_loops() {
    let targets = [(); 2].map(|()| Arc::new(OnceLock::new()));
    let depths = Arc::<Depths>::default();
    let next = |number| (number < MANY).then_some(number + 2);
    let stores = [1, 0].map(|other: usize| feeding(Arc::clone(&targets[other]), Arc::clone(&depths), next));
    for (target, store) in targets.iter().zip(&stores) {
        target.set(Arc::downgrade(store)).unwrap();
    }
    on_a_small_stack(|| {
        stores[0].store(0, 0).unwrap();
        stores[1].store(0, 0).unwrap();
        stores[0].store(1, 1).unwrap();
    });
    assert!(depths.done() > MANY && depths.deepest() <= 2, "{} calls, {} deep", depths.done(), depths.deepest());
}

/// What a listener's own operation pushes out comes after what was pushed out before it, in the order in which it left.
#[test]
fn what_a_listener_pushes_out_comes_in_order() {
    let (seen, stands) = (Arc::new(Mutex::new(Vec::new())), Arc::new(OnceLock::<Weak<Store>>::new()));
    let listener = {
        let (seen, stands) = (Arc::clone(&seen), Arc::clone(&stands));
        move |departure: &tierstack::Departure<'_, usize, usize>| {
            seen.lock().unwrap().push(*departure.key);
            if *departure.key < 10 {
                let store = stands.get().and_then(Weak::upgrade).unwrap();
                store.store(departure.key + 10, 0).unwrap();
                store.store(departure.key + 20, 0).unwrap();
            }
        }
    };
    let builder = TierStore::builder(3).weigher(|_, _| 1).warm_capacity(Capacity::entries(0));
    let store: Arc<Store> = Arc::new(
        builder
            .cold_capacity(Capacity::entries(0))
            .listener_causes([tierstack::Cause::Overflowed])
            .listener(listener)
            .build()
            .unwrap(),
    );
    stands.set(Arc::downgrade(&store)).unwrap();
    for number in 0..3 {
        store.store(number, 0).unwrap();
    }
    store.set_hot_budget(1).unwrap();
    assert_eq!(*seen.lock().unwrap(), [0, 1, 2, 10, 20, 11, 21, 12]);
}

/// A panic of the listener, of which the outermost call's caller hears, keeps none of the others from it.
#[test]
fn a_listener_that_stores_and_panics_is_called_for_all() {
    let (target, depths) = (Arc::new(OnceLock::new()), Arc::<Depths>::default());
    let calls = Arc::new(AtomicUsize::new(0));
    let next = {
        let calls = Arc::clone(&calls);
        move |number| {
            // Panics within a listener's operation are not for the listener.
            assert!(calls.fetch_add(1, Ordering::Relaxed) != 5, "by design");
            (number < 10).then_some(number + 2)
        }
    };
    let store = feeding(Arc::clone(&target), depths, next);
    target.set(Arc::downgrade(&store)).unwrap();
    store.store(0, 0).unwrap();
    let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| store.store(1, 1)));
    assert!(answer.is_err());
    // The one that panicked stored nothing, and so ended it.
    assert_eq!((calls.load(Ordering::Relaxed), store.metrics().overflowed), (6, 6));
    // And the next one is delivered as ever.
    store.store(9, 9).unwrap();
    assert!(calls.load(Ordering::Relaxed) > 6);
}

/// Stores another of itself when it is dropped, so long as there are to be more.
struct Again {
    left: usize,
    store: Weak<TierStore<usize, Again>>,
    depths: Arc<Depths>,
}

impl Drop for Again {
    fn drop(&mut self) {
        self.depths.destructor(|| {
            if self.left > 0
                && let Some(store) = self.store.upgrade()
            {
                let (store_again, depths) = (Weak::clone(&self.store), Arc::clone(&self.depths));
                let again = Again { left: self.left - 1, store: store_again, depths };
                assert!(store.pin().store(self.left, again).is_ok());
            }
        });
    }
}

/// Without a listener, what a capacity pushes out is dropped, at once where it is heavy.
#[test]
fn a_value_that_stores_its_like_when_it_is_pushed_out() {
    for weight in [1, HEAVY] {
        let depths = Arc::<Depths>::default();
        // Without room for anything.
        let builder = TierStore::builder(0).weigher(move |_, _: &Again| weight);
        let builder = builder.warm_capacity(Capacity::entries(0)).cold_capacity(Capacity::entries(0));
        let store = Arc::new(builder.build().unwrap());
        let new = |left| Again { left, store: Arc::downgrade(&store), depths: Arc::clone(&depths) };
        on_a_small_stack(|| {
            assert!(store.pin().store(MANY, new(MANY)).is_ok());
            assert!(crate::common::collected_until(|| depths.done() > MANY), "{} of {}", depths.done(), MANY + 1);
        });
        assert_eq!((depths.done(), store.is_empty()), (MANY + 1, true));
        assert_eq!(depths.deepest(), 1, "of weight {weight}");
    }
}
