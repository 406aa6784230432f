//! The pin of an owned read. It lends nothing out and pushes nothing out, so that it needs no view.

use crossbeam_epoch::Guard;

use crate::engine::reclaim;

/// Pins the thread for as long as it lives.
pub struct Pin(Guard);

impl Pin {
    #[inline]
    pub fn new() -> Self {
        Self(crossbeam_epoch::pin())
    }

    #[inline]
    pub const fn guard(&self) -> &Guard {
        &self.0
    }
}

impl Drop for Pin {
    #[inline]
    fn drop(&mut self) {
        reclaim::leave_nothing(&self.0);
    }
}
