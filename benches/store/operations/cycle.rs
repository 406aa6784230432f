//! Keys that come and go.

use std::time::{Duration, Instant};

use tierstack_benches::{
    lanes,
    subject::{Bounds, Session as _, Subject},
    workload::{self, Cycle},
};

use crate::bench::{EACH, Operation, Value, Work};

/// Hot holds `n` fragments that nobody touches. Beside them each thread has some keys of its own: again and again it removes
/// the next of them and stores it again. One removal and one `store` are one operation.
///
/// A number of keys is a group by itself. With one key, what a removal leaves behind is met at once.
pub struct CycleKeys {
    group: &'static str,
    keys: usize,
}

/// More than any of them cycles, so that one thread's keys are never another's.
const MOST: usize = 100_000;

impl CycleKeys {
    pub const ALL: [Self; 3] = [
        Self { group: "cycle_1", keys: 1 },
        Self { group: "cycle_100", keys: 100 },
        Self { group: "cycle_10000", keys: 10_000 },
    ];
}

impl Operation for CycleKeys {
    const DEFAULT: &'static [(&'static [usize], &'static [usize])] = &[(&[10_000], &[1, 2]), (&[100_000], &[1])];

    type Lane = Cycle;

    fn group(&self) -> &'static str {
        self.group
    }

    fn keys(n: usize, threads: usize) -> usize {
        n + MOST * threads
    }

    fn work(&self, n: usize, threads: usize) -> Work<Cycle> {
        let lane = |thread| Cycle::new(workload::keys(n + MOST * thread, self.keys));
        let lanes: Vec<_> = (0..threads).map(lane).collect();
        let mut keys = workload::keys(0, n);
        keys.extend(lanes.iter().flat_map(Cycle::keys).cloned());
        Work { keys, lanes }
    }

    fn subject<S: Subject<Value>>(&self, _: usize, work: &Work<Cycle>) -> S {
        S::filled(Bounds::all_hot(work.keys.len() as u64, EACH), work.keys.iter().cloned().zip(0..))
    }

    fn rewind(lane: &mut Cycle) {
        lane.rewind();
    }

    fn run<S: Subject<Value>>(&self, subject: &mut S, work: &mut Work<Cycle>, iterations: u64) -> Duration {
        let subject = &*subject;
        lanes::run(&mut work.lanes, iterations, |cycle, share, start| {
            let mut session = subject.session();
            let mut removed = 0;
            let from = start.cross();
            for value in 0..share {
                let key = cycle.next_key();
                removed += u64::from(session.remove(&key));
                session.store(key, value);
            }
            let to = Instant::now();
            // The keys are the thread's own, and there is room for all.
            assert_eq!(removed, share, "{} removed {removed} of {share}", S::NAME);
            (from, to)
        })
    }
}
