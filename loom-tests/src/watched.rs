//! A value of which loom sees who writes and reads it: what publishes it too weakly is a race on it.

use loom::cell::UnsafeCell;

/// A number, written by its maker.
#[derive(Debug)]
pub struct Watched(UnsafeCell<u64>);

// SAFETY: written by its maker before it is shared, and only read from then on; loom checks that.
unsafe impl Send for Watched {}
// SAFETY: as above.
unsafe impl Sync for Watched {}

impl Watched {
    /// Written here.
    #[must_use]
    pub fn new(number: u64) -> Self {
        let cell = UnsafeCell::new(0);
        // SAFETY: nobody else has it.
        cell.with_mut(|place| unsafe { *place = number });
        Self(cell)
    }

    /// Read here.
    #[must_use]
    pub fn number(&self) -> u64 {
        // SAFETY: as for `Sync`.
        self.0.with(|place| unsafe { *place })
    }
}
