//! Walking through a plan's history from a position back to the beginning, and the audit trail.

use core::iter::FusedIterator;

use super::event::{Event, EventKind};
use super::id::Sequence;
use super::version::{LogEntry, LogPosition, Made, Version};

/// Events that were published together: an entry's, or the one that made a version.
pub enum Piece<'a, C> {
    Entry(&'a LogEntry<C>),
    Version(&'a Version<C>, Made),
}

impl<C> Clone for Piece<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Piece<'_, C> {}

impl<'a, C> Piece<'a, C> {
    /// How many events.
    fn len(self) -> usize {
        match self {
            Self::Entry(entry) => entry.changes().len(),
            Self::Version(..) => 1,
        }
    }

    /// The event at an index below `len`.
    fn event(self, index: usize) -> Event<&'a C> {
        match self {
            Self::Entry(entry) => {
                let changes = entry.changes();
                let sequence = Sequence::new(entry.last() - (changes.len() - 1 - index) as u64);
                let kind = EventKind::Recorded { changeset: entry.changeset(), change: &changes[index] };
                Event { sequence, kind }
            }
            Self::Version(version, made) => {
                let kind = match made {
                    Made::Started(changeset) => EventKind::Started { changeset },
                    Made::Closed(changeset) => EventKind::Closed { changeset },
                    Made::Aborted(changeset) => EventKind::Aborted { changeset },
                    Made::RolledBack { to } => EventKind::RolledBack { to },
                };
                Event { sequence: version.sequence(), kind }
            }
        }
    }
}

/// Which links to follow from version to version.
#[derive(Clone, Copy)]
pub enum Along {
    /// Everything that happened.
    Before,
    /// What is not rolled back.
    Bases,
}

/// The pieces from a position back, the newest first.
pub struct Walk<'a, C> {
    at: Option<(&'a Version<C>, LogPosition<'a, C>)>,
    along: Along,
}

impl<C> Clone for Walk<'_, C> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<'a, C> Walk<'a, C> {
    pub fn new(version: &'a Version<C>, from: LogPosition<'a, C>, along: Along) -> Self {
        Self { at: Some((version, from)), along }
    }
}

impl<'a, C> Iterator for Walk<'a, C> {
    type Item = Piece<'a, C>;

    fn next(&mut self) -> Option<Piece<'a, C>> {
        loop {
            let (version, at) = self.at?;
            if let Some(entry) = at.entry() {
                self.at = Some((version, entry.below()));
                return Some(Piece::Entry(entry));
            }
            self.at = match self.along {
                Along::Before => version.before(),
                Along::Bases => version.base(),
            };
            // That which nothing made is the first of a plan, whose history may go on before it.
            if let Some(made) = version.made {
                return Some(Piece::Version(version, made));
            }
        }
    }
}

/// Everything that happened in a plan up to a snapshot, in order: see [`Snapshot::audit`](crate::Snapshot::audit).
///
/// From the back it walks, in O(1) a step. The first step from the front lists what there is, in O(n).
pub struct Audit<'a, C> {
    walk: Walk<'a, C>,
    /// The oldest last.
    listed: Option<Vec<Piece<'a, C>>>,
    /// The piece that is being gone through at either end, and how many of its events were taken at the front, or are left at the back.
    front: Option<(Piece<'a, C>, usize)>,
    back: Option<(Piece<'a, C>, usize)>,
    left: usize,
}

impl<'a, C> Audit<'a, C> {
    pub(super) fn new(walk: Walk<'a, C>, events: u64) -> Self {
        // As many as are in memory.
        let left = usize::try_from(events).unwrap_or(usize::MAX);
        Self { walk, listed: None, front: None, back: None, left }
    }
}

impl<'a, C> Iterator for Audit<'a, C> {
    type Item = Event<&'a C>;

    fn next(&mut self) -> Option<Event<&'a C>> {
        self.left = self.left.checked_sub(1)?;
        loop {
            if let Some((piece, taken)) = &mut self.front
                && *taken < piece.len()
            {
                *taken += 1;
                return Some(piece.event(*taken - 1));
            }
            // What the back has walked past already is not in the list, and not reached, as `left` counts both ends.
            let back = self.back.map(|(piece, _)| piece);
            let listed = self.listed.get_or_insert_with(|| {
                let mut pieces: Vec<_> = back.into_iter().chain(self.walk.clone()).collect();
                pieces.shrink_to_fit();
                pieces
            });
            self.front = Some((listed.pop()?, 0));
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'a, C> DoubleEndedIterator for Audit<'a, C> {
    fn next_back(&mut self) -> Option<Event<&'a C>> {
        self.left = self.left.checked_sub(1)?;
        loop {
            if let Some((piece, left)) = &mut self.back
                && *left > 0
            {
                *left -= 1;
                return Some(piece.event(*left));
            }
            let piece = self.walk.next()?;
            self.back = Some((piece, piece.len()));
        }
    }
}

impl<C> ExactSizeIterator for Audit<'_, C> {}
impl<C> FusedIterator for Audit<'_, C> {}

/// The changes from a position back, the newest first, with the events between them.
pub fn backwards<C>(walk: Walk<'_, C>) -> impl Iterator<Item = Event<&C>> {
    walk.flat_map(|piece| (0..piece.len()).rev().map(move |index| piece.event(index)))
}
