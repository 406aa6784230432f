//! What a flush or a checkpoint has asked the writer for, and the inbox that it waits in.

use core::hash::Hash;
use core::time::Duration;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::error::FlushError;
use super::gates::STRIPES;
use crate::ArchiveError;

/// Keys whose values are to be durable, as they stood when it was made or newer, and all removals that were made before it.
pub(super) struct Job<K> {
    /// Keys that are not durable yet.
    pub left: HashSet<K>,
    /// Those of them that a copy was not tried of in this turn.
    turn: Vec<K>,
    /// So many bytes (weights) of fragments that leave are waited for, before what is left is copied: it should leave by itself, and not be
    /// written twice.
    pub owed: u64,
    /// So many stripes of the gates, counted on from where the writer was, may have removals from before it that are not durable.
    undrained: usize,
    /// How often a removal that is set aside was [made anew](super::gates::Gates::renewed) before the writer took the job.
    pub renewed: u64,
    /// Keys that were made durable.
    pub done: u64,
    /// What cannot be made durable, and why.
    pub refused: u64,
    pub refusal: Option<Arc<ArchiveError>>,
    answer: Arc<Answer>,
}

impl<K: Hash + Eq + Clone> Job<K> {
    pub fn new(keys: HashSet<K>, owed: u64) -> (Self, Arc<Answer>) {
        let answer = Arc::new(Answer::default());
        let job = Self {
            left: keys,
            turn: Vec::new(),
            owed,
            undrained: STRIPES,
            renewed: 0,
            done: 0,
            refused: 0,
            refusal: None,
            answer: answer.clone(),
        };
        (job, answer)
    }

    /// The next key to copy. `None` ends the turn: what a turn has not made durable comes again in the next one.
    pub fn next(&mut self) -> Option<K> {
        loop {
            let key = self.turn.pop()?;
            if self.left.contains(&key) {
                return Some(key);
            }
        }
    }

    pub fn start_turn(&mut self) {
        if self.turn.is_empty() {
            self.turn.extend(self.left.iter().cloned());
        }
    }

    pub fn durable(&mut self, key: &K) {
        self.done += u64::from(self.left.remove(key));
    }

    pub fn refuse(&mut self, count: u64, error: &Arc<ArchiveError>) {
        self.refused += count;
        self.refusal = Some(error.clone());
    }

    /// All removals of so many further stripes are durable.
    pub fn drained(&mut self, stripes: usize) {
        self.undrained = self.undrained.saturating_sub(stripes);
    }

    pub fn is_abandoned(&self) -> bool {
        // Relaxed: it saves work, and nothing depends on when.
        self.answer.is_abandoned.load(Ordering::Relaxed)
    }

    pub fn is_done(&self) -> bool {
        self.undrained == 0 && self.left.is_empty()
    }

    pub fn tell(self) {
        let outcome = match self.refusal {
            Some(error) => Err(FlushError::SetAside { fragments: self.refused, error }),
            None => Ok(self.done),
        };
        self.answer.tell(outcome);
    }

    pub fn stop(self, error: Option<Arc<ArchiveError>>) {
        self.answer.tell(Err(FlushError::Stopped { error }));
    }
}

/// What becomes of a job.
#[derive(Default)]
pub(super) struct Answer {
    outcome: Mutex<Option<Result<u64, FlushError>>>,
    told: Condvar,
    is_abandoned: AtomicBool,
}

impl Answer {
    fn tell(&self, outcome: Result<u64, FlushError>) {
        *lock(&self.outcome) = Some(outcome);
        self.told.notify_all();
    }

    /// Waits for the outcome. `None`: it has not come within the limit, and the writer need not go on with it.
    pub fn wait(&self, limit: Duration) -> Option<Result<u64, FlushError>> {
        let waited = self.told.wait_timeout_while(lock(&self.outcome), limit, |outcome| outcome.is_none());
        let outcome = waited.unwrap_or_else(PoisonError::into_inner).0.take();
        if outcome.is_none() {
            self.is_abandoned.store(true, Ordering::Relaxed);
        }
        outcome
    }
}

/// Where jobs wait for the writer. It is closed while there is no writer, and says why.
pub(super) struct Inbox<K> {
    state: Mutex<Letters<K>>,
}

enum Letters<K> {
    Open(Vec<Job<K>>),
    /// The writer is to end.
    Ending(Vec<Job<K>>),
    Closed(Option<Arc<ArchiveError>>),
}

impl<K: Hash + Eq + Clone> Inbox<K> {
    pub fn closed() -> Self {
        Self { state: Mutex::new(Letters::Closed(None)) }
    }

    pub fn open(&self) {
        *lock(&self.state) = Letters::Open(Vec::new());
    }

    pub fn post(&self, job: Job<K>) {
        match &mut *lock(&self.state) {
            Letters::Open(jobs) | Letters::Ending(jobs) => jobs.push(job),
            Letters::Closed(error) => job.stop(error.clone()),
        }
    }

    /// The jobs that have come, or `None` if the writer is to end.
    pub fn take(&self) -> Option<Vec<Job<K>>> {
        match &mut *lock(&self.state) {
            Letters::Open(jobs) => Some(std::mem::take(jobs)),
            _ => None,
        }
    }

    pub fn is_ending(&self) -> bool {
        !matches!(*lock(&self.state), Letters::Open(_))
    }

    /// Asks the writer to end.
    pub fn end(&self) {
        let mut state = lock(&self.state);
        if let Letters::Open(jobs) = &mut *state {
            *state = Letters::Ending(std::mem::take(jobs));
        }
    }

    /// The writer has ended.
    pub fn close(&self, error: Option<&Arc<ArchiveError>>) {
        let before = std::mem::replace(&mut *lock(&self.state), Letters::Closed(error.cloned()));
        if let Letters::Open(jobs) | Letters::Ending(jobs) = before {
            for job in jobs {
                job.stop(error.cloned());
            }
        }
    }
}

/// Lets callers wait for room.
#[derive(Default)]
pub(super) struct Room {
    mutex: Mutex<()>,
    more: Condvar,
}

impl Room {
    pub fn tell(&self) {
        drop(lock(&self.mutex));
        self.more.notify_all();
    }

    /// Waits until there is room, and looks again each `poll`, as there can be room without a word of the writer's.
    pub fn wait(&self, limit: Duration, poll: Duration, mut is_there: impl FnMut() -> Option<bool>) -> bool {
        let begun = Instant::now();
        let mut guard = lock(&self.mutex);
        loop {
            if let Some(is_there) = is_there() {
                return is_there;
            }
            let Some(rest) = limit.checked_sub(begun.elapsed()).filter(|rest| !rest.is_zero()) else { return false };
            guard = self.more.wait_timeout(guard, rest.min(poll)).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
