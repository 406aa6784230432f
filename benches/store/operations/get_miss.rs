//! `get`s of keys that are not there.

use std::time::{Duration, Instant};

use tierstack_benches::{
    lanes,
    subject::{Session as _, Subject},
    workload::{self, LookUps},
};

use super::all_hot;
use crate::bench::{MID_GROWTH, Operation, Value, Work, is_harness};

/// Hot holds `n` fragments. Each thread asks for `n` others, all the threads for the same, one as often as another.
pub struct GetMiss;

impl Operation for GetMiss {
    const DEFAULT: &'static [(&'static [usize], &'static [usize])] =
        &[(&[10_000, 100_000], &[1, 2]), (&[1_000, MID_GROWTH, 1_000_000], &[1])];
    const ONLY_READS: bool = true;

    type Lane = LookUps;

    fn group(&self) -> &'static str {
        "get_miss"
    }

    fn keys(n: usize, threads: usize) -> usize {
        n + n * threads
    }

    fn work(&self, n: usize, threads: usize) -> Work<LookUps> {
        let absent = workload::keys(n, n);
        let lanes = (0..threads).map(|_| LookUps::each(&absent)).collect();
        Work { keys: workload::keys(0, n), lanes }
    }

    fn subject<S: Subject<Value>>(&self, n: usize, work: &Work<LookUps>) -> S {
        all_hot(n, &work.keys)
    }

    fn rewind(lane: &mut LookUps) {
        lane.rewind();
    }

    fn run<S: Subject<Value>>(&self, subject: &mut S, work: &mut Work<LookUps>, iterations: u64) -> Duration {
        let subject = &*subject;
        lanes::run(&mut work.lanes, iterations, |look_ups, share, start| {
            let mut session = subject.session();
            let mut hits = 0;
            let from = start.cross();
            for _ in 0..share {
                hits += u64::from(session.get(look_ups.next_key()));
            }
            let to = Instant::now();
            assert!(hits == 0 || is_harness::<S>(), "{} found {hits} of {share} that are not there", S::NAME);
            (from, to)
        })
    }
}
