//! tierstack's plan and its peers, each made to do the same job as far as it goes. Where one does less, its module
//! says so.

mod boxcar;
mod locked;
mod nothing;
mod plan;

pub use self::boxcar::{Boxcar, BoxcarCopy};
pub use locked::{Locked, ParkingLot, Std};
pub use nothing::Nothing;
pub use plan::{ByHandle, ByPlan};
