//! Threads that start together.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

/// The starting line of a run. What a thread does before it crosses it is not measured.
pub struct Start(Barrier);

impl Start {
    /// Waits for the others, and says when it was crossed.
    #[inline]
    pub fn cross(&self) -> Instant {
        self.0.wait();
        Instant::now()
    }
}

/// From crossing the line to the last of the thread's operations.
pub type Lap = (Instant, Instant);

/// Splits `iterations` over one thread for each lane, and returns the time from the first start to the last end.
/// Divided by `iterations` it is the time per operation of all threads together, the inverse of their throughput.
pub fn run<L: Send>(lanes: &mut [L], iterations: u64, work: impl Fn(&mut L, u64, &Start) -> Lap + Sync) -> Duration {
    let threads = lanes.len() as u64;
    let start = Start(Barrier::new(lanes.len()));
    let laps: Vec<Lap> = thread::scope(|scope| {
        let (start, work) = (&start, &work);
        let running: Vec<_> = (0..)
            .zip(lanes)
            .map(|(i, lane): (u64, _)| {
                let share = iterations / threads + u64::from(i < iterations % threads);
                scope.spawn(move || work(lane, share, start))
            })
            .collect();
        running.into_iter().map(|thread| thread.join().expect("a thread of the run panicked")).collect()
    });
    let first = laps.iter().map(|lap| lap.0).min().expect("a run has a lane");
    let last = laps.iter().map(|lap| lap.1).max().expect("a run has a lane");
    last - first
}
