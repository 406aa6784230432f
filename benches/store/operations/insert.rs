//! `store`s of keys that are not there.

use std::time::{Duration, Instant};

use tierstack_benches::{
    lanes,
    subject::{Bounds, Held, Session as _, Subject},
    workload::{self, Cycle},
};

use crate::bench::{EACH, MID_GROWTH, Operation, Value, Work};

/// The tiers together hold `n` fragments, a quarter of them in hot, a quarter in warm, and are full. Each `store` is of a key that
/// is not there, and one fragment goes down from each tier: from hot to warm, from warm to cold, and out.
///
/// Each thread goes round `2n` keys of its own, so that one is gone by the time it comes round again. Subjects whose policy
/// is not least recently used first may have kept some, and replace them.
pub struct Insert;

impl Operation for Insert {
    const DEFAULT: &'static [(&'static [usize], &'static [usize])] =
        &[(&[10_000, 100_000], &[1, 2]), (&[MID_GROWTH], &[1])];
    const NEEDS_BOUNDS: bool = true;

    type Lane = Cycle;

    fn group(&self) -> &'static str {
        "insert"
    }

    fn keys(n: usize, threads: usize) -> usize {
        n + 2 * n * threads
    }

    fn work(&self, n: usize, threads: usize) -> Work<Cycle> {
        let lane = |thread| Cycle::new(workload::keys(n + 2 * n * thread, 2 * n));
        Work { keys: workload::keys(0, n), lanes: (0..threads).map(lane).collect() }
    }

    fn subject<S: Subject<Value>>(&self, n: usize, work: &Work<Cycle>) -> S {
        S::filled(bounds(n), work.keys.iter().cloned().zip(0..))
    }

    fn rewind(lane: &mut Cycle) {
        lane.rewind();
    }

    fn run<S: Subject<Value>>(&self, subject: &mut S, work: &mut Work<Cycle>, iterations: u64) -> Duration {
        let subject = &*subject;
        lanes::run(&mut work.lanes, iterations, |cycle, share, start| {
            let mut session = subject.session();
            let from = start.cross();
            for value in 0..share {
                session.store(cycle.next_key(), value);
            }
            (from, Instant::now())
        })
    }

    /// The tiers are as full as the subject ever fills them, and no fuller.
    fn check<S: Subject<Value>>(&self, held: Held, n: usize, work: &Work<Cycle>) {
        let room = n as u64;
        let most = S::most(&bounds(n));
        // Where a fragment is in two tiers or none while it moves, racing threads can leave it so.
        let most = if S::EXACT || work.lanes.len() == 1 { most } else { most + room / 20 };
        // Bounds of shards, or of buckets, leave some of the room unused, and the more the fewer fragments there are.
        let least = if S::EXACT { room } else { room * 3 / 4 };
        assert!((least..=most).contains(&held.fragments), "{} holds {} of {room}", S::NAME, held.fragments);
    }
}

fn bounds(n: usize) -> Bounds {
    Bounds::quarters(n as u64 * EACH, EACH)
}
