//! `store`s that each demote one.

use std::time::{Duration, Instant};

use tierstack_benches::{
    lanes,
    subject::{Session as _, Subject},
    workload::{self, Cycle},
};

use super::hot_and_warm;
use crate::bench::{MID_GROWTH, Operation, Value, Work};

/// `store` into a hot tier that holds `n` fragments and is full, of a key that is in warm: it is replaced there and
/// goes to hot, and hot's oldest goes to warm.
///
/// Each thread goes round `2n` keys of its own. So a key has left hot by the time it comes round again even where one
/// thread runs alone for a while, as threads behind an unfair lock do.
pub struct StoreDemote;

impl Operation for StoreDemote {
    const DEFAULT: &'static [(&'static [usize], &'static [usize])] =
        &[(&[1_000, 10_000, 100_000], &[1, 2]), (&[10_000], &[4, 8, 16]), (&[MID_GROWTH / 2], &[1])];

    type Lane = Cycle;

    fn group(&self) -> &'static str {
        "store_demote"
    }

    fn keys(n: usize, threads: usize) -> usize {
        2 * n * threads
    }

    fn work(&self, n: usize, threads: usize) -> Work<Cycle> {
        let lanes: Vec<_> = (0..threads).map(|thread| Cycle::new(workload::keys(2 * n * thread, 2 * n))).collect();
        Work { keys: lanes.iter().flat_map(Cycle::keys).cloned().collect(), lanes }
    }

    fn subject<S: Subject<Value>>(&self, n: usize, work: &Work<Cycle>) -> S {
        hot_and_warm(n, &work.keys)
    }

    fn rewind(lane: &mut Self::Lane) {
        lane.rewind();
    }

    fn run<S: Subject<Value>>(&self, subject: &mut S, work: &mut Work<Cycle>, iterations: u64) -> Duration {
        lanes::run(&mut work.lanes, iterations, |cycle, share, start| {
            let mut session = subject.session();
            let from = start.cross();
            for value in 0..share {
                session.store(cycle.next_key(), value);
            }
            (from, Instant::now())
        })
    }
}
