//! Filling an empty store.

use std::time::{Duration, Instant};

use tierstack_benches::{
    lanes,
    subject::{Bounds, Session as _, Subject},
    workload,
};

use crate::bench::{EACH, MID_GROWTH, Operation, Value, Work};

/// `store` of `n` new fragments, for which hot has room, by threads that each have their share of them. Neither making
/// nor dropping the store is measured.
pub struct BulkLoad;

impl Operation for BulkLoad {
    const DEFAULT: &'static [(&'static [usize], &'static [usize])] = &[(&[10_000, 100_000, MID_GROWTH], &[1, 2])];

    type Lane = Vec<String>;

    fn group(&self) -> &'static str {
        "bulk_load"
    }

    fn keys(n: usize, _: usize) -> usize {
        n
    }

    fn work(&self, n: usize, threads: usize) -> Work<Vec<String>> {
        let keys = workload::keys(0, n);
        let lanes = keys.chunks(n.div_ceil(threads)).map(<[_]>::to_vec).collect();
        Work { keys, lanes }
    }

    fn subject<S: Subject<Value>>(&self, n: usize, _: &Work<Vec<String>>) -> S {
        S::new(Bounds::all_hot(n as u64, EACH))
    }

    fn rewind(_: &mut Vec<String>) {}

    fn operations(&self, n: usize) -> u64 {
        n as u64
    }

    fn run<S: Subject<Value>>(&self, subject: &mut S, work: &mut Work<Vec<String>>, iterations: u64) -> Duration {
        let n = work.keys.len() as u64;
        let load = |_| {
            *subject = S::new(Bounds::all_hot(n, EACH));
            lanes::run(&mut work.lanes, n, |keys, _, start| {
                let mut session = subject.session();
                let from = start.cross();
                for (key, value) in keys.iter().zip(0..) {
                    session.store(key.clone(), value);
                }
                (from, Instant::now())
            })
        };
        (0..iterations).map(load).sum()
    }
}
