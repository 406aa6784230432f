//! `get`s that all find their fragment in hot.

use std::time::{Duration, Instant};

use tierstack_benches::{
    lanes,
    subject::{Session as _, Subject},
    workload::{self, LookUps},
};

use super::{all_hot, check_found};
use crate::bench::{MID_GROWTH, Operation, THREADS, Value, Work};

/// By a Zipf distribution.
pub struct GetHit;

/// All of the same fragment.
pub struct HotKey;

impl Operation for GetHit {
    const DEFAULT: &'static [(&'static [usize], &'static [usize])] =
        &[(&[1_000, 10_000, 100_000, MID_GROWTH, 1_000_000], &[1, 2]), (&[10_000], &[4, 8, 16])];
    const ONLY_READS: bool = true;
    const HAS_GETS: bool = true;

    type Lane = LookUps;

    fn group(&self) -> &'static str {
        "get_hit"
    }

    fn keys(n: usize, _: usize) -> usize {
        n
    }

    fn work(&self, n: usize, threads: usize) -> Work<LookUps> {
        let keys = workload::keys(0, n);
        let lanes = (0..threads).map(|thread| LookUps::zipf(&keys, thread)).collect();
        Work { keys, lanes }
    }

    fn subject<S: Subject<Value>>(&self, n: usize, work: &Work<LookUps>) -> S {
        all_hot(n, &work.keys)
    }

    fn rewind(lane: &mut Self::Lane) {
        lane.rewind();
    }

    fn run<S: Subject<Value>>(&self, subject: &mut S, work: &mut Work<LookUps>, iterations: u64) -> Duration {
        get(subject, &mut work.lanes, iterations)
    }
}

impl Operation for HotKey {
    const DEFAULT: &'static [(&'static [usize], &'static [usize])] = &[(&[10_000], &THREADS)];
    const ONLY_READS: bool = true;
    const HAS_GETS: bool = true;

    type Lane = LookUps;

    fn group(&self) -> &'static str {
        "hot_key"
    }

    fn keys(n: usize, _: usize) -> usize {
        n
    }

    fn work(&self, n: usize, threads: usize) -> Work<LookUps> {
        let keys = workload::keys(0, n);
        let lanes = (0..threads).map(|_| LookUps::one(&keys[n / 2])).collect();
        Work { keys, lanes }
    }

    fn subject<S: Subject<Value>>(&self, n: usize, work: &Work<LookUps>) -> S {
        all_hot(n, &work.keys)
    }

    fn rewind(lane: &mut Self::Lane) {
        lane.rewind();
    }

    fn run<S: Subject<Value>>(&self, subject: &mut S, work: &mut Work<LookUps>, iterations: u64) -> Duration {
        get(subject, &mut work.lanes, iterations)
    }
}

fn get<S: Subject<Value>>(subject: &S, lanes: &mut [LookUps], iterations: u64) -> Duration {
    lanes::run(lanes, iterations, |look_ups, share, start| {
        let mut session = subject.session();
        let mut hits = 0;
        let from = start.cross();
        for _ in 0..share {
            hits += u64::from(session.get(look_ups.next_key()));
        }
        let to = Instant::now();
        // Nothing moves: nobody may miss.
        check_found::<S>("get", hits, share, 1);
        (from, to)
    })
}
