//! A version of a plan: what its structure was, from one start, close, abort or roll-back to the next.
//!
//! A version does not change, but for its log, which takes the records that are made while it is the current one. It has two links to earlier
//! versions, each with a position in that version's log:
//!
//! - *before*: the version that it came after, and where that one's log ended. It owns that version. The audit trail follows these links.
//! - *base*: the version on whose content its own builds, and how far. Mostly that is the one before; after a roll-back it is the
//!   savepoint's. It is always reached by the links before, so that it lives as long. The effective content follows these links.
//!
//! The first version of a plan that was restored from a snapshot comes after the snapshot's version, which is another plan's. Nothing made it: no event is its own, and
//! its sequence number is that of the last event before it.
//!
//! # Memory
//!
//! Each version owns the one before, and the plan owns the newest: so while the plan lives nothing published is freed, and no address
//! recurs. A seal owns one count of the version that it carries, which whoever swings the root releases once the root has a count of its own: a
//! version does not own what comes after it in the end, and there is no cycle. A snapshot owns its version, and so all before it, but nothing
//! after: it never reads a seal. A chain is dropped in a loop; [`Arc::into_inner`] gives a version to exactly one of those who drop it at
//! once, which goes on with the one before.

use core::ptr;
use std::sync::Arc;

use super::id::{ChangesetId, Sequence};
use super::log::{Entry, Log, Position};
use super::status::Statuses;

/// What made a version.
#[derive(Clone, Copy, Debug)]
pub enum Made {
    Started(ChangesetId),
    Closed(ChangesetId),
    Aborted(ChangesetId),
    RolledBack { to: Sequence },
}

/// What a seal carries: the next version, with one count of it that the seal's finder does not own.
pub struct Next<C>(*const Version<C>);

/// A position of a version's log.
pub struct Point<C> {
    pub version: *const Version<C>,
    pub entry: *mut LogEntry<C>,
}

pub type LogEntry<C> = Entry<C, Next<C>>;
pub type LogPosition<'a, C> = Position<'a, C, Next<C>>;

/// A version of a plan.
pub struct Version<C> {
    /// How many versions of the plan were before it.
    number: u64,
    pub statuses: Statuses,
    /// The largest open changeset.
    pub top: Option<ChangesetId>,
    /// None for the first.
    pub made: Option<Made>,
    /// The sequence number of what made it; or of the last event before, where nothing did.
    sequence: u64,
    /// None where it is the same as before.
    base: Option<Point<C>>,
    pub log: Log<C, Next<C>>,
    /// The last field, to be dropped after the log: the newest goes first.
    before: Before<C>,
}

/// None for the first.
struct Before<C>(Option<Link<C>>);

struct Link<C> {
    version: Arc<Version<C>>,
    entry: *mut LogEntry<C>,
}

// SAFETY: it owns its changes through the log, and shares them; its pointers are to what it owns through `before`.
unsafe impl<C: Send + Sync> Send for Version<C> {}
// SAFETY: as above.
unsafe impl<C: Send + Sync> Sync for Version<C> {}
// SAFETY: a pointer to a version, as good as an `Arc` of it.
unsafe impl<C: Send + Sync> Send for Next<C> {}
// SAFETY: as above.
unsafe impl<C: Send + Sync> Sync for Next<C> {}

impl<C> Next<C> {
    /// With the one count there is, which the seal is to own.
    pub fn new(version: Version<C>) -> Self {
        Self(Arc::into_raw(Arc::new(version)))
    }

    /// Out of a seal that was not pushed.
    pub fn into_version(self) -> Option<Version<C>> {
        // SAFETY: it came from `Arc::into_raw`, and nobody else has seen it.
        Arc::into_inner(unsafe { Arc::from_raw(self.0) })
    }

    /// A count of the caller's own.
    ///
    /// # Safety
    ///
    /// The seal was pushed, and the plan lives.
    pub unsafe fn share(&self) -> Arc<Version<C>> {
        // SAFETY: it came from `Arc::into_raw`. The seal's count is there until the root has had one, and from then on the version
        // is owned by the root or by a later version, for as long as the plan lives.
        unsafe {
            Arc::increment_strong_count(self.0);
            Arc::from_raw(self.0)
        }
    }

    /// Gives up the seal's count.
    ///
    /// # Safety
    ///
    /// The caller has swung the root to the version, and does this once.
    pub unsafe fn release(&self) {
        // SAFETY: as the caller vouches, the seal's count is still there, and is nobody else's.
        drop(unsafe { Arc::from_raw(self.0) });
    }
}

impl<C> Version<C> {
    /// The first of a plan.
    pub fn origin() -> Self {
        Self {
            number: 0,
            statuses: Statuses::default(),
            top: None,
            made: None,
            sequence: 0,
            base: None,
            log: Log::new(),
            before: Before(None),
        }
    }

    /// One to come after `before`; where and when is [said](Self::aim) before each attempt to publish it.
    pub fn after(before: Arc<Self>, statuses: Statuses, made: Made, base: Option<Point<C>>) -> Self {
        Self {
            number: before.number + 1,
            top: statuses.top(),
            statuses,
            made: Some(made),
            sequence: 0,
            base,
            log: Log::new(),
            before: Before(Some(Link { version: before, entry: ptr::null_mut() })),
        }
    }

    /// The first of another plan, which goes on from an entry of the log of that version, or from before all of them.
    ///
    /// # Safety
    ///
    /// The entry is null or of the log of that version, was acquired by the caller, and is no seal.
    pub unsafe fn restored(before: Arc<Self>, at: *mut LogEntry<C>) -> Self {
        // SAFETY: as the caller vouches; the version is owned here.
        let sequence = before.last(unsafe { LogPosition::from_raw(at) });
        Self {
            number: before.number + 1,
            statuses: before.statuses.clone(),
            top: before.top,
            made: None,
            sequence,
            base: None,
            log: Log::new(),
            before: Before(Some(Link { version: before, entry: at })),
        }
    }

    /// Says where in the log of the version before it is to come, and the sequence number of what makes it.
    pub fn aim(&mut self, at: *mut LogEntry<C>, sequence: u64) {
        self.sequence = sequence;
        if let Some(before) = &mut self.before.0 {
            before.entry = at;
        }
    }

    /// Whether it comes after that very version.
    pub fn is_after(&self, version: &Self) -> bool {
        self.before.0.as_ref().is_some_and(|before| ptr::eq(Arc::as_ptr(&before.version), version))
    }

    pub fn number(&self) -> u64 {
        self.number
    }

    pub fn sequence(&self) -> Sequence {
        Sequence::new(self.sequence)
    }

    /// The sequence number of the last event up to a position in this version's log.
    #[inline]
    pub fn last(&self, at: LogPosition<'_, C>) -> u64 {
        at.entry().map_or(self.sequence, Entry::last)
    }

    /// The version before, and where its log ended.
    pub fn before(&self) -> Option<(&Self, LogPosition<'_, C>)> {
        let before = self.before.0.as_ref()?;
        // SAFETY: the entry is of the log of that version, which is owned for as long as this one is borrowed.
        Some((&before.version, unsafe { LogPosition::from_raw(before.entry) }))
    }

    /// The version on whose content this one builds, and how far.
    pub fn base(&self) -> Option<(&Self, LogPosition<'_, C>)> {
        match &self.base {
            None => self.before(),
            // SAFETY: a base is reached by the links before, so that this version owns it; and the entry is of its log.
            Some(point) => Some(unsafe { (&*point.version, LogPosition::from_raw(point.entry)) }),
        }
    }
}

impl<C> Drop for Before<C> {
    fn drop(&mut self) {
        while let Some(link) = self.0.take() {
            // Only the last of its owners goes on. (`try_unwrap` could fail for two that drop it at once, and neither would.)
            let Some(mut version) = Arc::into_inner(link.version) else { return };
            // Taken out of it before it is dropped, so that its own drop ends with its log.
            self.0 = version.before.0.take();
        }
    }
}
