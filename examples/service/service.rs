//! The contexts of all plans, and the threads that work in them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::context::{Context, Done};

/// A context for each plan.
pub struct Service {
    contexts: Vec<ArcSwap<Context>>,
    /// The number of the next plan.
    next: AtomicU64,
}

impl Service {
    pub fn new(plans: u32) -> Self {
        let contexts = (0..plans).map(|number| ArcSwap::from_pointee(Context::new(number.into()))).collect();
        Self { contexts, next: AtomicU64::new(plans.into()) }
    }

    /// Has so many threads work on the plans for so long.
    pub fn run(&self, threads: usize, time: Duration) -> Done {
        let end = Instant::now() + time;
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|seed| scope.spawn(move || self.work(seed, end))).collect();
            let done = workers.into_iter().map(|worker| worker.join().expect("requests do not panic"));
            done.fold(Done::default(), Done::add)
        })
    }

    fn work(&self, seed: usize, end: Instant) -> Done {
        let mut random = SmallRng::seed_from_u64(seed as u64);
        let mut done = Done::default();
        while Instant::now() < end {
            let place = &self.contexts[random.random_range(0..self.contexts.len())];
            // The context lives for as long as this thread is at work in it, also if another ends it meanwhile.
            let context = place.load_full();
            done = done.add(context.request(&mut random));
            if context.has_ended() {
                let next = Arc::new(Context::new(self.next.fetch_add(1, Relaxed)));
                // Of two threads that find it at its end, one replaces it.
                if Arc::ptr_eq(&place.compare_and_swap(&context, next), &context) {
                    done.ended += 1;
                }
            }
        }
        done
    }
}
