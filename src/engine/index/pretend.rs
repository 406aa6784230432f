//! What tests pretend.

use std::cell::Cell;

thread_local! {
    /// That no address fits into a cell.
    pub static ARE_HIGH: Cell<bool> = const { Cell::new(false) };
}
