//! Each subject does the job.

use super::*;
use crate::{
    subject::{Bounds, Session as _},
    workload::{self, KEY_BYTES},
};

const N: u64 = 1_024;
const EACH: u64 = KEY_BYTES as u64 + 8;

fn fragments() -> impl Iterator<Item = (String, u64)> {
    workload::keys(0, 1_024).into_iter().zip(0..)
}

/// Counts keys of which that is true.
fn count(mut is: impl FnMut(&str) -> bool) -> u64 {
    fragments().map(|(key, _)| u64::from(is(&key))).sum()
}

struct Reads;

impl Visitor<u64> for Reads {
    fn visit<S: Subject<u64>>(&mut self) {
        let subject = S::filled(Bounds::all_hot(N, EACH), fragments());
        let mut session = subject.session();
        assert_eq!(count(|key| session.get(key)), N, "{}", S::NAME);
        if S::NAME != <Nothing as Subject<u64>>::NAME {
            assert!(!session.get("another"), "{}", S::NAME);
        }
        drop(session);
        if let Some(held) = subject.held() {
            assert_eq!((held.fragments, held.bytes), (N, N * EACH), "{}", S::NAME);
        }
    }
}

#[test]
fn what_was_stored_is_found_and_counted() {
    visit_readers(&mut Reads);
}

struct Moves;

impl Visitor<u64> for Moves {
    fn visit<S: Subject<u64>>(&mut self) {
        let name = S::NAME;
        if name == <Nothing as Subject<u64>>::NAME {
            return;
        }
        let subject = S::filled(Bounds::hot_and_warm(N / 4, N, EACH), fragments());
        let mut session = subject.session();
        assert_eq!(count(|key| session.get(key)), N, "{name}: what overflows is demoted");
        for (key, value) in fragments() {
            session.store(key, value);
        }
        assert_eq!(count(|key| session.get(key)), N, "{name}: what is replaced is there, and what it displaces");
        let promoted = count(|key| session.promote(key));
        assert!(promoted >= N / 2, "{name}: most were below hot, and {promoted} were promoted");
        let demoted = count(|key| session.demote(key));
        assert!(demoted >= N / 8, "{name}: of what was promoted last, {demoted} were demoted");
        let again = count(|key| session.demote(key));
        assert_eq!(again, 0, "{name}: none is left in hot");
        assert_eq!(count(|key| session.get(key)), N, "{name}: all are somewhere");
        let key = workload::key(0);
        assert!(session.promote(&key) && session.demote(&key), "{name}: there and back");
        assert!(!session.promote("another"), "{name}");
        assert!(!session.demote("another"), "{name}");
        drop(session);
        subject.settle();
        if let Some(held) = subject.held() {
            assert_eq!((held.fragments, held.bytes), (N, N * EACH), "{name}: each is in one place");
        }
        if let Some(peak) = subject.peak_hot_bytes() {
            assert!(peak <= N / 4 * EACH, "{name}: {peak} bytes in hot");
        }
    }
}

#[test]
fn stores_promotions_and_demotions_move_and_lose_nothing() {
    visit_all(&mut Moves);
}

/// Hot has room for 16 and is full; the last but one is used, and 15 others are stored. Whether it is still in hot.
fn is_kept_by_its_use<S: Subject<u64>>() -> bool {
    let keys = workload::keys(0, 31);
    let subject = S::filled(Bounds::hot_and_warm(16, 31, EACH), keys[..16].iter().cloned().zip(0..));
    let mut session = subject.session();
    assert!(session.get(&keys[14]));
    for key in &keys[16..] {
        session.store(key.clone(), 0);
    }
    session.demote(&keys[14])
}

#[test]
fn a_slack_lets_recent_uses_go_unnoticed() {
    assert!(is_kept_by_its_use::<Pinned<u64>>());
    assert!(!is_kept_by_its_use::<Slack<u64>>(), "its last use is fewer than four ticks old, and changes nothing");
}

struct Removals;

impl Visitor<u64> for Removals {
    fn visit<S: Subject<u64>>(&mut self) {
        let name = S::NAME;
        if name == <Nothing as Subject<u64>>::NAME {
            return;
        }
        let subject = S::filled(Bounds::hot_and_warm(N / 4, N, EACH), fragments());
        let mut session = subject.session();
        assert!(!session.remove("another"), "{name}");
        let removed = count(|key| key.ends_with('7') && session.remove(key));
        assert!(removed > N / 20, "{name}: they were in one tier or another, and {removed} were removed");
        assert_eq!(count(|key| key.ends_with('7') && session.remove(key)), 0, "{name}: none is there twice");
        assert_eq!(count(|key| session.get(key)), N - removed, "{name}: all others are");
        for (key, value) in fragments() {
            if key.ends_with('7') {
                session.store(key, value);
            }
        }
        assert_eq!(count(|key| session.get(key)), N, "{name}: what was removed can be stored again");
        drop(session);
        subject.settle();
        if let Some(held) = subject.held() {
            assert_eq!((held.fragments, held.bytes), (N, N * EACH), "{name}");
        }
    }
}

#[test]
fn what_is_removed_is_in_no_tier() {
    visit_all(&mut Removals);
}

struct Overflows;

impl Visitor<u64> for Overflows {
    fn visit<S: Subject<u64>>(&mut self) {
        if !S::BOUNDED {
            return;
        }
        let room = 256;
        let subject = S::filled(Bounds::quarters(room * EACH, EACH), fragments());
        let mut session = subject.session();
        let found = count(|key| session.get(key));
        drop(session);
        assert!((room * 3 / 4..=room).contains(&found), "{}: {found} of {room} are found", S::NAME);
        subject.settle();
        if let Some(held) = subject.held() {
            assert!(held.fragments <= room && held.bytes <= room * EACH, "{}: {held:?}", S::NAME);
            assert!(S::most(&Bounds::quarters(room * EACH, EACH)) == room, "{}", S::NAME);
        }
    }
}

#[test]
fn bounded_tiers_hold_what_they_may_and_no_more() {
    visit_all(&mut Overflows);
}
