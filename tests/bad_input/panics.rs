//! Callers' code that panics in the middle of an operation: every call that an operation makes of it, one after another.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use tierstack::{Builder, Capacity, Departure, Fragment, Tier, TierStore, Version};

use crate::common::{FewHashes, audit, collected_until};

/// The code of the caller's that panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Weigher,
    Hash,
    Eq,
    CloneKey,
    CloneValue,
    /// The function that makes a value.
    Make,
}

/// Counts calls of one kind of code, and panics at one of them. Every key and every value owns a count of it, so that its
/// count tells how many live.
#[derive(Default)]
struct Fuse {
    armed: Mutex<Option<Code>>,
    calls_left: AtomicU32,
}

impl Fuse {
    /// Panics at the `nth` call, counted from one.
    fn arm(&self, code: Code, nth: u32) {
        self.calls_left.store(nth, Ordering::Relaxed);
        *self.armed.lock().unwrap() = Some(code);
    }

    fn disarm(&self) {
        *self.armed.lock().unwrap() = None;
    }

    fn pass(&self, code: Code) {
        let armed = *self.armed.lock().unwrap() == Some(code);
        assert!(!armed || self.calls_left.fetch_sub(1, Ordering::Relaxed) != 1, "the caller's {code:?} panics");
    }
}

struct Key {
    number: u64,
    fuse: Arc<Fuse>,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fuse.pass(Code::Hash);
        self.number.hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.fuse.pass(Code::Eq);
        self.number == other.number
    }
}

impl Eq for Key {}

impl Clone for Key {
    fn clone(&self) -> Self {
        self.fuse.pass(Code::CloneKey);
        Self { number: self.number, fuse: Arc::clone(&self.fuse) }
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.number.fmt(f)
    }
}

struct Value {
    number: u64,
    weight: u64,
    fuse: Arc<Fuse>,
}

impl Clone for Value {
    fn clone(&self) -> Self {
        self.fuse.pass(Code::CloneValue);
        Self { number: self.number, weight: self.weight, fuse: Arc::clone(&self.fuse) }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        (self.number, self.weight) == (other.number, other.weight)
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.number.fmt(f)
    }
}

const BUDGET: u64 = 8;
const KEYS: u64 = 16;

struct Fixture {
    fuse: Arc<Fuse>,
    store: TierStore<Key, Value, FewHashes>,
}

impl Fixture {
    /// Sixteen fragments of weight two under colliding hashes: four in hot, eleven in warm, one in cold.
    fn new() -> Self {
        let store = TierStore::<Key, Value>::builder(BUDGET)
            .weigher(|key: &Key, value: &Value| {
                key.fuse.pass(Code::Weigher);
                value.weight
            })
            .expected_fragments(1)
            .hasher(FewHashes(2))
            .build()
            .unwrap();
        let fixture = Self { fuse: Arc::default(), store };
        for number in 0..KEYS {
            fixture.put(number, number, 2);
        }
        fixture.store.demote(&fixture.key(0)).unwrap();
        fixture
    }

    fn key(&self, number: u64) -> Key {
        Key { number, fuse: Arc::clone(&self.fuse) }
    }

    fn value(&self, number: u64, weight: u64) -> Value {
        Value { number, weight, fuse: Arc::clone(&self.fuse) }
    }

    fn make(&self, number: u64, weight: u64) -> Value {
        self.fuse.pass(Code::Make);
        self.value(number, weight)
    }

    fn put(&self, key: u64, number: u64, weight: u64) -> Tier {
        let stored = self.store.store(self.key(key), self.value(number, weight)).unwrap();
        assert!(!stored.contended, "nobody else is there");
        stored.tier
    }

    fn contents(&self) -> HashMap<Key, Fragment<Value>> {
        audit(&self.store, (0..=KEYS).map(|number| self.key(number)))
    }

    /// Drops the store, and with it every key and value that was ever made for it.
    fn end(self) {
        let Self { fuse, store } = self;
        drop(store);
        let alive = || Arc::strong_count(&fuse) - 1;
        assert!(collected_until(|| alive() == 0), "{} keys and values live on", alive());
    }

    /// After a panic in an operation on `concerned`: all that is not concerned is where it can be found, all accounts
    /// agree, and the whole budget can be had.
    fn check(&self, concerned: Option<u64>) {
        let found = self.contents();
        for number in (0..KEYS).filter(|number| Some(*number) != concerned) {
            let value = &found.get(&self.key(number)).unwrap_or_else(|| panic!("key {number} is lost")).value;
            assert_eq!((value.number, value.weight), (number, 2));
        }
        assert_eq!(self.put(KEYS + 1, 0, BUDGET), Tier::Hot);
        assert_eq!(self.store.hot_bytes(), BUDGET);
        self.store.remove(&self.key(KEYS + 1)).unwrap();
        assert_eq!(self.store.hot_bytes(), 0);
        for number in 0..KEYS {
            self.put(number, 100 + number, 1);
        }
        let found = self.contents();
        assert!((0..KEYS).all(|number| found[&self.key(number)].value.number == 100 + number));
    }
}

/// Runs the operation on a fresh store again and again, with a panic at the first call of `code`, at the second and so
/// on, until it makes no more; how many it made.
fn panic_everywhere(code: Code, concerned: Option<u64>, operation: impl Fn(&Fixture)) -> u32 {
    for nth in 1.. {
        let fixture = Fixture::new();
        fixture.fuse.arm(code, nth);
        let ran = catch_unwind(AssertUnwindSafe(|| operation(&fixture)));
        fixture.fuse.disarm();
        fixture.check(concerned);
        fixture.end();
        if ran.is_ok() {
            return nth - 1;
        }
    }
    unreachable!("an operation makes finitely many calls")
}

/// The keyed operations that an existing key can be given.
fn keyed(operation: usize, fixture: &Fixture, key: &Key) {
    let store = &fixture.store;
    match operation {
        0 => drop(store.get(key)),
        1 => drop(store.peek(key)),
        2 => drop(store.contains(key)),
        3 => drop(store.tier_of(key)),
        4 => drop(store.promote(key)),
        5 => drop(store.promote_to(key, Tier::Hot)),
        6 => drop(store.demote(key)),
        7 => drop(store.remove(key)),
        8 => drop(store.store(fixture.key(key.number), fixture.value(50, 3))),
        9 => drop(store.pin().store(fixture.key(key.number), fixture.value(50, 7))),
        10 => drop(store.store_if_absent(fixture.key(key.number), fixture.value(50, 7))),
        11 => drop(store.get_or_store_with(fixture.key(key.number), || fixture.make(50, 3))),
        12 => drop(store.pin().get_or_store_with(fixture.key(key.number), || fixture.make(50, 3))),
        13 => drop(store.update(fixture.key(key.number), |_| fixture.make(50, 3))),
        14 => drop(store.pin().update(fixture.key(key.number), |_| fixture.make(50, 3))),
        _ => {
            let version = store.peek(key).map_or_else(foreign, |found| found.version);
            drop(store.replace_if(fixture.key(key.number), &version, fixture.value(50, 7)));
        }
    }
}

const OPERATIONS: usize = 16;

fn foreign() -> Version {
    TierStore::<(), ()>::new(0).unwrap().store((), ()).unwrap().version
}

#[test]
fn a_hash_that_panics() {
    for operation in 0..OPERATIONS {
        // The last key is a new one.
        for key in [0, 3, KEYS - 1, KEYS] {
            let calls = panic_everywhere(Code::Hash, Some(key), |fixture| keyed(operation, fixture, &fixture.key(key)));
            assert!(calls > 0, "operation {operation} does not hash");
        }
    }
}

#[test]
fn a_comparison_that_panics() {
    for operation in 0..OPERATIONS {
        for key in [0, 3, KEYS - 1, KEYS] {
            let calls = panic_everywhere(Code::Eq, Some(key), |fixture| keyed(operation, fixture, &fixture.key(key)));
            assert!(calls > 0, "operation {operation} compares nothing, though hashes collide");
        }
    }
}

#[test]
fn a_weigher_that_panics() {
    for (operation, key) in [(8, 3), (8, KEYS), (10, 3), (10, KEYS), (11, KEYS), (13, 3), (15, 3)] {
        let calls = panic_everywhere(Code::Weigher, Some(key), |fixture| keyed(operation, fixture, &fixture.key(key)));
        assert_eq!(calls, 1, "the weigher is asked once");
    }
}

#[test]
fn a_function_that_panics() {
    for (operation, key, calls) in [(11, 3, 0), (11, KEYS, 1), (12, KEYS, 1), (13, 3, 1), (13, KEYS, 0), (14, 0, 1)] {
        let made = panic_everywhere(Code::Make, Some(key), |fixture| keyed(operation, fixture, &fixture.key(key)));
        assert_eq!(made, calls, "operation {operation}");
        // And nothing of the key's has changed.
        let fixture = Fixture::new();
        let before = fixture.contents();
        fixture.fuse.arm(Code::Make, 1);
        let ran = catch_unwind(AssertUnwindSafe(|| keyed(operation, &fixture, &fixture.key(key))));
        fixture.fuse.disarm();
        assert_eq!((ran.is_err(), fixture.contents() == before), (calls == 1, true));
    }
}

#[test]
fn a_clone_that_panics() {
    // Those that hand back a value clone it; a removed one is then gone, though nobody got it.
    for operation in [0, 1, 7, 8, 11, 13, 15] {
        let calls = panic_everywhere(Code::CloneValue, Some(3), |fixture| keyed(operation, fixture, &fixture.key(3)));
        assert!(calls > 0, "operation {operation} hands back a value");
    }
    for tier in [Tier::Hot, Tier::Warm] {
        for code in [Code::CloneKey, Code::CloneValue] {
            let evictions = panic_everywhere(code, None, |fixture| {
                let _ = fixture.store.evict_lru(tier);
            });
            assert!(evictions > 0);
            let items = panic_everywhere(code, None, |fixture| drop(fixture.store.iter(tier)));
            assert!(items > 0);
        }
    }
}

/// A store that panics before it takes effect leaves the old value, and drops the new one.
#[test]
fn a_store_that_panics_early_leaves_the_old_value() {
    for code in [Code::Weigher, Code::Hash] {
        let fixture = Fixture::new();
        let before = fixture.contents();
        fixture.fuse.arm(code, 1);
        let ran = catch_unwind(AssertUnwindSafe(|| keyed(8, &fixture, &fixture.key(3))));
        fixture.fuse.disarm();
        assert!(ran.is_err());
        assert_eq!(fixture.contents(), before);
    }
}

/// Five fragments in hot, no room below, and a listener that notes each fragment and then panics.
struct Overfull {
    fuse: Arc<Fuse>,
    store: TierStore<u64, Value>,
    handed: Arc<Mutex<Vec<u64>>>,
}

impl Overfull {
    fn new() -> Self {
        let handed = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&handed);
        let store = TierStore::<u64, Value>::builder(5)
            .weigher(|_, value| value.weight)
            .warm_capacity(Capacity::entries(0))
            .cold_capacity(Capacity::entries(0))
            .listener_causes([tierstack::Cause::Overflowed])
            .listener(move |gone: &Departure<'_, _, Value>| {
                record.lock().unwrap().push(*gone.key);
                panic!("the caller's listener panics");
            })
            .build()
            .unwrap();
        let overfull = Self { fuse: Arc::default(), store, handed };
        for number in 0..5 {
            overfull.store.store(number, overfull.value(number, 1)).unwrap();
        }
        overfull
    }

    fn value(&self, number: u64, weight: u64) -> Value {
        Value { number, weight, fuse: Arc::clone(&self.fuse) }
    }

    /// What the listener was handed, and all accounts agree.
    fn handed(&self) -> Vec<u64> {
        audit(&self.store, 0..10);
        self.handed.lock().unwrap().clone()
    }
}

#[test]
fn a_listener_that_panics_is_handed_the_rest_all_the_same() {
    let overfull = Overfull::new();
    let ran = catch_unwind(AssertUnwindSafe(|| overfull.store.set_hot_budget(2)));
    assert!(ran.is_err(), "the panic reaches the caller");
    assert_eq!(overfull.handed(), [0, 1, 2]);
    assert_eq!((overfull.store.hot_budget(), overfull.store.hot_bytes()), (2, 2));

    let ran = catch_unwind(AssertUnwindSafe(|| overfull.store.store(9, overfull.value(9, 2))));
    assert!(ran.is_err());
    assert_eq!(overfull.handed(), [0, 1, 2, 3, 4]);
    assert_eq!(overfull.store.tier_of(&9), Some(Tier::Hot), "the store had taken effect");
    assert_eq!(overfull.store.metrics().overflowed, 5);
}

#[test]
fn a_listener_that_panics_when_a_view_ends() {
    for repin in [true, false] {
        let overfull = Overfull::new();
        let mut view = overfull.store.pin();
        view.store(9, overfull.value(9, 3)).unwrap();
        assert_eq!(overfull.handed(), []);
        let ran = catch_unwind(AssertUnwindSafe(move || if repin { view.repin() } else { drop(view) }));
        assert!(ran.is_err());
        assert_eq!(overfull.handed(), [0, 1, 2], "once each, though the view is repinned and then dropped");
    }
}

/// A panic in a destructor while another unwinds would abort the process.
#[test]
fn a_listener_that_panics_while_its_view_is_unwound() {
    let overfull = Overfull::new();
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let view = overfull.store.pin();
        view.store(9, overfull.value(9, 3)).unwrap();
        panic!("the caller panics");
    }));
    assert!(ran.is_err());
    assert_eq!(overfull.handed(), [0, 1, 2]);
}

/// What overflowed is handed over although the clone of what was replaced panics.
#[test]
fn a_clone_that_panics_keeps_nothing_from_the_listener() {
    let overfull = Overfull::new();
    overfull.fuse.arm(Code::CloneValue, 1);
    let ran = catch_unwind(AssertUnwindSafe(|| overfull.store.store(4, overfull.value(9, 4))));
    overfull.fuse.disarm();
    assert!(ran.is_err());
    assert_eq!(overfull.handed(), [0, 1, 2]);
    assert_eq!(overfull.store.peek(&4).unwrap().value.number, 9);
}

/// A weigher may panic half-way through a program: what it was given is dropped, and what it was not is not touched.
#[test]
fn a_weigher_that_panics_drops_what_it_was_given() {
    let store = TierStore::<u64, Arc<()>>::builder(5).weigher(|key, _| 1 / (*key % 2)).build().unwrap();
    let value = Arc::new(());
    store.store(1, Arc::clone(&value)).unwrap();
    let ran = catch_unwind(AssertUnwindSafe(|| store.store(2, Arc::clone(&value))));
    assert!(ran.is_err());
    assert_eq!(Arc::strong_count(&value), 2, "one here, one in the store");
    audit(&store, 1..=2);
}

/// What a type says of panics: an inherent constant goes before a trait's.
struct Unwinds<T>(std::marker::PhantomData<T>);

trait NotSafe {
    const SAFE: bool = false;
}

trait NotSafeByRef {
    const SAFE_BY_REF: bool = false;
}

impl<T> NotSafe for Unwinds<T> {}
impl<T> NotSafeByRef for Unwinds<T> {}

impl<T: std::panic::UnwindSafe> Unwinds<T> {
    const SAFE: bool = true;
}

impl<T: std::panic::RefUnwindSafe> Unwinds<T> {
    const SAFE_BY_REF: bool = true;
}

macro_rules! unwinds {
    ($($type:ty),* $(,)?) => { [$((Unwinds::<$type>::SAFE, Unwinds::<$type>::SAFE_BY_REF)),*] };
}

#[test]
fn a_store_is_unwind_safe_where_what_it_holds_is() {
    /// Shared, and not safe: nobody says what a panic leaves in it.
    type Task = Box<dyn Fn() + Send + Sync>;
    assert_eq!(unwinds![u32, Task], [(true, true), (false, false)], "it can tell");
    let safe = unwinds![TierStore<u32, Arc<str>>, TierStore<String, Mutex<u32>>, Builder<u32, Task>];
    assert_eq!(safe, [(true, true); 3]);
    let unsafe_ones = unwinds![TierStore<u32, Task>, TierStore<u32, u32, Task>, Builder<u32, u32, Task>];
    assert_eq!(unsafe_ones, [(false, false); 3]);
    // As a caller has it: without a wrapper that asserts it.
    let store =
        TierStore::builder(10).weigher(|_: &u32, weight: &u64| if *weight > 5 { panic!("by design") } else { *weight });
    let store = store.build().unwrap();
    assert!(catch_unwind(|| store.store(1, 6)).is_err());
    store.store(1, 5).unwrap();
    assert_eq!(audit(&store, [1]).len(), 1);
}
