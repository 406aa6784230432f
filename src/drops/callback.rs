//! Functions of callers, whose captures may own stores.

use core::mem::ManuallyDrop;
use core::ops::Deref;

use super::aside::drop_in_place;

/// A boxed function of a caller. What it has captured is dropped as a value is: see [`super::aside`].
pub struct Callback<F: ?Sized + 'static>(ManuallyDrop<Box<F>>);

impl<F: ?Sized> Callback<F> {
    pub fn new(function: Box<F>) -> Self {
        Self(ManuallyDrop::new(function))
    }
}

impl<F: ?Sized> Deref for Callback<F> {
    type Target = F;

    #[inline]
    fn deref(&self) -> &F {
        &self.0
    }
}

impl<F: ?Sized> Drop for Callback<F> {
    fn drop(&mut self) {
        // SAFETY: the box is not used again.
        unsafe { drop_in_place::<Box<F>>(&raw mut *self.0) };
    }
}
