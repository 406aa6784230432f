//! Commits that wait for a flush, and whether the database was closed under them.
//!
//! After an error the database is closed and opened anew, and what was not flushed is gone: also if the error was that of a read, and the commits had been reported
//! by then. Only the next flush can say so. So commits are counted.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{ArchiveError, ErrorKind};

/// Of the commits of one handle, by their numbers. All but `told` after an error is called under the database's lock, so that it is not closed between a
/// step of the engine's and what is noted of it.
#[derive(Default)]
pub struct Unflushed(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    committed: u64,
    /// Up to this one they are on the disk, or somebody was told that they may not be.
    settled: u64,
    /// Up to this one they are lost, where they are not settled.
    lost: u64,
}

impl Unflushed {
    /// One more, which the engine has done.
    pub fn committed(&self) {
        self.lock().committed += 1;
    }

    /// Whether there are commits that a flush has to do with.
    pub fn is_any(&self) -> bool {
        let counts = self.lock();
        counts.committed > counts.settled
    }

    /// What a flush that begins now is for.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`], once, if some of it is lost.
    pub fn begin(&self) -> Result<u64, ArchiveError> {
        let mut counts = self.lock();
        if counts.lost > counts.settled {
            counts.settled = counts.lost;
            let what =
                "the file was closed by an error, and commits that were not flushed are lost: hand them over again";
            return Err(ArchiveError::new(ErrorKind::Unavailable, what));
        }
        Ok(counts.committed)
    }

    /// A flush has done what it was for, or has said that it has not.
    pub fn told(&self, upto: u64) {
        let mut counts = self.lock();
        counts.settled = counts.settled.max(upto);
    }

    /// The database was closed.
    pub fn closed(&self) {
        let mut counts = self.lock();
        counts.lost = counts.committed;
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_said_once_by_whichever_flush_comes_next() {
        let unflushed = Unflushed::default();
        unflushed.closed();
        assert_eq!(unflushed.begin().unwrap(), 0);
        unflushed.committed();
        unflushed.closed();
        unflushed.committed();
        assert_eq!(unflushed.begin().unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(unflushed.begin().unwrap(), 2);
        unflushed.told(2);
        unflushed.closed();
        assert_eq!(unflushed.begin().unwrap(), 2);
    }

    #[test]
    fn a_flush_that_fails_says_it_of_what_it_was_for_only() {
        let unflushed = Unflushed::default();
        unflushed.committed();
        let upto = unflushed.begin().unwrap();
        unflushed.closed();
        unflushed.told(upto);
        unflushed.committed();
        let upto = unflushed.begin().unwrap();
        unflushed.committed();
        unflushed.closed();
        unflushed.told(upto);
        assert!(unflushed.begin().is_err() && unflushed.begin().is_ok());
    }
}
