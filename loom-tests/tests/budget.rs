//! The budget: reserve ∥ reserve ∥ release never passes it, and changes of the limit never lend out what is not there.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use loom::thread;
use loom_tests::{both_hold, fails, holds};
use tierstack::internals::{Budget, Reservation};

/// What is held at this instant, added up beside the budget. Its own orderings are the strongest, and it is raised after a
/// reservation and lowered before a release, so that it is never above what is reserved.
struct Held(AtomicU64);

impl Held {
    fn raise(&self, bytes: u64, most: u64) {
        let held = self.0.fetch_add(bytes, Ordering::AcqRel) + bytes;
        assert!(held <= most, "{held} bytes held of {most}");
    }

    fn lower(&self, bytes: u64) {
        self.0.fetch_sub(bytes, Ordering::AcqRel);
    }
}

#[test]
fn two_reservers_and_a_release_never_pass_the_budget() {
    holds("reserve, reserve, release", 3, || {
        let shared = Arc::new((Budget::new(10), Held(AtomicU64::new(0))));
        let reserver = |bytes: u64| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (budget, held) = &*shared;
                let mut reservation = Reservation::empty(budget);
                if reservation.try_grow_to(bytes) {
                    held.raise(bytes, 10);
                    held.lower(bytes);
                }
            })
        };
        let (first, second) = (reserver(6), reserver(7));
        {
            let (budget, held) = &*shared;
            let mut reservation = Reservation::empty(budget);
            if reservation.try_grow_to(4) {
                held.raise(4, 10);
                held.lower(4);
            }
        }
        first.join().unwrap();
        second.join().unwrap();
        assert_eq!(shared.0.free(), 10, "everything was given back");
    });
}

#[test]
fn what_is_reserved_is_seen_to_have_been_left() {
    // A fragment leaves hot (a plain write), then its bytes are released: who reserves them sees that it has left.
    holds("release publishes the leaving", 3, || {
        let shared = Arc::new((Budget::new(10), loom::cell::UnsafeCell::new(true)));
        let mut first = Reservation::empty(&shared.0);
        assert!(first.try_grow_to(10));
        first.hand_over();
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let mut second = Reservation::empty(&shared.0);
                if second.try_grow_to(10) {
                    // SAFETY: loom fails the model where this access races with the write.
                    assert!(!shared.1.with(|hot| unsafe { *hot }), "both are hot");
                }
            })
        };
        // SAFETY: as above.
        shared.1.with_mut(|hot| unsafe { *hot = false });
        shared.0.release(10);
        other.join().unwrap();
    });
}

#[test]
fn a_lowering_and_a_raise_never_lend_out_more_than_the_largest_limit() {
    holds("lower, raise, reserve", 3, || {
        let budget = Arc::new(Budget::new(10));
        let setter = |limit: u64| {
            let budget = Arc::clone(&budget);
            thread::spawn(move || budget.set_limit(limit))
        };
        let (lower, raise) = (setter(2), setter(10));
        let mut first = Reservation::empty(&budget);
        let mut second = Reservation::empty(&budget);
        let got = u64::from(first.try_grow_to(8)) * 8 + u64::from(second.try_grow_to(5)) * 5;
        assert!(got <= 10, "{got} bytes were reserved of a budget that was never above 10");
        lower.join().unwrap();
        raise.join().unwrap();
        drop((first, second));
        assert_eq!(budget.free(), budget.limit() as i64);
    });
}

fn lowered_to(budget: &Arc<Budget>, limit: u64) -> thread::JoinHandle<()> {
    let budget = Arc::clone(budget);
    thread::spawn(move || budget.set_limit(limit))
}

#[test]
fn of_two_lowerings_each_takes_its_difference_off_once() {
    holds("lower, lower", 4, || {
        let budget = Arc::new(Budget::new(10));
        let other = lowered_to(&budget, 4);
        budget.set_limit(2);
        other.join().unwrap();
        assert!([2, 4].contains(&budget.limit()));
        assert_eq!(budget.free(), budget.limit() as i64);
    });
}

#[test]
fn two_lowerings_beside_a_reserver_leave_what_the_limit_says() {
    holds("lower, lower, reserve", 3, || {
        let budget = Arc::new(Budget::new(10));
        let lowerings = [4, 2].map(|limit| lowered_to(&budget, limit));
        let mut reservation = Reservation::empty(&budget);
        let got = reservation.try_grow_to(5);
        let _ = lowerings.map(|lowering| lowering.join().unwrap());
        let limit = budget.limit();
        assert!([2, 4].contains(&limit) && !reservation.try_grow_to(5 + limit), "above either limit");
        assert_eq!(budget.free(), limit as i64 - if got { 5 } else { 0 });
        assert_eq!(budget.is_overdrawn(), got);
        drop(reservation);
        assert_eq!(budget.free(), limit as i64, "everything was given back");
    });
}

#[test]
fn once_a_lowering_has_returned_nothing_above_it_is_reserved_beside_another() {
    holds("lower and reserve, reserve", 4, || {
        let budget = Arc::new(Budget::new(10));
        let other = {
            let budget = Arc::clone(&budget);
            thread::spawn(move || {
                let mut reservation = Reservation::empty(&budget);
                reservation.try_grow_to(6).then(|| reservation.hand_over()).is_some()
            })
        };
        budget.set_limit(6);
        let mut reservation = Reservation::empty(&budget);
        let got = reservation.try_grow_to(1);
        let other_got = other.join().unwrap();
        assert!(!(got && other_got), "7 bytes are reserved of 6");
        drop(reservation);
        assert_eq!(budget.free(), if other_got { 0 } else { 6 });
    });
}

#[test]
fn a_reservation_that_adds_and_then_checks_is_found() {
    fails("planted: add, then check", 3, || {
        let shared = Arc::new((AtomicI64::new(10), Held(AtomicU64::new(0))));
        let reserve = |shared: &(AtomicI64, Held), bytes: i64| {
            // Looks first, and takes without looking again.
            if shared.0.load(Ordering::Acquire) >= bytes {
                shared.0.fetch_sub(bytes, Ordering::AcqRel);
                shared.1.raise(bytes as u64, 10);
            }
        };
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || reserve(&shared, 6))
        };
        reserve(&shared, 6);
        other.join().unwrap();
    });
}

#[test]
fn what_is_published_is_reserved_and_what_is_reserved_is_within_the_limit() {
    holds("reserve and publish, release and reserve, look", 3, || {
        let shared = Arc::new((Budget::new(10), AtomicU64::new(0)));
        {
            let mut first = Reservation::empty(&shared.0);
            assert!(first.try_grow_to(6));
            first.hand_over();
        }
        let publisher = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let mut reservation = Reservation::empty(&shared.0);
                if reservation.try_grow_to(5) {
                    shared.1.store(5, Ordering::Release);
                    reservation.hand_over();
                }
            })
        };
        let releaser = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.0.release(6))
        };
        let published = shared.1.load(Ordering::Acquire);
        let reserved = shared.0.reserved();
        assert!((published..=10).contains(&reserved), "{reserved} are reserved, and {published} published of 10");
        publisher.join().unwrap();
        releaser.join().unwrap();
        assert_eq!(shared.0.reserved() as i64, 10 - shared.0.free());
    });
}

#[test]
fn what_is_too_much_is_seen_by_who_published_it_or_by_who_lowered_the_budget() {
    let publish = |budget: &Budget, published: &AtomicU64| {
        let mut reservation = Reservation::empty(budget);
        let got = reservation.try_grow_to(10);
        if got {
            reservation.hand_over();
            published.store(10, Ordering::Release);
            Budget::published();
        }
        got.then(|| budget.is_overdrawn())
    };
    let lower = |budget: &Budget, published: &AtomicU64| {
        budget.set_limit(5);
        budget.is_overdrawn() && published.load(Ordering::Acquire) == 10
    };
    let model = move |publisher_is_spawned: bool| {
        move || {
            let shared = Arc::new((Budget::new(10), AtomicU64::new(0)));
            let other = Arc::clone(&shared);
            let (seen_by_publisher, seen_by_setter) = if publisher_is_spawned {
                let publisher = thread::spawn(move || publish(&other.0, &other.1));
                let seen = lower(&shared.0, &shared.1);
                (publisher.join().unwrap(), seen)
            } else {
                let setter = thread::spawn(move || lower(&other.0, &other.1));
                (publish(&shared.0, &shared.1), setter.join().unwrap())
            };
            assert!(seen_by_publisher != Some(false) || seen_by_setter, "10 bytes of 5, and nobody sees it");
        }
    };
    both_hold("publish and look, lower and look", 3, (model(true), model(false)));
}

#[test]
fn a_raise_beside_a_lowering_under_which_all_fits_is_not_overdrawn() {
    holds("raise, lower", 4, || {
        let budget = Arc::new(Budget::new(10));
        let mut reservation = Reservation::empty(&budget);
        assert!(reservation.try_grow_to(10));
        reservation.hand_over();
        let set = |limit| {
            let budget = Arc::clone(&budget);
            thread::spawn(move || {
                budget.set_limit(limit);
                assert!(!budget.is_overdrawn(), "10 bytes fit every limit");
            })
        };
        let setters = [20, 10].map(set);
        assert!(!budget.is_overdrawn());
        let _ = setters.map(|setter| setter.join().unwrap());
    });
}

/// A fragment of weight 5 takes effect beside one who raises the budget, looks for it twice, and lowers the budget again.
#[test]
fn nobody_says_too_heavy_of_what_took_effect_while_the_budget_was_raised() {
    let store = |budget: &Budget, present: &AtomicU64| {
        let look = budget.look();
        present.fetch_add(1, Ordering::AcqRel);
        budget.was_below(5, look)
    };
    let raise_and_lower = |budget: &Budget, present: &AtomicU64| {
        budget.set_limit(10);
        let was_absent = present.load(Ordering::Acquire) == 0;
        let is_present = present.load(Ordering::Acquire) == 1;
        budget.set_limit(2);
        was_absent && is_present
    };
    let model = move |storer_is_spawned: bool| {
        move || {
            let shared = Arc::new((Budget::new(2), AtomicU64::new(0)));
            let other = Arc::clone(&shared);
            let (says_too_heavy, took_effect_then) = if storer_is_spawned {
                let storer = thread::spawn(move || store(&other.0, &other.1));
                let then = raise_and_lower(&shared.0, &shared.1);
                (storer.join().unwrap(), then)
            } else {
                let setter = thread::spawn(move || raise_and_lower(&other.0, &other.1));
                (store(&shared.0, &shared.1), setter.join().unwrap())
            };
            assert!(!(says_too_heavy && took_effect_then), "the budget was 10 when it took effect");
        }
    };
    both_hold("store, raise and lower", 4, (model(true), model(false)));
}
