//! `get`s with some `store`s among them.

use std::time::{Duration, Instant};

use tierstack_benches::{
    lanes,
    subject::{Session as _, Subject},
    workload::{self, Cycle, LookUps},
};

use super::{check_found, hot_and_warm};
use crate::bench::{Operation, THREADS, Value, Work};

/// Hot holds `n` fragments. All threads `get` the same `n` by a Zipf distribution, in whichever tier they are. One in
/// `every` operations is a `store` that demotes one: of a key in warm, from `2n` that are the thread's own.
pub struct Mixed {
    group: &'static str,
    every: u64,
}

impl Mixed {
    pub const ALL: [Self; 3] = [
        Self { group: "mixed_99_1", every: 100 },
        Self { group: "mixed_90_10", every: 10 },
        Self { group: "mixed_50_50", every: 2 },
    ];
}

pub struct Lane {
    get: LookUps,
    store: Cycle,
    /// Operations until the next store.
    left: u64,
}

impl Operation for Mixed {
    const DEFAULT: &'static [(&'static [usize], &'static [usize])] = &[(&[1_000], &[1, 2]), (&[10_000], &THREADS)];
    const HAS_GETS: bool = true;

    type Lane = Lane;

    fn group(&self) -> &'static str {
        self.group
    }

    fn keys(n: usize, threads: usize) -> usize {
        n + 2 * n * threads
    }

    fn work(&self, n: usize, threads: usize) -> Work<Lane> {
        let read = workload::keys(0, n);
        let lane = |thread| Lane {
            get: LookUps::zipf(&read, thread),
            store: Cycle::new(workload::keys(n + 2 * n * thread, 2 * n)),
            left: self.every,
        };
        let lanes: Vec<_> = (0..threads).map(lane).collect();
        let mut keys: Vec<_> = lanes.iter().flat_map(|lane: &Lane| lane.store.keys()).cloned().collect();
        keys.extend(read);
        Work { keys, lanes }
    }

    fn subject<S: Subject<Value>>(&self, n: usize, work: &Work<Lane>) -> S {
        hot_and_warm(n, &work.keys)
    }

    fn rewind(lane: &mut Lane) {
        lane.get.rewind();
        lane.store.rewind();
    }

    fn run<S: Subject<Value>>(&self, subject: &mut S, work: &mut Work<Lane>, iterations: u64) -> Duration {
        let threads = work.lanes.len();
        lanes::run(&mut work.lanes, iterations, |lane, share, start| {
            let mut session = subject.session();
            let (mut stores, mut hits) = (0, 0);
            let from = start.cross();
            for value in 0..share {
                lane.left -= 1;
                if lane.left == 0 {
                    lane.left = self.every;
                    session.store(lane.store.next_key(), value);
                    stores += 1;
                } else {
                    hits += u64::from(session.get(lane.get.next_key()));
                }
            }
            let to = Instant::now();
            check_found::<S>("get", hits, share - stores, threads);
            (from, to)
        })
    }
}
