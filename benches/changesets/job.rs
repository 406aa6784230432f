//! The work: threads fill a new log together.

use std::{
    collections::BTreeMap,
    hint::black_box,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use super::log::{Id, Log, Payload};
use tierstack_benches::lanes;

/// What is done with a log. Neither making, filling beforehand nor dropping it is measured, nor is starting threads.
#[derive(Clone, Copy)]
pub struct Job {
    /// How many changes are there before.
    pub before: u64,
    /// How many changes the threads record, in equal shares.
    pub records: u64,
    /// After so many changes of its own a thread takes a snapshot, and drops the one before, all of it measured.
    pub snapshot_every: Option<u64>,
    pub threads: u64,
}

impl Job {
    fn log<P: Payload, L: Log<P>>(&self) -> L {
        let log = L::new();
        if self.before > 0 {
            let changeset = log.start(self.threads + 1);
            for number in 0..self.before {
                log.record(&changeset, P::of(number));
            }
        }
        log
    }

    /// Runs `record` for each number of a thread's share, with snapshots in between.
    #[inline]
    fn work<P: Payload, L: Log<P>>(&self, log: &L, share: u64, mut record: impl FnMut(u64)) {
        let every = self.snapshot_every.unwrap_or(share);
        let mut kept = None;
        let mut done = 0;
        while done < share {
            let until = share.min(done + every);
            for number in done..until {
                record(number);
            }
            done = until;
            if self.snapshot_every.is_some() {
                kept = Some(black_box(log.snapshot()));
            }
        }
        drop(kept);
    }

    /// The time from the first thread's start to the last one's end.
    pub fn fill<P: Payload, L: Log<P>>(&self) -> Duration {
        let log: L = self.log();
        let mut lanes: Vec<u64> = (1..=self.threads).collect();
        lanes::run(&mut lanes, self.records, |&mut thread, share, start| {
            let changeset = log.start(thread);
            let from = start.cross();
            self.work(&log, share, |number| {
                black_box(log.record(&changeset, P::of(number)));
            });
            (from, Instant::now())
        })
    }

    /// Adds how long each record took, in nanoseconds, to the thread's histogram.
    pub fn time<P: Payload, L: Log<P>>(&self, histograms: &mut [Histogram<u64>]) {
        let log: L = self.log();
        let mut lanes: Vec<_> = (1..).zip(histograms).collect();
        lanes::run(&mut lanes, self.records, |(thread, histogram), share, start| {
            let changeset = log.start(*thread);
            let from = start.cross();
            self.work(&log, share, |number| {
                let payload = P::of(number);
                let before = Instant::now();
                black_box(log.record(&changeset, payload));
                let took = before.elapsed();
                histogram.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
            });
            (from, Instant::now())
        });
    }

    /// Does the job, and looks whether the log has then what it should have, and a snapshot what it had.
    pub fn check<P: Payload, L: Log<P>>(&self) {
        let name = L::name();
        let log: L = self.log();
        let early = log.snapshot();
        let found_early = L::read(&early);
        let mut lanes: Vec<u64> = (1..=self.threads).collect();
        lanes::run(&mut lanes, self.records, |&mut thread, share, start| {
            let changeset = log.start(thread);
            let from = start.cross();
            let mut last = 0;
            self.work(&log, share, |number| {
                let next = log.record(&changeset, P::of(number));
                assert!(next > last, "{name}: the numbers of a thread's changes go up");
                last = next;
            });
            (from, Instant::now())
        });
        let found = L::read(&log.snapshot());
        assert_eq!(found_early, L::read(&early), "{name}: a snapshot does not change");
        assert_eq!(found_early.len() as u64, self.before, "{name}: a snapshot has all that was there");
        assert_eq!(found[..found_early.len()], found_early[..], "{name}: the log goes on from where it was");
        assert_eq!(found.len() as u64, self.before + self.records, "{name}: every change is there");
        assert!(found.is_sorted_by(|a, b| a.number < b.number), "{name}: numbers go up");

        let mut changesets: BTreeMap<Id, Vec<P>> = BTreeMap::new();
        for seen in &found {
            changesets.entry(seen.changeset).or_default().push(seen.payload);
        }
        // Or else all threads' changes are in one.
        if changesets.len() > 1 {
            let in_order = |payloads: &Vec<P>| payloads.is_sorted_by(|a, b| a < b);
            assert!(changesets.values().all(in_order), "{name}: a thread's changes are in its own order");
            assert_eq!(
                changesets.len() as u64,
                self.threads + u64::from(self.before > 0),
                "{name}: one for each thread"
            );
        }

        let mut expected: Vec<P> = (0..self.before).map(P::of).collect();
        for thread in 0..self.threads {
            let share = self.records / self.threads + u64::from(thread < self.records % self.threads);
            expected.extend((0..share).map(P::of));
        }
        let mut payloads: Vec<P> = found.iter().map(|seen| seen.payload).collect();
        expected.sort_unstable();
        payloads.sort_unstable();
        assert_eq!(payloads, expected, "{name}: every change is there once");
    }
}
