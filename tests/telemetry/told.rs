//! Events, as a subscriber gets them.

use std::fmt::{Debug, Write};
use std::mem::take;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use tierstack::{Builder, Capacity, Tier, TierStore};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, with_default};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::alone;

type Store = TierStore<&'static str, u32>;

/// What was told: the level, the message, and the fields but for the version.
type Told = Arc<Mutex<Vec<String>>>;

struct Listener {
    most: Level,
    told: Told,
    /// Done when it is asked whether an event is for it.
    when_asked: Box<dyn Fn() + Send + Sync>,
    and_then: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
    has_version: bool,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "version" => self.has_version = format!("{value:?}").starts_with("Version("),
            name => write!(self.fields, " {name}={value:?}").unwrap(),
        }
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        assert!(!crossbeam_epoch::is_pinned(), "a subscriber is asked nothing within an operation");
        if metadata.target() != "tierstack" {
            return false;
        }
        (self.when_asked)();
        *metadata.level() <= self.most
    }

    /// It is asked each time.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        assert!(!crossbeam_epoch::is_pinned(), "a subscriber is asked nothing within an operation");
        if metadata.target() == "tierstack" { Interest::sometimes() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::from_level(self.most))
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        assert!(line.has_version);
        let level = event.metadata().level();
        self.told.lock().unwrap().push(format!("{level} {}{}", line.message, line.fields));
        (self.and_then)();
    }
}

fn builder(room: u64) -> Builder<&'static str, u32> {
    let capacity = Capacity::entries(room);
    Store::builder(10 * room).weigher(|_, _| 10).warm_capacity(capacity).cold_capacity(capacity)
}

/// Runs with a subscriber for events of that level and below.
fn telling(most: Level, told: &Told, and_then: impl Fn() + Send + Sync + 'static, run: impl FnOnce()) {
    let told = Arc::clone(told);
    with_default(Listener { most, told, when_asked: Box::new(|| ()), and_then: Box::new(and_then) }, run);
}

#[track_caller]
fn was_told(told: &Told, expected: &[&str]) {
    assert_eq!(take(&mut *told.lock().unwrap()), expected);
}

#[test]
fn every_move_is_told_with_key_tiers_and_weight() {
    let _alone = alone();
    let store = builder(1).trace_keys().hasher(std::hash::RandomState::new()).build().unwrap();
    let told = Told::default();
    telling(
        Level::TRACE,
        &told,
        || (),
        || {
            store.store("a", 1).unwrap();
            was_told(&told, &[r#"TRACE store key="a" weight=10 to=hot replaced=false"#]);
            store.store("a", 2).unwrap();
            was_told(&told, &[r#"TRACE store key="a" weight=10 to=hot replaced=true"#]);
            store.store("b", 3).unwrap();
            was_told(
                &told,
                &[
                    r#"TRACE evict key="a" weight=10 from=hot to=warm"#,
                    r#"TRACE store key="b" weight=10 to=hot replaced=false"#,
                ],
            );
            store.demote_to("b", Tier::Cold).unwrap();
            was_told(&told, &[r#"TRACE demote key="b" weight=10 from=hot to=cold"#]);
            store.promote("a").unwrap();
            was_told(&told, &[r#"TRACE promote key="a" weight=10 from=warm to=hot"#]);
            store.evict_lru(Tier::Cold).unwrap();
            was_told(&told, &[r#"TRACE evict key="b" weight=10 from=cold"#]);
            store.remove("a").unwrap();
            was_told(&told, &[r#"TRACE remove key="a" weight=10 from=hot"#]);
            // Nothing happens.
            store.store("c", 4).unwrap();
            take(&mut *told.lock().unwrap());
            store.get("c");
            store.promote("c").unwrap();
            store.demote("none");
            store.remove("none");
            assert!(store.store_if_absent("c", 5).is_err());
            was_told(&told, &[]);
        },
    );
    store.store("a", 1).unwrap();
    was_told(&told, &[]);
}

#[test]
fn keys_are_named_where_that_was_asked_for_and_a_view_tells_at_its_end() {
    let _alone = alone();
    let store = builder(1).build().unwrap();
    let told = Told::default();
    telling(
        Level::TRACE,
        &told,
        || (),
        || {
            let mut view = store.pin();
            view.store("a", 1).unwrap();
            view.remove("a");
            was_told(&told, &[]);
            view.repin();
            was_told(&told, &["TRACE store weight=10 to=hot replaced=false", "TRACE remove weight=10 from=hot"]);
            view.store("a", 2).unwrap();
            drop(view);
            was_told(&told, &["TRACE store weight=10 to=hot replaced=false"]);
        },
    );
}

#[test]
fn who_asks_for_less_is_told_less() {
    let _alone = alone();
    let store = builder(1).build().unwrap();
    let told = Told::default();
    telling(
        Level::DEBUG,
        &told,
        || (),
        || {
            store.store("a", 1).unwrap();
            store.remove("a");
        },
    );
    was_told(&told, &[]);
}

/// Threads that hold the only room there is are contended now and then.
#[test]
fn contention_is_told_for_less() {
    let _alone = alone();
    let told = Told::default();
    let store = Arc::new(Store::builder(10).weigher(|_, _| 10).build().unwrap());
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (store, over, told) = (&store, &over, &told);
            scope.spawn(move || {
                telling(
                    Level::DEBUG,
                    told,
                    || (),
                    || {
                        let started = std::time::Instant::now();
                        while !over.load(Ordering::Relaxed) && started.elapsed().as_secs() < 20 {
                            let stored = store.store(["a", "b", "c"][thread], 1).unwrap();
                            if stored.contended
                                || store
                                    .promote(["b", "c", "a"][thread])
                                    .is_err_and(|error| matches!(error, tierstack::PromoteError::Contended { .. }))
                            {
                                over.store(true, Ordering::Relaxed);
                            }
                        }
                    },
                );
            });
        }
    });
    let told = told.lock().unwrap();
    assert_eq!(told.len() as u64, store.metrics().contended);
    assert!(told.iter().all(|line| line == "DEBUG contended weight=10 tier=warm"), "{told:?}");
}

/// A subscriber is called as the listener is: it may use the store, which is not pinned, and panic; and what it does is told after it has returned.
#[test]
fn a_subscriber_may_use_the_store_and_panic() {
    let _alone = alone();
    let own = Arc::new(OnceLock::<Weak<Store>>::new());
    let store = Arc::new(builder(4).build().unwrap());
    own.set(Arc::downgrade(&store)).unwrap();
    let (told, depth) = (Told::default(), Arc::new(Mutex::new(0)));
    let and_then = move || {
        assert!(!crossbeam_epoch::is_pinned());
        let mut count = depth.try_lock().expect("it is not called within itself");
        *count += 1;
        if *count == 1 {
            own.get().and_then(Weak::upgrade).unwrap().store("more", *count).unwrap();
            panic!("by design");
        }
    };
    telling(Level::TRACE, &told, and_then, || {
        let stored = catch_unwind(AssertUnwindSafe(|| store.store("a", 1)));
        assert!(stored.is_err());
    });
    // A subscriber of a thread is told nothing of what happens within it.
    assert!(store.contains("a") && store.contains("more"));
    assert!(told.lock().unwrap_or_else(PoisonError::into_inner)[0].starts_with("TRACE store"));
}

/// Runs with a subscriber that does that whenever it is asked whether an event is for it, and says yes.
fn asking(when_asked: impl Fn() + Send + Sync + 'static, run: impl FnOnce()) {
    let listener = Listener {
        most: Level::TRACE,
        told: Told::default(),
        when_asked: Box::new(when_asked),
        and_then: Box::new(|| ()),
    };
    with_default(listener, run);
}

/// It is asked after the operation, which has given back what it held.
#[test]
fn a_subscriber_that_panics_when_it_is_asked_costs_no_room() {
    let _alone = alone();
    let store = Store::builder(20).weigher(|_, _| 10).build().unwrap();
    let armed = Arc::new(AtomicBool::new(false));
    let arm = Arc::clone(&armed);
    asking(
        move || assert!(!armed.swap(false, Ordering::Relaxed), "by design"),
        || {
            store.store("a", 1).unwrap();
            store.store("b", 2).unwrap();
            for key in ["c", "d"] {
                arm.store(true, Ordering::Relaxed);
                // Demotes another.
                assert!(catch_unwind(AssertUnwindSafe(|| store.store(key, 3))).is_err());
            }
        },
    );
    for key in ["a", "b", "c", "d"] {
        assert!(store.remove(key).is_some());
    }
    assert_eq!((store.hot_bytes(), store.metrics().contended), (0, 0));
    assert!(!store.store("a", 1).unwrap().contended && !store.store("b", 1).unwrap().contended);
    assert_eq!(store.len(Tier::Hot), 2);
}

/// What it stores is told after what it was asked about, not within it.
#[test]
fn a_subscriber_that_stores_when_it_is_asked_is_not_asked_within_itself() {
    let _alone = alone();
    let own = Arc::new(OnceLock::<Weak<Store>>::new());
    let store = Arc::new(builder(4).build().unwrap());
    own.set(Arc::downgrade(&store)).unwrap();
    let depth = Mutex::new(0_u32);
    asking(
        move || {
            let mut asked = depth.try_lock().expect("it is not asked within itself");
            *asked += 1;
            if *asked < 1000 {
                own.get().and_then(Weak::upgrade).unwrap().store("more", *asked).unwrap();
            }
        },
        || assert!(store.store("a", 1).is_ok()),
    );
    assert!(store.contains("a"));
}
