//! A plan's core: which version is the current one, and the two ways to add to it.
//!
//! # States
//!
//! ```text
//! root ──► version n ── log: entry ◄── entry ◄── … ◄── head
//! ```
//!
//! A plan's state is its root's version together with the head of that version's log, where that head is not a seal. Both records and
//! changes of structure are one CAS of that head:
//!
//! - *record*: pushes an entry. The version stays.
//! - *start, close, abort, roll back*: makes the next version and pushes a seal that carries it. From that CAS on version n takes nothing more,
//!   and n + 1 is the state, although the root still names n. Then the root is *swung*, n → n + 1, by CAS.
//!
//! # Here
//!
//! Every operation, reads and refusals included, begins by finding the state: load the root, load the head of its log. If that is a
//! seal, swing the root and begin again. (The root has a hint beside it, a version that was current once: one whose head is no seal still
//! is, and saves a look at the root itself.) Else this version, at the instant of that load of the head, was the current one, and what it says
//! decides: which changesets are open and which is on top cannot change within a version, so that "is it open" and
//! the push are one decision: a push succeeds only if the head is still the one that was loaded, which was no seal, and heads never recur.
//! After each lost CAS everything that depends on the head is computed anew, and all else too unless the version is the same.
//! Nobody acts on version n + 1 before the root has left n: so the root never skips, and whoever has found the state finds no older one later.
//!
//! # Who may stall where, and who helps
//!
//! - Before its CAS on the head, a thread has published nothing.
//! - Between seal and swing: whoever meets the seal swings the root. Only one CAS of the root from n succeeds, as versions never recur in it; its
//!   winner releases the seal's count of n + 1.
//! - After: it has only to return.
//!
//! Lock-free: a CAS on a head is lost only to another that succeeded. Not wait-free: recorders and sealers can be overtaken without bound, and a sealer, whose
//! attempts take longer, more easily.
//!
//! # Orderings
//!
//! Entries and versions are plain memory. Pushing releases them, loading a head acquires them, and swinging and loading the root do the same
//! (see [`super::log`], [`super::root`]). Nothing within one plan needs more: each decision is about one word, the head.

use core::convert::Infallible;
use core::hint;
use std::sync::Arc;

use super::error::{NotOpen, RecordRefusal, SavepointError};
use super::id::{ChangesetId, Sequence};
use super::log::{Batch, Content, Entry};
use super::root::{Kept, Root};
use super::savepoint::{PlanNumber, Savepoint};
use super::status::{Status, Statuses};
use super::version::{LogEntry, LogPosition, Made, Next, Point, Version};
use crate::failpoint::{Step, reach};

/// The current version of a plan, and the plan's identity.
pub struct Timeline<C> {
    number: PlanNumber,
    root: Root<Version<C>>,
}

/// The state of a plan at one instant: a version, and a head of its log that is not a seal.
pub struct Here<'a, C> {
    pub version: Kept<'a, Version<C>>,
    /// Of that version's log.
    pub head: LogPosition<'a, C>,
}

/// Which changeset a record is for.
#[derive(Clone, Copy)]
pub enum Target {
    Top,
    Changeset(ChangesetId),
}

/// An entry that was not pushed.
struct Refused<C> {
    entry: LogEntry<C>,
    refusal: RecordRefusal,
}

/// What the next version is to be.
struct Draft<C> {
    statuses: Statuses,
    made: Made,
    base: Option<Point<C>>,
}

impl<'a, C> Here<'a, C> {
    /// If the version's log is not sealed: then it is the current one.
    #[inline]
    fn at(version: Kept<'a, Version<C>>) -> Option<Self> {
        let head = version.get().log.head();
        match head.entry().map(Entry::content) {
            Some(Content::Seal(_)) => None,
            _ => Some(Self { version, head }),
        }
    }

    /// The sequence number of the last event.
    #[inline]
    pub fn last(&self) -> u64 {
        self.version.last(self.head)
    }

    /// Which changeset a record goes into.
    #[inline]
    pub fn admit(&self, target: Target) -> Result<ChangesetId, RecordRefusal> {
        match target {
            Target::Top => self.version.top.ok_or(RecordRefusal::NoActiveChangeset),
            Target::Changeset(id) => Ok(self.open(id)?),
        }
    }

    /// The changeset, if it is open.
    #[inline]
    fn open(&self, id: ChangesetId) -> Result<ChangesetId, NotOpen> {
        match self.version.statuses.get(id) {
            Some(Status::Open) => Ok(id),
            Some(Status::Closed) => Err(NotOpen::Closed(id)),
            Some(Status::Aborted) => Err(NotOpen::Aborted(id)),
            Some(Status::RolledBack) => Err(NotOpen::RolledBack(id)),
            None => Err(NotOpen::Unknown(id)),
        }
    }

    /// The position of a savepoint, if what was there then is still part of what the current state builds on: if the walk along the
    /// bases comes into the savepoint's version at its place or later. O(versions since).
    fn find(&self, savepoint: &Savepoint) -> Result<Point<C>, SavepointError> {
        let (mut version, mut at) = (self.version.get(), self.head);
        while version.number() > savepoint.version() {
            (version, at) = version.base().ok_or(SavepointError::RolledBack)?;
        }
        if version.number() == savepoint.version() && version.last(at) >= savepoint.sequence().number() {
            Ok(Point { version, entry: savepoint.entry() })
        } else {
            Err(SavepointError::RolledBack)
        }
    }
}

impl<C> Timeline<C> {
    pub fn new() -> Self {
        Self::starting_with(Version::origin())
    }

    /// A plan of its own that begins with that version.
    pub fn starting_with(first: Version<C>) -> Self {
        // SAFETY: each version owns the one before it, and the root the current one; of one that is yet to be current, a seal owns a count.
        let root = unsafe { Root::new(Arc::new(first)) };
        Self { number: PlanNumber::next(), root }
    }

    /// The state of the plan at one instant.
    #[inline]
    pub fn here(&self) -> Here<'_, C> {
        let hint = self.root.hint();
        Here::at(hint).unwrap_or_else(|| self.after(hint))
    }

    /// The state of the plan at one instant, after that of a version that is sealed.
    #[cold]
    fn after<'a>(&'a self, sealed: Kept<'a, Version<C>>) -> Here<'a, C> {
        loop {
            let version = self.root.current(sealed);
            if let Some(here) = Here::at(version) {
                return here;
            }
            self.leave(version);
        }
    }

    /// Looks again, after a lost CAS: the version is often the same.
    #[inline]
    fn renew<'a>(&'a self, here: &mut Here<'a, C>) {
        *here = Here::at(here.version).unwrap_or_else(|| self.after(here.version));
    }

    /// Has the root leave a version that is sealed.
    #[cold]
    fn leave(&self, sealed: Kept<'_, Version<C>>) {
        let Some(Content::Seal(next)) = sealed.get().log.head().entry().map(Entry::content) else { return };
        // SAFETY: the plan lives: it is borrowed.
        let version = unsafe { next.share() };
        if self.root.swing(sealed, version) {
            // SAFETY: only one swing away from a version succeeds, and this was it.
            unsafe { next.release() };
        }
    }

    /// Records a change: into which changeset, and with what sequence number. Or hands it back.
    #[inline]
    pub fn record(&self, target: Target, change: C) -> Result<(ChangesetId, Sequence), (C, RecordRefusal)> {
        self.push(target, Entry::new(Content::Record(change)), 1).map_err(|Refused { entry, refusal }| {
            let Content::Record(change) = entry.into_content() else { unreachable!("it was made of a record") };
            (change, refusal)
        })
    }

    /// Records changes at once: into which changeset, and the last one's sequence number. Or hands them back.
    pub fn record_all(
        &self,
        target: Target,
        changes: Vec<C>,
    ) -> Result<(ChangesetId, Sequence), (Vec<C>, RecordRefusal)> {
        if changes.is_empty() {
            let here = self.here();
            return match here.admit(target) {
                Ok(changeset) => Ok((changeset, Sequence::new(here.last()))),
                Err(refusal) => Err((changes, refusal)),
            };
        }
        let events = changes.len() as u64;
        self.push(target, Entry::new(Content::Batch(Batch::new(changes))), events).map_err(
            |Refused { entry, refusal }| {
                let Content::Batch(changes) = entry.into_content() else { unreachable!("it was made of a batch") };
                (changes.into_vec(), refusal)
            },
        )
    }

    /// Pushes an entry with so many changes; the changeset, and the last one's sequence number. Or hands the entry back.
    #[inline]
    fn push(&self, target: Target, entry: LogEntry<C>, events: u64) -> Result<(ChangesetId, Sequence), Refused<C>> {
        let mut entry = Box::new(entry);
        let mut here = self.here();
        let mut lost = 0;
        loop {
            let changeset = match here.admit(target) {
                Ok(changeset) => changeset,
                Err(refusal) => return Err(Refused { entry: *entry, refusal }),
            };
            let sequence = here.last() + events;
            entry.aim(changeset, sequence);
            reach(Step::Recording);
            match here.version.log.push(here.head, entry) {
                Ok(()) => return Ok((changeset, Sequence::new(sequence))),
                Err(refused) => entry = refused,
            }
            pause(&mut lost);
            self.renew(&mut here);
        }
    }

    /// Starts a changeset.
    pub fn start(&self) -> (ChangesetId, Sequence) {
        let mut started = ChangesetId::from_index(0);
        let Ok(sequence) = self.seal::<Infallible>(|here| {
            let (statuses, id) = here.version.statuses.start();
            started = id;
            Ok(Draft { statuses, made: Made::Started(id), base: None })
        });
        (started, sequence)
    }

    /// Closes a changeset.
    pub fn close(&self, id: ChangesetId) -> Result<Sequence, NotOpen> {
        self.seal(|here| {
            let statuses = here.version.statuses.clone().with(here.open(id)?, Status::Closed);
            Ok(Draft { statuses, made: Made::Closed(id), base: None })
        })
    }

    /// Aborts a changeset.
    pub fn abort(&self, id: ChangesetId) -> Result<Sequence, NotOpen> {
        self.seal(|here| {
            let statuses = here.version.statuses.clone().with(here.open(id)?, Status::Aborted);
            Ok(Draft { statuses, made: Made::Aborted(id), base: None })
        })
    }

    /// Rolls back to a savepoint.
    pub fn roll_back_to(&self, savepoint: &Savepoint) -> Result<Sequence, SavepointError> {
        if savepoint.plan() != self.number {
            return Err(SavepointError::OtherPlan);
        }
        self.seal(|here| {
            let base = here.find(savepoint)?;
            // SAFETY: it was found along the bases of a version that is kept.
            let then = unsafe { &(*base.version).statuses };
            let statuses = here.version.statuses.rolled_back_to(then);
            Ok(Draft { statuses, made: Made::RolledBack { to: savepoint.sequence() }, base: Some(base) })
        })
    }

    /// A savepoint for the state.
    pub fn savepoint(&self) -> Savepoint {
        let here = self.here();
        Savepoint::new(self.number, here.version.number(), here.head.as_raw(), Sequence::new(here.last()))
    }

    /// Puts the next version in place of the current one; the sequence number of what that does.
    fn seal<E>(&self, mut draft: impl FnMut(&Here<'_, C>) -> Result<Draft<C>, E>) -> Result<Sequence, E> {
        let mut here = self.here();
        let mut prepared: Option<Version<C>> = None;
        let mut lost = 0;
        loop {
            // Only positions and sequence depend on the head: the rest stands for as long as the version does.
            let mut next = if let Some(next) = prepared.filter(|next| next.is_after(&here.version)) {
                next
            } else {
                let Draft { statuses, made, base } = draft(&here)?;
                Version::after(here.version.share(), statuses, made, base)
            };
            let sequence = here.last() + 1;
            next.aim(here.head.as_raw(), sequence);
            let mut seal = Box::new(Entry::new(Content::Seal(Next::new(next))));
            seal.aim(ChangesetId::from_index(0), sequence);
            reach(Step::Recording);
            match here.version.log.push(here.head, seal) {
                Ok(()) => {
                    reach(Step::LogSealed);
                    self.leave(here.version);
                    // So that the hint is not left outdated.
                    self.root.current(here.version);
                    return Ok(Sequence::new(sequence));
                }
                Err(refused) => prepared = refused.into_content().into_seal().and_then(Next::into_version),
            }
            pause(&mut lost);
            self.renew(&mut here);
        }
    }
}

impl<C> Drop for Timeline<C> {
    fn drop(&mut self) {
        // A seal that nobody has swung the root past still owns its version, which owns all before it: a cycle.
        self.here();
    }
}

/// A bounded pause after a lost CAS, longer after each: others may be pushing, and as many attempts at once slow all of them down.
#[cold]
fn pause(lost: &mut u32) {
    const LONGEST: u32 = 6;
    for _ in 0..1 << *lost {
        hint::spin_loop();
    }
    *lost = (*lost + 1).min(LONGEST);
}
