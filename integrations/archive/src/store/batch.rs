//! One batch: what is collected for it, how it is committed, and what that settles.

use core::hash::{BuildHasher, Hash};
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tierstack::{Leaving, Tier, Version};

use super::backend::{Backend, guarded};
use super::gates::STRIPES;
use super::health::add;
use super::job::Job;
use super::{Inner, Queued};
use crate::{ArchiveError, ErrorKind, Op};

/// After so many removals the archive is told that nothing older comes, so that it need not remember them.
const REMOVALS_TO_FORGET: u64 = 4096;

/// So often a batch that comes late is committed again with later ticks, before it counts as a failure.
const RISES: u32 = 3;

/// What the writer hands over, batch by batch. It is the only one that commits.
pub(super) struct Batches<K: Send + Sync + 'static, V: Send + Sync + 'static, S> {
    inner: Arc<Inner<K, V, S>>,
    backend: Arc<dyn Backend<K, V>>,
    /// Above every tick that was committed or tried.
    next_tick: u64,
    /// The stripe of the gates whose removals come next.
    stripe: usize,
    /// Fragments that the archive or a codec refuses, with their weights. They stay in memory.
    aside: HashMap<Version, (K, u64)>,
    /// How often a fragment or a removal was set aside.
    refusals: u64,
    /// Removals that were committed since the archive was last told to forget.
    removals: u64,
}

/// A step that is committed.
struct Step<K, V> {
    key: K,
    encoded: Vec<u8>,
    what: What<K, V>,
}

enum What<K, V> {
    Remove { sequence: u64 },
    Put { value: Vec<u8>, version: Version, weight: u64, leaving: Option<Leaving<K, V>> },
}

/// What a batch settles.
struct Batch<K, V> {
    steps: Vec<Step<K, V>>,
    /// What leaves and need not be written.
    unchanged: Vec<Leaving<K, V>>,
}

impl<K, V, S> Batches<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Asks the archive where its ticks stand.
    pub fn new(inner: Arc<Inner<K, V, S>>, backend: Arc<dyn Backend<K, V>>) -> Result<Self, ArchiveError> {
        let mut batches =
            Self { inner, backend, next_tick: 0, stripe: 0, aside: HashMap::new(), refusals: 0, removals: 0 };
        batches.rise()?;
        batches.look_aside();
        Ok(batches)
    }

    /// What is to be written: fragments above what cold is to keep, but for those that were set aside.
    pub fn queued(&mut self) -> Queued {
        self.look_aside();
        self.inner.queued()
    }

    /// Forgets what was set aside and is not as it was. What was taken from cold, or is kept there, is tried again if it is to leave once more.
    fn look_aside(&mut self) {
        if !self.aside.is_empty() {
            let view = self.inner.memory.pin();
            self.aside.retain(|version, (key, _)| {
                let found = view.peek(key);
                found.is_some_and(|found| found.version == *version && found.tier == Tier::Cold && !found.kept)
            });
        }
        self.inner.state.set_aside(self.aside.values().map(|(_, weight)| weight).sum(), self.aside.len() as u64);
    }

    /// Collects, commits and settles one batch. Returns whether anything was written, has left or was set aside.
    ///
    /// # Errors
    ///
    /// Those of the archive that are not about one record. Nothing has left the memory then, and all is collected anew next time.
    pub fn write_one(&mut self, jobs: &mut [Job<K>]) -> Result<bool, ArchiveError> {
        let written = self.write(jobs);
        self.look_aside();
        written
    }

    fn write(&mut self, jobs: &mut [Job<K>]) -> Result<bool, ArchiveError> {
        let refusals = self.refusals;
        let pending = self.inner.gates.pending(self.stripe, self.inner.options.batch_entries.max(1));
        let mut batch = Batch { steps: Vec::with_capacity(pending.removals.len()), unchanged: Vec::new() };
        for (key, sequence) in pending.removals {
            match self.encode_key(&key) {
                Ok(encoded) => batch.steps.push(Step { key, encoded, what: What::Remove { sequence } }),
                Err(error) => self.set_removal_aside(&key, sequence, &Arc::new(error)),
            }
        }
        // Behind the removals: what stands in memory now was stored after them, so its tick is to be higher.
        self.collect(&mut batch, jobs);
        let is_any = !batch.steps.is_empty();
        if !self.commit(&mut batch.steps, jobs)? {
            return Ok(false);
        }
        let has_any_left = self.settle(batch, jobs);
        for job in jobs {
            job.drained(pending.stripes);
        }
        self.stripe = (self.stripe + pending.stripes) % STRIPES;
        Ok(is_any || has_any_left || self.refusals > refusals)
    }

    fn collect(&mut self, batch: &mut Batch<K, V>, jobs: &mut [Job<K>]) {
        let inner = self.inner.clone();
        let queued = self.queued();
        let (full, entries) = (inner.options.batch_bytes.max(1), inner.options.batch_entries.max(1));
        let mut taken = HashSet::new();
        if queued.is_any() {
            // What was set aside is passed by, and counts for nothing.
            let most = queued.within(full, entries);
            for leaving in inner.memory.start_leaving_if(most, |_, version| !self.aside.contains_key(&version)) {
                taken.insert(leaving.key.clone());
                if inner.gates.is_unchanged(&leaving.key, leaving.version) {
                    batch.unchanged.push(leaving);
                    continue;
                }
                let (key, version, weight) = (leaving.key.clone(), leaving.version, leaving.weight);
                match self.encode(&leaving.key, &leaving.value) {
                    Ok((encoded, value)) => {
                        let what = What::Put { value, version, weight, leaving: Some(leaving) };
                        batch.steps.push(Step { key, encoded, what });
                    }
                    Err(error) => self.set_aside((key, version, weight), error, jobs),
                }
            }
        }
        // Copies have as much room again, so that neither waits for the end of the other.
        let (mut bytes, mut entries) = (full, entries);
        let none_leaves = taken.is_empty();
        for at in 0..jobs.len() {
            if none_leaves {
                jobs[at].owed = 0;
            }
            if jobs[at].owed > 0 {
                continue;
            }
            jobs[at].start_turn();
            while bytes > 0 && entries > 0 {
                let Some(key) = jobs[at].next() else { break };
                if taken.contains(&key) {
                    continue;
                }
                let view = inner.memory.pin();
                let found = view.peek(&key).map(|found| (found.value.clone(), found.version, found.weight));
                drop(view);
                // What is not in memory was archived, and is durable; or a call, a deadline or a capacity has ended it, and a flush does not promise it.
                let Some((value, version, weight)) = found else {
                    jobs[at].left.remove(&key);
                    continue;
                };
                if inner.gates.is_unchanged(&key, version) {
                    jobs[at].durable(&key);
                    continue;
                }
                if self.aside.contains_key(&version) {
                    jobs[at].left.remove(&key);
                    if let Some(error) = inner.state.health().set_aside_error {
                        jobs[at].refuse(1, &error);
                    }
                    continue;
                }
                match self.encode(&key, &value) {
                    Ok((encoded, value)) => {
                        bytes = bytes.saturating_sub(weight);
                        entries -= 1;
                        taken.insert(key.clone());
                        let what = What::Put { value, version, weight, leaving: None };
                        batch.steps.push(Step { key, encoded, what });
                    }
                    Err(error) => self.set_aside((key, version, weight), error, jobs),
                }
            }
        }
    }

    /// Commits and makes durable. A step that is refused by itself is set aside, and the others go on without it, unless the writer is to end: then it is
    /// `false`, as whoever waits for the end does not wait for a call for each step that is refused.
    fn commit(&mut self, steps: &mut Vec<Step<K, V>>, jobs: &mut [Job<K>]) -> Result<bool, ArchiveError> {
        let (inner, backend) = (self.inner.clone(), self.backend.clone());
        let (mut rises, mut has_tried) = (0, false);
        while !steps.is_empty() {
            if has_tried && inner.inbox.is_ending() {
                return Ok(false);
            }
            has_tried = true;
            let first = self.next_tick;
            // Also after a failure: it may be committed all the same, and what comes next is later.
            self.next_tick = first.checked_add(steps.len() as u64).ok_or_else(ticks_have_ended)?;
            let ops: Vec<_> = (first..).zip(&*steps).map(|(tick, step)| step.op(tick)).collect();
            let committed = guarded(&inner.state.panics, ErrorKind::Panicked, || backend.archive().commit(&ops));
            // Somebody else has told the archive to forget, or has committed something later. It counts as older than what stands in memory here.
            let is_late = match &committed {
                Ok(committed) => committed.stale > 0,
                Err(error) => error.kind() == ErrorKind::BelowHorizon,
            };
            if is_late && rises < RISES {
                self.rise()?;
                rises += 1;
                continue;
            }
            let error = match committed {
                Ok(_) if is_late => {
                    let what = "another writer commits to the archive, and is always later";
                    return Err(ArchiveError::new(ErrorKind::Unavailable, what));
                }
                Ok(_) => {
                    guarded(&inner.state.panics, ErrorKind::Panicked, || backend.archive().flush())?;
                    add(&inner.state.commits, 1);
                    add(&inner.state.committed_steps, steps.len() as u64);
                    add(&inner.state.committed_bytes, steps.iter().map(Step::bytes).sum());
                    return Ok(true);
                }
                Err(error) => error,
            };
            let refused: Vec<_> = match error.key() {
                Some(key) if is_of_one_record(error.kind()) => take_refused(steps, key),
                _ => Vec::new(),
            };
            if refused.is_empty() {
                return Err(error);
            }
            let error = Arc::new(error);
            for step in refused {
                match step.what {
                    What::Remove { sequence } => self.set_removal_aside(&step.key, sequence, &error),
                    What::Put { version, weight, .. } => {
                        self.set_aside_because((step.key, version, weight), &error, jobs);
                    }
                }
            }
        }
        Ok(true)
    }

    /// What was committed is durable: removals need not be remembered, and what leaves can leave.
    /// Returns whether a fragment has left that was not written.
    fn settle(&mut self, batch: Batch<K, V>, jobs: &mut [Job<K>]) -> bool {
        let inner = self.inner.clone();
        let mut has_any_left = false;
        for Step { key, what, .. } in batch.steps {
            let (version, leaving) = match what {
                What::Remove { sequence } => {
                    inner.gates.settle(&key, Some(sequence));
                    self.removals += 1;
                    continue;
                }
                What::Put { version, leaving, .. } => (version, leaving),
            };
            if !inner.gates.settle(&key, None) {
                continue;
            }
            if !leaving.is_some_and(|leaving| self.finish(&leaving, jobs)) {
                // It stays for now.
                inner.gates.lock(&key).set_unchanged(&key, version, inner.fragments());
            }
            for job in &mut *jobs {
                job.durable(&key);
            }
        }
        for leaving in batch.unchanged {
            // A removal may have come since: then it is not leaving any more, and the removal will be committed.
            if inner.gates.settle(&leaving.key, None) {
                let has_left = self.finish(&leaving, jobs);
                has_any_left |= has_left;
                add(&inner.state.unchanged, u64::from(has_left));
                if !has_left {
                    inner.gates.lock(&leaving.key).set_unchanged(&leaving.key, leaving.version, inner.fragments());
                }
                for job in &mut *jobs {
                    job.durable(&leaving.key);
                }
            }
        }
        has_any_left
    }

    /// Lets a fragment leave that is settled: no removal of it waits, and no restore that runs will put back something older. A restore that begins now
    /// finds it in memory, until it has left. After that, it finds it in the archive.
    fn finish(&self, leaving: &Leaving<K, V>, jobs: &mut [Job<K>]) -> bool {
        let inner = &self.inner;
        for job in jobs {
            job.owed = job.owed.saturating_sub(leaving.weight);
        }
        let finished = catch_unwind(AssertUnwindSafe(|| inner.memory.finish_leaving(leaving)));
        // A panic is the listener's, which is told of what has left.
        add(&inner.state.panics, u64::from(finished.is_err()));
        let has_left = finished.unwrap_or(true);
        add(&inner.state.archived, u64::from(has_left));
        has_left
    }

    /// All steps that are still to come have higher ticks, so the archive need not remember the removals. If it cannot be told so now, it remembers them until it
    /// is told after as many again.
    pub fn forget(&mut self) {
        if self.removals >= REMOVALS_TO_FORGET {
            self.removals = 0;
            let archive = self.backend.archive();
            let _ = guarded(&self.inner.state.panics, ErrorKind::Panicked, || archive.forget(self.next_tick));
        }
    }

    /// Begins above all ticks that the archive knows.
    fn rise(&mut self) -> Result<(), ArchiveError> {
        let archive = self.backend.archive();
        let status = guarded(&self.inner.state.panics, ErrorKind::Panicked, || archive.status())?;
        self.next_tick = self.next_tick.max(status.highest_tick.saturating_add(1)).max(status.horizon);
        Ok(())
    }

    fn encode_key(&self, key: &K) -> Result<Vec<u8>, ArchiveError> {
        guarded(&self.inner.state.panics, ErrorKind::Codec, || self.backend.encode_key(key))
    }

    fn encode(&self, key: &K, value: &V) -> Result<(Vec<u8>, Vec<u8>), ArchiveError> {
        let key = self.encode_key(key)?;
        Ok((key, guarded(&self.inner.state.panics, ErrorKind::Codec, || self.backend.encode_value(value))?))
    }

    fn set_removal_aside(&mut self, key: &K, sequence: u64, error: &Arc<ArchiveError>) {
        self.refusals += 1;
        self.inner.gates.set_aside(key, sequence);
        self.inner.state.refused(error);
    }

    /// While a removal is set aside, no job is done as a whole. Nor is one if such a removal was made anew since the job came: the older one is not durable, and
    /// the newer one need not be, either.
    pub fn refuse_removals(&self, job: &mut Job<K>) {
        let aside = self.inner.gates.aside();
        let renewed = self.inner.gates.renewed() - job.renewed;
        if aside.max(renewed) > 0
            && let Some(error) = self.inner.state.health().set_aside_error
        {
            job.refuse(aside.max(renewed), &error);
        }
    }

    fn set_aside(&mut self, fragment: (K, Version, u64), error: ArchiveError, jobs: &mut [Job<K>]) {
        self.set_aside_because(fragment, &Arc::new(error), jobs);
    }

    fn set_aside_because(
        &mut self,
        (key, version, weight): (K, Version, u64),
        error: &Arc<ArchiveError>,
        jobs: &mut [Job<K>],
    ) {
        for job in jobs {
            if job.left.remove(&key) {
                job.refuse(1, error);
            }
        }
        self.refusals += 1;
        self.aside.insert(version, (key, weight));
        self.inner.state.refused(error);
    }
}

impl<K, V> Step<K, V> {
    fn op(&self, tick: u64) -> Op<'_> {
        match &self.what {
            What::Remove { .. } => Op::Remove { key: &self.encoded, tick },
            What::Put { value, .. } => Op::Put { key: &self.encoded, tick, value },
        }
    }

    fn is_put(&self) -> bool {
        matches!(self.what, What::Put { .. })
    }

    fn bytes(&self) -> u64 {
        let value = if let What::Put { value, .. } = &self.what { value.len() } else { 0 };
        (self.encoded.len() + value) as u64
    }
}

/// Takes out the steps of a key that is refused: its value, or its removal if there is no value any more. For it may be the value alone that is refused.
fn take_refused<K, V>(steps: &mut Vec<Step<K, V>>, key: &[u8]) -> Vec<Step<K, V>> {
    let has_value = steps.iter().any(|step| step.encoded == key && step.is_put());
    steps.extract_if(.., |step| step.encoded == key && step.is_put() == has_value).collect()
}

/// Another try cannot change it.
fn ticks_have_ended() -> ArchiveError {
    ArchiveError::new(ErrorKind::Unsupported, "the archive has no ticks left: somebody has committed one of the last")
}

/// Whether such an error, of a key, leaves the other steps alone.
fn is_of_one_record(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::TooLarge | ErrorKind::Codec | ErrorKind::Corrupt)
}
