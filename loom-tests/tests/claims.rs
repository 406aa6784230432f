//! The claims on a value, and the count of views, with nothing around them but a word that says whether the fragment has ended.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;
use loom_tests::{fails, holds};
use tierstack::internals::{Claims, Left, Views};

/// A heavy fragment. Its value is watched: taking it beside a reader is a race, which fails the model.
struct Fragment {
    claims: Claims,
    views: Views,
    ended: AtomicBool,
    taken: AtomicUsize,
    value: UnsafeCell<u64>,
}

// SAFETY: what the model is to show; loom checks the accesses.
unsafe impl Sync for Fragment {}
// SAFETY: as above.
unsafe impl Send for Fragment {}

impl Fragment {
    fn new() -> Arc<Self> {
        let (claims, views) = (Claims::new(), Views::new());
        let (ended, taken) = (AtomicBool::new(false), AtomicUsize::new(0));
        Arc::new(Self { claims, views, ended, taken, value: UnsafeCell::new(1) })
    }

    fn take_if(&self, left: Left) {
        if left == Left::ToCaller {
            // Relaxed: counted, and looked at after all threads have ended.
            self.taken.fetch_add(1, Ordering::Relaxed);
            // SAFETY: as for `Sync`.
            self.value.with_mut(|value| unsafe { *value = 0 });
        }
    }

    fn read(&self) {
        // SAFETY: as for `Sync`.
        assert_eq!(self.value.with(|value| unsafe { *value }), 1, "read after it was taken");
    }

    /// Acquire, as the place word is loaded.
    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    fn read_owned(&self) {
        while !self.has_ended() {
            if self.claims.claim() {
                self.read();
                self.take_if(self.claims.unclaim());
                return;
            }
            // It was let go, so that the fragment is seen to have ended.
            assert!(self.has_ended());
        }
    }

    fn read_lent(&self) {
        let view = self.views.register();
        if !self.has_ended() {
            self.read();
        }
        drop(view);
    }

    fn end(&self) {
        self.ended.swap(true, Ordering::AcqRel);
    }
}

fn beside(run: [fn(&Fragment); 2], end: fn(&Fragment)) -> Arc<Fragment> {
    let fragment = Fragment::new();
    let threads = run.map(|run| {
        let fragment = Arc::clone(&fragment);
        thread::spawn(move || run(&fragment))
    });
    end(&fragment);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    fragment
}

fn let_go(fragment: &Fragment) {
    fragment.end();
    if fragment.views.none() {
        fragment.take_if(fragment.claims.let_go());
    }
}

/// As an operation does that hands the value out: alone, or with a claim of its own.
fn take_or_clone(fragment: &Fragment) {
    fragment.end();
    if !fragment.views.none() {
        return;
    }
    match fragment.claims.let_go_alone() {
        Left::ToCaller => fragment.take_if(Left::ToCaller),
        Left::ToOthers => {
            assert!(fragment.claims.claim());
            fragment.read();
            assert_eq!(fragment.claims.let_go(), Left::ToOthers);
            fragment.take_if(fragment.claims.unclaim());
        }
    }
}

#[test]
fn a_claimed_value_is_taken_once_and_by_the_last() {
    for end in [let_go, take_or_clone] {
        holds("claim, claim, let go", 3, move || {
            let fragment = beside([Fragment::read_owned, Fragment::read_owned], end);
            assert_eq!(fragment.taken.load(Ordering::Relaxed), 1);
        });
    }
}

#[test]
fn a_lent_value_is_not_taken() {
    for end in [let_go, take_or_clone] {
        holds("view, claim, let go", 3, move || {
            let fragment = beside([Fragment::read_lent, Fragment::read_owned], end);
            assert!(fragment.taken.load(Ordering::Relaxed) <= 1);
        });
    }
}

#[test]
fn looking_for_views_before_the_end_is_found() {
    fails("planted: the count of views is looked at first", 3, || {
        beside([Fragment::read_lent, Fragment::read_lent], |fragment| {
            let none = fragment.views.none();
            fragment.end();
            if none {
                fragment.take_if(fragment.claims.let_go());
            }
        });
    });
}

#[test]
fn reading_without_a_claim_is_found() {
    fails("planted: an owned read that claims nothing", 3, || {
        let read = |fragment: &Fragment| {
            if !fragment.has_ended() {
                fragment.read();
            }
        };
        beside([read, Fragment::read_owned], let_go);
    });
}
