//! Promotions and demotions.

use std::time::{Duration, Instant};

use tierstack_benches::{
    lanes,
    subject::{Session as _, Subject},
    workload::{self, Cycle},
};

use super::hot_and_warm;
use crate::bench::{Operation, Value, Work};

/// Hot holds `n` fragments and is full. In turn: a fragment is promoted, another is promoted, that one is demoted. So of
/// two promotions one fills the gap that a demotion left, and one demotes hot's oldest.
///
/// Each thread goes round `4n` keys of its own, of which hot's last turn is over when they come round again.
pub struct Churn;

pub struct Lane {
    keys: Cycle,
    /// Moves made.
    moves: u64,
}

impl Operation for Churn {
    const DEFAULT: &'static [(&'static [usize], &'static [usize])] = &[(&[10_000], &[1, 2, 8])];

    type Lane = Lane;

    fn group(&self) -> &'static str {
        "churn"
    }

    fn keys(n: usize, threads: usize) -> usize {
        4 * n * threads
    }

    fn work(&self, n: usize, threads: usize) -> Work<Lane> {
        let lane = |thread| Lane { keys: Cycle::new(workload::keys(4 * n * thread, 4 * n)), moves: 0 };
        let lanes: Vec<_> = (0..threads).map(lane).collect();
        Work { keys: lanes.iter().flat_map(|lane: &Lane| lane.keys.keys()).cloned().collect(), lanes }
    }

    fn subject<S: Subject<Value>>(&self, n: usize, work: &Work<Lane>) -> S {
        hot_and_warm(n, &work.keys)
    }

    fn rewind(lane: &mut Lane) {
        lane.keys.rewind();
        lane.moves = 0;
    }

    fn run<S: Subject<Value>>(&self, subject: &mut S, work: &mut Work<Lane>, iterations: u64) -> Duration {
        let threads = work.lanes.len();
        lanes::run(&mut work.lanes, iterations, |Lane { keys, moves }, share, start| {
            let mut session = subject.session();
            let mut moved = 0;
            let from = start.cross();
            for _ in 0..share {
                *moves += 1;
                moved += u64::from(if *moves % 3 == 0 {
                    session.demote(keys.last_text())
                } else {
                    session.promote(keys.next_text())
                });
            }
            let to = Instant::now();
            // Other policies may choose to evict what was promoted just now, or to have kept in hot what was stored first,
            // and under contention a promotion may be refused: half of a whole round is asked for.
            let least = match share / keys.keys().len() as u64 {
                _ if S::EXACT && threads == 1 => share,
                0 => 0,
                _ => share / 2,
            };
            assert!(moved >= least, "{}: {moved} of {share} moved", S::NAME);
            (from, to)
        })
    }
}
