//! The writer's thread: when to write, and what to do when it fails.

use core::hash::{BuildHasher, Hash};
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Instant;

use super::Inner;
use super::batch::Batches;
use super::health::add;
use super::job::Job;
use super::pace::BackOff;
use crate::{ArchiveError, ErrorKind, Retry};

pub(super) struct Writer<K: Send + Sync + 'static, V: Send + Sync + 'static, S> {
    inner: Arc<Inner<K, V, S>>,
    batches: Batches<K, V, S>,
    jobs: Vec<Job<K>>,
    back_off: BackOff,
    /// Since when a part of a batch waits for the rest.
    waits_since: Option<Instant>,
}

impl<K, V, S> Writer<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    pub fn new(inner: Arc<Inner<K, V, S>>, batches: Batches<K, V, S>) -> Self {
        let back_off = BackOff::new(inner.options.back_off.clone());
        Self { inner, batches, jobs: Vec::new(), back_off, waits_since: None }
    }

    /// Writes until it is told to end, or cannot go on.
    pub fn run(mut self) {
        let inner = self.inner.clone();
        let error = loop {
            // Before it looks: who stores after the look wakes it.
            inner.is_awake.store(false, Ordering::SeqCst);
            let Some(mut jobs) = inner.inbox.take() else { break None };
            // Before the batch collects its removals: those that are renewed by now are among them.
            let renewed = inner.gates.renewed();
            for job in &mut jobs {
                job.renewed = renewed;
            }
            self.jobs.extend(jobs);
            self.jobs.retain(|job| !job.is_abandoned());
            match catch_unwind(AssertUnwindSafe(|| self.look())).unwrap_or_else(|_| Err(self.panicked())) {
                Ok(pause) => self.park(pause),
                Err(error) => {
                    let (retry, error) = (error.retry(), Arc::new(error));
                    let pause = self.back_off.pause();
                    inner.state.failed(&error, self.back_off.attempts());
                    if retry != Retry::Again {
                        break Some(error);
                    }
                    self.sit_out(pause);
                }
            }
        };
        inner.state.stopped(true);
        for job in self.jobs {
            job.stop(error.clone());
        }
        inner.inbox.close(error.as_ref());
        inner.room.tell();
    }

    /// Writes a batch if it is time to. How long there is nothing to do for.
    fn look(&mut self) -> Result<Duration, ArchiveError> {
        let options = &self.inner.options;
        let poll = options.poll.max(Duration::from_millis(1));
        let (queued, removals) = (self.batches.queued(), self.inner.gates.queued());
        let is_full = queued.bytes >= options.full_batch()
            || queued.entries >= options.batch_entries
            || removals >= options.batch_entries;
        if self.jobs.is_empty() && !is_full {
            if !queued.is_any() && removals == 0 {
                self.waits_since = None;
                self.succeeded();
                return Ok(poll);
            }
            let waited = self.waits_since.get_or_insert_with(Instant::now).elapsed();
            if let Some(rest) = options.linger.checked_sub(waited).filter(|rest| !rest.is_zero()) {
                return Ok(rest.min(poll));
            }
        }
        let has_written = self.batches.write_one(&mut self.jobs)?;
        self.succeeded();
        if has_written {
            self.inner.room.tell();
        }
        let (done, rest): (Vec<_>, _) = std::mem::take(&mut self.jobs).into_iter().partition(Job::is_done);
        self.jobs = rest;
        let has_told = !done.is_empty();
        for mut job in done {
            self.batches.refuse_removals(&mut job);
            job.tell();
        }
        // Behind the answers, which do not depend on it. A drop does not wait for it.
        if !self.inner.inbox.is_ending() {
            self.batches.forget();
        }
        if has_written {
            // What is left of a full batch goes on at once, a part of one waits anew.
            self.waits_since = None;
        }
        Ok(if has_written || has_told { Duration::ZERO } else { poll })
    }

    /// All is written, or there is nothing to write.
    fn succeeded(&mut self) {
        if self.back_off.attempts() > 0 {
            self.back_off.reset();
            self.inner.state.succeeded();
        }
    }

    fn panicked(&self) -> ArchiveError {
        add(&self.inner.state.panics, 1);
        ArchiveError::new(ErrorKind::Panicked, "the writer has panicked, by a key's or a value's code")
    }

    fn park(&self, pause: Duration) {
        // A call of the archive's may have used up the wake-up of whoever wants it to end.
        if !pause.is_zero() && !self.inner.inbox.is_ending() {
            thread::park_timeout(pause);
            // Whoever stores meanwhile need not wake it.
            self.inner.is_awake.store(true, Ordering::SeqCst);
        }
    }

    /// A pause that only the end of the writer shortens.
    fn sit_out(&self, pause: Duration) {
        self.inner.is_awake.store(true, Ordering::SeqCst);
        let begun = Instant::now();
        while let Some(rest) = pause.checked_sub(begun.elapsed()).filter(|rest| !rest.is_zero()) {
            if self.inner.inbox.is_ending() {
                return;
            }
            thread::park_timeout(rest);
        }
    }
}
